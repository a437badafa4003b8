//! Promise 28: no journal is no success. While a rotation goes on, or is over, by one state folder, the same commands are run with
//! another: an empty one, one of another user, one that was restored from before. None that asserts a rotation exits 0, none
//! changes a store, and whatever a slot still holds is named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kill::in_threads;
use crate::report::{Tally, is_full, note};
use crate::sandbox::Run;
use crate::world::{Clock, FILES, World};

/// How far the rotation has come by its own state folder: the provider, the commands, and whether a slot is still filled
/// that shows it.
struct Point {
    name: &'static str,
    provider: &'static str,
    arrange: fn(&World),
    shows: bool,
    /// Whether it is tried where sweeps are not run whole.
    sampled: bool,
}

const ROTATE: &str = "rotate hooks --yes --confirm ID --done prepare";
const VERIFIED: &str = "cutover hooks --done deploy --done verify";
const TO_THE_END: &str = "cutover hooks --done deploy --done verify --done drop";

const POINTS: &[Point] = &[
    Point {
        name: "stored",
        provider: "layers",
        arrange: |world| drop(world.run(ROTATE).exits(0)),
        shows: true,
        sampled: true,
    },
    Point {
        name: "waiting",
        provider: "layers",
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run(VERIFIED).exits(11);
        },
        shows: true,
        sampled: false,
    },
    Point {
        name: "done",
        provider: "layers",
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run(VERIFIED).exits(11);
            world.jump();
            world.run("cutover hooks --done drop").exits(0);
        },
        shows: false,
        sampled: false,
    },
    Point {
        name: "promoted",
        provider: "signa",
        arrange: |world| drop(world.run(ROTATE).exits(0)),
        shows: true,
        sampled: true,
    },
    Point {
        name: "rolled back",
        provider: "signa",
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run("rollback hooks").exits(0);
        },
        shows: true,
        sampled: false,
    },
    Point {
        name: "promoted",
        provider: "hopae",
        arrange: |world| drop(world.run(ROTATE).exits(0)),
        shows: true,
        sampled: false,
    },
    Point {
        name: "drop is due",
        provider: "hopae",
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run(VERIFIED).exits(11);
        },
        shows: false,
        sampled: true,
    },
];

/// Commands that say that there is a rotation.
const ASSERTING: &[&str] = &[
    "cutover hooks --done prepare",
    "cutover hooks --done deploy",
    "cutover hooks --done verify --reason looked",
    "cutover hooks --done wait",
    "cutover hooks --done drop",
    TO_THE_END,
    "cutover hooks --wait",
    "cutover hooks --resolve applied --reason seen",
    "cutover hooks --resolve not-applied --reason seen",
    "finish hooks",
    "finish hooks --override --reason known",
    "rollback hooks",
    "abandon hooks --reason over --yes",
];

/// Commands that assert nothing, and fail only where something is wrong.
const LOOKING: &[&str] = &[
    "cutover hooks",
    "inspect hooks",
    "status hooks",
    "history hooks",
    "fingerprint hooks",
    "doctor",
    "rotate hooks --dry-run",
];

const OTHER_USER: &str = "12345";
const UNDER_WAY: &str = "a rotation that this machine does not know is under way";

/// Another state folder than the one that the rotation is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folder {
    Empty,
    OtherUser,
    Restored,
}

impl Folder {
    /// Runs a command with such a folder, made anew.
    fn run(self, world: &World, line: &str) -> Run {
        let sandbox = &world.sandbox;
        let folder = sandbox.path("elsewhere");
        let _ = std::fs::remove_dir_all(&folder);
        if self == Self::Restored {
            copy(&sandbox.path("restored"), &folder);
        }
        if self == Self::OtherUser {
            return as_other_user(world, line);
        }
        let line = format!("{line} --state-dir {}", folder.display()).replace("ID", &sandbox.id());
        let words: Vec<&str> = line.split_whitespace().collect();
        sandbox.watch(world.command(&words).output().unwrap())
    }
}

/// Runs a command as somebody who may read and write everything but the state folder.
fn as_other_user(world: &World, line: &str) -> Run {
    let sandbox = &world.sandbox;
    let line = line.replace("ID", &sandbox.id());
    let inner = world.command(&line.split_whitespace().collect::<Vec<_>>());
    let program = sandbox.path("whsec");
    if !program.exists() {
        std::fs::copy(inner.get_program(), &program).unwrap();
    }
    let owned = ["home", "work", "key"].map(|name| sandbox.path(name));
    let give = |owner: &str| {
        assert!(Command::new("chown").arg("-R").arg(owner).args(&owned).status().unwrap().success());
    };
    assert!(Command::new("chmod").arg("755").arg(sandbox.path(".")).status().unwrap().success());
    give(OTHER_USER);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", OTHER_USER, "--regid", OTHER_USER, "--clear-groups", "--"]).arg(program);
    command.args(inner.get_args()).env_clear().current_dir(sandbox.path("work")).stdin(std::process::Stdio::null());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = sandbox.watch(command.output().unwrap());
    give("0");
    run
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").args(["-a", "-T"]).arg(from).arg(to).status().unwrap().success());
}

