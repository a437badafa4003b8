//! The store against a Secrets Manager of our own that is strict, and against moto, which checks signatures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::super::conformance::{self, conforms, opened_in};
use super::super::slots::{ANY, promote, prove, retire, roll_back, stage};
use super::super::{Environment, Reference, Slot, SlotNames, Store, StoreError, Surroundings, open};
use crate::secret::Secret;
use crate::servers::aws::{ACCESS_KEY, Aws, Fault, SECRET_KEY};
use crate::servers::http::{Answer, Server};

pub type Variable<'a> = (&'a str, String);

pub fn environment(variables: &[Variable<'_>], home: Option<PathBuf>) -> Environment {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let find = move |name: &str| Some(variables.iter().find(|(other, _)| other == name)?.1.clone());
    Environment::new(find, home, Timestamp::now)
}

fn keys(url: String) -> Vec<Variable<'static>> {
    vec![
        ("AWS_ENDPOINT_URL", url),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
    ]
}

fn opened(aws: &Aws, text: &str) -> Box<dyn Store> {
    opened_in(text, Path::new("/"), environment(&keys(aws.server.url()), None))
}

fn for_rotation(aws: &Aws, text: &str, rotation: Uuid) -> Box<dyn Store> {
    let environment = environment(&keys(aws.server.url()), None);
    let surroundings = Surroundings { environment, rotation: Some(rotation), ..Surroundings::default() };
    open(&Reference::parse(text).unwrap(), &SlotNames::default(), &surroundings).unwrap()
}

#[test]
fn every_check_passes_for_a_member_of_an_object() {
    let aws = Aws::start();
    let made = Mutex::new(BTreeSet::new());
    conforms(&|name| {
        if made.lock().unwrap().insert(name.to_owned()) {
            aws.create(name, "{\"big\": 12345678901234567890, \"theirs\": [1]}");
        }
        opened(&aws, &format!("aws-sm:{name}#key"))
    });
    for name in made.lock().unwrap().iter() {
        let document: serde_json::Value = serde_json::from_str(&aws.text(name, "AWSCURRENT").unwrap()).unwrap();
        assert_eq!(document, json!({ "big": 12345678901234567890_u64, "theirs": [1] }), "{name}");
    }
}

#[test]
fn a_rotation_of_a_bare_secret_moves_stages_and_is_one_version() {
    let (aws, rotation) = (Aws::start(), Uuid::new_v4());
    aws.create("hooks", "old");
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    let store = for_rotation(&aws, "aws-sm:hooks", rotation);
    prove(&*store, &Secret::new("canary")).unwrap();
    let versions = aws.versions("hooks");
    for _ in 0..2 {
        stage(&*store, &new, ANY).unwrap();
        assert_eq!(aws.version("hooks", "AWSPENDING").unwrap(), (rotation.to_string(), "new".to_owned()));
    }
    for _ in 0..2 {
        promote(&*store, &new.fingerprint(), None, ANY).unwrap();
        assert_eq!(aws.version("hooks", "AWSCURRENT").unwrap(), (rotation.to_string(), "new".to_owned()));
        assert_eq!(aws.text("hooks", "AWSPREVIOUS").unwrap(), "old");
    }
    for _ in 0..2 {
        roll_back(&*store, &new.fingerprint(), ANY).unwrap();
        assert_eq!(store.get(Slot::Current).unwrap().unwrap(), old);
        assert_eq!((store.get(Slot::Next).unwrap().unwrap(), store.get(Slot::Previous).unwrap()), (new.clone(), None));
    }
    promote(&*store, &new.fingerprint(), None, ANY).unwrap();
    retire(&*store, &new.fingerprint(), ANY).unwrap();
    assert_eq!(aws.stages("hooks"), BTreeSet::from(["AWSCURRENT".to_owned()]));
    assert_eq!(aws.versions("hooks"), versions + 1);
}

#[test]
fn a_bare_value_comes_back_the_same_whatever_is_in_it() {
    let aws = Aws::start();
    aws.create("hooks", "live");
    let store = opened(&aws, "aws-sm:hooks");
    for value in conformance::ODD {
        store.apply(&[(Slot::Next, Some(&Secret::new(*value)))]).unwrap();
        assert_eq!(store.get(Slot::Next).unwrap().unwrap().expose(), *value);
    }
    assert_eq!(aws.text("hooks", "AWSCURRENT").unwrap(), "live");
}

