//! Prints, in one run on loopback: one whole-process rotation into a dotenv file beside the pipeline that people write by
//! hand, start-up beside `curl --version`, peak memory, and the binary's size. Needs uuidgen, curl, jq and GNU time.
//!
//! `cargo bench --bench rotate`; with a journal that machines share as well: `tests/postgres/session.sh cargo bench --bench rotate`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use whsec::provider::Catalog;
use whsec::provider::stand_in::{StandIn, StandInOptions};
use whsec::secret::Secret;

const ROUNDS: usize = 60;
const WHSEC: &str = env!("CARGO_BIN_EXE_whsec");

/// What careful people type: a key, the call, the field, a new file beside the old one, synced and renamed.
const PIPELINE: &str = r#"
set -eu
key=$(uuidgen)
curl -sS --fail -X POST "$BASE/v1/apps/app-1/webhook-config/rotate-secret" \
    -H "Authorization: Bearer $(cat "$DIR/key")" -H "Idempotency-Key: $key" > "$DIR/answer.json"
secret=$(jq -r .secret "$DIR/answer.json")
sed "s|^HOOK_SECRET_NEW=.*||" "$DIR/by-hand.env" > "$DIR/by-hand.env.tmp"
printf 'HOOK_SECRET_NEW=%s\n' "$secret" >> "$DIR/by-hand.env.tmp"
sync "$DIR/by-hand.env.tmp"
mv "$DIR/by-hand.env.tmp" "$DIR/by-hand.env"
rm "$DIR/answer.json"
"#;

fn main() {
    // `cargo test --benches` must not time anything.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let provider = Catalog::builtin().get("hopae").unwrap();
    let options = StandInOptions {
        api_key: Secret::new("bench_key_51f0a2"),
        ids: vec![("client_id".to_owned(), "app-1".to_owned())],
        first_secret: None,
        clock: Timestamp::now,
        window: None,
        receiver_url: None,
    };
    let stand_in = StandIn::start(Arc::clone(&provider), options).unwrap();
    let base = stand_in.base_url();
    let first = stand_in.live_secrets().remove(0);
    std::fs::write(dir.join("key"), "bench_key_51f0a2").unwrap();
    for file in ["ours.env", "by-hand.env"] {
        std::fs::write(dir.join(file), format!("PORT=8080\nHOOK_SECRET={}\n", first.expose())).unwrap();
    }
    Command::new("chmod").args(["-R", "go-rwx"]).arg(dir).status().unwrap();

    let state = dir.join("state");
    std::fs::create_dir(&state).unwrap();
    let team = dir.join("team");
    let journal = std::env::var("WHSEC_TEST_POSTGRES").ok().map(|journal| {
        let mut init = Command::new(WHSEC);
        init.args(["journal", "init", &journal, "--json", "--state-dir"]).arg(&team);
        let made = init.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").output().unwrap();
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        made["journal"]["at"].as_str().unwrap().to_owned()
    });
    // What one journal has put into a slot the other knows nothing of.
    let machine = dir.join("machine");
    std::fs::create_dir(&machine).unwrap();
    for file in ["key", "ours.env"] {
        std::fs::copy(dir.join(file), machine.join(file)).unwrap();
    }
    let mut shared = Vec::new();
    let mut ours = Vec::new();
    let mut by_hand = Vec::new();
    // The first round makes journal and identity, as the first rotation on a machine does; it is not counted.
    for round in 0..=ROUNDS {
        let mut whsec = Command::new(WHSEC);
        arguments(&mut whsec, dir, &state, &base);
        let took = time(&mut whsec);
        close(dir, &state, &base, None);
        if let Some(journal) = &journal {
            let mut whsec = Command::new(WHSEC);
            arguments(&mut whsec, &machine, &team, &base);
            let took = time(whsec.env("WHSEC_JOURNAL", journal));
            close(&machine, &team, &base, Some(journal));
            if round > 0 {
                shared.push(took);
            }
        }
        let mut pipeline = Command::new("bash");
        let pipeline = time(pipeline.args(["-c", PIPELINE]).env("BASE", &base).env("DIR", dir));
        if round > 0 {
            ours.push(took);
            by_hand.push(pipeline);
        }
    }
    println!("one rotation into a dotenv file, whole process, loopback, {ROUNDS} rounds (median, fastest, slowest):");
    row("whsec rotate --detach", &mut ours);
    if journal.is_some() {
        row("the same, its journal in PostgreSQL", &mut shared);
    }
    row("uuidgen | curl | jq | sed, sync, mv", &mut by_hand);

    let mut version = (0..ROUNDS).map(|_| time(Command::new(WHSEC).arg("--version"))).collect::<Vec<_>>();
    let mut curl = (0..ROUNDS).map(|_| time(Command::new("curl").arg("--version"))).collect::<Vec<_>>();
    println!("start-up:");
    row("whsec --version", &mut version);
    row("curl --version", &mut curl);

    let mut measured = Command::new("/usr/bin/time");
    measured.args(["-f", "%M", "-o"]).arg(dir.join("memory")).arg(WHSEC);
    arguments(&mut measured, dir, &state, &base);
    assert!(measured.status().unwrap().success());
    let memory = std::fs::read_to_string(dir.join("memory")).unwrap();
    println!("peak memory of a rotation: {:.1} MB", memory.trim().parse::<f64>().unwrap() / 1024.0);
    println!("binary: {:.2} MB", std::fs::metadata(WHSEC).unwrap().len() as f64 / 1e6);
}

/// Closes the rotation, so that the next one may begin; not timed.
fn close(dir: &Path, state: &Path, base: &str, journal: Option<&String>) {
    let mut command = Command::new(WHSEC);
    command.args([
        "abandon",
        "hopae/app-1",
        "--reason",
        "bench",
        "--yes",
        "--quiet",
        "--base-url",
        base,
        "--state-dir",
    ]);
    command.arg(state).arg("--api-key-file").arg(dir.join("key"));
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").stderr(Stdio::null());
    command.envs(journal.map(|journal| ("WHSEC_JOURNAL", journal)));
    time(&mut command);
}

fn arguments(command: &mut Command, dir: &Path, state: &Path, base: &str) {
    command
        .args([
            "rotate",
            "hopae/app-1",
            "--confirm",
            "app-1",
            "--done",
            "prepare",
            "--no-input",
            "--detach",
            "--quiet",
            "--base-url",
            base,
        ])
        .arg("--api-key-file")
        .arg(dir.join("key"))
        .arg(format!("--store=dotenv:{}#HOOK_SECRET", dir.join("ours.env").display()))
        .arg("--state-dir")
        .arg(state)
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .current_dir(dir)
        .stdin(Stdio::null());
}

fn time(command: &mut Command) -> Duration {
    command.stdout(Stdio::null());
    let begun = Instant::now();
    let status = command.status().unwrap();
    let took = begun.elapsed();
    assert!(status.success(), "{command:?}");
    took
}

fn row(name: &str, times: &mut [Duration]) {
    times.sort();
    let ms = |at: usize| times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!("  {name:<38} {:>7.2} ms {:>7.2} {:>7.2}", ms(times.len() / 2), ms(0), ms(times.len() - 1));
}
