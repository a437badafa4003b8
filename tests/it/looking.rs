//! The commands that only look: inspect, status, history, fingerprint, reveal.

use serde_json::Value;
use whsec::secret::Secret;

use crate::sandbox::{OVERLAP, Sandbox};

#[test]
fn inspect_shows_provider_stores_and_journal_by_fingerprint() {
    for name in ["layers", "signa", "hopae", "kadosei", "verifa"] {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest().fingerprint().to_string();
        let run = sandbox.run(&["inspect", "hooks"]).exits(0);
        assert!(run.stdout.contains("never rotated with whsec"), "{name}: {}", run.stdout);
        assert!(run.stdout.contains(&old));
        sandbox.rotate().exits(0);
        let new = sandbox.newest().fingerprint().to_string();
        let run = sandbox.run(&["inspect", "hooks"]).exits(0);
        assert!(run.stdout.contains(&format!("{new}  (the new secret)")), "{name}: {}", run.stdout);
        assert!(run.stdout.contains(&format!("{old}  (the old secret)")), "{name}: {}", run.stdout);
        let json = sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json();
        assert_eq!(json["at_provider"]["version"].as_str(), (name == "signa").then_some("2"), "{name}");
        assert_eq!(json["at_provider"]["fingerprint"].is_string(), name == "kadosei", "{name}");
        assert_eq!(json["rotation"]["status"], "stored", "{name}");
        assert_eq!(sandbox.rotations(), 1, "{name}");
    }
}

#[test]
fn inspect_shows_what_it_has_when_the_provider_refuses() {
    let sandbox = Sandbox::new("signa");
    std::fs::write(sandbox.path("key"), "another_key_00000000").unwrap();
    let run = sandbox.run(&["inspect", "hooks", "--json"]).exits(3);
    assert_eq!(run.json()["error"]["kind"], "auth");
    assert_eq!(run.json()["stores"][0]["current"], sandbox.newest().fingerprint().to_string());
}

#[test]
fn status_counts_open_and_overdue() {
    let sandbox = Sandbox::with_window("signa", OVERLAP);
    let run = sandbox.run(&["status", "--exit-code"]).exits(0);
    assert_eq!(run.stdout, format!("{:<20}  age unknown: never rotated with whsec\n", "hooks"));
    sandbox.rotate().exits(0);
    let run = sandbox.run(&["status", "--exit-code"]).exits(11);
    assert!(run.stdout.contains("hooks") && run.stdout.contains("stored    next: deploy"), "{}", run.stdout);
    assert!(run.stdout.contains("old secret ends in"), "{}", run.stdout);
    sandbox.run(&["status"]).exits(0);
    sandbox.until_the_overlap_is_over();
    let run = sandbox.run(&["status", "--exit-code", "--json"]).exits(12);
    assert_eq!(run.json()["targets"][0]["overdue"], true);
    let all = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"];
    sandbox.run(&all).exits(0);
    let run = sandbox.run(&["status", "--exit-code"]).exits(0);
    assert!(run.stdout.contains("secret is"), "{}", run.stdout);
    sandbox.run(&["status", "--exit-code", "--max-age", "0s"]).exits(12);
    sandbox.run(&["status", "--exit-code", "--max-age", "1h"]).exits(0);
    sandbox.edit_config("[targets.hooks]", "[targets.hooks]\nmax_age = \"90d\"\nowner = \"payments on-call\"");
    let run = sandbox.run(&["status", "--exit-code", "--json"]).exits(0);
    assert_eq!(run.json()["targets"][0]["max_age_seconds"], 90 * 86_400);
    assert_eq!(run.json()["targets"][0]["owner"], "payments on-call");
}

