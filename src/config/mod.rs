//! Configuration: from the words in the files, through flags, to targets in which impossible states are gone.
//!
//! `file` reads, `raw` holds the words, `trust` says what a checkout's file may not say, `draft` takes the words of
//! one target and its flags together, `normalise` turns them into a `Target`, `edit` changes a file and keeps its
//! comments. No environment and no clock: `cli` passes folders in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::documents::Location;
use crate::provider::spec::Cutover;
use crate::provider::{Catalog, Endpoint};
use crate::secret;
use crate::store::{CommandSpec, Environment, Reference, Slot, SlotNames, StoreError, Surroundings};

use draft::Draft;
pub use draft::Overrides;
pub use error::{ConfigError, Position};
pub use file::{ConfigFile, Trust};
pub use normalise::is_label;
use notify::Notify;
use policy::{Policy, Rules};

pub mod compare;
mod draft;
pub mod edit;
mod error;
pub mod file;
mod normalise;
pub mod notify;
mod paths;
pub mod places;
pub mod policy;
mod raw;
pub mod settings;
pub mod sheet;
#[cfg(test)]
mod tests;
pub mod trust;
pub mod write;

/// Everything that the config files say.
#[derive(Clone, Debug, Default)]
pub struct Config {
    drafts: BTreeMap<String, Draft>,
    /// Targets that cannot be used: their words cannot be read, or two of them are in each other's way. What is wrong with a
    /// single one otherwise is said when it is used.
    broken: BTreeMap<String, Arc<ConfigError>>,
    commands: Arc<BTreeMap<String, CommandSpec>>,
    /// The targets of each endpoint, by its key.
    endpoints: BTreeMap<String, Vec<String>>,
    /// Environment variables that may hold an API key, of this target or another.
    private: Arc<[String]>,
    /// Where sealed copies are encrypted to.
    pub seal: Seal,
    /// Where rotations are recorded that several machines go on with; absent: in the state folder.
    pub journal: Option<Location>,
    /// CA certificates (PEM file) that are accepted beside the system's own.
    pub ca: Option<PathBuf>,
    /// What stores see of the world; empty until `cli` sets it.
    pub environment: Environment,
    /// The program that is told what happens.
    pub notify: Option<Notify>,
    /// Who may rotate what, when, and with whose consent.
    pub policy: Policy,
    /// The user's home, for `~/`.
    home: Option<PathBuf>,
}

/// The section `[seal]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// age recipients beside the user's own.
    pub recipients: Vec<String>,
    /// Where the identity is kept; absent: the keychain where there is one, else a file.
    pub identity: Option<IdentityPlace>,
}

/// Where the key that opens seals is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityPlace {
    /// In the OS keychain.
    Keychain,
    /// In a private file in the state folder.
    File,
    /// Where this reference says: a team's identity, which is made by whoever makes the journal.
    Store(Reference),
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
    /// Words by which targets are selected, each with its value.
    pub labels: BTreeMap<String, String>,
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
    /// The live slot of a store.
    Store(Reference),
}

