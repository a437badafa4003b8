//! The call, by tables: what comes of it once and again, and what is on record then.

use std::time::Duration;

use super::pause;
use crate::provider::request::Request;
use crate::rotation::fake_provider::Answer::{self, Bare, Cut, Lost, No, Off, Same, Yes};
use crate::rotation::fakes::{first_word, print};
use crate::rotation::operator::Reply;
use crate::rotation::tests::{noon, time};
use crate::rotation::world::World;
use crate::rotation::{Call, Direction, Event, Evidence, ExpirySource, Issuing, KeyMark, KeyOrigin, RunError, Step};
use crate::secret::Secret;
use crate::store::Access;

/// A switch of which everything is checked.
fn checked() -> World {
    World::after(Direction::OverlapSwitch, &[("a", Access::ReadWrite)], Step::Check)
}

/// The request of its call.
fn call(world: &mut World) -> &mut Request {
    let Issuing::Call(request) = &mut world.rotation.plan.issuing else { panic!("nothing is sent") };
    request
}

#[test]
fn only_the_same_request_with_the_same_key_is_sent_again_and_only_where_that_is_safe() {
    let end = "stage@a stage:tool promote@a promote:tool";
    let busy = No(409, "busy");
    let table: &[(&[Answer], bool, &str, &str)] = &[
        (&[], true, "person deploy", "sent1 answered stage@a stage:tool shown promote@a promote:tool"),
        // Refused for good, or never sent: nothing was applied, and it is over.
        (&[No(422, "")], true, "refused", "sent1 notapplied closed:failed"),
        (&[No(409, "")], true, "refused", "sent1 notapplied closed:failed"),
        (&[Off], true, "notsent", "sent1 notapplied closed:failed"),
        (&[Same], true, "samesecret", "sent1 notapplied closed:failed"),
        // Refused for now.
        (&[No(429, ""), Off], true, "notsent", "sent1 notapplied sent2 notapplied closed:failed"),
        (
            &[No(503, ""); 5],
            true,
            "refused",
            "sent1 notapplied sent2 notapplied sent3 notapplied sent4 notapplied closed:failed",
        ),
        // Perhaps applied: a later refusal proves nothing about the one before.
        (&[Lost], true, "person deploy", "sent1 lost sent2 answered shown confirmed END"),
        (&[busy], true, "person deploy", "sent1 lost sent2 answered shown confirmed END"),
        (&[Cut, No(503, "")], true, "person deploy", "sent1 lost sent2 lost sent3 answered shown confirmed END"),
        (&[Cut, No(422, "")], true, "lost", "sent1 lost sent2 lost"),
        (&[Cut, Off], true, "lost", "sent1 lost sent2 lost"),
        (&[Cut; 5], true, "lost", "sent1 lost sent2 lost sent3 lost sent4 lost"),
        // Without a key it is never sent twice, unless it was certainly not applied.
        (&[Lost], false, "lost", "sent1 lost"),
        (&[busy], false, "lost", "sent1 lost"),
        (&[Bare], false, "unreadable", "sent1 unreadable"),
        (&[Bare], true, "unreadable", "sent1 unreadable sent2 unreadable"),
    ];
    for (answers, has_key, came_to, recorded) in table {
        let mut world = checked();
        world.fake().answers = answers.iter().copied().collect();
        if !has_key {
            world.rotation.plan.idempotency_key = None;
            call(&mut world).headers.retain(|(name, _)| name != "Idempotency-Key");
        }
        let (found, expected) = (world.run(None), format!("checked {}", recorded.replace("END", end)));
        assert_eq!((found.as_str(), world.recorded()), (*came_to, expected), "{answers:?} {has_key}");
        let calls = world.fake().calls.iter().filter(|call| **call == "rotate").count();
        assert_eq!(calls, recorded.matches("sent").count(), "{answers:?}");
    }
}

