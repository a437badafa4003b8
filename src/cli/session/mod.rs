//! What every command needs from the world: folders, config, catalog, keys, the clock and who is there.
//!
//! The only place that reads the environment and the clock. Everything is read once, when it is first asked for.

use std::cell::OnceCell;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Global;
use super::exit::{self, Exit, Fault};
use super::mistyped;
use super::options::TargetOptions;
use super::work::seals_in;
use crate::config::trust::{self, Ledger};
use crate::config::{Config, ConfigFile, Overrides, Target};
use crate::delivery::probe::PATIENCE;
use crate::http;
use crate::provider::Catalog;
use crate::provider::client::{Client, ClientOptions};
use crate::rotation::KeyOrigin;
use crate::rotation::state_key::StateKey;
use crate::secret::Secret;
use crate::store::{Environment, NoEnvelope, Surroundings};
use crate::system::owned::{self, NotOwned};
use crate::system::program;
use crate::ui::Output;

mod folders;
mod key;
mod typed;

pub use folders::Folders;
pub use key::{FoundKey, KEY_SERVICE, key_account, read_key, refused as refused_key};

/// The name of a config file that comes with a checkout.
pub const CHECKOUT_FILE: &str = "whsec.toml";

/// The surroundings of one run.
#[derive(Debug)]
pub struct Session {
    pub output: Output,
    pub global: Global,
    /// The command to come back with where there is nothing to come back to, as in a rehearsal.
    pub comes_back_with: Option<String>,
    folders: OnceCell<Folders>,
    catalog: OnceCell<Catalog>,
    config: OnceCell<Config>,
    /// What there is without a config that can be read.
    bare: OnceCell<Config>,
    /// Where the API key was found, once it was.
    key_origin: OnceCell<KeyOrigin>,
}

impl Session {
    /// A session that has looked at nothing yet.
    pub fn new(global: Global, output: Output) -> Self {
        Self {
            output,
            global,
            comes_back_with: None,
            folders: OnceCell::new(),
            catalog: OnceCell::new(),
            config: OnceCell::new(),
            bare: OnceCell::new(),
            key_origin: OnceCell::new(),
        }
    }

    /// Where files live.
    pub fn folders(&self) -> anyhow::Result<&Folders> {
        once(&self.folders, || Folders::find(self.global.state_dir.as_deref()))
    }

    /// The providers that are built in and the user's own.
    pub fn catalog(&self) -> anyhow::Result<&Catalog> {
        once(&self.catalog, || {
            let folder = self.folders()?.providers_dir();
            Ok(Catalog::load(folder.as_deref()))
        })
    }

    /// What the config files say.
    pub fn config(&self) -> anyhow::Result<&Config> {
        once(&self.config, || {
            let home = self.folders()?.home.clone();
            let config = Config::load(&self.config_files()?, self.catalog()?, home.as_deref())?;
            Ok(self.with_environment(config, self.folders()?))
        })
    }

    /// The same, or what there is without any file where they cannot be read: enough for what the journal knows, and for
    /// nothing that is sent.
    pub fn config_at_hand(&self) -> anyhow::Result<&Config> {
        if let Ok(config) = self.config() {
            return Ok(config);
        }
        once(&self.bare, || {
            let folders = self.folders()?;
            let builtin = Catalog::builtin();
            let bare = Config::bare(self.catalog().unwrap_or(&builtin), folders.home.as_deref());
            Ok(self.with_environment(bare, folders))
        })
    }

    /// Why a target cannot be used as it is configured; nothing where it can, or is not configured at all.
    pub fn trouble(&self, name: &str) -> Option<anyhow::Error> {
        let config = match self.config() {
            Ok(config) => config,
            Err(error) => return Some(error),
        };
        config
            .has(name)
            .then(|| self.catalog().and_then(|catalog| Ok(config.named(name, catalog).map(|_| ())?)).err())?
    }

