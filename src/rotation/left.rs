//! The word in a state folder that its journal is at another place by now.

use std::io::ErrorKind;
use std::path::Path;

use super::journal_error::JournalError;
use super::shared_error::SharedError;
use crate::system::private;

/// The file that says where.
const FILE: &str = "journal-moved";

/// Where the journal of a state folder is by now, if it has moved.
pub(super) fn moved_to(folder: &Path) -> Result<Option<String>, JournalError> {
    let path = folder.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // Whoever cannot tell whether it is here goes on with nothing.
        Err(source) => Err(JournalError::WordUnread { path, source }),
    }
}

/// Fails where it has.
pub(super) fn refuse(folder: &Path) -> Result<(), JournalError> {
    match moved_to(folder)? {
        Some(to) => Err(SharedError::Moved { at: folder.join("journal.sqlite").display().to_string(), to }.into()),
        None => Ok(()),
    }
}

/// Says that it has moved.
pub(super) fn leave(folder: &Path, to: &str) -> Result<(), JournalError> {
    private::write(&folder.join(FILE), format!("{to}\n").as_bytes())
        .map_err(|_| JournalError::ReadOnly { folder: folder.to_owned() })
}

/// Says that it is back.
pub(super) fn is_back(folder: &Path) -> Result<(), JournalError> {
    match std::fs::remove_file(folder.join(FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(JournalError::ReadOnly { folder: folder.to_owned() }),
        _ => Ok(()),
    }
}
