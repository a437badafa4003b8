//! The workflow with a plan, run as it is written: one job looks, the other carries out what was seen, and nothing else.

use jiff::Timestamp;
use whsec::provider::stand_in::Fault;

use super::super::runner::Outcome;
use super::{Company, PLAN};
use crate::fleet::resealed;

const FILE: &str = "webhook-secrets.plan";

fn dispatch(company: &Company, before: &Outcome) -> Outcome {
    let inputs = [("select", "--all"), ("reason", "CHG-7: quarterly")];
    company.runner.run_again(PLAN, "workflow_dispatch", &inputs, before)
}

fn results(outcome: &Outcome) -> [&str; 4] {
    ["plan", "apply", "deploy", "said"].map(|job| outcome.result(job))
}

#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn a_plan_is_made_by_one_job_and_carried_out_by_another() {
    let company = Company::new(Timestamp::now);
    let old = company.sandbox.newest().expose().to_owned();
    let run = dispatch(&company, &Outcome::default());
    assert_eq!(results(&run), ["success"; 4], "{run:#?}");
    assert_eq!((company.sandbox.rotations(), company.slots(&old)), (1, ["new", "old", "empty"]));
    let (planned, applied) = (&run.jobs["plan"], &run.jobs["apply"]);
    let digest = planned.put_out["digest"].as_str().unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert_eq!(applied.outputs["digest"], digest);
    assert!(planned.summary.contains(&format!("plan `{digest}`")), "{}", planned.summary);
    assert!(planned.summary.contains("| `payments` | `layers` |"), "{}", planned.summary);
    // What is open is in no other plan, and then there is nothing to carry out.
    let again = dispatch(&company, &Outcome::default());
    assert_eq!(results(&again)[..2], ["success", "skipped"], "{again:#?}");
    assert_eq!(company.sandbox.rotations(), 1);
    for secret in [&old, company.sandbox.newest().expose()] {
        assert!(!company.runner.left().contains(secret));
    }
}

#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn an_artifact_that_is_another_plan_sends_nothing() {
    let company = Company::new(Timestamp::now);
    company.runner.before("apply", |artifacts| {
        let text = std::fs::read_to_string(artifacts.join(FILE)).unwrap();
        // As whole as the first one: its digest is its own.
        std::fs::write(artifacts.join(FILE), resealed(&text, "quarterly", "whatever somebody wants")).unwrap();
    });
    let run = dispatch(&company, &Outcome::default());
    assert_eq!(results(&run), ["success", "failure", "skipped", "skipped"], "{run:#?}");
    assert_eq!(run.jobs["apply"].outputs["exit"], "5", "{run:#?}");
    assert!(run.jobs["apply"].log.contains("it is another plan by now"), "{run:#?}");
    assert_eq!(company.sandbox.rotate_requests().len(), 0);
}

#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn failed_jobs_that_are_run_again_go_on_with_the_same_plan() {
    let company = Company::new(Timestamp::now);
    let old = company.sandbox.newest().expose().to_owned();
    company.sandbox.stand_in.fault(Fault::Status(404, "{}".to_owned()));
    let run = dispatch(&company, &Outcome::default());
    assert_eq!(results(&run), ["success", "failure", "skipped", "skipped"], "{run:#?}");
    let again = dispatch(&company, &run);
    assert_eq!(results(&again), ["success"; 4], "{again:#?}");
    assert_eq!(again.jobs["plan"].put_out, run.jobs["plan"].put_out);
    assert_eq!((company.sandbox.rotations(), company.slots(&old)), (1, ["new", "old", "empty"]));
}
