//! The config changes while a rotation is open: the plan follows, with a record, and nobody hears "done" while a store that the
//! config names has the dead secret.

use std::path::Path;

use whsec::secret::Secret;

use crate::gates::how;
use crate::meanwhile::waiting;
use crate::probes::in_overlap;
use crate::receivers::{Kind, Receiver};
use crate::sandbox::{KEY, OVERLAP, Run, Sandbox};

const SAID: [&str; 4] = ["--done", "deploy", "--done", "verify"];

/// Adds a store to the target, with the live secret in it.
fn add_store(sandbox: &Sandbox, name: &str, live: &Secret) -> String {
    let path = sandbox.path("work").join(name);
    std::fs::write(&path, format!("{KEY}={}\n", live.expose())).unwrap();
    let first = format!("\"dotenv:{}#{KEY}\"", sandbox.dotenv().display());
    let reference = format!("dotenv:{}#{KEY}", path.display());
    sandbox.edit_config(&first, &format!("[{first}, \"{reference}\"]"));
    reference
}

fn remove_store(sandbox: &Sandbox, reference: &str) {
    sandbox.edit_config(&format!(", \"{reference}\""), "");
}

/// The values of a dotenv file's next, current and previous slots.
fn slots(path: &Path) -> [Option<String>; 3] {
    let text = std::fs::read_to_string(path).unwrap();
    ["_NEW", "", "_OLD"].map(|suffix| {
        let start = format!("{KEY}{suffix}=");
        text.lines().find_map(|line| Some(line.strip_prefix(&start)?.trim_matches(['\'', '"']).to_owned()))
    })
}

fn cutover(sandbox: &Sandbox, more: &[&str]) -> Run {
    let words: Vec<&str> =
        ["cutover", "hooks", "--reason", "release 214"].into_iter().chain(more.iter().copied()).collect();
    sandbox.run(&words)
}

#[test]
fn a3_a_store_that_joins_before_promote_is_staged_by_the_next_cutover() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let added = add_store(&sandbox, "second.env", &old);
    let came = format!("{added} came to `hooks` since this rotation was begun");
    sandbox
        .run(&["finish", "hooks"])
        .exits(8)
        .says("does not have the new secret")
        .says("this puts it there: whsec cutover hooks");
    assert!(sandbox.run(&["status"]).exits(0).stdout.contains(&came));
    let inspected = sandbox.run(&["inspect", "hooks", "--json"]).exits(0);
    assert_eq!(inspected.json()["changes"][0]["change"], "store_joined");
    assert_eq!(slots(&sandbox.path("work/second.env")), [None, Some(old.expose().to_owned()), None]);
    cutover(&sandbox, &[]).exits(11).says("takes part in this rotation from here on");
    let new = sandbox.newest().expose().to_owned();
    assert_eq!(slots(&sandbox.path("work/second.env")), [Some(new), Some(old.expose().to_owned()), None]);
    assert!(!sandbox.run(&["status"]).exits(0).stdout.contains("came to"));
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a3_a_store_that_joins_after_promote_gets_the_live_secret_and_receivers_are_asked_again() {
    for provider in ["signa", "verifa"] {
        let sandbox = Sandbox::new(provider);
        let old = sandbox.newest();
        sandbox.rotate().exits(0);
        cutover(&sandbox, &["--done", "deploy"]).exits(11);
        add_store(&sandbox, "second.env", &old);
        let run = cutover(&sandbox, &["--done", "verify", "--json"]).exits(11);
        assert_eq!(
            run.json()["next"]["step"],
            "deploy",
            "receivers of the new store have not been asked: {}",
            run.stdout
        );
        let new = sandbox.newest().expose().to_owned();
        let at_rest = [None, Some(new), Some(old.expose().to_owned())];
        assert_eq!(slots(&sandbox.path("work/second.env")), at_rest, "{provider}");
        assert_eq!(slots(&sandbox.dotenv()), at_rest, "{provider}");
        assert_eq!(sandbox.rotations(), 1);
    }
}

