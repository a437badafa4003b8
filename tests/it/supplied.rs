//! Providers that take a secret of ours, each in a way of its own: what has to be sent back, media types, basic authentication.
//! Against servers that were written from the providers' own documents, and not from our descriptions of them.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use whsec::secret::Secret;

use crate::sandbox::{Run, Sandbox};
use crate::servers::http::{Answer, Request, Server};

/// A provider's webhook, and a receiver that verifies by another library than ours.
struct Scene {
    sandbox: Sandbox,
    hook: Arc<Mutex<Value>>,
    accepted: Arc<Mutex<Vec<String>>>,
    calls: Arc<Mutex<Vec<(String, String)>>>,
    receiver: Server,
    _server: Server,
}

type Answers = fn(&mut Value, &Request) -> Answer;

impl Scene {
    /// `hook` is what the provider has, with the secret in `member`.
    fn new(provider: &str, key: &str, mut hook: Value, member: &str, answers: Answers) -> Self {
        let sandbox = Sandbox::new(provider);
        std::fs::write(sandbox.path("key"), key).unwrap();
        let first = sandbox.newest().expose().to_owned();
        hook[member] = json!(first);
        let hook = Arc::new(Mutex::new(hook));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (served, noted) = (Arc::clone(&hook), Arc::clone(&calls));
        let server = Server::start(move |request| {
            let told = request.headers.get("content-type").cloned().unwrap_or_default();
            noted.lock().unwrap().push((request.method.clone(), told));
            answers(&mut served.lock().unwrap(), request)
        });
        sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
        let accepted = Arc::new(Mutex::new(vec![first]));
        let known = Arc::clone(&accepted);
        let receiver = Server::start(move |request| {
            let is_ours = known.lock().unwrap().iter().any(|secret| is_signed(request, secret));
            Answer::Json(if is_ours { 204 } else { 401 }, String::new())
        });
        sandbox.edit_config("store = ", &format!("receivers = [\"{}/hooks\"]\nstore = ", receiver.url()));
        Self { sandbox, hook, accepted, calls, receiver, _server: server }
    }

    fn hook(&self) -> Value {
        self.hook.lock().unwrap().clone()
    }

    fn deploy(&self, suffixes: &[&str]) {
        let read = suffixes.iter().filter_map(|suffix| self.sandbox.slot(suffix));
        *self.accepted.lock().unwrap() = read.map(|secret| secret.expose().to_owned()).collect();
    }

    fn run(&self, words: &str) -> Run {
        self.sandbox.run(&words.replace("ID", &self.sandbox.id()).split_whitespace().collect::<Vec<_>>())
    }

    /// The whole walk. Yields the new secret, which is live in store and provider then.
    fn walk(&self, member: &str) -> Secret {
        self.run("rotate hooks --yes --confirm ID").exits(0).says("nothing was sent yet");
        let new = self.sandbox.slot("_NEW").expect("a new secret");
        self.deploy(&["", "_NEW"]);
        self.run("cutover hooks --done deploy").exits(11).says("accepts both");
        assert_eq!((self.hook()[member].as_str(), self.sandbox.slot("")), (Some(new.expose()), Some(new.clone())));
        self.deploy(&[""]);
        self.run("cutover hooks").exits(0);
        assert!(!self.receiver.url().is_empty());
        new
    }
}

/// Whether a delivery is signed in one of the ways of the providers here, each judged by its own rule.
fn is_signed(request: &Request, secret: &str) -> bool {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    if let Ok(webhook) = standardwebhooks::Webhook::new(secret) {
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, header(name).parse().unwrap());
        }
        if webhook.verify(&request.body, &headers).is_ok() {
            return true;
        }
    }
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&request.body);
    let bytes = mac.finalize().into_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    header("x-hub-signature") == format!("sha256={hex}")
        || header("x-wc-webhook-signature") == STANDARD.encode(bytes)
        || header("x-signature") == hex
        || header("x-telegram-bot-api-secret-token") == secret
}

