//! Somebody else rotates at the provider while a rotation is open: noticed by what its answers show, and nothing goes live or is
//! called done that they contradict.

use std::time::Duration;

use crate::sandbox::{Run, Sandbox};

const SAID: [&str; 6] = ["cutover", "hooks", "--done", "deploy", "--done", "verify"];
const ALL: [&str; 8] = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"];

/// The status of the rotation that was closed last.
fn closed_as(sandbox: &Sandbox) -> String {
    let history = sandbox.run(&["history", "hooks", "--json"]).exits(0).json();
    history["rotations"].as_array().unwrap().last().unwrap()["status"].as_str().unwrap().to_owned()
}

#[test]
fn a2_another_version_or_fingerprint_closes_ours() {
    for (name, what) in [("signa", "version"), ("kadosei", "fingerprint")] {
        let sandbox = Sandbox::new(name);
        sandbox.rotate().exits(0);
        sandbox.stand_in.rotate_by_hand();
        let run = sandbox.run(&[&ALL[..], &["--json"]].concat()).exits(5);
        assert_eq!(run.json()["status"], "superseded", "{name}");
        assert_eq!(run.json()["error"]["kind"], "conflict", "{name}");
        run.says("somebody rotated again").says(&format!("the {what} is ")).says("rotate again: `whsec rotate hooks`");
        assert_eq!(closed_as(&sandbox), "superseded", "{name}");

        let row = sandbox.run(&["status", "hooks", "--exit-code", "--json"]).exits(12).json();
        assert_eq!(row["targets"][0]["superseded"], true, "{name}");
        let shown = sandbox.run(&["status", "hooks"]).exits(0);
        assert!(shown.stdout.contains("SUPERSEDED"), "{name}: {}", shown.stdout);
        sandbox.run(&["cutover", "hooks"]).exits(5).says("superseded at").says("whsec abandon hooks --reason TEXT");
        sandbox.run(&["finish", "hooks"]).exits(4).says("(superseded)");

        sandbox.edit_dotenv(&sandbox.slot("").unwrap(), &sandbox.newest());
        sandbox.run(&["abandon", "hooks", "--reason", "theirs is live by now"]).exits(2);
        sandbox.run(&["status", "hooks", "--exit-code"]).exits(12);
        sandbox.run(&["abandon", "hooks", "--reason", "theirs is live by now", "--yes"]).exits(0);
        sandbox.run(&["status", "hooks", "--exit-code"]).exits(0);
        assert_eq!(closed_as(&sandbox), "superseded", "{name}: the record stays");
        sandbox.run(&["cutover", "hooks"]).exits(4).says("which is dealt with");
    }
}

#[test]
fn a_dead_secret_that_is_still_live_is_not_dealt_with() {
    let sandbox = Sandbox::new("kadosei");
    sandbox.rotate().exits(0);
    let ours = sandbox.newest();
    sandbox.stand_in.rotate_by_hand();
    sandbox.run(&ALL).exits(5);
    let said = ["abandon", "hooks", "--reason", "put theirs in", "--yes"];
    let run = sandbox.run(&[&said[..], &["--json"]].concat()).exits(9);
    assert_eq!(run.json()["error"]["kind"], "gate", "{}", run.stdout);
    run.says(&format!("still holds {}", ours.fingerprint())).says("rotate again: whsec rotate hooks");
    sandbox.run(&["status", "--exit-code"]).exits(12);
    let other = format!("--override={}", sandbox.newest().fingerprint());
    sandbox.run(&[&said[..], &[&other]].concat()).exits(9);
    // As with every gate, a person may know better, by the fingerprint that was shown.
    let over = format!("--override={}", ours.fingerprint());
    sandbox.run(&[&said[..], &[&over]].concat()).exits(0);
    sandbox.run(&["status", "--exit-code"]).exits(0);
    let journal = rusqlite::Connection::open(sandbox.state().join("journal.sqlite")).unwrap();
    let sql = "SELECT count(*) FROM events WHERE event LIKE '%overridden%put theirs in%'";
    let count: u32 = journal.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a2_a_dead_secret_is_not_promoted() {
    let either = "cutover = \"either\"\napi_key = ";
    let sandbox = Sandbox::with_window("signa", Duration::from_secs(1));
    sandbox.edit_config("api_key = ", either);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.until_the_overlap_is_over();
    sandbox.stand_in.rotate_by_hand();
    sandbox.run(&SAID).exits(5).says("the version is 3 there, and ours is 2");
    assert_eq!(sandbox.slot(""), Some(old), "nothing was promoted");
    sandbox.run(&["rollback", "hooks"]).exits(4);
}

#[test]
fn a2_a_rollback_is_not_to_a_secret_from_before_somebody_elses() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let ours = sandbox.newest();
    sandbox.stand_in.rotate_by_hand();
    sandbox.run(&["rollback", "hooks", "--reason", "receivers refuse it"]).exits(5).says("somebody rotated again");
    assert_eq!([sandbox.slot(""), sandbox.slot("_OLD")], [Some(ours), Some(old)]);
}

