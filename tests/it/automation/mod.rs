//! The actions, the workflow and the CronJob that the README links to, run as they are written. Here: what an action takes and tells;
//! `shared.rs` has whole rotations by them.

mod runner;
mod shared;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use whsec::provider::stand_in::Fault;

use crate::sandbox::{Sandbox, is_full};
use runner::{Context, Job, Runner, yaml};

/// A text of ours with what is to be put in by whoever uses it.
fn filled(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "no `{from}` in\n{text}");
        text.replace(from, to)
    })
}

fn ours(name: &str) -> String {
    std::fs::read_to_string(name).unwrap()
}

/// Where the program is, and its digest.
fn binary() -> (String, String) {
    let program = env!("CARGO_BIN_EXE_whsec");
    (format!("file://{program}"), digest(&std::fs::read(program).unwrap()))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A repository with one job that runs one command, over a state folder of its own.
struct Small {
    sandbox: Sandbox,
    runner: Runner,
}

impl Small {
    fn new() -> Self {
        let sandbox = Sandbox::new("layers");
        let mut runner = Runner::new(sandbox.path("github"), &[]);
        runner.variables = [
            ("WHSEC_CONFIG", sandbox.path("home/.config/whsec/config.toml").display().to_string()),
            ("WHSEC_STATE_DIR", sandbox.state().display().to_string()),
            ("WHSEC_JOURNAL", sandbox.journal.clone().unwrap_or("local".to_owned())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        Self { sandbox, runner }
    }

    /// Runs a command by the action with these inputs, behind a setup with those. One that is to be refused stands behind one that is not.
    fn job(&self, setup: &[(&str, &str)], run: &[(&str, &str)], inputs: &[(&str, &str)]) -> Job {
        let (url, sha256) = binary();
        let mut given: BTreeMap<&str, &str> =
            [("version", env!("CARGO_PKG_VERSION")), ("url", url.as_str()), ("sha256", sha256.as_str())].into();
        let right = given.clone();
        given.extend(setup.iter().copied());
        let env: BTreeMap<&str, String> =
            self.runner.variables.keys().map(|name| (name.as_str(), format!("${{{{ vars.{name} }}}}"))).collect();
        let run: BTreeMap<&str, &str> = run.iter().copied().collect();
        let workflow = json!({ "on": { "workflow_dispatch": {} }, "env": env, "jobs": { "it": { "steps": [
            { "uses": "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1" },
            { "if": format!("'{}'", if setup.is_empty() { "" } else { "yes" }), "uses": "./.github/actions/whsec/setup", "with": right },
            { "uses": "./.github/actions/whsec/setup", "with": given },
            { "uses": "./.github/actions/whsec/run", "with": run },
        ]}}});
        std::fs::write(self.sandbox.path("github/repository/small.yml"), workflow.to_string()).unwrap();
        self.runner.run("small.yml", "workflow_dispatch", inputs).jobs.remove("it").unwrap()
    }

    fn run(&self, run: &[(&str, &str)]) -> Job {
        self.job(&[], run, &[])
    }

    /// The same with this script in the program's place.
    fn run_script(&self, script: &str, run: &[(&str, &str)]) -> Job {
        let program = self.sandbox.path("script");
        let script = format!("#!/bin/sh\n[ \"$1\" != --version ] || {{ echo whsec 7.0.0; exit; }}\n{script}");
        std::fs::write(&program, &script).unwrap();
        let (url, sha256) = (format!("file://{}", program.display()), digest(script.as_bytes()));
        self.job(&[("version", "7.0.0"), ("url", &url), ("sha256", &sha256)], run, &[])
    }

    /// Has this script stand before a program of the machine's.
    fn has_program(&mut self, name: &str, script: &str) {
        let folder = self.sandbox.path("programs");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), script).unwrap();
        std::fs::set_permissions(folder.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        self.runner.programs = Some(folder);
    }
}

/// What is said by a program in whsec's place.
const SAYS: &str = r#"{"schema":"whsec/v1","command":"tend","exit":0,"targets":[]}"#;

#[test]
fn a_cancel_while_another_machine_is_waited_for_begins_nothing_more() {
    let small = Small::new();
    let (calls, waits) = (small.sandbox.path("calls"), small.sandbox.path("waits"));
    let script = format!(
        "echo '{{\"error\":{{\"busy\":true}}}}'; echo call >>'{}'; : >'{}'; exit 5\n",
        calls.display(),
        waits.display(),
    );
    let it_is_time = Arc::new(AtomicBool::new(false));
    small.runner.strikes(rustix::process::Signal::INT, Arc::clone(&it_is_time));
    let job = std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            while !waits.exists() && begun.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(5));
            }
            // It is over by then, and the pause has begun.
            std::thread::sleep(Duration::from_millis(500));
            it_is_time.store(true, Ordering::SeqCst);
        });
        small.run_script(&script, &[("command", "cutover"), ("select", "hooks"), ("wait-when-busy", "8")])
    });
    assert_eq!((job.result.as_str(), job.outputs["exit"].as_str()), ("failure", Some("5")), "{job:#?}");
    assert_eq!(std::fs::read_to_string(calls).unwrap(), "call\n", "{job:#?}");
}

