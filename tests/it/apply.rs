//! A plan that is written, looked at by somebody else, agreed to by its digest, and carried out as it was seen or not at all.

use serde_json::Value;

use crate::fleet::{Fleet, last, outcomes};
use crate::sandbox::Run;
use crate::servers::crowd::Mishap;

/// Plans what is named, in a file of that name. Yields its digest.
fn planned(fleet: &Fleet, file: &str, arguments: &[&str]) -> String {
    let path = fleet.sandbox.path(file).display().to_string();
    let run = fleet.run(&[&["rotate"], arguments, &["--out", &path, "--json"]].concat()).exits(0);
    last(&run)["digest"].as_str().unwrap().to_owned()
}

fn apply(fleet: &Fleet, file: &str, arguments: &[&str]) -> Run {
    let path = fleet.sandbox.path(file).display().to_string();
    fleet.run(&[&["apply", path.as_str()], arguments].concat())
}

#[test]
fn a_plan_is_carried_out_once_and_the_same_again_changes_nothing() {
    let fleet = Fleet::new(7, 0);
    let path = fleet.sandbox.path("q4.plan").display().to_string();
    let run = fleet.run(&["rotate", "--all", "--out", &path, "--reason", "quarterly", "--wave", "3"]).exits(0);
    run.says("7 targets to rotate:").says("in waves of 1, 3, 3; first pay-0").says(&format!("whsec apply {path}"));
    assert!(fleet.all_rotations().iter().all(|count| *count == 0));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777, 0o600);
    for id in fleet.ids.values() {
        let kept = fleet.crowd.kept(id);
        assert!(text.contains(id) && !text.contains(&kept.secret), "{text}");
    }
    fleet.run(&["rotate", "--all", "--out", &path]).exits(2).says("is there already");
    apply(&fleet, "q4.plan", &["--dry-run"]).exits(0).says("7 targets to rotate:").says("dry run");
    assert!(fleet.all_rotations().iter().all(|count| *count == 0));
    apply(&fleet, "q4.plan", &[]).exits(2).says("--yes");
    let run = apply(&fleet, "q4.plan", &["--yes", "--json"]).exits(0);
    let object = last(&run);
    let plan: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&object["run"]["plan"], &object["counts"]["stored"]), (&plan["digest"], &7.into()), "{object}");
    assert_eq!((&object["targets"][6]["wave"], &object["command"]), (&2.into(), &"apply".into()));
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1));
    let again = apply(&fleet, "q4.plan", &["--yes", "--json"]).exits(0);
    assert_eq!(last(&again)["counts"]["open"], 7, "{}", again.stdout);
    assert!(fleet.all_rotations().iter().all(|count| *count == 1));
    let seen = fleet.run(&["inspect", "pay-0", "--json"]).json();
    assert_eq!(seen["rotation"]["reason"], "quarterly", "{seen}");
}

/// What one run has not done the next one does, and nothing twice.
#[test]
fn what_a_run_has_left_the_same_plan_does() {
    let fleet = Fleet::new(5, 0);
    planned(&fleet, "plan", &["--all"]);
    let id = fleet.ids["pay-3"].clone();
    fleet.crowd.with_whim(move |act, at| if act == "rotate" && at == id { Mishap::Refused(404) } else { Mishap::None });
    let run = apply(&fleet, "plan", &["--yes", "--json"]).exits(10);
    assert_eq!(last(&run)["counts"]["stored"], 4, "{}", run.stdout);
    fleet.crowd.with_whim(|_, _| Mishap::None);
    apply(&fleet, "plan", &["--yes", "--json"]).exits(0);
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1), "{:?}", fleet.all_rotations());
}

/// T5: the provider, a store, the config and the journal each changed between the two.
#[test]
fn t5_what_is_not_as_it_was_planned_is_left_alone() {
    let fleet = Fleet::new(6, 0);
    planned(&fleet, "plan", &["--all"]);
    fleet.crowd.touch(&fleet.ids["pay-0"]);
    std::fs::write(fleet.sandbox.path("work/pay-1.env"), "HOOK=whsec_c29tZWJvZHkgZWxzZQ==\n").unwrap();
    fleet.run(&["rotate", "pay-2", "--yes"]).exits(0);
    fleet.run(&["rotate", "pay-3", "--yes"]).exits(0);
    fleet.run(&["abandon", "pay-3", "--reason", "to try", "--yes"]).exits(0);
    let moved = fleet.sandbox.path("work/elsewhere.env").display().to_string();
    let path = fleet.sandbox.path("work/pay-4.env").display().to_string();
    fleet.sandbox.config(&fleet.sandbox.config_text().replace(&path, &moved));
    std::fs::write(&moved, "HOOK=whsec_b3RoZXI=\n").unwrap();
    let before = fleet.all_rotations();
    let run = apply(&fleet, "plan", &["--yes", "--json"]).exits(10);
    let came = outcomes(&run);
    for name in ["pay-0", "pay-1", "pay-2", "pay-3", "pay-4"] {
        assert_eq!(came[name], "stale", "{came:?}");
    }
    assert_eq!(came["pay-5"], "stored", "{came:?}");
    let after = fleet.all_rotations();
    assert_eq!((&before[..5], before[5] + 1), (&after[..5], after[5]));
    let why = |name: &str| {
        let object = last(&run);
        let row = object["targets"].as_array().unwrap().iter().find(|row| row["target"] == name).unwrap().clone();
        assert_eq!((&row["exit"], &row["error"]["stale"]), (&5.into(), &true.into()), "{row}");
        row["error"]["message"].as_str().unwrap().to_owned()
    };
    for (name, words) in [
        ("pay-0", "the provider's updated_at was"),
        ("pay-1", "the live secret was sha256:"),
        ("pay-2", "the newest rotation was none, is "),
        ("pay-3", "the newest rotation was none, is "),
        ("pay-4", "its stores was dotenv:"),
    ] {
        assert!(why(name).contains(words), "{name}: {}", why(name));
    }
    let said = apply(&fleet, "plan", &["--yes"]).exits(10);
    said.says("stale").says("what is stale needs another plan").says_not("panicked");
}

