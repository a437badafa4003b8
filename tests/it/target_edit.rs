//! `whsec target edit`: one target changes, and everything else in the file stays.

use crate::sandbox::{KEY, Sandbox};

#[test]
fn what_is_said_takes_the_place_of_what_was_there_and_all_else_stays() {
    let sandbox = Sandbox::new("layers");
    let text = sandbox.config_text();
    let id = text.lines().find(|line| line.starts_with("id")).unwrap();
    let more = format!("{id} # the live one\nowner = \"ana\" # till May\nlabels = {{ env = \"dev\", tier = \"1\" }}");
    let mine = format!("# mine\n{}\n# the end\n", text.replace(id, &more));
    sandbox.config(&mine);
    let edit =
        ["target", "edit", "hooks", "--owner", "ben", "--label", "env=prod", "--label", "team=pay", "--max-age", "90d"];
    let shown = sandbox.run(&[&edit[..], &["--dry-run"]].concat()).exits(0);
    for line in [
        "- owner = \"ana\" # till May\n",
        "+ owner = \"ben\" # till May\n",
        "+ max_age = \"90d\"\n",
        "  provider = \"layers\"\n",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {shown:?}");
    }
    assert_eq!(sandbox.config_text(), mine);
    sandbox.run(&edit).exits(2).says("`--yes` is needed");
    assert_eq!(sandbox.config_text(), mine);
    let done = sandbox.run(&[&edit[..], &["--yes", "--json"]].concat()).exits(0).json();
    assert_eq!(
        (&done["written"], &done["changed"]),
        (&true.into(), &serde_json::json!(["owner", "labels", "max_age"])),
        "{done}"
    );
    let wanted = mine
        .replace("\"ana\"", "\"ben\"")
        .replace("env = \"dev\", tier = \"1\"", "env = \"prod\", tier = \"1\", team = \"pay\"");
    assert_eq!(sandbox.config_text().replace("max_age = \"90d\"\n", ""), wanted);
    let again = sandbox.run(&[&edit[..], &["--json"]].concat()).exits(0).json();
    assert_eq!((&again["written"], again["changed"].as_array().unwrap().len()), (&false.into(), 0), "{again}");
    sandbox.run(&["target", "edit", "hooks", "--unset", "max_age", "--yes"]).exits(0);
    assert_eq!(sandbox.config_text(), wanted);
}

/// Paths are as they are typed here; several stores and one are written as the config has them.
#[test]
fn stores_and_receivers_are_replaced_whole() {
    let sandbox = Sandbox::new("layers");
    let edit = [
        "target",
        "edit",
        "hooks",
        "--yes",
        "--store",
        "keychain:a",
        "--store",
        "file:new/secret",
        "--receiver",
        "https://a.example/h",
    ];
    sandbox.run(&edit).exits(0);
    let text = sandbox.config_text();
    assert!(text.contains("store = [\"keychain:a\", \"file:/") && text.contains("/new/secret\"]"), "{text}");
    assert!(text.contains("receivers = \"https://a.example/h\"") && !text.contains("receiver.env"), "{text}");
    sandbox.run(&["target", "edit", "hooks", "--yes", "--store", "keychain:a"]).exits(0);
    assert!(sandbox.config_text().contains("store = \"keychain:a\"\n"), "{}", sandbox.config_text());
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let sandbox = Sandbox::new("layers");
    sandbox.run(&["target", "add", "other", "layers/2", "--store", "keychain:other", "--label", "env=prod"]).exits(0);
    let before = sandbox.config_text();
    assert!(before.contains("labels = { env = \"prod\" }"), "{before}");
    for (arguments, code, words) in [
        (&["hooks"][..], 2, "nothing is to be changed"),
        (&["hoks", "--owner", "x"], 4, "did you mean `hooks`?"),
        (&["hooks", "--store", "nowhere:x"], 2, "is not one whsec knows"),
        (&["hooks", "--store", "keychain:other"], 2, "`keychain:other`"),
        (&["hooks", "--id", "webhook=1"], 2, "webhook"),
        (&["hooks", "--max-age", "soon"], 2, "is not a duration"),
        (&["hooks", "--receiver", "http://a.example"], 2, "is not https"),
        (&["hooks", "--unset", "provider"], 2, "it is one of"),
        (&["hooks", "--unset", "owner", "--owner", "x"], 2, "say two things"),
        (&["hooks", "--label", "a b=c"], 2, "labels"),
    ] {
        let line = [&["target", "edit"], arguments, &["--yes"]].concat();
        sandbox.run(&line).exits(code).says(words);
        assert!(!sandbox.run(&line).stderr.contains("config.toml:"), "what is not written is not cited: {words}");
        assert_eq!(sandbox.config_text(), before, "{words}");
    }
}

/// One that cannot be used as it stands can be mended.
#[test]
fn a_target_that_is_broken_is_mended() {
    let sandbox = Sandbox::new("layers");
    let text = sandbox.config_text();
    sandbox.config(&text.replace("provider = ", "max_age = \"soon\"\nprovider = "));
    sandbox.run(&["inspect", "hooks"]).exits(2);
    sandbox.run(&["target", "edit", "hooks", "--max-age", "90d", "--yes"]).exits(0);
    sandbox.run(&["inspect", "hooks"]).exits(0);
}

#[test]
fn while_a_rotation_is_open_its_endpoint_stays_and_stores_follow() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let before = sandbox.config_text();
    for change in [["--id", "endpointId=other"], ["--base-url", "https://layers.example"]] {
        let run = sandbox.run(&["target", "edit", "hooks", change[0], change[1], "--yes"]).exits(5);
        run.says("its endpoint stays what that was begun for").says("finish it first: whsec cutover hooks");
        assert_eq!(sandbox.config_text(), before);
    }
    std::fs::write(sandbox.path("work/second.env"), format!("{KEY}={}\n", old.expose())).unwrap();
    let stores =
        [sandbox.dotenv(), sandbox.path("work/second.env")].map(|path| format!("dotenv:{}#{KEY}", path.display()));
    let run = sandbox.run(&["target", "edit", "hooks", "--store", &stores[0], "--store", &stores[1], "--yes"]).exits(0);
    run.says("its open rotation takes that in: whsec cutover hooks");
    sandbox.run(&["cutover", "hooks"]).exits(11).says("takes part in this rotation");
    let staged = std::fs::read_to_string(sandbox.path("work/second.env")).unwrap();
    assert!(staged.contains(sandbox.newest().expose()), "it was staged there");
}
