//! A leak stays one until it is contained: every secret that receivers may have counts, what was said of the new one stays said,
//! and a call that was refused has contained nothing.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use whsec::provider::stand_in::Fault;

use crate::receivers::{Kind, Receiver};
use crate::sandbox::{Run, Sandbox};

fn force(sandbox: &Sandbox, more: &[&str]) -> Run {
    let id = sandbox.id();
    let line = ["force-rotate", "hooks", "--reason", "INC-9", "--confirm", &id, "--done", "prepare", "--json"];
    sandbox.run(&[&line[..], more].concat())
}

#[test]
fn c3_a_leak_is_contained_only_where_receivers_refuse_every_secret_that_they_were_given() {
    let receiver = Receiver::start(Kind::Both);
    let sandbox = Sandbox::with_receiver("signa", &receiver.url, None);
    let stale = sandbox.path("stale.env");
    receiver.reads(&stale);
    let first = sandbox.newest();
    let accepts = |also: &str| {
        std::fs::write(&stale, format!("HOOK_SECRET={}\n{also}", sandbox.newest().expose())).unwrap();
    };
    accepts("");
    sandbox.rotate().exits(0);
    let second = sandbox.newest();
    accepts("");
    sandbox.run(&["cutover", "hooks"]).exits(11);
    assert_eq!(sandbox.slot(""), Some(second.clone()), "the second is live, and nobody has dropped the first");
    force(&sandbox, &["--leaked", &second.fingerprint().to_string()]).exits(0);
    for kept in [&first, &second] {
        accepts(&format!("HOOK_SECRET_NEW={}\n", kept.expose()));
        let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
        assert_eq!(run.json()["contained"], false, "{}", run.stderr);
        assert_eq!(run.json()["next"]["step"], "drop");
        sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(9);
    }
    accepts("");
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(0).says("may have leaked too");
    assert_eq!(run.json()["contained"], true);
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn c3_what_nobody_has_any_more_is_not_proved_to_be_refused() {
    let receiver = Receiver::start(Kind::Both);
    let sandbox = Sandbox::with_receiver("verifa", &receiver.url, None);
    receiver.reads(&sandbox.dotenv());
    let first = sandbox.newest();
    force(&sandbox, &["--detach"]).exits(0);
    sandbox.run(&["abandon", "hooks", "--reason", "wrong turn", "--yes"]).exits(0);
    // Whoever tidies up takes the last copy of the first one, which was never dropped.
    for (slot, value) in [("", Some(sandbox.newest())), ("_NEW", None), ("_OLD", None)] {
        crate::foreign_hands::put(&sandbox, slot, value.as_ref());
    }
    std::fs::remove_dir_all(sandbox.state().join("seals")).unwrap();
    force(&sandbox, &[]).exits(0);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11).says(&format!("{}", first.fingerprint()));
    assert_eq!((&run.json()["contained"], &run.json()["next"]["step"]), (&json!(false), &json!("drop")));
    let said = ["cutover", "hooks", "--done", "drop", "--reason", "all of them restarted", "--json"];
    assert_eq!(sandbox.run(&said).exits(0).json()["contained"], true);
}

#[test]
fn c3_the_new_secret_that_leaked_does_not_go_live_unasked() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let clock = || Timestamp::now() + SignedDuration::from_hours(AHEAD.load(Ordering::SeqCst));
    let sandbox = Sandbox::with_clock("layers", clock);
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    let run = force(&sandbox, &["--leaked", &new.fingerprint().to_string()]).exits(5);
    assert_eq!(run.json()["contained"], false);
    run.says("takes no further rotation until").says("from that time on this same command replaces it");
    let status = sandbox.run(&["status", "--exit-code"]).exits(12).stdout;
    assert!(status.contains("contained: no") && status.contains("force-rotate hooks"), "{status}");
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--reason", "release 214"]).exits(11);
    // Once the old one has ended it would go live. What is said of other steps is no reason for that.
    AHEAD.store(25, Ordering::SeqCst);
    for more in [&[][..], &["--done", "drop", "--reason", "release 214"]] {
        let run = sandbox.run(&[&["cutover", "hooks", "--yes"], more].concat()).exits(9);
        run.says("is said to have leaked: INC-9").says("whsec force-rotate hooks --reason TEXT");
        assert_eq!(sandbox.slots(&old), ["new", "old", "empty"], "nothing went live");
    }
    sandbox.run(&["cutover", "hooks", "--reason", "nothing else is there"]).exits(11).says("going on, as was said");
    // The provider takes another one by now, and the leaked one counts as one that receivers may have.
    force(&sandbox, &["--leaked", &new.fingerprint().to_string()]).exits(0);
    assert_eq!(sandbox.slot(""), Some(sandbox.newest()));
    assert_eq!(sandbox.rotations(), 2);
    let run = sandbox.run(&["status", "--json"]);
    assert_eq!(run.json()["targets"][0]["contained"], json!(false));
}

#[test]
fn c3_a_refused_call_has_contained_nothing() {
    for provider in ["layers", "signa", "verifa"] {
        let sandbox = Sandbox::new(provider);
        sandbox.stand_in.fault(Fault::Status(403, "{}".to_owned()));
        force(&sandbox, &[]).exits(3);
        let status = sandbox.run(&["status", "--exit-code"]).exits(12).stdout;
        assert!(status.contains("contained: no") && status.contains("whsec force-rotate hooks"), "{status}");
        let run = sandbox.run(&["cutover", "hooks"]).exits(4).says("the leak is not contained");
        run.says("whsec force-rotate hooks --reason TEXT").says("whsec abandon hooks --reason TEXT");
        sandbox.run(&["abandon", "hooks", "--reason", "it was a test key", "--yes"]).exits(0);
        let status = sandbox.run(&["status", "--exit-code"]).exits(0).stdout;
        assert!(!status.contains("contained"), "{provider}: {status}");
    }
}

#[test]
fn c3_a_refused_call_is_told_of_beside_a_rotation_that_is_open() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    sandbox.stand_in.fault(Fault::Status(403, "{}".to_owned()));
    force(&sandbox, &[]).exits(3);
    let status = sandbox.run(&["status", "--exit-code"]).exits(12).stdout;
    assert!(status.contains("contained: no") && status.contains("whsec force-rotate hooks"), "{status}");
    assert_eq!(sandbox.rotations(), 1);
    force(&sandbox, &[]).exits(0);
    assert_eq!(sandbox.rotations(), 2);
    let status = sandbox.run(&["status", "--exit-code"]).stdout;
    assert!(status.contains("contained: no") && !status.contains("whsec force-rotate"), "{status}");
}
