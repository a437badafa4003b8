//! Promise 24, its first half: what every command comes to in every state of a rotation, as a table that is committed:
//! exit code, and `status` and `error.kind` of the object on stdout. `WHSEC_BLESS=1` writes the table anew.

use std::collections::BTreeSet;
use std::sync::Mutex;

use nix::sys::signal::Signal;
use whsec::provider::stand_in::Fault;

use crate::kill::in_threads;
use crate::report::Tally;
use crate::tracer;
use crate::world::{Clock, FILES, World};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/promises/contract.txt");

/// A state: its name, the provider, and how it comes about.
struct State {
    name: &'static str,
    provider: &'static str,
    /// What `status` of a rotation in it is, where one is open or was.
    status: Option<&'static str>,
    arrange: fn(&World),
}

const DEPLOYED: &str = "cutover hooks --done deploy";
const VERIFIED: &str = "cutover hooks --done deploy --done verify";
/// For somebody whose identity is nowhere.
const HAND_OVER: &str = "handoff export hooks --to age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";
const ROTATE: &str = "rotate hooks --yes --confirm ID --done prepare";

const STATES: &[State] = &[
    State { name: "new", provider: "layers", status: None, arrange: |_| {} },
    State {
        name: "planned",
        provider: "layers",
        status: Some("planned"),
        arrange: |world| rotate_until(world, Some(Signal::SIGTERM), |world| world.sandbox.requests() > 0, |_| {}),
    },
    State {
        name: "unknown",
        provider: "layers",
        status: Some("unknown"),
        arrange: |world| rotate_until(world, Some(Signal::SIGKILL), |world| world.rotations() == 1, |_| {}),
    },
    State {
        name: "unknown-without-key",
        provider: "verifa",
        status: Some("unknown"),
        arrange: |world| {
            world.sandbox.stand_in.fault(Fault::LoseAnswer);
            world.run(ROTATE).exits(7);
        },
    },
    State {
        name: "unreadable",
        provider: "kadosei",
        status: Some("unknown"),
        arrange: |world| {
            world.sandbox.stand_in.fault(Fault::StatusAfter(200, "<html>".to_owned()));
            world.run(ROTATE).exits(7);
        },
    },
    State {
        name: "sealed",
        provider: "layers",
        status: Some("sealed"),
        arrange: |world| rotate_until(world, None, |world| world.rotations() == 1, block),
    },
    State {
        name: "stored",
        provider: "layers",
        status: Some("stored"),
        arrange: |world| drop(world.run(ROTATE).exits(0)),
    },
    State {
        name: "deployed",
        provider: "layers",
        status: Some("deployed"),
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run(DEPLOYED).exits(11);
        },
    },
    State {
        name: "waiting",
        provider: "layers",
        status: Some("waiting"),
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run(VERIFIED).exits(11);
        },
    },
    State {
        name: "verified",
        provider: "hopae",
        status: Some("verified"),
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run(VERIFIED).exits(11);
        },
    },
    State {
        name: "rolled-back",
        provider: "signa",
        status: Some("stored"),
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run("rollback hooks").exits(0);
        },
    },
    State {
        name: "forced",
        provider: "signa",
        status: Some("stored"),
        arrange: |world| drop(world.run("force-rotate hooks --confirm ID --done prepare --reason leaked").exits(0)),
    },
    State {
        name: "containing",
        provider: "layers",
        status: Some("stored"),
        arrange: |world| drop(world.run("force-rotate hooks --confirm ID --done prepare --reason leaked").exits(0)),
    },
    State {
        name: "contained",
        provider: "layers",
        status: Some("waiting"),
        arrange: |world| {
            world.run("force-rotate hooks --confirm ID --done prepare --reason leaked").exits(0);
            world.run("cutover hooks --done deploy --done verify --done drop").exits(11);
        },
    },
    State {
        name: "done",
        provider: "hopae",
        status: Some("done"),
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run("cutover hooks --done deploy --done verify --done drop").exits(0);
        },
    },
    State {
        name: "abandoned",
        provider: "layers",
        status: Some("abandoned"),
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run("abandon hooks --reason over --yes").exits(0);
        },
    },
    State {
        name: "handed-over",
        provider: "layers",
        status: Some("handed-over"),
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.run(&format!("{HAND_OVER} --out first.age")).exits(0);
        },
    },
    State {
        name: "failed",
        provider: "signa",
        status: Some("failed"),
        arrange: |world| {
            world.sandbox.stand_in.fault(Fault::Status(422, "{}".to_owned()));
            world.run(ROTATE).exits(1);
        },
    },
    State {
        name: "superseded",
        provider: "kadosei",
        status: Some("superseded"),
        arrange: |world| {
            world.run(ROTATE).exits(0);
            world.sandbox.stand_in.rotate_by_hand();
            world.run(DEPLOYED).exits(5);
        },
    },
];

