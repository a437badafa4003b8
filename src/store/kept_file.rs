//! A file that a store keeps values in: the one way in which a file is changed, with the store's name on what goes wrong.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::StoreError;
use crate::system::FileError;
use crate::system::replace::{Place, Wanted};

/// A store's file.
pub(super) struct KeptFile {
    store: String,
    place: Place,
}

/// What a change of a file came to: the file's fault, or the store's.
enum Failure {
    File(FileError),
    Store(StoreError),
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl KeptFile {
    /// Names the file; nothing is opened. `store` is the reference.
    pub fn new(store: String, path: PathBuf) -> Self {
        Self { store, place: Place::new(path) }
    }

    /// The same for a file that others keep their own in: one that is gone is not begun anew.
    pub fn shared(self) -> Self {
        Self { place: self.place.shared(), ..self }
    }

    /// The same, and a new file gets what this one lets others do: it is read by the same receiver.
    pub fn like(self, other: PathBuf) -> Self {
        Self { place: self.place.like(other), ..self }
    }

    /// The path as it was given, symlinks and all.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The reference of the store.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// Whether there was no such file until this value wrote it.
    pub fn is_created(&self) -> bool {
        self.place.is_created()
    }

    /// Says that others can read or write the file.
    pub fn caution(&self) -> Option<String> {
        self.place.caution()
    }

    /// The content, or `None` where there is no file.
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.place.read().map_err(StoreError::file(&self.store))
    }

    /// Changes the file as [`Place::edit`] does.
    pub fn edit(&self, mut change: impl FnMut(Option<&[u8]>) -> Result<Wanted, StoreError>) -> Result<(), StoreError> {
        let edited = self.place.edit(|old| change(old).map_err(Failure::Store));
        edited.map_err(|failure| self.named(failure))
    }

    /// Does all that a change does beside the file, as [`Place::prove`] does. Fails with [`StoreError::NotReadBack`] of the
    /// slot where `reads_back` does not find what was written.
    pub fn prove(
        &self,
        slot: &str,
        change: impl FnOnce(Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, StoreError>,
        reads_back: impl FnOnce(&[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let change = |old: Option<&[u8]>| change(old).map_err(Failure::Store);
        let proved = self.place.prove(change, |new| reads_back(new).map_err(Failure::Store));
        match proved.map_err(|failure| self.named(failure))? {
            true => Ok(()),
            false => Err(StoreError::NotReadBack { store: self.store.clone(), slot: slot.to_owned() }),
        }
    }

    fn named(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::File(error) => StoreError::file(&self.store)(error),
            Failure::Store(error) => error,
        }
    }
}

#[cfg(test)]
#[path = "kept_file_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "rights_tests.rs"]
mod rights_tests;
