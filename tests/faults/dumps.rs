//! Promise 20: a process that dies in the middle leaves no core, neither in a file nor to a program.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::ensure;
use crate::scene::Scene;
use crate::server::{Act, Then};
use crate::tally::{Case, Dice, is_full, one_by_one, skip};

const PATTERN: &str = "/proc/sys/kernel/core_pattern";

/// The machine's core pattern, another for a while.
struct Pattern(Vec<u8>);

impl Pattern {
    fn set(text: &str) -> Option<Self> {
        let before = std::fs::read(PATTERN).ok()?;
        std::fs::write(PATTERN, text).ok()?;
        Some(Self(before))
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        let _ = std::fs::write(PATTERN, &self.0);
    }
}

fn cores(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().filter_map(Result::ok).filter(|entry| entry.file_name() != "keep").count()
}

/// Whether a process of any kind that is aborted leaves a core in this folder: else none is no proof.
fn leaves_cores(folder: &Path) -> bool {
    let mut child =
        Command::new("sh").args(["-c", "ulimit -c unlimited; exec sleep 5"]).stdin(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    abort(child.id());
    let _ = child.wait();
    std::thread::sleep(Duration::from_millis(300));
    let found = cores(folder);
    for entry in std::fs::read_dir(folder).unwrap().filter_map(Result::ok).filter(|entry| entry.file_name() != "keep") {
        std::fs::remove_file(entry.path()).unwrap();
    }
    found == 1
}

fn abort(process: u32) {
    assert!(Command::new("kill").args(["-ABRT", &process.to_string()]).status().unwrap().success());
}

/// Aborts a rotation some time after its request has arrived.
fn drive(folder: &Path, after: Duration, provider: &str) -> Result<(), String> {
    let scene = Scene::new(provider);
    let slowly = Then::Slowly { change: <[u8]>::to_vec, every: Duration::from_micros(300) };
    scene.server.script(&[Act::Commit(slowly)]);
    let (sender, called) = channel();
    scene.server.when_called(move || sender.send(()).unwrap());
    let id = scene.sandbox.id();
    let inner = scene.sandbox.command(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().current_dir(inner.get_current_dir().unwrap());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let came = called.recv_timeout(Duration::from_secs(10));
    std::thread::sleep(after);
    let alive = child.try_wait().unwrap().is_none();
    if alive {
        abort(child.id());
    }
    let status = child.wait().unwrap();
    ensure!(came.is_ok(), "the call never came");
    ensure!(!alive || status.signal() == Some(6) || status.code().is_some(), "ended by {status}");
    std::thread::sleep(Duration::from_millis(50));
    ensure!(cores(folder) == 0, "{} cores", cores(folder));
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn an_aborted_rotation_leaves_no_core() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("keep");
    let text = format!("#!/bin/sh\ncat > {}/core.$1\n", folder.path().display());
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let place: PathBuf = folder.path().to_owned();
    let patterns = [format!("{}/core.%p", place.display()), format!("|{} %P", program.display())];
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut dice = Dice::new(20);
    for pattern in patterns {
        let Some(set) = Pattern::set(&pattern) else {
            return skip("core dumps", "the core pattern cannot be set, which takes root");
        };
        if !leaves_cores(&place) {
            drop(set);
            return skip("core dumps", "no process leaves a core here, so none would prove nothing");
        }
        drop(set);
        for _ in 0..if is_full() { 60 } else { 8 } {
            let after = Duration::from_micros(u64::try_from(dice.below(120_000)).unwrap());
            let provider = ["layers", "verifa"][dice.below(2)];
            let (pattern, place) = (pattern.clone(), place.clone());
            cases.push((
                format!("{provider}, {pattern}, {after:?} after the call"),
                Box::new(move || {
                    let _pattern = Pattern::set(&pattern).ok_or("the pattern cannot be set")?;
                    drive(&place, after, provider)
                }),
            ));
        }
    }
    one_by_one(20, "SIGABRT with a core pattern to a file and to a program", cases, || "0 cores".to_owned());
}
