//! Whether what is live is dead, by tables of what earlier rotations have come to.

use super::*;
use crate::rotation::tests::{answered, events, fold, noon, rotation, time};
use crate::rotation::{Answered, Event, Next, Outcome, Status};
use crate::secret::Secret;

fn live() -> Fingerprint {
    Secret::new("whsec_live").fingerprint()
}

/// A rotation that found this secret live and replaced it at noon, by an answer.
fn replaced(direction: Direction, secret: &Fingerprint) -> Rotation {
    let mut rotation = rotation(direction);
    let before = Evidence { current: Some(secret.clone()), ..Evidence::default() };
    fold(&mut rotation, noon(), Event::Checked { before });
    events(direction, Step::Issue).into_iter().for_each(|event| fold(&mut rotation, noon(), event));
    fold(&mut rotation, noon(), Event::Closed { outcome: Outcome::Abandoned, reason: None });
    rotation
}

#[test]
fn a_secret_is_dead_only_where_the_journal_proves_it() {
    use Direction::{Instant, OverlapEither};
    let (end, before, after) = ("2026-11-21T12:00:00Z", "2026-11-21T11:59:59Z", "2026-11-21T12:00:01Z");
    let other = Secret::new("whsec_other").fingerprint();
    let lost = |outcome: Option<Outcome>| {
        let mut rotation = replaced(OverlapEither, &live());
        rotation.closed = None;
        fold(&mut rotation, noon(), Event::Lost { why: "cut off".to_owned(), status: None });
        rotation.applied = false;
        let closed = outcome.map(|outcome| Event::Closed { outcome, reason: None });
        closed.into_iter().for_each(|event| fold(&mut rotation, noon(), event));
        rotation
    };
    let brought = {
        let mut rotation = rotation(OverlapEither);
        let answered = Answered { fingerprint: live(), ..answered(OverlapEither) };
        fold(&mut rotation, noon(), Event::Sent { attempt: 1, digest: String::new(), key: None });
        fold(&mut rotation, noon(), Event::Answered(answered));
        rotation
    };
    let mut endless = replaced(OverlapEither, &live());
    endless.plan.overlap = None;
    endless.call = crate::rotation::Call::Answered(Answered {
        expires_at: None,
        expires_source: ExpirySource::Unknown,
        ..answered(OverlapEither)
    });
    let cases: [(&str, Vec<Rotation>, &str, Option<&str>); 10] = [
        ("nothing is known", vec![], after, None),
        ("another was replaced", vec![replaced(OverlapEither, &other)], after, None),
        ("its end is over", vec![replaced(OverlapEither, &live())], after, Some(end)),
        ("its end is to come", vec![replaced(OverlapEither, &live())], before, None),
        ("it died with the call", vec![replaced(Instant, &live())], before, Some("2026-11-20T12:00:00Z")),
        ("nobody says when it ends", vec![endless], after, None),
        ("nobody knows what came of the call", vec![lost(Some(Outcome::Abandoned))], after, None),
        ("it was carried out and its answer is lost", vec![lost(Some(Outcome::Failed))], after, Some(end)),
        ("a later one brought it", vec![brought.clone(), replaced(OverlapEither, &live())], after, None),
        ("an earlier one brought it", vec![replaced(OverlapEither, &live()), brought], after, Some(end)),
    ];
    for (what, newest_first, now, expected) in cases {
        let found = dead_since(&newest_first, &live(), &Evidence::default(), time(now));
        assert_eq!(found, expected.map(time), "{what}");
    }
    let shown = Evidence { shown: Some(live()), ..Evidence::default() };
    assert_eq!(dead_since(&[replaced(OverlapEither, &live())], &live(), &shown, time(after)), None, "shown again");
}

#[test]
fn where_what_is_live_is_dead_nothing_waits_for_an_end() {
    for direction in [Direction::OverlapEither, Direction::OverlapSwitch, Direction::Contain] {
        let mut rotation = rotation(direction);
        let since = time("2026-11-19T12:00:00Z");
        let before = Evidence { current: Some(live()), dead_since: Some(since), ..Evidence::default() };
        fold(&mut rotation, noon(), Event::Checked { before });
        events(direction, Step::Issue).into_iter().for_each(|event| fold(&mut rotation, noon(), event));
        assert!(!rotation.old_secret_lives(noon()));
        assert_eq!((rotation.expires_at(), rotation.failing_since(noon())), (Some(since), Some(since)));
        assert_eq!(rotation.replaced_until(), Some(time("2026-11-21T12:00:00Z")), "what the provider keeps");
        events(direction, Step::Stage).into_iter().for_each(|event| fold(&mut rotation, noon(), event));
        assert_eq!(rotation.next(noon()), Next::Run(Step::Promote), "{direction:?}");
        for step in rotation.plan.steps.clone() {
            assert_ne!(rotation.status(noon()), Status::Waiting, "{direction:?} before {step:?}");
            if !rotation.done.contains_key(&step) {
                events(direction, step).into_iter().for_each(|event| fold(&mut rotation, noon(), event));
            }
        }
        assert_eq!((rotation.next(noon()), rotation.live_dead_since()), (Next::Finished, None));
    }
}
