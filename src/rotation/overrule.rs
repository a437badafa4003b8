//! A person goes on over what somebody else has put into a slot: by its fingerprint, sealed first, and not where the provider
//! speaks for it.

use super::drift::{Act, Drift};
use super::operator::News;
use super::person_steps::overruled_seal;
use super::runner::Runner;
use super::seal::Sealed;
use super::superseded::{Difference, Finding};
use super::{Event, Overruled, Record, RunError, Step};
use crate::secret::Fingerprint;
use crate::store::{Slot, readable};

impl Record {
    /// Takes into account that a person goes on over what is in a slot.
    pub(super) fn take_over(&mut self, overruled: &Overruled) {
        if overruled.slot == Slot::Current && self.stores_done.remove(&(Step::Promote, overruled.store.clone())) {
            // It has to go live there once more, and nobody knows what receivers have read meanwhile.
            self.undo(&[Step::Promote]);
        }
        self.last_overruled = overruled.found.clone().or_else(|| self.last_overruled.take());
        self.overruled.insert(overruled.clone());
    }
}

impl Runner<'_> {
    /// What has drifted of the slots that this rotation is to change.
    pub fn drifted(&self) -> Vec<Drift> {
        if self.rotation.new_secret().is_none() { Vec::new() } else { self.drifts(Act::due(self.rotation)) }
    }

    /// Rules out what slots hold that has this fingerprint, or that they are empty where there is none. Only what is found
    /// there now, and once it is sealed.
    pub fn rule_out(&mut self, found: Option<&Fingerprint>, reason: &str) -> Result<(), RunError> {
        let named: Vec<Drift> = self.drifted().into_iter().filter(|drift| drift.found.as_ref() == found).collect();
        let name = found.map_or("nothing that was there".to_owned(), ToString::to_string);
        let Some(first) = named.first() else { return Err(RunError::NotDrifted { found: name }) };
        if let Some(found) = found {
            self.refuse_favoured(found)?;
            self.seal_foreign(first, found)?;
        }
        let event = |drift: &Drift| Event::Overridden {
            why: format!("`{}` of `{}` holds {name}", drift.name, drift.store),
            reason: reason.to_owned(),
            slot: Some(Overruled { store: drift.store.clone(), slot: drift.slot, found: drift.found.clone() }),
        };
        self.record(&named.iter().map(event).collect::<Vec<_>>())
    }

    /// Refuses where what the provider shows speaks for the foreign secret, or against ours.
    fn refuse_favoured(&mut self, found: &Fingerprint) -> Result<(), RunError> {
        let provider = self.endpoint.provider.title().to_owned();
        let key = self.api_key.filter(|_| self.endpoint.provider.shows());
        let shown = key.and_then(|key| self.client.inspect(self.endpoint, key).ok());
        let Some(shown) = shown else {
            let warning = format!("{provider} cannot be asked which secret is alive; going on, as was said");
            self.operator.tell(self.rotation, News::Warning(&warning));
            return Ok(());
        };
        match favours(self.find(&shown), shown.fingerprint.as_deref(), found) {
            Some(why) => Err(RunError::Favoured { found: found.to_string(), why: format!("{provider} shows {why}") }),
            None => Ok(()),
        }
    }

    /// Seals a foreign secret under an id of its own, so that it is never gone for good.
    fn seal_foreign(&mut self, drift: &Drift, found: &Fingerprint) -> Result<(), RunError> {
        let id = overruled_seal(self.rotation.id, found);
        let mut holders = readable(self.stores).filter(|store| store.reference() == drift.store);
        let held = holders.find_map(|store| store.get(drift.slot).ok().flatten());
        let Some(held) = held.filter(|held| held.fingerprint() == *found) else {
            return Err(RunError::NotDrifted { found: found.to_string() });
        };
        self.seals.seal(id, &Sealed::new(None, held.expose())).map_err(RunError::SealFailed)?;
        let path = self.seals.path(id);
        let warning = format!("{found} is kept sealed in {}: `reveal --slot overridden` shows it", path.display());
        self.operator.tell(self.rotation, News::Warning(&warning));
        Ok(())
    }
}

/// What a provider shows that speaks for a foreign secret, or against the one that it answered with.
fn favours(finding: Finding, fingerprint: Option<&str>, foreign: &Fingerprint) -> Option<String> {
    match finding {
        Finding::Superseded(Difference { what, ours, theirs }) | Finding::Behind(Difference { what, ours, theirs }) => {
            Some(format!("{what} {theirs}, and ours is {ours}"))
        }
        // Where its own short form is made of the same digest.
        Finding::Same | Finding::Touched(_) | Finding::Unknown => {
            let theirs = fingerprint.filter(|text| text.to_lowercase().contains(foreign.digits()))?;
            Some(format!("the fingerprint {theirs}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a1_the_providers_evidence_speaks_for_a_secret_or_against_ours() {
        let foreign = Secret::new("whsec_foreign").fingerprint();
        let differs = || Difference { what: "version", ours: "2".to_owned(), theirs: "3".to_owned() };
        let (short, digest) = (Some("kf_2"), format!("SHA256:{}99", foreign.digits().to_uppercase()));
        for (finding, fingerprint, speaks) in [
            (Finding::Same, None, false),
            (Finding::Same, short, false),
            (Finding::Unknown, short, false),
            // A description may have been edited.
            (Finding::Touched(differs()), short, false),
            (Finding::Superseded(differs()), None, true),
            (Finding::Behind(differs()), None, true),
            (Finding::Unknown, Some(digest.as_str()), true),
        ] {
            let name = format!("{finding:?} {fingerprint:?}");
            assert_eq!(favours(finding, fingerprint, &foreign).is_some(), speaks, "{name}");
        }
    }
}
