//! What is wrong with one target of the config concerns no other, and what is journaled suffices to look, to reveal, to close and
//! to go back.

use std::path::{Path, PathBuf};

use crate::sandbox::Sandbox;

const BROKEN: [(&str, &str); 4] = [
    ("[targets.bad]\nprovider = \"gone\"\nid = \"2\"\n", "no provider is called `gone`"),
    ("[targets.bad]\nprovider = \"signa\"\nid = \"2\"\nfrobnicate = 1\n", "there is no key `frobnicate`"),
    ("[targets.bad]\nprovider = \"signa\"\nid = \"2\"\nstore = \"command:gone\"\n", "there is no [commands.gone]"),
    ("[targets.bad]\nprovider = \"signa\"\nid = 2\n", "expected a string"),
];

fn all_targets_broken(sandbox: &Sandbox) {
    sandbox.edit_config("[targets.hooks]\n", "[targets.hooks]\nfrobnicate = 1\n");
}

#[test]
fn a12_a_broken_target_stops_no_other() {
    for (broken, why) in BROKEN {
        let sandbox = Sandbox::new("layers");
        let old = sandbox.newest();
        sandbox.config(&format!("{}{broken}", sandbox.config_text()));
        sandbox.rotate().exits(0);
        sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
        let new = sandbox.run_revealing(&["reveal", "hooks", "--slot", "next", "--unsafe-stdout"]).exits(0);
        assert_eq!(new.stdout, sandbox.newest().expose());
        sandbox.run(&["inspect", "hooks"]).exits(0).says_not("frobnicate");
        let status = sandbox.run(&["status", "--json"]).exits(0).json();
        let row = |name: &str| {
            let rows = status["targets"].as_array().unwrap();
            rows.iter().find(|row| row["target"] == name).unwrap_or_else(|| panic!("no {name} in {status}")).clone()
        };
        assert!(row("bad")["trouble"].as_str().unwrap().contains(why), "{status}");
        assert_eq!((row("hooks")["trouble"].is_null(), row("hooks")["status"].as_str()), (true, Some("deployed")));
        sandbox.run(&["status", "--exit-code"]).exits(2);
        let doctor = sandbox.run(&["doctor"]).exits(1).stdout;
        assert!(doctor.lines().any(|line| line.starts_with("BAD ") && line.contains(why)), "{doctor}");
        let list = sandbox.run(&["target", "list"]).exits(2);
        assert!(list.stdout.contains("hooks") && list.stderr.contains(why), "{}{}", list.stdout, list.stderr);
        for words in [
            vec!["rotate", "bad", "--yes"],
            vec!["cutover", "bad"],
            vec!["inspect", "bad"],
            vec!["abandon", "bad", "--reason", "x"],
        ] {
            sandbox.run(&words).exits(2).says(why);
        }
        sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
        assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    }
}

#[test]
fn a12_a_target_that_breaks_while_its_rotation_is_open_can_be_shown_revealed_gone_back_with_and_given_up() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    all_targets_broken(&sandbox);
    let why = "there is no key `frobnicate`";
    sandbox.run(&["cutover", "hooks"]).exits(2).says(why);
    sandbox.run(&["finish", "hooks"]).exits(2).says(why);
    let row = sandbox.run(&["status", "--json"]).exits(0).json()["targets"][0].clone();
    assert_eq!(row["status"], "stored");
    assert!(row["trouble"].as_str().unwrap().contains(why), "{row}");
    let revealed = sandbox.run_revealing(&["reveal", "hooks", "--slot", "current", "--unsafe-stdout"]).exits(0);
    assert_eq!(revealed.stdout, sandbox.newest().expose());
    assert!(revealed.stderr.contains("what the rotation of `hooks` was begun with is used"), "{}", revealed.stderr);
    sandbox.run(&["rollback", "hooks", "--reason", "refused"]).exits(0).says(why);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    assert_eq!(sandbox.requests(), 3, "the check's look, the call itself, and a look at what came of it");
}

