//! A target without a config: named by provider and ids, remembered by its open rotation.

use whsec::provider::stand_in::Fault;

use crate::sandbox::{KEY, Sandbox};
use crate::screen::Terminal;

#[test]
fn an_ad_hoc_rotation_is_gone_on_with_by_its_name_alone() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.config("[seal]\nidentity = \"file\"\n");
    let (base_url, key) = (sandbox.stand_in.base_url(), sandbox.path("key"));
    let name = "layers/id0-7Qx";
    let store = format!("dotenv:receiver.env#{KEY}");
    let run = sandbox
        .run(&[
            "rotate",
            name,
            "--store",
            &store,
            "--base-url",
            &base_url,
            "--api-key-file",
            key.to_str().unwrap(),
            "--yes",
            "--json",
        ])
        .exits(0);
    assert_eq!(run.json()["next"]["command"], format!("whsec cutover {name}"));
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    // Another folder, and none of the flags: the journal knows endpoint and stores.
    let elsewhere = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.current_dir(sandbox.path("home")).env("LAYERS_API_KEY", sandbox.api_key.expose());
        sandbox.watch(command.output().unwrap())
    };
    let run = elsewhere(&["cutover", name, "--done", "deploy", "--done", "verify"]).exits(11);
    assert!(run.stderr.contains("next: wait"), "{}", run.stderr);
    let run = elsewhere(&["fingerprint", name]).exits(0);
    assert!(run.stdout.contains(&sandbox.newest().fingerprint().to_string()), "{}{}", run.stdout, run.stderr);
    assert!(elsewhere(&["status", name]).exits(0).stdout.contains("waiting"));
    assert!(elsewhere(&["inspect", name]).exits(0).stdout.contains("next: wait"));
    let mut reveal = sandbox.command(&["reveal", name, "--slot", "next", "--unsafe-stdout"]);
    let output = reveal.current_dir(sandbox.path("home")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), sandbox.newest().expose());
}

#[test]
fn an_ad_hoc_name_and_a_configured_one_are_the_same_endpoint() {
    let sandbox = Sandbox::new("kadosei");
    sandbox.rotate().exits(0);
    let base_url = sandbox.stand_in.base_url();
    let ad_hoc = ["rotate", "kadosei/id0-7Qx/id1-7Qx", "--base-url", &base_url, "--store", "file:other"];
    let key = sandbox.path("key");
    let mut arguments = ad_hoc.to_vec();
    arguments.extend(["--api-key-file", key.to_str().unwrap(), "--confirm", "id1-7Qx"]);
    sandbox.run(&arguments).exits(5).says("a rotation of `id1-7Qx` is open already");
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn the_command_to_come_back_with_names_config_and_state() {
    let sandbox = Sandbox::new("signa");
    let config = sandbox.path("work/o'clock.toml");
    std::fs::write(&config, sandbox.config_text()).unwrap();
    std::fs::remove_file(sandbox.path("home/.config/whsec/config.toml")).unwrap();
    let here = sandbox.path("here").display().to_string();
    let run =
        sandbox.run(&["rotate", "hooks", "--yes", "--config", "o'clock.toml", "--state-dir", &here, "--json"]).exits(0);
    let command = run.json()["next"]["command"].as_str().unwrap().to_owned();
    let words = shlex::split(&command).unwrap();
    assert_eq!(words[..2], ["whsec", "cutover"]);
    let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let mut back = sandbox.command(&arguments);
    sandbox.watch(back.current_dir("/").output().unwrap()).exits(11).says("next: deploy");
}

#[test]
fn c4_an_endpoint_without_a_target_stays_in_status_and_its_hint_works() {
    let sandbox = Sandbox::new("verifa");
    sandbox.config("[seal]\nidentity = \"file\"\n");
    let (base_url, store) = (sandbox.stand_in.base_url(), format!("dotenv:receiver.env#{KEY}"));
    let run = |line: &[&str]| {
        let mut command = sandbox.command(line);
        sandbox.watch(command.env("VERIFA_API_KEY", sandbox.api_key.expose()).output().unwrap())
    };
    let agree = ["--confirm", "id0-7Qx", "--done", "prepare"];
    let name = "verifa/id0-7Qx";
    sandbox.stand_in.fault(Fault::LoseAnswer);
    run(&[&["rotate", name, "--store", &store, "--base-url", &base_url][..], &agree].concat()).exits(7);
    let lost = run(&["cutover", name, "--resolve", "applied", "--reason", "seen", "--json"]).exits(4);
    let again = format!(
        "whsec rotate {name} --base-url {base_url}{} --store dotenv:{}#{KEY}",
        if base_url.ends_with('/') { "" } else { "/" },
        sandbox.dotenv().display()
    );
    let hint = lost.json()["error"]["hint"].as_str().unwrap().replace('\'', "");
    assert!(hint.contains(&again), "no `{again}` in {hint}");
    let shown = run(&["status", "--exit-code"]).exits(12).stdout;
    assert!(shown.contains("SECRET LOST: rotate again: whsec rotate") && shown.contains(&base_url), "{shown}");
    let row = run(&["status", "--json"]).exits(0).json()["targets"][0].clone();
    assert_eq!((row["lost"].as_bool(), row["overdue"].as_bool()), (Some(true), Some(true)), "{row}");
    // As it is shown, with what agrees to it.
    let words = shlex::split(row["again"].as_str().unwrap()).unwrap();
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).chain(agree).collect();
    run(&words).exits(0);
    run(&["cutover", name, "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    let shown = run(&["status", "--exit-code"]).exits(0).stdout;
    assert!(shown.contains("closed") && shown.contains(&base_url), "{shown}");
    run(&["status", "--exit-code", "--max-age", "0s"]).exits(12);
}

#[test]
fn c8_nothing_is_said_to_have_moved_where_nothing_was() {
    for (store, says, says_not) in [
        ("file:secret", "nothing was live there", "moved to"),
        ("dotenv:~/receiver.env#HOOK_SECRET", "nothing was live there", "moved to"),
        ("", "the old one moved to", "nothing was live"),
    ] {
        let sandbox = Sandbox::new("layers");
        sandbox.edit_config("api_key = ", "cutover = \"switch\"\napi_key = ");
        if !store.is_empty() {
            sandbox.stores(&[store]);
        }
        let mut terminal = Terminal::run(&sandbox, &["rotate", "hooks"]);
        terminal.expect("Rotate now?").types("y").expect("deploy: done?").types("n");
        let seen = terminal.exits(0);
        let seen = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(seen.contains(says) && !seen.contains(says_not), "{store}: {seen}");
    }
}
