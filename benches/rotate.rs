//! Prints, in one run on loopback: one whole-process rotation into a dotenv file beside the pipeline that people write by
//! hand, start-up beside `curl --version`, peak memory, and the binary's size. Needs uuidgen, curl, jq and GNU time.
//!
//! `cargo bench --bench rotate`

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
curl -sS --fail -X POST "$BASE/v1/webhook-endpoints/ep-1/rotate-secret" \
    -H "X-Api-Key: $(cat "$DIR/key")" -H "Idempotency-Key: $key" > "$DIR/answer.json"
secret=$(jq -r .signingSecret "$DIR/answer.json")
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
    let provider = Catalog::builtin().get("layers").unwrap();
    let options = StandInOptions {
        api_key: Secret::new("bench_key_51f0a2"),
        ids: vec![("endpointId".to_owned(), "ep-1".to_owned())],
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

    let mut ours = Vec::new();
    let mut by_hand = Vec::new();
    for round in 0..ROUNDS {
        // A state folder of its own each time: an open overlap refuses a second rotation. The identity that seals is
        // made once on a machine, so it is made before the clock starts.
        let state = dir.join(format!("state-{round}"));
        std::fs::create_dir(&state).unwrap();
        prepare(dir, &state);
        ours.push(time(rotation(dir, &state, &base)));
        let mut pipeline = Command::new("bash");
        by_hand.push(time(pipeline.args(["-c", PIPELINE]).env("BASE", &base).env("DIR", dir)));
    }
    println!("one rotation into a dotenv file, whole process, loopback, {ROUNDS} rounds (median, fastest, slowest):");
    row("whsec rotate --yes --detach", &mut ours);
    row("uuidgen | curl | jq | sed, sync, mv", &mut by_hand);

    let mut version = (0..ROUNDS).map(|_| time(Command::new(WHSEC).arg("--version"))).collect::<Vec<_>>();
    let mut curl = (0..ROUNDS).map(|_| time(Command::new("curl").arg("--version"))).collect::<Vec<_>>();
    println!("start-up:");
    row("whsec --version", &mut version);
    row("curl --version", &mut curl);

    let state = dir.join("state-memory");
    std::fs::create_dir(&state).unwrap();
    let mut measured = Command::new("/usr/bin/time");
    measured.args(["-f", "%M", "-o"]).arg(dir.join("memory")).arg(WHSEC);
    arguments(&mut measured, dir, &state, &base);
    assert!(measured.status().unwrap().success());
    let memory = std::fs::read_to_string(dir.join("memory")).unwrap();
    println!("peak memory of a rotation: {:.1} MB", memory.trim().parse::<f64>().unwrap() / 1024.0);
    println!("binary: {:.2} MB", std::fs::metadata(WHSEC).unwrap().len() as f64 / 1e6);
}

/// Makes the state folder as an earlier rotation on this machine has left it.
fn prepare(dir: &Path, state: &Path) {
    for name in ["seal-identity", "seal-recipient"] {
        let kept = dir.join(name);
        if kept.exists() {
            std::fs::copy(kept, state.join(name)).unwrap();
        }
    }
    if !dir.join("seal-identity").exists() {
        let doctor = Command::new(WHSEC)
            .args(["doctor", "--state-dir"])
            .arg(state)
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(doctor.code().is_some());
        for name in ["seal-identity", "seal-recipient"] {
            std::fs::copy(state.join(name), dir.join(name)).unwrap();
        }
    }
}

fn rotation<'a>(dir: &Path, state: &Path, base: &str) -> &'a mut Command {
    let command = Box::leak(Box::new(Command::new(WHSEC)));
    arguments(command, dir, state, base);
    command
}

fn arguments(command: &mut Command, dir: &Path, state: &Path, base: &str) {
    command
        .args(["rotate", "layers/ep-1", "--yes", "--detach", "--quiet", "--base-url", base])
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
