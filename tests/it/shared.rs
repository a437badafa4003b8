//! A journal that several machines share: a real PostgreSQL server, or an object store of our own, and machines that have nothing in
//! common but that, the config and the team's identity. `tests/postgres/session.sh` starts the server; WHSEC_TEST_OBJECTS=1 takes objects.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use whsec::provider::stand_in::Fault;

use crate::adopt::is_accepted;
use crate::place::{Documents, Place};
use crate::sandbox::{Run, Sandbox};

pub const NEEDS: &str = "tests/postgres/session.sh starts a server for this, or WHSEC_TEST_OBJECTS=1";

/// A target whose journal is shared, and whose identity every machine has.
pub fn team(provider: &str) -> Sandbox {
    shared(Sandbox::new(provider))
}

pub fn shared(sandbox: Sandbox) -> Sandbox {
    assert!(sandbox.journal.is_some(), "{NEEDS}");
    let identity = sandbox.path("team-identity");
    std::fs::copy(sandbox.state().join("seal-identity"), &identity).unwrap();
    sandbox.edit_config("identity = \"file\"", &format!("identity = \"file:{}\"", identity.display()));
    sandbox
}

/// A command on another machine: a home and a state folder of its own, which are empty at first.
pub fn on(sandbox: &Sandbox, machine: &str, arguments: &[&str]) -> Command {
    let home = sandbox.path(machine);
    std::fs::create_dir_all(home.join("state")).unwrap();
    let mut command = sandbox.command(arguments);
    command.env("HOME", &home).env("XDG_STATE_HOME", home.join("state")).env("USER", machine);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn place(sandbox: &Sandbox) -> &Place {
    sandbox.place.as_ref().expect(NEEDS)
}

pub fn run(sandbox: &Sandbox, machine: &str, arguments: &[&str]) -> Run {
    sandbox.watch(on(sandbox, machine, arguments).output().unwrap())
}

/// What a runner of CI leaves behind: nothing.
pub fn is_gone(sandbox: &Sandbox, machine: &str) {
    std::fs::remove_dir_all(sandbox.path(machine)).unwrap();
}

/// A rotate on a machine whose request was carried out, and which awaits the answer.
pub fn begun(sandbox: &Sandbox, machine: &str, fault: Fault, timeout: &str) -> Child {
    sandbox.stand_in.fault(fault);
    let (id, before) = (sandbox.id(), sandbox.rotations());
    let rotate = ["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--timeout", timeout];
    let child = on(sandbox, machine, &rotate).spawn().unwrap();
    sandbox.until("the call", |sandbox| sandbox.rotations() > before);
    child
}

pub fn killed(sandbox: &Sandbox, machine: &str) {
    let mut child = begun(sandbox, machine, Fault::Stall, "20s");
    child.kill().unwrap();
    child.wait().unwrap();
    is_gone(sandbox, machine);
}

#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn machines_that_share_nothing_else_go_on_with_one_rotation() {
    let sandbox = shared(Sandbox::with_window("layers", Duration::from_secs(6)));
    let old = sandbox.newest();
    run(&sandbox, "first", &["rotate", "hooks", "--yes"]).exits(0);
    is_gone(&sandbox, "first");
    let status = run(&sandbox, "second", &["status", "--json"]).exits(0).json();
    assert_eq!(status["targets"][0]["status"], "stored");
    run(&sandbox, "second", &["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    is_gone(&sandbox, "second");
    sandbox.until("the end of the wait", |sandbox| {
        let tended = run(sandbox, "third", &["tend", "--all"]);
        assert!([0, 11, 12].contains(&tended.code), "{tended:?}");
        !tended.stderr.contains("next: wait")
    });
    run(&sandbox, "fourth", &["cutover", "hooks", "--done", "drop"]).exits(0);
    assert_eq!((sandbox.slots(&old), sandbox.rotations()), (["empty", "new", "empty"], 1));
    let history = run(&sandbox, "fifth", &["history", "--json"]).exits(0).json();
    let by = serde_json::to_string(&history).unwrap();
    assert!(["first@", "second@", "fourth@"].iter().all(|who| by.contains(who)), "{by}");
    // The next one finds what the last has left, beside what is over. A provider's clock has whole seconds: by another answer of it the
    // overlap may be open for one more.
    sandbox.until("the next rotation", |sandbox| run(sandbox, "sixth", &["rotate", "hooks", "--yes"]).code == 0);
    assert_eq!(sandbox.rotations(), 2);
}

#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn what_a_machine_that_is_gone_had_sent_is_had_by_the_next() {
    for name in ["layers", "signa"] {
        let sandbox = team(name);
        let old = sandbox.newest();
        killed(&sandbox, "runner");
        // It may be at work still, as far as anybody can tell.
        let busy = run(&sandbox, "laptop", &["cutover", "hooks"]).exits(5);
        assert!(busy.stderr.contains("runner@") && busy.stderr.contains("free in 2m"), "{}", busy.stderr);
        let shown = run(&sandbox, "laptop", &["journal", "show", "--json"]).exits(0).json();
        assert_eq!(shown["journal"]["held"].as_array().map(Vec::len), Some(1), "{shown}");
        sandbox.let_leases_end();
        let run = run(&sandbox, "laptop", &["cutover", "hooks"]);
        assert!([0, 11].contains(&run.code), "{run:?}");
        assert_eq!((sandbox.rotations(), sandbox.slots(&old).contains(&"new")), (1, true), "{name}");
        let sent = sandbox.rotate_requests();
        assert_eq!(sent[0], sent[1], "{name}: same bytes, same key");
    }
    // Where nothing can be sent again a person finds out.
    let sandbox = team("verifa");
    killed(&sandbox, "runner");
    sandbox.let_leases_end();
    run(&sandbox, "laptop", &["cutover", "hooks"]).exits(7);
    run(&sandbox, "desk", &["cutover", "hooks", "--resolve", "applied", "--reason", "seen there"]);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn of_many_machines_at_once_one_rotates() {
    for _ in 0..3 {
        let sandbox = team("layers");
        let begin = |at: usize| on(&sandbox, &format!("m{at}"), &["rotate", "hooks", "--yes"]).spawn().unwrap();
        let children: Vec<Child> = (0..16).map(begin).collect();
        let codes: Vec<i32> = children.into_iter().map(|child| sandbox.finish(child).code).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
        assert!(codes.iter().all(|code| [0, 5].contains(code)), "{codes:?}");
        assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (1, 1));
    }
}

#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn a_machine_that_wakes_up_after_it_was_taken_over_records_and_does_nothing() {
    let sandbox = team("layers");
    let child = begun(&sandbox, "frozen", Fault::Late(Duration::from_secs(3)), "20s");
    signal(&child, rustix::process::Signal::STOP);
    std::thread::sleep(Duration::from_secs(4));
    sandbox.let_leases_end();
    run(&sandbox, "second", &["cutover", "hooks", "--done", "deploy"]).exits(11);
    let (slots, head) = (sandbox.variables(), place(&sandbox).one("heads/"));
    signal(&child, rustix::process::Signal::CONT);
    sandbox.finish(child).exits(5).says("taken this endpoint over");
    assert_eq!(place(&sandbox).one("heads/"), head);
    assert_eq!((sandbox.variables(), sandbox.rotations()), (slots, 1));
    run(&sandbox, "second", &["cutover", "hooks", "--done", "verify"]).exits(11);
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

/// The journal is away when the answer comes.
#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn a_journal_that_is_away_loses_no_secret() {
    let sandbox = team("verifa");
    let old = sandbox.newest();
    let child = begun(&sandbox, "laptop", Fault::Late(Duration::from_secs(3)), "20s");
    place(&sandbox).is_away(true);
    let run_on = sandbox.finish(child);
    assert!([7, 8].contains(&run_on.code), "{run_on:?}");
    run(&sandbox, "other", &["status"]).exits(13).says("cannot reach");
    run(&sandbox, "other", &["rotate", "hooks", "--yes", "--confirm", &sandbox.id()]).exits(13);
    assert_eq!(sandbox.rotations(), 1);
    place(&sandbox).is_away(false);
    sandbox.let_leases_end();
    let run_on = run(&sandbox, "laptop", &["cutover", "hooks"]);
    assert!([0, 11].contains(&run_on.code), "{run_on:?}");
    assert_eq!((sandbox.rotations(), sandbox.slots(&old).contains(&"new")), (1, true));
}

