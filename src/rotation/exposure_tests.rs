//! What a rotation leaves behind, by table: what has happened, in words, and everything that is said of it then; and of many
//! rotations of one endpoint, which one is meant.

use super::*;
use crate::delivery::probe::Verdict;
use crate::rotation::fakes::print;
use crate::rotation::tests::{answered, fold, noon, rotation, time};
use crate::rotation::{Answered, Direction, Event, Evidence, How, at_hand};
use uuid::Uuid;

use Direction::{Contain, Force, OverlapSwitch, UntilEnded};

/// A rotation of a live secret `o` that has brought a letter, told in words.
fn told(direction: Direction, words: &str, brings: char) -> Rotation {
    let mut rotation = rotation(direction);
    let before = Evidence { current: Some(print('o')), ..Evidence::default() };
    fold(&mut rotation, noon(), Event::Checked { before });
    let new = |fingerprint| Event::LeakDeclared { reason: "a log".to_owned(), leaked: [fingerprint].into() };
    let closed = |outcome| Event::Closed { outcome, reason: None };
    for word in words.split_whitespace() {
        let event = match word {
            "sent" => Event::Sent { attempt: 1, digest: String::new(), key: None },
            "lost" => Event::Lost { why: "cut".to_owned(), status: None },
            "unreadable" => Event::Unreadable { status: 200, why: "bare".to_owned() },
            "refused" => Event::NotApplied { why: "no".to_owned(), status: None, request_id: None },
            "answered" => Event::Answered(Answered { fingerprint: print(brings), ..answered(direction) }),
            "named" => Event::Answered(Answered {
                fingerprint: print(brings),
                endpoint: Some("whk_2".to_owned()),
                ..answered(direction)
            }),
            "ending" => Event::Ending { digest: String::new(), reason: None },
            "notended" => Event::NotEnded { why: "no".to_owned(), status: None },
            "back" => Event::RolledBack { reason: None },
            "leak-new" => new(print(brings)),
            "leak-old" => new(print('p')),
            "failed" => closed(Outcome::Failed),
            "abandoned" => closed(Outcome::Abandoned),
            "superseded" => closed(Outcome::Superseded),
            "done" => closed(Outcome::Done),
            "dealt" => Event::Acknowledged { reason: "seen".to_owned() },
            step => Event::Done { step: *Step::ALL.iter().find(|known| known.name() == step).unwrap(), how: How::Tool },
        };
        fold(&mut rotation, noon(), event);
    }
    rotation
}

#[test]
fn everything_that_is_said_of_a_rotation_follows_from_what_has_happened() {
    let late = time("2026-11-22T12:00:00Z");
    for (direction, words, said, status) in [
        (OverlapSwitch, "", "", "planned"),
        (OverlapSwitch, "abandoned", "", "abandoned"),
        (OverlapSwitch, "sent", "lacking sent unsettled", "unknown"),
        (OverlapSwitch, "sent lost", "lacking sent unsettled", "unknown"),
        (OverlapSwitch, "sent unreadable", "lacking sent unsettled", "unknown"),
        (OverlapSwitch, "sent refused failed", "", "failed"),
        (OverlapSwitch, "sent lost failed", "lacking sent lost unsettled", "failed"),
        (OverlapSwitch, "sent lost abandoned", "lacking sent dead later-dead unsettled", "abandoned"),
        (OverlapSwitch, "sent answered", "sent overlap", "sealed"),
        (OverlapSwitch, "sent answered stage", "sent overlap", "stored"),
        (OverlapSwitch, "sent answered stage promote", "sent overlap", "stored"),
        (OverlapSwitch, "sent answered stage promote deploy", "sent overlap", "deployed"),
        (OverlapSwitch, "sent answered stage promote deploy verify", "sent overlap", "waiting"),
        (OverlapSwitch, "sent answered stage promote deploy verify wait", "sent overlap", "verified"),
        (OverlapSwitch, "sent answered stage abandoned", "sent overlap given-up later-dead", "abandoned"),
        (OverlapSwitch, "sent answered stage promote abandoned", "sent overlap", "abandoned"),
        (OverlapSwitch, "sent answered stage promote failed", "sent overlap", "failed"),
        (OverlapSwitch, "sent answered stage promote back", "sent overlap back", "stored"),
        (OverlapSwitch, "sent answered stage promote back promote", "sent overlap", "stored"),
        (OverlapSwitch, "sent answered stage superseded", "sent overlap superseded", "superseded"),
        (OverlapSwitch, "sent answered stage superseded dealt", "sent overlap", "superseded"),
        (OverlapSwitch, "sent answered stage leak-old", "sent overlap leak leaking", "stored"),
        (OverlapSwitch, "sent answered stage leak-new", "sent overlap leak leaking", "stored"),
        (OverlapSwitch, "sent answered stage leak-old drop", "sent overlap leak contained", "stored"),
        (OverlapSwitch, "sent answered stage leak-new drop", "sent overlap leak leaking", "stored"),
        (Contain, "sent answered stage promote deploy verify drop", "sent overlap leak contained", "waiting"),
        (UntilEnded, "sent named stage back abandoned", "sent overlap back", "abandoned"),
        (UntilEnded, "sent named lost back abandoned", "lacking sent back", "abandoned"),
        (UntilEnded, "sent named stage back ending notended abandoned", "sent overlap back", "abandoned"),
        (UntilEnded, "sent named stage back ending abandoned", "sent overlap back given-up later-dead", "abandoned"),
        (
            UntilEnded,
            "sent named stage back ending end abandoned",
            "sent back given-up dead later-dead unsettled",
            "abandoned",
        ),
        (Force, "", "leak leaking", "planned"),
        (Force, "sent refused failed", "leak leaking uncontained", "failed"),
        (Force, "sent refused failed dealt", "leak leaking", "failed"),
        (Force, "sent refused abandoned", "leak leaking", "abandoned"),
        (Force, "sent lost failed", "lacking sent leak leaking lost unsettled", "failed"),
        (Force, "sent answered", "sent leak leaking", "sealed"),
        (Force, "sent answered stage promote deploy verify drop done", "sent leak contained", "done"),
        (Force, "sent answered abandoned", "sent leak leaking given-up dead later-dead unsettled", "abandoned"),
    ] {
        let it = told(direction, words, 'n');
        let all = [
            ("lacking", it.lacks_answer()),
            ("sent", it.may_be_applied()),
            ("leak", it.is_for_a_leak()),
            ("leaking", it.contained() == Some(false)),
            ("contained", it.contained() == Some(true)),
            ("uncontained", it.failed_to_contain()),
            ("overlap", it.overlap_until(noon()).is_some()),
            ("superseded", it.is_superseded()),
            ("back", it.taken_back().is_some()),
            ("lost", it.lost_its_secret()),
            ("given-up", it.gave_up_before_live()),
            ("dead", it.left_a_dead_secret(noon())),
            ("later-dead", it.left_a_dead_secret(late)),
            ("unsettled", it.is_unsettled(noon())),
        ];
        let mut found: Vec<&str> = all.iter().filter(|(_, is_so)| *is_so).map(|(word, _)| *word).collect();
        let mut said: Vec<&str> = said.split_whitespace().collect();
        found.sort_unstable();
        said.sort_unstable();
        assert_eq!((found, it.status(noon()).name()), (said, status), "{direction:?} {words}");
        assert_eq!(it.leaking_since().is_some(), it.contained() == Some(false), "{words}");
        assert_eq!(it.overlap_until(late), None);
    }
}

