//! A secret that has leaked while a rotation is open: which one it is, and how the rotation turns to containing that.
//!
//! Receivers contain a leak, not the provider, and they need no second secret for it: the open rotation has brought one.

use jiff::Timestamp;

use super::rejoin::Meanwhile;
use super::runner::Runner;
use super::{Direction, Event, Rotation, RunError, Step};
use crate::secret::Fingerprint;

/// Which secret of an open rotation has leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaked {
    /// The one that the rotation replaces.
    Old,
    /// The one that it has brought.
    New,
}

impl Rotation {
    /// Which of its secrets this fingerprint names; `None` where it is neither.
    pub fn which(&self, fingerprint: &Fingerprint) -> Option<Leaked> {
        let is = |known: Option<&Fingerprint>| known == Some(fingerprint);
        match () {
            () if is(self.answered().map(|answered| &answered.fingerprint)) => Some(Leaked::New),
            () if is(self.before.current.as_ref()) => Some(Leaked::Old),
            () => None,
        }
    }

    /// When the leak was declared, of a rotation that is for one.
    pub fn leak_since(&self) -> Timestamp {
        self.leak_declared_at.unwrap_or(self.opened_at)
    }

    /// The same rotation once its old secret is known to have leaked.
    pub fn containing(&self, at: Timestamp, reason: &str) -> Self {
        let mut turned = self.clone();
        turned.turn_to_containing(at, reason);
        turned
    }

    /// What is left is from now on what contains a leak of the old secret.
    pub(super) fn turn_to_containing(&mut self, at: Timestamp, reason: &str) {
        self.leak_declared_at.get_or_insert(at);
        self.plan.forced = true;
        self.plan.reason = Some(reason.to_owned());
        if self.plan.direction.ends_old_secret() {
            return;
        }
        if self.plan.direction == Direction::OverlapEither && !self.done.contains_key(&Step::Promote) {
            // Receivers that accept either secret have not been given the new one alone.
            self.done.remove(&Step::Deploy);
            self.done.remove(&Step::Verify);
        }
        self.plan.direction = Direction::Contain;
        self.plan.steps = Direction::Contain.steps().to_vec();
    }
}

impl Runner<'_> {
    /// Records that the old secret has leaked, unless that is on record already or others are through with the rotation.
    /// `false` where a signal came first.
    pub fn declare_leak(&mut self, reason: &str) -> Result<bool, RunError> {
        if self.rejoin()? == Meanwhile::Stopped {
            return Ok(false);
        }
        if self.rotation.closed.is_none() && !self.rotation.plan.forced {
            self.record(&[Event::LeakDeclared { reason: reason.to_owned() }])?;
        }
        Ok(true)
    }
}
