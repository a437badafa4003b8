//! A rotation that began elsewhere and whose journal is lost, made out by what the slots of its stores hold and the provider shows.
//!
//! Only what admits of one reading is taken: a new secret and an old one, the same two in every store. Nothing is written here.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::superseded::tail;
use super::{Answered, Ending, Event, Evidence, ExpirySource, How, Plan, Step};
use crate::advice::{Advice, Verb, advice};
use crate::provider::answer::Inspected;
use crate::secret::{Fingerprint, Secret};
use crate::store::slots::Held;
use crate::store::{Access, Slot, Store, StoreError};

/// A rotation as it shows in the stores.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    new: Secret,
    old: Secret,
    /// Whether the new secret is live, and the old one in `previous`; else it is in `next`, and the old one live.
    pub is_live: bool,
    /// What the slots of each store are taken to have held before it began.
    held: BTreeMap<String, Held>,
}

/// Why nothing is adopted.
#[derive(Debug, Error)]
pub enum Unfit {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("what `{store}` holds cannot be read back, and with that nobody knows how far the rotation came there")]
    Unreadable { store: String },
    #[error("there is nothing to adopt: {holds}")]
    Nothing { holds: String, is_live_empty: bool },
    #[error(
        "there is nothing to adopt: {store} keeps what was live before in any case, so `previous` shows no rotation"
    )]
    History { store: String },
    #[error("the stores do not hold the same: {holds}")]
    Differ { holds: String },
    #[error("`{next}` and `{current}` of {store} hold the same secret, so the one that is replaced is not to be seen")]
    Same { store: String, next: String, current: String },
    #[error("{holds}: that is more than one rotation")]
    Three { holds: String },
    #[error("a secret that whsec made waits in `next`, and nobody can see whether {provider} was given it")]
    Ours { provider: String },
    #[error("at {provider} a new secret is a second endpoint, and the journal alone had its id")]
    Second { provider: String },
    #[error("{provider} shows that its secret is {shown}, which is the one that the slots show as the old one")]
    NotRotated { provider: String, shown: String },
    #[error(
        "{provider} shows that its secret is {shown}, which is neither of those in the slots: somebody rotated since"
    )]
    Another { provider: String, shown: String },
}

impl Unfit {
    /// What can be done about it.
    pub fn hint(&self) -> Advice {
        match self {
            Self::Store(error) => error.hint().unwrap_or_default(),
            Self::Unreadable { .. } => "name the stores that can be read, one --store REF each".into(),
            Self::Nothing { is_live_empty: true, .. } => {
                "put the secret that the receivers live on into the live slot, and adopt again".into()
            }
            Self::Nothing { .. } => advice!["what is live, and where: ", Verb::Inspect.here().bare()],
            Self::History { .. } => advice!["where receivers run with what is live, nothing is left to do: ", Verb::Inspect.here().bare()],
            Self::Differ { .. } => advice![
                "have every store hold the same two secrets (",
                Verb::Inspect.here(),
                " shows what each holds), or name those that do, one --store REF each"
            ],
            Self::Same { .. } => advice![
                "it is live already: take the copy out of `next`; ",
                Verb::Inspect.here(),
                " shows what is left, and `previous` has to hold the old one"
            ],
            Self::Three { .. } => "find out which of the three nothing signs with and no receiver needs any more, and take \
                                   that one out of its slot"
                .into(),
            Self::Ours { provider } => advice![
                format!("give {provider} the one in `next` once more, which does no harm: "),
                Verb::Reveal.here().with("slot", "next"),
                "; then put it into the live slot and the old one into `previous`, and adopt again"
            ],
            Self::Second { .. } => "see at the provider which endpoints there are; have receivers and the live slot take the \
                                    secret of the one that is to stay, put its id into the target, and remove the other \
                                    endpoint there"
                .into(),
            Self::NotRotated { .. } => {
                advice!["nothing is rotated, or somebody has taken it back: ", Verb::Inspect.here(), " shows both"]
            }
            Self::Another { .. } => {
                advice!["put the provider's own secret into the live slot: ", Verb::Inspect.here(), " shows what there is"]
            }
        }
    }
}

