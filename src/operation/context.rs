//! What every operation needs from the world: folders, config, catalog, clock, and who is at work.
//!
//! The environment is handed in. Files are read once, when they are first asked for.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::error::{Error, Kind, Stop};
use super::folders::Folders;
use super::followed;
use super::neighbours::Neighbours;
use super::seals::Keeper;
use crate::advice::Advice;
use crate::config::trust::{self, Ledger};
use crate::config::{Config, ConfigFile, Overrides, Target};
use crate::provider::Catalog;
use crate::provider::pace::Paces;
use crate::rotation::shared::Shared;
use crate::rotation::state_key::StateKey;
use crate::secret;
use crate::store::{Environment, NoEnvelope, Surroundings};

/// The name of a config file that comes with a checkout.
pub const CHECKOUT_FILE: &str = "whsec.toml";

/// What is told on the way, beside what an operation returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Something that has to be known.
    Warning(Advice),
    /// What happens.
    Said(Advice),
    /// The same for whoever wants to know more.
    Detail(Advice),
}

/// What is said of a target in place of what the config says.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub overrides: Overrides,
    /// The file that holds the API key.
    pub api_key_file: Option<PathBuf>,
}

/// Finds an environment variable by its name.
pub type Variables = Arc<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// What comes from outside, as it was found or asked for.
#[derive(Clone)]
pub struct World {
    pub folders: Folders,
    /// The config file that is read in place of the usual ones, absolute.
    pub config_file: Option<PathBuf>,
    /// How long a call may take, where that was said.
    pub timeout: Option<Duration>,
    /// `user@host`, for the journal.
    pub actor: String,
    pub clock: fn() -> Timestamp,
    pub variables: Variables,
    /// Whether something else than a secret goes to stdout.
    pub has_other_output: bool,
    /// The paces that calls to providers keep to, where many targets are worked on at once.
    pub paces: Option<Arc<Paces>>,
    /// Told of what happens.
    pub hear: Arc<dyn Fn(Note)>,
}

/// What the config and the descriptions of providers say, read once for several at work.
#[derive(Clone)]
pub struct Files {
    catalog: Option<Arc<Catalog>>,
    config: Option<Arc<Config>>,
    neighbours: Arc<Neighbours>,
}

/// The surroundings of operations.
pub struct Context {
    pub(super) world: World,
    catalog: OnceCell<Arc<Catalog>>,
    config: OnceCell<Arc<Config>>,
    /// What there is without a config that can be read.
    bare: OnceCell<Config>,
    /// The journal that several machines share, if there is one: one connection for all that this process does.
    shared: OnceCell<Option<Rc<Shared>>>,
    neighbours: Option<Arc<Neighbours>>,
}

impl Context {
    /// A context that has looked at nothing yet.
    pub fn new(world: World) -> Self {
        let (catalog, config, bare) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { world, catalog, config, bare, shared: OnceCell::new(), neighbours: None }
    }

    /// The same, with every file to be read anew: the config of a process that waits may be a day old.
    pub fn anew(&self) -> Self {
        Self { shared: self.shared.clone(), ..Self::new(self.world.clone()) }
    }

    /// Where files live.
    pub fn folders(&self) -> &Folders {
        &self.world.folders
    }

    /// The state folder, made on first use and closed to everybody else.
    pub fn state_dir(&self) -> Result<&Path, Error> {
        self.world.folders.private_state_dir()
    }

    /// The local clock.
    pub fn now(&self) -> Timestamp {
        (self.world.clock)()
    }

    /// The local clock itself.
    pub fn clock(&self) -> fn() -> Timestamp {
        self.world.clock
    }

    /// Who is at work, as `user@host`, for the journal.
    pub fn actor(&self) -> &str {
        &self.world.actor
    }

