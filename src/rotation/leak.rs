//! A secret that has leaked while a rotation is open: which one it is, and how the rotation turns to containing that.
//!
//! Receivers contain a leak, not the provider, and they need no second secret for it: the open rotation has brought one.

use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::lease::Meanwhile;
use super::operator::{Doubt, News};
use super::person_steps::{old_seal, probed, seal_beside};
use super::runner::Runner;
use super::seal::Sealed;
use super::{Direction, Event, Probed, Record, Rotation, RunError, Step};
use crate::delivery::probe::{Prober, Secrets};
use crate::secret::{Fingerprint, Secret};
use crate::store::{Slot, readable};

/// Which secret of an open rotation has leaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaked {
    /// The one that the rotation replaces.
    Old,
    /// The one that it has brought.
    New,
}

impl Record {
    /// Which of its secrets this fingerprint names; `None` where it is neither.
    pub fn which(&self, fingerprint: &Fingerprint) -> Option<Leaked> {
        let is = |known: Option<&Fingerprint>| known == Some(fingerprint);
        match () {
            () if is(self.new_secret()) => Some(Leaked::New),
            () if is(self.before.current.as_ref()) => Some(Leaked::Old),
            () => None,
        }
    }

    /// When the leak was declared, of a rotation that is for one.
    pub fn leak_since(&self) -> Timestamp {
        let of_new = self.new_leaked.as_ref().map(|(at, _)| *at);
        self.leak_declared_at.or(of_new).unwrap_or(self.opened_at)
    }

    fn has_brought_one_of(&self, secrets: &BTreeSet<Fingerprint>) -> bool {
        self.new_secret().is_some_and(|new| secrets.contains(new))
    }

    /// Takes into account that secrets have leaked.
    pub(super) fn take_leak(&mut self, at: Timestamp, reason: &str, leaked: &BTreeSet<Fingerprint>) {
        if self.has_brought_one_of(leaked) {
            self.new_leaked.get_or_insert((at, reason.to_owned()));
            return;
        }
        self.plan.leaked.extend(leaked.iter().cloned());
        self.turn_to_containing(at, reason);
    }

    /// What is left is from now on what contains a leak of the old secret.
    pub(super) fn turn_to_containing(&mut self, at: Timestamp, reason: &str) {
        self.leak_declared_at.get_or_insert(at);
        self.plan.forced = true;
        self.plan.reason = Some(reason.to_owned());
        // Where a person ends the old secret, that is the next thing to do as it is.
        if self.plan.direction.ends_old_secret() || self.plan.direction == Direction::UntilEnded {
            return;
        }
        if self.plan.direction == Direction::OverlapEither && !self.done.contains_key(&Step::Promote) {
            // Receivers that accept either secret have not been given the new one alone.
            self.undo(&[]);
        }
        self.plan.direction = Direction::Contain;
        self.plan.steps = Direction::Contain.steps().to_vec();
    }
}

