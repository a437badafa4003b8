//! What the journal records: decided, sent, answered, stored, proved. Never a secret.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::key_mark::KeyMark;
use super::plan::{PlannedStore, Step};
use crate::delivery::probe::Verdict;
use crate::secret::Fingerprint;
use crate::store::Slot;
use crate::store::slots::Held;

/// One journaled fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The step `check` passed; this is what the provider and the stores said before the call.
    Checked { before: Evidence },
    /// The new secret is ours to make: it is made and sealed, and nobody has it yet.
    Made { fingerprint: Fingerprint },
    /// The rotation began elsewhere and its journal is lost; a person has said to go on with it here. What the slots held before is
    /// made out from what they hold, and `answered` is what is known of the answer: an end counts from here, and is none too early.
    Adopted { before: Evidence, answered: Box<Answered>, reason: Option<String> },
    /// A person has had the provider make the new secret and has given it: it is sealed.
    Given { fingerprint: Fingerprint },
    /// The request is about to be sent. Without an outcome behind it, what happened is unknown.
    Sent {
        attempt: u32,
        digest: String,
        /// Whose API key it is sent with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<KeyMark>,
    },
    /// The answer came and its secret is sealed.
    Answered(Answered),
    /// The provider said yes, but its answer holds no secret that can be read; the whole answer is sealed.
    Unreadable { status: u16, why: String },
    /// The provider said yes; the new secret is shown by another call.
    Applied { status: u16 },
    /// The provider has been seen to be at the replayed secret still.
    Confirmed,
    /// What the provider showed at the first look after the answer, or after somebody said that what moved since is no rotation.
    Shown { after: Evidence },
    /// What the provider shows may be another rotation, and somebody has to say whether it is one.
    Doubted { why: String },
    /// The provider's clock was not where it was expected; what it was ahead of ours by, each time that it was asked.
    ClockJumped { heard_ms: Vec<i64>, is_believed: bool },
    /// The attempt was certainly not applied.
    NotApplied { why: String, status: Option<u16>, request_id: Option<String> },
    /// The attempt may have been applied.
    Lost { why: String, status: Option<u16> },
    /// One store has been staged, promoted or retired.
    StoreDone { step: Step, store: String },
    /// A whole step is done.
    Done { step: Step, how: How },
    /// A throw-away secret is about to be put into `next`, to see whether receivers would take a second one.
    Tried { fingerprint: Fingerprint },
    /// The call that ends the old secret is about to be sent, as a person has said. It may be sent again at any time.
    Ending { digest: String, reason: Option<String> },
    /// It was certainly not ended by that.
    NotEnded { why: String, status: Option<u16> },
    /// Receivers were asked what they accept.
    Probed { receivers: Vec<Probed> },
    /// Deliveries that this secret signed were looked at.
    Seen { secret: Fingerprint, deliveries: u64, signed_at: Option<Timestamp> },
    /// A person went on although a gate said no; over what somebody else had put into a slot, it says into which.
    Overridden {
        why: String,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<Overruled>,
    },
    /// The notifier was told that a moment has come.
    Notified { moment: String },
    /// The old secret goes back into the live slot of every store; some of them may have it already.
    RolledBack { reason: Option<String> },
    /// The old secret has leaked: from here on the rotation contains that, and what `leaked` names beside it. Where that is the
    /// secret that the rotation has brought, nothing contains it but another rotation.
    LeakDeclared {
        reason: String,
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        leaked: BTreeSet<Fingerprint>,
    },
    /// A store takes part from here on, which the config names since; `held` is what its slots held then.
    StoreJoined { store: PlannedStore, held: Option<Held> },
    /// A store takes no part any more; its slots stay as they are.
    StoreLeft { store: String, reason: String },
    /// A receiver takes part from here on.
    ReceiverJoined { url: String },
    /// A receiver takes no part any more.
    ReceiverLeft { url: String, reason: String },
    /// Somebody says that what became of a closed rotation is dealt with.
    Acknowledged { reason: String },
    /// The rotation goes on elsewhere: up to here it went out of this journal, encrypted for these recipients. It is over here until it
    /// comes back. `bound` are its stores that only this machine has, with the word that they are on it.
    HandedOver {
        to: Vec<String>,
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        bound: Vec<PlannedStore>,
    },
    /// What was handed over has come into this journal, and goes on here.
    Received,
    /// Nothing more happens in this rotation.
    Closed { outcome: Outcome, reason: Option<String> },
}

