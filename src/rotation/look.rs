//! What the provider shows while a rotation is open: whether its secret is ours still, looked at before it goes live, at the end
//! of the wait, before the last step, and whenever somebody goes on.

use std::time::Duration;

use super::lease::Meanwhile;
use super::operator::{Awaited, Doubt, News, Reply};
use super::runner::Runner;
use super::superseded::{Difference, Finding, compare};
use super::unasked::{Theirs, Unasked};
use super::{Event, Evidence, Next, Outcome, RunError, Step};
use crate::provider::answer::{self, Inspected};
use crate::provider::spec::Meaning;
use crate::secret::Secret;
use crate::store::{Slot, readable};

/// How often, and how far apart, a provider is asked again that shows what was before the call: a copy of its data may lag.
pub(super) const LAG_TRIES: u32 = 2;
pub(super) const LAG_PAUSE: Duration = Duration::from_secs(1);

impl From<&Inspected> for Evidence {
    /// What an answer shows, without anything secret.
    fn from(inspected: &Inspected) -> Self {
        Self {
            version: inspected.version.clone(),
            fingerprint: inspected.fingerprint.clone(),
            updated_at: inspected.updated_at.clone(),
            shown: inspected.secret.as_ref().map(Secret::fingerprint),
            ..Self::default()
        }
    }
}