#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn what_others_write_into_the_journal_is_refused_and_sends_nothing() {
    let sandbox = team("layers");
    run(&sandbox, "a", &["rotate", "hooks", "--yes"]).exits(0);
    let sent = sandbox.requests();
    let (head, body) = place(&sandbox).one("heads/");
    // Every tenth byte, and what is no document at all.
    let changed = (0..body.len()).step_by(body.len() / 80).map(|at| {
        let mut changed = body.clone();
        changed[at] ^= 1;
        changed
    });
    let none = [Vec::new(), vec![0], b"{}\n".to_vec(), body[..body.len() / 2].to_vec()];
    for changed in changed.chain(none) {
        place(&sandbox).put(&head, &changed);
        run(&sandbox, "b", &["cutover", "hooks"]).exits(1).says("is not as it was written");
    }
    // One document in the place of another.
    place(&sandbox).remove(&head);
    place(&sandbox).put("heads/000000000000000000000000.json", &body);
    run(&sandbox, "b", &["status"]).exits(1).says("is not as it was written");
    assert_eq!(sandbox.requests(), sent);
}

/// Whoever may write there cannot put another journal in the place of the one that is named with its key.
#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn a_journal_that_is_named_with_its_key_is_that_one() {
    let sandbox = team("layers");
    let shown = run(&sandbox, "a", &["journal", "show", "--json"]).exits(0).json();
    let key = shown["journal"]["key"].as_str().unwrap().to_owned();
    let named = |key: &str| format!("{}#{key}", sandbox.database().unwrap());
    let with = |key: &str, arguments: &[&str]| {
        sandbox.watch(on(&sandbox, "a", arguments).env("WHSEC_JOURNAL", named(key)).output().unwrap())
    };
    with(&key, &["status"]).exits(0);
    let bare =
        on(&sandbox, "a", &["rotate", "hooks", "--yes"]).env("WHSEC_JOURNAL", sandbox.database().unwrap()).output();
    sandbox.watch(bare.unwrap()).exits(2).says("without its key").says(&named(&key));
    // Nothing names it any more, and this machine remembers.
    let none = on(&sandbox, "a", &["rotate", "hooks", "--yes"]).env_remove("WHSEC_JOURNAL").output();
    sandbox.watch(none.unwrap()).exits(5).says("which nothing names now");
    // One that has lost its first document is made anew by nobody.
    let (name, first) = place(&sandbox).one("journal.json");
    run(&sandbox, "a", &["rotate", "hooks", "--dry-run"]).exits(0);
    let lock = begun(&sandbox, "b", Fault::Late(Duration::from_millis(10)), "20s");
    sandbox.finish(lock).exits(0);
    place(&sandbox).remove(&name);
    run(&sandbox, "a", &["journal", "init", &sandbox.database().unwrap()]).exits(1).says("journal.json");
    place(&sandbox).put(&name, &first);
    run(&sandbox, "a", &["status"]).exits(0);
    let sent = sandbox.requests();
    place(&sandbox).replace(&Documents::new());
    run(&sandbox, "attacker", &["journal", "init", &sandbox.database().unwrap()]).exits(0);
    with(&key, &["rotate", "hooks", "--yes"]).exits(1).says("is not the one that is named");
    assert_eq!(sandbox.requests(), sent);
}

