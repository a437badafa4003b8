//! A config file as it lies on disk: its text, how far it is trusted, and where in it something stands.
//!
//! Reads files and their modes; knows nothing of the environment.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::places::Places;
use super::{ConfigError, Position};
use crate::system::owned::{self, NotOwned};

/// Longest config file that is read, in bytes.
pub const LONGEST: u64 = 1 << 20;

/// How far a config file is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The user's own: everything in it is honoured.
    Own,
    /// Came with a checkout; the user trusts this very content.
    Granted,
    /// Came with a checkout: may name targets and files inside the checkout, no more.
    Checkout,
}

/// A config file that was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Absolute.
    pub path: PathBuf,
    pub text: String,
    pub trust: Trust,
    /// Where in the text lines begin, once that was asked for.
    pub places: Places,
}

impl ConfigFile {
    /// Reads the user's own file; `None` if there is none. Refuses one that somebody else could have written.
    pub fn own(path: &Path) -> Result<Option<Self>, ConfigError> {
        let not_owned = |error: NotOwned| {
            error.map(
                path,
                |path, source| ConfigError::Unreadable { path, source },
                |path, why, fix| ConfigError::NotPrivate { path, why, fix },
            )
        };
        let Some(text) = owned::read_text(path, LONGEST).map_err(not_owned)? else { return Ok(None) };
        Ok(Some(Self::own_with(path, text)))
    }

    /// The user's own file as it would be with this text.
    pub fn own_with(path: &Path, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), text: text.into(), trust: Trust::Own, places: Places::default() }
    }

    /// Reads a file that came with a checkout; `None` if there is none. It is trusted as far as `is_trusted` says of it.
    pub fn checkout(path: &Path, is_trusted: impl FnOnce(&Self) -> bool) -> Result<Option<Self>, ConfigError> {
        let Some(text) = read(path)? else { return Ok(None) };
        let mut file = Self { path: path.to_owned(), text, trust: Trust::Checkout, places: Places::default() };
        if is_trusted(&file) {
            file.trust = Trust::Granted;
        }
        Ok(Some(file))
    }

    /// The folder in which relative paths start.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Line and column of a byte in the text.
    pub fn place(&self, offset: usize) -> Position {
        self.places.of(&self.text, &self.path, offset)
    }
}

/// Line and column of a byte in the text of a file.
pub(super) fn place(text: &str, path: &Path, offset: usize) -> Position {
    Places::default().of(text, path, offset)
}

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // A link that leads nowhere is not the same as no file.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    };
    if !metadata.is_file() {
        // Opening a pipe would wait for its other end.
        return Err(unreadable(io::Error::other("not a regular file")));
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LONGEST {
        return Err(unreadable(io::Error::other("longer than 1 MiB")));
    }
    Ok(Some(text))
}
