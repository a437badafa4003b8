//! Several targets at once: what a selection names, what is agreed to, and what becomes of each when something goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::sandbox::{Run, Sandbox, is_full};
use crate::servers::crowd::{Crowd, Mishap};

/// A config of many targets at one server.
pub struct Fleet {
    pub sandbox: Sandbox,
    pub crowd: Crowd,
    /// Each target with its endpoint's id.
    pub ids: BTreeMap<String, String>,
}

impl Fleet {
    /// So many at Layers, `pay-0` and on, and so many at Verifa, `acct-0` and on.
    pub fn new(layers: usize, verifa: usize) -> Self {
        let (sandbox, crowd) = (Sandbox::new("layers"), Crowd::start());
        let mut config = "[seal]\nidentity = \"file\"\n".to_owned();
        let mut ids = BTreeMap::new();
        let key = sandbox.path("key").display().to_string();
        let mut add = |name: String, provider: &str, id: String, at: usize| {
            let path = sandbox.path(&format!("work/{name}.env"));
            std::fs::write(&path, format!("HOOK={}\n", crowd.kept(&id).secret)).unwrap();
            let (env, owner) = (["prod", "dev"][at % 2], ["ana", "ben", "cem"][at % 3]);
            config.push_str(&format!(
                "\n[targets.{name}]\nprovider = \"{provider}\"\nid = \"{id}\"\nbase_url = \"{}\"\nstore = \"dotenv:{}#HOOK\"\n\
                 api_key = \"file:{key}\"\nowner = \"{owner}\"\nlabels = {{ env = \"{env}\", n = \"{at}\" }}\n",
                crowd.server.url(),
                path.display(),
            ));
            ids.insert(name, id);
        };
        for at in 0..layers {
            add(format!("pay-{at}"), "layers", format!("d4c71b62-7f08-4dc9-9d2c-{at:012}"), at);
        }
        for at in 0..verifa {
            add(format!("acct-{at}"), "verifa", format!("wh_{at:04}"), at);
        }
        sandbox.config(&config);
        Self { sandbox, crowd, ids }
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.sandbox.run(arguments)
    }

    pub fn rotations(&self, name: &str) -> usize {
        self.crowd.kept(&self.ids[name]).rotations
    }

    pub fn all_rotations(&self) -> Vec<usize> {
        self.ids.keys().map(|name| self.rotations(name)).collect()
    }

    /// Whether the newest secret of an endpoint is in its store.
    pub fn is_stored(&self, name: &str) -> bool {
        let text = std::fs::read_to_string(self.sandbox.path(&format!("work/{name}.env"))).unwrap();
        text.contains(&self.crowd.kept(&self.ids[name]).secret)
    }

    pub fn are_stored(&self) -> bool {
        self.ids.keys().all(|name| self.is_stored(name))
    }
}

/// A plan that somebody has changed by hand, with the digest that it has then.
pub fn resealed(text: &str, from: &str, to: &str) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let fields: BTreeMap<_, _> = fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
                fields.into_iter().collect()
            }
            Value::Array(values) => values.iter().map(sorted).collect(),
            value => value.clone(),
        }
    }
    let changed = text.replace(from, to);
    assert_ne!(changed, text);
    let mut plan: Value = serde_json::from_str(&changed).unwrap();
    let old = plan.as_object_mut().unwrap().remove("digest").unwrap();
    let digest = Sha256::digest(sorted(&plan).to_string()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    changed.replace(old.as_str().unwrap(), &format!("sha256:{digest}"))
}

fn names(object: &Value) -> Vec<String> {
    object["targets"].as_array().unwrap().iter().map(|row| row["target"].as_str().unwrap().to_owned()).collect()
}

/// The last object of a run.
pub fn last(run: &Run) -> Value {
    serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap()
}

