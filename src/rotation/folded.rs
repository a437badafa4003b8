//! A rotation as everybody holds it: its fields are read, and written by [`Rotation::fold`] alone.
//!
//! What one process knows beside the journal is told here by name, so that no other writer can hide; it ends with the process.

use std::ops::Deref;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Answered, Call, Entry, How, Plan, Record, Step};

/// A plan and what has come of it.
#[derive(Clone, Debug)]
pub struct Rotation(Record);

impl Deref for Rotation {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.0
    }
}

/// Tables shape what they begin with.
#[cfg(test)]
impl std::ops::DerefMut for Rotation {
    fn deref_mut(&mut self) -> &mut Record {
        &mut self.0
    }
}

impl Rotation {
    /// A rotation of which nothing has happened yet.
    pub fn new(id: Uuid, plan: Plan, opened_at: Timestamp) -> Self {
        Self(Record::new(id, plan, opened_at))
    }

    /// Takes one more event into account.
    pub fn fold(&mut self, entry: &Entry) {
        self.0.fold(entry);
    }

    /// The same once its old secret is known to have leaked.
    pub fn containing(&self, at: Timestamp, reason: &str) -> Self {
        let mut turned = self.clone();
        turned.0.turn_to_containing(at, reason);
        turned
    }

    /// Somebody may say something from here on, which is judged by a look of its own: that is recorded, whatever it shows.
    pub(super) fn stir(&mut self) {
        self.0.quiet_since = None;
    }

    /// What was proved before the call when somebody began may no longer hold when somebody goes on: it is proved anew.
    pub(super) fn prove_anew(&mut self) {
        if self.0.call != Call::NotApplied {
            return;
        }
        if self.0.made.is_some() {
            // The stores have the new secret. Whether receivers accept it is asked again right before the provider is given it.
            let is_seen = self.0.done.get(&Step::Verify).is_some_and(|proof| proof.how == How::Probe);
            if is_seen {
                self.0.done.remove(&Step::Verify);
            }
            return;
        }
        self.0.done.remove(&Step::Check);
        if self.0.plan.probe_first {
            self.0.done.remove(&Step::Prepare);
        }
    }

    /// Takes in the provider's clock as it was heard last, which is worth no event where it goes on as it went.
    pub fn hear(&mut self, ahead_ms: i64) {
        self.0.clock_ahead_ms = ahead_ms;
    }

    /// Takes in an answer that the journal did not take: the seal has it, or the stores.
    pub(super) fn keep_unrecorded(&mut self, answered: Answered) {
        self.0.made_second(&answered);
        self.0.call = Call::Answered(answered);
    }

    /// Asks these receivers and no others, as the flags of this command say.
    pub fn ask_only(&mut self, receivers: &[String]) {
        self.0.plan.receivers = receivers.to_vec();
        self.0.plan.may_probe = true;
    }

    /// Asks those as well that the config names by now.
    pub fn ask_as_well(&mut self, receivers: &[String], may_probe: bool) {
        receivers.iter().for_each(|url| self.0.join_receiver(url));
        self.0.plan.may_probe = may_probe;
    }

    /// This one as it was read anew, with what this process knows beside the journal: what its flags say of the receivers, and
    /// the clock as it was last heard.
    pub(super) fn known_as(mut self, before: &Self) -> Self {
        self.0.plan.receivers.clone_from(&before.plan.receivers);
        self.0.plan.may_probe = before.plan.may_probe;
        self.0.clock_ahead_ms = before.clock_ahead_ms;
        self
    }
}

#[cfg(test)]
#[path = "folded_tests.rs"]
mod tests;
