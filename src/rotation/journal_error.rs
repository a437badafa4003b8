//! Why the journal cannot be used, and what can be done about it.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::lock_error::read_only_hint;
use super::shared_error::SharedError;
use super::state_key::StateKeyError;
use crate::advice::{Advice, Verb, advice};
use crate::documents::DocumentsError;
use crate::system::private;

/// Why the journal cannot be used. Nothing was sent.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("the journal `{path}` is damaged, or none of whsec")]
    Damaged {
        path: PathBuf,
        #[source]
        source: Option<rusqlite::Error>,
    },
    #[error("the journal `{path}` was not written with the `state-key` that lies beside it")]
    OtherKey { path: PathBuf },
    #[error(transparent)]
    Key(#[from] StateKeyError),
    #[error("the journal `{path}` was written by a newer whsec (format {found}, this one knows {known})")]
    Newer { path: PathBuf, found: usize, known: usize },
    #[error("cannot use the journal `{path}`")]
    Unusable {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the journal cannot be written: the folder `{folder}` is read-only")]
    ReadOnly { folder: PathBuf },
    #[error("the journal's last commits are in `{log}`, which cannot be read from a read-only disk")]
    LogUnread { log: PathBuf },
    #[error("`{path}` cannot be read, which says whether the journal is at another place by now")]
    WordUnread {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the journal `{path}` was removed or replaced while whsec ran")]
    Gone { path: PathBuf },
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error("`{endpoint}` has an open rotation already")]
    AlreadyOpen { endpoint: String },
}

impl From<DocumentsError> for JournalError {
    fn from(error: DocumentsError) -> Self {
        Self::Shared(error.into())
    }
}

impl JournalError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Damaged { path, .. } => format!(
                "nothing was sent; keep a copy of `{}`, move it away to start a new journal, and rotate only after \
                 looking at the provider whether a rotation is open",
                path.display()
            )
            .into(),
            Self::OtherKey { .. } => {
                "nothing was sent; bring the whole folder from where the journal comes: the two belong together"
                    .into()
            }
            Self::Key(error) => return error.hint(),
            Self::Shared(error) => return error.hint(),
            Self::Newer { .. } => "install the newer whsec on this machine".into(),
            Self::Unusable { path, .. } => {
                format!("see whether `{}` is writable and the disk has room", path.parent().unwrap_or(path).display()).into()
            }
            Self::ReadOnly { folder } => read_only_hint(folder).into(),
            Self::LogUnread { .. } => "make that disk writable, or look at a copy: --state-dir COPY".into(),
            Self::WordUnread { .. } => "nothing was sent; see who may read that file, and whether the disk is sound".into(),
            Self::Gone { path } => format!(
                "the state folder is the rotation: bring `{}` back as it was, from a copy if there is one, before anything else",
                path.parent().unwrap_or(path).display()
            )
            .into(),
            Self::AlreadyOpen { .. } => advice![Verb::Status.alone(), " shows it, ", Verb::Cutover.here(), " goes on with it"],
        })
    }
}

/// Something that is recorded is not as it was written, which SQLite does not notice.
#[derive(Debug, Error)]
#[error("it is not as it was written")]
struct NotAsWritten;

/// The same among the errors of SQLite.
pub(super) fn not_as_written() -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(NotAsWritten))
}

/// Whether that is what an error says.
pub(super) fn is_not_as_written(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::ToSqlConversionFailure(why) if why.is::<NotAsWritten>())
}

/// What an error of SQLite means for the journal.
pub(super) fn classify(path: &Path, source: rusqlite::Error) -> JournalError {
    // An error in the logic of SQL is one of tables that are not ours.
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TypeMismatch, Unknown};
    let (folder, path) = (path.parent().unwrap_or(path), path.to_owned());
    match source.sqlite_error_code() {
        None if is_not_as_written(&source) => JournalError::Damaged { path, source: None },
        Some(DatabaseCorrupt | NotADatabase | TypeMismatch | Unknown) => {
            JournalError::Damaged { path, source: Some(source) }
        }
        None if !matches!(source, rusqlite::Error::SqliteFailure(..)) => {
            JournalError::Damaged { path, source: Some(source) }
        }
        _ if private::is_read_only(folder) => JournalError::ReadOnly { folder: folder.to_owned() },
        _ => JournalError::Unusable { path, source },
    }
}
