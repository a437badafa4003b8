//! The loop that does what is next, by tables: where it stops, what it keeps, and what it takes away behind itself.

use crate::rotation::CLOCK_SET_BACK;
use crate::rotation::changed::Change;
use crate::rotation::fake_provider::Answer::{Cut, Lost, Yes};
use crate::rotation::fakes::{first_word, pass, print, secret, while_sleeping};
use crate::rotation::journal::JournalError;
use crate::rotation::operator::Reply;
use crate::rotation::person_steps::old_seal;
use crate::rotation::seal::Sealed;
use crate::rotation::world::{World, planned};
use crate::rotation::{Direction, Event, How, Outcome, RunError, Step};
use crate::store::Access::{self, Once, ReadWrite, WriteOnly};

const ONE: &[(&str, Access)] = &[("a", ReadWrite)];
use Direction::{Force, Instant, OverlapSwitch};

#[test]
fn a_seal_goes_once_nothing_depends_on_it() {
    use Step::{Deploy, Issue, Promote, Stage, Verify};
    for (stores, last, is_sealed) in [
        (&[ReadWrite][..], Issue, true),
        (&[ReadWrite], Stage, false),
        (&[ReadWrite, ReadWrite], Stage, false),
        (&[ReadWrite, WriteOnly], Stage, true),
        (&[ReadWrite, WriteOnly], Promote, false),
        (&[WriteOnly], Promote, true),
        (&[WriteOnly], Deploy, true),
        (&[WriteOnly], Verify, false),
        (&[Once], Stage, true),
        (&[Once], Promote, true),
        (&[Once], Deploy, false),
        (&[ReadWrite, Once], Promote, true),
        (&[ReadWrite, Once], Deploy, false),
        (&[WriteOnly, Once], Deploy, true),
    ] {
        let stores: Vec<_> = ["a", "b"].into_iter().zip(stores.iter().copied()).collect();
        let world = World::after(OverlapSwitch, &stores, last);
        assert_eq!(world.sealed().0, is_sealed, "{stores:?} {last:?}");
    }
    // Not where somebody has written over what was stored, nor before one that joined has it.
    for (slots, joins, is_sealed) in
        [("-no", false, false), ("no-", false, false), ("-oo", false, true), ("-no", true, true)]
    {
        let mut world = World::after(OverlapSwitch, ONE, Promote);
        world.seals.seal(world.rotation.id, &Sealed::new(None, secret('n').expose())).unwrap();
        world.shelves[0].put(slots);
        if joins {
            world.journals(&[Event::StoreJoined { store: planned("b"), held: None }]);
        }
        world.process(|runner| runner.clear_up()).unwrap();
        assert_eq!(world.sealed().0, is_sealed, "{slots} {joins}");
    }
}

#[test]
fn sealed_secrets_from_before_go_with_the_drop_or_with_the_rotation_unless_a_leak_is_not_contained() {
    let closed = || Event::Closed { outcome: Outcome::Abandoned, reason: None };
    let dropped = || Event::Done { step: Step::Drop, how: How::Tool };
    for (direction, events, is_kept) in [
        (OverlapSwitch, vec![], true),
        (OverlapSwitch, vec![dropped()], false),
        (OverlapSwitch, vec![closed()], false),
        (Force, vec![], true),
        (Force, vec![closed()], true),
        (Force, vec![dropped(), closed()], false),
    ] {
        let mut world = World::after(direction, ONE, Step::Promote);
        world.seals.seal(old_seal(world.rotation.id), &Sealed::new(None, secret('o').expose())).unwrap();
        world.journals(&events);
        world.process(|runner| runner.clear_up()).unwrap();
        assert_eq!(world.sealed().1, is_kept, "{direction:?} {events:?}");
    }
}