impl Runner<'_> {
    /// Asks the provider what it shows of the endpoint by now.
    pub(super) fn ask_provider(&self) -> Result<Inspected, Unasked> {
        if !self.endpoint.provider.shows() {
            return Err(Unasked::NoCall);
        }
        let key = self.api_key.ok_or(Unasked::NoKey)?;
        let provider = || self.endpoint.provider.title().to_owned();
        self.client.inspect(&self.endpoint_now(), key).map_err(|outcome| {
            let meaning = match &outcome {
                answer::Outcome::Refused(refusal) => Some(refusal.meaning),
                _ => None,
            };
            let why = RunError::unasked(provider(), "show the endpoint", outcome).to_string();
            match meaning {
                Some(Meaning::Auth) => Unasked::Refused(why),
                Some(Meaning::NotFound) => Unasked::NotFound(why),
                _ => Unasked::Failed(why),
            }
        })
    }

    /// Looks whether the provider is at our secret still, where that is due before `next` and has not been looked at since
    /// anybody was waited for. Yields whether it looked.
    pub(super) fn look_before(&mut self, next: &Next) -> Result<bool, RunError> {
        let counts = matches!(next, Next::Run(Step::Promote) | Next::Ask(Step::Drop) | Next::Finished);
        let is_stale = self.looked.is_none_or(|asked| counts && !asked);
        // At the end of the wait the answer that tells the time is looked at.
        let is_due = !matches!(next, Next::Run(Step::Stage | Step::Wait) | Next::Wait(_) | Next::Reconcile);
        let is_stored = self.rotation.closed.is_none() && self.rotation.done.contains_key(&Step::Stage);
        if !is_stale || !is_due || !is_stored || self.rotation.answered().is_none() {
            return Ok(false);
        }
        self.look_again(counts).map(|()| true)
    }

    /// Looks whether the provider is at our secret still. What only asks is asked about where `asks`; a provider that cannot be
    /// asked stops nothing.
    pub(super) fn look_again(&mut self, asks: bool) -> Result<(), RunError> {
        self.looked = Some(asks);
        match self.ask_provider() {
            Ok(inspected) => {
                // Ours may have been put right since, and nothing is counted or probed by a clock that was heard before.
                if let Some(date) = inspected.date {
                    self.take_time(date)?;
                }
                self.weigh_shown(inspected, asks)
            }
            Err(unasked) => {
                if asks && unasked != Unasked::NoCall {
                    let warning = format!("whether somebody else has rotated since could not be seen: {unasked}");
                    self.operator.tell(self.rotation, News::Warning(&warning));
                }
                Ok(())
            }
        }
    }

    /// Compares what the provider shows with what is ours. Closes the rotation where somebody else has rotated since, and asks
    /// where that may be so.
    pub(super) fn weigh_shown(&mut self, mut inspected: Inspected, asks: bool) -> Result<(), RunError> {
        let mut finding = self.find(&inspected);
        let mut tries = LAG_TRIES;
        while asks && tries > 0 && matches!(finding, Finding::Behind(_)) && !self.operator.wants_to_stop() {
            tries -= 1;
            (self.sleep)(LAG_PAUSE);
            let Ok(again) = self.ask_provider() else { break };
            finding = self.find(&again);
            inspected = again;
        }
        // What was in doubt is none any more once the provider shows what is ours.
        let is_settled = finding == Finding::Same && self.rotation.doubt.is_some();
        match finding {
            Finding::Same | Finding::Unknown => {
                if is_settled || (self.rotation.answered().is_some() && self.rotation.after.is_none()) {
                    let shown = [Event::Shown { after: self.evidence(&inspected) }];
                    // What is shown is shown again; that a doubt is settled is not asked again.
                    if is_settled { self.record(&shown)? } else { self.record_soon(&shown)? }
                }
                Ok(())
            }
            Finding::Superseded(difference) => Err(self.supersede(difference, &inspected)?),
            Finding::Touched(difference) if asks => self.ask_about(Doubt::Touched(difference), &inspected).map(|_| ()),
            Finding::Behind(difference) if asks => self.ask_about(Doubt::Behind(difference), &inspected).map(|_| ()),
            Finding::Touched(_) | Finding::Behind(_) => Ok(()),
        }
    }

    pub(super) fn find(&self, inspected: &Inspected) -> Finding {
        compare(self.rotation, &self.evidence(inspected))
    }

    /// Closes the rotation, since its secret is not the provider's any more, and says where the other one may be.
    pub(super) fn supersede(&mut self, difference: Difference, inspected: &Inspected) -> Result<RunError, RunError> {
        let theirs = Theirs { is_shown: inspected.secret.is_some(), held: self.strangers() };
        let provider = self.endpoint.provider.title().to_owned();
        let ours = self.rotation.overlap_until((self.now)());
        // Theirs began later, where the provider tells of it.
        let overlap_until = inspected.old_expires_at.into_iter().chain(ours).max().filter(|_| ours.is_some());
        let error = RunError::Superseded { provider, difference, theirs: Box::new(theirs), overlap_until };
        self.record(&[Event::Closed { outcome: Outcome::Superseded, reason: Some(error.to_string()) }])?;
        Ok(error)
    }

    /// Slots that hold something which is neither ours nor the old secret.
    fn strangers(&self) -> Vec<String> {
        let ours = self.rotation.new_secret();
        let known = [ours, self.rotation.before.current.as_ref()];
        let slots = readable(self.stores).flat_map(|store| Slot::KEPT.map(|slot| (store, slot)));
        let held = slots.filter_map(|(store, slot)| Some((store, slot, store.get(slot).ok()??.fingerprint())));
        let strange =
            held.filter(|(_, _, found)| !known.contains(&Some(found)) && !self.rotation.tried.contains(found));
        strange.map(|(store, slot, found)| format!("`{}` holds {found}", store.slot_name(slot))).collect()
    }

    /// Asks about what may be another rotation. What is said to be none is what counts from then on.
    /// `false` where others have gone on meanwhile.
    pub(super) fn ask_about(&mut self, doubt: Doubt, inspected: &Inspected) -> Result<bool, RunError> {
        let after: Evidence = self.evidence(inspected);
        let why = doubt.to_string();
        if self.rotation.doubt.as_ref() != Some(&why) {
            // Before anybody is asked, who may leave without an answer: `status` has it then.
            self.record(&[Event::Doubted { why: why.clone() }])?;
        }
        let Some(reason) = self.ask_for_reason(doubt)? else { return Ok(false) };
        self.record(&[Event::Overridden { why, reason, slot: None }, Event::Shown { after }])?;
        Ok(true)
    }

    pub(super) fn doubtful(&self, doubt: Doubt) -> RunError {
        let is_live = self.rotation.done.contains_key(&Step::Promote);
        RunError::Doubtful { provider: self.endpoint.provider.title().to_owned(), doubt, is_live }
    }

    /// Asks for the reason to go on all the same; `None` where others have gone on meanwhile.
    pub(super) fn ask_for_reason(&mut self, doubt: Doubt) -> Result<Option<String>, RunError> {
        let reply = self.awaits(Awaited::Doubt(&doubt), |operator, rotation| operator.resolve_doubt(rotation, &doubt));
        let Reply::Done { reason: Some(reason) } = reply else { return Err(self.doubtful(doubt)) };
        match self.reacquire()? {
            Meanwhile::Nothing => {
                self.operator.tell(self.rotation, News::Warning(&format!("{doubt}; going on, as was said")));
                Ok(Some(reason))
            }
            Meanwhile::WentOn | Meanwhile::Stopped => Ok(None),
        }
    }
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
