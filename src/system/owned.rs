//! Files that decide where keys go and what is run: read only where nobody but the user, or root, could have written them.
//!
//! A file is opened once; its owner and mode are those of what was opened, and its text comes from there. Nobody else may be
//! able to put another one in its place either, so every folder above it is looked at, by its name and by where links lead.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file is not read.
#[derive(Debug, Error)]
pub enum NotOwned {
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
    /// Somebody else could have written it.
    #[error("{why}")]
    NotPrivate { why: &'static str, fix: String },
}

/// The bytes of a file, `None` where there is none. A link that leads nowhere is not the same as no file.
pub fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, NotOwned> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => return Ok(None),
        Err(error) => return Err(NotOwned::Unreadable(error)),
    };
    let metadata = file.metadata().map_err(NotOwned::Unreadable)?;
    if !metadata.is_file() {
        return Err(NotOwned::Unreadable(io::Error::other("not a regular file")));
    }
    judge_file(path, &metadata)?;
    judge_folders(path)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(NotOwned::Unreadable)?;
    if bytes.len() as u64 > most {
        return Err(NotOwned::Unreadable(io::Error::other(format!("longer than {} KiB", most >> 10))));
    }
    Ok(Some(bytes))
}

/// Opens a file without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

fn judge_file(path: &Path, metadata: &Metadata) -> Result<(), NotOwned> {
    use std::os::unix::fs::MetadataExt;
    if !is_trustworthy(metadata.uid()) {
        let fix = format!("look into it, then take it over: chown \"$USER\" {}", quoted(path));
        return Err(NotOwned::NotPrivate { why: "another user owns it", fix });
    }
    if metadata.mode() & 0o022 != 0 {
        let fix = format!("look into it, then: chmod go-w {}", quoted(path));
        return Err(NotOwned::NotPrivate { why: "other users may write it", fix });
    }
    Ok(())
}

/// Looks at every folder above the file, and above the one that it is a link to.
fn judge_folders(path: &Path) -> Result<(), NotOwned> {
    let absolute = std::path::absolute(path).map_err(NotOwned::Unreadable)?;
    let real = path.canonicalize().map_err(NotOwned::Unreadable)?;
    let mut seen: Vec<&Path> = Vec::new();
    for folder in absolute.ancestors().skip(1).chain(real.ancestors().skip(1)) {
        if !seen.contains(&folder) {
            judge_folder(folder, &folder.metadata().map_err(NotOwned::Unreadable)?)?;
            seen.push(folder);
        }
    }
    Ok(())
}

fn judge_folder(folder: &Path, metadata: &Metadata) -> Result<(), NotOwned> {
    use std::os::unix::fs::MetadataExt;
    let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
    if !is_trustworthy(owner) {
        let fix = format!("look into {}, or keep the file below a folder of your own", quoted(folder));
        return Err(NotOwned::NotPrivate { why: "another user owns a folder above it", fix });
    }
    // A sticky folder such as /tmp lets nobody move what others have put there.
    let is_sticky = mode & 0o1000 != 0;
    let is_shared = mode & 0o002 != 0 || (mode & 0o020 != 0 && !is_own_group(group));
    if is_shared && !is_sticky {
        let fix = format!("look into it, then: chmod go-w {}", quoted(folder));
        return Err(NotOwned::NotPrivate { why: "other users may write a folder above it", fix });
    }
    Ok(())
}

/// Whether a group is the user's alone: the one of the same number, as systems make it together with a user.
fn is_own_group(group: u32) -> bool {
    let (user, own) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    group == own && group == user
}

/// Root, and the user.
fn is_trustworthy(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

/// A path as it is typed in a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned())
}

/// The same as text, with an error as any reader of files has it.
pub fn read_text(path: &Path, most: u64) -> Result<Option<String>, NotOwned> {
    let Some(bytes) = read(path, most)? else { return Ok(None) };
    let invalid = |_| NotOwned::Unreadable(io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"));
    String::from_utf8(bytes).map(Some).map_err(invalid)
}

impl NotOwned {
    /// Takes the error apart for an enum of a module's own.
    pub fn map<E>(
        self,
        path: &Path,
        unreadable: impl FnOnce(PathBuf, io::Error) -> E,
        not_private: impl FnOnce(PathBuf, &'static str, String) -> E,
    ) -> E {
        match self {
            Self::Unreadable(source) => unreadable(path.to_owned(), source),
            Self::NotPrivate { why, fix } => not_private(path.to_owned(), why, fix),
        }
    }
}

#[cfg(test)]
#[path = "owned_tests.rs"]
mod tests;