/// Looks into every store. Fails where what they hold admits of no reading, or of two.
pub fn look(stores: &[Box<dyn Store>]) -> Result<Found, Unfit> {
    if let Some(store) = stores.iter().find(|store| store.access() != Access::ReadWrite) {
        return Err(Unfit::Unreadable { store: store.reference() });
    }
    let mut seen = Vec::new();
    for store in stores {
        let get = |slot| store.get(slot);
        seen.push(Seen {
            store: store.as_ref(),
            next: get(Slot::Next)?,
            current: get(Slot::Current)?,
            previous: get(Slot::Previous)?,
        });
    }
    let holds = || seen.iter().map(Seen::words).collect::<Vec<_>>().join("; ");
    let pairs = seen.iter().map(|seen| seen.pair(&holds)).collect::<Result<Vec<_>, _>>()?;
    // What a store keeps for ever shows a rotation only beside one that does not.
    let shown = pairs.iter().zip(&seen).find(|(pair, seen)| match pair {
        Some((_, _, is_live)) => !(*is_live && seen.store.keeps_history()),
        None => false,
    });
    let Some((Some((new, old, is_live)), _)) = shown else {
        return Err(match seen.iter().zip(&pairs).find(|(_, pair)| pair.is_some()) {
            Some((seen, _)) => Unfit::History { store: seen.store.reference() },
            None => Unfit::Nothing { holds: holds(), is_live_empty: seen.iter().any(|seen| seen.current.is_none()) },
        });
    };
    let is_same = |pair: &Option<(Secret, Secret, bool)>| {
        pair.as_ref().is_some_and(|pair| (&pair.0, &pair.1, &pair.2) == (new, old, is_live))
    };
    if !pairs.iter().all(is_same) {
        return Err(Unfit::Differ { holds: holds() });
    }
    let held = seen.iter().map(|seen| (seen.store.reference(), seen.before(old, *is_live))).collect();
    Ok(Found { new: new.clone(), old: old.clone(), is_live: *is_live, held })
}

/// What one store holds.
struct Seen<'a> {
    store: &'a dyn Store,
    next: Option<Secret>,
    current: Option<Secret>,
    previous: Option<Secret>,
}

impl Seen<'_> {
    /// The new secret, the old one, and whether the new one is live; `None` where nothing shows that there are two.
    fn pair(&self, holds: &dyn Fn() -> String) -> Result<Option<(Secret, Secret, bool)>, Unfit> {
        let Self { store, next, current, previous } = self;
        match (next, current, previous) {
            (Some(next), Some(current), _) if next == current => Err(Unfit::Same {
                store: store.reference(),
                next: store.slot_name(Slot::Next),
                current: store.slot_name(Slot::Current),
            }),
            // A copy of what is live is left of a promotion that was cut off.
            (Some(next), Some(current), previous)
                if store.keeps_history() || previous.as_ref().is_none_or(|previous| previous == current) =>
            {
                Ok(Some((next.clone(), current.clone(), false)))
            }
            (Some(_), _, Some(_)) => Err(Unfit::Three { holds: holds() }),
            (None, Some(current), Some(previous)) if previous != current => {
                Ok(Some((current.clone(), previous.clone(), true)))
            }
            _ => Ok(None),
        }
    }

    fn before(&self, old: &Secret, is_live: bool) -> Held {
        let previous = self.previous.as_ref().filter(|_| !is_live).map(Secret::fingerprint);
        Held { next: None, current: Some(old.fingerprint()), previous }
    }

    fn words(&self) -> String {
        let slots = [(Slot::Next, &self.next), (Slot::Current, &self.current), (Slot::Previous, &self.previous)];
        let filled: Vec<String> = slots
            .iter()
            .filter_map(|(slot, secret)| {
                Some(format!("`{}` {}", self.store.slot_name(*slot), secret.as_ref()?.fingerprint()))
            })
            .collect();
        let filled = if filled.is_empty() { "nothing".to_owned() } else { filled.join(", ") };
        format!("{} holds {filled}", self.store.reference())
    }
}

impl Found {
    /// The new secret.
    pub fn new_secret(&self) -> Fingerprint {
        self.new.fingerprint()
    }

