//! The step `end` by a call: the first of two endpoints is removed, once somebody says so and the second is seen to be there. And the
//! way back, on which the second is.
//!
//! The word for it is journaled with the call, before its first byte. What is gone is gone, so that the call may be sent again at any
//! time, and an answer that it is not there any more is as good as a yes: the second endpoint is shown with the same key right before.

use std::time::Duration;

use super::issue::pause;
use super::operator::{Doubt, News};
use super::runner::Runner;
use super::{Event, How, Outcome, RunError, Step};
use crate::provider::answer::{self, Inspected, Refusal, Unknown};
use crate::provider::request::{self, Request};
use crate::provider::spec::Meaning;

/// What is asked of the provider.
const REMOVE: &str = "remove the endpoint";
const SHOW_NEW: &str = "show the new endpoint";
const SHOW_OLD: &str = "show the old endpoint";

impl Runner<'_> {
    /// Removes the first endpoint. `false` where others have gone on meanwhile.
    pub(super) fn remove_first(&mut self, request: &Request, reason: Option<String>) -> Result<bool, RunError> {
        let Some(second) = self.rotation.second().map(str::to_owned) else { return self.ended_elsewhere(reason) };
        if !self.is_as_good(&second)? {
            return Ok(false);
        }
        self.remove(request, Some(Event::Ending { digest: request.digest(), reason: reason.clone() }))?;
        self.record(&[Event::Done { step: Step::End, how: How::Word { reason } }])?;
        Ok(true)
    }

    /// The way back while both are there: the second endpoint is removed, once the first is seen, and the rotation is over.
    pub(super) fn remove_second(&mut self, second: &str, reason: Option<String>) -> Result<(), RunError> {
        let unknown = |why: &str| RunError::NoWayBack { why: why.to_owned(), only_forward: true };
        if self.rotation.ending.is_some() {
            return Err(unknown("its endpoint may be removed already, and the new one may be the only one"));
        }
        let Some(request) = request::end(&self.endpoint.at(second)) else {
            return Err(unknown("its description names no call for that any more"));
        };
        let (key, provider) = (self.key()?, self.endpoint.provider.title().to_owned());
        let first = self.client.inspect(self.endpoint, key);
        let shown = first.map_err(|outcome| RunError::from_outcome(provider, SHOW_OLD, outcome))?;
        self.operator.tell(self.rotation, News::Inspected(&shown));
        self.record(&[Event::RolledBack { reason }])?;
        self.remove(&request, None)?;
        let reason = Some(format!("rolled back: the new endpoint `{second}` is removed"));
        self.record(&[Event::Closed { outcome: Outcome::Abandoned, reason }])
    }

    /// Removes an endpoint. `ending` is journaled before each attempt, where the old secret ends with it.
    fn remove(&mut self, request: &Request, ending: Option<Event>) -> Result<(), RunError> {
        let (key, provider) = (self.key()?, self.endpoint.provider.title().to_owned());
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.attempts_left = self.attempts_left.saturating_sub(1);
            ending.iter().try_for_each(|ending| self.record(std::slice::from_ref(ending)))?;
            self.operator.awaits_answer(Some(self.client.timeout()));
            let outcome = self.client.call(self.endpoint, request, key);
            self.operator.awaits_answer(None);
            let (error, again_in) = match outcome {
                answer::Outcome::Success(_) => return Ok(()),
                answer::Outcome::Refused(Refusal { meaning: Meaning::NotFound, .. }) => return Ok(()),
                answer::Outcome::Unknown(Unknown { why, retry_after, .. }) => {
                    (RunError::EndUnknown { provider: provider.clone(), why }, pause(retry_after, attempt))
                }
                refused => {
                    let (status, again_in) = may_pass(&refused, attempt);
                    let error = RunError::from_outcome(provider.clone(), REMOVE, refused);
                    // An attempt before this one may have removed it, which the next one is told.
                    if ending.is_some() {
                        self.record(&[Event::NotEnded { why: error.to_string(), status }])?;
                    }
                    (error, again_in)
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

    /// Whether the second endpoint is there, and delivers where the first does, as far as the provider shows it; or a person says that
    /// it is no matter. `false` where others have gone on meanwhile.
    fn is_as_good(&mut self, second: &str) -> Result<bool, RunError> {
        let (key, provider) = (self.key()?, self.endpoint.provider.title().to_owned());
        let shown = self.client.inspect(&self.endpoint.at(second), key);
        let new = shown.map_err(|outcome| RunError::from_outcome(provider, SHOW_NEW, outcome))?;
        self.operator.tell(self.rotation, News::Inspected(&new));
        // One that is gone already shows nothing to compare with.
        let Ok(old) = self.client.inspect(self.endpoint, key) else { return Ok(true) };
        let Some((what, old, new)) = difference(&old, &new) else { return Ok(true) };
        let why = format!("its {what} is `{new}`, and that of the old one is `{old}`");
        let doubt = Doubt::Unlike { endpoint: second.to_owned(), why: why.clone() };
        let Some(reason) = self.ask_for_reason(doubt)? else { return Ok(false) };
        self.record(&[Event::Overridden { why, reason, slot: None }])?;
        Ok(true)
    }
}

/// The status of a refusal, and when the same request may be taken.
fn may_pass(refused: &answer::Outcome, attempt: u32) -> (Option<u16>, Option<Duration>) {
    let answer::Outcome::Refused(refusal) = refused else { return (None, None) };
    let passes = matches!(refusal.meaning, Meaning::RateLimited | Meaning::Unavailable | Meaning::InFlight);
    (Some(refusal.status), pause(refusal.retry_after, attempt).filter(|_| passes))
}

/// What of two endpoints differs: its name, the old one's and the new one's.
fn difference(old: &Inspected, new: &Inspected) -> Option<(&'static str, String, String)> {
    let pairs = [("URL", &old.url, &new.url), ("status", &old.status, &new.status)];
    let differ = |(what, old, new): (&'static str, &Option<String>, &Option<String>)| {
        let (old, new) = (old.clone()?, new.clone()?);
        (old != new).then_some((what, old, new))
    };
    pairs.into_iter().find_map(differ)
}

#[cfg(test)]
#[path = "end_tests.rs"]
mod tests;
