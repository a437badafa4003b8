//! The store against an engine that answers as a real Vault was recorded to.

use std::path::Path;

use serde_json::json;

use super::super::conformance::{conforms, opened_in};
use super::super::slots::{ANY, prove, stage};
use super::super::{Environment, Store, StoreError};
use crate::secret::Secret;
use crate::servers::vault::{Fault, TOKEN, Vault};

fn environment(vault: &Vault, token: &'static str) -> Environment {
    let address = vault.server.url();
    let variables = move |name: &str| match name {
        "VAULT_ADDR" => Some(address.clone()),
        "VAULT_TOKEN" => Some(token.to_owned()),
        "VAULT_NAMESPACE" => Some("team/hooks".to_owned()),
        _ => None,
    };
    Environment::new(variables, None, || jiff::Timestamp::UNIX_EPOCH)
}

fn open(vault: &Vault, text: &str) -> Box<dyn Store> {
    opened_in(text, Path::new("/"), environment(vault, TOKEN))
}

#[test]
fn every_check_passes() {
    let vault = Vault::start();
    let before = json!({ "n": 12345678901234567890_u64, "nested": { "a": [1, null] }, "other": "kept" });
    vault.write("app/hooks", before.clone());
    conforms(&|name| open(&vault, &format!("vault:secret/app/hooks#{name}")));
    assert_eq!(vault.document("app/hooks").unwrap(), before);
    conforms(&|name| open(&vault, &format!("vault:secret/new/doc ument#{name}")));
    assert!(vault.server.seen().iter().all(|request| request.headers["x-vault-namespace"] == "team/hooks"));
}

#[test]
fn a_deleted_document_is_written_anew_and_loses_no_number() {
    let vault = Vault::start();
    vault.write("app", json!({ "key": "old" }));
    vault.delete("app");
    let store = open(&vault, "vault:secret/app#key");
    assert!(store.get(super::super::Slot::Current).unwrap().is_none());
    stage(&*store, &Secret::new("new"), ANY).unwrap();
    assert_eq!(vault.document("app").unwrap(), json!({ "key_next": "new" }));
    assert_eq!(vault.versions("app"), 2);
}

#[test]
fn what_somebody_else_writes_meanwhile_stays() {
    let vault = Vault::start();
    vault.write("app", json!({ "key": "old", "theirs": 1 }));
    let store = open(&vault, "vault:secret/app#key");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..20 {
                let mut document = vault.document("app").unwrap();
                document["theirs"] = json!(round);
                vault.write("app", document);
            }
        });
        prove(&*store, &Secret::new("canary")).unwrap();
    });
    assert!(vault.document("app").unwrap()["theirs"].is_number());
    vault.fail(Some(Fault::AlwaysFaster));
    assert!(matches!(stage(&*store, &Secret::new("new"), ANY), Err(StoreError::Contended { .. })));
}

#[test]
fn a_lost_answer_is_looked_into() {
    let vault = Vault::start();
    let store = open(&vault, "vault:secret/app#key");
    vault.fail(Some(Fault::LostAnswer));
    stage(&*store, &Secret::new("new"), ANY).unwrap();
    assert_eq!(vault.versions("app"), 1);
}

#[test]
fn each_refusal_says_what_is_wrong_and_nothing_secret() {
    let cases = [
        (Fault::Sealed, "Vault is sealed", "have it unsealed"),
        (Fault::ExpiredToken, "does not accept the token", "vault login"),
        (Fault::ReadOnly, "does not allow to write `secret/data/app`", "`read`, `create` and `update`"),
        (Fault::Nothing, "does not allow to read `secret/data/app`", "`read`, `create` and `update`"),
        (Fault::Throttled, "answered with status 429", "asked too often"),
        (Fault::Redirects, "answered with status 307", "no redirects"),
        (Fault::Truncates, "does not read back the same", "cuts off or changes"),
    ];
    for (fault, why, hint) in cases {
        let vault = Vault::start();
        vault.write("app", json!({ "key": "live" }));
        vault.fail(Some(fault));
        let canary = Secret::new("canary_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        let error = prove(&*open(&vault, "vault:secret/app#key"), &canary).unwrap_err();
        let words = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(words.contains(why) && words.contains(hint), "{fault:?}: {words}");
        assert!(!format!("{words}{error:?}").contains(TOKEN) && !words.contains(canary.expose()), "{words}");
    }
}

#[test]
fn a_mount_that_is_none_or_of_version_1_is_refused_before_anything_is_written() {
    let vault = Vault::start();
    for (text, why) in
        [("vault:none/app#k", "no engine is mounted at `none`"), ("vault:old/app#k", "is not a KV version 2 engine")]
    {
        let error = prove(&*open(&vault, text), &Secret::new("canary")).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(vault.server.seen().iter().all(|request| request.method == "GET"));
}

#[test]
fn what_the_environment_does_not_say_is_asked_for() {
    let nothing = opened_in("vault:secret/app#k", Path::new("/"), Environment::default());
    let error = nothing.get(super::super::Slot::Current).unwrap_err();
    assert!(error.to_string().contains("VAULT_ADDR is not set"), "{error}");
    let plain = Environment::new(
        |name| (name == "VAULT_ADDR").then(|| "http://vault.example:8200".to_owned()),
        None,
        || jiff::Timestamp::UNIX_EPOCH,
    );
    let error = opened_in("vault:secret/app#k", Path::new("/"), plain).get(super::super::Slot::Current).unwrap_err();
    assert!(error.to_string().contains("http goes only to this machine"), "{error}");
}

#[test]
fn a_slot_that_holds_no_text_is_not_replaced() {
    let vault = Vault::start();
    vault.write("app", json!({ "key": { "nested": true } }));
    let store = open(&vault, "vault:secret/app#key");
    let error = prove(&*store, &Secret::new("canary")).unwrap_err();
    assert!(error.to_string().contains("not a string"), "{error}");
    assert_eq!(vault.versions("app"), 1);
}
