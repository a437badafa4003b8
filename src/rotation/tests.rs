//! `Rotation` by tables: what happens next, and where it stands, after every prefix of the events of every direction.

use std::time::Duration;

use super::*;
use crate::delivery::probe::Verdict;
use crate::provider::{Catalog, request};
use crate::secret::Secret;

const DIRECTIONS: [Direction; 5] =
    [Direction::OverlapEither, Direction::OverlapSwitch, Direction::Instant, Direction::Force, Direction::Contain];

pub(super) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn noon() -> Timestamp {
    time("2026-11-20T12:00:00Z")
}

/// A rotation of which nothing has happened yet.
pub(super) fn rotation(direction: Direction) -> Rotation {
    let provider = Catalog::builtin().get("signa").unwrap();
    let endpoint = provider.endpoint(None, &[("id".to_owned(), "whk_1".to_owned())], None, &BTreeMap::new()).unwrap();
    let plan = Plan {
        forced: matches!(direction, Direction::Force | Direction::Contain),
        leaked: Default::default(),
        target: "hooks".to_owned(),
        provider: "signa".to_owned(),
        endpoint_key: endpoint.key(),
        base_url: endpoint.base_url.to_string(),
        ids: endpoint.ids.clone(),
        present: None,
        auth: String::new(),
        options: BTreeMap::new(),
        direction,
        steps: direction.steps().to_vec(),
        issuing: Issuing::Call(request::rotate(&endpoint, Some("key")).unwrap()),
        idempotency_key: Some("key".to_owned()),
        key_window: Some(Duration::from_secs(86_400)),
        overlap: Some(Duration::from_secs(86_400)),
        ending: None,
        settles: None,
        stores: Vec::new(),
        passed_over: Vec::new(),
        by_flags: Vec::new(),
        receivers: Vec::new(),
        may_probe: false,
        probe_first: false,
        replaces: None,
        reason: None,
        owner: None,
        planned: None,
    };
    Rotation::new(Uuid::nil(), plan, noon())
}

pub(super) fn answered(direction: Direction) -> Answered {
    let ends = direction.ends_old_secret();
    Answered {
        fingerprint: Secret::new("whsec_new").fingerprint(),
        version: None,
        provider_fingerprint: None,
        status: 200,
        request_id: None,
        expires_at: (!ends).then(|| time("2026-11-21T12:00:00Z")),
        expires_source: if ends { ExpirySource::Call } else { ExpirySource::Documented },
        clock_ahead_ms: 0,
        replayed: false,
        notice: None,
        endpoint: None,
    }
}

pub(super) fn fold(rotation: &mut Rotation, at: Timestamp, event: Event) {
    rotation.fold(&Entry { at, by: "ana@box".to_owned(), event });
}

/// The events that do a step.
pub(super) fn events(direction: Direction, step: Step) -> Vec<Event> {
    match step {
        Step::Check => vec![Event::Checked { before: Evidence::default() }],
        Step::Issue => {
            vec![Event::Sent { attempt: 1, digest: String::new(), key: None }, Event::Answered(answered(direction))]
        }
        step if step.doer() == Doer::Tool => vec![
            Event::StoreDone { step, store: "file:/a".to_owned() },
            Event::StoreDone { step, store: "file:/b".to_owned() },
            Event::Done { step, how: How::Tool },
        ],
        step => vec![Event::Done { step, how: How::Word { reason: None } }],
    }
}

/// What is due for a step at noon, an hour after which the old secret still lives.
fn due(direction: Direction, step: Step) -> Next {
    match step.doer() {
        Doer::Tool => Next::Run(step),
        Doer::Person => Next::Ask(step),
        Doer::Clock => Next::Wait(answered(direction).expires_at.unwrap()),
    }
}

