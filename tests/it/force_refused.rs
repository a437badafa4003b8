//! A force-rotate that does not happen leaves what was open as it was, and one of which nobody knows whether it happened
//! stands beside it until that is known.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use serde_json::Value;
use whsec::provider::stand_in::Fault;

use crate::sandbox::{Run, Sandbox};

/// All that the journal has of the endpoint's rotation.
fn journaled(sandbox: &Sandbox) -> Value {
    sandbox.run(&["inspect", "hooks", "--json"]).json()["rotation"].clone()
}

fn force(sandbox: &Sandbox) -> Run {
    sandbox.run(&[
        "force-rotate",
        "hooks",
        "--reason",
        "INC-7",
        "--confirm",
        &sandbox.id(),
        "--done",
        "prepare",
        "--json",
    ])
}

/// A rotation that is open, with its new secret deployed.
fn deployed(sandbox: &Sandbox) -> Value {
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
    journaled(sandbox)
}

#[test]
fn a6_a_force_that_the_provider_refuses_leaves_the_open_rotation_as_it_was() {
    for (name, status, code) in [("signa", 403, 3), ("signa", 404, 4), ("signa", 409, 5), ("hopae", 403, 3)] {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest();
        let before = deployed(&sandbox);
        sandbox.stand_in.fault(Fault::Status(status, "{}".to_owned()));
        let run = force(&sandbox).exits(code).says("the rotation that was open before is as it was");
        let json = run.json();
        assert_eq!((json["status"].as_str(), &json["replaces"]), (Some("failed"), &before["rotation"]), "{name}");
        assert_eq!(journaled(&sandbox), before, "{name}: {status}");
        assert_eq!(sandbox.rotations(), 1);
        // It goes on in both ways.
        sandbox.run(&["cutover", "hooks", "--done", "verify"]).exits(11);
        if name == "signa" {
            sandbox.run(&["rollback", "hooks"]).exits(0);
            assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
        }
        // And the leak is not forgotten either way: the next force-rotate is carried out, and closes what was open.
        force(&sandbox).exits(0);
        let history = sandbox.run(&["history", "--json"]).exits(0).json();
        let closed = history["rotations"].as_array().unwrap();
        let closed: Vec<_> = closed.iter().map(|closed| closed["status"].as_str().unwrap()).collect();
        assert_eq!(closed, ["failed", "abandoned"], "{name}");
    }
}

#[test]
fn a6_a_force_that_a_rate_limit_refuses_leaves_the_open_rotation_as_it_was() {
    let busy = |seconds: u32| {
        let head = format!("HTTP/1.1 429 Too Many Requests\r\nRetry-After: {seconds}\r\nContent-Length: 2\r\n\r\n{{}}");
        Fault::RawRefusal(head.into_bytes())
    };
    for name in ["signa", "hopae"] {
        let sandbox = Sandbox::new(name);
        let before = deployed(&sandbox);
        // Longer than anybody waits for at a prompt: it is asked once, and said.
        sandbox.stand_in.fault(busy(120));
        let run = force(&sandbox).exits(13).says("rate limited (status 429)").says("run it again in 2m 00s");
        let run = run.says("the rotation that was open before is as it was");
        let json = run.json();
        assert_eq!((json["status"].as_str(), &json["replaces"]), (Some("failed"), &before["rotation"]), "{name}");
        assert_eq!(journaled(&sandbox), before, "{name}");
        assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (1, 2), "{name}");
        sandbox.run(&["cutover", "hooks", "--done", "verify"]).exits(11);
        // A short one is kept, and what was open is closed by the success only.
        sandbox.stand_in.fault(busy(1));
        force(&sandbox).exits(0);
        assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (2, 4), "{name}");
        let history = sandbox.run(&["history", "--json"]).exits(0).json();
        let closed: Vec<_> = history["rotations"].as_array().unwrap().iter().map(|closed| &closed["status"]).collect();
        assert_eq!(closed, ["failed", "abandoned"], "{name}");
    }
}

/// Passes this many connections on to the provider, then listens no more.
fn door(sandbox: &Sandbox, connections: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let provider = sandbox.stand_in.base_url();
    let (address, path) =
        provider.trim_start_matches("http://").split_once('/').unwrap_or((provider.trim_start_matches("http://"), ""));
    let (address, path) = (address.to_owned(), path.to_owned());
    let url = format!("http://{}/{path}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for _ in 0..connections {
            let (mut client, _) = listener.accept().unwrap();
            let mut server = TcpStream::connect(&address).unwrap();
            let (mut asked, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut asked, &mut to);
            });
            let mut answer = Vec::new();
            let _ = server.read_to_end(&mut answer);
            let _ = client.write_all(&answer);
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    url.trim_end_matches('/').to_owned()
}

