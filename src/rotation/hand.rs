//! A person has the provider make the new secret, and gives it: it is sealed before anything else is done with it.

use super::lease::Meanwhile;
use super::operator::{Awaited, Gift};
use super::runner::Runner;
use super::seal::Sealed;
use super::{Answered, Event, ExpirySource, Outcome, Plan, RunError, Step};
use crate::secret::{Fingerprint, Secret};
use crate::store::slots;

impl Runner<'_> {
    /// Takes what is given without a question, before anything else is looked at: the old secret may be dead, and what comes out of a
    /// pipe is nowhere else.
    pub(super) fn take_at_hand(&mut self) -> Result<(), RunError> {
        let is_due = self.rotation.plan.is_by_hand()
            && self.rotation.closed.is_none()
            && self.rotation.answered().is_none()
            && !self.operator.takes_time(self.rotation, Awaited::Step(Step::Issue));
        if is_due { self.take().map(|_| ()) } else { Ok(()) }
    }

    /// Takes the new secret from whoever has it made; `false` where it has to wait for them.
    pub(super) fn take(&mut self) -> Result<bool, RunError> {
        // A process may have died between sealing it and saying so.
        if self.seals.exists(self.rotation.id) {
            let secret = self.seals.unseal(self.rotation.id).map_err(RunError::SealFailed)?.secret();
            return self.given(secret).map(|()| true);
        }
        // Nothing is asked for that nothing could keep; and a seal that nobody could name is lost.
        self.seals.prove(&slots::canary(slots::USUAL_SECRET_LENGTH)).map_err(RunError::SealCheck)?;
        self.record(&[])?;
        let (endpoint, live) = (self.endpoint, self.rotation.before.current.clone());
        let admitted = move |secret: &Secret| {
            endpoint.provider.admit_secret(secret)?;
            not_the_live_one(live.as_ref(), &secret.fingerprint())
        };
        let gift =
            self.awaits(Awaited::Step(Step::Issue), |operator, rotation| operator.take_secret(rotation, &admitted));
        // Whoever was waited for may have taken days.
        self.looked = self.looked.filter(|_| self.lock.is_held());
        let Gift::Secret(secret) = gift else { return Ok(false) };
        if let Err(why) = admitted(&secret) {
            // Of one that was given before, nothing is over.
            let is_over = !self.rotation.may_be_applied();
            return Err(if is_over { self.not_taken(why)? } else { RunError::NotTaken { why } });
        }
        match self.reacquire()? {
            Meanwhile::Nothing => {}
            // Others have given one while this was typed; which of the two the provider has, nobody here knows.
            Meanwhile::WentOn if self.rotation.new_secret().is_some_and(|known| *known != secret.fingerprint()) => {
                return Err(RunError::NotTaken { why: "meanwhile somebody else has given another".to_owned() });
            }
            Meanwhile::WentOn if self.rotation.answered().is_some() || self.rotation.closed.is_some() => {
                return Ok(true);
            }
            Meanwhile::WentOn => {}
            Meanwhile::Stopped => return Ok(false),
        }
        self.seals.seal(self.rotation.id, &Sealed::new(None, secret.expose())).map_err(RunError::SealFailed)?;
        self.given(secret).map(|()| true)
    }

    /// Journals what is sealed.
    fn given(&mut self, secret: Secret) -> Result<(), RunError> {
        let fingerprint = secret.fingerprint();
        self.arrived = Some(secret);
        self.record(&[Event::Given { fingerprint }])
    }

    /// Refuses what was given where it turns out to be what is live.
    pub(super) fn refuse_the_live_one(&mut self, live: Option<&Fingerprint>) -> Result<(), RunError> {
        let Some(given) = self.rotation.answered().map(|answered| answered.fingerprint.clone()) else { return Ok(()) };
        match not_the_live_one(live, &given) {
            Ok(()) => Ok(()),
            Err(why) => Err(self.not_taken(why)?),
        }
    }

    /// Ends a rotation for which something else was given, before a store was touched.
    fn not_taken(&mut self, why: String) -> Result<RunError, RunError> {
        let error = RunError::NotTaken { why };
        let why = error.to_string();
        self.record(&[
            Event::NotApplied { why: why.clone(), status: None, request_id: None },
            Event::Closed { outcome: Outcome::Failed, reason: Some(why) },
        ])?;
        self.seals.remove(self.rotation.id).map_err(RunError::SealFailed)?;
        Ok(error)
    }

    /// An error of the check, where the new secret is sealed already and waits for its mending.
    pub(super) fn kept(&self, error: RunError) -> RunError {
        match error {
            RunError::StoreCheck(source) => self.store_failed(Step::Check, source),
            RunError::SealCheck(source) => RunError::SealFailed(source),
            error => error,
        }
    }
}

impl Plan {
    /// The facts of a secret that a person gave at this time on the provider's clock: the old one ends no later than if it was made then.
    pub(super) fn given(&self, fingerprint: &Fingerprint, at: jiff::Timestamp) -> Answered {
        let ends = self.direction.ends_old_secret();
        let given = Answered {
            fingerprint: fingerprint.clone(),
            version: None,
            provider_fingerprint: None,
            status: 0,
            request_id: None,
            expires_at: None,
            expires_source: if ends { ExpirySource::Call } else { ExpirySource::Unknown },
            clock_ahead_ms: 0,
            replayed: false,
            notice: None,
        };
        given.with_believable_end(self, at)
    }
}

fn not_the_live_one(live: Option<&Fingerprint>, given: &Fingerprint) -> Result<(), String> {
    match live == Some(given) {
        true => Err("it is the one that is live".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
#[path = "hand_tests.rs"]
mod tests;
