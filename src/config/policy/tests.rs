//! What rules forbid, of one file and of two; and what is wrong with rules that mean nothing.

use std::path::PathBuf;

use super::*;

fn file(text: &str) -> crate::config::ConfigFile {
    crate::config::ConfigFile::own_with(&PathBuf::from("/etc/whsec/policy.toml"), text)
}

fn policy(texts: &[&str]) -> Policy {
    texts.iter().map(|text| Rules::parse(&file(text)).unwrap()).collect()
}

fn planned() -> Beginning<'static> {
    Beginning { forced: false, is_instant: false, reason: None, is_planned: false }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOON: &str = "2026-11-23T12:00:00Z";

fn rule(policy: &Policy, it: &Beginning<'_>, now: &str) -> Option<&'static str> {
    policy.refuse(it, at(now)).err().map(|forbidden| forbidden.rule)
}

/// Every pair of rules, in either order: what one of them forbids is forbidden.
#[test]
fn of_two_files_the_stricter_wins_in_either_order() {
    let rules = [
        "instant = \"never\"",
        "instant = \"plan\"\napprovers = \"a\"",
        "approvals = { force = 1 }\napprovers = \"a\"",
        "windows = [\"sat 00:00-24:00 UTC\"]",
        "reason = \"^INC-\"",
        "",
    ];
    let ways: Vec<Beginning<'_>> = [false, true]
        .into_iter()
        .flat_map(|forced| [false, true].map(|is_instant| (forced, is_instant)))
        .flat_map(|(forced, is_instant)| [None, Some("INC-1"), Some("x")].map(|reason| (forced, is_instant, reason)))
        .flat_map(|(forced, is_instant, reason)| {
            [false, true].map(|is_planned| Beginning { forced, is_instant, reason, is_planned })
        })
        .collect();
    for (one, other) in rules.iter().flat_map(|one| rules.iter().map(move |other| (one, other))) {
        for it in &ways {
            let refused = |texts: &[&str]| rule(&policy(texts), it, NOON).is_some();
            assert_eq!(refused(&[one, other]), refused(&[one]) || refused(&[other]), "{one:?} {other:?} {it:?}");
        }
    }
}

#[test]
fn instants_go_by_plan_or_never_and_leaks_at_any_time() {
    let instant = Beginning { is_instant: true, ..planned() };
    let by_plan = Beginning { is_planned: true, ..instant };
    let leaked = Beginning { forced: true, is_instant: true, reason: Some("INC-7"), is_planned: false };
    let plan = policy(&["instant = \"plan\"\napprovers = \"keys\""]);
    assert_eq!(rule(&plan, &instant, NOON), Some("instant"));
    assert_eq!(rule(&plan, &by_plan, NOON), None);
    assert_eq!(rule(&plan, &planned(), NOON), None);
    // Whoever says how many have to sign means that a plan is needed.
    let counted = policy(&["approvals = { instant = 2 }\napprovers = \"keys\""]);
    assert_eq!(rule(&counted, &instant, NOON), Some("instant"));
    let never = policy(&["instant = \"never\"\nwindows = [\"sun 00:00-01:00 UTC\"]"]);
    assert_eq!(rule(&never, &by_plan, NOON), Some("instant"));
    assert_eq!(rule(&never, &planned(), NOON), Some("windows"));
    assert_eq!(rule(&never, &leaked, NOON), None);
    let force = policy(&["approvals = { force = 1 }\napprovers = \"keys\""]);
    assert_eq!(rule(&force, &leaked, NOON), Some("approvals.force"));
    assert_eq!(rule(&force, &Beginning { is_planned: true, ..leaked }, NOON), None);
    let reason = policy(&["reason = \"^(INC|CHG)-[0-9]+\""]);
    assert_eq!(rule(&reason, &Beginning { reason: None, ..leaked }, NOON), Some("reason"));
    assert_eq!(rule(&reason, &Beginning { reason: Some("see INC-7"), ..leaked }, NOON), Some("reason"));
    assert!(reason.refuse_reason(Some("CHG-12 quarterly")).is_ok() && reason.refuse_reason(Some("CHG-")).is_err());
}

#[test]
fn so_many_sign_as_the_strictest_rule_of_each_file_says() {
    let both = policy(&[
        "approvals = { force = 1, instant = 2, plan_over = 50 }\napprovers = \"/etc/whsec/approvers\"",
        "approvals = { force = 3 }\napprovers = \"/home/ana/approvers\"",
    ]);
    let needed = |forced, is_instant, count| {
        let all = both.approvals(forced, is_instant, count);
        all.map(|needed| (needed.rule, needed.count.get())).collect::<Vec<_>>()
    };
    assert_eq!(needed(false, false, 50), []);
    assert_eq!(needed(false, false, 51), [("approvals.plan_over", 1)]);
    assert_eq!(needed(false, true, 51), [("approvals.instant", 2)]);
    assert_eq!(needed(true, true, 1), [("approvals.force", 1), ("approvals.force", 3)]);
    assert!(both.refuse_count(50).is_ok() && both.refuse_count(51).is_err());
    let plan = policy(&["instant = \"plan\"\napprovers = \"keys\""]);
    assert_eq!(plan.approvals(false, true, 1).map(|needed| needed.count.get()).collect::<Vec<_>>(), [1]);
}

#[test]
fn people_are_who_they_are_on_this_host_or_in_a_group() {
    let policy = policy(&["may_force = [\"ana@*\", \"group:oncall\"]", "may_force = [\"*@ops?\"]"]);
    let groups = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (person, of, may) in [
        ("ana@ops3", &[][..], true),
        ("ana@laptop", &[], false),
        ("bo@ops3", &[], false),
        ("bo@ops3", &["dev", "oncall"], true),
        ("bo@ops3", &["oncalls"], false),
        ("anabel@ops3", &[], false),
    ] {
        assert_eq!(policy.refuse_person(person, &groups(of)).is_ok(), may, "{person} {of:?}");
    }
}

#[test]
fn windows_are_hours_of_days_somewhere() {
    let cases = [
        ("mon-thu 08:00-16:00 Europe/Berlin", "2026-11-23T07:00:00Z", true),
        ("mon-thu 08:00-16:00 Europe/Berlin", "2026-11-23T06:59:59Z", false),
        ("mon-thu 08:00-16:00 Europe/Berlin", "2026-11-23T14:59:59Z", true),
        ("mon-thu 08:00-16:00 Europe/Berlin", "2026-11-23T15:00:00Z", false),
        // In summer the same hours are others.
        ("mon-thu 08:00-16:00 Europe/Berlin", "2026-07-06T06:00:00Z", true),
        ("mon-thu 08:00-16:00 Europe/Berlin", "2026-11-27T10:00:00Z", false),
        ("fri-mon 00:00-24:00 UTC", "2026-11-22T23:59:59Z", true),
        ("fri-mon 00:00-24:00 UTC", "2026-11-24T00:00:00Z", false),
        ("Tue,sat 22:30-24:00 UTC", "2026-11-24T22:30:00Z", true),
        // It is Tuesday there already.
        ("tue 00:00-06:00 Asia/Tokyo", "2026-11-23T15:30:00Z", true),
    ];
    for (written, now, holds) in cases {
        assert_eq!(Window::parse(written).unwrap().holds(at(now)), holds, "{written} {now}");
    }
    let seven = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    for (day, offset) in seven.iter().zip(0..) {
        let now = at("2026-11-23T12:00:00Z") + jiff::SignedDuration::from_hours(24 * offset);
        let held = seven.iter().filter(|day| Window::parse(&format!("{day} 00:00-24:00 UTC")).unwrap().holds(now));
        assert_eq!(held.collect::<Vec<_>>(), [day]);
    }
    for wrong in [
        "",
        "always",
        "mon-thu 08:00-16:00",
        "mon 8:00-16:00 UTC",
        "mon 16:00-08:00 UTC",
        "mon 08:00-08:00 UTC",
        "mon 08:00-25:00 UTC",
        "mo 08:00-16:00 UTC",
        "mon- 08:00-16:00 UTC",
        "mon 08:00 UTC",
        "mon 08:00-16:00 Europe/Nowhere",
        "mon 08:00-16:00 UTC extra",
    ] {
        assert!(Window::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_wrong_with_a_rule_is_named_with_its_place() {
    for (text, says) in [
        ("max_age = \"soon\"", "policy.toml:1:11: `max_age` is not a duration"),
        ("max_age = \"0d\"", "is not a duration"),
        ("instant = \"always\"", "expected one of `never`, `plan`, `confirm`"),
        ("\napprovals = { force = 1 }", "policy.toml:2:13: `approvals` ask for signatures"),
        ("instant = \"plan\"", "`approvers` names no file"),
        ("approvals = { forced = 1 }", "there is no key `forced`"),
        ("approvals = { force = -1 }", "policy.toml:1"),
        ("may_force = [\"ana\"]", "neither `USER@HOST`"),
        ("may_force = [\"group:\"]", "names no group"),
        ("may_force = [\"a[@b\"]", "`may_force` has"),
        ("windows = [\"mon\"]", "`windows` is not written as"),
        ("reason = \"(\"", "`reason` is not a regular expression"),
        ("agents = \"plan\"", "there is no key `agents`"),
    ] {
        let error = Rules::parse(&file(text)).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn the_shortest_age_holds_for_targets_without_one() {
    assert_eq!(
        policy(&["max_age = \"90d\"", "max_age = \"30d\"", ""]).max_age(),
        Some(Duration::from_secs(30 * 86_400))
    );
    assert_eq!(policy(&[""]).max_age(), None);
}
