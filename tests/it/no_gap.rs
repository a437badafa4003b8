//! A provider without any overlap is rotated, and not one delivery is refused: they go on all the time, signed with whatever the
//! provider has at that moment, while whsec is killed again and again.
//!
//! 200 deliveries, one every 5 ms, and three kills; with `WHSEC_TEST_FULL=1` 2,000, one every 50 ms, and 20 kills.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use whsec::secret::Secret;

use crate::github::GitHub;
use crate::sandbox::is_full;

/// What became of the deliveries.
#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    is_over: AtomicBool,
}

impl Counts {
    fn sent(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst) + self.refused.load(Ordering::SeqCst)
    }
}

/// Ends the deliveries when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Delivers as GitHub does, until it is over; yields with how many secrets deliveries were signed.
fn deliver(address: &str, signer: impl Fn() -> Secret, counts: &Counts, pause: Duration) -> usize {
    let mut signed_with = Vec::new();
    while !counts.is_over.load(Ordering::SeqCst) {
        let due = Instant::now() + pause;
        let secret = signer();
        let body = format!("{{\"zen\":\"{}\"}}", counts.sent());
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let status = post(address, &format!("sha256={digits}"), &body);
        let count = if status.starts_with("HTTP/1.1 204") { &counts.accepted } else { &counts.refused };
        count.fetch_add(1, Ordering::SeqCst);
        if !signed_with.contains(&secret) {
            signed_with.push(secret);
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    signed_with.len()
}

fn post(address: &str, signature: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let request = format!(
        "POST /hooks HTTP/1.1\r\nHost: {address}\r\nX-Hub-Signature-256: {signature}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    String::from_utf8_lossy(&status).into_owned()
}

/// Starts a command and kills it, so many times, each time a little later in its course.
fn kill(github: &GitHub, words: &str, times: u64, longest: Duration) {
    let words = words.replace("ID", &github.sandbox.id());
    let words: Vec<&str> = words.split_whitespace().collect();
    for at in 1..=times {
        let mut child = github.sandbox.spawn(&words);
        std::thread::sleep(longest.mul_f64(at as f64 / (times + 1) as f64));
        // One that has come to its end is no matter.
        let _ = child.kill();
        child.wait().unwrap();
    }
}

/// The whole walk, with kills on the way.
fn walk(github: &GitHub, kills: u64) {
    let rotate = "rotate hooks --yes --confirm ID";
    let shares = [kills / 3, kills / 3, kills - 2 * (kills / 3)];
    kill(github, rotate, shares[0], Duration::from_millis(150));
    if github.run(rotate).code == 5 {
        github.run("cutover hooks");
    }
    let new = github.sandbox.slot("_NEW").expect("a new secret");
    github.deploy(&["", "_NEW"]);
    let deployed = "cutover hooks --done deploy";
    kill(github, deployed, shares[1], Duration::from_millis(2_500));
    let run = github.run(deployed);
    assert!([0, 11].contains(&run.code), "{}: {}", run.code, run.stderr);
    assert_eq!((github.secret(), github.sandbox.slot("")), (Some(new.clone()), Some(new)));
    // What is on its way bears the old signature still.
    std::thread::sleep(Duration::from_millis(300));
    github.deploy(&[""]);
    kill(github, "cutover hooks", shares[2], Duration::from_millis(2_500));
    // The last of those that were killed may have come to its end.
    github.run("cutover hooks");
    let history = github.run("history hooks --json").exits(0).json();
    let newest = history["rotations"].as_array().and_then(|rotations| rotations.last());
    assert_eq!(newest.map(|newest| &newest["status"]), Some(&"done".into()), "{history}");
    assert!(github.sandbox.leftovers().is_empty(), "{:?}", github.sandbox.leftovers());
}

#[test]
fn deliveries_go_on_while_a_provider_without_overlap_is_rotated_and_none_is_refused() {
    let is_full = is_full();
    let (wanted, every, kills) = if is_full { (2_000, 50, 20) } else { (200, 5, 3) };
    let (github, counts) = (GitHub::new(), Counts::default());
    let (before, address, signer) = (github.secret(), github.receiver_address(), github.signer());
    let given = std::thread::scope(|scope| {
        let deliveries = scope.spawn(|| deliver(&address, signer, &counts, Duration::from_millis(every)));
        let begun = Instant::now();
        // However the walk ends, so do they.
        let _end = End(&counts.is_over);
        walk(&github, kills);
        while counts.sent() < wanted && begun.elapsed() < Duration::from_secs(240) {
            std::thread::sleep(Duration::from_millis(every));
        }
        counts.is_over.store(true, Ordering::SeqCst);
        deliveries.join().unwrap()
    });
    assert_eq!(given, 2, "deliveries were signed with the old secret and with the new one");
    assert_ne!(github.secret(), before);
    let (accepted, refused) = (counts.accepted.into_inner(), counts.refused.into_inner());
    assert!(accepted >= wanted, "{accepted} accepted, {refused} refused");
    assert_eq!(refused, 0, "of {accepted}");
    println!(
        "PROMISE 12 | no delivery is refused while a provider without overlap is rotated | cases {accepted} | failures 0 | one every {every} ms, \
         {kills} kills on the way"
    );
}
