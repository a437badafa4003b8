//! What a colleague does while another process waits for a person or the clock: it is let happen, and taken into account.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::sandbox::{OVERLAP, Sandbox};
use crate::screen::Terminal;
use crate::signals::send;

const SAID: [&str; 6] = ["cutover", "hooks", "--done", "deploy", "--done", "verify"];
const WAIT: [&str; 7] = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--wait"];

/// The endpoint's lock; the one beside it is that of the seals' identity.
fn lock(sandbox: &Sandbox) -> PathBuf {
    let locks = std::fs::read_dir(sandbox.state().join("locks")).unwrap();
    locks.map(|entry| entry.unwrap().path()).find(|path| !path.ends_with("seals")).unwrap()
}

/// Until nobody has the endpoint's lock, seen without taking it.
fn until_the_lock_is_free(sandbox: &Sandbox) {
    let inode = format!(":{} ", std::fs::metadata(lock(sandbox)).unwrap().ino());
    sandbox.until("the lock free", |_| !std::fs::read_to_string("/proc/locks").unwrap().contains(&inode));
}

/// Starts a command that waits for the clock, and comes back when it does.
pub fn waiting(sandbox: &Sandbox, arguments: &[&str]) -> std::process::Child {
    let requests = sandbox.requests();
    let child = sandbox.spawn(arguments);
    sandbox.until("the provider's clock asked", |sandbox| sandbox.requests() > requests);
    until_the_lock_is_free(sandbox);
    child
}

#[test]
fn the_old_secret_is_put_back_while_somebody_counts_down() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let child = waiting(&sandbox, &WAIT);
    sandbox.run(&["rollback", "hooks", "--reason", "receivers refuse it"]).exits(0);
    // Within a second or so, and not at the end of a day.
    sandbox.finish(child).exits(5).says("`promote` is due again").says("(receivers refuse it)");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);

    sandbox.run(&["cutover", "hooks", "--yes"]).exits(11);
    let finish = ["finish", "hooks", "--drain", "1h", "--override", "--reason", "seen in the log"];
    let mut terminal = Terminal::run(&sandbox, &finish);
    terminal.expect("draining");
    sandbox.run(&["rollback", "hooks", "--reason", "once more"]).exits(0);
    terminal.expect("`promote` is due again").expect("(once more)");
    terminal.exits(5);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
}

