//! The way back, by tables: where it leads, and everything that stands in it.

use crate::rotation::fake_provider::Answer::Off;
use crate::rotation::fakes::{first_word, now, pass};
use crate::rotation::tests::answered;
use crate::rotation::world::World;
use crate::rotation::{Answered, Direction, Event, Evidence, Outcome, Rotation, RunError, Step};
use crate::store::Access::{self, Once, ReadWrite, WriteOnly};
use uuid::Uuid;

const TWO: &[(&str, Access)] = &[("a", ReadWrite), ("b", ReadWrite)];

/// What comes of it: a word, with the reason why there is no way back.
fn back(world: &mut World) -> String {
    match world.process(|runner| runner.roll_back(Some("it fails".to_owned()))) {
        Ok(()) => "ok".to_owned(),
        Err(RunError::NoWayBack { why, only_forward }) => {
            format!("{}{why}", if only_forward { "forward: " } else { "" })
        }
        Err(error) => first_word(&error),
    }
}

#[test]
fn the_old_secret_goes_back_into_every_store_or_into_none() {
    for (last, slots, failing, came_to, after) in [
        (Step::Deploy, "-no -no", "", "ok", "no- no-"),
        (Step::Promote, "-no -no", "", "ok", "no- no-"),
        // Cut off while it went forward, or back.
        (Step::Stage, "-no no-", "", "ok", "no- no-"),
        (Step::Deploy, "-no no-", "", "ok", "no- no-"),
        (Step::Deploy, "-no noo", "", "ok", "no- no-"),
        (Step::Stage, "no- no-", "", "it has not been replaced yet, so the live slot holds it still", "no- no-"),
        (Step::Issue, "-o- -o-", "", "it has not been replaced yet, so the live slot holds it still", "-o- -o-"),
        (Step::Check, "-o- -o-", "", "nothing has been rotated, so the live slot holds it still", "-o- -o-"),
        // What somebody else has put there is not moved, and a store without the old one has no way back.
        (Step::Deploy, "-no -xo", "", "drift", "-no -xo"),
        (Step::Deploy, "-no xno", "", "drift", "-no xno"),
        (Step::Deploy, "-no -nx", "", "drift", "-no -nx"),
        (Step::Deploy, "-no -n-", "", "storefailed", "-no -n-"),
        (Step::Deploy, "-no -no", "b", "storefailed", "-no -no"),
    ] {
        let mut world = World::after(Direction::OverlapSwitch, TWO, last);
        world.shelves.iter().zip(slots.split(' ')).for_each(|(shelf, letters)| shelf.put(letters));
        if !failing.is_empty() {
            world.shelves[1].fail_after(0);
        }
        let found = back(&mut world);
        world.shelves[1].mend();
        assert_eq!(
            (found.as_str(), world.slots().as_str()),
            (came_to, after),
            "{last:?} {slots}: {:?}",
            world.person.heard
        );
        assert_eq!(world.recorded(), if came_to == "ok" { "rolledback" } else { "" });
        if came_to == "ok" {
            assert_eq!(world.rotation.step(), Some(Step::Promote));
            assert_eq!(world.rotation.taken_back().map(ToString::to_string).as_deref(), Some("ana@box (it fails)"));
        }
    }
}

#[test]
fn there_is_no_way_back_to_a_secret_that_is_dead_or_dies_this_minute() {
    // The old one lives until a day and a second after noon.
    let end = 86_401;
    for (direction, seconds, came_to) in [
        (Direction::OverlapSwitch, 0, "ok"),
        (Direction::OverlapSwitch, end - 61, "ok"),
        (Direction::OverlapSwitch, end - 60, "the provider honours it for less than a minute"),
        (Direction::OverlapSwitch, end - 1, "the provider honours it for less than a minute"),
        (Direction::OverlapSwitch, end, "the provider no longer honours it"),
        (Direction::Instant, 0, "forward: it died with the call, so receivers that use it would refuse every delivery"),
        (Direction::Force, 0, "forward: it died with the call, so receivers that use it would refuse every delivery"),
    ] {
        let mut world = World::after(direction, TWO, Step::Promote);
        pass(seconds);
        assert_eq!(back(&mut world), came_to, "{direction:?} {seconds}");
    }
    // By the provider's clock, where it can be asked.
    let mut world = World::after(Direction::OverlapSwitch, TWO, Step::Promote);
    world.fake().ahead = [end].into();
    assert_eq!(back(&mut world), "the provider no longer honours it");
    let mut world = World::after(Direction::OverlapSwitch, TWO, Step::Promote);
    world.fake().looks = [Off].into();
    assert_eq!(back(&mut world), "ok");
    assert!(world.heard("the provider's clock cannot be asked"));
    let mut world = World::after(Direction::OverlapSwitch, TWO, Step::Promote);
    assert_eq!((back(&mut world).as_str(), world.heard("cannot be asked")), ("ok", false));
    // What was dead before is dead.
    let mut world = World::after(Direction::OverlapSwitch, TWO, Step::Promote);
    world.rotation.before.dead_since = Some(now());
    assert_eq!(back(&mut world), "forward: the provider no longer honours it");
}

#[test]
fn an_unknown_call_is_found_out_first() {
    let mut world = World::after(Direction::OverlapSwitch, TWO, Step::Check);
    world.journals(&[Event::Sent { attempt: 1, digest: String::new(), key: None }]);
    assert_eq!(back(&mut world), "lost");
}

#[test]
fn what_an_earlier_rotation_had_replaced_is_not_put_back() {
    let replaced = "an earlier rotation had replaced it at the provider already";
    // What the other found live, whether it was answered, and what ours found live.
    for (theirs, is_answered, ours, came_to) in [
        (Some('o'), true, Some('o'), replaced),
        (Some('o'), false, Some('o'), "ok"),
        (Some('x'), true, Some('o'), "ok"),
        (None, true, None, "ok"),
    ] {
        let print = |letter: Option<char>| letter.map(crate::rotation::fakes::print);
        let world = World::with(Direction::OverlapSwitch, TWO);
        let mut other = Rotation::new(Uuid::new_v4(), world.rotation.plan.clone(), now());
        let mut events = vec![Event::Checked { before: Evidence { current: print(theirs), ..Evidence::default() } }];
        let over = Answered { expires_at: Some(now()), ..answered(Direction::OverlapSwitch) };
        events.extend(is_answered.then_some(Event::Answered(over)));
        events.push(Event::Closed { outcome: Outcome::Abandoned, reason: None });
        world.journal.append(&mut other, "ben@box", now(), &events).unwrap();
        let mut world = world.went_on_to(Step::Promote);
        world.rotation.before.current = print(ours);
        world.rotation.before.dead_since = None;
        assert_eq!(back(&mut world), came_to, "{theirs:?} {is_answered} {ours:?}");
    }
}

#[test]
fn a_store_that_gives_nothing_back_has_no_way_back_and_a_pipe_needs_none() {
    for (access, came_to, after) in [(WriteOnly, "storefailed", "-no -n-"), (Once, "ok", "no- no-")] {
        let mut world = World::after(Direction::OverlapSwitch, &[("a", ReadWrite), ("w", access)], Step::Promote);
        assert_eq!(back(&mut world), came_to);
        assert_eq!(
            world.slots(),
            if access == Once { format!("no- {}", world.shelves[1].letters()) } else { after.to_owned() }
        );
    }
}
