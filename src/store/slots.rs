//! What is done with slots, in every store alike: prove, stage, promote, retire, roll back.
//!
//! Each operation looks first and changes only what is still to change, so that doing it again after a crash
//! anywhere in the middle comes to the same end.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Access, Slot, Store, StoreError, readable};
use crate::secret::{Fingerprint, Secret};

/// Length of a canary where no live secret gives one: `whsec_` and 64 hex digits, as the longest of those that are built in.
pub const USUAL_SECRET_LENGTH: usize = 70;

/// What the slots of one store hold, by their fingerprints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub next: Option<Fingerprint>,
    pub current: Option<Fingerprint>,
    pub previous: Option<Fingerprint>,
}

impl Held {
    /// What one slot holds; the canary's is nobody's.
    pub fn of(&self, slot: Slot) -> Option<&Fingerprint> {
        match slot {
            Slot::Next => self.next.as_ref(),
            Slot::Current => self.current.as_ref(),
            Slot::Previous => self.previous.as_ref(),
            Slot::Canary => None,
        }
    }
}

/// Whether what is found in the slots of a store may be built on: what is written in its stead is bound to that very look.
pub type May<'a> = &'a dyn Fn(&Held) -> bool;

/// Whatever is found.
#[cfg(test)]
pub const ANY: May<'static> = &|_: &Held| true;

/// Fails with [`StoreError::Moved`] where a slot does not hold any more what was seen of it.
pub fn still(
    store: &str,
    seen: &Held,
    get: impl Fn(Slot) -> Result<Option<Secret>, StoreError>,
) -> Result<(), StoreError> {
    for slot in Slot::KEPT {
        if get(slot)?.map(|found| found.fingerprint()).as_ref() != seen.of(slot) {
            return Err(StoreError::Moved { store: store.to_owned() });
        }
    }
    Ok(())
}

/// What the slots of a store hold now. Fails for a store that cannot be read.
pub fn look(store: &dyn Store) -> Result<Held, StoreError> {
    let held = |slot| Ok(store.get(slot)?.map(|secret| secret.fingerprint()));
    Ok(Held { next: held(Slot::Next)?, current: held(Slot::Current)?, previous: held(Slot::Previous)? })
}

/// The secret that receivers live on, from the first store that can be read and has one.
pub fn live(stores: &[Box<dyn Store>]) -> Result<Option<Secret>, StoreError> {
    for store in readable(stores) {
        if let Some(secret) = store.get(Slot::Current)? {
            return Ok(Some(secret));
        }
    }
    Ok(None)
}

/// A made-up value of a given length in the alphabet of real secrets.
pub fn canary(length: usize) -> Secret {
    let mut text = String::from("canary_");
    while text.len() < length {
        text.push_str(&Uuid::new_v4().simple().to_string());
    }
    text.truncate(length);
    Secret::new(text)
}

/// Proves that the store takes, returns and gives up a value as long as `canary`, without touching a live slot.
/// Where it cannot be read, taking and giving up is the proof.
pub fn prove(store: &dyn Store, canary: &Secret) -> Result<(), StoreError> {
    match store.access() {
        Access::ReadWrite => {}
        Access::WriteOnly => {
            store.apply(&[(Slot::Canary, Some(canary))])?;
            return store.apply(&[(Slot::Canary, None)]);
        }
        // What goes out cannot be called back; that it could go out is all there is to prove.
        Access::Once => return store.apply(&[]),
    }
    for slot in Slot::KEPT {
        store.get(slot)?;
    }
    // Looks at the places of the live slots as a change would, and changes nothing.
    store.apply(&[])?;
    if let Some(proved) = store.prove_beside(canary) {
        proved?;
        // One that a run was cut off before it removed.
        return if store.get(Slot::Canary)?.is_some() { store.apply(&[(Slot::Canary, None)]) } else { Ok(()) };
    }
    let written = store.apply(&[(Slot::Canary, Some(canary))]);
    if written.as_ref().is_err_and(StoreError::is_late) {
        return written;
    }
    // Cleared even if writing failed, which may have been after the value was there.
    let read = written.and_then(|()| store.get(Slot::Canary));
    let cleared = store.apply(&[(Slot::Canary, None)]);
    if read?.as_ref() != Some(canary) {
        return Err(not_read_back(store, Slot::Canary));
    }
    cleared?;
    if store.get(Slot::Canary)?.is_some() {
        return Err(StoreError::NotCleared { store: store.reference(), slot: store.slot_name(Slot::Canary) });
    }
    Ok(())
}