#[test]
fn a3_done_is_not_said_before_a_store_that_joined_has_what_the_others_have() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    cutover(&sandbox, &SAID).exits(11).says("next: drop");
    add_store(&sandbox, "second.env", &old);
    // It cannot be written: a folder stands where its lock or its next file would.
    let path = sandbox.path("work/second.env");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let run = cutover(&sandbox, &["--done", "deploy", "--done", "verify", "--done", "drop"]).exits(8);
    run.says_not("done: hooks");
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, format!("{KEY}={}\n", old.expose())).unwrap();
    cutover(&sandbox, &["--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0).says("done: hooks");
    let new = sandbox.newest().expose().to_owned();
    assert_eq!(slots(&path), [None, Some(new), None]);
}

#[test]
fn a3_a_secret_of_somebody_else_in_a_store_that_joins_is_left_alone() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    add_store(&sandbox, "second.env", &old);
    let path = sandbox.path("work/second.env");
    let foreign = format!("{KEY}={}\n{KEY}_NEW=whsec_of_somebody_else_4711\n", old.expose());
    std::fs::write(&path, &foreign).unwrap();
    cutover(&sandbox, &[]).exits(8);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign);
}

#[test]
fn a3_a_store_that_left_is_kept_until_it_is_let_go_with_a_reason() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let added = add_store(&sandbox, "second.env", &old);
    sandbox.rotate().exits(0);
    remove_store(&sandbox, &added);
    let run = cutover(&sandbox, &[]).exits(11);
    run.says(&format!("{added} is not in the config any more; this rotation keeps it"))
        .says("or let it go: whsec cutover hooks --let-go")
        .says("--reason TEXT");
    sandbox.run(&["cutover", "hooks", "--let-go", &added]).exits(2).says("--reason");
    cutover(&sandbox, &["--let-go", "dotenv:nothing.env#X"]).exits(2).says("has left the config");
    let first = format!("dotenv:{}#{KEY}", sandbox.dotenv().display());
    cutover(&sandbox, &["--let-go", &first]).exits(2);
    std::fs::remove_file(sandbox.path("work/second.env")).unwrap();
    cutover(&sandbox, &["--let-go", &added]).exits(11).says("was let go");
    cutover(&sandbox, &SAID).exits(11).says_not("second.env");
    let journal = rusqlite::Connection::open(sandbox.state().join("journal.sqlite")).unwrap();
    let sql = "SELECT event FROM events WHERE event LIKE '%store_left%'";
    let event: String = journal.query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(event.contains("release 214") && event.contains("second.env"), "{event}");
}

#[test]
fn a3_the_only_store_that_has_the_secret_is_not_let_go() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    let first = format!("dotenv:{}#{KEY}", sandbox.dotenv().display());
    sandbox.edit_config(&format!("store = \"{first}\"\n"), "");
    cutover(&sandbox, &["--let-go", &first]).exits(9).says("has the new secret, so this one is not let go");
    cutover(&sandbox, &[]).exits(11);
}

#[test]
fn a3_a_moved_store_is_one_that_joined_and_one_that_left() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let moved = sandbox.path("work/moved.env");
    std::fs::write(&moved, format!("{KEY}={}\n", old.expose())).unwrap();
    let first = format!("dotenv:{}#{KEY}", sandbox.dotenv().display());
    sandbox.edit_config(&first, &format!("dotenv:{}#{KEY}", moved.display()));
    cutover(&sandbox, &SAID).exits(11).says("is not in the config any more").says("takes part in this rotation");
    cutover(&sandbox, &["--done", "drop"]).exits(0).says("done: hooks");
    let new = sandbox.newest().expose().to_owned();
    assert_eq!(slots(&moved), [None, Some(new.clone()), None]);
    assert_eq!(slots(&sandbox.dotenv()), [None, Some(new), None]);
}

#[test]
fn a3_another_cutover_or_other_slots_do_not_change_what_was_begun() {
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    sandbox.edit_config("api_key = ", "cutover = \"switch\"\napi_key = ");
    let run = cutover(&sandbox, &["--json"]).exits(11);
    run.says("`cutover` is \"switch\" by now; this rotation keeps \"either\", which it was begun with");
    let sandbox = Sandbox::new("layers");
    sandbox.rotate().exits(0);
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    sandbox.edit_config("api_key = ", "slots = { current = \"LIVE\" }\napi_key = ");
    cutover(&sandbox, &[]).exits(5).says("have other names by now").says("set `slots` as they were");
    sandbox.run(&["finish", "hooks"]).exits(5);
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before);
}

