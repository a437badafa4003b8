//! A store or a receiver that comes to a rotation which is under way, as the config names it since: the store gets what the
//! others have before anything else happens, and the receiver is asked what the others were asked.

use std::collections::BTreeMap;

use super::changed::Change;
use super::drift::Act;
use super::operator::News;
use super::runner::Runner;
use super::{Call, Event, PlannedStore, Record, RunError, Step};
use crate::advice::{Verb, advice};
use crate::store::slots::Held;
use crate::store::{StoreError, slots};

impl Record {
    /// Takes a store in. What receivers were proved or said to run with is not said of those that read this one.
    pub(super) fn join(&mut self, store: &PlannedStore, held: Option<&Held>) {
        let reference = store.reference.clone();
        if let Some(held) = held {
            self.before.held.insert(reference.clone(), held.clone());
        }
        if self.plan.stores.iter().any(|known| known.reference == reference) {
            return;
        }
        self.plan.stores.push(store.clone());
        if self.closed.is_some() {
            // It was seen to have the secret of a rotation that is over.
            return;
        }
        self.joined.insert(reference);
        self.undo(&[Step::Drop]);
    }

    /// Takes a receiver in. What the others were proved or said to run with is not said of this one.
    pub(super) fn join_receiver(&mut self, url: &str) {
        if self.plan.receivers.iter().any(|known| known == url) {
            return;
        }
        self.plan.receivers.push(url.to_owned());
        // It may have been a receiver of this rotation before it was let go.
        self.probed.remove(url);
        self.undo(&[Step::Drop]);
        if self.call == Call::NotApplied {
            // Nobody has said yet that this one takes the new secret at once.
            self.done.remove(&Step::Prepare);
        }
    }

    /// The receivers that this rotation has asked nothing yet, of those that count.
    pub fn unasked(&self) -> Vec<&str> {
        let urls = self.plan.receivers.iter().map(String::as_str);
        urls.filter(|url| !self.probed.contains_key(*url)).collect()
    }

    /// The first step that is done, but not in every store that joined since.
    pub fn behind(&self) -> Option<Step> {
        let lacks = |step: Step| self.joined.iter().any(|store| !self.stores_done.contains(&(step, store.clone())));
        let by_store = [Step::Stage, Step::Promote, Step::Retire].into_iter();
        by_store.filter(|step| self.done.contains_key(step)).find(|step| lacks(*step))
    }
}

impl Runner<'_> {
    /// Proves stores, those that this runner has, and takes them into the rotation. What their slots hold is looked at
    /// before the first is written; a secret that nobody knows is left alone.
    pub fn take_in(&mut self, planned: &[PlannedStore]) -> Result<(), RunError> {
        let held = self.prove_new().map_err(|error| self.not_taken_in(error))?;
        let joined = |store: &PlannedStore| Event::StoreJoined {
            store: store.clone(),
            held: held.get(&store.reference).cloned(),
        };
        let events: Vec<Event> = planned.iter().map(joined).collect();
        self.record(&events)
    }

    /// Takes in the receivers that came to the config since it was read, and says so; whether there were any. Fails where a
    /// store came, which has to be proved first.
    pub(super) fn take_in_late(&mut self) -> Result<bool, RunError> {
        let joined = self.operator.joined(self.rotation);
        for change in &joined {
            match change {
                Change::StoreJoined { store } => return Err(RunError::Lacking { store: store.clone() }),
                Change::ReceiverJoined { url } => {
                    self.record(&[Event::ReceiverJoined { url: url.clone() }])?;
                    self.probed = false;
                    let words = change.words(&self.rotation.plan.target);
                    self.operator.tell(self.rotation, News::Warning(&words));
                }
                _ => {}
            }
        }
        Ok(!joined.is_empty())
    }

    /// Proves them, and yields what their slots hold after that.
    fn prove_new(&mut self) -> Result<BTreeMap<String, Held>, RunError> {
        let before = self.known_in_new(&BTreeMap::new())?;
        let canary = slots::canary(slots::USUAL_SECRET_LENGTH);
        for store in self.stores {
            slots::prove(store.as_ref(), &canary).map_err(RunError::StoreCheck)?;
            self.operator.tell(self.rotation, News::StoreProved { store: &store.reference() });
        }
        // What is journaled is what was judged: somebody may have put something there since.
        self.known_in_new(&before)
    }

    /// What their slots hold. Fails where that is a secret that nobody knows, or a live one is gone that was there `before`.
    fn known_in_new(&mut self, before: &BTreeMap<String, Held>) -> Result<BTreeMap<String, Held>, RunError> {
        let held = self.held()?;
        let known =
            self.journal.of_endpoint(&self.rotation.plan.endpoint_key).map_err(|error| self.unrecorded(error))?;
        self.refuse_emptied(&held, before, &[])?;
        self.refuse_foreign(&held, &known)?;
        Ok(held)
    }

    /// After the call a store that fails its check is one that the new secret is not yet in.
    fn not_taken_in(&self, error: RunError) -> RunError {
        match error {
            RunError::StoreCheck(source) if self.rotation.answered().is_some() => self.not_yet_in(source),
            other => other,
        }
    }

    /// No seal and no other store can give the new secret to those that joined; perhaps because somebody put another in its place.
    pub(super) fn nothing_to_give(&self) -> RunError {
        let mut drifts = self.drifts(Act::due(self.rotation));
        drifts.retain(|drift| !self.rotation.joined.contains(&drift.store));
        if !drifts.is_empty() {
            return RunError::Drift { drifts, is_sent: true };
        }
        let lacks = |store: &&String| !self.rotation.stores_done.contains(&(Step::Stage, (*store).clone()));
        self.not_yet_in(StoreError::Refused {
            store: self.rotation.joined.iter().find(lacks).cloned().unwrap_or_default(),
            why: "no seal and no store that can be read has the new secret any more to give it".to_owned(),
            hint: advice![
                "take it out of the config, and let it go: ",
                Verb::Cutover.here().open("let-go", "STORE").open("reason", "TEXT")
            ],
        })
    }

    /// A store does not have what the others have.
    pub(super) fn not_yet_in(&self, source: StoreError) -> RunError {
        if self.rotation.is_unsent() {
            return RunError::StoreCheck(source);
        }
        let sealed = self.seals.exists(self.rotation.id).then(|| self.seals.path(self.rotation.id));
        RunError::StoreFailed { step: self.rotation.behind().unwrap_or(Step::Stage), sealed, source }
    }
}
