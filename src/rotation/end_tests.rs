//! Tables for a second endpoint beside the first: what it is made like, how the first is removed, and what is never removed.

use std::sync::Arc;

use serde_json::json;

use crate::rotation::fake_provider::{Answer, Fake};
use crate::rotation::fakes::{Others, now, pass, print};
use crate::rotation::operator::{Reply, Ruling};
use crate::rotation::world::World;
use crate::rotation::{Answered, Event, Next, Outcome, Step};

const THROUGH: &str = "checked sent1 answered stage@a stage:tool shown deploy:word verify:word ending end:word promote@a promote:tool retire@a retire:tool drop:word closed:done";

fn agreeing() -> World {
    let mut world = World::replacing();
    world.person.always = Some(Reply::Done { reason: None });
    world
}

fn verified() -> World {
    let mut world = agreeing();
    assert_eq!(world.run(Some(Step::Verify)), "finished", "{:?}", world.person.heard);
    world.person.recorded.clear();
    world.fake().calls.clear();
    world
}

#[test]
fn a_second_endpoint_is_made_like_the_first_which_is_removed_once_somebody_says_so() {
    let mut world = agreeing();
    assert_eq!(world.run(Some(Step::Verify)), "finished", "{:?}", world.person.heard);
    let endpoints = world.fake().endpoints.clone().unwrap();
    assert_eq!(endpoints["whk_2"], json!({ "url": "https://a.test/" }), "what the first has not is left out");
    assert_eq!((world.rotation.second(), world.rotation.own_id()), (Some("whk_2"), "whk_1"));
    assert_eq!((world.rotation.next(now()), world.slots().as_str()), (Next::Ask(Step::End), "no-"));
    assert_eq!(world.run(None), "finished", "{:?}", world.person.heard);
    assert_eq!(world.fake().endpoints.clone().unwrap().into_keys().collect::<Vec<_>>(), ["whk_2"]);
    assert_eq!((world.recorded().as_str(), world.slots().as_str()), (THROUGH, "-n-"));
    assert_eq!((world.rotation.own_id(), world.sealed()), ("whk_2", (false, false)));
    assert!(world.rotation.old_is_dead());
}

#[test]
fn nothing_is_made_of_an_endpoint_that_the_second_would_not_be_like() {
    let mut world = agreeing();
    world.fake().endpoints.as_mut().unwrap().get_mut("whk_1").unwrap()["app"] = json!("app_1");
    assert_eq!(world.run(None), "uncarried", "{:?}", world.person.heard);
    assert_eq!(world.fake().calls, ["look"]);
    assert_eq!(world.rotation.closed.as_ref().map(|closed| closed.outcome), Some(Outcome::Failed));
}

#[test]
fn nothing_is_removed_that_nobody_has_agreed_to_or_while_the_second_is_not_seen() {
    let mut world = verified();
    world.person.always = None;
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("person end", ""));
    for (what, looks) in [
        ("the key sees it not", Answer::No(404, "")),
        ("the key is refused", Answer::No(401, "")),
        ("nothing can be asked", Answer::Off),
        ("nobody knows", Answer::Cut),
    ] {
        let mut world = verified();
        // The look that is due when somebody goes on, and then the one at the second endpoint.
        world.fake().looks = [Answer::Yes, looks].into();
        let came_to = world.run(None);
        assert!(["refused", "notsent", "checkfailed"].contains(&came_to.as_str()), "{what}: {came_to}");
        assert_eq!((world.recorded().as_str(), world.slots().as_str()), ("", "no-"), "{what}");
        assert!(!world.fake().calls.contains(&"remove"), "{what}");
        assert_eq!(world.run(None), "finished", "{what}: {:?}", world.person.heard);
    }
    // Nor where the first cannot be shown, unless it is gone.
    let mut world = verified();
    world.fake().looks = [Answer::Yes, Answer::Yes, Answer::No(503, "")].into();
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("refused", ""));
    world.fake().endpoints.as_mut().unwrap().remove("whk_1");
    assert_eq!(world.run(None), "finished");
    let mut world = verified();
    world.fake().endpoints.as_mut().unwrap().remove("whk_2");
    assert_eq!((world.run(None).as_str(), world.recorded().as_str()), ("refused", ""));
    assert!(world.fake().endpoints.as_ref().unwrap().contains_key("whk_1"));
}

