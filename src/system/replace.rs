//! The one way in which a file is changed: beside it, synced, renamed over it, and looked at again.
//!
//! A reader sees the old content or the new, never half of one; after a crash or a power cut the same holds.
//! Writers of whsec wait for each other. What a foreign program writes in between is never lost: the new file and the old one
//! have each other's names in one step, and what came out is looked at. If it is not what was read, it goes back, and the change
//! is worked out anew from it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::admission::{self, OpenFile};
use super::folder::{Folder, Temporary};
use super::most::Most;
use super::rights::{Rights, Unkept};
use super::swap::Swap;
use super::way::Way;
use super::{FileError, FileFault};

/// How often a change is worked out anew because somebody else was faster.
const ATTEMPTS: usize = 5;

/// How long a file that is shorter than before is given to be whole again, as one that is being written is.
const WRITERS_TIME: Duration = Duration::from_secs(1);

/// How long to wait before it is looked at again.
const PAUSE: Duration = Duration::from_millis(20);

/// A file that is changed as a whole.
pub struct Place {
    path: PathBuf,
    /// The file whose owner, group, mode and access list a new one gets.
    like: Option<PathBuf>,
    /// Whether others keep their own in it too.
    shared: bool,
    created: AtomicBool,
    most: Most,
    /// Whether an empty file was given time to be filled.
    waited: AtomicBool,
}

/// Where a file is to be changed.
struct Spot {
    folder: Folder,
    way: Way,
    /// Whose file it is, or will be.
    owner: Option<u32>,
}

/// What a file should be after a change.
pub enum Wanted {
    /// As it is.
    Same,
    /// With this content.
    Content(Zeroizing<Vec<u8>>),
    /// No longer there.
    Gone,
}

