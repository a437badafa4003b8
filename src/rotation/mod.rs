//! The model: a rotation is a plan plus the events journaled so far, and one pure function says what happens next.
//!
//! Preview, run, resume, status, JSON and prompts all read the same `Rotation`. Only `run` and what it calls
//! (`check`, `issue`, `reconcile` and others, all set on a `Runner`) do anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::secret::Fingerprint;

pub mod adopt;
pub mod agreed;
mod bring_up;
mod busy;
pub mod changed;
mod check;
mod clock;
mod copies;
mod dead;
mod doubts;
pub mod drift;
#[cfg(test)]
mod drift_tests;
pub mod elsewhere;
mod end;
mod endpoints;
mod error;
mod event;
mod expiry;
mod exposure;
mod facts;
mod failing;
#[cfg(test)]
mod fake_provider;
#[cfg(test)]
mod fakes;
mod file_lock;
mod fold;
mod folded;
mod guard;
pub mod guide;
mod hand;
pub mod handoff;
mod head;
mod heads;
mod held;
mod issue;
pub mod join;
pub mod journal;
mod journal_error;
mod journal_file;
mod key_mark;
mod key_window;
mod leak;
pub mod lease;
mod left;
mod local;
pub mod lock;
mod lock_error;
mod look;
pub mod moving;
pub mod operator;
mod overrule;
mod pending;
pub mod person_steps;
pub mod plan;
pub mod planned;
mod probe_first;
mod reconcile;
mod restage;
mod rollback;
mod row;
mod rows;
mod run;
pub mod runner;
mod schema;
pub mod seal;
mod seal_error;
mod set;
pub mod shared;
pub mod shared_error;
mod shared_journal;
mod slotting;
pub mod state_key;
mod status;
mod sums;
pub mod superseded;
#[cfg(test)]
mod teams;
#[cfg(test)]
mod tests;
mod times;
pub mod transfer;
mod unasked;
#[cfg(test)]
mod world;

pub use clock::CLOCK_SET_BACK;
pub use doubts::again;
pub use error::RunError;
pub use event::{Answered, Entry, Event, Evidence, ExpirySource, How, Outcome, Overruled, Probed};
pub use exposure::{is_unanswered, leaking, newest_sent, overtaken, suspects};
pub use facts::{Handed, Proof, RolledBack, SentAt, Sighting};
pub use folded::Rotation;
pub use issue::ATTEMPTS;
pub use key_mark::{KeyMark, KeyOrigin};
pub use key_window::KEY_MARGIN;
pub use leak::Leaked;
pub use pending::at_hand;
pub use plan::{Direction, Doer, Ending, Issuing, Plan, PlannedStore, Step};
pub use planned::Planned;
pub use run::Rest;
pub use status::Status;
pub use unasked::{Theirs, Unasked, Unheard};

/// What is recorded of a [`Rotation`].
#[derive(Clone, Debug)]
pub struct Record {
    pub id: Uuid,
    pub plan: Plan,
    pub opened_at: Timestamp,
    /// Who began it: whoever recorded the first event.
    pub begun_by: Option<String>,
    pub before: Evidence,
    /// What the provider showed first after the answer.
    pub after: Option<Evidence>,
    /// How far the provider's clock is ahead of ours, in milliseconds, as last heard.
    pub clock_ahead_ms: i64,
    /// Whether ours was set back since that was heard.
    pub clock_set_back: bool,
    /// When the newest event was journaled, on our clock.
    pub last_at: Timestamp,
    pub call: Call,
    /// The new secret, where it is ours to make, from before the call on.
    pub made: Option<Fingerprint>,
    /// Whether the provider has certainly carried the call out, whatever became of its answer.
    pub applied: bool,
    /// The attempts that may have been applied, in order.
    pub sent: Vec<SentAt>,
    /// After a replay: whether the provider has been seen to be at that very secret still.
    pub confirmed: bool,
    pub attempts: u32,
    /// Whose API keys the requests were sent with that may have been applied.
    pub sent_with: Vec<KeyMark>,
    /// Who has said to go on with it here, where it began elsewhere and its journal is lost. Nobody knows when that was.
    pub adopted: Option<Proof>,
    /// Steps done, with when, by whom and how.
    pub done: BTreeMap<Step, Proof>,
    /// Steps done in single stores.
    pub stores_done: BTreeSet<(Step, String)>,
    /// Stores that joined after it was begun.
    pub joined: BTreeSet<String>,
    /// What each receiver was found to accept, with when, by its URL.
    pub probed: BTreeMap<String, (Timestamp, Probed)>,
    /// When receivers were probed last, where nothing else has happened since.
    pub quiet_since: Option<Timestamp>,
    /// Deliveries that were seen, by the secret that signed them.
    pub seen: BTreeMap<Fingerprint, Sighting>,
    /// Throw-away secrets that may still be in a `next` slot.
    pub tried: BTreeSet<Fingerprint>,
    /// What others had put into slots and a person has ruled out.
    pub overruled: BTreeSet<Overruled>,
    /// The last of them that was sealed.
    pub last_overruled: Option<Fingerprint>,
    /// What was found at the provider that only asks, while nobody has answered.
    pub doubt: Option<String>,
    /// The id of the endpoint that takes the place of the first, as the answer said it, whatever became of its secret since.
    pub second: Option<String>,
    /// Whether the call that ends the old secret may have been carried out, and the reason that was given with the word for it.
    pub ending: Option<Option<String>>,
    /// When a leak of the old secret was declared of a rotation that was not begun for one.
    pub leak_declared_at: Option<Timestamp>,
    /// Who declared a leak of it first, of the old secret or of the new one.
    pub leak_declared_by: Option<String>,
    /// When the secret that it has brought was said to have leaked, and why.
    pub new_leaked: Option<(Timestamp, String)>,
    /// Who put the old secret back last, and why.
    pub rolled_back: Option<RolledBack>,
    /// The moments that the notifier has been told of.
    pub notified: BTreeSet<String>,
    pub closed: Option<Closed>,
    /// Who has handed it over last, whether it has come back since or not.
    pub handed_over: Option<Handed>,
    /// Whether somebody has said that what became of it is dealt with.
    pub acknowledged: bool,
}

