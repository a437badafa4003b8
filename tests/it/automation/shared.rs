//! The workflow and the CronJob, run as they are written: on runners and in pods that have nothing in common but the journal, the
//! store and what the repository sets up. `tests/postgres/session.sh` starts the journal's server.

mod planned;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;
use serde_json::{Value, json};
use whsec::provider::stand_in::Fault;

use super::runner::{Job, Outcome, Runner};
use super::{binary, filled, manifest, ours};
use crate::receivers::{Kind, Receiver};
use crate::sandbox::Sandbox;
use crate::servers::vault::{TOKEN, Vault};

const NEEDS: &str = "tests/postgres/session.sh starts a server for this";
const WORKFLOW: &str = ".github/workflows/webhook-secrets.yml";
const PLAN: &str = ".github/workflows/webhook-secrets-plan.yml";
const PASSWORD: &str = "pg-password-4fd1";

/// A company: its repository, its Vault, its receivers and the endpoint.
struct Company {
    sandbox: Sandbox,
    vault: Vault,
    receiver: Receiver,
    runner: Runner,
    identity: String,
}

impl Company {
    fn new(clock: fn() -> Timestamp) -> Self {
        let receiver = Receiver::start(Kind::Both);
        let sandbox = Sandbox::with_receiver_and_clock("layers", &receiver.url, clock);
        assert!(sandbox.journal.is_some(), "{NEEDS}");
        let vault = Vault::start();
        let identity = std::fs::read_to_string(sandbox.state().join("seal-identity")).unwrap().trim().to_owned();
        vault.write("ops/whsec", json!({ "identity": identity }));
        vault.write("apps/payments", json!({ "webhook_secret": sandbox.newest().expose(), "other": "kept" }));
        let deployed = sandbox.path("deployed.env");
        receiver.reads(&deployed);
        std::fs::write(sandbox.path("token-header"), format!("X-Vault-Token: {TOKEN}\n")).unwrap();
        // Their own deploy: the receivers have the secrets in files, as a restart reads them.
        let slots = ["", "_next:_NEW", "_previous:_OLD"].map(|slot| {
            let (field, key) = slot.split_once(':').unwrap_or((slot, slot));
            format!(r#"(.webhook_secret{field} // empty | "HOOK_SECRET{key}=" + .)"#)
        });
        let deploy = format!(
            "on:\n  workflow_call:\njobs:\n  all:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          curl -sf -H @{} \
             {}/v1/secret/data/apps/payments | jq -r '.data.data | {}' > {}\n",
            sandbox.path("token-header").display(),
            vault.server.url(),
            slots.join(", "),
            deployed.display(),
        );
        let config = Self::config(&ours("docs/automation/whsec.toml"), &sandbox, &receiver);
        let (url, sha256) = binary();
        let pinned = |name: &str| {
            let pins = [
                ("\"0.1.0\"", env!("CARGO_PKG_VERSION")),
                ("https://files.example.com/whsec-0.1.0-x86_64-linux", &url),
                ("the 64 digits of its SHA-256", &sha256),
            ];
            filled(&ours(name), &pins)
        };
        let (workflow, by_plan) =
            (pinned("docs/automation/webhook-secrets.yml"), pinned("docs/automation/webhook-secrets-plan.yml"));
        let files = [
            (WORKFLOW, workflow.as_str()),
            (PLAN, by_plan.as_str()),
            (".github/workflows/deploy.yml", &deploy),
            (".github/whsec.toml", &config),
        ];
        let mut runner = Runner::new(sandbox.path("github"), &files);
        let texts = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        runner.variables =
            texts(&[("WHSEC_JOURNAL", sandbox.journal.as_ref().unwrap()), ("VAULT_ADDR", &vault.server.url())]);
        runner.secrets = texts(&[
            ("WHSEC_PGPASSWORD", PASSWORD),
            ("WHSEC_VAULT_TOKEN", TOKEN),
            ("LAYERS_API_KEY", sandbox.api_key.expose()),
        ]);
        let company = Self { sandbox, vault, receiver, runner, identity };
        company.deploys();
        company
    }

    fn config(text: &str, sandbox: &Sandbox, receiver: &Receiver) -> String {
        let id = format!("{}\"\nbase_url  = \"{}", sandbox.id(), sandbox.stand_in.base_url());
        // A ConfigMap's text is indented.
        let indent = if text.contains("    provider") { "    " } else { "" };
        let id = id.replace('\n', &format!("\n{indent}"));
        let pairs = [
            ("d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4411", id.as_str()),
            ("https://hooks.example.com/layers", &receiver.url),
        ];
        filled(text, &pairs)
    }

    fn deploys(&self) {
        let done = self.runner.run(".github/workflows/deploy.yml", "workflow_call", &[]);
        assert_eq!(done.result("all"), "success", "{done:?}");
    }

    fn dispatch(&self, step: &str) -> Outcome {
        self.runner.run(WORKFLOW, "workflow_dispatch", &[("target", "payments"), ("step", step)])
    }

    fn tick(&self) -> Job {
        self.runner.run(WORKFLOW, "schedule", &[]).jobs.remove("tend").unwrap()
    }

    /// Next, current and previous, by what they are.
    fn slots(&self, old: &str) -> [&'static str; 3] {
        let document = self.vault.document("apps/payments").unwrap();
        assert_eq!(document["other"], "kept");
        let new = self.sandbox.newest();
        ["_next", "", "_previous"].map(|slot| match document[format!("webhook_secret{slot}")].as_str() {
            None => "empty",
            Some(value) if value == new.expose() => "new",
            Some(value) if value == old => "old",
            Some(_) => "other",
        })
    }

    /// A day later, by the provider's clock and the receivers': ticks and a deploy bring the rotation to its end.
    fn ends(&self, ahead: &AtomicI64, old: &str) {
        ahead.store(90_000, Ordering::SeqCst);
        self.receiver.is_ahead(90_000);
        self.waits(old);
        self.deploys();
        let tick = self.tick();
        assert_eq!((tick.result.as_str(), tick.outputs["exit"].as_str()), ("success", Some("0")), "{tick:?}");
        assert_eq!((self.sandbox.rotations(), self.slots(old)), (1, ["empty", "new", "empty"]));
    }

    /// Ticks end the wait. Then the receivers still have to drop the old secret, which is overdue from that moment on.
    fn waits(&self, old: &str) {
        self.sandbox.until("the end of the wait", |_| self.tick().annotations[0].2.contains("payments (drop)"));
        let tick = self.tick();
        assert_eq!((tick.result.as_str(), tick.outputs["exit"].as_str()), ("failure", Some("12")), "{tick:#?}");
        let said = ("error".to_owned(), "whsec tend".to_owned(), "overdue: payments (drop)".to_owned());
        assert_eq!((tick.annotations, self.slots(old)), (vec![said], ["empty", "new", "empty"]));
    }

    /// Nothing that any job has left holds a secret.
    fn says_no_secret(&self, old: &str) {
        let (left, new) = (self.runner.left(), self.sandbox.newest());
        assert!(left.contains("whsec/v1"), "the jobs were looked at");
        for secret in [old, new.expose(), self.sandbox.api_key.expose(), TOKEN, PASSWORD, &self.identity] {
            let found = left.find(secret).map(|at| &left[at.saturating_sub(300)..at]);
            assert_eq!(found, None, "a secret was left behind this");
        }
    }
}

#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn the_workflow_goes_from_rotate_to_drop_on_runners_that_share_nothing() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let company = Company::new(|| Timestamp::now() + SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst)));
    let old = company.sandbox.newest().expose().to_owned();
    let tick = company.tick();
    assert_eq!((tick.result.as_str(), tick.outputs["open"].as_str()), ("success", Some("0")), "{tick:?}");

