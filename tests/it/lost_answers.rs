//! The call went out and the answer did not come back: replayed where that is safe, shown and asked where it is not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use jiff::{SignedDuration, Timestamp};
use memchr::memmem;
use whsec::provider::stand_in::Fault;

use crate::sandbox::Sandbox;

const IDEMPOTENT: [&str; 3] = ["layers", "signa", "hopae"];
const NOT_IDEMPOTENT: [&str; 2] = ["kadosei", "verifa"];

#[test]
fn within_one_command_the_same_request_gets_the_same_secret() {
    for name in IDEMPOTENT {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest();
        sandbox.stand_in.fault(Fault::LoseAnswer);
        sandbox.rotate().exits(0).says("attempt 2: the same request, the same key");
        assert_eq!(sandbox.rotations(), 1, "{name}");
        let sent = sandbox.rotate_requests();
        assert_eq!(sent.len(), 2, "{name}");
        assert_eq!(sent[0], sent[1], "{name}: same bytes, same key");
        let slots = sandbox.slots(&old);
        assert!(slots.contains(&"new") && !slots.contains(&"other"), "{name}: {slots:?}");
        assert!(sandbox.leftovers().is_empty(), "{name}");
    }
}

/// Rotates at the provider, and is killed before it hears of that.
fn killed_before_the_answer(sandbox: &Sandbox) {
    sandbox.stand_in.fault(Fault::Stall);
    let id = sandbox.id();
    let mut child = sandbox.spawn(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"]);
    sandbox.until("the call", |sandbox| sandbox.rotations() == 1);
    child.kill().unwrap();
    sandbox.finish(child);
    sandbox.let_leases_end();
}

#[test]
fn after_a_kill_cutover_gets_the_same_secret() {
    for name in IDEMPOTENT {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest();
        killed_before_the_answer(&sandbox);
        assert_eq!(sandbox.run(&["status", "hooks", "--json"]).exits(0).json()["targets"][0]["status"], "unknown");
        sandbox.rotate().exits(5).says("is open already (unknown").says("hint: go on with it: whsec cutover hooks");

        sandbox.run(&["cutover", "hooks"]).exits(11);
        assert_eq!(sandbox.rotations(), 1, "{name}");
        let sent = sandbox.rotate_requests();
        assert_eq!(sent[0], sent[1], "{name}: same bytes, same key");
        let slots = sandbox.slots(&old);
        assert!(slots.contains(&"new") && slots.contains(&"old"), "{name}: {slots:?}");
    }
}

#[test]
fn where_nothing_can_be_replayed_the_evidence_is_shown() {
    for name in NOT_IDEMPOTENT {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest();
        let live = std::fs::read(sandbox.dotenv()).unwrap();
        sandbox.stand_in.fault(Fault::LoseAnswer);
        let id = sandbox.id();
        let run = sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare", "--json"]).exits(7);
        let json = run.json();
        assert_eq!((json["status"].as_str(), json["error"]["kind"].as_str()), (Some("unknown"), Some("unknown")));
        let evidence = json["error"]["evidence"].to_string();
        let changed = if name == "kadosei" { "fingerprint" } else { "updated at" };
        assert!(evidence.contains(changed) && evidence.contains("CHANGED"), "{name}: {evidence}");
        let run = run.says("looks as if the call was applied").says("whsec cutover hooks --resolve applied");
        assert!(run.stderr.contains("--resolve not-applied"));
        assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), live, "{name}: the live slot is untouched");
        assert_eq!(sandbox.slot(""), Some(old));

        sandbox.run(&["cutover", "hooks"]).exits(7);
        sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare"]).exits(5);
        assert_eq!(sandbox.rotate_requests().len(), 1, "{name}: never sent twice");

        let run = sandbox.run(&["cutover", "hooks", "--resolve", "not-applied"]).exits(7);
        run.says("so it looks as if the call was applied").says("CHANGED").says("--resolve not-applied --reason TEXT");
        sandbox.run(&["cutover", "hooks", "--resolve", "not-applied", "--reason", ""]).exits(2);
        sandbox.run(&["status", "--exit-code"]).exits(11);

        let run = sandbox.run(&["cutover", "hooks", "--resolve", "applied", "--json"]).exits(4);
        assert_eq!(run.json()["status"], "failed");
        run.says("nobody has the secret: it has to be rotated again")
            .says("hint: rotate again at once: `whsec rotate hooks`")
            .says("note: the provider has rotated, and nobody has the new secret")
            .says_not("if the provider has rotated");
        // Nothing is unknown any more, so no later run says otherwise.
        sandbox.run(&["cutover", "hooks"]).exits(4).says("the last one failed").says_not("if the provider");
        sandbox.rotate().exits(0);
        assert_eq!(sandbox.slot(""), Some(sandbox.newest()), "{name}");
        assert_eq!(sandbox.rotations(), 2, "{name}: the lost one and the one that was asked for");
    }
}