/// The word for each exit code that is an error.
const KINDS: [(i32, &str); 10] = [
    (1, "failed"),
    (2, "usage"),
    (3, "auth"),
    (4, "not_found"),
    (5, "conflict"),
    (6, "store"),
    (7, "unknown"),
    (8, "sealed"),
    (9, "gate"),
    (13, "unavailable"),
];

/// Commands that may ask the provider for a new secret, each of which gets a world of its own.
const CALLING: &[&str] = &[
    ROTATE,
    "force-rotate hooks --confirm ID --done prepare --reason leaked",
    "cutover hooks",
    "tend hooks",
    VERIFIED,
];
const LOOKING: &[&str] = &[
    "rotate hooks --dry-run",
    "inspect hooks",
    "status hooks",
    "status --exit-code",
    "metrics",
    "finish hooks",
    "rollback hooks",
    "abandon hooks --reason over --yes",
    "adopt hooks --reason gone",
    HAND_OVER,
    "fingerprint hooks",
    "leak receiver.env",
    "reveal hooks",
    "history hooks",
    "doctor",
];
/// Commands that no rotation changes anything about, or that have a table of their own.
const ELSEWHERE: [&str; 15] = [
    "apply",
    "completions",
    "discover",
    "help",
    "import",
    "journal",
    "login",
    "logout",
    "probe",
    "provider",
    "rehearse",
    "report",
    "store",
    "target",
    "verify",
];

