//! A leak that is declared of an open rotation, by tables: of which secret, when, and what is left to contain it.

use std::collections::BTreeSet;

use super::*;
use crate::delivery::probe::Verdict;
use crate::rotation::fakes::{print, secret};
use crate::rotation::tests::{answered, events, fold, noon, rotation};
use crate::rotation::world::World;
use crate::rotation::{Answered, Evidence, How, Outcome};
use crate::store::Access;

use Direction::{Contain, Force, Instant, OverlapEither, OverlapSwitch};

const A: &str = "https://a.test/";
const STORE: &[(&str, Access)] = &[("a", Access::ReadWrite)];

#[test]
fn what_is_left_contains_the_leak_and_nothing_is_undone_that_serves_that() {
    for (direction, last, turned, undone) in [
        (OverlapEither, Step::Verify, Contain, &[Step::Deploy, Step::Verify][..]),
        (OverlapEither, Step::Promote, Contain, &[]),
        (OverlapSwitch, Step::Verify, Contain, &[]),
        (Contain, Step::Verify, Contain, &[]),
        (Instant, Step::Verify, Instant, &[]),
        (Force, Step::Verify, Force, &[]),
    ] {
        let mut it = rotation(direction);
        for step in direction.steps() {
            events(direction, *step).into_iter().for_each(|event| fold(&mut it, noon(), event));
            if *step == last {
                break;
            }
        }
        let before = it.clone();
        let leaked = BTreeSet::from([print('p')]);
        fold(&mut it, noon(), Event::LeakDeclared { reason: "a log".to_owned(), leaked: leaked.clone() });
        let lost: Vec<Step> = before.done.keys().copied().filter(|step| !it.done.contains_key(step)).collect();
        assert_eq!((it.plan.direction, lost.as_slice()), (turned, undone), "{direction:?} {last:?}");
        assert_eq!(it.plan.steps, turned.steps());
        assert_eq!((it.plan.forced, it.plan.reason.as_deref(), &it.plan.leaked), (true, Some("a log"), &leaked));
    }
}

#[test]
fn a_leak_is_of_the_old_secret_or_of_the_new_one_and_the_first_moment_counts() {
    let mut it = rotation(OverlapSwitch);
    fold(&mut it, noon(), Event::Checked { before: Evidence { current: Some(print('o')), ..Evidence::default() } });
    assert_eq!([it.which(&print('o')), it.which(&print('n'))], [Some(Leaked::Old), None]);
    fold(&mut it, noon(), Event::Answered(Answered { fingerprint: print('n'), ..answered(OverlapSwitch) }));
    assert_eq!(['o', 'n', 'x'].map(|letter| it.which(&print(letter))), [Some(Leaked::Old), Some(Leaked::New), None]);
    let later = |seconds| noon() + jiff::SignedDuration::from_secs(seconds);
    let leak = |letter, reason: &str| Event::LeakDeclared { reason: reason.to_owned(), leaked: [print(letter)].into() };
    assert_eq!(it.leak_since(), noon());
    fold(&mut it, later(1), leak('n', "first"));
    fold(&mut it, later(2), leak('n', "second"));
    assert_eq!((it.new_leaked.clone(), it.leak_since()), (Some((later(1), "first".to_owned())), later(1)));
    assert_eq!((it.plan.forced, it.plan.direction), (false, OverlapSwitch), "nothing contains it but another rotation");
    fold(&mut it, later(3), leak('x', "third"));
    fold(&mut it, later(4), leak('y', "fourth"));
    assert_eq!((it.leak_declared_at, it.leak_since(), it.plan.leaked.len()), (Some(later(3)), later(3), 2));
}

