//! Somebody else writes a slot while a rotation is open: what they put there is neither moved nor removed, and it is said.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use whsec::secret::Secret;

use crate::sandbox::{KEY, Run, Sandbox};

const SAID: [&str; 6] = ["cutover", "hooks", "--done", "deploy", "--done", "verify"];

/// A secret of somebody else's.
fn foreign() -> Secret {
    Secret::new("whsec_Zm9yZWlnbi1zZWNyZXQtb2Ytc29tZWJvZHk=")
}

/// Puts a value into a slot of the dotenv file, as an editor would; `None` removes its line.
pub fn put(sandbox: &Sandbox, suffix: &str, value: Option<&Secret>) {
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    let name = format!("{KEY}{suffix}=");
    let mut kept: String =
        text.lines().filter(|line| !line.starts_with(&name)).map(|line| format!("{line}\n")).collect();
    kept.extend(value.map(|value| format!("{name}{}\n", value.expose())));
    std::fs::write(sandbox.dotenv(), kept).unwrap();
}

/// Runs a command that has to find the foreign value, name it, and write nothing.
#[track_caller]
fn refused(sandbox: &Sandbox, words: &[&str], suffix: &str) -> Run {
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    let run = sandbox.run(&[words, &["--json"]].concat()).exits(9);
    assert_eq!(run.json()["error"]["kind"], "gate");
    let name = format!("`{KEY}{suffix}` of `dotenv:{}#{KEY}`", sandbox.dotenv().display());
    let run = run.says(&name).says(&foreign().fingerprint().to_string()).says("hint: find out who put it there");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before, "something was written");
    run
}

#[test]
fn a1_a_foreign_live_secret_is_neither_moved_nor_removed() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(2));
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    put(&sandbox, "", Some(&foreign()));
    sandbox.until_the_overlap_is_over();
    for words in [&["cutover", "hooks"][..], &["cutover", "hooks", "--wait"], &["finish", "hooks"]] {
        refused(&sandbox, words, "");
    }
    put(&sandbox, "", Some(&old));
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn a1_what_is_put_over_the_new_live_secret_is_said_before_anything_is_retired() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    put(&sandbox, "", Some(&foreign()));
    refused(&sandbox, &SAID, "");
    // The deploy tool that writes what it always wrote.
    put(&sandbox, "", Some(&old));
    let run = sandbox.run(&SAID).exits(9);
    run.says(&format!("holds {}, which", old.fingerprint())).says(&format!("and not {}", new.fingerprint()));
    put(&sandbox, "", Some(&new));
    sandbox.run(&SAID).exits(11).says("next: drop");
    put(&sandbox, "", Some(&foreign()));
    refused(&sandbox, &["cutover", "hooks", "--done", "drop"], "");
}

#[test]
fn a1_a_foreign_previous_is_neither_overwritten_nor_removed() {
    let layers = Sandbox::with_window("layers", Duration::from_secs(2));
    layers.rotate().exits(0);
    layers.run(&SAID).exits(11);
    put(&layers, "_OLD", Some(&foreign()));
    layers.until_the_overlap_is_over();
    refused(&layers, &["cutover", "hooks"], "_OLD");

    let verifa = Sandbox::new("verifa");
    verifa.rotate().exits(0);
    put(&verifa, "_OLD", Some(&foreign()));
    refused(&verifa, &SAID, "_OLD");
    put(&verifa, "_OLD", None);
    verifa.run(&SAID).exits(11).says("next: drop");
}

#[test]
fn a1_a_foreign_previous_is_found_before_anything_is_sent() {
    let sandbox = Sandbox::new("layers");
    put(&sandbox, "_OLD", Some(&foreign()));
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    sandbox.rotate().exits(6).says(&format!("`{KEY}_OLD` holds {}", foreign().fingerprint()));
    assert_eq!((std::fs::read(sandbox.dotenv()).unwrap(), sandbox.rotations()), (before, 0));
}

#[test]
fn a1_a_foreign_next_is_not_overwritten_by_the_secret_that_was_there() {
    for provider in ["layers", "verifa"] {
        let sandbox = Sandbox::new(provider);
        let old = sandbox.newest();
        let id = sandbox.id();
        sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--detach"]).exits(0);
        let new = sandbox.newest();
        put(&sandbox, "_NEW", Some(&foreign()));
        refused(&sandbox, &["cutover", "hooks"], "_NEW");
        put(&sandbox, "_NEW", Some(&new));
        sandbox.run(&["cutover", "hooks"]).exits(11);
        assert_eq!(sandbox.slots(&old)[1], if provider == "layers" { "old" } else { "new" });
    }
}