#[test]
fn a_token_that_was_used_for_another_value_is_not_used_again() {
    let (aws, rotation) = (Aws::start(), Uuid::new_v4());
    aws.create("hooks", "{\"key\": \"old\", \"theirs\": 1}");
    let store = for_rotation(&aws, "aws-sm:hooks#key", rotation);
    let new = Secret::new("new");
    stage(&*store, &new, ANY).unwrap();
    // Somebody else changes another member: what is staged may not go live as it is.
    let theirs = opened(&aws, "aws-sm:hooks#theirs");
    assert!(theirs.get(Slot::Current).is_err(), "a number is not ours");
    opened(&aws, "aws-sm:hooks#more").apply(&[(Slot::Current, Some(&Secret::new("added")))]).unwrap();
    promote(&*store, &new.fingerprint(), None, ANY).unwrap();
    let live: serde_json::Value = serde_json::from_str(&aws.text("hooks", "AWSCURRENT").unwrap()).unwrap();
    assert_eq!(live, json!({ "key": "new", "theirs": 1, "more": "added" }));
    assert_eq!(store.get(Slot::Previous).unwrap().unwrap().expose(), "old");
    // The stage was taken off, as by a deploy: the version is there still and gets it back.
    let store = for_rotation(&aws, "aws-sm:hooks#key", Uuid::new_v4());
    let newer = Secret::new("newer");
    for _ in 0..2 {
        stage(&*store, &newer, ANY).unwrap();
        opened(&aws, "aws-sm:hooks#key").apply(&[(Slot::Next, None)]).unwrap();
    }
    opened(&aws, "aws-sm:hooks#more").apply(&[(Slot::Current, Some(&Secret::new("again")))]).unwrap();
    stage(&*store, &newer, ANY).unwrap();
    assert_eq!(store.get(Slot::Next).unwrap().unwrap(), newer);
}

#[test]
fn two_members_of_one_object_cannot_be_on_their_way_at_once() {
    let aws = Aws::start();
    aws.create("hooks", "{\"one\": \"1\", \"two\": \"2\"}");
    let (one, two) = (opened(&aws, "aws-sm:hooks#one"), opened(&aws, "aws-sm:hooks#two"));
    stage(&*one, &Secret::new("1b"), ANY).unwrap();
    assert_eq!(two.get(Slot::Next).unwrap(), None);
    for refused in [prove(&*two, &Secret::new("canary")), stage(&*two, &Secret::new("2b"), ANY)] {
        assert!(refused.unwrap_err().to_string().contains("a change of another member"));
    }
    promote(&*one, &Secret::new("1b").fingerprint(), None, ANY).unwrap();
    assert_eq!(two.get(Slot::Previous).unwrap(), None, "what moved was not its own");
    prove(&*two, &Secret::new("canary")).unwrap();
}

#[test]
fn a_lost_answer_is_asked_for_again_and_makes_no_second_version() {
    let (aws, rotation) = (Aws::start(), Uuid::new_v4());
    aws.create("hooks", "old");
    aws.fail(Some(Fault::LostAnswer));
    let store = for_rotation(&aws, "aws-sm:hooks", rotation);
    assert!(matches!(stage(&*store, &Secret::new("new"), ANY), Err(StoreError::NoAnswer { .. })));
    aws.fail(None);
    stage(&*store, &Secret::new("new"), ANY).unwrap();
    assert_eq!((aws.versions("hooks"), aws.version("hooks", "AWSPENDING").unwrap().0), (2, rotation.to_string()));
}

