//! Promise 24, its second half: a journal with a bit flipped or an end cut off is refused or still says the same, and no
//! request is ever made of another. In the process for every place, and with the binary for some.

use std::path::Path;

use jiff::Timestamp;
use whsec::rotation::journal::Journal;

use crate::kill::{Scenario, Verb};
use crate::report::{Dice, Tally, is_full, seed};
use crate::world::{Clock, FILES, World};

/// All that a journal says, as text; `None` where it is refused.
fn reads(folder: &Path) -> Option<String> {
    let journal = Journal::open(folder).ok()?;
    let open = journal.open_rotations().ok()?;
    let closed = journal.closed_since(Timestamp::UNIX_EPOCH).ok()?;
    let of_one = journal.of_endpoint(&open.first()?.plan.endpoint_key).ok()?;
    Some(format!("{open:?} {closed:?} {of_one:?}"))
}

/// A world with closed rotations and one whose outcome is unknown, and its journal as one file.
fn unknown(clock: &Clock) -> (World, Vec<u8>) {
    let resume = Scenario { verb: Verb::Resume, provider: "signa", stores: FILES };
    let mut world = resume.world(clock);
    // Closes the log into the file.
    world.run("status").exits(0);
    world.remember();
    let bytes = std::fs::read(world.sandbox.state().join("journal.sqlite")).unwrap();
    (world, bytes)
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_damaged_journal_never_says_something_else() {
    let (world, whole) = unknown(&Clock::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.sqlite");
    std::fs::write(&file, &whole).unwrap();
    // The two belong together.
    std::fs::copy(world.sandbox.state().join("state-key"), folder.path().join("state-key")).unwrap();
    let said = reads(folder.path()).expect("the journal is whole");
    let (mut dice, mut tally, mut refused) = (Dice::new("damage"), Tally::default(), 0);
    let step = if is_full() { 1 } else { 29 };
    let mut places: Vec<(usize, Option<u8>)> = Vec::new();
    for at in (0..whole.len()).step_by(step) {
        places.push((at, Some(1 << dice.below(8))));
    }
    places.extend((0..whole.len()).step_by(step * 8).map(|at| (at, None)));
    for (at, bit) in places {
        let mut broken = whole.clone();
        match bit {
            Some(bit) => broken[at] ^= bit,
            None => broken.truncate(at),
        }
        for end in ["-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(folder.path().join(format!("journal.sqlite{end}")));
        }
        std::fs::write(&file, &broken).unwrap();
        tally.case(&format!("byte {at}, {bit:?}"), || match reads(folder.path()) {
            // An empty file is a journal that nobody has written to yet.
            None => {
                refused += 1;
                Ok(())
            }
            Some(says) if says == said => Ok(()),
            Some(says) => Err(format!("it says something else: {says}")),
        });
    }
    assert!(refused > 100, "only {refused} were refused");
    let cases = tally.cases;
    let figure = format!("{refused} of {cases} refused, the others say the same (seed {})", seed());
    tally.promise(24, "a journal flipped and cut, in the process", &figure);
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_damaged_journal_sends_nothing_new() {
    let (world, whole) = unknown(&Clock::new());
    let file = world.sandbox.state().join("journal.sqlite");
    let first = world.sandbox.rotate_requests().remove(0);
    let (mut dice, mut tally, mut refused, mut same) = (Dice::new("damage, run"), Tally::default(), 0, 0);
    let rounds = if is_full() { 600 } else { 60 };
    for round in 0..rounds {
        let mut broken = whole.clone();
        let at = usize::try_from(dice.below(whole.len() as u64)).unwrap();
        match round % 4 {
            0 => broken.truncate(at),
            _ => broken[at] ^= 1 << dice.below(8),
        }
        world.restore();
        std::fs::write(&file, &broken).unwrap();
        let before = world.sandbox.rotate_requests().len();
        tally.case(&format!("round {round}, byte {at}"), || {
            let line = ["cutover hooks", "status", "rotate hooks --yes", "history"][round / 4 % 4];
            let run = world.run(line);
            if !(0..=13).contains(&run.code) || run.stderr.contains("a defect in whsec") {
                return Err(format!("`{line}` exits {}: {}", run.code, run.stderr));
            }
            let requests = world.sandbox.rotate_requests();
            for sent in &requests[before..] {
                if (&sent.path, &sent.body, &sent.headers) != (&first.path, &first.body, &first.headers) {
                    return Err(format!("another request than before: {} {}", sent.path, sent.body));
                }
            }
            same += requests.len() - before;
            refused += usize::from(run.stderr.contains("is damaged, or none of whsec"));
            match world.rotations() {
                1 => Ok(()),
                made => Err(format!("{made} rotations")),
            }
        });
    }
    let figure = format!("{refused} refused, {same} calls with the very same bytes, 0 others, 0 panics");
    tally.promise(24, "a journal flipped and cut, with the binary", &figure);
}
