//! The folder of a file that is being replaced: the lock on it, its sync, and what a crash left in it.
//!
//! The lock is on the folder itself, so that no lock file stays behind; it makes writers of whsec wait for each
//! other, and binds nobody else. All is done in the folder that was judged and locked, whatever its path becomes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::{FileError, FileFault, Holder};
use super::opened::Opened;
use super::text::hex;
use super::way::Way;

/// How long to wait for a lock that one other has.
pub const LOCK_DEADLINE: Duration = Duration::from_secs(3);

/// How long to wait before the lock is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// When it is asked first who holds the lock, and how often from then on. Where that is read from, a whole system's locks stand still.
const FIRST_ASK: Duration = Duration::from_millis(100);
const ASK_EVERY: Duration = Duration::from_millis(500);

/// How long to wait for a lock that goes from hand to hand.
const LONGEST: Duration = Duration::from_secs(120);

/// How all temporary files of one target file begin and end.
const PREFIX: &str = ".whsec-";
const SUFFIX: &str = ".tmp";

/// A folder that this process alone of all whsec processes writes to, until it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    opened: Opened,
}

/// A file beside the one that it is for. It is removed again unless it was let go of.
pub(super) struct Temporary<'a> {
    folder: &'a Folder,
    name: OsString,
    file: Option<File>,
}

impl Folder {
    /// Waits for the lock, at most [`LOCK_DEADLINE`] while one other has it.
    pub fn lock(way: &Way) -> Result<Self, FileError> {
        let path = way.path.parent().unwrap_or(Path::new("/")).to_owned();
        let opened = way.folder.readable().map_err(|source| FileError::failed("open the folder", &path, source))?;
        let folder = Self { path, opened };
        folder.wait()?;
        if let Ok(number) = folder.opened.number() {
            *turns().entry(number).or_default() += 1;
        }
        Ok(folder)
    }

    /// The folder, open.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// A new temporary file, readable for its owner only.
    pub fn temporary(&self, target: &OsStr) -> Result<Temporary<'_>, FileError> {
        let name = self.free_name(target);
        let file = self.opened.create(&name).map_err(|source| self.io("write in", source))?;
        Ok(Temporary { folder: self, name, file: Some(file) })
    }

    /// Takes the target away, under a temporary file's name.
    pub fn take(&self, target: &OsStr) -> std::io::Result<Temporary<'_>> {
        let name = self.free_name(target);
        self.opened.rename(target, &name)?;
        Ok(Temporary { folder: self, name, file: None })
    }

    /// Removes the temporary files that runs cut off have left for this target. Only under the lock, so that
    /// none of them is in use.
    pub fn remove_leftovers(&self, target: &OsStr) -> Result<(), FileError> {
        self.remove_beginning(&prefix(target))
    }

    /// The same for every target in a folder that whsec has to itself.
    pub fn remove_all_leftovers(&self) -> Result<(), FileError> {
        self.remove_beginning(PREFIX)
    }

    fn remove_beginning(&self, prefix: &str) -> Result<(), FileError> {
        for name in self.opened.files().map_err(|source| self.io("list", source))? {
            if name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(SUFFIX)) {
                self.opened.remove(&name).map_err(|source| self.io("remove a leftover from", source))?;
            }
        }
        Ok(())
    }

    /// Makes renames and removals in this folder survive a power cut. Without it the old content may come back.
    pub fn sync(&self) -> Result<(), FileError> {
        self.opened.sync().map_err(|source| self.io("sync", source))
    }

    fn wait(&self) -> Result<(), FileError> {
        let begun = Instant::now();
        let (mut process, mut turn, mut idle, mut ask_at) = (None, 0, 0, begun + FIRST_ASK);
        loop {
            match self.opened.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(self.io("lock", source)),
            }
            if Instant::now() >= ask_at {
                match holder(&self.opened) {
                    // It goes from hand to hand, or others have the processor: whoever waits has a turn in the end.
                    Some(holder)
                        if begun.elapsed() < LONGEST
                            && (process != Some(holder) || turn != self.turn() || is_at_work(holder)) =>
                    {
                        (process, turn, idle) = (Some(holder), self.turn(), 0);
                    }
                    _ => idle += 1,
                }
                // Counted by looks, and not by the clock: on a busy machine it is this process that has no turn to look.
                if idle * ASK_EVERY >= LOCK_DEADLINE {
                    let holder = process.map(|process| Holder { process, user: other_user(process) });
                    return Err(FileFault::Busy { path: self.path.clone(), holder }.into());
                }
                ask_at = Instant::now() + ASK_EVERY;
            }
            sleep(PAUSE);
        }
    }

    /// How often threads of this process have had it.
    fn turn(&self) -> u64 {
        self.opened.number().ok().and_then(|number| turns().get(&number).copied()).unwrap_or_default()
    }

    fn free_name(&self, target: &OsStr) -> OsString {
        format!("{}{}{SUFFIX}", prefix(target), Uuid::new_v4().simple()).into()
    }

    fn io(&self, act: &'static str, source: std::io::Error) -> FileError {
        FileError::failed(act, &self.path, source)
    }
}

