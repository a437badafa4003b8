//! What a rotation leaves behind: whether a leak is contained, receivers are in the way, or what is live may be dead.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Call, Outcome, Probed, Record, RolledBack, Rotation, Step};
use crate::secret::Fingerprint;

/// How long a probe that found the same need not be recorded again.
const SAME_AGAIN: SignedDuration = SignedDuration::from_hours(1);

impl Rotation {
    /// For a rotation that is for a leak: whether no receiver accepts the old secret any more, as proved or said.
    pub fn contained(&self) -> Option<bool> {
        let has_dropped = || self.new_leaked.is_none() && self.done.contains_key(&Step::Drop);
        self.is_for_a_leak().then(has_dropped)
    }

    /// Whether a secret of it is said to have leaked.
    pub fn is_for_a_leak(&self) -> bool {
        self.plan.forced || self.new_leaked.is_some()
    }

    /// Whether it was to answer a leak, and the provider has carried nothing out.
    pub fn failed_to_contain(&self) -> bool {
        self.plan.forced && !self.may_be_applied() && self.closed_as(Outcome::Failed) && !self.acknowledged
    }

    /// For one whose leak is not contained: when that was declared.
    pub fn leaking_since(&self) -> Option<Timestamp> {
        (self.contained() == Some(false)).then(|| self.leak_since())
    }

    /// Whether all this was found a short while before `now` and nothing has happened since, so that it need not be recorded again: who
    /// waits for a person looks often.
    pub fn found_just_so(&self, receivers: &[Probed], now: Timestamp) -> bool {
        let is_short = |since: Timestamp| (SignedDuration::ZERO..SAME_AGAIN).contains(&now.duration_since(since));
        let known = |found: &Probed| self.probed.get(&found.url).is_some_and(|(_, known)| known == found);
        self.quiet_since.is_some_and(is_short) && receivers.iter().all(known)
    }

