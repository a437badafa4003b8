//! `verify` and `probe` beside independent libraries: the Rust crate `standardwebhooks` always, those of Python and Node by
//! `tests/libraries/check.sh`.

use std::io::BufRead;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use whsec::provider::Catalog;
use whsec::provider::signature::{Scheme, Sent, sign, verify};
use whsec::secret::Secret;

use crate::probes::in_overlap;
use crate::receivers::Kind;

/// Random cases for each library.
const CASES: usize = 1000;

/// What is wrong with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    Body,
    Secret,
    Stale,
    /// The right signature comes second.
    Second,
}

/// A delivery, right or wrong.
#[derive(Clone, Debug)]
struct Case {
    secret: Secret,
    body: String,
    headers: Vec<(String, String)>,
    accepted: bool,
}

fn scheme(provider: &str) -> Scheme {
    Scheme::of(&Catalog::builtin().get(provider).unwrap()).unwrap()
}

/// Random deliveries of a provider, the same ones each time.
fn cases(provider: &str) -> Vec<Case> {
    let (scheme, now) = (scheme(provider), Timestamp::now().as_second());
    let flaws = prop_oneof![
        2 => Just(Flaw::None),
        1 => Just(Flaw::Body),
        1 => Just(Flaw::Secret),
        1 => Just(Flaw::Stale),
        1 => Just(Flaw::Second)
    ];
    let given = (any::<[u8; 24]>(), any::<[u8; 24]>(), "[\\PC\n\t]{0,80}", flaws, 0..60_i64);
    let mut runner = TestRunner::deterministic();
    let secret = |key: [u8; 24]| Secret::new(format!("whsec_{}", STANDARD.encode(key)));
    let mut case = || {
        let (key, other, text, flaw, age) = given.new_tree(&mut runner).unwrap().current();
        let (secret, other) = (secret(key), secret(other));
        let mut body = serde_json::json!({ "text": text }).to_string();
        let at = now - if flaw == Flaw::Stale { 4000 } else { age };
        let signers = match flaw {
            Flaw::Secret => vec![&other],
            Flaw::Second => vec![&other, &secret],
            _ => vec![&secret],
        };
        let headers = sign(&scheme, &signers, "msg_x", at, Sent::of(body.as_bytes())).unwrap();
        if flaw == Flaw::Body {
            body.push(' ');
        }
        Case { secret: secret.clone(), body, headers, accepted: matches!(flaw, Flaw::None | Flaw::Second) }
    };
    (0..CASES).map(|_| case()).collect()
}

#[test]
fn the_rust_library_and_whsec_verify_alike_what_either_signed() {
    let (scheme, now) = (scheme("signa"), Timestamp::now().as_second());
    for case in cases("signa") {
        let mut headers = http::HeaderMap::new();
        for (name, value) in &case.headers {
            headers.insert(http::HeaderName::try_from(name.as_str()).unwrap(), value.parse().unwrap());
        }
        let library = standardwebhooks::Webhook::new(case.secret.expose()).unwrap();
        assert_eq!(library.verify(case.body.as_bytes(), &headers).is_ok(), case.accepted, "{case:?}");
        assert_eq!(
            verify(&scheme, &[&case.secret], &case.headers, Sent::of(case.body.as_bytes()), now).is_ok(),
            case.accepted
        );
        let signature = library.sign("msg_y", now, case.body.as_bytes()).unwrap();
        let theirs =
            [("webhook-id", "msg_y"), ("webhook-timestamp", &now.to_string()), ("webhook-signature", &signature)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(verify(&scheme, &[&case.secret], &theirs, Sent::of(case.body.as_bytes()), now), Ok(0), "{case:?}");
    }
}

#[test]
fn a_receiver_with_the_rust_library_is_probed_and_proved() {
    let (sandbox, _receiver) = in_overlap("signa", Kind::Library);
    sandbox.run(&["probe", "hooks", "--expect", "accepts-both"]).exits(0);
    sandbox.run(&["cutover", "hooks"]).exits(11).says("verify: proved by every receiver");
}

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("WHSEC_TEST_LIBRARIES").unwrap())
}

#[test]
#[ignore = "needs the libraries of Python and Node: tests/libraries/check.sh"]
fn ours() {
    let mut text = String::new();
    for provider in ["layers", "signa"] {
        for case in cases(provider) {
            let line = serde_json::json!({
                "provider": provider, "secret": case.secret.expose(), "headers": case.headers,
                "body": STANDARD.encode(&case.body), "accepted": case.accepted,
            });
            text.push_str(&format!("{line}\n"));
        }
    }
    std::fs::write(folder().join("ours.ndjson"), text).unwrap();
}

