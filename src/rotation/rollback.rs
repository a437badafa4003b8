//! The way back: the old secret into the live slot of every store, while the provider still honours it.

use super::drift::{self, Act};
use super::facts::LONGEST_CALL;
use super::guard::refuse;
use super::operator::News;
use super::runner::Runner;
use super::{Event, Next, Rotation, RunError, Step};
use crate::store::slots::{self, Held};
use crate::store::{Access, Slot, readable};

impl Runner<'_> {
    /// Puts the old secret back into the live slot of every store while the provider still honours it.
    pub fn roll_back(&mut self, reason: Option<String>) -> Result<(), RunError> {
        let direction = self.rotation.plan.direction;
        if let Some(second) = self.rotation.second().filter(|_| !self.rotation.done.contains_key(&Step::End)) {
            let second = second.to_owned();
            return self.remove_second(&second, reason);
        }
        if matches!(self.rotation.next((self.now)()), Next::Reconcile) {
            return Err(self.lost(self.why_unknown()));
        }
        let only_forward = self.rotation.old_is_dead() && self.rotation.answered().is_some();
        let no_way_back = |why: &str| RunError::NoWayBack { why: why.to_owned(), only_forward };
        let Some(answered) = self.rotation.answered().cloned() else {
            return Err(no_way_back("nothing has been rotated, so the live slot holds it still"));
        };
        if direction.ends_old_secret() {
            return Err(no_way_back(match self.rotation.plan.is_by_hand() {
                true => "the provider has ended it, so receivers that use it would refuse every delivery",
                false => "it died with the call, so receivers that use it would refuse every delivery",
            }));
        }
        if self.rotation.done.contains_key(&Step::End) {
            return Err(no_way_back("it was ended at the provider"));
        }
        let failed = |source| RunError::StoreFailed { step: Step::Promote, sealed: None, source };
        let mut replaced = false;
        for store in readable(self.stores) {
            replaced |= slots::holds(store, Slot::Current, &answered.fingerprint).map_err(failed)?;
        }
        if !replaced && !self.rotation.done.contains_key(&Step::Promote) {
            return Err(no_way_back("it has not been replaced yet, so the live slot holds it still"));
        }
        // What only asks does not stop somebody whose deliveries are refused this minute.
        if self.hear(false)?.is_some() {
            let warning = "the provider's clock cannot be asked; by this machine's clock the old secret still lives";
            self.operator.tell(self.rotation, News::Warning(warning));
        }
        let before = &self.rotation.before.current;
        let earlier = self.journal.of_endpoint(&self.rotation.plan.endpoint_key)?;
        let replaced_it = |other: &Rotation| {
            other.id != self.rotation.id && other.answered().is_some() && other.before.current == *before
        };
        if before.is_some() && earlier.iter().any(replaced_it) {
            return Err(no_way_back("an earlier rotation had replaced it at the provider already"));
        }
        let now = (self.now)();
        if !self.rotation.old_secret_lives(now) {
            return Err(no_way_back("the provider no longer honours it"));
        }
        // An end that was computed after a replay may be said so much too late, and nobody deploys in less.
        if !self.rotation.old_secret_lives(now.saturating_add(LONGEST_CALL).unwrap_or(now)) {
            return Err(no_way_back("the provider honours it for less than a minute"));
        }
        let stores = self.stores;
        let stores = stores.iter().filter(|store| store.access() != Access::Once);
        let mut drifts = Vec::new();
        for store in readable(self.stores) {
            drifts.extend(self.drifts_of(store, Act::RollBack).map_err(failed)?);
        }
        refuse(drifts, true)?;
        // A store that has no way back is found before any other is touched.
        for store in stores.clone() {
            slots::may_roll_back(store.as_ref(), &answered.fingerprint).map_err(failed)?;
        }
        // Written ahead: cut off from here on, `cutover` promotes again and `rollback` does what is left.
        self.record(&[Event::RolledBack { reason }])?;
        for store in stores {
            let may = |held: &Held| drift::is_known(self.rotation, Act::RollBack, store.as_ref(), held);
            slots::roll_back(store.as_ref(), &answered.fingerprint, &may).map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "rollback_tests.rs"]
mod tests;
