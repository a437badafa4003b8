//! What goes wrong with files, folders and programs of this machine: data for the edge to put into words, each with its fix.
//! Never holds what is in them.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file could not be used.
#[derive(Debug, Error)]
#[error("{fault}")]
pub struct FileError {
    pub fault: FileFault,
    /// What the system said, where it was asked.
    pub source: Option<io::Error>,
}

/// Why a file could not be used.
#[derive(Debug, Error)]
pub enum FileFault {
    #[error("cannot {act} `{path}`")]
    Failed { act: &'static str, path: PathBuf },
    /// It is not one to be used.
    #[error("{why}")]
    Refused { why: String, hint: String },
    #[error("{} `{path}`", .holder.as_ref().map_or_else(|| "another whsec writes in".to_owned(), Holder::says))]
    Busy { path: PathBuf, holder: Option<Holder> },
    #[error("`{path}` was changed by somebody else meanwhile")]
    Changed { path: PathBuf },
    #[error("`{path}` holds {to} bytes and held {from} before: it may be in the middle of being written")]
    Shrank { path: PathBuf, from: usize, to: usize },
}

/// Who has the lock on a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub process: u32,
    /// Whose process it is, where it is not the user's own.
    pub user: Option<String>,
}

/// A program did not do what it was started for.
#[derive(Debug, Error)]
pub enum ProgramError {
    #[error("the program `{program}` {why}")]
    Failed { program: String, why: String },
    #[error("the program `{program}` did not answer within {seconds} s")]
    Late { program: String, seconds: u64 },
}

impl From<FileFault> for FileError {
    fn from(fault: FileFault) -> Self {
        Self { fault, source: None }
    }
}

impl FileError {
    /// The system refused to do this, as in "cannot write `path`".
    pub fn failed(act: &'static str, path: &Path, source: io::Error) -> Self {
        Self { fault: FileFault::Failed { act, path: path.to_owned() }, source: Some(source) }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        self.fault.hint(self.source.as_ref())
    }

    /// Whether there is no such file or folder.
    pub fn is_not_found(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
    }
}

impl FileFault {
    /// What the operator can do about it, by what the system said.
    pub fn hint(&self, source: Option<&io::Error>) -> Option<String> {
        match self {
            Self::Failed { .. } => hint_of(source?.kind()).map(str::to_owned),
            Self::Refused { hint, .. } => Some(hint.clone()),
            Self::Changed { .. } => Some("somebody else writes this file; run the same command again".to_owned()),
            Self::Shrank { .. } => {
                Some("look at the file; if it is as it should be, run the same command again".to_owned())
            }
            Self::Busy { holder: Some(Holder { process, user: Some(user) }), .. } => Some(format!(
                "a whsec of theirs ends by itself: run the same command again; what else locks it {user} or root can end: \
                 kill {process}. Whoever may list a folder may lock it"
            )),
            Self::Busy { .. } => Some(
                "a whsec ends by itself: run the same command again; what else locks it has to be ended".to_owned(),
            ),
        }
    }
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

impl ProgramError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { .. } => None,
            Self::Late { .. } => Some("does the program wait for somebody? run it by hand to see".to_owned()),
        }
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
