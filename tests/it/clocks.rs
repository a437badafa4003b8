//! Clocks that disagree: the provider's counts, and a wrong one of ours neither ends a wait early nor hides an end.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::receivers::{Kind, Receiver};
use crate::sandbox::{OVERLAP, Sandbox};

fn a_day_ahead() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24)
}

fn a_day_behind() -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(24)
}

#[test]
fn a_clock_that_is_a_day_off_is_mentioned_and_does_not_count() {
    for (clock, says) in [
        (a_day_ahead as fn() -> Timestamp, "this machine's clock is 23h 59m behind the provider's"),
        (a_day_behind, "ahead of the provider's"),
    ] {
        for name in ["layers", "signa"] {
            let sandbox = Sandbox::with_clock(name, clock);
            sandbox.rotate().exits(0);
            let history = sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json();
            let end: Timestamp = history["rotation"]["previous"]["expires_at"].as_str().unwrap().parse().unwrap();
            let left = end.duration_since(clock());
            assert!((left - SignedDuration::from_hours(24)).abs() < SignedDuration::from_secs(20), "{name}: {left:#}");

            let all = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--json"];
            let run = sandbox.run(&all).exits(11);
            assert_eq!(run.json()["status"], "waiting", "{name}: the overlap has just begun");
            sandbox.run(&["finish", "hooks"]).exits(9);
            let status = sandbox.run(&["status", "--exit-code"]).exits(11);
            let a_day =
                ["old secret ends in 23h", "old secret ends in 1d 00h"].iter().any(|text| status.stdout.contains(text));
            assert!(a_day, "{name}: {}", status.stdout);
            assert!(sandbox.slot("").is_some());
            let again = Sandbox::with_clock(name, clock);
            again.rotate().exits(0).says(says);
        }
    }
}

#[test]
fn a_wait_ends_by_the_providers_clock() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(1));
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let all = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--wait"];
    sandbox.run(&all).exits(11).says("by the provider's clock");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn a_provider_that_cannot_be_asked_for_its_clock_ends_no_wait() {
    let sandbox = Sandbox::with_window("layers", OVERLAP);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    sandbox.until_the_overlap_is_over();
    std::fs::write(sandbox.path("key"), "another_key_00000000").unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(9).says("Layers cannot be asked for its clock").says("mend the API key");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
}

