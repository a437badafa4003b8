//! The steps that change slots: stage, promote and retire, in every store alike.
//!
//! For overlaps a step is all or nothing to a reader: no store is changed until every one is known to be fit for it. Where
//! the old secret is dead, each store goes live as soon as it can, and the sick one is named.

use std::collections::BTreeSet;

use super::drift::{self, Act, Drift};
use super::guard::{self, refuse};
use super::operator::News;
use super::runner::{BEFORE_A_STORE, Runner};
use super::{Event, How, RunError, Step};
use crate::secret::{Fingerprint, Secret};
use crate::store::slots::{self, Held};
use crate::store::{Access, Slot, Store, StoreError, readable};

impl Runner<'_> {
    /// Puts the secret into `next` of every store.
    pub(super) fn stage(&mut self, secret: &Secret) -> Result<(), RunError> {
        let drifts = self.refuse_drift(Step::Stage, Act::Stage, &BTreeSet::new())?;
        let known = self.rotation.clone();
        self.each_store(Step::Stage, Slot::Next, &stores(&drifts), |store| {
            slots::stage(store, secret, &|held| guard::may_stage(&known, store, secret, held))
        })?;
        refuse(drifts, true)
    }

    /// The same; where one store fails and the old secret is dead, the others go live without it.
    pub(super) fn stage_and_go_live(&mut self, secret: &Secret) -> Result<(), RunError> {
        let staged = self.stage(secret);
        // Nothing goes live that may be dead by now.
        if staged.is_err()
            && !self.rotation.is_unsent()
            && self.goes_alone(Step::Promote)
            && !self.rotation.may_be_stale()
        {
            self.look_again(true)?;
            let all = self.stores.iter().map(|store| store.reference());
            let lacking =
                all.filter(|store| !self.rotation.stores_done.contains(&(Step::Stage, store.clone()))).collect();
            if let Err(error) = self.promote_but(lacking) {
                self.operator.tell(self.rotation, News::Warning(&error.to_string()));
            }
        }
        staged
    }

    pub(super) fn promote(&mut self) -> Result<(), RunError> {
        self.promote_but(BTreeSet::new())
    }

    /// Makes the new secret live in every store but those to leave out.
    fn promote_but(&mut self, mut left_out: BTreeSet<String>) -> Result<(), RunError> {
        let new = self.answered()?.fingerprint.clone();
        let is_alone = self.goes_alone(Step::Promote);
        let drifts = self.refuse_drift(Step::Promote, Act::Promote, &left_out)?;
        left_out.extend(stores(&drifts));
        let write_only = self.stores.iter().any(|store| store.access() == Access::WriteOnly);
        let sealed = if write_only { Some(self.secret()?) } else { None };
        let mut failed = None;
        // For an overlap nothing goes live anywhere until every store has the new secret.
        for store in readable(self.stores) {
            let reference = store.reference();
            // One that has it live already needs nothing in `next`, whatever somebody has put there since.
            let is_done = self.rotation.stores_done.contains(&(Step::Promote, reference.clone()));
            if is_done || left_out.contains(&reference) {
                continue;
            }
            match self.make_ready(store, &new) {
                Ok(()) => {}
                Err(source) if is_alone => {
                    left_out.insert(reference);
                    self.keep_failure(&mut failed, source);
                }
                Err(source) => return Err(RunError::StoreFailed { step: Step::Promote, sealed: None, source }),
            }
        }
        let over: BTreeSet<String> = self
            .rotation
            .overruled
            .iter()
            .filter(|ruled| ruled.slot == Slot::Current)
            .map(|ruled| ruled.store.clone())
            .collect();
        let known = self.rotation.clone();
        let done = self.each_store(Step::Promote, Slot::Current, &left_out, |store| {
            let may = |held: &Held| drift::is_known(&known, Act::Promote, store, held);
            // What a person has ruled out is sealed, and nobody's old secret.
            match over.contains(&store.reference()) {
                true => slots::promote_over(store, &new, sealed.as_ref(), &may),
                false => slots::promote(store, &new, sealed.as_ref(), &may),
            }
        });
        match failed {
            Some(source) if done.is_err() => {
                self.operator.tell(self.rotation, News::Warning(&source.to_string()));
                done
            }
            None if done.is_err() => done,
            Some(source) => Err(self.store_failed(Step::Promote, source)),
            None => refuse(drifts, true),
        }
    }

    pub(super) fn retire(&mut self) -> Result<(), RunError> {
        let new = self.answered()?.fingerprint.clone();
        self.refuse_drift(Step::Retire, Act::Retire, &BTreeSet::new())?;
        self.keep_old();
        let known = self.rotation.clone();
        self.each_store(Step::Retire, Slot::Previous, &BTreeSet::new(), |store| {
            slots::retire(store, &new, &|held| drift::is_known(&known, Act::Retire, store, held))
        })
    }

    /// Sees that a store has the new secret. A deploy may have written the file anew without the slot; another place has it
    /// still.
    fn make_ready(&self, store: &dyn Store, new: &Fingerprint) -> Result<(), StoreError> {
        if slots::has(store, new)? {
            return Ok(());
        }
        match self.secret() {
            Ok(secret) => {
                slots::stage(store, &secret, &|held| drift::is_known(self.rotation, Act::Promote, store, held))
            }
            Err(_) => Err(StoreError::NothingToPromote { store: store.reference() }),
        }
    }

    /// Keeps the last failure to end with, and tells the one before.
    fn keep_failure(&mut self, failed: &mut Option<StoreError>, source: StoreError) {
        if let Some(earlier) = failed.replace(source) {
            self.operator.tell(self.rotation, News::Warning(&earlier.to_string()));
        }
    }

    /// Does a step in every store that has not had it, but those to leave out, and goes on to the others when one fails. Every
    /// step may be done twice, so one commit at the end is enough.
    fn each_store(
        &mut self,
        step: Step,
        slot: Slot,
        left_out: &BTreeSet<String>,
        act: impl Fn(&dyn Store) -> Result<(), StoreError>,
    ) -> Result<(), RunError> {
        let mut events = Vec::new();
        let mut failed = None;
        // Where the secret can be read again it goes first, so that nothing is given away that could still be lost.
        let mut stores: Vec<_> = self.stores.iter().collect();
        stores.sort_by_key(|store| store.access());
        for store in stores {
            let reference = store.reference();
            let is_done = self.rotation.stores_done.contains(&(step, reference.clone()));
            if is_done || left_out.contains(&reference) {
                continue;
            }
            // A journal that cannot be reached now is no reason to leave a store without the secret; another holder is.
            // But what is moved or removed is moved only while nobody else can be at work.
            if let Err(error) = self.hold(BEFORE_A_STORE)
                && (matches!(error, RunError::TakenOver { .. }) || (step != Step::Stage && !self.lock.is_still_held()))
            {
                return Err(error);
            }
            match self.patiently(store.as_ref(), &act) {
                Ok(()) => {
                    let slot = store.slot_name(slot);
                    self.operator.tell(self.rotation, News::StoreDone { step, store: &reference, slot: &slot });
                    events.push(Event::StoreDone { step, store: reference });
                }
                Err(error) => self.keep_failure(&mut failed, error),
            }
        }
        let Some(source) = failed else {
            if left_out.is_empty() {
                events.push(Event::Done { step, how: How::Tool });
            }
            return if events.is_empty() { Ok(()) } else { self.record(&events) };
        };
        let error = self.store_failed(step, source);
        // The store's failure says more than one of the journal behind it.
        let _ = self.record(&events);
        Err(error)
    }
}

/// The stores in which something has drifted.
fn stores(drifts: &[Drift]) -> BTreeSet<String> {
    drifts.iter().map(|drift| drift.store.clone()).collect()
}