#[test]
fn a3_a_receiver_that_left_counts_until_it_is_let_go() {
    let sandbox = Sandbox::new("layers");
    let (one, two) = ("http://127.0.0.1:9/one", "http://127.0.0.1:9/two");
    sandbox.edit_config("api_key = ", &format!("receivers = [\"{one}\", \"{two}\"]\napi_key = "));
    sandbox.rotate().exits(0);
    sandbox.edit_config(&format!(", \"{two}\""), "");
    let run = sandbox.run(&["cutover", "hooks"]);
    run.says(&format!("{two} is not in the config any more; it counts until it is let go"));
    let run = cutover(&sandbox, &["--let-go", two]);
    assert!(run.stderr.contains(&format!("{two} was let go")), "{}", run.stderr);
    sandbox.run(&["cutover", "hooks"]).says_not(two);
}

#[test]
fn a3_a_receiver_that_joins_has_to_prove_what_the_others_have_proved() {
    let (sandbox, first) = in_overlap("signa", Kind::Both);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11);
    assert_eq!((how(&run, "verify").as_str(), &run.json()["next"]["step"]), ("probe", &"wait".into()));
    let late = Receiver::start(Kind::LiveOnly);
    late.reads(&sandbox.dotenv());
    let listed = format!("receivers = [\"{}\"", first.url);
    sandbox.edit_config(&listed, &format!("{listed}, \"{}\"", late.url));
    let came = format!("{} came to `hooks` since this rotation was begun, and counts", late.url);
    assert!(sandbox.run(&["status"]).exits(0).stdout.contains(&came));

    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11).says(&came);
    assert_eq!((how(&run, "deploy").as_str(), how(&run, "verify").as_str()), ("open", "open"), "{}", run.stdout);
    assert_eq!(run.json()["next"]["step"], "deploy");
    let status = sandbox.run(&["status"]).exits(0).stdout;
    assert!(status.contains("next: deploy") && status.contains("old only"), "{status}");
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]).exits(9).says(&late.url);
    late.becomes(Kind::Both);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(11).says_not(&came);
    assert_eq!((how(&run, "verify").as_str(), &run.json()["next"]["step"]), ("probe", &"wait".into()));
}

