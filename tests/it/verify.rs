//! `verify`: which secret signed a delivery, or why none did, each reason produced for real.

use jiff::Timestamp;
use whsec::provider::Catalog;
use whsec::provider::signature::{Scheme, Sent, Signature, sign};
use whsec::provider::spec::Encoding;
use whsec::secret::Secret;

use crate::sandbox::{KEY, Sandbox};

pub const BODY: &str = r#"{"type":"order.paid","data":{"url":"https://shop.example/1","name":"Zoë","total":12.5}}"#;

fn scheme(provider: &str) -> Scheme {
    Scheme::of(&Catalog::builtin().get(provider).unwrap()).unwrap()
}

pub fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A raw request with these headers and this body.
pub fn http(headers: &[(String, String)], body: &str) -> String {
    let mut text = "POST /hooks HTTP/1.1\r\nHost: shop.example\r\n".to_owned();
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{text}\r\n{body}")
}

pub fn signed(provider: &str, secrets: &[&Secret], at: i64, body: &str) -> Vec<(String, String)> {
    sign(&scheme(provider), secrets, "msg_1", at, Sent::of(body.as_bytes())).unwrap()
}

/// A sandbox in the overlap, with the old and the new secret.
fn in_overlap(provider: &str) -> (Sandbox, Secret, Secret) {
    let sandbox = Sandbox::new(provider);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    (sandbox, old, new)
}

#[test]
fn every_slot_that_signed_is_named_at_every_provider_that_says_how_it_signs() {
    for provider in ["layers", "signa", "hopae", "verifa"] {
        let (sandbox, old, new) = in_overlap(provider);
        let request = http(&signed(provider, &[&new, &old], now(), BODY), BODY);
        let run = sandbox.run_with_stdin(&["verify", "hooks", "--json"], &request).exits(0);
        let json = run.json();
        let matches = json["deliveries"][0]["matches"].as_array().unwrap();
        let found: Vec<(u64, bool)> = matches
            .iter()
            .map(|found| (found["signature"].as_u64().unwrap(), found["is_old"].as_bool().unwrap()))
            .collect();
        assert_eq!(found, [(1, false), (2, true)], "{provider}: {}", run.stdout);
        let run = sandbox.run_with_stdin(&["verify", "hooks"], &request).exits(0);
        assert!(run.stdout.contains("the new secret), signature 1 of 2"), "{}", run.stdout);
        assert!(run.stdout.contains("the old secret), signature 2 of 2"), "{}", run.stdout);
    }
}

#[test]
fn a_capture_comes_in_every_form() {
    let (sandbox, _, new) = in_overlap("layers");
    let headers = signed("layers", &[&new], now(), BODY);
    let (name, value) = &headers[0];
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, BODY);
    let quoted = serde_json::to_string(BODY).unwrap();
    let started = Timestamp::now();
    let forms = [
        http(&headers, BODY),
        http(&headers, BODY).replace("\r\n", "\n"),
        http(&headers, BODY).split_once("\r\n").unwrap().1.to_owned(),
        http(&[headers[0].clone(), ("Content-Length".to_owned(), BODY.len().to_string())], &format!("{BODY}\n")),
        http(
            &[headers[0].clone(), ("Transfer-Encoding".to_owned(), "chunked".to_owned())],
            &format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()),
        ),
        format!("{{\"headers\":{{\"{name}\":\"{value}\"}},\"body\":{quoted}}}"),
        format!("{{\"headers\":{{\"{name}\":[\"{value}\"]}},\"body\":{BODY}}}"),
        format!("{{\"id\":7,\"headers\":[[\"{name}\",\"{value}\"]],\"body_base64\":\"{base64}\"}}"),
        format!(
            "{{\"headers\":[{{\"name\":\"{name}\",\"value\":\"{value}\"}}],\"body\":\"{base64}\",\"isBase64Encoded\":true}}"
        ),
        format!(
            "{{\"log\":{{\"entries\":[{{\"startedDateTime\":\"{started}\",\"request\":{{\"headers\":[{{\"name\":\"{name}\",\
                 \"value\":\"{value}\"}}],\"postData\":{{\"text\":{quoted}}}}}}}]}}}}"
        ),
    ];
    for form in &forms {
        let run = sandbox.run_with_stdin(&["verify", "hooks"], form);
        assert_eq!(run.code, 0, "{form}\n{}{}", run.stdout, run.stderr);
    }
    std::fs::write(sandbox.path("work/body"), BODY).unwrap();
    std::fs::write(sandbox.path("work/delivery.http"), &forms[0]).unwrap();
    sandbox.run(&["verify", "hooks", "--header", &format!("{name}: {value}"), "--body", "body"]).exits(0);
    sandbox.run(&["verify", "hooks", "delivery.http"]).exits(0);
    sandbox.run(&["verify", "hooks", "-"]).exits(2).says("stdin holds no delivery: it is empty");
}

