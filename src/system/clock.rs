//! A clock that nobody can set.

use std::time::Duration;

/// A clock that no clock change moves and that runs on while a laptop sleeps.
#[cfg(target_os = "linux")]
pub fn steady_now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A clock that no clock change moves.
#[cfg(not(target_os = "linux"))]
pub fn steady_now() -> Duration {
    static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGIN.get_or_init(std::time::Instant::now).elapsed()
}