impl Runner<'_> {
    /// Records that the old secret has leaked, and `leaked` beside it, or that the one which the rotation has brought has, unless
    /// that is on record already or others are through with the rotation. `false` where a signal came first.
    pub fn declare_leak(&mut self, reason: &str, leaked: BTreeSet<Fingerprint>) -> Result<bool, RunError> {
        if self.reacquire()? == Meanwhile::Stopped {
            return Ok(false);
        }
        let is_known = if self.rotation.has_brought_one_of(&leaked) {
            self.rotation.new_leaked.is_some()
        } else {
            self.rotation.plan.forced
        };
        if self.rotation.closed.is_none() && !is_known {
            self.record(&[Event::LeakDeclared { reason: reason.to_owned(), leaked }])?;
        }
        Ok(true)
    }

    /// Fails where the new secret, which is to go live, is said to have leaked, unless somebody says why all the same. `false`
    /// where others have gone on meanwhile.
    pub(super) fn refuse_leaked(&mut self) -> Result<bool, RunError> {
        let Some(doubt) = self.doubt_of_leak()? else { return Ok(true) };
        let why = doubt.to_string();
        let Some(reason) = self.ask_for_reason(doubt)? else { return Ok(false) };
        self.record(&[Event::Overridden { why, reason, slot: None }])?;
        Ok(true)
    }

    /// That the new secret is said to have leaked, where it is.
    pub(super) fn doubt_of_leak(&self) -> Result<Option<Doubt>, RunError> {
        let Some((_, reason)) = &self.rotation.new_leaked else { return Ok(None) };
        let new = self.answered()?.fingerprint.to_string();
        Ok(Some(Doubt::Leaked { new, reason: reason.clone() }))
    }

    /// Seals what the plan names as leaked before it leaves the stores: without it nobody could prove that receivers refuse it.
    pub(super) fn keep_leaked(&mut self, earlier: &[Rotation]) {
        if self.rotation.plan.receivers.is_empty() || self.rotation.done.contains_key(&Step::Drop) {
            return;
        }
        for leaked in self.rotation.plan.leaked.clone() {
            let seal = leaked_seal(self.rotation.id, &leaked);
            if self.seals.keeps(seal) {
                continue;
            }
            let Some(secret) = self.find_leaked(&leaked, earlier) else { continue };
            if self.seals.seal(seal, &Sealed::new(None, secret.expose())).is_err() {
                let warning = format!("{leaked} could not be sealed, so no probe can prove that receivers refuse it");
                self.operator.tell(self.rotation, News::Warning(&warning));
            }
        }
    }

    /// A secret from before, as far as a slot or a seal still has it.
    fn find_leaked(&self, leaked: &Fingerprint, earlier: &[Rotation]) -> Option<Secret> {
        let slots = readable(self.stores).flat_map(|store| Slot::KEPT.map(|slot| (store, slot)));
        let mut held = slots.filter_map(|(store, slot)| store.get(slot).ok().flatten());
        let of = |id: Uuid| [id, old_seal(id), leaked_seal(id, leaked)];
        let mut sealed =
            std::iter::once(self.rotation.id).chain(earlier.iter().map(|rotation| rotation.id)).flat_map(of);
        held.find(|secret| secret.fingerprint() == *leaked).or_else(|| {
            sealed.find_map(|id| self.seals.exists(id).then(|| self.seals.secret_of(id, Some(leaked)).ok()).flatten())
        })
    }

    /// What receivers were found to do with the secrets that leaked before, into what was found of the others.
    pub(super) fn probe_leaked(&mut self, prober: &Prober, new: &Secret, found: &mut [Probed]) {
        let known = [Some(new.fingerprint()), self.rotation.before.current.clone()];
        for leaked in self.rotation.plan.leaked.clone() {
            if known.contains(&Some(leaked.clone())) || self.operator.wants_to_stop() {
                continue;
            }
            let Some(secret) = self.find_leaked(&leaked, &[]) else {
                let warning = format!(
                    "{leaked} may have leaked too, and nobody has it any more to try: no probe proves that receivers refuse it"
                );
                self.operator.tell(self.rotation, News::Warning(&warning));
                found.iter_mut().for_each(|found| found.rejects_old = found.rejects_old.filter(|rejects| !rejects));
                continue;
            };
            self.operator.tell(self.rotation, News::Warning(&format!("{leaked} may have leaked too; with it:")));
            let reports = self.probe_with(prober, &Secrets { new: Some(new), old: Some(&secret) });
            found.iter_mut().zip(&reports).for_each(|(found, report)| found.add(probed(report)));
        }
    }
}

impl Probed {
    /// What was found with one more old secret: what is wrong with any of them is wrong.
    fn add(&mut self, more: Self) {
        let both = |one: Option<bool>, other: Option<bool>| match (one, other) {
            (Some(true), Some(true)) => Some(true),
            (Some(false), _) | (_, Some(false)) => Some(false),
            _ => None,
        };
        if more.rejects_old == Some(false) || (more.accepts_new == Some(false) && self.accepts_new != Some(false)) {
            self.verdict = more.verdict;
        }
        self.accepts_new = both(self.accepts_new, more.accepts_new);
        self.rejects_old = both(self.rejects_old, more.rejects_old);
    }
}

/// The seal of a secret that leaked before the one which a rotation replaces.
fn leaked_seal(rotation: Uuid, leaked: &Fingerprint) -> Uuid {
    seal_beside(rotation, leaked, 0xa0)
}

/// The seals of every secret from before that a rotation may have kept.
pub(super) fn seals_from_before(rotation: &Rotation) -> impl Iterator<Item = Uuid> {
    let leaked = rotation.plan.leaked.iter().map(|leaked| leaked_seal(rotation.id, leaked));
    std::iter::once(old_seal(rotation.id)).chain(leaked)
}

#[cfg(test)]
#[path = "leak_tests.rs"]
mod tests;
