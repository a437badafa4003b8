//! What the provider, the stores and the journal say of one endpoint, as one value. Nothing is sent but the provider's read call.

use std::path::Path;

use jiff::Timestamp;

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::key::ApiKey;
use super::{changes, find, key, moved};
use crate::advice::{Advice, Verb, advice};
use crate::config::Target;
use crate::provider::answer::Inspected;
use crate::rotation::changed::Change;
use crate::rotation::drift::{self, Act, Drift};
use crate::rotation::elsewhere::{self, Stray};
use crate::rotation::superseded::{Difference, Finding, compare};
use crate::rotation::{self, Evidence, Rotation, RunError, at_hand, newest_sent};
use crate::secret::Fingerprint;
use crate::store::{Access, Slot, Store, StoreError, readable, slots};

/// What is known of one endpoint.
pub struct Seen {
    pub target: Target,
    /// What the provider shows.
    pub provider: Result<Inspected, Error>,
    pub stores: Vec<Held>,
    /// What the provider shows of a change since the newest rotation.
    pub since: Option<Finding>,
    /// Why our secret is not the provider's any more.
    pub superseded: Option<Error>,
    /// The slots that hold what an open rotation does not know of.
    pub foreign: Vec<Drift>,
    /// Filled slots that the journal cannot account for.
    pub strays: Vec<Stray>,
    /// The newest rotation of the endpoint.
    pub rotation: Option<Rotation>,
    /// The one that it is to replace, while nobody knows what came of that.
    pub beside: Option<Rotation>,
    /// What is open under this name or these ids, for what the target was before.
    pub away: Vec<Rotation>,
    /// What the config says otherwise than the open rotation.
    pub changes: Vec<Change>,
    /// The target whose rotation was the last, and the stores that are not known to have its secret.
    pub without: Option<(String, Vec<String>)>,
}

/// What a store holds.
pub struct Held {
    pub store: String,
    /// `None` of a store that cannot be read.
    pub slots: Option<Vec<HeldSlot>>,
}

/// What one slot holds.
pub struct HeldSlot {
    pub slot: Slot,
    /// The slot as people see it: a variable, a path.
    pub name: String,
    pub secret: Result<Option<Fingerprint>, StoreError>,
}

/// A slot in which stores do not hold the same.
pub struct Differing {
    pub slot: Slot,
    /// What each store holds there.
    pub held: Vec<(String, Option<Fingerprint>)>,
}

/// Looks at everything that is known of a target's endpoint.
pub fn look(context: &Context, name: &str, asked: &Asked, api_key_file: Option<&Path>) -> Result<Seen, Error> {
    let journal = find::journal(context)?;
    let target = find::target(context, &journal, name, asked)?;
    find::warn_of_trouble(context, name);
    let mut rotations = journal.of_endpoint(&target.endpoint.key())?;
    let stores = find::stores(context, &journal, &target, asked)?;
    let provider = ask(context, &target, api_key_file);
    let newest = at_hand(&rotations);
    let open = newest.and_then(|at| rotations.get(at)).filter(|rotation| rotation.closed.is_none());
    // Where a slot cannot be read the store says so, and beside an open rotation it is drift.
    let strays = elsewhere::strays(&stores, &target.endpoint.key(), &journal).ok().filter(|_| open.is_none());
    let changed = open.map(|rotation| changes::since(context, &target, &rotation.plan)).unwrap_or_default();
    let without = changes::without_the_secret(&target, newest_sent(&rotations)).filter(|_| open.is_none());
    let away = journal.open_rotations()?.into_iter().filter(|rotation| moved::is_of(rotation, &target)).collect();
    let rotation = newest.map(|at| rotations.swap_remove(at));
    let replaced = rotation.as_ref().filter(|rotation| rotation.is_pending()).and_then(|pending| pending.plan.replaces);
    let since = provider.as_ref().ok().and_then(|shown| since(rotation.as_ref()?, shown, &stores));
    let superseded = match (&since, &rotation, &provider) {
        (Some(Finding::Superseded(difference)), Some(rotation), Ok(shown)) => {
            Some(somebody_rotated(&target, rotation, difference, shown.old_expires_at, context.now()))
        }
        _ => None,
    };
    Ok(Seen {
        provider,
        stores: stores.iter().map(|store| held(store.as_ref())).collect(),
        since,
        superseded,
        foreign: rotation.as_ref().map(|rotation| foreign(rotation, &stores)).unwrap_or_default(),
        strays: strays.unwrap_or_default(),
        beside: replaced.and_then(|earlier| rotations.into_iter().find(|rotation| rotation.id == earlier)),
        rotation,
        away,
        changes: changed,
        without,
        target,
    })
}

