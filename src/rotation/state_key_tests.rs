//! The key is made once, for its owner, and takes over what was there before it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

#[test]
fn b4_a_key_is_made_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert!(StateKey::look(folder.path()).unwrap().is_none());
    let keys: Vec<String> = std::thread::scope(|scope| {
        let make = || StateKey::open(folder.path()).unwrap().stamps.stamp("x", &[]);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let path = folder.path().join(NAME);
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    for mode in [0o640, 0o602, 0o644] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        assert!(matches!(StateKey::open(folder.path()), Err(StateKeyError::NotPrivate { .. })), "{mode:o}");
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(matches!(StateKey::open(folder.path()), Err(StateKeyError::Malformed { .. })), "none is made in its place");
}

#[test]
fn b4_what_was_there_before_the_key_is_taken_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Uuid::new_v4(), Uuid::new_v4());
    std::fs::create_dir(folder.path().join("seals")).unwrap();
    std::fs::write(folder.path().join(format!("seals/{old}.age")), "").unwrap();
    std::fs::write(folder.path().join("journal.sqlite"), "").unwrap();
    let key = StateKey::open(folder.path()).unwrap();
    assert!(key.takes_journal() && key.takes_seal(old) && !key.takes_seal(new));
    key.has_taken_journal();
    let again = StateKey::open(folder.path()).unwrap();
    assert!(!again.takes_journal() && again.takes_seal(old));
    assert_eq!(again.stamps.stamp("x", &[]), key.stamps.stamp("x", &[]));
}
