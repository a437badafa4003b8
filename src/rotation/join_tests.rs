//! Stores that come to a rotation under way, and what a person goes on over, by tables.

use crate::rotation::fakes::{first_word, print};
use crate::rotation::operator::Reply;
use crate::rotation::world::{World, planned};
use crate::rotation::{Direction, Event, RunError, Step, person_steps};
use crate::store::Access::{self, ReadWrite, WriteOnly};
use crate::store::{Slot, StoreError};

const ONE: &[(&str, Access)] = &[("a", ReadWrite)];
const TWO: &[(&str, Access)] = &[("a", ReadWrite), ("b", ReadWrite)];
use Direction::OverlapSwitch;

#[test]
fn a_store_that_joins_is_proved_and_gets_what_the_others_have() {
    for (last, slots, failing, came_to, recorded, after) in [
        (
            Step::Promote,
            "-o-",
            false,
            "person deploy",
            "storejoined stage@b stage:tool shown promote@b promote:tool",
            "-no -no",
        ),
        (
            Step::Promote,
            "---",
            false,
            "person deploy",
            "storejoined stage@b stage:tool shown promote@b promote:tool",
            "-no -n-",
        ),
        (
            Step::Stage,
            "-o-",
            false,
            "person deploy",
            "storejoined stage@b stage:tool shown promote@a promote@b promote:tool",
            "-no -no",
        ),
        (
            Step::Verify,
            "-o-",
            false,
            "person deploy",
            "storejoined stage@b stage:tool shown promote@b promote:tool",
            "-no -no",
        ),
        // Somebody's secret is left alone, and one that fails is one that the new secret is not yet in.
        (Step::Promote, "xo-", false, "storefailed", "", "-no xo-"),
        (Step::Promote, "-o-", true, "storefailed", "", "-no -o-"),
        (Step::Check, "-o-", true, "storecheck", "", "-o- -o-"),
    ] {
        let mut world = World::after(OverlapSwitch, ONE, last);
        world.add("b", ReadWrite, slots);
        if failing {
            world.shelves[1].fail_after(0);
        }
        let taken = world.process(|runner| runner.take_in(&[planned("b")]));
        world.shelves[1].mend();
        let found = taken.map_or_else(|error| first_word(&error), |()| world.run(None));
        let recorded = recorded.replace(" shown", "");
        assert_eq!(
            (found.as_str(), world.recorded().replace(" shown", "")),
            (came_to, recorded),
            "{last:?} {slots}: {:?}",
            world.person.heard
        );
        assert_eq!((world.slots().as_str(), world.heard("proved b")), (after, !failing && slots != "xo-"));
        if came_to.starts_with("person") {
            assert_eq!(world.rotation.before.held["b"].current, (slots != "---").then(|| print('o')));
        }
    }
}

#[test]
fn a11_a_store_that_is_emptied_while_it_is_proved_joins_once_it_is_whole_again() {
    for last in [Step::Check, Step::Promote] {
        let mut world = World::after(OverlapSwitch, ONE, last);
        world.add("b", ReadWrite, "-o-");
        *world.shelves[1].is_rewritten.lock().unwrap() = true;
        let refused = world.process(|runner| runner.take_in(&[planned("b")])).unwrap_err();
        let is_sent = last != Step::Check;
        assert!(matches!(&refused, RunError::Drift { is_sent: said, .. } if *said == is_sent), "{refused:?}");
        assert!(refused.to_string().contains("is empty and held"), "{refused}");
        assert_eq!(world.recorded(), "");
        // The other has written it.
        *world.shelves[1].is_rewritten.lock().unwrap() = false;
        world.shelves[1].put("-o-");
        world.process(|runner| runner.take_in(&[planned("b")])).unwrap();
        assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("person deploy", "-no -no"));
    }
}

#[test]
fn a_store_that_joins_gets_nothing_where_nothing_has_it_any_more() {
    let mut world = World::after(OverlapSwitch, &[("w", WriteOnly)], Step::Verify);
    world.seals.remove(world.rotation.id, None).unwrap();
    world.add("b", ReadWrite, "-o-");
    world.add("c", ReadWrite, "-o-");
    world.process(|runner| runner.take_in(&[planned("b"), planned("c")])).unwrap();
    world.journals(&[Event::StoreDone { step: Step::Stage, store: "b".to_owned() }]);
    world.shelves[1].put("-o-");
    let error = world.process(|runner| runner.nothing_to_give());
    let RunError::StoreFailed { step: Step::Stage, sealed: None, source } = &error else { panic!("{error:?}") };
    assert!(matches!(source, StoreError::Refused { store, .. } if store == "c"), "{source}: the one that lacks it");
    assert_eq!(world.run(None), "storefailed");
}