#[test]
fn after_every_prefix_of_events_the_step_that_was_cut_off_is_next() {
    for direction in DIRECTIONS {
        let mut rotation = rotation(direction);
        for &step in direction.steps() {
            for event in events(direction, step) {
                let expected =
                    if rotation.call == (Call::Unknown { why: None }) { Next::Reconcile } else { due(direction, step) };
                assert_eq!(rotation.next(noon()), expected, "{direction:?}, before {event:?}");
                fold(&mut rotation, noon(), event);
            }
        }
        assert_eq!(rotation.next(noon()), Next::Finished, "{direction:?}");
        assert_eq!(rotation.contained(), rotation.plan.forced.then_some(true));
    }
}

#[test]
fn a3_a_receiver_that_joins_has_the_receivers_steps_done_again_wherever_the_rotation_is() {
    for direction in DIRECTIONS {
        let mut begun = rotation(direction);
        for &step in direction.steps() {
            events(direction, step).into_iter().for_each(|event| fold(&mut begun, noon(), event));
            let mut joined = begun.clone();
            fold(&mut joined, noon(), Event::ReceiverJoined { url: "https://b".to_owned() });
            let mut expected: Vec<Step> = begun.done.keys().copied().collect();
            let is_sent = begun.call != Call::NotApplied;
            expected.retain(|step| !matches!(step, Step::Deploy | Step::Verify | Step::Drop));
            expected.retain(|step| is_sent || *step != Step::Prepare);
            assert_eq!(joined.done.keys().copied().collect::<Vec<_>>(), expected, "{direction:?} after {step:?}");
            assert_eq!(joined.unasked(), ["https://b"]);
            if begun.done.contains_key(&Step::Deploy) {
                assert_eq!(joined.next(noon()), Next::Ask(Step::Deploy), "{direction:?} after {step:?}");
            }
            // One that is known already is no news.
            fold(&mut joined, noon(), Event::Done { step: Step::Deploy, how: How::Word { reason: None } });
            fold(&mut joined, noon(), Event::ReceiverJoined { url: "https://b".to_owned() });
            assert!(joined.done.contains_key(&Step::Deploy));
        }
    }
}

#[test]
fn the_status_follows_the_steps_and_never_goes_back() {
    let expected: [(Direction, &[Status]); 5] = {
        use Status::{Deployed, Planned, Sealed, Stored, Unknown, Verified, Waiting};
        [
            (Direction::OverlapEither, &[Planned, Unknown, Sealed, Stored, Deployed, Waiting, Verified]),
            (Direction::OverlapSwitch, &[Planned, Unknown, Sealed, Stored, Deployed, Waiting, Verified]),
            (Direction::Instant, &[Planned, Unknown, Sealed, Stored, Deployed, Verified]),
            (Direction::Force, &[Planned, Unknown, Sealed, Stored, Deployed, Verified]),
            (Direction::Contain, &[Planned, Unknown, Sealed, Stored, Deployed, Verified, Waiting, Verified]),
        ]
    };
    for (direction, expected) in expected {
        let mut rotation = rotation(direction);
        let mut seen = vec![rotation.status(noon())];
        for &step in direction.steps() {
            for event in events(direction, step) {
                fold(&mut rotation, noon(), event);
                let status = rotation.status(noon());
                if seen.last() != Some(&status) {
                    seen.push(status);
                }
            }
        }
        assert_eq!(seen, expected, "{direction:?}");
        fold(&mut rotation, noon(), Event::Closed { outcome: Outcome::Done, reason: None });
        assert_eq!(rotation.status(noon()), Status::Done);
    }
}

#[test]
fn a_closed_rotation_is_finished_whatever_was_open() {
    for direction in DIRECTIONS {
        for count in 0..direction.steps().len() {
            for outcome in [Outcome::Done, Outcome::Failed, Outcome::Abandoned, Outcome::Superseded] {
                let mut rotation = rotation(direction);
                for &step in &direction.steps()[..count] {
                    for event in events(direction, step) {
                        fold(&mut rotation, noon(), event);
                    }
                }
                fold(&mut rotation, noon(), Event::Closed { outcome, reason: None });
                assert_eq!(rotation.next(noon()), Next::Finished);
            }
        }
    }
}

