//! The steps of a person, by tables: what receivers take, what is said, and what comes of it.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::rotation::fakes::{first_word, pass, print, secret};
use crate::rotation::operator::Reply;
use crate::rotation::tests::noon;
use crate::rotation::world::World;
use crate::rotation::{Direction, Event, How, Outcome, RunError, Step, person_steps};
use crate::store::Access;
use uuid::Uuid;

/// Addresses, with the secrets that are taken there.
type Receivers = [(&'static str, &'static str)];

const A: &str = "https://a.test/";
const B: &str = "https://b.test/";

fn done(reason: Option<&str>) -> Reply {
    Reply::Done { reason: reason.map(str::to_owned) }
}

/// A switch whose new secret is live, with receivers that take these secrets.
fn live(receivers: &Receivers) -> World {
    World::after(Direction::OverlapSwitch, &[("a", Access::ReadWrite)], Step::Promote).probing(receivers)
}

/// The same with a word for the deploy.
fn deployed(receivers: &Receivers) -> World {
    let mut world = live(receivers);
    world.journals(&[Event::Done { step: Step::Deploy, how: How::Word { reason: None } }]);
    world
}

#[test]
fn verify_is_done_on_proof_on_a_word_or_not_at_all() {
    let table: &[(&Receivers, &[Reply], &str, &str)] = &[
        // Nobody has to say what is proved.
        (&[(A, "no")], &[], "true", "probed verify:probe"),
        (&[(A, "n"), (B, "no")], &[], "true", "probed verify:probe"),
        // One that does not take it, or cannot be asked, proves nothing.
        (&[(A, "o")], &[], "false", "probed"),
        (&[(A, "n"), (B, "o")], &[], "false", "probed"),
        (&[(A, "n"), (B, "")], &[], "false", "probed"),
        // A word against what receivers do needs a reason, which is on record, and is not asked twice for.
        (&[(A, "o")], &[done(None)], "contradicted", "probed probed"),
        (&[(A, "o")], &[done(Some("it is a test"))], "true", "probed overridden verify:word"),
        (&[(A, "o")], &[Reply::LookAgain, Reply::NotNow], "false", "probed probed"),
        (&[(A, "o")], &[Reply::NotNow], "false", "probed"),
    ];
    for (receivers, replies, came_to, recorded) in table {
        let mut world = deployed(receivers);
        world.person.replies = replies.iter().cloned().collect();
        let result = world.process(|runner| runner.settle_step(Step::Verify));
        assert_eq!(word(&result), *came_to, "{receivers:?} {replies:?}");
        assert_eq!(world.recorded(), *recorded, "{receivers:?} {replies:?}");
    }
}

fn word(result: &Result<bool, RunError>) -> String {
    match result {
        Ok(is_done) => is_done.to_string(),
        Err(error) => first_word(error),
    }
}

#[test]
fn the_old_secret_is_dropped_once_every_receiver_refuses_it() {
    let table: &[(&Receivers, &[Reply], &str, &str)] = &[
        (&[(A, "n")], &[], "true", "probed drop:probe"),
        (&[(A, "n"), (B, "n")], &[], "true", "probed drop:probe"),
        (&[(A, "n"), (B, "no")], &[], "false", "probed"),
        (&[(A, "no")], &[done(None)], "contradicted", "probed probed"),
        (&[(A, "no")], &[done(Some("it is switched off"))], "true", "probed overridden drop:word"),
        // One that refuses everything has dropped nothing.
        (&[(A, "x")], &[done(None)], "contradicted", "probed probed"),
    ];
    for (receivers, replies, came_to, recorded) in table {
        let mut world = live(receivers);
        world.person.replies = replies.iter().cloned().collect();
        let result = world.process(|runner| runner.settle_step(Step::Drop));
        assert_eq!(word(&result), *came_to, "{receivers:?} {replies:?}");
        assert_eq!(world.recorded(), *recorded, "{receivers:?} {replies:?}");
    }
}

