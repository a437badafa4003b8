//! Stage, promote and retire in several stores, by tables: what they hold, which of them fail, and what is changed then. And
//! what stands between two changes: what drifted, and what was lost.

use crate::rotation::drift::Act;
use crate::rotation::fakes::{first_word, print, secret};
use crate::rotation::world::World;
use crate::rotation::{Direction, Event, Next, Outcome, Overruled, RunError, Step};
use crate::secret::Secret;
use crate::store::Access::{Once, ReadWrite, WriteOnly};
use crate::store::{Access, Slot};

const TWO: &[(&str, Access)] = &[("a", ReadWrite), ("b", ReadWrite)];
use Direction::{Instant, OverlapSwitch};

/// Does it with these slots, and with the stores failing that are named; what came of it, what was recorded, and the slots.
fn does(world: &mut World, slots: &str, failing: &str, act: fn(&mut World) -> Result<(), RunError>) -> [String; 3] {
    for (shelf, letters) in world.shelves.iter().zip(slots.split(' ')) {
        shelf.put(letters);
        if failing.contains(&shelf.name) {
            shelf.fail_after(0);
        }
    }
    let result = act(world);
    world.shelves.iter().for_each(crate::rotation::fakes::Shelf::mend);
    let found = result.map_or_else(|error| first_word(&error), |()| "ok".to_owned());
    [found, world.recorded(), world.slots()]
}

fn stage(world: &mut World) -> Result<(), RunError> {
    world.process(|runner| runner.stage_and_go_live(&secret('n')))
}

fn promote(world: &mut World) -> Result<(), RunError> {
    world.process(|runner| runner.promote())
}

fn retire(world: &mut World) -> Result<(), RunError> {
    world.process(|runner| runner.retire())
}

#[test]
fn staging_is_all_or_none_while_the_old_secret_lives_and_goes_alone_once_it_is_dead() {
    for (direction, slots, failing, came_to, recorded, after) in [
        (OverlapSwitch, "-o- -o-", "", "ok", "stage@a stage@b stage:tool", "no- no-"),
        (OverlapSwitch, "-o- xo-", "", "drift", "", "-o- xo-"),
        (OverlapSwitch, "-o- -o-", "b", "storefailed", "", "-o- -o-"),
        (OverlapSwitch, "-o- -o-", "ab", "storefailed", "", "-o- -o-"),
        (Instant, "-o- -o-", "", "ok", "stage@a stage@b stage:tool", "no- no-"),
        (Instant, "-o- xo-", "", "drift", "stage@a shown promote@a", "-no xo-"),
        (Instant, "-o- -o-", "b", "storefailed", "stage@a shown promote@a", "-no -o-"),
        (Instant, "-o- -o-", "ab", "storefailed", "shown", "-o- -o-"),
    ] {
        let mut world = World::after(direction, TWO, Step::Issue);
        let found = does(&mut world, slots, failing, stage);
        assert_eq!(found, [came_to, recorded, after], "{direction:?} {slots} {failing}: {:?}", world.person.heard);
    }
    // Nothing goes live alone that may be dead by now: others are said to have rotated since.
    let mut world = World::after(Instant, TWO, Step::Issue);
    world.fake().version = 9;
    assert_eq!(does(&mut world, "-o- -o-", "b", stage), ["superseded", "stage@a closed:superseded", "no- -o-"]);
    // Where there is no seal, the stores are all that can keep it.
    let mut world = World::after(OverlapSwitch, TWO, Step::Issue);
    world.seals.remove(world.rotation.id, None).unwrap();
    assert_eq!(does(&mut world, "-o- -o-", "b", stage), ["storefailed", "stage@a", "no- -o-"]);
}

