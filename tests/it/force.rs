//! Ending an old secret early: on purpose, with the endpoint's id, and never as a way around a refusal.

use std::time::Duration;

use crate::fleet::Fleet;
use crate::sandbox::Sandbox;

#[test]
fn signa_is_asked_to_force_with_the_reason_in_the_body() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let reason = "Suspected secret leak — incident IR-2026-04-12";
    let id = sandbox.id();
    let run = sandbox
        .run(&["force-rotate", "hooks", "--reason", reason, "--confirm", &id, "--done", "prepare", "--json"])
        .exits(0);
    let json = run.json();
    assert_eq!((json["direction"].as_str(), json["contained"].as_bool()), (Some("force"), Some(false)));
    assert_eq!(json["reason"], reason);
    let sent = sandbox.rotate_requests().pop().unwrap();
    let body: serde_json::Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(body, serde_json::json!({"force": true, "reason": reason}));
    assert_eq!(sent.path, "/v1/webhooks/id0-7Qx/rotate-secret", "force goes in the body, not in the query");
    assert_eq!(sandbox.stand_in.live_secrets().len(), 1, "the old secret has ended");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    run.says("this does not contain a leak");

    sandbox.run(&["status", "--exit-code"]).exits(11);
    let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--json"]).exits(11);
    assert_eq!(run.json()["contained"], false);
    assert!(sandbox.run(&["status"]).stdout.contains("contained: no"));
    let run = sandbox.run(&["cutover", "hooks", "--done", "drop", "--json"]).exits(0);
    assert_eq!((run.json()["contained"].as_bool(), run.json()["status"].as_str()), (Some(true), Some("done")));
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn at_instant_providers_force_is_the_same_call_with_the_reason_in_the_journal() {
    for name in ["hopae", "kadosei", "verifa"] {
        let sandbox = Sandbox::new(name);
        let plain = Sandbox::new(name);
        let id = sandbox.id();
        let run = sandbox
            .run(&["force-rotate", "hooks", "--reason", "INC-1", "--confirm", &id, "--done", "prepare", "--json"])
            .exits(0);
        assert_eq!((run.json()["reason"].as_str(), run.json()["direction"].as_str()), (Some("INC-1"), Some("instant")));
        plain.rotate().exits(0);
        let (forced, rotated) = (sandbox.rotate_requests().pop().unwrap(), plain.rotate_requests().pop().unwrap());
        assert_eq!((forced.method, forced.path, forced.body), (rotated.method, rotated.path, rotated.body), "{name}");
    }
}

#[test]
fn a_yes_is_not_enough_to_end_a_secret() {
    for (name, command) in [
        ("signa", "force-rotate"),
        ("layers", "force-rotate"),
        ("hopae", "rotate"),
        ("kadosei", "rotate"),
        ("verifa", "rotate"),
    ] {
        let sandbox = Sandbox::new(name);
        let id = sandbox.id();
        let mut arguments = vec![command, "hooks", "--yes", "--reason", "leak"];
        sandbox
            .run(&arguments)
            .exits(2)
            .says(&format!("`--confirm {id}` is needed, and there is nobody to ask"))
            .says(&format!("hint: give --confirm {id} on the command line"));
        arguments.extend(["--confirm", "another"]);
        sandbox.run(&arguments).exits(2).says("that is not the endpoint's id, so nothing was sent");
        assert_eq!(sandbox.requests(), 0, "{name}");
    }
}

#[test]
fn force_ends_the_overlap_of_an_open_rotation() {
    let sandbox = Sandbox::new("signa");
    let first = sandbox.newest();
    sandbox.rotate().exits(0);
    let second = sandbox.newest();
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(5).says("is open already (stored");
    let id = sandbox.id();
    sandbox
        .run(&["force-rotate", "hooks", "--reason", "leak", "--confirm", &id, "--done", "prepare"])
        .exits(0)
        .says("the open rotation is given up for this one once Signa has carried it out");
    let third = sandbox.newest();
    assert_eq!(sandbox.stand_in.live_secrets(), std::slice::from_ref(&third));
    assert_eq!((sandbox.slot(""), sandbox.slot("_OLD")), (Some(third), Some(second)));
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    assert!(!text.contains(first.expose()));
    let history = sandbox.run(&["history", "--json"]).exits(0).json();
    assert_eq!(history["rotations"][0]["status"], "abandoned");
    assert_eq!(sandbox.rotations(), 2);
}

