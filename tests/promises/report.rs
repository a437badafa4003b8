//! One line a promise, and what a sweep needs to be repeatable: its size and its seed.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::share;

/// Cases that were tried and what went wrong in them.
#[derive(Default)]
pub struct Tally {
    pub cases: usize,
    pub failures: Vec<String>,
    /// Cases that were tried again because the keychain's daemon had ended by itself.
    pub daemons_ended: usize,
}

/// How often such a case is tried.
pub const TRIES: usize = 3;

/// How long `tests/keychain/session.sh` may take to start a daemon anew.
const RESTART: Duration = Duration::from_secs(2);

/// The process that keeps the keychain of this session.
/// The keychain's daemon of this session, where there is one.
pub struct Daemon(Option<String>);

impl Daemon {
    /// The one that runs now.
    pub fn now() -> Self {
        Self(std::env::var_os("KEYRING_PID_FILE").and_then(|file| std::fs::read_to_string(file).ok()))
    }

    /// Whether it has ended by itself since, which says nothing of what was tried.
    pub fn has_ended(&self, name: &str) -> bool {
        if self.0.is_none() {
            return false;
        }
        std::thread::sleep(RESTART);
        let has_ended = Self::now().0 != self.0;
        if has_ended {
            note(&format!("the keychain's daemon ended by itself; once more: {name}"));
        }
        has_ended
    }
}

impl Tally {
    /// Tries one case; a panic in it is a failure of this case alone. One that failed because the keychain's daemon ended by
    /// itself is tried again.
    pub fn case(&mut self, name: &str, mut run: impl FnMut() -> Result<(), String>) {
        self.cases += 1;
        for left in (0..TRIES).rev() {
            let daemon = Daemon::now();
            let outcome = catch_unwind(AssertUnwindSafe(&mut run)).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                Err(text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
            });
            let Err(why) = outcome else { return };
            if left > 0 && daemon.has_ended(name) {
                self.daemons_ended += 1;
                continue;
            }
            return self.failures.push(format!("{name}: {why}"));
        }
    }

    pub fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.failures.extend(other.failures);
        self.daemons_ended += other.daemons_ended;
    }

    /// Prints the line for the table, past the test harness's capture, and fails the test if a case failed.
    #[track_caller]
    pub fn promise(self, number: u32, what: &str, figure: &str) {
        let (cases, failures) = (self.cases, self.failures.len());
        let of = share::label();
        let line = format!("PROMISE {number} | {what} | cases {cases}{of} | failures {failures} | {figure}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        let shown: Vec<String> = self.failures.into_iter().take(12).collect();
        assert!(shown.is_empty(), "promise {number}, {what}: {failures} of {cases}\n{}", shown.join("\n\n"));
        assert!(cases > 0 || share::pieces() > 1, "promise {number}, {what}: nothing was tried");
    }
}

/// Tells how a long sweep goes on, past the test harness's capture.
pub fn note(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap();
}

/// Whether sweeps are run whole.
pub fn is_full() -> bool {
    std::env::var_os("WHSEC_TEST_FULL").is_some()
}

/// Random numbers that a seed makes again (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(salt: &str) -> Self {
        Self(salt.bytes().fold(seed(), |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

/// The seed of every sample.
pub fn seed() -> u64 {
    std::env::var("WHSEC_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_120)
}
