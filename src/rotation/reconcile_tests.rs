//! A call whose outcome is unknown, by tables: what is there to find out from, what a person says, and what comes of it.

use crate::rotation::fake_provider::Answer::{self, Bare, Behind, Lost, No, Yes};
use crate::rotation::fake_provider::reading_provider;
use crate::rotation::fakes::{first_word, pass, print};
use crate::rotation::operator::Ruling::{self, NobodyToAsk, NotNow};
use crate::rotation::seal::Sealed;
use crate::rotation::tests::{answered, time};
use crate::rotation::world::World;
use crate::rotation::{Answered, Direction, Event, Evidence, How, Outcome, RunError, Step};
use crate::store::Access;

fn said(applied: bool, reason: Option<&str>) -> Ruling {
    Ruling::Said { applied, reason: reason.map(str::to_owned) }
}

/// A rotation whose answer was lost, with no key that would be remembered, of a provider that shows these.
fn lost(shows: &'static [&'static str], answer: Answer) -> World {
    let world = World::new(Direction::OverlapSwitch);
    world.fake().shows = shows;
    let mut world = world.went_on_to(Step::Check);
    world.rotation.plan.key_window = None;
    world.fake().answers = [answer].into();
    let _ = world.process(|runner| runner.issue());
    world.forget();
    world
}

#[test]
fn what_a_person_says_of_a_lost_call_counts_where_the_evidence_backs_it_or_with_a_reason() {
    let applied = &[Lost, Bare];
    let not = Answer::Cut;
    for (answer, says, can_look, came_to, recorded) in [
        (not, said(false, None), true, "finished", "notapplied closed:failed"),
        (not, said(true, None), true, "againstevidence", ""),
        (not, said(true, Some("they said so")), true, "secretlost", "closed:failed"),
        (applied[0], said(true, None), true, "secretlost", "closed:failed"),
        (applied[0], said(false, None), true, "againstevidence", ""),
        (applied[0], said(false, Some("it was me")), true, "finished", "notapplied closed:failed"),
        // Nothing backs either where the provider cannot be asked.
        (not, said(false, None), false, "againstevidence", ""),
        (not, said(false, Some("they said so")), false, "finished", "notapplied closed:failed"),
        (applied[0], said(true, None), false, "againstevidence", ""),
        (not, NotNow, true, "lost", ""),
        (not, NobodyToAsk, true, "lost", ""),
        // An answer that came is proof: what is left to say is that nobody can make use of it.
        (applied[1], NotNow, true, "unreadable", ""),
        (applied[1], said(false, Some("no")), true, "unreadable", ""),
        (applied[1], said(true, None), true, "secretlost", "closed:failed"),
        (applied[1], said(true, None), false, "secretlost", "closed:failed"),
    ] {
        let mut world = lost(&["version"], answer);
        if !can_look {
            world.fake().looks = [No(503, ""); 9].into();
        }
        world.person.rulings = [says.clone()].into();
        let found = world.run(None);
        assert_eq!((found.as_str(), world.recorded().as_str()), (came_to, recorded), "{answer:?} {says:?} {can_look}");
    }
}

#[test]
fn what_is_said_of_a_lost_call_is_on_record() {
    let reason = |world: &World| world.rotation.closed.as_ref().and_then(|closed| closed.reason.clone()).unwrap();
    let mut world = lost(&["version"], Answer::Cut);
    world.person.rulings = [said(false, Some("ben saw it"))].into();
    world.run(None);
    assert_eq!(reason(&world), "settled by a person: the provider had not rotated (ben saw it)");
    // The old secret lives for a day from the request, where the call does not end it, and for no longer.
    for (direction, seconds, until) in [
        (Direction::OverlapSwitch, 0, Some("2026-11-21T12:00:00Z")),
        (Direction::OverlapSwitch, 86_399, Some("2026-11-21T12:00:00Z")),
        (Direction::OverlapSwitch, 86_400, None),
        (Direction::Instant, 0, None),
    ] {
        let mut world = World::after(direction, &[("a", Access::ReadWrite)], Step::Check);
        world.rotation.plan.key_window = None;
        world.fake().answers = [Lost].into();
        let _ = world.process(|runner| runner.issue());
        pass(seconds);
        world.person.rulings = [said(true, Some("it shows"))].into();
        let error = world.process(|runner| runner.run(None)).unwrap_err();
        let RunError::SecretLost { until: found, can_force, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*found, *can_force), (until.map(time), true), "{direction:?} {seconds}");
        assert_eq!(reason(&world), format!("{error} (it shows)"));
    }
}

