//! Deliveries that may be failing: the call has ended the old secret, or found it dead, and nothing shows since that receivers take
//! the new one.

use jiff::{SignedDuration, Timestamp};

use super::{Call, How, Rotation, Step};

/// How long receivers may take to come along before nobody's word counts as bad news.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

impl Rotation {
    /// Since when deliveries may be failing, at `now` on our own clock: at once where a receiver was found to refuse the new
    /// secret, else where nothing has proved it for [`PATIENCE`] since the call.
    pub fn failing_since(&self, now: Timestamp) -> Option<Timestamp> {
        if self.closed.is_some() || !self.old_is_dead() {
            return None;
        }
        if let Some(since) = self.live_dead_since() {
            return Some(since);
        }
        // An answer may still give the old secret a while.
        if self.expires_at().is_some_and(|end| self.provider_now(now) < end) {
            return None;
        }
        let called = match &self.call {
            Call::NotApplied => None,
            Call::Answered(_) => self.done.get(&Step::Issue).map(|issued| issued.at),
            Call::Unknown { .. } | Call::Unreadable { .. } | Call::Unread => self.sent.first().map(|sent| sent.ours),
        }?;
        let is_late = now.duration_since(called) >= PATIENCE && self.accepted_at().is_none();
        (is_late || self.is_refused_since_accepted()).then_some(called)
    }

    /// When the new secret was last shown, or said, to be accepted by receivers.
    fn accepted_at(&self) -> Option<Timestamp> {
        let verified = self.done.get(&Step::Verify);
        let proved = self.done.get(&Step::Deploy).filter(|proof| matches!(proof.how, How::Probe | How::Delivery));
        let probed =
            self.plan.receivers.iter().map(|url| {
                self.probed.get(url).filter(|(_, found)| found.accepts_new == Some(true)).map(|(at, _)| *at)
            });
        // All of them, or it is no proof.
        let probed = probed.collect::<Option<Vec<_>>>().and_then(|times| times.into_iter().min());
        verified.into_iter().chain(proved).map(|proof| proof.at).chain(probed).max()
    }

    /// Whether a receiver refused the new secret when it was last probed, and nobody has said or shown the opposite since.
    fn is_refused_since_accepted(&self) -> bool {
        let refusing = |url: &String| {
            self.probed.get(url).filter(|(_, found)| found.accepts_new == Some(false)).map(|(at, _)| *at)
        };
        let accepted = self.accepted_at();
        self.plan.receivers.iter().filter_map(refusing).any(|at| accepted.is_none_or(|accepted| at > accepted))
    }
}
