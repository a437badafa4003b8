//! A provider of which nobody knows for how long it keeps the old secret: its answer says it.

use serde_json::json;

use crate::sandbox::Sandbox;
use crate::servers::http::{Answer, Server};

#[test]
fn the_answer_alone_says_how_long_the_old_secret_lives() {
    let sandbox = Sandbox::new("kit");
    let plan = sandbox.run(&["rotate", "hooks", "-n"]).exits(0);
    plan.says("lives on for as long as the answer says");
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--json"]).exits(0).json();
    assert_eq!(
        (run["direction"].as_str(), run["previous"]["expires_source"].as_str()),
        (Some("overlap-either"), Some("provider"))
    );
    let until = run["previous"]["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lives = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((3_500..=3_600).contains(&lives), "{lives}");
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(5).says("is open already");
    let force =
        sandbox.run(&["force-rotate", "hooks", "--reason", "leaked", "--yes", "--confirm", &sandbox.id(), "--json"]);
    assert_eq!(force.exits(0).json()["direction"], "force");
    sandbox.run(&["rotate", "hooks", "--overlap", "2h", "-n"]).exits(2).says("says itself for how long");
}

#[test]
fn where_the_answer_is_silent_a_persons_word_ends_the_wait() {
    let sandbox = Sandbox::new("kit");
    let server = Server::start(|request| {
        let shown = if request.method == "POST" {
            json!({ "secret": "whsec_0123456789abcdef0123456789abcdef" })
        } else {
            json!({})
        };
        Answer::Json(200, shown.to_string())
    });
    sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--json"]).exits(0).json();
    assert_eq!(
        (run["previous"]["expires_source"].as_str(), run["previous"]["expires_at"].is_null()),
        (Some("unknown"), true)
    );
    let done = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--reason", "seen in the log"];
    sandbox.run(&done).exits(11).says("next: wait");
    assert!(sandbox.slot("_NEW").is_some(), "nothing goes live, and nothing of the old one is forgotten, before that");
    sandbox.run(&["cutover", "hooks", "--done", "wait", "--done", "drop", "--reason", "its page says so"]).exits(0);
}
