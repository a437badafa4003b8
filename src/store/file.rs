//! `file:PATH`: one value a file, as secrets are mounted: `PATH`, `PATH.next`, `PATH.previous`.
//!
//! Each file is replaced as one; the changes of a list are made one after the other.

use std::path::PathBuf;

use super::names::{Names, Suffixes};
use super::replace::{Place, Wanted};
use super::{Access, Change, Slot, SlotNames, Store, StoreError, bare};
use crate::secret::Secret;

const SUFFIXES: Suffixes<'static> = Suffixes { next: ".next", previous: ".previous", canary: ".whsec-check" };

const SLOTS: [Slot; 4] = [Slot::Next, Slot::Current, Slot::Previous, Slot::Canary];

/// Files with nothing but a value in them.
pub(super) struct File {
    reference: String,
    names: Names,
}

impl File {
    /// Names the files beside `path`, which is absolute; a slot's own name may be a path of its own.
    pub fn new(path: PathBuf, names: &SlotNames) -> Result<Self, StoreError> {
        let reference = format!("file:{}", path.display());
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        let beside = |name: &Option<String>| name.as_ref().map(|name| folder.join(name).display().to_string());
        let set =
            SlotNames { next: beside(&names.next), current: beside(&names.current), previous: beside(&names.previous) };
        let names = Names::new(&reference, &path.display().to_string(), &SUFFIXES, &set)?;
        Ok(Self { reference, names })
    }

    fn place(&self, slot: Slot) -> Place {
        Place::new(self.reference.clone(), PathBuf::from(self.names.of(slot)))
    }
}

impl Store for File {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn slot_name(&self, slot: Slot) -> String {
        self.names.of(slot).to_owned()
    }

    fn access(&self) -> Access {
        Access::ReadWrite
    }

    fn caution(&self) -> Option<String> {
        self.place(Slot::Current).caution()
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let place = self.place(slot);
        let Some(bytes) = place.read()? else { return Ok(None) };
        bare::value(&bytes).map_err(|_| StoreError::Malformed {
            store: self.reference(),
            path: place.path().to_owned(),
            format: "UTF-8",
            position: "anywhere in the value".to_owned(),
        })
    }

    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit(&self.reference, changes)?;
        if changes.is_empty() {
            let mut places = SLOTS.into_iter().map(|slot| self.place(slot));
            return places.try_for_each(|place| place.edit(|_| Ok(Wanted::Same)));
        }
        for (slot, value) in changes {
            self.place(*slot).edit(|old| {
                Ok(match (value, old) {
                    (None, None) => Wanted::Same,
                    (None, Some(_)) => Wanted::Gone,
                    (Some(value), Some(old)) if value.expose().as_bytes() == old => Wanted::Same,
                    (Some(value), _) => Wanted::Content(bare::bytes(value)),
                })
            })?;
        }
        Ok(())
    }
}
