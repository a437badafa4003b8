//! Tables of what a config may have become since a rotation was begun.

use super::super::tests::rotation;
use super::*;
use crate::store::SlotNames;

fn store(reference: &str) -> PlannedStore {
    PlannedStore { reference: reference.to_owned(), names: SlotNames::default(), server: None }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The changes of a rotation with the stores `a` and `b` and the receivers `x` and `y`, in short.
fn short(now: &Configured, change: impl FnOnce(&mut Plan)) -> Vec<String> {
    let mut plan = rotation(Direction::OverlapSwitch).plan.clone();
    plan.stores = vec![store("a"), store("b")];
    plan.receivers = texts(&["x", "y"]);
    change(&mut plan);
    let word = |change: Change| match change {
        Change::StoreJoined { store } => format!("+{store}"),
        Change::StoreLeft { store } => format!("-{store}"),
        Change::SlotsRenamed { store } => format!("~{store}"),
        Change::ReceiverJoined { url } => format!("+{url}"),
        Change::ReceiverLeft { url } => format!("-{url}"),
        Change::Cutover { begun, now } => format!("{begun}>{now}"),
    };
    changes(&plan, now).into_iter().map(word).collect()
}

fn configured(stores: &[&str], receivers: &[&str]) -> Configured {
    Configured {
        stores: stores.iter().map(|name| store(name)).collect(),
        receivers: texts(receivers),
        cutover: Some(Cutover::Switch),
        is_written: true,
        others: BTreeSet::new(),
    }
}

#[test]
fn a3_what_the_config_says_by_now_is_told_from_what_was_begun() {
    for (stores, receivers, expected) in [
        (&["a", "b"][..], &["x", "y"][..], &[][..]),
        (&["b", "a"], &["y", "x"], &[]),
        (&["a", "b", "c"], &["x", "y"], &["+c"]),
        (&["a"], &["x", "y"], &["-b"]),
        (&["a", "c"], &["x", "y"], &["+c", "-b"]),
        (&["a", "b"], &["x", "y", "z"], &["+z"]),
        (&["a", "b"], &["y"], &["-x"]),
        (&[], &[], &["-a", "-b", "-x", "-y"]),
    ] {
        assert_eq!(short(&configured(stores, receivers), |_| {}), expected, "{stores:?} {receivers:?}");
    }
}

#[test]
fn a3_a_target_that_is_not_written_down_says_nothing_of_what_left() {
    let now = Configured { is_written: false, cutover: None, ..configured(&["c"], &[]) };
    assert_eq!(short(&now, |_| {}), ["+c"]);
}

#[test]
fn a3_the_stores_of_other_targets_of_the_endpoint_have_not_left() {
    let now = Configured { others: ["b".to_owned()].into(), ..configured(&["a"], &["x", "y"]) };
    assert_eq!(short(&now, |_| {}), Vec::<String>::new());
    assert_eq!(short(&configured(&["a"], &["x", "y"]), |_| {}), ["-b"]);
}

#[test]
fn a3_what_flags_named_or_passed_over_is_no_change_of_the_config() {
    let flagged = |plan: &mut Plan| {
        plan.stores = vec![store("flag")];
        plan.by_flags = texts(&["flag"]);
        plan.passed_over = texts(&["a"]);
    };
    assert_eq!(short(&configured(&["a"], &["x", "y"]), flagged), Vec::<String>::new());
    assert_eq!(short(&configured(&["a", "new"], &["x", "y"]), flagged), ["+new"]);
}

#[test]
fn a3_renamed_slots_and_another_cutover_are_said() {
    let mut now = configured(&["a", "b"], &["x", "y"]);
    now.stores[1].names.next = Some("OTHER".to_owned());
    now.cutover = Some(Cutover::Either);
    assert_eq!(short(&now, |_| {}), ["~b", "switch>either"]);
    assert_eq!(short(&now, |plan| plan.direction = Direction::Force), ["~b"], "a force has no other order of steps");
}

#[test]
fn a_store_is_left_behind_that_the_newest_rotation_does_not_know() {
    let mut newest = rotation(Direction::OverlapSwitch);
    newest.plan.stores = vec![store("a"), store("b")];
    let now = [store("b"), store("c")];
    let left: Vec<&str> = left_behind(&newest, &now).iter().map(|store| store.reference.as_str()).collect();
    assert_eq!(left, ["c"]);
}

#[test]
fn each_change_is_said_with_what_it_means() {
    let it = || "it".to_owned();
    for (change, words) in [
        (
            Change::StoreJoined { store: it() },
            "it came to `hooks` since this rotation was begun, and does not have the new secret",
        ),
        (Change::StoreLeft { store: it() }, "it is not in the config any more; this rotation keeps it until the end"),
        (
            Change::SlotsRenamed { store: it() },
            "the slots of it have other names by now; this rotation keeps those that it was begun with",
        ),
        (
            Change::ReceiverJoined { url: it() },
            "it came to `hooks` since this rotation was begun, and counts: what was proved before is not proved of it",
        ),
        (Change::ReceiverLeft { url: it() }, "it is not in the config any more; it counts until it is let go"),
        (
            Change::Cutover { begun: "switch", now: "either" },
            "`cutover` is \"either\" by now; this rotation keeps \"switch\", which it was begun with",
        ),
    ] {
        assert_eq!(change.words("hooks"), words);
    }
}