#[test]
fn an_endpoint_that_does_not_look_like_the_first_takes_its_place_for_a_reason_alone() {
    for (field, value) in
        [("url", json!("https://b.test/")), ("status", json!("disabled")), ("about", json!("what the first has not"))]
    {
        for reason in [None, Some("it is meant")] {
            let mut world = verified();
            let mut fake = world.fake();
            let endpoints = fake.endpoints.as_mut().unwrap();
            endpoints.values_mut().for_each(|shown| shown["status"] = json!("enabled"));
            endpoints.get_mut("whk_2").unwrap()[field] = value.clone();
            drop(fake);
            world.person.always = Some(Reply::Done { reason: reason.map(str::to_owned) });
            let came_to = world.run(None);
            assert_eq!(came_to, if reason.is_some() { "finished" } else { "doubtful" }, "{field}");
            assert_eq!(world.fake().calls.contains(&"remove"), reason.is_some());
        }
    }
}

#[test]
fn what_may_have_been_removed_is_removed_once_more_without_another_word() {
    for (answers, came_to, recorded) in [
        (vec![Answer::Lost, Answer::Yes], "finished", "ending ending end:word"),
        (vec![Answer::Cut, Answer::Yes], "finished", "ending ending end:word"),
        (vec![Answer::No(404, "")], "endunknown", "ending"),
        (vec![Answer::No(429, ""), Answer::Yes], "finished", "ending notended ending end:word"),
        (vec![Answer::No(401, "")], "refused", "ending notended"),
        (vec![Answer::Off], "notsent", "ending notended"),
        (vec![Answer::Cut; 4], "endunknown", "ending ending ending ending"),
        (vec![Answer::Cut, Answer::No(401, "")], "endunknown", "ending ending"),
        (vec![Answer::Cut, Answer::Off], "endunknown", "ending ending"),
        (vec![Answer::Lost, Answer::No(429, ""), Answer::No(422, "")], "endunknown", "ending ending ending"),
    ] {
        let mut world = verified();
        world.fake().answers = answers.clone().into();
        assert_eq!(world.run(Some(Step::End)), came_to, "{answers:?}: {:?}", world.person.heard);
        assert_eq!(world.recorded(), recorded, "{answers:?}");
        if came_to != "finished" {
            // Nobody is asked again, but for what is known not to have been done.
            let is_asked = recorded.ends_with("notended");
            world.person.always = None;
            let came_to = world.run(Some(Step::End));
            assert_eq!(came_to, if is_asked { "person end" } else { "finished" }, "{answers:?}");
        }
    }
}

#[test]
fn a_process_that_died_beside_the_call_goes_on_with_it() {
    let mut world = verified();
    world.journals(&[Event::Ending { digest: "sha256:0".to_owned(), reason: None }]);
    world.person.always = None;
    assert_eq!((world.run(Some(Step::End)).as_str(), world.recorded().as_str()), ("finished", "ending end:word"));
    // A second endpoint that is not like the first by now takes a word of its own.
    for reason in [None, Some("it is meant")] {
        let mut world = verified();
        world.journals(&[Event::Ending { digest: "sha256:0".to_owned(), reason: None }]);
        world.fake().endpoints.as_mut().unwrap().get_mut("whk_2").unwrap()["about"] = json!("more");
        world.person.always = reason.map(|reason| Reply::Done { reason: Some(reason.to_owned()) });
        assert_eq!(world.run(Some(Step::End)), if reason.is_some() { "finished" } else { "doubtful" });
    }
    // Receivers that refuse the new secret by now are a matter for a person.
    let mut world = verified().probing(&[("https://r.test/", "o")]);
    world.journals(&[Event::Ending { digest: "sha256:0".to_owned(), reason: None }]);
    world.person.always = None;
    assert_eq!(world.run(Some(Step::End)), "person end");
    assert!(!world.fake().calls.contains(&"remove"));
}

#[test]
fn where_nobody_knows_the_second_endpoint_a_person_removes_the_first() {
    let mut world = verified();
    world.rotation.second = None;
    assert_eq!((world.run(Some(Step::End)).as_str(), world.fake().calls.contains(&"remove")), ("nosecond", false));
    world.person.always = Some(Reply::Done { reason: Some("gone".to_owned()) });
    assert_eq!(world.run(Some(Step::End)), "finished", "{:?}", world.person.heard);
    assert!(!world.fake().calls.contains(&"remove"));
}

