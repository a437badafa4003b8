//! Servers, disks and outputs at their worst: the real binary against each, and one line a promise at the end.
//!
//! Sampled by default, whole with `WHSEC_TEST_FULL=1`. The numbers are those of the promises that the tool makes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod answers;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod breaker;
mod canaries;
mod certificates;
mod disks;
mod dumps;
mod entries;
mod hostile;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod injected;
mod keychain;
mod mutations;
mod order;
mod paths;
#[path = "../it/place.rs"]
mod place;
mod power;
mod private;
mod redirects;
mod replays;
#[allow(dead_code, reason = "it is made for `tests/it`, and not all of it is used here")]
#[path = "../it/sandbox.rs"]
mod sandbox;
mod scene;
mod server;
#[path = "../servers/mod.rs"]
mod servers;
#[allow(dead_code, reason = "it is made for all three, and not all of it is used here")]
#[path = "../share/mod.rs"]
mod share;
mod shells;
mod statuses;
mod swapped;
mod tally;
mod trace;
#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "it is made for `tests/promises`, and not all of it is used here")]
#[path = "../promises/tracer.rs"]
mod tracer;
