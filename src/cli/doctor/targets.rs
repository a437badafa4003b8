//! Looks at each target: its API key, by the way it was found and never by its value, and its stores, which
//! stay as they are.

use super::Check;
use crate::cli::session::Session;
use crate::config::{Target, TargetStore};
use crate::store::{self, Access, Slot};

/// A check for every key and every store of every target.
pub fn look(session: &Session) -> Vec<Check> {
    let targets = all(session);
    if targets.is_empty() && session.config().is_ok() {
        return vec![Check::note("targets", "none is set up", "whsec target add, or try it out: whsec rehearse")];
    }
    targets.iter().flat_map(|target| look_at(target, session)).collect()
}

/// Every target that can be used as it is configured.
pub fn all(session: &Session) -> Vec<Target> {
    let (Ok(config), Ok(catalog)) = (session.config(), session.catalog()) else { return Vec::new() };
    config.names().filter_map(|name| config.named(name, catalog).ok()).collect()
}

fn look_at(target: &Target, session: &Session) -> Vec<Check> {
    let mut checks = vec![match session.find_key(target) {
        Ok(found) => Check::ok(&target.name, format!("API key: {}", found.way)),
        Err(error) => Check::failed(&target.name, &error),
    }];
    if target.stores.is_empty() {
        let fix = "add `store = \"…\"` to the target, or give --store REF";
        checks.push(Check::note(&target.name, "it has no store, so it can be looked at but not rotated", fix));
    }
    checks.extend(target.stores.iter().map(|store| look_at_store(store, target)));
    checks
}

fn look_at_store(store: &TargetStore, target: &Target) -> Check {
    let opened = store::open(&store.reference, &store.names, &target.surroundings);
    let found = opened.and_then(|store| {
        let at = store.server()?.map(|server| format!(" at {server}")).unwrap_or_default();
        let found = match store.access() {
            Access::ReadWrite => {
                let current = store.get(Slot::Current)?;
                // Looks whether it could be changed; a file that is mounted by itself can only be read.
                store.apply(&[])?;
                if current.is_some() { "holds a secret" } else { "can be read; no secret is in it yet" }
            }
            Access::WriteOnly => {
                store.apply(&[])?;
                "can be written, not read"
            }
            Access::Once => "passes a secret on and keeps none",
        };
        Ok(format!("{}{at} {found}", store.reference()))
    });
    match found {
        Ok(found) => Check::ok(&target.name, found),
        Err(error) => Check::failed(&target.name, &error.into()),
    }
}
