//! A person goes on over what somebody else has put into a slot: by its fingerprint, sealed first, and not where the provider
//! speaks for it.

use super::drift::{Act, Drift};
use super::gate::overruled_seal;
use super::operator::News;
use super::runner::Runner;
use super::seal::Sealed;
use super::{Answered, Event, Overruled, Rotation, RunError, Step};
use crate::provider::answer::Inspected;
use crate::secret::Fingerprint;
use crate::store::{Slot, readable};

impl Rotation {
    /// Takes into account that a person goes on over what is in a slot.
    pub(super) fn take_over(&mut self, overruled: &Overruled) {
        if overruled.slot == Slot::Current && self.stores_done.remove(&(Step::Promote, overruled.store.clone())) {
            // It has to go live there once more, and nobody knows what receivers have read meanwhile.
            for step in [Step::Promote, Step::Deploy, Step::Verify] {
                self.done.remove(&step);
            }
        }
        self.last_overruled = overruled.found.clone().or_else(|| self.last_overruled.take());
        self.overruled.insert(overruled.clone());
    }
}

impl Runner<'_> {
    /// What has drifted of the slots that this rotation is to change.
    pub fn drifted(&self) -> Vec<Drift> {
        if self.rotation.answered().is_none() { Vec::new() } else { self.drifts(Act::due(self.rotation)) }
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
        let key = self.api_key.filter(|_| self.endpoint.provider.spec().inspect.is_some());
        let shown = key.and_then(|key| self.client.inspect(self.endpoint, key).ok());
        let Some(shown) = shown else {
            let warning = format!("{provider} cannot be asked which secret is alive; going on, as was said");
            self.operator.tell(self.rotation, News::Warning(&warning));
            return Ok(());
        };
        match favours(&shown, self.answered()?, found) {
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
fn favours(shown: &Inspected, ours: &Answered, foreign: &Fingerprint) -> Option<String> {
    if let Some(live) = shown.secret.as_ref().map(crate::secret::Secret::fingerprint)
        && live != ours.fingerprint
    {
        return Some(format!("{live} as its secret"));
    }
    // Where its own short form is made of the same digest.
    if let Some(text) = shown.fingerprint.as_ref().filter(|text| text.to_lowercase().contains(foreign.digits())) {
        return Some(format!("the fingerprint {text}"));
    }
    let pairs =
        [("version", &shown.version, &ours.version), ("fingerprint", &shown.fingerprint, &ours.provider_fingerprint)];
    pairs.into_iter().find_map(|(what, now, then)| match (now, then) {
        (Some(now), Some(then)) if now != then => Some(format!("{what} {now}, and ours was {then}")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::answered;
    use super::*;
    use crate::rotation::Direction;
    use crate::secret::Secret;

    #[test]
    fn a1_the_providers_evidence_speaks_for_a_secret_or_against_ours() {
        let foreign = Secret::new("whsec_foreign");
        let mut ours = answered(Direction::Force);
        (ours.version, ours.provider_fingerprint) = (Some("2".to_owned()), Some("kf_2".to_owned()));
        let shown = |change: &dyn Fn(&mut Inspected)| {
            let mut shown = Inspected { version: Some("2".to_owned()), ..Inspected::default() };
            change(&mut shown);
            favours(&shown, &ours, &foreign.fingerprint())
        };
        assert_eq!(shown(&|_| {}), None);
        assert_eq!(shown(&|shown| shown.version = None), None);
        assert_eq!(shown(&|shown| shown.secret = Some(Secret::new("whsec_new"))), None);
        assert_eq!(shown(&|shown| shown.fingerprint = Some("kf_2".to_owned())), None);
        assert!(shown(&|shown| shown.version = Some("3".to_owned())).is_some());
        assert!(shown(&|shown| shown.secret = Some(foreign.clone())).is_some());
        assert!(shown(&|shown| shown.secret = Some(Secret::new("a third"))).is_some());
        assert!(shown(&|shown| shown.fingerprint = Some("kf_3".to_owned())).is_some());
        let digest = foreign.fingerprint().digits().to_uppercase();
        assert!(shown(&|shown| shown.fingerprint = Some(format!("SHA256:{digest}99"))).is_some());
    }
}