/// The end of a rotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    pub at: Timestamp,
    pub by: String,
    pub outcome: Outcome,
    pub reason: Option<String>,
}

/// What is known of the irreversible call.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Nothing was sent, or what was sent was certainly not applied.
    NotApplied,
    /// Sent, and what came of it is not known. `why` is `None` where a process died before it could say.
    Unknown { why: Option<String> },
    /// Applied; the answer's secret could not be read and the whole answer is sealed.
    Unreadable { why: String },
    /// Applied; the secret is shown by another call, whenever it is asked for.
    Unread,
    /// Applied; the secret is sealed or stored.
    Answered(Answered),
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The tool does this step.
    Run(Step),
    /// The outcome of the call has to be found out first.
    Reconcile,
    /// A person has to do this step, or say that it is done.
    Ask(Step),
    /// The old secret lives until then, on the provider's clock.
    Wait(Timestamp),
    /// Nothing: the rotation is closed.
    Finished,
}

impl Record {
    /// Nothing has happened yet.
    fn new(id: Uuid, plan: Plan, opened_at: Timestamp) -> Self {
        Self {
            id,
            plan,
            opened_at,
            begun_by: None,
            before: Evidence::default(),
            after: None,
            clock_ahead_ms: 0,
            clock_set_back: false,
            last_at: opened_at,
            call: Call::NotApplied,
            made: None,
            applied: false,
            sent: Vec::new(),
            confirmed: false,
            attempts: 0,
            sent_with: Vec::new(),
            adopted: None,
            done: BTreeMap::new(),
            stores_done: BTreeSet::new(),
            joined: BTreeSet::new(),
            probed: BTreeMap::new(),
            quiet_since: None,
            seen: BTreeMap::new(),
            tried: BTreeSet::new(),
            overruled: BTreeSet::new(),
            last_overruled: None,
            doubt: None,
            notified: BTreeSet::new(),
            second: None,
            ending: None,
            leak_declared_at: None,
            leak_declared_by: None,
            new_leaked: None,
            rolled_back: None,
            closed: None,
            handed_over: None,
            acknowledged: false,
        }
    }

    /// Whether the secret came by a replay, and somebody may have rotated between the lost answer and that.
    pub fn may_be_stale(&self) -> bool {
        !self.confirmed && self.answered().is_some_and(|answered| answered.replayed)
    }

    /// What happens next, at `now` on our own clock.
    pub fn next(&self, now: Timestamp) -> Next {
        if self.closed.is_some() {
            return Next::Finished;
        }
        if self.lacks_answer() {
            // There is nobody to be asked for it but whoever has rotated.
            return if self.plan.is_by_hand() { Next::Ask(Step::Issue) } else { Next::Reconcile };
        }
        let Some(step) = self.step() else { return Next::Finished };
        match (self.plan.doer(step), self.expires_at()) {
            (Doer::Tool, _) => Next::Run(step),
            (Doer::Person, _) | (Doer::Clock, None) => Next::Ask(step),
            (Doer::Clock, Some(end)) if self.provider_now(now) >= end => Next::Run(step),
            (Doer::Clock, Some(end)) => Next::Wait(end),
        }
    }

    /// The first step that is not done, or not in a store that joined since.
    pub fn step(&self) -> Option<Step> {
        // Once the provider has ours, nobody's step stands before it goes live.
        let is_due = self.made.is_some() && self.applied && !self.done.contains_key(&Step::Promote);
        self.behind()
            .or(is_due.then_some(Step::Promote))
            .or_else(|| self.plan.steps.iter().copied().find(|step| !self.done.contains_key(step)))
    }

    /// The facts of the answer, once there is one.
    pub fn answered(&self) -> Option<&Answered> {
        match &self.call {
            Call::Answered(answered) => Some(answered),
            _ => None,
        }
    }

    /// The id of the endpoint that takes the place of the first, once there is one.
    pub fn second(&self) -> Option<&str> {
        self.second.as_deref()
    }

    /// The endpoint's own id by now: the second's, once the first is removed.
    pub fn own_id(&self) -> &str {
        self.second().filter(|_| self.done.contains_key(&Step::End)).unwrap_or_else(|| self.plan.own_id())
    }

    /// The new secret, once there is one.
    pub fn new_secret(&self) -> Option<&Fingerprint> {
        self.answered().map(|answered| &answered.fingerprint).or(self.made.as_ref())
    }
}

/// Two readings of a provider's clock may differ by this much: its `Date` header has whole seconds.
pub(crate) const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(5);
