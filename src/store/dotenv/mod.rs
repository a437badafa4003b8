//! `dotenv:PATH#KEY`: variables in a file of settings, `KEY`, `KEY_NEW`, `KEY_OLD`.
//!
//! The two loaders that most receivers use, python-dotenv and npm `dotenv`, differ in their reading. Here both
//! are asked: a value counts only where they agree, and one is written only so that both read it back, and that a shell
//! which sources the file runs nothing of it.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::kept_file::KeptFile;
use super::names::{Names, Suffixes};
use super::reference::is_variable;
use super::slots::{self, Held};
use super::{Access, Change, Slot, SlotNames, Store, StoreError, bare};
use crate::secret::Secret;
use crate::system::replace::Wanted;

mod edit;
mod node;
mod python;
mod shell;
mod text;

use edit::{Refusal, read, with};

const SUFFIXES: Suffixes<'static> = Suffixes { next: "_NEW", previous: "_OLD", canary: "_WHSEC_CHECK" };

/// Variables of one dotenv file.
pub(super) struct Dotenv {
    place: KeptFile,
    names: Names,
}

impl Dotenv {
    /// Names the variables; `path` is absolute. Fails for slot names that are no variables' names.
    pub fn new(path: PathBuf, key: &str, names: &SlotNames) -> Result<Self, StoreError> {
        let reference = format!("dotenv:{}#{key}", path.display());
        let names = Names::new(&reference, key, &SUFFIXES, names)?;
        if let Some(name) = names.iter().find(|name| !is_variable(name)) {
            return Err(StoreError::Refused {
                store: reference,
                why: format!("`{name}` is no name for a variable"),
                hint: "use letters, digits and `_`, and no digit first".into(),
            });
        }
        Ok(Self { place: KeptFile::new(reference, path).shared(), names })
    }

    fn text<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, StoreError> {
        std::str::from_utf8(bytes).map_err(|error| StoreError::Malformed {
            store: self.reference(),
            path: self.place.path().to_owned(),
            format: "UTF-8",
            position: format!("byte {}", error.valid_up_to() + 1),
        })
    }

    fn refuse(&self, slot: Slot, refusal: Refusal) -> StoreError {
        match refusal {
            Refusal::Disagree => StoreError::Refused {
                store: self.reference(),
                why: format!("python-dotenv and npm dotenv read `{}` differently", self.names.of(slot)),
                hint: "put its value in single quotes, on a line of its own".into(),
            },
            Refusal::Unrepresentable => StoreError::Unrepresentable {
                store: self.reference(),
                why: "python-dotenv, npm dotenv and a shell that sources the file would not all read it back",
            },
        }
    }
}

impl Store for Dotenv {
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
        self.place.caution()
    }

    fn prove_beside(&self, canary: &Secret) -> Option<Result<(), StoreError>> {
        let name = self.names.of(Slot::Canary);
        let changed = |old: Option<&[u8]>| {
            let text = self.text(old.unwrap_or_default())?;
            let live = self.names.of(Slot::Current);
            let new = with(text, name, live, Some(canary)).map_err(|refusal| self.refuse(Slot::Canary, refusal))?;
            // What is live moves aside later; a value that cannot be written again would be found too late.
            if let Some(value) = read(text, live).map_err(|refusal| self.refuse(Slot::Current, refusal))? {
                let aside = with(text, self.names.of(Slot::Previous), live, Some(&Secret::new(value.as_str())));
                aside.map_err(|refusal| self.refuse(Slot::Current, refusal))?;
            }
            Ok(Zeroizing::new(new.as_bytes().to_vec()))
        };
        Some(self.place.prove(name, changed, |new| {
            let value = read(self.text(new)?, name).map_err(|refusal| self.refuse(Slot::Canary, refusal))?;
            Ok(value.is_some_and(|value| value.as_str() == canary.expose()))
        }))
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let Some(bytes) = self.place.read()? else { return Ok(None) };
        self.value(self.text(&bytes)?, slot)
    }

    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(None, changes)
    }

    fn apply_seen(&self, seen: &Held, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(Some(seen), changes)
    }
}

impl Dotenv {
    fn value(&self, text: &str, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let value = read(text, self.names.of(slot)).map_err(|refusal| self.refuse(slot, refusal))?;
        Ok(value.map(|value| Secret::new(value.as_str())))
    }

    fn change(&self, seen: Option<&Held>, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit_values(self.place.store(), changes)?;
        self.place.edit(|old| {
            let mut text = Zeroizing::new(self.text(old.unwrap_or_default())?.to_owned());
            if let Some(seen) = seen {
                slots::still(self.place.store(), seen, |slot| self.value(&text, slot))?;
            }
            for (slot, value) in changes {
                let new = with(&text, self.names.of(*slot), self.names.of(Slot::Current), *value);
                text = new.map_err(|refusal| self.refuse(*slot, refusal))?;
            }
            Ok(match old {
                Some(old) if old == text.as_bytes() => Wanted::Same,
                None if text.is_empty() => Wanted::Same,
                _ if text.is_empty() && self.place.is_created() => Wanted::Gone,
                _ => Wanted::Content(Zeroizing::new(text.as_bytes().to_vec())),
            })
        })
    }
}

#[cfg(test)]
mod loaders;
