//! `vault:MOUNT/PATH#FIELD`: fields of one versioned document in a KV v2 engine of HashiCorp Vault or OpenBao: `FIELD`,
//! `FIELD_next`, `FIELD_previous`.
//!
//! Every change is one new version, written on condition that the version read is still the newest, so that a reader sees
//! all of a change or none and nobody's other fields are lost. Each check writes two versions, each rotation three.

use super::names::{Names, Suffixes};
use super::server::change_at_version;
use super::slots::{self, Held};
use super::{Access, Change, Environment, Slot, SlotNames, Store, StoreError, bare};
use crate::secret::Secret;

mod api;
mod login;

use api::Api;

const SUFFIXES: Suffixes<'static> = Suffixes { next: "_next", previous: "_previous", canary: "_whsec_check" };

/// How often a change is worked out anew because somebody else was faster, or an answer was lost.
const ATTEMPTS: u32 = 20;

/// Fields of one document.
pub(super) struct Vault {
    reference: String,
    names: Names,
    api: Api,
}

impl Vault {
    /// Names the fields; the environment is not looked at yet. A slot's own name is a field of the same document.
    pub fn new(
        mount: &str,
        path: &str,
        field: &str,
        names: &SlotNames,
        environment: &Environment,
    ) -> Result<Self, StoreError> {
        let (mount, path) = (mount.to_owned(), path.to_owned());
        let reference = super::Reference::Vault { mount: mount.clone(), path: path.clone(), field: field.to_owned() };
        let reference = reference.to_string();
        let names = Names::new(&reference, field, &SUFFIXES, names)?;
        let api = Api::new(reference.clone(), mount, path, environment.clone());
        Ok(Self { reference, names, api })
    }
}

impl Store for Vault {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn slot_name(&self, slot: Slot) -> String {
        self.names.of(slot).to_owned()
    }

    fn access(&self) -> Access {
        Access::ReadWrite
    }

    fn server(&self) -> Result<Option<String>, StoreError> {
        self.api.server().map(Some)
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let found = self.api.read()?;
        found.document.get(self.names.of(slot)).map_err(|flaw| self.api.malformed(flaw))
    }

    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(None, changes)
    }

    fn apply_seen(&self, seen: &Held, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(Some(seen), changes)
    }
}

impl Vault {
    fn change(&self, seen: Option<&Held>, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit_values(&self.reference, changes)?;
        let prepare = || {
            let found = self.api.read()?;
            let mut wanted = found.document.clone();
            for (slot, value) in changes {
                let changed = wanted.with(self.names.of(*slot), self.names.of(Slot::Current), *value);
                wanted = changed.map_err(|flaw| self.api.malformed(flaw))?;
            }
            // A lost answer may have been to this very change, which is looked for before anything else.
            if wanted == found.document {
                return Ok(None);
            }
            if let Some(seen) = seen {
                let value = |slot| found.document.get(self.names.of(slot)).map_err(|flaw| self.api.malformed(flaw));
                slots::still(&self.reference, seen, value)?;
            }
            Ok(Some((wanted, found.version)))
        };
        change_at_version(&self.reference, ATTEMPTS, prepare, |(wanted, version)| self.api.write(&wanted, version))
    }
}

#[cfg(test)]
mod tests;
