//! The step `issue`: the irreversible call, its answer sealed at once, and what each other outcome means.
//!
//! Written ahead: an attempt is journaled and synced before its first byte. Only the very same bytes with the very
//! same key are ever sent again, and only where the provider documents that as safe; or the very same secret, where it is ours.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::error::ROTATE;
use super::facts::LONGEST_CALL;
use super::operator::{Doubt, News};
use super::runner::{BEFORE_A_CALL, Runner};
use super::seal::Sealed;
use super::superseded::Finding;
use super::{Answered, Call, Event, ExpirySource, Issuing, KeyMark, Outcome, RunError, SentAt, Step};
use crate::provider::answer::{self, Refusal, Reply, Rotated, Unknown};
use crate::provider::request;
use crate::provider::spec::Meaning;
use crate::secret::Secret;

/// Attempts of one command, first one included.
pub const ATTEMPTS: u32 = 4;
/// The longest that one command waits between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How often a pause looks for a signal.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is said where a secret came and nothing could keep it.
pub(super) const UNKEPT: &str = "the answer came, but neither the seal nor a store could keep the new secret";

/// What one attempt came to.
enum Attempt {
    Answered(Box<Reply>),
    /// Certainly not applied by this attempt. `again_in` where the same request may go out again.
    NotApplied {
        error: RunError,
        status: Option<u16>,
        request_id: Option<String>,
        again_in: Option<Duration>,
    },
    /// Perhaps applied.
    Ambiguous {
        why: String,
        status: Option<u16>,
        again_in: Option<Duration>,
    },
}

