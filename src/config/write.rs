//! Writes a config file as stores write theirs: a reader sees the old text or the new one, whole, and what somebody else wrote
//! meanwhile stays.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::ConfigError;
use crate::system::private;

/// Replaces the file's text, or makes the file (0600) and its folder (0700). A link is followed, so that a file kept
/// elsewhere stays there. Fails where the file no longer holds `old`: somebody else wrote it meanwhile.
pub fn replace(path: &Path, old: Option<&str>, new: &str) -> Result<(), ConfigError> {
    let unwritable = |source| ConfigError::Unwritable { path: path.to_owned(), source };
    let folder = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
    make_folder(&folder).map_err(unwritable)?;
    let mut is_changed = false;
    let edited = private::edit(path, |found| {
        is_changed = found != old.map(str::as_bytes);
        (!is_changed).then(|| Zeroizing::new(new.as_bytes().to_vec()))
    });
    edited.map_err(|error| unwritable(io::Error::other(error)))?;
    if is_changed {
        return Err(unwritable(io::Error::other("it was changed meanwhile; run the command again")));
    }
    Ok(())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    use std::os::unix::fs::DirBuilderExt;
    builder.mode(0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_config_that_somebody_else_changed_is_left_and_one_that_is_not_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/config.toml");
        replace(&path, None, "a = 1\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&path, Some("a = 1\n"), "a = 2\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        for old in [None, Some("a = 1\n")] {
            let error = replace(&path, old, "a = 3\n").unwrap_err();
            assert!(matches!(error, ConfigError::Unwritable { .. }), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 2\n");
    }
}