/// A delivery that a library has signed, judged by us as it does itself: which library, and whether it is a right one.
fn judged(line: &str, now: i64) -> (String, bool) {
    let case: serde_json::Value = serde_json::from_str(line).unwrap();
    let text = |field: &str| case[field].as_str().unwrap().to_owned();
    let headers = case["headers"].as_object().unwrap().iter();
    let headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let (body, url) = (STANDARD.decode(text("body")).unwrap(), case["url"].as_str().unwrap_or_default());
    let secret = Secret::new(text("secret"));
    let found = verify(&scheme(&text("provider")), &[&secret], &headers, Sent::to(url, &body), now);
    assert_eq!(found.is_ok(), case["accepted"].as_bool().unwrap(), "{found:?}: {line}");
    (text("library"), found.is_ok())
}

#[test]
#[ignore = "needs the libraries of Python and Node: tests/libraries/check.sh"]
fn theirs() {
    let now = Timestamp::now().as_second();
    let mut looked = std::collections::BTreeMap::<String, usize>::new();
    for file in ["python.ndjson", "node.ndjson"] {
        for line in std::fs::read_to_string(folder().join(file)).unwrap().lines() {
            let (library, _) = judged(line, now);
            *looked.entry(library).or_default() += 1;
        }
    }
    assert!(looked.len() == 6 && looked.values().all(|count| *count == CASES), "{looked:?}");
    println!("whsec verifies as they do: {looked:?}");
}

/// A program that prints its port and is ended with the test.
struct Server(Child, String);

impl Server {
    fn start(program: &str, script: &str, file: &std::path::Path) -> Self {
        let script = format!("{}/tests/libraries/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(program).arg(script).arg(file).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self(child, format!("http://127.0.0.1:{}/hooks", port.trim()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs the libraries of Python and Node: tests/libraries/check.sh"]
fn receivers() {
    // The third is in Rust, and runs with the rest of the suite.
    for (program, script) in [("python3", "receiver.py"), ("node", "receiver.js")] {
        let (sandbox, _own) = in_overlap("signa", Kind::Both);
        let server = Server::start(program, script, &sandbox.dotenv());
        sandbox.run(&["probe", "hooks", "--url", &server.1, "--expect", "accepts-both"]).exits(0);
        sandbox.run(&["cutover", "hooks", "--receiver", &server.1]).exits(11).says("verify: proved by every receiver");
        println!("{program}: probed and proved");
    }
}

/// Providers whose own libraries judge, each with the deliveries of ours that they are shown.
const PROVIDERS: [&str; 5] = ["github", "line", "slack", "square", "twilio"];

#[test]
#[ignore = "needs the libraries of Python and Node: tests/libraries/check.sh"]
fn providers_ours() {
    let now = Timestamp::now().as_second();
    let mut lines = String::new();
    for provider in PROVIDERS {
        let scheme = scheme(provider);
        for at in 0..4 * CASES {
            let [secret, other] = [(); 2].map(|()| Secret::new(uuid::Uuid::new_v4().simple().to_string()));
            let (text, url) = (format!("é✓🔑 \"\\/ {at} +&=%"), format!("https://hooks.example/in?n={at}"));
            let mut body = match scheme.signs_form() {
                true => form_urlencoded::Serializer::new(String::new())
                    .extend_pairs([("Body", text.as_str()), ("From", "+1415"), ("A", "")])
                    .finish(),
                false => serde_json::json!({ "text": text }).to_string(),
            };
            let kind = at % 8;
            let signer = if kind == 4 { &other } else { &secret };
            let at = if kind == 5 { now - 4_000 } else { now };
            let to = if kind == 6 { "https://hooks.example/other" } else { &url };
            let mut headers = sign(&scheme, &[signer], "", at, Sent::to(to, body.as_bytes())).unwrap();
            match kind {
                2 => body.push_str(if scheme.signs_form() { "&c=1" } else { " " }),
                3 => headers = scheme.unsigned("", at),
                7 => {
                    let value = &mut headers.last_mut().unwrap().1;
                    *value = value.replace(['a', 'b', '1', 'Q'], "0");
                }
                _ => {}
            }
            let accepted = verify(&scheme, &[&secret], &headers, Sent::to(&url, body.as_bytes()), now).is_ok();
            let line = serde_json::json!({
                "provider": provider, "secret": secret.expose(), "headers": headers, "url": url,
                "body": STANDARD.encode(&body), "accepted": accepted,
            });
            lines.push_str(&format!("{line}\n"));
        }
    }
    std::fs::write(folder().join("providers.ndjson"), lines).unwrap();
}

#[test]
#[ignore = "needs the libraries of Python and Node: tests/libraries/check.sh"]
fn providers_theirs() {
    let now = Timestamp::now().as_second();
    let mut looked = std::collections::BTreeMap::<(String, bool), usize>::new();
    for file in ["providers-python.ndjson", "providers-node.ndjson"] {
        for line in std::fs::read_to_string(folder().join(file)).unwrap().lines() {
            *looked.entry(judged(line, now)).or_default() += 1;
        }
    }
    assert!(looked.len() == 8 && looked.values().all(|count| *count >= 300), "{looked:?}");
    println!("whsec judges as providers' own libraries do: {looked:?}");
}