#[test]
fn a_seal_that_was_not_journaled_is_what_came() {
    for (seals, fresh, came_to, recorded) in [
        ("ours", false, "person deploy", "answered stage@a stage:tool shown promote@a promote:tool"),
        ("ours", true, "person deploy", "answered stage@a stage:tool shown promote@a promote:tool"),
        // Facts of another secret than the one inside are none.
        ("other", false, "lost", ""),
        ("bare", false, "lost", ""),
        // One that does not open is no loss while the same secret can be had again.
        ("broken", true, "person deploy", "sent2 answered shown confirmed stage@a stage:tool promote@a promote:tool"),
        ("broken", false, "sealfailed", ""),
    ] {
        let mut world = lost(&["version"], Lost);
        if fresh {
            world.rotation.plan.key_window = Some(std::time::Duration::from_secs(86_400));
        }
        let facts = |letter| Answered { fingerprint: print(letter), ..answered(Direction::OverlapSwitch) };
        let new = crate::rotation::fakes::secret('n');
        let id = world.rotation.id;
        match seals {
            "ours" => world.seals.seal(id, &Sealed::new(Some(facts('n')), new.expose())).unwrap(),
            "other" => world.seals.seal(id, &Sealed::new(Some(facts('x')), new.expose())).unwrap(),
            "bare" => world.seals.seal(id, &Sealed::new(None, new.expose())).unwrap(),
            _ => std::fs::write(world.seals.path(id), "no seal").unwrap(),
        }
        let found = world.run(None);
        assert_eq!((found.as_str(), world.recorded().as_str()), (came_to, recorded), "{seals} {fresh}");
    }
}

#[test]
fn a_secret_that_the_provider_shows_counts_only_where_it_is_known_to_be_new() {
    let (both, one): (&'static [&'static str], &'static [&'static str]) = (&["version", "secret"], &["secret"]);
    // What was shown before the call and is now; what is there, at which version; what the store had in `next` before.
    for (before, now, secret, version, next, is_had) in [
        (both, both, 'n', 2, "-o-", true),
        (one, one, 'n', 1, "-o-", true),
        (one, one, 'o', 1, "-o-", false),
        // A store had the one of then.
        (&["version"], both, 'n', 2, "-o-", true),
        (&["version"], both, 'n', 2, "---", false),
        (&["version"], both, 'o', 2, "-o-", false),
        // The same version is no rotation.
        (both, both, 'n', 1, "-o-", false),
        (one, &["version"], 'n', 2, "-o-", false),
    ] {
        let world = World::new(Direction::OverlapSwitch);
        world.fake().shows = before;
        world.shelves[0].put(next);
        let mut world = world.went_on_to(Step::Check);
        world.rotation.plan.key_window = None;
        world.fake().answers = [Answer::Cut].into();
        let _ = world.process(|runner| runner.issue());
        world.forget();
        (world.fake().secret, world.fake().version) = (secret, version);
        world.fake().shows = now;
        let found = world.run(Some(Step::Stage));
        let case = format!("{before:?} {now:?} {secret} {version} {next}: {:?}", world.person.heard);
        assert_eq!(found, if is_had { "finished" } else { "lost" }, "{case}");
        assert_eq!(world.recorded().starts_with("answered"), is_had, "{case}");
        if is_had {
            let answered = world.rotation.answered().unwrap();
            assert_eq!((&answered.fingerprint, answered.replayed, answered.status), (&print('n'), false, 200));
            assert_eq!(answered.expires_at, Some(time("2026-11-21T12:00:01Z")));
        }
    }
    // Nobody was asked before the call, and the answer that could not be read has it.
    let mut world = lost(&["version"], Bare);
    let before = Evidence { clock_ahead_ms: None, ..Evidence::default() };
    world.rotation.before = before;
    world.fake().shows = &["secret"];
    assert_eq!(world.run(None), "unreadable");
    let answer = format!("half of {{ {} }}", crate::rotation::fakes::secret('n').expose());
    world.seals.seal(world.rotation.id, &Sealed::of_answers(None, answer.as_bytes())).unwrap();
    assert_eq!(world.run(Some(Step::Stage)), "finished", "{:?}", world.person.heard);
}

