//! Moments of our clock on the provider's, as far as what was heard of it counts. Pure.

use jiff::{SignedDuration, Timestamp};

use super::{CLOCK_SLACK, Record};

impl Record {
    /// A moment of our clock that was journaled on the provider's clock, as far as its last answer tells.
    pub fn provider_time(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(SignedDuration::from_millis(self.clock_ahead_ms)).unwrap_or(now)
    }

    /// This moment on the provider's clock, as far as what was heard of it still counts.
    pub fn provider_now(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(self.clock_ahead(now)).unwrap_or(now)
    }

    /// How far the provider's clock is ahead of ours at this moment. What was heard before ours was set back does not count: it was
    /// put right, more likely than not.
    pub fn clock_ahead(&self, now: Timestamp) -> SignedDuration {
        match self.is_clock_set_back(now) {
            true => SignedDuration::ZERO,
            false => SignedDuration::from_millis(self.clock_ahead_ms),
        }
    }

    /// Whether our clock was set back since the provider's was heard: something was journaled later than now.
    pub fn is_clock_set_back(&self, now: Timestamp) -> bool {
        self.clock_set_back || self.last_at.duration_since(now) > CLOCK_SLACK
    }

    pub(super) fn hear_clock(&mut self, ahead_ms: i64) {
        (self.clock_ahead_ms, self.clock_set_back) = (ahead_ms, false);
    }
}

#[cfg(test)]
#[path = "times_tests.rs"]
mod tests;
