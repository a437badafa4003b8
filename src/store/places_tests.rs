//! One place has one name.

use super::super::{SlotNames, Surroundings, open};
use super::*;

fn of(text: &str) -> Vec<(Slot, String)> {
    let reference = Reference::parse(text).unwrap();
    let store = open(&reference, &SlotNames::default(), &Surroundings::default()).unwrap();
    places(&reference, store.as_ref())
}

#[test]
fn a10_one_place_has_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(path("a")).unwrap();
    std::fs::write(path("a/.env"), "").unwrap();
    std::os::unix::fs::symlink(path("a"), path("b")).unwrap();
    std::os::unix::fs::symlink(path("a/.env"), path("linked")).unwrap();
    let own = of(&format!("dotenv:{}#K", path("a/.env")));
    for other in ["a/../a/.env", "b/.env", "linked"] {
        assert_eq!(of(&format!("dotenv:{}#K", path(other))), own, "{other}");
    }
    assert_ne!(of(&format!("dotenv:{}#L", path("a/.env"))), own);
    // What is not there yet, and what another store names as its live slot.
    assert_eq!(of(&format!("file:{}", path("a/new"))), of(&format!("file:{}", path("b/new"))));
    let [next, _, _] = of(&format!("file:{}", path("a/new"))).try_into().unwrap();
    let [_, current, _] = of(&format!("file:{}", path("b/new.next"))).try_into().unwrap();
    assert_eq!(next.1, current.1);
}