#[test]
fn a_deploy_is_proved_only_where_nobody_can_be_asked() {
    let table: &[(&Receivers, &[Reply], &str, &str)] = &[
        (&[(A, "n")], &[], "true", "probed deploy:probe"),
        (&[(A, "o")], &[], "false", "probed"),
        (&[(A, "o")], &[done(None)], "true", "deploy:word"),
        (&[(A, "n")], &[Reply::NotNow], "false", ""),
        (&[(A, "n")], &[Reply::LookAgain, done(None)], "true", "deploy:word"),
        (&[], &[], "false", ""),
    ];
    for (receivers, replies, came_to, recorded) in table {
        let mut world = live(receivers);
        world.person.replies = replies.iter().cloned().collect();
        let result = world.process(|runner| runner.settle_step(Step::Deploy));
        assert_eq!(word(&result), *came_to, "{receivers:?} {replies:?}");
        assert_eq!(world.recorded(), *recorded, "{receivers:?} {replies:?}");
    }
}

#[test]
fn what_was_found_for_the_deploy_serves_the_verify_behind_it_and_nothing_later() {
    let mut world = live(&[(A, "n")]);
    let settled =
        world.process(|runner| [Step::Deploy, Step::Verify, Step::Drop].map(|step| runner.settle_step(step).unwrap()));
    assert_eq!(settled, [true; 3]);
    assert_eq!(world.recorded(), "probed deploy:probe verify:probe probed drop:probe");
    assert!(world.heard("begins verify") && world.heard("proved drop") && world.heard("begins deploy"));
    // What somebody says may have been done since they were asked.
    let mut world = deployed(&[(A, "o")]);
    world.person.replies = [Reply::Done { reason: None }].into();
    let fake = std::sync::Arc::clone(&world.fake);
    world.person.others.push_back(Box::new(move |_| {
        fake.lock().unwrap().receivers.insert(A.to_owned(), "n");
    }));
    assert!(world.process(|runner| runner.settle_step(Step::Verify)).unwrap());
    assert_eq!(world.recorded(), "probed probed verify:probe");
}

#[test]
fn a_signal_stops_before_anybody_is_asked_and_while_receivers_are() {
    let mut world = deployed(&[(A, "o"), (B, "o")]);
    world.person.stop_at = Some("probed https://a.test/ old only");
    assert!(!world.process(|runner| runner.settle_step(Step::Verify)).unwrap());
    assert_eq!((world.recorded().as_str(), world.heard("? verify")), ("", false), "half an answer is none");
    world.person.stop_at = Some("begins verify");
    assert!(!world.process(|runner| runner.settle_step(Step::Verify)).unwrap());
    // Without a prober nothing is told of a step that nobody can prove.
    let mut world = World::after(Direction::OverlapSwitch, &[("a", Access::ReadWrite)], Step::Deploy);
    assert!(!world.process(|runner| runner.settle_step(Step::Verify)).unwrap());
    assert_eq!(world.person.heard, ["? verify"]);
}

#[test]
fn a_delivery_that_was_signed_since_the_deploy_verifies_where_no_receiver_says_otherwise() {
    let seen = |secret: char, at: Option<i64>| Event::Seen {
        secret: print(secret),
        deliveries: 1,
        signed_at: at.map(|seconds| noon() + SignedDuration::from_secs(seconds)),
    };
    // Seconds from the deploy to the look; what was seen; what the receivers take.
    let table: &[(i64, Event, &Receivers, &str)] = &[
        (5, seen('n', None), &[], "verify:delivery"),
        (5, seen('n', Some(60)), &[], "verify:delivery"),
        (5, seen('n', Some(59)), &[], ""),
        (0, seen('n', Some(60)), &[], "verify:delivery"),
        (-5, seen('n', None), &[], ""),
        (0, seen('n', None), &[], "verify:delivery"),
        (5, seen('o', None), &[], ""),
        (5, seen('n', None), &[(A, "n"), (B, "")], "probed verify:delivery"),
        (5, seen('n', None), &[(A, "o"), (B, "n")], "probed"),
    ];
    for (after, event, receivers, recorded) in table {
        let mut world = live(receivers);
        world.fake().receivers.retain(|_, takes| !takes.is_empty());
        let deploy = Event::Done { step: Step::Deploy, how: How::Word { reason: None } };
        pass(60);
        if *after < 0 {
            world.journals(std::slice::from_ref(event));
            pass(-after);
            world.journals(&[deploy]);
        } else {
            world.journals(&[deploy]);
            pass(*after);
            world.journals(std::slice::from_ref(event));
        }
        let came_to = world.process(|runner| runner.settle_step(Step::Verify)).unwrap();
        assert_eq!((world.recorded().as_str(), came_to), (*recorded, recorded.contains("verify")), "{after} {event:?}");
    }
    // It says nothing of the drop.
    let mut world = deployed(&[]);
    world.journals(&[seen('n', None)]);
    assert!(!world.process(|runner| runner.settle_step(Step::Drop)).unwrap());
}

