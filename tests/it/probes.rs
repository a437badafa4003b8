//! `probe`: every kind of receiver has its verdict, nothing else is contacted, and no secret is sent.

use std::collections::BTreeMap;

use crate::receivers::{Kind, Receiver};
use crate::sandbox::Sandbox;
use crate::servers::http::{Answer, Server};

/// Every kind with what is said of it while both secrets are alive and the new one is in `next`.
const KINDS: [(Kind, &str, &str, i32); 12] = [
    (Kind::Both, "accepts-both", "accepts both", 0),
    (Kind::LiveOnly, "old-only", "old only", 9),
    (Kind::NextOnly, "new-only", "new only", 0),
    (Kind::FirstSignatureOnly, "first-signature-only", "checks only the first signature", 9),
    (Kind::Overloaded, "failing", "answers with errors", 9),
    (Kind::Anything, "accepts-anything", "accepts anything", 9),
    (Kind::NoTimestamp, "no-timestamp-check", "no timestamp check", 9),
    (Kind::Prefix, "compares-prefix", "compares a prefix", 9),
    (Kind::RejectsAll, "rejects-all", "rejects all", 9),
    (Kind::Redirects, "redirects", "redirects", 9),
    (Kind::HalfDeployed, "inconsistent", "answers differ", 9),
    (Kind::Down, "unreachable", "unreachable", 9),
];

/// A sandbox in the overlap, with a receiver that reads its dotenv file.
pub fn in_overlap(provider: &str, kind: Kind) -> (Sandbox, Receiver) {
    let receiver = Receiver::start(kind);
    let sandbox = Sandbox::with_receiver(provider, &receiver.url, None);
    sandbox.edit_config("provider = ", "cutover = \"either\"\nprovider = ");
    receiver.reads(&sandbox.dotenv());
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(0);
    (sandbox, receiver)
}

#[test]
fn every_kind_of_receiver_has_its_verdict_and_none_is_wrongly_safe() {
    let cases: Vec<_> = ["layers", "signa"].into_iter().flat_map(|name| KINDS.map(|kind| (name, kind))).collect();
    // Probes mostly wait for each other.
    std::thread::scope(|scope| {
        let run = |(provider, kind)| scope.spawn(move || has_its_verdict(provider, kind));
        let running: Vec<_> = cases.iter().copied().map(run).collect();
        running.into_iter().for_each(|case| case.join().unwrap());
    });
    println!(
        "PROMISE 12 | verdicts on receivers of every kind | cases {} | failures 0 | each named rightly; 0 false \"safe\"",
        cases.len()
    );
}

fn has_its_verdict(provider: &str, (kind, verdict, words, exit): (Kind, &str, &str, i32)) {
    let (sandbox, receiver) = in_overlap(provider, kind);
    let run = sandbox.run(&["probe", "hooks", "--json"]).exits(exit);
    let found = &run.json()["receivers"][0];
    assert_eq!(found["verdict"], verdict, "{provider} {kind:?}: {}", run.stdout);
    let safe = found["rejects_old"] == true;
    assert_eq!(safe, kind == Kind::NextOnly, "{provider} {kind:?}: {}", run.stdout);
    let table = sandbox.run(&["probe", "hooks"]).exits(exit).stdout;
    assert!(table.contains(&format!("→ {words}: ")), "{table}");
    // An older probe's word must not let anything through either.
    let gate = sandbox.run(&["finish", "hooks"]);
    assert_eq!(gate.code, 9, "{provider} {kind:?} finishes in the overlap: {}", gate.stderr);
    assert_no_secret_sent(&sandbox, &receiver);
}

/// Looks through every request that the receiver got.
fn assert_no_secret_sent(sandbox: &Sandbox, receiver: &Receiver) {
    for request in receiver.requests() {
        let text = format!("{request:?}{}", String::from_utf8_lossy(&request.body));
        for secret in sandbox.stand_in.live_secrets() {
            assert!(!text.contains(secret.expose().trim_start_matches("whsec_")), "a secret was sent: {text}");
        }
        assert_eq!(request.header("X-Whsec-Probe"), Some("1"), "a probe says what it is");
        assert!(request.header("User-Agent").is_some_and(|agent| agent.starts_with("whsec/")));
        assert_eq!(request.path, "/hooks", "no redirect is followed");
    }
}

#[test]
fn a_clock_that_is_off_is_named() {
    let (sandbox, receiver) = in_overlap("layers", Kind::Both);
    receiver.is_ahead(-3600);
    let run = sandbox.run(&["probe", "hooks", "--json"]).exits(9);
    let found = &run.json()["receivers"][0];
    assert_eq!(found["verdict"], "rejects-all", "{}", run.stdout);
    let ahead = found["clock_ahead_s"].as_i64().unwrap();
    assert!((-3605..=-3598).contains(&ahead), "{ahead}");
    let table = sandbox.run(&["probe", "hooks"]).exits(9).stdout;
    assert!(table.contains("its clock is 1h 00m behind the time in the probes"), "{table}");
    receiver.is_ahead(0);
    let run = sandbox.run(&["probe", "hooks", "--json"]).exits(0);
    assert!(run.json()["receivers"][0]["clock_ahead_s"].is_null(), "{}", run.stdout);
}

