//! What each event does to a rotation, by tables; and what follows from it: the key's window, the old secret's end, and
//! whether what came by a repetition may be stale.

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::delivery::probe::Verdict;
use crate::rotation::fakes::{first_word, print};
use crate::rotation::tests::{answered, events, fold, noon, rotation, time};
use crate::rotation::world::planned;
use crate::rotation::{Direction, Event, Evidence, ExpirySource, How, KEY_MARGIN, Next, Outcome, Overruled, Probed};
use crate::store::Slot;

use Direction::OverlapSwitch;

fn at(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

fn sent(attempt: u32) -> Event {
    Event::Sent { attempt, digest: String::new(), key: None }
}

/// Everything up to a step is done, at noon.
fn up_to(direction: Direction, last: Step) -> Rotation {
    let mut it = rotation(direction);
    for step in direction.steps() {
        events(direction, *step).into_iter().for_each(|event| fold(&mut it, noon(), event));
        if *step == last {
            break;
        }
    }
    it
}

#[test]
fn a_key_is_fresh_by_both_clocks_or_not_at_all() {
    assert_eq!(KEY_MARGIN, Duration::from_secs(600));
    let limit = 86_400 - 600;
    // How far the provider was ahead when it was sent and is now, and seconds since: whether the key is fresh.
    for (then, now, seconds, is_fresh) in [
        (0, 0, 0, true),
        (0, 0, limit - 1, true),
        (0, 0, limit, false),
        (0, 0, -1, false),
        // Ours was put right since: what the provider's says is shorter, or longer.
        (0, 100, limit - 101, true),
        (0, 100, limit - 100, false),
        (100, 0, limit - 1, true),
        (0, -4, 0, true),
        (0, -5, 0, false),
        (0, -5, 1, true),
        (500, 500, limit - 1, true),
    ] {
        let mut it = rotation(OverlapSwitch);
        it.hear(then * 1000);
        fold(&mut it, noon(), sent(1));
        it.hear(now * 1000);
        assert_eq!(it.key_is_fresh(at(seconds)), is_fresh, "{then} {now} {seconds}");
    }
    for (window, is_fresh) in [(None, false), (Some(0), false), (Some(600), false), (Some(601), true)] {
        let mut it = rotation(OverlapSwitch);
        it.plan.key_window = window.map(Duration::from_secs);
        fold(&mut it, noon(), sent(1));
        assert_eq!(it.key_is_fresh(noon()), is_fresh, "{window:?}");
    }
}

#[test]
fn what_came_by_a_repetition_may_be_stale_until_it_is_confirmed() {
    for (replayed, has_come, is_confirmed, may_be_stale) in
        [(true, true, false, true), (true, true, true, false), (false, true, false, false), (true, false, false, false)]
    {
        let mut it = rotation(OverlapSwitch);
        fold(&mut it, noon(), sent(1));
        if has_come {
            fold(&mut it, noon(), Event::Answered(Answered { replayed, ..answered(OverlapSwitch) }));
        }
        if is_confirmed {
            fold(&mut it, noon(), Event::Confirmed);
        }
        assert_eq!(it.may_be_stale(), may_be_stale, "{replayed} {has_come} {is_confirmed}");
    }
}

#[test]
fn the_old_secret_lives_until_its_end_and_where_nobody_says_for_ever() {
    let end = time("2026-11-21T12:00:00Z");
    for (source, ends, dead, seconds, lives, until) in [
        (ExpirySource::Documented, Some(end), None, 86_399, true, Some(end)),
        (ExpirySource::Documented, Some(end), None, 86_400, false, Some(end)),
        (ExpirySource::Unknown, None, None, 999_999, true, None),
        (ExpirySource::Call, None, None, 0, false, None),
        (ExpirySource::Documented, Some(end), Some(noon()), 0, false, Some(noon())),
        (ExpirySource::Unknown, None, Some(end), 0, false, Some(end)),
    ] {
        let mut it = rotation(OverlapSwitch);
        it.plan.overlap = None;
        fold(&mut it, noon(), Event::Checked { before: Evidence { dead_since: dead, ..Evidence::default() } });
        fold(&mut it, noon(), sent(1));
        assert_eq!(it.old_secret_lives(noon()), dead.is_none(), "no answer says otherwise");
        let answer = Answered { expires_at: ends, expires_source: source, ..answered(OverlapSwitch) };
        fold(&mut it, noon(), Event::Answered(answer));
        assert_eq!(
            (it.old_secret_lives(at(seconds)), it.expires_at()),
            (lives, until),
            "{source:?} {dead:?} {seconds}"
        );
    }
}

#[test]
fn what_is_next_follows_from_who_does_the_step_and_when() {
    let mut it = up_to(OverlapSwitch, Step::Verify);
    let end = it.expires_at().unwrap();
    assert_eq!([it.next(at(86_399)), it.next(at(86_400))], [Next::Wait(end), Next::Run(Step::Wait)]);
    it.plan.overlap = None;
    let silent = Answered { expires_at: None, expires_source: ExpirySource::Unknown, ..answered(OverlapSwitch) };
    it.keep_unrecorded(silent.clone());
    assert_eq!(it.next(noon()), Next::Ask(Step::Wait), "nobody says when");
    it.keep_unrecorded(Answered { endpoint: Some("whk_2".to_owned()), ..silent });
    assert_eq!(it.second(), Some("whk_2"));
    // A store that joined is behind, and comes first.
    let mut it = up_to(OverlapSwitch, Step::Promote);
    fold(&mut it, noon(), Event::StoreJoined { store: planned("c"), held: None });
    for (step, next) in [(Step::Stage, Step::Promote), (Step::Promote, Step::Deploy)] {
        assert_eq!(it.step(), Some(step));
        fold(&mut it, noon(), Event::StoreDone { step, store: "c".to_owned() });
        assert_eq!(it.step(), Some(next));
    }
    // One that joins what is over has what the others have.
    let mut over = up_to(OverlapSwitch, Step::Promote);
    fold(&mut over, noon(), Event::Closed { outcome: Outcome::Done, reason: None });
    fold(&mut over, noon(), Event::StoreJoined { store: planned("c"), held: None });
    assert_eq!((over.joined.len(), over.plan.stores.len(), over.behind()), (0, 1, None));
    // And one that is known already is no news.
    let known = it.done.clone();
    fold(&mut it, noon(), Event::StoreJoined { store: planned("c"), held: None });
    assert_eq!((it.plan.stores.len(), &it.done), (1, &known));
    fold(&mut it, noon(), Event::StoreLeft { store: "c".to_owned(), reason: String::new() });
    assert_eq!(
        (it.plan.stores.len(), it.joined.len(), it.stores_done.iter().any(|(_, store)| store == "c")),
        (0, 0, false)
    );
    assert!(it.stores_done.iter().any(|(_, store)| store == "file:/a"), "the others stay");
}

#[test]
fn each_event_takes_back_what_is_no_proof_any_more_and_nothing_else() {
    let overruled = |slot| Overruled { store: "file:/a".to_owned(), slot, found: Some(print('x')) };
    let ruled = |slot| Event::Overridden { why: String::new(), reason: String::new(), slot: Some(overruled(slot)) };
    let all = "check issue stage promote deploy verify";
    let closed = |outcome| Event::Closed { outcome, reason: None };
    for (events, done, stores) in [
        (vec![], all, 4),
        (vec![Event::Lost { why: String::new(), status: None }], "check issue promote", 0),
        (vec![Event::RolledBack { reason: None }], "check issue stage", 2),
        (vec![Event::ReceiverJoined { url: "https://a".to_owned() }], "check issue stage promote", 4),
        (vec![ruled(Slot::Current)], "check issue stage", 3),
        (vec![ruled(Slot::Next)], all, 4),
        (vec![Event::Overridden { why: String::new(), reason: String::new(), slot: None }], all, 4),
        (vec![Event::Notified { moment: "end".to_owned() }], all, 4),
        (vec![Event::Doubted { why: "it moved".to_owned() }], all, 4),
        (vec![closed(Outcome::Abandoned), Event::Acknowledged { reason: String::new() }], all, 4),
        (vec![Event::StoreLeft { store: "file:/a".to_owned(), reason: String::new() }], all, 2),
        (vec![Event::ReceiverLeft { url: "https://a".to_owned(), reason: String::new() }], all, 4),
    ] {
        let mut it = up_to(OverlapSwitch, Step::Verify);
        events.iter().for_each(|event| fold(&mut it, noon(), event.clone()));
        let found: Vec<&str> =
            Step::ALL.iter().filter(|step| it.done.contains_key(step)).map(|step| step.name()).collect();
        let mut expected: Vec<&str> = done.split(' ').collect();
        expected.sort_by_key(|name| Step::ALL.iter().position(|step| step.name() == *name));
        assert_eq!((found, it.stores_done.len()), (expected, stores), "{events:?}");
    }
    // A live slot that was promoted again has to be ruled out once more.
    let mut it = up_to(OverlapSwitch, Step::Verify);
    [ruled(Slot::Current), ruled(Slot::Next)].into_iter().for_each(|event| fold(&mut it, noon(), event));
    assert_eq!(it.last_overruled, Some(print('x')));
    fold(&mut it, noon(), Event::Done { step: Step::Deploy, how: How::Tool });
    assert_eq!(it.overruled.len(), 2);
    fold(&mut it, noon(), Event::Done { step: Step::Promote, how: How::Tool });
    assert_eq!(it.overruled, [overruled(Slot::Next)].into());
    let emptied = Overruled { found: None, ..overruled(Slot::Current) };
    fold(&mut it, noon(), Event::Overridden { why: String::new(), reason: String::new(), slot: Some(emptied) });
    assert_eq!(it.last_overruled, Some(print('x')), "the last that was sealed");
}

#[test]
fn what_is_known_of_the_call_is_what_came_last_and_an_answer_that_came_stays_one() {
    let lost = || Event::Lost { why: "cut".to_owned(), status: None };
    let unreadable = || Event::Unreadable { status: 200, why: "bare".to_owned() };
    let refused = || Event::NotApplied { why: "no".to_owned(), status: None, request_id: None };
    let failed = || Event::Closed { outcome: Outcome::Failed, reason: None };
    let came = || Event::Answered(answered(OverlapSwitch));
    for (events, call, is_applied, requests) in [
        (vec![], "notapplied", false, 0),
        (vec![sent(1)], "unknown", false, 1),
        (vec![sent(1), lost(), sent(2)], "unknown", false, 2),
        (vec![sent(1), refused()], "notapplied", false, 0),
        (vec![sent(1), refused(), sent(2)], "unknown", false, 1),
        (vec![sent(1), unreadable()], "unreadable", true, 1),
        (vec![sent(1), unreadable(), sent(2), lost()], "unreadable", true, 2),
        (vec![sent(1), came()], "answered", true, 1),
        (vec![sent(1), came(), lost()], "unknown", true, 1),
        (vec![sent(1), lost(), failed()], "unknown", true, 1),
        (vec![sent(1), refused(), failed()], "notapplied", false, 0),
        (vec![sent(1), lost(), Event::Closed { outcome: Outcome::Abandoned, reason: None }], "unknown", false, 1),
    ] {
        let mut it = rotation(OverlapSwitch);
        events.iter().for_each(|event| fold(&mut it, noon(), event.clone()));
        assert_eq!(
            (first_word(&it.call).as_str(), it.applied, it.sent.len()),
            (call, is_applied, requests),
            "{events:?}"
        );
    }
    // What the first look showed is none of a call that is unknown again; a doubt is gone with the look that settles it.
    let mut it = up_to(OverlapSwitch, Step::Stage);
    fold(&mut it, noon(), Event::Doubted { why: "it moved".to_owned() });
    assert_eq!(it.doubt.as_deref(), Some("it moved"));
    fold(&mut it, noon(), Event::Shown { after: Evidence::default() });
    assert_eq!((it.doubt.as_deref(), it.after.is_some()), (None, true));
    fold(&mut it, noon(), lost());
    assert_eq!(it.after, None);
}

#[test]
fn the_clock_is_the_one_that_was_heard_last_until_ours_was_set_back() {
    let jumped = |heard: &[i64], is_believed| Event::ClockJumped { heard_ms: heard.to_vec(), is_believed };
    for (events, ahead, is_set_back) in [
        (vec![], 0, false),
        (vec![(0, jumped(&[5, 7], true))], 7, false),
        (vec![(0, jumped(&[5, 7], false))], 0, false),
        (vec![(0, jumped(&[], true))], 0, false),
        (vec![(10, Event::Confirmed), (5, Event::Confirmed)], 0, false),
        (vec![(10, Event::Confirmed), (4, Event::Confirmed)], 0, true),
        (vec![(10, Event::Confirmed), (4, Event::Confirmed), (20, Event::Confirmed)], 0, true),
        (vec![(10, Event::Confirmed), (4, Event::Confirmed), (5, jumped(&[9], true))], 9, false),
        (vec![(10, Event::Confirmed), (4, jumped(&[9], false))], 0, true),
    ] {
        let mut it = rotation(OverlapSwitch);
        events.iter().for_each(|(seconds, event)| fold(&mut it, at(*seconds), event.clone()));
        assert_eq!((it.clock_ahead_ms, it.clock_set_back), (ahead, is_set_back), "{events:?}");
        assert_eq!(it.last_at, at(events.last().map_or(0, |(seconds, _)| *seconds)));
    }
}

#[test]
fn sightings_add_up_and_probes_replace_each_other() {
    let mut it = rotation(OverlapSwitch);
    let seen =
        |deliveries, signed: Option<i64>| Event::Seen { secret: print('n'), deliveries, signed_at: signed.map(at) };
    for (seconds, event) in [(1, seen(2, Some(9))), (2, seen(3, Some(5))), (3, seen(u64::MAX, None))] {
        fold(&mut it, at(seconds), event);
    }
    let found = it.seen[&print('n')];
    assert_eq!((found.deliveries, found.at, found.signed_at), (u64::MAX, at(3), Some(at(9))));
    let probed =
        |accepts_new| Probed { url: "https://a".to_owned(), verdict: Verdict::NewOnly, accepts_new, rejects_old: None };
    for accepts_new in [None, Some(true)] {
        fold(&mut it, at(4), Event::Probed { receivers: vec![probed(accepts_new)] });
    }
    assert_eq!(it.probed["https://a"], (at(4), probed(Some(true))));
    fold(&mut it, at(5), Event::Tried { fingerprint: print('t') });
    fold(&mut it, at(5), Event::Notified { moment: "end".to_owned() });
    assert!(it.tried.contains(&print('t')) && it.notified.contains("end"));
    fold(&mut it, at(6), Event::RolledBack { reason: None });
    assert!(it.probed.is_empty() && it.seen.is_empty(), "whoever goes back has seen something that these did not");
}

#[test]
fn what_a_process_knows_beside_the_journal_changes_what_it_names_and_no_more() {
    // What was proved before the call is proved anew; after it, nothing is.
    for (direction, last, probe_first, done) in [
        (Direction::Instant, Step::Prepare, false, &[Step::Prepare][..]),
        (Direction::Instant, Step::Prepare, true, &[]),
        (Direction::Instant, Step::Issue, true, &[Step::Check, Step::Prepare, Step::Issue]),
    ] {
        let mut it = up_to(direction, last);
        it.plan.probe_first = probe_first;
        it.prove_anew();
        assert_eq!(it.done.keys().copied().collect::<Vec<_>>(), done, "{last:?} {probe_first}");
    }
    let receiver = |name: &str| format!("https://{name}.test/");
    let mut it = up_to(OverlapSwitch, Step::Verify);
    it.plan.receivers = vec![receiver("a")];
    let mut only = it.clone();
    only.ask_only(&[receiver("b")]);
    assert_eq!((&only.plan.receivers, only.plan.may_probe, &only.done), (&vec![receiver("b")], true, &it.done));
    it.ask_as_well(&[receiver("a")], true);
    assert!(it.plan.may_probe && it.done.contains_key(&Step::Deploy));
    it.ask_as_well(&[receiver("b")], false);
    assert_eq!((it.plan.receivers.len(), it.plan.may_probe, it.done.contains_key(&Step::Deploy)), (2, false, false));
    let turned = it.containing(at(7), "a log");
    assert_eq!((turned.plan.direction, turned.leak_since()), (Direction::Contain, at(7)));
    assert_eq!((it.plan.direction, it.leak_since()), (OverlapSwitch, noon()), "this one stays");
}
