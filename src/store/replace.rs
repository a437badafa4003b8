//! The one way in which a file is changed: beside it, synced, renamed over it, and looked at again.
//!
//! A reader sees the old content or the new, never half of one; after a crash or a power cut the same holds.
//! Writers of whsec wait for each other. A foreign program that writes the file in between is noticed up to the
//! moment of the rename, and the change is worked out anew from what it wrote.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::StoreError;
use super::admission::{self, Found};
use super::folder::Folder;
use super::rights::{Rights, Unkept};

/// How often a change is worked out anew because somebody else was faster.
const ATTEMPTS: usize = 5;

/// How long a file that is shorter than before is given to be whole again, as one that is being written is.
const WRITERS_TIME: Duration = Duration::from_secs(1);

/// How long to wait before it is looked at again.
const PAUSE: Duration = Duration::from_millis(20);

/// A file that a store keeps values in.
pub(super) struct Place {
    store: String,
    path: PathBuf,
    /// The file whose owner, group, mode and access list a new one gets.
    like: Option<PathBuf>,
    /// Whether others keep their own in it too.
    shared: bool,
    created: AtomicBool,
    seen: Mutex<Option<Seen>>,
}

/// The file as it was when it held most. One that others put in its place is another file, whatever it holds.
#[derive(Clone)]
struct Seen {
    metadata: fs::Metadata,
    bytes: usize,
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
        let (created, seen) = (AtomicBool::new(false), Mutex::new(None));
        Self { store, path, like: None, shared: false, created, seen }
    }

    /// The same for a file that others keep their own in: one that is gone is not begun anew.
    pub fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// The same, and a new file gets what this one lets others do: it is read by the same receiver.
    pub fn like(self, other: PathBuf) -> Self {
        Self { like: Some(other), ..self }
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

    /// Says that others can read or write the file: a replacement is as open as what it replaces.
    pub fn caution(&self) -> Option<String> {
        let mode = mode(&fs::metadata(&self.path).ok()?);
        // Others who read or write, and a group that writes; a group that reads is how receivers are let in.
        (mode & 0o026 != 0).then(|| {
            format!(
                "`{}` is open to others (mode {mode:04o}) and stays so: close it with `chmod` unless somebody needs that",
                self.path.display()
            )
        })
    }

    /// The content, or `None` where there is no file.
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let found = admission::read(&self.store, &self.path)?;
        if let Some(found) = &found {
            self.note(found);
        }
        Ok(found.map(|found| found.bytes))
    }

    /// Changes the file as `change` says, which is given its content and may be asked again if that changes
    /// meanwhile. Durable when it returns; on failure nothing has changed, and no temporary file is left.
    ///
    /// Owner, group, mode, access list and attributes stay exactly as they are, whatever the umask; a new file has mode
    /// 0600, or is as open as the one that it is like. Fails with [`StoreError::Refused`] where they cannot be kept and for
    /// files that are not the user's alone, with [`StoreError::Shrank`] where there is less in the file than was read,
    /// with [`StoreError::Busy`] or [`StoreError::Changed`] if others do not leave the file alone, and with
    /// [`StoreError::Io`].
    pub fn edit(&self, mut change: impl FnMut(Option<&[u8]>) -> Result<Wanted, StoreError>) -> Result<(), StoreError> {
        let (target, folder) = self.locked()?;
        for _ in 0..ATTEMPTS {
            let old = self.whole(&target)?;
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

    /// Does all that a change does, beside the file and not in its place, and takes it back: the file is not touched.
    /// `reads_back` is given what the disk then holds. Fails as [`Place::edit`] would, and with
    /// [`StoreError::NotReadBack`].
    pub fn prove(
        &self,
        slot: &str,
        change: impl FnOnce(Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, StoreError>,
        reads_back: impl FnOnce(&[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let (target, folder) = self.locked()?;
        let old = self.whole(&target)?;
        let new = change(old.as_ref().map(|found| found.bytes.as_slice()))?;
        // A rename is tried as well, over a file that is as empty as it is short-lived.
        let beside = folder.temporary(&target)?.into_temp_path();
        let prepared = self.prepared(&folder, &target, old.as_ref(), &new)?;
        prepared.persist(&beside).map_err(|failed| StoreError::io(&self.store, "replace", &target, failed.error))?;
        folder.sync()?;
        let found = admission::read(&self.store, &beside)?.map(|found| found.bytes);
        let is_same = match &found {
            Some(found) => *found == new && reads_back(found)?,
            None => false,
        };
        beside.close().map_err(|source| StoreError::io(&self.store, "remove what proved", &target, source))?;
        match is_same {
            true => Ok(()),
            false => Err(StoreError::NotReadBack { store: self.store.clone(), slot: slot.to_owned() }),
        }
    }

    /// Where the file is, and its folder, which nobody else of whsec writes to now.
    fn locked(&self) -> Result<(PathBuf, Folder), StoreError> {
        let target = admission::resolve(&self.store, &self.path)?;
        let folder = Folder::lock(&self.store, target.parent().unwrap_or(Path::new("/")))?;
        folder.remove_leftovers(&target)?;
        Ok((target, folder))
    }

    /// The file as it is now. One with less in it than before may be in the middle of being written, and what is
    /// missing would be gone for good; so may one that is gone.
    fn whole(&self, target: &Path) -> Result<Option<Found>, StoreError> {
        let begun = Instant::now();
        loop {
            let found = admission::read_to_replace(&self.store, target)?;
            let shrank = self.seen().filter(|seen| match &found {
                Some(found) => found.bytes.len() < seen.bytes && is_same(&found.metadata, &seen.metadata),
                None => self.shared,
            });
            match shrank {
                None => {
                    found.iter().for_each(|found| self.note(found));
                    return Ok(found);
                }
                Some(_) if begun.elapsed() < WRITERS_TIME => sleep(PAUSE),
                Some(seen) => {
                    let (store, path) = (self.store.clone(), self.path.clone());
                    let to = found.map_or(0, |found| found.bytes.len());
                    return Err(StoreError::Shrank { store, path, from: seen.bytes, to });
                }
            }
        }
    }

    fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers how much is in the file, unless that is less than there was.
    fn note(&self, found: &Found) {
        let now = Seen { metadata: found.metadata.clone(), bytes: found.bytes.len() };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref().is_none_or(|seen| seen.bytes < now.bytes || !is_same(&seen.metadata, &now.metadata)) {
            *seen = Some(now);
        }
    }

    /// Forgets what was in the file, because it was written or removed from here.
    fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Renames new content over the target; `false` if the target is no longer what it was.
    fn put(&self, folder: &Folder, target: &Path, old: Option<&Found>, new: &[u8]) -> Result<bool, StoreError> {
        let temporary = self.prepared(folder, target, old, new)?;
        if !self.is_still(target, old)? {
            return Ok(false);
        }
        let renamed = match old {
            Some(_) => temporary.persist(target),
            None => temporary.persist_noclobber(target),
        };
        match renamed {
            Ok(_) => {
                self.forget();
                if old.is_none() {
                    self.created.store(true, Ordering::Relaxed);
                }
                Ok(true)
            }
            Err(failed) if old.is_none() && failed.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(failed) => Err(StoreError::io(&self.store, "replace", target, failed.error)),
        }
    }

    /// A temporary file with the new content that lets others do what the old file does, and is on the disk.
    fn prepared(
        &self,
        folder: &Folder,
        target: &Path,
        old: Option<&Found>,
        new: &[u8],
    ) -> Result<NamedTempFile, StoreError> {
        let io = |what| move |source| StoreError::io(&self.store, what, target, source);
        let example = match (old, &self.like) {
            (None, Some(like)) => admission::read_to_replace(&self.store, &admission::resolve(&self.store, like)?)?,
            _ => None,
        };
        let mut temporary = folder.temporary(target)?;
        temporary.write_all(new).map_err(io("write"))?;
        match old.or(example.as_ref()) {
            Some(found) => {
                let rights = Rights::of(&found.file).map_err(io("read the attributes of"))?;
                rights.give(temporary.as_file()).map_err(|unkept| self.unkept(unkept))?;
            }
            None => close_to_others(temporary.as_file()).map_err(io("set the mode for"))?,
        }
        // Without this a power cut after the rename may leave an empty file under the target's name.
        temporary.as_file().sync_all().map_err(io("sync"))?;
        Ok(temporary)
    }

    fn remove(&self, target: &Path, old: Option<&Found>) -> Result<bool, StoreError> {
        if !self.is_still(target, old)? {
            return Ok(false);
        }
        match fs::remove_file(target) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::io(&self.store, "remove", target, source)),
        }
        self.forget();
        Ok(true)
    }

    fn is_still(&self, target: &Path, old: Option<&Found>) -> Result<bool, StoreError> {
        let now = admission::read_to_replace(&self.store, target)?;
        Ok(now.as_ref().map(|found| &found.bytes) == old.map(|found| &found.bytes))
    }

    fn look_again(&self, target: &Path, wanted: &Wanted) -> Result<(), StoreError> {
        let now = admission::read_to_replace(&self.store, target)?.map(|found| found.bytes);
        match wanted {
            Wanted::Content(new) if now.as_ref() != Some(new) => Err(self.changed()),
            Wanted::Gone if now.is_some() => Err(self.changed()),
            _ => Ok(()),
        }
    }

    fn unkept(&self, Unkept { what, hint }: Unkept) -> StoreError {
        let path = self.path.display();
        StoreError::Refused {
            store: self.store.clone(),
            why: format!("`{path}` would not stay as it is: {what}"),
            hint,
        }
    }

    fn changed(&self) -> StoreError {
        StoreError::Changed { store: self.store.clone(), path: self.path.clone() }
    }
}

#[cfg(unix)]
fn close_to_others(file: &fs::File) -> std::io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

/// Whether two looks were at one and the same file: by its number, and its birth, because numbers are used again.
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if (one.dev(), one.ino()) != (other.dev(), other.ino()) {
            return false;
        }
    }
    one.created().ok() == other.created().ok()
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o777
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> u32 {
    0o600
}

#[cfg(not(unix))]
fn close_to_others(_: &fs::File) -> std::io::Result<()> {
    // A new file inherits the folder's access list, and the user's own folder admits nobody else.
    Ok(())
}

#[cfg(all(test, unix))]
#[path = "replace_tests.rs"]
mod tests;