#[test]
fn promoting_is_all_or_none_while_the_old_secret_lives_and_goes_alone_once_it_is_dead() {
    for (direction, slots, failing, came_to, recorded, after) in [
        (OverlapSwitch, "no- no-", "", "ok", "promote@a promote@b promote:tool", "-no -no"),
        (OverlapSwitch, "no- nx-", "", "drift", "", "no- nx-"),
        (OverlapSwitch, "no- no-", "b", "storefailed", "", "no- no-"),
        // A deploy may have written the file anew without the slot; the other has it still.
        (OverlapSwitch, "no- -o-", "", "ok", "promote@a promote@b promote:tool", "-no -no"),
        (OverlapSwitch, "-o- -o-", "", "storefailed", "", "-o- -o-"),
        (OverlapSwitch, "-no no-", "", "ok", "promote@a promote@b promote:tool", "-no -no"),
        (Instant, "no- no-", "", "ok", "promote@a promote@b promote:tool", "-no -no"),
        (Instant, "no- nx-", "", "drift", "promote@a", "-no nx-"),
        (Instant, "no- no-", "b", "storefailed", "promote@a", "-no no-"),
        (Instant, "-o- -o-", "", "storefailed", "", "-o- -o-"),
        (Instant, "no- nx-", "a", "storefailed", "", "no- nx-"),
    ] {
        let mut world = World::after(direction, TWO, Step::Stage);
        let found = does(&mut world, slots, failing, promote);
        assert_eq!(found, [came_to, recorded, after], "{direction:?} {slots} {failing}: {:?}", world.person.heard);
    }
    // Of two that fail, one is said and the other ends it.
    let mut world = World::after(Instant, &[("a", ReadWrite), ("b", ReadWrite), ("c", ReadWrite)], Step::Stage);
    assert_eq!(does(&mut world, "no- no- no-", "ab", promote)[2], "no- no- -no");
    assert!(world.heard("! `a` did not answer") && !world.heard("! `b` did"), "{:?}", world.person.heard);
}

#[test]
fn stores_that_give_nothing_back_are_written_from_the_seal_and_last() {
    let stores: &[(&str, Access)] = &[("w", WriteOnly), ("o", Once), ("a", ReadWrite)];
    let mut world = World::after(OverlapSwitch, stores, Step::Issue);
    let after = ["ok", "stage@a stage@w stage@o stage:tool", "no- no- no-"];
    assert_eq!(does(&mut world, "-o- -o- -o-", "", stage), after);
    world.forget();
    assert_eq!(promote(&mut world).map_err(|error| first_word(&error)), Ok(()));
    assert_eq!(
        (world.recorded().as_str(), world.slots().as_str()),
        ("promote@a promote@w promote@o promote:tool", "-n- no- -no")
    );
    // Without the seal and without another place there is nothing to write.
    let mut world = World::after(OverlapSwitch, &[("w", WriteOnly)], Step::Stage);
    world.seals.remove(world.rotation.id, None).unwrap();
    assert_eq!(does(&mut world, "no-", "", promote), ["sealfailed", "", "no-"]);
}

#[test]
fn the_old_secret_leaves_only_where_the_new_one_is_live() {
    for (slots, failing, came_to, recorded, after) in [
        ("-no -no", "", "ok", "retire@a retire@b retire:tool", "-n- -n-"),
        ("-n- -no", "", "ok", "retire@a retire@b retire:tool", "-n- -n-"),
        ("-no -nx", "", "drift", "", "-no -nx"),
        ("-no -oo", "", "drift", "", "-no -oo"),
        ("xno -no", "", "ok", "retire@a retire@b retire:tool", "xn- -n-"),
        ("-no -no", "b", "storefailed", "", "-no -no"),
    ] {
        let mut world = World::after(OverlapSwitch, TWO, Step::Promote);
        assert_eq!(does(&mut world, slots, failing, retire), [came_to, recorded, after], "{slots} {failing}");
    }
    // Each is done once, and not where it was done.
    let mut world = World::after(OverlapSwitch, TWO, Step::Promote);
    world.journals(&[Event::StoreDone { step: Step::Retire, store: "a".to_owned() }]);
    world.forget();
    assert_eq!(does(&mut world, "-nx -no", "", retire), ["ok", "retire@b retire:tool", "-nx -n-"]);
}