#[test]
fn a_receiver_that_is_let_go_and_comes_again_is_asked_again() {
    let url = || "https://b.test/".to_owned();
    let mut world = World::after(OverlapSwitch, ONE, Step::Promote).probing(&[("https://b.test/", "n")]);
    assert!(world.process(|runner| runner.settle_step(Step::Deploy)).unwrap());
    assert_eq!(world.rotation.unasked(), Vec::<&str>::new());
    world.journals(&[Event::ReceiverLeft { url: url(), reason: String::new() }, Event::ReceiverJoined { url: url() }]);
    assert_eq!(world.rotation.unasked(), ["https://b.test/"]);
}

#[test]
fn a_person_goes_on_over_what_is_found_now_and_once_it_is_sealed() {
    // The slots, what is named, what the provider shows; what comes of it, and what is ruled out.
    for (last, slots, named, shows, came_to, rules) in [
        (Step::Stage, "no- xo-", Some('x'), 'n', "ok", 1),
        (Step::Stage, "xo- xo-", Some('x'), 'n', "ok", 2),
        (Step::Stage, "no- xo-", Some('y'), 'n', "notdrifted", 0),
        (Step::Stage, "no- no-", Some('o'), 'n', "notdrifted", 0),
        (Step::Stage, "no- n--", None, 'n', "ok", 1),
        (Step::Stage, "no- no-", None, 'n', "notdrifted", 0),
        (Step::Promote, "-no -xo", Some('x'), 'n', "ok", 1),
        (Step::Promote, "-no -xo", Some('x'), 'x', "favoured", 0),
        (Step::Check, "xo- xo-", Some('x'), 'n', "notdrifted", 0),
    ] {
        let world = World::with(OverlapSwitch, TWO);
        world.fake().shows = &["secret"];
        let mut world = world.went_on_to(last);
        world.shelves.iter().zip(slots.split(' ')).for_each(|(shelf, letters)| shelf.put(letters));
        world.fake().secret = shows;
        let found = named.map(print);
        let result = world.process(|runner| runner.rule_out(found.as_ref(), "it is a test's"));
        let word = result.map_or_else(|error| first_word(&error), |()| "ok".to_owned());
        let case = format!("{last:?} {slots} {named:?} {shows}");
        assert_eq!((word.as_str(), world.recorded().matches("overridden").count()), (came_to, rules), "{case}");
        let is_sealed = named.is_some_and(|letter| {
            let seal = person_steps::overruled_seal(world.rotation.id, &print(letter));
            world.seals.exists(seal) && world.seals.secret_of(seal, Some(&print(letter))).is_ok()
        });
        assert_eq!(is_sealed, named.is_some() && rules > 0, "{case}");
        assert_eq!(world.heard("is kept sealed in"), is_sealed);
        if rules > 0 {
            // It does not stand in the way any more, and is no old secret.
            world.person.always = Some(Reply::Done { reason: None });
            assert_eq!(world.run(Some(Step::Promote)), "finished", "{case}: {:?}", world.person.heard);
            assert!(
                world.shelves.iter().all(|shelf| shelf.letters().get(1..2) == Some("n")),
                "{case} {}",
                world.slots()
            );
        }
    }
}

#[test]
fn what_cannot_be_sealed_or_asked_about_is_said() {
    let over = |world: &mut World| {
        let result = world.process(|runner| runner.rule_out(Some(&print('x')), "a test"));
        result.map_or_else(|error| first_word(&error), |()| "ok".to_owned())
    };
    let drifted = || {
        let world = World::after(OverlapSwitch, TWO, Step::Stage);
        world.shelves[1].put("xo-");
        world
    };
    let mut world = drifted();
    world.key = None;
    assert_eq!((over(&mut world).as_str(), world.heard("cannot be asked which secret is alive")), ("ok", true));
    let mut world = drifted();
    assert_eq!((over(&mut world).as_str(), world.heard("cannot be asked")), ("ok", false));
    let mut world = drifted();
    std::fs::remove_dir_all(world.folder().join("seals")).unwrap();
    std::fs::write(world.folder().join("seals"), "").unwrap();
    assert_eq!((over(&mut world).as_str(), world.recorded().as_str()), ("sealfailed", ""));
    // It has drifted, and is gone before it could be sealed.
    let mut world = drifted();
    let drifts = world.process(|runner| runner.drifted());
    assert_eq!((drifts.len(), drifts[0].slot), (1, Slot::Next));
    let shelf = world.shelves[1].clone();
    let mut calls = 0;
    let mut is_gone = false;
    while !is_gone && calls < 40 {
        let mut world = drifted();
        world.shelves[1].fail_after(calls);
        is_gone = over(&mut world) == "notdrifted" && world.recorded().is_empty();
        calls += 1;
    }
    assert!(is_gone && shelf.letters() == "xo-");
}
