//! Looks at each target: its API key, by the way it was found and never by its value, and its stores, which
//! stay as they are.

use super::Check;
use crate::advice::{Command, On};
use crate::cli::session::Session;
use crate::config::{Target, TargetStore};
use crate::operation::key;
use crate::operation::{find, workspace};
use crate::rotation::elsewhere;
use crate::store::{self, Access, Slot, readable};

/// A check for every key and every store of these targets. Fails where one is none.
pub fn look(session: &Session, wanted: &[String]) -> anyhow::Result<Vec<Check>> {
    if wanted.is_empty() && session.config().is_ok() {
        let (found, fix) = match names(session).is_empty() {
            true => ("none is set up", "whsec target add, or try it out: whsec rehearse"),
            false => ("no target matches", "name one, or leave filters out"),
        };
        return Ok(vec![Check::note("targets", found, fix)]);
    }
    let mut checks = Vec::new();
    for name in wanted {
        let has = session.config().is_ok_and(|config| config.has(name));
        match session.trouble(name).map_or_else(|| session.target(name, &Default::default()), Err) {
            Ok(target) => checks.extend(look_at(&target, session)),
            Err(error) if has => checks.push(Check::failed(name, &error)),
            Err(error) => return Err(error),
        }
    }
    Ok(checks)
}

/// Every target of a config that can be read.
pub fn names(session: &Session) -> Vec<String> {
    session.config().map(|config| config.names().map(str::to_owned).collect()).unwrap_or_default()
}

/// Every target that can be used as it is configured.
pub fn all(session: &Session) -> Vec<Target> {
    let (Ok(config), Ok(context)) = (session.config(), session.context()) else { return Vec::new() };
    config.names().filter_map(|name| context.configured(name).ok()).collect()
}

fn look_at(target: &Target, session: &Session) -> Vec<Check> {
    let by_hand = target.endpoint.provider.is_by_hand();
    let mut checks = vec![match session.context().and_then(|context| Ok(key::find(context, target, None)?)) {
        _ if by_hand => Check::ok(&target.name, "its secret is made by hand: no API key is needed"),
        Ok(found) => Check::ok(&target.name, format!("API key: {}", found.origin.words)),
        Err(error) => Check::failed(&target.name, &error),
    }];
    if target.stores.is_empty() {
        let fix = "add `store = \"…\"` to the target, or give --store REF";
        checks.push(Check::note(&target.name, "it has no store, so it can be looked at but not rotated", fix));
    }
    checks.extend(target.stores.iter().map(|store| look_at_store(store, target)));
    checks.extend(look_elsewhere(target, session));
    checks
}

/// A word on slots that a rotation has filled which this state folder does not know. What cannot be read is named by the other
/// checks.
fn look_elsewhere(target: &Target, session: &Session) -> Option<Check> {
    let exists = session.folders().ok()?.state_dir().ok()?.is_dir();
    let stores = workspace::open_stores(target).ok()?;
    let strays = if exists {
        let journal = find::journal(session.context().ok()?).ok()?;
        // Beside an open rotation it is drift, which `status` and `inspect` name.
        if journal.find_open(&target.endpoint.key()).ok()?.is_some() {
            return None;
        }
        elsewhere::strays(&stores, &target.endpoint.key(), &journal).ok()?
    } else {
        readable(&stores).filter_map(|store| elsewhere::of_store(store, &[]).ok()).flatten().collect()
    };
    let (what, fix) = match &strays.first()?.of {
        Some(_) => {
            ("a slot is shared", "give each target slots of its own; the secret may be the only copy".to_owned())
        }
        None => {
            let here = |command: &Command| Command { on: On::Target(target.name.clone()), ..command.clone() };
            let fix = elsewhere::go_on_there().written(&|command| Some(session.written_out(&here(command))));
            (elsewhere::UNDER_WAY, fix.to_string())
        }
    };
    Some(Check::bad(&target.name, format!("{what}: {}", find::words(&strays)), fix))
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