#[test]
fn a1_rollback_makes_nothing_live_but_the_old_secret() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    for (suffix, value) in [("_OLD", Some(&old)), ("", Some(&new)), ("_NEW", None)] {
        put(&sandbox, suffix, Some(&foreign()));
        refused(&sandbox, &["rollback", "hooks"], suffix);
        put(&sandbox, suffix, value);
    }
    sandbox.run(&["rollback", "hooks"]).exits(0).says("the old secret is live again");
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["cutover", "hooks", "--yes"]).exits(11);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
}

#[test]
fn a1_every_store_is_compared_before_the_first_is_changed() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(2));
    let old = sandbox.newest();
    let mounted = sandbox.path("work/mounted");
    std::fs::write(&mounted, old.expose()).unwrap();
    sandbox.stores(&[&format!("dotenv:./receiver.env#{KEY}"), "file:./mounted"]);
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    std::fs::write(&mounted, foreign().expose()).unwrap();
    sandbox.until_the_overlap_is_over();
    let run = sandbox.run(&["cutover", "hooks"]).exits(9);
    run.says(&format!("`{}` of `file:", mounted.display())).says(&foreign().fingerprint().to_string());
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    std::fs::write(&mounted, old.expose()).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: drop");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn a11_a_live_slot_that_was_emptied_stops_before_the_write() {
    let being_written = "perhaps it is being written at this moment";
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let whole = std::fs::read(sandbox.dotenv()).unwrap();
    std::fs::write(sandbox.dotenv(), "").unwrap();
    let run = sandbox.run(&["cutover", "hooks"]).exits(9);
    run.says(being_written).says(&old.fingerprint().to_string()).says("hint: run the same command again");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), b"");
    std::fs::write(sandbox.dotenv(), whole).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(11);
}

#[test]
fn a11_not_even_a_canary_goes_into_a_file_that_is_empty_and_was_not() {
    let sandbox = Sandbox::new("verifa");
    sandbox.rotate().exits(0);
    sandbox.run(&[&SAID[..], &["--done", "drop"]].concat()).exits(0);
    let whole = std::fs::read(sandbox.dotenv()).unwrap();
    std::fs::write(sandbox.dotenv(), "").unwrap();
    let run = sandbox.rotate().exits(9).says("perhaps it is being written at this moment").says("nothing was sent");
    assert!(run.stderr.contains("write any value there"), "{}", run.stderr);
    assert_eq!((std::fs::read(sandbox.dotenv()).unwrap(), sandbox.rotations()), (Vec::new(), 1));
    std::fs::write(sandbox.dotenv(), whole).unwrap();
    sandbox.rotate().exits(0);
}

/// A store that is a program, beside the dotenv file; it fails while `broken` is there, and waits while `slow` is.
fn with_a_program(sandbox: &Sandbox) {
    let program = sandbox.path("work/keep.sh");
    let script = "#!/bin/sh\nwhile [ -e \"$1/slow\" ]; do touch \"$1/asked\"; sleep 0.02; done\n[ -e \"$1/broken\" ] && exit 9\ncase $2 in put) cat > \"$1/kept.$3\" ;;\n\
                  get) [ -e \"$1/kept.$3\" ] || exit 44; cat \"$1/kept.$3\" ;; clear) rm -f \"$1/kept.$3\" ;; esac\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let work = sandbox.path("work").display().to_string();
    let call = |verb: &str| format!("[\"{}\", \"{work}\", \"{verb}\", \"{{slot}}\"]", program.display());
    let (put, get, clear) = (call("put"), call("get"), call("clear"));
    let config = sandbox.config_text();
    sandbox.config(&format!("[commands.keep]\nput = {put}\nget = {get}\nclear = {clear}\n\n{config}"));
    std::fs::write(sandbox.path("work/kept.current"), sandbox.newest().expose()).unwrap();
    sandbox.stores(&["command:keep", &format!("dotenv:./receiver.env#{KEY}")]);
}

/// What the program keeps as the live secret.
fn kept(sandbox: &Sandbox) -> Secret {
    Secret::new(std::fs::read_to_string(sandbox.path("work/kept.current")).unwrap())
}

