//! Where secrets are kept: the trait, the slots, and what is done with them in every store alike.
//!
//! A store knows how to read one slot and how to apply a list of changes; promote, retire, rollback and the
//! canary are written once, in `slots.rs`, on top of that. Stores never see a provider.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::system::FileError;

mod age;
mod aws;
mod bare;
mod bound;
mod command;
#[cfg(test)]
mod conformance;
mod dotenv;
pub mod envelope;
mod error;
mod file;
mod json;
mod kept_file;
mod keychain;
mod kubernetes;
mod names;
mod places;
mod preset;
mod reference;
mod server;
pub mod slots;
mod stdout;
mod surroundings;
mod vault;

pub use aws::{AwsAccess, aws_access};
pub use bound::bound;
pub use command::CommandStore;
pub use error::StoreError;
pub use keychain::keychain_entry;
pub use places::places;
pub use preset::preset_paths;
pub use reference::{DEFAULT_ACCOUNT, Reference};
pub use surroundings::{Environment, NoEnvelope, Surroundings};

/// How long one call into a store may take before it counts as failed.
pub const STORE_DEADLINE: Duration = Duration::from_secs(3);

/// How long one request to a server that keeps secrets may take.
pub const SERVER_DEADLINE: Duration = Duration::from_secs(10);

/// A place in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The secret that is coming.
    Next,
    /// The secret that receivers live on.
    Current,
    /// The secret that was live before.
    Previous,
    /// A made-up value that proves the store and is removed again at once.
    Canary,
}

impl Slot {
    /// The slots that keep secrets, the coming one first.
    pub const KEPT: [Self; 3] = [Self::Next, Self::Current, Self::Previous];

    /// The slot's word in commands and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Canary => "canary",
        }
    }
}

/// One change of one slot: a value to put there, or nothing to empty it.
pub type Change<'a> = (Slot, Option<&'a Secret>);

/// What a store lets us do, which decides how long the seal is kept; those that let us do most come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Slots can be written and read back.
    ReadWrite,
    /// Slots can be written, never read: the seal is kept until the new secret is promoted.
    WriteOnly,
    /// A value goes out once and is gone, as into a pipe; there are no slots.
    Once,
}

/// A place that keeps a secret. Every call returns within [`STORE_DEADLINE`] or fails; a program's within
/// [`crate::system::program::COMMAND_DEADLINE`], and each request to a server within [`SERVER_DEADLINE`]. No store keeps an empty value: an empty one that is found counts as an empty slot.
pub trait Store: Send + Sync {
    /// The reference as a person writes it, paths absolute: `dotenv:/srv/app/.env#KEY`.
    fn reference(&self) -> String;

    /// The name of a slot as receivers and people see it: a variable, a path, an account, a pointer.
    fn slot_name(&self, slot: Slot) -> String;

    /// What can be done with this store.
    fn access(&self) -> Access;

    /// What the operator should know before this store is written, such as a file that is open to others.
    fn caution(&self) -> Option<String> {
        None
    }

    /// Proves that the store takes and returns a value without changing anything in it, where it has a way to; `None` where
    /// the slot for canaries has to do.
    fn prove_beside(&self, _canary: &Secret) -> Option<Result<(), StoreError>> {
        None
    }