#[test]
fn a_call_that_is_sent_again_waits_longer_each_time_and_stops_for_a_signal() {
    for (after, attempt, expected) in [
        (None, 1, Some(1)),
        (None, 2, Some(2)),
        (None, 3, Some(4)),
        (None, 4, Some(8)),
        (None, 9, Some(8)),
        (Some(20), 1, Some(20)),
        (Some(21), 1, None),
        (Some(0), 3, Some(0)),
    ] {
        let found = pause(after.map(Duration::from_secs), attempt);
        assert_eq!(found, expected.map(Duration::from_secs), "{after:?} {attempt}");
    }
    for (answer, stop_at, came_to, recorded) in [
        (No(503, ""), "sent1", "refused", "checked sent1 notapplied closed:failed"),
        (No(503, ""), "again in 1", "refused", "checked sent1 notapplied closed:failed"),
        (Cut, "sent1", "lost", "checked sent1 lost"),
        (Cut, "again in 1", "lost", "checked sent1 lost"),
    ] {
        let mut world = checked();
        world.fake().answers = [answer; 2].into();
        world.person.stop_at = Some(stop_at);
        assert_eq!((world.run(None).as_str(), world.recorded().as_str()), (came_to, recorded), "{answer:?} {stop_at}");
    }
    let mut world = checked();
    world.fake().answers = [No(503, ""), Cut].into();
    world.run(None);
    let waits: Vec<&String> = world.person.heard.iter().filter(|heard| heard.starts_with("again")).collect();
    assert_eq!(waits, ["again in 1", "again in 2"]);
    assert_eq!(crate::rotation::fakes::now(), noon() + jiff::SignedDuration::from_secs(3));
    // For as long as the answer is awaited there is no safe point, and after it there is.
    let awaits: Vec<&String> =
        world.person.heard.iter().filter(|heard| heard.contains("awaits") || heard.contains("answered?")).collect();
    assert_eq!(awaits, ["awaits 30", "answered?", "awaits 30", "answered?", "awaits 30", "answered?"]);
}

#[test]
fn a_key_past_its_window_is_not_sent_again() {
    let mut world = checked();
    world.rotation.plan.key_window = Some(crate::rotation::KEY_MARGIN);
    world.fake().answers = [Cut].into();
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("lost", "checked sent1 lost"));
}

#[test]
fn a_lost_request_goes_out_again_only_as_the_same_account() {
    let mark =
        |key: &str, world: &World| KeyMark::of(&Secret::new(key), world.origin.as_ref().unwrap(), world.rotation.id);
    let (ours, theirs) = ("a key of the test's own", "a key of somebody else's");
    let reason = Reply::Done { reason: Some("both are ours".to_owned()) };
    type Row<'a> = (&'a [&'a str], bool, Option<&'a Reply>, &'a str, &'a str);
    let table: &[Row<'_>] = &[
        (&[ours], true, None, "person deploy", "sent2 answered"),
        (&[theirs, ours], true, None, "person deploy", "sent2 answered"),
        (&[theirs], true, None, "doubtful", ""),
        (&[theirs], true, Some(&Reply::NotNow), "doubtful", ""),
        (&[theirs], true, Some(&reason), "person deploy", "overridden sent2 answered"),
        // Whoever does not say where the key is from is not asked, and nor is who wrote before keys were marked.
        (&[theirs], false, None, "person deploy", "sent2 answered"),
        (&[], true, None, "person deploy", "sent2 answered"),
    ];
    for (sent_with, has_origin, reply, came_to, recorded) in table {
        let mut world = checked();
        let mut events: Vec<Event> = Vec::new();
        for key in *sent_with {
            events.push(Event::Sent { attempt: 1, digest: String::new(), key: Some(mark(key, &world)) });
        }
        if sent_with.is_empty() {
            events.push(Event::Sent { attempt: 1, digest: String::new(), key: None });
        }
        events.push(Event::Lost { why: "cut".to_owned(), status: None });
        world.journals(&events);
        world.forget();
        world.person.replies = reply.iter().map(|reply| (*reply).clone()).collect();
        world.origin = world.origin.filter(|_| *has_origin);
        let found = world.run(None);
        assert_eq!(found, *came_to, "{sent_with:?} {reply:?}");
        assert!(world.recorded().starts_with(recorded) && (world.recorded() == *recorded) == recorded.is_empty());
        assert_eq!(world.heard("? otherkey"), came_to == &"doubtful" || reply.is_some(), "{sent_with:?}");
    }
    let printed = KeyOrigin { words: "the program `token`".to_owned(), is_printed: true };
    let mut world = checked();
    world.origin = Some(printed);
    world.fake().answers = [Lost].into();
    assert_eq!(world.run(None), "person deploy", "a program prints another one each time");
}