fn says(status: u16, value: Value) -> Answer {
    Answer::Json(status, value.to_string())
}

fn gitlab(hook: &mut Value, request: &Request) -> Answer {
    if request.headers.get("private-token").map(String::as_str) != Some("glpat-1") {
        return says(401, json!({ "message": "401 Unauthorized" }));
    }
    if request.target != "/projects/id0-7Qx/hooks/id1-7Qx" {
        return says(404, json!({ "message": "404 Not found" }));
    }
    if request.method == "PUT" {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let Some(url) = body["url"].as_str() else {
            return says(400, json!({ "error": "url is missing, url is empty" }));
        };
        // Another address than the one that is set drops the older secret token.
        if url != hook["url"] {
            hook["token"] = Value::Null;
        }
        let given = body["signing_token"].as_str().unwrap_or_default();
        let decoded = given.strip_prefix("whsec_").and_then(|rest| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.decode(rest).ok()
        });
        if decoded.is_none_or(|bytes| bytes.len() != 32) {
            return says(
                422,
                json!({ "message": { "signing_token": ["must be whsec_ and base64 of exactly 32 bytes"] } }),
            );
        }
        hook["url"] = json!(url);
        hook["signing_token"] = json!(given);
    }
    let mut shown = hook.clone();
    let fields = shown.as_object_mut().unwrap();
    fields.remove("token");
    fields.remove("signing_token");
    fields.insert("signing_token_present".to_owned(), json!(true));
    says(200, shown)
}

#[test]
fn gitlab_is_sent_back_the_address_that_it_has_and_keeps_the_rest() {
    let url = "https://hooks.example/in?team=a%20b&x=\"{secret}\"";
    let before = json!({ "id": 7, "url": url, "push_events": true, "token": "older", "alert_status": "executable" });
    let scene = Scene::new("gitlab", "glpat-1", before.clone(), "signing_token", gitlab);
    let new = scene.walk("signing_token");
    let mut after = scene.hook();
    assert_eq!(after.as_object_mut().unwrap().remove("signing_token"), Some(json!(new.expose())));
    assert_eq!(after, before, "nothing else was changed, the older token least of all");
}

#[test]
fn what_is_to_be_sent_back_and_is_not_shown_sends_nothing() {
    let scene =
        Scene::new("gitlab", "glpat-1", json!({ "id": 7, "url": "https://h.example/" }), "signing_token", gitlab);
    scene.hook.lock().unwrap().as_object_mut().unwrap().remove("url");
    let run = scene.run("rotate hooks --yes --confirm ID").exits(13);
    run.says("has nothing at `/url`, which has to be sent back");
    assert!(scene.calls.lock().unwrap().iter().all(|(method, _)| method == "GET"));

    // It is gone between the check and the call.
    let scene =
        Scene::new("gitlab", "glpat-1", json!({ "id": 7, "url": "https://h.example/" }), "signing_token", gitlab);
    scene.run("rotate hooks --yes --confirm ID").exits(0);
    scene.deploy(&["", "_NEW"]);
    scene.hook.lock().unwrap().as_object_mut().unwrap().remove("url");
    scene.run("cutover hooks --done deploy").says("has nothing at `/url`, which has to be sent back");
    assert!(scene.calls.lock().unwrap().iter().all(|(method, _)| method == "GET"));
    assert!(scene.sandbox.slot("_NEW").is_some());
}

#[test]
fn what_is_sent_back_is_what_there_is_right_before_the_call() {
    let scene =
        Scene::new("gitlab", "glpat-1", json!({ "id": 7, "url": "https://h.example/" }), "signing_token", gitlab);
    scene.run("rotate hooks --yes --confirm ID").exits(0);
    scene.deploy(&["", "_NEW"]);
    scene.hook.lock().unwrap()["url"] = json!("https://moved.example/");
    scene.run("cutover hooks --done deploy").exits(11);
    assert_eq!(scene.hook()["url"], "https://moved.example/", "somebody has moved it meanwhile");
}