    fn with_environment(&self, mut config: Config, folders: &Folders) -> Config {
        let (seal, home) = (config.seal.clone(), folders.home.clone());
        let folders = folders.clone();
        let envelope = move || {
            let found = seals_in(&folders, &seal).and_then(|seals| Ok(seals.envelope()?));
            found.map_err(|error| {
                let fault = exit::report(&error);
                NoEnvelope { why: fault.message, hint: fault.hint.unwrap_or_default() }
            })
        };
        let environment = Environment::new(|name| env::var(name).ok(), home, Timestamp::now);
        config.environment = environment.with_envelope(envelope);
        config
    }

    /// The config files that there are, the most important one first.
    pub fn config_files(&self) -> anyhow::Result<Vec<ConfigFile>> {
        let folders = self.folders()?;
        if let Some(path) = self.own_file_given()? {
            let missing = || {
                let message = format!("there is no config file `{}`", mistyped::file(&path));
                Fault::new(Exit::Usage, message, "check --config and WHSEC_CONFIG")
            };
            return Ok(vec![ConfigFile::own(&path)?.ok_or_else(missing)?]);
        }
        let checkout = ConfigFile::checkout(&self.checkout_path()?, |file| self.is_trusted(file))?;
        let own = folders.config_file().map(|path| ConfigFile::own(&path)).transpose()?.flatten();
        Ok(checkout.into_iter().chain(own).collect())
    }

    /// The user's own config file, which may not exist yet.
    pub fn own_file(&self) -> anyhow::Result<PathBuf> {
        let given = self.own_file_given()?;
        given.or(self.folders()?.config_file()).ok_or_else(|| {
            Fault::new(Exit::Usage, "there is no home folder for the config", "set HOME, or name a file: --config FILE")
        })
    }

    /// Where a config file that came with a checkout would be.
    pub fn checkout_path(&self) -> anyhow::Result<PathBuf> {
        Ok(self.folders()?.current.join(CHECKOUT_FILE))
    }

    /// The record of checkouts' files that the user trusts.
    pub fn ledger(&self) -> anyhow::Result<Ledger> {
        let Some(path) = self.folders()?.trust_file() else { return Ok(Ledger::default()) };
        let Some(record) = ConfigFile::own(&path)? else { return Ok(Ledger::default()) };
        let key = StateKey::look(self.folders()?.state_dir()?)?;
        Ok(key.map(|key| Ledger::parse(&record.text, &key.stamps)).unwrap_or_default())
    }

    /// The target of this name or the ad hoc one, with what the flags say in place of what the files say.
    pub fn target(&self, name: &str, options: &TargetOptions) -> anyhow::Result<Target> {
        let overrides = Overrides { folder: self.folders()?.current.clone(), ..options.overrides() };
        Ok(self.config()?.target(name, &overrides, self.catalog()?)?)
    }

    /// What the stores of a target need that is not in the config, or those of none.
    pub fn surroundings(&self, target: &str) -> anyhow::Result<Surroundings> {
        let config = self.config_at_hand()?;
        Ok(Surroundings {
            commands: Arc::clone(config.commands()),
            target: target.to_owned(),
            folder: self.folders()?.current.clone(),
            private: Arc::clone(config.private_variables()),
            environment: config.environment.clone(),
            rotation: None,
        })
    }

