//! Rules of who may rotate what, when, and with whose consent: what they do not allow sends nothing, however it is asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::fleet::{Fleet, last, outcomes, resealed};
use crate::sandbox::Run;

/// Gives a fleet's config these rules.
fn ruled(fleet: &Fleet, rules: &str) {
    let text = fleet.sandbox.config_text();
    let text = text.split("\n[policy]").next().unwrap().to_owned();
    fleet.sandbox.config(&format!("{text}\n[policy]\n{rules}\n"));
}

/// A refusal by a rule: the exit code, the rule and the file are said, and nothing was sent.
fn refused(fleet: &Fleet, run: Run, rule: &str) {
    let run = run.exits(9).says(&format!("the rule `{rule}` in `")).says_not("panicked");
    assert_eq!(fleet.crowd.calls(), 0, "{run:?}");
}

/// Somebody's key, its file, and the line of a file of approvers.
fn key(folder: &Path, who: &str, options: &str) -> (PathBuf, String) {
    let file = folder.join(who.replace('*', "all"));
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f"]).arg(&file).output();
    assert!(made.unwrap().status.success());
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    (file, format!("{who} {options}{public}"))
}

/// Signs a file, and puts the signature where it is wanted.
fn sign(key: &Path, namespace: &str, file: &Path, to: &Path) {
    let copy = file.with_extension("copy");
    std::fs::copy(file, &copy).unwrap();
    let signed =
        Command::new("ssh-keygen").args(["-Y", "sign", "-q", "-n", namespace, "-f"]).arg(key).arg(&copy).output();
    let signed = signed.unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    std::fs::rename(copy.with_extension("copy.sig"), to).unwrap();
}

#[test]
fn whatever_is_tried_against_a_rule_sends_nothing() {
    let fleet = Fleet::new(4, 2);
    let (keys, elsewhere) = (fleet.sandbox.path("keys"), fleet.sandbox.path("elsewhere").display().to_string());
    std::fs::write(&keys, "").unwrap();
    let (pay, acct) = (fleet.ids["pay-0"].clone(), fleet.ids["acct-0"].clone());
    let (ad_hoc, url) = (format!("verifa/{acct}"), fleet.crowd.server.url());
    let mut tried = 0;
    let mut each = |rules: &str, rule: &str, ways: &[&[&str]]| {
        ruled(&fleet, rules);
        for way in ways {
            refused(&fleet, fleet.run(way), rule);
            let json = fleet.run(&[way, &["--json"][..]].concat());
            assert_eq!(last(&json)["exit"], 9, "{json:?}");
            refused(&fleet, json, rule);
            tried += 2;
        }
    };
    let confirm = ["--confirm", &acct, "--done", "prepare", "--yes"];
    let instant: &[&[&str]] = &[
        &[&["rotate", "acct-0"][..], &confirm].concat(),
        &[&["rotate", "acct-0", "--detach"][..], &confirm].concat(),
        &[&["rotate", "acct-0", "--reason", "CHG-1"][..], &confirm].concat(),
        &[&["rotate", "acct-0", "--state-dir", &elsewhere][..], &confirm].concat(),
        &[&["rotate", &ad_hoc, "--store", "dotenv:x.env#A", "--base-url", &url][..], &confirm].concat(),
        &["rotate", "acct-0", "pay-0", "--done", "prepare", "--confirm", &acct, "--yes"],
        &["rotate", "--all", "--done", "prepare", "--confirm", &acct, "--confirm", &fleet.ids["acct-1"], "--yes"],
        &[
            "rotate",
            "acct-*",
            "--canary",
            "0",
            "--done",
            "prepare",
            "--confirm",
            &acct,
            "--confirm",
            &fleet.ids["acct-1"],
        ],
    ];
    each("instant = \"never\"", "instant", instant);
    each(&format!("instant = \"plan\"\napprovers = \"{}\"", keys.display()), "instant", instant);
    each(&format!("approvals = {{ instant = 1 }}\napprovers = \"{}\"", keys.display()), "instant", instant);
    let forced: &[&[&str]] = &[
        &["force-rotate", "acct-0", "--reason", "INC-1", "--confirm", &acct, "--done", "prepare"],
        &["force-rotate", "pay-0", "--reason", "INC-1", "--confirm", &pay, "--yes"],
        &["force-rotate", "pay-0", "--reason", "INC-1", "--confirm", &pay, "--detach"],
        &["force-rotate", "pay-0", "pay-1", "--reason", "INC-1", "--confirm", &pay, "--confirm", &fleet.ids["pay-1"]],
        &["force-rotate", "-", "--reason", "INC-1", "--confirm", &pay],
    ];
    let some = &forced[..4];
    each(&format!("approvals = {{ force = 1 }}\napprovers = \"{}\"", keys.display()), "approvals.force", some);
    each("reason = \"^CHG-[0-9]+\"", "reason", some);
    each("may_force = [\"ana@*\", \"group:nobody-is-in-it\"]", "may_force", some);
    let overlap: &[&[&str]] = &[
        &["rotate", "pay-0", "--yes"],
        &["rotate", "pay-0", "--yes", "--reason", "it is urgent", "--detach"],
        &["rotate", "--provider", "layers", "--all", "--yes"],
    ];
    each(&format!("windows = [\"{}\"]", not_now()), "windows", overlap);
    let many = &overlap[2..];
    each(&format!("approvals = {{ plan_over = 3 }}\napprovers = \"{}\"", keys.display()), "approvals.plan_over", many);
    assert!(tried >= 60, "{tried}");
    assert!(fleet.all_rotations().iter().all(|count| *count == 0));
    // Somebody who calls themselves something else is who they are.
    ruled(&fleet, "may_force = [\"ana@*\"]");
    let mut command = fleet.sandbox.command(forced[1]);
    command.env("USER", "ana").env("LOGNAME", "ana");
    refused(&fleet, fleet.sandbox.watch(command.output().unwrap()), "may_force");
    // And who may, does.
    let group = String::from_utf8(Command::new("/usr/bin/id").arg("-gn").output().unwrap().stdout).unwrap();
    ruled(&fleet, &format!("may_force = [\"ana@*\", \"group:{}\"]\nwindows = [\"{}\"]", group.trim(), not_now()));
    fleet.run(forced[1]).exits(0);
    assert_eq!(fleet.rotations("pay-0"), 1);
}

