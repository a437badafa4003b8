//! What a colleague does while another process waits for a person or the clock: it is let happen, and taken into account.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::Sandbox;
use crate::screen::Terminal;

const SAID: [&str; 6] = ["cutover", "hooks", "--done", "deploy", "--done", "verify"];
const WAIT: [&str; 7] = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--wait"];

/// Until a command that was started waits for the clock: it has asked for the provider's, and let go of the lock.
fn until_it_waits(sandbox: &Sandbox, requests: usize) {
    sandbox.until("the provider's clock asked", |sandbox| sandbox.requests() > requests);
    sandbox.until("the lock free", |sandbox| {
        let lock = std::fs::read_dir(sandbox.state().join("locks")).unwrap().next().unwrap().unwrap().path();
        std::fs::File::open(lock).unwrap().try_lock().is_ok()
    });
}

#[test]
fn the_old_secret_is_put_back_while_somebody_counts_down() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let requests = sandbox.requests();
    let waiting = sandbox.spawn(&WAIT);
    until_it_waits(&sandbox, requests);
    sandbox.run(&["rollback", "hooks", "--reason", "receivers refuse it"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    // Where it stands by now is what is said, and no `--wait` would be of use there.
    kill(Pid::from_raw(i32::try_from(waiting.id()).unwrap()), Signal::SIGINT).unwrap();
    sandbox.finish(waiting).exits(130).says("next: promote");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
}

#[test]
fn what_somebody_has_taken_back_is_not_done_again_by_a_late_yes() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("y").expect("deploy: done?");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    sandbox.run(&["rollback", "hooks"]).exits(0);
    terminal.types("y").expect("another whsec undid a step").expect("`promote`");
    terminal.exits(5);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn a_question_that_a_colleague_has_answered_is_of_the_past() {
    let sandbox = Sandbox::new("layers");
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("y").expect("deploy: done?");
    sandbox.run(&[&SAID[..], &["--reason", "release 214"]].concat()).exits(11).says("next: wait");
    terminal.types("y").expect("another whsec went on").expect("left, until");
    terminal.types("\u{3}");
    assert!(!terminal.exits(130).contains("verify: done?"));

    let mut terminal = Terminal::run(&sandbox, &["cutover", "hooks"]);
    terminal.expect("left, until");
    sandbox.run(&["abandon", "hooks", "--reason", "the endpoint is gone", "--yes"]).exits(0);
    terminal.types("\u{3}").expect("closed: the endpoint is gone");
    terminal.exits(130);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn two_who_wait_for_the_same_end_both_see_it() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(3));
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    let waiting = [0, 1, 2].map(|_| {
        let requests = sandbox.requests();
        let child = sandbox.spawn(&["cutover", "hooks", "--wait"]);
        until_it_waits(&sandbox, requests);
        child
    });
    for child in waiting {
        sandbox.finish(child).exits(11).says("next: drop");
    }
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
    let history = sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json();
    assert_eq!(history["rotation"]["next"]["step"], "drop");
}
