//! The provider's clock as it was heard, beside ours as it was set.

use super::*;
use crate::rotation::tests::{fold, noon, rotation, time};
use crate::rotation::{Direction, Event, Evidence};

#[test]
fn a_clock_that_was_set_back_makes_what_was_heard_of_the_providers_void() {
    let mut rotation = rotation(Direction::OverlapEither);
    let (fast, right) = (time("2026-11-20T12:10:00Z"), noon());
    let before = || Evidence { clock_ahead_ms: Some(-600_000), ..Evidence::default() };
    let heard = |ahead_ms: i64, is_believed| Event::ClockJumped { heard_ms: vec![ahead_ms], is_believed };
    fold(&mut rotation, fast, Event::Checked { before: before() });
    assert_eq!((rotation.provider_now(fast), rotation.is_clock_set_back(fast)), (noon(), false));
    assert_eq!((rotation.provider_now(right), rotation.is_clock_set_back(right)), (right, true));
    // Two processes may write at the same second, and the provider tells whole ones.
    assert!(!rotation.is_clock_set_back(fast - CLOCK_SLACK));
    // What is written since does not make it count again, however late it is; hearing the clock does.
    fold(&mut rotation, right, Event::Probed { receivers: Vec::new() });
    fold(&mut rotation, right, heard(-30, false));
    assert_eq!(rotation.provider_now(time("2026-11-20T13:00:00Z")), time("2026-11-20T13:00:00Z"));
    fold(&mut rotation, right, heard(2_000, true));
    assert_eq!(
        (rotation.provider_now(right), rotation.is_clock_set_back(right)),
        (time("2026-11-20T12:00:02Z"), false)
    );
}