    let run = company.dispatch("rotate");
    assert_eq!(
        ["rotate", "deploy", "said", "tend"].map(|job| run.result(job)),
        ["success", "success", "success", "skipped"],
        "{run:#?}"
    );
    let said = &run.jobs["said"];
    assert_eq!((said.outputs["exit"].as_str(), said.outputs["open"].as_str()), (Some("11"), Some("1")), "{said:?}");
    assert!(said.summary.contains("| `payments` | `waiting` | `wait` | `payments on-call` |"), "{}", said.summary);
    assert_eq!(company.slots(&old), ["new", "old", "empty"]);

    // It is asked for once more, by somebody else and by a job that is run again: one rotation.
    let again = company.dispatch("rotate");
    assert_eq!(["rotate", "deploy", "said"].map(|job| again.result(job)), ["success"; 3], "{again:#?}");
    // A word that comes too early is red, and counts for nothing.
    let early = company.dispatch("drop");
    assert_eq!(
        (early.result("said"), early.jobs["said"].outputs["exit"].as_str()),
        ("failure", Some("11")),
        "{early:#?}"
    );
    let tick = company.tick();
    assert_eq!((tick.result.as_str(), tick.outputs["exit"].as_str()), ("success", Some("11")), "{tick:?}");
    assert_eq!(tick.annotations[0].0, "notice", "{tick:?}");
    assert_eq!(company.slots(&old), ["new", "old", "empty"]);