#[test]
fn what_somebody_has_taken_back_is_not_done_again_by_a_late_yes() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("y").expect("deploy: done?");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    sandbox.run(&["rollback", "hooks", "--reason", "receivers refuse it"]).exits(0);
    terminal.types("y").expect("`promote` is due again").expect("(receivers refuse it)");
    terminal.exits(5);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);

    // Taken back and done once more is not what the question was about, either.
    let mut terminal = Terminal::run(&sandbox, &["cutover", "hooks"]);
    terminal.expect("Let the new secret go live again?").types("y").expect("deploy: done?");
    sandbox.run(&["rollback", "hooks"]).exits(0);
    sandbox.run(&["cutover", "hooks", "--yes"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    terminal.types("y").expect("`deploy` is due again");
    terminal.exits(5);
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
}

#[test]
fn a_question_that_a_colleague_has_answered_is_of_the_past() {
    let sandbox = Sandbox::new("layers");
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("y").expect("deploy: done?");
    sandbox.run(&[&SAID[..], &["--reason", "release 214"]].concat()).exits(11).says("next: wait");
    terminal.types("y").expect("another whsec went on").expect("left, until");
    terminal.listens().types("\u{3}");
    assert!(!terminal.exits(130).contains("verify: done?"));
}

#[test]
fn what_a_colleague_has_given_up_is_not_gone_on_with() {
    let sandbox = Sandbox::new("layers");
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("y").expect("deploy: done?");
    sandbox.run(&["abandon", "hooks", "--reason", "the endpoint is gone", "--yes"]).exits(0);
    terminal.types("y").expect("this rotation was closed meanwhile by").expect("the endpoint is gone");
    terminal.exits(5);
    sandbox.run(&["cutover", "hooks"]).exits(4).says("closed the last one").says("the endpoint is gone");
    assert_eq!(sandbox.rotations(), 1);

    // What is closed by others is not closed once more, and says whose it was.
    let named = sandbox.run(&["rollback", "hooks"]).exits(4);
    named.says("no rotation of `hooks` is open: oncall@").says("whsec inspect hooks");

    let instant = Sandbox::new("verifa");
    let old = instant.newest();
    instant.rotate().exits(0);
    let finish = ["finish", "hooks", "--drain", "5s", "--override", "--reason", "seen in the log"];
    let mut terminal = Terminal::run(&instant, &finish);
    terminal.expect("draining");
    let slots = instant.slots(&old);
    instant.run(&["abandon", "hooks", "--reason", "by mistake", "--yes"]).exits(0);
    terminal.expect("this rotation was closed meanwhile by").expect("by mistake");
    terminal.exits(5);
    assert_eq!(instant.slots(&old), slots);
}

#[test]
fn a_question_before_the_call_is_in_nobodys_way() {
    let sandbox = Sandbox::new("signa");
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?");
    sandbox
        .run(&["force-rotate", "hooks", "--reason", "leaked", "--confirm", &sandbox.id(), "--done", "prepare", "--yes"])
        .exits(0);
    terminal.types("y").expect("others rotated here while you were asked");
    terminal.exits(5);
    assert_eq!(sandbox.rotations(), 1);

    let mut terminal = Terminal::run(&sandbox, &["abandon", "hooks", "--reason", "tired"]);
    terminal.expect("Close this rotation");
    sandbox.run(&SAID).exits(11).says("next: drop");
    terminal.types("y").expect("others went on with this rotation");
    terminal.exits(5);
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn an_id_that_was_typed_ends_no_secret_that_came_while_it_was_asked_for() {
    for (name, command) in [("signa", "force-rotate"), ("verifa", "rotate")] {
        let sandbox = Sandbox::new(name);
        let id = sandbox.id();
        let mut terminal = Terminal::run(&sandbox, &[command, "hooks", "--reason", "leaked"]);
        terminal.expect("Type the endpoint's id");
        sandbox.run(&[command, "hooks", "--reason", "leaked", "--confirm", &id, "--done", "prepare"]).exits(0);
        if name == "verifa" {
            sandbox.run(&[&SAID[..], &["--done", "drop"]].concat()).exits(0);
        }
        terminal.types(&format!("{id}\r")).expect("others rotated here while you were asked");
        terminal.exits(5);
        assert_eq!(sandbox.rotations(), 1, "{name}");
    }
}

#[test]
fn a_yes_is_for_what_was_asked() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&["rollback", "hooks", "--reason", "first"]).exits(0);
    let mut terminal = Terminal::run(&sandbox, &["cutover", "hooks"]);
    terminal.expect("(first)").expect("Let the new secret go live again?");
    sandbox.run(&["cutover", "hooks", "--yes"]).exits(11);
    sandbox.run(&["rollback", "hooks", "--reason", "second"]).exits(0);
    terminal.types("y").expect("`promote` is due again").expect("(second)");
    terminal.exits(5);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
}

#[test]
fn draining_goes_on_when_a_colleague_has_done_a_step() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let begun = std::time::Instant::now();
    let finish = ["finish", "hooks", "--drain", "20s", "--override", "--reason", "seen in the log"];
    let mut terminal = Terminal::run(&sandbox, &finish);
    terminal.expect("draining");
    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11).says("next: verify");
    terminal.expect("another whsec went on").expect("draining");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    terminal.exits(0);
    assert!(begun.elapsed() > Duration::from_secs(18), "drained for {:?}", begun.elapsed());
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn two_who_wait_for_the_same_end_both_see_it() {
    let sandbox = Sandbox::with_window("layers", OVERLAP);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    let children = [0, 1].map(|_| waiting(&sandbox, &["cutover", "hooks", "--wait"]));
    for child in children {
        sandbox.finish(child).exits(11).says("next: drop");
    }
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn who_comes_back_while_another_is_at_work_waits_for_that() {
    let sandbox = Sandbox::with_window("layers", OVERLAP);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    let children = [0, 1].map(|_| waiting(&sandbox, &["cutover", "hooks", "--wait"]));
    // Another process, as far as they can tell.
    let held = File::options().write(true).open(lock(&sandbox)).unwrap();
    held.lock().unwrap();
    sandbox.until_the_overlap_is_over();
    let [first, second] = children;
    send(&first, Signal::INT);
    sandbox.finish(first).exits(130).says("waiting until another whsec is through");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    drop(held);
    sandbox.finish(second).exits(11).says("waiting until another whsec is through").says("next: drop");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn a19_a_state_folder_that_is_removed_is_noticed_by_who_waits() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let child = waiting(&sandbox, &WAIT);
    std::fs::rename(sandbox.state(), sandbox.path("aside")).unwrap();
    // Within a second or so, and not at the end of a day.
    sandbox.finish(child).exits(8).says("was removed or replaced while whsec ran").says("bring `");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    std::fs::rename(sandbox.path("aside"), sandbox.state()).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: wait");
}
