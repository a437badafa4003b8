//! What `report` tells of rotations that somebody was not there for.

use std::time::Duration;

use serde_json::Value;

use crate::fleet::{Fleet, last, outcomes};
use crate::sandbox::Sandbox;
use crate::servers::crowd::Mishap;

/// T11: the same journal says the same, and nothing secret; how long a leak was open is as the journal has it.
#[test]
fn t11_a_report_is_of_the_journal_alone_and_the_same_each_time() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(1));
    sandbox.run(&["rotate", "hooks", "--yes", "--reason", "quarterly"]).exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]);
    sandbox.until_the_overlap_is_over();
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    let id = sandbox.id();
    let reason = "INC-2931: <script>alert(1)</script> in a | public log";
    let forced = sandbox.run(&["force-rotate", "hooks", "--reason", reason, "--confirm", &id]);
    assert!([0, 11].contains(&forced.code), "{forced:?}");
    let open = sandbox.run(&["report", "--reason", "INC-2931", "--json"]).exits(0).json();
    assert_eq!(
        (&open["exposure"]["until"], &open["rotations"][0]["contained"]),
        (&Value::Null, &false.into()),
        "{open}"
    );
    let text = sandbox.run(&["report", "--reason", "INC-2931"]).exits(0).stdout;
    assert!(text.contains("not contained") && text.contains("not over, since "), "{text}");
    for step in ["deploy", "verify", "drop"] {
        sandbox.run(&["cutover", "hooks", "--done", step, "--reason", "seen by ana"]);
    }
    let leaked_at = "2026-01-01T00:00:00Z";
    let arguments = ["report", "--reason", "INC-2931", "--leaked-at", leaked_at];
    let once = sandbox.run(&arguments).exits(0).stdout;
    assert_eq!(once, sandbox.run(&arguments).exits(0).stdout);
    for words in [
        "# Rotations for INC\\-2931",
        "for a leak: 1, of which 1 are contained",
        "seen by ana",
        "2026-01-01 00:00:00 UTC",
    ] {
        let words = words.replace("\\-", "-");
        assert!(once.contains(&words), "{words}: {once}");
    }
    assert!(!once.contains("quarterly") && !once.contains("<script"), "{once}");
    let told = sandbox.run(&[&arguments[..], &["--json"]].concat()).exits(0).json();
    let rotation = &told["rotations"][0];
    assert_eq!(
        (&rotation["exposure"]["from"], &rotation["exposure"]["until"]),
        (&leaked_at.into(), &rotation["dropped"]["at"])
    );
    assert_eq!((&rotation["contained"], &rotation["dropped"]["how"]), (&true.into(), &"word".into()), "{rotation}");
    assert!(told["timeline"].as_array().unwrap().iter().all(|one| one["by"].is_string()), "{told}");
    let html = sandbox.run(&["report", "--format", "html"]).exits(0).stdout;
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script") && !html.contains("http"), "{html}");
    assert!(html.contains("quarterly") && html.contains("rotations: 2, of which "), "{html}");
    let since = sandbox.run(&["report", "--since", "1h", "--json"]).exits(0).json();
    assert_eq!(since["rotations"].as_array().unwrap().len(), 2);
    for arguments in [&["report", "--reason", "INC-1"][..], &["report", "nobody-*"], &["report", "--since", "0s"]] {
        sandbox.run(arguments).exits(4).says("the journal has no such rotation");
    }
}

/// Several that have leaked: all ids are listed, agreed to by the plan's digest, and no second call is made by the same again.
#[test]
fn several_that_have_leaked_are_contained_and_told_of() {
    let fleet = Fleet::new(3, 2);
    fleet.run(&["rotate", "pay-0", "--yes"]).exits(0);
    let with = |more: &[&str]| {
        fleet.run(
            &[&["force-rotate", "--all", "--reason", "INC-7", "--done", "prepare", "--canary", "0"], more].concat(),
        )
    };
    let calls = fleet.crowd.calls();
    with(&["--yes"]).exits(2).says("receivers have to refuse old secrets at once").says("--confirm-plan");
    with(&["--skip-instant", "--yes"]).exits(2).says("leaves nothing of a force-rotate");
    with(&["--leaked", "sha256:ba7816bf8f01"]).exits(2).says("`--leaked` is for one target");
    assert_eq!(fleet.crowd.calls(), calls);
    let digest = last(&with(&["--dry-run", "--json"]).exits(0))["digest"].as_str().unwrap().to_owned();
    let run = with(&["--confirm-plan", &digest, "--json"]).exits(0);
    assert_eq!((last(&run)["command"].as_str(), outcomes(&run).len()), (Some("force-rotate"), 5), "{}", run.stdout);
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1), "{:?}", fleet.all_rotations());
    with(&["--confirm-plan", &digest, "--json"]);
    let counts = fleet.all_rotations();
    assert!(counts[2..].iter().all(|count| *count == 1), "{counts:?}");
    let told = fleet.run(&["report", "--reason", "INC-7", "--json"]).exits(0).json();
    assert_eq!(told["exposure"]["until"], Value::Null);
    assert!(told["rotations"].as_array().unwrap().len() >= 4, "{told}");
}

