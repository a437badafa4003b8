//! One process of this machine at a time on one endpoint: an advisory lock that dies with its holder.

use std::cell::Cell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::lock_error::LockError;
use crate::system::text::hex;

/// Held as long as the value lives, but for the time between [`Self::release`] and [`Self::reacquire`].
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
    holder: String,
    is_held: Cell<bool>,
}

impl FileLock {
    /// Takes the endpoint's lock at once or fails. `holder` tells the next one who has it.
    pub fn take(state: &Path, endpoint_key: &str, holder: &str) -> Result<Self, LockError> {
        let digest = Sha256::digest(endpoint_key.as_bytes());
        let name = hex(&digest[..12]);
        let folder = state.join("locks");
        let path = folder.join(name);
        let io = |source| match crate::system::private::is_read_only(state) {
            true => LockError::ReadOnly { folder: state.to_owned() },
            false => LockError::Io { path: path.clone(), source },
        };
        crate::system::private::folder(&folder).map_err(io)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(io)?;
        let lock = Self { file, path: path.clone(), holder: holder.to_owned(), is_held: Cell::new(false) };
        lock.lock()?;
        lock.note().map_err(io)?;
        Ok(lock)
    }

    /// Lets others act on the endpoint while this process only waits.
    pub fn release(&self) {
        // Where that fails nobody is worse off than before.
        if self.is_held() {
            self.is_held.set(self.file.unlock().is_err());
        }
    }

    /// Whether nobody else can act on the endpoint now.
    pub fn is_held(&self) -> bool {
        self.is_held.get()
    }

    /// Takes the lock that was let go of, at once, or fails.
    pub fn reacquire(&self) -> Result<(), LockError> {
        self.lock()?;
        // A disk that is full by now is no reason to stop with a secret half way.
        let _ = self.note();
        Ok(())
    }

    /// Tells the next one who has the lock.
    fn note(&self) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(self.holder.as_bytes())
    }

    fn lock(&self) -> Result<(), LockError> {
        let mut file = &self.file;
        match file.try_lock() {
            Ok(()) => {
                self.is_held.set(true);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The note only serves the message; who holds the lock may be writing it this moment.
                let _ = file.rewind().and_then(|()| file.take(300).read_to_string(&mut text));
                let holder = Some(text.trim()).filter(|text| !text.is_empty()).unwrap_or("begun this moment");
                Err(LockError::Held { holder: holder.to_owned() })
            }
            Err(TryLockError::Error(source)) => Err(LockError::Io { path: self.path.clone(), source }),
        }
    }
}
