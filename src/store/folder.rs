//! The folder of a file that is being replaced: the lock on it, its sync, and what a crash left in it.
//!
//! The lock is on the folder itself, so that no lock file stays behind; it makes writers of whsec wait for each
//! other, and binds nobody else.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{STORE_DEADLINE, StoreError, admission};

/// How long to wait before the lock is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// One of so many looks asks who holds the lock.
const LOOKS: u32 = 10;

/// How long to wait for a lock that goes from hand to hand.
const LONGEST: Duration = Duration::from_secs(120);

/// How all temporary files of one target file begin and end.
const PREFIX: &str = ".whsec-";
const SUFFIX: &str = ".tmp";

/// A folder that this process alone of all whsec processes writes to, until it is dropped.
pub(super) struct Folder {
    store: String,
    path: PathBuf,
    handle: Option<File>,
}

impl Folder {
    /// Waits for the lock, at most [`STORE_DEADLINE`] while one other has it. Fails if there is no such folder, or if others could
    /// exchange files in it.
    pub fn lock(store: &str, path: &Path) -> Result<Self, StoreError> {
        let metadata = fs::metadata(path).map_err(|source| StoreError::io(store, "find the folder", path, source))?;
        admission::admit_folder(store, path, &metadata)?;
        let mut folder = Self { store: store.to_owned(), path: path.to_owned(), handle: None };
        if cfg!(unix) {
            let handle = File::open(path).map_err(|source| folder.io("open the folder", source))?;
            folder.wait_for(&handle)?;
            folder.handle = Some(handle);
        }
        Ok(folder)
    }

    /// A new temporary file, readable for its owner only, that is removed again unless it is persisted.
    pub fn temporary(&self, target: &Path) -> Result<NamedTempFile, StoreError> {
        let created = tempfile::Builder::new().prefix(&prefix(target)).suffix(SUFFIX).tempfile_in(&self.path);
        created.map_err(|source| self.io("write in", source))
    }

    /// Removes the temporary files that runs cut off have left for this target. Only under the lock, so that
    /// none of them is in use.
    pub fn remove_leftovers(&self, target: &Path) -> Result<(), StoreError> {
        self.remove_beginning(&prefix(target))
    }

    /// The same for every target in a folder that whsec has to itself.
    pub fn remove_all_leftovers(&self) -> Result<(), StoreError> {
        // Without a lock another process may be about to rename one.
        if self.handle.is_some() { self.remove_beginning(PREFIX) } else { Ok(()) }
    }

    fn remove_beginning(&self, prefix: &str) -> Result<(), StoreError> {
        let entries = fs::read_dir(&self.path).map_err(|source| self.io("list", source))?;
        for entry in entries {
            let entry = entry.map_err(|source| self.io("list", source))?;
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(SUFFIX));
            if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::remove_file(entry.path()).map_err(|source| self.io("remove a leftover from", source))?;
            }
        }
        Ok(())
    }

    /// Makes renames and removals in this folder survive a power cut. Without it the old content may come back.
    pub fn sync(&self) -> Result<(), StoreError> {
        match &self.handle {
            Some(handle) => handle.sync_all().map_err(|source| self.io("sync", source)),
            None => Ok(()),
        }
    }

    fn wait_for(&self, handle: &File) -> Result<(), StoreError> {
        let (begun, mut since, mut process) = (Instant::now(), Instant::now(), None);
        for look in 0_u32.. {
            match handle.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if since.elapsed() < STORE_DEADLINE => {
                    if look % LOOKS == 0
                        && begun.elapsed() < LONGEST
                        && let holder @ Some(_) = holder(handle)
                        && process != holder
                    {
                        // It goes from hand to hand: whoever waits has a turn in the end.
                        (since, process) = (Instant::now(), holder);
                    }
                    sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Busy { store: self.store.clone(), path: self.path.clone(), process });
                }
                Err(TryLockError::Error(source)) => return Err(self.io("lock", source)),
            }
        }
        Ok(())
    }

    fn io(&self, what: &'static str, source: std::io::Error) -> StoreError {
        StoreError::io(&self.store, what, &self.path, source)
    }
}

/// The process that holds a lock on this file, where the system tells.
#[cfg(target_os = "linux")]
fn holder(handle: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{}", handle.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 08:01:131073 0 EOF`; one that waits for it has `->` behind its number.
    let mut fields = locks.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let held = fields
        .find(|fields| fields.get(1) == Some(&"FLOCK") && fields.get(5).is_some_and(|id| id.ends_with(&inode)))?;
    held.get(4)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn holder(_: &File) -> Option<u32> {
    None
}

/// The beginning of the names of one target's temporary files. A digest stands for the target's name, which may
/// be as long as a name can be.
fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default();
    let digest = Sha256::digest(name.as_encoded_bytes());
    let digits: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{digits}-")
}
