//! The store by itself, and beside the age program of another maker.

use std::process::{Command, Stdio};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;

use super::super::conformance::{conforms, opened_in};
use super::*;

/// An environment whose identity is among these.
fn environment(own: &Identity, others: &[&Identity]) -> Environment {
    let own = own.clone();
    let mut recipients: Vec<_> = others.iter().map(|identity| identity.to_public()).collect();
    recipients.push(own.to_public());
    Environment::default().with_envelope(move || Ok(Envelope { recipients: recipients.clone(), identity: own.clone() }))
}

#[test]
fn every_check_passes() {
    let (folder, own) = (tempfile::tempdir().unwrap(), Identity::generate());
    conforms(&|name| opened_in(&format!("age:{name}.age"), folder.path(), environment(&own, &[])));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn colleagues_take_turns_and_strangers_see_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [ada, bob, eve] = [(); 3].map(|()| Identity::generate());
    let open = |own, others: &[&Identity]| opened_in("age:team.age", folder.path(), environment(own, others));
    open(&ada, &[&bob]).apply(&[(Slot::Current, Some(&Secret::new("live")))]).unwrap();
    open(&bob, &[&ada]).apply(&[(Slot::Next, Some(&Secret::new("coming")))]).unwrap();
    assert_eq!(open(&ada, &[&bob]).get(Slot::Next).unwrap().unwrap().expose(), "coming");
    let before = std::fs::read(folder.path().join("team.age")).unwrap();
    for refused in [open(&eve, &[]).get(Slot::Current).map(drop), open(&eve, &[]).apply(&[(Slot::Current, None)])] {
        assert!(refused.unwrap_err().to_string().contains("does not open with this machine's identity"));
    }
    assert_eq!(std::fs::read(folder.path().join("team.age")).unwrap(), before);
    assert!(!before.windows(4).any(|window| window == b"live"));
    assert_eq!((open(&ada, &[&bob]).caution(), open(&ada, &[]).caution().is_some()), (None, true));
}

#[test]
fn a_file_that_is_none_of_ours_is_left_as_it_is() {
    let (folder, own) = (tempfile::tempdir().unwrap(), Identity::generate());
    let path = folder.path().join("x.age");
    let list = crate::store::envelope::encrypt(&[own.to_public()], b"[1]").unwrap();
    for bytes in [b"not encrypted".to_vec(), list] {
        std::fs::write(&path, &bytes).unwrap();
        let store = opened_in("age:x.age", folder.path(), environment(&own, &[]));
        assert!(store.apply(&[(Slot::Next, Some(&Secret::new("new")))]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
#[ignore = "needs the age program; run by tests/run"]
fn the_age_program_opens_our_file_and_we_open_its() {
    let (folder, own, team) = (tempfile::tempdir().unwrap(), Identity::generate(), Identity::generate());
    let [path, key] = ["team.age", "key.txt"].map(|name| folder.path().join(name));
    std::fs::write(&key, team.to_string().expose_secret()).unwrap();
    let store = opened_in("age:team.age", folder.path(), environment(&own, &[&team]));
    store
        .apply(&[(Slot::Current, Some(&Secret::new("live"))), (Slot::Next, Some(&Secret::new("say \"hi\"")))])
        .unwrap();
    let output = Command::new("age").arg("-d").arg("-i").arg(&key).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document, serde_json::json!({ "current": "live", "next": "say \"hi\"" }));

    let mut age = Command::new("age");
    age.args(["-r", &own.to_public().to_string(), "-r", &team.to_public().to_string(), "-o"]).arg(&path);
    let mut child = age.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"{\"current\": \"theirs\"}\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(store.get(Slot::Current).unwrap().unwrap().expose(), "theirs");
}