#[test]
fn a7_where_the_old_secret_is_dead_each_store_goes_live_as_soon_as_it_can() {
    for (provider, rotate) in [("verifa", "rotate"), ("signa", "force-rotate")] {
        let sandbox = Sandbox::new(provider);
        let (old, id) = (sandbox.newest(), sandbox.id());
        with_a_program(&sandbox);
        let broken = sandbox.path("work/broken");
        sandbox.run(&[rotate, "hooks", "--reason", "leak", "--confirm", &id, "--done", "prepare", "--detach"]).exits(0);
        std::fs::write(&broken, "").unwrap();
        for _ in 0..2 {
            let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(8).says("`command:keep`");
            assert_eq!(run.json()["error"]["kind"], "sealed");
            assert_eq!(sandbox.slots(&old), ["empty", "new", "old"], "{provider}: the store that can has it live");
        }
        std::fs::remove_file(&broken).unwrap();
        assert_eq!(kept(&sandbox), old);
        sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
        assert_eq!((kept(&sandbox), sandbox.rotations()), (sandbox.newest(), 1), "{provider}");
    }
}

#[test]
fn a7_a_store_that_fails_as_the_secret_comes_holds_no_other() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    with_a_program(&sandbox);
    // It takes the canary and fails at the first real secret.
    let program = sandbox.path("work/keep.sh");
    let script = std::fs::read_to_string(&program).unwrap();
    let sick = script.replace(
        "put) cat > ",
        "put) value=$(cat); case $value in canary_*) ;; *) exit 9 ;; esac; printf %s \"$value\" > ",
    );
    std::fs::write(&program, sick).unwrap();
    let run =
        sandbox.rotate().exits(8).says("`command:keep`").says("made live in dotenv:").says("not yet in command:keep");
    run.says("sealed in ");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    std::fs::write(&program, script).unwrap();
    sandbox.run(&SAID).exits(11).says("next: drop");
    assert_eq!((kept(&sandbox), sandbox.rotations()), (sandbox.newest(), 1));
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn a7_in_an_overlap_all_stores_go_live_or_none() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    with_a_program(&sandbox);
    sandbox.run(&["rotate", "hooks", "--yes", "--detach"]).exits(0);
    std::fs::write(sandbox.path("work/broken"), "").unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(8);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    std::fs::remove_file(sandbox.path("work/broken")).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(11);
    assert_eq!((sandbox.slots(&old), kept(&sandbox)), (["empty", "new", "old"], sandbox.newest()));
}

#[test]
fn a7_a_store_that_somebody_has_written_holds_no_other() {
    let sandbox = Sandbox::new("verifa");
    let id = sandbox.id();
    with_a_program(&sandbox);
    sandbox.run(&["rotate", "hooks", "--confirm", &id, "--done", "prepare", "--detach"]).exits(0);
    put(&sandbox, "_OLD", Some(&foreign()));
    refused(&sandbox, &["cutover", "hooks"], "_OLD");
    assert_eq!(kept(&sandbox), sandbox.newest());
    put(&sandbox, "_OLD", None);
    sandbox.run(&SAID).exits(11).says("next: drop");
}

/// The flag that goes over the foreign secret.
fn over() -> String {
    format!("--override={}", foreign().fingerprint())
}

#[test]
fn a1_an_override_is_bound_to_what_was_shown_and_seals_it_first() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(2));
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    put(&sandbox, "", Some(&foreign()));
    sandbox.until_the_overlap_is_over();
    let flag = over();
    refused(&sandbox, &["cutover", "hooks"], "").says(&format!("whsec cutover hooks {flag} --reason TEXT"));
    sandbox.run(&["cutover", "hooks", &flag]).exits(2).says("--reason");
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    let other = format!("--override={}", old.fingerprint());
    for (flag, says) in
        [(other.as_str(), "there is nothing to go on over"), ("--override=empty", "there is nothing to go on over")]
    {
        sandbox.run(&["cutover", "hooks", flag, "--reason", "mine"]).exits(9).says(says);
    }
    sandbox.run(&["cutover", "hooks", "--override=nonsense", "--reason", "mine"]).exits(2);
    refused(&sandbox, &["cutover", "hooks", "--override", "--reason", "mine"], "");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before);

    let run = sandbox.run(&["cutover", "hooks", &flag, "--reason", "a test by hand"]).exits(11).says("next: drop");
    run.says("is kept sealed in ");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
    let reveal = ["reveal", "hooks", "--slot", "overridden", "--unsafe-stdout"];
    assert_eq!(sandbox.run_revealing(&reveal).exits(0).stdout, foreign().expose());
    sandbox.run(&["cutover", "hooks", "--done", "drop"]).exits(0);
    assert_eq!(sandbox.run_revealing(&reveal).exits(0).stdout, foreign().expose(), "it outlasts the rotation");
    let journal = String::from_utf8_lossy(&std::fs::read(sandbox.state().join("journal.sqlite")).unwrap()).into_owned();
    assert!(journal.contains("a test by hand") && journal.contains(&foreign().fingerprint().to_string()));
}