#[test]
fn what_came_of_the_call_decides_between_reconciling_and_going_on() {
    let direction = Direction::OverlapSwitch;
    let sent = || Event::Sent { attempt: 1, digest: String::new(), key: None };
    let lost = || Event::Lost { why: "cut".to_owned(), status: None };
    let refused = || Event::NotApplied { why: "busy".to_owned(), status: Some(429), request_id: None };
    let unreadable = || Event::Unreadable { status: 200, why: "empty".to_owned() };
    let table: [(Vec<Event>, Next, bool); 6] = [
        (vec![], Next::Run(Step::Issue), false),
        (vec![sent()], Next::Reconcile, true),
        (vec![sent(), refused()], Next::Run(Step::Issue), false),
        (vec![sent(), lost()], Next::Reconcile, true),
        (vec![sent(), unreadable()], Next::Reconcile, true),
        (vec![sent(), lost(), sent(), Event::Answered(answered(direction))], Next::Run(Step::Stage), true),
    ];
    for (events, next, may_be_applied) in table {
        let mut rotation = rotation(direction);
        fold(&mut rotation, noon(), Event::Checked { before: Evidence::default() });
        for event in events.clone() {
            fold(&mut rotation, noon(), event);
        }
        assert_eq!((rotation.next(noon()), rotation.may_be_applied()), (next, may_be_applied), "{events:?}");
    }
}

#[test]
fn a_key_is_fresh_until_ten_minutes_before_the_window_ends() {
    let mut rotation = rotation(Direction::OverlapEither);
    assert!(!rotation.key_is_fresh(noon()), "nothing was sent");
    fold(&mut rotation, noon(), Event::Sent { attempt: 1, digest: String::new(), key: None });
    let later = time("2026-11-20T20:00:00Z");
    fold(&mut rotation, later, Event::Sent { attempt: 2, digest: String::new(), key: None });
    for (at, fresh) in [
        ("2026-11-20T11:59:59Z", false),
        ("2026-11-20T12:00:00Z", true),
        ("2026-11-21T11:49:59Z", true),
        ("2026-11-21T11:50:00Z", false),
        ("2026-11-22T12:00:00Z", false),
    ] {
        assert_eq!(rotation.key_is_fresh(time(at)), fresh, "{at}: counted from the first attempt");
    }
    rotation.plan.key_window = None;
    assert!(!rotation.key_is_fresh(noon()), "a provider that remembers no keys");
}

#[test]
fn the_wait_ends_on_the_providers_clock() {
    let mut rotation = rotation(Direction::OverlapEither);
    for step in [Step::Check, Step::Issue, Step::Stage, Step::Deploy, Step::Verify] {
        for event in events(Direction::OverlapEither, step) {
            fold(&mut rotation, noon(), event);
        }
    }
    let end = time("2026-11-21T12:00:00Z");
    for (ahead_ms, now, next) in [
        (0, "2026-11-21T11:59:59Z", Next::Wait(end)),
        (0, "2026-11-21T12:00:00Z", Next::Run(Step::Wait)),
        (-86_400_000, "2026-11-21T12:00:00Z", Next::Wait(end)),
        (86_400_000, "2026-11-20T12:00:00Z", Next::Run(Step::Wait)),
    ] {
        rotation.clock_ahead_ms = ahead_ms;
        assert_eq!(rotation.next(time(now)), next, "{ahead_ms} {now}");
        assert_eq!(rotation.old_secret_lives(time(now)), matches!(next, Next::Wait(_)));
    }
    let Call::Answered(answered) = &mut rotation.call else { panic!() };
    (answered.expires_at, answered.expires_source) = (None, ExpirySource::Unknown);
    assert_eq!(rotation.next(end), Next::Ask(Step::Wait), "nobody says when: a person has to");
}

