//! The first thing a newcomer runs: it needs nothing, leaves nothing, and goes through to the end by itself.

use std::io::{BufRead, BufReader, Read};

use crate::sandbox::Sandbox;
use crate::screen::Terminal;

#[test]
fn every_provider_is_rehearsed_to_the_end_in_an_empty_home() {
    for name in ["layers", "signa", "hopae", "kadosei", "verifa", "github"] {
        let sandbox = Sandbox::new("layers");
        std::fs::remove_dir_all(sandbox.path("home/.config")).unwrap();
        let run = sandbox.run(&["rehearse", name, "--window", "2s", "--json"]).exits(0);
        let json = run.json();
        assert_eq!((json["rotations"].as_u64(), json["status"].as_str()), (Some(1), Some("done")), "{name}");
        assert_eq!(json["old_secret_refused"].as_bool(), (name != "kadosei").then_some(true), "{name}");
        assert!(run.stderr.contains("What happened, in") && run.stderr.contains("whsec login"), "{name}");
        assert!(!sandbox.state().join("journal.sqlite").exists(), "{name}: nothing of one's own is touched");
        assert_eq!(sandbox.requests(), 0, "{name}");
    }
}

#[test]
fn every_other_provider_that_is_built_in_is_rehearsed_to_the_end() {
    let names = whsec::provider::Catalog::builtin().names();
    assert!(names.len() > 20, "{names:?}");
    let of = |name: &String| {
        let sandbox = Sandbox::new("layers");
        let run = sandbox.run(&["rehearse", name, "--window", "2s", "--json"]).exits(0);
        let json = run.json();
        assert_eq!((json["rotations"].as_u64(), json["status"].as_str()), (Some(1), Some("done")), "{name}");
        assert_eq!(sandbox.requests(), 0, "{name}");
    };
    // They wait more than they work.
    for some in names.chunks(9) {
        std::thread::scope(|scope| some.iter().for_each(|name| drop(scope.spawn(|| of(name)))));
    }
}

#[test]
fn a_description_of_ones_own_is_rehearsed_from_its_file() {
    let sandbox = Sandbox::new("verifa");
    let text = std::fs::read_to_string("src/provider/builtin/verifa.toml").unwrap();
    std::fs::write(sandbox.path("work/acme.toml"), text.replace("verifa", "acme").replace("Verifa\"", "Acme\""))
        .unwrap();
    let run = sandbox.run(&["rehearse", "./acme.toml", "--json"]).exits(0);
    assert_eq!(run.json()["provider"], "acme");
    sandbox.run(&["rehearse", "./none.toml"]).exits(2).says("cannot read `./none.toml`");
    sandbox.run(&["rehearse", "layrs"]).exits(2).says("did you mean `layers`?");
}

#[test]
fn force_is_rehearsed_where_there_is_one() {
    let sandbox = Sandbox::new("signa");
    sandbox.run(&["rehearse", "signa", "--force"]).exits(0).says("a delivery forged with the old secret was refused");
}

#[test]
fn c3_where_there_is_none_containing_a_leak_is_rehearsed() {
    let sandbox = Sandbox::new("layers");
    let run = sandbox.run(&["rehearse", "layers", "--force", "--window", "5s", "--json"]).exits(0);
    // It is refused while the provider still signs with it, and every delivery is accepted all the same.
    let at = |text: &str| run.stderr.find(text).unwrap_or_else(|| panic!("no `{text}` in {}", run.stderr));
    assert!(at("drop: proved by every receiver") < at("the old secret has ended"), "{}", run.stderr);
    assert_eq!((run.json()["deliveries_refused"].as_u64(), run.json()["rotations"].as_u64()), (Some(0), Some(1)));
}

#[test]
fn c8_a_rehearsal_describes_no_receiver_that_it_lacks() {
    let sandbox = Sandbox::new("layers");
    let run = sandbox.run(&["rehearse", "kadosei", "--window", "2s"]).exits(0);
    run.says("no deliveries are played").says_not("the stand-in receiver");
}

