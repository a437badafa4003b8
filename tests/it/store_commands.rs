//! `whsec store check` and `store copy`, and what `inspect` says of stores that differ.

use serde_json::json;

use crate::sandbox::Sandbox;
use crate::servers::vault::{Fault, TOKEN, Vault};

fn with_vault(sandbox: &Sandbox, vault: &Vault, line: &str) -> crate::sandbox::Run {
    let mut command = sandbox.command(&line.split_whitespace().collect::<Vec<_>>());
    command.env("VAULT_ADDR", vault.server.url()).env("VAULT_TOKEN", TOKEN);
    sandbox.watch(command.output().unwrap())
}

#[test]
fn check_proves_each_store_and_leaves_no_trace() {
    let (sandbox, vault) = (Sandbox::new("layers"), Vault::start());
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    let run = with_vault(&sandbox, &vault, "store check dotenv:receiver.env#HOOK_SECRET vault:secret/app#key").exits(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    let url = vault.server.url();
    assert_eq!(lines[1], format!("ok    vault:secret/app#key at {url}: takes a value, returns it and gives it up"));
    assert_eq!((std::fs::read(sandbox.dotenv()).unwrap(), vault.document("app").unwrap()), (before, json!({})));
    assert_eq!(sandbox.requests(), 0);

    vault.fail(Some(Fault::Sealed));
    let run = with_vault(&sandbox, &vault, "store check vault:secret/app#key dotenv:receiver.env#HOOK_SECRET --json")
        .exits(6);
    let json = run.json();
    assert_eq!((json["command"].as_str(), json["error"]["kind"].as_str()), (Some("store check"), Some("store")));
    let rows: Vec<_> = json["stores"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(rows, ["failed", "proved"]);
    with_vault(&sandbox, &vault, "store check vault:secret/app#key").exits(6);
}

#[test]
fn check_names_what_is_no_store_before_anything_is_written() {
    let sandbox = Sandbox::new("layers");
    sandbox.run(&["store", "check", "file:made", "valt:x"]).exits(2).says("did you mean `vault:`?");
    assert!(!sandbox.path("work/made").exists());
    sandbox.run(&["store", "check"]).exits(2);
    sandbox.run(&["store", "check", "keychain:whsec/seal-identity"]).exits(6).says("whsec's own keys");
    sandbox.run(&["store", "check", "command:none"]).exits(6).says("no such command is configured");
    let run = sandbox.run(&["store", "check", "aws-sm:prod/hooks", "--json"]).exits(6);
    assert!(run.json()["error"]["message"].as_str().unwrap().contains("no AWS region is named"), "{}", run.stdout);
}

#[test]
fn copy_moves_a_secret_without_showing_it() {
    let (sandbox, vault) = (Sandbox::new("layers"), Vault::start());
    let secret = sandbox.newest();
    let copy = "store copy dotenv:receiver.env#HOOK_SECRET vault:secret/app#key";
    let run = with_vault(&sandbox, &vault, copy).exits(0);
    assert!(run.stdout.starts_with(&format!("{} is there and read back", secret.fingerprint())), "{}", run.stdout);
    assert_eq!(vault.document("app").unwrap(), json!({ "key": secret.expose() }));
    assert_eq!(with_vault(&sandbox, &vault, &format!("{copy} --json")).exits(0).json()["state"], "same");

    vault.write("app", json!({ "key": "another", "theirs": true }));
    with_vault(&sandbox, &vault, copy).exits(5).says("holds another secret in `key`").says("--replace");
    assert_eq!(vault.document("app").unwrap()["key"], "another");
    let json = with_vault(&sandbox, &vault, &format!("{copy} --replace --json")).exits(0).json();
    assert_eq!((json["state"].as_str(), json["replaced"].is_string()), (Some("copied"), true));
    assert_eq!(vault.document("app").unwrap(), json!({ "key": secret.expose(), "theirs": true }));

    with_vault(&sandbox, &vault, "store copy vault:secret/app#key file:next --slot next")
        .exits(4)
        .says("has nothing in");
    with_vault(&sandbox, &vault, &format!("{copy} --slot previous")).exits(4);
    sandbox.run(&["store", "copy", "dotenv:receiver.env#HOOK_SECRET", "stdout:"]).exits(2).says("keeps nothing");
    vault.fail(Some(Fault::Truncates));
    vault.write("app", json!({}));
    with_vault(&sandbox, &vault, copy).exits(6).says("does not read back the same");
    assert_eq!(vault.document("app").unwrap(), json!({}));
}

#[test]
fn inspect_names_what_differs_between_stores_by_slot_and_fingerprint() {
    let (sandbox, vault) = (Sandbox::new("signa"), Vault::start());
    let old = sandbox.newest();
    vault.write("app", json!({ "key": old.expose() }));
    sandbox.stores(&["vault:secret/app#key", "dotenv:./receiver.env#HOOK_SECRET"]);
    let run = with_vault(&sandbox, &vault, "inspect hooks").exits(0);
    assert!(!run.stdout.contains("drift"), "{}", run.stdout);
    // Two writes prove the store, one stages; promote fails there and not in the file.
    vault.fail_after(3, Fault::ReadOnly);
    let run = with_vault(&sandbox, &vault, "rotate hooks --yes").exits(8);
    let whereabouts = format!(
        "was put into the next slot of vault:secret/app#key, made live in dotenv:{}",
        sandbox.dotenv().display()
    );
    assert!(run.stderr.replace('\n', " ").contains(&whereabouts), "{}", run.stderr);
    let new = sandbox.newest();
    let run = with_vault(&sandbox, &vault, "inspect hooks").exits(0);
    let expected =
        format!("drift     the stores differ in `current`:\n          {}  vault:secret/app#key\n", old.fingerprint());
    assert!(run.stdout.contains(&expected), "{}", run.stdout);
    let json = with_vault(&sandbox, &vault, "inspect hooks --json").exits(0).json();
    let slots: Vec<_> = json["drift"].as_array().unwrap().iter().map(|row| row["slot"].as_str().unwrap()).collect();
    assert_eq!(slots, ["next", "current", "previous"]);
    assert_eq!(json["drift"][1]["stores"][1]["fingerprint"], new.fingerprint().to_string());
    vault.fail(None);
    with_vault(&sandbox, &vault, "cutover hooks").exits(11);
    assert_eq!(with_vault(&sandbox, &vault, "inspect hooks --json").exits(0).json()["drift"], json!([]));
}
