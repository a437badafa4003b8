//! What somebody does to a file between the last look at it and its replacement.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;

fn a_file() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old").unwrap();
    (folder, path)
}

/// The file as it was read, and then changed by somebody else before it is replaced.
fn read_before(path: &Path, theirs: &str) -> OpenFile {
    let found = admission::content(path, fs::File::open(path).unwrap()).unwrap();
    fs::write(path.with_extension("theirs"), theirs).unwrap();
    fs::rename(path.with_extension("theirs"), path).unwrap();
    found
}

#[test]
fn a11_what_somebody_writes_after_the_last_look_is_put_back() {
    for is_removed in [false, true] {
        let (folder, path) = a_file();
        let way = Way::find(&path).unwrap();
        let locked = Folder::lock(&way).unwrap();
        let old = read_before(&path, "theirs");
        let swap = Swap { way: &way, folder: &locked };
        let done = match is_removed {
            true => swap.remove(&old).unwrap(),
            false => swap.put(locked.temporary(&way.name).unwrap(), Some(&old)).unwrap(),
        };
        assert!(!done);
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a8_a_mode_that_somebody_mends_after_the_last_look_stays_mended() {
    let (_folder, path) = a_file();
    let way = Way::find(&path).unwrap();
    let locked = Folder::lock(&way).unwrap();
    let old = admission::content(&path, fs::File::open(&path).unwrap()).unwrap();
    let swap = Swap { way: &way, folder: &locked };
    let temporary = locked.temporary(&way.name).unwrap();
    // The file that was read has its rights by now, and they are compared as they are.
    fs::write(path.with_extension("theirs"), "old").unwrap();
    fs::set_permissions(path.with_extension("theirs"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::rename(path.with_extension("theirs"), &path).unwrap();
    assert!(!swap.put(temporary, Some(&old)).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
}
