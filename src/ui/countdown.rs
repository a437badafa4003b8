//! The countdown to an old secret's end: a live line on a terminal, plain lines at set times elsewhere.
//!
//! Time passes on a clock that no clock change moves and that runs on while a laptop sleeps. The end is asked of the
//! provider again before anything is done about it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::SignedDuration;

use super::Output;
use crate::rotation::operator::Countdown;
use crate::time::{moment, span};

/// Off a terminal, a line is written when this much is left.
const LINES_AT: [i64; 4] = [24 * 3600, 12 * 3600, 3600, 15 * 60];
/// How often the countdown looks at the clock and at signals.
const TICK: Duration = Duration::from_millis(100);

/// How often `ended` is asked.
const SECOND: Duration = Duration::from_secs(1);

/// Counts down to the end, or until `ended`, which is asked each second, in silence unless `shown`. `false` where `stopped`
/// became true before.
pub fn run(
    output: &Output,
    countdown: Countdown,
    shown: bool,
    stopped: &dyn Fn() -> bool,
    ended: &dyn Fn() -> bool,
) -> bool {
    let total = countdown.until.duration_since(countdown.provider_now);
    let begun = crate::system::steady_now();
    let left =
        || total.saturating_sub(SignedDuration::from_millis(millis(crate::system::steady_now().saturating_sub(begun))));
    let bar = (shown && output.is_terminal()).then(|| bar(total));
    let until = moment(countdown.until);
    let mut lines: Vec<i64> = LINES_AT.into_iter().filter(|at| *at < total.as_secs()).collect();
    if shown && bar.is_none() {
        output.say(&format!("waiting: the old secret ends in {}, at {until}", span(total)));
    }
    let mut called = Duration::ZERO;
    loop {
        let left = left();
        let is_asked = crate::system::steady_now().saturating_sub(called) >= SECOND;
        if is_asked {
            called = crate::system::steady_now();
        }
        let has_ended = is_asked && ended();
        let is_stopped = stopped();
        if has_ended || is_stopped {
            finish(bar.as_ref());
            return !is_stopped;
        }
        if left <= SignedDuration::ZERO {
            break;
        }
        match &bar {
            Some(bar) => {
                bar.set_position(u64::try_from((total - left).as_millis()).unwrap_or(0));
                // Rounded up: it never shows less time than there is.
                let shown = SignedDuration::from_secs(left.as_secs() + i64::from(left.subsec_nanos() > 0));
                bar.set_message(format!("{:>8} left, until {until}", span(shown)));
            }
            None => {
                if shown && lines.first().is_some_and(|at| left.as_secs() < *at) {
                    output.say(&format!(
                        "T-{}: the old secret ends at {until}",
                        span(SignedDuration::from_secs(lines.remove(0)))
                    ));
                }
            }
        }
        std::thread::sleep(TICK.min(Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(0) + 1)));
    }
    finish(bar.as_ref());
    if shown {
        output.say(&format!("T-0: the old secret's time is over ({until})"));
    }
    true
}

fn bar(total: SignedDuration) -> ProgressBar {
    let bar =
        ProgressBar::with_draw_target(u64::try_from(total.as_millis()).ok(), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("    {bar:24.cyan/dim} {msg}   (Ctrl-C leaves)") {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar
}

fn finish(bar: Option<&ProgressBar>) {
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
