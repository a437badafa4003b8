//! Prints, in one run: what it costs to be given much. Captures, JSON files and config files as large as they may be, each with
//! today's time by the clock and of the processor, which is what counts, and the memory beside the limit, and the growth from half
//! of it. Needs GNU time.
//!
//! `cargo bench --bench costs`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const WHSEC: &str = env!("CARGO_BIN_EXE_whsec");
const MB: usize = 1_000_000;

/// What is measured: its name, how large it is, how it is made and run, and the most seconds and megabytes that it may take.
struct Cost {
    name: &'static str,
    size: usize,
    prepare: fn(&Path, usize),
    line: &'static str,
    seconds: f64,
    megabytes: f64,
}

const COSTS: &[Cost] = &[
    Cost {
        name: "verify a HAR file of 8 MB, empty requests",
        size: 8 * MB,
        prepare: |folder, size| har(folder, size, "{\"request\":{\"headers\":[]}}"),
        line: "verify t t.har",
        seconds: 2.0,
        megabytes: 150.0,
    },
    Cost {
        name: "verify a HAR file of 8 MB, the same as JSON",
        size: 8 * MB,
        prepare: |folder, size| har(folder, size, "{\"request\":{\"headers\":[]}}"),
        line: "verify t t.har --json",
        seconds: 2.0,
        megabytes: 150.0,
    },
    Cost {
        name: "verify a HAR file of 8 MB, deliveries",
        size: 8 * MB,
        prepare: |folder, size| har(folder, size, DELIVERY),
        line: "verify t t.har",
        seconds: 2.0,
        megabytes: 150.0,
    },
    Cost {
        name: "check a JSON store of 4 MB, one object",
        size: 4 * MB,
        prepare: json,
        line: "store check json:t.json#/secret",
        seconds: 1.0,
        megabytes: 150.0,
    },
    Cost {
        name: "list targets, a config of 1 MB",
        size: MB,
        prepare: |folder, size| config(folder, targets(size)),
        line: "target list",
        seconds: 0.5,
        megabytes: 256.0,
    },
    Cost {
        name: "list targets, a config of 1 MB in one line",
        size: MB,
        prepare: |folder, size| config(folder, format!("targets = {{ {} }}\n", in_line(size))),
        line: "target list",
        seconds: 0.5,
        megabytes: 256.0,
    },
    Cost {
        name: "show one target of 1,000",
        size: 1_000 * 110,
        prepare: |folder, size| config(folder, targets(size)),
        line: "target show t",
        seconds: 0.05,
        megabytes: 64.0,
    },
];

const DELIVERY: &str = "{\"startedDateTime\":\"2026-11-20T10:00:00Z\",\"request\":{\"headers\":[{\"name\":\"X-Layers-Signature\",\
    \"value\":\"t=1763632800,v1=00000000000000000000000000000000\"}],\"postData\":{\"text\":\"{\\\"id\\\":1}\"}}}";

/// The target that is used; its store holds a secret.
const OWN: &str = "provider = \"layers\"\nid = \"t\"\nstore = \"dotenv:~/t.env#SECRET\"\n";

fn main() {
    // `cargo test --benches` must not time anything.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("{:<46} {:>9} {:>9} {:>9} {:>9} {:>8}", "", "clock", "processor", "limit", "memory", "growth");
    let mut over = Vec::new();
    for cost in COSTS {
        let half = measure(cost, cost.size / 2);
        let Measured { clock, processor, megabytes } = measure(cost, cost.size);
        // On a busy machine the clock tells of the others.
        let holds = processor <= cost.seconds && megabytes <= cost.megabytes;
        println!(
            "{:<46} {:>6.0} ms {:>6.0} ms {:>6.0} ms {:>6.0} MB {:>7.1}x{}",
            cost.name,
            clock * 1e3,
            processor * 1e3,
            cost.seconds * 1e3,
            megabytes,
            // The processor's time is told in hundredths of a second.
            processor.max(0.01) / half.processor.max(0.01),
            if holds { "" } else { "  OVER" }
        );
        over.extend((!holds).then_some(cost.name));
    }
    assert!(over.is_empty(), "over the limit: {over:?}");
}

/// The fewest seconds of three runs, by the clock and of the processor, and megabytes at most.
struct Measured {
    clock: f64,
    processor: f64,
    megabytes: f64,
}

fn measure(cost: &Cost, size: usize) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir_all(folder.join(".config/whsec")).unwrap();
    std::fs::write(folder.join("t.env"), "SECRET=whsec_Zm9vYmFyYmF6cXV4\n").unwrap();
    config(folder, format!("[targets.t]\n{OWN}"));
    (cost.prepare)(folder, size);
    Command::new("chmod").args(["-R", "go-rwx"]).arg(folder).status().unwrap();
    let (mut clock, mut processor, mut megabytes) = (f64::MAX, f64::MAX, 0.0_f64);
    for _ in 0..3 {
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%M %U %S", "-o"]).arg(folder.join("used")).arg(WHSEC).args(cost.line.split(' '));
        command.current_dir(folder).env_clear().env("HOME", folder).env("PATH", "/usr/bin:/bin");
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
        let begun = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        clock = clock.min(begun.elapsed().as_secs_f64());
        // Deliveries that do not verify are a 9; anything else would be measured for nothing.
        assert!(matches!(status.code(), Some(0 | 9)), "`{}` came to {status}", cost.line);
        let used = std::fs::read_to_string(folder.join("used")).unwrap();
        let used: Vec<f64> = used.lines().last().unwrap().split(' ').map(|part| part.parse().unwrap()).collect();
        processor = processor.min(used[1] + used[2]);
        megabytes = megabytes.max(used[0] / 1024.0);
    }
    Measured { clock, processor, megabytes }
}

fn har(folder: &Path, size: usize, entry: &str) {
    let entries = vec![entry; size / (entry.len() + 1)].join(",");
    std::fs::write(folder.join("t.har"), format!("{{\"log\":{{\"entries\":[{entries}]}}}}")).unwrap();
}

fn json(folder: &Path, size: usize) {
    let members: String = (0..size / 13).map(|at| format!("\"m{at:07}\":1,")).collect();
    std::fs::write(folder.join("t.json"), format!("{{{members}\"secret\":\"whsec_Zm9v\"}}")).unwrap();
}

fn config(folder: &Path, text: String) {
    std::fs::write(folder.join(".config/whsec/config.toml"), text).unwrap();
}

/// So many bytes of targets, and the one that is used.
fn targets(size: usize) -> String {
    let one = |at: usize| {
        format!(
            "[targets.t{at:06}]\nprovider = \"layers\"\nid = \"e{at:06}\"\nstore = \"dotenv:~/a/{at:06}.env#SECRET\"\n\n"
        )
    };
    (0..size / one(0).len()).map(one).chain([format!("[targets.t]\n{OWN}")]).collect()
}

/// The same as one table in one line.
fn in_line(size: usize) -> String {
    let one = |at: usize| format!("t{at:06}={{provider=\"layers\",id=\"e{at:06}\",store=\"file:~/a/{at:06}\"}}");
    (0..size / (one(0).len() + 1)).map(one).collect::<Vec<_>>().join(",")
}
