//! The steps of a person: done on proof, on a delivery that was verified, or on somebody's recorded word, and never
//! silently against what receivers were found to do.

use jiff::Timestamp;
use uuid::Uuid;

use super::agreed::Agreed;
use super::lease::Meanwhile;
use super::operator::{Awaited, News, Reply};
use super::runner::Runner;
use super::seal::Sealed;
use super::{Ending, Event, How, Probed, RunError, Step};
use crate::delivery::probe::{Prober, Report, Secrets};
use crate::http::shown_address;
use crate::secret::{Fingerprint, Secret};
use crate::store::{Slot, readable};

impl Runner<'_> {
    /// Comes to the end of a person's step; `false` where it has to wait for one.
    pub(super) fn settle_step(&mut self, step: Step) -> Result<bool, RunError> {
        if step == Step::Prepare && self.rotation.plan.probe_first {
            return self.try_receivers();
        }
        if step == Step::Issue {
            return self.take();
        }
        if step == Step::End && matches!(self.rotation.plan.ending, Some(Ending::Call(_))) {
            return self.end_by_call();
        }
        self.agreed = Agreed::default();
        let is_provable = matches!(step, Step::Verify | Step::Drop);
        // What receivers do decides whether the old secret may be ended, and it is asked for right before that.
        let is_gated = is_provable || step == Step::End;
        // What was found for the deploy serves the verify behind it, and nothing later.
        self.probed &= step == Step::Verify;
        if is_gated && self.prober.is_some() {
            self.operator.tell(self.rotation, News::Begins(step));
        }
        loop {
            if is_provable && self.prove(step)? {
                return Ok(true);
            }
            if step == Step::End {
                if !self.refuse_leaked()? {
                    return Ok(true);
                }
                self.probe()?;
            }
            if self.operator.wants_to_stop() {
                return Ok(false);
            }
            let reply = self.awaits(Awaited::Step(step), |operator, rotation| operator.do_step(rotation, step));
            // Whoever was waited for may have taken days.
            self.looked = self.looked.filter(|_| self.lock.is_held());
            if matches!(reply, Reply::Done { .. } | Reply::LookAgain) {
                match self.reacquire()? {
                    Meanwhile::Nothing => {}
                    Meanwhile::WentOn => return Ok(true),
                    Meanwhile::Stopped => return Ok(false),
                }
            }
            match reply {
                Reply::Done { reason } => {
                    if reason.is_none() && is_provable && self.probed {
                        // What they say may have been done since the receivers were probed.
                        self.probed = false;
                        if self.prove(step)? {
                            return Ok(true);
                        }
                    }
                    if is_gated {
                        let refusal = |url, finds| RunError::Contradicted { step, url, finds };
                        let proof = if step == Step::End { Step::Verify } else { step };
                        self.overrule(proof, reason.as_deref(), refusal)?;
                    }
                    if step == Step::Verify && reason.is_none() && self.rotation.is_unsent() {
                        return Err(RunError::Unproved { provider: self.endpoint.provider.title().to_owned() });
                    }
                    let said = [Event::Done { step, how: How::Word { reason } }];
                    // Whoever goes on before the call asks anew.
                    if step == Step::Prepare {
                        self.record_soon(&said)?
                    } else {
                        self.record(&said)?
                    }
                    self.probed = false;
                    return Ok(true);
                }
                // What others have journaled meanwhile counts.
                Reply::LookAgain => self.probed = false,
                Reply::NobodyToAsk if step == Step::Deploy && self.prober.is_some() => {
                    self.operator.tell(self.rotation, News::Begins(step));
                    return self.prove(step);
                }
                Reply::NotNow | Reply::NobodyToAsk => return Ok(false),
            }
        }
    }

    /// Fails as `refusal` says where receivers do the opposite of a step, unless there is a reason, which is on record then.
    pub(super) fn overrule(
        &mut self,
        step: Step,
        reason: Option<&str>,
        refusal: impl FnOnce(String, &'static str) -> RunError,
    ) -> Result<(), RunError> {
        let contradicting = self.rotation.contradicting(step);
        let Some((url, finds)) = contradicting.first().map(|found| (shown_address(&found.url), found.verdict.finds()))
        else {
            return Ok(());
        };
        let Some(reason) = reason else { return Err(refusal(url, finds)) };
        let why = format!("{url} {finds}");
        self.operator.tell(self.rotation, News::Warning(&format!("{why}; going on, as was said")));
        self.record(&[Event::Overridden { why, reason: reason.to_owned(), slot: None }])
    }

    /// Probes the receivers and fails where one rejects the new secret, unless somebody says why that is no matter.
    pub fn gate(&mut self, override_reason: Option<&str>) -> Result<(), RunError> {
        self.probe()?;
        self.overrule(Step::Deploy, override_reason, |url, finds| RunError::Unsafe { url, finds })
    }

    /// Whether a step is proved: by every receiver, or by a delivery that was verified since the deploy, where no receiver does
    /// the opposite.
    fn prove(&mut self, step: Step) -> Result<bool, RunError> {
        self.probe()?;
        let how = if self.is_proved_by_receivers(step) {
            How::Probe
        } else if step == Step::Verify && self.is_seen_since_deploy() && self.rotation.contradicting(step).is_empty() {
            How::Delivery
        } else {
            return Ok(false);
        };
        self.operator.tell(self.rotation, News::Proved(step, &how));
        self.record(&[Event::Done { step, how }])?;
        Ok(true)
    }

    /// Whether every receiver is seen to accept the new secret, by this process and since the last change that it knows of.
    pub(super) fn is_seen_to_accept(&mut self) -> Result<bool, RunError> {
        self.probe()?;
        Ok(self.is_proved_by_receivers(Step::Verify))
    }

    fn is_proved_by_receivers(&self, step: Step) -> bool {
        let receivers = &self.rotation.plan.receivers;
        let proved = |url: &String| match self.rotation.probed.get(url) {
            Some((_, found)) if step == Step::Drop => found.rejects_old == Some(true),
            Some((_, found)) => found.accepts_new == Some(true),
            None => false,
        };
        self.probed && !receivers.is_empty() && receivers.iter().all(proved)
    }

    /// What was signed before the deploy says that the provider signs, and nothing of the receivers.
    fn is_seen_since_deploy(&self) -> bool {
        let seen = self.rotation.answered().and_then(|answered| self.rotation.seen.get(&answered.fingerprint));
        let Some((seen, deployed)) = seen.zip(self.rotation.done.get(&Step::Deploy)) else { return false };
        // Signatures bear whole seconds of the provider's clock.
        let since = |at: Timestamp| at.as_second() >= self.rotation.provider_time(deployed.at).as_second();
        seen.signed_at.map_or(seen.at >= deployed.at, since)
    }

    /// Asks every receiver what it accepts and journals it; once, until something has changed.
    pub(super) fn probe(&mut self) -> Result<(), RunError> {
        let Some(prober) = self.prober.filter(|_| !self.probed && !self.rotation.plan.receivers.is_empty()) else {
            return Ok(());
        };
        // They are signed at the provider's time, of which the journal may have known before our clock was put right.
        if self.looked.is_none() && self.rotation.answered().is_some() {
            self.look_again(false)?;
        }
        // Where nothing has the new secret any more there is nothing to sign with, and nothing is proved.
        let Ok(new) = self.secret() else { return Ok(()) };
        let old = self.old_secret(&new);
        let reports = self.probe_with(prober, &Secrets { new: Some(&new), old: old.as_ref() });
        if self.operator.wants_to_stop() {
            return Ok(());
        }
        let mut receivers: Vec<Probed> = reports.iter().map(probed).collect();
        self.probe_leaked(prober, &new, &mut receivers);
        if self.operator.wants_to_stop() {
            return Ok(());
        }
        if !self.rotation.found_just_so(&receivers, (self.now)()) {
            self.record(&[Event::Probed { receivers }])?;
        }
        self.rotation.stir();
        self.probed = true;
        Ok(())
    }

    /// Probes all receivers with these secrets and tells what came of it.
    pub(super) fn probe_with(&mut self, prober: &Prober, secrets: &Secrets<'_>) -> Vec<Report> {
        let mut reports = Vec::new();
        let ahead = self.rotation.clock_ahead((self.now)());
        for url in self.rotation.plan.receivers.clone() {
            let report = prober.probe(&url, secrets, ahead, &|| self.operator.wants_to_stop());
            self.operator.tell(self.rotation, News::Probed(&report));
            reports.push(report);
        }
        reports
    }

    /// The secret before this rotation, as far as a slot or a seal still has it.
    fn old_secret(&self, new: &Secret) -> Option<Secret> {
        let known = self.rotation.before.current.as_ref();
        let is_old = |secret: &Secret| secret != new && known.is_none_or(|known| *known == secret.fingerprint());
        let slots = readable(self.stores).flat_map(|store| [Slot::Current, Slot::Previous].map(|slot| (store, slot)));
        let mut held = slots.filter_map(|(store, slot)| store.get(slot).ok().flatten());
        held.find(is_old).or_else(|| {
            let seal = old_seal(self.rotation.id);
            let sealed = self.seals.exists(seal).then(|| self.seals.secret_of(seal, known).ok()).flatten();
            sealed.filter(is_old)
        })
    }

    /// Seals the old secret before it leaves the stores: without it nobody could prove that receivers refuse it.
    pub(super) fn keep_old(&mut self) {
        self.keep_leaked(&[]);
        let seal = old_seal(self.rotation.id);
        let is_proved = self.rotation.done.contains_key(&Step::Drop);
        if is_proved || self.prober.is_none() || self.rotation.plan.receivers.is_empty() || self.seals.keeps(seal) {
            return;
        }
        let old = self.secret().ok().and_then(|new| self.old_secret(&new));
        if let Some(old) = old
            && self.seals.seal(seal, &Sealed::new(None, old.expose())).is_err()
        {
            let warning = "the old secret could not be sealed, so no probe can prove that receivers refuse it";
            self.operator.tell(self.rotation, News::Warning(warning));
        }
    }
}