/// Bash says when it is between the start of a process and the knowledge of its id.
#[test]
fn a_cancel_just_as_whsec_starts_reaches_it() {
    let mut small = Small::new();
    let hook = small.sandbox.path("hook");
    let strikes = "set -T\ntrap '[[ \"$BASH_COMMAND\" != \"child=\\$!\" ]] || { echo struck; kill -TERM $$; }' DEBUG\n";
    std::fs::write(&hook, strikes).unwrap();
    small.runner.variables.insert("BASH_ENV".to_owned(), hook.display().to_string());
    let script = format!("i=0; while [ $i -lt 50 ]; do sleep 0.1; i=$((i + 1)); done; echo '{SAYS}'\n");
    let job = small.run_script(&script, &[("command", "tend"), ("select", "--all")]);
    assert!(job.log.contains("struck"), "{job:#?}");
    assert_eq!((job.result.as_str(), job.outputs["exit"].as_str()), ("failure", Some("143")), "{job:#?}");
}

#[test]
fn a_jq_that_fails_hides_nothing_of_how_whsec_has_ended() {
    let mut small = Small::new();
    small.has_program("jq", "#!/bin/sh\nexit 7\n");
    for (code, result) in [(0, "success"), (11, "success"), (12, "failure")] {
        let script = format!("echo '{SAYS}'\nexit {code}\n");
        let run = [("command", "tend"), ("select", "--all"), ("waiting-is-success", "true")];
        let job = small.run_script(&script, &run);
        let code = code.to_string();
        assert_eq!((job.result.as_str(), job.outputs["exit"].as_str()), (result, Some(code.as_str())), "{job:#?}");
        assert!(job.annotations.iter().any(|(level, _, words)| level == "warning" && words.contains("jq")), "{job:#?}");
        assert!(job.summary.contains(&format!("exit {code}")), "{job:#?}");
    }
}

#[test]
fn seconds_with_a_zero_in_front_are_seconds() {
    let small = Small::new();
    for wait in ["08", "010", "0", "0000"] {
        let job = small.run(&[("command", "tend"), ("select", "--all"), ("wait-when-busy", wait)]);
        assert_eq!((job.result.as_str(), job.outputs["exit"].as_str()), ("success", Some("0")), "{wait}: {job:#?}");
    }
}