/// Puts the new secret into `next` and reads it back where the store can be read.
pub fn stage(store: &dyn Store, secret: &Secret, may: May<'_>) -> Result<(), StoreError> {
    if store.access() != Access::ReadWrite {
        return store.apply(&[(Slot::Next, Some(secret))]);
    }
    let (seen, new) = (looked(store, may)?, Some(secret.fingerprint()));
    if seen.next == new || seen.current == new {
        return Ok(());
    }
    store.apply_seen(&seen, &[(Slot::Next, Some(secret))])?;
    read_back(store, Slot::Next, secret)
}

/// Moves `current` to `previous` and `next` to `current`. `new` says which secret is coming, so that a
/// promotion cut off in the middle is completed and one already done is left alone. `sealed` is needed where the
/// store cannot be read.
pub fn promote(store: &dyn Store, new: &Fingerprint, sealed: Option<&Secret>, may: May<'_>) -> Result<(), StoreError> {
    go_live(store, new, sealed, true, may)
}

/// The same over a live value that is nobody's old secret: it does not move to `previous`.
pub fn promote_over(
    store: &dyn Store,
    new: &Fingerprint,
    sealed: Option<&Secret>,
    may: May<'_>,
) -> Result<(), StoreError> {
    go_live(store, new, sealed, false, may)
}

fn go_live(
    store: &dyn Store,
    new: &Fingerprint,
    sealed: Option<&Secret>,
    keeps_current: bool,
    may: May<'_>,
) -> Result<(), StoreError> {
    match store.access() {
        Access::Once => return Ok(()),
        Access::WriteOnly => {
            let sealed = sealed.filter(|sealed| sealed.fingerprint() == *new);
            let secret = sealed.ok_or_else(|| StoreError::NothingToPromote { store: store.reference() })?;
            return store.apply(&[(Slot::Current, Some(secret)), (Slot::Next, None)]);
        }
        Access::ReadWrite => {}
    }
    let seen = looked(store, may)?;
    let current = store.get(Slot::Current)?;
    let next = store.get(Slot::Next)?;
    let is_new = |secret: &Option<Secret>| secret.as_ref().is_some_and(|secret| secret.fingerprint() == *new);
    if is_new(&current) {
        // Anything else in `next` was put there since, and is not ours to remove.
        return if is_new(&next) { store.apply_seen(&seen, &[(Slot::Next, None)]) } else { Ok(()) };
    }
    let Some(next) = [next, sealed.cloned()].into_iter().find(is_new).flatten() else {
        return Err(StoreError::NothingToPromote { store: store.reference() });
    };
    let mut changes = Vec::new();
    let current = current.filter(|_| keeps_current);
    if let Some(current) = &current {
        changes.push((Slot::Previous, Some(current)));
    }
    changes.extend([(Slot::Current, Some(&next)), (Slot::Next, None)]);
    store.apply_seen(&seen, &changes)?;
    read_back(store, Slot::Current, &next)?;
    match &current {
        Some(current) => read_back(store, Slot::Previous, current),
        None => Ok(()),
    }
}

