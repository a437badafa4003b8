//! When the old secret ends, as far as an answer can be believed. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Answered, Call, ExpirySource, Plan, Record, Step};

/// No provider keeps an old secret for longer than this, unless its description says so.
const LONGEST_OVERLAP: Duration = Duration::from_secs(400 * 24 * 3600);

impl Record {
    /// When the old secret ends, on the provider's clock; what was dead before ended then, whatever the provider kept.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.before.dead_since.or_else(|| self.settled_at()).or_else(|| self.answered()?.expires_at)
    }

    /// When no delivery bears the old secret any more that a person has ended, on the provider's clock.
    pub(super) fn settled_at(&self) -> Option<Timestamp> {
        let ended = self.provider_time(self.done.get(&Step::End)?.at);
        let settles = SignedDuration::try_from(self.plan.settles.unwrap_or_default()).ok()?;
        ended.saturating_add(settles).ok()
    }

    /// Whether the old secret is still accepted or signed with by the provider at `now`.
    pub fn old_secret_lives(&self, now: Timestamp) -> bool {
        match (&self.call, self.expires_at()) {
            _ if self.before.dead_since.is_some() => false,
            (Call::Answered(_), Some(end)) => self.provider_now(now) < end,
            (Call::Answered(answered), None) => answered.expires_source == ExpirySource::Unknown,
            _ => true,
        }
    }
}

impl Plan {
    /// Whether an end that a provider tells can be meant, told at `now` on its own clock.
    pub fn believes(&self, end: Timestamp, now: Timestamp) -> bool {
        let longest = self.overlap.map_or(LONGEST_OVERLAP, |window| window.max(LONGEST_OVERLAP));
        SignedDuration::try_from(longest).is_ok_and(|longest| end.duration_since(now) <= longest)
    }

    /// The old secret's end by the documented window, for a call made at `at` on the provider's clock.
    pub fn documented_end(&self, at: Timestamp) -> Option<Timestamp> {
        let window = SignedDuration::try_from(self.overlap?).ok()?;
        at.saturating_add(window).ok()
    }
}

impl Answered {
    /// The documented end in place of one that cannot be meant, and of none: the window counts from the call, which was at `at` on
    /// the provider's clock at the latest.
    pub fn with_believable_end(mut self, plan: &Plan, at: Timestamp) -> Self {
        let is_told =
            self.expires_source == ExpirySource::Provider && self.expires_at.is_some_and(|end| plan.believes(end, at));
        let is_open = matches!(self.expires_source, ExpirySource::Provider | ExpirySource::Unknown);
        if is_open && !is_told && !plan.direction.ends_old_secret() && plan.overlap.is_some() {
            self.expires_at = plan.documented_end(at);
            self.expires_source = ExpirySource::Documented;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::Direction;
    use crate::rotation::tests::{answered, noon, rotation, time};

    #[test]
    fn a15_a19_the_documented_window_counts_where_the_answer_tells_nothing_that_can_be_meant() {
        use ExpirySource::{Call, Documented, Provider, Unknown};
        let documented = "2026-11-21T12:00:00Z";
        for (direction, source, end, expected, expected_source) in [
            (Direction::OverlapEither, Unknown, None, Some(documented), Documented),
            (Direction::OverlapEither, Provider, Some("2999-01-01T00:00:00Z"), Some(documented), Documented),
            (Direction::OverlapEither, Provider, Some("2027-11-20T12:00:00Z"), Some("2027-11-20T12:00:00Z"), Provider),
            (Direction::OverlapEither, Provider, Some("2020-01-01T00:00:00Z"), Some("2020-01-01T00:00:00Z"), Provider),
            (Direction::OverlapSwitch, Documented, Some(documented), Some(documented), Documented),
            (Direction::Force, Call, None, None, Call),
        ] {
            let answer = Answered { expires_at: end.map(time), expires_source: source, ..answered(direction) };
            let believed = answer.with_believable_end(&rotation(direction).plan, noon());
            assert_eq!(
                (believed.expires_at, believed.expires_source),
                (expected.map(time), expected_source),
                "{end:?}"
            );
        }
        let mut plan = rotation(Direction::OverlapEither).plan.clone();
        plan.overlap = Some(Duration::from_secs(800 * 24 * 3600));
        assert!(plan.believes(time("2028-12-01T00:00:00Z"), noon()), "as its description says");
        plan.overlap = None;
        let silent = Answered { expires_at: None, expires_source: Unknown, ..answered(Direction::OverlapEither) };
        assert_eq!(silent.with_believable_end(&plan, noon()).expires_source, Unknown);
    }
}
