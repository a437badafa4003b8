//! The world has changed between two commands: a slot is empty, the config names another endpoint, the provider did nothing,
//! somebody gave up. What is said then is what is so.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use whsec::provider::stand_in::Fault;

use crate::gates::{how, overlap_over};
use crate::receivers::{Kind, Receiver};
use crate::sandbox::{OVERLAP, Sandbox};

/// Empties the coming slot as a tool does that writes the file anew.
fn lose_next(sandbox: &Sandbox) {
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    let kept: String =
        text.lines().filter(|line| !line.starts_with("HOOK_SECRET_NEW")).map(|line| format!("{line}\n")).collect();
    assert_ne!(kept, text);
    std::fs::write(sandbox.dotenv(), kept).unwrap();
}

#[test]
fn a_store_that_somebody_emptied_gets_the_same_secret_again() {
    for (provider, slots) in [("layers", ["new", "old", "empty"]), ("signa", ["empty", "new", "old"])] {
        let sandbox = Sandbox::new(provider);
        let old = sandbox.newest();
        sandbox.run(&["rotate", "hooks", "--yes", "--detach"]).exits(0);
        lose_next(&sandbox);
        sandbox.run(&["cutover", "hooks"]).exits(11).says("attempt 2: the same request, the same key");
        assert_eq!((sandbox.slots(&old), sandbox.rotations()), (slots, 1), "{provider}");
    }
}

#[test]
fn deploy_and_verify_are_not_taken_on_a_word_while_nothing_has_the_secret() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    lose_next(&sandbox);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    assert_eq!(run.json()["next"]["step"], "deploy", "what was deployed before has lost it too");
}

#[test]
fn a_secret_that_is_nowhere_and_cannot_be_had_again_is_said_at_once() {
    let sandbox = Sandbox::new("verifa");
    let id = sandbox.id();
    sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--detach"]).exits(0);
    lose_next(&sandbox);
    sandbox.run(&["cutover", "hooks"]).exits(7).says("no store and no seal has the new secret any more");
    assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (1, 1));
}

#[test]
fn one_store_of_two_gets_it_from_the_other() {
    let sandbox = Sandbox::new("layers");
    let dotenv = format!("dotenv:{}#HOOK_SECRET", sandbox.dotenv().display());
    std::fs::write(sandbox.path("work/mounted"), sandbox.newest().expose()).unwrap();
    sandbox.stores(&[&dotenv, "file:./mounted"]);
    sandbox.rotate().exits(0);
    std::fs::remove_file(sandbox.path("work/mounted.next")).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(11).says("had lost the new secret; it is in").says("again");
    assert_eq!(std::fs::read_to_string(sandbox.path("work/mounted.next")).unwrap(), sandbox.newest().expose());
}

#[test]
fn an_answer_with_the_live_secret_is_no_rotation() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let body = serde_json::json!({ "id": sandbox.id(), "secret": old.expose(), "secret_version": 2 }).to_string();
    sandbox.stand_in.fault(Fault::Status(200, body));
    let id = sandbox.id();
    let run = sandbox
        .run(&["force-rotate", "hooks", "--reason", "leak", "--confirm", &id, "--done", "prepare", "--json"])
        .exits(1);
    assert_ne!(run.json()["contained"], true);
    run.says("answered with the very secret that was live before").says("a leak is not contained");
    assert_eq!(sandbox.slot(""), Some(old));
    assert!(sandbox.leftovers().is_empty());
    let id = sandbox.id();
    sandbox.run(&["force-rotate", "hooks", "--reason", "leak", "--confirm", &id, "--done", "prepare"]).exits(0);
}

#[test]
fn drop_is_not_done_while_a_receiver_refuses_the_new_secret_too() {
    let (sandbox, receiver, _) = overlap_over(Kind::Both);
    sandbox.run(&["cutover", "hooks"]).exits(11);
    receiver.becomes(Kind::RejectsAll);
    let run = sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(9);
    run.says("`drop` is not done: ").says("rejects every secret");
    sandbox.run(&["cutover", "hooks", "--done", "drop", "--reason", "it is switched off"]).exits(0);
}

