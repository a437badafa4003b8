//! The step `check`: everything that can be proved before the irreversible call is proved, and nothing is sent
//! unless the new secret can be kept.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::dead::dead_since;
use super::drift::{self, Drift};
use super::elsewhere::{self, Stray};
use super::guard::refuse;
use super::leak::seals_from_before;
use super::operator::News;
use super::runner::Runner;
use super::{Call, Direction, Event, Evidence, Outcome, Rotation, RunError};
use crate::advice::{Verb, advice};
use crate::provider::Force;
use crate::provider::answer::{self, Inspected};
use crate::secret::{Fingerprint, Secret};
use crate::store::slots::Held;
use crate::store::{Slot, Store, StoreError, readable, slots};

impl Runner<'_> {
    /// Proves key, endpoint, stores and seal. What fails closes the rotation, since nothing was sent.
    pub(super) fn check(&mut self) -> Result<(), RunError> {
        match self.look() {
            Ok(before) => {
                self.refuse_the_live_one(before.current.as_ref())?;
                self.mention_clock(before.clock_ahead_ms.unwrap_or(0));
                let checked = [Event::Checked { before }];
                // A secret that is sealed next, before anything is sent, would be nobody's without it.
                match self.rotation.plan.direction.is_set() || self.rotation.plan.is_by_hand() {
                    true => self.record(&checked),
                    false => self.record_soon(&checked),
                }
            }
            // What was given by then is kept, and goes on once that is mended.
            Err(error) if self.rotation.answered().is_some() => Err(self.kept(error)),
            Err(error) => {
                let reason = Some(error.to_string());
                // The failure says more than one of the journal behind it, which may be on the same disk.
                let _ = self.record(&[Event::Closed { outcome: Outcome::Failed, reason }]);
                Err(error)
            }
        }
    }

    fn look(&mut self) -> Result<Evidence, RunError> {
        let earlier = self.others_of_endpoint()?;
        self.keep_leaked(&earlier);
        // A run that was cut off as it ended may have left sealed secrets from before of a rotation that is over.
        let over = earlier.iter().filter(|rotation| rotation.closed.is_some());
        let left = over.flat_map(|over| seals_from_before(over).chain(over.is_never_sent().then_some(over.id)));
        left.into_iter().try_for_each(|seal| self.seals.remove(seal, None)).map_err(RunError::SealCheck)?;
        self.refuse_other_rotation(&earlier)?;
        let mut evidence = self.inspect()?.unwrap_or_default();
        // One wild answer ends no overlap.
        let known = earlier.first().map(|rotation| rotation.clock_ahead_ms);
        evidence.clock_ahead_ms = evidence.clock_ahead_ms.map(|ahead| self.steady(ahead, known));
        let ahead = SignedDuration::from_millis(evidence.clock_ahead_ms.unwrap_or(0));
        let provider_now = (self.now)().saturating_add(ahead).unwrap_or_else(|_| (self.now)());
        match self.refuse_open_overlap(&earlier, provider_now) {
            // The new secret is there already, and the provider has it.
            Err(error) if self.rotation.answered().is_some() => {
                self.operator.tell(self.rotation, News::Warning(&error.to_string()));
            }
            refused => refused?,
        }
        let current = self.live_secret()?;
        self.refuse_other_live(current.as_ref())?;
        let held = self.held()?;
        self.refuse_emptied(&held, &self.rotation.before.held, &earlier)?;
        self.refuse_foreign(&held, &earlier)?;
        if current.is_none() && readable(self.stores).next().is_some() {
            let warning = "no store holds a live secret yet: is this where the receivers read theirs?";
            self.operator.tell(self.rotation, News::Warning(warning));
        }
        let length =
            current.as_ref().map_or(slots::USUAL_SECRET_LENGTH, |secret| secret.len().max(slots::USUAL_SECRET_LENGTH));
        let canary = slots::canary(length);
        for store in self.stores {
            slots::prove(store.as_ref(), &canary).map_err(RunError::StoreCheck)?;
            self.operator.tell(self.rotation, News::StoreProved { store: &store.reference() });
        }
        self.seals.prove(&canary).map_err(RunError::SealCheck)?;
        evidence.current = current.map(|secret| secret.fingerprint());
        evidence.next = Some(self.coming_secrets()?.iter().map(Secret::fingerprint).collect());
        evidence.held = held;
        evidence.dead_since = self.dead_since(&evidence, &earlier, provider_now);
        Ok(evidence)
    }

    /// Since when what is live is dead, where that is so in every store that can be read.
    fn dead_since(&mut self, evidence: &Evidence, earlier: &[Rotation], provider_now: Timestamp) -> Option<Timestamp> {
        let live = evidence.held.values().filter_map(|held| held.current.as_ref());
        let ends: Option<Vec<_>> = live.map(|live| dead_since(earlier, live, evidence, provider_now)).collect();
        let since = ends?.into_iter().max()?;
        let warning =
            format!("what is live is dead since {since}: an earlier rotation had replaced it, and nothing since has");
        self.operator.tell(self.rotation, News::Warning(&warning));
        Some(since)
    }

    /// Asks the provider about the endpoint, where it has a call for that.
    fn inspect(&mut self) -> Result<Option<Evidence>, RunError> {
        if self.rotation.plan.is_by_hand() {
            return Ok(None);
        }
        let provider = &self.endpoint.provider;
        let key = self.key()?;
        if !provider.shows() {
            return Ok(None);
        }
        let inspected =
            self.client.inspect(self.endpoint, key).map_err(|outcome| self.refused(outcome, "show the endpoint"))?;
        self.operator.tell(self.rotation, News::Inspected(&inspected));
        self.refuse_other_shown(&inspected)?;
        if provider.replaces() {
            self.take_what_is_carried(&inspected)?;
        }
        if let Some(until) = inspected.old_expires_at
            && self.rotation.plan.direction != Direction::Force
            && until > inspected.date.unwrap_or_else(self.now)
        {
            if !self.rotation.plan.believes(until, inspected.date.unwrap_or_else(self.now)) {
                let warning =
                    format!("the old secret is said to live until {until}, which nobody can mean; it is left out");
                self.operator.tell(self.rotation, News::Warning(&warning));
                return Ok(Some(self.evidence(&inspected)));
            }
            return Err(self.overlap_open(until));
        }
        Ok(Some(Evidence { alike: self.alike(&inspected), ..self.evidence(&inspected) }))
    }

    /// What an inspect answer says, without anything secret.
    pub(super) fn evidence(&self, inspected: &Inspected) -> Evidence {
        Evidence { clock_ahead_ms: inspected.date.map(|date| self.ahead(date)), ..Evidence::from(inspected) }
    }

    /// An outcome of a call that changes nothing, as an error.
    pub(super) fn refused(&self, outcome: answer::Outcome, what: &'static str) -> RunError {
        RunError::from_outcome(self.endpoint.provider.title().to_owned(), what, outcome)
    }

    /// Refuses a second rotation while the last one's old secret lives, whatever the provider would allow.
    pub(super) fn refuse_open_overlap(&self, earlier: &[Rotation], provider_now: Timestamp) -> Result<(), RunError> {
        if self.rotation.plan.direction == Direction::Force {
            return Ok(());
        }
        // Newest first: a force that was carried out has ended every secret before it.
        let forced =
            |rotation: &&Rotation| rotation.plan.direction == Direction::Force && rotation.answered().is_some();
        let since_force = earlier.iter().take_while(|rotation| !forced(rotation));
        // A call that was given up on without knowing may have opened an overlap.
        let overlaps = since_force.filter(|rotation| !rotation.plan.direction.ends_old_secret());
        let open = overlaps.filter_map(Rotation::replaced_until).find(|end| *end > provider_now);
        match open {
            Some(until) => Err(self.overlap_open(until)),
            None => Ok(()),
        }
    }

    fn overlap_open(&self, until: Timestamp) -> RunError {
        let endpoint = self.endpoint.own_id().to_owned();
        RunError::OverlapOpen { endpoint, until, can_force: self.can_force() }
    }

    /// Whether force-rotate ends an old secret that is in the way of this rotation.
    pub(super) fn can_force(&self) -> bool {
        self.endpoint.provider.force() == Force::Call && self.rotation.plan.direction != Direction::Force
    }

    /// What the slots of every readable store hold, looked at before the first is written.
    pub(super) fn held(&self) -> Result<BTreeMap<String, Held>, RunError> {
        let held = |store: &dyn Store| Ok((store.reference(), slots::look(store).map_err(RunError::StoreCheck)?));
        readable(self.stores).map(held).collect()
    }

    /// Refuses to write a store whose live slot is empty and was full when it was last known, by `before` or by a rotation: it may
    /// be a file that is being written at this moment, and a replacement would be all that is left of it.
    pub(super) fn refuse_emptied(
        &self,
        held: &BTreeMap<String, Held>,
        before: &BTreeMap<String, Held>,
        earlier: &[Rotation],
    ) -> Result<(), RunError> {
        let mut drifts = Vec::new();
        for store in readable(self.stores) {
            let (slot, reference) = (Slot::Current, store.reference());
            let known = before.get(&reference).and_then(|held| held.current.clone());
            let Some(known) = known.or_else(|| drift::last_live(earlier, &reference)) else { continue };
            if held.get(&reference).is_some_and(|held| held.current.is_none()) {
                let (name, expected) = (store.slot_name(slot), [Some(known)].into());
                drifts.push(Drift { store: reference, slot, name, found: None, expected });
            }
        }
        refuse(drifts, self.rotation.call != Call::NotApplied)
    }

    /// Refuses to overwrite a secret that is not of this endpoint's own rotations: it may be the only copy. Names one in
    /// `next` that is.
    pub(super) fn refuse_foreign(
        &mut self,
        held: &BTreeMap<String, Held>,
        earlier: &[Rotation],
    ) -> Result<(), RunError> {
        for store in readable(self.stores) {
            let Some(held) = held.get(&store.reference()) else { continue };
            for slot in [Slot::Next, Slot::Previous] {
                let Some(fingerprint) = held.of(slot) else { continue };
                let ours = |rotation: &&Rotation| rotation.new_secret() == Some(fingerprint);
                if let (Slot::Next, Some(rotation)) = (slot, earlier.iter().find(ours)) {
                    let is_live = held.current.as_ref() == Some(fingerprint);
                    if self.rotation.plan.direction.is_set() && rotation.may_be_applied() && !is_live {
                        return Err(RunError::StoreCheck(self.still_signs(store, fingerprint)));
                    }
                    let which = match &rotation.closed {
                        Some(closed) => format!("the rotation that was closed at {}", closed.at),
                        None => "the rotation that is open".to_owned(),
                    };
                    let name = store.slot_name(slot);
                    let warning = format!("`{name}` holds {fingerprint} of {which}; the new secret replaces it");
                    self.operator.tell(self.rotation, News::Warning(&warning));
                    continue;
                }
                let is_known = match slot {
                    // What was put there to see whether receivers take a second secret is nobody's.
                    Slot::Next => {
                        self.rotation.tried.contains(fingerprint)
                            || earlier.iter().any(|rotation| rotation.tried.contains(fingerprint))
                    }
                    _ => {
                        store.keeps_history()
                            || held.current.as_ref() == Some(fingerprint)
                            || earlier.iter().any(|rotation| drift::knows(rotation, fingerprint))
                    }
                };
                if !is_known {
                    let mut strays = [Stray::new(store, slot, fingerprint.clone())];
                    elsewhere::name_owners(&mut strays, &self.rotation.plan.endpoint_key, self.journal)?;
                    return Err(RunError::StoreCheck(strays[0].refused()));
                }
            }
        }
        Ok(())
    }

    /// A secret of ours goes into `next` long before the provider has it, which signs with another until then.
    fn still_signs(&self, store: &dyn Store, fingerprint: &Fingerprint) -> StoreError {
        let (name, provider) = (store.slot_name(Slot::Next), self.endpoint.provider.title());
        StoreError::Refused {
            store: store.reference(),
            why: format!("`{name}` holds {fingerprint}, which {provider} may sign with and which is not live"),
            hint: advice![
                "bring it to its end first: ",
                Verb::Cutover.here(),
                "; or, where that rotation was given up, put it into the live slot"
            ],
        }
    }

    /// What the readable stores have in their `next` slots.
    pub(super) fn coming_secrets(&self) -> Result<Vec<Secret>, RunError> {
        let found: Result<Vec<_>, _> = readable(self.stores).map(|store| store.get(Slot::Next)).collect();
        Ok(found.map_err(RunError::StoreCheck)?.into_iter().flatten().collect())
    }

    /// The secret that receivers live on, from the first store that can be read and has one.
    pub(super) fn live_secret(&self) -> Result<Option<Secret>, RunError> {
        slots::live(self.stores).map_err(RunError::StoreCheck)
    }
}
