//! Who may write an endpoint's head in a shared journal.
//!
//! A head is written only as the next after the one that was read. That alone is what keeps two processes from doing the same: the
//! lease in it is a courtesy, so that they do not work at once, and it ends by the place's own clock.

use std::time::Duration;

use uuid::Uuid;

use super::head::{Head, Held, Lease};
use super::shared::{Found, Shared, TRIES, head_name};
use super::shared_error::SharedError;
use crate::documents::Tag;
use crate::system::steady_now;

/// The longest call that a lease is made longer for.
const LONGEST_CALL: Duration = Duration::from_secs(300);

/// An endpoint was not taken.
pub enum NotTaken {
    /// Somebody else has it, for so long at most.
    Held {
        holder: String,
        left: Duration,
    },
    Failed(SharedError),
}

impl From<SharedError> for NotTaken {
    fn from(error: SharedError) -> Self {
        Self::Failed(error)
    }
}

impl Shared {
    /// Takes an endpoint, unless somebody else has it. `call` is the longest that a call may take.
    pub fn take(&self, endpoint: &str, holder: &str, call: Duration) -> Result<(), NotTaken> {
        // However long somebody gives a call: who is killed in it keeps others waiting no longer than that.
        let seconds = self.about.lease.max(2 * call.min(LONGEST_CALL).as_secs() + 60);
        for _ in 0..TRIES {
            let Found { mut head, tag, age } = self.read_head(endpoint)?;
            self.refuse_moved(&head)?;
            // What this very process could not give back is its own still.
            if let (Some(lease), Some(left)) = (&head.lease, head.is_held_for(age))
                && lease.holder != holder
            {
                return Err(NotTaken::Held { holder: lease.holder.clone(), left });
            }
            head.fence += 1;
            head.lease = Some(Lease { holder: holder.to_owned(), seconds, spent_ms: 0 });
            if self.write(&mut head, tag.as_ref(), true)? {
                self.lost.borrow_mut().remove(endpoint);
                return if tag.is_none() { Ok(self.refuse_to_begin(endpoint)?) } else { Ok(()) };
            }
        }
        Err(self.contended(&head_name(endpoint)).into())
    }

    /// Gives a new endpoint back where all of the journal has moved since it was opened. Whoever moves one looks for new endpoints
    /// behind saying so, and whoever begins one looks for that behind beginning: one of the two sees the other.
    fn refuse_to_begin(&self, endpoint: &str) -> Result<(), SharedError> {
        let refused = self.moved_by_now().and_then(|to| self.refuse_moved_to(to.as_ref()));
        if refused.is_err() {
            self.give_back(endpoint);
        }
        refused
    }

    /// How long the endpoint is this process's still without another sign of life.
    pub fn left(&self, endpoint: &str) -> Duration {
        let until = self.held.borrow().get(endpoint).map(|held| held.until);
        until.map_or(Duration::ZERO, |until| until.saturating_sub(steady_now()))
    }

    /// Who is at work, each with the endpoint and for how long at most.
    pub fn holders(&self) -> Result<Vec<(String, String, Duration)>, SharedError> {
        let held = self.heads()?.into_iter().filter_map(|(head, age)| {
            let left = head.is_held_for(age)?;
            Some((head.endpoint, head.lease?.holder, left))
        });
        Ok(held.collect())
    }

    /// Gives an endpoint back. What cannot be said now is over when the lease is.
    pub fn give_back(&self, endpoint: &str) {
        let Some(held) = self.held.borrow_mut().remove(endpoint) else { return };
        // From here on others may seal something as well.
        self.begun.borrow_mut().clear();
        let _ = self.change_from::<SharedError>(endpoint, Some(held), false, |head| {
            head.lease = None;
            Ok(())
        });
    }

    /// Whether this process has the endpoint.
    pub fn has(&self, endpoint: &str) -> bool {
        self.held.borrow().contains_key(endpoint)
    }

    /// The fence of what this process has, the highest one; 0 of nothing.
    pub fn fence(&self) -> u64 {
        self.held.borrow().values().map(|held| held.fence).max().unwrap_or_default()
    }

