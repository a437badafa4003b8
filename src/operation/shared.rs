//! Two endpoints in one slot destroy each other's only copy: found before anything is sent or written, however a path is
//! written, in the config and in what the journal knows of ad hoc targets.

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::workspace;
use crate::config::{Config, KeySource, Target};
use crate::rotation::journal::Journal;
use crate::rotation::{Plan, PlannedStore, Rotation};
use crate::store::{self, Reference, Slot, Store, Surroundings, places};

/// A slot with where it is.
type Placed = (Slot, String);

/// Refuses stores of a target that have a slot in common with a target of another endpoint in the config.
pub fn refuse_configured(
    context: &Context,
    config: &Config,
    target: &Target,
    stores: &[Box<dyn Store>],
) -> Result<(), Error> {
    let ours: Vec<Placed> = stores.iter().flat_map(|store| placed(store.as_ref())).collect();
    // One that is broken says so when it is used.
    let catalog = context.catalog()?;
    let named = |name: &str| config.named(name, catalog).ok();
    for keyed in config.names().filter_map(named).chain([target.clone()]) {
        let key = key_place(&keyed);
        if let Some((_, place)) = ours.iter().find(|(_, place)| key.as_ref() == Some(place)) {
            let message = format!(
                "nothing was sent: the slot `{place}` of `{}` holds the API key of `{}`",
                target.name, keyed.name
            );
            let hint = "a rotation puts the secret there, and the key is gone: keep the two apart";
            return Err(Stop::new(Kind::Usage, message, hint));
        }
    }
    for other in config.names().filter_map(named).filter_map(|other| context.followed(other).ok()) {
        if other.endpoint.key() == target.endpoint.key() {
            continue;
        }
        let Ok(stores) = workspace::open_stores(&other) else { continue };
        let theirs: Vec<Placed> = stores.iter().flat_map(|store| placed(store.as_ref())).collect();
        if let Some((_, place)) = ours.iter().find(|(_, place)| theirs.iter().any(|(_, other)| other == place)) {
            return Err(shared(&target.name, place, &format!("the target `{}`", other.name), Kind::Usage));
        }
    }
    Ok(())
}

/// Refuses the same where the journal knows of the other: its rotation is open, or its secret is in that slot.
pub fn refuse_journaled(journal: &Journal, target: &Target, stores: &[Box<dyn Store>]) -> Result<(), Error> {
    let ours: Vec<(&dyn Store, Vec<Placed>)> =
        stores.iter().map(|store| (store.as_ref(), placed(store.as_ref()))).collect();
    let of_plan = |plan: &Plan| plan.stores.iter().flat_map(of_planned).collect::<Vec<Placed>>();
    let is_ours = |(_, place): &Placed| ours.iter().any(|(_, slots)| slots.iter().any(|(_, own)| own == place));
    let has_common = |plan: &Plan| of_plan(plan).iter().any(is_ours);
    for other in journal.newest_of_others(&target.endpoint.key(), &has_common)? {
        let theirs = of_plan(&other.plan);
        for (store, slots) in &ours {
            let common = |(_, place): &&Placed| theirs.iter().any(|(_, other)| other == place);
            let whose = format!("{}/{} (`{}`)", other.plan.provider, other.plan.own_id(), other.plan.target);
            for (slot, place) in slots.iter().filter(common) {
                if other.closed.is_none() {
                    return Err(shared(&target.name, place, &format!("the open rotation of {whose}"), Kind::Store));
                }
                if holds_theirs(*store, *slot, &other)? {
                    return Err(shared(&target.name, place, &format!("{whose}, whose secret is in it"), Kind::Store));
                }
            }
        }
    }
    Ok(())
}

/// Where a target's API key is, as far as that is a place where secrets may be put.
fn key_place(target: &Target) -> Option<String> {
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

fn holds_theirs(store: &dyn Store, slot: Slot, other: &Rotation) -> Result<bool, Error> {
    if store.access() != store::Access::ReadWrite {
        return Ok(false);
    }
    let found = store.get(slot)?.map(|secret| secret.fingerprint());
    Ok(found.is_some() && found.as_ref() == other.new_secret())
}

/// The slots of an open store; its reference is one that can be parsed.
fn placed(store: &dyn Store) -> Vec<Placed> {
    Reference::parse(&store.reference()).map(|reference| places(&reference, store)).unwrap_or_default()
}

fn of_planned(planned: &PlannedStore) -> Vec<Placed> {
    let Ok(reference) = Reference::parse(&planned.reference) else { return Vec::new() };
    let store = store::open(&reference, &planned.names, &Surroundings::default());
    store.map(|store| placed(store.as_ref())).unwrap_or_default()
}

fn shared(target: &str, place: &str, whose: &str, kind: Kind) -> Error {
    let message = format!("nothing was sent: the slot `{place}` of `{target}` is one of {whose} too");
    let hint = "two endpoints in one slot overwrite each other's secret: give this one a store or `slots` of its own; if the other is gone, \
                put this one's own secret there first";
    Stop::new(kind, message, hint)
}
