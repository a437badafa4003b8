//! `age:PATH`: a JSON object with a member a slot, encrypted with age for `[seal] recipients` and this machine's own
//! identity, without which nothing could be read back. `age -d` opens it.

use std::path::PathBuf;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::envelope::Envelope;
use super::json::Document;
use super::kept_file::KeptFile;
use super::names::Names;
use super::slots::{self, Held};
use super::{Access, Change, Environment, Slot, SlotNames, Store, StoreError, bare};
use crate::advice::{Advice, Verb, advice};
use crate::secret::Secret;
use crate::system::replace::Wanted;

/// Members of an encrypted object.
pub(super) struct AgeFile {
    place: KeptFile,
    names: Names,
    environment: Environment,
    envelope: OnceLock<Envelope>,
}

impl AgeFile {
    /// Names the members; `path` is absolute. Neither the file nor the identity is looked at yet.
    pub fn new(path: PathBuf, names: &SlotNames, environment: &Environment) -> Result<Self, StoreError> {
        let reference = format!("age:{}", path.display());
        let names = Names::words(&reference, names)?;
        let environment = environment.clone();
        Ok(Self { place: KeptFile::new(reference, path), names, environment, envelope: OnceLock::new() })
    }

    fn envelope(&self) -> Result<&Envelope, StoreError> {
        if let Some(envelope) = self.envelope.get() {
            return Ok(envelope);
        }
        let envelope = self.environment.envelope(self.place.store())?;
        Ok(self.envelope.get_or_init(|| envelope))
    }

    fn opened(&self, cipher: &[u8]) -> Result<Document, StoreError> {
        let Some(plain) = self.envelope()?.open(cipher) else {
            return Err(self.refused(
                "it does not open with this machine's identity",
                advice![
                    "have whoever wrote it name this machine in `[seal] recipients` (",
                    Verb::Doctor.alone(),
                    " shows its recipient) and write it again",
                ],
            ));
        };
        Document::within(&plain, &[]).map_err(|_| self.not_ours())
    }

    fn closed(&self, plain: &Document) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let cipher = self.envelope()?.close(plain.bytes());
        cipher.map(Zeroizing::new).ok_or_else(|| self.refused("encryption failed", "check `[seal] recipients`"))
    }

    fn not_ours(&self) -> StoreError {
        self.refused("what it holds is no object of texts", "name another file: whsec replaces nothing but its own")
    }

    fn refused(&self, why: &str, hint: impl Into<Advice>) -> StoreError {
        StoreError::Refused { store: self.reference(), why: why.to_owned(), hint: hint.into() }
    }
}

impl Store for AgeFile {
    fn reference(&self) -> String {
        self.place.store().to_owned()
    }

    fn slot_name(&self, slot: Slot) -> String {
        self.names.of(slot).to_owned()
    }

    fn access(&self) -> Access {
        Access::ReadWrite
    }

    fn caution(&self) -> Option<String> {
        let alone = self.envelope().is_ok_and(|envelope| envelope.recipients.len() < 2);
        alone.then(|| {
            format!("nobody but this machine can open `{}`: name others in `[seal] recipients`", self.reference())
        })
    }

    fn prove_beside(&self, canary: &Secret) -> Option<Result<(), StoreError>> {
        let name = self.names.of(Slot::Canary);
        let changed = |old: Option<&[u8]>| {
            let found = old.map_or_else(|| Ok(Document::empty()), |cipher| self.opened(cipher))?;
            let wanted = found.with(name, self.names.of(Slot::Current), Some(canary)).map_err(|_| self.not_ours())?;
            self.closed(&wanted)
        };
        Some(self.place.prove(name, changed, |cipher| {
            let value = self.opened(cipher)?.get(name).map_err(|_| self.not_ours())?;
            Ok(value.as_ref() == Some(canary))
        }))
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let Some(cipher) = self.place.read()? else { return Ok(None) };
        self.opened(&cipher)?.get(self.names.of(slot)).map_err(|_| self.not_ours())
    }

    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(None, changes)
    }

    fn apply_seen(&self, seen: &Held, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(Some(seen), changes)
    }
}

impl AgeFile {
    fn change(&self, seen: Option<&Held>, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit_values(self.place.store(), changes)?;
        self.place.edit(|old| {
            let found = old.map_or_else(|| Ok(Document::empty()), |cipher| self.opened(cipher))?;
            if let Some(seen) = seen {
                let value = |slot| found.get(self.names.of(slot)).map_err(|_| self.not_ours());
                slots::still(self.place.store(), seen, value)?;
            }
            let mut wanted = found.clone();
            for (slot, value) in changes {
                let changed = wanted.with(self.names.of(*slot), self.names.of(Slot::Current), *value);
                wanted = changed.map_err(|_| self.not_ours())?;
            }
            if wanted == found {
                return Ok(Wanted::Same);
            }
            if wanted.is_empty() {
                return Ok(Wanted::Gone);
            }
            self.closed(&wanted).map(Wanted::Content)
        })
    }
}

#[cfg(test)]
#[path = "age_tests.rs"]
mod tests;