    /// Sees to it that the endpoint is this process's for so long from now on, or fails: nothing may be sent then.
    pub fn keep(&self, endpoint: &str, at_least: Duration) -> Result<(), SharedError> {
        let until = self.held.borrow().get(endpoint).map(|held| held.until);
        match until {
            Some(until) if until >= steady_now() + at_least => return Ok(()),
            Some(_) => {}
            // It was let go of, or lost: whoever has it now has it.
            None => return Err(SharedError::TakenOver { by: "it was not held any more".to_owned() }),
        }
        self.change(endpoint, |_| Ok(()))
    }

    /// Changes a head, as often as others come in between. Rows that leave it are written beside it first. Fails where this process
    /// had the endpoint and somebody else has taken it since, from then on.
    pub(super) fn change<E: From<SharedError>>(
        &self,
        endpoint: &str,
        change: impl FnMut(&mut Head) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(by) = self.lost.borrow().get(endpoint) {
            return Err(SharedError::TakenOver { by: by.clone() }.into());
        }
        let held = self.held.borrow().get(endpoint).cloned();
        let keeps = held.is_some();
        self.change_from(endpoint, held, keeps, change)
    }

    fn change_from<E: From<SharedError>>(
        &self,
        endpoint: &str,
        held: Option<Held>,
        keeps: bool,
        mut change: impl FnMut(&mut Head) -> Result<(), E>,
    ) -> Result<(), E> {
        let fence = held.as_ref().map(|held| held.fence);
        let soon = held.as_ref().map(|held| held.soon.clone()).unwrap_or_default();
        let mut at_hand = held.map(|held| Found { head: held.head, tag: Some(held.tag), age: Duration::ZERO });
        for _ in 0..TRIES {
            let is_at_hand = at_hand.is_some();
            let Found { mut head, tag, age } = match at_hand.take() {
                Some(found) => found,
                None => self.read_head(endpoint)?,
            };
            match fence {
                Some(fence) if head.fence != fence => {
                    self.held.borrow_mut().remove(endpoint);
                    self.begun.borrow_mut().clear();
                    let by = head.lease.map_or_else(|| "who is through by now".to_owned(), |lease| lease.holder);
                    self.lost.borrow_mut().insert(endpoint.to_owned(), by.clone());
                    return Err(SharedError::TakenOver { by }.into());
                }
                // A sign of life of whoever has it, and of nobody else.
                Some(_) => head.lease.iter_mut().for_each(|lease| lease.spent_ms = 0),
                None => head.spend(age),
            }
            for (rotation, entries) in soon.iter().filter(|_| !is_at_hand) {
                head.record(rotation, entries, None).map_err(|_| self.damaged(&head_name(endpoint)))?;
            }
            // What has left the head before this process could move it is not moved by it: then the head is another one by now.
            let mut is_current = true;
            for row in head.leave() {
                is_current &= self.write_over(&row)?;
            }
            change(&mut head)?;
            if is_current && self.write(&mut head, tag.as_ref(), keeps)? {
                return Ok(());
            }
        }
        Err(self.contended(&head_name(endpoint)).into())
    }

    /// Writes a head as the next after that state; `false` where it is another one by now.
    pub(super) fn write(&self, head: &mut Head, tag: Option<&Tag>, keeps: bool) -> Result<bool, SharedError> {
        self.forget_looked();
        head.nonce = Uuid::new_v4();
        let name = head_name(&head.endpoint);
        let body = self.text(&name, &*head)?;
        let begun = steady_now();
        let Some(tag) = self.documents.write_if(&name, &body, tag)? else { return Ok(false) };
        if keeps {
            let lease = head.lease.as_ref().map_or(0, |lease| lease.seconds);
            let until = begun + Duration::from_secs(lease);
            let held = Held { fence: head.fence, head: head.clone(), tag, until, soon: Vec::new() };
            self.held.borrow_mut().insert(head.endpoint.clone(), held);
        }
        Ok(true)
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
