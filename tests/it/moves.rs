//! A journal that moves: from the state folder to one that machines share, and back.

use std::time::Duration;

use crate::place::Place;
use crate::sandbox::{Run, Sandbox, is_full};
use crate::servers::objects::Mishap;

/// A target with one rotation that is over and one that is open, and a place that has a journal, named with its key.
fn begun() -> (Sandbox, String) {
    let mut sandbox = Sandbox::with_window("layers", Duration::from_secs(1));
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]);
    sandbox.until_the_overlap_is_over();
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    sandbox.rotate().exits(0);
    sandbox.place = Some(Place::objects());
    let at = sandbox.place.as_ref().unwrap().location();
    let made = sandbox.run(&["journal", "init", &at, "--json"]).exits(0).json();
    let named = made["journal"]["at"].as_str().unwrap().to_owned();
    (sandbox, named)
}

fn with(sandbox: &Sandbox, journal: &str, arguments: &[&str]) -> Run {
    sandbox.watch(sandbox.command(arguments).env("WHSEC_JOURNAL", journal).output().unwrap())
}

#[test]
fn a_journal_moves_with_what_is_open_in_it_and_back() {
    let (sandbox, at) = begun();
    let moved = sandbox.run(&["journal", "move", "--to", &at, "--json"]).exits(0).json();
    assert_eq!((&moved["journal"]["rotations"], &moved["journal"]["open"][0]), (&2.into(), &"hooks".into()), "{moved}");
    // The old place says where, whoever asks it.
    sandbox.run(&["status"]).exits(5).says(&at);
    for arguments in [&["status"][..], &["rotate", "hooks", "--yes"], &["history"], &["tend", "--all"]] {
        with(&sandbox, "local", arguments).exits(5).says(&format!("has moved to `{at}`"));
    }
    assert_eq!(with(&sandbox, &at, &["history", "--json"]).exits(0).json()["rotations"].as_array().unwrap().len(), 1);
    with(&sandbox, &at, &["cutover", "hooks", "--done", "deploy"]).exits(11);
    let again = with(&sandbox, &at, &["journal", "move", "--to", "local", "--json"]).exits(0).json();
    assert_eq!(again["journal"]["rotations"], 2);
    with(&sandbox, &at, &["status"]).exits(5).says("has moved to `the state folder of ");
    sandbox.run(&["cutover", "hooks", "--done", "verify"]);
    sandbox.until_the_overlap_is_over();
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    sandbox.run(&["doctor"]).exits(0);
    assert_eq!(sandbox.run(&["history", "--json"]).exits(0).json()["rotations"].as_array().unwrap().len(), 2);
    assert_eq!(sandbox.rotations(), 2);
}

/// A secret that is sealed and in no store yet may be the only copy, and opens with what belongs to its journal.
#[test]
fn nothing_moves_while_a_secret_is_sealed() {
    let (sandbox, at) = {
        let mut sandbox = Sandbox::new("layers");
        sandbox.place = Some(Place::objects());
        let made = sandbox.run(&["journal", "init", &sandbox.place.as_ref().unwrap().location(), "--json"]).exits(0);
        let at = made.json()["journal"]["at"].as_str().unwrap().to_owned();
        (sandbox, at)
    };
    let mut rotate = sandbox.command(&["rotate", "hooks", "--yes"]);
    rotate.env("WHSEC_JOURNAL", "local");
    sandbox.rotates_with_its_store_away(rotate);
    let refused = with(&sandbox, "local", &["journal", "move", "--to", &at]).exits(5);
    refused.says("a secret is sealed still of hooks").says("`whsec cutover hooks`; then move");
    with(&sandbox, &at, &["status", "--exit-code", "--json"]).says_not("stored");
    with(&sandbox, "local", &["cutover", "hooks"]).exits(11);
    with(&sandbox, "local", &["journal", "move", "--to", &at]).exits(0);
    with(&sandbox, &at, &["cutover", "hooks"]).exits(11);
    assert_eq!(sandbox.variables()["HOOK_SECRET_NEW"], sandbox.newest().expose());
    // Whoever looks where it was is told whose folder it is in by now, and not to use its own.
    with(&sandbox, &at, &["journal", "move", "--to", "local"]).exits(0);
    let elsewhere = with(&sandbox, &at, &["cutover", "hooks"]).says("the state folder of ").says("go on there");
    elsewhere.says_not("WHSEC_JOURNAL");
}

