//! Promise 4: a key is sent again only while the provider still knows it, by the clock of this machine moved about.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use whsec::provider::answer::Outcome;
use whsec::provider::client::{Client, ClientOptions};
use whsec::provider::request;

use crate::ensure;
use crate::sandbox::{Run, Sandbox};
use crate::scene::{IDEMPOTENT, Scene};
use crate::server::{Act, Then};
use crate::tally::{Case, is_full, skip, sweep};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// The clock's offset, and whether the key may still be sent. The window of all three is 24 h, less ten minutes.
const OFFSETS: [(&str, bool); 7] = [
    ("+1m", true),
    ("+1425m", true), // 23 h 45
    ("+1429m", true),
    ("+1435m", false), // 23 h 55
    ("+1500m", false), // 25 h
    ("+43200m", false),
    ("-60m", false),
];

fn drive(provider: &str, offset: &str, may_send: bool) -> Result<(), String> {
    let scene = Scene::new(provider);
    scene.server.script(&[Act::Commit(Then::Send(Vec::new()))]);
    let run = scene.rotate("20s")?.run;
    ensure!(run.code == 7, "exit {}", run.code);
    let before = scene.server.arrivals();
    scene.server.script(&[Act::Honest]);
    let run = cutover_at(&scene, offset)?;
    let sent = scene.server.arrivals() - before;
    let calls = scene.server.calls();
    ensure!(calls.windows(2).all(|pair| pair[0] == pair[1]), "another request, or another key");
    ensure!(scene.sandbox.rotations() == 1, "{} rotations", scene.sandbox.rotations());
    if may_send {
        ensure!(sent == 1 && run.code == 11, "sent {sent} times, exit {}:\n{}", run.code, run.stderr);
        ensure!(scene.is_kept(), "the secret was not had again");
    } else {
        ensure!(sent == 0 && run.code == 7, "sent {sent} times, exit {}:\n{}", run.code, run.stderr);
    }
    Ok(())
}

/// Goes on with this machine's clock moved.
fn cutover_at(scene: &Scene, offset: &str) -> Result<Run, String> {
    let mut command = scene.sandbox.command(&["cutover", "hooks", "--timeout", "20s"]);
    command.env("LD_PRELOAD", LIBRARY).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env("DONT_FAKE_MONOTONIC", "1");
    Ok(scene.measure(&mut command)?.run)
}

/// How far the provider's clock has moved with ours, in hours.
static HOURS: AtomicI64 = AtomicI64::new(0);

fn moved() -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(HOURS.load(Ordering::SeqCst))
}

/// The window begins with the first attempt, whenever the last one was. Time goes by on both clocks.
fn tried_again(provider: &str) -> Result<(), String> {
    HOURS.store(0, Ordering::SeqCst);
    let scene = Scene::of(Sandbox::with_clock(provider, moved));
    scene.server.script(&[Act::Commit(Then::Send(Vec::new()))]);
    ensure!(scene.rotate("20s")?.run.code == 7, "the answer was not lost");
    let first = scene.server.arrivals();
    HOURS.store(20, Ordering::SeqCst);
    let between = cutover_at(&scene, "+20h")?;
    ensure!(between.code == 7, "exit {} while the answer is lost again:\n{}", between.code, between.stderr);
    let before = scene.server.arrivals();
    ensure!(before > first, "it was not tried again within the window");
    scene.server.script(&[Act::Honest]);
    HOURS.store(25, Ordering::SeqCst);
    let run = cutover_at(&scene, "+25h")?;
    let sent = scene.server.arrivals() - before;
    ensure!(sent == 0 && run.code == 7, "sent {sent} times, exit {}:\n{}", run.code, run.stderr);
    Ok(())
}

/// Somebody else rotates between the lost answer and its repetition. Where the provider shows a version, the repeated
/// secret is found to be an old one and never goes live.
fn overtaken(provider: &str) -> Result<(), String> {
    let scene = Scene::new(provider);
    let (sandbox, live) = (&scene.sandbox, scene.live());
    scene.server.script(&[Act::Commit(Then::Send(Vec::new()))]);
    ensure!(scene.rotate("20s")?.run.code == 7, "the answer was not lost");
    let client = Client::new(&ClientOptions { timeout: Duration::from_secs(5), ca: None }).unwrap();
    let ids: Vec<_> = sandbox.endpoint().ids.iter().map(|id| (id.name.clone(), id.value.clone())).collect();
    let base = sandbox.stand_in.base_url();
    let theirs = sandbox.provider.endpoint(Some(&base), &ids, None, &BTreeMap::new()).unwrap();
    let call =
        request::force(&theirs, request::new_key(&sandbox.provider).as_deref(), "theirs").unwrap().expect("a call");
    let outcome = client.call(&theirs, &call, &sandbox.api_key);
    ensure!(matches!(outcome, Outcome::Success(_)), "nobody else could rotate: {outcome:?}");
    scene.server.script(&[Act::Honest]);
    let run = scene.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"])?.run;
    ensure!(run.code == 5, "exit {} where somebody else rotated:\n{}", run.code, run.stderr);
    ensure!(scene.live() == live, "a secret that has ended went live");
    ensure!(sandbox.rotations() == 2, "{} rotations", sandbox.rotations());
    let status = scene.run(&["history", "--json"])?.run.json()["rotations"][0]["status"].clone();
    ensure!(status == "superseded", "the journal says {status}");
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn somebody_else_rotated_before_the_answer_was_repeated() {
    let cases: Vec<Case<'_>> = vec![("signa".to_owned(), Box::new(|| overtaken("signa")))];
    sweep(4, "somebody else rotated in between", cases, || {
        "the stale replay is noticed by the provider's version, 0 live slots changed".to_owned()
    });
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_key_past_its_window_is_not_sent() {
    if !std::path::Path::new(LIBRARY).exists() {
        return skip("a key past its window", "libfaketime is not installed (Debian: faketime)");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for provider in IDEMPOTENT {
        for (offset, may_send) in OFFSETS {
            cases.push((format!("{provider}, {offset}"), Box::new(move || drive(provider, offset, may_send))));
        }
    }
    // They share the provider's clock, so one after the other, and begin first because they take longest.
    let some = if is_full() { &IDEMPOTENT[..] } else { &IDEMPOTENT[..1] };
    let again = || some.iter().try_for_each(|provider| tried_again(provider));
    cases.insert(0, ("tried again at +20h, then +25h".to_owned(), Box::new(again)));
    sweep(4, "a key is replayed only while safe", cases, || "0 late sends, 0 differing bytes".to_owned());
}