/// What somebody else has put into a slot and a person has ruled out, by its fingerprint; absent where they had emptied it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Overruled {
    pub store: String,
    pub slot: Slot,
    pub found: Option<Fingerprint>,
}

/// What the provider and the stores said about an endpoint at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub version: Option<String>,
    /// The provider's own short form of the secret.
    pub fingerprint: Option<String>,
    pub updated_at: Option<String>,
    /// What the first readable store had in its live slot.
    pub current: Option<Fingerprint>,
    /// The whole secret that the provider itself showed, where it shows one.
    #[serde(default)]
    pub shown: Option<Fingerprint>,
    /// What the readable stores had in their `next` slots; absent where nobody looked.
    #[serde(default)]
    pub next: Option<Vec<Fingerprint>>,
    /// What the slots of each readable store held, by its reference; whsec 0.1.0 did not note it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, Held>,
    /// The endpoints that deliver to the same address, by their ids, where a rotation makes one more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alike: Option<Vec<String>>,
    /// Since when what is live in every store is dead, because an earlier rotation had replaced it; on the provider's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_since: Option<Timestamp>,
    /// How far the provider's clock is ahead of ours, in milliseconds.
    pub clock_ahead_ms: Option<i64>,
}

/// The facts of an answer, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub fingerprint: Fingerprint,
    pub version: Option<String>,
    pub provider_fingerprint: Option<String>,
    /// The answer's status; 0 of what a person has given.
    pub status: u16,
    pub request_id: Option<String>,
    /// When the old secret ends, on the provider's clock.
    pub expires_at: Option<Timestamp>,
    pub expires_source: ExpirySource,
    /// How far the provider's clock is ahead of ours, in milliseconds.
    pub clock_ahead_ms: i64,
    /// The same answer as to an earlier attempt.
    pub replayed: bool,
    /// The provider's words to the operator.
    pub notice: Option<String>,
    /// The id of the second endpoint that was made, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// What a receiver was found to accept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    pub url: String,
    pub verdict: Verdict,
    /// Whether it accepts the new secret, and not just anything; `None` where that is not proved.
    pub accepts_new: Option<bool>,
    /// Whether it refuses the old secret; `None` where that is not proved.
    pub rejects_old: Option<bool>,
}

/// How the old secret's end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpirySource {
    /// The answer says it.
    Provider,
    /// Computed from the documented window.
    Documented,
    /// The old secret died with the call.
    Call,
    /// Nobody says.
    Unknown,
}

/// How a step came to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "lowercase")]
pub enum How {
    Tool,
    Clock,
    /// Every receiver was probed.
    Probe,
    /// A delivery was verified with the new secret.
    Delivery,
    /// A person's recorded word.
    Word {
        reason: Option<String>,
    },
}

impl How {
    /// The word in the journal and in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Clock => "clock",
            Self::Probe => "probe",
            Self::Delivery => "delivery",
            Self::Word { .. } => "word",
        }
    }
}

/// How a rotation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    Failed,
    Abandoned,
    /// Somebody else has rotated since, so its secret is not the provider's any more.
    Superseded,
    /// It goes on in another journal.
    #[serde(rename = "handed-over")]
    HandedOver,
}

impl Outcome {
    /// The word in the journal and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Superseded => "superseded",
            Self::HandedOver => "handed-over",
        }
    }
}

/// An event with its place in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Our own clock.
    pub at: Timestamp,
    /// `user@host`.
    pub by: String,
    pub event: Event,
}
