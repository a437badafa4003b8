//! Somebody else writes a slot while a rotation is open: what they put there is neither moved nor removed, and it is said.

use std::time::Duration;

use whsec::secret::Secret;

use crate::sandbox::{KEY, Run, Sandbox};

const SAID: [&str; 6] = ["cutover", "hooks", "--done", "deploy", "--done", "verify"];

/// A secret of somebody else's.
fn foreign() -> Secret {
    Secret::new("whsec_Zm9yZWlnbi1zZWNyZXQtb2Ytc29tZWJvZHk=")
}

/// Puts a value into a slot of the dotenv file, as an editor would; `None` removes its line.
fn put(sandbox: &Sandbox, suffix: &str, value: Option<&Secret>) {
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    let name = format!("{KEY}{suffix}=");
    let mut kept: String =
        text.lines().filter(|line| !line.starts_with(&name)).map(|line| format!("{line}\n")).collect();
    kept.extend(value.map(|value| format!("{name}{}\n", value.expose())));
    std::fs::write(sandbox.dotenv(), kept).unwrap();
}

/// Runs a command that has to find the foreign value, name it, and write nothing.
#[track_caller]
fn refused(sandbox: &Sandbox, words: &[&str], suffix: &str) -> Run {
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    let run = sandbox.run(&[words, &["--json"]].concat()).exits(9);
    assert_eq!(run.json()["error"]["kind"], "gate");
    let name = format!("`{KEY}{suffix}` of `dotenv:{}#{KEY}`", sandbox.dotenv().display());
    let run = run.says(&name).says(&foreign().fingerprint().to_string()).says("hint: find out who put it there");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before, "something was written");
    run
}

#[test]
fn a1_a_foreign_live_secret_is_neither_moved_nor_removed() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(2));
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    put(&sandbox, "", Some(&foreign()));
    sandbox.until_the_overlap_is_over();
    for words in [&["cutover", "hooks"][..], &["cutover", "hooks", "--wait"], &["finish", "hooks"]] {
        refused(&sandbox, words, "");
    }
    put(&sandbox, "", Some(&old));
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn a1_what_is_put_over_the_new_live_secret_is_said_before_anything_is_retired() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    put(&sandbox, "", Some(&foreign()));
    refused(&sandbox, &SAID, "");
    // The deploy tool that writes what it always wrote.
    put(&sandbox, "", Some(&old));
    let run = sandbox.run(&SAID).exits(9);
    run.says(&format!("holds {}, which", old.fingerprint())).says(&format!("and not {}", new.fingerprint()));
    put(&sandbox, "", Some(&new));
    sandbox.run(&SAID).exits(11).says("next: drop");
    put(&sandbox, "", Some(&foreign()));
    refused(&sandbox, &["cutover", "hooks", "--done", "drop"], "");
}

#[test]
fn a1_a_foreign_previous_is_neither_overwritten_nor_removed() {
    let layers = Sandbox::with_window("layers", Duration::from_secs(2));
    layers.rotate().exits(0);
    layers.run(&SAID).exits(11);
    put(&layers, "_OLD", Some(&foreign()));
    layers.until_the_overlap_is_over();
    refused(&layers, &["cutover", "hooks"], "_OLD");

    let verifa = Sandbox::new("verifa");
    verifa.rotate().exits(0);
    put(&verifa, "_OLD", Some(&foreign()));
    refused(&verifa, &SAID, "_OLD");
    put(&verifa, "_OLD", None);
    verifa.run(&SAID).exits(11).says("next: drop");
}

#[test]
fn a1_a_foreign_previous_is_found_before_anything_is_sent() {
    let sandbox = Sandbox::new("layers");
    put(&sandbox, "_OLD", Some(&foreign()));
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    sandbox.rotate().exits(6).says(&format!("`{KEY}_OLD` holds a secret ({})", foreign().fingerprint()));
    assert_eq!((std::fs::read(sandbox.dotenv()).unwrap(), sandbox.rotations()), (before, 0));
}

#[test]
fn a1_a_foreign_next_is_not_overwritten_by_the_secret_that_was_there() {
    for provider in ["layers", "verifa"] {
        let sandbox = Sandbox::new(provider);
        let old = sandbox.newest();
        let id = sandbox.id();
        sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--detach"]).exits(0);
        let new = sandbox.newest();
        put(&sandbox, "_NEW", Some(&foreign()));
        refused(&sandbox, &["cutover", "hooks"], "_NEW");
        put(&sandbox, "_NEW", Some(&new));
        sandbox.run(&["cutover", "hooks"]).exits(11);
        assert_eq!(sandbox.slots(&old)[1], if provider == "layers" { "old" } else { "new" });
    }
}

#[test]
fn a1_rollback_makes_nothing_live_but_the_old_secret() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    for (suffix, value) in [("_OLD", Some(&old)), ("", Some(&new)), ("_NEW", None)] {
        put(&sandbox, suffix, Some(&foreign()));
        refused(&sandbox, &["rollback", "hooks"], suffix);
        put(&sandbox, suffix, value);
    }
    sandbox.run(&["rollback", "hooks"]).exits(0).says("the old secret is live again");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["cutover", "hooks", "--yes"]).exits(11);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn a1_every_store_is_compared_before_the_first_is_changed() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(2));
    let old = sandbox.newest();
    let mounted = sandbox.path("work/mounted");
    std::fs::write(&mounted, old.expose()).unwrap();
    sandbox.stores(&[&format!("dotenv:./receiver.env#{KEY}"), "file:./mounted"]);
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    std::fs::write(&mounted, foreign().expose()).unwrap();
    sandbox.until_the_overlap_is_over();
    let run = sandbox.run(&["cutover", "hooks"]).exits(9);
    run.says(&format!("`{}` of `file:", mounted.display())).says(&foreign().fingerprint().to_string());
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    std::fs::write(&mounted, old.expose()).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: drop");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn a11_a_live_slot_that_was_emptied_stops_before_the_write() {
    let being_written = "perhaps it is being written at this moment";
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let whole = std::fs::read(sandbox.dotenv()).unwrap();
    std::fs::write(sandbox.dotenv(), "").unwrap();
    let run = sandbox.run(&["cutover", "hooks"]).exits(9);
    run.says(being_written).says(&old.fingerprint().to_string()).says("hint: run the same command again");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), b"");
    std::fs::write(sandbox.dotenv(), whole).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(11);
}

#[test]
fn a11_not_even_a_canary_goes_into_a_file_that_is_empty_and_was_not() {
    let sandbox = Sandbox::new("verifa");
    sandbox.rotate().exits(0);
    sandbox.run(&[&SAID[..], &["--done", "drop"]].concat()).exits(0);
    let whole = std::fs::read(sandbox.dotenv()).unwrap();
    std::fs::write(sandbox.dotenv(), "").unwrap();
    let run = sandbox.rotate().exits(9).says("perhaps it is being written at this moment").says("nothing was sent");
    assert!(run.stderr.contains("write any value there"), "{}", run.stderr);
    assert_eq!((std::fs::read(sandbox.dotenv()).unwrap(), sandbox.rotations()), (Vec::new(), 1));
    std::fs::write(sandbox.dotenv(), whole).unwrap();
    sandbox.rotate().exits(0);
}