#[test]
fn a12_a_config_that_is_no_toml_hides_nothing_that_is_open() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    let text = sandbox.config_text();
    sandbox.config("[targets.hooks\nprovider = ");
    let run = sandbox.run(&["status"]).exits(2).says("config.toml:1:");
    assert!(run.stdout.contains("hooks") && run.stdout.contains("next: deploy"), "{}", run.stdout);
    let json = sandbox.run(&["status", "--json"]).exits(2).json();
    assert_eq!(
        (json["targets"][0]["status"].as_str(), json["error"]["kind"].as_str()),
        (Some("stored"), Some("usage"))
    );
    for words in [vec!["rotate", "hooks", "--yes"], vec!["cutover", "hooks"], vec!["finish", "hooks"]] {
        sandbox.run(&words).exits(2).says("config.toml:1:");
    }
    let revealed = sandbox.run_revealing(&["reveal", "hooks", "--slot", "current", "--unsafe-stdout"]).exits(0);
    assert_eq!(revealed.stdout, sandbox.newest().expose());
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    assert!(sandbox.run(&["history"]).exits(0).stdout.contains("abandoned"));
    sandbox.config(&text);
    assert!(sandbox.run(&["status"]).exits(0).stdout.contains("ABANDONED") || sandbox.slot("").is_some());
}

#[test]
fn a12_a_provider_whose_file_is_gone_stops_no_other_and_its_own_rotation_can_be_closed() {
    let sandbox = Sandbox::new("signa");
    let old = sandbox.newest();
    let text = std::fs::read_to_string("src/provider/builtin/signa.toml").unwrap();
    sandbox.description("acme", &text.replace("name = \"signa\"", "name = \"acme\""));
    sandbox.edit_config("provider = \"signa\"", "provider = \"acme\"");
    sandbox.rotate().exits(0);
    std::fs::remove_file(sandbox.path("home/.config/whsec/providers/acme.toml")).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(2).says("no provider is called `acme`");
    assert!(sandbox.run(&["status"]).exits(0).stdout.contains("next: deploy"));
    let revealed = sandbox.run_revealing(&["reveal", "hooks", "--slot", "current", "--unsafe-stdout"]).exits(0);
    assert_eq!(revealed.stdout, sandbox.newest().expose());
    sandbox.run(&["rollback", "hooks", "--reason", "refused"]).exits(0);
    assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
    assert_eq!(sandbox.requests(), 3, "nothing is sent to a provider that is not described");
    sandbox.run(&["rotate", "hooks", "--yes"]).exits(2);
}

#[test]
fn a12_a_program_that_left_the_config_stops_neither_reveal_nor_abandon() {
    let sandbox = Sandbox::new("signa");
    let path = sandbox.path("work/kept");
    let words = |verb: &str| format!("[\"/bin/sh\", \"-c\", \"{verb} {}.$0\", \"{{slot}}\"]", path.display());
    let commands = format!(
        "[commands.vault]\nput = {}\nget = [\"/bin/sh\", \"-c\", \"test ! -e {1}.$0 || cat {1}.$0\", \"{{slot}}\"]\nclear = {2}\n",
        words("cat >"),
        path.display(),
        words("rm -f")
    );
    let plain = sandbox.config_text();
    sandbox.stores(&[&format!("dotenv:{}#HOOK_SECRET", sandbox.dotenv().display()), "command:vault"]);
    let with = sandbox.config_text();
    sandbox.config(&format!("{with}{commands}"));
    sandbox.rotate().exits(0);
    sandbox.config(&with);
    sandbox.run(&["cutover", "hooks"]).exits(2).says("there is no [commands.vault]");
    let revealed = sandbox.run_revealing(&["reveal", "hooks", "--slot", "current", "--unsafe-stdout"]).exits(0);
    assert_eq!(revealed.stdout, sandbox.newest().expose());
    assert!(revealed.stderr.contains("command:vault is left out"), "{}", revealed.stderr);
    sandbox.run(&["abandon", "hooks", "--reason", "moved", "--yes"]).exits(0).says("command:vault is left out");
    sandbox.config(&plain);
    sandbox.run(&["status"]).exits(0);
}

/// What is said of a provider's file, and what has become of it.
type Spoilt = (&'static str, fn(&Path));

const SPOILT: [Spoilt; 7] = [
    ("unclosed array", |file| std::fs::write(file, "name = [").unwrap()),
    ("missing field `rotate`", |file| {
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, text.split("[rotate]").next().unwrap()).unwrap();
    }),
    ("`acme` needs the id `app`", |file| {
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, text.replace("ids = [\"id\"]", "ids = [\"app\", \"id\"]").replace("/{id}", "/{app}/{id}"))
            .unwrap();
    }),
    ("other users may write it", |file| chmod(file, 0o622)),
    ("another user owns it", |file| std::os::unix::fs::chown(file, Some(65534), None).unwrap()),
    ("not a regular file", |file| {
        std::fs::remove_file(file).unwrap();
        std::fs::create_dir(file).unwrap();
    }),
    ("cannot read the provider descriptions at", |file| {
        let folder = file.parent().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        std::fs::write(folder, "no folder").unwrap();
    }),
];

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

