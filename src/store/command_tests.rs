//! Programs that fail, hang, talk too much, or must not see something.

use super::*;
use crate::store::slots::{ANY, promote, prove, stage};

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

fn write_only(put: Vec<String>, clear: Option<Vec<String>>) -> Result<CommandStore, StoreError> {
    let spec = CommandSpec { put, get: None, clear, absent: 44, ..CommandSpec::default() };
    let surroundings =
        Surroundings { commands: std::sync::Arc::new([("x".to_owned(), spec)].into()), ..Surroundings::default() };
    CommandStore::open("x", &SlotNames::default(), &surroundings)
}

#[test]
fn a_program_that_does_not_read_its_input_has_failed() {
    let long = Secret::new("x".repeat(200_000));
    let store = write_only(shell("exec <&-; sleep 0.1"), None).unwrap();
    assert!(matches!(store.apply(&[(Slot::Next, Some(&long))]), Err(StoreError::Program { .. })));
}

#[test]
fn the_secret_is_on_standard_input_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let script = format!(
        "(tr '\\0' '\\n' < /proc/$$/environ; tr '\\0' ' ' < /proc/$$/cmdline; env) > {}; cat >/dev/null",
        seen.display()
    );
    let store = write_only(shell(&script), None).unwrap();
    stage(&store, &Secret::new("whsec_hidden"), ANY).unwrap();
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("PATH="));
    assert!(!seen.contains("whsec_hidden"));
    assert!(seen.contains("CARGO_MANIFEST_DIR="));
}

#[test]
fn without_get_a_store_is_proved_by_writing_alone() {
    let folder = tempfile::tempdir().unwrap();
    let put = |slot: &str| {
        ["sh", "-c", "cat > \"$0/$1\"", &folder.path().display().to_string(), slot].map(str::to_owned).to_vec()
    };
    let clear = ["rm".to_owned(), format!("{}/{{slot}}", folder.path().display())];
    let (new, canary) = (Secret::new("new"), Secret::new("canary"));

    let store = write_only(put("{slot}"), Some(clear.to_vec())).unwrap();
    assert_eq!(store.access(), Access::WriteOnly);
    prove(&store, &canary).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    stage(&store, &new, ANY).unwrap();
    promote(&store, &new.fingerprint(), Some(&new), ANY).unwrap();
    assert!(!folder.path().join("next").exists());
    assert_eq!(std::fs::read_to_string(folder.path().join("current")).unwrap(), "new");

    // Without `clear` a canary could not be taken back, so none is put.
    let store = write_only(put("{slot}"), None).unwrap();
    prove(&store, &canary).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    for missing in ["/no/such/program", "no-such-program-at-all"] {
        let store = write_only(vec![missing.to_owned()], None).unwrap();
        assert!(matches!(prove(&store, &canary), Err(StoreError::Program { .. })));
    }
}

#[test]
fn names_are_filled_in_once_and_are_no_options() {
    assert_eq!(filled("a{slot}/{target}b", "{target}", "t{slot}"), "a{target}/t{slot}b");
    let names = SlotNames { next: Some("--force".to_owned()), ..SlotNames::default() };
    let spec = CommandSpec {
        put: ["true", "{slot}"].map(str::to_owned).to_vec(),
        get: None,
        clear: None,
        absent: 44,
        ..CommandSpec::default()
    };
    let surroundings =
        Surroundings { commands: std::sync::Arc::new([("x".to_owned(), spec)].into()), ..Surroundings::default() };
    let store = CommandStore::open("x", &names, &surroundings).unwrap();
    assert!(matches!(store.apply(&[(Slot::Next, Some(&Secret::new("s")))]), Err(StoreError::Program { .. })));
}

#[test]
fn what_cannot_work_is_refused_before_anything_starts() {
    let spec =
        CommandSpec { put: shell("cat"), get: Some(shell("cat")), clear: None, absent: 44, ..CommandSpec::default() };
    let surroundings =
        Surroundings { commands: std::sync::Arc::new([("x".to_owned(), spec)].into()), ..Surroundings::default() };
    assert!(matches!(CommandStore::open("x", &SlotNames::default(), &surroundings), Err(StoreError::Refused { .. })));
    assert!(matches!(CommandStore::open("y", &SlotNames::default(), &surroundings), Err(StoreError::Refused { .. })));
    assert!(matches!(write_only(Vec::new(), None), Err(StoreError::Refused { .. })));
}
