//! The walk at a terminal: the plan, the questions, the countdown; and Ctrl-C anywhere leaves the terminal as it was.

use whsec::provider::stand_in::Fault;

use crate::sandbox::{OVERLAP, Sandbox};
use crate::screen::Terminal;

#[test]
fn a_rotation_is_walked_through_and_left_at_the_countdown() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("sends     POST").expect("http://127.0.0.1").expect("lives on for").expect("Rotate now?");
    assert_eq!(sandbox.requests(), 0, "nothing is sent before the yes");
    terminal.types("y").expect("deploy: done?");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    terminal.types("y").expect("verify: done?").types("y");
    terminal.expect("come back with: whsec cutover hooks").expect("left, until").listens().types("\u{3}");
    let seen = terminal.exits(130);
    for words in [
        "Deploy the receivers so that they accept either of the two",
        "X-Layers-Signature",
        "whsec cutover hooks --wait",
    ] {
        assert!(unfolded(&seen).contains(words), "no `{words}`:\n{seen}");
    }
    assert!(!seen.contains(sandbox.newest().expose()) && !seen.contains(old.expose()));
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: wait");
    assert_eq!(sandbox.rotations(), 1);
}

/// The screen without the places where lines were folded.
fn unfolded(seen: &str) -> String {
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_whole_walk_ends_with_done() {
    let sandbox = Sandbox::with_window("signa", OVERLAP);
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("y");
    terminal.expect("deploy: done?").types("y").expect("verify: done?").types("y");
    terminal.expect("T-0").expect("drop: done?").types("y").expect("done: hooks lives on sha256:");
    terminal.exits(0);
    assert_eq!(sandbox.slot(""), Some(sandbox.newest()));
    assert_eq!(sandbox.slot("_OLD"), None);
}

#[test]
fn ctrl_c_at_any_question_leaves_the_terminal_as_it_was() {
    let sandbox = Sandbox::new("layers");
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").listens().types("\u{3}");
    terminal.exits(130);
    assert_eq!(sandbox.requests(), 0);

    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("y").expect("deploy: done?").listens().types("\u{3}");
    let seen = terminal.exits(130);
    assert!(seen.contains("whsec cutover hooks"), "{seen}");
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");

    let instant = Sandbox::new("verifa");
    let mut terminal = Terminal::run(&instant, &["rotate", "hooks"]);
    terminal.expect("Type the endpoint's id to go on").listens().types("\u{3}");
    terminal.exits(130);
    let mut terminal = Terminal::run(&instant, &["status", "--watch"]);
    terminal.expect("hooks").listens().types("\u{3}");
    terminal.exits(130);
    assert_eq!(instant.requests(), 0);
}

#[test]
fn a_no_is_respected() {
    let sandbox = Sandbox::new("layers");
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Rotate now?").types("n").expect("not rotated, as you said");
    terminal.exits(1);
    assert_eq!(sandbox.requests(), 0);
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks", "--yes"]);
    terminal.expect("deploy: done?").types("n").expect("next: deploy");
    terminal.exits(0);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn ending_a_secret_needs_its_id_typed() {
    let sandbox = Sandbox::new("hopae");
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks", "--yes"]);
    terminal.expect("the same moment").expect("Type the endpoint's id to go on").types("yes\r");
    terminal.expect("that is not the endpoint's id, so nothing was sent");
    terminal.exits(2);
    assert_eq!(sandbox.requests(), 0);
    let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
    terminal.expect("Type the endpoint's id to go on").types("id0-7Qx\r");
    terminal.expect("prepare: done?");
    assert_eq!(sandbox.rotations(), 0, "the receivers have to be ready first");
    terminal.types("y").expect("deploy: done?").types("y").expect("verify: done?").types("y");
    terminal.expect("drop: done?").types("y").expect("done: hooks lives on");
    terminal.exits(0);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a_lost_call_is_settled_by_the_person_who_looked() {
    let sandbox = Sandbox::new("kadosei");
    sandbox.stand_in.fault(Fault::CloseUnread);
    sandbox.rotate().exits(7);
    let mut terminal = Terminal::run(&sandbox, &["cutover", "hooks"]);
    terminal.expect("the same").expect("What happened at the provider?").types("\r");
    terminal.exits(7);
    let mut terminal = Terminal::run(&sandbox, &["cutover", "hooks"]);
    terminal.expect("What happened at the provider?").expect("lost").types("\u{1b}[B\r");
    terminal.expect("the provider had not rotated");
    terminal.exits(0);
    sandbox.rotate().exits(0);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a_secret_is_revealed_to_a_terminal() {
    let sandbox = Sandbox::new("hopae");
    let mut terminal = Terminal::run(&sandbox, &["reveal", "hooks"]);
    let secret = sandbox.newest();
    terminal.expect(secret.expose());
    terminal.exits(0);
}

/// Clears the screen, sets the title, fakes an answer, and turns the rest round.
const ACTS: &str = "x\u{1b}[2J\u{1b}[H\u{1b}]0;owned\u{7}\u{1b}[8m\n[yes] yes\u{202e}";

#[test]
fn b10_a_folders_name_moves_nothing_in_a_question() {
    let sandbox = Sandbox::new("layers");
    let folder = sandbox.path("work").join(ACTS);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("whsec.toml"), "# \u{9b}2J\u{202e}x\n[notify]\ncommand = [\"true\"]\n").unwrap();
    let mut command = sandbox.command(&["target", "trust"]);
    let mut terminal = Terminal::run_command(command.current_dir(&folder));
    terminal.expect("Honour all of").expect("whsec.toml").expect("as shown above?").types("n");
    let seen = terminal.exits(1);
    for acting in ["\u{1b}[2J", "\u{1b}[H", "\u{1b}]0;", "\u{1b}[8m", "\u{202e}", "\u{9b}", "\n[yes] yes"] {
        assert!(!seen.contains(acting), "{acting:?} in {seen:?}");
    }
    assert!(seen.contains("\\u{1b}]0;owned"), "{seen:?}");
}

#[test]
fn b10_an_owner_and_a_header_forge_no_lines() {
    let sandbox = Sandbox::new("layers");
    let owner = "ops\\nhooks2   stored next: drop\\u001b[31m";
    sandbox.edit_config("api_key = ", &format!("owner = \"{owner}\"\napi_key = "));
    for line in [&["status"][..], &["target", "show", "hooks"], &["target", "list"], &["rotate", "hooks", "--dry-run"]]
    {
        let run = sandbox.run(line).exits(0);
        for text in [&run.stdout, &run.stderr] {
            assert!(
                !text.lines().any(|line| line.starts_with("hooks2")) && !text.contains('\u{1b}'),
                "{line:?}: {text}"
            );
        }
    }
    let capture = "X-Layers-Signature: t=1,\u{1b}]0;owned\u{7}=x,v9\u{1b}[2J=y\nContent-Type: a\n\n{}";
    let run = sandbox.run_with_stdin(&["verify", "hooks"], &format!("POST / HTTP/1.1\n{capture}"));
    let json = sandbox.run_with_stdin(
        &["verify", "hooks"],
        &serde_json::json!({ "headers": { "X-Layers-Signature": "t=1,v9\u{1b}[2J\u{7}=y" }, "body": "{}" }).to_string(),
    );
    for run in [run, json] {
        assert_ne!(run.code, 0);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(['\u{1b}', '\u{7}']), "{}{}", run.stdout, run.stderr);
    }
}
