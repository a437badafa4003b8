//! The notifier: told of every step and moment, never a secret, and never in the way.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::countdown::at;
use crate::sandbox::Sandbox;

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
