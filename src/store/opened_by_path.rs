//! A folder, and what is done to the names in it, where folders cannot be held open.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;

/// A folder, by its path.
pub(super) struct Opened(PathBuf);

/// A folder there has a list of its own of who may write to it.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    pub owner: u32,
    pub is_link: bool,
}

impl Standing {
    pub fn is_trusted(&self, _: Option<u32>) -> bool {
        true
    }

    pub fn is_own(&self) -> bool {
        true
    }

    pub fn open_to_others(&self) -> Option<char> {
        None
    }
}

impl Opened {
    pub fn at(folder: PathBuf) -> io::Result<(Self, Standing)> {
        fs::metadata(&folder)?;
        Ok((Self(folder), Standing { owner: 0, is_link: false }))
    }

    pub fn owner(&self, _: &OsStr) -> Option<u32> {
        None
    }

    pub fn readable(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    pub fn try_lock(&self) -> Result<(), TryLockError> {
        Ok(())
    }

    pub fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    pub fn files(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name());
            }
        }
        Ok(names)
    }

    pub fn open(&self, name: &OsStr) -> io::Result<File> {
        OpenOptions::new().read(true).open(self.0.join(name))
    }

    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.0.join(name))
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        if self.0.join(to).exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename(from, to)
    }

    pub fn exchange(&self, _: &OsStr, _: &OsStr) -> io::Result<bool> {
        Ok(false)
    }
}