pub fn outcomes(run: &Run) -> BTreeMap<String, String> {
    let object = last(run);
    let rows = object["targets"].as_array().unwrap().iter();
    rows.map(|row| (row["target"].as_str().unwrap().to_owned(), row["outcome"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn a_selection_is_named_by_globs_labels_owners_and_providers() {
    let fleet = Fleet::new(6, 3);
    let selected = |arguments: &[&str]| {
        let all = [&["status", "--json"], arguments].concat();
        let mut names = names(&fleet.run(&all).exits(0).json());
        names.sort();
        names.join(" ")
    };
    assert_eq!(selected(&["pay-[0-2]"]), "pay-0 pay-1 pay-2");
    assert_eq!(selected(&["pay-*", "--except", "pay-[0-3]"]), "pay-4 pay-5");
    assert_eq!(selected(&["--provider", "verifa"]), "acct-0 acct-1 acct-2");
    assert_eq!(selected(&["-l", "env=dev"]), "acct-1 pay-1 pay-3 pay-5");
    assert_eq!(selected(&["-l", "env!=dev,n=4"]), "pay-4");
    assert_eq!(selected(&["-l", "!env"]), "");
    assert_eq!(selected(&["-l", "env,n==0"]), "acct-0 pay-0");
    assert_eq!(selected(&["--owner", "ana", "--owner", "ben", "--provider", "verifa"]), "acct-0 acct-1");
    assert_eq!(selected(&["--all", "--overdue"]), "");
    let piped = fleet.sandbox.run_with_stdin(&["status", "-", "--json"], "pay-1\n\n acct-2 \n").exits(0);
    assert_eq!(names(&piped.json()), ["pay-1", "acct-2"]);
    for (arguments, code, says) in [
        (&["rotate", "--yes"][..], 2, "no target is named"),
        (&["rotate", "-l", "env=prod", "--yes"], 2, "no target is named"),
        (&["rotate", "pay-0", "pay-9", "--yes"], 4, "there is no target `pay-9`"),
        (&["rotate", "nothing-*", "--yes"], 0, "nothing to do: no target matches"),
        (&["cutover", "nothing-*", "--done", "deploy"], 4, "no target matches"),
        (&["status", "pay-[", "--json"], 2, "is no glob"),
        (&["status", "-l", "a b"], 2, "env=prod"),
        (&["rotate", "pay-*", "--store", "file:x", "--yes"], 2, "`--store` is for one target"),
        (&["cutover", "pay-*", "--resolve", "applied"], 2, "`--resolve` is for one target"),
        (&["tend", "--json"], 2, "no target is named"),
        (&["status", "--all", "--status", "storred"], 2, "[possible values: planned, unknown, sealed, stored"),
        (&["rotate", "--all", "--provider", "nope", "--yes"], 4, "there is no provider `nope`"),
        (&["rotate", "pay-*", "--except", "pay-07", "--dry-run"], 0, "--except leaves nothing out"),
        (&["rotate", "--all", "--out", "-"], 2, "a plan is not written to stdout"),
        (&["force-rotate", "pay-0", "--reason", "  "], 2, "it is empty"),
    ] {
        fleet.run(arguments).exits(code).says(says);
    }
    // What stands in the place of a target may be anything.
    fleet.run(&["rotate", "pay-0", "whsec_c2VjcmV0LXNlY3JldA", "--yes", "--json"]).exits(4).says_not("c2VjcmV0");
    assert_eq!(fleet.crowd.calls(), 0);
}

#[test]
fn many_are_rotated_once_each_and_again_nothing_is() {
    let fleet = Fleet::new(12, 0);
    let run = fleet.run(&["rotate", "--all", "--yes", "--json"]).exits(0);
    let object = last(&run);
    assert_eq!(object["counts"]["stored"], 12, "{object}");
    assert_eq!((object["status"].as_str(), &object["error"]), (Some("done"), &Value::Null));
    assert_eq!(object["targets"][0]["wave"], 0);
    assert_eq!(run.stdout.lines().filter(|line| line.contains("\"event\":\"target\"")).count(), 12);
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1));
    let again = fleet.run(&["rotate", "--all", "--yes", "--json"]).exits(0);
    assert_eq!(last(&again)["counts"]["open"], 12, "{}", again.stdout);
    assert!(fleet.all_rotations().iter().all(|count| *count == 1));
    // They go on together too.
    let gone_on = fleet.run(&["cutover", "pay-*", "--done", "deploy", "--done", "verify", "--json"]).exits(11);
    assert_eq!(last(&gone_on)["counts"]["open"], 12, "{}", gone_on.stdout);
    assert_eq!(names(&fleet.run(&["status", "--status", "waiting", "--json"]).exits(0).json()).len(), 12);
    // Where nothing is known of a secret's age, nothing is rotated for it.
    let calls = fleet.crowd.calls();
    let run = fleet.run(&["rotate", "--all", "--older-than", "90d", "--yes", "--json"]).exits(0);
    let run = run.says("left out, as how old its secret is is not known here: pay-0, pay-1, pay-10 and 9 more");
    assert_eq!((last(&run)["counts"]["skipped"].clone(), fleet.crowd.calls()), (12.into(), calls));
}

#[test]
fn what_is_done_is_told_in_lines_and_in_one_table() {
    let fleet = Fleet::new(4, 0);
    fleet.crowd.with_whim(|_, id| if id.ends_with('2') { Mishap::Refused(404) } else { Mishap::None });
    let run = fleet.run(&["rotate", "--all", "--yes"]).exits(10);
    let rows: Vec<Vec<&str>> = run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["TARGET", "OUTCOME", "EXIT", "SECRET", "NEXT", "WHY"]);
    assert_eq!(rows[1][..3], ["pay-2", "failed", "4"], "what failed stands first: {}", run.stdout);
    assert!(rows[2..].iter().all(|row| row[1] == "stored" && row[3].starts_with("sha256:") && row[4] == "deploy"));
    let run = run.says("✓ pay-0  stored  sha256:").says("✗ pay-2  failed").says("1 failed, 3 stored of 4 targets");
    run.says("next: deploy; `whsec status` shows what each waits for").says_not("check    prove the key");
    fleet.run(&["status"]).exits(0);
    let quiet = fleet.run(&["rotate", "--all", "--yes", "--quiet"]).exits(10).says("✗ pay-2  failed");
    quiet.says_not("pay-0");
    fleet.run(&["rotate", "--all", "--yes", "-v"]).exits(10).says("pay-2: ");
}

#[test]
fn what_ends_old_secrets_is_agreed_to_by_the_plans_digest_or_by_each_id() {
    let fleet = Fleet::new(2, 3);
    let ready = ["rotate", "--all", "--done", "prepare"];
    let with = |more: &[&str]| fleet.run(&[&ready, more].concat());
    with(&["--yes"])
        .exits(2)
        .says("old secrets end with the call at 3 targets (wh_0000, wh_0001, wh_0002)")
        .says("--confirm-plan sha256:");
    with(&["--yes", "--confirm", "wh_0000", "--confirm", "wh_0001"]).exits(2).says("at 1 targets (wh_0002)");
    with(&["--yes", "--confirm-plan", &format!("sha256:{}", "0".repeat(64))]).exits(5).says("nothing was sent");
    assert_eq!(fleet.crowd.calls(), 0);
    let planned = with(&["--dry-run", "--json"]).exits(0).json();
    assert_eq!(planned["plan"].as_array().unwrap().iter().filter(|one| one["ends_old"] == true).count(), 3);
    assert_eq!(fleet.crowd.calls(), 0);
    let digest = planned["digest"].as_str().unwrap();
    // Another selection is another plan.
    fleet.run(&["rotate", "acct-*", "--done", "prepare", "--confirm-plan", digest]).exits(5);
    let run = with(&["--skip-instant", "--yes", "--json"]).exits(0);
    assert_eq!((last(&run)["counts"]["skipped"].clone(), last(&run)["counts"]["stored"].clone()), (3.into(), 2.into()));
    with(&["--confirm-plan", digest, "--json"]).exits(0);
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1));
    let ids: Vec<&str> = ["wh_0000", "wh_0001", "wh_0002"].iter().flat_map(|id| ["--confirm", id]).collect();
    fleet.run(&["cutover", "acct-*", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    fleet.run(&[&["rotate", "acct-*", "--done", "prepare"][..], &ids].concat()).exits(0);
    assert!((0..3).all(|at| fleet.rotations(&format!("acct-{at}")) == 2));
}

#[test]
fn one_that_fails_stops_no_other_and_as_many_as_may_stop_all() {
    let fleet = Fleet::new(10, 0);
    std::fs::remove_file(fleet.sandbox.path("work/pay-3.env")).unwrap();
    std::fs::create_dir(fleet.sandbox.path("work/pay-3.env")).unwrap();
    let run = fleet.run(&["rotate", "--all", "--yes", "--json", "--max-failures", "3"]).exits(10);
    let came = outcomes(&run);
    assert_eq!(came["pay-3"], "failed");
    assert_eq!(came.values().filter(|outcome| *outcome == "stored").count(), 9);
    assert_eq!(last(&run)["status"], "partial");
    assert_eq!(fleet.rotations("pay-3"), 0);
    let fleet = Fleet::new(10, 0);
    fleet.crowd.with_whim(|what, _| if what == "inspect" { Mishap::Refused(404) } else { Mishap::None });
    let run = fleet.run(&["rotate", "--all", "--yes", "--json", "-j", "2"]).exits(10);
    assert_eq!(last(&run)["counts"]["not_begun"], 9, "the one that goes first has failed: {}", run.stdout);
    assert!(last(&run)["stopped"].as_str().unwrap().contains("those that go first has failed"));
    assert_eq!(fleet.all_rotations().iter().sum::<usize>(), 0);
}

#[test]
fn a_key_that_is_refused_closes_its_provider_and_no_other() {
    let fleet = Fleet::new(8, 4);
    fleet.crowd.with_whim(|_, id| if id.starts_with("wh_") { Mishap::Refused(401) } else { Mishap::None });
    let planned = fleet.run(&["rotate", "--all", "--done", "prepare", "--dry-run", "--json", "--canary", "0"]).json();
    let digest = planned["digest"].as_str().unwrap().to_owned();
    let all = ["rotate", "--all", "--done", "prepare", "--canary", "0", "-j", "1", "--max-failures", "9", "--json"];
    let run = fleet.run(&[&all[..], &["--confirm-plan", &digest]].concat()).exits(10);
    let came = outcomes(&run);
    assert_eq!(came.values().filter(|outcome| *outcome == "stored").count(), 8, "{came:?}");
    let of_verifa: Vec<&String> = came.iter().filter(|(name, _)| name.starts_with("acct")).map(|(_, it)| it).collect();
    assert_eq!(of_verifa.iter().filter(|outcome| ***outcome == *"failed").count(), 1);
    assert_eq!(of_verifa.iter().filter(|outcome| ***outcome == *"not_begun").count(), 3);
}

/// An answer that is lost where it cannot be had again: nothing more is begun at that provider.
#[test]
fn an_answer_that_is_lost_for_good_closes_its_provider() {
    let fleet = Fleet::new(3, 6);
    let mut lost = false;
    fleet.crowd.with_whim(move |what, id| {
        let is_lost = what == "rotate" && id == "wh_0001" && !lost;
        lost |= is_lost;
        if is_lost { Mishap::Unanswered } else { Mishap::None }
    });
    let all = ["rotate", "--all", "--done", "prepare", "--canary", "0", "-j", "1", "--json"];
    let planned = fleet.run(&[&all[..], &["--dry-run"]].concat()).json();
    let run = fleet.run(&[&all[..], &["--confirm-plan", planned["digest"].as_str().unwrap()]].concat()).exits(10);
    let came = outcomes(&run);
    assert_eq!((came["acct-0"].as_str(), came["acct-1"].as_str()), ("stored", "unknown"), "{came:?}");
    assert!((2..6).all(|at| came[&format!("acct-{at}")] == "not_begun"), "{came:?}");
    assert!((2..6).all(|at| fleet.rotations(&format!("acct-{at}")) == 0));
}

/// Of many the notifier is told what needs somebody, and once what they have come to.
#[test]
fn the_notifier_is_told_of_a_run_and_not_of_each_step() {
    let fleet = Fleet::new(4, 0);
    let log = fleet.sandbox.path("work/told");
    let config = fleet.sandbox.config_text();
    let notify = format!("[notify]\ncommand = [\"sh\", \"-c\", \"cat >> {}\"]\n{config}", log.display());
    fleet.sandbox.config(&notify);
    fleet.crowd.with_whim(|_, id| if id.ends_with('2') { Mishap::Refused(404) } else { Mishap::None });
    fleet.run(&["rotate", "--all", "--yes"]).exits(10);
    let told = std::fs::read_to_string(log).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = told.iter().map(|one| one["event"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["closed", "run"], "{told:?}");
    assert_eq!((told[0]["target"].as_str(), &told[1]["counts"]["stored"]), (Some("pay-2"), &Value::from(3)));
}

/// T3: every target of a provider with a limit is rotated, and no call comes before the time that it has named.
#[test]
fn a_provider_that_takes_few_calls_gets_them_one_after_the_other() {
    let fleet = Fleet::new(20, 0);
    fleet.crowd.takes(10, Duration::from_secs(1));
    let run = fleet.run(&["rotate", "--all", "--yes", "--json", "-j", "16"]).exits(0);
    let object = last(&run);
    assert_eq!(object["counts"]["stored"], 20, "{object}");
    assert!(fleet.all_rotations().iter().all(|count| *count == 1));
    assert_eq!(fleet.crowd.impatient(), 0, "{object}");
    let (calls, limited) = (&object["providers"][0]["calls"], &object["providers"][0]["limited"]);
    assert!(limited.as_u64().unwrap() * 5 <= calls.as_u64().unwrap(), "{limited} of {calls}");
}

/// T1, sampled unless all of it is asked for: killed anywhere, and the same command again: each is rotated once, and in its store.
#[test]
fn killed_anywhere_the_same_command_goes_on_and_rotates_none_twice() {
    let (targets, kills) = if is_full() { (500, 300) } else { (30, 10) };
    let fleet = Fleet::new(targets, 0);
    is_killed_and_goes_on(&fleet, kills, &["rotate", "--all", "--yes", "--canary", "0"]);
}

/// The same of a plan in a file.
#[test]
fn killed_anywhere_the_same_plan_goes_on_and_rotates_none_twice() {
    let (targets, kills) = if is_full() { (500, 300) } else { (30, 10) };
    let fleet = Fleet::new(targets, 0);
    let path = fleet.sandbox.path("plan").display().to_string();
    fleet.run(&["rotate", "--all", "--canary", "0", "--out", &path]).exits(0);
    is_killed_and_goes_on(&fleet, kills, &["apply", &path, "--yes"]);
}

fn is_killed_and_goes_on(fleet: &Fleet, kills: usize, command: &[&str]) {
    fleet.crowd.answers_after(Duration::from_millis(20));
    for at in 0..kills {
        let before = fleet.crowd.calls();
        let mut child = fleet.sandbox.spawn(command);
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while fleet.crowd.calls() <= before + at % 9 && std::time::Instant::now() < until {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(child.kill());
        child.wait().unwrap();
        fleet.sandbox.let_leases_end();
    }
    let run = fleet.run(&[command, &["--json"]].concat()).exits(0);
    assert!(fleet.all_rotations().iter().all(|count| *count == 1), "{:?}\n{}", fleet.all_rotations(), run.stdout);
    assert!(fleet.are_stored());
    let status = fleet.run(&["status", "--json"]).exits(0).json();
    assert!(status["targets"].as_array().unwrap().iter().all(|row| row["status"] == "stored"), "{status}");
}

/// A target that another whsec is at is not come to, and that is no success: who has it may be gone.
#[test]
fn what_another_process_is_at_is_not_begun() {
    let fleet = Fleet::new(3, 0);
    fleet.crowd.answers_after(Duration::from_secs(3));
    let child = fleet.sandbox.spawn(&["rotate", "pay-1", "--yes"]);
    fleet.sandbox.until("its first call", |_| fleet.sandbox.state().join("locks").exists() && fleet.crowd.begun() > 0);
    fleet.crowd.answers_after(Duration::ZERO);
    let run = fleet.run(&["rotate", "--all", "--yes", "--json"]).exits(10);
    assert_eq!(
        (outcomes(&run)["pay-1"].as_str(), &last(&run)["counts"]["stored"]),
        ("not_begun", &2.into()),
        "{run:?}"
    );
    fleet.sandbox.finish(child);
    let again = fleet.run(&["rotate", "--all", "--yes", "--json"]).exits(0);
    assert_eq!(last(&again)["counts"]["open"], 3);
    assert!(fleet.all_rotations().iter().all(|count| *count == 1));
}

#[test]
fn a_signal_lets_those_under_way_come_to_rest_and_begins_no_other() {
    let fleet = Fleet::new(20, 0);
    fleet.crowd.answers_after(Duration::from_millis(100));
    let child = fleet.sandbox.spawn(&["rotate", "--all", "--yes", "--json", "-j", "4", "--canary", "0"]);
    fleet.sandbox.until("some calls", |_| fleet.crowd.calls() > 6);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let run = fleet.sandbox.finish(child);
    assert_eq!(run.code, 130, "{run:?}");
    let counts = last(&run)["counts"].clone();
    assert!(counts["not_begun"].as_u64().unwrap() > 0 && counts["unknown"] == 0, "{counts}");
    fleet.crowd.answers_after(Duration::ZERO);
    fleet.run(&["rotate", "--all", "--yes"]).exits(0);
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1));
}

#[test]
fn several_are_shown_each_as_it_would_be_alone() {
    let fleet = Fleet::new(3, 0);
    let run = fleet.run(&["inspect", "pay-*"]).exits(0);
    assert_eq!(run.stdout.lines().filter(|line| line.contains(": endpoint ")).count(), 3, "{}", run.stdout);
    let object = last(&fleet.run(&["inspect", "pay-*", "--json"]).exits(0));
    assert_eq!(object["targets"][1]["result"]["command"], "inspect");
    fleet.crowd.with_whim(|_, id| if id.ends_with('1') { Mishap::Refused(404) } else { Mishap::None });
    let run = fleet.run(&["inspect", "--all", "--json"]).exits(10);
    assert_eq!(outcomes(&run)["pay-1"], "failed");
    assert_eq!(last(&run)["exits"]["4"], 1);
}

/// T10: where each sync takes 50 ms more and all stores are in one folder, whoever waits has a turn.
#[test]
#[ignore = "needs strace"]
fn sixty_four_at_once_wait_for_a_slow_disk() {
    let fleet = Fleet::new(64, 0);
    let inner = fleet.sandbox.command(&["rotate", "--all", "--yes", "--canary", "0", "-j", "64", "--json"]);
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
    command.args(["-e", "inject=fsync,fdatasync:delay_exit=50000"]);
    let output = fleet.sandbox.behind(command, &inner).output().expect("strace is installed");
    let run = fleet.sandbox.watch(output);
    assert_eq!(last(&run)["counts"]["stored"], 64, "{run:?}");
    assert!(fleet.are_stored() && fleet.all_rotations().iter().all(|count| *count == 1));
}

/// Whatever the pace takes, an error of the provider is tried again as often as where one target is alone.
#[test]
fn a_provider_that_fails_is_not_called_again_and_again() {
    let fleet = Fleet::new(2, 0);
    fleet.crowd.with_whim(|act, _| if act == "rotate" { Mishap::Refused(500) } else { Mishap::None });
    let run = fleet.run(&["rotate", "--all", "--canary", "0", "--yes", "--json"]).exits(10);
    assert!(outcomes(&run).values().all(|outcome| outcome == "unknown" || outcome == "not_begun"), "{}", run.stdout);
    let calls = fleet.crowd.calls();
    assert!(calls <= 2 * 6, "{calls} calls");
}

/// What a signal stops has not failed, and what is stored is said to be.
#[test]
fn what_a_signal_stops_is_told_as_it_is() {
    let fleet = Fleet::new(2, 0);
    fleet.run(&["rotate", "--all", "--yes"]).exits(0);
    let run = fleet.run(&["cutover", "--all", "--done", "deploy"]).exits(11);
    run.says("pay-0  open").says("2 open of 2 targets");
    let fleet = Fleet::new(3, 0);
    fleet.crowd.with_whim(|act, _| if act == "rotate" { Mishap::Late(Duration::from_secs(2)) } else { Mishap::None });
    let child = fleet.sandbox.spawn(&["rotate", "--all", "--canary", "0", "--yes", "--json"]);
    fleet.sandbox.until("a call", |_| fleet.all_rotations().iter().all(|count| *count == 1));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), nix::sys::signal::SIGINT)
        .unwrap();
    let run = fleet.sandbox.finish(child).exits(130);
    let object = last(&run);
    assert_eq!((&object["counts"]["failed"], &object["error"]["kind"]), (&0.into(), &"interrupted".into()), "{object}");
    assert!(fleet.are_stored() && object["counts"]["stored"] == 3, "{object}");
}