#[test]
fn the_gate_of_finish_opens_with_a_reason_or_where_no_receiver_rejects() {
    let table: &[(&Receivers, Option<&str>, &str, &str)] = &[
        (&[(A, "n")], None, "open", "probed"),
        (&[(A, "n"), (B, "o")], None, "unsafe", "probed"),
        (&[(A, "o")], Some("a test"), "open", "probed overridden"),
        (&[(A, "")], None, "unsafe", "probed"),
        (&[], None, "open", ""),
    ];
    for (receivers, reason, came_to, recorded) in table {
        let mut world = live(receivers);
        let result = world.process(|runner| runner.gate(*reason)).map(|()| "open".to_owned());
        let found = result.unwrap_or_else(|error| first_word(&error));
        assert_eq!((found.as_str(), world.recorded().as_str()), (*came_to, *recorded), "{receivers:?} {reason:?}");
        assert_eq!(world.heard("going on, as was said"), reason.is_some());
    }
}

#[test]
fn whoever_comes_back_to_a_question_finds_what_others_did() {
    let word = |step| Event::Done { step, how: How::Word { reason: None } };
    let table: &[(Vec<Event>, Reply, &str, &str)] = &[
        (vec![], done(None), "true", "deploy:word"),
        (vec![word(Step::Deploy)], done(None), "true", ""),
        (vec![word(Step::Deploy)], Reply::LookAgain, "true", ""),
        (vec![word(Step::Deploy)], Reply::NotNow, "false", ""),
        (vec![Event::RolledBack { reason: None }], done(None), "undone", ""),
        (vec![Event::Closed { outcome: Outcome::Abandoned, reason: None }], done(None), "givenup", ""),
    ];
    for (events, reply, came_to, recorded) in table {
        let mut world = live(&[]);
        world.person.replies = [reply.clone()].into();
        let others = world.others(events.clone());
        world.person.others.push_back(if events.is_empty() { Box::new(|_| {}) } else { others });
        let result = world.process(|runner| runner.settle_step(Step::Deploy));
        assert_eq!(
            (self::word(&result).as_str(), world.recorded().as_str()),
            (*came_to, *recorded),
            "{events:?} {reply:?}"
        );
    }
}

#[test]
fn the_provider_is_looked_at_anew_after_somebody_was_waited_for_and_before_probes_are_signed() {
    let mut world = live(&[]);
    world.person.replies = [Reply::Done { reason: None }].into();
    let lets_go = |world: &mut World| {
        world.process(|runner| {
            runner.looked = Some(true);
            runner.settle_step(Step::Deploy).unwrap();
            runner.looked
        })
    };
    assert_eq!(lets_go(&mut world), Some(true), "nobody let go of the lock");
    let mut world = live(&[]);
    world.person.replies = [Reply::Done { reason: None }].into();
    world.person.others.push_back(Box::new(|_| {}));
    assert_eq!(lets_go(&mut world), None);
    // Two hours ahead since our clock was put right: probes at our own time would be refused as old.
    let mut world = deployed(&[(A, "n")]);
    world.fake().ahead = [7200].into();
    assert!(world.process(|runner| runner.settle_step(Step::Verify)).unwrap(), "{:?}", world.person.heard);
    assert!(world.recorded().contains("clockjumped"), "{}", world.recorded());
    assert_eq!(world.fake().calls.len(), 2, "it was asked once more, since it jumped");
}