/// How often threads of this process have had each folder: where many targets are at work it goes from one of them to the next.
fn turns() -> MutexGuard<'static, BTreeMap<u64, u64>> {
    static TURNS: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Temporary<'_> {
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// The file that was made; none for one that was taken.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Something else has the name now, or nothing.
    pub fn let_go(mut self) {
        self.name = OsString::new();
    }

    /// Removes it.
    pub fn remove(&mut self) -> std::io::Result<()> {
        self.folder.opened.remove(&self.name)?;
        self.name.clear();
        Ok(())
    }

    /// Gives it a name that no run removes, because it holds what somebody else wrote. Yields that name.
    pub fn keep(mut self, target: &OsStr) -> Result<PathBuf, FileError> {
        let name = std::mem::take(&mut self.name);
        let mut kept = target.to_owned();
        kept.push(format!(".kept-{}", Uuid::new_v4().simple()));
        self.folder.opened.rename_new(&name, &kept).map_err(|source| self.folder.io("keep a file in", source))?;
        Ok(self.folder.path.join(kept))
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // What stays is removed by the next change of the same file.
            let _ = self.folder.opened.remove(&self.name);
        }
    }
}

/// The process that holds a lock on this folder, where the system tells.
#[cfg(target_os = "linux")]
fn holder(folder: &Opened) -> Option<u32> {
    let inode = format!(":{}", folder.number().ok()?);
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 08:01:131073 0 EOF`; one that waits for it has `->` behind its number.
    let mut fields = locks.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let held = fields
        .find(|fields| fields.get(1) == Some(&"FLOCK") && fields.get(5).is_some_and(|id| id.ends_with(&inode)))?;
    held.get(4)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn holder(_: &Opened) -> Option<u32> {
    None
}

/// Whether another process of the same user computes, or waits for a processor or a disk: on a busy machine that takes as long as
/// it takes. One that sleeps or was stopped is at no work, nor is who holds a lock to be in the way.
#[cfg(target_os = "linux")]
fn is_at_work(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // `4711 (whsec) R …`; a name may hold anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    process != std::process::id() && matches!(state, Some('R' | 'D')) && other_user(process).is_none()
}

#[cfg(not(target_os = "linux"))]
fn is_at_work(_: u32) -> bool {
    false
}

/// Whose process it is, where it is somebody else's and the system tells.
#[cfg(target_os = "linux")]
fn other_user(process: u32) -> Option<String> {
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{process}")).ok()?);
    if owner == rustix::process::geteuid().as_raw() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    // `name:x:1000:…`; users that a directory server knows are not in it.
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == owner.to_string()).then(|| format!("the user `{name}`"))
    });
    Some(named.unwrap_or_else(|| format!("the user with the number {owner}")))
}

#[cfg(not(target_os = "linux"))]
fn other_user(_: u32) -> Option<String> {
    None
}

/// The beginning of the names of one target's temporary files. A digest stands for the target's name, which may
/// be as long as a name can be.
fn prefix(target: &OsStr) -> String {
    let digest = Sha256::digest(target.as_encoded_bytes());
    format!("{PREFIX}{}-", hex(&digest[..6]))
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