    company.ends(&AHEAD, &old);
    // Said too late it is no failure.
    assert_eq!(company.dispatch("drop").result("said"), "success");
    company.says_no_secret(&old);
}

#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn what_a_runner_that_was_killed_had_sent_is_had_by_the_next_tick() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let company = Company::new(|| Timestamp::now() + SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst)));
    let old = company.sandbox.newest().expose().to_owned();
    let killed = killed(&company);
    assert_eq!(
        ["rotate", "deploy", "said"].map(|job| killed.result(job)),
        ["failure", "skipped", "skipped"],
        "{killed:#?}"
    );
    // Somebody may be at work still: it is left to them, and nobody is woken up.
    let tick = company.tick();
    assert_eq!((tick.result.as_str(), tick.outputs["exit"].as_str()), ("success", Some("11")), "{tick:?}");
    assert_eq!(company.slots(&old), ["empty", "old", "empty"]);
    company.sandbox.let_leases_end();
    let tick = company.tick();
    assert_eq!((tick.result.as_str(), tick.outputs["open"].as_str()), ("success", Some("1")), "{tick:?}");
    assert_eq!((company.sandbox.rotations(), company.slots(&old)), (1, ["new", "old", "empty"]));
    let sent = company.sandbox.rotate_requests();
    assert_eq!(sent[0], sent[1], "same bytes, same key");
    // The failed jobs are run again: what is open is gone on with.
    let again =
        company.runner.run_again(WORKFLOW, "workflow_dispatch", &[("target", "payments"), ("step", "rotate")], &killed);
    assert_eq!(["rotate", "deploy", "said"].map(|job| again.result(job)), ["success"; 3], "{again:#?}");
    assert_eq!((company.sandbox.rotations(), company.slots(&old)), (1, ["new", "old", "empty"]));
    company.ends(&AHEAD, &old);
    company.says_no_secret(&old);
}

/// Where no receiver can be asked, persons say by a dispatch what they have seen.
#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn without_receivers_a_word_is_dispatched_for_each_step_of_a_persons() {
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let company = Company::new(|| Timestamp::now() + SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst)));
    let old = company.sandbox.newest().expose().to_owned();
    let config = company.sandbox.path("github/repository/.github/whsec.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("receivers")).collect();
    std::fs::write(&config, without.join("\n")).unwrap();
    let run = company.dispatch("rotate");
    assert_eq!(run.result("said"), "success", "{run:#?}");
    assert!(run.jobs["said"].annotations[0].2.contains("payments (verify)"), "{run:#?}");
    let run = company.dispatch("verify");
    assert_eq!(["rotate", "deploy", "said"].map(|job| run.result(job)), ["skipped", "skipped", "success"], "{run:#?}");
    AHEAD.store(90_000, Ordering::SeqCst);
    company.waits(&old);
    let run = company.dispatch("drop");
    assert_eq!(["rotate", "deploy", "said"].map(|job| run.result(job)), ["skipped", "success", "success"], "{run:#?}");
    assert_eq!(company.tick().outputs["exit"], "0");
    assert_eq!((company.sandbox.rotations(), company.slots(&old)), (1, ["empty", "new", "empty"]));
    company.says_no_secret(&old);
}

