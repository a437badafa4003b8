//! Does what `Rotation::next` says, one step at a time, and journals each outcome.
//!
//! Every step may be cut off anywhere and done again. Steps of the call live in `check`, `issue` and `reconcile`.

use jiff::Timestamp;

use super::clock::CLOCK_SET_BACK;
use super::issue::UNKEPT;
use super::leak::seals_from_before;
use super::lease::{self, Meanwhile};
use super::operator::{Awaited, Countdown, News, Reply};
use super::runner::Runner;
use super::{Event, Next, Outcome, RunError, Step};
use crate::store::Access;

/// Why a run came to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The rotation is closed, or the step asked for is done.
    Finished,
    /// A person has to do this step.
    Person(Step),
    /// The old secret lives until then, on the provider's clock.
    Clock(Timestamp),
    /// A signal asked to stop.
    Stopped,
}

impl Runner<'_> {
    /// Removes the seal once nothing depends on it any more: every store has the secret; those that cannot give it back
    /// have it live, and another store or a person has shown that it is the right one; what went into a pipe is deployed. A process that died before it would have left it behind.
    fn clear_up(&self) -> Result<(), RunError> {
        let has = |access| self.stores.iter().any(|store| store.access() == access);
        let done = |step| self.rotation.done.contains_key(&step);
        // Of one of ours the stores are not the only place before the provider has certainly taken it.
        let spent = done(Step::Stage)
            && (self.rotation.made.is_none() || self.rotation.answered().is_some())
            && (!has(Access::WriteOnly) || (done(Step::Promote) && (has(Access::ReadWrite) || done(Step::Verify))))
            && (!has(Access::Once) || done(Step::Deploy));
        // Somebody may have written over what was stored a moment ago.
        let is_stored = || self.rotation.answered().is_none_or(|answered| self.is_stored(answered));
        // One that joined may have it from nowhere else.
        if spent && self.rotation.behind().is_none() && self.seals.exists(self.rotation.id) && is_stored() {
            self.seals.remove(self.rotation.id, self.rotation.new_secret()).map_err(RunError::SealFailed)?;
        }
        // With the old secret it is proved that no receiver takes it any more.
        if done(Step::Drop) || (self.rotation.closed.is_some() && self.rotation.contained() != Some(false)) {
            let mut seals = seals_from_before(self.rotation);
            seals.try_for_each(|seal| self.seals.remove(seal, None)).map_err(RunError::SealFailed)?;
        }
        Ok(())
    }

    /// Goes on until the rotation is finished, somebody has to act, or `last` is done.
    pub fn run(&mut self, last: Option<Step>) -> Result<Rest, RunError> {
        self.rotation.prove_anew();
        // What only this machine has may be needed by the next one. Where that cannot be done now it is tried again later.
        let _ = self.seals.share(self.rotation.id);
        self.take_at_hand()?;
        if self.rotation.is_clock_set_back((self.now)()) {
            self.operator.tell(self.rotation, News::Warning(CLOCK_SET_BACK));
        }
        loop {
            self.clear_up()?;
            if last.is_some_and(|last| self.rotation.done.contains_key(&last)) {
                return Ok(Rest::Finished);
            }
            let next = self.rotation.next((self.now)());
            // A secret that is only sealed is put into the stores before anything stops.
            let is_kept = next != Next::Run(Step::Stage) || self.rotation.new_secret().is_none();
            if self.operator.wants_to_stop() && is_kept {
                return Ok(Rest::Stopped);
            }
            if self.rotation.may_be_stale() {
                match self.confirm() {
                    Ok(()) => continue,
                    // The secret is stored even if it cannot be confirmed now; it does not go live.
                    Err(error) if next != Next::Run(Step::Stage) || matches!(error, RunError::Superseded { .. }) => {
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
            // Whose secret the provider has comes first: what others have put into a slot may be the one that counts.
            if self.look_before(&next)? {
                continue;
            }
            // What others have put where whsec looks after a secret is said before anything is built on it.
            if !matches!(next, Next::Run(step) if self.goes_alone(step)) {
                self.refuse_drift_at_rest()?;
            }
            if self.restage_lost(&next)? {
                continue;
            }
            match next {
                Next::Finished => {
                    if self.rotation.closed.is_none() {
                        if self.take_in_late()? {
                            continue;
                        }
                        self.record(&[Event::Closed { outcome: Outcome::Done, reason: None }])?;
                    }
                    self.clear_up()?;
                    return Ok(Rest::Finished);
                }
                Next::Reconcile => self.reconcile()?,
                // The countdown has told of this step; here the provider's clock has the last word.
                Next::Run(Step::Wait) => self.end_wait()?,
                Next::Run(step) => {
                    if step == Step::Promote && !self.refuse_leaked()? {
                        continue;
                    }
                    self.operator.tell(self.rotation, News::Begins(step));
                    self.perform(step)?;
                }
                Next::Ask(step) => {
                    if !self.settle_step(step)? {
                        return Ok(self.rest(Rest::Person(step)));
                    }
                }
                Next::Wait(until) => {
                    self.hear(false)?;
                    let provider_now = self.rotation.provider_now((self.now)());
                    if provider_now >= until {
                        continue;
                    }
                    let journal = self.journal;
                    let countdown = Countdown { until, provider_now };
                    let reply = self.awaits(Awaited::Clock, |operator, rotation| {
                        operator.watch(rotation, countdown, &|| lease::has_moved(journal, rotation))
                    });
                    match reply {
                        Reply::Done { .. } if self.reacquire()? != Meanwhile::Stopped => self.looked = None,
                        _ => return Ok(self.rest(Rest::Clock(until))),
                    }
                }
            }
        }
    }

    fn perform(&mut self, step: Step) -> Result<(), RunError> {
        match step {
            Step::Check => self.check(),
            Step::Issue => self.issue_or_set(),
            Step::Stage => {
                self.make()?;
                let secret = match self.secret() {
                    Ok(secret) => secret,
                    // The others have it, and cannot give it back.
                    Err(_) if self.rotation.behind().is_some() => return Err(self.nothing_to_give()),
                    Err(_) if self.rotation.is_unsent() && self.is_gone() => return self.give_up_made(),
                    Err(error) if self.rotation.is_unsent() => return Err(error),
                    // The process that had the answer could keep it nowhere: the call is as good as unanswered.
                    Err(_) if !self.seals.exists(self.rotation.id) => {
                        return self.record(&[Event::Lost { why: UNKEPT.to_owned(), status: None }]);
                    }
                    Err(error) => return Err(error),
                };
                self.stage_and_go_live(&secret)?;
                if self.rotation.is_unsent() || self.rotation.may_be_stale() || self.operator.wants_to_stop() {
                    return Ok(());
                }
                // Where calls are scarce others wait for theirs, and the next command's look is the first.
                if self.client.is_scarce() {
                    self.looked = Some(true);
                    return Ok(());
                }
                // What it shows right after our own call is what a later look is compared with.
                self.look_again(true)
            }
            Step::Promote => self.promote(),
            Step::Retire => self.retire(),
            // Asked for or waited for, never performed.
            Step::Prepare | Step::Deploy | Step::Verify | Step::End | Step::Wait | Step::Drop => Ok(()),
        }
    }

    fn rest(&mut self, rest: Rest) -> Rest {
        if !self.lock.is_held() {
            // What is said of the rotation now is what others have made of it.
            let _ = self.catch_up();
        }
        match () {
            () if self.operator.wants_to_stop() => Rest::Stopped,
            () if self.rotation.closed.is_some() => Rest::Finished,
            () => rest,
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
