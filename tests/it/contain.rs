//! A leak where the provider cannot end the old secret: receivers drop it at once, and it runs out where it does no harm.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use whsec::provider::stand_in::Fault;

use crate::gates::how;
use crate::receivers::{Kind, Receiver};
use crate::sandbox::{Run, Sandbox};
use crate::screen::Terminal;

const STEPS: [&str; 9] = ["check", "issue", "stage", "promote", "deploy", "verify", "drop", "wait", "retire"];

fn force(sandbox: &Sandbox, more: &[&str]) -> Run {
    let id = sandbox.id();
    let line = ["force-rotate", "hooks", "--reason", "INC-9", "--confirm", &id, "--done", "prepare", "--json"];
    sandbox.run(&[&line[..], more].concat())
}

/// The steps of a plan, and those of them that are done.
fn steps(json: &Value) -> (Vec<&str>, Vec<&str>) {
    let all = json["steps"].as_array().unwrap();
    let name = |step: &Value| STEPS.into_iter().find(|name| *name == step["step"]).unwrap();
    (all.iter().map(name).collect(), all.iter().filter(|step| step["state"] == "done").map(name).collect())
}

#[test]
fn c3_a_leak_is_contained_while_the_old_secret_still_lives_at_the_provider() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let clock = || Timestamp::now() + SignedDuration::from_hours(AHEAD.load(Ordering::SeqCst));
    let sandbox = Sandbox::with_clock("layers", clock);
    let old = sandbox.newest();
    let run = force(&sandbox, &[]).exits(0);
    let json = run.json();
    assert_eq!(json["direction"], "contain");
    assert_eq!((&json["contained"], &json["next"]["step"]), (&json!(false), &json!("deploy")));
    assert!(json["leaking_since"].is_string());
    assert_eq!(steps(&json), (STEPS.to_vec(), STEPS[..4].to_vec()));
    // The new secret is live at once, because it is deployed alone; the call is the ordinary one.
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    assert_eq!(sandbox.rotate_requests().pop().unwrap().body, "");
    run.says("Layers cannot end the old secret early").says("each delivery bears both signatures");
    sandbox.run(&["status", "--exit-code"]).exits(11);

    let said = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--json"];
    let run = sandbox.run(&said).exits(11);
    assert_eq!((&run.json()["next"]["step"], &run.json()["contained"]), (&json!("drop"), &json!(false)));
    let run = sandbox.run(&["cutover", "hooks", "--done", "drop", "--json"]).exits(11);
    let json = run.json();
    assert_eq!((json["contained"].as_bool(), json["status"].as_str()), (Some(true), Some("waiting")));
    assert_eq!((&json["leaking_since"], &json["next"]["step"]), (&Value::Null, &json!("wait")));
    assert_eq!(sandbox.stand_in.live_secrets().len(), 2, "the provider still signs with both");
    let line = sandbox.run(&["status", "--exit-code"]).exits(11).stdout;
    assert!(line.contains("contained: yes") && line.contains("next: wait"), "{line}");
    let text = sandbox.run(&["inspect", "hooks"]).exits(0).stdout;
    assert!(text.contains("contain since") && text.contains("contained: yes"), "{text}");
    sandbox.run(&["finish", "hooks"]).exits(9).says("the old secret lives until");
    // The rest needs nobody but the clock.
    AHEAD.store(25, Ordering::SeqCst);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(0);
    assert_eq!((run.json()["status"].as_str(), run.json()["contained"].as_bool()), (Some("done"), Some(true)));
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
    assert!(sandbox.run(&["history"]).exits(0).stdout.contains("contain"));
    sandbox.run(&["status", "--exit-code"]).exits(0);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn c3_finish_does_not_pass_over_the_step_that_contains_the_leak() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let clock = || Timestamp::now() + SignedDuration::from_hours(AHEAD.load(Ordering::SeqCst));
    let sandbox = Sandbox::with_clock("layers", clock);
    force(&sandbox, &[]).exits(0);
    AHEAD.store(25, Ordering::SeqCst);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11).says("next: drop");
    sandbox.run(&["finish", "hooks"]).exits(9).says("nobody has said that `drop` is done");
    assert!(sandbox.slot("_OLD").is_some());
}

