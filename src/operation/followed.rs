//! An endpoint whose place another has taken: it goes on under the name by which it is known, with the id of now.
//!
//! A rotation that replaces the endpoint leaves the id in the config behind. The journal knows it by the id that it was named with
//! first, and says which one has taken its place; a config that names a later one means the same endpoint.

use crate::provider::Endpoint;
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::{Rotation, Step};

/// The endpoint as the journal knows it by now.
pub fn follow(journal: &Journal, mut endpoint: Endpoint) -> Result<Endpoint, JournalError> {
    let mut known = journal.of_endpoint(&endpoint.key())?;
    if known.is_empty() {
        known = of_second(journal, &endpoint)?;
        if let Some(newest) = known.first() {
            endpoint.ids.clone_from(&newest.plan.ids);
        }
    }
    let took_over = known.iter().find(|rotation| rotation.done.contains_key(&Step::End));
    if let Some(second) = took_over.and_then(|rotation| rotation.second()) {
        endpoint = endpoint.at(second);
    }
    Ok(endpoint)
}

/// The rotations of the endpoint in whose place this one came, newest first.
fn of_second(journal: &Journal, endpoint: &Endpoint) -> Result<Vec<Rotation>, JournalError> {
    let key = endpoint.key();
    let Some((siblings, _)) = key.rsplit_once('/') else { return Ok(Vec::new()) };
    let is_sibling = |other: &&String| other.rsplit_once('/').is_some_and(|(before, _)| before == siblings);
    for other in journal.endpoints()?.iter().filter(is_sibling) {
        let known = journal.of_endpoint(other)?;
        // One that was given up while both were there is an endpoint of its own.
        let took_over = |rotation: &&Rotation| rotation.closed.is_none() || rotation.done.contains_key(&Step::End);
        let mut seconds = known.iter().filter(took_over).filter_map(|rotation| rotation.second());
        if seconds.any(|second| endpoint.is_own_id(second)) {
            return Ok(known);
        }
    }
    Ok(Vec::new())
}