#[test]
fn history_lists_closed_rotations_oldest_first() {
    let sandbox = Sandbox::new("verifa");
    sandbox.run(&["history"]).exits(0).says("no rotation has been closed");
    let id = sandbox.id();
    for reason in ["first", "second"] {
        sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare", "--reason", reason]).exits(0);
        sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    }
    let json = sandbox.run(&["history", "hooks", "--json"]).exits(0).json();
    let reasons: Vec<_> = json["rotations"].as_array().unwrap().iter().map(|rotation| &rotation["reason"]).collect();
    assert_eq!(reasons, ["first", "second"]);
    let run = sandbox.run(&["history", "--since", "1h"]).exits(0);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stdout.contains("done") && run.stdout.contains("instant") && run.stdout.contains("oncall@"));
    assert_eq!(sandbox.run(&["history", "--since", "0s"]).exits(0).stdout, "");
}

#[test]
fn fingerprint_says_which_slot_a_value_is_in() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    let store = format!("dotenv:{}#HOOK_SECRET", sandbox.dotenv().display());
    let run = sandbox.run(&["fingerprint", "hooks"]).exits(0);
    let expected = format!("{}  current   {store}\n{}  previous  {store}\n", new.fingerprint(), old.fingerprint());
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (expected.as_str(), ""));
    for end in ["", "\n"] {
        let run = sandbox.run_with_stdin(&["fingerprint", "-"], &format!("{}{end}", old.expose())).exits(0);
        let shown = format!("{}\nhooks  previous  {store}\nhooks  the old secret since ", old.fingerprint());
        assert!(run.stdout.starts_with(&shown) && run.stdout.contains("; it lives until "), "{}", run.stdout);
    }
    let run = sandbox.run_with_stdin(&["fingerprint", "-", "--json"], "something else").exits(4);
    run.says("is in no slot, and this machine's journal knows nothing of it");
    sandbox.run_with_stdin(&["fingerprint", "-"], "").exits(2).says("there is no value on stdin");
}

#[test]
fn c6_a_value_that_no_slot_holds_any_more_is_still_known() {
    let sandbox = Sandbox::new("hopae");
    let old = sandbox.newest();
    let ask = |secret: &Secret| sandbox.run_with_stdin(&["fingerprint", "-", "--json"], secret.expose());
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    let known = ask(&old).exits(0).json();
    assert_eq!(known["slots"], Value::Array(vec![]));
    let whose = &known["known"][0];
    assert_eq!((whose["role"].as_str(), whose["ended"].as_bool()), (Some("old"), Some(true)), "{known}");
    assert!(whose["ends_at"].is_string() && whose["endpoint"] == sandbox.id().as_str(), "{known}");
    // The same once the target has left the config: the journal has the endpoint and its store.
    sandbox.config("[seal]\nidentity = \"file\"\n");
    assert_eq!(ask(&old).exits(0).json()["known"][0]["target"], "hooks");
    let known = ask(&new).exits(0).json();
    assert_eq!((&known["slots"][0]["slot"], &known["known"][0]["role"]), (&"current".into(), &"new".into()), "{known}");
    let run = ask(&Secret::new("whsec_another")).exits(4);
    assert_eq!(run.json()["error"]["kind"], "not_found");
}

#[test]
fn c8_a_quiet_status_is_quiet_and_a_yes_or_no_is_a_word() {
    let sandbox = Sandbox::new("kadosei");
    sandbox.rotate().exits(0);
    let run = sandbox.run(&["status", "--exit-code", "-q"]).exits(11);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let shown = sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json();
    assert_eq!(shown["at_provider"]["status"], "active", "{shown}");
}

#[test]
fn reveal_prints_a_secret_only_where_that_is_wanted() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox
        .run(&["reveal", "hooks"])
        .exits(2)
        .says("stdout is not a terminal, so the secret is not printed")
        .says("--unsafe-stdout");
    sandbox.run(&["reveal", "hooks", "--json"]).exits(2).says("--json never carries a secret");
    for (slot, secret) in [("current", sandbox.newest()), ("previous", old)] {
        let run = sandbox.run_revealing(&["reveal", "hooks", "--slot", slot, "--unsafe-stdout"]).exits(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (secret.expose(), ""));
    }
    sandbox.run(&["reveal", "hooks", "--slot", "next", "--unsafe-stdout"]).exits(4).says("no store of `hooks`");
    sandbox.run(&["reveal", "hooks", "--slot", "sealed", "--unsafe-stdout"]).exits(4).says("no sealed copy");
}
