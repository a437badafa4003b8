//! What others do while this process waits for a person or for the clock. The endpoint's lock is let go of then, so that a
//! colleague can put the old secret back, or go on, without first ending a process that is in nobody's way.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::lock::LockError;
use super::operator::News;
use super::runner::Runner;
use super::{Rotation, RunError};

/// How long another process may be at work when the waiting is over, and how often that is looked at.
const AT_MOST: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

impl Runner<'_> {
    /// Takes the lock again that was let go of, and takes what others did meanwhile into account. `true` where they went on with
    /// the rotation, so that what was waited for is of the past; an error where they undid a step of it.
    pub fn rejoin(&mut self) -> Result<bool, RunError> {
        if self.lock.is_held() {
            return Ok(false);
        }
        let begun = Instant::now();
        while let Err(error) = self.lock.retake() {
            let waits = matches!(error, LockError::Held { .. }) && begun.elapsed() < AT_MOST;
            if !waits || self.operator.wants_to_stop() {
                return Err(error.into());
            }
            sleep(PAUSE);
        }
        let before = self.catch_up()?;
        if self.rotation.closed.is_some() {
            return Ok(true);
        }
        if before.done.keys().any(|step| !self.rotation.done.contains_key(step))
            && let Some(step) = self.rotation.step()
        {
            return Err(RunError::Undone { step });
        }
        let went_on = self.rotation.step() != before.step();
        if went_on {
            self.probed = false;
            self.operator.tell(self.rotation, News::Warning("another whsec went on with this rotation meanwhile"));
        }
        Ok(went_on)
    }

    /// Reads the rotation as it is in the journal by now, and yields it as it was known.
    pub(super) fn catch_up(&mut self) -> Result<Rotation, RunError> {
        let before = self.rotation.clone();
        let known = self.journal.of_endpoint(&before.plan.endpoint_key)?;
        if let Some(now) = known.into_iter().find(|rotation| rotation.id == before.id) {
            // What flags of this command say of the receivers still counts, and so does the clock as it was last heard.
            *self.rotation = Rotation { plan: before.plan.clone(), clock_ahead_ms: before.clock_ahead_ms, ..now };
        }
        Ok(before)
    }
}