#[test]
fn several_that_have_leaked_may_be_a_plan_in_a_file() {
    let fleet = Fleet::new(2, 1);
    fleet.run(&["rotate", "pay-0", "--yes"]).exits(0);
    let path = fleet.sandbox.path("plan").display().to_string();
    let plan = ["force-rotate", "--all", "--reason", "INC-7", "--done", "prepare", "--out", &path, "--json"];
    let digest = last(&fleet.run(&plan).exits(0))["digest"].as_str().unwrap().to_owned();
    fleet.run(&["apply", &path, "--yes"]).exits(2);
    let run = fleet.run(&["apply", &path, "--confirm-plan", &digest, "--json"]).exits(0);
    assert_eq!(last(&run)["counts"]["stored"], 3, "{}", run.stdout);
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1), "{:?}", fleet.all_rotations());
    let told = fleet.run(&["report", "--reason", "INC-7", "--json"]).exits(0).json();
    assert!(told["rotations"].as_array().unwrap().iter().all(|one| one["is_for_a_leak"] == true), "{told}");
}

/// An incident of twelve targets, with one provider down at first: one plan, one digest, the same command again, and a report.
#[test]
fn an_incident_of_twelve_with_a_provider_down_is_two_commands_and_a_report() {
    let fleet = Fleet::new(6, 6);
    let path = fleet.sandbox.path("inc.plan").display().to_string();
    let plan = ["force-rotate", "--all", "--reason", "INC-9", "--done", "prepare", "--canary", "0", "--max-wait", "1s"];
    let out = [&plan[..], &["--max-failures", "12", "--out", &path, "--json"]].concat();
    let digest = last(&fleet.run(&out).exits(0))["digest"].as_str().unwrap().to_owned();
    fleet.crowd.with_whim(|_, id| if id.starts_with("wh_") { Mishap::Refused(503) } else { Mishap::None });
    let run = fleet.run(&["apply", &path, "--confirm-plan", &digest, "--json"]).exits(10);
    let counts = last(&run)["counts"].clone();
    assert_eq!((&counts["stored"], &counts["not_begun"]), (&6.into(), &6.into()), "{counts}");
    // What is not contained is said, and why.
    let status = fleet.run(&["status", "--exit-code"]).exits(12);
    assert!(status.stdout.contains("leak") || status.stderr.contains("leak"), "{status:?}");
    fleet.crowd.with_whim(|_, _| Mishap::None);
    let run = fleet.run(&["apply", &path, "--confirm-plan", &digest, "--json"]).exits(0);
    assert_eq!(last(&run)["run"]["plan"], digest, "{}", run.stdout);
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1), "{:?}", fleet.all_rotations());
    for step in ["deploy", "verify", "drop"] {
        fleet.run(&["cutover", "--all", "--done", step, "--reason", "deployed by ana"]);
    }
    let told = fleet.run(&["report", "--reason", "INC-9", "--json"]).exits(0).json();
    let rotations = told["rotations"].as_array().unwrap();
    let open: Vec<&Value> = rotations.iter().filter(|one| one["contained"] != true).map(|one| &one["target"]).collect();
    // What failed while the provider was down was made good by the next one.
    assert_eq!((rotations.len(), &open), (18, &Vec::new()), "{open:?}");
    let at = |moment: &Value| moment.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let end = rotations.iter().map(|one| at(&one["dropped"]["at"])).max().unwrap();
    assert_eq!((at(&told["exposure"]["until"]), at(&told["exposure"]["from"])), (end, at(&told["from"])));
}