impl Runner<'_> {
    /// Sends the request until it is answered, refused for good, or ambiguous for good.
    pub(super) fn issue(&mut self) -> Result<(), RunError> {
        let key = self.key()?;
        let Issuing::Call(request) = self.rotation.plan.issuing.clone() else { return Ok(()) };
        if self.endpoint.provider.replaces() && self.carried.is_empty() {
            let shown = self.show_before()?;
            self.take_what_is_carried(&shown)?;
        }
        let made = self.rotation.made.is_some().then(|| self.secret()).transpose()?;
        let may_repeat = self.rotation.plan.idempotency_key.is_some() || made.is_some();
        // Once an attempt may have been applied, a later refusal proves nothing about it.
        let mut ambiguous = self.rotation.may_be_applied();
        let mut others_left = ATTEMPTS;
        let mark = self.key_origin.map(|origin| KeyMark::of(key, origin, self.rotation.id));
        if ambiguous && !self.may_send_as(mark.as_ref())? {
            return Ok(());
        }
        loop {
            // Whoever waits for its turn keeps nobody from the endpoint by a request that is journaled.
            if let Err(why) = self.client.awaits_turn() {
                let provider = self.endpoint.provider.title().to_owned();
                if ambiguous {
                    return Err(self.lost(why));
                }
                self.fail(why.clone())?;
                return Err(RunError::NotSent { provider, why });
            }
            let attempt = self.rotation.attempts + 1;
            self.attempts_left = self.attempts_left.saturating_sub(1);
            self.record(&[Event::Sent { attempt, digest: request.digest(), key: mark.clone() }])?;
            self.operator.tell(self.rotation, News::Sending { attempt });
            self.hold(self.client.timeout() + BEFORE_A_CALL)?;
            self.operator.awaits_answer(Some(self.client.timeout()));
            let outcome = self.client.call_with(self.endpoint, &request, key, (made.as_ref(), &self.carried));
            self.operator.awaits_answer(None);
            let weighed = self.weigh(outcome, attempt);
            // However often its pace stops it: other trouble is tried again as often as where one is alone.
            let is_of_pace = matches!(&weighed, Attempt::NotApplied { status, .. } | Attempt::Ambiguous { status, .. } if *status == Some(429));
            if !is_of_pace {
                others_left = others_left.saturating_sub(1);
                self.attempts_left = if others_left == 0 { 0 } else { self.attempts_left };
            }
            let (error, why, pause) = match weighed {
                Attempt::Answered(reply) => return self.receive(&reply),
                Attempt::NotApplied { error, status, request_id, again_in } => {
                    let why = error.to_string();
                    let pause = again_in.filter(|_| self.attempts_left > 0 && !self.operator.wants_to_stop());
                    if ambiguous {
                        self.record(&[Event::Lost { why: why.clone(), status }])?;
                        let Some(pause) = pause else { return Err(self.lost(why)) };
                        (self.lost(why.clone()), why, pause)
                    } else {
                        self.record(&[Event::NotApplied { why: why.clone(), status, request_id }])?;
                        let Some(pause) = pause else {
                            self.fail(why)?;
                            return Err(error);
                        };
                        (error, why, pause)
                    }
                }
                Attempt::Ambiguous { why, status, again_in } => {
                    ambiguous = true;
                    self.record(&[Event::Lost { why: why.clone(), status }])?;
                    if !may_repeat {
                        // Never sent twice: what is known is looked at next.
                        return Ok(());
                    }
                    let pause = again_in.filter(|_| self.attempts_left > 0 && !self.operator.wants_to_stop());
                    let Some(pause) = pause else { return Err(self.lost(why)) };
                    (self.lost(why.clone()), why, pause)
                }
            };
            if ambiguous && !self.rotation.key_is_fresh((self.now)()) {
                return Err(self.lost(why));
            }
            self.operator.tell(self.rotation, News::Retrying { why: &why, seconds: pause.as_secs() });
            if !self.rest_for(pause) {
                if !ambiguous {
                    self.fail(why)?;
                }
                return Err(error);
            }
        }
    }

    /// Closes a rotation whose call came to nothing. Where the new secret is ours, receivers may have it already, and the call is
    /// made again.
    fn fail(&mut self, why: String) -> Result<(), RunError> {
        if self.rotation.made.is_some() {
            return Ok(());
        }
        self.record(&[Event::Closed { outcome: Outcome::Failed, reason: Some(why) }])
    }

    /// Whether a request that may have been applied goes out again with this key. One of another account would rotate something
    /// else, or the same endpoint anew. `false` where others have gone on meanwhile.
    fn may_send_as(&mut self, mark: Option<&KeyMark>) -> Result<bool, RunError> {
        let known = &self.rotation.sent_with;
        let (Some(before), Some(now)) = (known.last(), mark) else { return Ok(true) };
        if known.iter().any(|before| before.is_of(now)) {
            return Ok(true);
        }
        let doubt = Doubt::OtherKey { before: before.to_string(), now: now.to_string() };
        let why = doubt.to_string();
        let Some(reason) = self.ask_for_reason(doubt)? else { return Ok(false) };
        self.record(&[Event::Overridden { why, reason, slot: None }])?;
        Ok(true)
    }

    /// Waits before the next attempt; `false` as soon as a signal asks to stop.
    pub(super) fn rest_for(&self, pause: Duration) -> bool {
        let mut left = pause;
        while !left.is_zero() {
            if self.operator.wants_to_stop() {
                return false;
            }
            let moment = LOOK_EVERY.min(left);
            (self.sleep)(moment);
            left = left.saturating_sub(moment);
        }
        true
    }

    pub(super) fn lost(&self, why: String) -> RunError {
        let replayable = self.rotation.key_is_fresh((self.now)());
        let provider = self.endpoint.provider.title().to_owned();
        RunError::Lost { provider, why, replayable, comparison: None }
    }

    fn weigh(&self, outcome: answer::Outcome, attempt: u32) -> Attempt {
        let provider = self.endpoint.provider.title().to_owned();
        match outcome {
            answer::Outcome::Success(reply) => Attempt::Answered(Box::new(reply)),
            answer::Outcome::NotSent { why } => Attempt::NotApplied {
                error: RunError::NotSent { provider, why },
                status: None,
                request_id: None,
                again_in: None,
            },
            answer::Outcome::Unknown(Unknown { status, why, retry_after, .. }) => {
                Attempt::Ambiguous { why, status, again_in: pause(retry_after, attempt) }
            }
            answer::Outcome::Refused(refusal) => {
                let Refusal { meaning, status, retry_after, .. } = refusal;
                // The pace of its provider says when the next one may go out.
                let is_paced = meaning == Meaning::RateLimited || retry_after.is_some();
                let pause = match self.client.is_paced() && is_paced {
                    true => Some(Duration::ZERO),
                    false => pause(retry_after, attempt),
                };
                let request_id = refusal.request_id.clone();
                let can_force = self.can_force();
                let error = RunError::Refused { provider, what: ROTATE, refusal: Box::new(refusal), can_force };
                match meaning {
                    // The first request with our key is still at work: applied or about to be.
                    Meaning::InFlight => {
                        Attempt::Ambiguous { why: error.to_string(), status: Some(status), again_in: pause }
                    }
                    Meaning::RateLimited | Meaning::Unavailable => {
                        Attempt::NotApplied { error, status: Some(status), request_id, again_in: pause }
                    }
                    _ => Attempt::NotApplied { error, status: Some(status), request_id, again_in: None },
                }
            }
        }
    }

    /// Seals what came before anything else is done with it.
    fn receive(&mut self, reply: &Reply) -> Result<(), RunError> {
        if let Some(made) = self.rotation.made.clone() {
            return self.taken(made, reply);
        }
        if request::read(self.endpoint).is_some() {
            return self.record(&[Event::Applied { status: reply.status }]);
        }
        let rotated = match answer::rotated(self.endpoint, reply) {
            Ok(rotated) => rotated,
            Err(error) => return self.keep_unreadable(reply, error.to_string()),
        };
        let answered = self.facts(&rotated, reply);
        if rotated
            .old_expires_at
            .is_some_and(|end| answered.expires_source != ExpirySource::Provider && end > (self.now)())
            && answered.expires_at.is_some()
        {
            let warning = "the answer's time for the old secret's end is years away; the documented one counts";
            self.operator.tell(self.rotation, News::Warning(warning));
        }
        if self.rotation.before.current.as_ref() == Some(&answered.fingerprint) {
            let error = RunError::SameSecret { provider: self.endpoint.provider.title().to_owned() };
            let (why, request_id) = (error.to_string(), reply.request_id.clone());
            self.record(&[
                Event::NotApplied { why: why.clone(), status: Some(reply.status), request_id },
                Event::Closed { outcome: Outcome::Failed, reason: Some(why) },
            ])?;
            return Err(error);
        }
        if rotated.expiry_unreadable {
            let warning = "the answer's time for the old secret's end cannot be read; the documented one counts";
            self.operator.tell(self.rotation, News::Warning(warning));
        }
        self.keep(&rotated.secret, answered)
    }

    /// Seals a secret and journals its answer. Where it cannot be sealed, the stores are the only place left.
    pub(super) fn keep(&mut self, secret: &Secret, answered: Answered) -> Result<(), RunError> {
        let sealed = self.seals.seal(self.rotation.id, &Sealed::new(Some(answered.clone()), secret.expose()));
        self.arrived = Some(secret.clone());
        // That it is answered is of no use to another machine that has no seal of it.
        let _ = self.seals.share(self.rotation.id);
        let answer = [Event::Answered(answered.clone())];
        let recorded = if sealed.is_ok() { self.append_soon(&answer) } else { self.append(&answer) };
        self.operator.tell(self.rotation, News::Answered(&answered));
        let now = self.rotation.provider_time((self.now)());
        if answered.expires_at.is_some_and(|end| end <= now) {
            let warning = "the provider's answer says that the old secret has ended already: deploy the new one now";
            self.operator.tell(self.rotation, News::Warning(warning));
        }
        if recorded.is_err() {
            self.rotation.keep_unrecorded(answered.clone());
        }
        if let Err(error) = sealed {
            let warning = format!("{error}; the new secret goes into the stores at once");
            self.operator.tell(self.rotation, News::Warning(&warning));
            if let Err(failed) = self.stage(secret) {
                return Err(if self.is_stored(&answered) { failed } else { self.lost(UNKEPT.to_owned()) });
            }
        }
        // A seal holds the facts too, so a later process can make up for what the journal did not take.
        recorded.map_err(|error| self.unrecorded(error))?;
        Ok(())
    }

    pub(super) fn facts(&self, rotated: &Rotated, reply: &Reply) -> Answered {
        let clock_ahead_ms = reply.date.map_or(self.rotation.clock_ahead_ms, |date| self.ahead(date));
        let replayed = reply.replayed || self.rotation.attempts > 1;
        let rotated_at = match self.rotation.call {
            // The secret was read after the call, perhaps by somebody who came much later.
            Call::Unread => self.called_by(clock_ahead_ms),
            _ => self.rotated_by(reply.replayed, clock_ahead_ms),
        };
        let (expires_at, expires_source) =
            match (self.rotation.plan.direction.ends_old_secret(), rotated.old_expires_at) {
                (true, _) => (None, ExpirySource::Call),
                (false, Some(end)) => (Some(end), ExpirySource::Provider),
                (false, None) => (None, ExpirySource::Unknown),
            };
        let answered = Answered {
            fingerprint: rotated.secret.fingerprint(),
            version: rotated.version.clone(),
            provider_fingerprint: rotated.fingerprint.clone(),
            status: reply.status,
            request_id: reply.request_id.clone(),
            expires_at,
            expires_source,
            clock_ahead_ms,
            replayed,
            notice: rotated.notice.clone(),
            endpoint: rotated.endpoint.clone(),
        };
        answered.with_believable_end(&self.rotation.plan, rotated_at)
    }

    /// When the provider had rotated at the latest, on its own clock: an end computed from it is never too early. A replay
    /// reports a rotation that happened when an earlier attempt arrived.
    fn rotated_by(&self, replayed: bool, clock_ahead_ms: i64) -> Timestamp {
        let before = self.rotation.sent.iter().rev().nth(1).filter(|_| replayed);
        self.done_by(before, clock_ahead_ms)
    }

    /// The same of an answer that nobody has: by the last request.
    pub(super) fn called_by(&self, clock_ahead_ms: i64) -> Timestamp {
        self.done_by(self.rotation.sent.last(), clock_ahead_ms)
    }

    fn done_by(&self, sent: Option<&SentAt>, clock_ahead_ms: i64) -> Timestamp {
        let now = (self.now)();
        let at = sent.map_or(now, |sent| sent.ours.saturating_add(LONGEST_CALL).unwrap_or(sent.ours).min(now));
        // One wild answer makes no end too early.
        let heard = self.rotation.before.clock_ahead_ms.map(|_| self.rotation.clock_ahead_ms);
        let clock_ahead_ms = heard.map_or(clock_ahead_ms, |heard| heard.max(clock_ahead_ms));
        // A `Date` header leaves out the fraction of its second.
        let ahead = SignedDuration::from_millis(clock_ahead_ms).saturating_add(SignedDuration::from_secs(1));
        at.saturating_add(ahead).unwrap_or(at)
    }

    /// After a replay the endpoint may have moved on: somebody else rotated between the lost answer and now. Nothing goes
    /// live before that is ruled out, as far as the provider shows anything that tells.
    pub(super) fn confirm(&mut self) -> Result<(), RunError> {
        let Some(answered) = self.rotation.answered() else { return Ok(()) };
        let asked = match answered.version.is_some() || answered.provider_fingerprint.is_some() {
            true => {
                let provider = self.endpoint.provider.title().to_owned();
                let key = self.key()?;
                let inspected = self.client.inspect(self.endpoint, key);
                Some(inspected.map_err(|outcome| RunError::from_outcome(provider, "show the endpoint", outcome))?)
            }
            // What tells less is worth less than what works today.
            false => self.ask_provider().ok(),
        };
        if let Some(inspected) = asked {
            let is_stored = self.rotation.done.contains_key(&Step::Stage);
            let doubt = match self.find(&inspected) {
                Finding::Touched(difference) => Some(Doubt::Touched(difference)),
                Finding::Behind(difference) => Some(Doubt::Behind(difference)),
                _ => None,
            };
            // Nobody is asked before the stores have what came.
            if let Some(doubt) = doubt.filter(|_| !is_stored) {
                return Err(self.doubtful(doubt));
            }
            self.looked = Some(true);
            self.weigh_shown(inspected, true)?;
        }
        // Whoever was asked may have been overtaken by others.
        if self.rotation.may_be_stale() && self.rotation.closed.is_none() {
            self.record(&[Event::Confirmed])?;
        }
        Ok(())
    }

    /// Seals an answer whole. One that was sealed before stays beside it: what a provider repeats may be masked.
    fn keep_unreadable(&mut self, reply: &Reply, why: String) -> Result<(), RunError> {
        let earlier = match self.seals.exists(self.rotation.id).then(|| self.seals.unseal(self.rotation.id)) {
            Some(Ok(earlier)) => earlier.answer(),
            // Beside what anybody may have put into a shared journal this one is kept all the same.
            Some(Err(_)) if self.journal.shared().is_some() => None,
            Some(Err(_)) => return self.record(&[Event::Unreadable { status: reply.status, why }]),
            None => None,
        };
        let content = Sealed::of_answers(earlier, &reply.body);
        if let Err(error) = self.seals.seal(self.rotation.id, &content) {
            let why = format!("{why}, and {error}");
            self.record(&[Event::Lost { why: why.clone(), status: Some(reply.status) }])?;
            return Err(self.lost(why));
        }
        self.record(&[Event::Unreadable { status: reply.status, why }])
    }
}

/// How long to wait before the next attempt: as long as the provider says, if that is bearable; else longer each time.
pub(super) fn pause(retry_after: Option<Duration>, attempt: u32) -> Option<Duration> {
    let pause = retry_after.unwrap_or_else(|| Duration::from_secs(1 << attempt.min(4)) / 2);
    (pause <= LONGEST_PAUSE).then_some(pause)
}

#[cfg(test)]
#[path = "issue_tests.rs"]
mod tests;
