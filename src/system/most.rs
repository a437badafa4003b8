//! How much was in a file, so that one in the middle of being written is noticed: it holds less than it did, and is the same.

use std::fs::Metadata;
use std::sync::{Mutex, PoisonError};

use super::admission::OpenFile;

/// The most that a file was seen to hold since it was last written from here. One that others put in its place is another
/// file, whatever it holds.
#[derive(Default)]
pub(super) struct Most(Mutex<Option<Seen>>);

struct Seen {
    metadata: Metadata,
    bytes: usize,
}

impl Most {
    /// How much that was, in bytes.
    pub fn bytes(&self) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|seen| seen.bytes).filter(|bytes| *bytes > 0)
    }

    /// How much that was, where this is the same file and holds less.
    pub fn above(&self, found: &OpenFile) -> Option<usize> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref().filter(|seen| found.bytes.len() < seen.bytes);
        seen.filter(|seen| is_same(&found.metadata, &seen.metadata)).map(|seen| seen.bytes)
    }

    /// Remembers how much is in the file, unless that is less than there was.
    pub fn note(&self, found: &OpenFile) {
        if self.above(found).is_none() {
            let seen = Seen { metadata: found.metadata.clone(), bytes: found.bytes.len() };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        }
    }

    /// Forgets what was in the file, because it was written or removed from here.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Whether two looks were at one and the same file: by its number, and its birth, because numbers are used again.
pub(super) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    if (one.dev(), one.ino()) != (other.dev(), other.ino()) {
        return false;
    }
    one.created().ok() == other.created().ok()
}
