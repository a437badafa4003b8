//! The moment in which a file is replaced or taken away, and the look at what was there then.
//!
//! Old and new have each other's names in one step, so that nothing is lost that somebody wrote after the last look: what came
//! out is not what was read, goes back, and the change is worked out anew from it.

use std::io::{Error, ErrorKind};

use super::FileError;
use super::admission::{self, OpenFile};
use super::folder::{Folder, Temporary};
use super::most::is_same;
use super::rights::Rights;
use super::way::Way;

/// How often what somebody else wrote is put back, where that is replaced in turn.
const ATTEMPTS: usize = 5;

/// A name in a locked folder.
pub(super) struct Swap<'a> {
    pub way: &'a Way,
    pub folder: &'a Folder,
}

impl Swap<'_> {
    /// Puts the temporary file in place of the old one; `false` where what was there is not the old one, and is there again.
    pub fn put(&self, mut temporary: Temporary<'_>, old: Option<&OpenFile>) -> Result<bool, FileError> {
        let (opened, name) = (self.folder.opened(), self.way.name.as_os_str());
        let Some(old) = old else {
            return match opened.rename_new(temporary.name(), name) {
                Ok(()) => {
                    temporary.let_go();
                    Ok(true)
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
                Err(source) => Err(self.io("replace", source)),
            };
        };
        match opened.exchange(temporary.name(), name) {
            Ok(true) if self.came_out(&temporary).is_some_and(|found| is_unchanged(&found, old)) => {
                // The new file is in place. What cannot be removed now is tried once more, and by the next change.
                if temporary.remove().is_err() {
                    drop(temporary);
                }
                Ok(true)
            }
            Ok(true) => self.give_back(temporary).map(|()| false),
            // The disk or the kernel cannot: what is written between the last look and this is lost there.
            Ok(false) => {
                opened.rename(temporary.name(), name).map_err(|source| self.io("replace", source))?;
                temporary.let_go();
                Ok(true)
            }
            // It is gone, since it was looked at.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => Err(self.io("replace", source)),
        }
    }

    /// Takes the old file away; `false` where what was there is another one, and is there again.
    pub fn remove(&self, old: &OpenFile) -> Result<bool, FileError> {
        let mut taken = match self.folder.take(&self.way.name) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            Err(source) => return Err(self.io("remove", source)),
        };
        if self.came_out(&taken).is_some_and(|found| is_unchanged(&found, old)) {
            let Err(source) = taken.remove() else { return Ok(true) };
            // It stays where it was, and not under a name that nobody looks for.
            if self.folder.opened().rename_new(taken.name(), &self.way.name).is_ok() {
                taken.let_go();
            }
            return Err(self.io("remove", source));
        }
        match self.folder.opened().rename_new(taken.name(), &self.way.name) {
            Ok(()) => {
                taken.let_go();
                Ok(false)
            }
            Err(source) => Err(self.kept(taken, source)),
        }
    }

    /// What was in the file's place and has the temporary one's name now; `None` for what cannot be read as a file.
    fn came_out(&self, temporary: &Temporary<'_>) -> Option<OpenFile> {
        let file = self.folder.opened().open(temporary.name()).ok()?;
        admission::content(&self.way.path, file).ok()
    }

    /// Puts back what somebody else wrote. If that was replaced in turn, the last word is theirs too.
    fn give_back(&self, mut temporary: Temporary<'_>) -> Result<(), FileError> {
        let (opened, name) = (self.folder.opened(), self.way.name.as_os_str());
        let ours = temporary.file().and_then(|file| file.metadata().ok());
        for _ in 0..ATTEMPTS {
            match opened.exchange(temporary.name(), name) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return match opened.rename_new(temporary.name(), name) {
                        Ok(()) => {
                            temporary.let_go();
                            Ok(())
                        }
                        Err(source) => Err(self.kept(temporary, source)),
                    };
                }
                Err(source) => return Err(self.kept(temporary, source)),
            }
            let found = self.came_out(&temporary).map(|found| found.metadata);
            if found.zip(ours.as_ref()).is_some_and(|(found, ours)| is_same(&found, ours)) {
                return temporary.remove().map_err(|source| self.io("remove a temporary file beside", source));
            }
        }
        Err(self.kept(temporary, ErrorKind::ResourceBusy.into()))
    }

    /// Keeps what somebody else wrote beside the file where it cannot be put back, and says where.
    fn kept(&self, temporary: Temporary<'_>, source: Error) -> FileError {
        match temporary.keep(&self.way.name) {
            Ok(path) => FileError::failed("put back what somebody else wrote, which is in", &path, source),
            Err(error) => error,
        }
    }

    fn io(&self, what: &'static str, source: Error) -> FileError {
        FileError::failed(what, &self.way.path, source)
    }
}

/// Whether what came out is what was read, and lets others do the same.
fn is_unchanged(found: &OpenFile, old: &OpenFile) -> bool {
    let rights = |found: &OpenFile| Rights::of(&found.file).ok();
    found.bytes == old.bytes && rights(found) == rights(old)
}

#[cfg(test)]
#[path = "swap_tests.rs"]
mod tests;
