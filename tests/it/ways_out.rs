//! Rollback, finish and abandon: each does what it says, or says why not and changes nothing.

use std::time::Duration;

use whsec::provider::stand_in::Fault;

use crate::sandbox::{OVERLAP, Sandbox};

#[test]
fn rollback_puts_the_old_secret_back_and_cutover_goes_forward_again() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
    let run = sandbox.run(&["rollback", "hooks", "--reason", "receivers refuse it", "--json"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    assert_eq!(
        (run.json()["status"].as_str(), run.json()["stores"][0]["slot"].as_str()),
        (Some("stored"), Some("next"))
    );
    run.says("the old secret is live again in every store")
        .says("deploy or reload the receivers")
        .says("the old secret ends in ")
        .says("; go forward before that");
    sandbox.run(&["rollback", "hooks"]).exits(9).says("it has not been replaced yet");
    // Nothing that runs by itself puts back live what somebody has taken back.
    let put_back = "the old secret was put back at";
    sandbox.run(&["cutover", "hooks", "--wait"]).exits(2).says(put_back).says("receivers refuse it").says("--yes");
    sandbox.run(&["finish", "hooks"]).exits(9).says(put_back);
    assert!(sandbox.run(&["status"]).exits(0).stdout.contains("old secret put back by oncall@"));
    assert!(sandbox.run(&["inspect", "hooks"]).exits(0).stdout.contains(put_back));
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["cutover", "hooks", "--yes"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn rollback_is_refused_once_the_old_secret_is_dead() {
    let instant = Sandbox::new("verifa");
    instant.rotate().exits(0);
    instant
        .run(&["rollback", "hooks"])
        .exits(9)
        .says("it died with the call, so receivers that use it would refuse every delivery")
        .says("hint: go forward: deploy the new secret to the receivers");

    let ended = Sandbox::with_window("signa", Duration::from_secs(1));
    let old = ended.newest();
    ended.rotate().exits(0);
    ended.until_the_overlap_is_over();
    ended.run(&["rollback", "hooks"]).exits(9).says("the provider no longer honours it");
    assert_eq!(ended.slots(&old), ["empty", "new", "old"]);

    let ending = Sandbox::with_window("signa", Duration::from_secs(50));
    ending.rotate().exits(0);
    ending.run(&["rollback", "hooks"]).exits(9).says("the provider honours it for less than a minute");

    let early = Sandbox::new("layers");
    early.rotate().exits(0);
    early.run(&["rollback", "hooks"]).exits(9).says("it has not been replaced yet, so the live slot holds it still");
    Sandbox::new("layers").run(&["rollback", "hooks"]).exits(4).says("no rotation of `hooks` is open");
}

#[test]
fn finish_does_what_is_left_for_the_tool_and_nothing_before_it_is_safe() {
    let sandbox = Sandbox::with_window("layers", OVERLAP);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let run = sandbox.run(&["finish", "hooks", "--json"]).exits(9);
    assert_eq!(run.json()["error"]["kind"], "gate");
    run.says("nobody has said that `deploy` is done").says("--done deploy");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    sandbox.run(&["finish", "hooks"]).exits(9).says("the old secret lives until");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.until_the_overlap_is_over();
    sandbox.run(&["finish", "hooks"]).exits(0).says("next: drop");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
}

#[test]
fn while_the_outcome_is_unknown_only_cutover_goes_on() {
    let sandbox = Sandbox::new("kadosei");
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate().exits(7).says("the live slot of every store holds the old secret");
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    sandbox
        .run(&["finish", "hooks"])
        .exits(7)
        .says("what came of the call is not known yet")
        .says("whsec cutover hooks");
    sandbox.run(&["rollback", "hooks"]).exits(7).says("its outcome is unknown").says("whsec cutover hooks");
    assert!(sandbox.run(&["status"]).stdout.contains("unknown   next: find out what came of the call"));
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before);
    sandbox
        .run(&["abandon", "hooks", "--reason", "gone", "--yes"])
        .exits(0)
        .says("if the provider has rotated, nobody has the new secret yet");
}

#[test]
fn a_step_that_is_said_to_be_done_at_the_wrong_time_is_named() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(11).says("--done drop had no effect: it is not due yet");
    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11).says_not("had no effect");
    sandbox
        .run(&["cutover", "hooks", "--done", "deploy"])
        .exits(11)
        .says("--done deploy had no effect: it was done before");
    sandbox.run(&["cutover", "hooks", "--done", "prepare"]).exits(11).says("this rotation has no such step");
}

#[test]
fn abandon_closes_the_rotation_and_touches_nothing() {
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    sandbox.run(&["abandon", "hooks", "--reason", "moved"]).exits(2).says("`--yes` is needed");
    let run = sandbox.run(&["abandon", "hooks", "--reason", "moved", "--yes", "--json"]).exits(0);
    assert_eq!(
        (run.json()["status"].as_str(), run.json()["closed_because"].as_str()),
        (Some("abandoned"), Some("moved"))
    );
    run.says("was put into the next slot of dotenv:").says("the old secret works until");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before);
    assert_eq!(sandbox.requests(), 3, "a look before the call, the call, a look after it, and nothing at abandon");
}
