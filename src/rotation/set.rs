//! A secret of our own making: sealed and staged before the provider has it, sent once receivers accept it, and sent again for as
//! long as nobody has said that it came.

use super::operator::{Doubt, News};
use super::restage::GONE;
use super::runner::Runner;
use super::seal::Sealed;
use super::superseded::touched;
use super::{Answered, Direction, Event, ExpirySource, How, Outcome, RunError, Step};
use crate::http::shown_address;
use crate::provider::answer::{self, AnswerError, Inspected, Reply};
use crate::provider::made;
use crate::secret::Fingerprint;
use crate::store::{Access, Slot, Store};

/// What is asked of the provider before its secret is replaced.
const SHOW: &str = "show the endpoint";

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

    /// The irreversible call. Where it brings a secret of ours, what is there is looked at first, because it is gone afterwards; and
    /// receivers are asked whether they accept what takes its place, unless this process has just done so.
    pub(super) fn issue_or_set(&mut self) -> Result<(), RunError> {
        if self.rotation.made.is_some() && !(self.may_replace()? && self.is_accepted()?) {
            return Ok(());
        }
        self.issue()
    }

    /// What the provider shows right before the call. Where it cannot be asked, nothing is sent: what is there would be gone unseen,
    /// or not be carried over.
    pub(super) fn show_before(&mut self) -> Result<Inspected, RunError> {
        let key = self.key()?;
        self.client.inspect(self.endpoint, key).map_err(|outcome| {
            let provider = self.endpoint.provider.title().to_owned();
            match self.rotation.is_unsent() || !self.rotation.may_be_applied() {
                true => RunError::from_outcome(provider, SHOW, outcome),
                false => self.lost(RunError::unasked(provider, SHOW, outcome).to_string()),
            }
        })
    }

    /// The endpoints that deliver where this one does, if that can be told.
    pub(super) fn alike(&self, shown: &Inspected) -> Option<Vec<String>> {
        self.endpoint.provider.spec().rotate.list.as_ref()?;
        self.client.delivering_to(self.endpoint, shown.url.as_deref()?, self.api_key?).ok()
    }

    /// Keeps what the second endpoint is made with; fails where the first has something that it would lack.
    pub(super) fn take_what_is_carried(&mut self, shown: &Inspected) -> Result<(), RunError> {
        if let Some(what) = &shown.uncarried {
            let provider = self.endpoint.provider.title().to_owned();
            return Err(RunError::Uncarried { provider, what: what.clone() });
        }
        self.carried = shown.carried.clone();
        Ok(())
    }

    /// Whether what the provider has may be replaced: nobody else has changed it since `check`, or a person says that it is no
    /// matter. `false` where others have gone on meanwhile.
    fn may_replace(&mut self) -> Result<bool, RunError> {
        if !self.endpoint.provider.shows() {
            return Ok(true);
        }
        let inspected = self.show_before()?;
        if let Some(date) = inspected.date {
            self.take_time(date)?;
        }
        self.carried = inspected.carried.clone();
        let Some(difference) = touched(self.rotation, &self.evidence(&inspected)) else { return Ok(true) };
        // Whoever is asked may take days.
        self.probed = false;
        self.ask_about(Doubt::Touched(difference), &inspected)
    }

    /// Whether receivers that accept either secret were just seen to accept the new one, or somebody has said it of them with a
    /// reason. `false` where others have gone on meanwhile.
    fn is_accepted(&mut self) -> Result<bool, RunError> {
        let verified = self.rotation.done.get(&Step::Verify).map(|proof| &proof.how);
        let is_said = matches!(verified, Some(How::Word { .. }));
        if self.rotation.plan.direction != Direction::Set || is_said || self.is_seen_to_accept()? {
            return Ok(true);
        }
        let contradicting = self.rotation.contradicting(Step::Verify);
        let first = contradicting.first().map(|found| (shown_address(&found.url), found.verdict.finds()));
        if self.rotation.is_unsent() {
            return Err(match first {
                Some((url, finds)) => RunError::Contradicted { step: Step::Verify, url, finds },
                None => RunError::Unproved { provider: self.endpoint.provider.title().to_owned() },
            });
        }
        let why = first
            .map_or("nobody has seen that receivers accept it".to_owned(), |(url, finds)| format!("{url} {finds}"));
        let doubt = Doubt::Unready { why: why.clone() };
        let Some(reason) = self.ask_for_reason(doubt)? else { return Ok(false) };
        self.record(&[Event::Overridden { why, reason, slot: None }])?;
        Ok(true)
    }

    /// The provider has taken what was sent.
    pub(super) fn taken(&mut self, fingerprint: Fingerprint, reply: &Reply) -> Result<(), RunError> {
        // A page that says something else with a status of success is nobody's yes.
        if let Err(error) = answer::parse(reply)
            && error != AnswerError::Empty
        {
            let why = error.to_string();
            self.record(&[Event::Lost { why: why.clone(), status: Some(reply.status) }])?;
            return Err(self.lost(why));
        }
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
            endpoint: None,
        };
        self.record(&[Event::Answered(answered.clone())])?;
        self.operator.tell(self.rotation, News::Answered(&answered));
        Ok(())
    }

    /// A call whose outcome is unknown is settled by sending the very same again, which can only put there what may be there.
    pub(super) fn set_again(&mut self) -> Result<(), RunError> {
        if let Err(error) = self.secret() {
            if !self.is_gone() {
                return Err(error);
            }
            // Nobody can send what nobody has.
            let (comparison, _) = self.compare();
            let useless = self.rotation.applied.then(|| self.lost(GONE.to_owned()));
            return self.rule(comparison, useless);
        }
        if self.replays_left == 0 || self.attempts_left == 0 {
            let why = self.why_unknown();
            return Err(self.lost(why));
        }
        self.replays_left -= 1;
        self.issue_or_set()
    }

    /// Whether it is certain that the secret is nowhere any more: there is no seal, and every store has been read.
    pub(super) fn is_gone(&self) -> bool {
        let lacks = |store: &dyn Store| {
            let found =
                [Slot::Next, Slot::Current].map(|slot| store.get(slot).map(|found| found.map(|it| it.fingerprint())));
            found.iter().all(|found| found.as_ref().is_ok_and(|found| found.as_ref() != self.rotation.new_secret()))
        };
        let is_read = |store: &dyn Store| store.access() == Access::ReadWrite && lacks(store);
        !self.seals.exists(self.rotation.id) && self.stores.iter().all(|store| is_read(store.as_ref()))
    }

    /// Ends a rotation whose secret is gone before anybody was sent it.
    pub(super) fn give_up_made(&mut self) -> Result<(), RunError> {
        let error = RunError::NotMade { why: "no store and no seal has the one that was made any more".to_owned() };
        self.record(&[Event::Closed { outcome: Outcome::Failed, reason: Some(error.to_string()) }])?;
        Err(error)
    }
}

#[cfg(test)]
#[path = "set_answer_tests.rs"]
mod answer_tests;
#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
