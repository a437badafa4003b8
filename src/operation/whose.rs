//! Whose secret a value is or was, as the journal knows it: endpoints that left the config and rotations that are over included.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::{ExpirySource, Rotation};
use crate::secret::Fingerprint;
use crate::time::moment;

/// What a secret is, or was, to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Whose {
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

/// Every endpoint that has to do with this secret, by the newest rotation that does.
pub fn whose(journal: &Journal, fingerprint: &Fingerprint, now: Timestamp) -> Result<Vec<Whose>, JournalError> {
    let mut rotations = journal.closed_since(Timestamp::UNIX_EPOCH)?;
    rotations.extend(journal.open_rotations()?);
    rotations.sort_by_key(|rotation| rotation.opened_at);
    let mut known: BTreeMap<String, Whose> = BTreeMap::new();
    for rotation in &rotations {
        if let Some(mut found) = of(rotation, fingerprint, now) {
            let key = &rotation.plan.endpoint_key;
            // What was dead already had been replaced by an earlier one.
            if let Some(earlier) = known.get(key).filter(|_| rotation.before.dead_since.is_some()) {
                found.since = found.since.min(earlier.since);
            }
            known.insert(key.clone(), found);
        }
    }
    Ok(known.into_values().collect())
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
