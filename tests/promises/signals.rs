//! Promise 21: INT, TERM, HUP and QUIT at every tenth system call of every command that changes something, once and
//! twice: the exit code says so, nothing is lost, and `cutover` goes on.

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;

use crate::kill::{Point, Scenario, Verb, in_threads};
use crate::report::{Dice, Tally, is_full, seed};
use crate::share;
use crate::tracer;
use crate::world::{Clock, FILES, Kept};

const SIGNALS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

const SCENARIOS: &[Scenario] = &[
    Scenario { verb: Verb::Rotate, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Rotate, provider: "verifa", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Force, provider: "signa", stores: FILES },
    Scenario { verb: Verb::Cutover, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Resume, provider: "signa", stores: &[Kept::Dotenv] },
    Scenario { verb: Verb::Finish, provider: "layers", stores: FILES },
    Scenario { verb: Verb::Rollback, provider: "signa", stores: FILES },
];

/// Every which system call gets a signal.
const EVERY: u64 = 10;
/// Points of a scenario and signal in a sample.
const SAMPLE: usize = 4;
/// System calls between a signal and the second one, where there are two.
const BETWEEN: u64 = 7;

/// Ten-folds up to the command's calls, from another beginning for each signal.
fn points(name: &str, begin: u64, calls: u64) -> Vec<Point> {
    let all: Vec<Point> = (1 + begin..=calls).step_by(EVERY as usize).map(Point::Call).collect();
    if is_full() {
        return all;
    }
    let mut dice = Dice::new(name);
    (0..SAMPLE).map(|_| all[usize::try_from(dice.below(all.len() as u64)).unwrap()]).collect()
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_signal_at_any_system_call_loses_nothing_and_panics_nowhere() {
    let only = std::env::var("WHSEC_TEST_ONLY").unwrap_or_default();
    let mut total = Tally::default();
    let (stopped, ended, through) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name().contains(&only)) {
        let calls = scenario.count(&Clock::new());
        for (begin, signal) in (0..).zip(SIGNALS) {
            let name = format!("{} {signal}", scenario.name());
            let points = share::of_this_piece(points(&name, begin * 2, calls));
            total.add(in_threads(&points, |points| {
                scenario.try_points(points, |world, at| {
                    let Point::Call(at) = at else { unreachable!("only calls have numbers") };
                    let line = scenario.line().replace("ID", &world.sandbox.id());
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let twice = at % 3 == 0;
                    let traced = tracer::run(&world.command(&words), signal, |call| {
                        call == at || (twice && call == at + BETWEEN)
                    });
                    let status = traced.output.status;
                    let run = world.sandbox.watch(traced.output);
                    let told = 128 + signal as i32;
                    match (status.signal(), status.code()) {
                        // Before the signals are caught nothing has begun.
                        (Some(number), _) if number == signal as i32 => ended.fetch_add(1, Ordering::SeqCst),
                        (_, Some(code)) if code == told => stopped.fetch_add(1, Ordering::SeqCst),
                        // What was left then needed no safe point any more.
                        (_, Some(0 | 11)) => through.fetch_add(1, Ordering::SeqCst),
                        _ => return Err(format!("{signal}: {status}\n{}", run.stderr)),
                    };
                    if run.stderr.contains("a defect in whsec") {
                        return Err(format!("{signal}: {}", run.stderr));
                    }
                    // Only a call that a second signal cut off may be unknown.
                    let unknown =
                        scenario.recover(world, at % 2 == 0, false).map_err(|why| format!("{signal}: {why}"))?;
                    match unknown && !twice {
                        true => Err(format!("{signal}: the outcome is unknown after one signal")),
                        false => Ok(true),
                    }
                })
            }));
        }
    }
    let [stopped, ended, through] = [stopped, ended, through].map(AtomicUsize::into_inner);
    let sampled = if is_full() { String::new() } else { format!(", sampled with seed {}", seed()) };
    let figure = format!(
        "every {EVERY}th call{sampled}: {stopped} exit 128 + signal, {ended} before it was caught, {through} through; \
         0 lost, 0 panics"
    );
    total.promise(21, "INT, TERM, HUP, QUIT at system calls", &figure);
}