#[test]
fn a1_what_was_put_over_the_new_live_secret_is_gone_over_and_the_old_one_stays() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    with_a_program(&sandbox);
    sandbox.rotate().exits(0);
    put(&sandbox, "", Some(&foreign()));
    sandbox.run(&["cutover", "hooks", &over(), "--reason", "a test by hand"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.slots(&old), ["empty", "new", "old"]);
    // The same once more is asked about once more.
    put(&sandbox, "", Some(&foreign()));
    refused(&sandbox, &["cutover", "hooks"], "");
    sandbox
        .run(&["finish", "hooks", &over(), "--reason", "again"])
        .exits(9)
        .says("nobody has said that `deploy` is done");
    sandbox.run(&["rollback", "hooks"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
}

#[test]
fn a1_an_override_is_refused_where_the_provider_shows_another_secret() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    // A colleague forces another rotation by hand.
    let request =
        whsec::provider::request::force(&sandbox.endpoint(), Some("by-hand"), "leak").unwrap().expect("a call");
    let options = whsec::provider::client::ClientOptions { timeout: Duration::from_secs(5), ca: None };
    let client = whsec::provider::client::Client::new(&options).unwrap();
    client.call(&sandbox.endpoint(), &request, &sandbox.api_key);
    put(&sandbox, "", Some(&foreign()));
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    let run = sandbox.run(&["cutover", "hooks", &over(), "--reason", "mine"]).exits(9);
    run.says("may be the secret that is alive").says("version 3, and ours is 2").says("whsec abandon hooks");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before);
}

#[test]
fn a11_an_emptied_slot_is_gone_over_by_that_word() {
    let sandbox = Sandbox::with_window("layers", Duration::from_secs(2));
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    sandbox.run(&SAID).exits(11);
    put(&sandbox, "", None);
    sandbox.until_the_overlap_is_over();
    let run = sandbox.run(&["finish", "hooks"]).exits(9).says("perhaps it is being written");
    run.says("whsec cutover hooks --override=empty --reason TEXT");
    sandbox.run(&["finish", "hooks", "--override=empty", "--reason", "cleared by hand"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["empty", "new", "empty"]);
}

#[test]
fn a1_inspect_and_status_say_drift_in_words_and_in_json() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    assert_eq!(sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json()["foreign"], serde_json::json!([]));
    sandbox.run(&["status", "--exit-code"]).exits(11);
    put(&sandbox, "", Some(&foreign()));
    let (store, found) = (format!("dotenv:{}#{KEY}", sandbox.dotenv().display()), foreign().fingerprint().to_string());
    let drift = serde_json::json!([{
        "store": store, "slot": "current", "name": KEY, "found": found, "expected": [new.fingerprint().to_string()],
    }]);
    let run = sandbox.run(&["inspect", "hooks"]).exits(0);
    assert!(run.stdout.contains(&format!("drift     `{KEY}` of `{store}` holds {found}")), "{}", run.stdout);
    assert_eq!(sandbox.run(&["inspect", "hooks", "--json"]).exits(0).json()["foreign"], drift);
    let run = sandbox.run(&["status", "--exit-code"]).exits(12);
    assert!(run.stdout.contains(&format!("DRIFT: `{KEY}` of `{store}` holds {found}")), "{}", run.stdout);
    assert_eq!(sandbox.run(&["status", "--json"]).exits(0).json()["targets"][0]["foreign"], drift);
    let run = sandbox.run(&["cutover", "hooks", "--json"]).exits(9);
    assert_eq!(run.json()["error"]["foreign"], drift);
}

/// A second endpoint's target in this store, beside `hooks`.
fn another(sandbox: &Sandbox, store: &str) {
    let hooks = sandbox.config_text();
    let block = hooks.split("[seal]").next().unwrap().replace("[targets.hooks]", "[targets.other]");
    let own = format!("dotenv:{}#{KEY}", sandbox.dotenv().display());
    let block = block.replace(&sandbox.id(), "another-7Qx").replace(&own, store);
    sandbox.config(&format!("{hooks}\n{block}"));
}

/// Ways to write the path of the dotenv file that are not the same as text.
fn spellings(sandbox: &Sandbox) -> [String; 3] {
    let work = sandbox.path("work");
    std::os::unix::fs::symlink(&work, sandbox.path("linked")).unwrap();
    std::os::unix::fs::symlink(sandbox.dotenv(), work.join("link.env")).unwrap();
    [work.join("../work/receiver.env"), sandbox.path("linked/receiver.env"), work.join("link.env")]
        .map(|path| format!("dotenv:{}#{KEY}", path.display()))
}