#[test]
fn c3_receivers_prove_that_the_leak_is_contained() {
    let receiver = Receiver::start(Kind::Both);
    let sandbox = Sandbox::with_receiver("layers", &receiver.url, None);
    let stale = sandbox.path("stale.env");
    let before = sandbox.newest();
    std::fs::copy(sandbox.dotenv(), &stale).unwrap();
    receiver.reads(&stale);
    force(&sandbox, &[]).exits(0);
    sandbox.run(&["cutover", "hooks"]).exits(11).says("old only");
    // One that accepts both takes the new secret and still contains nothing.
    let both = format!("HOOK_SECRET={}\nHOOK_SECRET_NEW={}\n", before.expose(), sandbox.newest().expose());
    std::fs::write(&stale, both).unwrap();
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!((how(&run, "verify"), how(&run, "drop")), ("probe".to_owned(), "open".to_owned()));
    assert_eq!(run.json()["contained"], false);
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(9).says("`drop` is not done");
    receiver.reads(&sandbox.dotenv());
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!((how(&run, "drop"), run.json()["contained"].clone()), ("probe".to_owned(), json!(true)));
    assert_eq!(run.json()["status"], "waiting");
}

#[test]
fn c3_an_open_rotation_contains_the_leak_without_a_second_call() {
    for (cutover, done) in [("either", &STEPS[..4]), ("switch", &STEPS[..6])] {
        let sandbox = Sandbox::new("layers");
        sandbox.edit_config("api_key = ", &format!("cutover = \"{cutover}\"\napi_key = "));
        let old = sandbox.newest();
        sandbox.rotate().exits(0);
        sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11).says("next: wait");
        let run = force(&sandbox, &["--dry-run"]).exits(0);
        assert_eq!(run.json()["status"], "waiting", "{cutover}");
        sandbox.run(&["force-rotate", "hooks", "--reason", "INC-9", "--yes"]).exits(2);
        let run = force(&sandbox, &[]).exits(0).says("no second call is made");
        let json = run.json();
        assert_eq!((&json["direction"], &json["contained"]), (&json!("contain"), &json!(false)), "{cutover}");
        assert_eq!(json["reason"], "INC-9");
        // Receivers that accept either secret have still to be given the new one alone.
        assert_eq!(steps(&json), (STEPS.to_vec(), done.to_vec()), "{cutover}");
        assert_eq!(sandbox.slots(&old), ["empty", "new", "old"], "{cutover}");
        let row = sandbox.run(&["status", "--json"]).json()["targets"][0].clone();
        assert_eq!(row["leaking_since"], json["leaking_since"]);
        assert!(row["leaking_since"].as_str() > row["opened_at"].as_str(), "the leak is declared later");
        // Once more it is the same rotation, and the same leak.
        let again = force(&sandbox, &[]).exits(0).json();
        assert_eq!(again["leaking_since"], json["leaking_since"]);
        let run =
            sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop", "--json"]);
        assert_eq!(run.exits(11).json()["contained"], true, "{cutover}");
        assert_eq!(sandbox.rotations(), 1);
        assert_eq!(sandbox.rotate_requests().len(), 1);
    }
}

#[test]
fn c3_a_lost_answer_is_had_again_and_contains_the_leak() {
    let sandbox = Sandbox::new("layers");
    sandbox.stand_in.fault(Fault::Stall);
    let mut child = sandbox.spawn(&["rotate", "hooks", "--yes"]);
    sandbox.until("a rotation", |sandbox| sandbox.rotations() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.let_leases_end();
    assert_eq!(sandbox.run(&["status", "--json"]).json()["targets"][0]["status"], "unknown");
    let run = force(&sandbox, &[]).exits(0);
    assert_eq!((run.json()["direction"].as_str(), sandbox.rotations()), (Some("contain"), 1));
}

#[test]
fn c3_which_secret_has_leaked_is_said_by_its_fingerprint() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest().fingerprint().to_string();
    // Nothing is open: what is live is replaced, and nothing else.
    let run = force(&sandbox, &["--leaked", "sha256:000000000000"]).exits(2);
    run.says("sha256:000000000000 is not live at `hooks`").says(&old);
    sandbox.rotate().exits(0);
    let new = sandbox.newest().fingerprint().to_string();
    let run = force(&sandbox, &["--leaked", "sha256:000000000000"]).exits(2);
    run.says("is neither secret of the open rotation").says(&old).says(&new);
    assert_eq!(sandbox.run(&["inspect", "hooks", "--json"]).json()["rotation"]["direction"], "overlap-either");
    // The provider takes no other while the old one lives, and none is asked for.
    let run = force(&sandbox, &["--leaked", &new]).exits(5);
    run.says("nothing was sent: Layers takes no further rotation until")
        .says("receivers that know the old secret alone");
    assert_eq!(sandbox.rotate_requests().len(), 1);
    assert_eq!(sandbox.run(&["inspect", "hooks", "--json"]).json()["rotation"]["direction"], "overlap-either");
}

