//! What docs/promises.md says of crashes, races, signals and terminals, tried at full size: the real binary under ptrace, many
//! at once, with every pipe closed. Each test prints one line for the table of `tests/run --full`.
//!
//! `WHSEC_TEST_FULL=1` sweeps whole, else a seeded sample; `WHSEC_TEST_SEED` is the seed; `WHSEC_TEST_ONLY` sweeps the
//! scenarios with this text in their name; `WHSEC_TEST_BINARY` is another build to put to the test.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod consent;
mod contract;
mod crowd;
mod damage;
mod foreign;
mod kill;
mod live;
mod no_journal;
mod pipes;
#[path = "../it/place.rs"]
mod place;
mod probed;
#[allow(dead_code)]
#[path = "../it/receivers.rs"]
mod receivers;
mod report;
#[allow(dead_code)]
#[path = "../it/sandbox.rs"]
mod sandbox;
#[allow(dead_code)]
#[path = "../it/screen.rs"]
mod screen;
#[path = "../servers/mod.rs"]
mod servers;
#[allow(dead_code, reason = "it is made for all three, and not all of it is used here")]
#[path = "../share/mod.rs"]
mod share;
mod signals;
mod superseded;
mod terminal;
#[allow(dead_code, reason = "calls are made to fail in `tests/faults` alone")]
mod tracer;
mod world;
