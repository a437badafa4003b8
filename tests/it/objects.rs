//! What only a shared journal in an object store has: regions, rights, credentials that end, stores that promise too much, and how many
//! requests there are. The store is one of our own, which is strict; moto is the second opinion, in the parts' own tests.

use std::time::{Duration, Instant};

use crate::sandbox::{Run, Sandbox};
use crate::servers::objects::{Lie, Mishap};

const ROTATE: [&str; 3] = ["rotate", "hooks", "--yes"];

fn with(sandbox: &Sandbox, journal: &str, arguments: &[&str]) -> Run {
    sandbox.watch(sandbox.command(arguments).env("WHSEC_JOURNAL", journal).output().unwrap())
}

#[test]
fn a_rotation_is_walked_to_its_end_with_its_journal_in_objects() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(2)).over_objects();
    let old = sandbox.newest();
    sandbox.run(&ROTATE).exits(0);
    let shown = sandbox.run(&["journal", "show", "--json"]).exits(0).json();
    assert!(shown["journal"]["at"].as_str().unwrap().starts_with("s3://journals/team/whsec"), "{shown}");
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]);
    sandbox.until_the_overlap_is_over();
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    assert_eq!((sandbox.slots(&old), sandbox.rotations()), (["empty", "new", "empty"], 1));
    sandbox.run(&["journal", "prove"]).exits(0);
    sandbox.run(&["doctor"]).exits(0);
    assert!(!sandbox.state().join("journal.sqlite").exists(), "nothing is kept on this machine");
}

/// Each of a rotation's requests to the store is never answered, or refused for good: nothing is lost and nothing is sent twice.
#[test]
fn each_request_of_a_rotation_that_goes_wrong_is_gone_on_from() {
    let requests = {
        let sandbox = Sandbox::new("layers").over_objects();
        sandbox.objects().with_whim(|_, _| Mishap::None);
        sandbox.run(&ROTATE).exits(0);
        sandbox.objects().requests()
    };
    // One of them is for an endpoint that is new: whether the journal has moved since it was opened.
    assert!(requests <= 11, "{requests} requests");
    for (at, mishap) in (0..requests).map(|at| (at, [Mishap::Unsent, Mishap::Unanswered, Mishap::Half][at % 3])) {
        let sandbox = Sandbox::new("layers").over_objects();
        // This one and all that follow it.
        sandbox.objects().with_whim(move |number, _| if number >= at { mishap } else { Mishap::None });
        let run = sandbox.run(&ROTATE);
        assert!([0, 8, 13].contains(&run.code), "{at} {mishap:?}: {run:?}");
        assert_eq!(run.code == 13, sandbox.rotations() == 0, "{at} {mishap:?}: {run:?}");
        sandbox.objects().without_whim();
        sandbox.let_leases_end();
        let run = sandbox.run(&["cutover", "hooks", "--yes"]);
        assert!([0, 1, 4, 11].contains(&run.code), "{at} {mishap:?}: {run:?}");
        sandbox.run(&ROTATE);
        let is_stored = sandbox.variables().values().any(|value| *value == sandbox.newest().expose());
        assert!(is_stored && sandbox.rotations() == 1, "{at} {mishap:?}");
    }
}

#[test]
fn what_the_store_refuses_is_told_by_what_is_wrong() {
    let sandbox = Sandbox::new("layers").over_objects();
    let journal = sandbox.journal.clone().unwrap();
    let url = sandbox.objects().server.url();
    with(&sandbox, &journal.replace("eu-west-1", "eu west"), &ROTATE).exits(2).says("`region`");
    with(&sandbox, &journal.replace("s3://journals", "s3://others"), &ROTATE).exits(3).says("no bucket `others`");
    with(&sandbox, &journal.replace(&url, "http://127.0.0.1:1"), &ROTATE).exits(13).says("cannot reach");
    with(&sandbox, &journal.replace("team/whsec", "elsewhere"), &ROTATE).exits(4).says("whsec journal init");
    let none =
        sandbox.command(&ROTATE).env_remove("AWS_ACCESS_KEY_ID").env("AWS_EC2_METADATA_DISABLED", "true").output();
    sandbox.watch(none.unwrap()).exits(3).says("there are no AWS credentials");
    let other = sandbox.command(&ROTATE).env("AWS_ACCESS_KEY_ID", "AKIDOTHER").output();
    sandbox.watch(other.unwrap()).exits(3).says("does not accept the credentials");
    for (mishap, code, words) in [
        (Mishap::Refused(403, "AccessDenied"), 3, "not allowed (403 AccessDenied)"),
        (Mishap::Refused(400, "ExpiredToken"), 3, "have expired"),
        (Mishap::Refused(503, "SlowDown"), 13, "it answers 503 SlowDown"),
        (Mishap::Refused(403, "RequestTimeTooSkewed"), 3, "clock is off"),
    ] {
        sandbox.objects().with_whim(move |_, _| mishap);
        sandbox.run(&ROTATE).exits(code).says(words);
    }
    sandbox.objects().without_whim();
    sandbox.objects().is_in("eu-central-1");
    sandbox.run(&ROTATE).exits(3).says("add `?region=eu-central-1`");
    assert_eq!(sandbox.requests(), 0);
    with(&sandbox, &journal.replace("eu-west-1", "eu-central-1"), &ROTATE).exits(0);
}

#[test]
fn a_store_that_ignores_conditions_holds_no_journal() {
    for lie in [Lie::IgnoresIfMatch, Lie::IgnoresIfNoneMatch, Lie::ReadsTheOneBefore, Lie::WrongClock] {
        let sandbox = Sandbox::new("layers").over_objects();
        sandbox.objects().lies(Some(lie));
        sandbox.run(&["journal", "prove"]).exits(6).says("cannot hold a journal");
        let other = sandbox.objects().location().replace("team/whsec", "new");
        with(&sandbox, &other, &["journal", "init", &other]).exits(6).says("cannot hold a journal");
    }
}

/// The figures, as counts.
#[test]
fn a_slow_store_is_asked_few_times() {
    let sandbox = Sandbox::new("layers").over_objects();
    sandbox.objects().answers_after(Duration::from_millis(40));
    let begun = Instant::now();
    sandbox.objects().with_whim(|_, _| Mishap::None);
    sandbox.run(&ROTATE).exits(0);
    println!("rotate: {} requests, {:?}", sandbox.objects().requests(), begun.elapsed());
    sandbox.objects().with_whim(|_, _| Mishap::None);
    sandbox.run(&["status"]).exits(0);
    println!("status: {} requests", sandbox.objects().requests());
    assert!(sandbox.objects().requests() <= 3);
}