#[test]
fn a_live_slot_that_may_be_dead_proves_nothing() {
    let receiver = Receiver::start(Kind::LiveOnly);
    let sandbox = Sandbox::with_receiver("verifa", &receiver.url, None);
    receiver.reads(&sandbox.dotenv());
    sandbox.run(&["probe", "hooks"]).exits(0);
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate().exits(7);
    sandbox.run(&["probe", "hooks"]).exits(9).says("which secret of `hooks` is alive is not known");
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    sandbox.run(&["probe", "hooks"]).exits(9);
    let run = sandbox.run(&["status", "--exit-code"]).exits(12);
    assert!(run.stdout.contains("ABANDONED: what is live may be dead; rotate again"), "{}", run.stdout);
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    sandbox.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn a_rotation_that_was_abandoned_before_promote_is_overdue() {
    let sandbox = Sandbox::with_window("layers", OVERLAP);
    sandbox.rotate().exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    let run = sandbox.run(&["status", "--exit-code"]).exits(12);
    assert!(run.stdout.contains("old secret ends in"), "{}", run.stdout);
    assert!(run.stdout.contains("ABANDONED: what is live ends with the old secret"), "{}", run.stdout);
    sandbox.until_the_overlap_is_over();
    let run = sandbox.run(&["status", "--json", "--exit-code"]).exits(12);
    assert_eq!(run.json()["targets"][0]["abandoned"], true, "{}", run.stdout);
}

#[test]
fn what_an_abandoned_rotation_left_is_named_and_not_gone_back_to() {
    let sandbox = Sandbox::with_window("signa", Duration::from_secs(50));
    sandbox.rotate().exits(0);
    sandbox.run(&["rollback", "hooks"]).exits(9).says("less than a minute");
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let first = sandbox.newest();
    sandbox.run(&["rollback", "hooks"]).exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    let forced =
        ["force-rotate", "hooks", "--reason", "again", "--confirm", &sandbox.id(), "--done", "prepare", "--json"];
    let run = sandbox.run(&forced).exits(0);
    run.says(&format!("holds {} of the rotation that was closed", first.fingerprint()));
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn what_an_earlier_rotation_has_replaced_is_not_gone_back_to() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let clock = || Timestamp::now() + SignedDuration::from_hours(AHEAD.load(Ordering::SeqCst));
    let sandbox = Sandbox::with_clock("signa", clock);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&["rollback", "hooks"]).exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    AHEAD.store(25, Ordering::SeqCst);
    sandbox.rotate().exits(0);
    sandbox.run(&["rollback", "hooks"]).exits(9).says("an earlier rotation had replaced it at the provider already");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn a_name_that_means_another_endpoint_by_now_is_refused() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    let id = sandbox.id();
    sandbox.edit_config(&format!("\"{id}\""), "\"id9-other\"");
    for words in [vec!["cutover", "hooks"], vec!["finish", "hooks"], vec!["rollback", "hooks"]] {
        let run = sandbox.run(&words).exits(5);
        run.says(&format!("a rotation of `hooks` is open for signa/{id}")).says("and `hooks` is another by now");
    }
    sandbox.edit_config("\"id9-other\"", &format!("\"{id}\""));
    sandbox.run(&["cutover", "hooks"]).exits(11);
}

#[test]
fn a_rotation_keeps_its_stores() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--store", "file:elsewhere"]).exits(2).says("keeps to the stores");
    let begun = format!("dotenv:{}#HOOK_SECRET", sandbox.dotenv().display());
    sandbox.run(&["cutover", "hooks", "--store", &begun]).exits(11);
}

#[test]
fn the_way_on_that_finish_names_is_one() {
    let receiver = Receiver::start(Kind::RejectsAll);
    let sandbox = Sandbox::with_receiver("layers", &receiver.url, Some(Duration::from_secs(2)));
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.until_the_overlap_is_over();
    sandbox.run(&["finish", "hooks"]).exits(9).says("--override --reason TEXT");
    let run = sandbox.run(&["finish", "hooks", "--override", "--reason", "a firewall eats probes", "--json"]).exits(0);
    assert_eq!(how(&run, "verify"), "word");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}
