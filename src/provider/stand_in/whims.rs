//! What else goes on at a provider: somebody rotates or edits at its own pages, its clock jumps, it does not show the endpoint.

use std::collections::VecDeque;
use std::sync::{MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::state::Answer;
use super::{Shared, StandIn};
use crate::secret::Secret;

/// What is to come that no request asked for.
#[derive(Default)]
pub(super) struct Whims {
    /// By how much the times of the next answers are off; `None` for an answer without one.
    dates: VecDeque<Option<SignedDuration>>,
    /// What the next calls that look are answered with.
    looks: VecDeque<u16>,
    /// How many looks after a rotation show what was before it.
    pub(super) lag: u32,
    /// Whether a look shows the whole secret.
    pub(super) shows_secret: bool,
}

impl StandIn {
    /// Somebody rotates at the provider's own pages, which show the new secret. It is no request, and counts as a rotation.
    pub fn rotate_by_hand(&self) -> Secret {
        self.shared.rotate_by_hand()
    }

    /// Somebody ends the old secret at the provider's own pages.
    pub fn end_by_hand(&self) {
        self.shared.end_by_hand();
    }

    /// Somebody edits something else of the endpoint, such as its description.
    pub fn edit_by_hand(&self) {
        let now = (self.shared.options.clock)();
        self.shared.state().updated_at = now;
    }

    /// From now on a look shows the whole secret.
    pub fn show_secret(&self) {
        self.shared.whims().shows_secret = true;
    }

    /// So many looks after a rotation show the version from before it.
    pub fn lag(&self, looks: u32) {
        self.shared.whims().lag = looks;
    }

    /// The times of the next answers are off by this; `None` for an answer without one.
    pub fn set_dates(&self, dates: &[Option<SignedDuration>]) {
        self.shared.whims().dates = dates.iter().copied().collect();
    }

    /// The next calls that look are answered with these statuses.
    pub fn refuse_looks(&self, statuses: &[u16]) {
        self.shared.whims().looks = statuses.iter().copied().collect();
    }
}

impl Shared {
    pub(super) fn whims(&self) -> MutexGuard<'_, Whims> {
        self.whims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version that a look shows.
    pub(super) fn shown_version(&self, version: u32) -> u32 {
        let mut whims = self.whims();
        if version == 1 || whims.lag == 0 {
            return version;
        }
        whims.lag -= 1;
        version - 1
    }

    /// The time that the next answer bears, if it bears one.
    pub(super) fn date(&self) -> Option<Timestamp> {
        let now = (self.options.clock)();
        let off = self.whims().dates.pop_front().unwrap_or(Some(SignedDuration::ZERO));
        off.and_then(|off| now.saturating_add(off).ok())
    }

    /// What a look is answered with in place of the truth.
    pub(super) fn refused_look(&self) -> Option<Answer> {
        let status = self.whims().looks.pop_front()?;
        Some(self.answer_with(status, "{}".to_owned()))
    }
}