fn bitbucket(hook: &mut Value, request: &Request) -> Answer {
    if request.headers.get("authorization").map(String::as_str) != Some("Bearer ATB1") {
        return says(401, json!({ "type": "error", "error": { "message": "Unauthorized" } }));
    }
    if request.method == "PUT" {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        // What a PUT leaves out is gone.
        for name in ["description", "url", "active", "events"] {
            hook[name] = body[name].clone();
        }
        if let Some(secret) = body["secret"].as_str().filter(|secret| secret.len() <= 128) {
            hook["secret"] = json!(secret);
        }
    }
    let mut shown = hook.clone();
    shown.as_object_mut().unwrap().remove("secret");
    shown["secret_set"] = json!(true);
    says(200, shown)
}

#[test]
fn bitbucket_is_sent_back_whatever_its_type_is() {
    let before = json!({
        "description": null, "url": "https://h.example/\u{e9}", "active": false, "events": ["repo:push", "pullrequest:created"],
    });
    let scene = Scene::new("bitbucket", "ATB1", before.clone(), "secret", bitbucket);
    let new = scene.walk("secret");
    let mut after = scene.hook();
    assert_eq!(after.as_object_mut().unwrap().remove("secret"), Some(json!(new.expose())));
    assert_eq!(after, before);
}

fn woocommerce(hook: &mut Value, request: &Request) -> Answer {
    // base64 of `ck_1:cs_2`
    if request.headers.get("authorization").map(String::as_str) != Some("Basic Y2tfMTpjc18y") {
        return says(
            401,
            json!({ "code": "woocommerce_rest_cannot_view", "message": "Sorry, no: Basic Y2tfMTpjc18y" }),
        );
    }
    if request.method == "PUT" {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        hook["secret"] = body["secret"].clone();
    }
    let mut shown = hook.clone();
    shown.as_object_mut().unwrap().remove("secret");
    says(200, shown)
}

#[test]
fn woocommerce_is_given_both_parts_of_its_key_in_base64_and_neither_is_shown() {
    let before = json!({ "id": 5, "delivery_url": "https://h.example/", "status": "active" });
    let scene = Scene::new("woocommerce", "ck_1:cs_2", before, "secret", woocommerce);
    scene.walk("secret");
    scene.hook.lock().unwrap()["status"] = json!("asked with Y2tfMTpjc18y");
    let shown = scene.run("inspect hooks").exits(0).stdout;
    assert!(shown.contains("h.example") && !shown.contains("Y2tfMTpjc18y"), "{shown}");
    std::fs::write(scene.sandbox.path("key"), "ck_1:cs_3").unwrap();
    let run = scene.run("inspect hooks").exits(3);
    run.says_not("Y2tfMTpjc18y").says_not("ck_1");
    std::fs::write(scene.sandbox.path("key"), "ck_1").unwrap();
    scene.run("inspect hooks").exits(3).says("has no `:` in it").says("ID:SECRET");
}

fn lemonsqueezy(hook: &mut Value, request: &Request) -> Answer {
    let is_json_api = |name: &str| request.headers.get(name).map(String::as_str) == Some("application/vnd.api+json");
    if !is_json_api("accept") {
        return says(406, json!({ "errors": [{ "detail": "Not Acceptable" }] }));
    }
    if request.method == "PATCH" {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if !is_json_api("content-type") {
            return says(415, json!({ "errors": [{ "detail": "Unsupported Media Type" }] }));
        }
        let data = &body["data"];
        let secret = data["attributes"]["secret"].as_str().unwrap_or_default();
        if (&data["type"], &data["id"]) != (&json!("webhooks"), &json!("id0-7Qx")) || !(6..=40).contains(&secret.len())
        {
            return says(422, json!({ "errors": [{ "detail": "Unprocessable" }] }));
        }
        hook["secret"] = json!(secret);
    }
    says(200, json!({ "data": { "type": "webhooks", "id": "id0-7Qx", "attributes": { "url": hook["url"] } } }))
}

