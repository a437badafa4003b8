//! A journal that is damaged, foreign or newer: refused with a plain word, and nothing is sent.

use std::path::PathBuf;

use crate::sandbox::Sandbox;

/// What makes a journal one of version 0.1.0, and one of the format before that.
pub const SECOND: &str = "
    DROP TABLE heads;
    DROP INDEX one_pending_rotation_per_endpoint;
    DROP INDEX one_open_rotation_per_endpoint;
    ALTER TABLE rotations DROP COLUMN replaces;
    DROP INDEX rotations_not_identified;
    DROP INDEX rotations_by_endpoint;
    ALTER TABLE rotations DROP COLUMN identified;
    CREATE UNIQUE INDEX one_open_rotation_per_endpoint ON rotations (endpoint) WHERE closed_at IS NULL;
    PRAGMA user_version = 2;
";
const FIRST: &str = "ALTER TABLE rotations DROP COLUMN sum; PRAGMA user_version = 1;";

fn journal(sandbox: &Sandbox) -> PathBuf {
    sandbox.state().join("journal.sqlite")
}

/// A sandbox with one closed rotation and an open one, so that the journal has some size.
fn used() -> Sandbox {
    let sandbox = Sandbox::new("verifa");
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    sandbox
}

fn refuses(sandbox: &Sandbox, what: &str) {
    let before = sandbox.requests();
    let id = sandbox.id();
    let damaged = std::fs::read(journal(sandbox)).unwrap();
    for arguments in [
        vec!["rotate", "hooks", "--confirm", &id, "--done", "prepare"],
        vec!["cutover", "hooks"],
        vec!["status"],
        vec!["history"],
    ] {
        let run = sandbox.run(&arguments).exits(1);
        assert!(run.stderr.contains("is damaged, or none of whsec"), "{what}: {arguments:?}\n{}", run.stderr);
        assert!(run.stderr.contains("hint: nothing was sent; keep a copy of"), "{what}: {}", run.stderr);
    }
    assert_eq!(sandbox.requests(), before, "{what}");
    assert_eq!(std::fs::read(journal(sandbox)).unwrap(), damaged, "{what}: it is left as it is, for whoever mends it");
}

#[test]
fn text_and_other_databases_are_not_journals() {
    let sandbox = used();
    std::fs::write(journal(&sandbox), "this is a note to myself, and not a database\n".repeat(40)).unwrap();
    refuses(&sandbox, "text");
    std::fs::remove_file(journal(&sandbox)).unwrap();
    let other = rusqlite::Connection::open(journal(&sandbox)).unwrap();
    other.execute_batch("CREATE TABLE recipes (name TEXT); PRAGMA user_version = 1").unwrap();
    drop(other);
    refuses(&sandbox, "another program's database");
}

#[test]
fn a_truncated_journal_is_refused() {
    let sandbox = used();
    let whole = std::fs::read(journal(&sandbox)).unwrap();
    for keep in [100, 1000, 4096, 5000, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        std::fs::write(journal(&sandbox), &whole[..keep]).unwrap();
        refuses(&sandbox, &format!("{keep} of {} bytes", whole.len()));
    }
}

#[test]
fn flipped_bytes_never_lead_to_a_call() {
    let sandbox = used();
    let whole = std::fs::read(journal(&sandbox)).unwrap();
    let id = sandbox.id();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut broken = whole.clone();
        broken[at] ^= 0xff;
        std::fs::write(journal(&sandbox), &broken).unwrap();
        // Without --confirm nothing is ever sent; what counts is that it ends in a plain word.
        let run = sandbox.run(&["inspect", "hooks"]);
        assert!([0, 1].contains(&run.code), "byte {at}: {} {}", run.code, run.stderr);
        assert!(!run.stderr.contains("panicked"), "byte {at}: {}", run.stderr);
        let sent = sandbox.rotate_requests().len();
        if run.code == 1 {
            refused += 1;
            sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare"]).exits(1);
            assert_eq!(sandbox.rotate_requests().len(), sent, "byte {at}");
        }
    }
    assert!(refused > 5, "only {refused} of the flips were noticed");
}

