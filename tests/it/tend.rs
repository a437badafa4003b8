//! `tend`: what is due and needs nobody is done, at one target or wherever a rotation is open, and nothing else.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use whsec::provider::stand_in::Fault;

use crate::sandbox::{Run, Sandbox};

/// One more target, which a person rotates.
const CHAT: &str = "\n[targets.chat]\nprovider = \"slack\"\nid = \"A01\"\nstore = \"dotenv:chat.env#CHAT\"\n";

fn with_chat(provider: &str) -> Sandbox {
    let sandbox = Sandbox::new(provider);
    let file = sandbox.path("home/.config/whsec/config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}{CHAT}")).unwrap();
    sandbox
}

fn opens_chat(sandbox: &Sandbox) {
    std::fs::write(sandbox.path("work/chat.env"), format!("CHAT={}\n", "a1".repeat(16))).unwrap();
    let rotate = ["rotate", "chat", "--yes", "--confirm", "A01", "--done", "prepare", "--secret", "-"];
    sandbox.run_with_stdin(&rotate, &"b2".repeat(16));
    assert_eq!(sandbox.run(&["status", "chat", "--exit-code"]).code, 11);
}

fn exits(run: &Run) -> Vec<(String, i64)> {
    let json = run.json();
    let tended = json["tended"].as_array().unwrap().iter();
    tended.map(|one| (one["target"].as_str().unwrap().to_owned(), one["exit"].as_i64().unwrap())).collect()
}

/// A rotate whose request was carried out, and which awaits the answer.
struct Begun(Child);

