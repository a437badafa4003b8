//! What others do while this process waits for a person's step or for the clock. The endpoint's lock is let go of then, so that a
//! colleague can put the old secret back, or go on, without first ending a process that is in nobody's way.

use std::time::Duration;

use super::journal::{Journal, JournalError};
use super::lock::LockError;
use super::operator::{Awaited, News, Operator};
use super::runner::Runner;
use super::{Closed, Outcome, Rotation, RunError, Step};

/// How often it is looked whether another process is through.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of a rotation while this process waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// It stands where it stood.
    Nothing,
    /// Others went on with it, so what was waited for is of the past.
    WentOn,
    /// Another process is still at work on it, and a signal asked to stop.
    Stopped,
}

/// Whether others have done something to the rotation since it was read. A journal that cannot be read now says nothing.
pub fn has_moved(journal: &Journal, rotation: &Rotation) -> bool {
    if journal.in_place().is_err() {
        return true;
    }
    if !journal.is_asked_again() {
        return false;
    }
    let Ok(now) = journal.find(&rotation.plan.endpoint_key, rotation.id) else { return false };
    let is_same = |now: &Rotation| {
        let is_done = now.done == rotation.done && now.call == rotation.call;
        is_done && now.closed.is_none() && now.plan.forced == rotation.plan.forced
    };
    !now.is_some_and(|now| is_same(&now)) || beside(journal, rotation).is_ok_and(|pending| pending.is_some())
}

/// The rotation that is pending beside this one: what comes of it decides about this one.
fn beside(journal: &Journal, rotation: &Rotation) -> Result<Option<Rotation>, JournalError> {
    let open = journal.find_open(&rotation.plan.endpoint_key)?;
    Ok(open.filter(|open| open.is_pending() && open.plan.replaces == Some(rotation.id)))
}

impl Runner<'_> {
    /// Asks or waits with the endpoint's lock let go of, where that takes time. [`Self::reacquire`] comes before anything is done
    /// about the answer.
    pub(super) fn awaits<T>(&mut self, awaited: Awaited<'_>, ask: impl FnOnce(&mut dyn Operator, &Rotation) -> T) -> T {
        if self.operator.takes_time(self.rotation, awaited) {
            self.lock.release();
        }
        ask(self.operator, self.rotation)
    }

    /// Takes the lock again that was let go of, however long another process has it, and takes what others did meanwhile into
    /// account. Fails where they undid a step, or gave the rotation up: nothing is done then that somebody has taken back.
    pub fn reacquire(&mut self) -> Result<Meanwhile, RunError> {
        if self.lock.is_held() {
            return Ok(Meanwhile::Nothing);
        }
        let mut told = false;
        while let Err(error) = self.lock.reacquire() {
            let LockError::Held { holder } = &error else { return Err(error.into()) };
            if self.operator.wants_to_stop() {
                return Ok(Meanwhile::Stopped);
            }
            if !std::mem::replace(&mut told, true) {
                self.operator
                    .tell(self.rotation, News::Warning(&format!("waiting until another whsec is through ({holder})")));
            }
            (self.sleep)(PAUSE);
        }
        let before = self.catch_up()?;
        match &self.rotation.closed {
            Some(Closed { outcome: Outcome::Done, .. }) => return Ok(Meanwhile::WentOn),
            Some(Closed { by, reason, .. }) => {
                let why = reason.clone().unwrap_or_else(|| "no reason given".to_owned());
                return Err(RunError::GivenUp { by: by.clone(), why });
            }
            None => {}
        }
        if let Some(pending) = beside(self.journal, &before)? {
            return Err(RunError::Pending { endpoint: pending.plan.own_id().to_owned(), since: pending.opened_at });
        }
        if self.rotation.plan.stores != before.plan.stores {
            return Err(RunError::OtherStores);
        }
        if self.rotation.plan.forced != before.plan.forced {
            // What that takes back is done anew in the order that contains the leak.
            self.probed = false;
            let why = self.rotation.plan.reason.as_deref().unwrap_or("no reason given");
            let warning = format!("meanwhile the old secret was declared leaked ({why}); what is left contains that");
            self.operator.tell(self.rotation, News::Warning(&warning));
            return Ok(Meanwhile::WentOn);
        }
        let back = self.rotation.rolled_back.as_ref().filter(|_| self.rotation.rolled_back != before.rolled_back);
        // Every run before the call checks once more, which undoes nothing.
        let mut done = before.done.iter().filter(|(step, _)| **step != Step::Check);
        if !self.rotation.lacks_answer()
            && (back.is_some() || done.any(|(step, proof)| self.rotation.done.get(step) != Some(proof)))
            && let Some(step) = self.rotation.step()
        {
            let by = back.map_or_else(|| "another whsec".to_owned(), ToString::to_string);
            return Err(RunError::Undone { step, by });
        }
        if self.rotation.step() == before.step() && self.rotation.call == before.call {
            return Ok(Meanwhile::Nothing);
        }
        self.probed = false;
        self.operator.tell(self.rotation, News::Warning("another whsec went on with this rotation meanwhile"));
        Ok(Meanwhile::WentOn)
    }

    /// Reads the rotation as it is in the journal by now, and yields it as it was known.
    pub fn catch_up(&mut self) -> Result<Rotation, RunError> {
        let before = self.rotation.clone();
        self.journal.in_place().map_err(|error| self.unrecorded(error))?;
        let now = self.journal.find(&before.plan.endpoint_key, before.id).map_err(|error| self.unrecorded(error))?;
        if let Some(now) = now {
            *self.rotation = now.known_as(&before);
        }
        let ours = self.rotation.new_secret();
        self.arrived = self.arrived.take().filter(|arrived| ours == Some(&arrived.fingerprint()));
        Ok(before)
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
