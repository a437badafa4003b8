//! A store that a rotation was begun with on one server, while it cannot be told which server it is on now: nothing is read
//! or written there until it can.

use super::server::is_same;
use super::slots::Held;
use super::{Access, Change, Slot, Store, StoreError};
use crate::secret::Secret;

/// A store and the server that it has to be on.
struct Bound {
    store: Box<dyn Store>,
    begun: String,
}

/// The store, provided that it is on the server that a rotation was begun with. Refuses another one. Where nobody can tell, as
/// with a login that has ended, the store says so when it is used.
pub fn bound(store: Box<dyn Store>, begun: &str) -> Result<Box<dyn Store>, StoreError> {
    let bound = Bound { store, begun: begun.to_owned() };
    match bound.store.server() {
        Ok(_) => bound.compare().map(|()| bound.store),
        Err(_) => Ok(Box::new(bound)),
    }
}

impl Bound {
    fn compare(&self) -> Result<(), StoreError> {
        let here = self.store.server()?.unwrap_or_default();
        if is_same(&self.begun, &here) {
            return Ok(());
        }
        Err(StoreError::Refused {
            store: self.store.reference(),
            why: format!("the rotation was begun with it at {}, and the environment now says {here}", self.begun),
            hint: "set the environment as it was when the rotation was begun".into(),
        })
    }
}

impl Store for Bound {
    fn reference(&self) -> String {
        self.store.reference()
    }

    fn slot_name(&self, slot: Slot) -> String {
        self.store.slot_name(slot)
    }

    fn access(&self) -> Access {
        self.store.access()
    }

    fn caution(&self) -> Option<String> {
        self.store.caution()
    }

    fn keeps_history(&self) -> bool {
        self.store.keeps_history()
    }

    fn server(&self) -> Result<Option<String>, StoreError> {
        self.store.server()
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        self.compare()?;
        self.store.get(slot)
    }

    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.compare()?;
        self.store.apply(changes)
    }

    fn apply_seen(&self, seen: &Held, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.compare()?;
        self.store.apply_seen(seen, changes)
    }
}