/// What the hint says of a cause, and how it comes about.
type Cause = (&'static str, fn(&Sandbox));

#[test]
fn a14_where_the_clock_cannot_be_had_a_word_with_a_reason_ends_the_wait() {
    let causes: [Cause; 4] = [
        ("mend the API key", |sandbox| sandbox.stand_in.refuse_looks(&[401; 20])),
        ("still has the endpoint", |sandbox| sandbox.stand_in.refuse_looks(&[404; 20])),
        ("can be reached", |sandbox| sandbox.stand_in.refuse_looks(&[503; 20])),
        ("bear no time", |sandbox| sandbox.stand_in.set_dates(&[None; 20])),
    ];
    std::thread::scope(|scope| {
        for (says, cause) in causes {
            scope.spawn(move || {
                let sandbox = Sandbox::with_window("layers", Duration::from_secs(1));
                let old = sandbox.newest();
                sandbox.rotate().exits(0);
                sandbox.until_the_overlap_is_over();
                cause(&sandbox);
                let said = ["cutover", "hooks", "--done", "deploy", "--done", "verify"];
                sandbox.run(&said).exits(9).says("cannot be asked for its clock");
                let hint = "`whsec cutover hooks --done wait --reason TEXT`";
                sandbox.run(&["cutover", "hooks"]).exits(9).says(says).says(hint);
                sandbox.run(&["cutover", "hooks", "--done", "wait"]).exits(9);
                sandbox.run(&["cutover", "hooks", "--reason", "by the way"]).exits(9);
                assert_eq!(sandbox.slots(&old), ["new", "old", "empty"], "{says}");
                let said = ["cutover", "hooks", "--done", "wait", "--reason", "seen in the dashboard", "--json"];
                let run = sandbox.run(&said).exits(11);
                let steps = run.json()["steps"].to_string();
                assert!(steps.contains("seen in the dashboard"), "{steps}");
                assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"], "{says}");
            });
        }
    });
}

#[test]
fn a14_a_word_ends_no_wait_before_our_own_clock_is_past_the_end() {
    let sandbox = Sandbox::with_clock("layers", a_day_ahead);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    sandbox.stand_in.refuse_looks(&[401; 20]);
    let said = ["cutover", "hooks", "--done", "wait", "--reason", "I think so"];
    sandbox.run(&said).exits(11).says("`wait` is the clock's step");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
}

#[test]
fn a14_one_wild_answer_ends_no_wait() {
    let wild = |hours| Some(SignedDuration::from_hours(hours));
    for dates in [&[wild(30)][..], &[wild(30), wild(50)], &[wild(30), None, wild(-4)], &[wild(-30)]] {
        let sandbox = Sandbox::new("layers");
        let old = sandbox.newest();
        sandbox.rotate().exits(0);
        sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
        for _ in 0..2 {
            sandbox.stand_in.set_dates(dates);
            let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
            assert_eq!(run.json()["status"], "waiting", "{dates:?}");
        }
        assert_eq!(sandbox.slots(&old), ["new", "old", "empty"], "{dates:?}");
    }
    // Nor does it open the way to a second rotation in an open overlap.
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "over", "--yes"]).exits(0);
    sandbox.stand_in.set_dates(&[wild(30)]);
    sandbox.rotate().exits(5).says("second rotation in an open overlap");
    assert_eq!(sandbox.rotations(), 1);
    // A wild answer to the call itself moves the end to no earlier moment.
    let sandbox = Sandbox::new("signa");
    let inspected = Some(SignedDuration::ZERO);
    sandbox.stand_in.set_dates(&[inspected, wild(-30), inspected]);
    sandbox.rotate().exits(0);
    let all = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--json"];
    assert_eq!(sandbox.run(&all).exits(11).json()["status"], "waiting");
}

#[test]
fn a_clock_that_was_put_right_since_calls_no_receivers_clock_wrong() {
    static AHEAD: AtomicI64 = AtomicI64::new(-600);
    let clock = || Timestamp::now() + SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst));
    for command in ["cutover", "finish"] {
        AHEAD.store(-600, Ordering::SeqCst);
        let receiver = Receiver::start(Kind::Both);
        let sandbox = Sandbox::with_receiver_and_clock("layers", &receiver.url, clock);
        receiver.reads(&sandbox.dotenv());
        sandbox.rotate().exits(0).says("ahead of the provider's");
        AHEAD.store(0, Ordering::SeqCst);
        let run = sandbox.run(&[command, "hooks"]);
        run.says("accepts both").says_not("its clock is");
        let status = sandbox.run(&["status", "--json"]).exits(0).json();
        assert_eq!(status["targets"][0]["receivers"][0]["verdict"], "accepts-both", "{command}: {status}");
    }
}

#[test]
fn where_our_clock_was_set_back_the_end_is_not_counted_by_what_was_heard_before() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if !Path::new(library).exists() {
        println!("SKIPPED: libfaketime is not installed");
        return;
    }
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(300));
    let mut fast = sandbox.command(&["rotate", "hooks", "--yes"]);
    fast.env("LD_PRELOAD", library).env("FAKETIME", "+600s").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    sandbox.watch(fast.output().unwrap()).exits(0).says("ahead of the provider's");
    let status = sandbox.run(&["status"]).exits(0).stdout;
    let is_right = |status: &str| ["in 4m", "in 5m 00s"].iter().any(|left| status.contains(left));
    assert!(is_right(&status), "{status}");
    assert!(status.contains("this machine's clock was set back since"), "{status}");
    assert_eq!(sandbox.run(&["status", "--json"]).exits(0).json()["targets"][0]["clock_set_back"], true);
    sandbox.run(&["cutover", "hooks"]).exits(11).says("this machine's clock was set back");
    let status = sandbox.run(&["status"]).exits(0).stdout;
    assert!(is_right(&status) && !status.contains("set back"), "{status}");
}