/// What somebody does, and how.
type Act = (&'static str, fn(&Sandbox));

#[test]
fn a2_a_time_of_change_asks_and_takes_a_reason() {
    let acts: [Act; 2] = [
        ("edited", |sandbox| sandbox.stand_in.edit_by_hand()),
        ("rotated", |sandbox| drop(sandbox.stand_in.rotate_by_hand())),
    ];
    for (what, act) in acts {
        let sandbox = Sandbox::with_window("layers", Duration::from_secs(1));
        let old = sandbox.newest();
        sandbox.rotate().exits(0);
        let ours = sandbox.slot("_NEW");
        sandbox.until_the_overlap_is_over();
        act(&sandbox);
        let run = sandbox.run(&[&SAID[..], &["--json"]].concat()).exits(9);
        assert_eq!(run.json()["error"]["kind"], "gate", "{what}");
        run.says("time of change").says("`whsec cutover hooks --reason TEXT`").says("whsec abandon hooks");
        assert_eq!((sandbox.slot(""), sandbox.slot("_NEW")), (Some(old), ours.clone()), "{what}: nothing moved");

        let said = ["cutover", "hooks", "--reason", "ana named the endpoint"];
        sandbox.run(&said).exits(11).says("going on, as was said").says("next: drop");
        assert_eq!(sandbox.slot(""), ours, "{what}");
        sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    }
}

#[test]
fn a2_an_edited_description_is_no_rotation_where_a_version_says_so() {
    for name in ["signa", "kadosei"] {
        let sandbox = Sandbox::new(name);
        sandbox.rotate().exits(0);
        sandbox.stand_in.edit_by_hand();
        let code = if name == "signa" { 11 } else { 0 };
        sandbox.run(&ALL).exits(code).says_not("was changed");
    }
}

#[test]
fn a2_inspect_says_that_somebody_rotated() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    assert_eq!(sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json()["since"], serde_json::Value::Null);
    sandbox.stand_in.rotate_by_hand();
    let run = sandbox.run(&["inspect", "hooks", "--json"]).exits(5);
    let since = &run.json()["since"];
    assert_eq!((&since["found"], &since["theirs"], &since["ours"]), (&"superseded".into(), &"3".into(), &"2".into()));
    run.says("somebody rotated again").says("whsec cutover hooks");

    // Its secret is live after the rotation is through, too.
    let sandbox = Sandbox::new("kadosei");
    sandbox.rotate().exits(0);
    sandbox.run(&ALL).exits(0);
    sandbox.run(&["inspect", "hooks"]).exits(0);
    sandbox.stand_in.rotate_by_hand();
    sandbox.run(&["inspect", "hooks"]).exits(5).says("put their secret into the live slot, or rotate again");
}

#[test]
fn a2_every_hint_to_rotate_again_says_from_when_on() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    sandbox.stand_in.rotate_by_hand();
    sandbox.run(&["inspect", "hooks"]).exits(5).says("our secret is not Signa's any more");
    let until = |run: &Run| {
        let hint = run.stderr.split_once("from 2").unwrap_or_else(|| panic!("no `from`: {}", run.stderr)).1;
        let (until, rest) = hint.split_once(" on, rotate again: ").unwrap();
        assert!(rest.trim_start_matches('`').starts_with("whsec rotate hooks"), "{rest}");
        until.to_owned()
    };
    let run = sandbox.run(&SAID).exits(5);
    let from = until(&run);
    assert_eq!(until(&sandbox.run(&["cutover", "hooks"]).exits(5)), from);
    assert_eq!(until(&sandbox.run(&["inspect", "hooks"]).exits(5)), from);
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(5).says("still lives until");
}