impl Place {
    /// Names the file; nothing is opened.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            like: None,
            shared: false,
            created: AtomicBool::new(false),
            most: Most::default(),
            waited: AtomicBool::new(false),
        }
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
    pub fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
        let found = admission::read(&self.path)?;
        if let Some(found) = &found {
            self.most.note(found);
        }
        Ok(found.map(|found| found.bytes))
    }

    /// Changes the file as `change` says, which is given its content and may be asked again if that changes
    /// meanwhile. Durable when it returns; on failure nothing has changed, and no temporary file is left.
    ///
    /// Owner, group, mode, access list and attributes stay exactly as they are, whatever the umask; a new file has mode
    /// 0600, or is as open as the one that it is like. Fails with [`FileFault::Refused`] where they cannot be kept and for
    /// files that are not the user's alone, with [`FileFault::Shrank`] where there is less in the file than was read,
    /// with [`FileFault::Busy`] or [`FileFault::Changed`] if others do not leave the file alone, with
    /// [`FileFault::Failed`], and as `change` does.
    pub fn edit<E: From<FileError>>(
        &self,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Wanted, E>,
    ) -> Result<(), E> {
        let spot = self.locked()?;
        // What a program that held the file open wrote to it when it was replaced already.
        let mut late: Option<Zeroizing<Vec<u8>>> = None;
        for _ in 0..ATTEMPTS {
            let old = self.whole(&spot)?;
            let from = late.take();
            let is_late = from.is_some();
            let from = from.as_ref().or(old.as_ref().map(|found| &found.bytes));
            let wanted = match change(from.map(|bytes| bytes.as_slice())) {
                Ok(Wanted::Same) if is_late => from.cloned().map_or(Wanted::Same, Wanted::Content),
                // What was written late is the last word then.
                Err(error) if is_late => {
                    let theirs = from.cloned().unwrap_or_default();
                    self.put(&spot, old.as_ref(), &theirs)?;
                    spot.folder.sync()?;
                    return Err(error);
                }
                wanted => wanted?,
            };
            let done = match &wanted {
                Wanted::Same => return Ok(()),
                Wanted::Content(new) => self.put(&spot, old.as_ref(), new)?,
                Wanted::Gone => self.remove(&spot, old.as_ref())?,
            };
            if done {
                spot.folder.sync()?;
                self.look_again(&spot, &wanted)?;
                late = self.written_late(old)?;
                if late.is_none() {
                    return Ok(());
                }
            }
        }
        Err(self.changed().into())
    }

    /// Does all that a change does, beside the file and not in its place, and takes it back: the file is not touched.
    /// `reads_back` is given what the disk then holds, and what it says is the answer. Fails as [`Place::edit`] would.
    pub fn prove<E: From<FileError>>(
        &self,
        change: impl FnOnce(Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, E>,
        reads_back: impl FnOnce(&[u8]) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let spot = self.locked()?;
        let old = self.whole(&spot)?;
        let new = change(old.as_ref().map(|found| found.bytes.as_slice()))?;
        // A rename is tried as well, over a file that is as empty as it is short-lived.
        let mut beside = spot.folder.temporary(&spot.way.name)?;
        let prepared = self.prepared(&spot, old.as_ref(), &new)?;
        let renamed = spot.folder.opened().rename(prepared.name(), beside.name());
        renamed.map_err(|source| self.io("replace", &spot, source))?;
        prepared.let_go();
        // The file was synced, which takes room on the disk. The folder is not: nothing of this is to stay.
        let found = spot.folder.opened().open(beside.name()).map_err(|source| self.io("read", &spot, source))?;
        let found = admission::content(&spot.way.path, found)?.bytes;
        let is_same = found == new && reads_back(&found)?;
        beside.remove().map_err(|source| self.io("remove what proved", &spot, source))?;
        Ok(is_same)
    }

    /// Where the file is, in its folder, which was judged and which nobody else of whsec writes to now.
    fn locked(&self) -> Result<Spot, FileError> {
        let way = Way::find(&self.path)?;
        let owner = match (way.folder.owner(&way.name), &self.like) {
            (None, Some(like)) => Way::find(like).ok().and_then(|like| like.folder.owner(&like.name)),
            (owner, _) => owner,
        };
        way.judge(owner)?;
        let folder = Folder::lock(&way)?;
        folder.remove_leftovers(&way.name)?;
        Ok(Spot { folder, way, owner })
    }

    /// The file as it is now. One with less in it than before may be in the middle of being written, and what is
    /// missing would be gone for good; so may one that is gone.
    fn whole(&self, spot: &Spot) -> Result<Option<OpenFile>, FileError> {
        let begun = Instant::now();
        loop {
            let found = self.found(spot)?;
            let before = match &found {
                Some(found) => self.most.above(found),
                None => self.most.bytes().filter(|_| self.shared),
            };
            match before {
                None if self.may_be_filled(found.as_ref()) => {
                    while begun.elapsed() < WRITERS_TIME {
                        sleep(PAUSE);
                        if self.found(spot)?.is_none_or(|now| !now.bytes.is_empty()) {
                            return Err(self.changed());
                        }
                    }
                    self.waited.store(true, Ordering::Relaxed);
                }
                None => {
                    found.iter().for_each(|found| self.most.note(found));
                    return Ok(found);
                }
                Some(_) if begun.elapsed() < WRITERS_TIME => sleep(PAUSE),
                Some(before) => return Err(self.shrank(before, found.map_or(0, |found| found.bytes.len()))),
            }
        }
    }

    /// Whether an empty file, that others keep their own in, may be in the middle of being written, and was not given the time.
    fn may_be_filled(&self, found: Option<&OpenFile>) -> bool {
        let is_empty = found.is_some_and(|found| found.bytes.is_empty());
        self.shared && is_empty && !self.waited.load(Ordering::Relaxed)
    }

    /// What a program wrote to the replaced file, which it held open; `None` where it is as it was read. One that is shorter
    /// is being written.
    fn written_late(&self, old: Option<OpenFile>) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
        let Some(OpenFile { bytes, file, .. }) = old else { return Ok(None) };
        let begun = Instant::now();
        loop {
            let again = file.try_clone().map_err(|source| FileError::failed("read", &self.path, source))?;
            let now = admission::content(&self.path, again)?.bytes;
            match now.len() < bytes.len() {
                false => return Ok(Some(now).filter(|now| *now != bytes)),
                true if begun.elapsed() < WRITERS_TIME => sleep(PAUSE),
                true => return Err(self.shrank(bytes.len(), now.len())),
            }
        }
    }

    fn shrank(&self, from: usize, to: usize) -> FileError {
        FileFault::Shrank { path: self.path.clone(), from, to }.into()
    }

    fn found(&self, spot: &Spot) -> Result<Option<OpenFile>, FileError> {
        admission::read_to_replace(&spot.folder, &spot.way, spot.owner)
    }

    /// Puts new content in place of the file; `false` if that is no longer what it was.
    fn put(&self, spot: &Spot, old: Option<&OpenFile>, new: &[u8]) -> Result<bool, FileError> {
        let temporary = self.prepared(spot, old, new)?;
        let done = self.is_still(spot, old)? && self.swap(spot).put(temporary, old)?;
        if done {
            self.most.forget();
            self.created.fetch_or(old.is_none(), Ordering::Relaxed);
        }
        Ok(done)
    }

    /// Takes the file away; `false` if it is no longer what it was, and is there again.
    fn remove(&self, spot: &Spot, old: Option<&OpenFile>) -> Result<bool, FileError> {
        if !self.is_still(spot, old)? {
            return Ok(false);
        }
        let done = old.map_or(Ok(true), |old| self.swap(spot).remove(old))?;
        if done {
            self.most.forget();
        }
        Ok(done)
    }

    fn swap<'a>(&'a self, spot: &'a Spot) -> Swap<'a> {
        Swap { way: &spot.way, folder: &spot.folder }
    }

    /// A temporary file with the new content that lets others do what the old file does, and is on the disk.
    fn prepared<'a>(&self, spot: &'a Spot, old: Option<&OpenFile>, new: &[u8]) -> Result<Temporary<'a>, FileError> {
        let example = match (old, &self.like) {
            (None, Some(like)) => admission::read(like)?,
            _ => None,
        };
        let temporary = spot.folder.temporary(&spot.way.name)?;
        let Some(mut file) = temporary.file() else { return Err(self.changed()) };
        file.write_all(new).map_err(|source| self.io("write", spot, source))?;
        match old.or(example.as_ref()) {
            Some(found) => {
                let rights =
                    Rights::of(&found.file).map_err(|source| self.io("read the attributes of", spot, source))?;
                rights.give(file).map_err(|unkept| self.unkept(unkept))?;
            }
            None => close_to_others(file).map_err(|source| self.io("set the mode for", spot, source))?,
        }
        // Without this a power cut after the rename may leave an empty file under the target's name.
        file.sync_all().map_err(|source| self.io("sync", spot, source))?;
        Ok(temporary)
    }

    fn is_still(&self, spot: &Spot, old: Option<&OpenFile>) -> Result<bool, FileError> {
        let now = self.found(spot)?;
        Ok(now.as_ref().map(|found| &found.bytes) == old.map(|found| &found.bytes))
    }

    fn look_again(&self, spot: &Spot, wanted: &Wanted) -> Result<(), FileError> {
        let now = self.found(spot)?.map(|found| found.bytes);
        match wanted {
            Wanted::Content(new) if now.as_ref() != Some(new) => Err(self.changed()),
            Wanted::Gone if now.is_some() => Err(self.changed()),
            _ => Ok(()),
        }
    }

    fn io(&self, act: &'static str, spot: &Spot, source: std::io::Error) -> FileError {
        FileError::failed(act, &spot.way.path, source)
    }

    fn unkept(&self, Unkept { what, hint }: Unkept) -> FileError {
        let path = self.path.display();
        FileFault::Refused { why: format!("`{path}` would not stay as it is: {what}"), hint }.into()
    }

    fn changed(&self) -> FileError {
        FileFault::Changed { path: self.path.clone() }.into()
    }
}

fn close_to_others(file: &fs::File) -> std::io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o777
}

#[cfg(test)]
#[path = "replace_tests.rs"]
mod tests;
