//! Promise 11, and 9 with it: the live slot is read at every system call of every command that changes something, and is
//! the old secret, whole, or the new one where the command may promote; and no secret lies outside of the stores.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::Signal;
use whsec::provider::stand_in::Fault;

use crate::kill::{SCENARIOS, Scenario, in_threads};
use crate::report::Tally;
use crate::tracer;
use crate::world::{Clock, FILES, World};

/// How often everything else is looked through too.
const SEARCH_EVERY: u64 = 16;

/// Runs a command and looks at the live slots at each entry into a system call. Yields how often that was.
fn look(world: &World, line: &str, promotes: bool) -> Result<u64, String> {
    let line = line.replace("ID", &world.sandbox.id());
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut first = Ok(());
    let traced = tracer::run(&world.command(&words), Signal::SIGKILL, |call| {
        if first.is_ok() {
            let may_be_new = promotes && world.rotations() > 0;
            let found =
                if call % SEARCH_EVERY == 0 { world.check_moment(may_be_new) } else { world.check_live(may_be_new) };
            first = found.map_err(|why| format!("at call {call}: {why}"));
        }
        false
    });
    let calls = traced.calls;
    world.sandbox.watch(traced.output);
    first.and_then(|()| world.check_moment(promotes)).map(|()| calls)
}

/// What it is called, and how it comes about.
type Failure = (&'static str, fn(&World));

/// Rotations that fail on the way, each of which leaves the live slot as it was.
const FAILING: &[Failure] = &[
    ("refused", |world| world.sandbox.stand_in.fault(Fault::Status(422, "{}".to_owned()))),
    ("lost", |world| world.sandbox.stand_in.fault(Fault::LoseAnswer)),
    ("unreadable", |world| world.sandbox.stand_in.fault(Fault::StatusAfter(200, "<html>".to_owned()))),
    ("a store cannot be written", |world| {
        std::fs::remove_file(world.sandbox.path("work/mounted")).unwrap();
        std::fs::create_dir(world.sandbox.path("work/mounted")).unwrap();
    }),
];

#[test]
#[ignore = "sweep: run by tests/run"]
fn the_live_slot_is_whole_at_every_system_call() {
    let looks = AtomicU64::new(0);
    let scenarios: Vec<&Scenario> = SCENARIOS.iter().collect();
    let tally = in_threads(&scenarios, |scenarios| {
        let (clock, mut tally) = (Clock::new(), Tally::default());
        for scenario in scenarios {
            tally.case(&scenario.name(), || {
                let world = scenario.world(&clock);
                looks.fetch_add(look(&world, scenario.line(), scenario.promotes())?, Ordering::SeqCst);
                Ok(())
            });
        }
        tally
    });
    let mut tally = tally;
    let clock = Clock::new();
    for provider in ["layers", "verifa"] {
        for (what, fail) in FAILING {
            tally.case(&format!("{provider}, {what}"), || {
                let world = World::new(provider, FILES, &clock);
                fail(&world);
                if what.starts_with("a store") {
                    world.run("rotate hooks --yes --confirm ID --done prepare").exits(6);
                    return match world.rotations() {
                        0 => Ok(()),
                        made => Err(format!("{made} rotations")),
                    };
                }
                looks.fetch_add(
                    look(&world, "rotate hooks --yes --confirm ID --done prepare", false)?,
                    Ordering::SeqCst,
                );
                Ok(())
            });
        }
    }
    let figure = format!("{} looks at 3 stores, 0 changes but to the new secret, whole", looks.load(Ordering::SeqCst));
    tally.promise(11, "the live slot at every system call", &figure);
}
