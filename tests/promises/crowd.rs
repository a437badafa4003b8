//! Promise 22: many processes at once on one endpoint, the holder of the lock killed, two terminals, and a state folder
//! that everybody makes at the same moment.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use whsec::provider::stand_in::Fault;

use crate::kill::GO_ON;
use crate::report::{Tally, is_full};
use crate::sandbox::Run;
use crate::world::{Clock, FILES, Kept, World};

/// A process that waits for the word to begin.
struct Ready(Child);

impl Ready {
    fn new(inner: &Command) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "read go; exec \"$@\" </dev/null", "sh"]).arg(inner.get_program()).args(inner.get_args());
        shell.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.current_dir(inner.get_current_dir().unwrap());
        Self(shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn go(&mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
    }
}

/// Lets these command lines begin at the same moment and waits for all.
fn at_once<'a>(lines: impl Iterator<Item = (&'a World, String)>) -> Vec<Run> {
    let mut all: Vec<(&World, Ready)> = lines
        .map(|(world, line)| {
            let line = line.replace("ID", &world.sandbox.id());
            (world, Ready::new(&world.command(&line.split_whitespace().collect::<Vec<_>>())))
        })
        .collect();
    all.iter_mut().for_each(|(_, ready)| ready.go());
    all.into_iter().map(|(world, ready)| world.sandbox.watch(ready.0.wait_with_output().unwrap())).collect()
}