#[test]
fn a10_two_endpoints_in_one_slot_are_found_however_the_path_is_written() {
    let sandbox = Sandbox::new("layers");
    let (config, before) = (sandbox.config_text(), std::fs::read(sandbox.dotenv()).unwrap());
    for store in spellings(&sandbox) {
        another(&sandbox, &store);
        for name in ["hooks", "other"] {
            let run = sandbox.run(&["rotate", name, "--yes", "--json"]).exits(2);
            assert_eq!(run.json()["error"]["kind"], "usage");
            run.says("nothing was sent: the slot `dotenv:").says(if name == "hooks" { "`other`" } else { "`hooks`" });
        }
        sandbox.config(&config);
        let endpoint = "layers/another-7Qx";
        sandbox.run(&["rotate", endpoint, "--yes", "--store", &store]).exits(2).says("the target `hooks`");
        sandbox.run(&["target", "add", "other", endpoint, "--store", &store]).exits(2).says("the target `hooks`");
        assert_eq!(sandbox.config_text(), config);
        // Another slot of the same file is nobody else's.
        let apart = store.replace(&format!("#{KEY}"), "#OTHER");
        sandbox.run(&["target", "add", "other", endpoint, "--store", &apart]).exits(0);
        sandbox.config(&config);
    }
    assert_eq!((std::fs::read(sandbox.dotenv()).unwrap(), sandbox.requests()), (before, 0));
}

#[test]
fn a10_what_the_journal_knows_of_an_ad_hoc_target_is_found_too() {
    let sandbox = Sandbox::new("verifa");
    let config = sandbox.config_text();
    sandbox.rotate().exits(0);
    // The first is no longer in the config, and the second comes by another spelling.
    let block = config.replace("[targets.hooks]", "[targets.other]").replace(&sandbox.id(), "another-7Qx");
    let own = format!("dotenv:{}#{KEY}", sandbox.dotenv().display());
    let [spelt, ..] = spellings(&sandbox);
    sandbox.config(&block.replace(&own, &spelt));
    let rotate = ["rotate", "other", "--confirm", "another-7Qx", "--done", "prepare", "--json"];
    let run = sandbox.run(&rotate).exits(6).says("one of the open rotation of verifa/");
    assert_eq!(run.json()["error"]["kind"], "store");
    sandbox.config(&config);
    sandbox.run(&[&SAID[..], &["--done", "drop"]].concat()).exits(0);
    sandbox.config(&block.replace(&own, &spelt));
    sandbox.run(&rotate).exits(6).says("whose secret is in it");
    assert_eq!(sandbox.rotations(), 1);
    // Where that endpoint is gone and the slot holds another secret, it is in nobody's way.
    put(&sandbox, "", Some(&foreign()));
    let run = sandbox.run(&rotate);
    assert!(!run.stderr.contains("whose secret is in it"), "{}", run.stderr);
}

#[test]
fn a10_a_rotation_that_was_cut_off_before_anything_was_sent_is_held_to_it_too() {
    let sandbox = Sandbox::new("layers");
    with_a_program(&sandbox);
    let (slow, asked) = (sandbox.path("work/slow"), sandbox.path("work/asked"));
    std::fs::write(&slow, "").unwrap();
    let child = sandbox.spawn(&["rotate", "hooks", "--yes"]);
    sandbox.until("the store to be asked", |_| asked.exists());
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    std::fs::remove_file(slow).unwrap();
    sandbox.finish(child).exits(143);
    let state = sandbox.run(&["status", "hooks", "--json"]);
    assert_eq!(state.json()["targets"][0]["status"], "planned");
    let config = sandbox.config_text();
    let (program, hooks) = config.split_at(config.find("[targets.hooks]").unwrap());
    let theirs = hooks.split("[seal]").next().unwrap().replace("[targets.hooks]", "[targets.other]");
    let theirs = theirs.replace(&sandbox.id(), "another-7Qx").replace("receiver.env", "link.env");
    spellings(&sandbox);
    sandbox.config(&format!("{program}{hooks}\n{theirs}"));
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    sandbox.run(&["cutover", "hooks", "--yes"]).exits(2).says("nothing was sent: the slot `dotenv:").says("`other`");
    assert_eq!((std::fs::read(sandbox.dotenv()).unwrap(), sandbox.rotations()), (before, 0));
}
