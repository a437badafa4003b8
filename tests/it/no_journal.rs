//! A command line that says there is a rotation, where this machine's state folder knows of none.

use crate::sandbox::{Run, Sandbox};

const UNDER_WAY: &str = "a rotation that this machine does not know is under way";

/// Runs a command with a state folder of its own.
fn elsewhere(sandbox: &Sandbox, line: &str) -> Run {
    let line = line.replace("ID", &sandbox.id());
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let folder = sandbox.path("elsewhere");
    words.extend(["--state-dir", folder.to_str().unwrap()]);
    sandbox.run(&words)
}

#[test]
fn a4_what_asserts_a_rotation_exits_4_where_none_is_known() {
    let sandbox = Sandbox::new("layers");
    for flags in ["--done deploy", "--done drop", "--wait", "--resolve applied", "--resolve not-applied"] {
        let run = elsewhere(&sandbox, &format!("cutover hooks {flags} --json")).exits(4);
        let error = &run.json()["error"];
        assert_eq!(error["kind"], "not_found");
        assert_eq!(error["message"], "no rotation of `hooks` is open, and this machine knows of none");
        assert!(error["hint"].as_str().unwrap().contains("its state folder is the rotation"), "{error}");
    }
    // Nothing is asserted, and nothing is wrong.
    elsewhere(&sandbox, "cutover hooks").exits(0).says("never been rotated");
}

#[test]
fn a4_a_slot_that_a_rotation_elsewhere_has_filled_is_named_and_left_alone() {
    // `next` at one, `previous` at the other.
    for (provider, slot) in [("layers", "HOOK_SECRET_NEW"), ("signa", "HOOK_SECRET_OLD")] {
        let sandbox = Sandbox::new(provider);
        sandbox.rotate().exits(0);
        let holds = sandbox.slot(slot.trim_start_matches("HOOK_SECRET")).unwrap().fingerprint().to_string();
        let before = std::fs::read(sandbox.dotenv()).unwrap();
        for line in ["cutover hooks", "cutover hooks --done deploy", "cutover hooks --wait", "finish hooks"] {
            let run = elsewhere(&sandbox, line).exits(4).says(UNDER_WAY).says(slot).says(&holds);
            run.says("--state-dir").says_not("empty the slot").says_not("begin one");
        }
        let run = elsewhere(&sandbox, "inspect hooks").exits(0);
        assert!(run.stdout.contains(&format!("elsewhere {UNDER_WAY}: `{slot}`")), "{}", run.stdout);
        let run = elsewhere(&sandbox, "inspect hooks --json").exits(0);
        assert_eq!(run.json()["elsewhere"][0]["fingerprint"], holds.as_str());
        let run = elsewhere(&sandbox, "doctor").exits(1);
        assert!(run.stdout.contains(UNDER_WAY) && run.stdout.contains(slot), "{}", run.stdout);
        assert_eq!(sandbox.rotations(), 1);
        assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before, "{provider}");
        // The machine that began it goes on as ever.
        sandbox.run(&["inspect", "hooks"]).exits(0);
        assert_eq!(sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json()["elsewhere"], serde_json::json!([]));
        sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
    }
}

#[test]
fn a4_rotate_names_a_rotation_elsewhere_and_sends_nothing() {
    // A provider that would rotate again at once.
    let sandbox = Sandbox::new("hopae");
    sandbox.rotate().exits(0);
    let run = elsewhere(&sandbox, "rotate hooks --yes --confirm ID --done prepare")
        .exits(6)
        .says(UNDER_WAY)
        .says("HOOK_SECRET_OLD");
    run.says("the only copy").says_not("empty the slot");
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a4_a_job_that_is_tried_again_after_the_end_is_right_and_one_after_a_failure_is_not() {
    let sandbox = Sandbox::new("hopae");
    sandbox.rotate().exits(0);
    let end = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"];
    sandbox.run(&end).exits(0);
    sandbox.run(&end).exits(0).says("nothing to do");
    sandbox.run(&["cutover", "hooks", "--wait"]).exits(0);
    // Others rotated with another state folder, so the end of ours is not the end of theirs.
    std::fs::rename(sandbox.state(), sandbox.path("before")).unwrap();
    sandbox.rotate().exits(0);
    sandbox.run(&end).exits(0);
    std::fs::remove_dir_all(sandbox.state()).unwrap();
    std::fs::rename(sandbox.path("before"), sandbox.state()).unwrap();
    let new = sandbox.newest().fingerprint().to_string();
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(4).says("others have rotated since").says(&new);

    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "over", "--yes"]).exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(4).says("closed the last one").says("(abandoned)");
    sandbox.run(&["cutover", "hooks", "--wait", "--json"]).exits(4);
}

#[test]
fn a4_an_age_that_nobody_knows_is_overdue() {
    let sandbox = Sandbox::new("layers");
    sandbox.run(&["status", "--exit-code"]).exits(0);
    let run = sandbox.run(&["status", "--exit-code", "--max-age", "90d", "--json"]).exits(12);
    assert_eq!(run.json()["targets"][0]["overdue"], true);
    sandbox.edit_config("[targets.hooks]", "[targets.hooks]\nmax_age = \"90d\"");
    let run = sandbox.run(&["status", "--exit-code"]).exits(12);
    assert!(run.stdout.contains("age unknown") && run.stdout.contains("OVERDUE"), "{}", run.stdout);
}

#[test]
fn a4_status_of_a_target_looks_into_its_files_for_a_rotation_elsewhere() {
    for (provider, slot) in [("layers", "HOOK_SECRET_NEW"), ("signa", "HOOK_SECRET_OLD")] {
        let sandbox = Sandbox::new(provider);
        elsewhere(&sandbox, "status hooks --exit-code").exits(0);
        sandbox.rotate().exits(0);
        let asked = sandbox.requests();
        let status = elsewhere(&sandbox, "status hooks --exit-code").exits(12).stdout;
        assert!(status.contains(&format!("ELSEWHERE: {UNDER_WAY}: `{slot}`")), "{status}");
        let row = elsewhere(&sandbox, "status hooks --json").exits(0).json()["targets"][0].clone();
        assert!(row["overdue"] == true && row["elsewhere"].as_str().unwrap().contains(slot), "{row}");
        assert_eq!(sandbox.requests(), asked, "nobody is called");
        // The machine that began it knows of it.
        assert!(sandbox.run(&["status", "hooks", "--json"]).exits(0).json()["targets"][0]["elsewhere"].is_null());
    }
}
