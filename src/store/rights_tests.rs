//! What others may do with a file stays, whatever is done to it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use crate::secret::Secret;
use crate::store::conformance::opened;
use crate::store::{Slot, slots};

/// Owner, group and mode, and attributes by name.
type Rights = ((u32, u32, u32), Vec<(String, Vec<u8>)>);

fn rights(path: &Path) -> Rights {
    let metadata = fs::metadata(path).unwrap();
    let mut names = vec![0; 4096];
    let length = rustix::fs::listxattr(path, &mut names[..]).unwrap_or(0);
    let names = String::from_utf8(names[..length].to_vec()).unwrap();
    let value = |name: &str| {
        let mut value = vec![0; 4096];
        let length = rustix::fs::getxattr(path, name, &mut value[..]).unwrap();
        (name.to_owned(), value[..length].to_vec())
    };
    let attributes = names.split('\0').filter(|name| !name.is_empty()).map(value).collect();
    ((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), attributes)
}

/// An access list in the kernel's own form, which lets one more user read.
fn access_list() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] =
        [(0x01, 6, u32::MAX), (0x02, 4, 33), (0x04, 4, u32::MAX), (0x10, 4, u32::MAX), (0x20, 0, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, may, id) in entries {
        list.extend([tag.to_le_bytes().as_slice(), &may.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    list
}

/// Lets others in as a receiver needs it: as far as this user may, and this disk can.
fn let_in(path: &Path) {
    use rustix::fs::{XattrFlags, setxattr};
    if rustix::process::geteuid().is_root() {
        chown(path, None, Some(33)).unwrap();
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    for (name, value) in [("system.posix_acl_access", access_list()), ("user.receiver", b"app".to_vec())] {
        let _ = setxattr(path, name, &value, XattrFlags::empty());
    }
}

#[test]
fn a8_a_files_owner_group_mode_access_list_and_attributes_stay() {
    let (_folder, path) = folder_with("file", "old");
    let_in(&path);
    let before = rights(&path);
    opened("file:file", path.parent().unwrap()).apply(&[(Slot::Current, Some(&Secret::new("new")))]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(rights(&path), before);
    assert_eq!(before.0.2, 0o640);
}

#[test]
fn a8_a_folders_default_list_does_not_open_a_file_that_has_none() {
    let (folder, path) = folder_with("file", "old");
    let before = rights(&path);
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(folder.path(), "system.posix_acl_default", &access_list(), flags).is_err() {
        return;
    }
    opened("file:file", path.parent().unwrap()).apply(&[(Slot::Current, Some(&Secret::new("new")))]).unwrap();
    assert_eq!(rights(&path), before);
}

#[test]
fn a8_the_files_beside_a_live_one_are_read_by_whom_reads_it() {
    let (folder, path) = folder_with("live", "old");
    let_in(&path);
    let store = opened("file:live", folder.path());
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    slots::stage(store.as_ref(), &new, slots::ANY).unwrap();
    assert_eq!(rights(&folder.path().join("live.next")), rights(&path));
    slots::promote(store.as_ref(), &new.fingerprint(), None, slots::ANY).unwrap();
    assert_eq!(rights(&folder.path().join("live.previous")), rights(&path));
    assert_eq!(store.get(Slot::Previous).unwrap(), Some(old));
}

#[test]
fn a8_proving_a_store_leaves_its_file_as_it_was() {
    let canary = Secret::new("canary_0123456789");
    for (reference, content) in
        [("file:s", "old"), ("dotenv:s#K", "# why\nK=old\n"), ("json:s#/k", "{\"k\": \"old\"}\n")]
    {
        let (folder, path) = folder_with("s", content);
        let_in(&path);
        let look = || {
            let metadata = fs::metadata(&path).unwrap();
            (rights(&path), metadata.ino(), metadata.mtime_nsec(), metadata.ctime_nsec(), fs::read(&path).unwrap())
        };
        let before = look();
        let store = opened(reference, folder.path());
        slots::prove(store.as_ref(), &canary).unwrap();
        assert_eq!(look(), before, "{reference}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{reference}");
    }
}

fn folder_with(name: &str, content: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}