#[test]
fn a_signal_stops_at_the_next_safe_point_and_never_with_a_secret_that_is_only_sealed() {
    for (stop_at, recorded) in [
        ("checked", "checked"),
        ("sent1", "checked sent1 answered stage@a stage:tool"),
        ("answered", "checked sent1 answered stage@a stage:tool"),
        ("shown", "checked sent1 answered stage@a stage:tool shown"),
        ("promote:tool", "checked sent1 answered stage@a stage:tool shown promote@a promote:tool"),
        ("? deploy", "checked sent1 answered stage@a stage:tool shown promote@a promote:tool"),
    ] {
        let mut world = World::new(OverlapSwitch);
        world.person.stop_at = Some(stop_at);
        assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("stopped", recorded), "{stop_at}");
    }
}

#[test]
fn what_came_by_a_repetition_is_stored_at_once_and_goes_live_once_it_is_confirmed() {
    // What the provider is at after the answer was lost, whether it can be asked; what comes of it.
    for (version, can_look, came_to, recorded, slots) in [
        (2, true, "person deploy", "answered shown confirmed stage@a stage:tool promote@a promote:tool", "-no"),
        (2, false, "checkfailed", "answered stage@a stage:tool", "no-"),
        (3, true, "superseded", "answered closed:superseded", "-o-"),
        (1, true, "doubtful", "answered stage@a stage:tool doubted", "no-"),
    ] {
        let mut world = World::after(OverlapSwitch, ONE, Step::Check);
        world.fake().answers = [Lost].into();
        world.fake().looks = if can_look { [].into() } else { [Yes, Cut, Cut, Cut, Cut].into() };
        let fake = std::sync::Arc::clone(&world.fake);
        while_sleeping(move || fake.lock().unwrap().version = version);
        let found = world.run(None);
        assert_eq!(
            (found.as_str(), world.recorded()),
            (came_to, format!("checked sent1 lost sent2 {recorded}")),
            "{version}"
        );
        assert_eq!(world.slots(), slots);
    }
}

#[test]
fn what_only_asks_after_a_repetition_asks_once_the_stores_have_what_came() {
    let mut world = World::with(OverlapSwitch, ONE);
    world.fake().shows = &["updated_at"];
    world.fake().answers = [Lost].into();
    let fake = std::sync::Arc::clone(&world.fake);
    while_sleeping(move || fake.lock().unwrap().updated_at = "2026-11-20T14:00:00Z".to_owned());
    let recorded = "checked sent1 lost sent2 answered stage@a stage:tool doubted";
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("doubtful", recorded));
    // Others have seen meanwhile that it is ours: that is on record once.
    world.forget();
    world.person.replies = [Reply::Done { reason: Some("a name was given".to_owned()) }].into();
    let others = world.others(vec![Event::Confirmed]);
    world.person.others.push_back(others);
    let recorded = "overridden shown promote@a promote:tool";
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("person deploy", recorded));
}

#[test]
fn what_the_config_names_by_now_is_looked_for_before_it_is_done() {
    let store = || Change::StoreJoined { store: "b".to_owned() };
    let receiver = || Change::ReceiverJoined { url: "https://b.test/".to_owned() };
    for (joined, came_to, recorded) in [
        (vec![], "finished", "closed:done"),
        (vec![store()], "lacking", ""),
        (vec![receiver()], "person deploy", "receiverjoined"),
        (vec![receiver(), store()], "lacking", "receiverjoined"),
    ] {
        let mut world = World::after(OverlapSwitch, ONE, Step::Drop);
        world.person.joined = joined.clone();
        assert_eq!((world.run(None).as_str(), world.recorded().as_str()), (came_to, recorded), "{joined:?}");
    }
    let mut world = World::after(OverlapSwitch, ONE, Step::Drop);
    world.run(None);
    world.person.joined = vec![store()];
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("finished", "closed:done"), "it is over");
}

