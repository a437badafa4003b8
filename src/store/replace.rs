//! The one way in which a file is changed: beside it, synced, renamed over it, and looked at again.
//!
//! A reader sees the old content or the new, never half of one; after a crash or a power cut the same holds.
//! Writers of whsec wait for each other. A foreign program that writes the file in between is noticed up to the
//! moment of the rename, and the change is worked out anew from what it wrote.

use std::fs::{self, Metadata};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use super::StoreError;
use super::admission::{self, Found};
use super::folder::Folder;

/// How often a change is worked out anew because somebody else was faster.
const ATTEMPTS: usize = 5;

/// A file that a store keeps values in.
pub(super) struct Place {
    store: String,
    path: PathBuf,
    created: AtomicBool,
}

/// What a file should be after a change.
pub(super) enum Wanted {
    /// As it is.
    Same,
    /// With this content.
    Content(Zeroizing<Vec<u8>>),
    /// No longer there.
    Gone,
}

impl Place {
    /// Names the file; nothing is opened. `store` is the reference, for messages.
    pub fn new(store: String, path: PathBuf) -> Self {
        Self { store, path, created: AtomicBool::new(false) }
    }

    /// The path as it was given, symlinks and all.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The reference of the store, for messages.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// Whether there was no such file until this value wrote it.
    pub fn is_created(&self) -> bool {
        self.created.load(Ordering::Relaxed)
    }

    /// Says that a replacement would close the file to others who can read it now.
    pub fn caution(&self) -> Option<String> {
        let mode = mode(&fs::metadata(&self.path).ok()?);
        (mode & 0o077 != 0).then(|| {
            format!(
                "`{}` is open to others (mode {mode:03o}) and becomes 0600: a receiver that runs as another user cannot \
                 read it then",
                self.path.display()
            )
        })
    }

    /// The content, or `None` where there is no file.
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        Ok(admission::read(&self.store, &self.path)?.map(|found| found.bytes))
    }

    /// Changes the file as `change` says, which is given its content and may be asked again if that changes
    /// meanwhile. Durable when it returns; on failure nothing has changed, and no temporary file is left.
    ///
    /// The mode becomes what the old file's had in common with 0600, whatever the umask; a new file's is 0600.
    /// Fails with [`StoreError::Refused`] for files that are not the user's alone, with [`StoreError::Busy`] or
    /// [`StoreError::Changed`] if others do not leave the file alone, and with [`StoreError::Io`].
    pub fn edit(&self, mut change: impl FnMut(Option<&[u8]>) -> Result<Wanted, StoreError>) -> Result<(), StoreError> {
        let target = admission::resolve(&self.store, &self.path)?;
        let folder = Folder::lock(&self.store, target.parent().unwrap_or(Path::new("/")))?;
        folder.remove_leftovers(&target)?;
        for _ in 0..ATTEMPTS {
            let old = self.admitted(&target)?;
            let wanted = change(old.as_ref().map(|found| found.bytes.as_slice()))?;
            let done = match &wanted {
                Wanted::Same => return Ok(()),
                Wanted::Content(new) => self.put(&folder, &target, old.as_ref(), new)?,
                Wanted::Gone => self.remove(&target, old.as_ref())?,
            };
            if done {
                folder.sync()?;
                return self.look_again(&target, &wanted);
            }
        }
        Err(self.changed())
    }

    /// Renames new content over the target; `false` if the target is no longer what it was.
    fn put(&self, folder: &Folder, target: &Path, old: Option<&Found>, new: &[u8]) -> Result<bool, StoreError> {
        let io = |what| move |source| StoreError::io(&self.store, what, target, source);
        let mut temporary = folder.temporary(target)?;
        restrict(temporary.as_file(), old.map(|found| &found.metadata)).map_err(io("set the mode for"))?;
        temporary.write_all(new).map_err(io("write"))?;
        // Without this a power cut after the rename may leave an empty file under the target's name.
        temporary.as_file().sync_all().map_err(io("sync"))?;
        if !self.is_still(target, old)? {
            return Ok(false);
        }
        let renamed = match old {
            Some(_) => temporary.persist(target),
            None => temporary.persist_noclobber(target),
        };
        match renamed {
            Ok(_) => {
                if old.is_none() {
                    self.created.store(true, Ordering::Relaxed);
                }
                Ok(true)
            }
            Err(failed) if old.is_none() && failed.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(failed) => Err(io("replace")(failed.error)),
        }
    }

    fn remove(&self, target: &Path, old: Option<&Found>) -> Result<bool, StoreError> {
        if !self.is_still(target, old)? {
            return Ok(false);
        }
        match fs::remove_file(target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(source) => Err(StoreError::io(&self.store, "remove", target, source)),
        }
    }

    fn admitted(&self, target: &Path) -> Result<Option<Found>, StoreError> {
        // A symlink put here since it was resolved is not followed a second time.
        match fs::symlink_metadata(target) {
            Ok(metadata) => admission::admit(&self.store, target, &metadata)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::io(&self.store, "look at", target, source)),
        }
        admission::read(&self.store, target)
    }

    fn is_still(&self, target: &Path, old: Option<&Found>) -> Result<bool, StoreError> {
        let now = self.admitted(target)?;
        Ok(now.as_ref().map(|found| &found.bytes) == old.map(|found| &found.bytes))
    }

    fn look_again(&self, target: &Path, wanted: &Wanted) -> Result<(), StoreError> {
        let now = self.admitted(target)?.map(|found| found.bytes);
        match wanted {
            Wanted::Content(new) if now.as_ref() != Some(new) => Err(self.changed()),
            Wanted::Gone if now.is_some() => Err(self.changed()),
            _ => Ok(()),
        }
    }

    fn changed(&self) -> StoreError {
        StoreError::Changed { store: self.store.clone(), path: self.path.clone() }
    }
}

#[cfg(unix)]
fn restrict(file: &fs::File, old: Option<&Metadata>) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = old.map_or(0o600, |old| old.permissions().mode() & 0o600);
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o777
}

#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0o600
}

#[cfg(not(unix))]
fn restrict(_: &fs::File, _: Option<&Metadata>) -> std::io::Result<()> {
    // A new file inherits the folder's access list, and the user's own folder admits nobody else.
    Ok(())
}

#[cfg(all(test, unix))]
#[path = "replace_tests.rs"]
mod tests;