#[test]
fn what_somebody_else_changed_is_told_apart_by_a_recorded_word() {
    let sandbox = Sandbox::new("kadosei");
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate().exits(7);
    // A provider that cannot be asked any more is no evidence for either.
    std::fs::write(sandbox.path("another-key"), "not-of-this-account").unwrap();
    std::fs::set_permissions(sandbox.path("another-key"), Permissions::from_mode(0o600)).unwrap();
    let key = sandbox.path("another-key").display().to_string();
    let unasked = ["cutover", "hooks", "--resolve", "not-applied", "--api-key-file", &key];
    sandbox.run(&unasked).exits(7).says("the provider cannot be asked now");
    let said = ["cutover", "hooks", "--resolve", "not-applied", "--reason", "a colleague rotated by hand at 3:10"];
    sandbox.run(&said).exits(0).says("the provider had not rotated");
    let shown = sandbox.run(&["history", "hooks", "--json"]).exits(0).json().to_string();
    assert!(shown.contains("had not rotated (a colleague rotated by hand at 3:10)"), "{shown}");

    let sandbox = Sandbox::new("kadosei");
    sandbox.stand_in.fault(Fault::CloseUnread);
    sandbox.rotate().exits(7);
    let run = sandbox.run(&["cutover", "hooks", "--resolve", "applied"]).exits(7);
    run.says("it looks as if the call was not applied").says("--resolve applied --reason TEXT");
    sandbox.run(&["cutover", "hooks", "--resolve", "applied", "--reason", "support says so"]).exits(4);
    assert_eq!(sandbox.run(&["history", "--json"]).exits(0).json()["rotations"][0]["status"], "failed");
}

#[test]
fn a_call_that_was_never_read_looks_not_applied_only_where_something_tells() {
    for name in NOT_IDEMPOTENT {
        let sandbox = Sandbox::new(name);
        sandbox.stand_in.fault(Fault::CloseUnread);
        // A time that has not moved proves nothing; a fingerprint that has not changed does.
        let says =
            if name == "verifa" { "nothing that it shows can tell" } else { "looks as if the call was not applied" };
        sandbox.rotate().exits(7).says(says);
        assert_eq!(sandbox.rotations(), 0);
        sandbox.run(&["cutover", "hooks", "--resolve", "not-applied"]).exits(0).says("the provider had not rotated");
        sandbox.rotate().exits(0);
        assert_eq!(sandbox.rotations(), 1, "{name}");
    }
}

#[test]
fn a_kill_before_the_answer_never_becomes_a_second_rotation() {
    for name in NOT_IDEMPOTENT {
        let sandbox = Sandbox::new(name);
        killed_before_the_answer(&sandbox);
        sandbox.run(&["cutover", "hooks"]).exits(7).says("whsec was cut off before the answer came");
        assert_eq!(sandbox.rotate_requests().len(), 1, "{name}");
    }
}

#[test]
fn somebody_who_rotated_in_between_is_noticed() {
    let sandbox = Sandbox::new("signa");
    killed_before_the_answer(&sandbox);
    // A colleague forces another rotation by hand.
    let endpoint = sandbox.endpoint();
    let request = whsec::provider::request::force(&endpoint, Some("by-hand"), "leak").unwrap().expect("a call");
    let options = whsec::provider::client::ClientOptions { timeout: std::time::Duration::from_secs(5), ca: None };
    whsec::provider::client::Client::new(&options).unwrap().call(&endpoint, &request, &sandbox.api_key);
    assert_eq!(sandbox.rotations(), 2);
    let live = std::fs::read(sandbox.dotenv()).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(5).says("somebody rotated again");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), live);
}

#[test]
fn a_refusal_before_the_call_is_certain_and_closes_the_rotation() {
    let cases = [
        ("signa", 401, 3, "does not accept this API key"),
        ("signa", 404, 4, "does not exist"),
        ("signa", 409, 5, "409"),
        ("layers", 400, 1, "refused to rotate"),
    ];
    for (name, status, exit, says) in cases {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest();
        sandbox.stand_in.fault(Fault::Status(status, "{}".to_owned()));
        sandbox.rotate().exits(exit).says(says);
        assert_eq!(sandbox.rotate_requests().len(), 1, "{name} {status}");
        assert_eq!(sandbox.slot(""), Some(old), "{name} {status}");
        assert_eq!(sandbox.slot("_NEW"), None);
        sandbox.rotate().exits(0);
    }
}

#[test]
fn a_provider_that_is_busy_is_asked_again_and_never_forced() {
    let sandbox = Sandbox::new("signa");
    sandbox.stand_in.fault(Fault::Status(429, "{}".to_owned()));
    sandbox.rotate().exits(0).says("attempt 2");
    let sent = sandbox.rotate_requests();
    assert_eq!((sandbox.rotations(), sent.len()), (1, 2));
    assert_eq!(sent[0], sent[1]);
}

