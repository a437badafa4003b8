//! Why an endpoint was not taken, and what can be done about it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::shared_error::SharedError;
use crate::advice::{Advice, Verb, advice};

/// Why the lock was not taken.
#[derive(Debug, Error)]
pub enum LockError {
    #[error("another whsec works on this endpoint ({holder})")]
    Held { holder: String },
    #[error("nothing was sent, because the state folder `{folder}` is read-only")]
    ReadOnly { folder: PathBuf },
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error("cannot lock `{path}`")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl LockError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Held { .. } => advice![
                "wait until it is through (",
                Verb::Status.alone(),
                " shows where it stands), or stop it there with Ctrl-C: what it has done is kept"
            ],
            Self::ReadOnly { folder } => read_only_hint(folder).into(),
            Self::Shared(error) => return error.hint(),
            Self::Io { path, source } => {
                let folder = path.parent().unwrap_or(path).display();
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        format!("nothing was sent; make room on the disk of `{folder}`, then run it again").into()
                    }
                    _ => format!("nothing was sent; see whether `{folder}` is a folder of yours and writable").into(),
                }
            }
        })
    }
}

/// What can be done about a state folder on a read-only disk.
pub(super) fn read_only_hint(folder: &Path) -> String {
    format!("make `{}` writable, then run it again; what only looks works meanwhile", folder.display())
}