#[test]
fn a_rollback_takes_back_what_a_promotion_did() {
    let direction = Direction::OverlapSwitch;
    let mut rotation = rotation(direction);
    for step in [Step::Check, Step::Issue, Step::Stage, Step::Promote, Step::Deploy, Step::Verify] {
        for event in events(direction, step) {
            fold(&mut rotation, noon(), event);
        }
    }
    fold(&mut rotation, noon(), Event::RolledBack { reason: None });
    assert_eq!(rotation.next(noon()), Next::Run(Step::Promote));
    assert_eq!(rotation.status(noon()), Status::Stored);
    assert!(rotation.stores_done.iter().all(|(step, _)| *step == Step::Stage));
}

/// The same with an id of its own.
fn another(direction: Direction) -> Rotation {
    let mut another = rotation(direction);
    another.id = Uuid::new_v4();
    another
}

/// A journal with an open rotation whose new secret is deployed, and one pending beside it.
fn with_a_pending_one() -> (tempfile::TempDir, journal::Journal, Rotation, Rotation) {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal::Journal::open(folder.path()).unwrap();
    let mut earlier = another(Direction::OverlapSwitch);
    for step in [Step::Check, Step::Issue, Step::Stage, Step::Promote, Step::Deploy] {
        journal.append(&mut earlier, "ana@box", noon(), &events(Direction::OverlapSwitch, step)).unwrap();
    }
    let mut pending = another(Direction::Force);
    pending.plan.replaces = Some(earlier.id);
    journal.append(&mut pending, "ana@box", noon(), &events(Direction::Force, Step::Check)).unwrap();
    (folder, journal, earlier, pending)
}

fn open(journal: &journal::Journal) -> Vec<Uuid> {
    journal.open_rotations().unwrap().iter().map(|rotation| rotation.id).collect()
}

#[test]
fn a6_the_commit_that_records_a_success_closes_what_it_replaces_and_no_other_does() {
    let sent = Event::Sent { attempt: 1, digest: String::new(), key: None };
    let lost = Event::Lost { why: "cut off".to_owned(), status: None };
    let unreadable = Event::Unreadable { status: 200, why: "no secret".to_owned() };
    let closed = |outcome| Event::Closed { outcome, reason: None };
    let not_applied = Event::NotApplied { why: "refused".to_owned(), status: Some(403), request_id: None };
    let cases: [(&[Event], bool); 7] = [
        (&[sent.clone(), Event::Answered(answered(Direction::Force))], true),
        (&[sent.clone(), unreadable], true),
        // A person says that it was carried out, and nobody has its secret.
        (&[sent.clone(), lost.clone(), closed(Outcome::Failed)], true),
        (&[sent.clone(), lost.clone()], false),
        (&[sent.clone(), not_applied.clone(), closed(Outcome::Failed)], false),
        (&[sent.clone(), lost.clone(), not_applied, closed(Outcome::Failed)], false),
        (&[sent, lost, closed(Outcome::Abandoned)], false),
    ];
    for (events, makes_way) in cases {
        let (folder, journal, earlier, mut pending) = with_a_pending_one();
        assert_eq!(open(&journal).len(), 2);
        assert_eq!(journal.find_open(&earlier.plan.endpoint_key).unwrap().unwrap().id, pending.id);
        for (at, event) in events.iter().enumerate() {
            assert!(open(&journal).contains(&earlier.id), "{events:?}: closed before {at}");
            journal.append(&mut pending, "ana@box", noon(), std::slice::from_ref(event)).unwrap();
        }
        // As another process reads it, its sums and indexes included.
        drop(journal);
        let journal = journal::Journal::open(folder.path()).unwrap();
        assert_eq!(!open(&journal).contains(&earlier.id), makes_way, "{events:?}");
        assert_eq!(pending.applied, makes_way);
        let known = journal.of_endpoint(&earlier.plan.endpoint_key).unwrap();
        let now = known.iter().find(|rotation| rotation.id == earlier.id).unwrap();
        assert_eq!((&now.done, &now.call, &now.plan), (&earlier.done, &earlier.call, &earlier.plan));
        assert_eq!(now.closed.as_ref().map(|closed| closed.outcome), makes_way.then_some(Outcome::Abandoned));
    }
}

