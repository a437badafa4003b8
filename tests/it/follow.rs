//! `verify --follow`: a log that is counted while somebody rotates.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStderr, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use whsec::secret::Secret;

use crate::sandbox::Sandbox;
use crate::verify::{BODY, line, now, signed};

/// `verify --follow` on a pipe, with the pipe and what it says.
type Followed = (Child, ChildStdin, Lines<BufReader<ChildStderr>>);

fn start(sandbox: &Sandbox) -> Followed {
    let mut command = sandbox.command(&["verify", "hooks", "--follow", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (log, said) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
    (child, log, BufReader::new(said).lines())
}

/// The same with one delivery that the live secret signed counted already.
fn followed(sandbox: &Sandbox) -> Followed {
    let (child, mut log, mut said) = start(sandbox);
    let live = sandbox.newest();
    log.write_all(line(&signed("signa", &[&live], now(), BODY), BODY, now()).as_bytes()).unwrap();
    assert!(said.any(|line| line.unwrap().contains("first seen: current")), "the stores are read by now");
    (child, log, said)
}

#[test]
fn a16_an_overlap_is_noticed_although_every_signature_is_known() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let (child, mut log, said) = followed(&sandbox);
    let rotated = Instant::now();
    sandbox.rotate().exits(0);
    sandbox.until("the next second", |_| rotated.elapsed() > Duration::from_secs(1));
    for _ in 0..3 {
        log.write_all(line(&signed("signa", &[&old], now(), BODY), BODY, now()).as_bytes()).unwrap();
    }
    drop(log);
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    let json = sandbox.watch(child.wait_with_output().unwrap()).exits(9).json();
    assert_eq!(json["old_only"]["count"], 3, "{json} {rest:?}");
}

#[test]
fn a16_what_somebody_moves_by_hand_is_noticed_too() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let (child, mut log, said) = followed(&sandbox);
    sandbox.stand_in.rotate_by_hand();
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    let by_hand = text.replace(old.expose(), sandbox.newest().expose());
    std::fs::write(sandbox.dotenv(), format!("{by_hand}HOOK_SECRET_OLD={}\n", old.expose())).unwrap();
    let moved = Instant::now();
    sandbox.until("the next second", |_| moved.elapsed() > Duration::from_secs(1));
    for _ in 0..3 {
        log.write_all(line(&signed("signa", &[&old], now(), BODY), BODY, now()).as_bytes()).unwrap();
    }
    drop(log);
    drop(said);
    let json = sandbox.watch(child.wait_with_output().unwrap()).exits(9).json();
    assert_eq!(json["old_only"]["count"], 3, "{json}");
}

#[test]
fn a16_a_delivery_without_a_time_is_first_seen_without_a_comma() {
    let sandbox = Sandbox::new("signa");
    let (child, mut log, mut said) = start(&sandbox);
    log.write_all(b"{\"headers\":{},\"body\":\"\"}\n").unwrap();
    let first = said.find_map(|line| Some(line.unwrap()).filter(|line| line.contains("first seen: ")));
    assert_eq!(first.as_deref(), Some("first seen: unverified (header_missing)"));
    drop((log, said));
    sandbox.watch(child.wait_with_output().unwrap()).exits(9);
}

#[test]
fn a16_a_log_that_is_followed_since_before_a_rotation_knows_the_new_secret() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let (child, mut log, said) = followed(&sandbox);
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    for _ in 0..3 {
        log.write_all(line(&signed("signa", &[&new], now(), BODY), BODY, now()).as_bytes()).unwrap();
    }
    log.write_all(line(&signed("signa", &[&old], now(), BODY), BODY, now()).as_bytes()).unwrap();
    drop(log);
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    let run = sandbox.watch(child.wait_with_output().unwrap()).exits(9);
    let json = run.json();
    assert_eq!(json["unverified"], serde_json::json!({}), "{json}");
    let count = |secret: &Secret| {
        let slots = json["slots"].as_array().unwrap().iter();
        slots
            .filter(|slot| slot["fingerprint"] == secret.fingerprint().to_string())
            .map(|slot| slot["count"].clone())
            .next()
    };
    assert_eq!((count(&new), count(&old)), (Some(3.into()), Some(2.into())), "{json}");
    // Since the rotation the old secret is an old one.
    assert_eq!(json["old_only"]["count"], 1, "{json}");
    assert!(rest.iter().any(|line| line.contains("noted for the step `verify`")), "{rest:?}");
}
