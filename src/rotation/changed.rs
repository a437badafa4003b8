//! What the config says by now, against what a rotation was begun with. Pure.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Direction, Plan, PlannedStore, Rotation};
use crate::provider::spec::Cutover;

/// What the config says of an endpoint now.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// The target's stores.
    pub stores: Vec<PlannedStore>,
    /// The stores that other targets of the same endpoint have.
    pub others: BTreeSet<String>,
    /// The receivers of all targets of the endpoint.
    pub receivers: Vec<String>,
    /// How the target's receivers take a new secret; nothing for one that is not in the config.
    pub cutover: Option<Cutover>,
    /// Whether a target of the endpoint is in the config, so that what it does not name has left it.
    pub is_written: bool,
}

/// One thing that is another by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A store that the rotation does not know.
    StoreJoined { store: String },
    /// A store of the rotation that no target names any more.
    StoreLeft { store: String },
    /// A store whose slots have other names by now.
    SlotsRenamed { store: String },
    /// A receiver that the rotation does not know.
    ReceiverJoined { url: String },
    /// A receiver of the rotation that no target names any more.
    ReceiverLeft { url: String },
    /// Receivers are to take the new secret in another way.
    Cutover { begun: &'static str, now: &'static str },
}

/// Everything that is another by now, the stores first.
pub fn changes(plan: &Plan, now: &Configured) -> Vec<Change> {
    let known = |store: &&PlannedStore| plan.stores.iter().find(|known| known.reference == store.reference);
    let mut changes = Vec::new();
    for store in &now.stores {
        let store_named = store.reference.clone();
        match known(&store) {
            None if plan.passed_over.contains(&store.reference) => {}
            None => changes.push(Change::StoreJoined { store: store_named }),
            Some(known) if known.names != store.names => changes.push(Change::SlotsRenamed { store: store_named }),
            Some(_) => {}
        }
    }
    if now.is_written {
        let is_named = |reference: &String| {
            now.others.contains(reference) || now.stores.iter().any(|store| store.reference == *reference)
        };
        // Stores that flags had named were never in the config.
        let left = plan.stores.iter().map(|store| &store.reference).filter(|store| !is_named(store));
        let left = left.filter(|store| !plan.by_flags.contains(store));
        changes.extend(left.map(|store| Change::StoreLeft { store: store.clone() }));
    }
    let joined = now.receivers.iter().filter(|url| !plan.receivers.contains(url));
    changes.extend(joined.map(|url| Change::ReceiverJoined { url: url.clone() }));
    if now.is_written {
        let left = plan.receivers.iter().filter(|url| !now.receivers.contains(url) && !plan.by_flags.contains(url));
        changes.extend(left.map(|url| Change::ReceiverLeft { url: url.clone() }));
    }
    let begun = match plan.direction {
        Direction::OverlapEither => Some(Cutover::Either),
        Direction::OverlapSwitch => Some(Cutover::Switch),
        _ => None,
    };
    if let (Some(begun), Some(now)) = (begun, now.cutover)
        && begun != now
    {
        changes.push(Change::Cutover { begun: word(begun), now: word(now) });
    }
    changes
}

/// The stores of a target that the newest rotation of its endpoint did not give its secret to.
pub fn left_behind<'a>(rotation: &Rotation, stores: &'a [PlannedStore]) -> Vec<&'a PlannedStore> {
    let has = |store: &PlannedStore| rotation.plan.stores.iter().any(|known| known.reference == store.reference);
    stores.iter().filter(|store| !has(store)).collect()
}

impl Change {
    /// One line for people; `target` is whose rotation it is.
    pub fn words(&self, target: &str) -> String {
        match self {
            Self::StoreJoined { store } => {
                format!("{store} came to `{target}` since this rotation was begun, and does not have the new secret")
            }
            Self::StoreLeft { store } => {
                format!("{store} is not in the config any more; this rotation keeps it until the end")
            }
            Self::SlotsRenamed { store } => {
                format!(
                    "the slots of {store} have other names by now; this rotation keeps those that it was begun with"
                )
            }
            Self::ReceiverJoined { url } => {
                format!(
                    "{url} came to `{target}` since this rotation was begun, and counts: what was proved before is not proved of it"
                )
            }
            Self::ReceiverLeft { url } => format!("{url} is not in the config any more; it counts until it is let go"),
            Self::Cutover { begun, now } => {
                format!("`cutover` is \"{now}\" by now; this rotation keeps \"{begun}\", which it was begun with")
            }
        }
    }
}

fn word(cutover: Cutover) -> &'static str {
    match cutover {
        Cutover::Either => "either",
        Cutover::Switch => "switch",
    }
}

#[cfg(test)]
#[path = "changed_tests.rs"]
mod tests;