#[test]
fn what_a_person_has_ruled_out_goes_and_is_no_old_secret() {
    let ruled = |slot, found| Event::Overridden {
        why: String::new(),
        reason: String::new(),
        slot: Some(Overruled { store: "b".to_owned(), slot, found: Some(print(found)) }),
    };
    for (slot, slots, after) in [(Slot::Current, "no- nx-", "-no -n-"), (Slot::Next, "no- xo-", "-no -no")] {
        let mut world = World::after(OverlapSwitch, TWO, Step::Stage);
        world.journals(&[ruled(slot, 'x')]);
        world.forget();
        assert_eq!(does(&mut world, slots, "", promote), ["ok", "promote@a promote@b promote:tool", after]);
    }
}

#[test]
fn a_step_goes_alone_where_nothing_is_lost_by_it() {
    for (direction, is_sealed, is_dead, alone) in [
        (OverlapSwitch, true, false, [false, false, false]),
        (OverlapSwitch, false, false, [true, false, false]),
        (OverlapSwitch, true, true, [true, true, false]),
        (Instant, true, false, [true, true, false]),
        (Instant, false, false, [true, true, false]),
    ] {
        let mut world = World::after(direction, TWO, Step::Issue);
        if !is_sealed {
            world.seals.remove(world.rotation.id, None).unwrap();
        }
        let since = is_dead.then(crate::rotation::tests::noon);
        world.rotation.before.dead_since = since;
        let found =
            world.process(|runner| [Step::Stage, Step::Promote, Step::Retire].map(|step| runner.goes_alone(step)));
        assert_eq!(found, alone, "{direction:?} {is_sealed} {is_dead}");
    }
}

#[test]
fn what_others_put_into_a_slot_is_said_wherever_a_run_comes_by() {
    let closed = Event::Closed { outcome: Outcome::Done, reason: None };
    let joined = Event::StoreJoined { store: crate::rotation::world::planned("b"), held: None };
    for (last, slots, failing, event, is_said) in [
        (Step::Promote, "-no", "", None, false),
        (Step::Promote, "-xo", "", None, true),
        (Step::Promote, "-xo", "a", None, false),
        (Step::Promote, "-nx", "", None, true),
        (Step::Retire, "-nx", "", None, false),
        (Step::Retire, "-xo", "", None, true),
        (Step::Stage, "xo-", "", None, true),
        (Step::Issue, "xo-", "", None, false),
        (Step::Promote, "-xo", "", Some(closed), false),
        (Step::Promote, "-xo", "", Some(joined), false),
    ] {
        let mut world = World::after(OverlapSwitch, &[("a", ReadWrite)], last);
        world.journals(event.as_slice());
        world.shelves[0].put(slots);
        if !failing.is_empty() {
            world.shelves[0].fail_after(0);
        }
        let result = world.process(|runner| runner.refuse_drift_at_rest());
        assert_eq!(matches!(result, Err(RunError::Drift { is_sent: true, .. })), is_said, "{last:?} {slots} {event:?}");
        assert_eq!(result.is_err(), is_said);
    }
}

#[test]
fn a_write_of_ours_that_was_cut_short_is_nobodys() {
    let new = secret('n');
    for (text, is_ours) in [(&new.expose()[..20], true), (new.expose(), true), ("whsec_other", false), ("x", false)] {
        let mut world = World::after(OverlapSwitch, TWO, Step::Issue);
        world.shelves[1].put_text(Slot::Next, text);
        let drifts = world.process(|runner| runner.drifts(Act::Stage));
        assert_eq!(drifts.is_empty(), is_ours, "{text}");
        let staged = world.process(|runner| runner.stage(&secret('n')));
        assert_eq!((staged.is_ok(), world.slots().as_str()), (is_ours, if is_ours { "no- no-" } else { "-o- ?o-" }));
    }
    // Nobody wrote a live slot short.
    let mut world = World::after(OverlapSwitch, TWO, Step::Stage);
    world.shelves[1].put_text(Slot::Current, &new.expose()[..20]);
    assert_eq!(world.process(|runner| runner.drifts(Act::Promote)).len(), 1);
    let may = |current: &str, next: Option<&str>| {
        let world = World::after(OverlapSwitch, &[("a", ReadWrite)], Step::Issue);
        let shelf = &world.shelves[0];
        shelf.put(current);
        next.iter().for_each(|text| shelf.put_text(Slot::Next, text));
        let held = crate::store::slots::look(shelf).unwrap();
        crate::rotation::guard::may_stage(&world.rotation, shelf, &Secret::new(new.expose()), &held)
    };
    assert_eq!(
        [
            may("-o-", None),
            may("-o-", Some("whsec_nn")),
            may("-o-", Some("x")),
            may("---", None),
            may("---", Some("whsec_nn"))
        ],
        [true, true, false, false, false]
    );
}

