//! A rotation that was begun elsewhere: slots that are filled, and no rotation in this journal accounts for it. The state
//! folder *is* the rotation, so without the right one there is nothing to go on with, and nothing to say is done.

use jiff::Timestamp;

use super::journal::{Journal, JournalError};
use super::{Outcome, Rotation, RunError, drift};
use crate::advice::{Advice, Flag, Verb, advice};
use crate::secret::Fingerprint;
use crate::store::{Slot, Store, StoreError, readable, slots};

/// A filled slot that this journal cannot account for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    pub store: String,
    pub slot: Slot,
    /// The slot as people see it: a variable, a path.
    pub name: String,
    pub fingerprint: Fingerprint,
    /// The target whose own rotation brought the secret, where the journal knows that.
    pub of: Option<String>,
}

/// What is said of strays wherever they are met.
pub const UNDER_WAY: &str = "a rotation that this machine does not know is under way";

/// What to do about them. Nobody is told to empty a slot: what is in it may be the only copy.
pub fn go_on_there() -> Advice {
    advice![
        "leave the slots as they are, one may hold the only copy: go on where that rotation was begun, or bring its state folder \
         here and name it: ",
        Flag::open("state-dir", "DIR"),
        "; where its journal is lost, ",
        Verb::Adopt.here(),
        " takes it over"
    ]
}

impl Stray {
    /// What this slot of a store holds.
    pub fn new(store: &dyn Store, slot: Slot, fingerprint: Fingerprint) -> Self {
        Self { store: store.reference(), slot, name: store.slot_name(slot), fingerprint, of: None }
    }

    /// What it shows.
    pub fn shows(&self) -> &'static str {
        if self.of.is_some() { "a slot is shared" } else { UNDER_WAY }
    }

    /// What the slot holds, in words.
    pub fn words(&self) -> String {
        let whose = self.of.as_ref().map(|of| format!(", which is of a rotation of `{of}`")).unwrap_or_default();
        format!("`{}` of {} holds {}{whose}", self.name, self.store, self.fingerprint)
    }

    /// The same as the reason why a store is not rotated into, with what to do about it.
    pub fn refused(&self) -> StoreError {
        let (name, fingerprint) = (&self.name, &self.fingerprint);
        let (why, hint) = match &self.of {
            Some(of) => (
                format!("`{name}` holds {fingerprint}, which is of a rotation of `{of}`"),
                advice!["give each target slots of its own; ", Verb::Cutover.of(of), " goes on with that rotation"],
            ),
            None => (format!("{UNDER_WAY}: `{name}` holds {fingerprint}"), go_on_there()),
        };
        StoreError::Refused { store: self.store.clone(), why, hint }
    }
}

/// Every stray of these stores, as the journal has it of this endpoint, closed rotations included.
pub fn strays(stores: &[Box<dyn Store>], endpoint: &str, journal: &Journal) -> Result<Vec<Stray>, RunError> {
    let known = journal.of_endpoint(endpoint)?;
    let mut strays = Vec::new();
    for store in readable(stores) {
        strays.extend(of_store(store, &known).map_err(RunError::StoreCheck)?);
    }
    name_owners(&mut strays, endpoint, journal)?;
    Ok(strays)
}

/// A live secret that no rotation accounts for, where there is one that should: others rotated since.
pub fn stray_live(stores: &[Box<dyn Store>], known: &[Rotation]) -> Result<Option<Stray>, RunError> {
    for store in readable(stores).filter(|_| !known.is_empty()) {
        let live = slots::look(store).map_err(RunError::StoreCheck)?.current;
        if let Some(live) = live.filter(|live| !accounts_for(known, live)) {
            return Ok(Some(Stray::new(store, Slot::Current, live)));
        }
    }
    Ok(None)
}

/// The strays of one store, owners unnamed.
pub fn of_store(store: &dyn Store, known: &[Rotation]) -> Result<Vec<Stray>, StoreError> {
    let held = slots::look(store)?;
    let is_known = |fingerprint: &Fingerprint| accounts_for(known, fingerprint);
    let mut strays = Vec::new();
    if let Some(next) = held.of(Slot::Next).filter(|next| !is_known(next)) {
        strays.push(Stray::new(store, Slot::Next, next.clone()));
    }
    // Some keep what was live before for ever, and a copy of what is live is nobody's loss.
    let previous = held.of(Slot::Previous).filter(|_| !store.keeps_history());
    if let Some(previous) = previous.filter(|previous| held.current.as_ref() != Some(previous)) {
        // What was live after the last rotation here is `previous` once somebody has rotated elsewhere. Of one that is known to be
        // superseded that is no news.
        let is_told =
            known.iter().find(|known| known.applied).is_some_and(|newest| newest.closed_as(Outcome::Superseded));
        let live_is_stray = !is_told && held.current.as_ref().is_some_and(|current| !is_known(current));
        if !is_known(previous) || live_is_stray {
            strays.push(Stray::new(store, Slot::Previous, previous.clone()));
        }
    }
    Ok(strays)
}

/// Looks up which of the other endpoints has a rotation that brought it.
pub fn name_owners(strays: &mut [Stray], endpoint: &str, journal: &Journal) -> Result<(), JournalError> {
    if strays.is_empty() {
        return Ok(());
    }
    let mut all = journal.open_rotations()?;
    all.extend(journal.closed_since(Timestamp::UNIX_EPOCH)?);
    all.retain(|rotation| rotation.plan.endpoint_key != endpoint);
    for stray in strays {
        let brought = |rotation: &&Rotation| rotation.new_secret() == Some(&stray.fingerprint);
        stray.of = all.iter().find(brought).map(|rotation| rotation.plan.target.clone());
    }
    Ok(())
}

/// Whether one of these rotations brought the secret, found it live, or made it up to see what receivers take.
fn accounts_for(known: &[Rotation], fingerprint: &Fingerprint) -> bool {
    let accounts = |rotation: &Rotation| {
        drift::knows(rotation, fingerprint)
            || rotation.before.shown.as_ref() == Some(fingerprint)
            || rotation.tried.contains(fingerprint)
    };
    known.iter().any(accounts)
}
