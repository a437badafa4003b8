//! Files to be searched: those that are named, and those in folders that are named, in the order of their names. Only reads; a link
//! that is met on the way is not followed, and what is no file is not opened.

use std::fs::{File, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Something on the way.
pub enum Met {
    /// A file, opened.
    File(File),
    /// What is not looked into, and what it is.
    Skipped(&'static str),
    /// What could not be read.
    Unread(io::Error),
}

/// Calls for everything that there is at a path. What is named itself is read whatever it is, also through a link.
pub fn walk(named: &Path, each: &mut dyn FnMut(&Path, Met)) {
    match named.metadata() {
        Ok(found) if !found.is_dir() => match File::open(named) {
            Ok(file) => each(named, Met::File(file)),
            Err(error) => each(named, Met::Unread(error)),
        },
        Ok(_) => folder(named, each),
        Err(error) => each(named, Met::Unread(error)),
    }
}

fn folder(named: &Path, each: &mut dyn FnMut(&Path, Met)) {
    let mut left = Vec::new();
    add(named, &mut left, each);
    while let Some(path) = left.pop() {
        match path.symlink_metadata().map(|found| found.file_type()) {
            Ok(kind) if kind.is_dir() => add(&path, &mut left, each),
            Ok(kind) if kind.is_file() => each(&path, opened(&path)),
            Ok(kind) => each(&path, Met::Skipped(word(kind))),
            Err(error) => each(&path, Met::Unread(error)),
        }
    }
}

/// Puts what is in a folder onto the pile, the first name on top.
fn add(folder: &Path, left: &mut Vec<PathBuf>, each: &mut dyn FnMut(&Path, Met)) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return each(folder, Met::Unread(error)),
    };
    let begin = left.len();
    for entry in entries {
        match entry {
            Ok(entry) => left.push(entry.path()),
            Err(error) => each(folder, Met::Unread(error)),
        }
    }
    left[begin..].sort_unstable_by(|one, other| other.cmp(one));
}

/// Opens a file that was one a moment ago: what has taken its place meanwhile is neither followed nor waited for.
fn opened(path: &Path) -> Met {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(error) => return Met::Unread(error.into()),
    };
    match file.metadata().map(|found| found.file_type()) {
        Ok(kind) if kind.is_file() => Met::File(file),
        Ok(kind) => Met::Skipped(word(kind)),
        Err(error) => Met::Unread(error),
    }
}

fn word(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "symbolic link"
    } else if kind.is_fifo() {
        "pipe"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_block_device() || kind.is_char_device() {
        "device"
    } else {
        "folder"
    }
}
