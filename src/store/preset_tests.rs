//! Each preset with a program of its name on PATH that notes what it is given and does what it is told: argv, environment
//! and standard input as they came. And `pass`, the real one.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::conformance::{self, conforms};
use super::super::slots::{ANY, promote, prove, stage};
use super::super::{Access, Reference, Slot, Store, Surroundings, open};
use super::*;

/// The program that stands in for each: notes its arguments and environment, keeps its standard input, exits as told.
const PROGRAM: &str = "#!/bin/sh\nhere=$(dirname \"$0\")\n{ printf '%s\\n' \"$0\" \"$@\"; env; } >> \"$here/seen\"\ncat > \"$here/input\"\n\
                       [ -e \"$here/fails\" ] && exit \"$(cat \"$here/fails\")\"\nexit 0\n";

fn spec(name: &str, needs: &[&str]) -> CommandSpec {
    let with = needs.iter().map(|need| ((*need).to_owned(), format!("the-{need}"))).collect();
    CommandSpec { preset: Some(name.to_owned()), key: Some("HOOK".to_owned()), with, ..CommandSpec::default() }
}

fn all() -> BTreeMap<String, Preset> {
    toml::from_str(BUILT_IN).unwrap()
}

/// The preset with its program at another place.
fn opened(name: &str, folder: &Path) -> Box<dyn Store> {
    let needs = all()[name].needs.clone();
    let filled =
        fill("command:x", &spec(name, &needs.iter().map(String::as_str).collect::<Vec<_>>()), &SlotNames::default());
    let Filled { mut spec, input, .. } = filled.unwrap_or_else(|error| panic!("{error}"));
    let place = |program: &mut Vec<String>| program[0] = folder.join(&program[0]).display().to_string();
    place(&mut spec.put);
    spec.get.iter_mut().for_each(place);
    spec.clear.iter_mut().for_each(place);
    let program = spec.put[0].clone();
    write_program(Path::new(&program), PROGRAM);
    Box::new(super::super::CommandStore::of(Filled { spec, input, names: names(name) }))
}

/// Makes a program by a process of its own: whatever another test starts meanwhile would have the file open for writing, and a
/// program that somebody writes to cannot be run.
fn write_program(path: &Path, text: &str) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "cat > \"$0\" && chmod 700 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn names(name: &str) -> Names {
    let needs = all()[name].needs.clone();
    let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
    fill("command:x", &spec(name, &needs), &SlotNames::default()).unwrap_or_else(|error| panic!("{error}")).names
}

#[test]
fn the_value_goes_to_standard_input_and_nowhere_else() {
    let secret = Secret::new("whsec_c2VjcmV0LW9mLXRoZS10ZXN0");
    for name in all().keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(name, folder.path());
        store.apply(&[(Slot::Next, Some(&secret))]).unwrap();
        let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
        assert!(!seen.contains("c2VjcmV0"), "{name}: {seen}");
        assert!(!seen.contains('{') || name == "sops", "{name}: {seen}");
        let input = std::fs::read_to_string(folder.path().join("input")).unwrap();
        let slot = store.slot_name(Slot::Next);
        let expected = match all()[name].input {
            Input::Value => secret.expose().to_owned(),
            Input::Line => format!("{slot}={}\n", secret.expose()),
            Input::Json => format!("\"{}\"", secret.expose()),
        };
        assert_eq!(input, expected, "{name}");
        assert!(seen.contains(&slot) || all()[name].input == Input::Line, "{name}: {seen}");
    }
}

#[test]
fn a_program_that_fails_in_any_way_is_a_store_that_failed() {
    for name in all().keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(name, folder.path());
        for code in ["1", "2", "127"] {
            std::fs::write(folder.path().join("fails"), code).unwrap();
            let failed = store.apply(&[(Slot::Current, Some(&Secret::new("new")))]);
            assert!(matches!(failed, Err(StoreError::Program { .. })), "{name} {code}");
        }
        let program = all()[name].put[0].clone();
        write_program(&folder.path().join(&program), "#!/bin/sh\nexec <&-\nexit 0\n");
        let long = Secret::new("x".repeat(100_000));
        assert!(store.apply(&[(Slot::Current, Some(&long))]).is_err(), "{name}: it did not read its input");
        std::fs::remove_file(folder.path().join(&program)).unwrap();
        assert!(prove(&*store, &Secret::new("canary")).is_err(), "{name}: it is not there");
    }
}

#[test]
fn a_write_only_preset_is_said_to_be_one_and_takes_a_rotation() {
    for name in all().keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(name, folder.path());
        let reads = ["doppler", "pass"].contains(&name.as_str());
        assert_eq!(store.access() == Access::ReadWrite, reads, "{name}");
        if reads {
            continue;
        }
        let new = Secret::new("new");
        prove(&*store, &Secret::new("canary")).unwrap();
        stage(&*store, &new, ANY).unwrap();
        promote(&*store, &new.fingerprint(), Some(&new), ANY).unwrap();
    }
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    let cases = [
        (CommandSpec { preset: Some("heroku".to_owned()), ..CommandSpec::default() }, "no preset `heroku`"),
        (CommandSpec { key: None, ..spec("pass", &[]) }, "needs a `key`"),
        (spec("gh", &[]), "takes other words in `with`"),
        (spec("gh", &["repo", "more"]), "takes other words in `with`"),
        (CommandSpec { put: vec!["x".to_owned()], ..spec("pass", &[]) }, "has its own programs"),
        (CommandSpec { key: Some("--help".to_owned()), ..spec("pass", &[]) }, "starts with `-`"),
        (
            CommandSpec { key: Some("k".to_owned()), put: vec!["x".to_owned()], ..CommandSpec::default() },
            "belong to a preset",
        ),
    ];
    for (spec, why) in cases {
        let Err(error) = fill("command:x", &spec, &SlotNames::default()) else { panic!("{why}") };
        assert!(error.to_string().contains(why), "{error}");
    }
    let spaced = Input::Line.bytes("command:x", "K", &Secret::new("a b"));
    assert!(matches!(spaced, Err(StoreError::Unrepresentable { .. })));
}

#[test]
#[ignore = "needs pass and gpg; run by tests/pass.sh"]
fn pass_every_check_passes() {
    let bench = |name: &str| {
        let spec = CommandSpec { key: Some(format!("hooks/{name}")), ..spec("pass", &[]) };
        let surroundings = Surroundings {
            commands: std::sync::Arc::new([("keep".to_owned(), spec)].into()),
            ..Surroundings::default()
        };
        open(&Reference::parse("command:keep").unwrap(), &SlotNames::default(), &surroundings).unwrap()
    };
    // gpg takes its time for each value.
    match std::env::var_os("WHSEC_TEST_FULL") {
        Some(_) => conforms(&bench),
        None => {
            conformance::a_canary_leaves_no_trace(&bench);
            conformance::a_rotation_goes_through(&bench);
        }
    }
}