    /// A variable's value.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        (self.world.variables)(name)
    }

    /// Whether something else than a secret goes to stdout.
    pub fn has_other_output(&self) -> bool {
        self.world.has_other_output
    }

    /// Tells of something that has to be known.
    pub fn warn(&self, words: impl Into<Advice>) {
        (self.world.hear)(Note::Warning(words.into()));
    }

    /// Tells what happens.
    pub fn say(&self, words: impl Into<Advice>) {
        (self.world.hear)(Note::Said(words.into()));
    }

    /// Tells whoever wants to know more.
    pub fn detail(&self, words: impl Into<Advice>) {
        (self.world.hear)(Note::Detail(words.into()));
    }

    /// The providers that are built in and the user's own.
    pub fn catalog(&self) -> Result<&Catalog, Error> {
        let load = || Ok(Arc::new(Catalog::load(self.folders().providers_dir().as_deref())));
        Ok(once(&self.catalog, load)?.as_ref())
    }

    /// What the config files say.
    pub fn config(&self) -> Result<&Config, Error> {
        let load = || {
            let mut config = Config::load(&self.config_files()?, self.catalog()?, self.folders().home.as_deref())?;
            config.policy = self.rules_of_machine()?.and(config.policy);
            Ok(Arc::new(self.with_environment(config)))
        };
        Ok(once(&self.config, load)?.as_ref())
    }

    /// What the files say and what others have, for those who are at work side by side.
    pub fn files(&self, neighbours: Neighbours) -> Result<Files, Error> {
        let (_, _) = (self.config()?, self.catalog()?);
        let (catalog, config) = (self.catalog.get().cloned(), self.config.get().cloned());
        Ok(Files { catalog, config, neighbours: Arc::new(neighbours) })
    }

    /// A context that has read these files already.
    pub fn with_files(world: World, files: Files) -> Self {
        let context = Self::new(world);
        files.catalog.into_iter().for_each(|catalog| drop(context.catalog.set(catalog)));
        files.config.into_iter().for_each(|config| drop(context.config.set(config)));
        Self { neighbours: Some(files.neighbours), ..context }
    }

    /// What other endpoints have, where many are at work beside this one.
    pub fn neighbours(&self) -> Option<&Neighbours> {
        self.neighbours.as_deref()
    }

    /// The same, or what there is without any file where they cannot be read: enough for what the journal knows, and for
    /// nothing that is sent.
    pub fn config_at_hand(&self) -> Result<&Config, Error> {
        if let Ok(config) = self.config() {
            return Ok(config);
        }
        once(&self.bare, || {
            let builtin = Catalog::builtin();
            let bare = Config::bare(self.catalog().unwrap_or(&builtin), self.folders().home.as_deref());
            Ok(self.with_environment(bare))
        })
    }

    /// Why a target cannot be used as it is configured; nothing where it can, or is not configured at all.
    pub fn trouble(&self, name: &str) -> Option<Error> {
        let config = match self.config() {
            Ok(config) => config,
            Err(error) => return Some(error),
        };
        config.has(name).then(|| self.configured(name).err())?
    }

    /// The config files that there are, the most important one first.
    pub fn config_files(&self) -> Result<Vec<ConfigFile>, Error> {
        if let Some(path) = &self.world.config_file {
            let missing = || {
                let message = format!("there is no config file `{}`", secret::shown_path(path));
                Stop::new(Kind::Usage, message, "check --config and WHSEC_CONFIG")
            };
            return Ok(vec![ConfigFile::own(path)?.ok_or_else(missing)?]);
        }
        let checkout = ConfigFile::checkout(&self.checkout_path(), |file| self.is_trusted(file))?;
        let own = self.folders().config_file().map(|path| ConfigFile::own(&path)).transpose()?.flatten();
        Ok(checkout.into_iter().chain(own).collect())
    }

    /// The user's own config file, which may not exist yet.
    pub fn own_file(&self) -> Result<PathBuf, Error> {
        self.world.config_file.clone().or(self.folders().config_file()).ok_or_else(|| {
            Stop::new(Kind::Usage, "there is no home folder for the config", "set HOME, or name a file: --config FILE")
        })
    }

    /// Where a config file that came with a checkout would be.
    pub fn checkout_path(&self) -> PathBuf {
        self.folders().current.join(CHECKOUT_FILE)
    }

    /// The record of checkouts' files that the user trusts.
    pub fn ledger(&self) -> Result<Ledger, Error> {
        let Some(path) = self.folders().trust_file() else { return Ok(Ledger::default()) };
        let Some(record) = ConfigFile::own(&path)? else { return Ok(Ledger::default()) };
        let key = StateKey::look(self.folders().state_dir()?)?;
        Ok(key.map(|key| Ledger::parse(&record.text, &key.stamps)).unwrap_or_default())
    }

    /// The target of this name or the ad hoc one, with what was asked for in place of what the files say.
    pub fn target(&self, name: &str, overrides: &Overrides) -> Result<Target, Error> {
        let overrides = Overrides { folder: self.folders().current.clone(), ..overrides.clone() };
        let target = self.config()?.target(name, &overrides, self.catalog()?)?;
        refuse_typed(&target, &overrides.receivers)?;
        self.followed(target)
    }

    /// A configured target, as the config has it.
    pub fn configured(&self, name: &str) -> Result<Target, Error> {
        self.followed(self.config()?.named(name, self.catalog()?)?)
    }

    /// A target with the endpoint that has taken the place of the one that it names, where one has.
    pub fn followed(&self, target: Target) -> Result<Target, Error> {
        let has_journal = |folder: &Path| folder.join("journal.sqlite").exists();
        if !target.endpoint.provider.replaces()
            || (self.location()?.is_none() && !self.folders().state_dir().is_ok_and(has_journal))
        {
            return Ok(target);
        }
        let journal = self.journal_to_look()?;
        let followed = Target { endpoint: followed::follow(&journal, target.endpoint)?, ..target };
        if !followed.stores_from_checkout {
            return Ok(followed);
        }
        // By another of its ids a checkout's file would name the user's own endpoint, and have its new secret.
        let (config, catalog, key) = (self.config()?, self.catalog()?, followed.endpoint.key());
        let own = config.names().filter_map(|name| config.named(name, catalog).ok());
        for own in own.filter(|own| !own.stores_from_checkout && own.endpoint.provider.replaces()) {
            if followed::follow(&journal, own.endpoint)?.key() == key {
                let message =
                    format!("`{}` of the checkout's file is the endpoint of your own `{}`", followed.name, own.name);
                return Err(Stop::new(Kind::Usage, message, "take one of the two out"));
            }
        }
        Ok(followed)
    }

    /// What the stores of a target need that is not in the config, or those of none.
    pub fn surroundings(&self, target: &str) -> Result<Surroundings, Error> {
        let config = self.config_at_hand()?;
        Ok(Surroundings {
            commands: Arc::clone(config.commands()),
            target: target.to_owned(),
            folder: self.folders().current.clone(),
            private: Arc::clone(config.private_variables()),
            environment: config.environment.clone(),
            rotation: None,
        })
    }

    /// Where the journal is kept that several machines share, once it is open.
    pub(super) fn shared(&self) -> &OnceCell<Option<Rc<Shared>>> {
        &self.shared
    }

    /// Who keeps the identity that opens seals.
    pub fn keeper(&self) -> Result<Keeper, Error> {
        Ok(Keeper::new(self.config_at_hand()?, self.folders(), self.environment()))
    }

    fn with_environment(&self, mut config: Config) -> Config {
        let keeper = Keeper::new(&config, self.folders(), self.environment());
        let envelope = move || {
            let found = keeper.seals(false).and_then(|seals| Ok(seals.envelope()?));
            found.map_err(|error| NoEnvelope { why: error.words(), hint: error.advice().unwrap_or_default() })
        };
        config.environment = self.environment().with_envelope(envelope);
        config
    }

    /// What stores see of the world, without an identity for encrypted files.
    fn environment(&self) -> Environment {
        let variables = Arc::clone(&self.world.variables);
        let text = move |name: &str| variables(name).and_then(|value| value.into_string().ok());
        Environment::new(text, self.folders().home.clone(), self.world.clock)
    }

    fn is_trusted(&self, file: &ConfigFile) -> bool {
        // A record that cannot be read trusts nothing.
        let knows = |ledger: &Ledger| ledger.knows(&file.path) && ledger.holds(&file.path, &trust::digest(file));
        self.ledger().is_ok_and(|ledger| knows(&ledger))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Context").field("folders", self.folders()).finish_non_exhaustive()
    }
}

