//! Looks into every store before the first is changed, and refuses where somebody else has put something.

use std::collections::BTreeSet;

use super::drift::{self, Act, Drift};
use super::runner::Runner;
use super::{Rotation, RunError, Step};
use crate::secret::Secret;
use crate::store::slots::Held;
use crate::store::{Slot, Store, StoreError, readable};

impl Runner<'_> {
    /// Whether a step is done in each store as soon as it can be, whatever becomes of the others: the old secret is dead, so
    /// that every store which waits for another keeps its receivers on a dead one; or there is no seal yet, and the stores are
    /// all that can keep the new secret.
    pub(super) fn goes_alone(&self, step: Step) -> bool {
        let is_dead = self.rotation.old_is_dead();
        match step {
            Step::Stage => is_dead || !self.seals.exists(self.rotation.id),
            Step::Promote => is_dead,
            _ => false,
        }
    }

    /// Compares every store that a step is about to change, but those to leave out. Fails with [`RunError::Drift`], and with
    /// [`RunError::StoreFailed`] for one that cannot be looked into; where each store goes alone, it yields what has drifted.
    pub(super) fn refuse_drift(
        &self,
        step: Step,
        act: Act,
        left_out: &BTreeSet<String>,
    ) -> Result<Vec<Drift>, RunError> {
        let is_alone = self.goes_alone(step);
        let is_due = |reference: &String| {
            !left_out.contains(reference) && !self.rotation.stores_done.contains(&(step, reference.clone()))
        };
        let mut drifts = Vec::new();
        for store in readable(self.stores).filter(|store| is_due(&store.reference())) {
            match self.drifts_of(store, act) {
                Ok(found) => drifts.extend(found),
                // It fails by itself when it is changed.
                Err(_) if is_alone => {}
                Err(source) => return Err(self.store_failed(step, source)),
            }
        }
        if !is_alone {
            refuse(std::mem::take(&mut drifts), true)?;
        }
        Ok(drifts)
    }

    /// The same wherever a run comes by between two changes: what others have put where whsec looks after a secret is said
    /// before anything is built on it. A store that cannot be read now is looked into when it is changed.
    pub(super) fn refuse_drift_at_rest(&self) -> Result<(), RunError> {
        let is_staged = self.rotation.done.contains_key(&Step::Stage) && self.rotation.new_secret().is_some();
        // One that joined is compared when it gets what the others have.
        if !is_staged || self.rotation.closed.is_some() || self.rotation.behind().is_some() {
            return Ok(());
        }
        refuse(self.drifts(Act::due(self.rotation)), true)
    }

    /// What has drifted, as far as the stores can be read now.
    pub fn drifts(&self, act: Act) -> Vec<Drift> {
        readable(self.stores).filter_map(|store| self.drifts_of(store, act).ok()).flatten().collect()
    }

    /// What has drifted in one store.
    pub(super) fn drifts_of(&self, store: &dyn Store, act: Act) -> Result<Vec<Drift>, StoreError> {
        let mut drifts = drift::look(self.rotation, act, store)?;
        drifts.retain(|drift| !self.is_cut_short(store, drift));
        Ok(drifts)
    }

    /// Whether what is in `next` is the beginning of the new secret: a write of ours that a store or a crash cut short.
    fn is_cut_short(&self, store: &dyn Store, drift: &Drift) -> bool {
        drift.slot == Slot::Next && drift.found.is_some() && self.secret().is_ok_and(|new| begins(store, &new))
    }

    pub(super) fn store_failed(&self, step: Step, source: StoreError) -> RunError {
        if self.rotation.is_unsent() {
            return RunError::StoreCheck(source);
        }
        let sealed = self.seals.exists(self.rotation.id).then(|| self.seals.path(self.rotation.id));
        RunError::StoreFailed { step, sealed, source }
    }
}

/// Fails where anything has drifted.
pub(super) fn refuse(drifts: Vec<Drift>, is_sent: bool) -> Result<(), RunError> {
    if drifts.is_empty() { Ok(()) } else { Err(RunError::Drift { drifts, is_sent }) }
}

/// Whether a store may be staged that holds this: nothing foreign but, in `next`, the beginning of the very secret.
pub(super) fn may_stage(rotation: &Rotation, store: &dyn Store, new: &Secret, held: &Held) -> bool {
    let mut foreign = drift::foreign(rotation, Act::Stage, &store.reference(), held).into_iter();
    foreign.all(|(slot, _)| slot == Slot::Next && held.next.is_some() && begins(store, new))
}

fn begins(store: &dyn Store, new: &Secret) -> bool {
    matches!(store.get(Slot::Next), Ok(Some(found)) if new.expose().starts_with(found.expose()))
}
