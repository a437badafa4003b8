//! What slots and provider show, by tables: what is taken for a rotation and what is refused, and how each kind goes on from there.

use std::time::Duration;

use super::*;
use crate::rotation::fakes::{Shelf, pass, print, secret};
use crate::rotation::operator::Reply;
use crate::rotation::tests::{noon, time};
use crate::rotation::world::World;
use crate::rotation::{Direction, Next, Rotation};

fn shelves(letters: &[&str]) -> Vec<Shelf> {
    let shelf = |(name, letters): (&str, &&str)| {
        let mut shelf = Shelf::new(name, if letters.starts_with('!') { Access::WriteOnly } else { Access::ReadWrite });
        shelf.keeps_history = letters.starts_with('+');
        shelf.put(letters.trim_start_matches(['+', '!']));
        shelf
    };
    ["a", "b", "c"].into_iter().zip(letters).map(shelf).collect()
}

fn looked(letters: &[&str]) -> Result<Found, Unfit> {
    let stores: Vec<Box<dyn Store>> =
        shelves(letters).into_iter().map(|shelf| Box::new(shelf) as Box<dyn Store>).collect();
    look(&stores)
}

#[test]
fn only_slots_that_admit_of_one_reading_are_taken_for_a_rotation() {
    // `next`, `current` and `previous` of each store; `+` keeps history, `!` cannot be read.
    for (letters, expected) in [
        (&["no-"][..], "next"),
        (&["-no"], "live"),
        (&["noo"], "next"),
        (&["no-", "no-"], "next"),
        (&["-no", "-no"], "live"),
        (&["+nox"], "next"),
        (&["+nox", "no-"], "next"),
        (&["+-no", "-no"], "live"),
        (&["-o-"], "nothing"),
        (&["n--"], "nothing"),
        (&["---"], "nothing"),
        (&["--o"], "nothing"),
        (&["-oo"], "nothing"),
        (&["-o-", "-o-"], "nothing"),
        (&["+-no"], "history"),
        (&["+-no", "+-no"], "history"),
        (&["nn-"], "same"),
        (&["nno"], "same"),
        (&["nox"], "three"),
        (&["n-o"], "three"),
        (&["no-", "-no"], "differ"),
        (&["no-", "-o-"], "differ"),
        (&["no-", "---"], "differ"),
        (&["no-", "xo-"], "differ"),
        (&["no-", "nx-"], "differ"),
        (&["-no", "-nx"], "differ"),
        (&["+-nx", "-no"], "differ"),
        (&["no-", "!no-"], "unreadable"),
    ] {
        let found = match looked(letters) {
            Ok(found) => {
                assert_eq!(found.new_secret(), print('n'), "{letters:?}");
                assert!(found.held.values().all(|held| held.current == Some(print('o')) && held.next.is_none()));
                if found.is_live { "live" } else { "next" }
            }
            Err(Unfit::Nothing { .. }) => "nothing",
            Err(Unfit::History { .. }) => "history",
            Err(Unfit::Same { .. }) => "same",
            Err(Unfit::Three { .. }) => "three",
            Err(Unfit::Differ { .. }) => "differ",
            Err(Unfit::Unreadable { .. }) => "unreadable",
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found, expected, "{letters:?}");
    }
}

#[test]
fn a_store_that_fails_is_no_empty_one() {
    let shelf = shelves(&["no-"]).remove(0);
    for calls in 0..3 {
        shelf.fail_after(calls);
        assert!(matches!(look(&[Box::new(shelf.clone())]), Err(Unfit::Store(_))), "{calls}");
    }
}

