//! Prints, in one run on one core: deliveries of 1 kB verified per second, from NDJSON and from memory, by whsec, by the
//! Rust crates `standardwebhooks` and `svix`, by Python's `standardwebhooks` where it is installed, and bare HMAC-SHA256
//! over the same bytes, below which nobody gets.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use whsec::delivery::capture::parse_line;
use whsec::delivery::examine::Examiner;
use whsec::delivery::stream;
use whsec::delivery::tally::Tally;
use whsec::provider::Catalog;
use whsec::provider::signature::{Scheme, sign};
use whsec::secret::Secret;

/// Deliveries, each with a body of its own.
const DELIVERIES: usize = 20_000;
const BODY: usize = 1024;
/// The best of so many rounds counts.
const ROUNDS: usize = 7;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A signed delivery in the forms that each contestant takes.
struct Delivery {
    line: Vec<u8>,
    headers: http::HeaderMap,
    body: Vec<u8>,
    id: String,
    timestamp: String,
}

const PYTHON: &str = "
import json, sys, time
from standardwebhooks import Webhook
webhook, lines = Webhook(sys.argv[1]), sys.stdin.buffer.read().splitlines()
best = None
for _ in range(3):
    begun = time.perf_counter()
    for line in lines:
        case = json.loads(line)
        webhook.verify(case['body'], case['headers'])
    took = time.perf_counter() - begun
    best = took if best is None else min(best, took)
print(best)
";

fn main() {
    let catalog = Catalog::builtin();
    let provider = catalog.get("signa").expect("built in");
    let scheme = Scheme::of(&provider).expect("described");
    let secret = Secret::new(SECRET);
    let deliveries = deliveries(&scheme, &secret);
    let log: Vec<u8> = deliveries.iter().flat_map(|delivery| delivery.line.clone()).collect();
    println!("{DELIVERIES} deliveries of {BODY} B, {:.1} MB of NDJSON, best of {ROUNDS} rounds\n", log.len() as f64 / 1e6);

    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &SECRET[6..]).expect("base64");
    let ready = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    let floor = best(|| {
        for delivery in &deliveries {
            let mut mac = ready.clone();
            for part in [delivery.id.as_bytes(), b".", delivery.timestamp.as_bytes(), b".", &delivery.body] {
                mac.update(part);
            }
            black_box(mac.finalize().into_bytes());
        }
    });
    let floor = row("bare HMAC-SHA256, key ready", floor, None);

    let examiner = Examiner::new(&scheme, vec![&secret]);
    row("whsec, from NDJSON (parse and verify)", best(|| {
        let tally = Mutex::new(Tally::new(vec![false]));
        stream::count(&mut log.as_slice(), &mut Vec::new(), &examiner, &tally, &mut || false).expect("from memory");
        let tally = tally.into_inner().expect("one thread");
        assert_eq!(tally.secrets[0].count as usize, DELIVERIES);
    }), Some(floor));
    row("whsec, parse alone", best(|| {
        for delivery in &deliveries {
            black_box(parse_line(&delivery.line).expect("a delivery"));
        }
    }), Some(floor));
    let parsed: Vec<_> = deliveries.iter().map(|delivery| parse_line(&delivery.line).expect("a delivery")).collect();
    row("whsec, verify alone", best(|| {
        for delivery in &parsed {
            assert_eq!(black_box(examiner.look(delivery, None)).matches.len(), 1);
        }
    }), Some(floor));

    let standard = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    row("standardwebhooks 1.0 (Rust), verify alone", best(|| {
        for delivery in &deliveries {
            standard.verify(&delivery.body, &delivery.headers).expect("signed");
        }
    }), Some(floor));
    row("standardwebhooks 1.0 (Rust), from NDJSON", best(|| {
        for line in log.split_inclusive(|byte| *byte == b'\n') {
            let (headers, body) = by_serde(line);
            standard.verify(body.as_bytes(), &headers).expect("signed");
        }
    }), Some(floor));
    let svix = svix::webhooks::Webhook::new(SECRET).expect("a secret");
    row("svix 2 (Rust), verify alone", best(|| {
        for delivery in &deliveries {
            svix.verify(&delivery.body, &delivery.headers).expect("signed");
        }
    }), Some(floor));
    row("svix 2 (Rust), from NDJSON", best(|| {
        for line in log.split_inclusive(|byte| *byte == b'\n') {
            let (headers, body) = by_serde(line);
            svix.verify(body.as_bytes(), &headers).expect("signed");
        }
    }), Some(floor));
    match python(&log) {
        Some(took) => drop(row("standardwebhooks (Python), from NDJSON", took, Some(floor))),
        None => println!("standardwebhooks (Python) is not installed: tests/libraries/check.sh, then PYTHONPATH=target/libraries/python"),
    }
}

