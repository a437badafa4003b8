//! End-to-end tests: the real binary, real files, a stand-in provider on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod generated;
mod manual;
mod provider_descriptions;
mod provider_fixtures;
mod provider_hostile;
mod provider_signature;
mod provider_stand_in;
mod provider_tls;
mod sandbox;
mod setup;
