//! Clocks that disagree: the provider's counts, and a wrong one of ours neither ends a wait early nor hides an end.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

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
    sandbox.run(&["cutover", "hooks"]).exits(9).says("Layers cannot be asked for its clock");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
}
