//! A slot is changed only by who knows what is in it: what a store holds, beside all that the journal can have put there.
//!
//! Pure, but for one look. Before a step changes a slot of any store, all of them are compared; what somebody else has put there is neither
//! moved nor removed, and an emptied live slot may be a file that is being written at this moment.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Overruled, Rotation, Step};
use crate::secret::Fingerprint;
use crate::store::slots::{self, Held};
use crate::store::{Slot, Store, StoreError};

/// What is about to be done with the slots of a store, which decides what they may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Something is put into `next`.
    Stage,
    /// `current` moves to `previous`, `next` to `current`.
    Promote,
    /// `previous` is removed.
    Retire,
    /// `previous` moves to `current`, `current` to `next`.
    RollBack,
    /// Nothing more: the new secret is live.
    Keep,
}

/// A slot that holds something else than the journal knows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The store's reference.
    pub store: String,
    pub slot: Slot,
    /// The slot's name as receivers and people see it.
    pub name: String,
    /// Absent where the slot is empty.
    pub found: Option<Fingerprint>,
    /// What it may hold; absent among them where it may be empty.
    pub expected: BTreeSet<Option<Fingerprint>>,
}

impl Act {
    /// What comes next of a rotation whose secret is there.
    pub fn due(rotation: &Rotation) -> Self {
        match () {
            () if !rotation.done.contains_key(&Step::Stage) => Self::Stage,
            () if !rotation.done.contains_key(&Step::Promote) => Self::Promote,
            () if !rotation.done.contains_key(&Step::Retire) => Self::Retire,
            () => Self::Keep,
        }
    }
}

/// The slots of a store that hold what the journal does not know of, among those that matter for `act`, each with what it may
/// hold.
pub fn foreign(rotation: &Rotation, act: Act, store: &str, held: &Held) -> Vec<(Slot, BTreeSet<Option<Fingerprint>>)> {
    let all = Slot::KEPT.into_iter();
    let known = all.filter_map(|slot| Some((slot, expected(rotation, act, store, held, slot)?)));
    let drifted = known.filter(|(slot, expected)| !expected.contains(&held.of(*slot).cloned()));
    let is_overruled = |slot| Overruled { store: store.to_owned(), slot, found: held.of(slot).cloned() };
    drifted.filter(|(slot, _)| !rotation.overruled.contains(&is_overruled(*slot))).collect()
}

/// Whether what was found in a store may be built on.
pub fn is_known(rotation: &Rotation, act: Act, store: &dyn Store, held: &Held) -> bool {
    foreign(rotation, act, &store.reference(), held).is_empty()
}

/// What has drifted in a store that is there. Fails for one that cannot be read.
pub fn look(rotation: &Rotation, act: Act, store: &dyn Store) -> Result<Vec<Drift>, StoreError> {
    let (held, reference) = (slots::look(store)?, store.reference());
    let drift = |(slot, expected)| Drift {
        store: reference.clone(),
        slot,
        name: store.slot_name(slot),
        found: held.of(slot).cloned(),
        expected,
    };
    Ok(foreign(rotation, act, &reference, &held).into_iter().map(drift).collect())
}

/// What a slot may hold; `None` where that does not matter.
fn expected(
    rotation: &Rotation,
    act: Act,
    store: &str,
    held: &Held,
    slot: Slot,
) -> Option<BTreeSet<Option<Fingerprint>>> {
    let new = rotation.new_secret();
    let before = before(rotation, store);
    let of_new = || new.cloned().map(Some);
    let is_promoted = rotation.stores_done.contains(&(Step::Promote, store.to_owned()));
    let is_live = new.is_some() && held.current.as_ref() == new;
    let mut expected: BTreeSet<Option<Fingerprint>> = of_new().into_iter().collect();
    match (slot, act) {
        (Slot::Current, Act::Keep | Act::Retire) => {}
        (Slot::Current, Act::Promote) if is_promoted => {}
        (Slot::Current, Act::Promote | Act::RollBack) => expected.extend(before.current),
        // It stays as it is, unless it is a file that is being written.
        (Slot::Current, Act::Stage) if held.current.is_none() => expected.extend(before.current),
        (Slot::Current, Act::Stage) => return None,
        (Slot::Next, Act::Keep | Act::Retire) => return None,
        // What is in `next` of a store that has it live was put there since.
        (Slot::Next, Act::Promote) if is_live => return None,
        (Slot::Next, _) => {
            expected.insert(None);
            expected.extend(before.next);
            expected.extend(rotation.tried.iter().cloned().map(Some));
        }
        (Slot::Previous, Act::Keep | Act::Stage) => return None,
        (Slot::Previous, act) => {
            expected.insert(None);
            expected.extend(before.current);
            // It was known when `check` let it be, and goes as it always went; but it is not what goes live again.
            expected.extend(before.previous.filter(|_| act != Act::RollBack).map(Some));
        }
        (Slot::Canary, _) => return None,
    }
    Some(expected)
}

/// What a store held before the call, as far as that is known.
struct Before {
    next: BTreeSet<Option<Fingerprint>>,
    current: BTreeSet<Option<Fingerprint>>,
    previous: Option<Fingerprint>,
}

fn before(rotation: &Rotation, store: &str) -> Before {
    let evidence = &rotation.before;
    if let Some(held) = evidence.held.get(store) {
        return Before {
            next: [held.next.clone()].into(),
            current: [held.current.clone()].into(),
            previous: held.previous.clone(),
        };
    }
    // Only the first live secret was noted, and of several stores others may have had none.
    let mut current: BTreeSet<_> = [evidence.current.clone()].into();
    current.extend((rotation.plan.stores.len() > 1).then_some(None));
    let next = evidence.next.iter().flatten().cloned().map(Some).collect();
    Before { next, current, previous: None }
}

/// What a store's live slot last held for all that earlier rotations know, newest first.
pub fn last_live(newest_first: &[Rotation], store: &str) -> Option<Fingerprint> {
    let says = |rotation: &Rotation| {
        let is_promoted = rotation.stores_done.contains(&(Step::Promote, store.to_owned()));
        let new = rotation.answered().filter(|_| is_promoted).map(|answered| Some(answered.fingerprint.clone()));
        new.or_else(|| rotation.before.held.get(store).map(|held| held.current.clone()))
    };
    newest_first.iter().find_map(says).flatten()
}

/// Whether a secret was live, or made, in a rotation.
pub fn knows(rotation: &Rotation, secret: &Fingerprint) -> bool {
    let before = &rotation.before;
    rotation.new_secret() == Some(secret)
        || before.current.as_ref() == Some(secret)
        || before.held.values().any(|held| held.current.as_ref() == Some(secret))
}

/// Drift in one sentence.
pub fn words(drifts: &[Drift]) -> String {
    let Some(first) = drifts.first() else { return "nothing has drifted".to_owned() };
    let Drift { store, name, .. } = first;
    let expected = expected_words(first);
    let more = match drifts.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    match &first.found {
        Some(found) => {
            format!("`{name}` of `{store}` holds {found}, which whsec did not put there, and not {expected}{more}")
        }
        None => format!(
            "`{name}` of `{store}` is empty and held {expected} before{more}: perhaps it is being written at this moment"
        ),
    }
}

/// What a slot may hold, in words.
pub fn expected_words(drift: &Drift) -> String {
    let word = |value: &Option<Fingerprint>| value.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    // What it held or is to hold comes first, an empty slot last.
    let words: Vec<String> = drift.expected.iter().rev().map(word).collect();
    words.join(" or ")
}
