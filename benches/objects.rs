//! Prints, in one run on loopback: what a journal in an object store costs that answers after 40 ms, beside the state folder's own, as
//! times and as requests: a rotation, and a status of 500 endpoints that sees them for the first time and again.
//!
//! `cargo bench --bench objects`; making the endpoints takes a minute.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::time::{Duration, Instant};

#[path = "../tests/it/place.rs"]
mod place;
#[allow(dead_code, reason = "it is made for the tests, and not all of it is used here")]
#[path = "../tests/it/sandbox.rs"]
mod sandbox;
#[path = "../tests/servers/mod.rs"]
mod servers;

use sandbox::Sandbox;
use servers::objects::Mishap;

const ENDPOINTS: usize = 500;
const ANSWERS: Duration = Duration::from_millis(40);
const ROTATE: [&str; 3] = ["rotate", "hooks", "--yes"];

fn main() {
    // `cargo test --benches` must not time anything.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let local = Sandbox::new("layers");
    let ours = timed(&local, &ROTATE);
    println!("rotate, the state folder's own journal   {ours:>12.1?}");
    let sandbox = Sandbox::new("layers").over_objects();
    sandbox.objects().answers_after(ANSWERS);
    shown("rotate, objects at 40 ms", &sandbox, &ROTATE);
    sandbox.objects().answers_after(Duration::ZERO);
    fill(&sandbox);
    sandbox.objects().answers_after(ANSWERS);
    forget(&sandbox);
    shown("status of 500, for the first time", &sandbox, &["status"]);
    shown("status of 500, again", &sandbox, &["status"]);
}

/// Begins a rotation by hand at so many endpoints.
fn fill(sandbox: &Sandbox) {
    let mut config = sandbox.config_text();
    let work = sandbox.path("work");
    for at in 0..ENDPOINTS {
        let store = format!("dotenv:{}/r{at}.env#CHAT", work.display());
        config.push_str(&format!("\n[targets.t{at}]\nprovider = \"slack\"\nid = \"A{at}\"\nstore = \"{store}\"\n"));
        std::fs::write(work.join(format!("r{at}.env")), format!("CHAT={at:032x}\n")).unwrap();
    }
    sandbox.config(&config);
    for at in 0..ENDPOINTS {
        let (name, id) = (format!("t{at}"), format!("A{at}"));
        let rotate = ["rotate", &name, "--yes", "--confirm", &id, "--done", "prepare", "--secret", "-"];
        let run = sandbox.run_with_stdin(&rotate, &format!("{:032x}", at + ENDPOINTS));
        assert!([0, 11].contains(&run.code), "{run:?}");
    }
}

/// Takes away what this machine has seen of the journal.
fn forget(sandbox: &Sandbox) {
    for entry in std::fs::read_dir(sandbox.state()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("seen-") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn timed(sandbox: &Sandbox, arguments: &[&str]) -> Duration {
    let begun = Instant::now();
    sandbox.run(arguments).exits(0);
    begun.elapsed()
}

fn shown(what: &str, sandbox: &Sandbox, arguments: &[&str]) {
    sandbox.objects().with_whim(|_, _| Mishap::None);
    let took = timed(sandbox, arguments);
    println!("{what:<40} {took:>12.1?}  {} requests", sandbox.objects().requests());
}