#[test]
fn without_an_api_key_nothing_is_sent() {
    let mut world = checked();
    world.key = None;
    let error = world.process(|runner| runner.issue()).unwrap_err();
    assert!(matches!(error, RunError::KeyNeeded { .. }), "{error:?}");
    assert_eq!((world.recorded().as_str(), world.fake().calls.len()), ("", 0));
}

#[test]
fn the_old_secrets_end_is_never_too_early() {
    // Answers, what the answer says, how far the provider's clock is ahead; the end, how it is known, and what is said.
    type Row<'a> = (&'a [Answer], &'a str, i64, &'a str, ExpirySource, &'a str);
    let table: &[Row<'_>] = &[
        (&[], "", 0, "2026-11-21T12:00:01Z", ExpirySource::Documented, "cannot be read"),
        (&[], "2026-11-21T11:00:00Z", 0, "2026-11-21T11:00:00Z", ExpirySource::Provider, ""),
        (&[], "2999-01-01T00:00:00Z", 0, "2026-11-21T12:00:01Z", ExpirySource::Documented, "years away"),
        (&[], "2020-01-01T00:00:00Z", 0, "2020-01-01T00:00:00Z", ExpirySource::Provider, "ended already"),
        (&[], "2026-11-20T12:00:00Z", 0, "2026-11-20T12:00:00Z", ExpirySource::Provider, "ended already"),
        (&[], "", 100, "2026-11-21T12:01:41Z", ExpirySource::Documented, ""),
        // A replay tells of a rotation that was when the first request arrived; a late first answer, of one just now.
        (&[Lost], "", 0, "2026-11-21T12:00:02Z", ExpirySource::Documented, ""),
        (&[Lost, No(503, ""), No(503, "")], "", 0, "2026-11-21T12:00:08Z", ExpirySource::Documented, ""),
    ];
    for (answers, says, ahead, end, source, said) in table {
        let mut world = World::new(Direction::OverlapSwitch);
        world.fake().ahead = [*ahead].into();
        world.fake().ends = if says.is_empty() { serde_json::Value::Null } else { (*says).into() };
        world.fake().answers = answers.iter().copied().collect();
        world.run(Some(Step::Stage));
        let answered = world.rotation.answered().unwrap();
        assert_eq!(
            (answered.expires_at, answered.expires_source),
            (Some(time(end)), *source),
            "{answers:?} {says} {ahead}"
        );
        assert_eq!((answered.replayed, answered.clock_ahead_ms), (!answers.is_empty(), ahead * 1000));
        assert!(world.heard(said), "{said}: {:?}", world.person.heard);
        let warned =
            ["cannot be read", "years away", "ended already"].iter().filter(|words| world.heard(words)).count();
        assert_eq!(warned, 1.min(usize::from(said != &"") + usize::from(says.is_empty())), "{says}");
    }
    let mut world = World::new(Direction::Force);
    world.run(Some(Step::Stage));
    let answered = world.rotation.answered().unwrap();
    assert_eq!((answered.expires_at, answered.expires_source), (None, ExpirySource::Call));
}