/// A rotate whose runner is killed once the request was carried out.
fn killed(company: &Company) -> Outcome {
    struck(company, Fault::Stall, Signal::KILL)
}

fn struck(company: &Company, fault: Fault, signal: Signal) -> Outcome {
    company.sandbox.stand_in.fault(fault);
    let (stand_in, it_is_time) = (&company.sandbox.stand_in, Arc::new(AtomicBool::new(false)));
    company.runner.strikes(signal, Arc::clone(&it_is_time));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let begun = std::time::Instant::now();
            while stand_in.ledger().rotations == 0 && begun.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(5));
            }
            it_is_time.store(true, Ordering::SeqCst);
        });
        company.dispatch("rotate")
    })
}

/// A job that is cancelled gets as far as the next safe point, and gives back what it has.
#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn a_rotate_that_is_cancelled_stops_where_nothing_is_lost_and_in_nobodys_way() {
    let company = Company::new(Timestamp::now);
    let old = company.sandbox.newest().expose().to_owned();
    // Long enough for the signal to get there on a machine that is busy.
    let run = struck(&company, Fault::Late(Duration::from_secs(5)), Signal::INT);
    assert_eq!(["rotate", "deploy"].map(|job| run.result(job)), ["failure", "skipped"], "{run:#?}");
    assert_eq!(run.jobs["rotate"].outputs["exit"], "143", "{run:#?}");
    let tick = company.tick();
    assert_eq!((tick.result.as_str(), tick.outputs["open"].as_str()), ("success", Some("1")), "{tick:?}");
    assert_eq!((company.sandbox.rotations(), company.slots(&old)), (1, ["new", "old", "empty"]));
    assert_eq!(company.sandbox.rotate_requests().len(), 1);
    company.says_no_secret(&old);
}

/// It is over by itself, or the lease of one that is gone ends.
#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn what_another_machine_is_at_is_waited_for_and_not_red() {
    let company = Company::new(Timestamp::now);
    let old = company.sandbox.newest().expose().to_owned();
    let before = killed(&company);
    let inputs = [("target", "payments"), ("step", "rotate")];
    let database = company.sandbox.database().unwrap();
    let ends = "sleep 3; psql -q -X \"$0\" -c \"UPDATE whsec.docs SET written_at = written_at - interval '10 min' WHERE key LIKE 'heads/%'\"";
    let mut later = Command::new("sh").args(["-c", ends, &database]).spawn().unwrap();
    let again = company.runner.run_again(WORKFLOW, "workflow_dispatch", &inputs, &before);
    later.wait().unwrap();
    assert_eq!(["rotate", "deploy", "said"].map(|job| again.result(job)), ["success"; 3], "{again:#?}");
    assert!(again.jobs["rotate"].log.contains("trying again in 5 s"), "{again:#?}");
    assert_eq!((company.sandbox.rotations(), company.slots(&old)), (1, ["new", "old", "empty"]));
}

