//! Looks into every store before the first is changed, and refuses where somebody else has put something.

use super::drift::{self, Act, Drift};
use super::runner::Runner;
use super::{RunError, Step};
use crate::store::{Slot, Store, StoreError, readable};

impl Runner<'_> {
    /// Compares every store that a step is about to change. Fails with [`RunError::Drift`], and with
    /// [`RunError::StoreFailed`] for one that cannot be looked into.
    pub(super) fn refuse_drift(&self, step: Step, act: Act) -> Result<(), RunError> {
        let failed = |source| {
            let sealed = self.seals.exists(self.rotation.id).then(|| self.seals.path(self.rotation.id));
            RunError::StoreFailed { step, sealed, source }
        };
        let is_due = |store: &&dyn Store| !self.rotation.stores_done.contains(&(step, store.reference()));
        let mut drifts = Vec::new();
        for store in readable(self.stores).filter(is_due) {
            drifts.extend(self.drifts_of(store, act).map_err(failed)?);
        }
        refuse(drifts, true)
    }

    /// The same wherever a run comes by between two changes: what others have put where whsec looks after a secret is said
    /// before anything is built on it. A store that cannot be read now is looked into when it is changed.
    pub(super) fn refuse_drift_at_rest(&self) -> Result<(), RunError> {
        let is_staged = self.rotation.done.contains_key(&Step::Stage) && self.rotation.answered().is_some();
        if !is_staged || self.rotation.closed.is_some() {
            return Ok(());
        }
        refuse(self.drifts(Act::due(self.rotation)), true)
    }

    /// What has drifted, as far as the stores can be read now.
    pub(super) fn drifts(&self, act: Act) -> Vec<Drift> {
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
        if drift.slot != Slot::Next || drift.found.is_none() {
            return false;
        }
        match (store.get(Slot::Next), self.secret()) {
            (Ok(Some(found)), Ok(new)) => new.expose().starts_with(found.expose()),
            _ => false,
        }
    }
}

/// Fails where anything has drifted.
pub(super) fn refuse(drifts: Vec<Drift>, is_sent: bool) -> Result<(), RunError> {
    if drifts.is_empty() { Ok(()) } else { Err(RunError::Drift { drifts, is_sent }) }
}
