//! What only a shared journal in an object store has: regions, rights, credentials that end, stores that promise too much, and how many
//! requests there are. The store is one of our own, which is strict; moto is the second opinion, in the parts' own tests.

use std::time::{Duration, Instant};

use crate::sandbox::{Run, Sandbox};
use crate::servers::aws::{ACCESS_KEY, SECRET_KEY};
use crate::servers::http::{Answer, Request, Server};
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
    assert!(requests <= 10, "{requests} requests");
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
        (Mishap::Refused(403, "AccessDenied"), 3, "below its `seals/` and `proof/`"),
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

/// Journals are taken with what nobody has said no to: who asks is told by another service, which may be away as well.
#[test]
fn credentials_that_cannot_be_had_now_are_no_refusal() {
    let sandbox = Sandbox::new("layers").over_objects();
    let token = sandbox.path("token");
    std::fs::write(&token, "web-token\n").unwrap();
    let said = |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>");
    let whole = Answer::Full { status: 200, headers: Vec::new(), body: b"<Credentials>".to_vec() };
    let half = Answer::Half { status: 200, headers: Vec::new(), body: b"<Credentials>".to_vec() };
    for (answer, code, words) in [
        (Answer::Silence, 13, "gave no answer"),
        (half, 13, "gave no answer"),
        (Answer::Json(503, String::new()), 13, "answered with status 503"),
        (Answer::Json(429, String::new()), 13, "asked too often"),
        (Answer::Json(400, said("Throttling")), 13, "answered with Throttling"),
        (Answer::Json(400, said("IDPCommunicationError")), 13, "in a while"),
        (Answer::Json(400, said("ExpiredTokenException")), 3, "has expired"),
        (Answer::Json(400, said("InvalidIdentityToken")), 3, "may not take on"),
        (Answer::Json(403, said("AccessDenied")), 3, "may not take on"),
        (whole, 3, "answered with status 200"),
    ] {
        let sts = Server::start(move |_| answer.clone());
        let mut command = sandbox.command(&ROTATE);
        command.env_remove("AWS_ACCESS_KEY_ID").env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
        command.env("AWS_ROLE_ARN", "arn:aws:iam::1234:role/whsec").env("AWS_ENDPOINT_URL_STS", sts.url());
        sandbox.watch(command.output().unwrap()).exits(code).says(words);
        assert!(!sts.seen().is_empty(), "{words}");
    }
    assert_eq!(sandbox.requests(), 0);
}

/// The AWS CLI says the order, and is asked here for what a role takes.
#[test]
fn the_role_of_a_profile_comes_before_the_web_identity_of_the_machine() {
    let sandbox = Sandbox::new("layers").over_objects();
    let sts = Server::start(|_| Answer::Json(403, String::new()));
    let write = |name: &str, text: &str| {
        let path = sandbox.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let role = "region = eu-west-1\nrole_arn = arn:aws:iam::1234:role/ops\n";
    let config = format!(
        "[profile ops]\n{role}source_profile = keys\n[profile pod]\n{role}web_identity_token_file = token\n[profile plain]\nregion = eu-west-1\n"
    );
    let config = write("aws/config", &config);
    let token = write("aws/token", "web-token\n");
    let handed = format!(
        "#!/bin/sh\necho '{{\"Version\": 1, \"AccessKeyId\": \"{ACCESS_KEY}\", \"SecretAccessKey\": \"{SECRET_KEY}\"}}'\n"
    );
    let aws = write("aws/bin/aws", &handed);
    std::fs::set_permissions(&aws, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", aws.parent().unwrap().display());
    for (profile, code, asked) in [("ops", 0, 0), ("pod", 3, 1), ("plain", 3, 2)] {
        let mut command = sandbox.command(&["journal", "show"]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("PATH", &path);
        command.env("AWS_CONFIG_FILE", &config).env("AWS_PROFILE", profile).env("AWS_ENDPOINT_URL_STS", sts.url());
        command.env("AWS_WEB_IDENTITY_TOKEN_FILE", &token).env("AWS_ROLE_ARN", "arn:aws:iam::1234:role/pod");
        let run = sandbox.watch(command.output().unwrap());
        assert_eq!((run.code, sts.seen().len()), (code, asked), "{profile}: {run:?}");
    }
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

#[test]
fn doctor_says_what_a_bucket_keeps_of_what_is_written_over() {
    let sandbox = Sandbox::new("layers").over_objects();
    let found = || {
        let checks = sandbox.run(&["doctor", "--json"]).exits(0).json();
        let checks = checks["checks"].as_array().unwrap().iter().find(|check| check["about"] == "versions").cloned();
        checks.map(|check| (check["state"].as_str().unwrap().to_owned(), check.to_string()))
    };
    for (status, state, words) in
        [("", "note", "is gone"), ("Suspended", "note", "is gone"), ("Enabled", "ok", "can be had again")]
    {
        sandbox.objects().has_versioning(status);
        let (said, check) = found().unwrap();
        assert!(said == state && check.contains(words), "{status}: {check}");
    }
    for (mishap, right) in [
        (Mishap::Refused(403, "AccessDenied"), true),
        (Mishap::Refused(501, "NotImplemented"), false),
        (Mishap::Unsent, false),
    ] {
        let whim = move |request: &Request| if request.target.contains("versioning") { mishap } else { Mishap::None };
        sandbox.objects().with_whim(move |_, request| whim(request));
        let check = found();
        assert_eq!(check.is_some(), right, "{mishap:?}: {check:?}");
        assert!(check.is_none_or(|(said, check)| said == "note" && check.contains("s3:GetBucketVersioning")));
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