/// Everything that the stores hold.
fn stores(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let work = world.sandbox.path("work");
    world.sandbox.all_files().into_iter().filter(|(path, _)| path.starts_with(&work)).collect()
}

/// One command with one folder, and what has to hold then.
fn try_one(world: &World, point: &Point, folder: Folder, line: &str) -> Result<(), String> {
    let (before, rotations) = (stores(world), world.sandbox.rotations());
    let run = folder.run(world, line);
    let said = format!("exit {}\n{}{}", run.code, run.stdout, run.stderr);
    if stores(world) != before {
        return Err(format!("it changed a store: {said}"));
    }
    if world.sandbox.rotations() != rotations {
        return Err(format!("it rotated: {said}"));
    }
    if run.code == 101 || run.code < 0 {
        return Err(format!("it crashed: {said}"));
    }
    let asserts = ASSERTING.contains(&line) || (point.shows && line == "cutover hooks");
    if asserts && run.code == 0 {
        return Err(format!("it is success: {said}"));
    }
    if folder == Folder::OtherUser {
        return if run.stderr.contains("state folder") || line.contains("dry-run") || line == "doctor" {
            Ok(())
        } else {
            Err(format!("nothing is said of the state folder: {said}"))
        };
    }
    if asserts && run.code != 4 {
        return Err(format!("it is another failure: {said}"));
    }
    let looks = ["cutover", "inspect", "doctor", "finish", "rollback"].iter().any(|name| line.starts_with(name));
    if point.shows && looks && !said.contains(UNDER_WAY) {
        return Err(format!("it does not say what is under way: {said}"));
    }
    if ["empty the slot", "move it where"].iter().any(|hint| said.contains(hint)) {
        return Err(format!("it gives the only copy away: {said}"));
    }
    Ok(())
}

/// A second rotation may not come between where the slots show the first one.
fn try_rotating(world: &World, folder: Folder) -> Result<(), String> {
    let (before, rotations) = (stores(world), world.sandbox.rotations());
    let run = folder.run(world, ROTATE);
    if run.code == 0 || world.sandbox.rotations() != rotations || stores(world) != before {
        return Err(format!("it rotated a second time: exit {}\n{}", run.code, run.stderr));
    }
    match folder {
        Folder::OtherUser => Ok(()),
        // The provider may show the open overlap by itself.
        _ if run.stderr.contains(UNDER_WAY) || run.code == 5 => Ok(()),
        _ => Err(format!("it does not say what is under way: {}", run.stderr)),
    }
}

/// Every command with every folder, while a rotation is at some points.
fn at_points(points: Vec<&Point>, may_be_other: bool) -> Tally {
    let (clock, mut tally) = (Clock::new(), Tally::default());
    for point in points {
        // With a rotation from before, so that a folder restored from then knows one that is closed.
        let world = World::new(point.provider, FILES, &clock);
        world.run(ROTATE).exits(0);
        world.run(VERIFIED).exits(11);
        world.jump();
        world.run(TO_THE_END).exits(0);
        copy(&world.sandbox.state(), &world.sandbox.path("restored"));
        (point.arrange)(&world);
        for folder in [Folder::Empty, Folder::OtherUser, Folder::Restored] {
            // What another user is told is the same at every point.
            if folder == Folder::OtherUser && (!may_be_other || !(is_full() || point.name == "stored")) {
                continue;
            }
            for line in ASSERTING.iter().chain(LOOKING) {
                let name = format!("{} {}, {folder:?}, {line}", point.provider, point.name);
                tally.case(&name, || try_one(&world, point, folder, line));
            }
            if point.shows {
                let name = format!("{} {}, {folder:?}, {ROTATE}", point.provider, point.name);
                tally.case(&name, || try_rotating(&world, folder));
            }
            if folder == Folder::Empty {
                tally.case(&format!("{} {}, the secret's age", point.provider, point.name), || {
                    match folder.run(&world, "status --exit-code --max-age 3650d").code {
                        12 => Ok(()),
                        code => Err(format!("an age that nobody knows is young: exit {code}")),
                    }
                });
            }
        }
    }
    tally
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn no_command_takes_an_absent_journal_for_success() {
    let may_be_other = rustix::process::geteuid().is_root();
    if !may_be_other {
        note("SKIPPED the state folder of another user: only root can be another");
    }
    let points: Vec<&Point> = POINTS.iter().filter(|point| is_full() || point.sampled).collect();
    let tally = in_threads(&points, |points| at_points(points, may_be_other));
    let (commands, all) = (ASSERTING.len() + LOOKING.len(), points.len());
    let figure = format!("{all} points × 3 state folders × {commands} commands; 0 stores changed");
    tally.promise(28, "no journal is not success", &figure);
}
