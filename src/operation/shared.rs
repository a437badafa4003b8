//! Two endpoints in one slot destroy each other's only copy: found before anything is sent or written, however a path is
//! written, in the config and in what the journal knows of ad hoc targets.

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::neighbours::{Configured, Journaled, Neighbours, Placed, key_place, of_plan, placed};
use super::workspace;
use crate::config::{Config, Target};
use crate::rotation::journal::Journal;
use crate::rotation::{Plan, Rotation};
use crate::store::{self, Slot, Store};

/// Refuses stores of a target that have a slot in common with a target of another endpoint in the config.
pub fn refuse_configured(
    context: &Context,
    config: &Config,
    target: &Target,
    stores: &[Box<dyn Store>],
) -> Result<(), Error> {
    match context.neighbours() {
        Some(neighbours) => refuse_among(&neighbours.configured, target, stores),
        None => refuse_among(&configured(context, config)?, target, stores),
    }
}

/// The same for many at once: those that are refused, by their places.
pub fn refuse_each<'a>(
    context: &Context,
    config: &Config,
    targets: impl Iterator<Item = &'a Target>,
) -> Result<Vec<(usize, Error)>, Error> {
    let configured = configured(context, config)?;
    let judged = targets
        .map(|target| workspace::open_stores(target).and_then(|stores| refuse_among(&configured, target, &stores)));
    Ok(judged.enumerate().filter_map(|(at, judged)| Some((at, judged.err()?))).collect())
}

/// What all endpoints have, for many that are at work side by side.
pub fn neighbours(context: &Context, journal: &Journal) -> Result<Neighbours, Error> {
    Ok(Neighbours { configured: configured(context, context.config()?)?, journaled: Journaled::of(journal)? })
}

/// What the config's targets have; one that is broken says so when it is used.
fn configured(context: &Context, config: &Config) -> Result<Configured, Error> {
    let (catalog, mut found) = (context.catalog()?, Configured::default());
    for target in config.names().filter_map(|name| config.named(name, catalog).ok()) {
        found.take_key(&target);
        let Ok(target) = context.followed(target) else { continue };
        let Ok(stores) = workspace::open_stores(&target) else { continue };
        found.take(&target, &target.endpoint.key(), &stores);
    }
    Ok(found)
}

fn refuse_among(configured: &Configured, target: &Target, stores: &[Box<dyn Store>]) -> Result<(), Error> {
    let ours: Vec<Placed> = stores.iter().flat_map(|store| placed(store.as_ref())).collect();
    let own_key = key_place(target);
    for (_, place) in &ours {
        let own = own_key.as_ref().filter(|own| *own == place).map(|_| target.name.as_str());
        if let Some(whose) = configured.key_in(place).or(own) {
            let message =
                format!("nothing was sent: the slot `{place}` of `{}` holds the API key of `{whose}`", target.name);
            let hint = "a rotation puts the secret there, and the key is gone: keep the two apart";
            return Err(Stop::new(Kind::Usage, message, hint));
        }
    }
    let key = target.endpoint.key();
    match ours.iter().find_map(|(_, place)| Some((place, configured.other_in(place, &key)?))) {
        Some((place, other)) => Err(shared(&target.name, place, &format!("the target `{other}`"), Kind::Usage)),
        None => Ok(()),
    }
}

/// Refuses the same where the journal knows of the other: its rotation is open, or its secret is in that slot.
pub fn refuse_journaled(
    context: &Context,
    journal: &Journal,
    target: &Target,
    stores: &[Box<dyn Store>],
) -> Result<(), Error> {
    let ours: Vec<(&dyn Store, Vec<Placed>)> =
        stores.iter().map(|store| (store.as_ref(), placed(store.as_ref()))).collect();
    let places: Vec<&str> = ours.iter().flat_map(|(_, slots)| slots).map(|(_, place)| place.as_str()).collect();
    let key = target.endpoint.key();
    let has_common = |plan: &Plan| of_plan(plan).iter().any(|(_, place)| places.contains(&place.as_str()));
    let others = match context.neighbours() {
        Some(neighbours) => neighbours.journaled.others_in(&places, &key),
        None => journal.newest_of_others(&key, &has_common)?,
    };
    for other in others {
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

fn holds_theirs(store: &dyn Store, slot: Slot, other: &Rotation) -> Result<bool, Error> {
    if store.access() != store::Access::ReadWrite {
        return Ok(false);
    }
    let found = store.get(slot)?.map(|secret| secret.fingerprint());
    Ok(found.is_some() && found.as_ref() == other.new_secret())
}

fn shared(target: &str, place: &str, whose: &str, kind: Kind) -> Error {
    let message = format!("nothing was sent: the slot `{place}` of `{target}` is one of {whose} too");
    let hint = "two endpoints in one slot overwrite each other's secret: give this one a store or `slots` of its own; if the other is gone, \
                put this one's own secret there first";
    Stop::new(kind, message, hint)
}
