//! Between stage and promote: the new secret is where it was put, or it is put there again, or asked for again while the old
//! one lives.

use super::drift::{self, Act};
use super::operator::News;
use super::runner::Runner;
use super::{Event, Next, RunError, Step};
use crate::store::{Access, Slot, readable, slots};

/// What is said where nothing has the new secret any more.
pub(super) const GONE: &str = "the answer came, but no store and no seal has the new secret any more";

impl Runner<'_> {
    /// Looks for the new secret in every store that was given it, before anybody waits for anything. A store that has lost it
    /// gets it from another place; where no place has it, the call is as good as unanswered, and this yields `true`.
    pub(super) fn restage_lost(&mut self, next: &Next) -> Result<bool, RunError> {
        let done = |step| self.rotation.done.contains_key(&step);
        let is_due = matches!(next, Next::Ask(_) | Next::Wait(_) | Next::Run(Step::Wait | Step::Promote | Step::Issue));
        if !is_due || !done(Step::Stage) || done(Step::Promote) {
            return Ok(false);
        }
        let Some(new) = self.rotation.new_secret().cloned() else { return Ok(false) };
        let mut lacking = Vec::new();
        // A store that cannot be read now may have it.
        let mut may_be_elsewhere = self.stores.iter().any(|store| store.access() != Access::ReadWrite);
        for store in readable(self.stores) {
            match slots::has(store, &new) {
                Ok(false) if self.drifts_of(store, Act::Promote).is_ok_and(|drifts| drifts.is_empty()) => {
                    lacking.push(store)
                }
                // What somebody else has put there is said when it is to be promoted.
                Ok(false) => {}
                Ok(true) | Err(_) => may_be_elsewhere = true,
            }
        }
        if lacking.is_empty() {
            return Ok(false);
        }
        let Ok(secret) = self.secret() else {
            if may_be_elsewhere {
                return Ok(false);
            }
            if self.rotation.is_unsent() {
                return if self.is_gone() { self.give_up_made().map(|()| true) } else { Ok(false) };
            }
            self.record(&[Event::Lost { why: GONE.to_owned(), status: None }])?;
            return Ok(true);
        };
        for store in lacking {
            let (reference, slot) = (store.reference(), store.slot_name(Slot::Next));
            let warning =
                match slots::stage(store, &secret, &|held| drift::is_known(self.rotation, Act::Promote, store, held)) {
                    Ok(()) => format!("{reference} had lost the new secret; it is in `{slot}` again"),
                    Err(error) => format!("{reference} has lost the new secret: {error}"),
                };
            self.operator.tell(self.rotation, News::Warning(&warning));
        }
        Ok(false)
    }
}
