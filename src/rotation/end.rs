//! The step `end` by a call: the first of two endpoints is removed, once somebody says so and the second is seen to be there. And the
//! way back, on which the second is.
//!
//! The word for it is journaled with the call, before its first byte. What is gone is gone, so that the call may be sent again at any
//! time, and an answer that it is not there any more is as good as a yes once it is not shown any more either.

use std::time::Duration;

use super::facts::LONGEST_CALL;
use super::issue::pause;
use super::lease::Meanwhile;
use super::operator::{Awaited, Doubt, News, Reply};
use super::runner::{BEFORE_A_CALL, Runner};
use super::{Event, How, Outcome, RunError, Step};
use crate::provider::answer::{self, Inspected, Refusal, Unknown};
use crate::provider::spec::Meaning;
use crate::provider::{Endpoint, request};
use crate::store::{Slot, readable, slots};

/// What is asked of the provider.
const REMOVE: &str = "remove the endpoint";
const SHOW_NEW: &str = "show the new endpoint";
const SHOW_OLD: &str = "show the old endpoint";

/// How long a removal may take.
const LONGEST_CALL_BACK: Duration = LONGEST_CALL.unsigned_abs();

impl Runner<'_> {
    /// The step `end` where whsec sends the call; `false` where it has to wait for somebody. Whatever was asked, and however long that
    /// took, all that may speak against the removal is looked at once more before it.
    pub(super) fn end_by_call(&mut self) -> Result<bool, RunError> {
        if !self.outlasts_the_way_back() {
            return Ok(false);
        }
        if let Some(doubt) = self.doubt_of_leak()?.filter(|doubt| !self.agreed.doubts.contains(doubt)) {
            return self.goes_over(doubt);
        }
        self.refuse_without_the_new()?;
        if self.prober.is_some() && !self.probed {
            self.operator.tell(self.rotation, News::Begins(Step::End));
        }
        self.probe()?;
        if self.operator.wants_to_stop() {
            return Ok(false);
        }
        if let Some(reason) = self.agreed.word.clone() {
            let refusal = |url, finds| RunError::Contradicted { step: Step::End, url, finds };
            self.overrule(Step::Verify, reason.as_deref(), refusal)?;
            return self.remove_first(reason.as_deref(), reason.clone());
        }
        // The word for it was given before the call was sent, whose answer nobody has. Its reason is for what was true then.
        let sent = self.rotation.ending.clone().filter(|_| self.rotation.contradicting(Step::Verify).is_empty());
        let doubtful = match sent.map(|reason| self.remove_first(None, reason)) {
            // Where nobody could be asked about that, it may be said along with the word for the removal.
            Some(Err(error @ RunError::Doubtful { .. })) if self.lock.is_held() => Some(error),
            Some(came_to) => return came_to,
            None => None,
        };
        let reply = self.awaits(Awaited::Step(Step::End), |operator, rotation| operator.do_step(rotation, Step::End));
        match reply {
            Reply::Done { .. } | Reply::LookAgain => {}
            Reply::NotNow | Reply::NobodyToAsk => return doubtful.map_or(Ok(false), Err),
        }
        self.forget_unless(self.lock.is_held());
        match self.reacquire()? {
            Meanwhile::Nothing => {}
            Meanwhile::WentOn => return Ok(true),
            Meanwhile::Stopped => return Ok(false),
        }
        if let Reply::Done { reason } = reply {
            self.agreed.word = Some(reason);
        }
        Ok(true)
    }

    /// Fails where nothing is seen to have the new secret: without it the endpoint that would be left is of no use.
    fn refuse_without_the_new(&self) -> Result<(), RunError> {
        let answered = self.answered()?;
        let Err(unsealed) = self.seals.secret_of(self.rotation.id, Some(&answered.fingerprint)) else { return Ok(()) };
        if self.is_stored(answered) {
            return Ok(());
        }
        let failed = |source| RunError::StoreFailed { step: Step::End, sealed: None, source };
        for store in readable(self.stores) {
            slots::holds(store, Slot::Next, &answered.fingerprint).map_err(failed)?;
            slots::holds(store, Slot::Current, &answered.fingerprint).map_err(failed)?;
        }
        Err(RunError::SealFailed(unsealed))
    }

    /// Has all that was seen looked at once more, unless nobody was waited for.
    fn forget_unless(&mut self, was_at_hand: bool) {
        self.looked = self.looked.filter(|_| was_at_hand);
        self.probed &= was_at_hand;
    }

    /// Asks for a reason to go on over a doubt, and has everything looked at once more then.
    fn goes_over(&mut self, doubt: Doubt) -> Result<bool, RunError> {
        let is_at_hand = !self.operator.takes_time(self.rotation, Awaited::Doubt(&doubt));
        self.forget_unless(is_at_hand);
        if let Some(reason) = self.ask_for_reason(doubt.clone())? {
            self.record(&[Event::Overridden { why: doubt.to_string(), reason, slot: None }])?;
            self.agreed.doubts.push(doubt);
        }
        Ok(true)
    }

    /// Waits until a removal of the second that nobody has heard of is certainly over; `false` where a signal came first.
    fn outlasts_the_way_back(&mut self) -> bool {
        let Some((second, back)) = self.rotation.second().zip(self.rotation.rolled_back.as_ref()) else { return true };
        let ago = (self.now)().duration_since(back.at);
        // A clock that was set back says nothing of how long ago that was.
        let left = if ago.is_negative() { LONGEST_CALL } else { LONGEST_CALL - ago };
        let Ok(left @ 1..) = u64::try_from(left.as_secs()) else { return true };
        if std::mem::replace(&mut self.agreed.has_outlasted, true) {
            return true;
        }
        let warning = format!("the way back may have removed `{second}` a moment ago: in {left} s that is over");
        self.operator.tell(self.rotation, News::Warning(&warning));
        self.rest_for(Duration::from_secs(left))
    }

    /// Removes the first endpoint. What this command says, `over`, goes over the second's not looking like it; another reason does not.
    fn remove_first(&mut self, over: Option<&str>, reason: Option<String>) -> Result<bool, RunError> {
        let Some(second) = self.rotation.second().map(str::to_owned) else { return self.ended_elsewhere(reason) };
        if let Some(doubt) = self.unlike(&second)?.filter(|doubt| !self.agreed.doubts.contains(doubt)) {
            let Some(over) = over else { return self.goes_over(doubt) };
            self.operator.tell(self.rotation, News::Warning(&format!("{doubt}; going on, as was said")));
            let (why, reason) = (doubt.to_string(), over.to_owned());
            self.record(&[Event::Overridden { why, reason, slot: None }])?;
        }
        let first = self.rotation.plan.own_id().to_owned();
        self.remove(&first, Way::Forward { reason: &reason })?;
        self.record(&[Event::Done { step: Step::End, how: How::Word { reason } }])?;
        Ok(true)
    }

    /// The way back while both are there: the second endpoint is removed, once the first is seen, and the rotation is over.
    pub(super) fn remove_second(&mut self, second: &str, reason: Option<String>) -> Result<(), RunError> {
        let no_way = |why: &str| RunError::NoWayBack { why: why.to_owned(), only_forward: true };
        if self.rotation.ending.is_some() {
            return Err(no_way("its endpoint may be removed already, and the new one may be the only one"));
        }
        if self.rotation.old_is_dead() || self.rotation.done.contains_key(&Step::Promote) {
            return Err(no_way("the new secret is live in its place"));
        }
        let (key, provider) = (self.key()?, self.endpoint.provider.title().to_owned());
        let first = self.client.inspect(self.endpoint, key);
        let shown = first.map_err(|outcome| RunError::from_outcome(provider, SHOW_OLD, outcome))?;
        self.operator.tell(self.rotation, News::Inspected(&shown));
        self.remove(second, Way::Back { reason: &reason })?;
        let reason = Some(format!("rolled back: the new endpoint `{second}` is removed"));
        self.record(&[Event::Closed { outcome: Outcome::Abandoned, reason }])
    }

    /// Removes an endpoint. The word for it is journaled before each attempt.
    fn remove(&mut self, own: &str, way: Way<'_>) -> Result<(), RunError> {
        let (key, provider) = (self.key()?, self.endpoint.provider.title().to_owned());
        // As the endpoint is shown right before, with what the target says by now.
        let endpoint = self.endpoint.at(own);
        let Some(request) = request::end(&endpoint) else {
            let why = "its description names no call for that any more".to_owned();
            return Err(RunError::NotSent { provider, why });
        };
        let is_back = matches!(way, Way::Back { .. });
        let unknown = |why| RunError::EndUnknown { provider: provider.clone(), endpoint: own.to_owned(), is_back, why };
        // Once an attempt may have removed it, a later refusal proves nothing about that one.
        let mut ambiguous = !is_back && self.rotation.ending.is_some();
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.attempts_left = self.attempts_left.saturating_sub(1);
            match way {
                Way::Forward { reason } => {
                    self.record(&[Event::Ending { digest: request.digest(), reason: reason.clone() }])?;
                }
                Way::Back { reason } => self.go_back(reason, attempt == 1)?,
            }
            self.hold(LONGEST_CALL_BACK + BEFORE_A_CALL)?;
            // Whoever goes forward afterwards counts on it that an attempt is over by then.
            self.operator.awaits_answer(Some(self.client.timeout().min(LONGEST_CALL_BACK)));
            let outcome = self.client.call_within(LONGEST_CALL_BACK, &endpoint, &request, key);
            self.operator.awaits_answer(None);
            let (error, again_in) = match outcome {
                answer::Outcome::Success(_) => return Ok(()),
                answer::Outcome::Refused(Refusal { meaning: Meaning::NotFound, .. }) => {
                    // Some say that there is none to whoever may not remove it.
                    return match is_gone(&self.client.inspect(&endpoint, key)) {
                        true => Ok(()),
                        false => {
                            Err(unknown("it says that there is none, and does not say so where it is shown".to_owned()))
                        }
                    };
                }
                answer::Outcome::Unknown(Unknown { why, retry_after, .. }) => {
                    ambiguous = true;
                    (unknown(why), pause(retry_after, attempt))
                }
                refused => {
                    let (status, again_in) = may_pass(&refused, attempt);
                    let error = RunError::from_outcome(provider.clone(), REMOVE, refused);
                    if !ambiguous && !is_back {
                        self.record(&[Event::NotEnded { why: error.to_string(), status }])?;
                    }
                    (if ambiguous { unknown(error.to_string()) } else { error }, again_in)
                }
            };
            let again_in = again_in.filter(|_| self.attempts_left > 0 && !self.operator.wants_to_stop());
            let Some(pause) = again_in else { return Err(error) };
            self.operator.tell(self.rotation, News::Retrying { why: &error.to_string(), seconds: pause.as_secs() });
            if !self.rest_for(pause) {
                return Err(error);
            }
        }
    }

    /// Journals that the second is about to be removed, and when that was tried last; told once.
    fn go_back(&mut self, reason: &Option<String>, is_first: bool) -> Result<(), RunError> {
        let event = Event::RolledBack { reason: reason.clone() };
        if is_first {
            return self.record(&[event]);
        }
        let journaled = self.journal.append(self.rotation, self.by, (self.now)(), &[event]);
        journaled.map_err(|error| self.unrecorded(error))
    }

    /// Nobody knows the id of the second endpoint, so that nothing shows that it is there: whoever has ended the old secret says so
    /// with a reason.
    fn ended_elsewhere(&mut self, reason: Option<String>) -> Result<bool, RunError> {
        if reason.is_none() {
            return Err(RunError::NoSecond { provider: self.endpoint.provider.title().to_owned() });
        }
        self.record(&[Event::Done { step: Step::End, how: How::Word { reason } }])?;
        Ok(true)
    }

    /// What of the second endpoint, which has to be there, is not like the first, as far as the provider shows it.
    fn unlike(&mut self, second: &str) -> Result<Option<Doubt>, RunError> {
        let new = self.show(&self.endpoint.at(second), SHOW_NEW)?;
        self.operator.tell(self.rotation, News::Inspected(&new));
        let old = match self.client.inspect(self.endpoint, self.key()?) {
            Ok(old) => old,
            // One that is gone already shows nothing to compare with.
            gone if is_gone(&gone) => return Ok(None),
            Err(outcome) => {
                let provider = self.endpoint.provider.title().to_owned();
                return Err(RunError::from_outcome(provider, SHOW_OLD, outcome));
            }
        };
        Ok(difference(&old, &new).map(|why| Doubt::Unlike { endpoint: second.to_owned(), why }))
    }

    fn show(&self, endpoint: &Endpoint, what: &'static str) -> Result<Inspected, RunError> {
        let shown = self.client.inspect(endpoint, self.key()?);
        shown.map_err(|outcome| RunError::from_outcome(endpoint.provider.title().to_owned(), what, outcome))
    }
}

