//! Promise 2 where receivers are probed: killed anywhere between the overlap's end and the proof that the old secret is
//! dropped, `cutover` proves it all the same, and the sealed old secret goes with the rotation.

use nix::sys::signal::Signal;

use crate::kill::in_threads;
use crate::kill::{Point, sample};
use crate::receivers::{Kind, Receiver};
use crate::report::{Dice, Tally, is_full, seed};
use crate::share;
use crate::tracer;
use crate::world::{Clock, FILES, World};

/// Each case waits for two dozen probes.
const SAMPLE: u64 = 8;
const WHOLE: u64 = 150;

/// A world after the overlap, with a receiver that reads the dotenv file for each delivery. It looks at no timestamp: the
/// provider's clock, which probes go by, has jumped over the overlap, and the receiver's has not.
fn world(clock: &Clock) -> (World, Receiver) {
    let receiver = Receiver::start(Kind::NoTimestamp);
    let mut world = World::new("signa", FILES, clock);
    world.sandbox.edit_config("api_key = ", &format!("receivers = [\"{}\"]\napi_key = ", receiver.url));
    receiver.reads(&world.sandbox.dotenv());
    world.run("rotate hooks --yes").exits(0);
    world.jump();
    world.remember();
    (world, receiver)
}

/// Runs `cutover` and kills it at a system call. Yields how many calls it had made, and whether an old secret was sealed.
fn strike(world: &World, at: u64) -> (tracer::Traced, bool) {
    let mut sealed = false;
    let traced = tracer::run(&world.command(&["cutover", "hooks"]), Signal::SIGKILL, |call| {
        sealed |= world.has_seal();
        call == at
    });
    (traced, sealed)
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn killed_while_receivers_are_probed_cutover_proves_the_drop() {
    let (undisturbed, _receiver) = world(&Clock::new());
    let (traced, sealed) = strike(&undisturbed, u64::MAX);
    assert_eq!(traced.output.status.code(), Some(0), "{:?}", traced.output);
    assert!(sealed, "the old secret is sealed while it is proved that nobody takes it");
    undisturbed.check_end(1).unwrap();
    let wanted = if is_full() { WHOLE } else { SAMPLE };
    let points: Vec<Point> = sample(&mut Dice::new("probed"), traced.calls, wanted).collect();
    let points = share::of_this_piece(points);
    let tally = in_threads(&points, |points| {
        let mut tally = Tally::default();
        let (world, receiver) = world(&Clock::new());
        for point in points {
            let Point::Call(at) = point else { continue };
            tally.case(&format!("cutover with a receiver at {at}"), || {
                world.restore();
                receiver.reads(&world.sandbox.dotenv());
                let (traced, _) = strike(&world, at);
                world.sandbox.watch(traced.output);
                world.check_moment(true)?;
                let run = world.run("cutover hooks --json");
                let proved = run.json()["steps"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|step| step["step"] == "drop" && step["how"] == "probe");
                if run.code != 0 || !proved {
                    return Err(format!("cutover exits {}: {}{}", run.code, run.stdout, run.stderr));
                }
                world.check_end(1)
            });
        }
        tally
    });
    let figure =
        format!("{} system calls (seed {}), 0 lost, drop proved each time, 0 seals left", traced.calls, seed());
    tally.promise(2, "killed while receivers are probed", &figure);
}