#[test]
fn one_wild_answer_makes_no_end_too_early() {
    // Of a provider that was heard before the call, a minute between both counts at most.
    for (heard, answer, minutes, end) in [
        (Some(0), -7200, 0, "2026-11-21T12:00:01Z"),
        (Some(0), 7200, 0, "2026-11-21T14:00:01Z"),
        (None, -7200, 5, "2026-11-21T10:01:01Z"),
    ] {
        let mut world = checked();
        let before = Evidence { clock_ahead_ms: heard, ..world.rotation.before.clone() };
        world.journals(&[Event::Checked { before }]);
        world.fake().ahead = [answer].into();
        world.fake().meanwhile = None;
        world.journals(&[Event::Sent { attempt: 1, digest: String::new(), key: None }]);
        crate::rotation::fakes::pass(minutes * 60);
        let ahead = answer * 1000;
        let called = world.process(|runner| runner.called_by(ahead));
        assert_eq!(called + jiff::SignedDuration::from_hours(24), time(end), "{heard:?} {answer}");
    }
}

#[test]
fn what_came_is_sealed_or_in_the_stores_before_anything_else_is_said() {
    // Whether the seal, the store and the journal fail while the call is at work.
    for (no_seal, no_store, no_journal, came_to, recorded, slots) in [
        (false, false, false, "", "sent1 answered", "-o-"),
        (true, false, false, "", "sent1 answered stage@a stage:tool", "no-"),
        (true, true, false, "lost", "sent1 answered", "-o-"),
        (false, false, true, "notrecorded", "sent1", "-o-"),
        (true, false, true, "notrecorded", "sent1", "no-"),
    ] {
        let mut world = checked();
        let (folder, shelf) = (world.folder().to_owned(), world.shelves[0].clone());
        world.fake().meanwhile = Some(Box::new(move || {
            if no_seal {
                std::fs::remove_dir_all(folder.join("seals")).unwrap();
                std::fs::write(folder.join("seals"), "").unwrap();
            }
            if no_journal {
                std::fs::rename(folder.join("journal.sqlite"), folder.join("elsewhere")).unwrap();
            }
            if no_store {
                shelf.fail_after(0);
            }
        }));
        let result = world.process(|runner| runner.issue());
        let found = result.as_ref().err().map(first_word).unwrap_or_default();
        assert_eq!(
            (found.as_str(), world.recorded().as_str()),
            (came_to, recorded),
            "{no_seal} {no_store} {no_journal}"
        );
        world.shelves[0].mend();
        assert_eq!(world.slots(), slots);
        assert_eq!(world.sealed().0, !no_seal);
        assert_eq!(world.heard("goes into the stores at once"), no_seal);
        if let Call::Answered(answered) = &world.rotation.call {
            assert_eq!(answered.fingerprint, print('n'));
        } else {
            panic!("it came: {:?}", world.rotation.call);
        }
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_sealed_whole_beside_the_one_before() {
    let mut world = checked();
    world.fake().answers = [Bare].into();
    world.rotation.plan.idempotency_key = None;
    assert_eq!(world.run(None), "unreadable");
    let sealed = |world: &World| {
        let answer = world.seals.unseal(world.rotation.id).unwrap().answer().unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    };
    let first = sealed(&world);
    assert!(first.contains("\"version\":2"), "{first}");
    // Another that is as bare comes by a repetition.
    world.rotation.plan.idempotency_key = Some("other".to_owned());
    call(&mut world)
        .headers
        .iter_mut()
        .filter(|(name, _)| name == "Idempotency-Key")
        .for_each(|(_, key)| *key = "other".to_owned());
    world.fake().answers = [Bare].into();
    world.process(|runner| runner.issue()).unwrap();
    assert_eq!(sealed(&world), format!("{first}\n{}", first.replace("\"version\":2", "\"version\":3")));
    // A seal that does not open is left as it is.
    let path = world.seals.path(world.rotation.id);
    std::fs::write(&path, "no seal").unwrap();
    world.fake().answers = [Yes, Bare].into();
    world.fake().answers.pop_front();
    world.process(|runner| runner.issue()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "no seal");
    assert!(matches!(world.rotation.call, Call::Unreadable { .. }));
}