#[test]
fn c3_a_new_secret_that_has_leaked_is_replaced_once_the_provider_takes_another_rotation() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(1));
    sandbox.rotate().exits(0);
    let new = sandbox.newest().fingerprint().to_string();
    sandbox.until_the_overlap_is_over();
    let run = force(&sandbox, &["--leaked", &new]).exits(0);
    assert_eq!((run.json()["direction"].as_str(), sandbox.rotations()), (Some("contain"), 2));
    let history = sandbox.run(&["history", "--json"]).json();
    assert_eq!(history["rotations"][0]["status"], "abandoned");
}

#[test]
fn c3_the_old_secret_by_its_fingerprint_is_contained_with_what_is_open() {
    for name in ["layers", "verifa"] {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest().fingerprint().to_string();
        sandbox.rotate().exits(0);
        let run = force(&sandbox, &["--leaked", &old]).exits(0);
        assert_eq!((run.json()["contained"].as_bool(), sandbox.rotations()), (Some(false), 1), "{name}");
        let said = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop", "--json"];
        assert_eq!(sandbox.run(&said).json()["contained"], true, "{name}");
    }
}

#[test]
fn c3_a_rollback_to_a_secret_that_has_leaked_takes_a_reason_and_opens_the_leak_again() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    force(&sandbox, &[]).exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(11);
    let run = sandbox.run(&["rollback", "hooks"]).exits(9);
    run.says("the old secret of `hooks` has leaked").says("whsec rollback hooks --reason TEXT");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    let run = sandbox.run(&["rollback", "hooks", "--reason", "orders are lost", "--json"]).exits(0);
    assert_eq!(run.json()["contained"], false);
    run.says("this opens the leak again");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    let run =
        sandbox.run(&["cutover", "hooks", "--yes", "--done", "deploy", "--done", "verify", "--done", "drop", "--json"]);
    assert_eq!(run.exits(11).json()["contained"], true);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn c3_who_counts_down_goes_on_with_what_contains_the_leak() {
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    let wait = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--wait", "--json"];
    let child = crate::meanwhile::waiting(&sandbox, &wait);
    force(&sandbox, &[]).exits(0);
    let run = sandbox.finish(child).exits(11).says("meanwhile the old secret was declared leaked (INC-9)");
    assert_eq!((&run.json()["direction"], &run.json()["next"]["step"]), (&json!("contain"), &json!("deploy")));
}

#[test]
fn c3_at_a_terminal_it_is_asked_which_secret_has_leaked() {
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    let new = sandbox.newest().fingerprint().to_string();
    let mut terminal = Terminal::run(&sandbox, &["force-rotate", "hooks", "--reason", "INC-9"]);
    terminal.expect("Which secret has leaked?").expect(&new).types("\u{1b}[B\r");
    terminal.expect("takes no further rotation until");
    terminal.exits(5);
    // What was said is not asked.
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest().fingerprint().to_string();
    sandbox.rotate().exits(0);
    let mut terminal = Terminal::run(&sandbox, &["force-rotate", "hooks", "--reason", "INC-9", "--leaked", &old]);
    terminal.expect_folded("no second call is made");
    terminal.expect("Type the endpoint's id").types(&format!("{}\r", sandbox.id()));
    terminal.expect_folded("nothing reads the old one any more").expect("deploy: done?").types("n");
    terminal.exits(0);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn what_has_leaked_is_kept_for_no_longer_than_the_provider_needs() {
    // Convoy cannot end a secret at once, and keeps it for an hour at least; a day where nobody chooses.
    for (words, seconds) in
        [("rotate hooks --yes", 86_400), ("force-rotate hooks --yes --confirm ID --reason leaked", 3_600)]
    {
        let sandbox = Sandbox::new("convoy");
        let words = words.replace("ID", &sandbox.id());
        let run = sandbox.run(&words.split(' ').collect::<Vec<_>>());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let sent: Vec<serde_json::Value> =
            sandbox.rotate_requests().iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
        assert_eq!(sent, [serde_json::json!({ "expiration": seconds })], "{words}");
    }
}