    /// The names of the configured targets; none where the config cannot be read, as completion must not fail.
    pub fn target_names(&self) -> Vec<String> {
        self.config().map(|config| config.names().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The API key for a target: from `file`, else from where the target says, else from the provider's environment
    /// variable, else the one saved by `login`. Fails with exit 3 and all the ways to give one.
    pub fn api_key(&self, target: &Target, file: Option<&Path>) -> anyhow::Result<Secret> {
        let file = file.map(|path| self.folders().map(|folders| folders.current.join(path))).transpose()?;
        let found = key::find(&self.output, target, file.as_deref())?;
        self.key_origin.get_or_init(|| KeyOrigin { words: found.way, is_printed: found.is_printed });
        Ok(found.key)
    }

    /// Where the API key was found, once it was.
    pub fn key_origin(&self) -> Option<KeyOrigin> {
        self.key_origin.get().cloned()
    }

    /// The API key for a target and the way it was found.
    pub fn find_key(&self, target: &Target) -> anyhow::Result<FoundKey> {
        key::find(&self.output, target, None)
    }

    /// The client that talks to the target's provider, with the target's CA certificates.
    pub fn client(&self, target: &Target) -> anyhow::Result<Client> {
        self.client_with(target, CALL_TIMEOUT)
    }

    /// The same for the target's receivers.
    pub fn prober_client(&self, target: &Target) -> anyhow::Result<Client> {
        self.client_with(target, PATIENCE)
    }

    fn client_with(&self, target: &Target, usual: Duration) -> anyhow::Result<Client> {
        let ca = target.ca.as_deref().map(read_ca).transpose()?;
        if ca.is_none() && http::distrusts_environment() && !http::is_loopback(&target.endpoint.base_url) {
            let hint = "name the authority in your own config, `ca = \"FILE\"`, or unset one of them";
            return Err(Fault::new(Exit::Usage, format!("the API key is not sent: {}", http::SHOWN), hint));
        }
        Ok(Client::new(&ClientOptions { timeout: self.global.timeout.unwrap_or(usual), ca })?)
    }

    /// Whether the journal has an open rotation of the target.
    pub fn has_open_rotation(&self, target: &Target) -> anyhow::Result<bool> {
        Ok(super::find::journal(self)?.find_open(&target.endpoint.key())?.is_some())
    }

    /// Whether somebody is there to answer questions.
    pub fn may_ask(&self) -> bool {
        self.output.is_terminal() && !self.global.no_input
    }

    /// The local clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Who runs this, as `user@host`, for the journal.
    pub fn actor(&self) -> String {
        let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| env::var(name).ok());
        let user = user.filter(|user| !user.is_empty()).unwrap_or_else(user_id);
        crate::provider::plain_text(&format!("{user}@{}", host()))
    }

    fn own_file_given(&self) -> anyhow::Result<Option<PathBuf>> {
        self.global.config.as_ref().map(|path| Ok(self.folders()?.current.join(path))).transpose()
    }

    fn is_trusted(&self, file: &ConfigFile) -> bool {
        // A record that cannot be read trusts nothing.
        let knows = |ledger: &Ledger| ledger.knows(&file.path) && ledger.holds(&file.path, &trust::digest(file));
        self.ledger().is_ok_and(|ledger| knows(&ledger))
    }
}

/// Takes from the environment what holds for the whole process: where programs are looked up, and whether it could show a key.
pub fn heed_environment() {
    let path = env::var_os("PATH").unwrap_or_default();
    program::search_in(env::split_paths(&path));
    let names =
        |variables: &[&str]| variables.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    let authorities = names(&["SSL_CERT_FILE", "SSL_CERT_DIR"]);
    http::distrust_environment(authorities && names(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]));
}

/// How long a call to a provider may take unless somebody says otherwise.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest file of CA certificates that is read, in bytes.
const LONGEST_CA: u64 = 1 << 20;

fn read_ca(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = owned::read(path, LONGEST_CA)
        .and_then(|read| read.ok_or_else(|| NotOwned::Unreadable(std::io::ErrorKind::NotFound.into())));
    read.map_err(|error| {
        error.map(
            path,
            |path, source| {
                let message = format!("cannot read the CA file `{}`: {source}", path.display());
                Fault::new(Exit::Usage, message, "`ca` names a file of PEM certificates")
            },
            |path, why, fix| Fault::new(Exit::Usage, format!("`{}` is not used: {why}", path.display()), fix),
        )
    })
}

fn user_id() -> String {
    format!("uid{}", rustix::process::geteuid().as_raw())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Fills a cell on first use; a failure is not kept.
fn once<T>(cell: &OnceCell<T>, fill: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = fill()?;
    Ok(cell.get_or_init(|| value))
}
