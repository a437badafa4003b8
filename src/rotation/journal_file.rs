//! The journal's file: made for its owner only, and still the one that was opened. What is written to one that was removed
//! meanwhile is nowhere.

use std::path::Path;

/// The file that a path led to at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Inode(Option<FileId>);

/// Device and number of a file.
type FileId = (u64, u64);

impl Inode {
    /// The file that is there now.
    pub fn of(path: &Path) -> Self {
        Self(file_id(path))
    }

    /// Whether it is there still. One that was not there to begin with is missed by nobody.
    pub fn is_at(self, path: &Path) -> bool {
        self.0.is_none() || file_id(path) == self.0
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Makes the file, empty, for its owner only; SQLite itself would leave that to the umask, and gives its rollback file
/// the same mode. Where it cannot be made, opening it says why.
pub fn make_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}
