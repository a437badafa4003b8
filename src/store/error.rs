//! What can go wrong with a store: data for the edge to put into words. Never holds a value.

use std::io;
use std::path::{Path, PathBuf};

use crate::advice::{Advice, Verb, advice};
use thiserror::Error;

/// A store failed. `store` is its reference throughout.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("the store reference `{text}` is not one whsec knows: {why}")]
    BadReference { text: String, why: String, hint: Advice },
    #[error("`{store}`: cannot {what} `{path}`")]
    Io {
        store: String,
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{store}`: {why}")]
    Refused { store: String, why: String, hint: Advice },
    #[error("`{store}`: the keychain {why}")]
    Keychain { store: String, why: String, hint: Advice },
    #[error("`{store}`: {server} cannot be reached: {why}")]
    Unreachable { store: String, server: String, why: String },
    #[error("`{store}`: {server} gave no answer that tells what was done: {why}")]
    NoAnswer { store: String, server: String, why: String },
    #[error("`{store}`: somebody else wrote it again and again at the same time")]
    Contended { store: String },
    #[error("`{store}` did not answer within {seconds} s")]
    TimedOut { store: String, seconds: u64 },
    #[error("`{store}`: the program `{program}` {why}")]
    Program { store: String, program: String, why: String },
    #[error("`{store}`: `{path}` is not valid {format} ({position})")]
    Malformed { store: String, path: PathBuf, format: &'static str, position: String },
    #[error("`{store}`: {} `{path}`", .holder.as_ref().map_or_else(|| "another whsec writes in".to_owned(), Holder::says))]
    Busy { store: String, path: PathBuf, holder: Option<Holder> },
    #[error("`{store}`: `{path}` was changed by somebody else meanwhile")]
    Changed { store: String, path: PathBuf },
    #[error("`{store}`: `{path}` holds {to} bytes and held {from} before: it may be in the middle of being written")]
    Shrank { store: String, path: PathBuf, from: usize, to: usize },
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

/// Who has the lock on a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub process: u32,
    /// Whose process it is, where it is not the user's own.
    pub user: Option<String>,
}

impl Holder {
    fn says(&self) -> String {
        let process = self.process;
        match &self.user {
            None => format!("another whsec (process {process}) writes in"),
            // Which program it is the system does not tell everybody.
            Some(user) => format!("process {process} of {user} has locked"),
        }
    }
}

impl StoreError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::BadReference { hint, .. } | Self::Refused { hint, .. } | Self::Keychain { hint, .. } => {
                hint.clone()
            }
            Self::Unreachable { .. } => "is the address right, and the network there?".into(),
            Self::NoAnswer { .. } => "run the same command again: it looks first what there is".into(),
            Self::Contended { .. } => "find out who writes there; then run the same command again".into(),
            Self::Moved { .. } => "run the same command again: it looks first what there is now".into(),
            Self::Changed { .. } => "somebody else writes this file; run the same command again".into(),
            Self::Shrank { .. } => {
                "look at the file; if it is as it should be, run the same command again".into()
            }
            Self::TimedOut { store, .. } if store.starts_with("command") => {
                "does the program wait for somebody? run it by hand to see".into()
            }
            Self::TimedOut { .. } => {
                advice!["is the keychain locked, or its prompt open on another screen? ", Verb::Doctor.alone(), " looks"]
            }
            Self::NothingToPromote { .. } | Self::Drifted { .. } => {
                advice!["somebody changed this store; ", Verb::Inspect.here(), " shows which slot holds what"]
            }
            Self::Unrepresentable { store, .. } if store.starts_with("dotenv:") => "`json:` and `file:` keep any text: name such a store for the target, and go on from there".into(),
            Self::Busy { holder: Some(Holder { process, user: Some(user) }), .. } => format!(
                "a whsec of theirs ends by itself: run the same command again; what else locks it {user} or root can end: \
                 kill {process}. Whoever may list a folder may lock it"
            )
            .into(),
            Self::Busy { .. } => "a whsec ends by itself: run the same command again; what else locks it has to be ended".into(),
            Self::Io { source, .. } => return hint_of(source.kind()).map(Advice::from),
            Self::NotReadBack { .. } => "something cuts off or changes what is written there".into(),
            _ => return None,
        })
    }

    /// An [`StoreError::Io`] of `what`, as in "cannot write `path`".
    pub(super) fn io(store: &str, what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { store: store.to_owned(), what, path: path.to_owned(), source }
    }
}

fn hint_of(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::NotFound => Some("make the folder first; whsec makes the file"),
        io::ErrorKind::PermissionDenied => Some("run whsec as the user who owns the file and its folder"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("make room on that disk"),
        io::ErrorKind::ReadOnlyFilesystem => Some("the disk is mounted read-only; name a file on another"),
        _ => None,
    }
}