#[test]
fn the_old_secret_is_sealed_before_it_leaves_the_stores_where_a_probe_will_want_it() {
    let table: &[(&Receivers, Option<Step>, bool)] =
        &[(&[(A, "no")], None, true), (&[], None, false), (&[(A, "no")], Some(Step::Drop), false)];
    for (receivers, done_before, is_sealed) in table {
        let mut world = deployed(receivers);
        world.journals(&[Event::Done { step: Step::Verify, how: How::Word { reason: None } }]);
        done_before.iter().for_each(|step| {
            world.journals(&[Event::Done { step: *step, how: How::Word { reason: None } }]);
        });
        world.process(|runner| runner.retire()).unwrap();
        assert_eq!((world.slots().as_str(), world.sealed().1), ("-n-", *is_sealed), "{receivers:?} {done_before:?}");
        if *is_sealed {
            let sealed = world.seals.secret_of(person_steps::old_seal(world.rotation.id), Some(&print('o')));
            assert!(sealed.is_ok());
            // It proves from the seal that receivers still take it.
            assert!(!world.process(|runner| runner.settle_step(Step::Drop)).unwrap());
            assert!(world.heard("accepts both"), "{:?}", world.person.heard);
        }
    }
    // Without a prober nobody will.
    let mut world = deployed(&[(A, "no")]);
    world.prober = None;
    world.process(|runner| runner.keep_old());
    assert!(!world.sealed().1);
}

#[test]
fn no_two_seals_of_a_rotation_share_a_name() {
    let id = Uuid::from_u128(0x0123_4567_89ab_7def_8123_4567_89ab_cdef);
    let (one, other) = (print('a'), print('b'));
    let old = person_steps::old_seal(id);
    assert_eq!(old, Uuid::from_u128(0x0123_4567_89ab_8def_8123_4567_89ab_cdef), "its version is 8");
    let names = [
        id,
        old,
        person_steps::overruled_seal(id, &one),
        person_steps::overruled_seal(id, &other),
        person_steps::seal_beside(id, &one, 0xa0),
        person_steps::overruled_seal(Uuid::max(), &one),
    ];
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    assert_eq!(names.map(|name| name.into_bytes()[6] >> 4), [7, 8, 9, 9, 10, 9]);
    // Every digit of the fingerprint is in it.
    let mixed: Vec<u8> = id.into_bytes().iter().zip(one.digits().bytes()).map(|(byte, digit)| byte ^ digit).collect();
    assert_eq!((&names[2].into_bytes()[..6], names[2].into_bytes()[6]), (&mixed[..6], (mixed[6] & 0x0f) | 0x90));
}

#[test]
fn what_another_process_found_proves_nothing_to_one_that_cannot_ask() {
    let mut world = live(&[(A, "n")]);
    assert!(world.process(|runner| runner.settle_step(Step::Deploy)).unwrap());
    world.forget();
    world.prober = None;
    for step in [Step::Verify, Step::Drop, Step::Deploy] {
        assert!(!world.process(|runner| runner.settle_step(step)).unwrap(), "{step:?}");
    }
    assert_eq!(world.person.heard, ["? verify", "? drop", "? deploy"]);
    // Nobody is asked by a probe twice, nor is the provider where it was looked at just now.
    let mut world = deployed(&[(A, "o")]);
    world.process(|runner| {
        runner.looked = Some(false);
        runner.settle_step(Step::Verify).unwrap()
    });
    assert_eq!((world.recorded().as_str(), world.fake().calls.len()), ("probed", 0));
    assert_eq!(world.person.heard.iter().filter(|heard| *heard == "begins verify").count(), 1);
}

#[test]
fn only_the_secret_that_was_live_before_is_the_old_one() {
    for (slots, is_sealed) in [("-no", true), ("-nx", false), ("-n-", false), ("-on", true)] {
        let mut world = deployed(&[(A, "no")]);
        world.shelves[0].put(slots);
        world.process(|runner| {
            runner.arrived = Some(secret('n'));
            runner.keep_old();
        });
        assert_eq!(world.sealed().1, is_sealed, "{slots}");
    }
}