/// Removes `previous`, provided that `current` holds the new secret. A copy of that in `next` goes too: whoever stood still while
/// another machine went on, and woke up late, has staged it once more.
pub fn retire(store: &dyn Store, new: &Fingerprint, may: May<'_>) -> Result<(), StoreError> {
    if store.access() != Access::ReadWrite {
        return Ok(());
    }
    let seen = looked(store, may)?;
    if seen.current.as_ref() != Some(new) {
        return Err(StoreError::Drifted { store: store.reference(), slot: store.slot_name(Slot::Current) });
    }
    // A change of any slot that was cut off may have left a copy of a secret; nothing comes after this that would find it.
    store.apply(&[])?;
    let is_staged_late = seen.next.as_ref() == Some(new);
    let filled = [(Slot::Previous, seen.previous.is_some()), (Slot::Next, is_staged_late)];
    let cleared: Vec<Slot> = filled.into_iter().filter_map(|(slot, is_filled)| is_filled.then_some(slot)).collect();
    if cleared.is_empty() {
        return Ok(());
    }
    let changes: Vec<_> = cleared.iter().map(|slot| (*slot, None)).collect();
    store.apply_seen(&seen, &changes)?;
    for slot in cleared {
        if store.get(slot)?.is_some() {
            return Err(StoreError::NotCleared { store: store.reference(), slot: store.slot_name(slot) });
        }
    }
    Ok(())
}

/// Fails where [`roll_back`] would, and changes nothing.
pub fn may_roll_back(store: &dyn Store, new: &Fingerprint) -> Result<(), StoreError> {
    let no_way_back = || StoreError::CannotRollBack { store: store.reference() };
    if store.access() != Access::ReadWrite {
        return Err(no_way_back());
    }
    // An empty live slot is none that was rolled back; it may also be a keychain that finds nothing.
    let current = store.get(Slot::Current)?.ok_or_else(no_way_back)?;
    let stays = current.fingerprint() != *new;
    match store.get(Slot::Previous)? {
        _ if stays => Ok(()),
        Some(previous) if previous != current => Ok(()),
        _ => Err(no_way_back()),
    }
}

/// Puts `previous` back into `current` and the new secret back into `next`, so that neither is lost. Leaves a live
/// slot alone that holds something else than the new secret: it was rolled back already, or never promoted.
pub fn roll_back(store: &dyn Store, new: &Fingerprint, may: May<'_>) -> Result<(), StoreError> {
    may_roll_back(store, new)?;
    let seen = looked(store, may)?;
    let (Some(current), previous) = (store.get(Slot::Current)?, store.get(Slot::Previous)?) else { return Ok(()) };
    if current.fingerprint() != *new {
        // Cut off between putting the old secret back and removing it from `previous`.
        let is_cut_off = previous.as_ref() == Some(&current) && holds(store, Slot::Next, new)?;
        return if is_cut_off { store.apply_seen(&seen, &[(Slot::Previous, None)]) } else { Ok(()) };
    }
    let Some(previous) = previous else { return Ok(()) };
    let changes = [(Slot::Next, Some(&current)), (Slot::Current, Some(&previous)), (Slot::Previous, None)];
    store.apply_seen(&seen, &changes)?;
    read_back(store, Slot::Next, &current)?;
    read_back(store, Slot::Current, &previous)
}

/// What the slots hold, where that may be built on.
fn looked(store: &dyn Store, may: May<'_>) -> Result<Held, StoreError> {
    let seen = look(store)?;
    if may(&seen) { Ok(seen) } else { Err(StoreError::Moved { store: store.reference() }) }
}

/// Whether a slot holds the secret with this fingerprint.
pub fn holds(store: &dyn Store, slot: Slot, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
    Ok(store.get(slot)?.is_some_and(|secret| secret.fingerprint() == *fingerprint))
}

/// Whether the coming or the live slot holds the secret with this fingerprint.
pub fn has(store: &dyn Store, fingerprint: &Fingerprint) -> Result<bool, StoreError> {
    Ok(holds(store, Slot::Next, fingerprint)? || holds(store, Slot::Current, fingerprint)?)
}

/// Proves that a slot holds this secret, in a store that can be read.
pub fn read_back(store: &dyn Store, slot: Slot, secret: &Secret) -> Result<(), StoreError> {
    if store.access() == Access::ReadWrite && store.get(slot)?.as_ref() != Some(secret) {
        return Err(not_read_back(store, slot));
    }
    Ok(())
}

fn not_read_back(store: &dyn Store, slot: Slot) -> StoreError {
    StoreError::NotReadBack { store: store.reference(), slot: store.slot_name(slot) }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
