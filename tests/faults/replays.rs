//! Promise 4: a key is sent again only while the provider still knows it, by the clock of this machine moved about.

use crate::ensure;
use crate::scene::{IDEMPOTENT, Scene};
use crate::server::{Act, Then};
use crate::tally::{Case, skip, sweep};

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
    let run = scene.rotate("2s")?.run;
    ensure!(run.code == 7, "exit {}", run.code);
    let before = scene.server.arrivals();
    scene.server.script(&[Act::Honest]);
    let mut command = scene.sandbox.command(&["cutover", "hooks", "--timeout", "5s"]);
    command.env("LD_PRELOAD", LIBRARY).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.env("DONT_FAKE_MONOTONIC", "1");
    let run = scene.measure(&mut command)?.run;
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
    sweep(4, "a key is replayed only while safe", cases, || "0 late sends, 0 differing bytes".to_owned());
}
