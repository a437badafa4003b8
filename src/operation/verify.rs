//! Which secret signed a delivery: every slot of a target tried, and what that is evidence of.

use std::cell::LazyCell;

use jiff::Timestamp;

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::inventory::{self, Inventory, KnownSecret};
use crate::delivery::Delivery;
use crate::delivery::examine::{Cause, Examination, Examiner};
use crate::provider::signature::Scheme;
use crate::rotation::Event;
use crate::rotation::journal::JournalError;
use crate::secret::{Fingerprint, Secret};

/// A target whose deliveries are looked at.
pub struct Verify {
    pub inventory: Inventory,
    pub scheme: Scheme,
}

/// What came of one delivery.
pub struct Looked {
    pub examination: Examination,
    /// Whether a secret that is live or coming signed it, and recently.
    pub verified: bool,
    /// Another target that has the secret which signed it, and the slot.
    pub elsewhere: Option<(String, String)>,
    /// It says that it is a probe, which says nothing about the provider.
    pub is_marked: bool,
    /// This state folder has sent it as one.
    pub is_probe: bool,
    /// When its age was judged.
    pub at: Timestamp,
}

/// Deliveries that one secret signed.
pub struct Seen {
    pub secret: Fingerprint,
    pub deliveries: u64,
    pub signed_at: Option<Timestamp>,
}

impl Verify {
    /// Finds the secrets of a target, one that is given beside them, and how its provider signs. Fails where there is none of either.
    pub fn begin(context: &Context, name: &str, asked: &Asked, given: Option<Secret>) -> Result<Self, Error> {
        let mut inventory = inventory::look(context, name, asked)?;
        let provider = &inventory.target.endpoint.provider;
        let Some(scheme) = Scheme::of(provider) else {
            let message = format!("how {} signs deliveries is not described", provider.title());
            let hint = "describe it in a file of your own: `[signature]` in whsec-provider(5)";
            return Err(Stop::new(Kind::Usage, message, hint));
        };
        given.into_iter().for_each(|secret| inventory.add_from_stdin(secret));
        if inventory.secrets.is_empty() {
            let message = format!("no slot of `{}` holds a secret that can be read", inventory.target.name);
            let hint = "name a store that does (--store REF), or pipe one in: --secret-stdin";
            return Err(Stop::new(Kind::NotFound, message, hint));
        }
        Ok(Self { inventory, scheme })
    }

    /// Looks at the deliveries that `each` gives, one after the other. Their age is judged at this time; else where they say when
    /// they came; else now.
    pub fn look<E>(
        &self,
        context: &Context,
        at: Option<Timestamp>,
        each: impl FnOnce(&mut dyn FnMut(&Delivery<'_>)) -> Result<(), E>,
    ) -> Result<Vec<Looked>, E> {
        let examiner = self.inventory.examiner(&self.scheme);
        // Read for the first delivery that nothing here signed, and once.
        let others = LazyCell::new(|| others(context, &self.inventory.target.name));
        let mut looked = Vec::new();
        each(&mut |delivery| {
            let at = at.or(delivery.received_at).unwrap_or_else(|| context.now());
            let mut found = self.look_at(&examiner, delivery, at);
            if found.examination.matches.is_empty() && found.examination.causes.contains(&Cause::NoMatch) {
                found.elsewhere = signed_elsewhere(&others, &self.scheme, delivery);
            }
            looked.push(found);
        })?;
        Ok(looked)
    }

    fn look_at(&self, examiner: &Examiner<'_>, delivery: &Delivery<'_>, at: Timestamp) -> Looked {
        let examination = examiner.examine(delivery, Some(at.as_second()));
        let is_live = |index: usize| self.inventory.secrets.get(index).is_some_and(KnownSecret::is_live);
        let verified = examination.causes.is_empty() && examination.matches.iter().any(|found| is_live(found.secret));
        Looked {
            examination,
            verified,
            elsewhere: None,
            is_marked: delivery.is_marked(),
            is_probe: examiner.is_probe(delivery),
            at,
        }
    }

    /// What these deliveries are evidence of, by the secret that signed them; those that are too old are no evidence.
    pub fn seen(&self, looked: &[Looked]) -> Vec<Seen> {
        let real = || looked.iter().filter(|delivery| !delivery.is_marked).map(|delivery| &delivery.examination);
        let fresh = || real().filter(|found| found.causes.is_empty());
        let of = |(index, known): (usize, &KnownSecret)| {
            let signed = || fresh().filter(|found| found.matches.iter().any(|matching| matching.secret == index));
            let signed_at = signed().filter_map(|found| Timestamp::from_second(found.signed_at?).ok()).max();
            Seen { secret: known.fingerprint.clone(), deliveries: signed().count() as u64, signed_at }
        };
        let known = self.inventory.secrets.iter().enumerate().filter(|(_, known)| !known.is_only_given());
        known.map(of).collect()
    }

    /// Journals what was seen; whether the new secret is among it, which is evidence for the step `verify`. A rotation that was
    /// closed meanwhile gets none of it.
    pub fn record(&mut self, context: &Context, seen: Vec<Seen>) -> Result<bool, JournalError> {
        let inventory = &mut self.inventory;
        let Some(rotation) = inventory.open.as_mut() else { return Ok(false) };
        let Some(new) = rotation.new_secret().cloned() else { return Ok(false) };
        let seen: Vec<Seen> = seen.into_iter().filter(|seen| seen.deliveries > 0).collect();
        let open = inventory.journal.find_open(&rotation.plan.endpoint_key)?;
        if seen.is_empty() || open.is_none_or(|open| open.id != rotation.id) {
            return Ok(false);
        }
        let is_evidence = seen.iter().any(|seen| seen.secret == new);
        let event = |Seen { secret, deliveries, signed_at }| Event::Seen { secret, deliveries, signed_at };
        let events: Vec<Event> = seen.into_iter().map(event).collect();
        inventory.journal.append(rotation, context.actor(), context.now(), &events)?;
        Ok(is_evidence)
    }
}

/// What is known of every other configured target. What cannot be read there is passed over.
fn others(context: &Context, own: &str) -> Vec<Inventory> {
    let Ok(config) = context.config() else { return Vec::new() };
    let names = config.names().filter(|name| *name != own);
    names.filter_map(|name| inventory::look_quietly(context, name).ok()).collect()
}

/// Another target with a secret that signed the delivery, and the slot.
fn signed_elsewhere(others: &[Inventory], scheme: &Scheme, delivery: &Delivery<'_>) -> Option<(String, String)> {
    others.iter().find_map(|other| {
        let found = other.examiner(scheme).look(delivery, None).matches.first().copied()?;
        Some((other.target.name.clone(), other.secrets.get(found.secret)?.slots()))
    })
}