#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn no_document_holds_a_secret_but_encrypted() {
    let sandbox = team("layers");
    let old = sandbox.newest();
    killed(&sandbox, "runner");
    let mut secrets = vec![old, sandbox.api_key.clone()];
    sandbox.let_leases_end();
    run(&sandbox, "b", &["cutover", "hooks", "--done", "deploy", "--done", "verify"]);
    secrets.push(sandbox.newest());
    let documents = place(&sandbox).documents();
    let bodies: String = documents.values().map(|body| String::from_utf8_lossy(body).into_owned()).collect();
    assert!(documents.keys().any(|name| name.starts_with("heads/")) && bodies.contains("sha256:"));
    assert!(secrets.iter().all(|secret| !bodies.contains(secret.expose())));
}

#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn who_is_no_recipient_is_let_in_by_one_who_is() {
    let sandbox = Sandbox::new("layers");
    let at = sandbox.database().expect(NEEDS);
    // Both machines have an identity of their own, in their state folders.
    let refused = run(&sandbox, "ben", &["status"]).exits(6);
    assert!(refused.stderr.contains("journal init"), "{}", refused.stderr);
    let own = refused.stderr.split_whitespace().rfind(|word| word.starts_with("age1")).unwrap().to_owned();
    sandbox.edit_config("identity = \"file\"", &format!("identity = \"file\"\nrecipients = [\"{own}\"]"));
    sandbox.run(&["journal", "init", &at, "--json"]).exits(0);
    sandbox.rotate().exits(0);
    run(&sandbox, "ben", &["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    assert_eq!(sandbox.rotations(), 1);
}

/// No clock but the journal's own says when a lease is over.
#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn a_clock_that_is_a_month_off_takes_nobodys_endpoint() {
    let sandbox = team("layers");
    killed(&sandbox, "runner");
    for moved in ["+31d", "-31d"] {
        let command = on(&sandbox, "late", &["cutover", "hooks"]);
        let mut moved_clock = Command::new("faketime");
        moved_clock
            .args(["-f", moved])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(sandbox.path("work"));
        moved_clock.env_clear();
        moved_clock.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let run = sandbox.watch(moved_clock.output().unwrap());
        assert_eq!(run.code, 5, "{moved}: {}", run.stderr);
        assert!(run.stderr.contains("free in"), "{}", run.stderr);
    }
}