/// Whichever request is the last that is answered: nobody is told two places, and the same again brings all of it over. What is said
/// meanwhile says so.
#[test]
fn a_move_that_is_cut_off_says_what_does_the_rest_of_it() {
    let (sandbox, at) = begun();
    let other = at.replace("team/whsec", "team/other");
    let other = other.split('#').next().unwrap();
    let made = sandbox.run(&["journal", "init", other, "--json"]).exits(0).json();
    let other = made["journal"]["at"].as_str().unwrap().to_owned();
    let goes_on = |journal: &str| with(&sandbox, journal, &["cutover", "hooks"]).code == 11;
    let (mut cut, mut closed, mut told) = (0, 0, 0);
    for (from, to) in [("local", at.as_str()), (at.as_str(), other.as_str()), (other.as_str(), "local")] {
        for number in (0..).step_by(if is_full() { 1 } else { 4 }) {
            sandbox
                .objects()
                .with_whim(move |request, _| if request >= number { Mishap::Unsent } else { Mishap::None });
            let run = with(&sandbox, from, &["journal", "move", "--to", to]);
            sandbox.objects().without_whim();
            sandbox.let_leases_end();
            let (here, there) = (goes_on(from), goes_on(to));
            sandbox.let_leases_end();
            assert!(!(here && there), "{number}: {run:?}");
            if run.code == 0 {
                assert!(there, "{number}: {run:?}");
                break;
            }
            assert!([5, 13].contains(&run.code), "{number}: {run:?}");
            cut += 1;
            closed += usize::from(!here);
            if run.stderr.contains("the journal may be closed by now, and not all of it is at") {
                run.says("journal move --to").says(to);
                let refused = with(&sandbox, to, &["rotate", "hooks", "--yes"]);
                assert!([3, 4, 5].contains(&refused.code), "{number}: {refused:?}");
                told += usize::from(refused.stderr.contains("where it was begun, `whsec journal move --to"));
            }
        }
        assert_eq!(with(&sandbox, to, &["status", "--json"]).exits(0).json()["targets"][0]["status"], "stored");
    }
    assert!(cut >= 6 && closed >= 2 && told >= 1, "{cut} {closed} {told}");
    with(&sandbox, "local", &["cutover", "hooks", "--done", "deploy", "--done", "verify"]);
    assert_eq!(sandbox.rotations(), 2);
}

#[test]
fn what_cannot_be_moved_is_refused_and_stays() {
    let (sandbox, at) = begun();
    sandbox.run(&["journal", "move", "--to", "local"]).exits(2).says("is in this state folder already");
    sandbox.run(&["journal", "move", "--to", at.split('#').next().unwrap()]).exits(2).says("without its key");
    sandbox.run(&["journal", "move", "--to", "nowhere"]).exits(2).says("is no address");
    let nowhere = at.replace("team/whsec", "nothing");
    sandbox.run(&["journal", "move", "--to", &nowhere]).exits(4).says("whsec journal init");
    // The other journal has a past of its own of this endpoint.
    with(&sandbox, "local", &["abandon", "hooks", "--reason", "to try", "--yes"]).exits(0);
    with(&sandbox, &at, &["rotate", "hooks", "--yes"]);
    let run = with(&sandbox, "local", &["journal", "move", "--to", &at]).exits(5);
    assert!(run.stderr.contains("knows other rotations"), "{run:?}");
    with(&sandbox, "local", &["status"]).exits(0);
}