#[test]
fn the_wait_is_watched_until_somebody_moves_it_or_the_clock_has_come_to_its_end() {
    let mut world = World::after(OverlapSwitch, ONE, Step::Verify);
    assert_eq!((world.run(None).as_str(), world.person.heard.last().unwrap().as_str()), ("clock", "? watch 86401"));
    // It is nearer by the provider's clock.
    world.fake().ahead = [86_400].into();
    assert_eq!((world.run(None).as_str(), world.person.heard.last().unwrap().as_str()), ("clock", "? watch 1"));
    world.fake().ahead = [86_401].into();
    world.forget();
    assert_eq!(world.run(Some(Step::Wait)), "finished");
    assert!(world.recorded().ends_with("wait:clock") && !world.heard("? watch"), "{:?}", world.person.heard);
    // Watched to its end, or until others move it.
    let mut world = World::after(OverlapSwitch, ONE, Step::Verify);
    world.person.replies = [Reply::Done { reason: None }].into();
    assert_eq!(world.run(Some(Step::Wait)), "finished");
    let mut world = World::after(OverlapSwitch, ONE, Step::Verify);
    world.person.replies = [Reply::Done { reason: None }].into();
    let others = world.others(vec![Event::Closed { outcome: Outcome::Done, reason: None }]);
    world.person.others.push_back(others);
    assert_eq!((world.run(None).as_str(), world.heard("moved")), ("finished", true));
}

#[test]
fn what_is_said_at_the_end_is_what_others_have_made_of_it() {
    for (events, stop_at, came_to) in [
        (vec![], None, "person deploy"),
        (vec![Event::Closed { outcome: Outcome::Abandoned, reason: None }], None, "finished"),
        (vec![], Some("? deploy"), "stopped"),
    ] {
        let mut world = World::after(OverlapSwitch, ONE, Step::Promote);
        world.person.stop_at = stop_at;
        let closes = !events.is_empty();
        let others = world.others(events);
        world.person.others.push_back(if closes { others } else { Box::new(|_| {}) });
        assert_eq!(world.run(None), came_to);
    }
}

#[test]
fn a_clock_that_was_set_back_is_said() {
    for (seconds, is_said) in [(0, false), (-5, false), (-6, true)] {
        let mut world = World::after(OverlapSwitch, ONE, Step::Promote);
        pass(seconds);
        world.run(None);
        assert_eq!(world.heard(CLOCK_SET_BACK), is_said, "{seconds}");
    }
}

#[test]
fn a_new_secret_that_has_leaked_goes_live_only_for_a_reason() {
    let reason = || Reply::Done { reason: Some("for an hour".to_owned()) };
    for (reply, came_to, recorded, slots) in [
        (None, "doubtful", "", "no-"),
        (Some(Reply::NotNow), "doubtful", "", "no-"),
        (Some(reason()), "person deploy", "overridden promote@a promote:tool", "-no"),
    ] {
        let mut world = World::after(OverlapSwitch, ONE, Step::Stage);
        world.journals(&[Event::LeakDeclared { reason: "a log".to_owned(), leaked: [print('n')].into() }]);
        world.forget();
        world.person.replies = reply.into_iter().collect();
        assert_eq!(
            (world.run(None).as_str(), world.recorded().as_str(), world.slots().as_str()),
            (came_to, recorded, slots)
        );
    }
    // Whoever said so finds that others have done it.
    let mut world = World::after(OverlapSwitch, ONE, Step::Stage);
    world.journals(&[Event::LeakDeclared { reason: "a log".to_owned(), leaked: [print('n')].into() }]);
    world.forget();
    world.person.replies = [reason()].into();
    let done = [
        Event::StoreDone { step: Step::Promote, store: "a".to_owned() },
        Event::Done { step: Step::Promote, how: How::Tool },
    ];
    let (others, shelf) = (world.others(done.to_vec()), world.shelves[0].clone());
    world.person.others.push_back(Box::new(move |folder| {
        others(folder);
        shelf.put("-no");
    }));
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("person deploy", ""));
}

#[test]
fn the_new_secret_is_found_in_this_process_the_seal_or_a_store() {
    // What this process has, what the seal and the slots hold; what is found.
    for (arrived, sealed, slots, found) in [
        (Some('n'), None, "-o-", Some('n')),
        (None, Some('n'), "-o-", Some('n')),
        (None, Some('x'), "no-", Some('n')),
        (None, None, "no-", Some('n')),
        (None, None, "-no", Some('n')),
        (None, None, "on-", Some('n')),
        (None, None, "-on", None),
        (None, Some('x'), "xo-", None),
    ] {
        let mut world = World::after(OverlapSwitch, ONE, Step::Issue);
        world.seals.remove(world.rotation.id, None).unwrap();
        sealed.iter().for_each(|letter| {
            world.seals.seal(world.rotation.id, &Sealed::new(None, secret(*letter).expose())).unwrap();
        });
        world.shelves[0].put(slots);
        let result = world.process(|runner| {
            runner.arrived = arrived.map(secret);
            runner.secret().ok()
        });
        assert!(result == found.map(secret), "{arrived:?} {sealed:?} {slots}");
    }
}

