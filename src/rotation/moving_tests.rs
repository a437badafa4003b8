//! Rotations that go from one journal to another and back, and what is refused.

use super::super::teams::shared;
use super::super::tests::{events, noon, rotation};
use super::super::{Direction, Event, Outcome, Rotation, Step};
use super::*;
use crate::documents::Memory;

fn begin(journal: &Journal, direction: Direction, replaces: Option<Uuid>) -> Rotation {
    let mut it = rotation(direction);
    (it.id, it.plan.replaces) = (Uuid::new_v4(), replaces);
    journal.append(&mut it, "ana@box", noon(), &events(direction, Step::Check)).unwrap();
    it
}

fn add(journal: &Journal, it: &mut Rotation, event: Event) {
    journal.append(it, "ana@box", noon(), &[event]).unwrap();
}

/// What can be asked of a journal.
fn said(journal: &Journal, endpoint: &str) -> String {
    let plans = |rotations: Vec<Rotation>| {
        let of = |it: &Rotation| (it.id, it.closed.clone(), it.done.clone(), it.call.clone(), it.plan.replaces);
        format!("{:?}", rotations.iter().map(of).collect::<Vec<_>>())
    };
    let closed = journal.closed_since(noon()).unwrap();
    [journal.of_endpoint(endpoint), journal.open_of(endpoint), journal.standing_of(endpoint), Ok(closed)]
        .map(|asked| plans(asked.unwrap()))
        .join("\n")
}

/// Four that are over, one that is open and one that stands beside it.
fn filled(folder: &std::path::Path) -> (Journal, Rotation, Rotation) {
    let journal = Journal::open(folder).unwrap();
    for _ in 0..4 {
        let mut over = begin(&journal, Direction::OverlapEither, None);
        for step in [Step::Issue, Step::Stage] {
            events(Direction::OverlapEither, step).into_iter().for_each(|event| add(&journal, &mut over, event));
        }
        add(&journal, &mut over, Event::Closed { outcome: Outcome::Done, reason: None });
    }
    let open = begin(&journal, Direction::OverlapEither, None);
    let beside = begin(&journal, Direction::Force, Some(open.id));
    (journal, open, beside)
}

#[test]
fn all_that_can_be_asked_is_the_same_at_the_other_place_and_back_again() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (local, open, mut beside) = filled(folder.path());
    let endpoint = open.plan.endpoint_key.clone();
    let memory = Memory::default();
    let there = Journal::Shared(shared(&memory));
    let recorded = Recorded::of(&local).unwrap();
    assert_eq!(recorded.len(), 6);
    for _ in 0..2 {
        recorded.take_into(&there).unwrap();
        assert_eq!(said(&there, &endpoint), said(&local, &endpoint));
    }
    there.verify().unwrap();
    Journal::leave(folder.path(), "s3://there").unwrap();
    // Whoever has it open, and whoever comes later.
    let refused = local.append(&mut beside.clone(), "ana@box", noon(), &[Event::Confirmed]).unwrap_err().to_string();
    assert!(refused.contains("has moved to `s3://there`"), "{refused}");
    assert!(Journal::open(folder.path()).is_err() && Journal::open_to_look(folder.path()).is_err());
    // There it goes on, and comes back to the folder that knows an earlier state, and into one that knows nothing.
    for event in events(Direction::Force, Step::Issue) {
        add(&there, &mut beside, event);
    }
    let recorded = Recorded::of(&there).unwrap();
    for folder in [folder.path(), other.path()] {
        let back = Journal::open_though_moved(folder).unwrap();
        recorded.take_into(&back).unwrap();
        assert_eq!(said(&back, &endpoint), said(&there, &endpoint));
        back.verify().unwrap();
    }
}

#[test]
fn an_endpoint_that_has_another_past_there_is_left_alone() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (local, open, _) = filled(folder.path());
    let memory = Memory::default();
    let there = Journal::Shared(shared(&memory));
    let elsewhere = Journal::open(other.path()).unwrap();
    for journal in [&there, &elsewhere] {
        begin(journal, Direction::OverlapEither, None);
        let before = said(journal, &open.plan.endpoint_key);
        let refused = Recorded::of(&local).unwrap().take_into(journal).unwrap_err();
        assert!(matches!(refused, NotTakenIn::Known { .. }), "{refused:?}");
        assert_eq!(said(journal, &open.plan.endpoint_key), before);
    }
}

/// Who had read a shared journal before it moved begins nothing there, and goes on with nothing.
#[test]
fn a_shared_journal_that_has_moved_lets_nobody_act() {
    let memory = Memory::default();
    let (before, moved) = (shared(&memory), shared(&memory));
    let mut open = begin(&Journal::Shared(before.clone()), Direction::OverlapEither, None);
    moved.leave_for("local").unwrap();
    let error = super::super::teams::lease(&before, &open.plan.endpoint_key, "ana").unwrap_err().to_string();
    assert!(error.contains("has moved to `local`"), "{error}");
    let refused = Journal::Shared(before).append(&mut open, "ana@box", noon(), &[Event::Confirmed]).unwrap_err();
    assert!(refused.to_string().contains("has moved to `local`"), "{refused}");
    let later = Shared::open(memory.open(), None, &super::super::teams::envelope(), "identity").unwrap_err();
    assert!(later.to_string().contains("has moved to `local`"), "{later}");
}
