//! Prints, in one run, what grows with a house beside what version 0.1.0 took: the config of 1,000 targets, `status` beside
//! 100,000 rotations that are over, and one rotation. It is the processor's time that counts, as others may be busy. What is
//! synced is counted by strace, where that is installed.
//!
//! `cargo bench --bench figures`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use whsec::provider::Catalog;
use whsec::provider::stand_in::{StandIn, StandInOptions};
use whsec::secret::Secret;

const WHSEC: &str = env!("CARGO_BIN_EXE_whsec");
const TARGETS: usize = 1_000;
const CLOSED: usize = 100_000;
/// How often each is run; the fewest counts, as nothing makes it less.
const ROUNDS: usize = 15;

fn main() {
    // `cargo test --benches` must not time anything.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("{:<54} {:>12} {:>12} {:>12}", "", "0.1.0", "now", "at most");
    // What 0.1.0 took was measured on two idle cores with its own release build.
    row("a config of 1,000 targets, one of them shown", "350 ms", Some(config()), 15.0, " ms");
    row("status beside 100,000 rotations that are over", "4,200 ms", Some(status()), 20.0, " ms");
    let (processor, counted) = rotation();
    row("a rotation, the processor's time", "8 ms", Some(processor), 6.0, " ms");
    row("a rotation, syncs of files and folders", "18 to 24", counted.map(|counted| counted.0), 12.0, "");
    row("a rotation, system calls", "898", counted.map(|counted| counted.1), f64::INFINITY, "");
}

fn row(name: &str, before: &str, now: Option<f64>, most: f64, unit: &str) {
    let shown = |figure: f64| format!("{figure:.*}{unit}", usize::from(!unit.is_empty()));
    let over = if now.is_some_and(|now| now > most) { "  OVER" } else { "" };
    let now = now.map_or_else(|| "no strace".to_owned(), shown);
    let most = if most.is_finite() { format!("{most}{unit}") } else { String::new() };
    println!("{name:<54} {before:>12} {now:>12} {most:>12}{over}");
}

/// A home of its own, in which commands run.
fn home() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in [".config/whsec", "state"] {
        std::fs::create_dir_all(folder.path().join(part)).unwrap();
    }
    close_to_others(folder.path());
    folder
}

fn close_to_others(folder: &Path) {
    assert!(Command::new("chmod").args(["-R", "go-rwx"]).arg(folder).status().unwrap().success());
}

fn whsec(home: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(home).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").env("USER", "bench");
    command.env("WHSEC_STATE_DIR", home.join("state"));
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Milliseconds of the processor's time that a command takes, its children's included.
fn processor(command: &mut Command) -> f64 {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        (usage.user_time() + usage.system_time()).num_microseconds()
    };
    let before = used();
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?} came to {status}");
    (used() - before) as f64 / 1e3
}

