//! Every pair of what was ours and what is shown now.

use super::*;
use crate::rotation::tests::{answered, fold, noon, rotation, time};
use crate::rotation::{Answered, Direction, Event};
use crate::secret::{Fingerprint, Secret};

fn print(text: &str) -> Fingerprint {
    Secret::new(text).fingerprint()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// Version, fingerprint and time of change; an empty one is not shown.
fn shown(version: &str, fingerprint: &str, updated_at: &str) -> Evidence {
    Evidence {
        version: some(version),
        fingerprint: some(fingerprint),
        updated_at: some(updated_at),
        ..Evidence::default()
    }
}

/// A rotation that was answered at noon with this version and fingerprint, with what was shown before and after.
fn ours(version: &str, fingerprint: &str, before: Evidence, after: Option<Evidence>) -> Rotation {
    let mut rotation = rotation(Direction::OverlapSwitch);
    fold(&mut rotation, noon(), Event::Checked { before });
    fold(&mut rotation, noon(), Event::Sent { attempt: 1, digest: String::new(), key: None });
    let answer = Answered {
        version: some(version),
        provider_fingerprint: some(fingerprint),
        ..answered(Direction::OverlapSwitch)
    };
    fold(&mut rotation, noon(), Event::Answered(answer));
    if let Some(after) = after {
        fold(&mut rotation, noon(), Event::Shown { after });
    }
    rotation
}

/// The finding in a word.
fn word(finding: &Finding) -> &'static str {
    match finding {
        Finding::Same => "same",
        Finding::Superseded(_) => "superseded",
        Finding::Touched(_) => "touched",
        Finding::Behind(_) => "behind",
        Finding::Unknown => "unknown",
    }
}

#[test]
fn a2_another_version_or_fingerprint_is_somebody_elses_rotation() {
    for (answer, before, after, now, expected) in [
        // (version, fingerprint) of the answer; what was shown before, right after, and now.
        (("2", ""), ("1", "", "t1"), None, ("2", "", "t2"), "same"),
        (("2", ""), ("1", "", "t1"), None, ("3", "", "t3"), "superseded"),
        (("2", ""), ("1", "", "t1"), Some(("2", "", "t2")), ("2", "", "t9"), "same"),
        (("2", ""), ("1", "", "t1"), Some(("2", "", "t2")), ("1", "", "t1"), "behind"),
        (("", ""), ("1", "", ""), Some(("2", "", "")), ("3", "", ""), "superseded"),
        (("", ""), ("1", "", ""), Some(("2", "", "")), ("2", "", ""), "same"),
        (("", ""), ("1", "", ""), None, ("2", "", ""), "unknown"),
        (("1.2", ""), ("0.2", "", ""), None, ("2.2", "", ""), "superseded"),
        (("", "whsec_****b7d1"), ("", "whsec_****0000", ""), None, ("", "whsec_****b7d1", ""), "same"),
        (("", "whsec_****b7d1"), ("", "whsec_...0000", ""), None, ("", "whsec_...b7d1", ""), "same"),
        (("", "whsec_****b7d1"), ("", "whsec_****0000", ""), None, ("", "whsec_****c8e2", "t1"), "superseded"),
        (("", "whsec_****b7d1"), ("", "whsec_...0000", ""), None, ("", "whsec_****0000", ""), "behind"),
        (("2", "whsec_****b7d1"), ("1", "", ""), None, ("2", "whsec_****c8e2", ""), "superseded"),
        (("", ""), ("", "", ""), None, ("", "", ""), "unknown"),
        (("2", "f"), ("1", "", ""), None, ("", "", ""), "unknown"),
    ] {
        let evidence = |(version, fingerprint, at)| shown(version, fingerprint, at);
        let rotation = ours(answer.0, answer.1, evidence(before), after.map(evidence));
        assert_eq!(word(&compare(&rotation, &evidence(now))), expected, "{answer:?} {after:?} {now:?}");
    }
}

#[test]
fn a2_the_secret_that_is_shown_tells_whose_it_is() {
    let shows = |secret: &str| Evidence { shown: Some(print(secret)), ..Evidence::default() };
    let rotation = ours("", "", shows("whsec_old"), None);
    for (now, expected) in [("whsec_new", "same"), ("whsec_theirs", "superseded"), ("whsec_old", "behind")] {
        assert_eq!(word(&compare(&rotation, &shows(now))), expected, "{now}");
    }
}

#[test]
fn a2_a_time_of_change_alone_only_asks() {
    let at = |text: &str| shown("", "", text);
    let seen = |after: Option<&str>| ours("", "", at("2026-11-20T08:00:00Z"), after.map(at));
    for (after, now, expected) in [
        (Some("2026-11-20T12:00:00Z"), "2026-11-20T12:00:00Z", "same"),
        (Some("2026-11-20T12:00:00Z"), "2026-11-20T12:00:01Z", "touched"),
        (Some("yesterday"), "today", "touched"),
        (None, "2026-11-20T12:00:01Z", "unknown"),
        (None, "2026-11-20T13:00:00Z", "touched"),
        (None, "2026-11-20T08:00:00Z", "unknown"),
        (None, "today", "unknown"),
    ] {
        assert_eq!(word(&compare(&seen(after), &at(now))), expected, "{after:?} {now}");
    }
    // A name given to the endpoint moves the time, and the version says that it was no rotation.
    let named = ours("2", "", shown("1", "", "t1"), Some(shown("2", "", "t2")));
    assert_eq!(compare(&named, &shown("2", "", "t3")), Finding::Same);
}

#[test]
fn a2_after_a_replay_only_our_own_requests_explain_a_change() {
    let mut rotation = rotation(Direction::OverlapSwitch);
    fold(&mut rotation, noon(), Event::Checked { before: Evidence::default() });
    fold(&mut rotation, noon(), Event::Sent { attempt: 1, digest: String::new(), key: None });
    let later = time("2026-11-20T15:00:00Z");
    fold(&mut rotation, later, Event::Sent { attempt: 2, digest: String::new(), key: None });
    let answer = Answered { replayed: true, ..answered(Direction::OverlapSwitch) };
    fold(&mut rotation, later, Event::Answered(answer));
    for (at, expected) in [
        ("2026-11-20T12:00:20Z", "unknown"),
        ("2026-11-20T14:00:00Z", "touched"),
        ("2026-11-20T15:00:00Z", "unknown"),
        ("2026-11-20T16:00:00Z", "touched"),
    ] {
        assert_eq!(word(&compare(&rotation, &shown("", "", at))), expected, "{at}");
    }
}

#[test]
fn a2_nothing_is_superseded_before_there_is_an_answer() {
    assert_eq!(compare(&rotation(Direction::Instant), &shown("3", "", "")), Finding::Unknown);
}
