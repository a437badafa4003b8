//! One target as it stands, for people and for JSON.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::find;
use super::super::workspace::is_elsewhere;
use crate::config::{Target, TargetStore};
use crate::delivery::probe::Verdict;
use crate::http::shown_address;
use crate::rotation::drift::{self, Act, Drift};
use crate::rotation::elsewhere;
use crate::rotation::journal::Journal;
use crate::rotation::{Next, PlannedStore, Probed, Rotation, Sighting, Status, Step};
use crate::secret::Fingerprint;
use crate::store::{self, Reference, Store, Surroundings};
use crate::time::moment;

/// One target as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    pub target: String,
    pub provider: String,
    pub endpoint: String,
    /// Absent where no rotation is open.
    pub status: Option<Status>,
    pub step: Option<&'static str>,
    pub owner: Option<String>,
    /// What the config says otherwise than the rotation that is open, or was the last, in words.
    pub changes: Vec<String>,
    /// Why the target cannot be used as it is configured.
    pub trouble: Option<String>,
    pub opened_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// When the secret that is newest came; absent where whsec has never rotated it.
    pub rotated_at: Option<Timestamp>,
    /// Who adopted the rotation that is open, or that brought what is live; when its secret came nobody knows.
    pub adopted: Option<Adopted>,
    pub max_age_seconds: Option<u64>,
    pub overdue: bool,
    /// Slots of the open rotation that hold what it does not know of, of the stores that are files.
    pub foreign: Vec<Drift>,
    /// What the provider shows that may be a rotation by somebody else, while nobody has said whether it is one.
    pub doubt: Option<String>,
    /// Slots that are filled although no rotation is known that filled them, in words, of the stores that are files.
    pub elsewhere: Option<String>,
    /// The provider rotated and nobody has the secret: rotate again.
    pub lost: bool,
    /// The newest rotation was abandoned where what is live may be dead, or ends with the old secret.
    pub abandoned: bool,
    /// The command that rotates again, where the secret is lost or given up.
    pub again: Option<String>,
    /// Where the provider is called, of an endpoint that only the journal knows.
    pub base_url: Option<String>,
    /// Whether nothing is ever sent there.
    pub is_by_hand: bool,
    /// The stores of an endpoint that only the journal knows.
    pub stores: Vec<String>,
    /// Somebody else rotated after whsec did, and nothing has been done about it.
    pub superseded: bool,
    /// When the old secret began to be an old one, on the provider's clock.
    #[serde(skip)]
    pub issued_at: Option<Timestamp>,
    /// How far the provider's clock, on which `expires_at` is, is ahead of ours.
    #[serde(skip)]
    pub clock_ahead_ms: i64,
    /// Whether our clock was set back since the provider's was heard, which then does not count.
    pub clock_set_back: bool,
    /// Who has the newest rotation, where it was handed over from here, in words.
    pub handed_over: Option<String>,
    /// The rotation that the open one is to replace, while nobody knows what came of that.
    pub beside: Option<Beside>,
    /// Since when deliveries may be failing: the call ended the old secret, and receivers refuse the new one or have not been
    /// seen to take it.
    pub failing_since: Option<Timestamp>,
    /// Since when what is live is dead, where an earlier rotation had replaced it and the new secret is not live yet.
    pub live_dead_since: Option<Timestamp>,
    /// Who put the old secret back, and why, where the new one is not live again.
    pub rolled_back: Option<String>,
    pub contained: Option<bool>,
    /// When the leak was declared that is not contained yet.
    pub leaking_since: Option<Timestamp>,
    /// What each receiver was last found to accept.
    pub receivers: Vec<Asked>,
    /// Receivers that count and were asked nothing yet: of those nothing is proved.
    pub unasked: Vec<String>,
    /// The deliveries that were seen, by the secret that signed them.
    pub deliveries: Vec<Arrived>,
}

/// Who has gone on with a rotation whose journal was lost, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Adopted {
    pub at: Timestamp,
    pub by: String,
    pub reason: Option<String>,
}

impl Adopted {
    /// What is recorded of it.
    pub fn of(rotation: &Rotation) -> Option<Self> {
        let proof = rotation.adopted.as_ref()?;
        Some(Self { at: proof.at, by: proof.by.clone(), reason: proof.reason().map(str::to_owned) })
    }

    /// The same in words.
    pub fn words(&self) -> String {
        let why = self.reason.as_deref().unwrap_or("no reason given");
        format!("adopted at {} by {} ({why})", moment(self.at), self.by)
    }
}

/// An open rotation with another one pending beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Beside {
    pub status: Status,
    pub step: Option<&'static str>,
    pub opened_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// What a receiver was found to accept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    pub url: String,
    pub verdict: Verdict,
    pub probed_at: Timestamp,
}