#[test]
fn each_refusal_says_what_is_wrong_and_nothing_secret() {
    let cases = [
        (Fault::Throttled, "AWS throttles the account", "in a while"),
        (Fault::ExpiredToken, "the AWS credentials have expired", "aws sso login"),
        (Fault::BadSignature, "does not accept the credentials", "aws sts get-caller-identity"),
        (Fault::Denied("DescribeSecret"), "not allowed to call DescribeSecret", "PutSecretValue"),
        (Fault::Denied("GetSecretValue"), "not allowed to call GetSecretValue", "kms:Decrypt"),
        (Fault::Denied("PutSecretValue"), "not allowed to call PutSecretValue", "kms:GenerateDataKey"),
        (Fault::Denied("UpdateSecretVersionStage"), "not allowed to call UpdateSecretVersionStage", "it needs"),
        (Fault::MarkedForDeletion, "is marked for deletion", "restore-secret"),
        (Fault::Truncates, "does not read back the same", "cuts off or changes"),
    ];
    for (fault, why, hint) in cases {
        let aws = Aws::start();
        aws.create("hooks", "live");
        aws.fail(Some(fault));
        let canary = Secret::new("canary_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        let error = prove(&*opened(&aws, "aws-sm:hooks"), &canary).unwrap_err();
        let words = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(words.contains(why) && words.contains(hint), "{fault:?}: {words}");
        assert!(!format!("{words}{error:?}").contains(SECRET_KEY) && !words.contains(canary.expose()), "{words}");
        assert_eq!(aws.text("hooks", "AWSCURRENT").unwrap(), "live");
    }
}

#[test]
fn a_secret_that_is_not_there_or_has_no_object_is_refused() {
    let aws = Aws::start();
    aws.create("bare", "not json");
    for (text, why) in
        [("aws-sm:none", "there is no secret `none` in http://127.0.0.1"), ("aws-sm:bare#key", "cannot be taken apart")]
    {
        let error = prove(&*opened(&aws, text), &Secret::new("canary")).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let regionless = environment(&[("AWS_ACCESS_KEY_ID", "a".to_owned())], None);
    let error = opened_in("aws-sm:x", Path::new("/"), regionless).get(Slot::Current).unwrap_err();
    assert!(error.to_string().contains("no AWS region is named"), "{error}");
}

#[test]
fn b1_whose_account_it_is_is_asked_of_sts_and_part_of_the_server() {
    let aws = Aws::start();
    aws.create("hooks", "live");
    let server = opened(&aws, "aws-sm:hooks").server().unwrap().unwrap();
    let account = crate::servers::aws::ACCOUNT;
    assert_eq!(
        server,
        format!("{} (eu-west-1), account {account} as arn:aws:iam::{account}:user/ops", aws.server.url())
    );
    aws.fail(Some(Fault::ExpiredToken));
    let error = opened(&aws, "aws-sm:hooks").server().unwrap_err();
    assert!(error.to_string().contains("the AWS credentials have expired"), "{error}");
    let mut wrong = keys(aws.server.url());
    wrong[2].1 = "AKIDOTHER".to_owned();
    let error = opened_in("aws-sm:hooks", Path::new("/"), environment(&wrong, None)).server().unwrap_err();
    assert!(error.to_string().contains("does not accept the credentials"), "{error}");
    let (odd, silent) = (
        Server::start(|_| Answer::Json(200, "<Account>12\u{1b}[2J</Account><Arn>arn:x</Arn>".to_owned())),
        "is AWS_ENDPOINT_URL right?",
    );
    let error = opened_in("aws-sm:hooks", Path::new("/"), environment(&keys(odd.url()), None)).server().unwrap_err();
    assert_eq!(error.hint().unwrap().to_string(), silent, "{error}");
}

/// Runs the vendor's own program, and gives what it prints.
fn aws_program(arguments: &[&str]) -> String {
    let output = std::process::Command::new("aws").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// moto lets a token be used for two values and a stage be on two versions, so that the server above is the judge of
/// those; signatures and the rest it checks.
#[test]
#[ignore = "needs moto and the aws program; run by tests/aws/check.sh"]
fn moto_takes_every_signature_and_the_aws_program_reads_what_is_written() {
    let environment = || Environment::new(|name| std::env::var(name).ok(), None, Timestamp::now);
    let made = Mutex::new(BTreeSet::new());
    let bench = |name: &str| {
        if made.lock().unwrap().insert(name.to_owned()) {
            aws_program(&["secretsmanager", "create-secret", "--name", name, "--secret-string", "{\"theirs\": 1}"]);
        }
        opened_in(&format!("aws-sm:{name}#key"), Path::new("/"), environment())
    };
    conformance::odd_values_come_back_or_are_refused(&bench);
    conformance::a_canary_leaves_no_trace(&bench);
    conformance::writers_do_not_lose_each_others_changes(&bench);
    aws_program(&["secretsmanager", "create-secret", "--name", "bare", "--secret-string", "old"]);
    let rotation = Uuid::new_v4();
    let surroundings = Surroundings { environment: environment(), rotation: Some(rotation), ..Surroundings::default() };
    let store = open(&Reference::parse("aws-sm:bare").unwrap(), &SlotNames::default(), &surroundings).unwrap();
    let new = Secret::new("new \u{1f511}");
    prove(&*store, &Secret::new("canary")).unwrap();
    stage(&*store, &new, ANY).unwrap();
    let read = |stage: &str, what: &str| {
        let query = ["--version-stage", stage, "--query", what, "--output", "text"];
        aws_program(&[&["secretsmanager", "get-secret-value", "--secret-id", "bare"][..], &query].concat())
    };
    assert_eq!(
        (read("AWSPENDING", "SecretString"), read("AWSCURRENT", "SecretString")),
        (new.expose().to_owned(), "old".to_owned())
    );
    assert_eq!(read("AWSPENDING", "VersionId"), rotation.to_string());
    let arn = aws_program(&["sts", "get-caller-identity", "--query", "Arn", "--output", "text"]);
    assert!(store.server().unwrap().unwrap().ends_with(&format!(" as {arn}")), "{:?}", store.server());
    promote(&*store, &new.fingerprint(), None, ANY).unwrap();
    assert_eq!(
        (read("AWSCURRENT", "SecretString"), read("AWSPREVIOUS", "SecretString")),
        (new.expose().to_owned(), "old".to_owned())
    );
    retire(&*store, &new.fingerprint(), ANY).unwrap();
    let stranger = vec![
        ("AWS_ENDPOINT_URL", std::env::var("AWS_ENDPOINT_URL").unwrap()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", std::env::var("AWS_ACCESS_KEY_ID").unwrap()),
        ("AWS_SECRET_ACCESS_KEY", "another".to_owned()),
    ];
    let error =
        opened_in("aws-sm:bare", Path::new("/"), self::environment(&stranger, None)).get(Slot::Current).unwrap_err();
    assert!(error.to_string().contains("does not accept the credentials"), "{error}");
}
