//! What each event changes in what is known of a rotation: its only writer.

use super::{Answered, Call, Closed, Entry, Event, Handed, How, Outcome, Proof, Record, RolledBack, SentAt, Step};
use crate::store::Slot;

impl Record {
    /// Has these steps done once more, and with them whatever says that receivers run with the new secret.
    pub(super) fn undo(&mut self, steps: &[Step]) {
        self.done.retain(|step, _| !step.is_of_new_secret() && !steps.contains(step));
    }

    /// Takes one more event into account.
    pub(super) fn fold(&mut self, entry: &Entry) {
        let Entry { at, by, event } = entry;
        self.clock_set_back |= self.is_clock_set_back(*at);
        self.last_at = *at;
        self.begun_by.get_or_insert_with(|| by.clone());
        self.quiet_since = None;
        let proof = |how: How| Proof { at: *at, by: by.clone(), how };
        match event {
            Event::Checked { before } => {
                self.before = before.clone();
                self.hear_clock(before.clock_ahead_ms.unwrap_or(0));
                self.done.insert(Step::Check, proof(How::Tool));
                self.go_live_first();
            }
            Event::Made { fingerprint } => self.made = Some(fingerprint.clone()),
            Event::Given { fingerprint } => {
                if !self.done.contains_key(&Step::Prepare) {
                    // It is there already, and nothing can come before it.
                    self.plan.steps.retain(|step| *step != Step::Prepare);
                }
                self.call = Call::Answered(self.plan.given(fingerprint, self.provider_time(*at)));
                self.applied = true;
                self.done.insert(Step::Issue, proof(How::Word { reason: None }));
            }
            Event::Adopted { before, answered, reason } => {
                self.before = before.clone();
                self.hear_clock(answered.clock_ahead_ms);
                self.call = Call::Answered(answered.as_ref().clone());
                self.applied = true;
                let said = proof(How::Word { reason: reason.clone() });
                self.done.extend([Step::Check, Step::Issue].map(|step| (step, said.clone())));
                self.adopted = Some(said);
            }
            Event::Sent { attempt, key, .. } => {
                self.attempts = *attempt;
                self.sent_with.extend(key.clone());
                self.sent.push(SentAt { ours: *at, theirs: self.provider_time(*at) });
                self.set_unknown(None);
            }
            Event::Answered(answered) => {
                self.hear_clock(answered.clock_ahead_ms);
                // What was journaled before ends were doubted is read as it would be journaled now.
                let called_by = self.provider_time(self.sent.last().map_or(*at, |sent| sent.ours));
                self.call = Call::Answered(answered.clone().with_believable_end(&self.plan, called_by));
                self.applied = true;
                self.made_second(answered);
                if self.made.is_some() {
                    // What was seen before our own call is no measure of what comes after it.
                    self.after = None;
                }
                self.done.insert(Step::Issue, proof(How::Tool));
            }
            Event::Unreadable { why, .. } => {
                self.call = Call::Unreadable { why: why.clone() };
                self.applied = true;
            }
            Event::Applied { .. } => {
                self.call = Call::Unread;
                self.applied = true;
            }
            Event::NotApplied { .. } => {
                // Recorded only where no attempt may have been applied, so the key is as good as new; or of what was given, and is not
                // what it was taken for.
                self.applied = false;
                self.done.remove(&Step::Issue);
                self.sent.clear();
                self.sent_with.clear();
                self.call = Call::NotApplied;
            }
            Event::Lost { why, .. } => {
                self.set_unknown(Some(why.clone()));
                // Ours is where it was put before the call. Of any other, what a store had and has lost proves nothing that comes after.
                if self.made.is_none() {
                    self.after = None;
                    self.undo(&[Step::Stage]);
                    self.stores_done.clear();
                }
            }
            Event::Confirmed => self.confirmed = true,
            Event::Shown { after } => (self.after, self.doubt) = (Some(after.clone()), None),
            Event::Doubted { why } => self.doubt = Some(why.clone()),
            Event::ClockJumped { heard_ms, is_believed } => {
                heard_ms.last().filter(|_| *is_believed).into_iter().for_each(|ahead_ms| self.hear_clock(*ahead_ms));
            }
            Event::Acknowledged { .. } => self.acknowledged = true,
            Event::StoreDone { step, store } => {
                self.stores_done.insert((*step, store.clone()));
            }
            Event::Done { step, how } => {
                if *step == Step::Promote {
                    // Whoever puts the same over the new secret once more has to be ruled out once more.
                    self.overruled.retain(|overruled| overruled.slot != Slot::Current);
                }
                self.done.insert(*step, proof(how.clone()));
            }
            Event::RolledBack { reason } => {
                self.rolled_back = Some(RolledBack { at: *at, by: by.clone(), reason: reason.clone() });
                // Receivers that had dropped the old secret get it back.
                self.undo(&[Step::Promote, Step::Drop]);
                self.stores_done.retain(|(step, _)| *step != Step::Promote);
                // Whoever goes back has seen something that proofs from before did not.
                self.probed.clear();
                self.seen.clear();
            }
            Event::Ending { reason, .. } => self.ending = Some(reason.clone()),
            Event::NotEnded { .. } => self.ending = None,
            Event::Tried { fingerprint } => {
                self.tried.insert(fingerprint.clone());
            }
            Event::Probed { receivers } => {
                self.quiet_since = Some(*at);
                self.probed.extend(receivers.iter().map(|found| (found.url.clone(), (*at, found.clone()))));
            }
            Event::Seen { secret, deliveries, signed_at } => {
                let sighting = self.seen.entry(secret.clone()).or_default();
                sighting.deliveries = sighting.deliveries.saturating_add(*deliveries);
                sighting.at = *at;
                sighting.signed_at = sighting.signed_at.max(*signed_at);
            }
            Event::Notified { moment } => {
                self.notified.insert(moment.clone());
            }
            Event::Overridden { slot: Some(overruled), .. } => self.take_over(overruled),
            Event::LeakDeclared { reason, leaked } => {
                self.leak_declared_by.get_or_insert_with(|| by.clone());
                self.take_leak(*at, reason, leaked);
            }
            Event::StoreJoined { store, held } => self.join(store, held.as_ref()),
            Event::StoreLeft { store, .. } => {
                self.plan.stores.retain(|known| known.reference != *store);
                self.stores_done.retain(|(_, known)| known != store);
                self.joined.remove(store);
            }
            Event::ReceiverJoined { url } => self.join_receiver(url),
            Event::ReceiverLeft { url, .. } => self.plan.receivers.retain(|known| known != url),
            Event::HandedOver { to, reason, bound } => {
                for store in bound {
                    let known = self.plan.stores.iter_mut().find(|known| known.reference == store.reference);
                    known.into_iter().for_each(|known| known.server.clone_from(&store.server));
                }
                let handed = Handed { at: *at, by: by.clone(), to: to.clone(), reason: reason.clone() };
                let (outcome, reason) = (Outcome::HandedOver, Some(handed.to_words()));
                self.closed = Some(Closed { at: *at, by: by.clone(), outcome, reason });
                self.handed_over = Some(handed);
            }
            Event::Received => self.closed = self.closed.take().filter(|closed| closed.outcome != Outcome::HandedOver),
            // For the record alone.
            Event::Overridden { slot: None, .. } => {}
            Event::Closed { outcome, reason } => {
                // Closed as failed without an answer: a person has said that it was carried out.
                self.applied |= *outcome == Outcome::Failed && self.lacks_answer();
                self.closed = Some(Closed { at: *at, by: by.clone(), outcome: *outcome, reason: reason.clone() });
            }
        }
    }

    /// An answer that was gathered from elsewhere does not name the endpoint that an earlier one did.
    pub(super) fn made_second(&mut self, answered: &Answered) {
        if answered.endpoint.is_some() {
            self.second.clone_from(&answered.endpoint);
        }
    }

    /// An answer that came and could not be read is proof that the call was applied, whatever comes of a replay.
    fn set_unknown(&mut self, why: Option<String>) {
        if !matches!(self.call, Call::Unreadable { .. } | Call::Unread) {
            self.call = Call::Unknown { why };
        }
    }
}
