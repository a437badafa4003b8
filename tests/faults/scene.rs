//! A sandbox whose target reaches the provider through the scripted server, and runs that are measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use whsec::secret::Secret;

use crate::ensure;
use crate::sandbox::{Run, Sandbox};
use crate::server::Server;

/// The five, by whether a lost answer can be had again with the same key.
pub const IDEMPOTENT: [&str; 3] = ["layers", "signa", "hopae"];
pub const NOT_IDEMPOTENT: [&str; 2] = ["kadosei", "verifa"];
pub const ALL: [&str; 5] = ["layers", "signa", "hopae", "kadosei", "verifa"];

/// Most memory that a run may take, in KiB.
const MOST_MEMORY: u64 = 64 * 1024;
/// Most rotate calls of one command.
pub const MOST_ATTEMPTS: usize = 5;

/// The largest memory and the longest time over the deadline of all runs so far.
static LARGEST_KIB: AtomicU64 = AtomicU64::new(0);

pub struct Scene {
    pub sandbox: Sandbox,
    pub server: Server,
}

/// A run, and what it took.
pub struct Measured {
    pub run: Run,
    /// From begin to end, less the time in which it waited for a processor that others had.
    pub wall: Duration,
}

/// The stores that are files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Dotenv,
    Json,
    File,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Dotenv, Self::Json, Self::File];

    /// The file that has the live slot.
    pub fn file(self, folder: &Path) -> PathBuf {
        folder.join(match self {
            Self::Dotenv => "receiver.env",
            Self::Json => "app.json",
            Self::File => "hook",
        })
    }

    pub fn reference(self, folder: &Path) -> String {
        let file = self.file(folder).display().to_string();
        match self {
            Self::Dotenv => format!("dotenv:{file}#HOOK_SECRET"),
            Self::Json => format!("json:{file}#/hook"),
            Self::File => format!("file:{file}"),
        }
    }

    /// Fills a new store with its first secret, and something around it.
    fn fill(self, folder: &Path, first: &Secret) {
        let text = match self {
            Self::Dotenv => format!("# receiver\nPORT=8080\nHOOK_SECRET={}\nLAST=1\n", first.expose()),
            Self::Json => format!("{{\"port\": 8080, \"hook\": \"{}\", \"last\": 1}}\n", first.expose()),
            Self::File => first.expose().to_owned(),
        };
        std::fs::write(self.file(folder), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(self.file(folder), mode).unwrap();
    }

    /// A slot's value: `suffix` as in a dotenv file, `""`, `"_NEW"` or `"_OLD"`. `Err` where the file is not what it should
    /// be.
    pub fn slot(self, folder: &Path, suffix: &str) -> Result<Option<String>, String> {
        let other = match suffix {
            "_NEW" => ".next",
            "_OLD" => ".previous",
            _ => "",
        };
        let path = if self == Self::File {
            PathBuf::from(format!("{}{other}", self.file(folder).display()))
        } else {
            self.file(folder)
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(_) if self == Self::File && !suffix.is_empty() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        match self {
            Self::File if text.is_empty() => Err("an empty file".to_owned()),
            Self::File => Ok(Some(text)),
            Self::Dotenv => {
                ensure!(text.starts_with("# receiver\n") && text.contains("LAST=1"), "half a file: {text:?}");
                let key = format!("HOOK_SECRET{suffix}=");
                let value = text.lines().find_map(|line| line.strip_prefix(&key));
                Ok(value.map(|value| value.trim_matches(['\'', '"']).to_owned()).filter(|value| !value.is_empty()))
            }
            Self::Json => {
                let value: serde_json::Value =
                    serde_json::from_str(&text).map_err(|error| format!("half a file: {error}"))?;
                ensure!(value["last"] == 1, "half a file");
                Ok(value[format!("hook{}", suffix.to_lowercase())].as_str().map(str::to_owned))
            }
        }
    }
}

impl Scene {
    pub fn new(provider: &str) -> Self {
        Self::of(Sandbox::new(provider))
    }

    /// The scripted server before a sandbox that is there already.
    pub fn of(sandbox: Sandbox) -> Self {
        let own = sandbox.stand_in.base_url();
        let backend: SocketAddr = own.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap();
        let server = Server::start(backend);
        sandbox.config(&sandbox.config_text().replace(&backend.to_string(), &server.address.to_string()));
        Self { sandbox, server }
    }

    /// The same with its only store, of this kind, in the sandbox's `work`.
    pub fn with_own_store(provider: &str, kind: Kind) -> Self {
        let scene = Self::new(provider);
        scene.keep_in(kind, &scene.sandbox.path("work"));
        scene
    }

    /// Makes this the target's only store, in a folder that exists.
    pub fn keep_in(&self, kind: Kind, folder: &Path) {
        kind.fill(folder, &self.sandbox.newest());
        let own = format!("dotenv:{}#HOOK_SECRET", self.sandbox.dotenv().display());
        let text = self.sandbox.config_text();
        assert!(text.contains(&own), "the sandbox names its store in another way: {text}");
        self.sandbox.config(&text.replace(&own, &kind.reference(folder)));
    }

    /// Whether a lost answer can be had again.
    pub fn is_idempotent(&self) -> bool {
        self.sandbox.provider.idempotency().is_some()
    }

    /// Runs a command and holds it to what every run is held to: no panic, little memory.
    pub fn run(&self, arguments: &[&str]) -> Result<Measured, String> {
        let mut command = self.sandbox.command(arguments);
        self.measure(&mut command)
    }

    pub fn measure(&self, command: &mut std::process::Command) -> Result<Measured, String> {
        let begun = Instant::now();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let process = format!("/proc/{}", child.id());
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        // The high-water mark only grows, so the last look counts.
        let watcher = std::thread::spawn(move || {
            let (mut kib, mut waited) = (0, BTreeMap::new());
            loop {
                look_at_threads(&process, &mut waited);
                if let Ok(text) = std::fs::read_to_string(format!("{process}/status")) {
                    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                    let found = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
                    kib = found.unwrap_or(kib);
                }
                if stopped.recv_timeout(Duration::from_millis(4)) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    return (kib, waited.into_values().map(Duration::from_nanos).sum::<Duration>());
                }
            }
        });
        let output = child.wait_with_output().unwrap();
        let wall = begun.elapsed();
        drop(stop);
        let (kib, waited) = watcher.join().unwrap();
        let run = self.sandbox.watch(output);
        LARGEST_KIB.fetch_max(kib, Ordering::Relaxed);
        ensure!(!matches!(run.code, 101 | 134 | -1), "a panic or a signal, {}:\n{}", run.code, run.stderr);
        ensure!(!run.stderr.contains("a defect in whsec"), "a panic:\n{}", run.stderr);
        ensure!(kib < MOST_MEMORY, "{kib} KiB of memory");
        Ok(Measured { run, wall: wall.saturating_sub(waited) })
    }

    /// Rotates with everything agreed to.
    pub fn rotate(&self, timeout: &str) -> Result<Measured, String> {
        let id = self.sandbox.id();
        self.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--json", "--timeout", timeout])
    }

    /// What this target's status is in the journal.
    pub fn status(&self) -> Result<String, String> {
        let run = self.run(&["status", "hooks", "--json"])?.run;
        Ok(run.json()["targets"][0]["status"].as_str().unwrap_or("none").to_owned())
    }

    /// Whether each rotate call was the same, byte for byte, and none of them forces.
    pub fn check_calls(&self) -> Result<(), String> {
        let calls = self.server.calls();
        ensure!(self.server.arrivals() <= MOST_ATTEMPTS, "{} attempts", self.server.arrivals());
        ensure!(
            calls.windows(2).all(|pair| pair[0] == pair[1]),
            "a call was sent again with other bytes or another key"
        );
        let forces = calls.iter().any(|call| String::from_utf8_lossy(call).contains("force"));
        ensure!(!forces, "a rotation became a forced one");
        if !self.is_idempotent() {
            let keyed =
                calls.iter().any(|call| String::from_utf8_lossy(call).to_lowercase().contains("idempotency-key"));
            ensure!(!keyed, "a key for a provider that takes none");
        }
        Ok(())
    }

    /// The secret in the sealed copy, if there is one.
    pub fn sealed(&self) -> Option<String> {
        let run = self.sandbox.run_revealing(&["reveal", "hooks", "--slot", "sealed", "--unsafe-stdout"]);
        (run.code == 0).then_some(run.stdout)
    }

    /// Whether the newest secret is in the dotenv store or in the seal.
    pub fn is_kept(&self) -> bool {
        let newest = self.sandbox.newest();
        let stored = ["_NEW", ""].iter().any(|slot| self.sandbox.slot(slot).as_ref() == Some(&newest));
        stored || self.sealed().is_some_and(|sealed| sealed.contains(newest.expose()))
    }

    /// The live slot.
    pub fn live(&self) -> Option<Secret> {
        self.sandbox.slot("")
    }
}

/// Notes how long each thread of a process has waited for a processor by now, in nanoseconds: the second of the three numbers
/// that the kernel keeps.
fn look_at_threads(process: &str, waited: &mut BTreeMap<PathBuf, u64>) {
    for thread in std::fs::read_dir(format!("{process}/task")).into_iter().flatten().flatten() {
        let numbers = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        if let Some(time) = numbers.split(' ').nth(1).and_then(|number| number.parse().ok()) {
            waited.insert(thread.path(), time);
        }
    }
}

/// The largest memory of any run so far, in words.
pub fn memory() -> String {
    format!("largest RSS {:.1} MiB", LARGEST_KIB.load(Ordering::Relaxed) as f64 / 1024.0)
}