#[test]
fn a_sealed_secret_that_is_gone_is_asked_for_again_and_one_that_does_not_open_is_not() {
    let mut world = World::after(OverlapSwitch, ONE, Step::Issue);
    world.seals.remove(world.rotation.id, None).unwrap();
    assert_eq!(world.run(None), "person deploy");
    assert!(world.recorded().starts_with("lost sent2 answered"), "{}", world.recorded());
    let mut world = World::after(OverlapSwitch, ONE, Step::Issue);
    std::fs::write(world.seals.path(world.rotation.id), "no seal").unwrap();
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("sealfailed", ""));
}

#[test]
fn a_secret_is_stored_where_a_slot_has_it_or_a_blind_store_has_taken_it() {
    let staged = |store: &str| Event::StoreDone { step: Step::Stage, store: store.to_owned() };
    for (access, slots, events, is_stored) in [
        (ReadWrite, "no-", vec![], true),
        (ReadWrite, "-no", vec![], true),
        (ReadWrite, "-on", vec![staged("a")], false),
        (WriteOnly, "no-", vec![], false),
        (WriteOnly, "-o-", vec![staged("a")], true),
        (Once, "-o-", vec![staged("a")], true),
        (Once, "-o-", vec![staged("b")], false),
    ] {
        let mut world = World::after(OverlapSwitch, &[("a", access)], Step::Issue);
        world.journals(&events);
        world.shelves[0].put(slots);
        let answered = world.rotation.answered().unwrap().clone();
        assert_eq!(world.process(|runner| runner.is_stored(&answered)), is_stored, "{access:?} {slots} {events:?}");
    }
}

#[test]
fn a_journal_that_fails_says_what_became_of_the_secret() {
    for (last, events, expected) in [
        (Step::Check, vec![], "journal"),
        (Step::Check, vec![Event::Sent { attempt: 1, digest: String::new(), key: None }], "notrecorded false"),
        (Step::Check, vec![Event::Unreadable { status: 200, why: String::new() }], "notrecorded false"),
        (Step::Issue, vec![], "notrecorded true"),
    ] {
        let mut world = World::after(OverlapSwitch, ONE, last);
        world.journals(&events);
        let path = world.folder().to_owned();
        let error = world.process(|runner| runner.unrecorded(JournalError::Gone { path }));
        let found = match &error {
            RunError::NotRecorded { is_answered, .. } => format!("notrecorded {is_answered}"),
            error => first_word(error),
        };
        assert_eq!(found, expected);
    }
    let mut world = World::after(OverlapSwitch, ONE, Step::Check);
    let error = world.process(|runner| runner.answered().err()).unwrap();
    assert!(matches!(error, RunError::Lost { replayable: false, .. }), "{error:?}");
}

#[test]
fn what_others_put_into_a_slot_stops_a_run_unless_each_store_goes_alone() {
    for (direction, came_to, slots) in [(OverlapSwitch, "drift", "no- xo-"), (Instant, "drift", "-no xo-")] {
        let mut world = World::after(direction, &[("a", ReadWrite), ("b", ReadWrite)], Step::Stage);
        world.shelves[1].put("xo-");
        assert_eq!((world.run(None).as_str(), world.slots().as_str()), (came_to, slots), "{direction:?}");
    }
    // Each run begins with what was proved before the call, and ends at once where the step asked for is done.
    let mut world = World::after(OverlapSwitch, ONE, Step::Promote);
    assert_eq!((world.run(Some(Step::Stage)).as_str(), world.person.heard.len()), ("finished", 0));
}
