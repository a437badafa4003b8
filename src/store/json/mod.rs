//! `json:PATH#/pointer`: string members of one object in a JSON file, `name`, `name_new`, `name_old`.
//!
//! The file is edited as text: order, indentation, numbers and everything else stay byte for byte.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::kept_file::KeptFile;
use super::names::{Names, Suffixes};
use super::slots::{self, Held};
use super::{Access, Change, Slot, SlotNames, Store, StoreError, bare};
use crate::secret::Secret;
use crate::system::replace::Wanted;

mod document;
mod edit;
mod scan;

pub(super) use document::Document;
pub(super) use scan::Flaw;
use scan::Object;

const SUFFIXES: Suffixes<'static> = Suffixes { next: "_new", previous: "_old", canary: "_whsec_check" };

/// What a file that does not exist yet starts from.
const EMPTY: &str = "{}\n";

/// Members of one object of a JSON file.
pub(super) struct Json {
    place: KeptFile,
    /// The names to go through from the top to the object.
    parents: Vec<String>,
    names: Names,
}

impl Json {
    /// Names the members; `path` is absolute, and a slot's own name is a member's of the same object.
    pub fn new(path: PathBuf, pointer: &str, names: &SlotNames) -> Result<Self, StoreError> {
        let reference = format!("json:{}#{pointer}", path.display());
        let mut parents: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
        let own = parents.pop().unwrap_or_default();
        let names = Names::new(&reference, &own, &SUFFIXES, names)?;
        Ok(Self { place: KeptFile::new(reference, path).shared(), parents, names })
    }

    fn object<'a>(&self, bytes: &'a [u8]) -> Result<Object<'a>, StoreError> {
        Object::find(bytes, &self.parents).map_err(|flaw| self.refuse(flaw))
    }

    fn refuse(&self, flaw: Flaw) -> StoreError {
        let store = self.reference();
        match flaw {
            Flaw::Malformed { line, column, what } => StoreError::Malformed {
                store,
                path: self.place.path().to_owned(),
                format: "JSON",
                position: format!("line {line}, column {column}: {what}"),
            },
            Flaw::NoParent { pointer } => StoreError::Refused {
                store,
                why: format!("there is no object at `{pointer}`"),
                hint: "write the objects around the secret into the file first".into(),
            },
        }
    }
}

impl Store for Json {
    fn reference(&self) -> String {
        self.place.store().to_owned()
    }

    fn slot_name(&self, slot: Slot) -> String {
        let parts = self.parents.iter().map(String::as_str).chain([self.names.of(slot)]);
        parts.map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
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
            let object = self.object(old.unwrap_or(EMPTY.as_bytes()))?;
            Ok(edit::with(&object, name, self.names.of(Slot::Current), Some(canary)))
        };
        Some(self.place.prove(name, changed, |new| {
            let value = self.object(new)?.string(name).map_err(|flaw| self.refuse(flaw))?;
            Ok(value.is_some_and(|value| value.as_str() == canary.expose()))
        }))
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let Some(bytes) = self.place.read()? else { return Ok(None) };
        self.value(&bytes, slot)
    }

    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(None, changes)
    }

    fn apply_seen(&self, seen: &Held, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(Some(seen), changes)
    }
}

impl Json {
    fn value(&self, bytes: &[u8], slot: Slot) -> Result<Option<Secret>, StoreError> {
        let value = self.object(bytes)?.string(self.names.of(slot)).map_err(|flaw| self.refuse(flaw))?;
        Ok(value.filter(|value| !value.is_empty()).map(|value| Secret::new(value.as_str())))
    }

    fn change(&self, seen: Option<&Held>, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit_values(self.place.store(), changes)?;
        self.place.edit(|old| {
            let mut text = Zeroizing::new(old.unwrap_or(EMPTY.as_bytes()).to_vec());
            if let (Some(seen), Some(old)) = (seen, old) {
                slots::still(self.place.store(), seen, |slot| self.value(old, slot))?;
            } else if let Some(seen) = seen {
                slots::still(self.place.store(), seen, |_| Ok(None))?;
            }
            for (slot, value) in changes {
                let object = self.object(&text)?;
                // A number or an object there is not ours to replace.
                object.string(self.names.of(*slot)).map_err(|flaw| self.refuse(flaw))?;
                text = edit::with(&object, self.names.of(*slot), self.names.of(Slot::Current), *value);
            }
            Ok(match old {
                Some(old) if old == text.as_slice() => Wanted::Same,
                None if *text == EMPTY.as_bytes() => Wanted::Same,
                _ if *text == EMPTY.as_bytes() && self.place.is_created() => Wanted::Gone,
                _ => Wanted::Content(text),
            })
        })
    }
}

fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}
