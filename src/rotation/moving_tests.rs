//! Rotations that go from one journal to another and back, and what is refused.

use super::super::teams::{add, begin, filled, said, shared};
use super::super::tests::{events, noon};
use super::super::world::planned;
use super::super::{Direction, Event, Step, left};
use super::*;
use crate::documents::Memory;

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
    left::leave(folder.path(), "s3://there").unwrap();
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
    moved.say_moved(Some("local")).unwrap();
    moved.close_heads("local").unwrap();
    let error = super::super::teams::lease(&before, &open.plan.endpoint_key, "ana").unwrap_err().to_string();
    assert!(error.contains("has moved to `local`"), "{error}");
    let refused = Journal::Shared(before).append(&mut open, "ana@box", noon(), &[Event::Confirmed]).unwrap_err();
    assert!(refused.to_string().contains("has moved to `local`"), "{refused}");
    let later = Shared::open(memory.open(), None, &super::super::teams::envelope(), "identity").unwrap_err();
    assert!(later.to_string().contains("has moved to `local`"), "{later}");
}

/// A store that joined on this machine is on it still, and is known to be once other machines may go on.
#[test]
fn a_store_that_joined_is_bound_to_its_machine_as_one_of_the_plan_is() {
    let folder = tempfile::tempdir().unwrap();
    let (local, mut open, _) = filled(folder.path());
    let joined = PlannedStore { server: None, ..planned("b") };
    add(&local, &mut open, Event::StoreJoined { store: joined, held: None });
    let mut recorded = Recorded::of(&local).unwrap();
    let before = format!("{recorded:?}");
    recorded.bind(|store| store.server = Some("host:box".to_owned()));
    let there = Journal::Shared(shared(&Memory::default()));
    recorded.take_into(&there).unwrap();
    let all = there.of_endpoint(&open.plan.endpoint_key).unwrap();
    let it = all.iter().find(|it| it.id == open.id).unwrap();
    let bound = it.plan.stores.iter().map(|store| store.server.as_deref()).collect::<Vec<_>>();
    assert!(!bound.is_empty() && bound.iter().all(|server| *server == Some("host:box")), "{bound:?}");
    recorded.bind(|store| store.server = None);
    assert_eq!(format!("{recorded:?}"), before);
}
