//! SIGKILL at every syscall that makes something durable or sends something, then `cutover`: the same secret, one
//! rotation, nothing left behind. strace does the killing; the binary knows nothing of it.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::sandbox::{Run, Sandbox, is_full};

/// Where a process can be cut off between two facts of the world. strace counts each call by itself.
const CALLS: [&str; 10] =
    ["fsync", "fdatasync", "renameat2", "unlink", "pwrite64", "ftruncate", "flock", "sendto", "recvfrom", "writev"];

/// Those with which it talks to others.
const SENDS: [&str; 3] = ["sendto", "recvfrom", "writev"];

/// Runs a command that dies at the entry of a thread's `when`-th `call`. Yields whether it did.
pub fn killed(sandbox: &Sandbox, inner: &Command, call: &str, when: usize) -> bool {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
    command.arg("-e").arg(format!("inject={call}:signal=KILL:when={when}"));
    let output = sandbox.behind(command, inner).output().expect("strace is installed");
    let is_dead = output.status.signal() == Some(9);
    assert!(is_dead || output.status.code().is_some_and(|code| code < 128), "{call} {when}: {output:?}");
    is_dead
}

/// A sandbox with three stores.
fn sandbox(provider: &str) -> Sandbox {
    let sandbox = Sandbox::new(provider);
    let first = sandbox.newest();
    std::fs::write(sandbox.path("work/app.json"), format!("{{\"key\": \"{}\"}}", first.expose())).unwrap();
    std::fs::write(sandbox.path("work/mounted"), first.expose()).unwrap();
    sandbox.stores(&["dotenv:./receiver.env#HOOK_SECRET", "json:./app.json#/key", "file:./mounted"]);
    sandbox
}

/// The live value of each store.
fn live(sandbox: &Sandbox) -> BTreeSet<String> {
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(sandbox.path("work/app.json")).unwrap()).unwrap();
    let dotenv = sandbox.slot("").map(|secret| secret.expose().to_owned());
    let mounted = std::fs::read_to_string(sandbox.path("work/mounted")).ok();
    [dotenv, mounted, json["key"].as_str().map(str::to_owned)].into_iter().map(Option::unwrap_or_default).collect()
}

/// Goes on to where nobody but a clock is waited for.
fn finish(sandbox: &Sandbox) -> Run {
    let id = sandbox.id();
    let mut line = vec!["cutover", "hooks", "--yes", "--confirm", &id];
    line.extend(["prepare", "deploy", "verify", "drop"].iter().flat_map(|step| ["--done", step]));
    sandbox.run(&line)
}

/// Kills `rotate` at one place after the other and goes on each time. Yields how many were killed, and how many of
/// those nobody could know the outcome of.
fn sweep(provider: &str, step: usize) -> (usize, usize) {
    let (mut kills, mut unknown) = (0, 0);
    for call in CALLS {
        // Between what is sent and what comes back there are few places, and a sample must not miss them.
        let step = if SENDS.contains(&call) { 1 } else { step };
        let (killed, lost) = sweep_call(provider, call, step);
        eprintln!("{provider}: {killed} killed at {call}, {lost} of them with an unknown outcome");
        (kills, unknown) = (kills + killed, unknown + lost);
    }
    (kills, unknown)
}

fn sweep_call(provider: &str, call: &str, step: usize) -> (usize, usize) {
    let (mut kills, mut unknown) = (0, 0);
    for when in (1..).step_by(step) {
        let sandbox = sandbox(provider);
        let old = sandbox.newest();
        let id = sandbox.id();
        let rotate = sandbox.command(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"]);
        let dead = killed(&sandbox, &rotate, call, when);
        assert!(sandbox.rotations() <= 1, "{provider} {call} {when}");
        // Whatever is live is whole: the old secret or the new one, never a part of either.
        let wholes = [old.expose().to_owned(), sandbox.newest().expose().to_owned()];
        assert!(
            live(&sandbox).iter().all(|value| wholes.contains(value)),
            "{provider} {call} {when}: {:?}",
            live(&sandbox)
        );
        if !dead {
            break;
        }
        kills += 1;
        let mut run = finish(&sandbox);
        // Nothing was begun that steps could be said of.
        if run.code == 4 {
            assert_eq!(sandbox.rotations(), 0, "{provider} {call} {when}");
            sandbox.rotate().exits(0);
            run = finish(&sandbox);
        }
        if run.code == 7 {
            assert!(sandbox.provider.idempotency().is_none(), "{provider} {call} {when}: {}", run.stderr);
            let evidence = ["nothing that it shows can tell", "so it looks as if the call was applied"];
            let evidence = evidence[usize::from(sandbox.rotations() == 1)];
            assert!(run.stderr.contains(evidence), "{provider} {call} {when}: {}", run.stderr);
            assert_eq!(live(&sandbox), BTreeSet::from([old.expose().to_owned()]), "{provider} {call} {when}");
            assert!(sandbox.rotate_requests().len() <= 1, "{provider} {call} {when}");
            unknown += 1;
            continue;
        }
        assert_eq!(sandbox.rotations(), 1, "{provider} {call} {when}");
        let (code, slots, current) = match provider {
            // The old secret lives for a day, and the new one waits beside it.
            "layers" => (11, ["new", "old", "empty"], old.clone()),
            _ => (0, ["empty", "new", "empty"], sandbox.newest()),
        };
        run.exits(code);
        assert_eq!(sandbox.slots(&old), slots, "{provider} {call} {when}");
        assert_eq!(live(&sandbox), BTreeSet::from([current.expose().to_owned()]), "{provider} {call} {when}");
        assert!(sandbox.leftovers().is_empty(), "{provider} {call} {when}: {:?}", sandbox.leftovers());
    }
    (kills, unknown)
}

/// Every place with `tests/run --full`, else every few.
fn every() -> usize {
    if is_full() { 1 } else { 4 }
}

#[test]
#[ignore = "needs strace"]
fn strace_kills_an_idempotent_rotation_anywhere_and_the_same_secret_comes_back() {
    for provider in ["hopae", "layers"] {
        let (kills, unknown) = sweep(provider, every());
        assert!(kills >= 80 / every(), "{provider}: only {kills} runs were killed");
        assert_eq!(unknown, 0, "{provider}");
    }
}

#[test]
#[ignore = "needs strace"]
fn strace_kills_a_call_that_cannot_be_repeated_and_it_is_never_made_twice() {
    let (kills, unknown) = sweep("verifa", every());
    assert!(kills >= 80 / every(), "only {kills} runs were killed");
    // Between the request and the seal nobody can know; everywhere else it is known.
    assert!((1..kills / 3).contains(&unknown), "{unknown} of {kills} are unknown");
}

#[test]
#[ignore = "needs strace"]
fn strace_kills_cutover_again_and_again_and_it_comes_to_the_same_end() {
    let sandbox = sandbox("hopae");
    let old = sandbox.newest();
    let id = sandbox.id();
    let mut kills = 0;
    for call in CALLS {
        for when in 1..4 {
            let line: &[&str] = if sandbox.rotations() == 0 {
                &["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"]
            } else {
                &["cutover", "hooks", "--confirm", &id, "--done", "deploy", "--done", "verify", "--done", "drop"]
            };
            kills += u32::from(killed(&sandbox, &sandbox.command(line), call, when));
        }
    }
    assert!(kills > 5, "{kills} kills");
    finish(&sandbox).exits(0);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
    assert_eq!(sandbox.rotations(), 1);
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}