#[test]
fn what_the_provider_shows_may_not_speak_against_it() {
    let masked = |letter: char| Inspected {
        fingerprint: Some(format!("****{}", letter.to_string().repeat(4))),
        ..Inspected::default()
    };
    let whole = |letter| Inspected { secret: Some(secret(letter)), ..Inspected::default() };
    for letters in ["no-", "-no"] {
        let found = looked(&[letters]).unwrap();
        let word = |shown: &Inspected| match found.stands_beside(shown, "Fake") {
            Ok(()) => "fits",
            Err(Unfit::NotRotated { .. }) => "not rotated",
            Err(Unfit::Another { .. }) => "another",
            Err(other) => panic!("{other}"),
        };
        for (shown, expected) in [
            (Inspected::default(), "fits"),
            (whole('n'), "fits"),
            (whole('o'), "not rotated"),
            (whole('x'), "another"),
            (masked('n'), "fits"),
            (masked('o'), "not rotated"),
            // It may be the end of a digest.
            (masked('x'), "fits"),
            (Inspected { fingerprint: Some("oooo".to_owned()), ..Inspected::default() }, "fits"),
        ] {
            assert_eq!(word(&shown), expected, "{letters} {shown:?}");
        }
    }
}

#[test]
fn the_old_secret_ends_as_the_provider_says_and_else_none_too_early() {
    let plan = World::new(Direction::OverlapEither).rotation.plan.clone();
    let found = looked(&["no-"]).unwrap();
    let date = |text: &str| Inspected { date: Some(time(text)), ..Inspected::default() };
    let ends = |text: &str, end: &str| Inspected { old_expires_at: Some(time(end)), ..date(text) };
    let (today, tomorrow) = ("2026-11-20T12:00:00Z", "2026-11-21T12:00:01Z");
    for (shown, end, source) in [
        (Inspected::default(), "2026-11-21T12:00:00Z", ExpirySource::Documented),
        (date(today), tomorrow, ExpirySource::Documented),
        // The provider's clock counts, not ours.
        (date("2026-11-20T13:00:00Z"), "2026-11-21T13:00:01Z", ExpirySource::Documented),
        (ends(today, "2026-11-20T20:00:00Z"), "2026-11-20T20:00:00Z", ExpirySource::Provider),
        (ends(today, "2026-11-19T20:00:00Z"), "2026-11-19T20:00:00Z", ExpirySource::Provider),
        (ends(today, "2999-01-01T00:00:00Z"), tomorrow, ExpirySource::Documented),
    ] {
        let answered = found.answered(&plan, &shown, noon());
        assert_eq!((answered.expires_at, answered.expires_source), (Some(time(end)), source), "{shown:?}");
    }
    let mut silent = plan.clone();
    silent.overlap = None;
    let answered = found.answered(&silent, &date(today), noon());
    assert_eq!((answered.expires_at, answered.expires_source), (None, ExpirySource::Unknown), "nobody says");
    let dead = World::new(Direction::Instant).rotation.plan.clone();
    let answered = found.answered(&dead, &ends(today, tomorrow), noon());
    assert_eq!((answered.expires_at, answered.expires_source), (None, ExpirySource::Call));
}

/// A world in which the slots are all that is left of a rotation, which is adopted.
fn adopted(mut world: World, letters: &str) -> World {
    world.shelves.iter().for_each(|shelf| shelf.put(letters));
    let (stores, shown) = (world.boxed(), Inspected { date: Some(noon()), ..Inspected::default() });
    let found = look(&stores).unwrap();
    let plan = &world.rotation.plan;
    found.suits(plan, "Fake").unwrap();
    let plan = found.left_of(plan.clone());
    let answered = found.answered(&plan, &shown, noon());
    let events = found.events(&answered, &Evidence::from(&shown), Some("its runner is gone"));
    world.rotation = Rotation::new(world.rotation.id, plan, noon());
    world.journals(&events);
    world.fake().secret = 'n';
    world
}

const ALL: [Direction; 8] = [
    Direction::OverlapEither,
    Direction::OverlapSwitch,
    Direction::Instant,
    Direction::Force,
    Direction::Contain,
    Direction::UntilEnded,
    Direction::Set,
    Direction::SetSwitch,
];

