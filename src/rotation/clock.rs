//! The provider's clock: heard by an inspect call, believed where it goes on as it went, and the end of a wait by it.
//!
//! One wild answer ends no wait. A clock that jumped is asked again, and believed once two answers are as far apart as time went by
//! here. Where it cannot be had, a person's word with a reason ends the wait, once our own clock is past the end, too.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::operator::{Doubt, News};
use super::runner::Runner;
use super::unasked::{Unasked, Unheard};
use super::{CLOCK_SLACK, Event, How, Next, RunError, Step};

/// How often, and how far apart, the provider is asked for its clock.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// A difference of clocks that is worth a word.
const WORTH_A_WORD_MS: i64 = 120_000;

/// What is said where our own clock goes back on what was journaled.
pub const CLOCK_SET_BACK: &str = "this machine's clock was set back since the journal's newest entry: what was known of the provider's does not count";

impl Runner<'_> {
    /// Hears the provider's clock and looks at what else the answer shows; `None` where the clock was heard.
    pub(super) fn hear(&mut self, asks: bool) -> Result<Option<Unheard>, RunError> {
        let inspected = match self.ask_provider() {
            Ok(inspected) => inspected,
            Err(unasked) => return Ok(Some(Unheard::Unasked(unasked))),
        };
        let unheard = match inspected.date {
            Some(date) => self.take_time(date)?,
            None => Some(Unheard::NoDate),
        };
        self.looked = Some(asks);
        self.weigh_shown(inspected, asks)?;
        Ok(unheard)
    }

    /// Takes a time for the provider's if it goes on as the last one did, or else if the next one agrees with it.
    pub(super) fn take_time(&mut self, date: Timestamp) -> Result<Option<Unheard>, RunError> {
        let ahead = self.ahead(date);
        if self.goes_on(ahead) {
            self.rotation.hear(ahead);
            return Ok(None);
        }
        let mut heard_ms = vec![ahead];
        let (mut last, mut heard_at) = (date, Instant::now());
        for tries in 0..TRIES {
            if tries > 0 {
                (self.sleep)(PAUSE);
            }
            let Some(date) = self.ask_provider().ok().and_then(|inspected| inspected.date) else { continue };
            let ahead = self.ahead(date);
            heard_ms.push(ahead);
            let went_by = SignedDuration::try_from(heard_at.elapsed()).unwrap_or(SignedDuration::MAX);
            if self.goes_on(ahead) || agree(date.duration_since(last), went_by) {
                self.record(&[Event::ClockJumped { heard_ms, is_believed: true }])?;
                self.mention_clock(ahead);
                return Ok(None);
            }
            (last, heard_at) = (date, Instant::now());
        }
        self.record(&[Event::ClockJumped { heard_ms, is_believed: false }])?;
        Ok(Some(Unheard::Unsteady))
    }

    /// How far a clock is ahead that an earlier rotation knew otherwise: the more cautious of two answers, unless they agree.
    pub(super) fn steady(&self, ahead_ms: i64, known_ms: Option<i64>) -> i64 {
        if known_ms.is_none_or(|known| same(known, ahead_ms)) {
            return ahead_ms;
        }
        let again = self.ask_provider().ok().and_then(|inspected| inspected.date).map(|date| self.ahead(date));
        again.map_or(ahead_ms, |again| if same(again, ahead_ms) { again } else { again.min(ahead_ms) })
    }

    /// Whether a clock that is so far ahead is where the last answer that was believed lets it be.
    fn goes_on(&self, ahead_ms: i64) -> bool {
        same(ahead_ms, self.rotation.clock_ahead_ms) && !self.rotation.is_clock_set_back((self.now)())
    }

    /// How far a provider's clock is ahead of ours, in milliseconds.
    pub(super) fn ahead(&self, date: Timestamp) -> i64 {
        let ahead = date.duration_since((self.now)()).as_millis();
        i64::try_from(ahead).unwrap_or(0)
    }

    pub(super) fn mention_clock(&mut self, ahead_ms: i64) {
        if ahead_ms.abs() > WORTH_A_WORD_MS {
            self.operator.tell(self.rotation, News::ClockOff { ahead_ms });
        }
    }

    /// Ends the wait only on the provider's own clock, so that a wrong local one cannot end it early; or on a person's word.
    pub(super) fn end_wait(&mut self) -> Result<(), RunError> {
        let mut tries = TRIES;
        let unheard = loop {
            let unheard = match self.hear(true)? {
                // Where nobody can be asked, ours has to do.
                None | Some(Unheard::Unasked(Unasked::NoCall)) => break None,
                Some(unheard) => unheard,
            };
            tries -= 1;
            let may_pass = matches!(unheard, Unheard::Unasked(Unasked::Failed(_)) | Unheard::NoDate);
            if tries == 0 || !may_pass || self.operator.wants_to_stop() {
                break Some(unheard);
            }
            (self.sleep)(PAUSE);
        };
        if self.rotation.next((self.now)()) != Next::Run(Step::Wait) {
            return Ok(());
        }
        let how = match unheard {
            None => How::Clock,
            Some(unheard) => match self.take_word(unheard)? {
                Some(reason) => How::Word { reason: Some(reason) },
                None => return Ok(()),
            },
        };
        let is_clock = how == How::Clock;
        self.record(&[Event::Done { step: Step::Wait, how }])?;
        if is_clock {
            self.operator.tell(self.rotation, News::OldSecretEnded);
        }
        Ok(())
    }

    /// Asks whether the old secret has ended where the provider's clock does not tell. Never before our own clock is past the end.
    fn take_word(&mut self, unheard: Unheard) -> Result<Option<String>, RunError> {
        let provider = self.endpoint.provider.title().to_owned();
        let end = self.rotation.expires_at().unwrap_or(Timestamp::MAX);
        if (self.now)() < end {
            return Err(RunError::ClockUnheard { provider, unheard, ours_is_past: false });
        }
        let doubt = Doubt::Clock { provider: provider.clone(), why: unheard.to_string(), end };
        self.ask_for_reason(doubt).map_err(|error| match error {
            RunError::Doubtful { .. } => RunError::ClockUnheard { provider, unheard, ours_is_past: true },
            error => error,
        })
    }
}

/// The same of two differences of clocks, in milliseconds.
fn same(one: i64, other: i64) -> bool {
    agree(SignedDuration::from_millis(one), SignedDuration::from_millis(other))
}

/// Whether two spans are the same, as far as a clock with whole seconds tells.
fn agree(one: SignedDuration, other: SignedDuration) -> bool {
    one.saturating_sub(other).abs() <= CLOCK_SLACK
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
