//! Writes a config file so that a reader sees the old text or the new one, whole, and nobody else sees either.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::ConfigError;

/// Replaces the file's text, or makes the file (0600) and its folder (0700). A link is followed, so that a file kept
/// elsewhere stays there. Fails where the file no longer holds `old`: somebody else wrote it meanwhile.
pub fn replace(path: &Path, old: Option<&str>, new: &str) -> Result<(), ConfigError> {
    let unwritable = |source| ConfigError::Unwritable { path: path.to_owned(), source };
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    make_folder(&folder).map_err(unwritable)?;
    // The temporary file is private from its first moment.
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(unwritable)?;
    file.write_all(new.as_bytes()).map_err(unwritable)?;
    // Without this a power cut can leave the new name with no content.
    file.as_file().sync_all().map_err(unwritable)?;
    let now = match fs::read_to_string(&target) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unwritable(error)),
    };
    if now.as_deref() != old {
        return Err(unwritable(io::Error::other("it was changed meanwhile; run the command again")));
    }
    file.persist(&target).map_err(|error| unwritable(error.error))?;
    sync_folder(&folder).map_err(unwritable)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    // The rename itself lives in the folder.
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