/// Which of two endpoints is removed.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// The first, as somebody has said, for a reason where one was given.
    Forward { reason: &'a Option<String> },
    /// The second, for a reason where one was given.
    Back { reason: &'a Option<String> },
}

/// Whether an endpoint is certainly not there.
fn is_gone(shown: &Result<Inspected, answer::Outcome>) -> bool {
    matches!(shown, Err(answer::Outcome::Refused(Refusal { meaning: Meaning::NotFound, .. })))
}

/// The status of a refusal, and when the same request may be taken.
fn may_pass(refused: &answer::Outcome, attempt: u32) -> (Option<u16>, Option<Duration>) {
    let answer::Outcome::Refused(refusal) = refused else { return (None, None) };
    let passes = matches!(refusal.meaning, Meaning::RateLimited | Meaning::Unavailable | Meaning::InFlight);
    (Some(refusal.status), pause(refusal.retry_after, attempt).filter(|_| passes))
}

/// All that differs between two endpoints, in words that repeat nothing of what is nobody else's business.
fn difference(old: &Inspected, new: &Inspected) -> Option<String> {
    let mut found = Vec::new();
    if let (Some(was), Some(is)) = (&old.status, &new.status)
        && was != is
    {
        found.push(format!("its status is `{is}`, and that of the old one is `{was}`"));
    }
    if old.url != new.url && old.url.is_some() {
        found.push("its URL is another".to_owned());
    }
    found.extend(old.uncarried.as_ref().map(|what| format!("of the old one is by now true: {what}")));
    found.extend(old.carried.differs(&new.carried).map(|name| format!("its `{name}` is another than the old one's")));
    (!found.is_empty()).then(|| found.join("; "))
}

#[cfg(test)]
#[path = "end_tests.rs"]
mod tests;
