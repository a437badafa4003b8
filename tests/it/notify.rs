//! The notifier: told of every step and moment, never a secret, and never in the way.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::countdown::at;
use crate::sandbox::Sandbox;
use crate::servers::http::{Answer, Server};

/// Gives the sandbox a notifier that appends what it is told to a file.
fn notified(sandbox: &Sandbox) -> PathBuf {
    let told = sandbox.path("told.ndjson");
    let text = sandbox.config_text();
    sandbox.config(&format!("[notify]\ncommand = [\"sh\", \"-c\", \"cat >> '{}'\"]\n\n{text}", told.display()));
    told
}

/// What the notifier was told: the kind, and what of it.
fn told(file: &PathBuf) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let objects = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone());
    let word = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    objects.map(|event| (word(&event, "kind"), word(&event, "step") + &word(&event, "moment"))).collect()
}

#[test]
fn every_step_is_told_once_and_no_secret() {
    let sandbox = Sandbox::new("verifa");
    let file = notified(&sandbox);
    let old = sandbox.newest();
    let id = sandbox.id();
    sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare"]).exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    let steps: Vec<String> = told(&file).into_iter().map(|(kind, what)| format!("{kind} {what}")).collect();
    let expected = [
        "step check",
        "step prepare",
        "step issue",
        "step stage",
        "step promote",
        "step deploy",
        "step verify",
        "step retire",
        "step drop",
        "closed ",
    ];
    assert_eq!(steps, expected);
    let text = std::fs::read_to_string(&file).unwrap();
    for secret in [&old, &sandbox.newest(), &sandbox.api_key] {
        assert!(!text.contains(secret.expose()));
    }
}

#[test]
fn a_notifier_that_fails_or_is_missing_stops_nothing_and_is_called_once() {
    for command in ["[\"sh\", \"-c\", \"echo x >> calls; exit 3\"]", "[\"/nonexistent/notifier\"]"] {
        let sandbox = Sandbox::new("signa");
        let text = sandbox.config_text();
        sandbox.config(&format!("[notify]\ncommand = {command}\n\n{text}"));
        let run = sandbox.rotate().exits(0);
        assert_eq!(run.stderr.matches("the notifier is not told of this").count(), 1, "{}", run.stderr);
        let calls = std::fs::read_to_string(sandbox.path("work/calls")).unwrap_or_default();
        assert!(calls.lines().count() <= 1);
    }
}

#[test]
fn a_notifier_that_hangs_is_ended_after_its_time() {
    let sandbox = Sandbox::new("signa");
    let text = sandbox.config_text();
    sandbox.config(&format!("[notify]\ncommand = [\"sleep\", \"300\"]\n\n{text}"));
    let begun = Instant::now();
    sandbox.rotate().exits(0).says("the notifier is not told of this");
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
}

#[test]
fn a_notifier_comes_from_ones_own_config_only() {
    let sandbox = Sandbox::new("signa");
    std::fs::write(sandbox.path("work/whsec.toml"), "[notify]\ncommand = [\"touch\", \"run\"]\n").unwrap();
    sandbox.run(&["status"]).exits(2).says("`notify`").says("it runs a program");
    assert!(!sandbox.path("work/run").exists());
    std::fs::remove_file(sandbox.path("work/whsec.toml")).unwrap();
    let text = sandbox.config_text();
    sandbox.config(&format!("[notify]\ncommand = []\n\n{text}"));
    sandbox.run(&["status"]).exits(2).says("names no program");
}