#[test]
fn a_leak_is_declared_once_and_not_of_what_is_over() {
    let leak = |letter: Option<char>| letter.into_iter().map(print).collect::<BTreeSet<_>>();
    // What was declared before, of what; what is recorded.
    for (direction, before, closed, declared, recorded) in [
        (OverlapSwitch, None, false, None, "leakdeclared"),
        (OverlapSwitch, None, false, Some('p'), "leakdeclared"),
        (OverlapSwitch, None, false, Some('n'), "leakdeclared"),
        (OverlapSwitch, Some(None), false, None, ""),
        (OverlapSwitch, Some(None), false, Some('n'), "leakdeclared"),
        (OverlapSwitch, Some(Some('n')), false, Some('n'), ""),
        (OverlapSwitch, Some(Some('n')), false, None, "leakdeclared"),
        (Force, None, false, None, ""),
        (OverlapSwitch, None, true, None, ""),
    ] {
        let mut world = World::after(direction, STORE, Step::Promote);
        before.iter().for_each(|letter| {
            world.journals(&[Event::LeakDeclared { reason: "before".to_owned(), leaked: leak(*letter) }]);
        });
        if closed {
            world.journals(&[Event::Closed { outcome: Outcome::Abandoned, reason: None }]);
        }
        world.forget();
        assert!(world.process(|runner| runner.declare_leak("a log", leak(declared))).unwrap());
        assert_eq!(world.recorded(), recorded, "{direction:?} {before:?} {closed} {declared:?}");
    }
    let mut world = World::after(OverlapSwitch, STORE, Step::Promote);
    world.lock.release();
    let theirs = world.others_take("ben");
    world.person.stop_at = Some("begun");
    world.person.heard.push("begun".to_owned());
    assert!(!world.process(|runner| runner.declare_leak("a log", leak(None))).unwrap());
    drop(theirs);
    assert_eq!(world.recorded(), "");
}

#[test]
fn what_leaked_before_is_sealed_while_somebody_has_it_and_a_receiver_may_be_asked() {
    let id = Uuid::from_u128(7);
    let mut earlier = rotation(OverlapSwitch);
    earlier.id = id;
    // Where it is; whether receivers are known, and have dropped the old secret; whether it is sealed then.
    for (place, has_receivers, has_dropped, is_sealed) in [
        ("slot", true, false, true),
        ("slot", false, false, false),
        ("slot", true, true, false),
        ("own seal", true, false, true),
        ("old seal", true, false, true),
        ("leaked seal", true, false, true),
        ("nowhere", true, false, false),
    ] {
        let mut world = World::after(OverlapSwitch, STORE, Step::Promote);
        let leaked = print('p');
        world.rotation.plan.leaked.insert(leaked.clone());
        world.rotation.plan.receivers = has_receivers.then(|| A.to_owned()).into_iter().collect();
        if has_dropped {
            world.journals(&[Event::Done { step: Step::Drop, how: How::Tool }]);
        }
        let sealed = Sealed::new(None, secret('p').expose());
        match place {
            "slot" => world.shelves[0].put("-np"),
            "own seal" => world.seals.seal(id, &sealed).unwrap(),
            "old seal" => world.seals.seal(old_seal(id), &sealed).unwrap(),
            "leaked seal" => world.seals.seal(leaked_seal(id, &leaked), &sealed).unwrap(),
            _ => {}
        }
        let seal = leaked_seal(world.rotation.id, &leaked);
        world.process(|runner| runner.keep_leaked(std::slice::from_ref(&earlier)));
        assert_eq!(world.seals.exists(seal), is_sealed, "{place} {has_receivers} {has_dropped}");
        if is_sealed {
            // Once is enough, wherever it is by now.
            world.shelves[0].put("-no");
            world.process(|runner| runner.keep_leaked(&[]));
            assert!(world.seals.secret_of(seal, Some(&leaked)).is_ok() && world.person.heard.is_empty());
        }
        let mut names: Vec<Uuid> = seals_from_before(&world.rotation).collect();
        assert_eq!(names, [old_seal(world.rotation.id), seal]);
        names.push(world.rotation.id);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3);
    }
    // Where it cannot be sealed, that is said.
    let mut world = World::after(OverlapSwitch, STORE, Step::Promote);
    world.rotation.plan.leaked.insert(print('p'));
    world.rotation.plan.receivers = vec![A.to_owned()];
    world.shelves[0].put("-np");
    std::fs::remove_dir_all(world.folder().join("seals")).unwrap();
    std::fs::write(world.folder().join("seals"), "").unwrap();
    world.process(|runner| runner.keep_leaked(&[]));
    assert!(world.heard("could not be sealed, so no probe can prove"));
}