/// T6: whatever is said in place of the digest, nothing is called.
#[test]
fn t6_old_secrets_end_by_the_digest_or_by_every_id_alone() {
    let fleet = Fleet::new(1, 3);
    let digest = planned(&fleet, "plan", &["--all", "--done", "prepare"]);
    let other = planned(&fleet, "other", &["acct-0", "acct-1", "--done", "prepare"]);
    let looked = fleet.crowd.calls();
    let ids: Vec<&str> = ["acct-0", "acct-1", "acct-2"].iter().map(|name| fleet.ids[*name].as_str()).collect();
    let bare = digest.trim_start_matches("sha256:").to_owned();
    let (short, upper, long) = (digest[..15].to_owned(), digest.to_uppercase(), format!("{digest}0"));
    for wrong in [short.as_str(), &upper, &long, &bare, &other, "", "sha256:", "yes", " ", "sha256:0"] {
        let run = apply(&fleet, "plan", &["--yes", "--confirm-plan", wrong]);
        assert!([2, 5].contains(&run.code), "{wrong}: {run:?}");
    }
    for arguments in [
        &["--yes"][..],
        &[],
        &["--confirm", ids[0], "--confirm", ids[1]],
        &["--confirm", ids[0], "--confirm", ids[1], "--confirm", ids[1], "--yes"],
        &["--confirm", "acct-0", "--confirm", "acct-1", "--confirm", "acct-2"],
        &["--confirm", &digest],
    ] {
        apply(&fleet, "plan", arguments).exits(2).says("old secrets end with the call at");
    }
    assert_eq!(fleet.crowd.calls(), looked);
    apply(&fleet, "other", &["--confirm", ids[0], "--confirm", ids[1]]).exits(0);
    let run = apply(&fleet, "plan", &["--confirm-plan", &digest, "--json"]).exits(10);
    assert_eq!(outcomes(&run)["acct-2"], "stored");
    assert_eq!(outcomes(&run)["acct-0"], "stale");
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1), "{:?}", fleet.all_rotations());
}

/// What cannot be rotated, or is open, is no part of a plan, and said so.
#[test]
fn a_plan_has_what_can_be_rotated_and_names_the_rest() {
    let fleet = Fleet::new(4, 1);
    fleet.run(&["rotate", "pay-0", "--yes"]).exits(0);
    let id = fleet.ids["pay-1"].clone();
    fleet.crowd.with_whim(move |_, at| if at == id { Mishap::Refused(404) } else { Mishap::None });
    let path = fleet.sandbox.path("plan").display().to_string();
    let run = fleet.run(&["rotate", "--all", "--skip-instant", "--out", &path, "--json"]).exits(10);
    let plan = last(&run);
    let named: Vec<&str> = plan["plan"].as_array().unwrap().iter().map(|row| row["target"].as_str().unwrap()).collect();
    assert_eq!(named, ["pay-2", "pay-3"], "{plan}");
    let why = |name: &str| {
        let skipped = plan["skipped"].as_array().unwrap().iter().find(|row| row["target"] == name).unwrap();
        skipped["why"].as_str().unwrap().to_owned()
    };
    assert_eq!(why("pay-0"), "a rotation of it is open");
    assert!(why("acct-0").contains("ends with the call") && why("pay-1").contains("404"), "{plan}");
    fleet.crowd.with_whim(|_, _| Mishap::None);
    let run = apply(&fleet, "plan", &["--yes", "--json"]).exits(0);
    assert_eq!((&last(&run)["counts"]["stored"], &last(&run)["counts"]["skipped"]), (&2.into(), &3.into()));
    fleet.run(&["rotate", "pay-0", "--out", &format!("{path}2")]).exits(0).says("nothing to do");
    fleet.run(&["rotate", "nothing-*", "--out", &format!("{path}2")]).exits(0).says("nothing to do");
    assert!(!fleet.sandbox.path("plan2").exists());
}

#[test]
fn t7_a_file_that_is_no_plan_is_refused_and_nothing_is_called() {
    let fleet = Fleet::new(2, 0);
    planned(&fleet, "plan", &["--all"]);
    let calls = fleet.crowd.calls();
    let path = fleet.sandbox.path("plan");
    let text = std::fs::read_to_string(&path).unwrap();
    for (old, new) in [("pay-1", "pay-0"), ("rotate", "rotote"), ("\"wave\": 0", "\"wave\": 1"), ("{", "{ ")] {
        std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
        apply(&fleet, "plan", &["--yes"]).exits(5).says("was changed after it was made");
    }
    std::fs::write(&path, &text).unwrap();
    apply(&fleet, "absent", &["--yes"]).exits(2).says("cannot read");
    assert_eq!(fleet.crowd.calls(), calls);
    let run = fleet.sandbox.run_with_stdin(&["apply", "-", "--yes"], &text).exits(0);
    assert!(run.stderr.contains("2 stored"), "{run:?}");
}
