//! End-to-end tests: the real binary, real files, a stand-in provider on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod ad_hoc;
mod afterwards;
mod believed;
mod broken_configs;
mod changed_configs;
mod clocks;
mod contain;
mod countdown;
mod force;
mod force_refused;
mod foreign_hands;
mod gates;
mod generated;
mod hints;
mod hostile_checkout;
mod identity;
mod journals;
mod journals_before;
mod kill;
mod layers;
mod leaks;
mod libraries;
mod looking;
mod lost_answers;
mod manual;
mod meanwhile;
mod misuse;
mod no_journal;
mod notify;
mod probes;
mod provider_descriptions;
mod provider_fixtures;
mod provider_hostile;
mod provider_signature;
mod provider_stand_in;
mod provider_tls;
mod providers;
mod receivers;
mod rehearsal;
mod sandbox;
mod screen;
#[path = "../servers/mod.rs"]
mod servers;
mod setup;
mod shipping;
mod signals;
mod store_commands;
mod stores;
mod superseded;
mod team_stores;
mod terminal;
mod unreadable;
mod verify;
mod ways_out;