/// A window on the days that are neither today nor next to it, wherever that is.
fn not_now() -> &'static str {
    use jiff::civil::Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    match jiff::Zoned::now().weekday() {
        Monday | Tuesday => "thu-fri 00:00-24:00 UTC",
        Wednesday | Thursday => "sat-sun 00:00-24:00 UTC",
        Friday | Saturday | Sunday => "tue-wed 00:00-24:00 UTC",
    }
}

/// What would be refused can be looked at, and says so.
#[test]
fn a_dry_run_goes_on_and_says_what_would_be_refused() {
    let fleet = Fleet::new(2, 1);
    ruled(&fleet, "instant = \"never\"\nreason = \"^INC-\"");
    for way in [
        &["rotate", "acct-0", "--dry-run"][..],
        &["rotate", "--all", "--dry-run"],
        &["force-rotate", "pay-0", "--reason", "it leaked", "--dry-run"],
        &["force-rotate", "--all", "--reason", "it leaked", "--dry-run"],
    ] {
        let run = fleet.run(way).exits(0).says("it would be refused: ");
        assert_eq!(fleet.crowd.calls(), 0, "{run:?}");
    }
}

/// What is said of a rotation that is open is said with a reason as the rules want it, and only then.
#[test]
fn what_is_vouched_for_takes_a_reason_as_the_rules_want_it() {
    let fleet = Fleet::new(1, 0);
    fleet.run(&["rotate", "pay-0", "--yes"]).exits(0);
    ruled(&fleet, "reason = \"^(INC|CHG)-[0-9]+\"");
    for way in [
        &["cutover", "pay-0", "--done", "deploy"][..],
        &["cutover", "pay-0", "--done", "deploy", "--reason", "as CHG-1 says"],
        &["cutover", "pay-0", "--resolve", "applied"],
        &["cutover", "pay-0", "--override=empty", "--reason", "so"],
        &["finish", "pay-0", "--override", "--reason", "so"],
        &["abandon", "pay-0", "--reason", "so", "--yes"],
    ] {
        fleet.run(way).exits(9).says("the rule `reason` in `");
    }
    fleet.run(&["cutover", "pay-0"]).exits(11);
    fleet.run(&["cutover", "pay-0", "--done", "deploy", "--reason", "CHG-1"]).exits(11).says("deploy");
    let seen = fleet.run(&["inspect", "pay-0", "--json"]).json();
    assert_eq!(seen["rotation"]["status"], "deployed", "{seen}");
}

