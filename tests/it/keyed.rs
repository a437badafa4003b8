//! Calls whose words are all in the body: an idempotency key there, and a POST that only shows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::sandbox::Sandbox;
use crate::servers::http::{Answer, Server};

/// Signa's description with the idempotency key in the bodies of its calls.
fn with_key_in_body() -> String {
    let text = std::fs::read_to_string("src/provider/builtin/signa.toml").unwrap();
    text.replace("header = \"Idempotency-Key\"\n", "")
        .replacen("[rotate]\n", "[rotate]\nbody = { request = { key = \"{idempotency_key}\" } }\n", 1)
        .replace("idempotency = true\n", "")
        .replace("force = true,", "force = true, request = { key = \"{idempotency_key}\" },")
}

/// Answers with one secret for each key, and loses its first answer.
fn remembering() -> (Server, Arc<Mutex<Vec<Value>>>) {
    let told: Arc<Mutex<Vec<Value>>> = Arc::default();
    let noted = Arc::clone(&told);
    let known: Mutex<BTreeMap<String, String>> = Mutex::default();
    let server = Server::start(move |request| {
        if request.method != "POST" {
            return Answer::Json(200, json!({ "url": "https://a.example/", "status": "active" }).to_string());
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let mut told = noted.lock().unwrap();
        told.push(body.clone());
        let mut known = known.lock().unwrap();
        let fresh = format!("whsec_{}", "ab".repeat(16 + known.len()));
        let secret = known.entry(body["request"]["key"].as_str().unwrap().to_owned()).or_insert(fresh).clone();
        match told.len() {
            1 => Answer::Silence,
            _ => Answer::Json(200, json!({ "secret": secret, "id": "id0-7Qx" }).to_string()),
        }
    });
    (server, told)
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_key_that_its_body_had() {
    let sandbox = Sandbox::new("signa");
    sandbox.description("signa", &with_key_in_body());
    let shown = sandbox.run(&["provider", "show", "signa"]).exits(0).stdout;
    assert!(shown.contains("func Accepts(") && !shown.contains("\\u{"), "{shown}");
    assert!(shown.contains("by a key in the body for 1d"), "{shown}");
    let (server, told) = remembering();
    sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
    let key = "0d1c3ad8-8f3c-4c07-a7f5-5a6f1c1bb0de";
    let rotate = ["rotate", "hooks", "--yes", "--idempotency-key", key, "--timeout", "2s"];
    assert!([0, 11].contains(&sandbox.run(&rotate).code));
    let told = told.lock().unwrap().clone();
    assert_eq!(told, vec![json!({ "request": { "key": key } }); 2], "the same bytes");
    assert_eq!(sandbox.slot("").map(|secret| secret.expose().to_owned()), Some(format!("whsec_{}", "ab".repeat(16))));
}

#[test]
fn the_call_that_ends_the_old_secret_at_once_has_the_key_as_well() {
    let sandbox = Sandbox::new("signa");
    sandbox.description("signa", &with_key_in_body());
    let (server, told) = remembering();
    sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
    let id = sandbox.id();
    let force = ["force-rotate", "hooks", "--reason", "a log", "--yes", "--confirm", &id, "--timeout", "2s"];
    assert!([0, 11].contains(&sandbox.run(&force).code));
    let told = told.lock().unwrap().clone();
    assert_eq!((told.len(), &told[0]), (2, &told[1]), "the same bytes");
    assert!(uuid::Uuid::try_parse(told[0]["request"]["key"].as_str().unwrap()).is_ok());
    assert_eq!((&told[0]["force"], &told[0]["reason"]), (&json!(true), &json!("a log")));
}

#[test]
fn a_description_with_a_key_in_its_body_can_be_rehearsed_and_one_that_loses_it_is_refused() {
    let sandbox = Sandbox::new("signa");
    let whole = with_key_in_body();
    sandbox.description("signa", &whole);
    sandbox.run(&["rehearse", "signa", "--window", "2s"]).exits(0);
    let file = sandbox.path("home/.config/whsec/providers/signa.toml");
    for (description, why) in [
        (
            whole.replacen("body = { request = { key = \"{idempotency_key}\" } }\n", "", 1),
            "`idempotency` says nowhere where the key goes",
        ),
        (
            whole.replace("force = true, request = { key = \"{idempotency_key}\" },", "force = true,"),
            "`force.body` has no place",
        ),
        (
            whole.replace("[idempotency]\n", "[idempotency]\nheader = \"Idempotency-Key\"\n"),
            "has `{idempotency_key}`, which stands for nothing there",
        ),
        (whole.replacen("\"{idempotency_key}\"", "\"evt_{idempotency_key}\"", 1), "among other text"),
        (whole.replace("\"{idempotency_key}\" },", "\"evt_{idempotency_key}\" },"), "among other text"),
    ] {
        assert_ne!(description, whole);
        std::fs::write(&file, description).unwrap();
        sandbox.run(&["provider", "check", &file.display().to_string()]).exits(2).says(why);
    }
}

/// Linear as its schema has it (https://github.com/linear/linear, packages/sdk/src/schema.graphql, read 2026-11-23): one address for
/// all calls, a query shows a webhook with its secret, the mutation replaces that at once. Its first answer is lost.
#[test]
fn a_lost_answer_is_read_by_a_post_that_only_shows() {
    let sandbox = Sandbox::new("linear");
    let old = sandbox.newest().expose().to_owned();
    let state = Mutex::new((old.clone(), 0));
    let calls: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&calls);
    let server = Server::start(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let query = body["query"].as_str().unwrap();
        assert_eq!((request.method.as_str(), &body["variables"]), ("POST", &json!({ "id": "id0-7Qx" })));
        noted.lock().unwrap().push(query.split(['(', '{']).next().unwrap().trim().to_owned());
        let mut state = state.lock().unwrap();
        if query.starts_with("mutation") {
            *state = ("lin_wh_4f5e6d7c8b9a4f5e6d7c8b9a4f5e6d7c".to_owned(), 1);
            return Answer::Silence;
        }
        let updated = if state.1 == 0 { "2026-01-01T00:00:00.000Z" } else { "2026-11-23T00:00:00.000Z" };
        let webhook = json!({ "url": "https://a.example/", "enabled": true, "updatedAt": updated, "secret": state.0 });
        Answer::Json(200, json!({ "data": { "webhook": webhook } }).to_string())
    });
    sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
    let shown = sandbox.run(&["inspect", "hooks"]).exits(0).stdout;
    assert!(shown.contains("enabled") && !shown.contains(&old), "{shown}");
    let rotate = ["rotate", "hooks", "--yes", "--confirm", &sandbox.id(), "--done", "prepare", "--timeout", "2s"];
    sandbox.run(&rotate);
    sandbox.run(&["cutover", "hooks"]);
    assert_eq!(
        sandbox.slot("").map(|secret| secret.expose().to_owned()).as_deref(),
        Some("lin_wh_4f5e6d7c8b9a4f5e6d7c8b9a4f5e6d7c")
    );
    let calls = calls.lock().unwrap();
    assert_eq!(calls.iter().filter(|call| *call == "mutation").count(), 1, "{calls:?}");
}

#[test]
fn a_post_that_may_change_something_is_no_look() {
    let sandbox = Sandbox::new("linear");
    sandbox.run(&["rehearse", "linear"]).exits(0);
    let text = std::fs::read_to_string("src/provider/builtin/linear.toml").unwrap();
    let file = sandbox.path("linear.toml");
    for (from, to, why) in [
        ("reads = true\n", "", "`inspect.method` is not GET"),
        ("method = \"POST\"\nreads = true", "method = \"PUT\"\nreads = true", "`inspect.method` is not GET"),
        ("method = \"POST\"\nreads = true", "method = \"GET\"\nreads = true", "go with POST"),
        (
            "variables = { id = \"{webhook_id}\" } }\n\n[inspect.answer]",
            "variables = { id = \"x\" } }\n\n[inspect.answer]",
            "inspect.path",
        ),
        (
            "variables = { id = \"{webhook_id}\" } }\n\n[inspect.answer]",
            "variables = { id = \"{webhook}\" } }\n\n[inspect.answer]",
            "`{webhook_id}`",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        sandbox.run(&["provider", "check", &file.display().to_string()]).exits(2).says(why);
    }
}
