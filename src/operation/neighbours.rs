//! What other endpoints have in the same places, looked up by place: of the config, and of the journal as it was when it was read.
//!
//! One target builds it for itself. Where many are at work they share one from before the first of them: what the others of them begin
//! is in the config, and told apart there.

use std::collections::BTreeMap;

use crate::config::{KeySource, Target};
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::{Plan, PlannedStore, Rotation};
use crate::store::{self, Reference, Slot, Store, Surroundings, places};

/// A slot with where it is.
pub type Placed = (Slot, String);

/// What the config's targets have where.
#[derive(Debug, Default)]
pub struct Configured {
    /// The target whose API key is there.
    keys: BTreeMap<String, String>,
    /// The targets with a slot there, and their endpoints' keys.
    slots: BTreeMap<String, Vec<(String, String)>>,
}

impl Configured {
    /// Takes in what a target has, if it has stores that open, under the endpoint that it is of by now.
    pub fn take(&mut self, target: &Target, key: &str, stores: &[Box<dyn Store>]) {
        for (_, place) in stores.iter().flat_map(|store| placed(store.as_ref())) {
            self.slots.entry(place).or_default().push((target.name.clone(), key.to_owned()));
        }
    }

    /// Takes in where a target's API key is.
    pub fn take_key(&mut self, target: &Target) {
        if let Some(place) = key_place(target) {
            self.keys.entry(place).or_insert_with(|| target.name.clone());
        }
    }

    /// The target whose API key is in a place.
    pub fn key_in(&self, place: &str) -> Option<&str> {
        self.keys.get(place).map(String::as_str)
    }

    /// A target of another endpoint than this one with a slot in a place.
    pub fn other_in(&self, place: &str, endpoint: &str) -> Option<&str> {
        let there = self.slots.get(place)?;
        there.iter().find(|(_, key)| key != endpoint).map(|(name, _)| name.as_str())
    }
}

/// The journal from before many were begun: the open rotations, and the newest ones of each endpoint.
#[derive(Debug, Default)]
pub struct Journaled {
    open: Vec<Rotation>,
    newest: Vec<Rotation>,
    places: BTreeMap<String, Vec<usize>>,
}

impl Journaled {
    /// Reads it.
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let newest = journal.newest_of_others("", &|_| true)?;
        let mut found = Self { open: journal.open_rotations()?, places: BTreeMap::new(), newest };
        for (at, rotation) in found.newest.iter().enumerate() {
            for (_, place) in of_plan(&rotation.plan) {
                found.places.entry(place).or_default().push(at);
            }
        }
        Ok(found)
    }

    /// The open rotations that go by a target's name, or by the name of its endpoint.
    pub fn open_near(&self, target: &Target) -> Vec<Rotation> {
        let (key, ids, provider) = (target.endpoint.key(), &target.endpoint.ids, target.endpoint.provider.name());
        let is_near = |plan: &Plan| {
            plan.target == target.name || plan.endpoint_key == key || (plan.provider == provider && plan.ids == *ids)
        };
        self.open.iter().filter(|open| is_near(&open.plan)).cloned().collect()
    }

    /// The rotations of other endpoints that have a slot in one of these places.
    pub fn others_in(&self, places: &[&str], endpoint: &str) -> Vec<Rotation> {
        let mut at: Vec<usize> = places.iter().filter_map(|place| self.places.get(*place)).flatten().copied().collect();
        at.sort_unstable();
        at.dedup();
        let found = at.into_iter().filter_map(|at| self.newest.get(at));
        found.filter(|rotation| rotation.plan.endpoint_key != endpoint).cloned().collect()
    }
}

/// What others have, read once for many that are at work.
#[derive(Debug)]
pub struct Neighbours {
    pub configured: Configured,
    pub journaled: Journaled,
}

/// Where a target's API key is, as far as that is a place where secrets may be put.
pub fn key_place(target: &Target) -> Option<String> {
    let reference = match target.api_key.as_ref()? {
        KeySource::Store(reference) => reference.clone(),
        KeySource::File(path) => Reference::File { path: path.clone() },
        KeySource::Keychain { service, account } => {
            Reference::Keychain { service: service.clone(), account: account.clone() }
        }
        KeySource::Env(_) | KeySource::Command(_) => return None,
    };
    let store = store::open(&reference, &store::SlotNames::default(), &target.surroundings).ok()?;
    let places = places(&reference, store.as_ref());
    places.into_iter().find(|(slot, _)| *slot == Slot::Current).map(|(_, place)| place)
}

/// The slots of an open store; its reference is one that can be parsed.
pub fn placed(store: &dyn Store) -> Vec<Placed> {
    Reference::parse(&store.reference()).map(|reference| places(&reference, store)).unwrap_or_default()
}

/// The slots of a plan's stores.
pub fn of_plan(plan: &Plan) -> Vec<Placed> {
    plan.stores.iter().flat_map(of_planned).collect()
}

fn of_planned(planned: &PlannedStore) -> Vec<Placed> {
    let Ok(reference) = Reference::parse(&planned.reference) else { return Vec::new() };
    let store = store::open(&reference, &planned.names, &Surroundings::default());
    store.map(|store| placed(store.as_ref())).unwrap_or_default()
}