/// Rotations of one endpoint, newest first: a direction, what has happened, and what was brought.
fn history(told_of: &[(Direction, &str, char)]) -> Vec<Rotation> {
    told_of.iter().map(|(direction, words, brings)| told(*direction, words, *brings)).collect()
}

/// Which of them it is.
fn place(history: &[Rotation], found: Option<&Rotation>) -> Option<usize> {
    found.and_then(|found| history.iter().position(|rotation| std::ptr::eq(rotation, found)))
}

#[test]
fn a_leak_leaks_until_receivers_have_dropped_an_old_secret_since() {
    let (forced, refused) = ((Force, "sent answered stage promote", 'n'), (Force, "sent refused failed", 'x'));
    let plain = (OverlapSwitch, "sent answered stage promote", 'm');
    let dropped = (OverlapSwitch, "sent answered stage promote deploy verify drop", 'd');
    let leaked = (OverlapSwitch, "sent answered stage promote deploy verify drop leak-new", 'l');
    // Which one leaks; whether nothing is under way that would contain it.
    for (told_of, leaks, is_unanswered) in [
        (&[][..], None, false),
        (&[plain], None, false),
        (&[forced], Some(0), false),
        (&[plain, forced], Some(1), false),
        (&[refused], Some(0), true),
        (&[refused, forced], Some(1), true),
        (&[forced, refused], Some(1), false),
        (&[dropped, forced], None, false),
        (&[plain, dropped, forced], None, false),
        (&[leaked], Some(0), true),
        (&[leaked, forced], Some(0), true),
        (&[plain, leaked, forced], Some(1), true),
        (&[(Force, "sent refused failed dealt", 'x')], None, false),
        (&[(Force, "sent answered superseded dealt", 'x')], Some(0), false),
        (&[(Force, "sent answered abandoned", 'x')], Some(0), false),
        (&[(Force, "abandoned", 'x')], None, false),
    ] {
        let all = history(told_of);
        assert_eq!(place(&all, leaking(&all)), leaks, "{told_of:?}");
        assert_eq!(super::is_unanswered(&all), is_unanswered, "{told_of:?}");
    }
}