#[test]
fn what_a_store_has_lost_is_put_there_again_or_asked_for_again() {
    let ask = || Next::Ask(Step::Deploy);
    let wait = || Next::Wait(crate::rotation::tests::noon());
    let lost = "the answer came";
    for (last, slots, next, failing, came_to, recorded, after, says) in [
        (Step::Stage, "no- no-", ask(), "", false, "", "no- no-", ""),
        (Step::Stage, "-o- no-", ask(), "", false, "", "no- no-", "! a had lost the new secret; it is in `NEXT` again"),
        (Step::Stage, "-o- no-", wait(), "", false, "", "no- no-", "had lost"),
        (Step::Stage, "-o- no-", Next::Run(Step::Promote), "", false, "", "no- no-", "had lost"),
        (Step::Stage, "-o- no-", Next::Run(Step::Wait), "", false, "", "no- no-", "had lost"),
        (Step::Stage, "-o- no-", Next::Run(Step::Retire), "", false, "", "-o- no-", ""),
        (Step::Stage, "-o- -o-", ask(), "", true, "lost", "-o- -o-", ""),
        // One that cannot be read now may have it; one that somebody else has written over is said later.
        (Step::Stage, "-o- no-", ask(), "b", false, "", "-o- no-", ""),
        (Step::Stage, "xo- no-", ask(), "", false, "", "xo- no-", ""),
        (Step::Stage, "xo- -o-", ask(), "", true, "lost", "xo- -o-", ""),
        (Step::Promote, "-oo -no", ask(), "", false, "", "-oo -no", ""),
        (Step::Issue, "-o- -o-", ask(), "", false, "", "-o- -o-", ""),
    ] {
        let mut world = World::after(OverlapSwitch, TWO, last);
        world.shelves.iter().zip(slots.split(' ')).for_each(|(shelf, letters)| shelf.put(letters));
        if !failing.is_empty() {
            world.shelves[1].fail_after(0);
        }
        let found = world.process(|runner| runner.restage_lost(&next)).unwrap();
        world.shelves[1].mend();
        let case = format!("{last:?} {slots} {next:?} {failing}: {:?}", world.person.heard);
        assert_eq!((found, world.recorded().as_str(), world.slots().as_str()), (came_to, recorded, after), "{case}");
        assert_eq!(world.heard("lost the new"), !says.is_empty(), "{case}");
        assert!(says.is_empty() || world.heard(says), "{case}");
        assert!(recorded != "lost" || world.process(|runner| runner.why_unknown()).starts_with(lost));
    }
    // What gives nothing back may have it.
    let mut world = World::after(OverlapSwitch, &[("a", ReadWrite), ("w", WriteOnly)], Step::Stage);
    world.seals.remove(world.rotation.id, None).unwrap();
    world.shelves[0].put("-o-");
    assert!(!world.process(|runner| runner.restage_lost(&ask())).unwrap());
    // Asked for again while the key is remembered, it is the same secret.
    let mut world = World::after(OverlapSwitch, TWO, Step::Stage);
    world.shelves.iter().for_each(|shelf| shelf.put("-o-"));
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("person deploy", "-no -no"));
    assert!(world.recorded().starts_with("lost sent2 answered shown confirmed stage@a"), "{}", world.recorded());
    // Wherever the store fails meanwhile, it is said or tried again, and no slot is emptied.
    let mut said = false;
    for calls in 0..16 {
        let mut world = World::after(OverlapSwitch, TWO, Step::Stage);
        world.shelves[0].put("-o-");
        world.shelves[0].fail_after(calls);
        world.process(|runner| runner.restage_lost(&ask())).unwrap();
        world.shelves[0].mend();
        said |= world.heard("a has lost the new secret: ");
        assert!(["-o- no-", "no- no-"].contains(&world.slots().as_str()), "{calls}: {}", world.slots());
    }
    assert!(said);
}
