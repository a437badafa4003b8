//! Promise 23: the countdown never lies. The process's clock is moved with libfaketime, the process is suspended, and the
//! answer's expiry is missing, garbage or past; the old secret is never taken for ended early, and how late is printed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use whsec::provider::stand_in::Fault;

use crate::sandbox::{OVERLAP, Run, Sandbox};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const WINDOW: Duration = Duration::from_secs(4);
/// What a wait may take beyond the end on a machine that is busy with two dozen of them; the line that is printed has the true
/// figure.
const LATE: f64 = 60.0;

/// What it takes by itself: a second, which is as exact as a provider's `Date` is, and the end of the process.
const IN_TIME: f64 = 1.5;
const TRIES: usize = 10;

/// A command with its clock off by `offset`, as in `+25h`.
pub fn at(sandbox: &Sandbox, offset: &str, arguments: &[&str]) -> Command {
    let mut command: Command = sandbox.command(arguments);
    if !offset.is_empty() {
        command.env("LD_PRELOAD", LIBRARY).env("FAKETIME", offset).env("FAKETIME_DONT_RESET", "1");
    }
    command
}

/// Runs a command with its clock off.
fn run_at(sandbox: &Sandbox, offset: &str, arguments: &[&str]) -> Run {
    sandbox.watch(at(sandbox, offset, arguments).output().unwrap())
}

/// The true end of the old secret, as the stand-in's answer had it, from the journal.
fn end(sandbox: &Sandbox) -> Timestamp {
    let inspected = sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json();
    inspected["rotation"]["previous"]["expires_at"].as_str().unwrap().parse().unwrap()
}

/// Rotates and waits with two clocks that may be wrong; yields by how many seconds the wait ended after the true end.
fn wait_with(provider: &str, rotate_at: &str, wait_at: &str) -> f64 {
    let sandbox = Sandbox::with_window(provider, WINDOW);
    let live = sandbox.stand_in.live_secrets();
    let began = Timestamp::now();
    run_at(&sandbox, rotate_at, &["rotate", "hooks", "--yes"]).exits(0);
    let answered = Timestamp::now();
    let all = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--wait", "--json"];
    let run = run_at(&sandbox, wait_at, &all).exits(11);
    let ended = Timestamp::now();
    let lives_on = sandbox.stand_in.live_secrets().contains(&live[0]);
    assert!(!lives_on, "{provider} {rotate_at} {wait_at}: ended while the provider still signs with the old secret");
    assert_eq!(run.json()["next"]["step"], "drop");
    // The call was answered some time in between, and a provider's clock tells whole seconds.
    let possible = (began + WINDOW).as_second() - 1..=(answered + WINDOW).as_second() + 1;
    let end_at = end(&sandbox).as_second();
    assert!(possible.contains(&end_at), "{provider} {rotate_at} {wait_at}: {end_at} is not in {possible:?}");
    ended.duration_since(end(&sandbox)).as_secs_f64()
}

#[test]
#[ignore = "needs libfaketime"]
fn faketime_a_wrong_clock_ends_no_countdown_early() {
    assert!(Path::new(LIBRARY).exists(), "install libfaketime");
    let faked = Command::new("date").arg("+%s").env("LD_PRELOAD", LIBRARY).env("FAKETIME", "+25h").output().unwrap();
    let faked: i64 = String::from_utf8(faked.stdout).unwrap().trim().parse().unwrap();
    assert!(
        faked - Timestamp::now().as_second() > 80_000,
        "libfaketime moves nothing here, so this would prove nothing"
    );

    let mut cases = Vec::new();
    for provider in ["layers", "signa"] {
        for offset in ["+25h", "-25h", "+5m", "-5m"] {
            cases.extend([(provider, offset, ""), (provider, "", offset), (provider, offset, offset)]);
        }
    }
    let count = cases.len();
    let mut latest = 0.0_f64;
    // Cases only sleep, so many run at once.
    let waited: Vec<_> = std::thread::scope(|scope| {
        let start =
            |(provider, first, then)| (scope.spawn(move || wait_with(provider, first, then)), provider, first, then);
        let running: Vec<_> = cases.into_iter().map(start).collect();
        running.into_iter().map(|(case, provider, first, then)| (case.join().unwrap(), provider, first, then)).collect()
    });
    for (mut late, provider, first, then) in waited {
        // What was late among two dozen has to be in time by itself.
        for _ in 0..TRIES {
            assert!((0.0..LATE).contains(&late), "ended {late} s after the end");
            late = if late > IN_TIME { late.min(wait_with(provider, first, then)) } else { late };
        }
        assert!(late <= IN_TIME, "{provider} {first} {then}: {late} s late each time");
        latest = latest.max(late);
    }
    println!(
        "PROMISE 23 | the countdown never lies | cases {count} | failures 0 | never early, at most {latest:.1} s late"
    );
}

#[test]
fn a_suspended_countdown_ends_when_it_is_woken() {
    let sandbox = Sandbox::with_window("layers", OVERLAP);
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(0);
    let child = sandbox.spawn(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--wait"]);
    let signal = |name: &str| {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-STOP");
    sandbox.until_the_overlap_is_over();
    let woken = Timestamp::now();
    signal("-CONT");
    sandbox.finish(child).exits(11).says("by the provider's clock");
    let late = Timestamp::now().duration_since(woken).as_secs_f64();
    assert!(late < LATE);
    println!(
        "PROMISE 23 | a countdown that was suspended | cases 1 | failures 0 | over {late:.1} s after it was woken"
    );
}

#[test]
fn a19_an_expiry_that_is_missing_garbage_past_or_years_away_is_not_believed_blindly() {
    for (expiry, source, says) in [
        ("", "documented", "the documented one counts"),
        ("\"soon\"", "documented", "the documented one counts"),
        ("12345", "documented", "the documented one counts"),
        ("\"2020-01-01T00:00:00Z\"", "provider", "has ended already"),
        ("\"2999-01-01T00:00:00Z\"", "documented", "is years away; the documented one counts"),
    ] {
        let sandbox = Sandbox::new("layers");
        let expiry = if expiry.is_empty() { String::new() } else { format!(",\"previousSecretExpiresAt\":{expiry}") };
        let secret = "whsec_made_up_for_this_test_0123456789";
        let body = format!("{{\"endpointId\":\"{}\",\"signingSecret\":\"{secret}\"{expiry}}}", sandbox.id());
        sandbox.stand_in.fault(Fault::StatusAfter(200, body));
        let run = sandbox.run(&["rotate", "hooks", "--yes", "--json"]).exits(0).says(says);
        assert_eq!(run.json()["previous"]["expires_source"], source, "{expiry}");
        assert_eq!(sandbox.slot("_NEW").unwrap().expose(), secret);
    }
    println!(
        "PROMISE 23 | an expiry missing, garbage, past or years away | cases 5 | failures 0 | the documented end counts, or a warning"
    );
}

#[test]
fn an_end_is_the_same_moment_in_every_zone() {
    let sandbox = Sandbox::new("layers");
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(0);
    for zone in ["America/New_York", "Pacific/Apia", "Asia/Kathmandu"] {
        let status = sandbox.watch(sandbox.command(&["status"]).env("TZ", zone).output().unwrap()).exits(0);
        let a_day = ["ends in 23h 59m", "ends in 1d 00h"].iter().any(|text| status.stdout.contains(text));
        assert!(a_day, "{zone}: {}", status.stdout);
    }
    println!("PROMISE 23 | the end in other zones | cases 3 | failures 0 | the same moment in each");
}