fn fewest(run: impl Fn() -> f64) -> f64 {
    (0..ROUNDS).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn config() -> f64 {
    let home = home();
    let target = |at: usize| {
        format!("[targets.t{at}]\nprovider = \"layers\"\nid = \"id-{at}\"\nstore = \"dotenv:~/t{at}.env#SECRET\"\n\n")
    };
    std::fs::write(home.path().join(".config/whsec/config.toml"), (0..TARGETS).map(target).collect::<String>())
        .unwrap();
    close_to_others(home.path());
    fewest(|| processor(whsec(home.path(), WHSEC).args(["target", "show", "t7"])))
}

/// Multiplies the rotation of a journal that 0.1.0 wrote, which the first look brings up.
fn status() -> f64 {
    let home = home();
    let path = home.path().join("state/journal.sqlite");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journals-0.1.0/closed.sqlite");
    std::fs::copy(fixture, &path).unwrap();
    let mut journal = Connection::open(&path).unwrap();
    journal.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(())).unwrap();
    let transaction = journal.transaction().unwrap();
    {
        let row = "SELECT endpoint, target, provider, plan, opened_at, closed_at FROM rotations";
        let [endpoint, target, provider, plan, opened_at, closed_at]: [String; 6] = transaction
            .query_row(row, [], |row| {
                let columns: Vec<String> = (0..6).map(|column| row.get(column)).collect::<Result<_, _>>()?;
                Ok(columns.try_into().unwrap())
            })
            .unwrap();
        let mut events = transaction.prepare("SELECT seq, at, by, event FROM events ORDER BY seq").unwrap();
        let events: Vec<(i64, String, String, String)> = events
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let rotation = "INSERT INTO rotations (id, endpoint, target, provider, plan, opened_at, closed_at, sum)
                        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut rotation = transaction.prepare(rotation).unwrap();
        let mut event = transaction.prepare("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5)").unwrap();
        for at in 1..CLOSED as i64 {
            let earlier = |text: &str| {
                text.parse::<Timestamp>().unwrap().saturating_sub(SignedDuration::from_mins(at)).unwrap().to_string()
            };
            let (id, opened_at, closed_at) = (Uuid::new_v4().to_string(), earlier(&opened_at), earlier(&closed_at));
            let mut sum = Sha256::new();
            let mut add = |text: &str| {
                sum.update(text.len().to_le_bytes());
                sum.update(text);
            };
            [&id, &endpoint, &target, &provider, &plan, &opened_at, &closed_at].iter().for_each(|text| add(text));
            let mut moved = Vec::new();
            for (seq, when, by, what) in &events {
                let when = earlier(when);
                [&seq.to_string(), &when, by, what].iter().for_each(|text| add(text));
                moved.push((seq, when, by, what));
            }
            let sum: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            rotation.execute(params![id, endpoint, target, provider, plan, opened_at, closed_at, sum]).unwrap();
            for (seq, when, by, what) in moved {
                event.execute(params![id, seq, when, by, what]).unwrap();
            }
        }
    }
    transaction.commit().unwrap();
    drop(journal);
    close_to_others(home.path());
    processor(whsec(home.path(), WHSEC).arg("status"));
    fewest(|| processor(whsec(home.path(), WHSEC).arg("status")))
}

/// Milliseconds of a rotation into a dotenv file, and how many syncs and system calls it makes.
fn rotation() -> (f64, Option<(f64, f64)>) {
    let home = home();
    let dir = home.path();
    let options = StandInOptions {
        api_key: Secret::new("bench_key_51f0a2"),
        ids: vec![("client_id".to_owned(), "app-1".to_owned())],
        first_secret: None,
        clock: Timestamp::now,
        window: None,
        receiver_url: None,
    };
    let stand_in = StandIn::start(Arc::clone(&Catalog::builtin().get("hopae").unwrap()), options).unwrap();
    let secret = stand_in.live_secrets().remove(0);
    std::fs::write(dir.join("key"), "bench_key_51f0a2").unwrap();
    std::fs::write(dir.join("t.env"), format!("PORT=8080\nHOOK_SECRET={}\n", secret.expose())).unwrap();
    close_to_others(dir);
    let (base, store) = (stand_in.base_url(), format!("dotenv:{}#HOOK_SECRET", dir.join("t.env").display()));
    let rotate =
        ["rotate", "hopae/app-1", "--confirm", "app-1", "--done", "prepare", "--no-input", "--detach", "--quiet"];
    let abandon = ["abandon", "hopae/app-1", "--reason", "bench", "--yes", "--quiet"];
    let flags = |command: &mut Command| {
        command.arg("--base-url").arg(&base).arg("--api-key-file").arg(dir.join("key"));
    };
    let rotated = || {
        let mut command = whsec(dir, WHSEC);
        flags(command.args(rotate).arg("--store").arg(&store));
        let took = processor(&mut command);
        let mut close = whsec(dir, WHSEC);
        flags(close.args(abandon));
        processor(&mut close);
        took
    };
    // The first makes journal and identity, as the first rotation on a machine does; it is not counted.
    rotated();
    let took = fewest(rotated);
    let trace = dir.join("trace");
    let mut traced = whsec(dir, "strace");
    flags(traced.arg("-f").arg("-o").arg(&trace).arg(WHSEC).args(rotate).arg("--store").arg(&store));
    let counted = traced.status().is_ok_and(|status| status.success()).then(|| {
        let text = std::fs::read_to_string(&trace).unwrap();
        // `4711 fsync(7) = 0`; what is resumed was counted when it began.
        let calls =
            text.lines().filter_map(|line| line.split_ascii_whitespace().nth(1)).filter(|call| call.contains('('));
        let names: Vec<&str> = calls.filter_map(|call| call.split('(').next()).collect();
        let syncs = names.iter().filter(|name| matches!(**name, "fsync" | "fdatasync")).count();
        (syncs as f64, names.len() as f64)
    });
    (took, counted)
}