impl Seen {
    /// The slots in which stores that can be read do not hold the same.
    pub fn differing(&self) -> Vec<Differing> {
        let held = |slot: Slot| {
            let known = self.stores.iter().filter_map(|store| {
                let held = store.slots.as_ref()?.iter().find(|held| held.slot == slot)?;
                Some((store.store.clone(), held.secret.as_ref().ok()?.clone()))
            });
            Differing { slot, held: known.collect() }
        };
        let differs = |slot: &Differing| slot.held.windows(2).any(|pair| pair[0].1 != pair[1].1);
        Slot::KEPT.map(held).into_iter().filter(differs).collect()
    }
}

fn ask(context: &Context, target: &Target, api_key_file: Option<&Path>) -> Result<Inspected, Error> {
    find::refuse_undescribed(context, target)?;
    if target.endpoint.provider.is_by_hand() {
        return Ok(Inspected::default());
    }
    let key = key::find(context, target, api_key_file)?;
    ask_with(context, target, &key)
}

/// What a provider shows that has a call for that, and the API key; nothing of one that has none.
pub fn ask_if_shown(
    context: &Context,
    target: &Target,
    api_key_file: Option<&Path>,
) -> Result<(Inspected, Option<ApiKey>), Error> {
    if !target.endpoint.provider.shows() {
        return Ok((Inspected::default(), None));
    }
    let key = key::find(context, target, api_key_file)?;
    Ok((ask_with(context, target, &key)?, Some(key)))
}

fn ask_with(context: &Context, target: &Target, key: &ApiKey) -> Result<Inspected, Error> {
    context.client(target)?.inspect(&target.endpoint, &key.secret).map_err(|outcome| {
        let provider = target.endpoint.provider.title().to_owned();
        Error::of_key(RunError::unasked(provider, "show the endpoint", outcome), &key.origin)
    })
}

fn held(store: &dyn Store) -> Held {
    let slot = |slot| {
        let secret = store.get(slot).map(|secret| secret.map(|secret| secret.fingerprint()));
        HeldSlot { slot, name: store.slot_name(slot), secret }
    };
    let slots = (store.access() == Access::ReadWrite).then(|| Slot::KEPT.map(slot).into_iter().collect());
    Held { store: store.reference(), slots }
}

/// What the provider shows of a change since the newest rotation, where it is open or its secret is live still.
fn since(newest: &Rotation, shown: &Inspected, stores: &[Box<dyn Store>]) -> Option<Finding> {
    let ours = &newest.answered()?.fingerprint;
    let is_live = |store: &dyn Store| slots::holds(store, Slot::Current, ours).unwrap_or(false);
    if newest.closed.is_some() && !readable(stores).any(is_live) {
        return None;
    }
    Some(compare(newest, &Evidence::from(shown))).filter(|found| !matches!(found, Finding::Same | Finding::Unknown))
}

/// The slots that hold what an open rotation does not know of.
fn foreign(rotation: &Rotation, stores: &[Box<dyn Store>]) -> Vec<Drift> {
    if rotation.closed.is_some() || rotation.new_secret().is_none() {
        return Vec::new();
    }
    let look = |store| drift::look(rotation, Act::due(rotation), store).ok();
    readable(stores).filter_map(look).flatten().collect()
}

/// `end` is that of their overlap, where the provider tells of it.
fn somebody_rotated(
    target: &Target,
    rotation: &Rotation,
    difference: &Difference,
    end: Option<Timestamp>,
    now: Timestamp,
) -> Error {
    let (name, provider) = (&rotation.plan.target, target.endpoint.provider.title());
    let message = format!("our secret is not {provider}'s any more, because somebody rotated again: {difference}");
    let end = end.filter(|end| *end > rotation.provider_now(now)).into_iter().chain(rotation.overlap_until(now)).max();
    let hint: Advice = match rotation.closed {
        None => advice!["close this rotation, and see how to go on: ", Verb::Cutover.of(name).bare()],
        Some(_) => {
            let again = rotation::again(end, Verb::Rotate.of(name).bare());
            advice!["put their secret into the live slot, or ", again]
        }
    };
    Stop::new(Kind::Conflict, message, hint)
}