/// Runs `verify` on a request and looks for the reason.
#[track_caller]
fn refused(sandbox: &Sandbox, request: &str, kind: &str, words: &str) {
    let run = sandbox.run_with_stdin(&["verify", "hooks", "--json"], request).exits(9);
    let json = run.json();
    let kinds: Vec<&str> = json["deliveries"][0]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| cause["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&kind), "no {kind} in {kinds:?}:\n{}", run.stdout);
    let run = sandbox.run_with_stdin(&["verify", "hooks"], request).exits(9);
    assert!(run.stdout.contains(words), "no `{words}` in\n{}", run.stdout);
}

#[test]
fn headers_that_are_missing_malformed_or_of_another_version_are_named() {
    let (sandbox, _, new) = in_overlap("layers");
    let good = http(&signed("layers", &[&new], now(), BODY), BODY);
    refused(
        &sandbox,
        &good.replace("X-Layers-Signature", "X-Other"),
        "header_missing",
        "no header `X-Layers-Signature`",
    );
    refused(&sandbox, &good.replace("t=", "u="), "header_malformed", "not in the form");
    refused(&sandbox, &good.replace("v1=", "v0="), "version_unknown", "no `v1` signature, only `v0`");
}

#[test]
fn a_timestamp_outside_the_tolerance_says_by_how_much() {
    let (sandbox, _, new) = in_overlap("layers");
    let at = now() - 1000;
    let request = http(&signed("layers", &[&new], at, BODY), BODY);
    refused(&sandbox, &request, "stale", "receivers take 300 s, so it is off by 70");
    let ahead = http(&signed("layers", &[&new], now() + 1000, BODY), BODY);
    refused(&sandbox, &ahead, "stale", "in the future");
    sandbox.run_with_stdin(&["verify", "hooks", "--at", &at.to_string()], &request).exits(0);
    let moment = Timestamp::from_second(at + 299).unwrap();
    let captured = format!(
        "{{\"headers\":{{\"X-Layers-Signature\":\"{}\"}},\"body\":{},\"received_at\":\"{moment}\"}}",
        signed("layers", &[&new], at, BODY)[0].1,
        serde_json::to_string(BODY).unwrap()
    );
    sandbox.run_with_stdin(&["verify", "hooks"], &captured).exits(0);
}

#[test]
fn a_body_that_was_written_anew_is_recognised() {
    let (sandbox, _, new) = in_overlap("signa");
    let value: serde_json::Value = serde_json::from_str(BODY).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    // What was signed, and what the capture holds of it.
    let rows: [(&str, &str, &str); 8] = [
        (BODY, &format!("{BODY}\n"), "without the line break at its end"),
        (&format!("{BODY}\n"), BODY, "with a line break at its end"),
        (&pretty.replace('\n', "\r\n"), &pretty, "with CR LF in place of LF"),
        (BODY, &pretty, "without spaces"),
        (&pretty, BODY, "indented by 2 spaces"),
        (&sorted.to_string(), BODY, "with its keys sorted"),
        (&BODY.replace('/', "\\/"), BODY, "with `/` written `\\/`"),
        (&BODY.replace('ë', "\\u00eb"), BODY, "with other letters than ASCII written `\\u…`"),
    ];
    for (sent, captured, how) in rows {
        let request = http(&signed("signa", &[&new], now(), sent), captured);
        refused(&sandbox, &request, "body_changed", how);
    }
}

#[test]
fn a_key_that_was_used_wrongly_is_recognised() {
    let (layers, _, new) = in_overlap("layers");
    let (signa, _, standard) = in_overlap("signa");
    let at = now();
    // The MAC with a key of any kind, in the header of a provider.
    let by = |provider: &str, key: &[u8], encode: &dyn Fn(Signature) -> String| {
        let scheme = scheme(provider);
        let key = scheme.keyed_by(key).unwrap();
        let signature = scheme.signature(&key, "msg_1", &at.to_string(), Sent::of(BODY.as_bytes())).unwrap();
        http(&scheme.headers("msg_1", at, &[encode(signature)]), BODY)
    };
    let hex = |signature: Signature| signature.written(Encoding::Hex);
    let base64 = |signature: Signature| signature.written(Encoding::Base64);
    let decode = |text: &str| base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    let text = standard.expose();
    refused(&signa, &by("signa", text.as_bytes(), &base64), "key_misused", "used as its text; this scheme decodes");
    let decoded = decode(text.trim_start_matches("whsec_"));
    refused(&signa, &by("signa", &decoded, &hex), "encoding", "in hex, where base64 is due");
    let text = new.expose();
    let newline = format!("{text}\n");
    refused(&layers, &by("layers", newline.as_bytes(), &hex), "key_misused", "with a line break behind it");
    refused(&layers, &by("layers", text.as_bytes(), &base64), "encoding", "in base64, where hex is due");
    let capital = |signature: Signature| hex(signature).to_uppercase();
    refused(&layers, &by("layers", text.as_bytes(), &capital), "encoding", "capital hex digits");
    let bare = text.trim_start_matches("whsec_");
    refused(&layers, &by("layers", bare.as_bytes(), &hex), "key_misused", "without `whsec_`");
    let scheme = scheme("layers");
    let key = scheme.keyed_by(text.as_bytes()).unwrap();
    let alone = scheme.signature_of_body(&key, BODY.as_bytes());
    let request = http(&scheme.headers("", at, &[hex(alone)]), BODY);
    refused(&layers, &request, "timestamp_unsigned", "the body alone was signed");
}

#[test]
fn a_raw_secret_that_others_decode_is_recognised() {
    // A secret that is base64 behind its prefix, at a provider that uses the text.
    let sandbox = Sandbox::new("layers");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    std::fs::write(sandbox.dotenv(), format!("{KEY}={secret}\n")).unwrap();
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &secret[6..]).unwrap();
    let (scheme, at) = (scheme("layers"), now());
    let key = scheme.keyed_by(&key).unwrap();
    let signature = scheme.signature(&key, "", &at.to_string(), Sent::of(BODY.as_bytes())).unwrap();
    let entry = signature.written(Encoding::Hex);
    refused(&sandbox, &http(&scheme.headers("", at, &[entry]), BODY), "key_misused", "decoded from base64");
    std::fs::write(sandbox.dotenv(), format!("{KEY}=whsec_not*base64\n")).unwrap();
    let standard = Sandbox::new("signa");
    std::fs::write(standard.dotenv(), format!("{KEY}=whsec_not*base64\n")).unwrap();
    let other = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let request = http(&signed("signa", &[&other], now(), BODY), BODY);
    refused(&standard, &request, "secret_undecodable", "it is not base64 behind `whsec_`");
}

