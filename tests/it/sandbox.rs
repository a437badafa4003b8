//! One sandbox for every test: an empty home, a cleared environment, a stand-in provider, and a watch over every byte
//! that comes out: an API key or a secret in it fails the test.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use whsec::provider::stand_in::{Fault, Seen, StandIn, StandInOptions};
use whsec::provider::{Catalog, Endpoint, Provider};
use whsec::secret::Secret;

use crate::place::{self, Place};
use crate::servers::objects::Objects;

/// An overlap in which there is time for some commands, on a machine that is busy with others.
pub const OVERLAP: Duration = Duration::from_secs(12);

/// The variable that the target's dotenv store keeps its secret in.
pub const KEY: &str = "HOOK_SECRET";

/// Bytes that look like nothing, the same in every run.
pub fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(count).collect()
}

/// Whether heavy sweeps are to be whole.
pub fn is_full() -> bool {
    std::env::var_os("WHSEC_TEST_FULL").is_some()
}

pub struct Sandbox {
    folder: TempDir,
    pub provider: Arc<Provider>,
    pub stand_in: StandIn,
    pub api_key: Secret,
    secrets: RefCell<Vec<Secret>>,
    /// A journal of its own that machines may share, where this run has such, and where it is.
    pub journal: Option<String>,
    pub place: Option<Place>,
    pub ids: Vec<(String, String)>,
}