    /// The server that the environment names for this store, as people tell servers apart; `None` for a store that is on
    /// this machine. A rotation goes on only with the server that it was begun with.
    fn server(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// Whether the service itself leaves in `previous` what was live before, so that what is there is history and nobody's only
    /// copy.
    fn keeps_history(&self) -> bool {
        false
    }

    /// Reads one slot; `None` where it is empty. Fails for a store that cannot be read.
    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError>;

    /// Applies the changes in order and makes them durable before it returns. Stores that keep all slots in one
    /// file apply them as one: a reader sees all of them or none. With no changes nothing is changed, but what a run
    /// cut off has left beside a file is removed.
    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError>;

    /// The same as long as the slots hold what was seen of them. Fails with [`StoreError::Moved`] where one does not any more,
    /// with nothing changed in it. A store that can compare at the very moment of the change does; a keychain or a program has
    /// a window between the last look and the change that cannot be closed.
    fn apply_seen(&self, seen: &slots::Held, changes: &[Change<'_>]) -> Result<(), StoreError> {
        slots::still(&self.reference(), seen, |slot| self.get(slot))?;
        self.apply(changes)
    }
}

/// Names of slots that a target sets in place of a store's own, as `slots = { next = "…" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlotNames {
    /// The name of the slot `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The name of the slot `current`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The name of the slot `previous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// A program that keeps secrets, as the user's own config names it under `[commands.NAME]`. In the arguments
/// `{slot}` is the slot's name and `{target}` the target's. The secret goes to the program's standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// The name of a preset, which has the programs.
    pub preset: Option<String>,
    /// With a preset: the name that the live secret goes by there.
    pub key: Option<String>,
    /// With a preset: what else it has to be told.
    #[serde(default)]
    pub with: std::collections::BTreeMap<String, String>,
    /// Program and arguments that keep what comes on standard input.
    #[serde(default)]
    pub put: Vec<String>,
    /// Program and arguments that print the value kept, exit 0; or exit with [`CommandSpec::absent`] if there is none.
    pub get: Option<Vec<String>>,
    /// Program and arguments that empty a slot.
    pub clear: Option<Vec<String>>,
    /// The exit code of `get` that means the slot is empty.
    #[serde(default = "absent_by_default")]
    pub absent: i32,
}

fn absent_by_default() -> i32 {
    44
}

/// Opens the store that a reference names. Nothing is read or written yet. Fails with [`StoreError::Refused`] for
/// names of slots that the store cannot have, and for a command that is not configured.
pub fn open(
    reference: &Reference,
    names: &SlotNames,
    surroundings: &Surroundings,
) -> Result<Box<dyn Store>, StoreError> {
    let absolute = |path: &Path| absolute(reference, &surroundings.folder.join(path));
    Ok(match reference {
        Reference::Keychain { service, account } => Box::new(keychain::Keychain::new(service, account, names)?),
        Reference::Dotenv { path, key } => Box::new(dotenv::Dotenv::new(absolute(path)?, key, names)?),
        Reference::Json { path, pointer } => Box::new(json::Json::new(absolute(path)?, pointer, names)?),
        Reference::File { path } => Box::new(file::File::new(absolute(path)?, names)?),
        Reference::Age { path } => Box::new(age::AgeFile::new(absolute(path)?, names, &surroundings.environment)?),
        Reference::Command { name } => Box::new(CommandStore::open(name, names, surroundings)?),
        Reference::Stdout => Box::new(stdout::Stdout),
        Reference::AwsSm { name, key } => Box::new(aws::AwsSecret::new(name, key.as_deref(), names, surroundings)?),
        Reference::Kubernetes { namespace, name, key } => {
            Box::new(kubernetes::Kubernetes::new(namespace, name, key, names, surroundings)?)
        }
        Reference::Vault { mount, path, field } => {
            Box::new(vault::Vault::new(mount, path, field, names, &surroundings.environment)?)
        }
    })
}

/// The stores whose slots can be read back.
pub fn readable(stores: &[Box<dyn Store>]) -> impl Iterator<Item = &dyn Store> {
    stores.iter().map(AsRef::as_ref).filter(|store| store.access() == Access::ReadWrite)
}

/// The path from the root, so that the reference a store prints opens the same store from anywhere.
fn absolute(reference: &Reference, path: &Path) -> Result<PathBuf, StoreError> {
    let store = reference.to_string();
    let absolute = std::path::absolute(path)
        .map_err(|source| StoreError::file(&store)(FileError::failed("find", path, source)))?;
    match absolute.to_str() {
        Some(_) => Ok(absolute),
        None => Err(StoreError::Refused {
            store,
            why: format!("the path `{}` is not UTF-8", absolute.display()),
            hint: "name the file by a path that is".into(),
        }),
    }
}
