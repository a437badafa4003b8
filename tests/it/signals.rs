//! Signals, closed pipes and full disks behind stdout: a rotation that has begun is never left in the middle by them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use whsec::provider::stand_in::Fault;

use crate::sandbox::Sandbox;

/// Sends a signal to a command that was started.
pub fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn a_signal_during_the_call_lets_it_end_and_keeps_the_secret() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        for name in ["layers", "verifa"] {
            let sandbox = Sandbox::new(name);
            let old = sandbox.newest();
            sandbox.stand_in.fault(Fault::Late(Duration::from_millis(500)));
            let id = sandbox.id();
            let child = sandbox.spawn(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--json"]);
            sandbox.until("the call", |sandbox| sandbox.rotations() == 1);
            send(&child, signal);
            let run = sandbox.finish(child).exits(code);
            assert_eq!(run.json()["status"], "stored", "{name}");
            assert_eq!(run.json()["exit"], code, "{name}");
            assert_eq!(sandbox.slots(&old), ["new", "old", "empty"], "{name}: safe in every store, live in none");
            assert_eq!(run.stderr.matches("a second signal leaves").count(), 1, "{}", run.stderr);
            run.says("whsec cutover hooks");
            sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
            assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (1, 1), "{name}");
        }
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once_and_cutover_has_the_secret() {
    let sandbox = Sandbox::new("hopae");
    sandbox.stand_in.fault(Fault::Stall);
    let id = sandbox.id();
    let child = sandbox.spawn(&["rotate", "hooks", "--confirm", &id, "--done", "prepare"]);
    sandbox.until("the call", |sandbox| sandbox.rotations() == 1);
    send(&child, Signal::INT);
    // Said at once, while the provider is silent: only then is the second one sent.
    let mut child = child;
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("a second signal") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "the answer came first:\n{said}");
    }
    let line = said.lines().last().unwrap();
    assert_eq!(
        line,
        "warning: whsec stops once Hopae has answered, at most 30s after the request; a second signal leaves the \
         outcome unknown, which `whsec cutover hooks` looks into"
    );
    let begun = std::time::Instant::now();
    send(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // Half a minute is what the provider has to answer.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    sandbox.run(&["cutover", "hooks"]).exits(11);
    assert_eq!(sandbox.rotations(), 1);
    assert_eq!(sandbox.slot(""), Some(sandbox.newest()));
}

#[test]
fn a_signal_between_two_attempts_is_not_slept_through() {
    let sandbox = Sandbox::new("signa");
    // The provider wants as long as one command waits.
    let busy = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 20\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    sandbox.stand_in.fault(Fault::Raw(busy));
    let mut child = sandbox.spawn(&["rotate", "hooks", "--yes"]);
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("again in 20 s") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it did not wait:\n{said}");
    }
    let begun = std::time::Instant::now();
    send(&child, Signal::TERM);
    let run = sandbox.finish(child);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(sandbox.rotate_requests().len(), 1, "{said}");
    assert_eq!(run.code, 13, "{said}");
}

#[test]
fn a_wait_is_left_by_a_signal_with_the_way_back() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    let child = sandbox.spawn(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--wait"]);
    let before = sandbox.requests();
    // It looks whose secret the provider has, and then for its clock.
    sandbox.until("the wait", |sandbox| sandbox.requests() > before + 1);
    send(&child, Signal::TERM);
    sandbox.finish(child).exits(143).says("whsec cutover hooks --wait");
}

#[test]
fn stdout_that_is_closed_or_full_never_stops_a_rotation() {
    let shells = [
        "exec \"$0\" \"$@\" >&-",
        "exec \"$0\" \"$@\" >/dev/full",
        "exec \"$0\" \"$@\" >&- 2>&-",
        "exec \"$0\" \"$@\" >/dev/full 2>/dev/full",
        "set -o pipefail; \"$0\" \"$@\" | head -c0",
        "set -o pipefail; \"$0\" \"$@\" 2>&1 | head -c0",
    ];
    for shell in shells {
        for json in ["--json", "-v"] {
            let sandbox = Sandbox::new("hopae");
            let old = sandbox.newest();
            let id = sandbox.id();
            let inner = sandbox.command(&["rotate", "hooks", "--confirm", &id, "--done", "prepare", json]);
            let mut command = Command::new("bash");
            command.args(["-c", shell]).arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
            command.env_clear().current_dir(sandbox.path("work"));
            command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let run = sandbox.watch(command.output().unwrap());
            // What goes to stderr with `-v` is no answer that anybody misses.
            let is_lost = json == "--json" && shell.contains(">/dev/full");
            assert_eq!(run.code, i32::from(is_lost), "{shell} {json}: {}", run.stderr);
            assert_eq!(sandbox.slots(&old), ["empty", "new", "old"], "{shell} {json}");
            assert_eq!(sandbox.rotations(), 1);
        }
    }
}
