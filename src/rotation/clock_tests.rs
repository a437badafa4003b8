//! The provider's clock, by tables: what it was known to be, what it answers, and what is believed; and the end of the wait.

use jiff::SignedDuration;

use super::{TRIES, Unheard, same};
use crate::rotation::Unasked;
use crate::rotation::fake_provider::Answer::{self, Cut, No, Yes};
use crate::rotation::fake_provider::mute_provider;
use crate::rotation::fakes::{first_word, now, pass};
use crate::rotation::operator::Reply;
use crate::rotation::world::World;
use crate::rotation::{Direction, Event, RunError, Step};
use crate::store::Access;

const STORE: &[(&str, Access)] = &[("a", Access::ReadWrite)];
/// Seconds from noon to the old secret's end.
const END: i64 = 86_401;

fn after(last: Step) -> World {
    World::after(Direction::OverlapSwitch, STORE, last)
}

#[test]
fn a_clock_is_believed_that_goes_on_as_it_went_or_twice_agrees_with_itself() {
    // How far ahead it is on each answer, whether our own was set back; what comes of it, what is known then, how often it was asked.
    for (answers, set_back, heard, ahead, asked, is_mentioned) in [
        (&[0][..], false, "", 0, 0, false),
        (&[4], false, "", 4_000, 0, false),
        (&[-5], false, "", -5_000, 0, false),
        (&[6, 6], false, "clockjumped", 6_000, 1, false),
        (&[120, 120], false, "clockjumped", 120_000, 1, false),
        (&[121, 121], false, "clockjumped", 121_000, 1, true),
        (&[-121, -121], false, "clockjumped", -121_000, 1, true),
        // One wild answer counts for nothing.
        (&[7200, 0], false, "clockjumped", 0, 1, false),
        (&[7200, 600, 601], false, "clockjumped", 601_000, 2, true),
        (&[7200, 600, -600, 90_000], false, "clockjumped unsteady", 0, 3, false),
        // After ours was set back, what was known is asked for again.
        (&[0, 0], true, "clockjumped", 0, 1, false),
    ] {
        let mut world = after(Step::Promote);
        world.rotation.clock_set_back = set_back;
        world.fake().ahead = answers[1..].iter().copied().collect();
        let date = now() + SignedDuration::from_secs(answers[0]);
        let unheard = world.process(|runner| runner.take_time(date)).unwrap();
        let found = format!("{} {}", world.recorded(), unheard.as_ref().map(first_word).unwrap_or_default());
        assert_eq!(found.trim(), heard, "{answers:?}");
        assert_eq!((world.rotation.clock_ahead_ms, world.fake().calls.len()), (ahead, asked), "{answers:?}");
        assert_eq!((world.heard("(clockoff)"), world.rotation.clock_set_back), (is_mentioned, false), "{answers:?}");
    }
    // One that does not answer any more is not steady.
    let mut world = after(Step::Promote);
    world.fake().looks = [Cut; 3].into();
    let begun = now();
    let unheard = world.process(|runner| runner.take_time(now() + SignedDuration::from_secs(7200))).unwrap();
    assert_eq!((unheard, world.fake().calls.len()), (Some(Unheard::Unsteady), TRIES as usize));
    assert_eq!(
        now().duration_since(begun),
        SignedDuration::from_secs(2),
        "it waits between two, and not before the first"
    );
}

#[test]
fn of_two_answers_that_disagree_with_what_was_known_the_more_cautious_counts() {
    for (ahead, known, again, expected) in [
        (5, None, None, 5),
        (5, Some(5), None, 5),
        (5, Some(0), None, 5),
        (100, Some(0), Some(100), 100),
        (100, Some(0), Some(103), 103),
        (100, Some(0), Some(0), 0),
        (100, Some(0), Some(200), 100),
        (-100, Some(0), Some(0), -100),
        (100, Some(0), None, 100),
    ] {
        let mut world = after(Step::Promote);
        world.fake().ahead = again.into_iter().collect();
        let found = world.process(|runner| runner.steady(ahead * 1000, known.map(|known: i64| known * 1000)));
        assert_eq!(found, expected * 1000, "{ahead} {known:?} {again:?}");
        assert_eq!(world.fake().calls.len(), usize::from(known.is_some_and(|known| (known - ahead).abs() > 5)));
    }
    for (one, other, is_same) in
        [(0, 5_000, true), (0, 5_001, false), (0, -5_000, true), (0, -5_001, false), (7, 7, true)]
    {
        assert_eq!((same(one, other), same(other, one)), (is_same, is_same), "{one} {other}");
    }
}

