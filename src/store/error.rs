//! What can go wrong with a store: data for the edge to put into words. Never holds a value.

use std::io;
use std::path::PathBuf;

use crate::advice::{Advice, Verb, advice};
use thiserror::Error;

use crate::system::{FileError, FileFault, ProgramError};

/// A store failed. `store` is its reference throughout.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the store reference `{text}` is not one whsec knows: {why}")]
    BadReference { text: String, why: String, hint: Advice },
    #[error("`{store}`: {fault}")]
    File { store: String, fault: FileFault, source: Option<io::Error> },
    #[error("`{store}`: {why}")]
    Refused { store: String, why: String, hint: Advice },
    #[error("`{store}`: the keychain {why}")]
    Keychain { store: String, why: String, hint: Advice },
    #[error("`{store}`: {server} cannot be reached: {why}")]
    Unreachable { store: String, server: String, why: String },
    #[error("`{store}`: {server} gave no answer that tells what was done: {why}")]
    NoAnswer { store: String, server: String, why: String },
    /// An answer that a later one may take the place of: nothing was done for it.
    #[error("`{store}`: {server} answered with {said}")]
    Busy { store: String, server: String, said: String, hint: &'static str },
    #[error("`{store}`: somebody else wrote it again and again at the same time")]
    Contended { store: String },
    #[error("`{store}` did not answer within {seconds} s")]
    TimedOut { store: String, seconds: u64 },
    #[error("`{store}`: {error}")]
    Program { store: String, error: ProgramError },
    #[error("`{store}`: `{path}` is not valid {format} ({position})")]
    Malformed { store: String, path: PathBuf, format: &'static str, position: String },
    #[error("`{store}`: somebody else wrote it at the same moment, so it was left as it is")]
    Moved { store: String },
    #[error("`{store}`: what was written to `{slot}` does not read back the same")]
    NotReadBack { store: String, slot: String },
    #[error("`{store}`: `{slot}` could not be emptied")]
    NotCleared { store: String, slot: String },
    #[error("`{store}`: the new secret is in neither its `next` nor its `current` slot")]
    NothingToPromote { store: String },
    #[error("`{store}`: `{slot}` no longer holds the new secret")]
    Drifted { store: String, slot: String },
    #[error("`{store}`: the old secret is not there any more, so it cannot be put back")]
    CannotRollBack { store: String },
    #[error("`{store}` cannot be read")]
    NotReadable { store: String },
    #[error("`{store}` cannot keep this value: {why}")]
    Unrepresentable { store: String, why: &'static str },
}

impl StoreError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::BadReference { hint, .. } | Self::Refused { hint, .. } | Self::Keychain { hint, .. } => hint.clone(),
            Self::Unreachable { .. } => "is the address right, and the network there?".into(),
            Self::NoAnswer { .. } => "run the same command again: it looks first what there is".into(),
            Self::Busy { hint, .. } => (*hint).into(),
            Self::Contended { .. } => "find out who writes there; then run the same command again".into(),
            Self::Moved { .. } => "run the same command again: it looks first what there is now".into(),
            Self::File { fault, source, .. } => return fault.hint(source.as_ref()).map(Advice::from),
            Self::Program { error, .. } => return error.hint().map(Advice::from),
            Self::TimedOut { .. } => {
                advice![
                    "is the keychain locked, or its prompt open on another screen? ",
                    Verb::Doctor.alone(),
                    " looks"
                ]
            }
            Self::NothingToPromote { .. } | Self::Drifted { .. } => {
                advice!["somebody changed this store; ", Verb::Inspect.here(), " shows which slot holds what"]
            }
            Self::Unrepresentable { store, .. } if store.starts_with("dotenv:") => {
                "`json:` and `file:` keep any text: name such a store for the target, and go on from there".into()
            }
            Self::NotReadBack { .. } => "something cuts off or changes what is written there".into(),
            _ => return None,
        })
    }

    /// What a file of this store came to.
    pub(super) fn file(store: &str) -> impl FnOnce(FileError) -> Self {
        move |FileError { fault, source }| Self::File { store: store.to_owned(), fault, source }
    }

    /// What a program of this store came to.
    pub(super) fn program(store: &str) -> impl FnOnce(ProgramError) -> Self {
        move |error| Self::Program { store: store.to_owned(), error }
    }

    /// Whether somebody else has a lock on the folder, and may give it back.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::File { fault: FileFault::Busy { .. }, .. })
    }

    /// Whether it may work in a while, where it was only asked for something: nobody has said no.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::Busy { .. })
    }

    /// Whether no answer came in time, so that nothing is known.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Program { error: ProgramError::Late { .. }, .. })
    }
}