#[test]
fn lemon_squeezy_is_told_its_id_and_its_media_type_within_the_body() {
    let scene = Scene::new("lemonsqueezy", "key", json!({ "url": "https://h.example/" }), "secret", lemonsqueezy);
    let new = scene.walk("secret");
    assert_eq!(new.len(), 40);
    let patched = ("PATCH".to_owned(), "application/vnd.api+json".to_owned());
    assert_eq!(scene.calls.lock().unwrap().iter().filter(|call| **call == patched).count(), 1);
}

#[test]
fn providers_are_listed_by_what_their_rotation_is_like() {
    let sandbox = Sandbox::new("layers");
    let shown = sandbox.run(&["provider", "list"]).exits(0).stdout;
    let at = |words: &str| shown.find(words).unwrap_or_else(|| panic!("no `{words}` in {shown}"));
    let order =
        ["ends the old one early", "\nsvix ", "runs out by itself", "\nlayers ", "ends with the call", "\nhopae "];
    let made = ["whsec makes the new secret", "\nbitbucket ", "\nwoocommerce ", "a second endpoint", "\nstripe-api "];
    let order = order.into_iter().chain(made).chain(["on the provider's page", "\nslack "]).map(at);
    assert!(order.is_sorted(), "{shown}");
    let listed = sandbox.run(&["provider", "list", "--json"]).exits(0).json();
    assert_eq!(listed["providers"].as_array().unwrap().len(), whsec::provider::Catalog::builtin().names().len());
}

const TOKEN: &str = "4839574812:AAFD39kkdpWt3ywyRZergyOLMaJhac60qcK";

/// As https://core.telegram.org/bots/api has it, read 2026-11-22.
fn telegram(hook: &mut Value, request: &Request) -> Answer {
    let refused = |code: u16, why: &str| says(code, json!({ "ok": false, "error_code": code, "description": why }));
    let Some(method) = request.target.strip_prefix(&format!("/bot{TOKEN}")) else {
        // What does not look like a token is another status than one that is wrong.
        return refused(404, "Not Found");
    };
    assert!(!request.headers.contains_key("authorization"), "the token is in the path alone");
    match (request.method.as_str(), method) {
        ("GET", "/getWebhookInfo") => {
            let mut shown = hook.clone();
            shown.as_object_mut().unwrap().remove("secret_token");
            says(200, json!({ "ok": true, "result": shown }))
        }
        ("POST", "/setWebhook") => {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let token = body["secret_token"].as_str().unwrap_or_default();
            let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            if !(1..=256).contains(&token.len()) || !token.bytes().all(is_legal) {
                return refused(400, "Bad Request: secret token contains unallowed characters");
            }
            // All is set anew but for the kinds of updates.
            hook["url"] = body["url"].clone();
            hook["max_connections"] = body.get("max_connections").cloned().unwrap_or(json!(40));
            hook["secret_token"] = json!(token);
            says(200, json!({ "ok": true, "result": true, "description": "Webhook was set" }))
        }
        _ => refused(404, "Not Found: method not found"),
    }
}

