//! Promise 21: every command with its stdout, its stderr or both closed, full, or read by nobody. None panics, and what
//! it did is told by the same exit code; only where that would be 0 and what it says is lost on a full stdout, it is 1. A stdout
//! that is closed is `/dev/null` to a program, and a reader that has gone has read enough.

use std::process::Command;

use crate::report::{Tally, is_full};
use crate::world::{Clock, FILES, World};

const SHELLS: [&str; 7] = [
    "exec \"$0\" \"$@\" >&-",
    "exec \"$0\" \"$@\" >/dev/full",
    "exec \"$0\" \"$@\" 2>&-",
    "exec \"$0\" \"$@\" >&- 2>&-",
    "exec \"$0\" \"$@\" >/dev/full 2>/dev/full",
    "set -o pipefail; \"$0\" \"$@\" | head -c0",
    "set -o pipefail; \"$0\" \"$@\" 2>&1 | head -c0",
];

/// A line for each command, in a world where a rotation is open and promoted.
const LINES: &[&str] = &[
    "--help",
    "--version",
    "rotate hooks --yes",
    "rotate hooks --dry-run",
    "rotate hooks --out /nonexistent/plan",
    "apply /nonexistent",
    "force-rotate hooks --yes --confirm ID --done prepare --reason leaked",
    "inspect hooks",
    "cutover hooks --done deploy",
    "status",
    "status --exit-code",
    "metrics",
    "tend --all",
    "finish hooks",
    "rollback hooks",
    "abandon hooks --reason tried --yes --confirm ID",
    "adopt hooks --reason tried",
    "handoff export hooks --to age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z",
    "handoff import /nonexistent",
    "handoff recipient",
    "verify hooks /nonexistent",
    "probe hooks",
    "fingerprint hooks",
    "leak .",
    "history",
    "report",
    "reveal hooks",
    "rehearse hopae --window 1s",
    "target list",
    "target show hooks",
    "target add other --provider hopae --id client_id=x --store dotenv:./receiver.env#OTHER",
    "target edit hooks --owner somebody --yes",
    "target remove hooks --yes",
    "target trust",
    "import /nonexistent",
    "discover layers --dry-run --base-url http://127.0.0.1:9",
    "provider list",
    "provider show layers",
    "provider check /nonexistent",
    "login layers",
    "logout layers",
    "store check dotenv:./receiver.env#OTHER",
    "store copy dotenv:./receiver.env#HOOK_SECRET file:./copied",
    "journal init postgres://127.0.0.1:1/none",
    "journal show",
    "journal prove",
    "journal move --to local",
    "doctor",
    "completions bash",
];

/// Commands and their own commands, by the definition of the command line.
fn commands() -> Vec<String> {
    let mut all = Vec::new();
    for command in whsec::cli::command().get_subcommands() {
        let inner: Vec<String> =
            command.get_subcommands().map(|inner| format!("{} {}", command.get_name(), inner.get_name())).collect();
        all.extend(if inner.is_empty() { vec![command.get_name().to_owned()] } else { inner });
    }
    all
}

#[test]
fn every_command_is_tried_with_closed_pipes() {
    for command in commands() {
        assert!(LINES.iter().any(|line| line.starts_with(&command)), "no line for `{command}`");
    }
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn no_command_minds_a_closed_or_full_stdout() {
    let known = commands();
    let mut tally = Tally::default();
    let clock = Clock::new();
    let mut world = World::new("signa", FILES, &clock);
    world.run("rotate hooks --yes").exits(0);
    world.remember();
    let config = world.sandbox.config_text();
    let is_known =
        |line: &str| line.starts_with("--") || known.iter().any(|command| line.starts_with(command.as_str()));
    for (number, line) in LINES.iter().enumerate().filter(|(_, line)| is_known(line)) {
        for json in [false, true] {
            let line = if json { format!("{line} --json") } else { (*line).to_owned() };
            let run = |shell: &str| {
                world.restore();
                world.sandbox.config(&config);
                let id = world.sandbox.id();
                let inner = world.command(
                    &line
                        .replace("ID", &id)
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                        .iter()
                        .map(String::as_str)
                        .collect::<Vec<_>>(),
                );
                let mut command = Command::new("bash");
                command.args(["-c", shell]).arg(inner.get_program()).args(inner.get_args()).env_clear();
                command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
                command.current_dir(inner.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
                world.sandbox.watch(command.output().unwrap())
            };
            let usual = run("exec \"$0\" \"$@\"");
            // Sampled, each command meets each of them, with --json or without.
            let met = |at: &usize| is_full() || (at + number + usize::from(json)).is_multiple_of(2);
            for shell in (0..SHELLS.len()).filter(met).map(|at| SHELLS[at]) {
                tally.case(&format!("`{line}` in `{shell}`"), || {
                    let odd = run(shell);
                    let is_lost = shell.contains(">/dev/full") && usual.code == 0 && !usual.stdout.is_empty();
                    let expected = if is_lost { 1 } else { usual.code };
                    if odd.code != expected || odd.stderr.contains("a defect in whsec") {
                        return Err(format!("exits {}, not {expected}: {}", odd.code, odd.stderr));
                    }
                    Ok(())
                });
            }
        }
    }
    let figure = format!("{} commands, {} kinds of closed and full pipes, 0 exits 101", known.len(), SHELLS.len());
    tally.promise(21, "closed and full pipes", &figure);
}