#[test]
fn a2_a_doubt_about_what_is_live_says_so_and_status_has_it() {
    let sandbox = Sandbox::new("verifa");
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11).says("next: drop");
    assert!(sandbox.run(&["status", "--json"]).exits(0).json()["targets"][0]["doubt"].is_null());
    sandbox.stand_in.edit_by_hand();
    sandbox.until("the next second", |sandbox| sandbox.run(&["cutover", "hooks"]).code == 9);
    let run = sandbox.run(&["cutover", "hooks"]).exits(9);
    run.says("what is live may not be Verifa's secret any more: ").says_not("nothing goes live");
    let status = sandbox.run(&["status", "--exit-code"]).exits(11).stdout;
    assert!(status.contains("IN DOUBT: the endpoint was changed, which may have been another rotation"), "{status}");
    sandbox.run(&["cutover", "hooks", "--reason", "ana named the endpoint"]).exits(11);
    assert!(!sandbox.run(&["status"]).exits(0).stdout.contains("IN DOUBT"));
}

#[test]
fn a2_what_is_live_since_is_not_said_to_be_dead() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    sandbox.stand_in.rotate_by_hand();
    sandbox.run(&ALL).exits(5);
    let id = sandbox.id();
    sandbox.run(&["force-rotate", "hooks", "--reason", "INC-1", "--confirm", &id]).exits(0);
    let status = sandbox.run(&["status", "--exit-code"]).exits(11).stdout;
    assert!(!status.contains("SUPERSEDED"), "{status}");
    sandbox.run(&ALL).exits(0);
    sandbox.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn a2_a_later_rotation_that_is_live_settles_it() {
    let sandbox = Sandbox::new("kadosei");
    sandbox.rotate().exits(0);
    sandbox.stand_in.rotate_by_hand();
    sandbox.run(&ALL).exits(5);
    sandbox.run(&["status", "--exit-code"]).exits(12);
    sandbox.rotate().exits(0);
    sandbox.run(&["status", "--exit-code"]).exits(11);
    sandbox.run(&ALL).exits(0);
    sandbox.run(&["status", "--exit-code"]).exits(0);
    assert_eq!(sandbox.slot(""), Some(sandbox.newest()));
}

#[test]
fn a2_a_secret_that_is_shown_is_compared() {
    let sandbox = Sandbox::new("hopae");
    sandbox.stand_in.show_secret();
    sandbox.rotate().exits(0);
    sandbox.stand_in.rotate_by_hand();
    // A colleague has put it where it is looked for.
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    std::fs::write(sandbox.dotenv(), format!("{text}HOOK_SECRET_NEW={}\n", sandbox.newest().expose())).unwrap();
    let run = sandbox.run(&ALL).exits(5);
    run.says("the secret is sha256:").says("Hopae shows their secret itself").says("`HOOK_SECRET_NEW` holds sha256:");
}

#[test]
fn a2_a_provider_that_cannot_be_asked_stops_nothing_that_went_before() {
    let sandbox = Sandbox::new("kadosei");
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    sandbox.stand_in.refuse_looks(&[503; 8]);
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0).says("could not be seen");
}

#[test]
fn a2_an_answer_that_lags_is_waited_for_and_not_taken_for_a_rotation() {
    let sandbox = Sandbox::new("signa");
    sandbox.stand_in.lag(2);
    sandbox.rotate().exits(0);
    assert_eq!(sandbox.slot(""), Some(sandbox.newest()));

    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.stand_in.lag(20);
    sandbox.rotate().exits(9).says("shows what it showed before the call");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["cutover", "hooks", "--reason", "their support sees version 2"]).exits(11);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn a19_a_rotation_that_failed_is_no_success_of_cutover() {
    let sandbox = Sandbox::new("signa");
    sandbox.stand_in.fault(whsec::provider::stand_in::Fault::Status(422, "{}".to_owned()));
    sandbox.rotate().exits(1);
    for line in [&["cutover", "hooks"][..], &ALL] {
        let run = sandbox.run(&[line, &["--json"]].concat()).exits(4);
        assert_eq!((&run.json()["status"], &run.json()["error"]["kind"]), (&"failed".into(), &"not_found".into()));
        run.says("the last one failed at").says("hint: begin another: whsec rotate hooks");
    }
}
