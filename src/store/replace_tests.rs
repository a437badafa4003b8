//! Which files are replaced, with which modes, and what happens when others interfere.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use zeroize::Zeroizing;

use super::*;
use crate::store::STORE_DEADLINE;

fn write(path: &Path, content: &str) -> Result<(), StoreError> {
    let place = Place::new("file:test".to_owned(), path.to_owned());
    place.edit(|_| Ok(Wanted::Content(Zeroizing::new(content.as_bytes().to_vec()))))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn folder_with(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn refused(path: &Path, part: &str) {
    match write(path, "new") {
        Err(StoreError::Refused { why, .. }) => assert!(why.contains(part), "{why}"),
        other => panic!("expected a refusal for {part}, got {other:?}"),
    }
    let folder = path.parent().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        assert!(!entry.unwrap().file_name().to_string_lossy().starts_with(".whsec-"));
    }
}

#[test]
#[ignore = "changes the umask of the whole process; run alone by tests/run"]
fn no_umask_makes_a_new_file_open_or_changes_an_old_ones_mode() {
    for umask in [0o000, 0o022, 0o777] {
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = folder.path().join("new");
        write(&path, "new").unwrap();
        let mut modes = vec![(0o600, mode(&path))];
        for old in [0o600, 0o644, 0o666, 0o400, 0o440, 0o640, 0o700] {
            fs::set_permissions(&path, fs::Permissions::from_mode(old)).unwrap();
            write(&path, &format!("{old:o}")).unwrap();
            modes.push((old, mode(&path)));
        }
        rustix::process::umask(before);
        for (expected, found) in modes {
            assert_eq!(format!("{found:o}"), format!("{expected:o}"), "umask {umask:o}");
        }
    }
}

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
    write(&path, "new").unwrap();
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
    write(&path, "new").unwrap();
    assert_eq!(rights(&path), before);
}

#[test]
fn a8_the_files_beside_a_live_one_are_read_by_whom_reads_it() {
    let (folder, path) = folder_with("live", "old");
    let_in(&path);
    let store = crate::store::conformance::opened("file:live", folder.path());
    let (old, new) = (crate::secret::Secret::new("old"), crate::secret::Secret::new("new"));
    crate::store::slots::stage(store.as_ref(), &new, crate::store::slots::ANY).unwrap();
    assert_eq!(rights(&folder.path().join("live.next")), rights(&path));
    crate::store::slots::promote(store.as_ref(), &new.fingerprint(), None, crate::store::slots::ANY).unwrap();
    assert_eq!(rights(&folder.path().join("live.previous")), rights(&path));
    assert_eq!(store.get(crate::store::Slot::Previous).unwrap(), Some(old));
}

#[test]
fn a8_proving_a_store_leaves_its_file_as_it_was() {
    let canary = crate::secret::Secret::new("canary_0123456789");
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
        let store = crate::store::conformance::opened(reference, folder.path());
        crate::store::slots::prove(store.as_ref(), &canary).unwrap();
        assert_eq!(look(), before, "{reference}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{reference}");
    }
}

#[test]
fn a11_a_file_that_shrank_since_it_was_read_is_not_written() {
    for left in ["", "A=1\nK=o"] {
        let (folder, path) = folder_with("s", "A=1\nK=old\nB=2\n");
        let store = crate::store::conformance::opened("dotenv:s#K", folder.path());
        store.get(crate::store::Slot::Current).unwrap();
        fs::write(&path, left).unwrap();
        let new = crate::secret::Secret::new("new");
        let result = store.apply(&[(crate::store::Slot::Next, Some(&new))]);
        let Err(error @ StoreError::Shrank { .. }) = result else { panic!("{result:?}") };
        assert!(error.to_string().contains(&format!("holds {} bytes and held 14 before", left.len())), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), left);
        // Whoever looks at it anew has seen no more than there is.
        let store = crate::store::conformance::opened("dotenv:s#K", folder.path());
        store.apply(&[(crate::store::Slot::Next, Some(&new))]).unwrap();
    }
}

#[test]
fn a11_a_file_that_was_taken_away_is_not_begun_anew() {
    let (folder, path) = folder_with("s", "A=1\nK=old\n");
    let store = crate::store::conformance::opened("dotenv:s#K", folder.path());
    store.get(crate::store::Slot::Current).unwrap();
    fs::remove_file(&path).unwrap();
    let new = crate::secret::Secret::new("new");
    let result = store.apply(&[(crate::store::Slot::Next, Some(&new))]);
    assert!(matches!(result, Err(StoreError::Shrank { to: 0, .. })), "{result:?}");
    assert!(!path.exists());
}

#[test]
fn a_symlink_stays_and_its_target_is_replaced() {
    let (folder, path) = folder_with("target", "old");
    let link = folder.path().join("link");
    symlink("target", &link).unwrap();
    let chain = folder.path().join("chain");
    symlink(&link, &chain).unwrap();
    write(&chain, "new").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::symlink_metadata(&chain).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(path).unwrap(), "new");

    let round = folder.path().join("round");
    symlink("round", &round).unwrap();
    refused(&round, "loop");
}

#[test]
fn what_is_not_a_regular_file_is_refused_without_waiting() {
    let (folder, _) = folder_with("other", "old");
    let started = Instant::now();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    refused(&fifo, "not a regular file");
    assert!(admission::read("file:test", &fifo).is_err());
    let inner = folder.path().join("folder");
    fs::create_dir(&inner).unwrap();
    refused(&inner, "not a regular file");
    assert!(write(Path::new("/dev/null"), "new").is_err());
    assert!(started.elapsed() < STORE_DEADLINE);
}

