//! `whsec`: rotate webhook signing secrets without losing one.
//!
//! The code map, in reading order. A module uses only what stands above it here; `provider` and `store` never
//! see each other. `tests/it/layers.rs` holds that.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(not(unix))]
compile_error!("whsec runs on Linux and macOS: it rests on owners, modes, locks and signals as Unix has them");

pub mod advice;
mod shell;
pub mod system;
pub mod time;

pub mod secret;

pub mod search;

pub mod stamp;

pub mod http;

pub mod provider;

pub mod delivery;
pub mod store;

pub mod documents;

pub mod config;

pub mod rotation;

pub mod operation;

pub mod ui;

pub mod cli;

#[cfg(test)]
#[path = "../tests/servers/mod.rs"]
mod servers;