/// An open rotation is turned to containing a leak by those who may, and by nobody else.
#[test]
fn containing_by_an_open_rotation_is_forcing_too() {
    let fleet = Fleet::new(1, 0);
    fleet.run(&["rotate", "pay-0", "--yes"]).exits(0);
    let id = fleet.ids["pay-0"].clone();
    let force = ["force-rotate", "pay-0", "--reason", "INC-1", "--confirm", &id];
    for (rules, rule) in [
        ("reason = \"^CHG-\"", "reason"),
        ("may_force = [\"ana@*\"]", "may_force"),
        ("approvals = { force = 1 }\napprovers = \"keys\"", "approvals.force"),
    ] {
        ruled(&fleet, rules);
        fleet.run(&force).exits(9).says(&format!("the rule `{rule}`"));
        assert_eq!(fleet.run(&["inspect", "pay-0", "--json"]).json()["rotation"]["direction"], "overlap-either");
    }
    ruled(&fleet, "");
    fleet.run(&force).exits(0).says("the rotation that is open since");
}

/// A plan is carried out once it is signed by as many others as have to, and by nothing less.
#[test]
fn a_plan_that_needs_approval_goes_by_others_signatures() {
    let fleet = Fleet::new(1, 2);
    let folder = fleet.sandbox.path("keys");
    std::fs::create_dir(&folder).unwrap();
    let (ana, ana_line) = key(&folder, "ana@ops", "");
    let (bo, bo_line) = key(&folder, "bo@ops", "namespaces=\"whsec-plan\" ");
    let (planner, planner_line) = key(&folder, "oncall@ops", "");
    let (old, old_line) = key(&folder, "old@ops", "valid-before=\"20200101\" ");
    let (any, any_line) = key(&folder, "*@ops", "");
    let (stranger, _) = key(&folder, "stranger@ops", "");
    let approvers = folder.join("approvers");
    let lines = [&ana_line, &bo_line, &planner_line, &old_line, &any_line].map(String::as_str).concat();
    std::fs::write(&approvers, lines).unwrap();
    ruled(&fleet, &format!("approvals = {{ instant = 2 }}\napprovers = \"{}\"", approvers.display()));
    let path = |name: &str| fleet.sandbox.path(name);
    let plan = |name: &str| {
        let out = path(name).display().to_string();
        let run =
            fleet.run(&["rotate", "--all", "--done", "prepare", "--reason", name, "--out", &out, "--json"]).exits(0);
        assert_eq!(last(&run)["signatures"], 2, "{}", run.stdout);
        last(&run)["digest"].as_str().unwrap().to_owned()
    };
    let (digest, _) = (plan("q4"), plan("other"));
    fleet
        .run(&["rotate", "--all", "--done", "prepare", "--out", &path("x").display().to_string()])
        .says("ssh-keygen -Y sign");
    let looked = fleet.crowd.calls();
    let apply =
        |file: &str| fleet.run(&["apply", &path(file).display().to_string(), "--confirm-plan", &digest, "--json"]);
    let refused = |says: &str| {
        let run = apply("q4").exits(9).says(says);
        assert_eq!((fleet.crowd.calls(), &last(&run)["exit"]), (looked, &Value::from(9)), "{run:?}");
    };
    let (q4, sig) = (path("q4"), path("q4.sig"));
    refused("the plan has 0 of 2 signatures that the rule `approvals.instant` in");
    sign(&ana, "whsec-plan", &q4, &sig);
    refused("the plan has 1 of 2");
    for (key, namespace, of, says) in [
        (&planner, "whsec-plan", "q4", "`q4.b.sig` is by oncall@ops, who has made the plan"),
        (&ana, "whsec-plan", "q4", "`q4.sig` is by ana@ops once more"),
        (&bo, "file", "q4", "`q4.b.sig` by bo@ops is not of this plan"),
        (&ana, "git", "q4", "by ana@ops is not of this plan"),
        (&bo, "whsec-plan", "other", "`q4.b.sig` by bo@ops is not of this plan"),
        (&old, "whsec-plan", "q4", "`q4.b.sig` "),
        (&any, "whsec-plan", "q4", "`q4.b.sig` is by nobody whom"),
        (&stranger, "whsec-plan", "q4", "`q4.b.sig` is by nobody whom"),
    ] {
        sign(key, namespace, &path(of), &path("q4.b.sig"));
        refused(says);
    }
    for nonsense in ["", "whatever", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"] {
        std::fs::write(path("q4.b.sig"), nonsense).unwrap();
        refused("`q4.b.sig` is by nobody whom");
    }
    // A signature is of every byte.
    sign(&bo, "whsec-plan", &q4, &path("q4.b.sig"));
    let text = std::fs::read_to_string(&q4).unwrap();
    std::fs::write(&q4, text.replacen('\n', " \n", 1)).unwrap();
    let run = apply("q4");
    assert!([5, 9].contains(&run.code), "{run:?}");
    assert_eq!(fleet.crowd.calls(), looked);
    std::fs::write(&q4, &text).unwrap();
    // From a pipe there is nothing beside it.
    let piped = fleet.sandbox.run_with_stdin(&["apply", "-", "--confirm-plan", &digest], &text);
    piped.exits(9).says("a plan from a pipe has no signatures");
    // The file of keys is nobody else's to write.
    std::fs::set_permissions(&approvers, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    refused("other users may write it");
    std::fs::set_permissions(&approvers, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // A plan that somebody has written to need none is none of ours: it is not what is decided of the target.
    let out = path("forged").display().to_string();
    fleet.run(&["rotate", "acct-0", "acct-1", "--done", "prepare", "--out", &out]).exits(0);
    let honest = std::fs::read_to_string(&out).unwrap();
    std::fs::write(&out, resealed(&honest, "\"ends_old\": true", "\"ends_old\": false")).unwrap();
    let run = fleet.run(&["apply", &path("forged").display().to_string(), "--yes", "--json"]).exits(10);
    let came = outcomes(&run);
    assert_eq!((came["acct-0"].as_str(), came["acct-1"].as_str()), ("stale", "stale"), "{came:?}");
    assert!(fleet.all_rotations().iter().all(|count| *count == 0));
    let looked = fleet.crowd.calls();
    // Signed by two others, it still has to be agreed to.
    fleet.run(&["apply", &q4.display().to_string(), "--yes"]).exits(2);
    assert_eq!(fleet.crowd.calls(), looked);
    apply("q4").exits(0);
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1));
    let told = last(&fleet.run(&["report", "acct-0", "--json"]));
    let plan = &told["rotations"][0]["plan"];
    assert_eq!(
        (&plan["digest"], &plan["approved_by"]),
        (&digest.into(), &serde_json::json!(["ana@ops", "bo@ops"])),
        "{told}"
    );
    assert!(fleet.run(&["report", "acct-0"]).exits(0).stdout.contains("signed by ana@ops, bo@ops"));
}

