//! A secret of our own making: sealed and staged before the provider has it, sent once receivers accept it, and sent again for as
//! long as nobody has said that it came.

use super::operator::{Doubt, News};
use super::runner::Runner;
use super::seal::Sealed;
use super::superseded::touched;
use super::{Answered, Event, ExpirySource, Outcome, RunError};
use crate::provider::answer::Reply;
use crate::provider::made;
use crate::secret::Fingerprint;

impl Runner<'_> {
    /// Makes the new secret, where that is ours to do and was not done. It is sealed before anything is journaled of it.
    pub(super) fn make(&mut self) -> Result<(), RunError> {
        if !self.rotation.plan.direction.is_set() || self.rotation.made.is_some() {
            return Ok(());
        }
        let id = self.rotation.id;
        // A process may have died between sealing it and saying so; nobody has it yet.
        let sealed = self.seals.exists(id).then(|| self.seals.unseal(id).ok()).flatten();
        let secret = match sealed {
            Some(sealed) => sealed.secret(),
            None => {
                let provider = || self.endpoint.provider.title().to_owned();
                let spec = self.endpoint.provider.takes().ok_or_else(|| RunError::NotMade {
                    why: format!("{} is not described to take a secret of ours any more", provider()),
                })?;
                let secret = made::secret(spec).map_err(|why| RunError::NotMade { why })?;
                self.seals.seal(id, &Sealed::new(None, secret.expose())).map_err(RunError::SealCheck)?;
                secret
            }
        };
        let fingerprint = secret.fingerprint();
        self.arrived = Some(secret);
        self.record(&[Event::Made { fingerprint }])
    }

    /// The irreversible call. Where it brings a secret of ours, what is there is looked at first: it is gone afterwards.
    pub(super) fn issue_or_set(&mut self) -> Result<(), RunError> {
        if self.rotation.made.is_some() && !self.may_replace()? {
            return Ok(());
        }
        self.issue()
    }

    /// Whether what the provider has may be replaced: nobody else has changed it since `check`, or a person says that it is no
    /// matter. `false` where others have gone on meanwhile.
    fn may_replace(&mut self) -> Result<bool, RunError> {
        let inspected = match self.ask_provider() {
            Ok(inspected) => inspected,
            Err(super::Unasked::NoCall) => return Ok(true),
            // What is there would be gone unseen.
            Err(unasked) => {
                let why = format!("whether somebody else has changed the endpoint since could not be seen: {unasked}");
                let provider = self.endpoint.provider.title().to_owned();
                return Err(match self.rotation.is_unsent() {
                    true => RunError::CheckFailed { provider, why },
                    false => self.lost(why),
                });
            }
        };
        if let Some(date) = inspected.date {
            self.take_time(date)?;
        }
        match touched(self.rotation, &self.evidence(&inspected)) {
            Some(difference) => self.ask_about(Doubt::Touched(difference), &inspected),
            None => Ok(true),
        }
    }

    /// The provider has taken what was sent.
    pub(super) fn taken(&mut self, fingerprint: Fingerprint, reply: &Reply) -> Result<(), RunError> {
        let answered = Answered {
            fingerprint,
            version: None,
            provider_fingerprint: None,
            status: reply.status,
            request_id: reply.request_id.clone(),
            expires_at: None,
            expires_source: ExpirySource::Call,
            clock_ahead_ms: reply.date.map_or(self.rotation.clock_ahead_ms, |date| self.ahead(date)),
            // However often it was sent, it is this one.
            replayed: false,
            notice: None,
        };
        self.record(&[Event::Answered(answered.clone())])?;
        self.operator.tell(self.rotation, News::Answered(&answered));
        Ok(())
    }

    /// A call whose outcome is unknown is settled by sending the very same again, which can only put there what may be there.
    pub(super) fn set_again(&mut self) -> Result<(), RunError> {
        if self.secret().is_err() {
            // Nobody can send what nobody has.
            let (comparison, _) = self.compare();
            return self.rule(comparison, None);
        }
        if self.replays_left == 0 || self.attempts_left == 0 {
            let why = self.why_unknown();
            return Err(self.lost(why));
        }
        self.replays_left -= 1;
        self.issue_or_set()
    }

    /// Ends a rotation whose secret is gone before anybody was sent it.
    pub(super) fn give_up_made(&mut self) -> Result<(), RunError> {
        let error = RunError::NotMade { why: "no store and no seal has the one that was made any more".to_owned() };
        self.record(&[Event::Closed { outcome: Outcome::Failed, reason: Some(error.to_string()) }])?;
        Err(error)
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
