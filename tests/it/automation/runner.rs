//! A runner of workflows, as far as ours go: it reads the YAML files as they are, and runs their steps as GitHub's does, each job with a
//! home and a checkout of its own and nothing else. What it does not know fails the test.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

/// A document of a YAML file.
pub fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// A repository with our files in it, what is set up for it, and what has come of it.
pub struct Runner {
    folder: PathBuf,
    pub variables: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, String>,
    /// Programs that are installed beside the usual ones.
    pub programs: Option<PathBuf>,
    jobs: Cell<u32>,
    /// Whatever a job has left: its log, outputs, summary and files.
    left: RefCell<Vec<u8>>,
    /// What befalls the next job, once this holds: a signal to the step's process, or, for `KILL`, to all of them.
    trouble: RefCell<Option<Trouble>>,
    /// What somebody does to the artifacts just before a job.
    between: RefCell<Option<Between>>,
}

type Trouble = (Arc<AtomicBool>, rustix::process::Signal);
type Between = (String, Box<dyn FnOnce(&Path)>);

/// One run of a workflow.
#[derive(Debug, Default)]
pub struct Outcome {
    pub jobs: BTreeMap<String, Job>,
}

#[derive(Debug, Default, Clone)]
pub struct Job {
    pub result: String,
    pub log: String,
    pub summary: String,
    /// Outputs of the last step with any.
    pub outputs: Map<String, Value>,
    /// What the job says itself that it puts out.
    pub put_out: Map<String, Value>,
    /// `error`, `warning` and `notice`: a level, a title and a message each.
    pub annotations: Vec<(String, String, String)>,
    /// Files outside the checkout, at its end.
    pub left: Vec<PathBuf>,
    pub ancestors_failed: bool,
}

impl Outcome {
    pub fn result(&self, job: &str) -> &str {
        &self.jobs[job].result
    }
}

