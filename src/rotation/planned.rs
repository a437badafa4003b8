//! The plan of several rotations that one is a part of: where its endpoint stood when that was agreed to, and what is otherwise by now.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::runner::Runner;
use super::{Rotation, RunError, newest_sent};
use crate::provider::answer::Inspected;
use crate::secret::{Fingerprint, Secret};

/// The plan that somebody has agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The plan's digest.
    pub plan: String,
    /// Who made it: `user@host`.
    pub by: String,
    /// Who has signed it, where the rules ask for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
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

    /// Refuses where the journal knows of another rotation than then.
    pub fn refuse_other_rotation(&self, newest_first: &[Rotation]) -> Result<(), RunError> {
        let newest = newest_sent(newest_first).map(|newest| newest.id.to_string());
        Otherwise::refuse([("the newest rotation", self.newest.map(|id| id.to_string()), newest)])
    }

    fn refuse_other_shown(&self, shown: &Inspected) -> Result<(), RunError> {
        let (was, is) = (self.clone(), shown.clone());
        Otherwise::refuse([
            ("the provider's version", was.version, is.version),
            ("the provider's fingerprint", was.fingerprint, is.fingerprint),
            ("the provider's updated_at", was.updated_at, is.updated_at),
        ])
    }

    fn refuse_other_live(&self, current: Option<&Secret>) -> Result<(), RunError> {
        let was = self.current.as_ref().map(ToString::to_string);
        Otherwise::refuse([("the live secret", was, current.map(|secret| secret.fingerprint().to_string()))])
    }
}

impl Otherwise {
    /// Refuses where anything of these is not as it was.
    pub fn refuse<const N: usize>(facts: [(&'static str, Option<String>, Option<String>); N]) -> Result<(), RunError> {
        let differs = facts.into_iter().filter(|(_, was, is)| was != is);
        match differs.map(|(what, was, is)| Self { what, was, is }).collect::<Vec<_>>() {
            otherwise if otherwise.is_empty() => Ok(()),
            otherwise => Err(RunError::Stale { otherwise }),
        }
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
        self.planned_on().map_or(Ok(()), |before| before.refuse_other_rotation(newest_first))
    }

    /// Refuses where the provider shows something else than then.
    pub(super) fn refuse_other_shown(&self, shown: &Inspected) -> Result<(), RunError> {
        self.planned_on().map_or(Ok(()), |before| before.refuse_other_shown(shown))
    }

    /// Refuses where another secret is live than then.
    pub(super) fn refuse_other_live(&self, current: Option<&Secret>) -> Result<(), RunError> {
        self.planned_on().map_or(Ok(()), |before| before.refuse_other_live(current))
    }

    fn planned_on(&self) -> Option<&Before> {
        self.rotation.plan.planned.as_ref().map(|planned| &planned.before)
    }
}
