//! The plan of several rotations that one is a part of: where its endpoint stood when that was agreed to, and what is otherwise by now.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::runner::Runner;
use super::{Rotation, RunError, newest_sent};
use crate::provider::answer::Inspected;
use crate::secret::{Fingerprint, Secret};
use crate::store::{Slot, Store, StoreError, readable};

/// The plan that somebody has agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The plan's digest.
    pub plan: String,
    /// Who made it: `user@host`.
    pub by: String,
    pub before: Before,
}

/// Where an endpoint stood then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// What the provider showed, each where it shows it.
    pub version: Option<String>,
    pub fingerprint: Option<String>,
    pub updated_at: Option<String>,
    /// What the first readable store had in its live slot.
    pub current: Option<Fingerprint>,
    /// The newest rotation that the journal had of it, of which anything was sent.
    pub newest: Option<Uuid>,
}

/// Something that is not as it was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otherwise {
    pub what: &'static str,
    pub was: Option<String>,
    pub is: Option<String>,
}

impl Before {
    /// Where an endpoint stands, by what the provider shows, the stores hold and the journal knows, newest first.
    pub fn of(shown: &Inspected, current: Option<Fingerprint>, newest_first: &[Rotation]) -> Self {
        let Inspected { version, fingerprint, updated_at, .. } = shown.clone();
        let newest = newest_sent(newest_first).map(|newest| newest.id);
        Self { version, fingerprint, updated_at, current, newest }
    }
}

/// The live secret's fingerprint in the first store that can be read and has one.
pub fn live(stores: &[Box<dyn Store>]) -> Result<Option<Fingerprint>, StoreError> {
    for store in readable(stores) {
        if let Some(secret) = store.get(Slot::Current)? {
            return Ok(Some(secret.fingerprint()));
        }
    }
    Ok(None)
}

impl Otherwise {
    /// What differs of these.
    pub fn among<const N: usize>(facts: [(&'static str, Option<String>, Option<String>); N]) -> Vec<Self> {
        let differs = facts.into_iter().filter(|(_, was, is)| was != is);
        differs.map(|(what, was, is)| Self { what, was, is }).collect()
    }
}

impl fmt::Display for Otherwise {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        write!(to, "{} was {}, is {}", self.what, words(&self.was), words(&self.is))
    }
}

/// What is otherwise, in words.
pub(super) fn words(otherwise: &[Otherwise]) -> String {
    otherwise.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Runner<'_> {
    /// Refuses where the journal knows of another rotation since the plan was made.
    pub(super) fn refuse_other_rotation(&self, newest_first: &[Rotation]) -> Result<(), RunError> {
        let newest = newest_sent(newest_first).map(|newest| newest.id.to_string());
        self.refuse_otherwise(|before| [("the newest rotation", before.newest.map(|id| id.to_string()), newest)])
    }

    /// Refuses where the provider shows something else than then.
    pub(super) fn refuse_other_shown(&self, shown: &Inspected) -> Result<(), RunError> {
        let Inspected { version, fingerprint, updated_at, .. } = shown.clone();
        self.refuse_otherwise(|before| {
            let before = before.clone();
            [
                ("the provider's version", before.version, version),
                ("the provider's fingerprint", before.fingerprint, fingerprint),
                ("the provider's updated_at", before.updated_at, updated_at),
            ]
        })
    }

    /// Refuses where another secret is live than then.
    pub(super) fn refuse_other_live(&self, current: Option<&Secret>) -> Result<(), RunError> {
        let current = current.map(|secret| secret.fingerprint().to_string());
        let was = |before: &Before| before.current.as_ref().map(ToString::to_string);
        self.refuse_otherwise(|before| [("the live secret", was(before), current)])
    }

    fn refuse_otherwise<const N: usize>(
        &self,
        facts: impl FnOnce(&Before) -> [(&'static str, Option<String>, Option<String>); N],
    ) -> Result<(), RunError> {
        let Some(planned) = &self.rotation.plan.planned else { return Ok(()) };
        match Otherwise::among(facts(&planned.before)) {
            otherwise if otherwise.is_empty() => Ok(()),
            otherwise => Err(RunError::Stale { otherwise }),
        }
    }
}