/// Runs `rotate` and does something at the first system call for which this holds.
fn rotate_until(world: &World, signal: Option<Signal>, holds: fn(&World) -> bool, then: fn(&World)) {
    let id = world.sandbox.id();
    let mut is_over = false;
    let rotate = world.command(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"]);
    tracer::run(&rotate, signal.unwrap_or(Signal::SIGKILL), |_| {
        let now = !is_over && holds(world);
        is_over |= now;
        if now {
            then(world);
        }
        now && signal.is_some()
    });
    assert!(is_over, "the moment never came");
}

/// Puts folders where the stores' files are.
fn block(world: &World) {
    for name in ["receiver.env", "settings.json", "mounted"] {
        let path = world.sandbox.path("work").join(name);
        std::fs::rename(&path, path.with_extension("aside")).unwrap();
        std::fs::create_dir(path).unwrap();
    }
}

/// One row of the table, and what does not fit in it.
fn cell(world: &World, state: &State, line: &str) -> Result<String, String> {
    let run = world.run(&format!("{line} --json"));
    let json = run.json();
    let error = &json["error"];
    let kind = error["kind"].as_str().unwrap_or("-");
    let code = i64::from(run.code);
    if json["schema"] != "whsec/v1" || json["exit"].as_i64() != Some(code) {
        return Err(format!("`{line}` exits {code} and its object says {json}"));
    }
    if KINDS.iter().any(|(exit, word)| *exit == run.code && *word != kind) {
        return Err(format!("exit {code} has the kind `{kind}`"));
    }
    let said = error["message"].as_str().is_some_and(|text| !text.is_empty());
    if kind != "-" && !said {
        return Err(format!("an error without a message: {json}"));
    }
    // What `status` shows is a list; its row is what counts.
    let shown = json.pointer("/targets/0/status").unwrap_or(&json["status"]);
    let shown = shown.as_str().unwrap_or("-");
    Ok(format!("{} | {line} | {code} | {shown} | {kind}", state.name))
}

/// The rows of some states.
fn rows(states: Vec<&State>, rows: &Mutex<Vec<(usize, String)>>) -> Tally {
    let (clock, mut tally) = (Clock::new(), Tally::default());
    for state in states {
        let place = STATES.iter().position(|other| other.name == state.name).unwrap();
        let mut looked_at: Option<World> = None;
        for (at, line) in LOOKING.iter().chain(CALLING).enumerate() {
            tally.case(&format!("{}, {line}", state.name), || {
                let world = match looked_at.take().filter(|_| LOOKING.contains(line)) {
                    Some(world) => world,
                    None => arranged(state, &clock)?,
                };
                world.restore();
                let row = cell(&world, state, line)?;
                rows.lock().unwrap().push((place * 100 + at, row));
                looked_at = Some(world);
                Ok(())
            });
        }
    }
    tally
}

/// A world in this state, as its own journal has it.
fn arranged(state: &State, clock: &Clock) -> Result<World, String> {
    let mut world = World::new(state.provider, FILES, clock);
    (state.arrange)(&world);
    let shown =
        |line: &str, place: &str| world.run(line).json().pointer(place).and_then(|at| at.as_str().map(str::to_owned));
    let open = shown("status hooks --json", "/targets/0/status");
    let closed = shown("history hooks --json", "/rotations/0/status");
    if open.or(closed).as_deref() != state.status {
        return Err(format!("the state could not be arranged: {:?}", world.run("status hooks")));
    }
    world.remember();
    Ok(world)
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn every_command_in_every_state_is_as_the_table_says() {
    let found = Mutex::new(Vec::new());
    let states: Vec<&State> = STATES.iter().collect();
    let mut tally = in_threads(&states, |states| rows(states, &found));
    let mut found = found.into_inner().unwrap();
    found.sort();
    let head = "state | command | exit | status | error.kind\n";
    let text = found.iter().fold(head.to_owned(), |text, (_, row)| text + row + "\n");
    if std::env::var_os("WHSEC_BLESS").is_some() {
        std::fs::write(TABLE, &text).unwrap();
    }
    let table = std::fs::read_to_string(TABLE).unwrap_or_default();
    let pairs = text.lines().zip(table.lines()).filter(|(found, wanted)| found != wanted);
    tally.failures.extend(pairs.map(|(found, wanted)| format!("`{wanted}` is now `{found}`")).take(20));
    if text.lines().count() != table.lines().count() {
        tally.failures.push("the table has other rows; WHSEC_BLESS=1 writes it anew".to_owned());
    }
    let commands = LOOKING.len() + CALLING.len();
    let figure = format!("{} states × {commands} commands, 100 % in the table", STATES.len());
    tally.promise(24, "exit codes and JSON in every state", &figure);
}

#[test]
fn every_command_and_every_status_is_in_the_table() {
    for command in whsec::cli::command().get_subcommands() {
        let name = command.get_name();
        let in_table = LOOKING.iter().chain(CALLING).any(|line| line.split(' ').next() == Some(name));
        assert!(in_table || ELSEWHERE.contains(&name), "`{name}` is in no row");
    }
    let statuses: BTreeSet<_> = STATES.iter().filter_map(|state| state.status).collect();
    let all = [
        "abandoned",
        "deployed",
        "done",
        "failed",
        "handed-over",
        "planned",
        "sealed",
        "stored",
        "superseded",
        "unknown",
        "verified",
        "waiting",
    ];
    assert!(statuses.into_iter().eq(all), "a status has no state");
    let table = std::fs::read_to_string(TABLE).unwrap();
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 5, "{row}");
    }
}
