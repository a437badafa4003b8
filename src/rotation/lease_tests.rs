//! What others do while somebody is waited for, by tables: what they did, and what the one who comes back finds.

use super::{Meanwhile, has_moved};
use crate::rotation::fakes::{first_word, now, pass, secret, while_sleeping};
use crate::rotation::tests::answered;
use crate::rotation::world::{World, planned};
use crate::rotation::{Direction, Event, Evidence, How, Outcome, Rotation, RunError, Step};
use crate::store::Access;
use uuid::Uuid;

const STORE: &[(&str, Access)] = &[("a", Access::ReadWrite)];

fn word(step: Step) -> Event {
    Event::Done { step, how: How::Word { reason: None } }
}

fn closed(outcome: Outcome) -> Event {
    Event::Closed { outcome, reason: Some("a reason".to_owned()) }
}

/// What a process finds that had let go of the lock after a step, and what `has_moved` had said.
fn found(last: Step, events: Vec<Event>) -> (String, bool, World) {
    let mut world = World::after(Direction::OverlapSwitch, STORE, last);
    world.lock.release();
    pass(1);
    if !events.is_empty() {
        world.others(events)(world.folder());
    }
    let has_moved = has_moved(&world.journal, &world.rotation);
    let result = world.process(|runner| {
        runner.probed = true;
        runner.reacquire().map(|meanwhile| (meanwhile, runner.probed))
    });
    assert!(world.lock.is_held());
    let word = match &result {
        Ok((meanwhile, probed)) => format!("{}{}", first_word(meanwhile), if *probed { "" } else { " anew" }),
        Err(RunError::Undone { step, by }) => format!("undone {} by {by}", step.name()),
        Err(RunError::GivenUp { by, why }) => format!("givenup by {by}: {why}"),
        Err(error) => first_word(error),
    };
    (word, has_moved, world)
}

#[test]
fn whoever_comes_back_goes_on_where_others_went_on_and_stops_where_they_took_something_back() {
    let leak = |leaked| Event::LeakDeclared { reason: "a log".to_owned(), leaked };
    let rolled_back = || Event::RolledBack { reason: Some("it fails".to_owned()) };
    let joined = |name| Event::StoreJoined { store: planned(name), held: None };
    let table: Vec<(Step, Vec<Event>, &str, bool)> = vec![
        (Step::Promote, vec![], "nothing", false),
        // What changes no step is nothing to those who wait.
        (Step::Promote, vec![Event::Confirmed], "nothing", false),
        (Step::Promote, vec![word(Step::Deploy)], "wenton anew", true),
        (Step::Promote, vec![closed(Outcome::Done)], "wenton", true),
        (Step::Promote, vec![closed(Outcome::Abandoned)], "givenup by ben@box: a reason", true),
        (Step::Promote, vec![closed(Outcome::Superseded)], "givenup by ben@box: a reason", true),
        (Step::Promote, vec![rolled_back()], "undone promote by ben@box (it fails)", true),
        // Put back, and gone on with: the proofs are others by now.
        (
            Step::Promote,
            vec![rolled_back(), Event::Done { step: Step::Promote, how: How::Tool }],
            "undone deploy by ben@box (it fails)",
            true,
        ),
        (Step::Deploy, vec![word(Step::Deploy)], "undone verify by another whsec", true),
        // It takes back no step that was done, so that nobody's wait is over.
        (Step::Promote, vec![joined("b")], "otherstores", false),
        (Step::Verify, vec![joined("b")], "otherstores", true),
        (Step::Promote, vec![leak(Default::default())], "wenton anew", true),
        // The call is unknown again: nothing was undone, and there is more to do.
        (Step::Promote, vec![Event::Lost { why: "gone".to_owned(), status: None }], "wenton anew", true),
        // Every run before the call checks once more.
        (Step::Check, vec![Event::Checked { before: Evidence::default() }], "nothing", true),
    ];
    for (last, events, expected, moved) in table {
        let case = format!("{last:?} {events:?}");
        let (found, has_moved, _) = found(last, events);
        assert_eq!((found.as_str(), has_moved), (expected, moved), "{case}");
    }
}

