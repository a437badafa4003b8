//! How long an idempotency key makes a repetition safe.

use jiff::{SignedDuration, Timestamp};

use super::{CLOCK_SLACK, Record};

/// A key is not sent again in the last minutes of the provider's window: clocks differ, and an expired key would
/// rotate a second time.
pub const KEY_MARGIN: std::time::Duration = std::time::Duration::from_secs(600);

impl Record {
    /// Whether the request may still be sent again: its key is younger than the provider's window less a margin, or it brings a
    /// secret of ours, which is the same however often it comes.
    pub fn key_is_fresh(&self, now: Timestamp) -> bool {
        if self.made.is_some() {
            return true;
        }
        let (Some(window), Some(sent)) = (self.plan.key_window, self.sent.first()) else { return false };
        let Ok(limit) = SignedDuration::try_from(window.saturating_sub(KEY_MARGIN)) else { return false };
        // By both clocks: ours may have been set right in between, and the provider's may not have been heard again.
        let (ours, theirs) = (now.duration_since(sent.ours), self.provider_time(now).duration_since(sent.theirs));
        !ours.is_negative() && ours < limit && theirs > -CLOCK_SLACK && theirs < limit
    }
}