#[test]
fn a_secret_is_suspect_that_receivers_were_given_and_nobody_has_shown_to_be_refused() {
    let dropped = "sent answered stage promote deploy verify drop";
    for (told_of, said, expected) in [
        (&[][..], None, ""),
        (&[(OverlapSwitch, "", 'n')], None, ""),
        (&[(OverlapSwitch, "sent lost", 'n')], None, "o"),
        (&[(OverlapSwitch, "sent answered stage", 'n')], None, "o"),
        (&[(OverlapSwitch, "sent answered stage", 'n')], Some('n'), "no"),
        (&[(OverlapSwitch, "sent answered stage", 'n')], Some('x'), "o"),
        (&[(OverlapSwitch, "sent answered stage leak-new", 'n')], None, "no"),
        (&[(OverlapSwitch, "sent answered stage promote", 'n')], None, "no"),
        (&[(OverlapSwitch, "sent answered stage deploy", 'n')], None, "no"),
        (&[(OverlapSwitch, dropped, 'n')], None, ""),
        (&[(OverlapSwitch, "sent answered stage promote drop leak-new", 'n')], None, "n"),
        (
            &[(OverlapSwitch, "sent answered stage", 'n'), (OverlapSwitch, "sent answered stage promote", 'm')],
            None,
            "mo",
        ),
        (&[(OverlapSwitch, "sent answered stage", 'n'), (OverlapSwitch, dropped, 'm')], None, "o"),
    ] {
        let found = suspects(&history(told_of), said.map(print).as_ref());
        assert_eq!(found, expected.chars().map(print).collect(), "{told_of:?} {said:?}");
    }
}

#[test]
fn of_many_rotations_one_is_meant() {
    let (sent, superseded, dealt) =
        ("sent answered stage", "sent answered superseded", "sent answered superseded dealt");
    let promoted = "sent answered stage promote";
    for (words, newest, over, hand) in [
        (&[][..], None, None, None),
        (&[""], None, None, Some(0)),
        (&["", sent], Some(1), None, Some(0)),
        (&["sent refused failed", sent], Some(1), None, Some(1)),
        (&["abandoned", "failed"], None, None, Some(0)),
        (&[superseded], Some(0), Some(0), Some(0)),
        (&[dealt], Some(0), None, Some(0)),
        (&[promoted, superseded], Some(0), None, Some(0)),
        (&[sent, superseded], Some(0), Some(1), Some(0)),
        (&[superseded, dealt], Some(0), Some(0), Some(0)),
        (&[dealt, superseded], Some(0), None, Some(0)),
        (&["abandoned", superseded, superseded], Some(1), Some(1), Some(0)),
    ] {
        let all = history(&words.iter().map(|words| (OverlapSwitch, *words, 'n')).collect::<Vec<_>>());
        let found = (place(&all, newest_sent(&all)), place(&all, overtaken(&all)), at_hand(&all));
        assert_eq!(found, (newest, over, hand), "{words:?}");
    }
}

#[test]
fn one_that_is_to_replace_another_is_pending_until_it_is_carried_out_or_closed() {
    for (replaces, words, is_pending, left_open) in [
        (false, "sent lost", false, false),
        (false, "sent refused failed", false, false),
        (true, "", true, false),
        (true, "sent lost", true, false),
        (true, "sent answered", false, false),
        (true, "sent unreadable", false, false),
        (true, "sent refused failed", false, true),
        (true, "abandoned", false, true),
        // Somebody says that it was carried out.
        (true, "sent lost failed", false, false),
        (true, "sent answered abandoned", false, false),
    ] {
        let mut it = told(Force, words, 'n');
        it.plan.replaces = replaces.then_some(Uuid::max());
        assert_eq!((it.is_pending(), it.left_the_other_open()), (is_pending, left_open), "{replaces} {words}");
        let earlier = told(OverlapSwitch, "sent answered", 'm');
        assert_eq!(at_hand(&[earlier, it]), Some(usize::from(is_pending)), "{words}: a pending one comes first");
    }
}

#[test]
fn a_receiver_contradicts_a_step_by_its_last_probe() {
    let url = |name: &str| format!("https://{name}.test/");
    for (accepts_new, rejects_old, deploy, drop) in [
        (None, None, false, false),
        (Some(true), Some(true), false, false),
        (Some(true), None, false, false),
        (Some(true), Some(false), false, true),
        (None, Some(false), false, true),
        (Some(false), Some(true), true, true),
        (Some(false), Some(false), true, true),
    ] {
        let mut it = rotation(OverlapSwitch);
        it.plan.receivers = vec![url("a")];
        let probed = |name: &str, accepts_new, rejects_old| Probed {
            url: url(name),
            verdict: Verdict::NewOnly,
            accepts_new,
            rejects_old,
        };
        // One that was only asked about by the way stands in nobody's way.
        let receivers = vec![probed("a", accepts_new, rejects_old), probed("b", Some(false), Some(false))];
        fold(&mut it, noon(), Event::Probed { receivers });
        let found =
            [Step::Deploy, Step::Verify, Step::Drop, Step::Promote].map(|step| !it.contradicting(step).is_empty());
        assert_eq!(found, [deploy, deploy, drop, false], "{accepts_new:?} {rejects_old:?}");
        fold(&mut it, noon(), Event::Probed { receivers: vec![probed("a", Some(true), Some(true))] });
        assert!(it.contradicting(Step::Drop).is_empty(), "the last probe counts");
    }
}