#[test]
fn waiting_is_a_success_where_the_workflow_says_so_and_failures_are_red_with_their_reason() {
    let small = Small::new();
    let job =
        small.run(&[("command", "rotate"), ("select", "hooks"), ("arguments", "--yes\n"), ("reason", "a\nb --force")]);
    assert_eq!((job.result.as_str(), job.outputs["exit"].as_str()), ("success", Some("0")), "{job:#?}");
    assert_eq!((job.outputs["open"].as_str(), job.outputs["overdue"].as_str()), (Some("1"), Some("0")));
    assert!(job.outputs["json"].as_str().unwrap().contains(r#""reason":"a\nb --force""#), "{job:#?}");
    for (waiting, result, level) in [("true", "success", "notice"), ("false", "failure", "error")] {
        let job = small.run(&[("command", "tend"), ("select", "--all"), ("waiting-is-success", waiting)]);
        assert_eq!((job.result.as_str(), job.outputs["exit"].as_str()), (result, Some("11")));
        let said = (level.to_owned(), "whsec tend".to_owned(), "waits: hooks (deploy)".to_owned());
        assert_eq!(job.annotations, [said], "{job:#?}");
    }
    // 5, with what whsec says about it.
    let job = small.run(&[("command", "rotate"), ("select", "hooks"), ("arguments", "--yes")]);
    assert_eq!(
        (job.result.as_str(), job.outputs["exit"].as_str(), job.outputs["open"].as_str()),
        ("failure", Some("5"), Some(""))
    );
    let (level, title, words) = &job.annotations[0];
    assert_eq!((level.as_str(), title.as_str()), ("error", "whsec rotate"));
    assert!(words.contains("is open already") && words.contains("%0Ago on with it: whsec cutover hooks"), "{words}");
    assert!(job.summary.contains("is open already"), "{}", job.summary);
    // 10: one of two.
    let job = small.run(&[("command", "tend"), ("select", "hooks\nhoks"), ("waiting-is-success", "true")]);
    assert_eq!(
        (job.result.as_str(), job.outputs["exit"].as_str(), job.outputs["open"].as_str()),
        ("failure", Some("10"), Some("1"))
    );
    assert!(
        job.annotations.iter().any(|(level, title, _)| (level.as_str(), title.as_str()) == ("error", "whsec hoks")),
        "{job:#?}"
    );
    assert!(
        job.summary.contains("| `hooks` | `stored` | `deploy` |") && job.summary.contains("`hoks`: "),
        "{}",
        job.summary
    );
    // 12: a rotation that this machine does not know.
    small.sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
    small.sandbox.run(&["abandon", "hooks", "--reason", "tried", "--yes"]);
    if small.sandbox.journal.is_none() {
        std::fs::remove_dir_all(small.sandbox.state()).unwrap();
        let job = small.run(&[("command", "tend"), ("select", "--all"), ("waiting-is-success", "true")]);
        assert_eq!(
            (job.result.as_str(), job.outputs["exit"].as_str(), job.outputs["overdue"].as_str()),
            ("failure", Some("12"), Some("1"))
        );
        assert_eq!(
            (job.annotations[0].0.as_str(), job.annotations[0].2.as_str()),
            ("error", "overdue: hooks"),
            "{job:#?}"
        );
        assert!(job.summary.contains("**yes**"), "{}", job.summary);
    }
}

/// Whoever may dispatch a workflow says which target, and nothing else.
#[test]
fn what_somebody_types_is_a_target_and_never_a_command_an_option_or_a_word_to_the_runner() {
    let small = Small::new();
    let selects = [
        "$(touch x)",
        "`touch x`",
        "; touch x",
        "hooks; touch x",
        "hooks hooks",
        "hooks\n::error title=x::y",
        "\"; touch x; \"",
        "--config=/x",
        "--yes",
        "-h",
        "hooks\n--all",
        "[",
        "x-*\nhooks-[",
        "%0A::error::x",
        "${{ secrets.X }}",
        "a\r\n::stop-commands::x",
        "::add-mask::hooks",
    ];
    let is_full = is_full();
    for (number, select) in selects.into_iter().enumerate() {
        // Sampled, each is typed at one of the two.
        for command in
            ["tend", "rotate"].into_iter().skip(if is_full { 0 } else { number % 2 }).take(if is_full { 2 } else { 1 })
        {
            let job = small.job(
                &[],
                &[
                    ("command", command),
                    ("select", "${{ inputs.target }}"),
                    ("arguments", if command == "rotate" { "--yes" } else { "" }),
                ],
                &[("target", select)],
            );
            assert_eq!(job.result, "failure", "{command} {select:?}: {job:#?}");
            assert!(
                ["2", "4", "10"].contains(&job.outputs["exit"].as_str().unwrap()),
                "{command} {select:?}: {job:#?}"
            );
            assert!(
                job.annotations.iter().all(|(level, title, _)| level == "error" && title.starts_with("whsec ")),
                "{job:#?}"
            );
        }
    }
    assert_eq!(small.sandbox.rotations(), 0);
    assert!(small.sandbox.all_files().iter().all(|(path, _)| !path.ends_with("x")), "a file was made");
    // Nor does the action run what shows or moves a secret.
    for command in ["reveal", "store", "rotate cutover", "tend --all", "", "rotate\ntend"] {
        let job = small.run(&[("command", command), ("select", "hooks")]);
        assert_eq!((job.result.as_str(), job.outputs["exit"].as_str()), ("failure", Some("")), "{command}");
    }
}

/// What a provider says cannot speak to the runner or paint in the summary.
#[test]
fn what_a_provider_says_is_words() {
    let small = Small::new();
    let words = "x\n::error title=forged::y ::set-output name=exit::0 `|` <img src=http://x> ![a](http://x)";
    small
        .sandbox
        .stand_in
        .fault(Fault::Status(422, json!({ "error": { "code": words, "message": words } }).to_string()));
    let job = small.run(&[("command", "rotate"), ("select", "hooks"), ("arguments", "--yes")]);
    assert_eq!(job.result, "failure", "{job:#?}");
    assert_eq!(job.annotations.len(), 1, "{job:#?}");
    assert!(job.annotations[0].1 == "whsec hooks" && job.annotations[0].2.contains("title=forged"), "{job:#?}");
    let outside: String = job.summary.split('`').step_by(2).collect();
    assert!(!outside.contains("<img") && !outside.contains("!["), "{}", job.summary);
    // Should it ever stand at the beginning of a line, the runner does not listen.
    let says = "echo '::error title=x::y' >&2\necho ::add-path::/x >&2\n";
    let job = small.run_script(says, &[("command", "tend"), ("select", "--all")]);
    let said = ("error".to_owned(), "whsec tend".to_owned(), "exit 1: what it said stands above".to_owned());
    assert_eq!(job.annotations, [said], "{job:#?}");
    assert_eq!((job.result.as_str(), job.log.contains("::add-path")), ("failure", true));
}

#[test]
fn a_binary_that_is_not_the_one_that_is_pinned_is_not_installed() {
    let small = Small::new();
    let tend = [("command", "tend"), ("select", "--all")];
    let (_, right) = binary();
    let zeros = "0".repeat(64);
    let large = right.to_uppercase();
    let nowhere = format!("file://{}", small.sandbox.path("nowhere").display());
    let wrong: [(&[(&str, &str)], &str); 11] = [
        (&[("sha256", &zeros)], "another SHA-256"),
        (&[("sha256", "")], "sha256: give"),
        (&[("sha256", &large)], "sha256: give"),
        (&[("sha256", &right[..63])], "sha256: give"),
        (&[("version", "9.9.9")], "another version"),
        (&[("version", "")], "version: give"),
        (&[("version", "0.1.0\n::error::x")], "version: give"),
        (&[("url", &nowhere)], "cannot be had"),
        (&[("url", "http://127.0.0.1:1/whsec")], "url: give"),
        (&[("url", "https://x/\n::add-path::x")], "url: give"),
        (&[("attested-by", "ops/whsec --owner evil")], "attested-by: give"),
    ];
    for (setup, why) in wrong {
        let job = small.job(setup, &tend, &[]);
        assert_eq!((job.result.as_str(), job.outputs.is_empty()), ("failure", true), "{setup:?}: {job:#?}");
        let (level, title, words) = &job.annotations[0];
        assert!(level == "error" && title == "whsec setup" && words.contains(why), "{setup:?}: {job:#?}");
        assert!(!job.left.iter().any(|path| path.ends_with("whsec")), "{setup:?}: {:?}", job.left);
    }
    let job = small.job(&[], &tend, &[]);
    assert!(job.result == "success" && job.left.iter().any(|path| path.ends_with("whsec-bin/whsec")), "{job:#?}");
}

/// `gh` is asked about the very file that was fetched, and believed.
#[test]
fn an_attestation_that_does_not_hold_installs_nothing() {
    let mut small = Small::new();
    let tend = [("command", "tend"), ("select", "--all")];
    let job = small.job(&[("attested-by", "ops/whsec")], &tend, &[]);
    assert!(job.result == "failure" && job.annotations[0].2.contains("there is no gh"), "{job:#?}");
    for (holds, result) in [(0, "success"), (1, "failure")] {
        let gh = format!(
            "#!/bin/sh\n[ \"$1 $2 $4 $5\" = 'attestation verify --repo ops/whsec' ] && [ -n \"$GH_TOKEN\" ] && cmp -s \"$3\" '{}' && exit {holds}\nexit 9\n",
            env!("CARGO_BIN_EXE_whsec"),
        );
        small.has_program("gh", &gh);
        let job = small.job(&[("attested-by", "ops/whsec")], &tend, &[]);
        assert_eq!(job.result, result, "{job:#?}");
        assert_eq!(job.left.iter().any(|path| path.ends_with("whsec")), holds == 0, "{:?}", job.left);
    }
}

/// A rotation that waits for its reviewers keeps no tick back, and no tick pushes a dispatch out of the queue.
#[test]
fn ticks_and_dispatches_of_each_target_queue_by_themselves() {
    let workflow = yaml(&ours("docs/automation/webhook-secrets.yml"));
    let group = |event: &str, target: &str| {
        let values = json!({ "github": { "event_name": event }, "inputs": { "target": target } });
        Context::of(values).fill(&workflow["concurrency"]["group"])
    };
    let groups = [group("schedule", ""), group("workflow_dispatch", "a"), group("workflow_dispatch", "b")];
    assert!(groups[0] != groups[1] && groups[1] != groups[2] && groups[0] != groups[2], "{groups:?}");
    assert_eq!(workflow["concurrency"]["cancel-in-progress"], false);
    assert_eq!(workflow["permissions"], json!({ "contents": "read" }));
    assert_eq!(workflow["jobs"]["rotate"]["environment"], "webhook-secrets");
    assert!(workflow["jobs"]["tend"]["environment"].is_null(), "nobody is there to agree");
}

/// The documents of the CronJob's file: the config, and the CronJob.
fn manifest() -> (Value, Value) {
    let text = ours("docs/automation/cronjob.yaml");
    let (config, job) = text.split_once("\n---\n").unwrap();
    (yaml(config), yaml(job))
}

/// kubectl reads what it is given into the types of Kubernetes, which have no place for what they do not know.
#[test]
#[ignore = "needs kubectl; run by tests/run"]
fn kubernetes_has_a_place_for_each_word_of_the_cronjob() {
    let (config, job) = manifest();
    assert_eq!((&config["kind"], &job["kind"]), (&json!("ConfigMap"), &json!("CronJob")));
    let arguments = ["set", "serviceaccount", "x", "--local", "-o", "json", "-f", "docs/automation/cronjob.yaml"];
    let read = Command::new("kubectl").args(arguments).env("HOME", "/nonexistent").output().unwrap();
    // It says of the ConfigMap that it runs nothing.
    let known: Value = serde_json::from_slice(&read.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&read.stderr)));
    has(&known, &job, "");
}

/// Fails where something of what was written is not in what was read.
fn has(read: &Value, written: &Value, at: &str) {
    match written {
        Value::Object(map) => map.iter().for_each(|(name, value)| has(&read[name], value, &format!("{at}.{name}"))),
        Value::Array(list) => {
            assert_eq!(read.as_array().map(Vec::len), Some(list.len()), "{at}");
            list.iter().enumerate().for_each(|(place, value)| has(&read[place], value, &format!("{at}[{place}]")));
        }
        _ => assert_eq!(read, written, "{at} is none that Kubernetes knows"),
    }
}