/// What one command came to.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    /// A target `hooks` at this provider, with a dotenv store that holds the provider's first secret.
    pub fn new(provider: &str) -> Self {
        Self::build(Catalog::builtin().get(provider).unwrap(), Timestamp::now, None, None)
    }

    /// The same with these ids, in the provider's order.
    pub fn with_ids(provider: &str, ids: &[&str]) -> Self {
        let provider = Catalog::builtin().get(provider).unwrap();
        let names = provider.spec().ids.clone().into_iter();
        let ids = names.zip(ids).map(|(name, id)| (name, (*id).to_owned())).collect();
        Self::with(provider, Timestamp::now, None, None, ids)
    }

    /// The same with the overlap shortened, at the provider and in the user's own description of it.
    pub fn with_window(provider: &str, window: Duration) -> Self {
        Self::shortened(provider, window, None)
    }

    fn shortened(provider: &str, window: Duration, receiver: Option<&str>) -> Self {
        let mut spec = Catalog::builtin().get(provider).unwrap().spec().clone();
        let usual = spec.overlap.window.replace(format!("{}s", window.as_secs())).unwrap();
        let sandbox = Self::build(Arc::new(Provider::from_spec(spec).unwrap()), Timestamp::now, Some(window), receiver);
        let text = std::fs::read_to_string(format!("src/provider/builtin/{provider}.toml")).unwrap();
        let (head, tail) = text.split_once("[overlap]").unwrap();
        let tail = tail.replacen(&format!("window = \"{usual}\""), &format!("window = \"{}s\"", window.as_secs()), 1);
        sandbox.description(provider, &format!("{head}[overlap]{tail}"));
        sandbox
    }

    /// The same with a provider that does as this description says, made from the built-in one.
    pub fn described(provider: &str, change: impl Fn(String) -> String) -> Self {
        let text = change(std::fs::read_to_string(format!("src/provider/builtin/{provider}.toml")).unwrap());
        let described = Arc::new(Provider::parse(&text, provider).unwrap());
        let sandbox = Self::build(described, Timestamp::now, None, None);
        sandbox.description(provider, &text);
        sandbox
    }

    /// The same with a provider whose clock is another than ours.
    pub fn with_clock(provider: &str, clock: fn() -> Timestamp) -> Self {
        Self::build(Catalog::builtin().get(provider).unwrap(), clock, None, None)
    }

    /// The same with a receiver at this address, which the target names and the provider delivers to.
    pub fn with_receiver(provider: &str, url: &str, window: Option<Duration>) -> Self {
        let sandbox = match window {
            Some(window) => Self::shortened(provider, window, Some(url)),
            None => Self::build(Catalog::builtin().get(provider).unwrap(), Timestamp::now, None, Some(url)),
        };
        sandbox.edit_config("api_key = ", &format!("receivers = [\"{url}\"]\napi_key = "));
        sandbox
    }

    /// Both of them.
    pub fn with_receiver_and_clock(provider: &str, url: &str, clock: fn() -> Timestamp) -> Self {
        let sandbox = Self::build(Catalog::builtin().get(provider).unwrap(), clock, None, Some(url));
        sandbox.edit_config("api_key = ", &format!("receivers = [\"{url}\"]\napi_key = "));
        sandbox
    }

    fn build(
        provider: Arc<Provider>,
        clock: fn() -> Timestamp,
        window: Option<Duration>,
        receiver: Option<&str>,
    ) -> Self {
        let ids =
            provider.spec().ids.iter().enumerate().map(|(at, name)| (name.clone(), format!("id{at}-7Qx"))).collect();
        Self::with(provider, clock, window, receiver, ids)
    }

    fn with(
        provider: Arc<Provider>,
        clock: fn() -> Timestamp,
        window: Option<Duration>,
        receiver: Option<&str>,
        ids: Vec<(String, String)>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let api_key = Secret::new("test_key_5f1d0c9ab2e84d7793");
        let stand_in = StandIn::start(
            Arc::clone(&provider),
            StandInOptions {
                api_key: api_key.clone(),
                ids: ids.clone(),
                first_secret: None,
                clock,
                window,
                receiver_url: receiver.map(str::to_owned),
            },
        )
        .unwrap();
        let place = Place::new();
        let journal = place.as_ref().map(Place::location);
        let secrets = RefCell::default();
        let sandbox = Self { folder, provider, stand_in, api_key, secrets, journal, place, ids: ids.clone() };
        for folder in ["home", "state", "work", "home/.config/whsec"] {
            std::fs::create_dir_all(sandbox.path(folder)).unwrap();
        }
        let first = sandbox.stand_in.live_secrets().remove(0);
        std::fs::write(sandbox.dotenv(), format!("# receiver\nPORT=8080\n{KEY}={}\nLAST=1\n", first.expose())).unwrap();
        std::fs::write(sandbox.path("key"), sandbox.api_key.expose()).unwrap();
        set_private(&sandbox.path("key"));
        let ids: Vec<String> = ids.iter().map(|(name, value)| format!("{name} = \"{value}\"")).collect();
        sandbox.config(&format!(
            "[targets.hooks]\nprovider = \"{}\"\nbase_url = \"{}\"\nids = {{ {} }}\nstore = \"dotenv:{}#{KEY}\"\n\
             api_key = \"file:{}\"\n\n[seal]\nidentity = \"file\"\n",
            sandbox.provider.name(),
            sandbox.stand_in.base_url(),
            ids.join(", "),
            sandbox.dotenv().display(),
            sandbox.path("key").display(),
        ));
        let mut sandbox = sandbox;
        sandbox.make_journal();
        sandbox
    }

    fn make_journal(&mut self) {
        if let Some(journal) = self.journal.clone() {
            let made = self.run(&["journal", "init", &journal, "--json"]).exits(0).json();
            self.journal = made["journal"]["at"].as_str().map(str::to_owned);
        }
    }

    /// The same with its journal in an object store of its own.
    pub fn over_objects(mut self) -> Self {
        let place = Place::objects();
        self.journal = Some(place.location());
        self.place = Some(place);
        self.make_journal();
        self
    }

    /// The object store of its journal.
    pub fn objects(&self) -> &Objects {
        match &self.place {
            Some(Place::Objects(objects)) => objects,
            _ => panic!("its journal is in no object store"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The receiver's dotenv file.
    pub fn dotenv(&self) -> PathBuf {
        self.path("work/receiver.env")
    }

    /// The user's own config file.
    pub fn config(&self, text: &str) {
        let path = self.path("home/.config/whsec/config.toml");
        std::fs::write(&path, text).unwrap();
        set_private(&path);
    }

    /// The user's own description of a provider.
    pub fn description(&self, provider: &str, text: &str) {
        let folder = self.path("home/.config/whsec/providers");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{provider}.toml"));
        std::fs::write(&path, text).unwrap();
        set_private(&path);
    }

    /// Changes the config file.
    pub fn edit_config(&self, from: &str, to: &str) {
        let text = self.config_text();
        assert!(text.contains(from), "no `{from}` in\n{text}");
        self.config(&text.replace(from, to));
    }

    /// Gives the target these stores in place of its dotenv file; relative paths start in `work`.
    pub fn stores(&self, references: &[&str]) {
        let before = format!("\"dotenv:{}#{KEY}\"", self.dotenv().display());
        let quoted: Vec<String> = references.iter().map(|reference| format!("{reference:?}")).collect();
        let folder = format!(":{}/", self.path("work").display());
        let stores = quoted.join(", ").replacen(":./", &folder, usize::MAX);
        self.edit_config(&before, &format!("[{stores}]"));
    }

    pub fn config_text(&self) -> String {
        std::fs::read_to_string(self.path("home/.config/whsec/config.toml")).unwrap()
    }

    /// The last id of the endpoint, as `--confirm` wants it.
    pub fn id(&self) -> String {
        self.ids.last().unwrap().1.clone()
    }

    /// The binary with this sandbox as its whole world.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whsec"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("PATH", "/usr/bin:/bin")
            .env("USER", "oncall")
            .env("TZ", "UTC")
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full")
            // Without a bus of its own a program may start daemons that stay behind.
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .current_dir(self.path("work"))
            .stdin(Stdio::null());
        if let Some(journal) = &self.journal {
            command.env("WHSEC_JOURNAL", journal);
        }
        command.envs(self.place.as_ref().map(Place::variables).unwrap_or_default());
        command
    }

    /// Lets the leases of whoever was killed end, by the clock of the journal's place; of a state folder's own there are none.
    pub fn let_leases_end(&self) {
        self.place.iter().for_each(Place::let_leases_end);
    }

    /// The place of the journal, as a config names it without its key.
    pub fn database(&self) -> Option<String> {
        self.journal.as_ref().map(|journal| journal.split('#').next().unwrap().to_owned())
    }

    /// Does something at the journal's database, if it is in one, and yields what it says.
    pub fn sql(&self, sql: &str) -> String {
        match &self.place {
            Some(Place::Database(at)) => place::sql(at, sql),
            _ => String::new(),
        }
    }

    /// A command that another program runs: what that is told, and behind it the command as it is.
    pub fn behind(&self, mut program: Command, inner: &Command) -> Command {
        program.arg(inner.get_program()).args(inner.get_args()).env_clear().current_dir(self.path("work"));
        program.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
        program
    }

    /// Rotates while the store is away when the answer comes, and has it back: the new secret is sealed and nowhere else.
    pub fn rotates_with_its_store_away(&self, mut rotate: Command) {
        let (file, kept) = (self.dotenv(), std::fs::read(self.dotenv()).unwrap());
        self.stand_in.fault(Fault::Late(Duration::from_secs(2)));
        let child = rotate.spawn().unwrap();
        self.until("the call", |sandbox| sandbox.rotations() == 1);
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        self.finish(child).exits(8);
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, kept).unwrap();
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.watch(self.command(arguments).output().unwrap())
    }

    /// The endpoint, for calls that somebody else makes.
    pub fn endpoint(&self) -> Endpoint {
        self.provider.endpoint(Some(&self.stand_in.base_url()), &self.ids, None, &BTreeMap::new()).unwrap()
    }

    /// Rotates as a script would, agreeing to whatever the provider's kind of rotation needs.
    pub fn rotate(&self) -> Run {
        let id = self.id();
        self.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"])
    }

    /// Starts a command and lets it run.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for the end of a command that was started.
    pub fn finish(&self, child: Child) -> Run {
        self.watch(child.wait_with_output().unwrap())
    }

    /// Blocks until this holds; fails the test if it does not within a minute.
    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = std::time::Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Blocks until the overlap is over by every clock; a provider tells its own in whole seconds only.
    pub fn until_the_overlap_is_over(&self) {
        self.until("the end of the overlap", |sandbox| sandbox.stand_in.live_secrets().len() == 1);
        let over = std::time::Instant::now();
        self.until("the next two seconds", |_| over.elapsed() > Duration::from_secs(2));
    }

    /// Runs a command with this on its stdin.
    pub fn run_with_stdin(&self, arguments: &[&str], input: &str) -> Run {
        let mut child: Child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let written = child.stdin.take().unwrap().write_all(input.as_bytes());
        // A command that asks nothing may be through before.
        assert!(written.is_ok() || written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe));
        self.watch(child.wait_with_output().unwrap())
    }

    /// Runs a command that prints a secret on purpose.
    pub fn run_revealing(&self, arguments: &[&str]) -> Run {
        Run::from(self.command(arguments).output().unwrap())
    }

    /// Looks for secrets in what came out of a command.
    pub fn watch(&self, output: Output) -> Run {
        let run = Run::from(output);
        self.secrets.borrow_mut().extend(self.stand_in.live_secrets());
        let text = format!("{}{}", run.stdout, run.stderr);
        for secret in self.secrets.borrow().iter().chain([&self.api_key]) {
            assert!(!text.contains(secret.expose()), "a secret came out of whsec:\n{text}");
        }
        run
    }

    /// The dotenv file as names and values, without quotes.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(self.dotenv()).unwrap();
        let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned())).collect()
    }

    /// What somebody does who puts another secret in the place of one in the dotenv file.
    pub fn edit_dotenv(&self, from: &Secret, to: &Secret) {
        let text = std::fs::read_to_string(self.dotenv()).unwrap();
        assert!(text.contains(from.expose()));
        std::fs::write(self.dotenv(), text.replace(from.expose(), to.expose())).unwrap();
    }

    /// The value of a slot in the dotenv file.
    pub fn slot(&self, suffix: &str) -> Option<Secret> {
        self.variables().get(&format!("{KEY}{suffix}")).map(|value| Secret::new(value.as_str()))
    }

    /// The secret that the stand-in made last.
    pub fn newest(&self) -> Secret {
        self.stand_in.live_secrets().remove(0)
    }

    /// How often the provider has rotated.
    pub fn rotations(&self) -> u32 {
        self.stand_in.ledger().rotations
    }

    /// The rotate requests that reached the provider.
    pub fn rotate_requests(&self) -> Vec<Seen> {
        let rotate = &self.provider.spec().rotate;
        let (Some(method), Some(path)) = (rotate.method, &rotate.path) else { return Vec::new() };
        let ends = path.rsplit('/').next().unwrap_or_default().to_owned();
        let ledger = self.stand_in.ledger();
        ledger
            .requests
            .into_iter()
            .filter(|seen| seen.method == method.as_str() && seen.path.ends_with(&ends))
            .collect()
    }

    /// The fingerprints in `next`, `current` and `previous` of the dotenv file, by what they are: `old`, `new`, `other`.
    pub fn slots(&self, old: &Secret) -> [&'static str; 3] {
        let new = self.newest();
        ["_NEW", "", "_OLD"].map(|suffix| match self.slot(suffix) {
            None => "empty",
            Some(value) if value == new => "new",
            Some(value) if value == *old => "old",
            Some(_) => "other",
        })
    }

    /// The state folder of the binary.
    pub fn state(&self) -> PathBuf {
        self.path("state/whsec")
    }

    /// Temporary files, seals and anything else that a finished rotation must not leave behind.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let files = self.all_files().into_iter().map(|(path, _)| path);
        files
            .filter(|path| {
                let text = path.to_string_lossy();
                text.ends_with(".tmp") || text.ends_with(".age") || text.ends_with("-wal")
            })
            .collect()
    }

    /// How many requests reached the provider.
    pub fn requests(&self) -> usize {
        self.stand_in.ledger().requests.len()
    }

    /// Everything below the sandbox, as text: to look for what must not be there.
    pub fn all_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(self.folder.path(), &mut found);
        found
    }
}

impl Run {
    /// Asserts the exit code, showing everything if it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no `{text}` in stderr:\n{}", self.stderr);
        self
    }

    /// Asserts that stderr does not have this text.
    #[track_caller]
    pub fn says_not(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "`{text}` in stderr:\n{}", self.stderr);
        self
    }

    /// The last line of stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}\nstderr:\n{}", self.stderr))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
}

fn set_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
