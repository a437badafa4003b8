//! What is live and dead already when a rotation begins: an earlier one has replaced it at the provider, and its end is over. Pure.
//!
//! Nothing can be lost by going live then, so that the new secret does as soon as a store has it.

use jiff::Timestamp;

use super::superseded::{Finding, compare};
use super::{Direction, Evidence, ExpirySource, Record, Rotation, Step, drift};
use crate::secret::Fingerprint;

/// Since when a secret is dead at the provider, on its clock; `None` where nobody knows that it is, or a rotation has brought it since.
pub fn dead_since(
    newest_first: &[Rotation],
    secret: &Fingerprint,
    shown: &Evidence,
    provider_now: Timestamp,
) -> Option<Timestamp> {
    let brought = |rotation: &&Rotation| rotation.new_secret() == Some(secret);
    let since = newest_first.iter().filter(|rotation| rotation.applied).take_while(|rotation| !brought(rotation));
    // A provider that shows what it had before may have been given it back.
    let is_back = |rotation: &Rotation| matches!(compare(rotation, shown), Finding::Behind(_));
    let replaced = since.filter(|rotation| drift::knows(rotation, secret) && !is_back(rotation));
    replaced.filter_map(Rotation::replaced_until).filter(|end| *end <= provider_now).min()
}

impl Rotation {
    /// Whether the old secret is certainly dead once there is a new one: the call ends it, or a person has, or it was dead before. One that we have
    /// made is there before the call.
    pub fn old_is_dead(&self) -> bool {
        let is_called = self.made.is_none() || self.applied;
        (self.plan.direction.ends_old_secret() && is_called) || self.before.dead_since.is_some() || self.has_settled()
    }

    /// Whether a person has ended the old secret, and no delivery bears it any more.
    fn has_settled(&self) -> bool {
        let waits = self.plan.steps.contains(&Step::Wait) && !self.done.contains_key(&Step::Wait);
        self.done.contains_key(&Step::End) && !waits
    }

    /// Since when what is live is dead, where the new secret is not live yet.
    pub fn live_dead_since(&self) -> Option<Timestamp> {
        let is_due = self.closed.is_none() && !self.done.contains_key(&Step::Promote);
        self.before.dead_since.filter(|_| is_due)
    }

    /// When the provider ends what this one has replaced there, on its clock: until then it may take no further rotation.
    pub fn replaced_until(&self) -> Option<Timestamp> {
        if let Some(answered) = self.answered() {
            let called = self.done.get(&Step::Issue).filter(|_| answered.expires_source == ExpirySource::Call);
            return answered.expires_at.or(self.settled_at()).or(called.map(|issued| self.provider_time(issued.at)));
        }
        let sent = self.sent.last().filter(|_| self.lacks_answer())?;
        let sent = self.provider_time(sent.ours);
        if self.plan.direction.ends_old_secret() { Some(sent) } else { self.plan.documented_end(sent) }
    }
}

impl Record {
    /// Puts the steps in the order of a switch where receivers have no live secret to keep beside the new one.
    pub(super) fn go_live_first(&mut self) {
        if self.before.dead_since.is_some() && self.plan.direction == Direction::OverlapEither {
            self.plan.steps = Direction::OverlapSwitch.steps().to_vec();
        }
        if self.before.dead_since.is_some() && self.plan.direction == Direction::UntilEnded {
            self.plan.steps.retain(|step| *step != Step::Promote);
            let staged = self.plan.steps.iter().position(|step| *step == Step::Stage);
            self.plan.steps.insert(staged.map_or(0, |at| at + 1), Step::Promote);
        }
    }
}

#[cfg(test)]
#[path = "dead_tests.rs"]
mod tests;