#[test]
fn what_is_in_next_since_the_call_came_from_there_unless_the_provider_says_otherwise() {
    let none: &'static [&'static str] = &[];
    for (before, after, shows, secret, version, is_adopted) in [
        ("-o-", "no-", none, 'n', 2, true),
        ("-o-", "no-", &["version"], 'n', 2, true),
        ("-o-", "no-", &["version"], 'n', 1, false),
        ("-o-", "no-", &["secret"], 'n', 2, true),
        ("-o-", "no-", &["secret"], 'x', 2, false),
        ("-o-", "-o-", none, 'n', 2, false),
        ("-o-", "oo-", none, 'n', 2, false),
    ] {
        let world = World::new(Direction::OverlapSwitch);
        world.shelves[0].put(before);
        world.fake().shows = if shows == ["version"] { shows } else { none };
        let mut world = world.went_on_to(Step::Check);
        world.rotation.plan.key_window = None;
        world.fake().answers = [Answer::Cut].into();
        let _ = world.process(|runner| runner.issue());
        world.forget();
        world.shelves[0].put(after);
        (world.fake().secret, world.fake().version) = (secret, version);
        world.fake().shows = shows;
        world.run(Some(Step::Stage));
        let case = format!("{after} {shows:?} {secret} {version}: {:?}", world.person.heard);
        assert_eq!(
            world.rotation.answered().is_some_and(|answered| answered.fingerprint == print('n')),
            is_adopted,
            "{case}"
        );
    }
    // Nobody had looked before the call.
    let mut world = lost(none, Answer::Cut);
    world.shelves[0].put("no-");
    world.rotation.before.next = None;
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("lost", ""));
    // What was there before is not what came.
    world.rotation.before.next = Some(vec![print('n')]);
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("lost", ""));
}

#[test]
fn whoever_rules_on_a_call_that_others_have_settled_meanwhile_rules_on_nothing() {
    let mut world = lost(&["version"], Answer::Cut);
    world.person.rulings = [said(false, None)].into();
    let theirs = Answered { fingerprint: print('n'), ..answered(Direction::OverlapSwitch) };
    let others = world.others(vec![
        Event::Answered(theirs),
        Event::StoreDone { step: Step::Stage, store: "a".to_owned() },
        Event::Done { step: Step::Stage, how: How::Tool },
    ]);
    world.person.others.push_back(others);
    world.shelves[0].put("no-");
    world.fake().version = 1;
    assert_eq!(world.run(Some(Step::Stage)), "finished");
    assert_eq!(world.recorded(), "", "{:?}", world.person.heard);
    let mut world = lost(&["version"], Answer::Cut);
    world.person.rulings = [said(false, None)].into();
    let closed = Event::Closed { outcome: Outcome::Abandoned, reason: None };
    let others = world.others(vec![closed]);
    world.person.others.push_back(others);
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("givenup", ""));
}

#[test]
fn a_lost_call_is_repeated_once_a_process_and_its_error_says_whether_it_can_be() {
    let mut world = lost(&["version"], Lost);
    world.rotation.plan.key_window = Some(std::time::Duration::from_secs(86_400));
    for (replays, attempts, calls) in [(0, 4, 0), (1, 0, 0), (1, 4, 1)] {
        world.forget();
        let result = world.process(|runner| {
            (runner.replays_left, runner.attempts_left) = (replays, attempts);
            runner.reconcile().map(|()| runner.replays_left)
        });
        let repeated = world.fake().calls.iter().filter(|call| **call == "rotate").count();
        assert_eq!(repeated, calls, "{replays} {attempts}");
        match result {
            Ok(left) => assert_eq!((left, calls), (0, 1)),
            Err(error) => assert!(matches!(error, RunError::Lost { replayable: true, .. }), "{}", first_word(&error)),
        }
    }
    let why = |world: &mut World| world.process(|runner| runner.why_unknown());
    let mut world = lost(&["version"], Answer::Cut);
    assert_eq!(why(&mut world), "the connection ended");
    world.journals(&[Event::Sent { attempt: 2, digest: String::new(), key: None }]);
    assert_eq!(why(&mut world), "whsec was cut off before the answer came");
    assert!(why(&mut lost(&["version"], Bare)).contains("nothing at `/secret`"));
}

