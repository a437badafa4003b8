//! The step `end` by a call: the first of two endpoints is removed, once somebody says so and the second is seen to be there. And the
//! way back, on which the second is.
//!
//! The word for it is journaled with the call, before its first byte. What is gone is gone, so that the call may be sent again at any
//! time, and an answer that it is not there any more is as good as a yes once it is not shown any more either.

use std::time::Duration;

use super::facts::LONGEST_CALL;
use super::issue::pause;
use super::operator::{Doubt, News};
use super::runner::Runner;
use super::{Event, How, Outcome, RolledBack, RunError, Step};
use crate::provider::answer::{self, Inspected, Refusal, Unknown};
use crate::provider::spec::Meaning;
use crate::provider::{Endpoint, request};

/// What is asked of the provider.
const REMOVE: &str = "remove the endpoint";
const SHOW_NEW: &str = "show the new endpoint";
const SHOW_OLD: &str = "show the old endpoint";

impl Runner<'_> {
    /// Removes the first endpoint, for a reason where one was given. `false` where others have gone on meanwhile.
    pub(super) fn remove_first(&mut self, reason: Option<String>) -> Result<bool, RunError> {
        let Some(second) = self.rotation.second().map(str::to_owned) else { return self.ended_elsewhere(reason) };
        // A removal that nobody has heard of may be under way still.
        let is_recent = |back: &RolledBack| (self.now)().duration_since(back.at) < LONGEST_CALL;
        if self.rotation.rolled_back.as_ref().is_some_and(is_recent) {
            let why = format!("the way back may have removed `{second}` a moment ago; wait a minute");
            return Err(RunError::TooEarly { step: Step::End, why });
        }
        if !self.is_as_good(&second, reason.as_deref())? {
            return Ok(false);
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
        self.record(&[Event::RolledBack { reason }])?;
        self.remove(second, Way::Back)?;
        let reason = Some(format!("rolled back: the new endpoint `{second}` is removed"));
        self.record(&[Event::Closed { outcome: Outcome::Abandoned, reason }])
    }

    /// Removes an endpoint. Forward, the word for it is journaled before each attempt.
    fn remove(&mut self, own: &str, way: Way<'_>) -> Result<(), RunError> {
        let (key, provider) = (self.key()?, self.endpoint.provider.title().to_owned());
        // As the endpoint is shown right before, with what the target says by now.
        let endpoint = self.endpoint.at(own);
        let Some(request) = request::end(&endpoint) else {
            let why = "its description names no call for that any more".to_owned();
            return Err(RunError::NotSent { provider, why });
        };
        let is_back = matches!(way, Way::Back);
        let unknown = |why| RunError::EndUnknown { provider: provider.clone(), endpoint: own.to_owned(), is_back, why };
        // Once an attempt may have removed it, a later refusal proves nothing about that one.
        let mut ambiguous = !is_back && self.rotation.ending.is_some();
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.attempts_left = self.attempts_left.saturating_sub(1);
            if let Way::Forward { reason } = way {
                self.record(&[Event::Ending { digest: request.digest(), reason: reason.clone() }])?;
            }
            self.operator.awaits_answer(Some(self.client.timeout()));
            let outcome = self.client.call(&endpoint, &request, key);
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

    /// Nobody knows the id of the second endpoint, so that nothing shows that it is there: whoever has ended the old secret says so
    /// with a reason.
    fn ended_elsewhere(&mut self, reason: Option<String>) -> Result<bool, RunError> {
        if reason.is_none() {
            return Err(RunError::NoSecond { provider: self.endpoint.provider.title().to_owned() });
        }
        self.record(&[Event::Done { step: Step::End, how: How::Word { reason } }])?;
        Ok(true)
    }

    /// Whether the second endpoint is there and like the first, as far as the provider shows it; or a person says that what differs is
    /// no matter. `false` where others have gone on meanwhile.
    fn is_as_good(&mut self, second: &str, reason: Option<&str>) -> Result<bool, RunError> {
        let new = self.show(&self.endpoint.at(second), SHOW_NEW)?;
        self.operator.tell(self.rotation, News::Inspected(&new));
        let key = self.key()?;
        let old = match self.client.inspect(self.endpoint, key) {
            Ok(old) => old,
            // One that is gone already shows nothing to compare with.
            gone if is_gone(&gone) => return Ok(true),
            Err(outcome) => {
                let provider = self.endpoint.provider.title().to_owned();
                return Err(RunError::from_outcome(provider, SHOW_OLD, outcome));
            }
        };
        let Some(why) = difference(&old, &new) else { return Ok(true) };
        let reason = match reason {
            Some(reason) => reason.to_owned(),
            None => {
                let doubt = Doubt::Unlike { endpoint: second.to_owned(), why: why.clone() };
                let Some(reason) = self.ask_for_reason(doubt)? else { return Ok(false) };
                // Whoever was asked may have taken days.
                self.show(&self.endpoint.at(second), SHOW_NEW)?;
                reason
            }
        };
        self.record(&[Event::Overridden { why, reason, slot: None }])?;
        Ok(true)
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
    /// The second.
    Back,
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

/// What of two endpoints differs, in words that repeat nothing of what is nobody else's business.
fn difference(old: &Inspected, new: &Inspected) -> Option<String> {
    if let (Some(was), Some(is)) = (&old.status, &new.status)
        && was != is
    {
        return Some(format!("its status is `{is}`, and that of the old one is `{was}`"));
    }
    if old.url != new.url && old.url.is_some() {
        return Some("its URL is another".to_owned());
    }
    if let Some(what) = &old.uncarried {
        return Some(format!("of the old one is by now true: {what}"));
    }
    old.carried.differs(&new.carried).map(|name| format!("its `{name}` is another than the old one's"))
}

#[cfg(test)]
#[path = "end_tests.rs"]
mod tests;
