//! A call whose outcome is unknown: found out from the seal, by a safe replay, from what the provider shows, or by
//! asking. Never by sending a new request. One that brought a secret of ours is in `set`.

use super::lease::Meanwhile;
use super::look::{LAG_PAUSE, LAG_TRIES};
use super::operator::{Awaited, Comparison, Ruling};
use super::runner::Runner;
use super::{Answered, Call, Ending, Event, Evidence, ExpirySource, Outcome, RunError};
use crate::provider::answer::{self, Inspected};
use crate::provider::request;
use crate::secret::{Fingerprint, Secret};

impl Runner<'_> {
    /// Settles what came of the call, or leaves it unknown with all that is known.
    pub(super) fn reconcile(&mut self) -> Result<(), RunError> {
        if self.rotation.made.is_some() {
            return self.set_again();
        }
        let provider = self.endpoint.provider.title().to_owned();
        // A process may have died between sealing the answer and journaling it.
        let sealed = self.seals.exists(self.rotation.id).then(|| self.seals.unseal(self.rotation.id)).transpose();
        if let Ok(Some(sealed)) = &sealed
            && let Some(answered) = &sealed.answered
            && answered.fingerprint == sealed.secret().fingerprint()
        {
            return self.record_soon(&[Event::Answered(answered.clone())]);
        }
        if self.rotation.call == Call::Unread {
            // What is in a `next` slot is no word on it: the provider says it to whoever asks.
            return match self.read()? {
                Some(why) => self.rule(Comparison::default(), Some(RunError::Unread { provider, why })),
                None => Ok(()),
            };
        }
        self.hear(false)?;
        let fresh = self.rotation.plan.idempotency_key.is_some() && self.rotation.key_is_fresh((self.now)());
        // A seal that does not open is no loss while the same secret can be had again.
        if !fresh && let Err(error) = sealed {
            return Err(RunError::SealFailed(error));
        }
        if fresh && self.replays_left > 0 && self.attempts_left > 0 {
            self.replays_left -= 1;
            return self.issue();
        }
        let (comparison, inspected) = self.compare();
        let inspected = inspected.unwrap_or_default();
        if self.adopt(&comparison, &inspected)? || self.recover(&comparison, &inspected)? {
            return Ok(());
        }
        let unreadable = match &self.rotation.call {
            Call::Unreadable { why } => {
                let (why, seal) = (why.clone(), self.seals.path(self.rotation.id));
                Some(RunError::Unreadable { provider, why, seal, replayable: fresh })
            }
            _ if fresh => {
                let why = self.why_unknown();
                return Err(self.lost(why));
            }
            _ => None,
        };
        self.rule(comparison, unreadable)
    }

    /// Asks whether it was applied. Where that is certain, what is left to say is that nobody can make use of what came, and
    /// `useless` is why nobody can yet.
    pub(super) fn rule(&mut self, comparison: Comparison, useless: Option<RunError>) -> Result<(), RunError> {
        let ruling = self.awaits(Awaited::Outcome, |operator, rotation| operator.resolve_call(rotation, &comparison));
        if self.reacquire()? != Meanwhile::Nothing {
            return Ok(());
        }
        let is_certain = useless.is_some();
        if let Some(error) = useless.filter(|_| !matches!(ruling, Ruling::Said { applied: true, .. })) {
            return Err(error);
        }
        match ruling {
            Ruling::Said { applied, reason: None } if comparison.needs_reason(applied) && !is_certain => {
                Err(RunError::AgainstEvidence { applied, comparison: Box::new(comparison) })
            }
            Ruling::Said { applied: false, reason } => {
                let mut why = "settled by a person: the provider had not rotated".to_owned();
                if let Some(reason) = reason {
                    why.push_str(&format!(" ({reason})"));
                }
                self.record(&[
                    Event::NotApplied { why: why.clone(), status: None, request_id: None },
                    Event::Closed { outcome: Outcome::Failed, reason: Some(why) },
                ])
            }
            Ruling::Said { applied: true, reason } => {
                let sent = self.rotation.sent.last().map(|sent| self.rotation.provider_time(sent.ours));
                let ends = self.rotation.plan.direction.ends_old_secret();
                let until = sent.filter(|_| !ends).and_then(|sent| self.rotation.plan.documented_end(sent));
                let until = until.filter(|until| *until > self.rotation.provider_now((self.now)()));
                let provider = self.endpoint.provider.title().to_owned();
                let error = RunError::SecretLost {
                    provider,
                    until,
                    can_force: self.can_force(),
                    second: self.stray(&comparison),
                };
                let said = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
                self.record(&[Event::Closed { outcome: Outcome::Failed, reason: Some(format!("{error}{said}")) }])?;
                Err(error)
            }
            Ruling::NotNow | Ruling::NobodyToAsk => Err(self.still_unknown(comparison)),
        }
    }

    /// The endpoint that the lost call has made, in words that follow on it, where it makes one.
    fn stray(&self, comparison: &Comparison) -> Option<String> {
        comparison.makes_second.then(|| comparison.the_made().map_or_else(String::new, |id| format!(", `{id}`")))
    }

    fn still_unknown(&self, comparison: Comparison) -> RunError {
        let provider = self.endpoint.provider.title().to_owned();
        let why = self.why_unknown();
        RunError::Lost { provider, why, replayable: false, comparison: Some(Box::new(comparison)) }
    }

    pub(super) fn why_unknown(&self) -> String {
        match &self.rotation.call {
            Call::Unknown { why: Some(why) } | Call::Unreadable { why } => why.clone(),
            _ => "whsec was cut off before the answer came".to_owned(),
        }
    }

    /// Asks for the secret that the call has made; yields why it cannot be had now. One that was there before is shown by a copy
    /// that lags.
    fn read(&mut self) -> Result<Option<String>, RunError> {
        let provider = self.endpoint.provider.title().to_owned();
        let key = self.key()?;
        let Some(request) = request::read(self.endpoint) else {
            return Ok(Some("its description names no call for that any more".to_owned()));
        };
        let mut tries = LAG_TRIES;
        loop {
            let reply = match self.client.call(self.endpoint, &request, key) {
                answer::Outcome::Success(reply) => reply,
                other => return Ok(Some(RunError::unasked(provider, "show the secret", other).to_string())),
            };
            let rotated = match answer::rotated(self.endpoint, &reply) {
                Ok(rotated) => rotated,
                Err(error) => return Ok(Some(error.to_string())),
            };
            let (found, before) = (Some(rotated.secret.fingerprint()), &self.rotation.before);
            if found != before.shown && found != before.current {
                let answered = self.facts(&rotated, &reply);
                self.keep(&rotated.secret, answered)?;
                return Ok(None);
            }
            if tries == 0 || self.operator.wants_to_stop() {
                return Ok(Some("it still shows the secret from before".to_owned()));
            }
            tries -= 1;
            (self.sleep)(LAG_PAUSE);
        }
    }

    pub(super) fn compare(&mut self) -> (Comparison, Option<Inspected>) {
        let before = self.rotation.before.clone();
        let makes_second = matches!(self.rotation.plan.ending, Some(Ending::Call(_)));
        let second = self.rotation.second().map(str::to_owned);
        match self.ask_provider() {
            Ok(inspected) => {
                let now = Some(Evidence { alike: self.alike(&inspected), ..self.evidence(&inspected) });
                (Comparison { before, now, why: None, makes_second, second }, Some(inspected))
            }
            Err(why) => (Comparison { before, now: None, why: Some(why.to_string()), makes_second, second }, None),
        }
    }

    /// A provider that shows the whole secret gives a lost one back. It counts only if it is known not to be one from before the
    /// call: another one was shown then, or none while a store had the one of then, or the sealed answer has it.
    fn recover(&mut self, comparison: &Comparison, inspected: &Inspected) -> Result<bool, RunError> {
        let Some(secret) = &inspected.secret else { return Ok(false) };
        let (found, before) = (secret.fingerprint(), &self.rotation.before);
        let was_asked = before.clock_ahead_ms.is_some();
        let is_new = before.shown.is_some() || (was_asked && before.current.is_some()) || self.is_in_the_answer(secret);
        if before.shown.as_ref() == Some(&found)
            || self.was_known(&found)
            || !is_new
            || comparison.changed() == Some(false)
        {
            return Ok(false);
        }
        let answered = self.gathered(secret, inspected, comparison);
        self.keep(secret, answered)?;
        Ok(true)
    }

    /// Where neither seal nor journal could be written, the answer's secret went into the stores: what is in a `next` slot
    /// now and was not before the call came from there, unless what the provider shows says otherwise.
    fn adopt(&mut self, comparison: &Comparison, inspected: &Inspected) -> Result<bool, RunError> {
        if self.rotation.before.next.is_none() {
            return Ok(false);
        }
        // A store that cannot be read now may be readable the next time; the evidence counts meanwhile.
        let found = self.coming_secrets().unwrap_or_default();
        let Some(secret) = found.into_iter().find(|secret| !self.was_known(&secret.fingerprint())) else {
            return Ok(false);
        };
        let is_another = inspected.secret.as_ref().is_some_and(|shown| *shown != secret);
        if is_another || (inspected.secret.is_none() && comparison.changed() == Some(false)) {
            return Ok(false);
        }
        let shown = Inspected { date: inspected.date, ..Inspected::default() };
        let answered = self.gathered(&secret, &shown, comparison);
        self.keep(&secret, answered)?;
        Ok(true)
    }

    /// Whether a store had it before the call.
    fn was_known(&self, found: &Fingerprint) -> bool {
        let before = &self.rotation.before;
        before.current.as_ref() == Some(found) || before.next.iter().flatten().any(|next| next == found)
    }

    /// Whether the answer that could not be read has this secret somewhere.
    fn is_in_the_answer(&self, secret: &Secret) -> bool {
        let sealed = self.seals.exists(self.rotation.id).then(|| self.seals.unseal(self.rotation.id).ok()).flatten();
        let needle = secret.expose().as_bytes();
        sealed
            .and_then(|sealed| sealed.answer())
            .is_some_and(|answer| answer.windows(needle.len().max(1)).any(|window| window == needle))
    }

    /// The facts of an answer that nobody has, as far as the provider shows them now.
    fn gathered(&self, secret: &Secret, inspected: &Inspected, comparison: &Comparison) -> Answered {
        let ends = self.rotation.plan.direction.ends_old_secret();
        let clock_ahead_ms = inspected.date.map_or(self.rotation.clock_ahead_ms, |date| self.ahead(date));
        let answered = Answered {
            fingerprint: secret.fingerprint(),
            version: inspected.version.clone(),
            provider_fingerprint: inspected.fingerprint.clone(),
            status: 200,
            request_id: None,
            expires_at: inspected.old_expires_at,
            expires_source: match (ends, inspected.old_expires_at) {
                (true, _) => ExpirySource::Call,
                (false, Some(_)) => ExpirySource::Provider,
                (false, None) => ExpirySource::Unknown,
            },
            clock_ahead_ms,
            replayed: false,
            notice: None,
            // One that no answer has named, and that has come since, may be anybody's: no call of ours removes it.
            endpoint: comparison.second.clone(),
        };
        answered.with_believable_end(&self.rotation.plan, self.called_by(clock_ahead_ms))
    }
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
