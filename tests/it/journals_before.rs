//! Journals that version 0.1.0 wrote: they still load, and what is open in them is gone on with.

use std::path::Path;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::sandbox::{KEY, Run, Sandbox};

const LARGE: &str = "D4C71B62-7F08-4DC9-9D2C-8F7E2B9C4411";
const SMALL: &str = "d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4411";
const OLD: &str = "whsec_old_0123456789abcdef0123456789abcdef";

/// The sum that format 2 keeps of a rotation.
fn sum(journal: &Connection, id: &str) -> String {
    let mut digest = Sha256::new();
    for rows in [
        "SELECT id, endpoint, target, provider, plan, opened_at, coalesce(closed_at, '') FROM rotations WHERE id = ?1",
        "SELECT CAST(seq AS TEXT), at, by, event FROM events WHERE rotation = ?1 ORDER BY seq",
    ] {
        let mut statement = journal.prepare(rows).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([id]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                let field: String = row.get(column).unwrap();
                digest.update(field.len().to_le_bytes());
                digest.update(field.as_bytes());
            }
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a journal of 0.1.0 into a sandbox, with the sandbox's own address, store and endpoint's last change in it.
fn settle(sandbox: &Sandbox, name: &str) {
    let shown = sandbox.run(&["inspect", "hooks", "--json"]).json();
    let updated_at = shown["at_provider"]["updated_at"].as_str().unwrap_or("2026-01-01T00:00:00Z").to_owned();
    // As 0.1.0 left it: without a key of its own.
    std::fs::remove_dir_all(sandbox.state()).unwrap();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let path = sandbox.state().join("journal.sqlite");
    std::fs::copy(Path::new("tests/fixtures/journals-0.1.0").join(format!("{name}.sqlite")), &path).unwrap();
    let journal = Connection::open(&path).unwrap();
    let address = sandbox.stand_in.base_url();
    let encoded = |text: &str| text.replace(':', "%3A").replace('/', "%2F");
    for (from, to) in [
        ("http://127.0.0.1:8100".to_owned(), address.clone()),
        (encoded("http://127.0.0.1:8100"), encoded(&address)),
        ("/srv/receiver/.env".to_owned(), sandbox.dotenv().display().to_string()),
        ("2026-01-01T00:00:00Z".to_owned(), updated_at),
    ] {
        journal
            .execute(
                "UPDATE rotations SET endpoint = replace(endpoint, ?1, ?2), plan = replace(plan, ?1, ?2)",
                [&from, &to],
            )
            .unwrap();
        journal.execute("UPDATE events SET event = replace(event, ?1, ?2)", [&from, &to]).unwrap();
    }
    let ids: Vec<String> = {
        let mut statement = journal.prepare("SELECT id FROM rotations").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for id in ids {
        journal.execute("UPDATE rotations SET sum = ?2 WHERE id = ?1", params![id, sum(&journal, &id)]).unwrap();
    }
}

/// A sandbox whose target is the endpoint of the Layers journals, in small letters, with this secret staged.
fn layers(staged: u32) -> Sandbox {
    let sandbox = Sandbox::with_ids("layers", &[SMALL]);
    std::fs::write(sandbox.dotenv(), format!("{KEY}={OLD}\n{KEY}_NEW={}\n", secret(staged))).unwrap();
    sandbox
}

fn secret(number: u32) -> String {
    format!("whsec_fixture_{number:02}_{}", "0123456789abcdef".repeat(3))
}

fn format_of(sandbox: &Sandbox) -> i64 {
    let journal = Connection::open(sandbox.state().join("journal.sqlite")).unwrap();
    journal.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// Goes on to the end. That the provider's time of change is another one than that of 0.1.0's call is said apart.
fn said(sandbox: &Sandbox, name: &str) -> Run {
    let steps = ["cutover", name, "--done", "deploy", "--done", "verify", "--done", "drop", "--reason", "release 214"];
    sandbox.run(&steps).exits(9).says("the endpoint was changed, which may have been another rotation");
    sandbox.run(&["cutover", name, "--reason", "nobody rotated"]).exits(11).says("next: drop");
    sandbox.run(&steps).exits(0)
}

#[test]
fn a5_an_open_rotation_of_0_1_0_is_found_under_another_spelling_and_gone_on_with() {
    let sandbox = layers(1);
    settle(&sandbox, "open-stored");
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(5).says("is open already (stored,");
    sandbox.run(&["rotate", &format!("layers/{LARGE}"), "--base-url", &sandbox.stand_in.base_url(), "--yes"]).exits(2);
    assert_eq!(sandbox.rotations(), 0);
    let status = sandbox.run(&["status"]).exits(0);
    assert_eq!(status.stdout.lines().count(), 1, "one endpoint, one line:\n{}", status.stdout);
    assert!(status.stdout.contains("next: deploy"), "{}", status.stdout);
    said(&sandbox, "hooks").says("done: hooks lives on sha256:e9f9c34d45e3");
    assert_eq!(sandbox.slot("").unwrap().expose(), secret(1));
    assert_eq!(sandbox.slot("_OLD"), None);
    assert_eq!(sandbox.rotations(), 0);
    let history = sandbox.run(&["history", "hooks"]).exits(0);
    assert_eq!(history.stdout.lines().count(), 1, "{}", history.stdout);
    assert!(format_of(&sandbox) > 2);
}

#[test]
fn a5_an_unknown_call_of_0_1_0_is_settled() {
    let sandbox = Sandbox::with_ids("verifa", &["we_51x"]);
    settle(&sandbox, "unknown");
    sandbox.run(&["status"]).exits(0);
    sandbox.run(&["rotate", "hooks", "--yes", "--confirm", "we_51x", "--done", "prepare"]).exits(5);
    sandbox.run(&["cutover", "hooks"]).exits(7).says("its outcome is unknown");
    let settled = ["cutover", "hooks", "--resolve", "applied", "--reason", "their log says so"];
    sandbox.run(&settled).exits(4).says("nobody has the secret");
    assert_eq!(sandbox.rotations(), 0);
}

#[test]
fn a5_closed_rotations_of_0_1_0_are_still_there() {
    let sandbox = Sandbox::with_ids("verifa", &["we_51x"]);
    settle(&sandbox, "closed");
    let history = sandbox.run(&["history", "--json"]).exits(0).json();
    assert_eq!(history["rotations"][0]["secret"]["fingerprint"], "sha256:8e1a9d1d4ca9");
    assert!(sandbox.run(&["status"]).exits(0).stdout.contains("secret is"));
    sandbox.rotate().exits(0);
}

#[test]
fn a5_two_open_rotations_of_one_endpoint_are_both_kept_and_refused_until_one_is_given_up() {
    let sandbox = layers(3);
    settle(&sandbox, "two-spellings");
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    for words in [vec!["cutover", "hooks"], vec!["finish", "hooks"], vec!["rotate", "hooks", "--yes"]] {
        let run =
            sandbox.run(&words).exits(5).says("two rotations of `d4c71b62-").says("(`hooks`, stored").says("(`other`,");
        assert!(run.stderr.contains("whsec abandon ROTATION --reason TEXT"), "{}", run.stderr);
    }
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before);
    assert_eq!(sandbox.requests(), 1, "the look that was before them all");
    let journal = Connection::open(sandbox.state().join("journal.sqlite")).unwrap();
    let id = |target: &str| -> String {
        journal.query_row("SELECT id FROM rotations WHERE target = ?1", [target], |row| row.get(0)).unwrap()
    };
    sandbox.run(&["abandon", &id("other"), "--reason", "the same endpoint", "--yes"]).exits(0);
    said(&sandbox, "hooks").says("done: hooks lives on");
    assert_eq!(sandbox.run(&["history"]).exits(0).stdout.lines().count(), 2);
}

#[test]
fn a5_of_two_open_rotations_the_one_that_is_named_is_gone_on_with() {
    let sandbox = layers(3);
    settle(&sandbox, "two-spellings");
    sandbox.run(&["status"]).exits(0);
    let journal = Connection::open(sandbox.state().join("journal.sqlite")).unwrap();
    let sql = "SELECT id FROM rotations WHERE target = 'hooks'";
    let id: String = journal.query_row(sql, [], |row| row.get(0)).unwrap();
    drop(journal);
    said(&sandbox, &id).says("done: hooks lives on").says_not("OTHER_SECRET");
    assert_eq!(sandbox.slot("").unwrap().expose(), secret(3));
    sandbox.run(&["cutover", "hooks"]).says_not("two rotations");
}

#[test]
fn a5_a_journal_of_0_1_0_on_a_read_only_disk_can_be_looked_at() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED needs root for a read-only mount");
        return;
    }
    let sandbox = layers(1);
    settle(&sandbox, "open-stored");
    let script = format!(
        "mount --bind {0} {0} && mount -o remount,ro,bind {0} && exec \"$0\" \"$@\"",
        sandbox.state().display()
    );
    let mut unshared = std::process::Command::new("unshare");
    unshared.args(["-m", "sh", "-c", &script, env!("CARGO_BIN_EXE_whsec"), "status"]);
    unshared.env_clear().env("HOME", sandbox.path("home")).env("XDG_CONFIG_HOME", sandbox.path("home/.config"));
    unshared
        .env("XDG_STATE_HOME", sandbox.path("state"))
        .env("PATH", "/usr/bin:/bin")
        .current_dir(sandbox.path("work"));
    let run = sandbox.watch(unshared.output().unwrap());
    if run.stderr.contains("unshare:") || run.stderr.contains("mount:") {
        println!("SKIPPED cannot mount here");
        return;
    }
    assert!(run.exits(0).stdout.contains("next: deploy"));
    assert_eq!(format_of(&sandbox), 2, "left as it was");
}