impl Begun {
    fn kill_and_wait(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn begun(sandbox: &Sandbox) -> Begun {
    sandbox.stand_in.fault(Fault::Stall);
    let mut command = sandbox.command(&["rotate", "hooks", "--yes", "--timeout", "20s"]);
    let rotate = Begun(command.stderr(Stdio::null()).spawn().unwrap());
    while sandbox.rotations() == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    rotate
}

#[test]
fn where_nothing_is_open_there_is_nothing_to_do() {
    let sandbox = Sandbox::new("layers");
    let run = sandbox.run(&["tend", "--all", "--json"]).exits(0);
    assert_eq!((run.json()["tended"].clone(), run.json()["status"].as_str()), (Value::Array(Vec::new()), Some("done")));
    sandbox.run(&["tend", "hooks"]).exits(0).says("has never been rotated");
    sandbox.run(&["tend"]).exits(2);
    sandbox.run(&["tend", "hooks", "--all"]).exits(2);
    sandbox.run(&["tend", "hoks"]).exits(4).says("hoks");
    assert_eq!(sandbox.requests(), 0);
}

/// At a provider that keeps the new secret alone, whatever receivers know.
#[test]
fn a_secret_of_ours_that_the_provider_has_not_been_given_is_given_by_no_tend() {
    let sandbox = Sandbox::with_ids("github", &["acme", "shop", "1234"]);
    sandbox.edit_config("api_key = ", "cutover = \"switch\"\napi_key = ");
    for _ in 0..4 {
        sandbox.stand_in.fault(Fault::Status(429, String::new()));
    }
    sandbox.rotate().exits(13);
    let (asked, live) = (sandbox.rotate_requests().len(), sandbox.newest());
    sandbox.run(&["tend", "hooks"]).exits(11).says("next: issue");
    assert_eq!((sandbox.rotate_requests().len(), sandbox.newest()), (asked, live));
    sandbox.run(&["cutover", "hooks"]);
    assert_eq!(sandbox.rotate_requests().len(), asked + 1);
}

/// One that cannot be named hides nothing of what was done at the others.
#[test]
fn what_was_done_is_told_whatever_is_wrong_with_the_rest() {
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    let run = sandbox.run(&["tend", "hooks", "layers/a/b", "nosuch/x", "--json"]).exits(10);
    assert_eq!(exits(&run)[0], ("hooks".to_owned(), 11));
    assert_eq!(run.json()["targets"][0]["target"], "hooks");
    assert!(!run.stderr.contains("as they should be"), "{}", run.stderr);
}

/// On a machine that has lost its state folder nothing is open, and the stores know better.
#[test]
fn a_rotation_that_only_the_stores_know_of_is_overdue_for_all_as_well() {
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    std::fs::remove_dir_all(sandbox.path("state")).unwrap();
    let run = sandbox.run(&["tend", "--all", "--json"]).exits(12);
    assert!(run.json()["targets"][0]["elsewhere"].is_string(), "{}", run.stdout);
    sandbox.config("[targets.hooks]\nprovder = \"layers\"\n[seel]\n");
    sandbox.run(&["tend", "--all"]).exits(2);
}

#[test]
fn what_waits_for_a_person_or_the_clock_is_left_and_what_is_due_is_done() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(6));
    sandbox.rotate().exits(0);
    let (old, new) = (sandbox.slot("").unwrap(), sandbox.newest());
    let run = sandbox.run(&["tend", "--all", "--json"]).exits(11);
    assert_eq!(
        (exits(&run), run.json()["targets"][0]["status"].as_str()),
        (vec![("hooks".to_owned(), 11)], Some("stored"))
    );
    assert_eq!(run.json()["tended"][0]["command"], "tend");
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    assert_eq!(sandbox.slot("").as_ref(), Some(&old), "the old secret lives");
    while sandbox.run(&["tend", "hooks"]).stderr.contains("next: wait") {
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(sandbox.slot("").as_ref(), Some(&new), "its end is over, so that the new one is live");
    let again = sandbox.run(&["tend", "hooks", "--json"]);
    let overdue = again.json()["targets"][0]["overdue"].as_bool().unwrap();
    assert_eq!((again.code, again.stderr.contains("next: drop")), (if overdue { 12 } else { 11 }, true));
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    sandbox.run(&["tend", "hooks"]).exits(0).says("no rotation of `hooks` is open");
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn an_answer_that_was_lost_is_asked_for_again_and_nothing_else_is_sent() {
    let sandbox = Sandbox::new("layers");
    begun(&sandbox).kill_and_wait();
    sandbox.let_leases_end();
    let run = sandbox.run(&["tend", "--all"]).exits(11);
    assert!(run.stdout.contains("hooks") && run.stdout.contains("stored"), "{}", run.stdout);
    assert_eq!((sandbox.slot("_NEW").as_ref(), sandbox.rotations()), (Some(&sandbox.newest()), 1));
    // What nobody has agreed to is no business of it.
    let sandbox = Sandbox::new("verifa");
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate().exits(7);
    let asked = sandbox.rotate_requests().len();
    sandbox.run(&["tend", "hooks"]).exits(7);
    assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (1, asked), "it only looks");
}

/// Whoever looks every minute for weeks leaves a journal that can be read.
#[test]
fn what_receivers_accept_is_recorded_once_while_it_stays_the_same() {
    let sandbox = Sandbox::with_receiver("layers", "http://127.0.0.1:9/hooks", None).over_objects();
    sandbox.rotate();
    let probes = || {
        let (_, head) = sandbox.place.as_ref().unwrap().one("heads/");
        String::from_utf8(head).unwrap().matches("probed").count()
    };
    for _ in 0..3 {
        sandbox.run(&["tend", "hooks"]).exits(11);
        assert_eq!(probes(), 1);
    }
    // A word changes what it says.
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--override", "--reason", "seen there"]);
    sandbox.run(&["tend", "hooks"]);
    assert_eq!(probes(), 2);
}

#[test]
fn what_fails_at_one_target_keeps_no_other_back() {
    let sandbox = with_chat("verifa");
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate().exits(7);
    opens_chat(&sandbox);
    // What is wrong with a target that nothing is open of is no business of it.
    let file = sandbox.path("home/.config/whsec/config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}[targets.broken]\nprovider = \"slak\"\nid = \"1\"\n")).unwrap();
    let run = sandbox.run(&["tend", "--all", "--json"]).exits(10);
    assert_eq!(exits(&run), [("hooks".to_owned(), 7), ("chat".to_owned(), 11)]);
    assert_eq!(run.json()["status"], "failed");
    // Alone, each has the code of its own.
    assert_eq!(exits(&sandbox.run(&["tend", "hooks", "--json"]).exits(7)), [("hooks".to_owned(), 7)]);
    sandbox.run(&["tend", "chat"]).exits(11);
    let run = sandbox.run(&["tend", "chat", "broken", "--json"]).exits(10);
    assert_eq!(exits(&run), [("chat".to_owned(), 11), ("broken".to_owned(), 2)]);
    assert_eq!(run.json()["error"]["message"], "1 of 2 targets failed: broken");
    let run = sandbox.run(&["tend", "chat", "gone", "--json"]).exits(10);
    assert_eq!(exits(&run), [("chat".to_owned(), 11), ("gone".to_owned(), 4)]);
}

#[test]
fn what_another_process_is_at_is_left_to_it() {
    let sandbox = Sandbox::new("layers");
    let rotate = begun(&sandbox);
    let run = sandbox.run(&["tend", "--all", "--json"]);
    rotate.kill_and_wait();
    assert_eq!(run.json()["tended"][0]["status"], "open");
    run.exits(11).says("another whsec is at work on `hooks`: left to it");
}