/// Fills a cell on first use; a failure is not kept.
pub(super) fn once<T>(cell: &OnceCell<T>, fill: impl FnOnce() -> Result<T, Error>) -> Result<&T, Error> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = fill()?;
    Ok(cell.get_or_init(|| value))
}

/// Refuses receivers that a flag names where probes bear the secret itself: an address that is typed may be anybody's.
pub fn refuse_typed(target: &Target, receivers: &[String]) -> Result<(), Error> {
    let provider = &target.endpoint.provider;
    if receivers.is_empty() || !provider.bears_secret() {
        return Ok(());
    }
    let title = provider.title();
    let message =
        format!("{title}'s deliveries bear the secret itself, and so would probes of an address that is typed");
    Err(Stop::new(Kind::Usage, message, "name it in the target: `receivers = [\"https://…\"]`"))
}

#[cfg(test)]
impl Context {
    /// A world in which nothing is set and nobody listens.
    pub fn for_tests() -> Self {
        Self::in_world(None, |_| None)
    }

    /// The same with a config file and variables.
    pub fn in_world(
        config_file: Option<PathBuf>,
        variables: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        let folders =
            Folders { config_dir: None, state_dir: None, policy_file: None, home: None, current: PathBuf::new() };
        Self::new(World {
            folders,
            config_file,
            timeout: None,
            actor: "somebody@here".to_owned(),
            clock: || Timestamp::UNIX_EPOCH,
            variables: Arc::new(variables),
            has_other_output: false,
            paces: None,
            hear: Arc::new(|_| ()),
        })
    }
}