#[test]
fn white_space_at_the_end_of_a_slot_is_found() {
    let sandbox = Sandbox::new("layers");
    sandbox.stores(&["file:./secret"]);
    std::fs::write(sandbox.path("work/secret"), "whsec_abcdef\t").unwrap();
    let request = http(&signed("layers", &[&Secret::new("whsec_abcdef")], now(), BODY), BODY);
    refused(&sandbox, &request, "key_misused", "without the white space that it has at its end in the slot");
}

#[test]
fn an_old_secret_alone_is_said_and_another_targets_is_named() {
    let (sandbox, old, new) = in_overlap("signa");
    // Signa's receivers switch: the old secret has left the live slot.
    let request = http(&signed("signa", &[&old], now(), BODY), BODY);
    let run = sandbox.run_with_stdin(&["verify", "hooks"], &request).exits(9);
    assert!(run.stdout.contains("not verified: old secret only"), "{}", run.stdout);
    let text = sandbox.config_text();
    let other = text
        .split("\n\n")
        .next()
        .unwrap()
        .replace("targets.hooks", "targets.orders")
        .replace("id0-7Qx", "id9-7Qx")
        .replace("receiver.env", "orders.env");
    sandbox.config(&format!("{text}\n{other}\n"));
    std::fs::write(sandbox.path("work/orders.env"), format!("{KEY}=whsec_b3RoZXIga2V5\n")).unwrap();
    let request = http(&signed("signa", &[&Secret::new("whsec_b3RoZXIga2V5")], now(), BODY), BODY);
    let run = sandbox.run_with_stdin(&["verify", "hooks"], &request).exits(9);
    assert!(run.stdout.contains("it was signed with another target's secret: `orders` (current)"), "{}", run.stdout);
    let request = http(&signed("signa", &[&Secret::new("whsec_bm9ib2R5cw==")], now(), BODY), BODY);
    refused(&sandbox, &request, "no_match", "none of the secrets signed it");
    sandbox.run_with_stdin(&["verify", "hooks"], &request).exits(9).says("`whsec inspect hooks` shows which slots");
    let fresh = http(&signed("signa", &[&new], now(), BODY), BODY);
    sandbox.run_with_stdin(&["verify", "hooks"], &fresh).exits(0);
}

