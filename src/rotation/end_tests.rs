//! Tables for a second endpoint beside the first: what it is made like, how the first is removed, and what is never removed.

use serde_json::json;

use crate::rotation::fake_provider::Answer;
use crate::rotation::fakes::{now, print};
use crate::rotation::operator::Reply;
use crate::rotation::world::World;
use crate::rotation::{Event, Next, Outcome, Step};

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
    let mut answered = world.rotation.answered().unwrap().clone();
    answered.endpoint = None;
    world.journals(&[Event::Answered(answered)]);
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
    // Forward not before the removal that nobody has heard of is certainly over.
    assert_eq!(world.run(Some(Step::End)), "tooearly", "{:?}", world.person.heard);
    world.process(|runner| runner.roll_back(None)).unwrap();
    assert_eq!(own_ids(&world), ["whk_1"]);
}

#[test]
fn a_lost_answer_is_asked_for_again_and_makes_no_third_endpoint() {
    let mut world = agreeing();
    world.fake().answers = [Answer::Lost].into();
    assert_eq!(world.run(None), "finished", "{:?}", world.person.heard);
    assert_eq!(world.fake().endpoints.clone().unwrap().into_keys().collect::<Vec<_>>(), ["whk_2"]);
    assert_eq!((world.slots().as_str(), world.rotation.new_secret()), ("-n-", Some(&print('n'))));
}
