//! `whsec`: rotate webhook signing secrets without losing one.
//!
//! The code map, in reading order. A module uses only what stands above it here; `provider` and `store` never
//! see each other. `tests/it/layers.rs` holds that.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod advice;
pub mod owned;
pub mod secret;
mod shell;
pub mod stamp;

pub mod http;

pub mod provider;

pub mod delivery;
pub mod store;

pub mod config;

pub mod rotation;

pub mod ui;

pub mod cli;
