//! The provider said yes and its answer cannot be read: it is kept whole, and nothing is lost that can be had.

use whsec::provider::stand_in::Fault;

use crate::sandbox::Sandbox;

fn answers() -> Vec<(&'static str, Fault, &'static str)> {
    let huge = format!("{{\"padding\": \"{}\"}}", "x".repeat(2 << 20));
    vec![
        (
            "not JSON",
            Fault::StatusAfter(200, "<html>It worked!</html>".to_owned()),
            "the answer is not JSON (line 1, column 1)",
        ),
        ("no secret", Fault::StatusAfter(200, "{\"ok\": true}".to_owned()), "the answer has nothing at `/"),
        (
            "masked",
            Fault::StatusAfter(
                200,
                "{\"secret\": \"whsec_****1234\", \"signingSecret\": \"whsec_****1234\"}".to_owned(),
            ),
            "only a masked secret",
        ),
        ("empty", Fault::StatusAfter(200, String::new()), "the answer is empty"),
        ("huge", Fault::StatusAfter(200, huge), "cut off or is larger than whsec reads"),
        ("half", Fault::HalfBody, "cut off or is larger than whsec reads"),
    ]
}

#[test]
fn where_a_replay_is_safe_it_brings_the_secret() {
    for (what, fault, _) in answers() {
        let sandbox = Sandbox::new("layers");
        let old = sandbox.newest();
        sandbox.stand_in.fault(fault);
        sandbox.rotate().exits(0);
        assert_eq!(sandbox.slots(&old), ["new", "old", "empty"], "{what}");
        assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (1, 2), "{what}");
        assert!(sandbox.leftovers().is_empty(), "{what}");
    }
}

#[test]
fn elsewhere_the_whole_answer_is_sealed_and_can_be_seen() {
    for name in ["kadosei", "verifa"] {
        for (what, fault, says) in answers() {
            let sandbox = Sandbox::new(name);
            let live = std::fs::read(sandbox.dotenv()).unwrap();
            let expected = match &fault {
                Fault::StatusAfter(_, body) => body.clone(),
                _ => String::new(),
            };
            sandbox.stand_in.fault(fault);
            let id = sandbox.id();
            let run = sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare", "--json"]).exits(7);
            assert_eq!(run.json()["status"], "unknown");
            run.says(says).says("the whole answer is sealed in").says("whsec reveal hooks --slot sealed");
            let shown = sandbox.run_revealing(&["reveal", "hooks", "--slot", "sealed", "--unsafe-stdout"]).exits(0);
            let begins: String = shown.stdout.chars().take(200).collect();
            assert!(
                what == "half"
                    || (expected.starts_with(&begins) && shown.stdout.len() >= expected.len().min(1 << 20) / 2),
                "{what}"
            );
            sandbox.run(&["cutover", "hooks"]).exits(7).says(says);
            assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (1, 1), "{name}, {what}");
            assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), live, "{what}");
        }
    }
}

#[test]
fn a_person_can_close_a_rotation_whose_answer_nobody_can_read() {
    let sandbox = Sandbox::new("verifa");
    sandbox.stand_in.fault(Fault::StatusAfter(200, "{}".to_owned()));
    sandbox.rotate().exits(7);
    sandbox.run(&["cutover", "hooks", "--resolve", "applied"]).exits(4).says("it has to be rotated again");
    sandbox.rotate().exits(0);
    assert_eq!(sandbox.slot(""), Some(sandbox.newest()));
}

#[test]
fn an_answer_about_another_endpoint_is_not_taken_for_ours() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    let body = "{\"id\": \"another\", \"secret\": \"whsec_0123456789abcdef0123456789abcdef\"}";
    sandbox.stand_in.fault(Fault::StatusAfter(200, body.to_owned()));
    sandbox.rotate().exits(7).says("the answer is about another endpoint");
    assert_eq!((sandbox.slot(""), sandbox.slot("_NEW")), (Some(old), None));
}

#[test]
fn foreign_words_come_out_on_one_line_and_without_control_characters() {
    let sandbox = Sandbox::new("signa");
    let detail = "no\\u001b[2J\\u0007\\nerror: all is well\\u202e";
    let body = format!("{{\"error\": {{\"type\": \"x\\u001b]0;t\", \"detail\": \"{detail}\"}}}}");
    sandbox.stand_in.fault(Fault::Status(400, body));
    let run = sandbox.rotate().exits(1);
    assert!(!run.stderr.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", run.stderr);
    assert!(!run.stderr.contains("\nerror: all is well"));
}