fn acme(sandbox: &Sandbox) -> PathBuf {
    let text = std::fs::read_to_string("src/provider/builtin/signa.toml").unwrap();
    sandbox.description("acme", &text.replace("name = \"signa\"", "name = \"acme\""));
    sandbox.path("home/.config/whsec/providers/acme.toml")
}

/// Those ways that can be tried here.
fn spoilt() -> impl Iterator<Item = Spoilt> {
    SPOILT.into_iter().filter(|(why, _)| {
        let can = !why.contains("another user") || rustix::process::geteuid().is_root();
        if !can {
            println!("SKIPPED {why}: it takes root to give a file away");
        }
        can
    })
}

#[test]
fn a12_a_provider_file_that_cannot_be_used_stops_no_target_of_another_provider() {
    for (why, spoil) in spoilt() {
        let sandbox = Sandbox::new("layers");
        let old = sandbox.newest();
        let file = acme(&sandbox);
        let bad = "[targets.bad]\nprovider = \"acme\"\nids = { id = \"2\" }\n";
        sandbox.config(&format!("{}{bad}", sandbox.config_text()));
        sandbox.run(&["target", "show", "bad"]).exits(0);
        spoil(&file);
        sandbox.rotate().exits(0);
        sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
        sandbox.run(&["inspect", "hooks"]).exits(0).says_not(why);
        let status = sandbox.run(&["status", "--json"]).exits(0).json();
        let rows = status["targets"].as_array().unwrap();
        let row = |name: &str| rows.iter().find(|row| row["target"] == name).unwrap();
        assert!(row("bad")["trouble"].as_str().unwrap().contains(why), "{status}");
        assert!(row("hooks")["trouble"].is_null(), "{status}");
        let run = sandbox.run(&["provider", "list"]).exits(0);
        assert!(run.stdout.contains("Layers") && run.stdout.contains("Kadosei"), "{}", run.stdout);
        let doctor = sandbox.run(&["doctor"]).exits(1).stdout;
        let says_providers = doctor.lines().any(|line| line.starts_with("BAD   providers") && line.contains(why));
        // A description that is sound in itself is no matter of the catalogue's.
        assert_eq!(
            (says_providers, run.stderr.contains(why)),
            if why.contains("the id") { (false, false) } else { (true, true) }
        );
        assert!(doctor.lines().any(|line| line.starts_with("BAD   bad") && line.contains(why)), "{doctor}");
        for words in [vec!["rotate", "bad", "--yes"], vec!["cutover", "bad"], vec!["inspect", "bad"]] {
            sandbox.run(&words).exits(2).says(why);
        }
        sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
        assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
    }
}

#[test]
fn a12_a_rotation_whose_providers_file_cannot_be_used_can_be_revealed_gone_back_with_and_given_up() {
    for (why, spoil) in spoilt() {
        let sandbox = Sandbox::new("signa");
        let old = sandbox.newest();
        let file = acme(&sandbox);
        sandbox.edit_config("provider = \"signa\"", "provider = \"acme\"");
        sandbox.rotate().exits(0);
        spoil(&file);
        for command in ["cutover", "finish", "inspect"] {
            sandbox.run(&[command, "hooks"]).exits(2).says(why).says_not("KEY_OF_A_PROVIDER");
        }
        assert!(sandbox.run(&["status"]).exits(0).stdout.contains("next: deploy"));
        let revealed = sandbox.run_revealing(&["reveal", "hooks", "--slot", "current", "--unsafe-stdout"]).exits(0);
        assert_eq!(revealed.stdout, sandbox.newest().expose());
        sandbox.run(&["rollback", "hooks", "--reason", "refused"]).exits(0);
        assert_eq!(sandbox.slots(&old), ["new", "old", "empty"]);
        sandbox.run(&["abandon", "hooks", "--reason", "tired", "--yes"]).exits(0);
        assert_eq!(sandbox.requests(), 3, "{why}: nothing is sent to a provider that is not described");
    }
}