#[test]
fn a3_a_receiver_that_joins_late_is_no_end_of_the_rotation() {
    let sandbox = Sandbox::new("verifa");
    sandbox.rotate().exits(0);
    cutover(&sandbox, &SAID).exits(11).says("next: drop");
    // Nobody answers there, so nothing is proved and nothing is refused.
    sandbox.edit_config("api_key = ", "receivers = [\"http://127.0.0.1:9/late\"]\napi_key = ");
    sandbox.run(&["finish", "hooks"]).exits(9).says("127.0.0.1:9/late came to `hooks`").says("`deploy` is done");
    let status = sandbox.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["targets"][0]["step"], "deploy");
    let run = cutover(&sandbox, &["--done", "drop", "--json"]).exits(11).says("--done drop had no effect");
    assert_eq!(run.json()["next"]["step"], "deploy");
    cutover(&sandbox, &["--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0).says("done: hooks");
}

#[test]
fn a3_a_receiver_that_joins_while_a_process_waits_is_no_end_of_the_rotation_either() {
    let sandbox = Sandbox::with_window("layers", OVERLAP);
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(0);
    let said = ["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop", "--wait"];
    let child = waiting(&sandbox, &said);
    // Nobody answers there, so nothing is proved and nothing is refused.
    sandbox.edit_config("api_key = ", "receivers = [\"http://127.0.0.1:9/late\"]\napi_key = ");
    sandbox.until_the_overlap_is_over();
    let run = sandbox.finish(child).exits(11).says("127.0.0.1:9/late came to `hooks`").says_not("done: hooks");
    run.says("next: deploy");
    // What is live by then stays live.
    assert_eq!(sandbox.variables().get(KEY).map(String::as_str), Some(sandbox.newest().expose()));
    let run = cutover(&sandbox, &["--json"]).exits(11);
    assert_eq!((how(&run, "deploy").as_str(), &run.json()["next"]["step"]), ("open", &"deploy".into()));
    cutover(&sandbox, &["--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0).says("done: hooks");
}

#[test]
fn a3_a_receiver_that_nobody_has_asked_is_in_status() {
    let sandbox = Sandbox::new("layers");
    let url = "http://127.0.0.1:9/one";
    sandbox.edit_config("api_key = ", &format!("receivers = [\"{url}\"]\napi_key = "));
    sandbox.rotate().exits(0);
    assert!(sandbox.run(&["status"]).exits(0).stdout.contains("receivers: 1 not asked yet"));
    assert_eq!(sandbox.run(&["status", "--json"]).exits(0).json()["targets"][0]["unasked"][0], url);
}

/// A second target of the same endpoint, with a store of its own that has the live secret.
fn second_target(sandbox: &Sandbox, live: &Secret) -> String {
    let path = sandbox.path("work/second.env");
    std::fs::write(&path, format!("{KEY}={}\n", live.expose())).unwrap();
    let text = sandbox.config_text();
    let target = text.split("\n[seal]").next().unwrap().replace("[targets.hooks]", "[targets.second]");
    let target = target.replace(&sandbox.dotenv().display().to_string(), &path.display().to_string());
    sandbox.config(&format!("{target}\n\n{text}"));
    format!("dotenv:{}#{KEY}", path.display())
}

#[test]
fn a3_another_target_of_the_endpoint_is_named_before_the_call() {
    let sandbox = Sandbox::new("layers");
    let store = second_target(&sandbox, &sandbox.newest());
    let run = sandbox.rotate().exits(0);
    run.says(&format!("`second` is the same endpoint, and keeps its secret in {store}"))
        .says("unless this brings it in: whsec cutover second");
    let sandbox = Sandbox::new("verifa");
    let store = second_target(&sandbox, &sandbox.newest());
    sandbox
        .rotate()
        .exits(5)
        .says("nothing was sent: `second` is the same endpoint")
        .says(&format!("--store '{store}'"));
    assert_eq!(sandbox.rotations(), 0);
    let first = format!("dotenv:{}#{KEY}", sandbox.dotenv().display());
    let id = sandbox.id();
    let both =
        ["rotate", "hooks", "--store", &first, "--store", &store, "--confirm", &id, "--yes", "--done", "prepare"];
    sandbox.run(&both).exits(0);
    sandbox.run(&["status", "second"]).exits(0);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a3_the_second_target_brings_its_stores_into_the_rotation_of_the_first() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    second_target(&sandbox, &old);
    sandbox.rotate().exits(0);
    assert!(sandbox.run(&["status", "second"]).exits(0).stdout.contains("does not have the new secret"));
    sandbox.run(&["cutover", "second"]).exits(11).says("takes part in this rotation from here on");
    let new = sandbox.newest().expose().to_owned();
    assert_eq!(slots(&sandbox.path("work/second.env"))[0], Some(new.clone()));
    assert_eq!(slots(&sandbox.dotenv())[0], Some(new));
    sandbox.run(&["cutover", "hooks"]).exits(11).says_not("not in the config");
}

#[test]
fn a3_the_second_target_is_not_as_young_as_the_rotation_of_the_first() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    cutover(&sandbox, &["--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    let store = second_target(&sandbox, &old);
    let first = format!("dotenv:{}#{KEY}", sandbox.dotenv().display());
    let status = sandbox.run(&["status", "second", "--exit-code"]).exits(12).stdout;
    assert!(status.contains("the last rotation was that of `hooks`") && !status.contains(" old"), "{status}");
    sandbox.run(&["status", "hooks", "--exit-code"]).exits(0);
    let run = sandbox.run(&["cutover", "second"]).exits(8);
    run.says("the last rotation of this endpoint was that of `hooks`")
        .says(&format!("whsec store copy '{first}' '{store}'"));
    sandbox.run(&["store", "copy", &first, &store, "--replace"]).exits(0);
    sandbox.run(&["cutover", "second"]).exits(0).says("has the secret of that rotation");
    let status = sandbox.run(&["status", "second", "--exit-code"]).exits(0).stdout;
    assert!(status.contains(" old"), "{status}");
}
