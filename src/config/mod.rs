//! Configuration: from the words in the files, through flags, to targets in which impossible states are gone.
//!
//! `file` reads, `raw` holds the words, `trust` says what a checkout's file may not say, `draft` takes the words of
//! one target and its flags together, `normalise` turns them into a `Target`, `edit` changes a file and keeps its
//! comments. No environment and no clock: `cli` passes folders in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::provider::spec::Cutover;
use crate::provider::{Catalog, Endpoint};
use crate::store::{CommandSpec, Environment, Reference, Slot, SlotNames, StoreError, Surroundings};

use draft::Draft;
pub use draft::Overrides;
pub use error::{ConfigError, Place};
pub use file::{ConfigFile, Trust};
pub use raw::IdentityPlace;

mod draft;
pub mod edit;
mod error;
pub mod file;
mod normalise;
mod paths;
pub mod places;
mod raw;
#[cfg(test)]
mod tests;
pub mod trust;
pub mod write;

/// Everything that the config files say.
#[derive(Clone, Debug, Default)]
pub struct Config {
    drafts: BTreeMap<String, Draft>,
    commands: Arc<BTreeMap<String, CommandSpec>>,
    /// Environment variables that may hold an API key, of this target or another.
    private: Arc<[String]>,
    /// Where sealed copies are encrypted to.
    pub seal: Seal,
    /// CA certificates (PEM file) that are accepted beside the system's own.
    pub ca: Option<PathBuf>,
    /// What stores see of the world; empty until `cli` sets it.
    pub environment: Environment,
    /// The program that is told what happens, with its arguments.
    pub notify: Option<Vec<String>>,
    /// The user's home, for `~/`.
    home: Option<PathBuf>,
}

/// The section `[seal]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// age recipients in place of the user's own; empty where the user's own is used.
    pub recipients: Vec<String>,
    /// Where the identity is kept; absent: the keychain where there is one, else a file.
    pub identity: Option<IdentityPlace>,
}

/// An endpoint that the operator looks after, ready to be used.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name in the config, or `PROVIDER/ID[/ID]` as typed.
    pub name: String,
    pub endpoint: Endpoint,
    /// Paths in references are absolute. Empty for a target that can only be looked at.
    pub stores: Vec<TargetStore>,
    pub surroundings: Surroundings,
    /// https, or http to loopback.
    pub receivers: Vec<String>,
    /// Whether the receivers may be probed: not where a checkout's file that is not trusted names them.
    pub may_probe: bool,
    /// Whether a checkout's file that is not trusted names the stores: what they hold may have been put there with it.
    pub stores_from_checkout: bool,
    pub api_key: Option<KeySource>,
    pub cutover: Cutover,
    pub owner: Option<String>,
    /// How old a secret may become.
    pub max_age: Option<Duration>,
    /// CA certificates (PEM file) that are accepted beside the system's own.
    pub ca: Option<PathBuf>,
    /// The file that the target is written in; none for an ad hoc one.
    pub file: Option<PathBuf>,
}

/// A store of a target, and the names of its slots.
#[derive(Clone, Debug)]
pub struct TargetStore {
    pub reference: Reference,
    pub names: SlotNames,
}

/// Where a target's API key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An environment variable.
    Env(String),
    /// A private file; one newline at its end does not count.
    File(PathBuf),
    /// An entry of the OS keychain.
    Keychain { service: String, account: String },
    /// The output of a program; one newline at its end does not count.
    Command(Vec<String>),
}

impl Config {
    /// Takes the files together, the most important one first, and checks every target. A target is taken whole from
    /// the first file that has it; a checkout's file that is not trusted may not have one of the user's own.
    pub fn load(files: &[ConfigFile], catalog: &Catalog, home: Option<&Path>) -> Result<Self, ConfigError> {
        let mut config = Self { home: home.map(Path::to_owned), ..Self::default() };
        let mut checkout = BTreeSet::new();
        let mut commands = BTreeMap::new();
        // From the least important to the most important, so that each file replaces what stands.
        for file in files.iter().rev() {
            let raw = raw::parse(file)?;
            if file.trust == Trust::Checkout {
                trust::check(&raw, file)?;
            }
            for (name, target) in raw.targets {
                let place = file.place(name.span().start);
                let draft = Draft::from_file(name.into_inner(), place, target, file)?;
                if file.trust == Trust::Checkout {
                    if config.drafts.contains_key(&draft.name) {
                        return Err(draft.shadows(&draft.name));
                    }
                    checkout.insert(draft.name.clone());
                }
                config.drafts.insert(draft.name.clone(), draft);
            }
            for (name, command) in raw.commands {
                commands.insert(name.into_inner(), paths::command(command, file.folder(), home));
            }
            if let Some(notify) = raw.notify {
                let place = file.place(notify.span().start);
                config.notify = Some(normalise::notifier(notify.into_inner().command, place, file.folder(), home)?);
            }
            if let Some(ca) = raw.ca {
                config.ca = Some(paths::absolute(Path::new(ca.get_ref()), file.folder(), home));
            }
            if let Some(seal) = raw.seal {
                let seal = seal.into_inner();
                config.seal.recipients = match seal.recipients {
                    Some(recipients) => normalise::recipients(&recipients, file)?,
                    None => config.seal.recipients,
                };
                config.seal.identity = seal.identity.or(config.seal.identity);
            }
        }
        config.commands = Arc::new(commands);
        config.private = normalise::private_variables(config.drafts.values(), catalog).into();
        config.check_all(&checkout, catalog)?;
        Ok(config)
    }