#[test]
fn a_force_that_nobody_agreed_to_leaves_the_open_rotation_open() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    sandbox.run(&["force-rotate", "hooks", "--reason", "leak", "--yes"]).exits(2);
    sandbox.run(&["force-rotate", "hooks", "--reason", "leak", "--confirm", "wrong"]).exits(2);
    let status = sandbox.run(&["status", "hooks", "--json"]).exits(0).json();
    assert_eq!(status["targets"][0]["status"], "stored");
    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11).says("next: verify");
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a_conflict_at_the_provider_never_becomes_force() {
    let sandbox = Sandbox::with_window("signa", Duration::from_secs(60));
    sandbox.rotate().exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "test", "--yes"]).exits(0);
    // Our own journal knows of the overlap.
    sandbox.rotate().exits(5).says("would be a second rotation in an open overlap").says("whsec force-rotate");
    // A machine that knows nothing is told by the provider.
    std::fs::remove_dir_all(sandbox.state()).unwrap();
    sandbox.rotate().exits(6).says("that this machine does not know is under way: `HOOK_SECRET_OLD` holds ");
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    let rest = text.lines().filter(|line| !line.contains("_OLD=")).fold(String::new(), |rest, line| rest + line + "\n");
    std::fs::write(sandbox.dotenv(), rest).unwrap();
    sandbox.rotate().exits(5);
    assert_eq!(sandbox.rotations(), 1);
    assert!(sandbox.rotate_requests().iter().all(|seen| seen.body.is_empty()));
}

#[test]
fn a_leak_is_not_forgotten_with_the_rotation_that_is_given_up() {
    let sandbox = Sandbox::new("signa");
    sandbox
        .run(&["force-rotate", "hooks", "--reason", "leak", "--confirm", &sandbox.id(), "--done", "prepare"])
        .exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    let run = sandbox.run(&["status", "--exit-code"]).exits(12);
    assert!(run.stdout.contains("contained: no"), "{}", run.stdout);
    assert_eq!(sandbox.run(&["status", "--json"]).exits(0).json()["targets"][0]["contained"], false);
    // Nor with another rotation, until the receivers have dropped what they had.
    sandbox.rotate().exits(0);
    assert_eq!(sandbox.run(&["status", "--json"]).exits(0).json()["targets"][0]["contained"], false);
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    sandbox.run(&["status", "--exit-code"]).exits(12);
    sandbox
        .run(&["force-rotate", "hooks", "--reason", "leak", "--confirm", &sandbox.id(), "--done", "prepare"])
        .exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    sandbox.run(&["status", "--exit-code"]).exits(0);
}

/// Whoever has found a secret has its value, and need not know whose it is.
#[test]
fn a_leaked_value_on_stdin_finds_the_targets_that_accept_it() {
    let fleet = Fleet::new(3, 1);
    let value = |name: &str| fleet.crowd.kept(&fleet.ids[name]).secret;
    let leaked = |value: &str, arguments: &[&str]| {
        let all = [&["force-rotate", "--leaked", "-", "--reason", "INC-1"], arguments].concat();
        fleet.sandbox.run_with_stdin(&all, value)
    };
    for (nothing, code, says) in [
        ("\n", 2, "there is no value on stdin"),
        ("whsec_bm9ib2R5cw==", 4, "is in no slot, and this machine's journal knows nothing of it"),
    ] {
        leaked(nothing, &["--yes"]).exits(code).says(says);
    }
    let (pay, acct) = (fleet.ids["pay-1"].clone(), fleet.ids["acct-0"].clone());
    leaked(&value("pay-1"), &["--dry-run"]).exits(0).says_not(&value("pay-1")).says(&pay).says("dry run");
    leaked(&value("pay-1"), &[]).exits(2).says(&format!("--confirm {pay}"));
    assert_eq!(fleet.all_rotations(), [0; 4]);
    let old = value("pay-1");
    leaked(&format!("{old}\n"), &["--confirm", &pay]).exits(0);
    assert_eq!(fleet.all_rotations(), [0, 0, 1, 0]);
    // The old one lives on at the provider, and it is contained by what is open; said again, nothing more is sent.
    leaked(&old, &["--confirm", &pay]).exits(0).says("no second call is made");
    assert_eq!(fleet.all_rotations(), [0, 0, 1, 0]);
    // By an old secret that has ended there is nothing left to contain.
    let ended = value("acct-0");
    fleet.run(&["rotate", "acct-0", "--confirm", &acct, "--done", "prepare"]).exits(0);
    leaked(&ended, &["--confirm", &acct]).exits(0).says("it ended at").says("nothing to do: no target matches");
    assert_eq!(fleet.rotations("acct-0"), 1);
    // One that two targets have is replaced at both, and each id is agreed to.
    let shared = value("pay-2");
    std::fs::write(fleet.sandbox.path("work/pay-0.env"), format!("HOOK={shared}\n")).unwrap();
    let both = [fleet.ids["pay-0"].clone(), fleet.ids["pay-2"].clone()];
    leaked(&shared, &["--confirm", &both[0]]).exits(2).says(&both[1]);
    leaked(&shared, &["--confirm", &both[0], "--confirm", &both[1]]).exits(0).says("2 stored of 2 targets");
    // What each had when it leaked is no part of a plan, and of names that are given there is one.
    leaked(&shared, &["--out", "plan"]).exits(2).says("`--leaked` is for one target");
    leaked(&shared, &["pay-0", "pay-2"]).exits(2).says("`--leaked` is for one target");
}