/// What is recorded once the new secret was read.
const READ: &str = "answered stage@a stage:tool shown promote@a promote:tool";

#[test]
fn a_secret_that_another_call_shows_is_read_now_or_by_whoever_goes_on() {
    for (answers, looks, rulings, came_to, recorded, again) in [
        (&[][..], &[][..], vec![], "person deploy", format!("checked sent1 applied {READ}"), ""),
        // A copy that lags is asked again, and not believed.
        (&[], &[Yes, Behind, Behind], vec![], "person deploy", format!("checked sent1 applied {READ}"), ""),
        (&[], &[Yes, Behind, Behind, Behind], vec![], "unread", "checked sent1 applied".to_owned(), READ),
        (&[], &[Yes, No(503, "")], vec![], "unread", "checked sent1 applied".to_owned(), READ),
        (&[], &[Yes, No(404, "")], vec![said(false, None)], "unread", "checked sent1 applied".to_owned(), READ),
        (
            &[],
            &[Yes, No(404, "")],
            vec![said(true, None)],
            "secretlost",
            "checked sent1 applied closed:failed".to_owned(),
            "",
        ),
        // The very same request is answered as it was before, and then its secret is read.
        (&[Lost], &[], vec![], "person deploy", format!("checked sent1 lost sent2 applied {READ} confirmed"), ""),
    ] {
        let mut world = World::new(Direction::OverlapSwitch);
        world.endpoint.provider = reading_provider();
        world.fake().shows = &["secret"];
        world.fake().answers = answers.to_vec().into();
        world.fake().looks = looks.to_vec().into();
        world.person.rulings = rulings.into();
        let found = world.run(None);
        let sorted = |text: &str| text.split(' ').map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!((found.as_str(), sorted(&world.recorded())), (came_to, sorted(&recorded)), "{answers:?} {looks:?}");
        if !again.is_empty() {
            assert_eq!((world.rotation.applied, world.slots().as_str()), (true, "-o-"));
            world.forget();
            pass(3600);
            assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("person deploy", again));
            assert!(!world.fake().calls.contains(&"rotate"));
        }
        if came_to != "secretlost" {
            assert_eq!(world.slots(), "-no");
            // By the call, and not by whoever reads it an hour later.
            let end = world.rotation.expires_at().unwrap();
            assert!(end > time("2026-11-21T12:00:00Z") && end <= time("2026-11-21T12:01:10Z"), "{end}: as documented");
        }
    }
}

#[test]
fn a1_what_others_put_into_next_is_not_taken_for_a_secret_that_could_not_be_read() {
    let mut world = World::new(Direction::OverlapSwitch);
    world.endpoint.provider = reading_provider();
    world.fake().shows = &["secret"];
    world.fake().looks = [Yes, No(503, ""), No(503, "")].into();
    assert_eq!(world.run(None), "unread");
    world.shelves[0].put("xo-");
    assert_eq!((world.run(None).as_str(), world.slots().as_str()), ("unread", "xo-"));
    assert_eq!(world.rotation.new_secret(), None);
}

#[test]
fn nothing_is_read_without_a_key_and_nothing_is_rotated_anew() {
    let mut world = World::new(Direction::OverlapSwitch);
    world.endpoint.provider = reading_provider();
    world.fake().shows = &["secret"];
    world.fake().looks = [Yes, No(503, "")].into();
    assert_eq!(world.run(None), "unread");
    world.key = None;
    assert_eq!(world.run(None), "keyneeded");
    assert_eq!(world.fake().calls.iter().filter(|call| **call == "rotate").count(), 1);
}
