//! What is done with slots, in every store alike: prove, stage, promote, retire, roll back.
//!
//! Each operation looks first and changes only what is still to change, so that doing it again after a crash
//! anywhere in the middle comes to the same end.

use super::{Access, Slot, Store, StoreError};
use crate::secret::{Fingerprint, Secret};

/// Proves that the store takes, returns and gives up a value as long as `canary`, without touching a live slot.
pub fn prove(store: &dyn Store, canary: &Secret) -> Result<(), StoreError> {
    match store.access() {
        Access::ReadWrite => {}
        // Nothing that was written could be told from nothing at all; opening the store was the proof.
        Access::WriteOnly | Access::Once => return store.apply(&[]),
    }
    for slot in [Slot::Next, Slot::Current, Slot::Previous] {
        store.get(slot)?;
    }
    store.apply(&[(Slot::Canary, Some(canary))])?;
    let read = store.get(Slot::Canary);
    store.apply(&[(Slot::Canary, None)])?;
    if read?.as_ref() != Some(canary) {
        return Err(StoreError::NotReadBack { store: store.reference(), slot: store.slot_name(Slot::Canary) });
    }
    if store.get(Slot::Canary)?.is_some() {
        return Err(StoreError::NotCleared { store: store.reference(), slot: store.slot_name(Slot::Canary) });
    }
    Ok(())
}

/// Puts the new secret into `next` and reads it back where the store can be read.
pub fn stage(store: &dyn Store, secret: &Secret) -> Result<(), StoreError> {
    if store.access() == Access::ReadWrite {
        let fingerprint = secret.fingerprint();
        if holds(store, Slot::Next, &fingerprint)? || holds(store, Slot::Current, &fingerprint)? {
            return Ok(());
        }
    }
    store.apply(&[(Slot::Next, Some(secret))])?;
    read_back(store, Slot::Next, secret)
}

/// Moves `current` to `previous` and `next` to `current`. `new` says which secret is coming, so that a
/// promotion cut off in the middle is completed and one already done is left alone. `sealed` is needed where the
/// store cannot be read.
pub fn promote(store: &dyn Store, new: &Fingerprint, sealed: Option<&Secret>) -> Result<(), StoreError> {
    match store.access() {
        Access::Once => return Ok(()),
        Access::WriteOnly => {
            let secret = sealed.ok_or_else(|| StoreError::NothingToPromote { store: store.reference() })?;
            return store.apply(&[(Slot::Current, Some(secret))]);
        }
        Access::ReadWrite => {}
    }
    let current = store.get(Slot::Current)?;
    if current.as_ref().is_some_and(|current| current.fingerprint() == *new) {
        return if store.get(Slot::Next)?.is_some() { store.apply(&[(Slot::Next, None)]) } else { Ok(()) };
    }
    let next = store.get(Slot::Next)?;
    let Some(next) = next.or_else(|| sealed.cloned()).filter(|next| next.fingerprint() == *new) else {
        return Err(StoreError::NothingToPromote { store: store.reference() });
    };
    let mut changes = Vec::new();
    if let Some(current) = &current {
        changes.push((Slot::Previous, Some(current)));
    }
    changes.extend([(Slot::Current, Some(&next)), (Slot::Next, None)]);
    store.apply(&changes)?;
    read_back(store, Slot::Current, &next)
}

/// Removes `previous`, unless it holds the secret that is live.
pub fn retire(store: &dyn Store, new: &Fingerprint) -> Result<(), StoreError> {
    if store.access() != Access::ReadWrite {
        return Ok(());
    }
    if !holds(store, Slot::Current, new)? {
        return Err(StoreError::Drifted { store: store.reference(), slot: store.slot_name(Slot::Current) });
    }
    match store.get(Slot::Previous)? {
        Some(_) => store.apply(&[(Slot::Previous, None)]),
        None => Ok(()),
    }
}

/// Puts `previous` back into `current` and the new secret back into `next`, so that neither is lost.
pub fn roll_back(store: &dyn Store, new: &Fingerprint) -> Result<(), StoreError> {
    if store.access() != Access::ReadWrite {
        return Err(StoreError::CannotRollBack { store: store.reference() });
    }
    let current = store.get(Slot::Current)?;
    let Some(current) = current.filter(|current| current.fingerprint() == *new) else {
        // The live slot does not hold the new secret: already rolled back, or never promoted.
        return Ok(());
    };
    let Some(previous) = store.get(Slot::Previous)? else {
        return Err(StoreError::CannotRollBack { store: store.reference() });
    };
    store.apply(&[(Slot::Next, Some(&current)), (Slot::Current, Some(&previous)), (Slot::Previous, None)])?;
    read_back(store, Slot::Current, &previous)
}

/// Whether a slot holds the secret with this fingerprint.
pub fn holds(store: &dyn Store, slot: Slot, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
    Ok(store.get(slot)?.is_some_and(|secret| secret.fingerprint() == *fingerprint))
}

fn read_back(store: &dyn Store, slot: Slot, secret: &Secret) -> Result<(), StoreError> {
    if store.access() == Access::ReadWrite && store.get(slot)?.as_ref() != Some(secret) {
        return Err(StoreError::NotReadBack { store: store.reference(), slot: store.slot_name(slot) });
    }
    Ok(())
}
