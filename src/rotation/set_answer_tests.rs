//! A secret of ours, by tables: what answer is a yes, when a secret is gone, and what is said of it then.

use jiff::SignedDuration;

use crate::provider::answer;
use crate::rotation::fake_provider::Answer::Cut;
use crate::rotation::fakes::{first_word, now};
use crate::rotation::operator::{Reply, Ruling};
use crate::rotation::world::World;
use crate::rotation::{Direction, Event, ExpirySource, Step};
use crate::store::{Access, Slot, Store};

/// One that is staged, and deployed on a person's word.
fn deployed() -> World {
    World::new(Direction::Set).went_on_to(Step::Deploy)
}

fn tried() -> Option<Reply> {
    Some(Reply::Done { reason: Some("tried by hand".to_owned()) })
}

#[test]
fn only_an_answer_that_is_json_or_nothing_at_all_is_a_yes() {
    for (body, complete, came_to, recorded) in [
        ("", true, "", "answered"),
        (" \n", true, "", "answered"),
        ("{\"id\":\"whk_1\"}", true, "", "answered"),
        ("<html>sign in</html>", true, "lost", "lost"),
        ("{\"id\":", true, "lost", "lost"),
        ("{}", false, "lost", "lost"),
    ] {
        for (ahead, expected_ms) in [(None, 30_000), (Some(90), 90_000)] {
            let mut world = deployed();
            world.journals(&[Event::Sent { attempt: 1, digest: String::new(), key: None }]);
            world.rotation.hear(30_000);
            let reply = answer::Reply {
                status: 202,
                body: body.as_bytes().to_vec().into(),
                complete,
                date: ahead.map(|seconds| now() + SignedDuration::from_secs(seconds)),
                request_id: Some("req_1".to_owned()),
                // However often it came, it is the one that we have made.
                replayed: true,
            };
            let made = world.rotation.made.clone().unwrap();
            let found = world.process(|runner| runner.taken(made.clone(), &reply)).map_err(|error| first_word(&error));
            assert_eq!(
                (found.err().unwrap_or_default().as_str(), world.recorded().as_str()),
                (came_to, recorded),
                "{body}"
            );
            let known = world.journal.find(&world.rotation.plan.endpoint_key, world.rotation.id).unwrap().unwrap();
            assert_eq!(
                (known.answered().is_some(), world.heard("(answered)")),
                (came_to.is_empty(), came_to.is_empty())
            );
            if let Some(answered) = known.answered() {
                assert_eq!((&answered.fingerprint, answered.status, answered.replayed), (&made, 202, false));
                assert_eq!((answered.request_id.as_deref(), answered.clock_ahead_ms), (Some("req_1"), expected_ms));
                assert_eq!(answered.expires_source, ExpirySource::Call);
            }
        }
    }
}

#[test]
fn of_one_that_is_gone_a_person_says_what_came_unless_the_provider_has_said_it() {
    let said = |applied| Ruling::Said { applied, reason: Some("I have looked".to_owned()) };
    for (is_answered, applied, came_to, recorded) in [
        (false, false, "finished", "notapplied closed:failed"),
        (false, true, "secretlost", "closed:failed"),
        (true, false, "lost", "shown lost"),
        (true, true, "secretlost", "shown lost closed:failed"),
    ] {
        let mut world = deployed();
        world.person.always = tried();
        world.fake().answers = if is_answered { [].into() } else { [Cut; 4].into() };
        assert_eq!(world.run(Some(Step::Issue)), if is_answered { "finished" } else { "lost" });
        world.shelves[0].put("-o-");
        world.seals.remove(world.rotation.id, None).unwrap();
        world.forget();
        world.person.rulings = [said(applied)].into();
        assert_eq!(
            (world.run(None).as_str(), world.recorded().as_str()),
            (came_to, recorded),
            "{is_answered} {applied}"
        );
    }
}

#[test]
fn it_is_gone_only_where_no_seal_and_no_slot_of_any_store_may_have_it() {
    use Access::{Once, ReadWrite, WriteOnly};
    // Whether it is sealed; the second store, where it has it, and how many more calls go well there.
    for (is_sealed, access, has, well, is_gone) in [
        (false, ReadWrite, None, None, true),
        (true, ReadWrite, None, None, false),
        (false, WriteOnly, None, None, false),
        (false, Once, None, None, false),
        (false, ReadWrite, Some(Slot::Next), None, false),
        (false, ReadWrite, Some(Slot::Current), None, false),
        (false, ReadWrite, None, Some(0), false),
        (false, ReadWrite, None, Some(1), false),
    ] {
        let mut world = World::with(Direction::Set, &[("a", ReadWrite), ("b", access)]).went_on_to(Step::Stage);
        let ours = world.shelves[0].get(Slot::Next).unwrap().unwrap();
        if !is_sealed {
            world.seals.remove(world.rotation.id, None).unwrap();
        }
        world.shelves.iter().for_each(|shelf| shelf.put("-o-"));
        has.into_iter().for_each(|slot| world.shelves[1].put_text(slot, ours.expose()));
        well.into_iter().for_each(|calls| world.shelves[1].fail_after(calls));
        let found = world.process(|runner| runner.is_gone());
        assert_eq!(found, is_gone, "{is_sealed} {access:?} {has:?} {well:?}");
    }
}

#[test]
fn nobody_is_asked_what_came_of_a_call_while_a_store_that_cannot_be_read_may_have_it() {
    let mut world = deployed();
    world.person.always = tried();
    world.fake().answers = [Cut; 4].into();
    assert_eq!(world.run(Some(Step::Issue)), "lost");
    world.seals.remove(world.rotation.id, None).unwrap();
    world.shelves[0].fail_after(0);
    world.forget();
    world.person.rulings = [Ruling::Said { applied: false, reason: Some("I have looked".to_owned()) }].into();
    let found = world.process(|runner| runner.set_again());
    assert_eq!((first_word(&found.unwrap_err()).as_str(), world.recorded().as_str()), ("sealfailed", ""));
    assert_eq!(world.person.rulings.len(), 1, "{:?}", world.person.heard);
}