#[test]
fn a_declared_leak_is_said_to_whoever_waited() {
    let (_, _, world) =
        found(Step::Promote, vec![Event::LeakDeclared { reason: "a log".to_owned(), leaked: Default::default() }]);
    assert!(world.heard("declared leaked (a log)"));
    let (_, _, world) = found(Step::Promote, vec![word(Step::Deploy)]);
    assert!(world.heard("another whsec went on with this rotation meanwhile"));
}

#[test]
fn a_rotation_that_is_pending_beside_this_one_decides_first() {
    // Whether it replaces this one, and has been carried out.
    for (replaces, is_applied, came_to, moved) in [
        (true, false, "pending", true),
        (true, true, "givenup by ben@box: superseded by force-rotate: no reason given", true),
    ] {
        let mut world = World::after(Direction::OverlapSwitch, STORE, Step::Promote);
        world.lock.release();
        let mut beside = Rotation::new(Uuid::new_v4(), world.rotation.plan.clone(), now());
        beside.plan.replaces = replaces.then_some(world.rotation.id);
        let mut events = vec![Event::Checked { before: Evidence::default() }];
        if is_applied {
            events.push(Event::Answered(answered(Direction::Force)));
        }
        world.journal.append(&mut beside, "ben@box", now(), &events).unwrap();
        assert_eq!(has_moved(&world.journal, &world.rotation), moved);
        let error = world.process(|runner| runner.reacquire()).unwrap_err();
        let found = match &error {
            RunError::GivenUp { by, why } => format!("givenup by {by}: {why}"),
            error => first_word(error),
        };
        assert_eq!(found, came_to);
    }
}

#[test]
fn the_lock_is_taken_again_however_long_another_has_it() {
    let mut world = World::after(Direction::OverlapSwitch, STORE, Step::Promote);
    assert_eq!(world.process(|runner| runner.reacquire()).unwrap(), Meanwhile::Nothing, "it is held all the while");
    let taken = |world: &World| {
        world.lock.release();
        world.others_take("ben")
    };
    let theirs = taken(&world);
    while_sleeping(move || while_sleeping(move || drop(theirs)));
    assert_eq!(world.process(|runner| runner.reacquire()).unwrap(), Meanwhile::Nothing);
    let said: Vec<&String> = world.person.heard.iter().filter(|heard| heard.contains("is through")).collect();
    assert!(said.len() == 1 && said[0].starts_with("! waiting until another whsec is through (ben"), "it is said once");
    let theirs = taken(&world);
    world.person.stop_at = Some("! waiting until another whsec is through (ben");
    assert_eq!(world.process(|runner| runner.reacquire()).unwrap(), Meanwhile::Stopped);
    drop(theirs);
}

#[test]
fn what_this_process_knows_beside_the_journal_outlasts_a_look_into_it() {
    let mut world = World::after(Direction::OverlapSwitch, STORE, Step::Promote);
    world.rotation.ask_only(&["https://only.test/".to_owned()]);
    world.rotation.hear(4_000);
    world.others(vec![word(Step::Deploy)])(world.folder());
    let (before, has_new, has_other) = world.process(|runner| {
        runner.arrived = Some(secret('n'));
        let before = runner.catch_up().unwrap();
        let has_new = runner.arrived.is_some();
        runner.arrived = Some(secret('x'));
        runner.catch_up().unwrap();
        (before, has_new, runner.arrived.is_some())
    });
    assert!(!before.done.contains_key(&Step::Deploy) && world.rotation.done.contains_key(&Step::Deploy));
    assert_eq!(
        (world.rotation.plan.receivers.as_slice(), world.rotation.plan.may_probe),
        (&["https://only.test/".to_owned()][..], true)
    );
    assert_eq!((world.rotation.clock_ahead_ms, has_new, has_other), (4_000, true, false));
    // A journal that is not where it was has moved, and cannot be gone on with.
    std::fs::rename(world.folder().join("journal.sqlite"), world.folder().join("elsewhere")).unwrap();
    assert!(has_moved(&world.journal, &world.rotation));
    let error = world.process(|runner| runner.catch_up().map(drop)).unwrap_err();
    assert!(matches!(error, RunError::NotRecorded { is_answered: true, .. }), "{error:?}");
}
