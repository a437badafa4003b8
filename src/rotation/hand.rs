//! A person has the provider make the new secret, and gives it: it is sealed before anything else is done with it.

use super::lease::Meanwhile;
use super::operator::{Awaited, Gift, News};
use super::runner::Runner;
use super::seal::Sealed;
use super::{Answered, Event, ExpirySource, Outcome, Plan, Rotation, RunError, Step};
use crate::secret::{Fingerprint, Secret};
use crate::store::slots;

impl Runner<'_> {
    /// Takes what is given without a question, before anything else is looked at: the old secret may be dead, and what comes out of a
    /// pipe is nowhere else.
    pub(super) fn take_at_hand(&mut self) -> Result<(), RunError> {
        let is_due = self.rotation.plan.is_by_hand()
            && self.rotation.closed.is_none()
            && self.rotation.answered().is_none()
            && (self.seals.exists(self.rotation.id)
                || !self.operator.takes_time(self.rotation, Awaited::Step(Step::Issue)));
        if is_due { self.take().map(|_| ()) } else { Ok(()) }
    }

    /// Takes the new secret from whoever has it made; `false` where it has to wait for them.
    pub(super) fn take(&mut self) -> Result<bool, RunError> {
        // A process may have died between sealing it and saying so.
        if self.seals.exists(self.rotation.id) {
            let secret = self.seals.unseal(self.rotation.id).map_err(RunError::SealFailed)?.secret();
            return self.given(secret).map(|()| true);
        }
        match self.ask()? {
            Some(secret) => self.seal_gift(secret),
            None => Ok(false),
        }
    }

    /// Asks whoever has it made for the new secret, and judges what can be judged of it alone.
    fn ask(&mut self) -> Result<Option<Secret>, RunError> {
        // Nothing is asked for that nothing could keep, or that another overlap is in the way of; and a seal that nobody could
        // name is lost.
        self.seals.prove(&slots::canary(slots::USUAL_SECRET_LENGTH)).map_err(RunError::SealCheck)?;
        self.refuse_open_overlap(&self.others_of_endpoint()?, self.rotation.provider_now((self.now)()))?;
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
        let secret = match gift {
            Gift::Secret(secret) => secret,
            Gift::Unreadable { why } => return Err(self.refused_gift(why)?),
            Gift::NotNow | Gift::NobodyToAsk => return Ok(None),
        };
        match admitted(&secret) {
            Ok(()) => Ok(Some(secret)),
            Err(why) => Err(self.refused_gift(why)?),
        }
    }

    /// Seals what was given, before others are looked at: they may be in the way of all the rest. `false` where a signal came first.
    fn seal_gift(&mut self, secret: Secret) -> Result<bool, RunError> {
        let is_theirs = self.seals.keeps(self.rotation.id);
        let sealed = match is_theirs {
            true => Ok(()),
            false => self.seals.seal(self.rotation.id, &Sealed::new(None, secret.expose())),
        };
        let meanwhile = match self.reacquire() {
            Ok(Meanwhile::Stopped) if !is_theirs && sealed.is_ok() => return Ok(false),
            Ok(meanwhile) => meanwhile,
            Err(error) => {
                let path = self.seals.path(self.rotation.id);
                let warning = format!("what was given is sealed in `{}`, and nowhere else", path.display());
                self.operator.tell(self.rotation, News::Warning(&warning));
                return Err(error);
            }
        };
        match meanwhile {
            // Others have given one while this was typed; which of the two the provider has, nobody here knows.
            _ if self.rotation.new_secret().is_some_and(|known| *known != secret.fingerprint()) => {
                return Err(RunError::NotTaken { why: "meanwhile somebody else has given another".to_owned() });
            }
            _ if self.rotation.answered().is_some() || self.rotation.closed.is_some() => return Ok(true),
            Meanwhile::Stopped => return Ok(false),
            Meanwhile::Nothing | Meanwhile::WentOn => {}
        }
        // What a pipe brings is compared once it is sealed: a store may take its time, or be in trouble.
        if self.rotation.before.current.is_none()
            && let Some(live) = self.live_secret().ok().flatten()
            && let Err(why) = not_the_live_one(Some(&live.fingerprint()), &secret.fingerprint())
        {
            return Err(self.refused_gift(why)?);
        }
        if let Err(error) = sealed {
            let warning = format!("{error}; the new secret goes into the stores at once");
            self.operator.tell(self.rotation, News::Warning(&warning));
            self.given(secret.clone())?;
            return self.stage(&secret).map(|()| true);
        }
        self.given(secret).map(|()| true)
    }

    /// Refuses what was given. Of a rotation that was given one before, nothing is over.
    fn refused_gift(&mut self, why: String) -> Result<RunError, RunError> {
        match self.rotation.may_be_applied() {
            true => Ok(RunError::NotTaken { why }),
            false => self.not_taken(why),
        }
    }

    /// The other rotations of this endpoint, newest first.
    pub(super) fn others_of_endpoint(&self) -> Result<Vec<Rotation>, RunError> {
        let mut known = self.journal.of_endpoint(&self.rotation.plan.endpoint_key)?;
        known.retain(|rotation| rotation.id != self.rotation.id);
        Ok(known)
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
        self.seals.remove(self.rotation.id, None).map_err(RunError::SealFailed)?;
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
            endpoint: None,
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
