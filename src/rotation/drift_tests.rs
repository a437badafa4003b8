//! What each slot may hold, by table: the state of a rotation, what is about to be done, and what is found.

use super::drift::{self, Act, foreign};
use super::tests::{answered, events, fold, noon, rotation};
use super::*;
use crate::secret::Secret;
use crate::store::Slot;
use crate::store::slots::Held;

const STORE: &str = "file:/a";

/// A secret by a letter: `o` the old one, `n` the new one, `x` somebody else's, `t` a throw-away; `-` for none.
fn secret(letter: char) -> Option<Fingerprint> {
    match letter {
        '-' => None,
        'n' => Some(Secret::new("whsec_new").fingerprint()),
        other => Some(Secret::new(other).fingerprint()),
    }
}

/// `next`, `current` and `previous` as three letters.
fn held(letters: &str) -> Held {
    let mut letters = letters.chars().map(secret);
    let mut next = || letters.next().flatten();
    Held { next: next(), current: next(), previous: next() }
}

fn checked(before: &str) -> Event {
    let held = held(before);
    let evidence = Evidence {
        current: held.current.clone(),
        next: Some(held.next.clone().into_iter().collect()),
        held: [(STORE.to_owned(), held)].into(),
        ..Evidence::default()
    };
    Event::Checked { before: evidence }
}

/// A rotation of which everything before `step` is done, with this in the store at `check`.
fn before_step(direction: Direction, step: Step, before: &str) -> Rotation {
    let mut rotation = rotation(direction);
    for done in direction.steps().iter().take_while(|done| **done != step) {
        let events = if *done == Step::Check { vec![checked(before)] } else { events(direction, *done) };
        events.into_iter().for_each(|event| fold(&mut rotation, noon(), event));
    }
    rotation
}

fn slots(rotation: &Rotation, act: Act, found: &str) -> String {
    let foreign = foreign(rotation, act, STORE, &held(found));
    foreign
        .iter()
        .map(|(slot, _)| {
            if *slot == Slot::Next {
                'N'
            } else if *slot == Slot::Current {
                'C'
            } else {
                'P'
            }
        })
        .collect()
}

#[test]
fn a1_what_a_slot_may_hold_is_what_the_journal_can_have_put_there() {
    use Act::{Keep, Promote, Retire, RollBack, Stage};
    let switch = Direction::OverlapSwitch;
    // The step that is next, what there was at `check`, what is done, what is found, and what is foreign of it.
    let table: &[(Step, &str, Act, &str, &str)] = &[
        // Staging: `next` is written; a live slot is touched by that only where it is a file that is being written.
        (Step::Stage, "-o-", Stage, "-o-", ""),
        (Step::Stage, "-o-", Stage, "no-", ""),
        (Step::Stage, "-o-", Stage, "xo-", "N"),
        (Step::Stage, "-o-", Stage, "oo-", "N"),
        (Step::Stage, "-o-", Stage, "-xx", ""),
        (Step::Stage, "-o-", Stage, "---", "C"),
        (Step::Stage, "---", Stage, "---", ""),
        (Step::Stage, "lo-", Stage, "lo-", ""),
        // Promoting, whole or cut off anywhere.
        (Step::Promote, "-o-", Promote, "no-", ""),
        (Step::Promote, "-o-", Promote, "noo", ""),
        (Step::Promote, "-o-", Promote, "nno", ""),
        (Step::Promote, "-o-", Promote, "-no", ""),
        (Step::Promote, "-o-", Promote, "-o-", ""),
        (Step::Promote, "-o-", Promote, "nx-", "C"),
        (Step::Promote, "-o-", Promote, "n--", "C"),
        (Step::Promote, "-o-", Promote, "nox", "P"),
        (Step::Promote, "-o-", Promote, "xo-", "N"),
        (Step::Promote, "-o-", Promote, "xxx", "NCP"),
        (Step::Promote, "-o-", Promote, "xno", ""),
        (Step::Promote, "-op", Promote, "nop", ""),
        (Step::Promote, "-op", Promote, "noo", ""),
        (Step::Promote, "---", Promote, "n--", ""),
        (Step::Promote, "---", Promote, "nx-", "C"),
        // Retiring, and what comes after.
        (Step::Deploy, "-o-", Retire, "-no", ""),
        (Step::Retire, "-o-", Retire, "xn-", ""),
        (Step::Retire, "-o-", Retire, "-nx", "P"),
        (Step::Retire, "-o-", Retire, "noo", "C"),
        (Step::Retire, "-o-", Retire, "-xo", "C"),
        (Step::Retire, "-o-", Retire, "---", "C"),
        (Step::Drop, "-o-", Keep, "xnx", ""),
        (Step::Drop, "-o-", Keep, "-x-", "C"),
        (Step::Drop, "-o-", Keep, "---", "C"),
        // Rolling back, whole or cut off anywhere: nothing goes live but what was live before.
        (Step::Deploy, "-o-", RollBack, "-no", ""),
        (Step::Deploy, "-o-", RollBack, "nno", ""),
        (Step::Deploy, "-o-", RollBack, "noo", ""),
        (Step::Deploy, "-o-", RollBack, "no-", ""),
        (Step::Deploy, "-o-", RollBack, "-nx", "P"),
        (Step::Deploy, "-o-", RollBack, "-xo", "C"),
        (Step::Deploy, "-o-", RollBack, "xno", "N"),
        (Step::Deploy, "-o-", RollBack, "--o", "C"),
        (Step::Deploy, "--p", RollBack, "-np", "P"),
    ];
    for (step, before, act, found, expected) in table {
        let rotation = before_step(switch, *step, before);
        assert_eq!(slots(&rotation, *act, found), *expected, "{step:?}, {before} at check, {act:?} finds {found}");
    }
}

