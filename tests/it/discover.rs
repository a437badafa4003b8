//! `whsec discover`: what a key can see at a provider, and targets made of it.

use serde_json::json;

use crate::sandbox::Sandbox;

/// Each provider whose description has a list: another endpoint and ours are on it, on one page or two.
#[test]
fn what_the_key_can_see_is_listed_with_the_targets_that_it_is() {
    for (provider, pages) in [("layers", 2), ("kadosei", 2), ("stripe-api", 1), ("github", 1), ("svix", 2)] {
        let sandbox = Sandbox::new(provider);
        let before = sandbox.config_text();
        let base_url = sandbox.stand_in.base_url();
        let mut line = vec!["discover".to_owned(), provider.to_owned(), "--base-url".to_owned(), base_url];
        for (name, value) in &sandbox.ids[..sandbox.ids.len() - 1] {
            line.extend(["--id".to_owned(), format!("{name}={value}")]);
        }
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let run = sandbox.run(&[&line[..], &["--dry-run"]].concat()).exits(0);
        // What a second endpoint would be looked for in shows ours alone.
        let has_other = provider != "stripe-api";
        assert!(run.stdout.contains("another") == has_other && run.stdout.contains("hooks"), "{provider}: {run:?}");
        assert_eq!(sandbox.requests(), pages, "{provider}");
        let json = sandbox.run(&[&line[..], &["--dry-run", "--json"]].concat()).exits(0).json();
        let endpoints = json["endpoints"].as_array().unwrap();
        let ours = endpoints.iter().find(|it| it["id"] == sandbox.id().as_str()).unwrap_or_else(|| panic!("{json}"));
        assert_eq!(ours["targets"], json!(["hooks"]), "{provider}: {json}");
        let other = endpoints.iter().find(|it| it["id"] == "another");
        assert!(other.map(|it| &it["targets"]) == has_other.then_some(&json!([])), "{json}");
        assert!(!format!("{run:?}{json}").contains(sandbox.newest().expose()), "{provider}");
        assert_eq!(sandbox.config_text(), before);
    }
}

#[test]
fn what_is_no_target_yet_becomes_one_and_a_second_time_nothing_changes() {
    let sandbox = Sandbox::new("layers");
    let base_url = sandbox.stand_in.base_url();
    let line = ["discover", "layers", "--base-url", &base_url, "--store", "keychain:{name}-{id}"];
    sandbox.run(&line).exits(2).says("`--yes` is needed");
    let done = sandbox.run(&[&line[..], &["--yes", "--json"]].concat()).exits(0).json();
    assert_eq!((&done["added"], &done["written"]), (&json!(["another.example-hooks"]), &true.into()), "{done}");
    let target = sandbox.run(&["target", "show", "another.example-hooks", "--json"]).exits(0).json();
    assert_eq!(
        (&target["endpoint"], &target["base_url"]),
        (&"another".into(), &format!("{base_url}/").into()),
        "{target}"
    );
    assert_eq!(target["stores"], json!(["keychain:another.example-hooks-another"]), "{target}");
    assert_eq!(target["receivers"], json!(["https://another.example/hooks"]), "{target}");
    let text = sandbox.config_text();
    let again = sandbox.run(&[&line[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&again["written"], &again["added"]), (&false.into(), &json!([])), "{again}");
    assert_eq!(sandbox.config_text(), text);
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_its_reason() {
    let sandbox = Sandbox::new("layers");
    let base_url = sandbox.stand_in.base_url();
    let dry = ["discover", "layers", "--dry-run", "--base-url", &base_url];
    sandbox.run(&["discover", "layers"]).exits(2).says("`--store` is needed");
    sandbox.run(&["discover", "layers", "--store", "keychain:one"]).exits(2).says("is the same for every endpoint");
    sandbox
        .run(&["discover", "hopae", "--dry-run"])
        .exits(2)
        .says("no call that lists endpoints is described for `hopae`");
    sandbox.run(&["discover", "github", "--dry-run"]).exits(2).says("owner");
    sandbox.run(&["discover", "lairs", "--dry-run"]).exits(2).says("lairs");
    assert_eq!(sandbox.requests(), 0);
    let away = ["discover", "layers", "--dry-run", "--base-url", "http://127.0.0.1:1"];
    sandbox.run(&away).exits(3).says("LAYERS_API_KEY");
    std::fs::write(sandbox.path("work/right"), sandbox.api_key.expose()).unwrap();
    sandbox.run(&[&away[..], &["--api-key-file", "right"]].concat()).exits(13).says("cannot be reached");
    std::fs::write(sandbox.path("work/key"), "wrong").unwrap();
    sandbox.run(&[&dry[..], &["--api-key-file", "key"]].concat()).exits(3);
}
