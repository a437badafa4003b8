//! The requests that we build and the answers that we read, against what the providers' own pages show.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use whsec::provider::answer::{AnswerError, Outcome, Received, Reply, judge, rotated};
use whsec::provider::request::{self, Request};
use whsec::provider::spec::Meaning;
use whsec::provider::{Catalog, Endpoint};

/// A message from a page: first line, headers, body.
struct Message {
    start: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn message(path: &str) -> Message {
    let text = fs::read_to_string(format!("{}/tests/fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path);
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
    let mut lines = head.lines();
    let start = lines.next().unwrap_or_default().to_owned();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Message { start, headers: lines.filter_map(header).collect(), body: body.trim_end().to_owned() }
}

fn endpoint(provider: &str, base_url: Option<&str>, ids: &[(&str, &str)]) -> Endpoint {
    let provider = Catalog::builtin().get(provider).expect(provider);
    let ids: Vec<_> = ids.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    provider.endpoint(base_url, &ids, None, &BTreeMap::new()).expect("an endpoint")
}

/// Compares all but the order of headers and the spaces in JSON. `ours` are headers that we send beyond the page.
fn assert_request(fixture: &str, request: &Request, key: &str, ours: &[(&str, &str)]) {
    let page = message(fixture);
    assert_eq!(format!("{} {}", request.method.as_str(), request.url), page.start, "{fixture}");
    let mut sent: Vec<_> = request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    sent.push((request.auth.header.to_lowercase(), request.auth.value.replace("{key}", key)));
    let mut expected = page.headers;
    expected.extend(ours.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())));
    sent.sort();
    expected.sort();
    assert_eq!(sent, expected, "{fixture}");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    assert_eq!(request.body.is_some(), !page.body.is_empty(), "{fixture}");
    assert_eq!(request.body.as_deref().and_then(json), json(&page.body), "{fixture}");
}

fn received(fixture: &str) -> Received {
    let page = message(fixture);
    let status = page.start.parse().expect("a status");
    Received { status, headers: page.headers, body: page.body.into_bytes().into(), complete: true }
}

fn reply(endpoint: &Endpoint, fixture: &str) -> Reply {
    match judge(&endpoint.provider, received(fixture)) {
        Outcome::Success(reply) => reply,
        other => panic!("{fixture}: {other:?}"),
    }
}

#[test]
fn layers() {
    let elided = endpoint("layers", None, &[("endpointId", "d4c71b62-...")]);
    let request = request::rotate(&elided, Some("$(uuidgen)")).expect("a call");
    assert_request("layers/rotate.request.http", &request, "$LAYERS_API_KEY", &[]);

    let named = endpoint("layers", None, &[("endpointId", "d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4411")]);
    let mut reply = reply(&named, "layers/rotate.answer.http");
    // The page elides the secret, and an elided secret must never be taken for one.
    let masked = AnswerError::Masked { pointer: "/signingSecret".to_owned() };
    assert_eq!(rotated(&named, &reply).expect_err("a masked secret"), masked);
    let whole = String::from_utf8_lossy(&reply.body).replace("whsec_new...", "whsec_0123456789abcdef");
    reply.body = whole.into_bytes().into();
    let answer = rotated(&named, &reply).expect("an answer");
    assert_eq!(answer.secret.expose(), "whsec_0123456789abcdef");
    assert_eq!(answer.old_expires_at.map(|at| at.to_string()).as_deref(), Some("2026-04-21T18:28:00Z"));
    assert!(!answer.expiry_unreadable);
    assert!(answer.notice.is_some_and(|notice| notice.starts_with("Signing secret shown once.")));
    assert!(matches!(rotated(&elided, &reply), Err(AnswerError::OtherEndpoint { .. })));
}

#[test]
fn layers_with_the_newer_pages_authentication() {
    let provider = Catalog::builtin().get("layers").expect("layers");
    let ids = [("endpointId".to_owned(), "e1".to_owned())];
    let endpoint = provider.endpoint(None, &ids, Some("bearer"), &BTreeMap::new()).expect("an endpoint");
    let request = request::rotate(&endpoint, None).expect("a call");
    assert_eq!((request.auth.header.as_str(), request.auth.value.as_str()), ("Authorization", "Bearer {key}"));
}

#[test]
fn signa() {
    let endpoint = endpoint("signa", None, &[("id", "whk_01HK...")]);
    let request = request::rotate(&endpoint, Some("rotate-whk-01HK-2026-06-12")).expect("a call");
    assert_request("signa/rotate.request.http", &request, "$SIGNA_API_KEY", &[]);
    let reason = "Suspected secret leak — incident IR-2026-04-12";
    let request = request::force(&endpoint, Some("force-rotate-whk-01HK-2026-06-12"), reason)
        .expect("a force request")
        .expect("a call");
    assert_request("signa/force.request.http", &request, "$SIGNA_API_KEY", &[]);
    assert!(request::force(&endpoint, None, &"é".repeat(500)).is_ok());
    assert!(request::force(&endpoint, None, &"é".repeat(501)).is_err());
}

#[test]
fn hopae() {
    let endpoint = endpoint("hopae", None, &[("client_id", "abc123")]);
    assert_request(
        "hopae/rotate.request.http",
        &request::rotate(&endpoint, None).expect("a call"),
        "sk_workspace_test_...",
        &[],
    );
    let answer = rotated(&endpoint, &reply(&endpoint, "hopae/rotate.answer.http")).expect("an answer");
    assert_eq!(answer.secret.len(), "whsec_".len() + 64);
}

#[test]
fn kadosei() {
    let ids = [("applicationId", "example_string"), ("webhookId", "example_string")];
    let endpoint = endpoint("kadosei", Some("https://api.example.com"), &ids);
    assert_request(
        "kadosei/rotate.request.http",
        &request::rotate(&endpoint, None).expect("a call"),
        "YOUR_API_TOKEN (JWT)",
        &[],
    );
    let answer = rotated(&endpoint, &reply(&endpoint, "kadosei/rotate.answer.http")).expect("an answer");
    assert_eq!(answer.secret.expose(), "whsec_new_full_secret_value");
    assert_eq!(answer.fingerprint.as_deref(), Some("whsec_****b7d1"));
    for (status, meaning) in [(401, Meaning::Auth), (403, Meaning::Auth), (404, Meaning::NotFound)] {
        match judge(&endpoint.provider, received(&format!("kadosei/error-{status}.answer.http"))) {
            Outcome::Refused(refusal) => {
                assert_eq!((refusal.status, refusal.meaning), (status, meaning));
                assert!(refusal.message.is_some());
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    for status in [502, 504] {
        let outcome = judge(&endpoint.provider, received(&format!("kadosei/error-{status}.answer.http")));
        assert!(matches!(outcome, Outcome::Unknown(unknown) if unknown.status == Some(status)));
    }
}

#[test]
fn verifa() {
    let endpoint = endpoint("verifa", None, &[("endpoint_id", "wh_abc123")]);
    let request = request::rotate(&endpoint, None).expect("a call");
    assert_request("verifa/rotate.request.http", &request, "<apiKey>", &[("Key-Inflection", "snake")]);
    assert_eq!(request.body.as_deref(), Some("{}"));
    let answer = rotated(&endpoint, &reply(&endpoint, "verifa/rotate.answer.http")).expect("an answer");
    assert_eq!(answer.secret.len(), "whsec_".len() + 64);
}

#[test]
fn verifa_sends_its_version_header_only_where_the_target_says_so() {
    let provider = Catalog::builtin().get("verifa").expect("verifa");
    let ids = [("endpoint_id".to_owned(), "wh_abc123".to_owned())];
    let options = BTreeMap::from([("version".to_owned(), "2026-02-01".to_owned())]);
    let endpoint = provider.endpoint(None, &ids, None, &options).expect("an endpoint");
    let headers = request::rotate(&endpoint, None).expect("a call").headers;
    assert!(headers.contains(&("Verifa-Version".to_owned(), "2026-02-01".to_owned())));
    assert!(provider.endpoint(None, &ids, None, &BTreeMap::from([("versoin".to_owned(), "1".to_owned())])).is_err());
}

#[test]
fn codes_that_the_pages_name_mean_what_they_say() {
    let cases = [
        ("layers", 409, r#"{"error":{"code":"IDEMPOTENCY_CONFLICT"}}"#, Meaning::KeyConflict),
        ("layers", 404, r#"{"error":{"code":"NOT_FOUND"}}"#, Meaning::NotFound),
        ("signa", 409, r#"{"error":{"type":"conflict"}}"#, Meaning::OverlapOpen),
        ("signa", 409, r#"{"error":{"type":"idempotency_processing"}}"#, Meaning::InFlight),
        ("signa", 409, "<html>", Meaning::OverlapOpen),
        ("hopae", 409, r#"{"error":{"code":"IDEMPOTENCY_REQUEST_IN_PROGRESS"}}"#, Meaning::InFlight),
        ("hopae", 409, r#"{"error":{"code":"IDEMPOTENCY_KEY_CONFLICT"}}"#, Meaning::KeyConflict),
        ("hopae", 409, r#"{"error":{"code":"RESOURCE_CONFLICT"}}"#, Meaning::Conflict),
        ("verifa", 404, r#"{"error":"not_found","detail":"gone","status_code":404}"#, Meaning::NotFound),
        ("verifa", 429, r#"{"error":"rate_limited"}"#, Meaning::RateLimited),
    ];
    for (name, status, body, meaning) in cases {
        let provider: Arc<_> = Catalog::builtin().get(name).expect(name);
        let received = Received { status, headers: vec![], body: body.as_bytes().to_vec().into(), complete: true };
        let outcome = judge(&provider, received);
        assert!(
            matches!(&outcome, Outcome::Refused(refusal) if refusal.meaning == meaning),
            "{name} {status} {body}: {outcome:?}"
        );
    }
}