#[test]
fn a_newer_journal_is_left_to_the_newer_whsec() {
    let sandbox = used();
    let connection = rusqlite::Connection::open(journal(&sandbox)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = sandbox.requests();
    sandbox
        .rotate()
        .exits(1)
        .says("was written by a newer whsec (format 99, this one knows ")
        .says("hint: install the newer whsec on this machine");
    assert_eq!(sandbox.requests(), before);
}

#[test]
fn a_journal_of_the_format_before_is_taken_over() {
    let sandbox = used();
    let connection = rusqlite::Connection::open(journal(&sandbox)).unwrap();
    connection.execute_batch(SECOND).unwrap();
    connection.execute_batch(FIRST).unwrap();
    drop(connection);
    std::fs::remove_file(sandbox.state().join("state-key")).unwrap();
    let history = sandbox.run(&["history", "--json"]).exits(0).json();
    assert_eq!(history["rotations"][0]["status"], "done");
    sandbox.run(&["status"]).exits(0);
    sandbox.rotate().exits(0);
    let connection = rusqlite::Connection::open(journal(&sandbox)).unwrap();
    connection.execute_batch("UPDATE events SET at = '2020-01-01T00:00:00Z' WHERE seq = 1").unwrap();
    drop(connection);
    refuses(&sandbox, "another time in an event");
}

#[test]
fn a_row_that_is_not_as_it_was_written_is_damage() {
    for (what, change) in [
        ("another word in a plan", "UPDATE rotations SET plan = replace(plan, 'verifa', 'verifb')"),
        ("another endpoint", "UPDATE rotations SET endpoint = endpoint || 'x'"),
        ("a rotation that is open again", "UPDATE rotations SET closed_at = NULL"),
        ("another attempt", "UPDATE events SET event = replace(event, '\"attempt\":1', '\"attempt\":2')"),
        ("an event less", "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)"),
        ("events without a rotation", "PRAGMA foreign_keys = OFF; DELETE FROM rotations"),
    ] {
        let sandbox = used();
        let connection = rusqlite::Connection::open(journal(&sandbox)).unwrap();
        connection.execute_batch(change).unwrap();
        drop(connection);
        refuses(&sandbox, what);
    }
}

#[test]
fn e2_a_damaged_rotation_that_is_over_hides_no_open_one() {
    let sandbox = used();
    sandbox.rotate().exits(0);
    let connection = rusqlite::Connection::open(journal(&sandbox)).unwrap();
    let change = "UPDATE rotations SET plan = replace(plan, 'verifa', 'verifb') WHERE closed_at IS NOT NULL";
    assert_eq!(connection.execute(change, []).unwrap(), 1);
    drop(connection);
    let sent = sandbox.rotate_requests().len();
    let status = sandbox.run(&["status"]).exits(1).says("is damaged, or none of whsec");
    assert!(status.stdout.contains("next: deploy"), "{}", status.stdout);
    let json = sandbox.run(&["status", "--json"]).exits(1).json();
    assert_eq!((&json["status"], &json["targets"][0]["step"]), (&"failed".into(), &"deploy".into()), "{json}");
    sandbox.run(&["doctor"]).exits(1);
    sandbox.run(&["history"]).exits(1).says("is damaged, or none of whsec");
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    // What comes next depends on all that was.
    sandbox.rotate().exits(1).says("is damaged, or none of whsec");
    assert_eq!(sandbox.rotate_requests().len(), sent);
}

#[test]
fn e2_a_rotation_that_is_taken_out_whole_is_missed() {
    let sandbox = used();
    let connection = rusqlite::Connection::open(journal(&sandbox)).unwrap();
    connection.execute_batch("DELETE FROM events; DELETE FROM rotations").unwrap();
    drop(connection);
    refuses(&sandbox, "a rotation less");
    let connection = rusqlite::Connection::open(journal(&sandbox)).unwrap();
    connection.execute_batch("DELETE FROM heads WHERE endpoint <> ''").unwrap();
    drop(connection);
    refuses(&sandbox, "an endpoint less");
}

#[test]
fn a_plan_that_cannot_be_read_is_damage() {
    let sandbox = used();
    let connection = rusqlite::Connection::open(journal(&sandbox)).unwrap();
    connection.execute_batch("UPDATE rotations SET plan = '{\"steps\": []}'").unwrap();
    drop(connection);
    let before = sandbox.requests();
    sandbox.rotate().exits(1).says("is damaged, or none of whsec");
    assert_eq!(sandbox.requests(), before);
}

#[test]
fn the_journal_is_private_and_holds_no_secret() {
    use std::os::unix::fs::MetadataExt;
    let sandbox = used();
    for (path, bytes) in sandbox.all_files() {
        if path.starts_with(sandbox.state()) {
            let mode = std::fs::metadata(&path).unwrap().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("whsec_") && !text.contains(sandbox.api_key.expose()), "{}", path.display());
        }
    }
    let mode = std::fs::metadata(sandbox.state()).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o700);
}