impl Runner {
    /// A repository with `action/`, and with these files.
    pub fn new(folder: PathBuf, files: &[(&str, &str)]) -> Self {
        copy(Path::new("action"), &folder.join("repository/.github/actions/whsec"));
        for (name, text) in files {
            let file = folder.join("repository").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let (variables, secrets) = Default::default();
        let (jobs, left, trouble, between) = Default::default();
        Self { folder, variables, secrets, programs: None, jobs, left, trouble, between }
    }

    pub fn strikes(&self, signal: rustix::process::Signal, when: Arc<AtomicBool>) {
        *self.trouble.borrow_mut() = Some((when, signal));
    }

    /// Does something to the folder of artifacts just before that job.
    pub fn before(&self, job: &str, what: impl FnOnce(&Path) + 'static) {
        *self.between.borrow_mut() = Some((job.to_owned(), Box::new(what)));
    }

    /// Whatever the jobs have left so far.
    pub fn left(&self) -> String {
        String::from_utf8_lossy(&self.left.borrow()).into_owned()
    }

    /// Runs a workflow of the repository for an event.
    pub fn run(&self, workflow: &str, event: &str, inputs: &[(&str, &str)]) -> Outcome {
        self.run_again(workflow, event, inputs, &Outcome::default())
    }

    /// The same where these jobs were run before: those that were done stay so.
    pub fn run_again(&self, workflow: &str, event: &str, inputs: &[(&str, &str)], before: &Outcome) -> Outcome {
        let text = std::fs::read_to_string(self.folder.join("repository").join(workflow)).unwrap();
        let workflow = yaml(&text);
        knows(&workflow, &["name", "run-name", "on", "permissions", "concurrency", "env", "jobs"]);
        assert!(workflow["on"].get(event).is_some(), "it does not start for {event}");
        let inputs: Map<String, Value> =
            inputs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let mut context = Context {
            values: json!({
                "github": { "event_name": event, "run_id": "1001", "actor": "ana", "token": "ghs_runner" },
                "inputs": inputs, "vars": self.variables, "secrets": self.secrets,
            }),
            ..Context::default()
        };
        for name in ["run-name", "concurrency"] {
            context.fill(&workflow[name]);
        }
        let env = context.all(&workflow["env"]);
        context.values["env"] = Value::Object(env.clone());
        let mut outcome = Outcome::default();
        for (name, job) in workflow["jobs"].as_object().unwrap() {
            if let Some((_, what)) = self.between.borrow_mut().take_if(|(job, _)| job == name) {
                what(&self.folder.join("artifacts"));
            }
            let done = match before.jobs.get(name) {
                Some(done) if done.result == "success" => done.clone(),
                _ => self.job(job, &context, &env, &outcome),
            };
            outcome.jobs.insert(name.clone(), done);
        }
        outcome
    }

    fn job(&self, job: &Value, context: &Context, env: &Map<String, Value>, before: &Outcome) -> Job {
        knows(job, &["needs", "if", "environment", "runs-on", "timeout-minutes", "outputs", "steps", "uses"]);
        let needs: Vec<&Job> = match &job["needs"] {
            Value::Null => Vec::new(),
            Value::String(name) => vec![&before.jobs[name]],
            other => panic!("needs: {other}"),
        };
        let mut context = context.clone();
        context.failed = needs.iter().any(|job| job.ancestors_failed || job.result == "failure");
        context.is_success = needs.iter().all(|job| job.result == "success");
        context.values["needs"] = match job["needs"].as_str() {
            Some(name) => json!({ name: { "outputs": before.jobs[name].put_out } }),
            None => json!({}),
        };
        let mut done = Job { ancestors_failed: context.failed, ..Job::default() };
        if !context.holds(&job["if"]) {
            done.result = "skipped".to_owned();
            return done;
        }
        if let Some(called) = job["uses"].as_str() {
            let inner = self.run(called, "workflow_call", &[]);
            let is_done = inner.jobs.values().all(|job| job.result == "success");
            done.result = if is_done { "success" } else { "failure" }.to_owned();
            return done;
        }
        self.jobs.set(self.jobs.get() + 1);
        let home = self.folder.join(format!("job{}", self.jobs.get()));
        for folder in ["home", "workspace", "temp"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        let mut path = "/usr/bin:/bin".to_owned();
        if let Some(programs) = &self.programs {
            path = format!("{}:{path}", programs.display());
        }
        let mut machine = Machine { runner: self, home, env: env.clone(), path, job: done };
        (context.failed, context.is_success) = (false, true);
        context.values["steps"] = json!({});
        machine.steps(&job["steps"], &mut context, &Map::new(), None);
        let mut done = machine.job;
        done.put_out = context.all(&job["outputs"]);
        done.result = if context.failed { "failure" } else { "success" }.to_owned();
        let mut left = self.left.borrow_mut();
        left.extend(done.log.bytes().chain(done.summary.bytes()).chain(format!("{:?}", done.outputs).bytes()));
        // The machine is gone with everything that was on it, once it was looked at.
        files_below(&machine.home, &mut |path, bytes| {
            done.left.extend((!path.starts_with(machine.home.join("workspace"))).then(|| path.to_owned()));
            let is_ours = path.starts_with(machine.home.join("workspace")) || path.ends_with("whsec-bin/whsec");
            left.extend(if is_ours { Vec::new() } else { bytes });
        });
        std::fs::remove_dir_all(&machine.home).unwrap();
        done
    }
}

/// A machine for one job.
struct Machine<'a> {
    runner: &'a Runner,
    home: PathBuf,
    env: Map<String, Value>,
    path: String,
    job: Job,
}

impl Machine<'_> {
    /// Runs steps until one fails, those of a job or of a composite action.
    fn steps(&mut self, steps: &Value, context: &mut Context, env: &Map<String, Value>, action: Option<&Path>) {
        for step in steps.as_array().unwrap() {
            knows(step, &["id", "if", "uses", "with", "env", "run", "shell"]);
            if !context.holds(&step["if"]) {
                continue;
            }
            let mut env = env.clone();
            env.extend(context.all(&step["env"]));
            let outputs = match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(uses), None) => self.uses(uses, &context.all(&step["with"]), context, &env),
                (None, Some(script)) => {
                    assert!(!script.contains("${{"), "an expression in a script is read by the shell: {script}");
                    assert!(action.is_none() || step["shell"] == "bash", "a composite step names its shell");
                    self.script(script, &env, action)
                }
                _ => panic!("{step}"),
            };
            let (outputs, is_done) = outputs;
            (context.failed, context.is_success) = (!is_done, is_done);
            if let Some(id) = step["id"].as_str() {
                context.values["steps"][id] = json!({ "outputs": outputs });
            }
            if !is_done {
                return;
            }
        }
    }

    fn uses(
        &mut self,
        uses: &str,
        with: &Map<String, Value>,
        context: &Context,
        env: &Map<String, Value>,
    ) -> (Map<String, Value>, bool) {
        if let Some(commit) = uses.strip_prefix("actions/checkout@") {
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uses} is no commit");
            copy(&self.runner.folder.join("repository"), &self.home.join("workspace"));
            return (Map::new(), true);
        }
        if let Some((what, commit)) = uses.strip_prefix("actions/").and_then(|action| action.split_once("-artifact@")) {
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uses} is no commit");
            let kept = self.runner.folder.join("artifacts").join(with["name"].as_str().unwrap());
            let workspace = self.home.join("workspace");
            let text = |name: &str| with[name].as_str().unwrap();
            let (from, to) = match what {
                "upload" => (workspace.join(text("path")), kept),
                "download" => (kept, workspace.join(text("name"))),
                other => panic!("the runner of the tests does not know `{other}-artifact`"),
            };
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            return (Map::new(), std::fs::copy(from, to).is_ok());
        }
        let folder = self.home.join("workspace").join(uses.strip_prefix("./").unwrap());
        let action = yaml(&std::fs::read_to_string(folder.join("action.yml")).unwrap());
        knows(&action, &["name", "description", "inputs", "outputs", "runs"]);
        let inputs = action["inputs"].as_object().unwrap();
        assert!(with.keys().all(|name| inputs.contains_key(name)), "{uses} has no such input: {with:?}");
        let mut inner = Context {
            values: json!({ "github": context.values["github"], "steps": {}, "inputs": {} }),
            is_success: true,
            ..Context::default()
        };
        for (name, input) in inputs {
            knows(input, &["description", "required", "default"]);
            let given = with.get(name).cloned().unwrap_or_else(|| {
                assert!(input["required"] != true, "{uses} needs {name}");
                json!(inner.fill(&input["default"]))
            });
            inner.values["inputs"][name] = given;
        }
        knows(&action["runs"], &["using", "steps"]);
        assert_eq!(action["runs"]["using"], "composite");
        self.steps(&action["runs"]["steps"], &mut inner, env, Some(&folder));
        let outputs = action["outputs"].as_object().unwrap();
        let outputs: Map<String, Value> =
            outputs.iter().map(|(name, output)| (name.clone(), json!(inner.fill(&output["value"])))).collect();
        if outputs.contains_key("exit") {
            self.job.outputs = outputs.clone();
        }
        (outputs, !inner.failed)
    }

    fn script(&mut self, script: &str, env: &Map<String, Value>, action: Option<&Path>) -> (Map<String, Value>, bool) {
        let at = |name: &str| self.home.join("temp").join(name);
        std::fs::write(at("step.sh"), script).unwrap();
        let files = ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH"];
        files.iter().for_each(|name| std::fs::write(at(name), "").unwrap());
        let log = std::fs::File::create(at("log")).unwrap();
        // A suite in the background of a shell ignores interrupts, which a runner does not, and what ignores them hands that on.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", "bash", "--noprofile", "--norc", "-e", "-o", "pipefail"]);
        command.arg(at("step.sh")).env_clear();
        command.envs(files.iter().map(|name| (*name, at(name))));
        command.envs(self.env.iter().chain(env).map(|(name, value)| (name, value.as_str().unwrap())));
        command.env("PATH", &self.path).env("HOME", self.home.join("home")).env("USER", "runner");
        command.env("CI", "true").env("GITHUB_ACTIONS", "true").env("RUNNER_TEMP", self.home.join("temp"));
        command.env("GITHUB_WORKSPACE", self.home.join("workspace")).current_dir(self.home.join("workspace"));
        command.envs(action.map(|folder| ("GITHUB_ACTION_PATH", folder)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let mut child = command.spawn().unwrap();
        let process = rustix::process::Pid::from_child(&child);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            let mut trouble = self.runner.trouble.borrow_mut();
            if let Some((_, signal)) = trouble.take_if(|(when, _)| when.load(Ordering::SeqCst)) {
                let kill = signal == rustix::process::Signal::KILL;
                let sent = if kill { rustix::process::kill_process_group } else { rustix::process::kill_process };
                sent(process, signal).unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        let (log, summary, path, outputs) =
            (text("log"), text("GITHUB_STEP_SUMMARY"), text("GITHUB_PATH"), text("GITHUB_OUTPUT"));
        assert_eq!(text("GITHUB_ENV"), "");
        self.job.annotations.extend(annotations(&log));
        self.job.log.push_str(&log);
        self.job.summary.push_str(&summary);
        path.lines().for_each(|folder| self.path = format!("{folder}:{}", self.path));
        let outputs = outputs.lines().map(|line| {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("an output without a name: {line}"));
            (name.to_owned(), json!(value))
        });
        (outputs.collect(), status.success())
    }
}

/// The runner's commands in a log, where they are not stopped.
fn annotations(log: &str) -> Vec<(String, String, String)> {
    let (mut found, mut stopped) = (Vec::new(), None::<String>);
    for line in log.lines().filter_map(|line| line.trim_start().strip_prefix("::")) {
        let (head, words) = line.split_once("::").unwrap_or((line, ""));
        match &stopped {
            Some(token) if head == token => stopped = None,
            Some(_) => {}
            None if head == "stop-commands" => stopped = Some(words.to_owned()),
            None => {
                let (level, title) =
                    head.split_once(" title=").unwrap_or_else(|| panic!("a command of its own: {line}"));
                assert!(["error", "notice", "warning"].contains(&level), "{line}");
                found.push((level.to_owned(), title.to_owned(), words.to_owned()));
            }
        }
    }
    found
}

/// What expressions may speak of.
#[derive(Clone, Default)]
pub struct Context {
    values: Value,
    failed: bool,
    is_success: bool,
}

impl Context {
    pub fn of(values: Value) -> Self {
        Self { values, failed: false, is_success: true }
    }

    /// Whether an `if` lets this be done.
    fn holds(&self, condition: &Value) -> bool {
        let Some(text) = condition.as_str() else {
            assert!(condition.is_null(), "{condition}");
            return self.is_success;
        };
        let text = text.trim().trim_start_matches("${{").trim_end_matches("}}");
        let speaks_of_it = ["success()", "failure()", "cancelled()", "always()"].iter().any(|word| text.contains(word));
        (speaks_of_it || self.is_success) && is_true(&self.value(text))
    }

    /// Every text of a map with its expressions filled in.
    fn all(&self, map: &Value) -> Map<String, Value> {
        let Some(map) = map.as_object() else { return Map::new() };
        map.iter().map(|(name, value)| (name.clone(), json!(self.fill(value)))).collect()
    }

    pub fn fill(&self, value: &Value) -> String {
        let text = match value {
            Value::String(text) => text,
            Value::Null => return String::new(),
            Value::Object(map) => return map.values().map(|value| self.fill(value)).collect::<Vec<_>>().join("\n"),
            other => return other.to_string(),
        };
        let mut parts = text.split("${{");
        let mut filled = parts.next().unwrap().to_owned();
        for part in parts {
            let (expression, rest) = part.split_once("}}").unwrap();
            filled.push_str(&words(&self.value(expression)));
            filled.push_str(rest);
        }
        filled
    }

    fn value(&self, expression: &str) -> Value {
        let mut tokens = tokens(expression);
        tokens.reverse();
        let value = self.either(&mut tokens);
        assert!(tokens.is_empty(), "more than the runner of the tests knows: {expression}");
        value
    }

    fn either(&self, tokens: &mut Vec<String>) -> Value {
        let mut value = self.both(tokens);
        while tokens.pop_if(|token| token == "||").is_some() {
            let other = self.both(tokens);
            value = if is_true(&value) { value } else { other };
        }
        value
    }

    fn both(&self, tokens: &mut Vec<String>) -> Value {
        let mut value = self.compared(tokens);
        while tokens.pop_if(|token| token == "&&").is_some() {
            let other = self.compared(tokens);
            value = if is_true(&value) { other } else { value };
        }
        value
    }

    fn compared(&self, tokens: &mut Vec<String>) -> Value {
        let value = self.one(tokens);
        match tokens.pop_if(|token| token == "==" || token == "!=") {
            Some(sign) => json!((words(&value) == words(&self.one(tokens))) == (sign == "==")),
            None => value,
        }
    }

    fn one(&self, tokens: &mut Vec<String>) -> Value {
        let token = tokens.pop().expect("an expression ends too early");
        if let Some(text) = token.strip_prefix('\'') {
            return json!(text);
        }
        match token.as_str() {
            "!" => json!(!is_true(&self.one(tokens))),
            "failure()" => json!(self.failed),
            "cancelled()" => json!(false),
            name => {
                let mut value = &self.values;
                let parts: Vec<&str> = name.split('.').collect();
                for (at, part) in parts.iter().enumerate() {
                    // What nobody has given is empty; all else is a slip of the pen.
                    let may_lack = at > 0 && (parts[0] == "inputs" || at == 3);
                    value = match value.get(part) {
                        None if may_lack => &Value::Null,
                        found => found.unwrap_or_else(|| panic!("there is no `{name}` here")),
                    };
                }
                value.clone()
            }
        }
    }
}

fn tokens(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first == '\'' {
            rest[1..].find('\'').unwrap() + 1
        } else if let Some(sign) = ["&&", "||", "==", "!=", "!"].iter().find(|sign| rest.starts_with(**sign)) {
            sign.len()
        } else {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.()".contains(c)).unwrap_or(rest.len())
        };
        assert!(length > 0, "more than the runner of the tests knows: {expression}");
        found.push(rest[..length].to_owned());
        rest = rest[length..].strip_prefix('\'').unwrap_or(&rest[length..]).trim_start();
    }
    found
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("")
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

/// Fails where a map has a key that this runner would pass over.
fn knows(map: &Value, keys: &[&str]) {
    for key in map.as_object().unwrap().keys() {
        assert!(keys.contains(&key.as_str()), "the runner of the tests does not know `{key}`");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    assert!(Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap().success());
}

fn files_below(folder: &Path, each: &mut impl FnMut(&Path, Vec<u8>)) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => files_below(&path, each),
            false => each(&path, std::fs::read(&path).unwrap()),
        }
    }
}