#[test]
fn every_kind_goes_on_to_its_end_and_asks_for_whatever_nobody_sees() {
    for direction in ALL {
        for letters in ["no-", "-no"] {
            if direction.is_set() && letters == "no-" {
                continue;
            }
            let mut world = adopted(World::new(direction), letters);
            let known = world.journal.find(&world.rotation.plan.endpoint_key, world.rotation.id).unwrap().unwrap();
            assert_eq!((&known.adopted, &known.done), (&world.rotation.adopted, &world.rotation.done));
            assert_eq!(known.adopted.as_ref().and_then(|proof| proof.reason()), Some("its runner is gone"));
            let is_due = |step| !world.rotation.done.contains_key(&step);
            assert!([Step::Deploy, Step::Verify, Step::Drop].into_iter().all(is_due), "{direction:?} {letters}");
            let next = world.rotation.next(noon());
            let goes_live = letters == "no-" && ![Direction::OverlapEither, Direction::UntilEnded].contains(&direction);
            let first = if goes_live { Next::Run(Step::Promote) } else { Next::Ask(Step::Deploy) };
            assert_eq!(next, first, "{direction:?} {letters}");
            world.person.recorded.clear();
            world.person.always = Some(Reply::Done { reason: None });
            let came_to = world.run(None);
            assert_eq!(
                (came_to.as_str(), world.slots().as_str()),
                ("finished", "-n-"),
                "{direction:?}: {:?}",
                world.person.heard
            );
            let recorded = world.recorded();
            assert!(recorded.contains("deploy:word") && recorded.contains("verify:word"), "{direction:?}: {recorded}");
            assert_eq!(recorded.contains("wait:clock"), !direction.ends_old_secret(), "{direction:?}: {recorded}");
            assert!(!recorded.contains("sent") && !world.fake().calls.contains(&"rotate"), "{direction:?}: {recorded}");
        }
    }
}

#[test]
fn nothing_of_an_adopted_rotation_is_ever_sent_again() {
    for direction in [Direction::OverlapEither, Direction::OverlapSwitch, Direction::Instant] {
        let mut world = adopted(World::new(direction), "no-");
        assert_eq!((&world.rotation.plan.idempotency_key, world.rotation.plan.key_window), (&None, None));
        // Somebody has taken the new secret out of its slot, and no other place has it.
        world.shelves[0].put("-o-");
        let came_to = world.run(None);
        assert!(!world.recorded().contains("sent"), "{direction:?} {came_to}: {}", world.recorded());
        assert_eq!((world.fake().version, world.slots().as_str()), (1, "-o-"), "{direction:?} {came_to}");
    }
}

#[test]
fn a_kind_of_which_the_journal_alone_knew_something_is_not_adopted() {
    for direction in [Direction::Set, Direction::SetSwitch] {
        let plan = World::new(direction).rotation.plan.clone();
        assert!(matches!(looked(&["no-"]).unwrap().suits(&plan, "Fake"), Err(Unfit::Ours { .. })));
        assert!(looked(&["-no"]).unwrap().suits(&plan, "Fake").is_ok(), "it went live once the provider had it");
    }
    let plan = World::replacing().rotation.plan.clone();
    for letters in ["no-", "-no"] {
        assert!(matches!(looked(&[letters]).unwrap().suits(&plan, "Fake"), Err(Unfit::Second { .. })));
    }
}

#[test]
fn an_end_that_is_counted_from_the_adoption_is_waited_for() {
    let mut world = adopted(World::new(Direction::OverlapSwitch), "-no");
    world.rotation.plan.overlap = Some(Duration::from_secs(86_400));
    world.person.replies.extend([Reply::Done { reason: None }, Reply::Done { reason: None }]);
    assert_eq!(world.run(None), "clock");
    assert_eq!((world.slots().as_str(), world.rotation.step()), ("-no", Some(Step::Wait)));
    pass(86_500);
    world.person.always = Some(Reply::Done { reason: None });
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("finished", "-n-"));
}
