//! Whose secret a value is or was: in which slots it is, and what the journal knows of it, endpoints that left the config and rotations
//! that are over included.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::context::{Asked, Context};
use super::error::Error;
use super::{find, workspace};
use crate::config::Config;
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::{ExpirySource, Plan, Rotation};
use crate::secret::Fingerprint;
use crate::store::{Slot, Store, readable};
use crate::time::moment;

/// Where a secret is, and was.
pub struct Found {
    pub slots: Vec<Held>,
    pub known: Vec<Whose>,
    /// Targets that could not be looked at, each with why.
    pub unread: Vec<(String, Error)>,
}

/// A slot that holds something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    pub target: String,
    pub store: String,
    pub slot: &'static str,
    pub fingerprint: Fingerprint,
}

/// What a secret is, or was, to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Whose {
    /// The endpoint's key in the journal.
    #[serde(skip)]
    pub key: String,
    pub target: String,
    pub provider: String,
    pub endpoint: String,
    pub role: Role,
    /// When it came, or began to be the old one.
    pub since: Timestamp,
    /// When an old one ends or ended, on the provider's clock; absent where nobody says.
    pub ends_at: Option<Timestamp>,
    /// Whether that is over.
    pub ended: bool,
    /// Whether that rotation was adopted: what it brought came before `since`, nobody knows when.
    pub adopted: bool,
    /// How the rotation stands or ended that it is known by.
    pub rotation_status: &'static str,
}

/// The part that it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A rotation brought it, and none has replaced it.
    New,
    /// A rotation replaced it.
    Old,
    /// A rotation found it live, and has brought no other.
    Live,
    /// Made up to see whether receivers take a second secret.
    Throwaway,
}

impl Whose {
    /// Whether receivers may accept it.
    pub fn is_alive(&self) -> bool {
        !self.ended && self.role != Role::Throwaway
    }

    /// The same in words.
    pub fn words(&self) -> String {
        let since = moment(self.since);
        match (self.role, self.ends_at) {
            (Role::New, _) if self.adopted => {
                format!("came with the rotation that was adopted at {since} ({})", self.rotation_status)
            }
            (Role::New, _) => format!("came with the rotation of {since} ({})", self.rotation_status),
            (Role::Old, Some(end)) if self.ended => {
                format!("the old secret since {since}; it ended at {}", moment(end))
            }
            (Role::Old, Some(end)) => format!("the old secret since {since}; it lives until {}", moment(end)),
            (Role::Old, None) => format!("the old secret since {since}; nobody says when it ends"),
            (Role::Live, _) => format!("was live at {since}, and no rotation has replaced it since"),
            (Role::Throwaway, _) => format!("a throw-away secret of whsec's own, made at {since}; it opens nothing"),
        }
    }
}

impl Found {
    /// Whether it is nobody's.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.known.is_empty()
    }

    /// The targets whose receivers may accept it: it is live with them, or was replaced and has not ended.
    pub fn accepted_by(&self, config: &Config) -> BTreeSet<String> {
        let of_journal = self.known.iter().filter(|whose| whose.is_alive()).map(|whose| {
            // By the name that the config has for it by now.
            config.of_endpoint(&whose.key).next().unwrap_or(&whose.target).to_owned()
        });
        let live = self.slots.iter().filter(|held| held.slot == Slot::Current.name());
        of_journal.chain(live.map(|held| held.target.clone())).collect()
    }
}

/// Looks for a secret in every slot that can be read, and in the journal.
pub fn find(context: &Context, fingerprint: &Fingerprint) -> Result<Found, Error> {
    let journal = find::journal(context)?;
    let (mut slots, mut unread, mut looked) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut hold = |name: &str, held: Result<Vec<Held>, Error>| match held {
        Ok(held) => slots.extend(held.into_iter().filter(|held| held.fingerprint == *fingerprint)),
        Err(error) => unread.push((name.to_owned(), error)),
    };
    // Without a config there is what the journal knows.
    for name in context.config_at_hand()?.names() {
        let target = find::target(context, &journal, name, &Asked::default());
        looked.extend(target.iter().map(|target| target.endpoint.key()));
        hold(name, target.and_then(|target| held(name, &find::stores(context, &journal, &target, &Asked::default())?)));
    }
    // Endpoints that the config does not have, as their last rotation left them.
    let mut known = journal.closed_since(Timestamp::UNIX_EPOCH)?;
    known.extend(journal.open_rotations()?);
    for rotation in known.iter().rev().filter(|rotation| rotation.may_be_applied()) {
        if looked.insert(rotation.plan.endpoint_key.clone()) {
            hold(&rotation.plan.target, held_by_plan(context, &rotation.plan));
        }
    }
    let known = Past::of(&journal)?.whose(fingerprint, context.now());
    Ok(Found { slots, known, unread })
}

