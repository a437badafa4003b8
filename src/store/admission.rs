//! Which files a store may read and replace. Looks only; changes nothing.
//!
//! A file is read if it is a regular one. It is replaced only if nobody else has a hand in it: the user owns it
//! and every symlink on the way to it, it has one name, and nobody else can put another file in its place.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::StoreError;

/// Symlinks that are followed one after the other before it counts as a loop.
const LINKS: usize = 8;

/// The most that is read of a file, in bytes; no file of settings comes near.
const LIMIT: u64 = 4 * 1024 * 1024;

/// A file as it was found, still open.
pub(super) struct Found {
    pub bytes: Zeroizing<Vec<u8>>,
    pub metadata: Metadata,
    pub file: File,
}

/// Reads a whole file, following symlinks; `None` where there is none. A pipe or a device is not opened for
/// long enough to wait for it.
pub(super) fn read(store: &str, path: &Path) -> Result<Option<Found>, StoreError> {
    match open(path, Links::Followed) {
        Ok(file) => content(store, path, file).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::io(store, "read", path, source)),
    }
}

/// Reads a whole file that is to be replaced, once it is admitted. A symlink put here since the path was resolved is not
/// followed.
pub(super) fn read_to_replace(store: &str, path: &Path) -> Result<Option<Found>, StoreError> {
    let file = match open(path, Links::Refused) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::io(store, "read", path, source)),
    };
    let metadata = file.metadata().map_err(|source| StoreError::io(store, "read", path, source))?;
    admit(store, path, &metadata)?;
    refuse_fixed(store, path, &file)?;
    content(store, path, file).map(Some)
}

fn content(store: &str, path: &Path, mut file: File) -> Result<Found, StoreError> {
    let metadata = file.metadata().map_err(|source| StoreError::io(store, "read", path, source))?;
    if !metadata.is_file() {
        return Err(refused(store, path, "is not a regular file", "name a file, not a folder, pipe or device"));
    }
    if metadata.len() > LIMIT {
        return Err(refused(store, path, "is too large to be a file of settings", "is it the right file?"));
    }
    // Reserved at once, so that no smaller buffer with a secret is left behind in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
    let read = Read::by_ref(&mut file).take(LIMIT).read_to_end(&mut bytes);
    read.map_err(|source| StoreError::io(store, "read", path, source))?;
    Ok(Found { bytes, metadata, file })
}

/// The file that a write to `path` replaces: `path` itself, or the end of the symlinks there, each of which the
/// user must own. The file need not exist; its folder must.
pub(super) fn resolve(store: &str, path: &Path) -> Result<PathBuf, StoreError> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                if !is_ours(&metadata) {
                    return Err(refused(store, &path, "is somebody else's symlink", "name the file it points to"));
                }
                let to = fs::read_link(&path).map_err(|source| StoreError::io(store, "follow", &path, source))?;
                path = path.parent().unwrap_or(Path::new("/")).join(to);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(path),
            Err(source) => return Err(StoreError::io(store, "look at", &path, source)),
        }
    }
    Err(refused(store, &path, "is a symlink in a loop of symlinks", "name the file itself"))
}

/// Refuses a file that somebody else owns or that has further names, under which the old content would live on.
fn admit(store: &str, path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    if !metadata.is_file() {
        return Err(refused(store, path, "is not a regular file", "name a file, not a folder, pipe or device"));
    }
    if !is_ours(metadata) {
        return Err(refused(store, path, "belongs to another user", "run whsec as the user who owns it"));
    }
    if names(metadata) > 1 {
        return Err(refused(store, path, "has hard links", "the old secret would stay under the other name; copy it"));
    }
    Ok(())
}

/// Refuses a file whose name cannot be given to another: one that is mounted by itself, as containers mount files, and one
/// that was made unchangeable.
#[cfg(target_os = "linux")]
fn refuse_fixed(store: &str, path: &Path, file: &File) -> Result<(), StoreError> {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
    // An old kernel, or a filter of calls, cannot tell: then the rename does.
    let Ok(found) = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS) else { return Ok(()) };
    if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        let hint =
            "mount the folder around it in place of the file, or name the file on the machine that it comes from";
        return Err(refused(store, path, "is a mount of its own, and cannot be replaced as a whole", hint));
    }
    if found.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        let hint = "somebody made it so: `lsattr` shows it, `chattr -ia` undoes it";
        return Err(refused(store, path, "is marked as unchangeable", hint));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn refuse_fixed(_: &str, _: &Path, _: &File) -> Result<(), StoreError> {
    Ok(())
}

/// Refuses a folder in which somebody else could put another file in place of ours: writable for everybody, or
/// for a group where the user does not own it, and not sticky as `/tmp` is.
pub(super) fn admit_folder(store: &str, path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    if !metadata.is_dir() {
        return Err(refused(store, path, "is not a folder", "name a file in a folder"));
    }
    if let Some(fix) = open_to_others(path, metadata) {
        return Err(refused(store, path, "is a folder that others can write to", &fix));
    }
    Ok(())
}

fn refused(store: &str, path: &Path, why: &str, hint: &str) -> StoreError {
    StoreError::Refused { store: store.to_owned(), why: format!("`{}` {why}", path.display()), hint: hint.to_owned() }
}

/// What becomes of a symlink at the end of a path.
#[derive(PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

#[cfg(unix)]
fn open(path: &Path, links: Links) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Non-blocking, because opening a named pipe waits for its writer otherwise.
    let mut flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    flags.set(rustix::fs::OFlags::NOFOLLOW, links == Links::Refused);
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

/// Whether nobody but the user can read or write the file.
#[cfg(unix)]
pub(super) fn is_private(metadata: &Metadata) -> bool {
    is_ours(metadata) && std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 == 0
}

#[cfg(not(unix))]
pub(super) fn is_private(_: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn is_ours(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(unix)]
fn names(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

/// What mends that somebody else could exchange files in a folder; `None` where nobody could.
#[cfg(unix)]
fn open_to_others(path: &Path, metadata: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let mode = metadata.mode();
    let is_sticky = mode & 0o1000 != 0;
    let bits = match () {
        () if !is_ours(metadata) && metadata.uid() != 0 => {
            return Some("it is another user's: choose another folder, or run whsec as that user".to_owned());
        }
        () if mode & 0o002 != 0 && !is_sticky => "o-w",
        () if mode & 0o020 != 0 && !is_sticky && !is_ours(metadata) => "g-w",
        () => return None,
    };
    let chmod = format!("chmod {bits} '{}'", path.display());
    Some(if is_ours(metadata) { chmod } else { format!("choose another folder, or as its owner: {chmod}") })
}

#[cfg(not(unix))]
fn open(path: &Path, _: Links) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(not(unix))]
fn is_ours(_: &Metadata) -> bool {
    true
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}

#[cfg(not(unix))]
fn open_to_others(_: &Path, _: &Metadata) -> Option<String> {
    None
}
