//! The model: a rotation is a plan plus the events journaled so far, and one pure function says what happens next.
//!
//! Preview, run, resume, status, JSON and prompts all read the same `Rotation`. Only `runner` and its helpers
//! (`issue`, `reconcile`, `check`) do anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::secret::Fingerprint;
use crate::store::Slot;

mod bring_up;
mod busy;
pub mod changed;
mod check;
mod clock;
mod dead;
mod doubts;
pub mod drift;
#[cfg(test)]
mod drift_tests;
pub mod elsewhere;
mod endpoints;
mod error;
mod event;
mod expiry;
mod facts;
mod failing;
#[cfg(test)]
mod fake_provider;
#[cfg(test)]
mod fakes;
mod folded;
pub mod gate;
mod guard;
pub mod guide;
mod heads;
mod issue;
pub mod join;
pub mod journal;
mod journal_error;
mod key_mark;
mod key_window;
mod leak;
pub mod lock;
mod look;
pub mod operator;
mod overrule;
mod pending;
mod place;
pub mod plan;
mod reconcile;
pub mod rejoin;
mod rollback;
mod rows;
pub mod runner;
mod schema;
pub mod seal;
mod set;
mod slotting;
mod standing;
pub mod state_key;
mod status;
mod sums;
pub mod superseded;
#[cfg(test)]
mod tests;
mod times;
mod trial;
mod upkeep;
#[cfg(test)]
mod world;

pub use clock::{CLOCK_SET_BACK, Unheard};
pub use doubts::again;
pub use error::RunError;
pub use event::{Answered, Entry, Event, Evidence, ExpirySource, How, Outcome, Overruled, Probed};
pub use facts::{Proof, RolledBack, SentAt, Sighting};
pub use folded::Rotation;
pub use issue::ATTEMPTS;
pub use key_mark::{KeyMark, KeyOrigin};
pub use key_window::KEY_MARGIN;
pub use leak::Leaked;
pub use look::{Theirs, Unasked};
pub use pending::at_hand;
pub use plan::{Direction, Doer, Plan, PlannedStore, Step};
pub use standing::{is_unanswered, leaking, newest_sent, overtaken, suspects};
pub use status::Status;

