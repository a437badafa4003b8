//! Before an old secret dies with the call: whether receivers would take a second one, by a throw-away secret in `next`.

use super::drift::{self, Act, Drift};
use super::guard::refuse;
use super::operator::Reply;
use super::runner::Runner;
use super::{Event, How, Outcome, RunError, Step};
use crate::delivery::probe::{Prober, Report, Secrets};
use crate::http::shown_address;
use crate::provider::made;
use crate::provider::spec::{SecretForm, SecretSpec};
use crate::secret::Secret;
use crate::store::{Slot, StoreError, readable, slots};

/// In the form of real ones, which every scheme can decode.
const THROWAWAY: SecretSpec = SecretSpec { form: SecretForm::Whsec, bytes: Some(32), prefix: None };

impl Runner<'_> {
    /// Puts a throw-away secret into `next`, lets the person make the receivers read it, probes them, and clears the slot
    /// again. `false` where it has to wait for a person. Nothing has been sent to the provider by then.
    pub(super) fn try_receivers(&mut self) -> Result<bool, RunError> {
        let prober = self.prober.filter(|_| !self.rotation.plan.receivers.is_empty());
        let prober = prober.ok_or(RunError::CannotProbe { why: "there is no receiver that may be probed" })?;
        let Some(live) = self.live_secret()? else {
            return Err(RunError::CannotProbe { why: "no store holds a live secret that receivers have by now" });
        };
        self.refuse_coming_secret()?;
        refuse(self.drifts(Act::Stage), false)?;
        let throwaway = made::secret(&THROWAWAY).map_err(|why| RunError::NotMade { why })?;
        // Written ahead: whoever finds it in the slot after a crash knows that it is nobody's.
        self.record(&[Event::Tried { fingerprint: throwaway.fingerprint() }])?;
        let mut stores = readable(self.stores);
        let known = self.rotation.clone();
        let staged = stores.try_for_each(|store| {
            slots::stage(store, &throwaway, &|held| drift::is_known(&known, Act::Stage, store, held))
        });
        let settled = match staged {
            Ok(()) => self.try_until_settled(prober, &Secrets { new: Some(&throwaway), old: Some(&live) }),
            Err(error) => Err(RunError::StoreCheck(error)),
        };
        // Every store, whatever became of the others.
        let (cleared, drifts) = self.clear_trial(&throwaway);
        if let Err(error @ RunError::NotReady { .. }) = &settled {
            let reason = Some(error.to_string());
            self.record(&[Event::Closed { outcome: Outcome::Failed, reason }])?;
        }
        let settled = settled?;
        cleared.map_err(RunError::StoreCheck)?;
        refuse(drifts, false)?;
        let Some(how) = settled else { return Ok(false) };
        self.record(&[Event::Done { step: Step::Prepare, how }])?;
        Ok(true)
    }

    /// Refuses to overwrite a secret in `next` that may be the only copy of it: one that a rotation brought, say, and that was
    /// given up before it went live.
    fn refuse_coming_secret(&self) -> Result<(), RunError> {
        let known = self.journal.of_endpoint(&self.rotation.plan.endpoint_key)?;
        for store in readable(self.stores) {
            let Some(next) = store.get(Slot::Next).map_err(RunError::StoreCheck)? else { continue };
            let fingerprint = next.fingerprint();
            if !known.iter().any(|rotation| rotation.tried.contains(&fingerprint)) {
                return Err(RunError::StoreCheck(StoreError::Refused {
                    store: store.reference(),
                    why: format!(
                        "`{}` holds a secret ({fingerprint}) that --probe-first would overwrite",
                        store.slot_name(Slot::Next)
                    ),
                    hint: "it may be the only copy of it: leave --probe-first out, or move it where it belongs".into(),
                }));
            }
        }
        Ok(())
    }

    /// Takes the throw-away secret out of every `next`, and nothing else that somebody may have put there meanwhile.
    fn clear_trial(&self, throwaway: &Secret) -> (Result<(), StoreError>, Vec<Drift>) {
        let (mut failed, mut drifts) = (Ok(()), Vec::new());
        for store in readable(self.stores) {
            let cleared = slots::look(store).and_then(|seen| match &seen.next {
                Some(found) if *found == throwaway.fingerprint() => store.apply_seen(&seen, &[(Slot::Next, None)]),
                Some(_) => self.drifts_of(store, Act::Stage).map(|found| drifts.extend(found)),
                None => Ok(()),
            });
            failed = failed.and(cleared);
        }
        (failed, drifts)
    }

    fn try_until_settled(&mut self, prober: &Prober, secrets: &Secrets<'_>) -> Result<Option<How>, RunError> {
        loop {
            // Nobody else may act meanwhile: a throw-away secret is in the slots.
            let reply = self.operator.do_step(self.rotation, Step::Prepare);
            if let Reply::Done { reason: Some(reason) } = reply {
                return Ok(Some(How::Word { reason: Some(reason) }));
            }
            if reply == Reply::NotNow || self.operator.wants_to_stop() {
                return Ok(None);
            }
            let reports = self.probe_with(prober, secrets);
            if self.operator.wants_to_stop() {
                return Ok(None);
            }
            let unready = reports.iter().find(|report| !is_ready(report));
            match (unready, reply) {
                (None, _) => return Ok(Some(How::Probe)),
                // A person at a terminal may mend it and look again; a script gets an answer.
                (Some(_), Reply::LookAgain) => {}
                (Some(report), _) => {
                    let next = readable(self.stores).map(|store| store.slot_name(Slot::Next)).collect();
                    return Err(RunError::NotReady {
                        url: shown_address(&report.url),
                        finds: report.verdict.finds(),
                        next,
                    });
                }
            }
        }
    }
}

/// Whether a receiver accepts the live secret and a second one.
fn is_ready(report: &Report) -> bool {
    report.accepts_new() == Some(true) && report.rejects_old() == Some(false)
}