#[test]
fn on_the_way_back_the_second_endpoint_is_removed_and_the_first_goes_on() {
    let own_ids = |world: &World| world.fake().endpoints.clone().unwrap().into_keys().collect::<Vec<_>>();
    let mut world = verified();
    world.process(|runner| runner.roll_back(Some("it fails".to_owned()))).unwrap();
    assert_eq!((own_ids(&world), world.recorded().as_str()), (vec!["whk_1"], "rolledback closed:abandoned"));
    assert_eq!((world.slots().as_str(), world.rotation.own_id()), ("no-", "whk_1"));
    // Nothing is removed unless the first is seen, nor once it may be gone.
    let mut world = verified();
    world.fake().endpoints.as_mut().unwrap().remove("whk_1");
    assert!(world.process(|runner| runner.roll_back(None)).is_err());
    assert_eq!((own_ids(&world), world.recorded().as_str()), (vec!["whk_2"], ""));
    let mut world = verified();
    world.fake().answers = [Answer::Cut, Answer::Cut, Answer::Cut, Answer::Cut].into();
    assert_eq!(world.run(Some(Step::End)), "endunknown");
    assert!(world.process(|runner| runner.roll_back(None)).is_err());
    assert_eq!(own_ids(&world), ["whk_1", "whk_2"]);
    // Cut off beside the call: it goes on from where it was, back or forward.
    let mut world = verified();
    world.fake().answers = [Answer::Off].into();
    assert!(world.process(|runner| runner.roll_back(None)).is_err());
    assert_eq!((own_ids(&world), world.rotation.closed.is_none()), (vec!["whk_1", "whk_2"], true));
    world.process(|runner| runner.roll_back(None)).unwrap();
    assert_eq!(own_ids(&world), ["whk_1"]);
}

#[test]
fn forward_waits_until_a_removal_on_the_way_back_is_certainly_over() {
    // How long after the last attempt, our clock, and for how long it waits then.
    for (passed, waits) in [(0, 30), (20, 10), (30, 0), (-3600, 60)] {
        let mut world = verified();
        world.fake().answers = [Answer::Cut; 4].into();
        let began = now();
        assert!(world.process(|runner| runner.roll_back(None)).is_err());
        assert!(now().duration_since(began).as_secs() > 120, "each attempt takes half a minute");
        assert_eq!(world.recorded(), "rolledback", "it is told once");
        pass(passed);
        let began = now();
        assert_eq!(world.run(Some(Step::End)), "finished", "{:?}", world.person.heard);
        assert_eq!(now().duration_since(began).as_secs(), waits);
        assert_eq!(world.heard("! the way back may have removed `whk_2`"), waits > 0);
    }
    // A signal ends the wait, and nothing is removed.
    let mut world = verified();
    world.fake().answers = [Answer::Cut; 4].into();
    assert!(world.process(|runner| runner.roll_back(None)).is_err());
    world.fake().calls.clear();
    world.person.stop_at = Some("! the way back may have removed `whk_2` a moment ago: in 30 s that is over");
    assert_eq!((world.run(None).as_str(), world.fake().calls.contains(&"remove")), ("stopped", false));
}

#[test]
fn a_reason_that_was_given_for_a_lost_call_says_nothing_of_what_has_changed_since() {
    for (said, over_doubt, came_to) in [
        (None, None, "doubtful"),
        (Some(Reply::Done { reason: None }), None, "doubtful"),
        (Some(Reply::Done { reason: Some("now".to_owned()) }), None, "finished"),
        (None, Some("now"), "finished"),
    ] {
        let mut world = verified();
        world.journals(&[Event::Ending { digest: "sha256:0".to_owned(), reason: Some("then".to_owned()) }]);
        world.fake().endpoints.as_mut().unwrap().get_mut("whk_2").unwrap()["about"] = json!("more");
        world.person.always = None;
        // Asked about the doubt, and where nobody says anything over it, for the word itself.
        let doubt = over_doubt.map_or(Reply::NobodyToAsk, |reason| Reply::Done { reason: Some(reason.to_owned()) });
        world.person.replies = [doubt].into_iter().chain(said.clone()).collect();
        assert_eq!(world.run(Some(Step::End)), came_to, "{said:?} {:?}", world.person.heard);
        assert_eq!(world.fake().calls.contains(&"remove"), came_to == "finished", "{said:?}");
        let is_told = world.heard("! the new endpoint `whk_2` is not like the old one");
        assert_eq!(is_told, came_to == "finished", "what is gone over is told");
    }
}

/// What happens at the provider and its receivers while somebody is waited for.
fn meanwhile(world: &World, act: impl FnOnce(&mut Fake) + 'static) -> Others {
    let fake = Arc::clone(&world.fake);
    Box::new(move |_| act(&mut fake.lock().unwrap()))
}