/// Deliveries that one secret signed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Arrived {
    pub fingerprint: Fingerprint,
    pub is_new: bool,
    pub count: u64,
    pub last_signed_at: Option<Timestamp>,
}

impl Row {
    /// Takes an open rotation into account.
    pub fn take(&mut self, rotation: &Rotation, now: Timestamp) {
        self.status = Some(rotation.status(now));
        self.step = rotation.step().map(crate::rotation::Step::name);
        self.opened_at = Some(rotation.opened_at);
        self.adopted = Adopted::of(rotation);
        self.expires_at = rotation.expires_at();
        self.issued_at = rotation.done.get(&Step::Issue).map(|proof| rotation.provider_time(proof.at));
        self.clock_ahead_ms = ahead_ms(rotation, now);
        self.clock_set_back = rotation.is_clock_set_back(now);
        self.doubt = rotation.doubt.clone();
        self.rolled_back = rotation.taken_back().map(ToString::to_string);
        self.contained = rotation.contained();
        self.leaking_since = rotation.leaking_since();
        let asked = |(at, found): &(Timestamp, Probed)| Asked {
            url: shown_address(&found.url),
            verdict: found.verdict,
            probed_at: *at,
        };
        self.receivers = rotation.probed.values().map(asked).collect();
        let unasked = rotation.new_secret().map(|_| rotation.unasked()).unwrap_or_default();
        self.unasked = unasked.into_iter().map(shown_address).collect();
        let new = rotation.new_secret();
        let arrived = |(fingerprint, seen): (&Fingerprint, &Sighting)| Arrived {
            fingerprint: fingerprint.clone(),
            is_new: new == Some(fingerprint),
            count: seen.deliveries,
            last_signed_at: seen.signed_at,
        };
        self.deliveries = rotation.seen.iter().map(arrived).collect();
        let ended = rotation.expires_at().is_some_and(|end| rotation.provider_now(now) >= end);
        self.live_dead_since = rotation.live_dead_since();
        self.failing_since = rotation.failing_since(now);
        self.overdue |= self.failing_since.is_some();
        self.overdue |= ended && !matches!(rotation.next(now), Next::Finished);
        self.foreign = foreign(rotation);
    }

    /// Takes the rotation into account that a pending one is to replace.
    pub fn take_beside(&mut self, earlier: &Rotation, now: Timestamp) {
        self.beside = Some(Beside {
            status: earlier.status(now),
            step: earlier.step().map(Step::name),
            opened_at: earlier.opened_at,
            expires_at: earlier.expires_at(),
        });
        let ended = earlier.expires_at().is_some_and(|end| earlier.provider_now(now) >= end);
        self.overdue |= ended && !matches!(earlier.next(now), Next::Finished);
    }

    /// Whether the secret is older than that, or nobody here knows that it is not.
    pub fn is_older_than(&self, most: Duration, now: Timestamp) -> bool {
        let most = SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX);
        self.age(now).is_none_or(|age| age > most)
    }

    /// How old the secret is.
    pub fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.rotated_at.map(|at| now.duration_since(at))
    }
}

/// How far the provider's clock is ahead of ours, in milliseconds.
pub fn ahead_ms(rotation: &Rotation, now: Timestamp) -> i64 {
    i64::try_from(rotation.clock_ahead(now).as_millis()).unwrap_or(0)
}

/// What has drifted in the stores that are files: a look at them disturbs nobody and takes no time. Programs, servers and the
/// keychain are asked by `inspect`.
fn foreign(rotation: &Rotation) -> Vec<Drift> {
    if rotation.new_secret().is_none() {
        return Vec::new();
    }
    let open = |planned: &PlannedStore| {
        let reference = Reference::parse(&planned.reference).ok().filter(is_file)?;
        store::open(&reference, &planned.names, &Surroundings::default()).ok()
    };
    let stores = rotation.plan.stores.iter().filter(|store| !is_elsewhere(store)).filter_map(open);
    stores.filter_map(|store| drift::look(rotation, Act::due(rotation), store.as_ref()).ok()).flatten().collect()
}

/// The same of slots that are filled although this journal knows of no rotation that filled them.
pub fn elsewhere(target: &Target, journal: &Journal) -> Option<String> {
    // What a checkout's file names that nobody trusts shows nothing.
    let wanted = target.stores.iter().filter(|wanted| !target.stores_from_checkout && is_file(&wanted.reference));
    let open = |wanted: &TargetStore| store::open(&wanted.reference, &wanted.names, &target.surroundings).ok();
    let stores: Vec<Box<dyn Store>> = wanted.filter_map(open).collect();
    let strays = elsewhere::strays(&stores, &target.endpoint.key(), journal).ok()?;
    Some(format!("{}: {}", strays.first()?.shows(), find::words(&strays)))
}

fn is_file(reference: &Reference) -> bool {
    matches!(reference, Reference::Dotenv { .. } | Reference::Json { .. } | Reference::File { .. })
}
