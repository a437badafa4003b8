//! End-to-end tests: the real binary, real files, a stand-in provider on loopback.

mod provider_descriptions;
mod provider_fixtures;
mod provider_hostile;
mod provider_signature;
mod provider_stand_in;
mod provider_tls;
mod sandbox;
