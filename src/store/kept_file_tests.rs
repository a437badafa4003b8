//! What is left beside a store's file, and a file that is less than it was.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::*;
use crate::secret::Secret;
use crate::store::conformance::opened;
use crate::store::{Slot, slots};
use crate::system::FileFault;
use crate::system::text::hex;

fn folder_with(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// What a run that was cut off leaves beside a file.
fn left_beside(path: &Path) -> PathBuf {
    let digest = hex(&Sha256::digest(path.file_name().unwrap().as_encoded_bytes())[..6]);
    let left = path.with_file_name(format!(".whsec-{digest}-0.tmp"));
    fs::write(&left, "left").unwrap();
    left
}

#[test]
fn a11_a_file_that_shrank_since_it_was_read_is_not_written() {
    for left in ["", "A=1\nK=o"] {
        let (folder, path) = folder_with("s", "A=1\nK=old\nB=2\n");
        let store = opened("dotenv:s#K", folder.path());
        store.get(Slot::Current).unwrap();
        fs::write(&path, left).unwrap();
        let new = Secret::new("new");
        let result = store.apply(&[(Slot::Next, Some(&new))]);
        let Err(error @ StoreError::File { fault: FileFault::Shrank { .. }, .. }) = result else {
            panic!("{result:?}")
        };
        assert!(error.to_string().contains(&format!("holds {} bytes and held 14 before", left.len())), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), left);
        // Whoever looks at it anew has seen no more than there is.
        let store = opened("dotenv:s#K", folder.path());
        store.apply(&[(Slot::Next, Some(&new))]).unwrap();
    }
}

#[test]
fn a11_a_file_that_was_taken_away_is_not_begun_anew() {
    let (folder, path) = folder_with("s", "A=1\nK=old\n");
    let store = opened("dotenv:s#K", folder.path());
    store.get(Slot::Current).unwrap();
    fs::remove_file(&path).unwrap();
    let new = Secret::new("new");
    let result = store.apply(&[(Slot::Next, Some(&new))]);
    assert!(matches!(result, Err(StoreError::File { fault: FileFault::Shrank { to: 0, .. }, .. })), "{result:?}");
    assert!(!path.exists());
}

#[test]
fn a_list_of_no_changes_removes_leftovers_of_every_slot() {
    for (reference, slot) in [("file:s", "s.next"), ("dotenv:s#K", "s"), ("json:s#/k", "s")] {
        let folder = tempfile::tempdir().unwrap();
        left_beside(&folder.path().join(slot));
        opened(reference, folder.path()).apply(&[]).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{reference}");
    }
}

#[test]
fn retire_removes_what_a_change_of_another_slot_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let live = Secret::new("live");
    let store = opened("file:s", folder.path());
    store.apply(&[(Slot::Current, Some(&live))]).unwrap();
    let left = left_beside(&folder.path().join("s"));
    slots::retire(store.as_ref(), &live.fingerprint(), slots::ANY).unwrap();
    assert!(!left.exists());
}
