//! Promise 6: a secret ends early only where the endpoint's id was typed or given as `--confirm`: at every provider, at a
//! terminal, behind a pipe and in CI.

use crate::kill::in_threads;
use crate::report::{Tally, is_full};
use crate::sandbox::Run;
use crate::screen::Terminal;
use crate::world::{Clock, Kept, World};

/// Commands after which receivers may refuse the old secret early, by provider.
const ENDINGS: &[(&str, &str)] = &[
    ("hopae", "rotate hooks"),
    ("kadosei", "rotate hooks"),
    ("verifa", "rotate hooks"),
    ("signa", "force-rotate hooks --reason leaked"),
    ("hopae", "force-rotate hooks --reason leaked"),
    ("kadosei", "force-rotate hooks --reason leaked"),
    ("verifa", "force-rotate hooks --reason leaked"),
    ("layers", "force-rotate hooks --reason leaked"),
];

const INTERRUPT: &str = "\u{3}";
/// What is typed at the question, none of which is the id.
const TYPED: &[&str] = &["\r", "y\r", "yes\r", "YES\r", "hooks\r", "id9-7Qx\r", INTERRUPT, "\u{4}\r", "\u{1b}\r\r"];
/// Failures after which no more are looked for.
const ENOUGH: usize = 3;
/// What is added to the command line.
const FLAGS: &[&str] =
    &["", "--yes", "-y --no-input", "--confirm hooks", "--yes --confirm yes", "--confirm id9-7Qx", "--json --yes"];
/// What a pipe holds; an answer behind a pipe is nobody's.
const PIPED: &[&str] = &["", "y\n", "yes\nyes\n", "ID\n", "ID\nID\n"];

/// The command line with the endpoint's id where it says `ID`.
fn words(world: &World, line: &str) -> Vec<String> {
    line.replace("ID", &world.sandbox.id()).split_whitespace().map(str::to_owned).collect()
}

/// Nothing was asked of the provider, and the old secret lives.
fn nothing_ended(world: &World, how: &str) -> Result<(), String> {
    if !world.sandbox.rotate_requests().is_empty() || world.rotations() > 0 {
        return Err(format!("{how}: a secret was ended without consent"));
    }
    world.check_moment(false)
}

fn piped(world: &World, line: &str, input: &str) -> Run {
    let words = words(world, line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    world.sandbox.run_with_stdin(&words, &input.replace("ID", &world.sandbox.id()))
}

/// Every way of not consenting, and then the one of consenting: all would pass if nothing ever ended.
fn try_ending(provider: &str, line: &str, clock: &Clock) -> Tally {
    let mut tally = Tally::default();
    let world = World::new(provider, &[Kept::Dotenv], clock);
    let name = format!("{provider}, {line}");
    for flags in FLAGS {
        let line = format!("{line} {flags}");
        tally.case(&format!("{name} {flags}, in CI"), || {
            let run = world.run(&line);
            if run.code != 2 || !["--confirm", "endpoint"].iter().any(|word| run.stderr.contains(word)) {
                return Err(format!("exits {} without a word of what is missing: {}", run.code, run.stderr));
            }
            nothing_ended(&world, "in CI")
        });
        for input in PIPED.iter().filter(|_| is_full() || flags.len() < 6) {
            tally.case(&format!("{name} {flags}, with {input:?} in a pipe"), || {
                piped(&world, &line, input);
                nothing_ended(&world, "in a pipe")
            });
        }
    }
    for keys in TYPED {
        for flags in ["", "--yes"] {
            // Where no question comes, each of these waits for it.
            if tally.failures.len() > ENOUGH {
                return tally;
            }
            tally.case(&format!("{name} {flags}, {keys:?} typed"), || {
                let words = words(&world, &format!("{line} {flags}"));
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let mut terminal = Terminal::run_command(&world.command(&words));
                // An interrupt that meets the question before it listens counts as the first of two, as everywhere.
                terminal.expect("Type the endpoint's id").listens().types(keys);
                terminal.ends();
                nothing_ended(&world, "at a terminal")
            });
        }
    }
    tally.case(&format!("{name}, with its id"), || {
        let run = world.run(&format!("{line} --confirm ID --done prepare"));
        match world.rotations() == 1 {
            true => Ok(()),
            false => Err(format!("exits {}, {} rotations: {}", run.code, world.rotations(), run.stderr)),
        }
    });
    tally
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn ending_a_secret_early_takes_its_id() {
    let tally = in_threads(ENDINGS, |endings| {
        let (clock, mut tally) = (Clock::new(), Tally::default());
        endings.into_iter().for_each(|(provider, line)| tally.add(try_ending(provider, line, &clock)));
        tally
    });
    let figure = format!("{} commands × terminal, pipe, CI: 0 without the id, all with it", ENDINGS.len());
    tally.promise(6, "ending a secret early takes its id", &figure);
}
