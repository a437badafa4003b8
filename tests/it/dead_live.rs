//! What is live is dead already when a rotation begins, because an earlier one has replaced it at the provider and was given up:
//! nothing is said to live that does not, and the new secret goes live as soon as a store has it.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

use crate::sandbox::Sandbox;

/// A target whose live secret ended with an overlap that nobody used; what a rotation since has come to is the test's.
fn given_up(provider: &str, ahead: &AtomicI64, clock: fn() -> Timestamp) -> Sandbox {
    let sandbox = Sandbox::with_clock(provider, clock);
    sandbox.edit_config("api_key = ", "cutover = \"either\"\napi_key = ");
    sandbox.rotate().exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    ahead.store(25, Ordering::SeqCst);
    sandbox.run(&["status", "--exit-code"]).exits(12);
    sandbox
}

#[test]
fn where_what_is_live_is_dead_the_new_secret_goes_live_at_once() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    for provider in ["layers", "signa"] {
        AHEAD.store(0, Ordering::SeqCst);
        let clock = || Timestamp::now() + SignedDuration::from_hours(AHEAD.load(Ordering::SeqCst));
        let sandbox = given_up(provider, &AHEAD, clock);
        let old = sandbox.slot("").unwrap();
        let run = sandbox.rotate().exits(0);
        run.says("what is live is dead since").says_not("the old secret lives until").says("next: deploy");
        assert_eq!(sandbox.slots(&old), ["empty", "new", "old"], "{provider}");
        let inspected = sandbox.run(&["inspect", "hooks"]).exits(0);
        assert!(inspected.stdout.contains("(the old secret, which ended at "), "{provider}: {}", inspected.stdout);
        let whose = sandbox.run_with_stdin(&["fingerprint", "-"], old.expose()).exits(0);
        assert!(whose.stdout.contains("; it ended at "), "{provider}: {}", whose.stdout);
        let status = sandbox.run(&["status", "--exit-code"]).exits(12);
        assert!(status.stdout.contains("old secret ended "), "{provider}: {}", status.stdout);
        let refused = sandbox.run(&["rollback", "hooks"]).exits(9);
        refused.says("an earlier rotation had replaced it").says_not("works until").says("the old secret ended at");

        // What lives on at the provider is in nobody's way, and takes no rotation meanwhile.
        sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
        assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"], "{provider}");
        sandbox.run(&["status", "--exit-code"]).exits(0);
        sandbox.rotate().exits(5);
    }
}

#[test]
fn a_live_slot_that_is_dead_is_red_until_the_new_secret_is_live() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let clock = || Timestamp::now() + SignedDuration::from_hours(AHEAD.load(Ordering::SeqCst));
    let sandbox = given_up("layers", &AHEAD, clock);
    let old = sandbox.slot("").unwrap();
    sandbox.run(&["rotate", "hooks", "--yes", "--detach"]).exits(0).says_not("works until");
    let status = sandbox.run(&["status", "--exit-code"]).exits(12);
    assert!(status.stdout.contains("live slot is dead since "), "{}", status.stdout);
    let row = sandbox.run(&["status", "--json"]).exits(0).json();
    assert!(row["targets"][0]["live_dead_since"].is_string(), "{row}");
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    let status = sandbox.run(&["status", "--exit-code"]).exits(12);
    assert!(!status.stdout.contains("live slot is dead"), "{}", status.stdout);
}

#[test]
fn each_store_goes_live_by_itself_where_what_is_live_is_dead() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let clock = || Timestamp::now() + SignedDuration::from_hours(AHEAD.load(Ordering::SeqCst));
    let sandbox = given_up("layers", &AHEAD, clock);
    let old = sandbox.slot("").unwrap();
    let second = sandbox.path("work/second.env");
    std::fs::write(&second, format!("HOOK_SECRET={}\n", old.expose())).unwrap();
    let first = format!("\"dotenv:{}#HOOK_SECRET\"", sandbox.dotenv().display());
    sandbox.edit_config(&first, &format!("[{first}, \"dotenv:{}#HOOK_SECRET\"]", second.display()));
    sandbox.run(&["rotate", "hooks", "--yes", "--detach"]).exits(0);
    let mut text = std::fs::read_to_string(&second).unwrap();
    text.push_str("HOOK_SECRET_OLD=whsec_of_somebody_else_4711\n");
    std::fs::write(&second, text).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(9).says("HOOK_SECRET_OLD");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"], "the store that can has it live");
}