#[test]
fn a6_one_rotation_stands_beside_an_open_one_and_no_more() {
    let (_folder, journal, earlier, mut pending) = with_a_pending_one();
    let check = events(Direction::Force, Step::Check);
    for replaces in [None, Some(earlier.id)] {
        let mut another = another(Direction::Force);
        another.plan.replaces = replaces;
        let refused = journal.append(&mut another, "ana@box", noon(), &check).unwrap_err();
        assert!(matches!(refused, journal::JournalError::AlreadyOpen { .. }), "{refused:?}");
    }
    // Once it has taken the other's place it is the only one, and is in the way of the next.
    journal.append(&mut pending, "ana@box", noon(), &events(Direction::Force, Step::Issue)).unwrap();
    assert_eq!(open(&journal), [pending.id]);
    let mut next = another(Direction::Force);
    assert!(journal.append(&mut next, "ana@box", noon(), &check).is_err());
}

#[test]
fn c1_deliveries_may_be_failing_once_a_receiver_refuses_or_nothing_is_proved_for_ten_minutes() {
    let (later, late) = (time("2026-11-20T12:09:59Z"), time("2026-11-20T12:10:00Z"));
    let url = "https://a.example/".to_owned();
    let probed = |accepts_new| Event::Probed {
        receivers: vec![Probed { url: url.clone(), verdict: Verdict::OldOnly, accepts_new, rejects_old: None }],
    };
    let word = |step| Event::Done { step, how: How::Word { reason: None } };
    // What comes after the call and the promotion, and whether deliveries may be failing before and after ten minutes.
    let table: [(Vec<Event>, bool, bool); 9] = [
        (vec![], false, true),
        (vec![word(Step::Deploy)], false, true),
        (vec![probed(None)], false, true),
        (vec![probed(Some(false))], true, true),
        (vec![word(Step::Deploy), probed(Some(false))], true, true),
        (vec![probed(Some(false)), probed(Some(true))], false, false),
        (vec![Event::Done { step: Step::Deploy, how: How::Probe }], false, false),
        (vec![probed(Some(false)), word(Step::Deploy), word(Step::Verify)], false, false),
        (vec![word(Step::Deploy), word(Step::Verify), probed(Some(false))], true, true),
    ];
    for direction in [Direction::Instant, Direction::Force] {
        for (events_after, early, after) in &table {
            let mut rotation = rotation(direction);
            rotation.plan.receivers = vec![url.clone()];
            let steps = direction.steps().iter().take_while(|step| **step != Step::Deploy);
            for event in steps.flat_map(|step| events(direction, *step)) {
                fold(&mut rotation, noon(), event);
            }
            for (second, event) in events_after.iter().enumerate() {
                fold(&mut rotation, noon() + SignedDuration::from_secs(second as i64 + 1), event.clone());
            }
            let found = [later, late].map(|now| rotation.failing_since(now));
            assert_eq!(found, [early, after].map(|fails| fails.then(noon)), "{direction:?} {events_after:?}");
        }
    }
    // The old secret outlives the call.
    let mut rotation = rotation(Direction::OverlapSwitch);
    let done = [Step::Check, Step::Issue, Step::Stage];
    for event in done.into_iter().flat_map(|step| events(Direction::OverlapSwitch, step)) {
        fold(&mut rotation, noon(), event);
    }
    fold(&mut rotation, noon(), probed(Some(false)));
    assert_eq!(rotation.failing_since(late), None);
}