#[test]
fn a1_a_throw_away_secret_is_nobodys() {
    let mut rotation = rotation(Direction::Instant);
    fold(&mut rotation, noon(), checked("-o-"));
    assert_eq!(slots(&rotation, Act::Stage, "to-"), "N");
    fold(&mut rotation, noon(), Event::Tried { fingerprint: secret('t').unwrap() });
    assert_eq!(slots(&rotation, Act::Stage, "to-"), "");
    assert_eq!(slots(&rotation, Act::Stage, "t--"), "C");
}

#[test]
fn a1_a_journal_of_before_says_what_it_can() {
    let mut rotation = before_step(Direction::OverlapSwitch, Step::Promote, "-o-");
    rotation.before.held.clear();
    for (found, expected) in [("no-", ""), ("-no", ""), ("nx-", "C"), ("n--", "C"), ("nox", "P"), ("xo-", "N")] {
        assert_eq!(slots(&rotation, Act::Promote, found), expected, "{found}");
    }
    // Of several stores the first live secret was noted, and others may have had none.
    let store =
        |reference: &str| PlannedStore { reference: reference.to_owned(), names: Default::default(), server: None };
    rotation.plan.stores = vec![store(STORE), store("file:/b")];
    assert_eq!(slots(&rotation, Act::Promote, "n--"), "");
}

#[test]
fn a11_what_was_live_last_is_known_from_the_rotations_before() {
    let live = |rotations: &[Rotation]| drift::last_live(rotations, STORE);
    let direction = Direction::OverlapSwitch;
    let promoted = before_step(direction, Step::Deploy, "-o-");
    let planned = before_step(direction, Step::Issue, "-n-");
    let unseen = rotation(direction);
    assert_eq!(live(&[]), None);
    assert_eq!(live(std::slice::from_ref(&unseen)), None);
    assert_eq!(live(std::slice::from_ref(&promoted)), Some(answered(direction).fingerprint));
    assert_eq!(
        live(&[unseen, before_step(direction, Step::Issue, "---"), planned]),
        None,
        "the newest that looked counts"
    );
    let mut back = promoted;
    fold(&mut back, noon(), Event::RolledBack { reason: None });
    assert_eq!(live(&[back]), secret('o'));
}
