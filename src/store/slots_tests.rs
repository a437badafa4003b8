//! Stores that do not do what they say.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::store::Change;

/// A store in memory with one thing wrong with it.
struct Faulty {
    slots: Mutex<BTreeMap<Slot, Secret>>,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Truncates,
    NeverClears,
    FailsAfterWriting,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        Self { slots: Mutex::default(), fault }
    }
}

impl Store for Faulty {
    fn reference(&self) -> String {
        "memory:".to_owned()
    }
    fn slot_name(&self, slot: Slot) -> String {
        format!("{slot:?}")
    }
    fn access(&self) -> Access {
        Access::ReadWrite
    }
    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        Ok(self.slots.lock().unwrap().get(&slot).cloned())
    }
    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        let mut slots = self.slots.lock().unwrap();
        for (slot, value) in changes {
            match value {
                Some(value) if self.fault == Fault::Truncates => {
                    slots.insert(*slot, Secret::new(&value.expose()[..value.len() - 1]));
                }
                Some(value) => {
                    slots.insert(*slot, (*value).clone());
                    if self.fault == Fault::FailsAfterWriting {
                        return Err(StoreError::NotReadable { store: self.reference() });
                    }
                }
                None if self.fault == Fault::NeverClears => {}
                None => {
                    slots.remove(slot);
                }
            }
        }
        Ok(())
    }
}

#[test]
fn a_store_that_truncates_is_not_proved() {
    let store = Faulty::new(Fault::Truncates);
    assert!(matches!(prove(&store, &Secret::new("canary")), Err(StoreError::NotReadBack { .. })));
    assert!(matches!(stage(&store, &Secret::new("new"), ANY), Err(StoreError::NotReadBack { .. })));
    assert_eq!(store.get(Slot::Canary).unwrap(), None);
}

#[test]
fn a_store_that_never_clears_is_not_proved_and_not_retired() {
    let store = Faulty::new(Fault::NeverClears);
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    assert!(matches!(prove(&store, &old), Err(StoreError::NotCleared { .. })));
    store.apply(&[(Slot::Current, Some(&new)), (Slot::Previous, Some(&old))]).unwrap();
    assert!(matches!(retire(&store, &new.fingerprint(), ANY), Err(StoreError::NotCleared { .. })));
}

#[test]
fn a_canary_is_removed_even_where_writing_it_failed() {
    let store = Faulty::new(Fault::FailsAfterWriting);
    assert!(matches!(prove(&store, &Secret::new("canary")), Err(StoreError::NotReadable { .. })));
    assert_eq!(store.get(Slot::Canary).unwrap(), None);
}