/// The seal of a rotation's old secret, beside that of the new one.
pub fn old_seal(rotation: Uuid) -> Uuid {
    // The version's bits differ from those of every rotation's own id, so that no two seals share a name.
    let mut bytes = rotation.into_bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    Uuid::from_bytes(bytes)
}

/// The seal of what somebody else had put into a slot, and a person has ruled out: one for each secret of a rotation.
pub fn overruled_seal(rotation: Uuid, found: &Fingerprint) -> Uuid {
    seal_beside(rotation, found, 0x90)
}

/// The seal of one more secret of a rotation, by its fingerprint and what it is kept for.
pub(super) fn seal_beside(rotation: Uuid, found: &Fingerprint, kind: u8) -> Uuid {
    let mut bytes = rotation.into_bytes();
    for (byte, digit) in bytes.iter_mut().zip(found.digits().bytes()) {
        *byte ^= digit;
    }
    bytes[6] = (bytes[6] & 0x0f) | kind;
    Uuid::from_bytes(bytes)
}

/// What is journaled of a receiver's report.
pub fn probed(report: &Report) -> Probed {
    Probed {
        url: report.url.clone(),
        verdict: report.verdict,
        accepts_new: report.accepts_new(),
        rejects_old: report.rejects_old(),
    }
}

#[cfg(test)]
#[path = "person_steps_tests.rs"]
mod tests;