#[test]
fn the_journal_is_shown_whichever_it_is() {
    let sandbox = Sandbox::new("layers");
    let shown = sandbox.run(&["journal", "show", "--json"]).exits(0).json();
    assert_eq!(shown["journal"]["shared"], sandbox.journal.is_some());
    if sandbox.journal.is_none() {
        let at = sandbox.state().join("journal.sqlite").display().to_string();
        assert_eq!(shown["journal"]["at"], at);
        sandbox.run(&["journal", "prove"]).exits(4).says("whsec journal init URL");
        for (at, why) in [("sqlite:x", "is no place for a journal"), ("postgres://h", "one database")] {
            sandbox.run(&["journal", "init", at]).exits(2).says(why);
        }
        return;
    }
    sandbox.run(&["journal", "prove"]).exits(0);
}

#[test]
fn a_shared_journal_is_named_by_the_users_own_file_and_well() {
    let sandbox = Sandbox::new("layers");
    let config = sandbox.config_text();
    for (at, why) in [
        ("postgres://ops:hunter2@db.example.com/whsec", "PGPASSWORD"),
        ("gs://bucket/prefix", "object store"),
        ("nowhere", "is no address"),
    ] {
        sandbox.config(&format!("{config}\n[journal]\nat = \"{at}\"\n"));
        sandbox.run(&["rotate", "hooks", "--yes"]).exits(2).says(why).says("config.toml:").says_not("hunter2");
    }
    // The user's own state folder is never taken in place of one that cannot be read.
    sandbox.config(&format!("{config}\n[journal]\nat = \"postgres://127.0.0.1:1/whsec\"\n[zzz]\n"));
    sandbox.run(&["status"]).exits(2).says("zzz");
    sandbox.config(&format!("{config}\n[journal]\nat = \"postgres://127.0.0.1:1/whsec\"\n"));
    if sandbox.journal.is_none() {
        for arguments in [&["status"][..], &["tend", "--all"], &["rotate", "hooks", "--yes"], &["history"]] {
            sandbox.run(arguments).exits(13).says("cannot reach");
        }
    }
    sandbox.config(&config);
    std::fs::write(sandbox.path("work/whsec.toml"), "[journal]\nat = \"postgres://db.example.com/whsec\"\n").unwrap();
    sandbox.run(&["status"]).exits(2).says("whsec.toml:1:1").says("where rotations are recorded");
    // What is rehearsed is recorded nowhere else.
    std::fs::remove_file(sandbox.path("work/whsec.toml")).unwrap();
    let mut rehearse = sandbox.command(&["rehearse"]);
    let rehearsed = sandbox.watch(rehearse.env("WHSEC_JOURNAL", "postgres://127.0.0.1:1/whsec").output().unwrap());
    assert_eq!(rehearsed.code, 0, "{}", rehearsed.stderr);
    assert_eq!(sandbox.requests(), 0);
}
