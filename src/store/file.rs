//! `file:PATH`: one value a file, as secrets are mounted: `PATH`, `PATH.next`, `PATH.previous`.
//!
//! Each file is replaced as one; the changes of a list are made one after the other.

use std::path::PathBuf;

use super::kept_file::KeptFile;
use super::names::{Names, Suffixes};
use super::slots::{self, Held};
use super::{Access, Change, Slot, SlotNames, Store, StoreError, bare};
use crate::secret::Secret;
use crate::system::replace::Wanted;

const SUFFIXES: Suffixes<'static> = Suffixes { next: ".next", previous: ".previous", canary: ".whsec-check" };

const SLOTS: [Slot; 4] = [Slot::Next, Slot::Current, Slot::Previous, Slot::Canary];

/// Files with nothing but a value in them.
pub(super) struct File {
    reference: String,
    names: Names,
    /// One a slot, in the order of [`SLOTS`].
    places: [KeptFile; 4],
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
        let live = PathBuf::from(names.of(Slot::Current));
        let places = SLOTS.map(|slot| {
            let place = KeptFile::new(reference.clone(), PathBuf::from(names.of(slot)));
            if slot == Slot::Current { place } else { place.like(live.clone()) }
        });
        Ok(Self { reference, names, places })
    }

    fn place(&self, slot: Slot) -> &KeptFile {
        let [next, current, previous, canary] = &self.places;
        match slot {
            Slot::Next => next,
            Slot::Current => current,
            Slot::Previous => previous,
            Slot::Canary => canary,
        }
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

    fn prove_beside(&self, canary: &Secret) -> Option<Result<(), StoreError>> {
        // Each file has rights of its own to keep; one that is not there yet gets those of the live one.
        let mut proofs = Slot::KEPT.into_iter().map(|slot| {
            let is_canary = |bytes: &[u8]| Ok(bytes == canary.expose().as_bytes());
            self.place(slot).prove(self.names.of(slot), |_| Ok(bare::bytes(canary)), is_canary)
        });
        Some(proofs.try_for_each(|proof| proof))
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
        self.change(None, changes)
    }

    fn apply_seen(&self, seen: &Held, changes: &[Change<'_>]) -> Result<(), StoreError> {
        slots::still(&self.reference, seen, |slot| self.get(slot))?;
        self.change(Some(seen), changes)
    }
}

impl File {
    fn change(&self, seen: Option<&Held>, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit(&self.reference, changes)?;
        if changes.is_empty() {
            return self.places.iter().try_for_each(|place| place.edit(|_| Ok(Wanted::Same)));
        }
        for (slot, value) in changes {
            self.place(*slot).edit(|old| {
                // Each slot is a file of its own, compared as it is replaced.
                let found = old.and_then(|old| bare::value(old).ok().flatten()).map(|found| found.fingerprint());
                if seen.is_some_and(|seen| seen.of(*slot) != found.as_ref()) {
                    return Err(StoreError::Moved { store: self.reference.clone() });
                }
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
