//! Closes a rotation where it stands, or says of one that is closed that what became of it is dealt with.

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::find::{self, OpenEndpoint};
use crate::advice::{Verb, advice};
use crate::rotation::lease::Meanwhile;
use crate::rotation::operator::{News, Operator};
use crate::rotation::person_steps::old_seal;
use crate::rotation::{Event, Outcome, Rotation, RunError, drift, leaking, newest_sent, overtaken};
use crate::secret::Fingerprint;
use crate::store::{Slot, Store, readable};

/// What there is to close, or to be dealt with.
pub enum Matter {
    /// An open rotation.
    Open(Rotation),
    /// One that somebody else's came after.
    Overtaken(Rotation),
    /// One that was handed over.
    HandedOver(Rotation),
    /// One whose leak nothing contains.
    Leaking(Rotation),
}

/// How closing came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    Closed,
    /// A signal asked to stop before.
    Stopped,
}

/// A live slot that holds what somebody else's rotation has replaced at the provider.
pub struct StillLive {
    place: String,
    secret: Fingerprint,
}

/// Finds out what there is to do about an endpoint.
pub fn matter(context: &Context, found: &mut OpenEndpoint) -> Result<Matter, Error> {
    if found.rotation.as_ref().is_none_or(|rotation| rotation.closed.is_some()) {
        let known = found.workspace.journal.of_endpoint(&found.workspace.target.endpoint.key())?;
        if let Some(rotation) = newest_sent(&known).filter(|newest| newest.is_with().is_some()) {
            return Ok(Matter::HandedOver(rotation.clone()));
        }
        if let Some(rotation) = overtaken(&known) {
            return Ok(Matter::Overtaken(rotation.clone()));
        }
        if let Some(rotation) = leaking(&known) {
            return Ok(Matter::Leaking(rotation.clone()));
        }
    }
    find::need_open(context, found).map(Matter::Open)
}

/// Closes an open rotation, once that is agreed to; no slot is changed, but for a throw-away secret's.
pub fn close(
    context: &Context,
    found: &OpenEndpoint,
    rotation: &mut Rotation,
    reason: &str,
    operator: &mut dyn Operator,
) -> Result<Closing, Error> {
    let OpenEndpoint { workspace, resources, .. } = found;
    match workspace.runner(rotation, resources, operator).reacquire()? {
        Meanwhile::Nothing => {}
        Meanwhile::WentOn => {
            let hint = advice!["see where it stands: ", Verb::Inspect.of(&workspace.target.name).bare()];
            return Err(Stop::new(Kind::Conflict, "others went on with this rotation meanwhile", hint));
        }
        Meanwhile::Stopped => return Ok(Closing::Stopped),
    }
    for store in readable(&resources.stores) {
        // A throw-away secret that a run which was cut off has left there is nobody's. A store that is in trouble keeps it: the
        // next `check` knows it.
        let left = store.get(Slot::Next).ok().flatten();
        if left.is_some_and(|next| rotation.tried.contains(&next.fingerprint()))
            && let Err(error) = store.apply(&[(Slot::Next, None)])
        {
            context.warn(format!("a throw-away secret stays in {}: {error}", store.slot_name(Slot::Next)));
        }
    }
    let closed = Event::Closed { outcome: Outcome::Abandoned, reason: Some(reason.to_owned()) };
    workspace.journal.append(rotation, context.actor(), context.now(), std::slice::from_ref(&closed))?;
    operator.tell(rotation, News::Recorded(&closed));
    if rotation.is_never_sent() {
        workspace.seals.remove(rotation.id, None).map_err(RunError::SealFailed)?;
    }
    // Of a leak that is not contained, the next rotation has to prove that receivers refuse it.
    if rotation.contained() != Some(false) {
        workspace.seals.remove(old_seal(rotation.id), None).map_err(RunError::SealFailed)?;
    }
    Ok(Closing::Closed)
}

/// The live slots that nobody should call dealt with, but those that are ruled out. Fails for one that is not.
pub fn still_live(
    context: &Context,
    found: &OpenEndpoint,
    rotation: &Rotation,
    ruled_out: &[Fingerprint],
) -> Result<Vec<StillLive>, Error> {
    if !rotation.is_superseded() {
        return Ok(Vec::new());
    }
    let mut live = Vec::new();
    for store in readable(&found.resources.stores) {
        live.extend(holds_what_is_replaced(context, store, rotation));
    }
    let Some(StillLive { place, secret }) = live.iter().find(|live| !ruled_out.contains(&live.secret)) else {
        return Ok(live);
    };
    let name = &found.workspace.target.name;
    let message = format!("{place} still holds {secret}, which somebody else's rotation has replaced at the provider");
    let hint = advice![
        "put their secret there, or rotate again: ",
        Verb::Rotate.of(name).bare(),
        "; to say that it is dealt with all the same: ",
        Verb::Abandon.of(name).open("reason", "TEXT").joined("override", secret.to_string()).bare()
    ];
    Err(Stop::new(Kind::Gate, message, hint))
}

/// A store that cannot be read proves nothing.
fn holds_what_is_replaced(context: &Context, store: &dyn Store, rotation: &Rotation) -> Option<StillLive> {
    match store.get(Slot::Current) {
        Ok(secret) => {
            let secret = secret?.fingerprint();
            let place = format!("`{}` of `{}`", store.slot_name(Slot::Current), store.reference());
            drift::knows(rotation, &secret).then_some(StillLive { place, secret })
        }
        Err(error) => {
            context.warn(format!("what is live in {} was not looked at: {error}", store.reference()));
            None
        }
    }
}

/// Notes that what became of a closed rotation is dealt with, once that is agreed to.
pub fn acknowledge(
    context: &Context,
    found: &OpenEndpoint,
    rotation: &mut Rotation,
    live: Vec<StillLive>,
    reason: &str,
) -> Result<(), Error> {
    found.workspace.reacquire()?;
    let overridden = live.into_iter().map(|StillLive { place, secret }| Event::Overridden {
        why: format!("{place} still holds {secret}, which somebody else's rotation has replaced"),
        reason: reason.to_owned(),
        slot: None,
    });
    let said = Event::Acknowledged { reason: reason.to_owned() };
    let events: Vec<Event> = overridden.chain([said]).collect();
    found.workspace.journal.append(rotation, context.actor(), context.now(), &events)?;
    Ok(())
}