fn codes(runs: &[Run]) -> Vec<i32> {
    let mut codes: Vec<i32> = runs.iter().map(|run| run.code).collect();
    codes.sort_unstable();
    codes
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn many_processes_at_once_make_one_rotation() {
    let (processes, rounds) = if is_full() { (50, 20) } else { (12, 3) };
    let mut tally = Tally::default();
    let clock = Clock::new();
    for round in 0..rounds {
        tally.case(&format!("round {round}"), || {
            let world = World::new("signa", FILES, &clock);
            let lines = (0..processes).map(|_| (&world, "rotate hooks --yes".to_owned()));
            let runs = at_once(lines);
            let mut expected = vec![5; processes];
            expected[0] = 0;
            if codes(&runs) != expected {
                return Err(format!("exit codes {:?}", codes(&runs)));
            }
            world.jump();
            world.run(GO_ON).exits(0);
            world.check_end(1)
        });
    }
    tally.promise(22, "processes at once on one endpoint", &format!("{processes} at once, 1 rotation in every round"));
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn the_lock_of_a_killed_holder_is_free_at_once() {
    let mut tally = Tally::default();
    let clock = Clock::new();
    let mut longest = Duration::ZERO;
    for round in 0..if is_full() { 20 } else { 3 } {
        tally.case(&format!("round {round}"), || {
            let world = World::new("signa", FILES, &clock);
            world.sandbox.stand_in.fault(Fault::Stall);
            let mut holder = world.command(&["rotate", "hooks", "--yes"]);
            let mut holder = holder.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            world.sandbox.until("the call", |sandbox| sandbox.rotations() == 1);
            world.run("rotate hooks --yes").exits(5).says("another whsec works on this endpoint");
            world.run("cutover hooks").exits(5);
            kill(Pid::from_raw(i32::try_from(holder.id()).unwrap()), Signal::SIGKILL).unwrap();
            // It is free once the process is gone, not some time later: by then at the latest.
            holder.wait().unwrap();
            let gone = Instant::now();
            world.run("cutover hooks --done deploy").exits(11);
            longest = longest.max(gone.elapsed());
            world.run(GO_ON).exits(11);
            world.jump();
            world.run(GO_ON).exits(0);
            world.check_end(1)
        });
    }
    let figure = format!(
        "lock free when the process is gone; the rotation gone on with {} ms later at most",
        longest.as_millis()
    );
    tally.promise(22, "the holder of the lock killed", &figure);
}

/// Gives the target a name of its own, as many share a state folder, and leaves it open where the seal's identity is kept.
fn apart(number: usize, world: &World) {
    world.sandbox.edit_config("[seal]\nidentity = \"file\"\n", "");
    world.sandbox.edit_config("[targets.hooks]", &format!("[targets.hooks{number}]"));
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a18_many_at_once_in_one_folder_wait_for_each_other() {
    let (processes, rounds) = if is_full() { (64, 5) } else { (64, 1) };
    let mut tally = Tally::default();
    let clock = Clock::new();
    for round in 0..rounds {
        tally.case(&format!("round {round}"), || {
            let worlds: Vec<World> = (0..processes).map(|_| World::new("signa", &[Kept::Dotenv], &clock)).collect();
            for (number, world) in worlds.iter().enumerate() {
                apart(number, world);
            }
            let (state, shared) = (worlds[0].sandbox.state(), worlds[0].sandbox.path("shared"));
            std::fs::create_dir(&shared).unwrap();
            let line = |(number, world): (usize, &World)| {
                let file = shared.join(format!("{number}.env"));
                std::fs::copy(world.sandbox.dotenv(), &file).unwrap();
                let (file, state) = (file.display(), state.display());
                format!(
                    "rotate hooks{number} --yes --timeout 60s --store dotenv:{file}#HOOK_SECRET --state-dir {state}"
                )
            };
            let lines: Vec<String> = worlds.iter().enumerate().map(line).collect();
            let runs = at_once(worlds.iter().zip(lines));
            match runs.iter().find(|run| run.code != 0) {
                Some(run) => Err(format!("one of {processes} exits {}: {}", run.code, run.stderr)),
                None => Ok(()),
            }
        });
    }
    let figure =
        format!("{processes} endpoints at once, without a keychain, stores in one folder: 0 exits 6, 0 exits 8");
    tally.promise(22, "many at once in one folder", &figure);
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn cutover_from_two_terminals_is_done_by_one() {
    let mut tally = Tally::default();
    let clock = Clock::new();
    let mut met = 0;
    for round in 0..if is_full() { 60 } else { 10 } {
        tally.case(&format!("round {round}"), || {
            let world = World::new("layers", FILES, &clock);
            world.run("rotate hooks --yes").exits(0);
            if round == 0 {
                // Who only counts down is in nobody's way, once the provider's answer has told how long.
                let mut line = world.command(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--wait"]);
                let mut first = line.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                let before = world.sandbox.requests();
                world.sandbox.until("the countdown", |sandbox| sandbox.requests() > before);
                world.sandbox.until("the lock free", |_| world.run(GO_ON).code == 11);
                kill(Pid::from_raw(i32::try_from(first.id()).unwrap()), Signal::SIGTERM).unwrap();
                assert_eq!(first.wait().unwrap().code(), Some(143));
            }
            world.jump();
            let runs = at_once((0..2).map(|_| (&world, GO_ON.to_owned())));
            met += usize::from(codes(&runs) == [0, 5]);
            // The second may come when the first is through: then there is nothing to do.
            if !matches!(codes(&runs)[..], [0, 5] | [0, 0]) {
                return Err(format!("exit codes {:?}: {} {}", codes(&runs), runs[0].stderr, runs[1].stderr));
            }
            world.check_end(1)
        });
    }
    if met == 0 {
        tally.failures.push("the two never met".to_owned());
    }
    tally.promise(22, "cutover from two terminals", &format!("met in {met} rounds: one went on, the other exited 5"));
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_state_folder_made_by_many_at_once_opens_every_seal() {
    let (processes, rounds) = if is_full() { (12, 20) } else { (8, 3) };
    let mut tally = Tally::default();
    let clock = Clock::new();
    for round in 0..rounds {
        tally.case(&format!("round {round}"), || {
            let worlds: Vec<World> = (0..processes).map(|_| World::new("signa", &[Kept::Dotenv], &clock)).collect();
            // Each looks for a keychain, finds none, and makes the file or takes the one that another has made meanwhile.
            for (number, world) in worlds.iter().enumerate() {
                apart(number, world);
            }
            let state = worlds[0].sandbox.state();
            let line = |number| format!("rotate hooks{number} --yes --state-dir {}", state.display());
            let runs = at_once(worlds.iter().zip((0..processes).map(line)));
            if let Some(run) = runs.iter().find(|run| run.code != 0) {
                return Err(format!("exits {}: {}", run.code, run.stderr));
            }
            let Ok(identity) = std::fs::read_to_string(state.join("seal-identity")) else {
                let files = std::fs::read_dir(&state).into_iter().flatten().flatten();
                let there: Vec<_> = files.map(|file| file.path()).collect();
                let said: Vec<_> = runs.iter().map(|run| &run.stderr).collect();
                return Err(format!("no identity was kept beside {there:?}: {said:?}"));
            };
            let identity: age::x25519::Identity = identity.trim().parse().map_err(str::to_owned)?;
            let note = std::fs::read_to_string(state.join("seal-recipient")).unwrap();
            match identity.to_public().to_string() == note.trim() {
                true => Ok(()),
                false => Err("seals are for another identity than the one that was kept".to_owned()),
            }
        });
    }
    let figure = format!("{processes} endpoints at once: all rotated, one identity, which opens the seals");
    tally.promise(22, "a state folder made by many at once", &figure);
}