#[test]
fn a6_a_force_that_finds_nobody_leaves_the_open_rotation_as_it_was() {
    // The rotation's inspect and call, the force's inspect; its call finds the door closed.
    for connections in [3, 2] {
        let sandbox = Sandbox::new("signa");
        let url = door(&sandbox, connections);
        sandbox.edit_config(&sandbox.stand_in.base_url(), &url);
        let before = deployed(&sandbox);
        let status = sandbox.run(&["status", "hooks", "--json"]).exits(0).json();
        force(&sandbox).exits(13).says("the rotation that was open before is as it was");
        // But for the leak, which was declared and is not contained.
        let mut now = sandbox.run(&["status", "hooks", "--json"]).exits(0).json();
        assert_eq!(now["targets"][0]["contained"], false);
        for field in ["overdue", "again", "contained", "leaking_since"] {
            now["targets"][0][field] = status["targets"][0][field].clone();
        }
        assert_eq!(now, status);
        assert_eq!(sandbox.rotations(), 1);
        let run = sandbox.run(&["cutover", "hooks", "--done", "verify", "--json"]).exits(11);
        assert_eq!(run.json()["rotation"], before["rotation"]);
    }
}

#[test]
fn a6_a_store_that_fails_its_check_leaves_the_open_rotation_as_it_was() {
    let sandbox = Sandbox::new("signa");
    let before = deployed(&sandbox);
    sandbox.edit_config("store = \"", "store = \"file:/nonexistent/folder/x\" # ");
    force(&sandbox).exits(6).says("the rotation that was open before is as it was");
    assert_eq!(journaled(&sandbox), before);
}

#[test]
fn a6_a_force_of_which_nobody_knows_stands_beside_what_was_open() {
    let sandbox = Sandbox::new("verifa");
    let before = deployed(&sandbox);
    sandbox.stand_in.fault(Fault::CloseUnread);
    let run = force(&sandbox).exits(7).says("stays open until it is known what came of this one");
    assert_eq!(run.json()["replaces"], before["rotation"]);
    // Both are shown.
    let run = sandbox.run(&["status", "--json"]).exits(0);
    let row = &run.json()["targets"][0];
    assert_eq!((row["status"].as_str(), row["beside"]["status"].as_str()), (Some("unknown"), Some("deployed")));
    let line = sandbox.run(&["status"]).exits(0).stdout;
    assert!(line.contains("unknown") && line.contains("pending beside one that is deployed, next: verify"), "{line}");
    let run = sandbox.run(&["inspect", "hooks", "--json"]).exits(0);
    assert_eq!(run.json()["beside"], before);
    let text = sandbox.run(&["inspect", "hooks"]).exits(0).stdout;
    assert!(text.contains("deployed, next: verify, and stays open until that is known"), "{text}");
    sandbox.run(&["history"]).exits(0).says("no rotation has been closed");
    // The pending one is settled before anything else; a second one is no way around it.
    force(&sandbox).exits(5).says("is open already (unknown");
    sandbox.rotate().exits(5);
    sandbox.run(&["cutover", "hooks", "--done", "verify"]).exits(7);
    sandbox.run(&["rollback", "hooks"]).exits(7);
    sandbox.run(&["finish", "hooks"]).exits(7);
    assert_eq!(sandbox.rotations(), 1);
    let run = sandbox.run(&["cutover", "hooks", "--resolve", "not-applied", "--reason", "asked them"]);
    run.exits(11).says("the rotation that was open before is as it was");
    assert_eq!(journaled(&sandbox), before);
    sandbox.run(&["cutover", "hooks", "--done", "verify", "--done", "drop"]).exits(0);
}

#[test]
fn a6_a_force_that_was_carried_out_closes_what_was_open_whoever_says_so() {
    let sandbox = Sandbox::new("verifa");
    deployed(&sandbox);
    sandbox.stand_in.fault(Fault::LoseAnswer);
    force(&sandbox).exits(7);
    sandbox.run(&["cutover", "hooks", "--resolve", "applied", "--reason", "asked them"]).exits(4);
    let history = sandbox.run(&["history", "--json"]).exits(0).json();
    let closed: Vec<_> = history["rotations"].as_array().unwrap().iter().map(|closed| &closed["status"]).collect();
    assert_eq!(closed, ["abandoned", "failed"]);
    assert!(sandbox.run(&["status"]).stdout.contains("SECRET LOST: rotate again"));
    sandbox.rotate().exits(0);
}

#[test]
fn a6_a_pending_force_that_is_given_up_leaves_what_was_open() {
    let sandbox = Sandbox::new("verifa");
    let before = deployed(&sandbox);
    sandbox.stand_in.fault(Fault::CloseUnread);
    force(&sandbox).exits(7);
    sandbox.run(&["abandon", "hooks", "--reason", "it never arrived", "--yes"]).exits(0);
    assert_eq!(journaled(&sandbox), before);
}
