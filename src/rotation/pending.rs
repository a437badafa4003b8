//! A rotation that stands beside the one that it is to replace, until it is known whether the provider has carried it out.
//!
//! A call that is refused must not cost what was open before: that one is closed in the same commit that records the other's
//! success, and not earlier.

use uuid::Uuid;

use super::{Entry, Event, Outcome, Rotation};

impl Rotation {
    /// Whether it stands beside the rotation that it is to replace, and has not done so yet.
    pub fn is_pending(&self) -> bool {
        self.plan.replaces.is_some() && !self.applied && self.closed.is_none()
    }

    /// Whether it was to replace another one and came to nothing, so that the other is as it was.
    pub fn left_the_other_open(&self) -> bool {
        self.plan.replaces.is_some() && !self.applied && self.closed.is_some()
    }

    /// The rotation that is replaced once these entries are recorded of a pending one, and what closes it.
    pub(super) fn makes_way(&self, entries: &[Entry]) -> Option<(Uuid, Entry)> {
        let earlier = self.plan.replaces.filter(|_| self.is_pending())?;
        let mut after = self.clone();
        entries.iter().for_each(|entry| after.fold(entry));
        let last = entries.last().filter(|_| after.applied)?;
        let reason = self.plan.reason.as_deref().unwrap_or("no reason given");
        let reason = Some(format!("superseded by force-rotate: {reason}"));
        let event = Event::Closed { outcome: Outcome::Abandoned, reason };
        Some((earlier, Entry { at: last.at, by: last.by.clone(), event }))
    }
}

/// The place of the rotation to act on: a pending one before the one that it is to replace, an open one before all that are
/// closed, else the newest.
pub fn at_hand(newest_first: &[Rotation]) -> Option<usize> {
    let first = |wanted: fn(&Rotation) -> bool| newest_first.iter().position(wanted);
    first(Rotation::is_pending)
        .or_else(|| first(|rotation| rotation.closed.is_none()))
        .or((!newest_first.is_empty()).then_some(0))
}