#[test]
fn in_the_overlap_the_old_secret_alone_is_no_evidence_for_the_new_one() {
    let (sandbox, old, _) = in_overlap("layers");
    let request = http(&signed("layers", &[&old], now(), BODY), BODY);
    let run = sandbox.run_with_stdin(&["verify", "hooks"], &request).exits(0);
    assert!(run.stdout.contains("old secret only: nothing in it shows"), "{}", run.stdout);
    assert!(!run.stderr.contains("noted"), "{}", run.stderr);
    let status = sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
    assert!(status.stderr.contains("next: verify"), "{}", status.stderr);
}

#[test]
fn captures_that_lost_something_say_so() {
    let (sandbox, _, new) = in_overlap("layers");
    let headers = signed("layers", &[&new], now(), BODY);
    let announced = ("Content-Length".to_owned(), "999".to_owned());
    let cut = http(&[headers[0].clone(), announced], &BODY[..20]);
    refused(&sandbox, &cut, "capture_cut_short", "20 bytes of 999");
    let (name, value) = &headers[0];
    refused(&sandbox, &format!("{{\"headers\":{{\"{name}\":\"{value}\"}}}}"), "capture_without_body", "has no body");
    let other = Secret::new("whsec_other");
    let parsed =
        format!("{{\"headers\":{{\"{name}\":\"{}\"}},\"body\":{BODY}}}", signed("layers", &[&other], now(), BODY)[0].1);
    refused(&sandbox, &parsed, "capture_parsed", "keeps its body as parsed JSON");
}

#[test]
fn a_secret_from_stdin_is_tried_beside_the_slots() {
    let sandbox = Sandbox::new("layers");
    let request = http(&signed("layers", &[&Secret::new("whsec_other")], now(), BODY), BODY);
    std::fs::write(sandbox.path("work/delivery"), &request).unwrap();
    let run = sandbox.run_with_stdin(&["verify", "hooks", "delivery", "--secret-stdin"], "whsec_other\n").exits(0);
    assert!(run.stdout.contains("signed with stdin"), "{}", run.stdout);
    sandbox.run_with_stdin(&["verify", "hooks", "--secret-stdin"], "x").exits(2).says("cannot both come on stdin");
}

#[test]
fn what_is_no_capture_is_misuse_and_says_what_one_is() {
    let sandbox = Sandbox::new("layers");
    for (text, why) in [
        ("{", "it ends too early at line 1"),
        ("{\"body\":\"x\"}", "not the fields of one"),
        ("{\"headers\":{},\"body_base64\":\"*\"}", "`body_base64` is not base64"),
        ("POST / HTTP/1.1\r\nHost: x", "no blank line"),
        ("{\"headers\":{}}\n{\"headers\":{}}\n", "several lines of JSON"),
        ("{\"log\":{\"entries\":[]}}", "no request in it"),
    ] {
        let run = sandbox.run_with_stdin(&["verify", "hooks"], text).exits(2);
        assert!(run.stderr.contains(why), "{text}: {}", run.stderr);
    }
    sandbox.run(&["verify", "hooks", "nowhere.http"]).exits(2).says("cannot read `nowhere.http`");
    let kadosei = Sandbox::new("kadosei");
    kadosei.run(&["verify", "hooks"]).exits(2).says("how Kadosei signs deliveries is not described");
}