#[test]
fn the_old_secret_is_dropped_only_with_all_that_leaked_before() {
    // What the receiver takes, what has leaked before, and whether anybody has that still.
    for (takes, leaked, is_there, is_done, says) in [
        ("n", "p", true, true, "may have leaked too; with it:"),
        ("np", "p", true, false, "may have leaked too; with it:"),
        ("n", "p", false, false, "nobody has it any more to try"),
        ("no", "p", false, false, "nobody has it any more to try"),
        // The new one and the old one are tried as they are.
        ("n", "no", true, true, ""),
        ("n", "pq", true, true, "with it:"),
        ("nq", "pq", true, false, "with it:"),
    ] {
        let mut world = World::after(OverlapSwitch, STORE, Step::Promote).probing(&[(A, takes)]);
        for letter in leaked.chars() {
            world.rotation.plan.leaked.insert(print(letter));
            if is_there && letter != 'n' {
                let seal = leaked_seal(world.rotation.id, &print(letter));
                world.seals.seal(seal, &Sealed::new(None, secret(letter).expose())).unwrap();
            }
        }
        let found = world.process(|runner| runner.settle_step(Step::Drop)).unwrap();
        assert_eq!(found, is_done, "{takes} {leaked} {is_there}: {:?}", world.person.heard);
        assert_eq!((world.heard("leaked too"), world.heard(says) || says.is_empty()), (!says.is_empty(), true));
        if !is_there {
            let rejects = world.rotation.probed[A].1.rejects_old;
            assert_eq!(rejects, if takes == "no" { Some(false) } else { None }, "what it takes, it takes");
        }
    }
    let mut world = World::after(OverlapSwitch, STORE, Step::Promote).probing(&[(A, "np")]);
    world.rotation.plan.leaked.insert(print('p'));
    world.person.stop_at = Some("probed https://a.test/ new only");
    assert!(!world.process(|runner| runner.settle_step(Step::Drop)).unwrap());
    assert!(!world.heard("leaked too") && world.recorded().is_empty());
}

#[test]
fn what_is_wrong_with_one_old_secret_is_wrong() {
    let (yes, no) = (Some(true), Some(false));
    let probed = |verdict, accepts_new, rejects_old| Probed { url: A.to_owned(), verdict, accepts_new, rejects_old };
    for (one, more, accepts_new, rejects_old, is_more) in [
        ((yes, yes), (yes, yes), yes, yes, false),
        ((yes, yes), (yes, no), yes, no, true),
        ((yes, yes), (yes, None), yes, None, false),
        ((yes, None), (yes, yes), yes, None, false),
        ((yes, no), (yes, yes), yes, no, false),
        ((yes, no), (yes, no), yes, no, true),
        ((yes, yes), (no, yes), no, yes, true),
        ((no, yes), (no, yes), no, yes, false),
        ((no, yes), (yes, yes), no, yes, false),
        ((None, None), (None, None), None, None, false),
    ] {
        let mut found = probed(Verdict::NewOnly, one.0, one.1);
        found.add(probed(Verdict::AcceptsBoth, more.0, more.1));
        let verdict = if is_more { Verdict::AcceptsBoth } else { Verdict::NewOnly };
        assert_eq!(found, probed(verdict, accepts_new, rejects_old), "{one:?} {more:?}");
    }
}