/// Runs a command where the machine has another name, which only root can give it.
pub fn elsewhere(sandbox: &Sandbox, command: &Command) -> Run {
    std::fs::write(sandbox.path("machine-id"), "00112233445566778899aabbccddeeff\n").unwrap();
    let other_id = format!("mount --bind '{}' /etc/machine-id", sandbox.path("machine-id").display());
    let script = format!("{other_id} && hostname elsewhere && exec \"$0\" \"$@\"");
    let mut other = Command::new("unshare");
    other.args(["--uts", "--mount", "sh", "-c", &script]);
    sandbox.watch(sandbox.behind(other, command).output().unwrap())
}

/// A store that only one machine has is not written on another, which may have one of the same name.
#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn a_store_of_one_machine_is_gone_on_with_there() {
    let sandbox = team("layers");
    run(&sandbox, "a", &["rotate", "hooks", "--yes"]).exits(0);
    let before = sandbox.variables();
    let elsewhere = |arguments: &[&str]| elsewhere(&sandbox, &on(&sandbox, "b", arguments));
    let run_there = elsewhere(&["cutover", "hooks", "--done", "deploy"]);
    if run_there.stderr.contains("Operation not permitted") {
        println!("SKIPPED a_store_of_one_machine_is_gone_on_with_there: only root gives a machine another name");
        return;
    }
    run_there.exits(2).says("where this rotation was begun, and this is `elsewhere");
    assert_eq!(elsewhere(&["status", "--json"]).exits(0).json()["targets"][0]["status"], "stored");
    assert_eq!(sandbox.variables(), before);
    elsewhere(&["abandon", "hooks", "--reason", "that machine is gone", "--yes"]).exits(0);
    let history = run(&sandbox, "a", &["history", "--json"]).json();
    assert_eq!((&history["rotations"][0]["status"], sandbox.variables()), (&Value::from("abandoned"), before));
}

/// Whoever names a shared journal in the middle of a rotation has not lost it.
#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn what_is_open_in_the_state_folders_own_journal_is_not_forgotten() {
    let sandbox = Sandbox::new("layers");
    let local =
        |arguments: &[&str]| sandbox.watch(sandbox.command(arguments).env("WHSEC_JOURNAL", "local").output().unwrap());
    local(&["rotate", "hooks", "--yes"]).exits(0);
    sandbox.run(&["status"]).exits(0).says("not looked at now: hooks").says("WHSEC_JOURNAL=local");
    sandbox.rotate().exits(5).says("open in this state folder's own journal");
    assert_eq!(sandbox.rotations(), 1);
    local(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(11);
    local(&["abandon", "hooks", "--reason", "tried", "--yes"]).exits(0);
    sandbox.run(&["status"]).exits(0).says_not("not looked at now");
}

#[test]
#[ignore = "needs a shared journal; run by tests/run"]
fn what_a_runner_began_by_itself_is_adopted_and_ended_by_others() {
    const ADOPT: [&str; 4] = ["adopt", "hooks", "--reason", "its runner is gone"];
    for (name, reads, before) in
        [("layers", &["_NEW", ""][..], ["new", "old", "empty"]), ("signa", &[""], ["empty", "new", "old"])]
    {
        let sandbox = shared(Sandbox::with_window(name, Duration::from_secs(4)));
        let old = sandbox.newest();
        let mut alone = on(&sandbox, "runner", &["rotate", "hooks", "--yes"]);
        sandbox.watch(alone.env("WHSEC_JOURNAL", "local").output().unwrap()).exits(0);
        // Its own journal is there still: it is no lost one.
        run(&sandbox, "runner", &ADOPT).exits(5).says("open in this state folder's own journal");
        is_gone(&sandbox, "runner");
        let machines = ["ana", "ben", "cleo"];
        let children = machines.map(|machine| on(&sandbox, machine, &ADOPT).spawn().unwrap());
        let mut codes = children.map(|child| sandbox.finish(child).code);
        codes.sort_unstable();
        assert_eq!((codes, sandbox.slots(&old)), ([0, 5, 5], before), "{name}");
        machines.iter().for_each(|machine| is_gone(&sandbox, machine));
        is_accepted(&sandbox, reads);
        run(&sandbox, "desk", &["cutover", "hooks", "--done", "deploy", "--done", "verify"])
            .exits(11)
            .says("next: wait");
        sandbox.until("the end of the wait", |sandbox| {
            is_accepted(sandbox, reads);
            !run(sandbox, "tender", &["cutover", "hooks"]).stderr.contains("next: wait")
        });
        run(&sandbox, "desk", &["cutover", "hooks", "--done", "drop"]).exits(0);
        assert_eq!((sandbox.slots(&old), sandbox.rotations()), (["empty", "new", "empty"], 1), "{name}");
        let history = run(&sandbox, "later", &["history", "--json"]).exits(0).json();
        assert_eq!(history["rotations"][0]["adopted"], true, "{history}");
        run(&sandbox, "later", &["journal", "prove"]).exits(0);
    }
}