    /// The names of all targets, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.drafts.keys().map(String::as_str)
    }

    /// Whether the config has a target of this name.
    pub fn has(&self, name: &str) -> bool {
        self.drafts.contains_key(name)
    }

    /// The programs that keep secrets, by name.
    pub fn commands(&self) -> &Arc<BTreeMap<String, CommandSpec>> {
        &self.commands
    }

    /// The environment variables that no program which whsec starts gets to see, because they may hold an API key.
    pub fn private_variables(&self) -> &Arc<[String]> {
        &self.private
    }

    /// A store by its reference alone, its path from the root. Refuses the keychain entries of whsec's own keys.
    pub fn reference(&self, text: &str, folder: &Path) -> Result<Reference, StoreError> {
        let reference = Reference::parse(text)?;
        if normalise::is_reserved(&reference) {
            let why = "it keeps whsec's own keys".to_owned();
            let hint = "name another keychain service".to_owned();
            return Err(StoreError::Refused { store: reference.to_string(), why, hint });
        }
        Ok(paths::reference(reference, folder, self.home.as_deref()))
    }

    /// The target of this name, or the ad hoc one that `PROVIDER/ID[/ID]` describes, with what the flags say in place
    /// of what the files say.
    pub fn target(&self, name: &str, overrides: &Overrides, catalog: &Catalog) -> Result<Target, ConfigError> {
        let mut draft = match self.drafts.get(name) {
            Some(draft) => draft.clone(),
            None => Draft::ad_hoc(name, overrides, catalog)?.ok_or_else(|| self.unknown(name))?,
        };
        draft.apply(overrides);
        normalise::target(draft, self, catalog)
    }

    /// The target as the files describe it.
    pub fn named(&self, name: &str, catalog: &Catalog) -> Result<Target, ConfigError> {
        let draft = self.drafts.get(name).ok_or_else(|| self.unknown(name))?;
        normalise::target(draft.clone(), self, catalog)
    }

    fn unknown(&self, name: &str) -> ConfigError {
        let known = self.names().map(str::to_owned).collect();
        ConfigError::UnknownTarget { name: name.to_owned(), nearest: nearest(name, self.names()), known }
    }

    /// Normalises every target once, and looks at what only all of them together can show.
    fn check_all(&self, checkout: &BTreeSet<String>, catalog: &Catalog) -> Result<(), ConfigError> {
        let mut stores: BTreeMap<String, &str> = BTreeMap::new();
        let mut taken: BTreeMap<(String, String), &str> = BTreeMap::new();
        let mut own: BTreeMap<String, &str> = BTreeMap::new();
        // The user's own come first, so that the blame falls on the checkout's.
        let (theirs, ours): (Vec<&str>, Vec<&str>) = self.names().partition(|name| checkout.contains(*name));
        for name in ours.into_iter().chain(theirs) {
            let Some(draft) = self.drafts.get(name) else { continue };
            let target = normalise::target(draft.clone(), self, catalog)?;
            let key = target.endpoint.key();
            match own.get(&key) {
                Some(other) if checkout.contains(name) => return Err(draft.shadows(other)),
                _ => own.insert(key, name),
            };
            for store in &target.stores {
                // A program may well keep the secrets of several targets.
                if matches!(store.reference, Reference::Command { .. } | Reference::Stdout) {
                    continue;
                }
                if let Some(other) = stores.insert(store.reference.to_string(), name) {
                    return Err(draft.shared_store(&store.reference.to_string(), other));
                }
                for (place, slot) in slots(store, &target.surroundings) {
                    match taken.insert((place, slot.clone()), name) {
                        Some(other) if other != name => return Err(draft.shared_slot(&slot, other)),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// The slots of a store whose slots have names side by side, each with where it is: another target's store may be named like
/// one of them.
fn slots(store: &TargetStore, surroundings: &Surroundings) -> Vec<(String, String)> {
    let place = match &store.reference {
        Reference::Dotenv { path, .. } => format!("dotenv:{}", path.display()),
        Reference::Json { path, .. } => format!("json:{}", path.display()),
        Reference::File { .. } => "file:".to_owned(),
        Reference::Keychain { service, .. } => format!("keychain:{service}"),
        _ => return Vec::new(),
    };
    // A store that cannot be opened says so when it is used.
    let Ok(open) = crate::store::open(&store.reference, &store.names, surroundings) else { return Vec::new() };
    Slot::KEPT.map(|slot| (place.clone(), open.slot_name(slot))).to_vec()
}

/// Refuses a target's name that could not be typed, or be taken for `PROVIDER/ID` or a flag.
pub fn check_name(name: &str) -> Result<(), ConfigError> {
    normalise::check_name(name, &Place::Flag("NAME"))
}

/// The known name that was most likely meant, if any is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = known
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate));
    let allowed = (name.chars().count() / 3).max(1);
    scored.filter(|(distance, _)| *distance <= allowed).min().map(|(_, candidate)| candidate.to_owned())
}
