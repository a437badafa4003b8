//! Counts cases and failures of a sweep, runs cases side by side, and prints one line a promise.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::share;

/// Cases that run at once: most of them wait for a server most of the time.
const SIDE_BY_SIDE: usize = 8;

/// A case: what it is called, and what it finds.
pub type Case<'a> = (String, Box<dyn FnOnce() -> Result<(), String> + Send + 'a>);

/// Whether everything is to be run, and not a sample of it.
pub fn is_full() -> bool {
    std::env::var_os("WHSEC_TEST_FULL").is_some()
}

/// Runs cases side by side and prints the promise's line; fails with all that went wrong.
#[track_caller]
pub fn sweep(promise: u32, what: &str, cases: Vec<Case<'_>>, figure: impl FnOnce() -> String) {
    let cases = share::of_this_piece(cases);
    let count = cases.len();
    let failures = run(cases, SIDE_BY_SIDE);
    report(promise, what, count, &failures, &figure());
}

/// The same, one case after the other.
#[track_caller]
pub fn one_by_one(promise: u32, what: &str, cases: Vec<Case<'_>>, figure: impl FnOnce() -> String) {
    let cases = share::of_this_piece(cases);
    let count = cases.len();
    let failures = run(cases, 1);
    report(promise, what, count, &failures, &figure());
}

fn run(cases: Vec<Case<'_>>, side_by_side: usize) -> Vec<String> {
    let queue = Mutex::new(VecDeque::from(cases));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..side_by_side {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((label, case)) = next else { return };
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case));
                    let failed = match outcome {
                        Ok(Ok(())) => continue,
                        Ok(Err(why)) => why,
                        Err(payload) => {
                            let text = payload.downcast_ref::<String>().map(String::as_str);
                            text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
                        }
                    };
                    failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{label}: {failed}"));
                }
            });
        }
    });
    failures.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Prints the promise's line and fails where anything failed. A sweep without a case is a failure.
#[track_caller]
pub fn report(promise: u32, what: &str, cases: usize, failures: &[String], figure: &str) {
    // Past the test harness, which keeps what a passing test prints.
    let of = share::label();
    let line = format!("PROMISE {promise} | {what} | cases {cases}{of} | failures {} | {figure}\n", failures.len());
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
    assert!(cases > 0 || share::pieces() > 1, "{what}: not one case");
    assert!(failures.is_empty(), "{what}: {} of {cases} failed\n{}", failures.len(), failures.join("\n"));
}

/// How often something is tried that took too long.
const TRIES: usize = 4;

/// Fails where this takes longer than the limit each time: others use the machine too. It yields how long it took, and any
/// failure of it counts at once.
pub fn in_time(limit: Duration, mut run: impl FnMut() -> Result<Duration, String>) -> Result<(), String> {
    let mut shortest = Duration::MAX;
    for _ in 0..TRIES {
        shortest = shortest.min(run()?);
        if shortest <= limit {
            return Ok(());
        }
    }
    Err(format!("took {shortest:?} at best, {TRIES} times"))
}

/// Says that a test cannot run here, and why.
pub fn skip(what: &str, why: &str) {
    let _ = writeln!(std::io::stdout().lock(), "SKIPPED {what}: {why}");
}

/// Fails a case with these words.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}

/// Numbers that look random and are the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// Keeps `count` of these, in their order.
    pub fn sample<T>(&mut self, all: Vec<T>, count: usize) -> Vec<T> {
        let (mut left, mut wanted) = (all.len(), count);
        let mut kept = Vec::new();
        for one in all {
            if self.below(left) < wanted {
                wanted -= 1;
                kept.push(one);
            }
            left -= 1;
        }
        kept
    }
}