impl Company {
    /// A pod of the CronJob as the kubelet would start it: its user, volumes of their usual modes, a root that nobody writes to, and
    /// no environment but the container's.
    fn pod(&self, name: &str) -> Child {
        let (config, job) = manifest();
        let spec = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let file = self.sandbox.path(&format!("{name}.toml"));
        let text = config["data"]["config.toml"].as_str().unwrap();
        std::fs::write(&file, Self::config(text, &self.sandbox, &self.receiver)).unwrap();
        let secret = |key: &str| match key {
            "pgpassword" => PASSWORD.to_owned(),
            "vault-token" => TOKEN.to_owned(),
            "layers-api-key" => self.sandbox.api_key.expose().to_owned(),
            other => panic!("{other} is no key of the Secret"),
        };
        let env = container["env"].as_array().unwrap().iter().map(|variable| {
            let name = variable["name"].as_str().unwrap();
            let value = match (name, &variable["valueFrom"]["secretKeyRef"]["key"]) {
                (_, Value::String(key)) => secret(key),
                ("WHSEC_JOURNAL", _) => self.sandbox.journal.clone().unwrap(),
                ("VAULT_ADDR", _) => self.vault.server.url(),
                _ => variable["value"].as_str().unwrap().to_owned(),
            };
            (name.to_owned(), value)
        });
        let security = (&spec["securityContext"], &container["securityContext"]);
        assert_eq!((&security.0["runAsUser"], &security.1["readOnlyRootFilesystem"]), (&json!(65532), &json!(true)));
        let mounts = container["volumeMounts"].as_array().unwrap();
        let at = |name: &str| {
            let mount = mounts.iter().find(|mount| mount["name"] == name).unwrap();
            mount["mountPath"].as_str().unwrap()
        };
        assert_eq!(
            (&mounts[0]["subPath"], &spec["volumes"][1]["emptyDir"]["medium"]),
            (&json!("config.toml"), &json!("Memory"))
        );
        // An emptyDir in memory is a tmpfs with the mode of one; a file of a ConfigMap is root's, mode 0644, in a folder that is made.
        let script = "set -e; config=$1 program=$2 config_at=$3 state_at=$4; shift 4
            mount --make-rprivate /
            mount -t tmpfs -o mode=755 image /run; mkdir /run/upper /run/work /run/bin
            mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc
            mkdir -p -m 755 \"${config_at%/*}\" \"$state_at\"; touch \"$config_at\" /run/bin/whsec
            cat \"$config\" >\"$config_at\"; mount --bind \"$program\" /run/bin/whsec
            mount -t tmpfs -o size=16m state \"$state_at\"
            for place in / /etc /run; do mount -o remount,bind,ro \"$place\"; done
            cd /; exec setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \"$@\"";
        let mut pod = Command::new("unshare");
        pod.args(["--mount", "sh", "-c", script, "pod"]).arg(&file).arg(env!("CARGO_BIN_EXE_whsec"));
        pod.args([at("config"), at("state")]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        pod.args(["env", "-i", "PATH=/run/bin:/usr/bin:/bin"]).args(env.map(|(name, value)| format!("{name}={value}")));
        pod.args(container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()));
        pod.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

#[test]
#[ignore = "needs PostgreSQL; run by tests/run"]
fn two_pods_at_once_take_up_what_a_runner_has_left_and_one_of_them_does_it() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED two_pods_at_once: only root makes mounts and users of its own");
        return;
    }
    let company = Company::new(Timestamp::now);
    let old = company.sandbox.newest().expose().to_owned();
    killed(&company);
    company.sandbox.let_leases_end();
    let pods: Vec<Child> = (0..2).map(|at| company.pod(&format!("pod{at}"))).collect();
    for pod in pods {
        let run = company.sandbox.finish(pod);
        if run.stderr.contains("mount: ") && run.stderr.contains("permi") {
            println!("SKIPPED two_pods_at_once: mounts are not permitted here");
            return;
        }
        let run = run.exits(0);
        assert_eq!(run.json()["exit"], 11, "{run:?}");
        assert!(![TOKEN, PASSWORD, &company.identity].iter().any(|secret| format!("{run:?}").contains(secret)));
    }
    assert_eq!((company.sandbox.rotations(), company.slots(&old)), (1, ["new", "old", "empty"]));
    assert_eq!(
        company.sandbox.rotate_requests().len(),
        2,
        "the one that was lost, and the one that was asked for again"
    );
    // What fails is a failed job, with its own code.
    company.vault.fail(Some(crate::servers::vault::Fault::Sealed));
    let run = company.sandbox.finish(company.pod("late"));
    assert!(![0, 11].contains(&run.code), "{run:?}");
}