/// Runs `status --watch` with its clock off until it has looked at the clock, and told what there is to tell.
fn watch(sandbox: &Sandbox, offset: &str) {
    let mut command = at(sandbox, offset, &["status", "--watch"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // What there is to tell is told before a row is written.
    let mut shown = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    while !shown.contains("hooks") {
        assert!(stdout.read_line(&mut shown).unwrap() > 0, "no row of it:\n{shown}");
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    sandbox.finish(child).exits(143);
}

#[test]
#[ignore = "needs libfaketime"]
fn faketime_the_notifier_is_told_of_each_moment_once() {
    let sandbox = Sandbox::new("layers");
    let file = notified(&sandbox);
    sandbox.rotate().exits(0);
    let before = told(&file).len();
    for offset in ["", "+11h", "+750m", "+13h", "+1390m", "+1391m", "+1430m", "+25h", "+26h"] {
        watch(&sandbox, offset);
    }
    let moments: Vec<String> = told(&file)[before..].iter().map(|(kind, what)| format!("{kind} {what}")).collect();
    assert_eq!(moments, ["moment T-12h", "moment T-1h", "moment T-15m", "moment overdue"]);
}

#[test]
fn tend_tells_once_of_a_moment_where_nobody_watches() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(3));
    let file = notified(&sandbox);
    sandbox.rotate().exits(0);
    sandbox.run(&["tend", "--all"]);
    let is_moment = |(kind, _): &(String, String)| kind == "moment";
    assert!(!told(&file).iter().any(is_moment));
    sandbox.until_the_overlap_is_over();
    for _ in 0..2 {
        sandbox.run(&["tend", "--all"]).exits(12);
    }
    let moments: Vec<_> = told(&file).into_iter().filter(is_moment).collect();
    assert_eq!(moments, [("moment".to_owned(), "overdue".to_owned())]);
}

/// A page of the manual as people read it, without its markup.
fn plain(page: &str) -> String {
    let marks =
        [("\\(aq", "'"), ("\\-", "-"), ("\\fB", ""), ("\\fR", ""), ("\\fI", ""), ("\\[u2026]", "…"), ("\\en", "\\n")];
    marks.iter().fold(page.to_owned(), |page, (mark, text)| page.replace(mark, text))
}

/// What the notifier was told, whole.
fn objects(file: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_is_told_is_filtered_and_says_how_much_it_matters_and_what_it_is_the_same_as() {
    let sandbox = Sandbox::new("verifa");
    let file = notified(&sandbox);
    let id = sandbox.id();
    sandbox.edit_config("[notify]\n", "[notify]\non = [\"closed\", \"leak_declared\", \"unknown\"]\n");
    sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare"]).exits(0);
    assert_eq!(objects(&file), Vec::<Value>::new());
    sandbox.run(&["force-rotate", "hooks", "--reason", "INC-1", "--confirm", &id, "--done", "prepare"]).exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    let told = objects(&file);
    let facts: Vec<_> = told.iter().map(|told| (&told["event"]["kind"], &told["event"]["severity"])).collect();
    assert!(facts.contains(&(&"closed".into(), &"info".into())), "{facts:?}");
    assert!(facts.iter().all(|(kind, _)| *kind == "closed" || *kind == "leak_declared"), "{facts:?}");
    for told in &told {
        let (key, rotation) = (told["event"]["dedup_key"].as_str().unwrap(), told["rotation"].as_str().unwrap());
        assert!(key.starts_with(&format!("{rotation}/{}/", told["event"]["kind"].as_str().unwrap())), "{key}");
    }
    sandbox.edit_config("\"closed\", ", "\"closed\", \"whatever\", ");
    sandbox.run(&["status"]).exits(2).says("config.toml:2:").says("`overdue`");
}

#[test]
fn the_notifier_can_be_tried() {
    let sandbox = Sandbox::new("layers");
    sandbox.run(&["doctor", "--notify"]).exits(1);
    assert!(sandbox.run(&["doctor", "--notify"]).stdout.contains("no program is named"));
    let file = notified(&sandbox);
    sandbox.edit_config("[notify]\n", "[notify]\non = []\n");
    assert!(sandbox.run(&["doctor", "--notify"]).stdout.contains("the program took a test"));
    assert_eq!(objects(&file)[0]["event"]["kind"], "test");
    sandbox.edit_config("command = [\"sh\", \"-c\", \"cat", "command = [\"sh\", \"-c\", \"exit 4; cat");
    let run = sandbox.run(&["doctor", "--notify"]).exits(1);
    assert!(run.stdout.contains("BAD   notify"), "{}", run.stdout);
}

/// The recipes of the manual, run as they stand there against a server of our own.
#[test]
fn the_recipes_of_the_manual_tell_slack_and_pagerduty() {
    let page = plain(include_str!("../../man/whsec-config.5"));
    let recipes: Vec<&str> =
        page.split(".nf\n#!/bin/sh\n").skip(1).map(|text| text.split("\n.fi").next().unwrap()).collect();
    assert!(recipes.len() == 2 && recipes.iter().all(|recipe| recipe.lines().count() <= 15), "{recipes:#?}");
    let server = Server::start(|_| Answer::Json(202, "{}".to_owned()));
    let heard = |from: usize| -> Vec<(String, Value)> {
        let seen = server.seen().split_off(from);
        seen.into_iter().map(|request| (request.target, serde_json::from_slice(&request.body).unwrap())).collect()
    };
    let sandbox = Sandbox::new("layers");
    let (script, config) = (sandbox.path("recipe"), sandbox.path("home/.config/whsec"));
    std::fs::write(config.join("slack.curl"), format!("url = \"{}/slack\"\n", server.url())).unwrap();
    std::fs::write(config.join("pagerduty.key"), "R0UT1NG\n").unwrap();
    let text = sandbox.config_text();
    sandbox.config(&format!("[notify]\ncommand = [\"sh\", \"{}\"]\n\n{text}", script.display()));
    let tells = |at: usize, kind: Value| {
        let before = server.seen().len();
        let recipe = recipes[at].replace("https://events.pagerduty.com", &server.url());
        std::fs::write(&script, recipe).unwrap();
        let object = serde_json::json!({ "target": "hooks", "rotation": "r-1", "event": kind });
        let mut child = std::process::Command::new("sh")
            .arg(&script)
            .env("HOME", sandbox.path("home"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{object}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        heard(before)
    };
    let overdue = serde_json::json!({ "kind": "moment", "moment": "overdue", "severity": "critical" });
    let closed = serde_json::json!({ "kind": "closed", "severity": "info" });
    let step = serde_json::json!({ "kind": "step", "step": "deploy", "severity": "info" });
    assert_eq!(
        tells(0, step.clone()),
        [("/slack".to_owned(), serde_json::json!({ "text": "info hooks step deploy" }))]
    );
    assert_eq!(tells(1, step), []);
    let opened = tells(1, overdue);
    assert_eq!(opened[0].1["event_action"], "trigger", "{opened:?}");
    assert_eq!(
        (&opened[0].1["payload"]["summary"], &opened[0].1["payload"]["severity"]),
        (&"hooks: overdue".into(), &"critical".into())
    );
    let resolved = tells(1, closed);
    assert_eq!(resolved[0].1["event_action"], "resolve", "{resolved:?}");
    assert_eq!(
        (&opened[0].1["dedup_key"], &opened[0].1["routing_key"]),
        (&resolved[0].1["dedup_key"], &"R0UT1NG".into())
    );
    // And whsec itself runs them.
    let before = server.seen().len();
    std::fs::write(&script, recipes[0]).unwrap();
    sandbox.run(&["doctor", "--notify"]).exits(0);
    assert_eq!(heard(before)[0].1["text"], "info whsec test ");
}