    /// Receivers that were found to do the opposite of what a step says, by their last probe.
    pub fn contradicting(&self, step: Step) -> Vec<&Probed> {
        // One that was only asked about by the way stands in nobody's way.
        let ours = |found: &&Probed| self.plan.receivers.contains(&found.url);
        let found = self.probed.values().map(|(_, found)| found).filter(ours);
        match step {
            Step::Deploy | Step::Verify => found.filter(|found| found.accepts_new == Some(false)).collect(),
            // One that refuses everything has dropped nothing: it is down for whoever signs.
            Step::Drop => {
                found.filter(|found| found.rejects_old == Some(false) || found.accepts_new == Some(false)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether it was abandoned where what is live may be dead: nobody knows what came of the call, or the new secret never
    /// went live and the old one has ended.
    pub fn left_a_dead_secret(&self, now: Timestamp) -> bool {
        let is_unknown = self.closed_as(Outcome::Abandoned) && self.lacks_answer() && !self.is_undone();
        is_unknown || (self.gave_up_before_live() && !self.old_secret_lives(now))
    }

    /// Until when the old secret lives, where it does at `now` and that is known: so long no other rotation is begun.
    pub fn overlap_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at().filter(|_| self.old_secret_lives(now))
    }

    /// Whether nobody can say that the live slot holds a secret that is alive.
    pub fn is_unsettled(&self, now: Timestamp) -> bool {
        (self.closed.is_none() && self.lacks_answer()) || self.lost_its_secret() || self.left_a_dead_secret(now)
    }

    /// Whether it was closed as applied although nobody has its secret.
    pub fn lost_its_secret(&self) -> bool {
        self.closed_as(Outcome::Failed) && self.lacks_answer()
    }

    /// Who put the old secret back, where the new one is not live again.
    pub fn taken_back(&self) -> Option<&RolledBack> {
        self.rolled_back.as_ref().filter(|_| !self.done.contains_key(&Step::Promote))
    }

    /// Whether it was given up before its secret went live, so that what is live ends, or has ended, with the old one.
    pub fn gave_up_before_live(&self) -> bool {
        let is_given_up = self.closed_as(Outcome::Abandoned) && !self.is_undone();
        is_given_up && self.answered().is_some() && !self.done.contains_key(&Step::Promote)
    }

    /// Whether it went back from a second endpoint with the first one untouched, whose secret stays what it is.
    fn is_undone(&self) -> bool {
        let is_touched = self.ending.is_some() || self.done.contains_key(&Step::End);
        self.second().is_some() && self.rolled_back.is_some() && !is_touched
    }

    /// Whether it says of a leak that nobody has dealt with it. What was given up before anything was sent says nothing, and what was
    /// handed over is contained by whoever has it.
    fn is_leaking(&self) -> bool {
        let is_dealt_with = self.acknowledged && !self.closed_as(Outcome::Superseded);
        let is_nothing = !self.may_be_applied() && self.closed_as(Outcome::Abandoned);
        self.is_for_a_leak() && !is_dealt_with && !is_nothing && !self.closed_as(Outcome::HandedOver)
    }

    /// Whether somebody else's rotation came after it, and nobody has said that this is dealt with.
    pub fn is_superseded(&self) -> bool {
        self.closed_as(Outcome::Superseded) && !self.acknowledged
    }

    pub(super) fn closed_as(&self, outcome: Outcome) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.outcome == outcome)
    }

    /// Whether the stores have, or are to have, a secret of ours that the provider has not been sent.
    pub fn is_unsent(&self) -> bool {
        self.made.is_some() && !self.may_be_applied()
    }

    /// Whether it is closed, and its secret of ours was given to nobody: what is sealed of it is of no use.
    pub fn is_never_sent(&self) -> bool {
        self.closed.is_some() && self.plan.direction.is_set() && !self.may_be_applied()
    }

    /// Whether anything was ever sent that may have been applied.
    pub fn may_be_applied(&self) -> bool {
        self.call != Call::NotApplied
    }
}

impl Record {
    /// Whether the call was sent, and nobody has an answer to it that is of use.
    pub fn lacks_answer(&self) -> bool {
        matches!(self.call, Call::Unknown { .. } | Call::Unreadable { .. } | Call::Unread)
    }
}

/// The rotations since a receiver was last proved, or said, to have dropped an old secret. That one is among them where the secret
/// that it brought has leaked.
fn since_the_last_drop(newest_first: &[Rotation]) -> impl Iterator<Item = &Rotation> {
    let mut is_over = false;
    newest_first.iter().take_while(move |rotation| {
        let is_in = !is_over && (rotation.new_leaked.is_some() || !rotation.done.contains_key(&Step::Drop));
        is_over |= rotation.done.contains_key(&Step::Drop);
        is_in
    })
}

/// The rotation of a leak which is not contained: no receiver has dropped an old secret since, as proved or said.
pub fn leaking(newest_first: &[Rotation]) -> Option<&Rotation> {
    since_the_last_drop(newest_first).filter(|rotation| rotation.is_leaking()).last()
}

/// Whether nothing is under way that would contain that leak: the last call for it was refused, or has brought a secret that
/// leaked as well.
pub fn is_unanswered(newest_first: &[Rotation]) -> bool {
    let newest = since_the_last_drop(newest_first).find(|rotation| rotation.is_leaking());
    newest.is_some_and(|newest| newest.failed_to_contain() || newest.new_leaked.is_some())
}

/// Secrets that receivers may have been given and nobody has shown to be refused since; and the one that is `said` to have
/// leaked.
pub fn suspects(newest_first: &[Rotation], said: Option<&Fingerprint>) -> BTreeSet<Fingerprint> {
    // Receivers may have had one of ours long before it was sent.
    let sent =
        since_the_last_drop(newest_first).filter(|rotation| rotation.may_be_applied() || rotation.made.is_some());
    sent.flat_map(|rotation| {
        let is_given = [Step::Deploy, Step::Promote].iter().any(|step| rotation.done.contains_key(step));
        let new = rotation.new_secret();
        let is_said = new.is_some() && new == said;
        let new = new.filter(|_| is_given || is_said || rotation.new_leaked.is_some());
        // With the last drop its old one is dealt with.
        let old = rotation
            .before
            .current
            .as_ref()
            .filter(|_| !rotation.done.contains_key(&Step::Drop) && rotation.may_be_applied());
        [old, new].into_iter().flatten().cloned()
    })
    .collect()
}

/// The rotations of an endpoint that anything here still depends on, and when what is live came: without the others the same is
/// said of it, whatever is recorded of these and of new ones.
pub(super) fn that_count(newest_first: &[&Rotation]) -> BTreeSet<Uuid> {
    let (open, over): (Vec<&Rotation>, Vec<&Rotation>) =
        newest_first.iter().partition(|rotation| rotation.closed.is_none());
    // An open one may still undo what it has done, so that only one that is over puts an end to what came before it.
    let until = |is_last: fn(&Rotation) -> bool| {
        let end = over.iter().position(|rotation| is_last(rotation)).map_or(over.len(), |at| at + 1);
        over.iter().take(end).filter(move |rotation| {
            is_last(rotation) || rotation.is_leaking() || rotation.closed_as(Outcome::Superseded)
        })
    };
    let sent = || over.iter().rev().filter(|rotation| rotation.may_be_applied());
    let issued = |rotation: &Rotation| {
        let is_live = rotation.done.contains_key(&Step::Promote);
        rotation.done.get(&Step::Issue).filter(|_| is_live).map(|issued| issued.at)
    };
    let live = over.iter().rev().filter(|rotation| issued(rotation).is_some()).max_by_key(|rotation| issued(rotation));
    let counting = open.iter().chain(over.first()).chain(sent().next_back()).chain(live);
    let counting = counting.chain(sent().max_by_key(|rotation| rotation.closed.as_ref().map(|closed| closed.at)));
    let counting = counting.chain(until(|rotation| rotation.done.contains_key(&Step::Drop))).chain(until(is_settled));
    counting.map(|rotation| rotation.id).collect()
}

/// The newest rotation of which anything was ever sent that may have been applied: what is live is its doing.
pub fn newest_sent(newest_first: &[Rotation]) -> Option<&Rotation> {
    newest_first.iter().find(|rotation| rotation.may_be_applied())
}

/// The rotation that somebody else's came after, where nothing has been done about it: no later one's secret is live, and nobody
/// has said that it is dealt with.
pub fn overtaken(newest_first: &[Rotation]) -> Option<&Rotation> {
    newest_first.iter().take_while(|rotation| !is_settled(rotation)).find(|rotation| rotation.is_superseded())
}

/// Whether what somebody else did before it is of no matter any more.
fn is_settled(rotation: &Rotation) -> bool {
    match rotation.closed_as(Outcome::Superseded) {
        true => rotation.acknowledged,
        false => rotation.done.contains_key(&Step::Promote),
    }
}

#[cfg(test)]
#[path = "exposure_tests.rs"]
mod tests;