#[test]
fn whatever_has_come_while_somebody_was_waited_for_is_looked_at_before_the_removal() {
    let refuses = |fake: &mut Fake| {
        fake.receivers.insert("https://r.test/".to_owned(), "o");
    };
    let differs = |fake: &mut Fake| fake.endpoints.as_mut().unwrap().get_mut("whk_2").unwrap()["about"] = json!("more");
    let is_gone = |fake: &mut Fake| {
        fake.endpoints.as_mut().unwrap().remove("whk_2");
    };
    let leaked = || vec![Event::LeakDeclared { reason: "a log".to_owned(), leaked: [print('n')].into() }];
    for (what, came_to) in [
        ("receivers refuse", "contradicted"),
        ("the second differs", "doubtful"),
        ("the second is gone", "refused"),
        ("the new secret leaked", "doubtful"),
        ("a store cannot be read", "storefailed"),
        ("the probe is cut off", "stopped"),
        ("nothing", "finished"),
    ] {
        // While the id is typed, and while a reason is given for what differed before.
        for over_doubt in [false, true] {
            let mut world = verified().probing(&[("https://r.test/", "on")]);
            if over_doubt {
                world.fake().endpoints.as_mut().unwrap().get_mut("whk_2").unwrap()["url"] = json!("https://b.test/");
                world.person.others.push_back(Box::new(|_| {}));
            }
            let (shelf, others) = (world.shelves[0].clone(), world.others(leaked()));
            world.person.others.push_back(match what {
                "receivers refuse" => meanwhile(&world, refuses),
                "the second differs" => meanwhile(&world, differs),
                "the second is gone" => meanwhile(&world, is_gone),
                "the new secret leaked" => others,
                "a store cannot be read" => Box::new(move |_| shelf.fail_after(0)),
                "the probe is cut off" => meanwhile(&world, refuses),
                _ => Box::new(|_| {}),
            });
            if what == "the probe is cut off" {
                world.person.stop_at = Some("probed https://r.test/ old only");
            }
            let meant = Reply::Done { reason: Some("it is meant".to_owned()) };
            world.person.always = None;
            world.person.replies =
                [Reply::Done { reason: None }].into_iter().chain(over_doubt.then_some(meant)).collect();
            let found = world.run(Some(Step::End));
            assert_eq!(found, came_to, "{what} {over_doubt}: {:?}", world.person.heard);
            assert_eq!(world.fake().calls.contains(&"remove"), came_to == "finished", "{what} {over_doubt}");
        }
    }
}

#[test]
fn the_endpoint_that_an_answer_has_named_stays_known_whatever_comes_after() {
    let mut world = verified();
    let gathered = Answered { endpoint: None, ..world.rotation.answered().unwrap().clone() };
    world.journals(&[Event::Answered(gathered)]);
    assert_eq!(world.rotation.second(), Some("whk_2"));
    // Nobody can say that the call was not applied which has made it, but for a reason.
    let mut world = agreeing();
    assert_eq!(world.run(Some(Step::Issue)), "finished", "{:?}", world.person.heard);
    world.shelves.iter().for_each(|shelf| shelf.put("-o-"));
    world.seals.remove(world.rotation.id, None).unwrap();
    world.rotation.plan.idempotency_key = None;
    world.journals(&[Event::Lost { why: "it could be kept nowhere".to_owned(), status: None }]);
    world.fake().looks = [Answer::Off; 9].into();
    world.person.rulings = [Ruling::Said { applied: false, reason: None }].into();
    assert_eq!(world.run(None), "againstevidence", "{:?}", world.person.heard);
    assert!(world.heard("? settle Some(true)"), "{:?}", world.person.heard);
    world.person.rulings = [Ruling::Said { applied: false, reason: Some("seen".to_owned()) }].into();
    world.run(None);
    assert_eq!(world.rotation.second(), Some("whk_2"), "it is there to be removed");
}

#[test]
fn a_lost_answer_is_asked_for_again_and_makes_no_third_endpoint() {
    let mut world = agreeing();
    world.fake().answers = [Answer::Lost].into();
    assert_eq!(world.run(None), "finished", "{:?}", world.person.heard);
    assert_eq!(world.fake().endpoints.clone().unwrap().into_keys().collect::<Vec<_>>(), ["whk_2"]);
    assert_eq!((world.slots().as_str(), world.rotation.new_secret()), ("-n-", Some(&print('n'))));
}