#[test]
fn c8_a_rehearsal_that_is_left_names_no_way_back_into_it_and_starts_over_with_its_provider() {
    let sandbox = Sandbox::new("layers");
    let text = std::fs::read_to_string("src/provider/builtin/layers.toml").unwrap();
    let file = sandbox.path("work/my acme.toml");
    std::fs::write(&file, text.replace("name = \"layers\"", "name = \"acme\"")).unwrap();
    for (provider, again) in
        [("layers", "whsec rehearse layers"), ("./my acme.toml", "whsec rehearse './my acme.toml'")]
    {
        let mut terminal = Terminal::run(&sandbox, &["rehearse", provider]);
        terminal.expect("Rotate now?").types("y").expect("deploy: done?").types("n");
        let seen = terminal.exits(11);
        let seen = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(seen.contains("Its stand-ins and its folder are gone"), "{seen}");
        assert!(seen.contains(&format!("start over with `{again}`")), "{seen}");
        for gone in ["come back with", "whsec cutover", "whsec rotate", "--config", "--state-dir"] {
            assert!(!seen.contains(gone), "`{gone}`: {seen}");
        }
    }
}

#[test]
fn a_drill_of_many_targets_is_killed_and_limited_and_loses_nothing() {
    for (name, is_killed) in [("layers", true), ("verifa", false), ("hopae", true)] {
        let sandbox = Sandbox::new("layers");
        std::fs::remove_dir_all(sandbox.path("home/.config")).unwrap();
        let run = sandbox.run(&["rehearse", name, "--targets", "12", "--fail", "3", "--json"]).exits(0);
        let json = run.json();
        let number = |field: &str| json[field].as_u64().unwrap();
        assert_eq!(["rotations", "twice", "never", "lost"].map(number), [12, 0, 0, 0], "{json}");
        assert_eq!((&json["exits"], &json["failed_at_first"]), (&serde_json::json!([10, 0]), &3.into()), "{json}");
        assert_eq!(json["killed_after"].is_u64(), is_killed, "{json}");
        assert!(number("limited") > 0, "{json}");
        run.says("$ whsec rotate --all --yes").says("What happened, in").says_not("panicked");
        assert!(!sandbox.state().join("journal.sqlite").exists(), "{name}: nothing of one's own is touched");
        assert_eq!(sandbox.requests(), 0, "{name}");
    }
}

#[test]
fn a_drill_that_cannot_be_is_refused_and_one_that_is_left_ends_its_run() {
    let sandbox = Sandbox::new("layers");
    for (arguments, says) in [
        (&["--targets", "1"][..], "2..=200"),
        (&["--targets", "201"], "2..=200"),
        (&["--targets", "5", "--force"], "--force"),
        (&["--targets", "5", "--window", "3s"], "--window"),
        (&["--fail", "3"], "--targets"),
        (&["--targets", "5", "--fail", "none"], "such as `25%`"),
        (&["--targets", "5", "--fail", "5"], "too many to fail"),
        (&["slack", "--targets", "5"], "nothing for a drill: its secrets are made by hand"),
        (&["github", "--targets", "5"], "nothing for a drill: it is given a new secret"),
        (&["stripe-api", "--targets", "5"], "nothing for a drill: somebody has to end each old secret"),
    ] {
        sandbox.run(&[&["rehearse"], arguments].concat()).exits(2).says(says);
    }
    let mut child = sandbox.spawn(&["rehearse", "--targets", "60"]);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut heard = String::new();
    while !heard.contains("$ whsec rotate") {
        assert!(said.read_line(&mut heard).unwrap() > 0, "{heard}");
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), nix::sys::signal::SIGINT)
        .unwrap();
    said.read_to_string(&mut heard).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{heard}");
    assert!(heard.contains("The drill ends here"), "{heard}");
}