/// A line of a log.
pub fn line(headers: &[(String, String)], body: &str, at: i64) -> String {
    let headers: serde_json::Map<String, serde_json::Value> =
        headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let at = Timestamp::from_second(at).unwrap();
    serde_json::json!({ "headers": headers, "body": body, "received_at": at }).to_string() + "\n"
}

#[test]
fn a_log_is_counted_by_secret_with_the_last_time_of_each() {
    let (sandbox, old, new) = in_overlap("signa");
    let at = now() - 5000;
    let mut log = String::new();
    for second in 0..10 {
        log += &line(&signed("signa", &[&old], at + second, BODY), BODY, at + second);
    }
    for second in 10..30 {
        log += &line(&signed("signa", &[&new, &old], at + second, BODY), BODY, at + second);
    }
    log += &line(&signed("signa", &[&new], at + 30, BODY), "{}", at + 30);
    log += &line(&signed("signa", &[&new], at + 31, BODY), BODY, at + 1031);
    log += "not json\n";
    let run = sandbox.run_with_stdin(&["verify", "hooks", "--summary", "--json"], &log).exits(9);
    let json = run.json();
    let moment = |second: i64| serde_json::to_value(Timestamp::from_second(at + second).unwrap()).unwrap();
    assert_eq!(json["deliveries"]["count"], 32);
    assert_eq!(json["old_only"], serde_json::json!({ "count": 10, "last_at": moment(9) }));
    let slot = |name: &str| json["slots"].as_array().unwrap().iter().find(|slot| slot["slot"] == name).unwrap().clone();
    assert_eq!((slot("current")["count"].clone(), slot("previous")["count"].clone()), (20.into(), 30.into()));
    assert_eq!(slot("previous")["last_at"], moment(29));
    assert_eq!(json["unverified"]["no_match"]["count"], 1);
    assert_eq!((json["stale"]["count"].clone(), json["unreadable"].clone()), (1.into(), 1.into()));
    let run = sandbox.run_with_stdin(&["verify", "hooks", "--follow"], &log).exits(9);
    assert!(run.stdout.contains("old only           10  "), "{}", run.stdout);
    let good = line(&signed("signa", &[&new], at, BODY), BODY, at);
    sandbox.run_with_stdin(&["verify", "hooks", "--follow"], &good).exits(0).says("noted for the step `verify`");
    sandbox.run(&["verify", "hooks", "--summary", "x"]).exits(2).says("read stdin").says("tail -F x | whsec verify");
}

#[test]
fn an_address_that_is_signed_is_one_of_the_targets_receivers_or_the_captures_own() {
    let sandbox = Sandbox::new("square");
    let secret = sandbox.newest();
    let sent_to = |url: &str| {
        let headers = sign(&scheme("square"), &[&secret], "", 0, Sent::to(url, BODY.as_bytes())).unwrap();
        (http(&headers, BODY), headers)
    };
    let check = |request: &str| sandbox.run_with_stdin(&["verify", "hooks", "--json"], request);
    // As the request line and its host have it, and as a capture in JSON does.
    let (request, headers) = sent_to("https://shop.example/hooks");
    check(&request).exits(0);
    let (name, value) = &headers[0];
    let record = |url: &str| {
        let body = serde_json::to_string(BODY).unwrap();
        format!("{{\"url\":\"{url}\",\"headers\":{{\"{name}\":\"{value}\"}},\"body\":{body}}}")
    };
    check(&record("https://shop.example/hooks")).exits(0);
    refused(&sandbox, &record("https://shop.example/other"), "no_match", "none of the secrets signed it");
    // A capture that does not say where it was sent to.
    let bare = request.split_once("\r\n\r\n").map(|(_, body)| format!("{name}: {value}\r\n\r\n{body}")).unwrap();
    refused(&sandbox, &bare, "address_unknown", "the address that it was sent to is signed, too");
    // Behind a proxy it is the target that knows what the provider has.
    let (behind, _) = sent_to("https://edge.example/in?x=1");
    refused(&sandbox, &behind, "no_match", "none of the secrets signed it");
    sandbox.edit_config("provider = ", "receivers = [\"https://edge.example/in?x=1\"]\nprovider = ");
    check(&behind).exits(0);
    check(&bare).exits(9);
}