/// Every slot of a target's stores that holds something.
pub fn slots(context: &Context, name: &str) -> Result<Vec<Held>, Error> {
    let journal = find::journal(context)?;
    let target = find::target(context, &journal, name, &Asked::default())?;
    held(name, &find::stores(context, &journal, &target, &Asked::default())?)
}

/// The same of an endpoint that only the journal knows.
fn held_by_plan(context: &Context, plan: &Plan) -> Result<Vec<Held>, Error> {
    held(&plan.target, &workspace::open_planned(&find::from_plan(context, plan)?, &plan.stores)?)
}

fn held(target: &str, stores: &[Box<dyn Store>]) -> Result<Vec<Held>, Error> {
    let mut held = Vec::new();
    for store in readable(stores) {
        for slot in Slot::KEPT {
            if let Some(secret) = store.get(slot)? {
                let (target, store, slot) = (target.to_owned(), store.reference(), slot.name());
                held.push(Held { target, store, slot, fingerprint: secret.fingerprint() });
            }
        }
    }
    Ok(held)
}

/// Every rotation that the journal has, in the order in which they were begun.
pub struct Past(Vec<Rotation>);

impl Past {
    /// Reads them.
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let mut rotations = journal.closed_since(Timestamp::UNIX_EPOCH)?;
        rotations.extend(journal.open_rotations()?);
        rotations.sort_by_key(|rotation| rotation.opened_at);
        Ok(Self(rotations))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every endpoint that has to do with this secret, by the newest rotation that does.
    pub fn whose(&self, fingerprint: &Fingerprint, now: Timestamp) -> Vec<Whose> {
        let mut known: BTreeMap<String, Whose> = BTreeMap::new();
        for rotation in &self.0 {
            if let Some(mut found) = of(rotation, fingerprint, now) {
                let key = &rotation.plan.endpoint_key;
                // What was dead already had been replaced by an earlier one.
                if let Some(earlier) = known.get(key).filter(|_| rotation.before.dead_since.is_some()) {
                    found.since = found.since.min(earlier.since);
                }
                known.insert(key.clone(), found);
            }
        }
        known.into_values().collect()
    }
}

fn of(rotation: &Rotation, fingerprint: &Fingerprint, now: Timestamp) -> Option<Whose> {
    let answered = rotation.answered();
    let is_before =
        [&rotation.before.current, &rotation.before.shown].into_iter().flatten().any(|known| known == fingerprint);
    let role = match answered {
        Some(answered) if answered.fingerprint == *fingerprint => Role::New,
        Some(_) if is_before => Role::Old,
        // What is live while nobody knows what came of the call may be old by now.
        None if is_before && rotation.may_be_applied() => Role::Old,
        None if is_before => Role::Live,
        _ if rotation.tried.contains(fingerprint) => Role::Throwaway,
        _ => return None,
    };
    let issued = rotation.done.get(&crate::rotation::Step::Issue).map(|issued| issued.at);
    let called = answered.filter(|answered| answered.expires_source == ExpirySource::Call).and(issued);
    let ends_at = if role == Role::Old { rotation.expires_at().or(called) } else { None };
    let plan = &rotation.plan;
    Some(Whose {
        key: plan.endpoint_key.clone(),
        target: plan.target.clone(),
        provider: plan.provider.clone(),
        endpoint: plan.own_id().to_owned(),
        role,
        since: issued.unwrap_or(rotation.opened_at),
        // What died with the call is dead whatever the clocks say of a second.
        ended: (role == Role::Old && called.is_some()) || ends_at.is_some_and(|end| rotation.provider_now(now) >= end),
        ends_at,
        adopted: rotation.adopted.is_some(),
        rotation_status: rotation.status(now).name(),
    })
}