#[test]
fn a_key_in_the_path_is_sent_there_and_shown_and_written_down_nowhere() {
    let before = json!({
        "url": "https://h.example/bot", "max_connections": 100, "allowed_updates": ["message"],
        "has_custom_certificate": false, "pending_update_count": 0,
    });
    let scene = Scene::new("telegram", TOKEN, before.clone(), "secret_token", telegram);
    let new = scene.walk("secret_token");
    let mut after = scene.hook();
    assert_eq!(after.as_object_mut().unwrap().remove("secret_token"), Some(json!(new.expose())));
    assert_eq!(after, before, "nothing else was changed");
    // A refusal, a server that is gone, and a look at what would be sent.
    let mut said = String::new();
    let mut runs = |scene: &Scene| {
        for words in [
            "rotate hooks --dry-run --verbose",
            "inspect hooks",
            "inspect hooks --json",
            "provider check telegram.toml",
        ] {
            let run = scene.run(words);
            said.push_str(&run.stdout);
            said.push_str(&run.stderr);
        }
    };
    let description = include_str!("../../src/provider/builtin/telegram.toml");
    std::fs::write(scene.sandbox.path("work/telegram.toml"), description).unwrap();
    runs(&scene);
    std::fs::write(scene.sandbox.path("key"), "4839574812:another-AAFD39kkdpWt3ywyRZergy").unwrap();
    runs(&scene);
    scene.sandbox.edit_config("base_url = \"http://127.0.0.1:", "base_url = \"http://127.0.0.1:1\" # ");
    runs(&scene);
    assert!(said.contains("/bot$TELEGRAM_BOT_TOKEN/setWebhook"), "{said}");
    for part in ["AAFD39", "another-"] {
        assert!(!said.contains(part), "{part} was said: {said}");
    }
    for (path, bytes) in scene.sandbox.all_files() {
        let is_key = path.ends_with("key");
        assert!(is_key || memchr::memmem::find(&bytes, b"AAFD39").is_none(), "the token is in {}", path.display());
    }
}

#[test]
fn a_refusal_within_an_answer_of_success_is_one() {
    let sandbox = Sandbox::new("linear");
    let first = sandbox.newest();
    // GraphQL, as https://linear.app/developers/graphql has it, read 2026-11-22: errors come with status 200.
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let server = Server::start(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if body["query"].as_str().unwrap().starts_with("query") {
            let shown =
                json!({ "url": "https://a.example/", "enabled": true, "updatedAt": "2026-01-01T00:00:00.000Z" });
            return says(200, json!({ "data": { "webhook": shown } }));
        }
        noted.lock().unwrap().push(body["variables"]["id"].clone());
        let mut errors = vec![json!({ "message": "Entity not found", "extensions": { "type": "invalid input" } })];
        let calls = noted.lock().unwrap().len();
        if calls == 1 {
            return says(200, json!({ "data": null, "errors": errors }));
        }
        if calls == 2 {
            // Something has failed in the middle of it.
            errors[0] = json!({ "message": "Internal", "extensions": { "type": "internal error" } });
            return says(200, json!({ "data": null, "errors": errors }));
        }
        // What was done with a warning was done.
        errors[0]["message"] = json!("deprecated");
        let done = json!({ "webhookRotateSecret": { "secret": "lin_wh_4f5e6d7c8b9a", "success": true } });
        says(200, json!({ "data": done, "errors": errors }))
    });
    sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
    let rotate = ["rotate", "hooks", "--yes", "--confirm", &sandbox.id(), "--done", "prepare"];
    let run = sandbox.run(&rotate);
    assert_eq!(run.code, 1, "{}", run.stderr);
    run.says("Entity not found");
    assert_eq!(sandbox.slot(""), Some(first), "nothing was changed");
    // An error that is not known to come before anything is done says nothing of it.
    sandbox.run(&rotate).exits(7);
    sandbox.run(&["cutover", "hooks"]).exits(7);
    let given_up = ["cutover", "hooks", "--resolve", "not-applied", "--reason", "looked at it in Linear"];
    sandbox.run(&given_up);
    let run = sandbox.run(&rotate);
    assert!([0, 11].contains(&run.code), "{}", run.stderr);
    assert_eq!(sandbox.slot("").map(|secret| secret.expose().to_owned()).as_deref(), Some("lin_wh_4f5e6d7c8b9a"));
    assert!(told.lock().unwrap().iter().all(|id| *id == json!("id0-7Qx")));
    assert_eq!(told.lock().unwrap().len(), 3, "what may have been done is not sent again");
}
