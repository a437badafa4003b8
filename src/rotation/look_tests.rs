//! What the provider shows while a rotation is open, by tables: what it was asked, what it shows, and what comes of it.

use super::{LAG_TRIES, Unasked};
use crate::rotation::fake_provider::Answer::{self, Cut, No, Off};
use crate::rotation::fakes::first_word;
use crate::rotation::operator::Reply;
use crate::rotation::tests::time;
use crate::rotation::world::World;
use crate::rotation::{Direction, Event, Next, RunError, Step};
use crate::store::Access;

const STORE: &[(&str, Access)] = &[("a", Access::ReadWrite)];

/// A switch after a step, of a provider that shows this.
fn after(last: Step, shows: &'static [&'static str]) -> World {
    let world = World::with(Direction::OverlapSwitch, STORE);
    world.fake().shows = shows;
    world.went_on_to(last)
}

#[test]
fn what_the_provider_shows_closes_a_rotation_asks_or_says_nothing() {
    let done = || Reply::Done { reason: Some("it was me".to_owned()) };
    let (version, updated): (&'static [&'static str], &'static [&'static str]) = (&["version"], &["updated_at"]);
    // What it shows, the version and time that it is at, whether what only asks is asked, what is said; what comes of it.
    for (shows, at, asks, reply, came_to, recorded) in [
        (version, 2, true, None, "ok", ""),
        (version, 3, true, None, "superseded", "closed:superseded"),
        (version, 3, false, None, "superseded", "closed:superseded"),
        (version, 1, true, None, "doubtful", "doubted"),
        (version, 1, true, Some(done()), "ok", "doubted overridden shown"),
        (version, 1, true, Some(Reply::NotNow), "doubtful", "doubted"),
        (version, 1, true, Some(Reply::Done { reason: None }), "doubtful", "doubted"),
        (version, 1, false, None, "ok", ""),
        (updated, 2, true, None, "ok", ""),
        (updated, 9, true, None, "doubtful", "doubted"),
        (updated, 9, true, Some(done()), "ok", "doubted overridden shown"),
        (updated, 9, false, None, "ok", ""),
        (&[], 2, true, None, "ok", ""),
    ] {
        let mut world = after(Step::Promote, shows);
        if shows == version {
            world.fake().version = at;
        } else if at != 2 {
            world.fake().updated_at = "2026-11-20T14:00:00Z".to_owned();
        }
        world.person.replies = reply.iter().cloned().collect();
        let result = world.process(|runner| runner.look_again(asks));
        let found = result.map_or_else(|error| first_word(&error), |()| "ok".to_owned());
        assert_eq!((found.as_str(), world.recorded().as_str()), (came_to, recorded), "{shows:?} {at} {asks} {reply:?}");
    }
}

#[test]
fn a_doubt_is_recorded_once_and_is_gone_once_the_provider_shows_what_is_ours() {
    let mut world = after(Step::Promote, &["version"]);
    let mut look = |version: u64| {
        world.fake().version = version;
        let _ = world.process(|runner| runner.look_again(true));
        std::mem::take(&mut world.person.recorded).join(" ")
    };
    assert_eq!([look(1), look(1), look(2), look(2)], ["doubted", "", "shown", ""]);
    assert_eq!(world.rotation.doubt, None);
    // Whoever is to say something finds that others have gone on.
    world.fake().version = 1;
    world.person.replies = [Reply::Done { reason: Some("it lags".to_owned()) }].into();
    let others =
        world.others(vec![Event::Done { step: Step::Deploy, how: crate::rotation::How::Word { reason: None } }]);
    world.person.others.push_back(others);
    world.process(|runner| runner.look_again(true)).unwrap();
    assert_eq!(world.recorded(), "doubted");
}

#[test]
fn a_copy_that_lags_is_asked_again_before_anybody_is() {
    // What it shows on the first, second and third look.
    for (versions, stop_at, looks, came_to) in [
        (&[1, 2][..], None, 2, "ok"),
        (&[1, 1, 2], None, 3, "ok"),
        (&[1, 1, 1], None, 3, "doubtful"),
        (&[1, 3], None, 2, "superseded"),
        (&[1, 1, 1], Some("begun"), 1, "doubtful"),
    ] {
        let mut world = after(Step::Promote, &["version"]);
        world.person.stop_at = stop_at;
        world.person.heard.push("begun".to_owned());
        world.fake().version = versions[0];
        let fake = std::sync::Arc::clone(&world.fake);
        later(versions[1..].iter().copied().collect(), fake);
        let result = world.process(|runner| runner.look_again(true));
        let found = result.map_or_else(|error| first_word(&error), |()| "ok".to_owned());
        assert_eq!((world.fake().calls.len(), found.as_str()), (looks, came_to), "{versions:?} {stop_at:?}");
    }
    assert_eq!(LAG_TRIES, 2);
    // One that cannot be asked again is judged by what it showed.
    let mut world = after(Step::Promote, &["version"]);
    world.fake().version = 1;
    world.fake().looks = [Answer::Yes, Cut].into();
    assert!(matches!(world.process(|runner| runner.look_again(true)), Err(RunError::Doubtful { is_live: true, .. })));
    assert_eq!(world.fake().calls.len(), 2);
}