impl Config {
    /// Takes the files together, the most important one first. A target is taken whole from the first file that has it; a
    /// checkout's file that is not trusted may not have one of the user's own. What is wrong with one target is an error for
    /// whoever uses that one.
    pub fn load(files: &[ConfigFile], catalog: &Catalog, home: Option<&Path>) -> Result<Self, ConfigError> {
        let mut config = Self { home: home.map(Path::to_owned), ..Self::default() };
        let mut checkout = BTreeSet::new();
        let mut commands = BTreeMap::new();
        let mut keys = Vec::new();
        // From the least important to the most important, so that each file replaces what stands.
        for file in files.iter().rev() {
            let mut raw = raw::parse(file)?;
            if file.trust == Trust::Checkout {
                trust::check(&raw, file)?;
                // A word that nobody has thought about may be anything.
                if let Some(unread) = raw.unread.pop() {
                    return Err(unread.error);
                }
            }
            for (name, target) in raw.targets {
                let place = file.place(name.span().start);
                let name = name.into_inner();
                match Draft::from_file(name.clone(), place, target, file) {
                    Ok(draft) if file.trust == Trust::Checkout => {
                        if config.has(&name) {
                            return Err(draft.shadows(&name));
                        }
                        checkout.insert(name.clone());
                        config.drafts.insert(name, draft);
                    }
                    Err(error) if file.trust == Trust::Checkout => return Err(error),
                    Ok(draft) => {
                        config.broken.remove(&name);
                        config.drafts.insert(name, draft);
                    }
                    Err(error) => config.breaks(name, error),
                }
            }
            for unread in raw.unread {
                keys.extend(unread.api_key);
                config.breaks(unread.name, unread.error);
            }
            for (name, command) in raw.commands {
                commands.insert(name.into_inner(), paths::command(command, file.folder(), home));
            }
            if let Some(notify) = raw.notify {
                let place = file.place(notify.span().start);
                config.notify = Some(normalise::notifier(notify.into_inner(), place, file.folder(), home)?);
            }
            if let Some(policy) = raw.policy {
                config.policy.add(Rules::of_config(policy, file, home)?);
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
                let identity = seal.identity.map(|text| normalise::identity(&text, file, home)).transpose()?;
                config.seal.identity = identity.or(config.seal.identity);
            }
            if let Some(journal) = raw.journal {
                config.journal = Some(normalise::journal(&journal.into_inner().at, file)?);
            }
        }
        config.commands = Arc::new(commands);
        config.private = normalise::private_variables(config.drafts.values(), &keys, catalog).into();
        config.check_all(&checkout, catalog)?;
        Ok(config)
    }

    /// What there is without any file.
    pub fn bare(catalog: &Catalog, home: Option<&Path>) -> Self {
        let private = normalise::private_variables([].into_iter(), &[], catalog).into();
        Self { home: home.map(Path::to_owned), private, ..Self::default() }
    }

    /// The names of all targets, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.drafts.keys().chain(self.broken.keys()).map(String::as_str).collect::<BTreeSet<_>>().into_iter()
    }

    /// Whether the config has a target of this name.
    pub fn has(&self, name: &str) -> bool {
        self.drafts.contains_key(name) || self.broken.contains_key(name)
    }

    /// What a target is selected by beside its name: provider, owner and labels, as written; `None` where its words cannot be read.
    pub fn traits(&self, name: &str) -> Option<(&str, Option<&str>, BTreeMap<&str, &str>)> {
        let draft = self.drafts.get(name)?;
        let labels = draft.labels.iter().flat_map(|labels| &labels.value);
        let labels = labels.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Some((draft.provider.value.as_str(), draft.owner.as_deref(), labels))
    }

    /// The names of the targets of an endpoint, sorted; those that cannot be used are not among them.
    pub fn of_endpoint(&self, key: &str) -> impl Iterator<Item = &str> {
        self.endpoints.get(key).into_iter().flatten().map(String::as_str)
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
            let hint = "name another keychain service".into();
            return Err(StoreError::Refused { store: reference.to_string(), why, hint });
        }
        Ok(paths::reference(reference, folder, self.home.as_deref()))
    }

    /// The target of this name, or the ad hoc one that `PROVIDER/ID[/ID]` describes, with what the flags say in place
    /// of what the files say.
    pub fn target(&self, name: &str, overrides: &Overrides, catalog: &Catalog) -> Result<Target, ConfigError> {
        let mut draft = match self.drafts.get(name) {
            _ if self.broken.contains_key(name) => return self.named(name, catalog),
            Some(draft) => draft.clone(),
            None => Draft::ad_hoc(name, overrides, catalog)?.ok_or_else(|| self.unknown(name))?,
        };
        draft.apply(overrides);
        normalise::target(&draft, self, catalog)
    }

    /// The target as the files describe it.
    pub fn named(&self, name: &str, catalog: &Catalog) -> Result<Target, ConfigError> {
        if let Some(error) = self.broken.get(name) {
            return Err(ConfigError::Broken(Arc::clone(error)));
        }
        let draft = self.drafts.get(name).ok_or_else(|| self.unknown(name))?;
        normalise::target(draft, self, catalog)
    }

    fn unknown(&self, name: &str) -> ConfigError {
        let known = self.names().map(str::to_owned).collect();
        let nearest = nearest(name, self.names());
        // What is near enough to a known name is a slip of that one.
        let name = if nearest.is_some() { name } else { secret::shown(name) }.to_owned();
        ConfigError::UnknownTarget { name, nearest, known }
    }

    fn breaks(&mut self, name: String, error: ConfigError) {
        self.drafts.remove(&name);
        self.broken.insert(name, Arc::new(error));
    }

    /// Normalises every target once, and looks at what only all of them together can show. Of two that are in each other's
    /// way neither can be used: what is put into the one would be lost to the other.
    fn check_all(&mut self, checkout: &BTreeSet<String>, catalog: &Catalog) -> Result<(), ConfigError> {
        let mut stores: HashMap<String, &str> = HashMap::new();
        let mut taken: HashMap<(Arc<str>, String), &str> = HashMap::new();
        let mut own: HashMap<String, &str> = HashMap::new();
        let mut broken: Vec<(String, ConfigError)> = Vec::new();
        let mut endpoints: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // The user's own come first, so that the blame falls on the checkout's.
        let (theirs, ours): (Vec<&Draft>, Vec<&Draft>) =
            self.drafts.values().partition(|draft| checkout.contains(&draft.name));
        for draft in ours.into_iter().chain(theirs) {
            let name = draft.name.as_str();
            // One that is broken says so when it is used.
            let Ok(target) = normalise::target(draft, self, catalog) else { continue };
            let key = target.endpoint.key();
            endpoints.entry(key.clone()).or_default().push(name.to_owned());
            match own.get(&key) {
                Some(other) if checkout.contains(name) => return Err(draft.shadows(other)),
                _ => own.insert(key, name),
            };
            // The user's own stays as it is where a checkout's comes into its way.
            let is_blamed = |other: &str| checkout.contains(other) || !checkout.contains(name);
            let rival = |other: &str| self.drafts.get(other).filter(|_| is_blamed(other));
            for store in &target.stores {
                // A program may well keep the secrets of several targets.
                if matches!(store.reference, Reference::Command { .. } | Reference::Stdout) {
                    continue;
                }
                let reference = store.reference.to_string();
                if let Some(other) = stores.insert(reference.clone(), name) {
                    broken.push((name.to_owned(), draft.shared_store(&reference, other)));
                    broken.extend(rival(other).map(|it| (other.to_owned(), it.shared_store(&reference, name))));
                }
                for (place, slot) in slots(store, &target.surroundings) {
                    match taken.insert((place, slot.clone()), name) {
                        Some(other) if other != name => {
                            broken.push((name.to_owned(), draft.shared_slot(&slot, other)));
                            broken.extend(rival(other).map(|it| (other.to_owned(), it.shared_slot(&slot, name))));
                        }
                        _ => {}
                    }
                }
            }
        }
        self.endpoints = endpoints;
        // The first that is wrong with each is said, the stores before their slots.
        for (name, error) in broken {
            self.broken.entry(name).or_insert_with(|| Arc::new(error));
        }
        Ok(())
    }
}

