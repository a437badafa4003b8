//! The binary under strace: what it calls the system for.

use std::path::Path;
use std::process::Command;

use crate::sandbox::{Run, Sandbox};

/// A run under strace.
pub struct Traced {
    pub run: Run,
    pub log: String,
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
    command.arg(inner.get_program());
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