fn deliveries(scheme: &Scheme, secret: &Secret) -> Vec<Delivery> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    let make = |index: usize| {
        let item = serde_json::json!({ "sku": format!("SKU-{index:05}"), "name": "Widget", "quantity": index % 7, "price": "13.70" });
        let mut body = serde_json::json!({
            "id": format!("evt_{index:08}"), "type": "order.paid", "data": { "items": vec![item; 13] },
        })
        .to_string();
        body.truncate(BODY - 2);
        // Still as many quotes as a JSON body has; its end is no matter to a signature.
        while body.len() < BODY {
            body.push(' ');
        }
        let (id, at) = (format!("msg_{index:08}"), now - (index % 60) as i64);
        let signed = sign(scheme, &[secret], &id, at, body.as_bytes()).expect("a secret");
        let mut headers = http::HeaderMap::new();
        let mut object = serde_json::Map::new();
        object.insert("host".into(), "hooks.example.com".into());
        object.insert("user-agent".into(), "Signa/1.0".into());
        object.insert("content-type".into(), "application/json".into());
        for (name, value) in signed {
            object.insert(name.clone(), value.clone().into());
            headers.insert(http::HeaderName::try_from(name).expect("a name"), value.parse().expect("a value"));
        }
        let line = format!("{}\n", serde_json::json!({ "headers": object, "body": body })).into_bytes();
        Delivery { line, headers, body: body.into_bytes(), id, timestamp: at.to_string() }
    };
    (0..DELIVERIES).map(make).collect()
}

/// What somebody writes around a library to feed it from a log.
fn by_serde(line: &[u8]) -> (http::HeaderMap, String) {
    let case: serde_json::Value = serde_json::from_slice(line).expect("JSON");
    let mut headers = http::HeaderMap::new();
    for (name, value) in case["headers"].as_object().expect("headers") {
        let value = value.as_str().expect("a text").parse().expect("a value");
        headers.insert(http::HeaderName::try_from(name.as_str()).expect("a name"), value);
    }
    (headers, case["body"].as_str().expect("a text").to_owned())
}

fn best(mut run: impl FnMut()) -> Duration {
    let time = |run: &mut dyn FnMut()| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    };
    (0..ROUNDS).map(|_| time(&mut run)).min().expect("rounds")
}

fn python(log: &[u8]) -> Option<Duration> {
    let mut child = Command::new("python3")
        .args(["-c", PYTHON, SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut pipe = child.stdin.take()?;
    let log = log.to_vec();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut pipe, &log));
    let output = child.wait_with_output().ok()?;
    let _ = writer.join();
    String::from_utf8(output.stdout).ok()?.trim().parse().ok().map(Duration::from_secs_f64)
}

/// Prints a line and yields the nanoseconds of one delivery.
fn row(name: &str, took: Duration, floor: Option<f64>) -> f64 {
    let each = took.as_secs_f64() / DELIVERIES as f64;
    let times = floor.map(|floor| format!("{:>6.2} × bare", each * 1e9 / floor)).unwrap_or_default();
    println!("{name:<45} {:>10.0} /s {:>8.2} µs {times}", 1.0 / each, each * 1e6);
    each * 1e9
}