#[test]
fn a_file_with_a_second_name_is_refused() {
    let (folder, path) = folder_with("one", "old");
    let two = folder.path().join("two");
    fs::hard_link(&path, &two).unwrap();
    refused(&path, "hard links");
    assert_eq!(fs::read_to_string(two).unwrap(), "old");
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (folder, path) = folder_with("foreign", "old");
    chown(&path, Some(12345), None).unwrap();
    refused(&path, "another user");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");

    let (_elsewhere, ours) = folder_with("ours", "old");
    let link = folder.path().join("link");
    symlink(&ours, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
    refused(&link, "somebody else's symlink");
    assert_eq!(fs::read_to_string(&ours).unwrap(), "old");

    let ours = folder.path().join("ours");
    fs::write(&ours, "old").unwrap();
    chown(folder.path(), Some(12345), None).unwrap();
    refused(&ours, "others can write to");
}

#[test]
fn a_folder_that_everybody_can_write_to_is_refused_unless_sticky() {
    let (folder, path) = folder_with("file", "old");
    for (mode, is_refused) in [(0o777, true), (0o702, true), (0o775, false), (0o1777, false), (0o700, false)] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        match is_refused {
            true => refused(&path, "others can write to"),
            false => write(&path, "new").unwrap(),
        }
    }
}

#[test]
fn a_missing_folder_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(&folder.path().join("no/file"), "new").unwrap_err();
    assert!(matches!(&error, StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound));
    assert_eq!(error.hint().as_deref(), Some("make the folder first; whsec makes the file"));
}

#[test]
fn a_change_by_somebody_else_is_built_upon() {
    let (_folder, path) = folder_with("file", "old");
    let place = Place::new("file:test".to_owned(), path.clone());
    let mut calls = 0;
    let change = |old: Option<&[u8]>| {
        calls += 1;
        if calls == 1 {
            fs::write(&path, "theirs").unwrap();
        }
        Ok(Wanted::Content(Zeroizing::new([old.unwrap(), b"+ours"].concat())))
    };
    place.edit(change).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs+ours");
}

#[test]
fn somebody_else_who_never_rests_is_an_error_and_keeps_the_last_word() {
    let (folder, path) = folder_with("file", "old");
    let place = Place::new("file:test".to_owned(), path.clone());
    let mut calls = 0;
    let result = place.edit(|_| {
        calls += 1;
        fs::write(&path, format!("theirs {calls}")).unwrap();
        Ok(Wanted::Content(Zeroizing::new(b"ours".to_vec())))
    });
    assert!(matches!(result, Err(StoreError::Changed { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("theirs {ATTEMPTS}"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_appears_meanwhile_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let place = Place::new("file:test".to_owned(), path.clone());
    let change = |old: Option<&[u8]>| {
        if old.is_none() {
            fs::write(&path, "theirs").unwrap();
        }
        Ok(Wanted::Content(Zeroizing::new([old.unwrap_or_default(), b"+ours"].concat())))
    };
    place.edit(change).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs+ours");
    assert!(!place.is_created());
}

#[test]
fn leftovers_of_this_file_and_no_other_are_removed() {
    let (folder, path) = folder_with("file", "old");
    let left = |target: &Path| {
        let folder = Folder::lock("file:test", folder.path()).unwrap();
        folder.temporary(target).unwrap().keep().unwrap().1
    };
    let (ours, others) = (left(&path), left(&folder.path().join("other")));
    write(&path, "new").unwrap();
    assert!(!ours.exists());
    assert!(others.exists());
}

#[test]
fn a_list_of_no_changes_removes_leftovers_of_every_slot() {
    for (reference, slot) in [("file:s", "s.next"), ("dotenv:s#K", "s"), ("json:s#/k", "s")] {
        let folder = tempfile::tempdir().unwrap();
        let locked = Folder::lock("file:test", folder.path()).unwrap();
        locked.temporary(&folder.path().join(slot)).unwrap().keep().unwrap();
        drop(locked);
        crate::store::conformance::opened(reference, folder.path()).apply(&[]).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{reference}");
    }
}

#[test]
fn retire_removes_what_a_change_of_another_slot_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let live = crate::secret::Secret::new("live");
    let store = crate::store::conformance::opened("file:s", folder.path());
    store.apply(&[(crate::store::Slot::Current, Some(&live))]).unwrap();
    let locked = Folder::lock("file:test", folder.path()).unwrap();
    let left = locked.temporary(&folder.path().join("s")).unwrap().keep().unwrap().1;
    drop(locked);
    crate::store::slots::retire(store.as_ref(), &live.fingerprint(), crate::store::slots::ANY).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_lock_held_for_too_long_is_an_error_in_time() {
    let (folder, path) = folder_with("file", "old");
    let _held = Folder::lock("file:test", folder.path()).unwrap();
    let started = Instant::now();
    let begun = std::time::Instant::now();
    let error = write(&path, "new").unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }) && begun.elapsed() < 4 * STORE_DEADLINE, "{error}");
    // B11: whoever can read a folder can lock it.
    if cfg!(target_os = "linux") {
        let named = format!("(process {})", std::process::id());
        assert!(error.to_string().contains(&named), "{error}");
    }
    assert!(started.elapsed() < STORE_DEADLINE + std::time::Duration::from_secs(1));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}