#[test]
fn what_was_heard_was_looked_at_as_well() {
    for (answer, has_key, is_dated, unheard, looked) in [
        (Yes, true, true, None, Some(true)),
        (Yes, true, false, Some(Unheard::NoDate), Some(true)),
        (Yes, false, true, Some(Unheard::Unasked(Unasked::NoKey)), None),
        (Cut, true, true, Some(Unheard::Unasked(Unasked::Failed(String::new()))), None),
    ] {
        let mut world = after(Step::Promote);
        world.fake().looks = [answer].into();
        if !is_dated {
            world.fake().ahead.clear();
        }
        world.key = world.key.filter(|_| has_key);
        let (found, looks) = world.process(|runner| (runner.hear(true).unwrap(), runner.looked));
        assert_eq!((found.as_ref().map(first_word), looks), (unheard.as_ref().map(first_word), looked), "{answer:?}");
        assert_eq!(found.is_none(), unheard.is_none());
    }
    let mut world = after(Step::Promote);
    world.fake().version = 3;
    assert!(matches!(world.process(|runner| runner.hear(false).map(drop)), Err(RunError::Superseded { .. })));
    assert_eq!(Unheard::NoDate.to_string(), "its answers bear no time");
    assert_eq!(Unheard::Unsteady.to_string(), "its answers disagree about the time");
    assert_eq!(Unheard::Unasked(Unasked::NoKey).to_string(), "no API key");
}

#[test]
fn the_wait_ends_by_the_providers_clock_or_on_a_word_once_ours_is_past_the_end() {
    let word = || Reply::Done { reason: Some("their page says so".to_owned()) };
    // What it answers, how far ahead, what is said; what comes of it, what is recorded, how often it was asked.
    for (looks, ahead, reply, came_to, recorded, asked) in [
        (&[][..], &[0][..], None, "ok", "wait:clock", 1),
        (&[Cut], &[0], None, "ok", "wait:clock", 2),
        (&[Cut, Cut], &[0], None, "ok", "wait:clock", 3),
        (&[Cut; 3], &[0], None, "clockunheard true", "", 3),
        (&[Cut; 3], &[0], Some(word()), "ok", "wait:word", 3),
        (&[Cut; 3], &[0], Some(Reply::NotNow), "clockunheard true", "", 3),
        // What does not pass is not tried again.
        (&[No(401, "")], &[0], None, "clockunheard true", "", 1),
        (&[No(404, "")], &[0], Some(word()), "ok", "wait:word", 1),
        (&[], &[], None, "clockunheard true", "", 3),
        (&[], &[7200, 600, -600, 90_000], None, "clockunheard true", "clockjumped", 4),
        // It is behind: the wait goes on.
        (&[], &[-100], None, "ok", "clockjumped", 2),
    ] {
        let mut world = after(Step::Verify);
        pass(END);
        world.fake().looks = looks.iter().copied().collect();
        world.fake().ahead = ahead.iter().copied().collect();
        world.person.replies = reply.iter().cloned().collect();
        let found = ended(&mut world);
        let case = format!("{looks:?} {ahead:?} {reply:?}");
        assert_eq!((found.as_str(), world.recorded().as_str()), (came_to, recorded), "{case}");
        assert_eq!(
            (world.fake().calls.len(), world.heard("(oldsecretended)")),
            (asked, recorded == "wait:clock"),
            "{case}"
        );
    }
    // By the provider's clock as it was heard it is over, by ours it is not: nobody's word ends it.
    // Two pauses of a second lie between the tries.
    for (seconds, came_to) in [(END - 3, "clockunheard false"), (END - 2, "clockunheard true")] {
        let mut world = after(Step::Verify);
        world.rotation.hear(100_000);
        pass(seconds);
        world.fake().looks = [Answer::Off; 3].into();
        assert_eq!(ended(&mut world), came_to);
        assert_eq!(world.heard("? clock"), seconds == END - 2);
    }
    // A signal ends the tries.
    let mut world = after(Step::Verify);
    pass(END);
    world.fake().looks = [Cut; 3].into();
    world.person.stop_at = Some("begun");
    world.person.heard.push("begun".to_owned());
    assert_eq!((ended(&mut world).as_str(), world.fake().calls.len()), ("clockunheard true", 1));
    // Where nobody can be asked, ours has to do.
    let mut world = after(Step::Verify);
    pass(END);
    world.endpoint.provider = mute_provider();
    assert_eq!(
        (ended(&mut world).as_str(), world.recorded().as_str(), world.fake().calls.len()),
        ("ok", "wait:clock", 0)
    );
    // Whoever was asked finds that others have ended it.
    let mut world = after(Step::Verify);
    pass(END);
    world.fake().looks = [Cut; 3].into();
    world.person.replies = [word()].into();
    let others = world.others(vec![Event::Done { step: Step::Wait, how: crate::rotation::How::Clock }]);
    world.person.others.push_back(others);
    assert_eq!((ended(&mut world).as_str(), world.recorded().as_str()), ("ok", ""));
}

fn ended(world: &mut World) -> String {
    match world.process(|runner| runner.end_wait()) {
        Ok(()) => "ok".to_owned(),
        Err(RunError::ClockUnheard { ours_is_past, .. }) => format!("clockunheard {ours_is_past}"),
        Err(error) => first_word(&error),
    }
}
