//! End-to-end tests: the real binary, real files, a stand-in provider on loopback.

mod ad_hoc;
mod clocks;
mod force;
mod journals;
mod kill;
mod layers;
mod leaks;
mod looking;
mod lost_answers;
mod misuse;
mod provider_descriptions;
mod provider_fixtures;
mod provider_hostile;
mod provider_signature;
mod provider_stand_in;
mod provider_tls;
mod providers;
mod rehearsal;
mod sandbox;
mod signals;
mod stores;
mod terminal;
mod unreadable;
mod ways_out;