/// The machine's rules hold whatever config, home or variables somebody brings. In a mount namespace, where `/etc` is the test's.
#[test]
fn the_rules_of_the_machine_hold_whatever_is_brought() {
    let fleet = Fleet::new(1, 0);
    let etc = fleet.sandbox.path("etc");
    std::fs::create_dir_all(etc.join("whsec")).unwrap();
    std::fs::write(etc.join("whsec/policy.toml"), "windows = [\"WINDOW\"]".replace("WINDOW", not_now())).unwrap();
    let inside = |command: &Command| {
        let mut unshare = Command::new("/usr/bin/unshare");
        let script = format!("mount --bind '{}' /etc && exec \"$@\"", etc.display());
        unshare.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"]);
        fleet.sandbox.behind(unshare, command).output().unwrap()
    };
    if !inside(&Command::new("/bin/true")).status.success() {
        println!("SKIPPED the machine's rules: no mount namespace can be made here");
        return;
    }
    let config = fleet.sandbox.path("home/.config/whsec/config.toml").display().to_string();
    type Way<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
    let ways: &[Way<'_>] = &[
        (&["rotate", "pay-0", "--yes"], &[]),
        (&["rotate", "pay-0", "--yes", "--config", &config], &[]),
        (&["rotate", "pay-0", "--yes"], &[("WHSEC_CONFIG", &config)]),
        (
            &["rotate", "pay-0", "--yes", "--config", &config],
            &[("HOME", "/nonexistent"), ("XDG_CONFIG_HOME", "/nonexistent")],
        ),
    ];
    for (way, variables) in ways {
        let mut command = fleet.sandbox.command(way);
        command.envs(variables.iter().copied());
        let run = fleet.sandbox.watch(inside(&command)).exits(9);
        run.says("the rule `windows` in `/etc/whsec/policy.toml`").says("and it is ");
    }
    // Rules that cannot be read allow nothing.
    for (text, says) in
        [("windows = [\"x\"]", "/etc/whsec/policy.toml:1:12"), ("instant = ", "/etc/whsec/policy.toml:1")]
    {
        std::fs::write(etc.join("whsec/policy.toml"), text).unwrap();
        fleet.sandbox.watch(inside(&fleet.sandbox.command(&["rotate", "pay-0", "--yes"]))).exits(2).says(says);
    }
    assert_eq!(fleet.crowd.calls(), 0);
    // What they say nothing of is done.
    std::fs::write(etc.join("whsec/policy.toml"), "instant = \"never\"").unwrap();
    fleet.sandbox.watch(inside(&fleet.sandbox.command(&["rotate", "pay-0", "--yes"]))).exits(0);
}
