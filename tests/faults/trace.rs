//! The binary under strace: what it calls the system for, and what it does where one of these calls fails.

use std::path::Path;
use std::process::Command;

use crate::sandbox::{Run, Sandbox};

/// Calls that write, or make what is written last.
pub const CALLS: [&str; 12] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "linkat",
    "unlink",
    "unlinkat",
    "openat",
    "ftruncate",
];

/// A run under strace.
pub struct Traced {
    pub run: Run,
    pub log: String,
}

impl Traced {
    /// The lines of calls that were made to fail.
    pub fn injected(&self) -> Vec<&str> {
        self.log.lines().filter(|line| line.contains("(INJECTED)")).collect()
    }
}

/// Whether strace is here and may trace.
pub fn is_here() -> bool {
    Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).status().is_ok_and(|status| status.success())
}

/// Runs the binary in its sandbox under strace, with these further arguments to strace.
pub fn run(sandbox: &Sandbox, options: &[&str], arguments: &[&str]) -> Traced {
    run_command(sandbox, options, &sandbox.command(arguments))
}

/// The same with a command that is made already.
pub fn run_command(sandbox: &Sandbox, options: &[&str], inner: &Command) -> Traced {
    let log = sandbox.path(&format!("strace-{}", uuid::Uuid::new_v4().simple()));
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-s", "256"]).args(options).arg("-o").arg(&log);
    // A wake-up between threads is a write too; one that fails may leave a run waiting for ever.
    command.args(["timeout", "-s", "KILL", "60"]).arg(inner.get_program());
    command.args(inner.get_args()).env_clear().current_dir(inner.get_current_dir().unwrap_or(Path::new("/")));
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    // The trace has what was written, secrets and all; it must not be found among the sandbox's files.
    std::fs::remove_file(&log).unwrap();
    Traced { run: sandbox.watch(output), log: text }
}

/// Each of a trace's calls on a file below this folder: the call, and the how many-eth of its name it is in its thread.
pub fn calls_below(log: &str, folder: &Path) -> Vec<(&'static str, usize, String)> {
    let folder = folder.display().to_string();
    let mut counts = std::collections::BTreeMap::new();
    let mut found = Vec::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some(name) = CALLS.iter().find(|name| rest.strip_prefix(**name).is_some_and(|rest| rest.starts_with('(')))
        else {
            continue;
        };
        let count = counts.entry((thread.to_owned(), *name)).or_insert(0_usize);
        *count += 1;
        if rest.contains(&folder) {
            found.push((*name, *count, rest.to_owned()));
        }
    }
    found
}
