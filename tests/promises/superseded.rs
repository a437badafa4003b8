//! Promise 27: somebody rotates at the provider between any two of our steps. Where its answers can show that, no live slot comes
//! to hold a secret that they contradict, and nothing is called done.

use nix::sys::signal::Signal;

use crate::kill::in_threads;
use crate::report::Tally;
use crate::tracer;
use crate::world::{Clock, FILES, World};

/// What a provider's answers tell of a rotation by somebody else.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tells {
    /// That it was one: a version, a fingerprint, the secret itself.
    All,
    /// That something was changed.
    Time,
}

/// A provider, what its answers tell, and what else is so.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    provider: &'static str,
    tells: Tells,
    arrange: fn(&World),
}

const CASES: &[Case] = &[
    Case { name: "signa, switch", provider: "signa", tells: Tells::All, arrange: |_| {} },
    Case {
        name: "signa, either",
        provider: "signa",
        tells: Tells::All,
        arrange: |world| world.sandbox.edit_config("api_key = ", "cutover = \"either\"\napi_key = "),
    },
    Case { name: "kadosei", provider: "kadosei", tells: Tells::All, arrange: |_| {} },
    Case {
        name: "hopae, with its secret shown",
        provider: "hopae",
        tells: Tells::All,
        arrange: |world| world.sandbox.stand_in.show_secret(),
    },
    Case { name: "layers", provider: "layers", tells: Tells::Time, arrange: |_| {} },
    Case { name: "verifa", provider: "verifa", tells: Tells::Time, arrange: |_| {} },
];

/// The walk, a step or two a command; `jump` is a day that goes by.
const WALK: &[&str] = &[
    "rotate hooks --yes --confirm ID --done prepare --detach",
    "cutover hooks",
    "cutover hooks --done deploy",
    "cutover hooks --done verify",
    "jump",
    "cutover hooks",
    "cutover hooks --done drop",
];

/// When somebody rotates.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Never,
    /// The provider has done our call, and we have not had its answer.
    InTheCall,
    /// Before this command of the walk.
    Before(usize),
}

/// Does one command of the walk and yields its exit code and status.
fn go(world: &World, line: &str, in_the_call: bool) -> (i32, String) {
    if line == "jump" {
        world.jump();
        return (11, String::new());
    }
    let line = format!("{line} --json").replace("ID", &world.sandbox.id());
    let words: Vec<&str> = line.split_whitespace().collect();
    let run = if in_the_call {
        let mut is_over = false;
        let traced = tracer::run(&world.command(&words), Signal::SIGKILL, |_| {
            if !is_over && world.rotations() == 1 {
                is_over = true;
                world.sandbox.stand_in.rotate_by_hand();
            }
            false
        });
        assert!(is_over, "the call never came");
        world.sandbox.watch(traced.output)
    } else {
        world.run(&line)
    };
    let status = run.json()["status"].as_str().unwrap_or_default().to_owned();
    (run.code, status)
}

fn walk(case: &Case, moment: Moment, clock: &Clock) -> Result<(), String> {
    let world = World::new(case.provider, FILES, clock);
    (case.arrange)(&world);
    let mut live = world.live();
    let (mut codes, mut is_theirs) = (Vec::new(), false);
    for (at, line) in WALK.iter().enumerate() {
        if matches!(moment, Moment::Before(before) if before == at) {
            world.sandbox.stand_in.rotate_by_hand();
            (live, is_theirs) = (world.live(), true);
        }
        let in_the_call = matches!(moment, Moment::InTheCall) && at == 0;
        let (code, status) = go(&world, line, in_the_call);
        is_theirs |= in_the_call;
        codes.push(code);
        if is_theirs && status == "done" {
            return Err(format!("`{line}` says that it is done: {codes:?}"));
        }
        if is_theirs && world.live() != live {
            return Err(format!("`{line}` made a secret live that the provider contradicts: {codes:?}"));
        }
    }
    let status = world.run("status hooks --exit-code");
    if matches!(moment, Moment::Never) {
        let is_done = codes.last() == Some(&0) && status.code == 0;
        return if is_done { Ok(()) } else { Err(format!("the walk itself ends with {codes:?}: {}", status.stdout)) };
    }
    let (noticed, expected) = if case.tells == Tells::All { (5, 12) } else { (9, status.code) };
    if !codes.contains(&noticed) {
        return Err(format!("nobody noticed: {codes:?}"));
    }
    // What may have been a rotation is open still, and what was one is red.
    match status.code == expected && status.code != 0 {
        true => Ok(()),
        false => Err(format!("status exits {}: {}", status.code, status.stdout)),
    }
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn somebody_who_rotates_between_two_steps_is_noticed() {
    let points: Vec<(Case, Moment)> = CASES
        .iter()
        .flat_map(|case| {
            let between = (1..WALK.len()).map(Moment::Before);
            // A change within the second of our own call is no other one to a time.
            let in_the_call = (case.tells == Tells::All).then_some(Moment::InTheCall);
            std::iter::once(Moment::Never).chain(in_the_call).chain(between).map(|moment| (*case, moment))
        })
        .collect();
    let tally = in_threads(&points, |points| {
        let (clock, mut tally) = (Clock::new(), Tally::default());
        for (case, moment) in points {
            tally.case(&format!("{}, {moment:?}", case.name), || walk(&case, moment, &clock));
        }
        tally
    });
    let figure = format!("{} providers × between any two commands: 0 live slots contradicted, 0 done", CASES.len());
    tally.promise(27, "a rotation by somebody else is noticed", &figure);
}