/// Each time that somebody sleeps the provider is at the next version.
fn later(
    mut versions: std::collections::VecDeque<u64>,
    fake: std::sync::Arc<std::sync::Mutex<crate::rotation::fake_provider::Fake>>,
) {
    crate::rotation::fakes::while_sleeping(move || {
        if let Some(version) = versions.pop_front() {
            fake.lock().unwrap().version = version;
            later(versions, std::sync::Arc::clone(&fake));
        }
    });
}

#[test]
fn it_is_looked_when_that_counts_and_once_until_somebody_was_waited_for() {
    let (run, ask) = (Next::Run, Next::Ask);
    let wait = || Next::Wait(time("2026-11-21T12:00:00Z"));
    let (stale, asked, looked): (Option<bool>, _, _) = (None, Some(true), Some(false));
    for (last, next, before, looks) in [
        (Step::Promote, ask(Step::Deploy), stale, true),
        (Step::Promote, ask(Step::Deploy), looked, false),
        (Step::Promote, ask(Step::Deploy), asked, false),
        (Step::Stage, run(Step::Promote), stale, true),
        // What only asks was not asked about then.
        (Step::Stage, run(Step::Promote), looked, true),
        (Step::Stage, run(Step::Promote), asked, false),
        (Step::Promote, ask(Step::Drop), looked, true),
        (Step::Promote, Next::Finished, looked, true),
        (Step::Promote, run(Step::Retire), stale, true),
        (Step::Promote, run(Step::Wait), stale, false),
        (Step::Promote, wait(), stale, false),
        (Step::Promote, Next::Reconcile, stale, false),
        (Step::Promote, run(Step::Stage), stale, false),
        (Step::Check, run(Step::Issue), stale, false),
    ] {
        let mut world = after(last, &["version"]);
        let did = world.process(|runner| {
            runner.looked = before;
            runner.look_before(&next).unwrap()
        });
        assert_eq!((did, world.fake().calls.len()), (looks, usize::from(looks)), "{last:?} {next:?} {before:?}");
    }
    let mut world = after(Step::Promote, &["version"]);
    world.journals(&[Event::Closed { outcome: crate::rotation::Outcome::Done, reason: None }]);
    assert!(!world.process(|runner| runner.look_before(&Next::Finished)).unwrap(), "it is over");
}

#[test]
fn a_provider_that_cannot_be_asked_stops_nothing_and_is_spoken_of_where_it_would_have_counted() {
    for (answer, has_key, unasked) in [
        (No(401, ""), true, "refused"),
        (No(404, ""), true, "notfound"),
        (No(500, ""), true, "failed"),
        (Off, true, "failed"),
        (Cut, true, "failed"),
        (Answer::Yes, false, "nokey"),
    ] {
        let mut world = after(Step::Promote, &["version"]);
        world.fake().looks = [answer; 3].into();
        world.key = world.key.filter(|_| has_key);
        let why = world.process(|runner| runner.ask_provider()).err().unwrap();
        assert_eq!(first_word(&why), unasked);
        world.process(|runner| runner.look_again(false)).unwrap();
        assert!(!world.heard("could not be seen"));
        world.process(|runner| runner.look_again(true)).unwrap();
        assert!(world.heard(&format!("could not be seen: {why}")), "{:?}", world.person.heard);
        assert_eq!(world.recorded(), "");
    }
    assert_eq!(Unasked::NoKey.to_string(), "no API key");
    assert_eq!(Unasked::NoCall.to_string(), "it has no call for that");
    assert!(Unasked::Failed("a wire".to_owned()).to_string().contains("a wire"));
}

#[test]
fn a_superseded_rotation_says_where_the_other_secret_may_be() {
    // What the slots hold, and what is shown; which slots may be theirs.
    for (slots, shows, held) in [
        ("-n-", &["version"][..], &[][..]),
        ("-no", &["version"], &[]),
        ("xno", &["version"], &["NEXT"]),
        ("-xo", &["version", "secret"], &["CURRENT"]),
        ("tno", &["version"], &[]),
    ] {
        let mut world = after(Step::Promote, &["version"]);
        world.journals(&[Event::Tried { fingerprint: crate::rotation::fakes::print('t') }]);
        world.shelves[0].put(slots);
        (world.fake().version, world.fake().secret) = (3, 'x');
        world.fake().shows = if shows.len() == 2 { &["version", "secret"] } else { &["version"] };
        let error = world.process(|runner| runner.look_again(false)).unwrap_err();
        let RunError::Superseded { theirs, overlap_until, .. } = &error else { panic!("{error:?}") };
        assert_eq!(theirs.held.len(), held.len(), "{slots}: {theirs:?}");
        assert!(theirs.held.iter().zip(held).all(|(found, slot)| found.starts_with(&format!("`{slot}` holds"))));
        assert_eq!(theirs.is_shown, shows.len() == 2);
        assert_eq!(*overlap_until, Some(time("2026-11-21T12:00:01Z")));
    }
    // Once ours has ended, their overlap says nothing of ours.
    let mut world = after(Step::Promote, &["version"]);
    crate::rotation::fakes::pass(2 * 86_400);
    world.fake().version = 3;
    let error = world.process(|runner| runner.look_again(false)).unwrap_err();
    assert!(matches!(error, RunError::Superseded { overlap_until: None, .. }), "{error:?}");
}
