//! What is done to targets, as operations that return values: no command line, no terminal and no environment.
//!
//! Whoever calls brings a [`Context`], says what is to be done, is told what has to be agreed to, and gets a report or an [`Error`].
//! The command line asks and renders; another program does as it likes.

pub mod abandon;
pub mod account;
pub mod adopt;
pub mod allowed;
pub mod approval;
pub mod changes;
mod clients;
pub mod contain;
pub mod context;
pub mod discover;
pub mod enlist;
pub mod error;
pub mod find;
pub mod finish;
pub mod fleet;
pub mod fleet_plan;
pub mod folders;
pub mod follow;
mod followed;
mod handed;
pub mod handoff;
mod identify;
pub mod inspect;
pub mod inventory;
pub mod journal;
pub mod key;
pub mod known;
pub mod moved;
mod neighbours;
pub mod notify;
mod overlap;
pub mod probe;
pub mod relocate;
pub mod report;
pub mod resume;
pub mod reveal;
pub mod rollback;
pub mod seals;
pub mod shared;
pub mod start;
pub mod status;
pub mod store;
pub mod verify;
pub mod whereabouts;
pub mod whose;
pub mod workspace;

pub use context::{Asked, Context, Note};
pub use error::{Error, Kind, Stop};
pub use folders::Folders;