/// What is recorded of a [`Rotation`].
#[derive(Clone, Debug)]
pub struct Record {
    pub id: Uuid,
    pub plan: Plan,
    pub opened_at: Timestamp,
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
    /// Steps done, with when, by whom and how.
    pub done: BTreeMap<Step, Proof>,
    /// Steps done in single stores.
    pub stores_done: BTreeSet<(Step, String)>,
    /// Stores that joined after it was begun.
    pub joined: BTreeSet<String>,
    /// What each receiver was found to accept, with when, by its URL.
    pub probed: BTreeMap<String, (Timestamp, Probed)>,
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
    /// When a leak of the old secret was declared of a rotation that was not begun for one.
    pub leak_declared_at: Option<Timestamp>,
    /// When the secret that it has brought was said to have leaked, and why.
    pub new_leaked: Option<(Timestamp, String)>,
    /// Who put the old secret back last, and why.
    pub rolled_back: Option<RolledBack>,
    /// The moments that the notifier has been told of.
    pub notified: BTreeSet<String>,
    pub closed: Option<Closed>,
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
            done: BTreeMap::new(),
            stores_done: BTreeSet::new(),
            joined: BTreeSet::new(),
            probed: BTreeMap::new(),
            seen: BTreeMap::new(),
            tried: BTreeSet::new(),
            overruled: BTreeSet::new(),
            last_overruled: None,
            doubt: None,
            notified: BTreeSet::new(),
            leak_declared_at: None,
            new_leaked: None,
            rolled_back: None,
            closed: None,
            acknowledged: false,
        }
    }

    /// Takes one more event into account.
    fn fold(&mut self, entry: &Entry) {
        let Entry { at, by, event } = entry;
        self.clock_set_back |= self.is_clock_set_back(*at);
        self.last_at = *at;
        let proof = |how: How| Proof { at: *at, by: by.clone(), how };
        match event {
            Event::Checked { before } => {
                self.before = before.clone();
                self.hear_clock(before.clock_ahead_ms.unwrap_or(0));
                self.done.insert(Step::Check, proof(How::Tool));
                self.go_live_first();
            }
            Event::Made { fingerprint } => self.made = Some(fingerprint.clone()),
            Event::Sent { attempt, key, .. } => {
                self.attempts = *attempt;
                self.sent_with.extend(key.clone());
                self.sent.push(SentAt { ours: *at, theirs: self.provider_time(*at) });
                self.set_unknown(None);
            }
            Event::Answered(answered) => {
                self.hear_clock(answered.clock_ahead_ms);
                // What was journaled before ends were doubted is read as it would be journaled now.
                let called_by = self.provider_time(self.sent.last().map_or(*at, |sent| sent.ours));
                self.call = Call::Answered(answered.clone().with_believable_end(&self.plan, called_by));
                self.applied = true;
                if self.made.is_some() {
                    // What was seen before our own call is no measure of what comes after it.
                    self.after = None;
                }
                self.done.insert(Step::Issue, proof(How::Tool));
            }
            Event::Unreadable { why, .. } => {
                self.call = Call::Unreadable { why: why.clone() };
                self.applied = true;
            }
            Event::Applied { .. } => {
                self.call = Call::Unread;
                self.applied = true;
            }
            Event::NotApplied { .. } => {
                // Recorded only where no attempt may have been applied, so the key is as good as new.
                self.sent.clear();
                self.sent_with.clear();
                self.call = Call::NotApplied;
            }
            Event::Lost { why, .. } => {
                self.set_unknown(Some(why.clone()));
                // Ours is where it was put before the call. Of any other, what a store had and has lost proves nothing that comes after.
                if self.made.is_none() {
                    self.after = None;
                    for step in [Step::Stage, Step::Deploy, Step::Verify] {
                        self.done.remove(&step);
                    }
                    self.stores_done.clear();
                }
            }
            Event::Confirmed => self.confirmed = true,
            Event::Shown { after } => (self.after, self.doubt) = (Some(after.clone()), None),
            Event::Doubted { why } => self.doubt = Some(why.clone()),
            Event::ClockJumped { heard_ms, is_believed } => {
                heard_ms.last().filter(|_| *is_believed).into_iter().for_each(|ahead_ms| self.hear_clock(*ahead_ms));
            }
            Event::Acknowledged { .. } => self.acknowledged = true,
            Event::StoreDone { step, store } => {
                self.stores_done.insert((*step, store.clone()));
            }
            Event::Done { step, how } => {
                if *step == Step::Promote {
                    // Whoever puts the same over the new secret once more has to be ruled out once more.
                    self.overruled.retain(|overruled| overruled.slot != Slot::Current);
                }
                self.done.insert(*step, proof(how.clone()));
            }
            Event::RolledBack { reason } => {
                self.rolled_back = Some(RolledBack { at: *at, by: by.clone(), reason: reason.clone() });
                // Receivers that had dropped the old secret get it back.
                for step in [Step::Promote, Step::Deploy, Step::Verify, Step::Drop] {
                    self.done.remove(&step);
                }
                self.stores_done.retain(|(step, _)| *step != Step::Promote);
                // Whoever goes back has seen something that proofs from before did not.
                self.probed.clear();
                self.seen.clear();
            }
            Event::Tried { fingerprint } => {
                self.tried.insert(fingerprint.clone());
            }
            Event::Probed { receivers } => {
                self.probed.extend(receivers.iter().map(|found| (found.url.clone(), (*at, found.clone()))));
            }
            Event::Seen { secret, deliveries, signed_at } => {
                let sighting = self.seen.entry(secret.clone()).or_default();
                sighting.deliveries = sighting.deliveries.saturating_add(*deliveries);
                sighting.at = *at;
                sighting.signed_at = sighting.signed_at.max(*signed_at);
            }
            Event::Notified { moment } => {
                self.notified.insert(moment.clone());
            }
            Event::Overridden { slot: Some(overruled), .. } => self.take_over(overruled),
            Event::LeakDeclared { reason, leaked } => self.take_leak(*at, reason, leaked),
            Event::StoreJoined { store, held } => self.join(store, held.as_ref()),
            Event::StoreLeft { store, .. } => {
                self.plan.stores.retain(|known| known.reference != *store);
                self.stores_done.retain(|(_, known)| known != store);
                self.joined.remove(store);
            }
            Event::ReceiverJoined { url } => self.join_receiver(url),
            Event::ReceiverLeft { url, .. } => self.plan.receivers.retain(|known| known != url),
            // For the record alone.
            Event::Overridden { slot: None, .. } => {}
            Event::Closed { outcome, reason } => {
                // Closed as failed without an answer: a person has said that it was carried out.
                self.applied |= *outcome == Outcome::Failed && self.lacks_answer();
                self.closed = Some(Closed { at: *at, by: by.clone(), outcome: *outcome, reason: reason.clone() });
            }
        }
    }

    /// An answer that came and could not be read is proof that the call was applied, whatever comes of a replay.
    fn set_unknown(&mut self, why: Option<String>) {
        if !matches!(self.call, Call::Unreadable { .. } | Call::Unread) {
            self.call = Call::Unknown { why };
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
            return Next::Reconcile;
        }
        let Some(step) = self.step() else { return Next::Finished };
        match (step.doer(), self.expires_at()) {
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

    /// The new secret, once there is one.
    pub fn new_secret(&self) -> Option<&Fingerprint> {
        self.answered().map(|answered| &answered.fingerprint).or(self.made.as_ref())
    }
}

/// Two readings of a provider's clock may differ by this much: its `Date` header has whole seconds.
pub(crate) const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(5);
