//! Which files may be read and replaced. Looks only; changes nothing.
//!
//! A file is read if it is a regular one. It is replaced only if nobody else has a hand in it: the user owns it, it has
//! one name, and nobody else can put another file in its place.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::folder::Folder;
use super::way::Way;
use super::{FileError, FileFault};

/// The most that is read of a file, in bytes; no file of settings comes near.
const LIMIT: u64 = 4 * 1024 * 1024;

/// How often a file is read because somebody wrote to it meanwhile, and how long to wait before.
const READINGS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// A file as it was found, still open.
pub(super) struct OpenFile {
    pub bytes: Zeroizing<Vec<u8>>,
    pub metadata: Metadata,
    pub file: File,
}

/// Reads a whole file; `None` where there is none in a folder that there is. Symlinks are followed on a way that nobody else has
/// a hand in. A pipe or a device is not opened for long enough to wait for it.
pub(super) fn read(path: &Path) -> Result<Option<OpenFile>, FileError> {
    let opened = match open_without_links(path) {
        Some(Ok(file)) => Ok(file),
        Some(Err(error)) if error.kind() != ErrorKind::NotFound => Err(error),
        without => {
            let way = Way::find(path)?;
            if without.is_none() {
                way.judge(way.folder.owner(&way.name))?;
            }
            way.folder.open(&way.name)
        }
    };
    match opened {
        Ok(file) => content(path, file).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::failed("read", path, source)),
    }
}

/// Reads a whole file that is to be replaced, once it is admitted: the user's, or for root that of the `owner` by whom its
/// folders were judged.
pub(super) fn read_to_replace(folder: &Folder, way: &Way, owner: Option<u32>) -> Result<Option<OpenFile>, FileError> {
    let file = match folder.opened().open(&way.name) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FileError::failed("read", &way.path, source)),
    };
    let metadata = file.metadata().map_err(|source| FileError::failed("read", &way.path, source))?;
    admit(&way.path, &metadata, owner)?;
    refuse_fixed(&way.path, &file)?;
    content(&way.path, file).map(Some)
}

/// The content of an open file, from its beginning, as it was at one moment: what is written to while it is read is read
/// again. Fails with [`FileFault::Changed`] if that does not end.
pub(super) fn content(path: &Path, mut file: File) -> Result<OpenFile, FileError> {
    let failed = |source| FileError::failed("read", path, source);
    let mut metadata = file.metadata().map_err(failed)?;
    for _ in 0..READINGS {
        if !metadata.is_file() {
            return Err(refused(path, "is not a regular file", "name a file, not a folder, pipe or device"));
        }
        if metadata.len() > LIMIT {
            return Err(refused(path, "is too large to be a file of settings", "is it the right file?"));
        }
        // Reserved at once, so that no smaller buffer with a secret is left behind in memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
        file.rewind().map_err(failed)?;
        Read::by_ref(&mut file).take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
        let after = file.metadata().map_err(failed)?;
        if is_untouched(&metadata, &after) && bytes.len() as u64 == after.len() {
            return Ok(OpenFile { bytes, metadata: after, file });
        }
        metadata = after;
        std::thread::sleep(PAUSE);
    }
    Err(FileFault::Changed { path: path.to_owned() }.into())
}

/// Whether nobody wrote to a file between two looks at it.
fn is_untouched(before: &Metadata, after: &Metadata) -> bool {
    before.len() == after.len() && before.modified().ok() == after.modified().ok()
}

/// Refuses a file that somebody else owns or that has further names, under which the old content would live on.
fn admit(path: &Path, metadata: &Metadata, owner: Option<u32>) -> Result<(), FileError> {
    if !metadata.is_file() {
        return Err(refused(path, "is not a regular file", "name a file, not a folder, pipe or device"));
    }
    if !is_ours(metadata) && !is_roots_to_change(metadata, owner) {
        return Err(refused(path, "belongs to another user", "run whsec as the user who owns it"));
    }
    if names(metadata) > 1 {
        return Err(refused(path, "has hard links", "the old secret would stay under the other name; copy it"));
    }
    Ok(())
}

/// Refuses a file whose name cannot be given to another: one that is mounted by itself, as containers mount files, and one
/// that was made unchangeable.
#[cfg(target_os = "linux")]
fn refuse_fixed(path: &Path, file: &File) -> Result<(), FileError> {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
    // An old kernel, or a filter of calls, cannot tell: then the rename does.
    let Ok(found) = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS) else { return Ok(()) };
    if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        let hint =
            "mount the folder around it in place of the file, or name the file on the machine that it comes from";
        return Err(refused(path, "is a mount of its own, and cannot be replaced as a whole", hint));
    }
    if found.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        let hint = "somebody made it so: `lsattr` shows it, `chattr -ia` undoes it";
        return Err(refused(path, "is marked as unchangeable", hint));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn refuse_fixed(_: &Path, _: &File) -> Result<(), FileError> {
    Ok(())
}

pub(super) fn refused(path: &Path, why: &str, hint: &str) -> FileError {
    FileFault::Refused { why: format!("`{}` {why}", path.display()), hint: hint.to_owned() }.into()
}

/// Opens a file on a path without symlinks, as most are; `None` where there may be one, and on an old kernel.
#[cfg(target_os = "linux")]
fn open_without_links(path: &Path) -> Option<std::io::Result<File>> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use rustix::io::Errno;
    // Non-blocking, because opening a named pipe waits for its writer otherwise.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(file) => Some(Ok(file.into())),
        Err(Errno::LOOP | Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::AGAIN) => None,
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_without_links(_: &Path) -> Option<std::io::Result<File>> {
    None
}

/// Whether nobody but the user can read or write the file.
pub(super) fn is_private(metadata: &Metadata) -> bool {
    is_ours(metadata) && std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 == 0
}

fn is_ours(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

fn names(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

fn is_roots_to_change(metadata: &Metadata, owner: Option<u32>) -> bool {
    use std::os::unix::fs::MetadataExt;
    rustix::process::geteuid().is_root() && owner == Some(metadata.uid())
}