/// Layers without idempotency keys, where a look shows the secret.
fn showing() -> Sandbox {
    Sandbox::described("layers", |text| {
        let (head, rest) = text.split_once("[idempotency]").unwrap();
        let (_, tail) = rest.split_once("[inspect]").unwrap();
        format!("{head}[inspect]{tail}").replace("[inspect.answer]", "[inspect.answer]\nsecret = \"/signingSecret\"")
    })
}

#[test]
fn a15_a_secret_that_is_recovered_has_the_documented_end() {
    let sandbox = showing();
    let old = sandbox.newest();
    sandbox.stand_in.show_secret();
    sandbox.stand_in.fault(Fault::LoseAnswer);
    let begun = Timestamp::now();
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--json"]).exits(0);
    let previous = &run.json()["previous"];
    assert_eq!(previous["expires_source"], "documented");
    let end: Timestamp = previous["expires_at"].as_str().unwrap().parse().unwrap();
    let after_a_day = end.duration_since(begun) - SignedDuration::from_hours(24);
    assert!(!after_a_day.is_negative() && after_a_day < SignedDuration::from_mins(2), "{after_a_day:#}");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    let all = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--json"];
    assert_eq!(sandbox.run(&all).exits(11).json()["status"], "waiting");
}

#[test]
fn a17_an_unknown_call_is_settled_by_the_secret_that_the_provider_shows() {
    // Not before it shows one.
    let sandbox = showing();
    let old = sandbox.newest();
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate().exits(7);
    sandbox.run(&["cutover", "hooks"]).exits(7);
    sandbox.stand_in.show_secret();
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    assert_eq!(sandbox.rotations(), 1);

    // Nor by one that was there before the call.
    let sandbox = showing();
    sandbox.stand_in.fault(Fault::CloseUnread);
    sandbox.rotate().exits(7);
    sandbox.stand_in.show_secret();
    sandbox.run(&["cutover", "hooks"]).exits(7);

    // Nor where nothing tells which one was there before the call.
    let sandbox = showing();
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    let without = text
        .lines()
        .filter(|line| !line.starts_with("HOOK_SECRET="))
        .fold(String::new(), |all, line| all + line + "\n");
    std::fs::write(sandbox.dotenv(), without).unwrap();
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate().exits(7);
    sandbox.stand_in.show_secret();
    sandbox.run(&["cutover", "hooks"]).exits(7).says("--resolve applied");
}

#[test]
fn a17_what_lies_in_next_is_not_taken_for_ours_where_the_provider_shows_another() {
    let sandbox = showing();
    sandbox.stand_in.show_secret();
    let old = sandbox.newest();
    sandbox.stand_in.fault(Fault::CloseUnread);
    sandbox.rotate().exits(7);
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    std::fs::write(sandbox.dotenv(), format!("{text}HOOK_SECRET_NEW=whsec_of_somebody_else_0123456789\n")).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(7);
    assert_eq!(sandbox.slots(&old), ["other", "new", "empty"], "the old one is the newest still");
}

#[test]
fn a13_a_lost_request_goes_out_again_with_the_key_it_went_out_with() {
    for name in IDEMPOTENT {
        let sandbox = Sandbox::new(name);
        killed_before_the_answer(&sandbox);
        let file = |name: &str, text: &str| {
            std::fs::write(sandbox.path(name), text).unwrap();
            std::fs::set_permissions(sandbox.path(name), Permissions::from_mode(0o600)).unwrap();
            sandbox.path(name).display().to_string()
        };
        let other = file("other-key", "sk_of_another_account_0123456789");
        let run = sandbox.run(&["cutover", "hooks", "--api-key-file", &other]).exits(9);
        run.says("nothing was sent again").says("give the key that it was sent with").says("--reason TEXT");
        assert_eq!(sandbox.rotate_requests().len(), 1, "{name}: it was not sent");
        let said = ["cutover", "hooks", "--api-key-file", &other, "--reason", "a new key of the same account"];
        sandbox.run(&said).exits(7).says("going on, as was said");
        assert_eq!(sandbox.rotate_requests().len(), 2, "{name}");
        // The same key from another place is the same key.
        let same = file("same-key", sandbox.api_key.expose());
        sandbox.run(&["cutover", "hooks", "--api-key-file", &same]).exits(11);
        assert_eq!(sandbox.rotations(), 1, "{name}");
        for (path, bytes) in sandbox.all_files().into_iter().filter(|(path, _)| path.starts_with(sandbox.state())) {
            let key = b"sk_of_another_account_0123456789";
            assert!(memmem::find(&bytes, key).is_none(), "the key is in {}", path.display());
        }
    }
}