#[test]
fn the_body_is_in_the_form_of_the_providers_events_and_marked() {
    let (sandbox, receiver) = in_overlap("layers", Kind::Both);
    sandbox.run(&["probe", "hooks", "--with", "new"]).exits(0);
    let body: serde_json::Value = serde_json::from_slice(&receiver.requests()[0].body).unwrap();
    assert_eq!(body["type"], "test.ping");
    assert_eq!(body["data"]["probe"], "whsec");
    assert!(body["id"].as_str().unwrap().starts_with("evt_probe_"));
    std::fs::write(sandbox.path("work/event.json"), "{ \"mine\": 1 }").unwrap();
    sandbox.run(&["probe", "hooks", "--with", "new,garbage", "--body", "event.json"]).exits(0);
    assert_eq!(receiver.requests().last().unwrap().body, b"{ \"mine\": 1 }");
}

#[test]
fn single_cases_are_tried_alone_and_a_verdict_can_be_expected() {
    let (sandbox, receiver) = in_overlap("signa", Kind::Both);
    let run = sandbox.run(&["probe", "hooks", "--with", "old,unsigned", "--json"]);
    let json = run.json();
    let cases: Vec<&str> =
        json["receivers"][0]["cases"].as_array().unwrap().iter().map(|case| case["case"].as_str().unwrap()).collect();
    assert_eq!(cases, ["old", "unsigned"]);
    assert_eq!(receiver.requests().len(), 12 + 1, "what decides is tried a dozen times");
    sandbox.run(&["probe", "hooks", "--expect", "accepts-both"]).exits(0);
    sandbox
        .run(&["probe", "hooks", "--expect", "new-only"])
        .exits(9)
        .says("accepts the old secret as well as the new one, and not `new only`");
    sandbox.run(&["probe", "hooks", "--expect", "fine"]).exits(2).says("it is accepts-both, new-only");
}

#[test]
fn only_receivers_of_ones_own_config_or_named_by_a_flag_are_contacted() {
    let (theirs, mine) = (Receiver::start(Kind::Both), Receiver::start(Kind::Both));
    let sandbox = Sandbox::new("layers");
    let target = format!(
        "[targets.shared]\nprovider = \"layers\"\nid = \"x\"\nstore = \"dotenv:.env#A\"\nreceivers = \"{}\"\n",
        theirs.url
    );
    std::fs::write(sandbox.path("work/whsec.toml"), target).unwrap();
    std::fs::write(sandbox.path("work/.env"), "A=whsec_abc\n").unwrap();
    sandbox.run(&["probe", "shared"]).exits(2).says("a checkout's file that you do not trust").says("target trust");
    assert!(theirs.requests().is_empty());
    // Nor is what its stores hold looked at: a value planted there would be signed with.
    sandbox.run(&["probe", "shared", "--url", &mine.url]).exits(2).says("target trust");
    assert!(theirs.requests().is_empty() && mine.requests().is_empty());
    sandbox.run(&["probe", "hooks", "--url", &mine.url]);
    assert!(!mine.requests().is_empty());
    sandbox.run(&["probe", "hooks"]).exits(2).says("`hooks` names no receiver").says("--url URL");
}

#[test]
fn a_receiver_that_is_not_loopback_has_to_be_https() {
    let sandbox = Sandbox::new("layers");
    for url in ["http://hooks.example.com/x", "ftp://hooks.example.com/x", "https://u:p@hooks.example.com/x", "hooks"] {
        sandbox.run(&["probe", "hooks", "--url", url]).exits(2).says("receiver");
    }
}

#[test]
fn without_an_old_secret_only_the_live_one_is_tried() {
    let receiver = Receiver::start(Kind::Both);
    let sandbox = Sandbox::with_receiver("layers", &receiver.url, None);
    receiver.reads(&sandbox.dotenv());
    let run = sandbox.run(&["probe", "hooks", "--json"]).exits(0);
    assert_eq!(run.json()["receivers"][0]["verdict"], "accepts-new");
    sandbox.run(&["status", "hooks"]).exits(0);
    std::fs::write(sandbox.dotenv(), "").unwrap();
    sandbox.run(&["probe", "hooks"]).exits(4).says("holds a live secret to sign with").says("whsec inspect hooks");
}

#[test]
fn how_a_provider_signs_has_to_be_described() {
    let sandbox = Sandbox::new("kadosei");
    let run = sandbox.run(&["probe", "hooks", "--url", "http://127.0.0.1:1/"]).exits(2);
    run.says("how Kadosei signs deliveries is not described").says("--via-provider");
}

