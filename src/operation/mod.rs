//! What is done to targets, as operations that return values: no command line, no terminal and no environment.
//!
//! Whoever calls brings a [`Context`], says what is to be done, is told what has to be agreed to, and gets a report or an [`Error`].
//! The command line asks and renders; another program does as it likes.

pub mod context;
pub mod error;
pub mod folders;
pub mod key;
pub mod seals;

pub use context::{Context, Note};
pub use error::{Error, Kind, Stop};
pub use folders::Folders;
