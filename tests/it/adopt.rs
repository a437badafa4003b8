//! `adopt`: a rotation whose state folder is lost in the middle, taken up from what its stores have.

use std::time::Duration;

use crate::sandbox::Sandbox;

const ADOPT: [&str; 5] = ["adopt", "hooks", "--reason", "the laptop is broken", "--yes"];

/// The state folder is gone, with journal, seals and identity.
fn lose(sandbox: &Sandbox) {
    std::fs::remove_dir_all(sandbox.state()).unwrap();
    if let Some(place) = &sandbox.place {
        let kept = place.documents().into_iter().filter(|(name, _)| name == "journal.json").collect();
        place.replace(&kept);
    }
}

#[test]
fn what_the_slots_show_is_gone_on_with_to_its_end() {
    // Receivers that accept either secret: it is staged. Those that keep one: it is live.
    for name in ["layers", "signa"] {
        let sandbox = Sandbox::with_window(name, Duration::from_secs(3));
        let old = sandbox.newest();
        sandbox.rotate().exits(0);
        let slots = sandbox.slots(&old);
        lose(&sandbox);
        sandbox.run(&["cutover", "hooks"]).exits(4).says("whsec adopt hooks --reason TEXT");
        let sent = sandbox.rotate_requests().len();
        let adopted = sandbox.run(&[&ADOPT[..], &["--json"]].concat()).exits(0).says("next: deploy");
        assert!(adopted.json()["rotation"].is_string());
        assert_eq!((sandbox.slots(&old), sandbox.rotate_requests().len()), (slots, sent), "{name}");
        // Its own overlap is counted from here, whatever is left of it at the provider.
        let run = sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
        assert!(run.stderr.contains("wait"), "{}", run.stderr);
        sandbox.until_the_overlap_is_over();
        sandbox.until("its end by our own count", |sandbox| {
            let run = sandbox.run(&["cutover", "hooks", "--done", "drop"]);
            assert!([0, 11, 12].contains(&run.code), "{run:?}");
            run.code == 0
        });
        assert_eq!((sandbox.slots(&old), sandbox.rotations()), (["empty", "new", "empty"], 1), "{name}");
        let history = sandbox.run(&["history", "--json"]).exits(0).json().to_string();
        assert!(history.contains("the laptop is broken"), "{history}");
        sandbox.rotate().exits(0);
        assert_eq!(sandbox.rotations(), 2);
    }
}

#[test]
fn one_that_a_person_has_pressed_is_gone_on_with_too() {
    let sandbox = Sandbox::new("slack");
    let pressed = sandbox.stand_in.rotate_by_hand();
    let rotate = ["rotate", "hooks", "--yes", "--confirm", &sandbox.id(), "--done", "prepare", "--secret", "-"];
    let run = sandbox.run_with_stdin(&rotate, pressed.expose());
    assert!([0, 11].contains(&run.code), "{run:?}");
    lose(&sandbox);
    sandbox.run(&ADOPT).exits(0);
    sandbox
        .run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop", "--reason", "seen"])
        .exits(0);
    assert_eq!(sandbox.slot("").unwrap(), pressed);
}

#[test]
fn where_no_rotation_or_more_than_one_is_shown_nothing_is_recorded() {
    let sandbox = Sandbox::new("layers");
    sandbox.run(&ADOPT).exits(4).says("there is nothing to adopt").says("whsec rotate hooks");
    sandbox.run(&["adopt", "hooks", "--yes"]).exits(2).says("--reason");
    sandbox.rotate().exits(0);
    sandbox.run(&ADOPT).exits(5).says("is open already");
    lose(&sandbox);
    sandbox.run(&ADOPT[..4]).exits(2).says("--yes");
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    std::fs::write(sandbox.dotenv(), format!("{text}HOOK_SECRET_OLD=another\n")).unwrap();
    sandbox.run(&ADOPT).exits(9).says("all three slots");
    std::fs::write(sandbox.dotenv(), text.replace("HOOK_SECRET=", "OTHER=")).unwrap();
    sandbox.run(&ADOPT).exits(9).says("is empty");
    // Two stores that have come to different places.
    std::fs::write(sandbox.dotenv(), &text).unwrap();
    std::fs::write(sandbox.path("work/other.env"), text.replace("HOOK_SECRET_NEW=", "UNUSED=")).unwrap();
    sandbox.stores(&["dotenv:./receiver.env#HOOK_SECRET", "dotenv:./other.env#HOOK_SECRET"]);
    sandbox.run(&ADOPT).exits(4).says("other.env");
    std::fs::write(sandbox.path("work/other.env"), text.replace("HOOK_SECRET_NEW=", "HOOK_SECRET_NEW=x")).unwrap();
    sandbox.run(&ADOPT).exits(9).says("do not show the same rotation");
    sandbox.run(&["status", "--json"]);
    assert_eq!(sandbox.run(&["history", "--json"]).exits(0).json()["rotations"].as_array().map(Vec::len), Some(0));
    assert_eq!(sandbox.rotations(), 1);
}

/// Slots do not show whether a provider was given a secret of ours, or which of two endpoints is the first.
#[test]
fn what_no_slot_can_show_is_not_guessed() {
    for (name, why) in [("github", "was given it"), ("stripe-api", "a second endpoint")] {
        let sandbox = Sandbox::new(name);
        let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
        std::fs::write(sandbox.dotenv(), format!("{text}HOOK_SECRET_NEW=whsec_c29tZXRoaW5nIGVsc2U\n")).unwrap();
        sandbox.run(&ADOPT).exits(9).says(why);
        assert_eq!(sandbox.requests(), 0);
    }
}

#[test]
fn of_two_at_once_one_takes_it_up() {
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    lose(&sandbox);
    let both: Vec<_> = (0..4).map(|_| sandbox.spawn(&ADOPT)).collect();
    let codes: Vec<i32> = both.into_iter().map(|child| sandbox.finish(child).code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| [0, 5].contains(code)), "{codes:?}");
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
}