/// The slots of a store whose slots have names side by side, each with where it is: another target's store may be named like
/// one of them.
fn slots(store: &TargetStore, surroundings: &Surroundings) -> Vec<(Arc<str>, String)> {
    let place = match &store.reference {
        Reference::Dotenv { path, .. } => format!("dotenv:{}", path.display()),
        Reference::Json { path, .. } => format!("json:{}", path.display()),
        Reference::File { .. } => "file:".to_owned(),
        Reference::Keychain { service, .. } => format!("keychain:{service}"),
        // Slots of these are kept apart otherwise: by stages, by a program, by fields that a server has.
        Reference::Age { .. } | Reference::AwsSm { .. } | Reference::Vault { .. } | Reference::Kubernetes { .. } => {
            return Vec::new();
        }
        Reference::Command { .. } | Reference::Stdout => return Vec::new(),
    };
    // A store that cannot be opened says so when it is used.
    let Ok(open) = crate::store::open(&store.reference, &store.names, surroundings) else { return Vec::new() };
    let place: Arc<str> = place.into();
    Slot::KEPT.map(|slot| (Arc::clone(&place), open.slot_name(slot))).into()
}

/// Refuses a target's name that could not be typed, or be taken for `PROVIDER/ID` or a flag.
pub fn check_name(name: &str) -> Result<(), ConfigError> {
    normalise::check_name(name, &Position::Flag("NAME"))
}

/// The known name that was most likely meant, if any is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = known
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate));
    let allowed = (name.chars().count() / 3).max(1);
    scored.filter(|(distance, _)| *distance <= allowed).min().map(|(_, candidate)| candidate.to_owned())
}
