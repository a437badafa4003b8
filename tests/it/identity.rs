//! One identity of an endpoint: another spelling of an id, another documented address or another name for this machine is the
//! same endpoint, and one that is another by now is refused before anything is sent.

use whsec::provider::stand_in::Fault;

use crate::sandbox::Sandbox;

const SMALL: &str = "d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4411";

#[test]
fn a5_an_upper_case_uuid_is_the_same_endpoint() {
    let sandbox = Sandbox::with_ids("layers", &[SMALL]);
    sandbox.rotate().exits(0);
    sandbox.edit_config(SMALL, &SMALL.to_uppercase());
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(5).says("is open already");
    let (address, key) = (sandbox.stand_in.base_url(), sandbox.path("key"));
    let ad_hoc = format!("layers/{}", SMALL.to_uppercase());
    let rest = ["--base-url", &address, "--store", "file:other", "--api-key-file", key.to_str().unwrap(), "--yes"];
    let words: Vec<&str> = ["rotate", &ad_hoc].into_iter().chain(rest).collect();
    sandbox.run(&words).exits(5).says("is open already");
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a5_the_id_of_an_endpoint_is_confirmed_in_any_spelling() {
    let sandbox = Sandbox::with_ids("kadosei", &["app", SMALL]);
    sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &SMALL.to_uppercase(), "--done", "prepare"]).exits(0);
    assert_eq!(sandbox.rotations(), 1);
}

#[test]
fn a5_another_documented_address_is_the_same_endpoint_after_an_unknown_call() {
    let sandbox = Sandbox::new("verifa");
    let text = std::fs::read_to_string("src/provider/builtin/verifa.toml").unwrap();
    let (address, other) = (sandbox.stand_in.base_url(), "http://127.0.0.9:9");
    let text = text.replace("https://devapi.withverifa.com\"\n", &format!("{address}\"\n"));
    sandbox.description("verifa", &text.replace("https://api.withverifa.com\"]", &format!("{other}\"]")));
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate().exits(7);
    sandbox.edit_config(&address, other);
    let moved = format!("was begun at {address}/, and `hooks` is at {other}/ by now");
    for words in [
        vec!["rotate", "hooks", "--yes", "--confirm", "id0-7Qx", "--done", "prepare"],
        vec!["force-rotate", "hooks", "--reason", "leak", "--confirm", "id0-7Qx", "--done", "prepare"],
        vec!["cutover", "hooks"],
        vec!["finish", "hooks"],
        vec!["rollback", "hooks"],
    ] {
        sandbox.run(&words).exits(5).says(&moved);
    }
    assert_eq!(sandbox.rotations(), 1);
    let hint = format!("go on with it: whsec cutover hooks --id 'endpoint_id=id0-7Qx' --base-url {address}/;");
    sandbox.run(&["cutover", "hooks"]).says(&hint);
    sandbox
        .run(&["cutover", "hooks", "--id", "endpoint_id=id0-7Qx", "--base-url", &address])
        .exits(7)
        .says("its outcome is unknown");
}

#[test]
fn a_target_that_was_moved_shows_what_is_open_where_it_was() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    let (address, id) = (sandbox.stand_in.base_url(), sandbox.id());
    sandbox.edit_config(&address, "http://127.0.0.9:9");
    let named = sandbox.run(&["status", "hooks", "--exit-code", "--json"]).exits(11);
    assert_eq!(named.json()["targets"][1]["base_url"], format!("{address}/"), "{}", named.stdout);
    let inspected = sandbox.run(&["inspect", "hooks"]);
    let begun = format!(", next: deploy, begun for signa/{id} at {address}/");
    assert!(inspected.stdout.contains(&begun), "{}", inspected.stdout);
    assert!(!inspected.stdout.contains("never rotated"), "{}", inspected.stdout);
    let there = format!("hooks --id 'id={id}' --base-url {address}/");
    let rollback = sandbox.run(&["rollback", "hooks"]).exits(5);
    rollback.says(&format!("go back there: whsec rollback {there}; or set"));
    let abandon = sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(5);
    abandon.says(&format!("close it there: whsec abandon {there} --reason TEXT; or set"));
    let at = ["--id", &format!("id={id}"), "--base-url", &address];
    sandbox.run(&[&["rollback", "hooks"][..], &at].concat()).exits(0);
    sandbox.run(&[&["abandon", "hooks", "--reason", "tired", "--yes"][..], &at].concat()).exits(0);
}

#[test]
fn a5_a_target_that_is_another_endpoint_by_now_is_not_rotated() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    let (address, id) = (sandbox.stand_in.base_url(), sandbox.id());
    sandbox.edit_config(&address, "http://127.0.0.9:9");
    for words in [
        vec!["rotate", "hooks", "--yes"],
        vec!["force-rotate", "hooks", "--reason", "leak", "--confirm", &id, "--done", "prepare"],
        vec!["cutover", "hooks"],
    ] {
        let run = sandbox.run(&words).exits(5);
        run.says(&format!("a rotation of `hooks` is open for signa/{id} at {address}")).says("is another by now");
    }
    sandbox.run(&["cutover", "hooks", "--id", &format!("id={id}"), "--base-url", &address]).exits(11);
}

#[test]
fn a5_what_was_never_sent_is_in_nobodys_way() {
    let sandbox = Sandbox::new("signa");
    let address = sandbox.stand_in.base_url();
    sandbox.edit_config(&address, "http://127.0.0.9:9");
    sandbox.rotate().exits(13);
    sandbox.edit_config("http://127.0.0.9:9", &address);
    sandbox.rotate().exits(0);
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
}

#[test]
fn a5_a_form_that_a_description_gains_finds_what_is_open_under_the_old_spelling() {
    let sandbox = Sandbox::with_ids("layers", &[SMALL]);
    let text = std::fs::read_to_string("src/provider/builtin/layers.toml").unwrap();
    let formless = text.replace("[id.endpointId]\nform = \"uuid\"\n", "");
    assert_ne!(text, formless);
    sandbox.description("layers", &formless);
    sandbox.rotate().exits(0);
    let large = SMALL.to_uppercase();
    sandbox.edit_config(SMALL, &large);
    sandbox.run(&["cutover", "hooks"]).exits(5).says("is another by now");
    sandbox.description("layers", &text);
    sandbox.run(&["cutover", "hooks"]).exits(11).says("next: deploy");
    assert_eq!(sandbox.rotations(), 1);
}