    /// Fails where the kind of rotation has something that no slot shows.
    pub fn suits(&self, plan: &Plan, provider: &str) -> Result<(), Unfit> {
        let provider = || provider.to_owned();
        if matches!(plan.ending, Some(Ending::Call(_))) {
            return Err(Unfit::Second { provider: provider() });
        }
        // It goes live behind the call and not before.
        if plan.direction.is_set() && !self.is_live {
            return Err(Unfit::Ours { provider: provider() });
        }
        Ok(())
    }

    /// Fails where the provider shows another secret than the new one.
    pub fn stands_beside(&self, shown: &Inspected, provider: &str) -> Result<(), Unfit> {
        let provider = || provider.to_owned();
        if let Some(theirs) = &shown.secret {
            let shown = theirs.fingerprint().to_string();
            return match theirs {
                theirs if *theirs == self.new => Ok(()),
                theirs if *theirs == self.old => Err(Unfit::NotRotated { provider: provider(), shown }),
                _ => Err(Unfit::Another { provider: provider(), shown }),
            };
        }
        // A short form of another kind, of a digest say, is the end of neither, and tells nothing.
        let ends = |secret: &Secret, end: &str| secret.expose().ends_with(end);
        match shown.fingerprint.as_deref().and_then(|form| Some((form, tail(form)?))) {
            Some((form, end)) if ends(&self.old, end) && !ends(&self.new, end) => {
                Err(Unfit::NotRotated { provider: provider(), shown: form.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// What is known of an answer that nobody has, from what the provider shows at `now` on our clock. The old secret ends as the
    /// provider says; else as documented from now on, which is none too early: the rotation began before that.
    pub fn answered(&self, plan: &Plan, shown: &Inspected, now: Timestamp) -> Answered {
        // A `Date` header leaves out the fraction of its second.
        let told = shown.date.and_then(|date| date.checked_add(SignedDuration::from_secs(1)).ok());
        let at = told.unwrap_or(now);
        let ahead = shown.date.map_or(SignedDuration::ZERO, |date| date.duration_since(now));
        let answered = Answered {
            version: shown.version.clone(),
            provider_fingerprint: shown.fingerprint.clone(),
            clock_ahead_ms: i64::try_from(ahead.as_millis()).unwrap_or(0),
            ..plan.given(&self.new_secret(), at)
        };
        match shown.old_expires_at.filter(|end| !plan.direction.ends_old_secret() && plan.believes(*end, at)) {
            Some(end) => Answered { expires_at: Some(end), expires_source: ExpirySource::Provider, ..answered },
            None => answered,
        }
    }

    /// What is journaled of it. What the provider shows is what a later look is compared with.
    pub fn events(&self, answered: &Answered, shown: &Evidence, reason: Option<&str>) -> Vec<Event> {
        let current = Some(self.old.fingerprint());
        let before = Evidence { current, held: self.held.clone(), ..Evidence::default() };
        let reason = reason.map(str::to_owned);
        let mut events = vec![Event::Adopted { before, answered: Box::new(answered.clone()), reason: reason.clone() }];
        for step in self.done().into_iter().filter(|step| *step != Step::Issue) {
            let stores = self.held.keys().map(|store| Event::StoreDone { step, store: store.clone() });
            events.extend(stores);
            events.push(Event::Done { step, how: How::Word { reason: reason.clone() } });
        }
        events.push(Event::Shown { after: shown.clone() });
        events
    }

    /// The plan of what is left: nothing is sent again by a key that nobody sent, and what was done stands first.
    pub fn left_of(&self, mut plan: Plan) -> Plan {
        (plan.idempotency_key, plan.key_window) = (None, None);
        plan.steps.retain(|step| *step != Step::Prepare);
        let done = self.done();
        let (mut steps, left): (Vec<Step>, Vec<Step>) =
            plan.steps.iter().partition(|step| **step == Step::Check || done.contains(step));
        steps.extend(left);
        plan.steps = steps;
        plan
    }

    fn done(&self) -> Vec<Step> {
        let promoted = self.is_live.then_some(Step::Promote);
        [Step::Issue, Step::Stage].into_iter().chain(promoted).collect()
    }
}

#[cfg(test)]
#[path = "adopt_tests.rs"]
mod tests;