#[test]
fn the_providers_own_test_delivery_says_what_came_of_it() {
    let expected: BTreeMap<&str, &str> = [
        ("layers", "Layers was asked for a test delivery: Layers sends a signed `test.ping`"),
        ("signa", "Signa was asked for a test delivery: Signa sends a signed `webhook.test`"),
        ("kadosei", "Kadosei was asked for a test delivery: Kadosei sends a test delivery at once"),
        ("verifa", "Verifa was asked for a test delivery: the receiver accepted it, status 200"),
    ]
    .into();
    for (provider, words) in expected {
        let receiver = Receiver::start(Kind::Anything);
        let sandbox = Sandbox::with_receiver(provider, &receiver.url, None);
        let run = sandbox.run(&["probe", "hooks", "--via-provider", "--json"]).exits(0);
        let sent: Vec<_> =
            sandbox.stand_in.ledger().requests.into_iter().filter(|seen| seen.path.ends_with("/test")).collect();
        assert_eq!(sent.len(), 1, "{provider}: one call");
        // Kadosei does not say how it signs, so that its stand-in delivers nothing.
        let accepted = if provider == "verifa" { true.into() } else { serde_json::Value::Null };
        assert_eq!(run.json()["via_provider"]["accepted"], accepted, "{}", run.stdout);
        let run = sandbox.run(&["probe", "hooks", "--via-provider"]);
        assert!(run.stdout.starts_with(words), "{}", run.stdout);
        if provider == "verifa" {
            receiver.becomes(Kind::RejectsAll);
            let run = sandbox.run(&["probe", "hooks", "--via-provider"]).exits(9);
            assert!(run.stdout.contains("the receiver did not accept it, status 403"), "{}", run.stdout);
            run.says("the receiver did not accept Verifa's test delivery");
        }
    }
    let sandbox = Sandbox::new("hopae");
    let unwell = Server::start(|_| Answer::Json(500, "{}".to_owned()));
    let broken = Sandbox::new("signa");
    broken.edit_config(&broken.stand_in.base_url(), &unwell.url());
    let run = broken.run(&["probe", "hooks", "--via-provider"]).exits(13);
    run.says("the test delivery failed: Signa did not answer as it should").says_not("rotated");
    sandbox.run(&["probe", "hooks", "--via-provider"]).exits(2).says("Hopae has no call that sends a test delivery");
}

/// A provider whose deliveries bear the secret itself, in the place of Layers.
fn with_token(url: &str) -> Sandbox {
    let layers = include_str!("../../src/provider/builtin/layers.toml");
    let (before, rest) = layers.split_once("[signature]\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let token = "[signature]\nheader = \"X-Token\"\nentry = \"{secret}\"";
    let sandbox = Sandbox::with_receiver("layers", url, None);
    sandbox.description("layers", &format!("{before}{token}\n\n{after}"));
    sandbox
}

#[test]
fn a_secret_that_deliveries_bear_is_probed_at_configured_receivers_alone_and_that_is_said() {
    let tokens = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&tokens);
    let secret = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let known = std::sync::Arc::clone(&secret);
    let server = Server::start(move |request| {
        let token = request.headers.get("x-token").cloned().unwrap_or_default();
        let accepted = known.get().is_some_and(|known| *known == token);
        seen.lock().unwrap().push(token);
        Answer::Json(if accepted { 200 } else { 401 }, "{}".to_owned())
    });
    let sandbox = with_token(&format!("{}/hooks", server.url()));
    secret.set(sandbox.newest().expose().to_owned()).unwrap();
    // An address that is typed may be anybody's.
    sandbox
        .run(&["probe", "hooks", "--url", &format!("{}/typed", server.url())])
        .exits(2)
        .says("deliveries bear the secret itself")
        .says("receivers = [");
    for words in ["rotate hooks --dry-run --receiver", "rotate telegram/bot --store file:./x --dry-run --receiver"] {
        let words: Vec<&str> = words.split(' ').chain(["https://typo.example/"]).collect();
        sandbox.run(&words).exits(2).says("deliveries bear the secret itself");
    }
    assert_eq!(tokens.lock().unwrap().len(), 0, "it was asked");
    let run = sandbox.run(&["probe", "hooks", "--json"]).exits(0).says("these probes do, too");
    assert_eq!(run.json()["receivers"][0]["verdict"], "accepts-new", "{}", run.stdout);
    let tokens = tokens.lock().unwrap();
    let live = secret.get().unwrap();
    assert!(tokens.contains(live), "the live one was tried");
    let half = |token: &&String| token.len() == live.len() && token[..8] == live[..8] && *token != live;
    assert!(tokens.iter().any(|token| half(&token)), "half of it was tried");
    // It is said in the plan as well.
    sandbox.run(&["rotate", "hooks", "--dry-run"]).exits(0).says("bear the secret itself");
}
