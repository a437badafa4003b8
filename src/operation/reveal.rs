//! A secret itself, for whoever asked to see it: from a slot, from the seal of a rotation, or what was gone over.

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::find;
use crate::advice::{Verb, advice};
use crate::config::Target;
use crate::rotation::Rotation;
use crate::rotation::journal::Journal;
use crate::rotation::person_steps::overruled_seal;
use crate::secret::Secret;
use crate::store::{Slot, readable};

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In a slot of the first store that has one there.
    Slot(Slot),
    /// In the seal that a rotation keeps until every store has its secret.
    Sealed,
    /// In the seal of what somebody else had put into a slot, and was gone over last.
    Overruled,
}

/// The secret that is kept there. Fails with [`Kind::NotFound`] where there is none.
pub fn secret(context: &Context, name: &str, asked: &Asked, kept: Kept) -> Result<Secret, Error> {
    let journal = find::journal(context)?;
    let target = find::target(context, &journal, name, asked)?;
    if kept != Kept::Overruled {
        find::warn_of_trouble(context, name);
    }
    match kept {
        Kept::Slot(slot) => stored(context, &journal, &target, asked, slot),
        Kept::Sealed => sealed(context, &journal, &target),
        Kept::Overruled => overruled(context, &journal, &target),
    }
}

fn stored(context: &Context, journal: &Journal, target: &Target, asked: &Asked, slot: Slot) -> Result<Secret, Error> {
    for store in readable(&find::stores(context, journal, target, asked)?) {
        if let Some(secret) = store.get(slot)? {
            return Ok(secret);
        }
    }
    let message = format!("no store of `{}` has a secret there", target.name);
    let hint = advice![Verb::Inspect.of(&target.name), " shows which slots hold what"];
    Err(Stop::new(Kind::NotFound, message, hint))
}

fn sealed(context: &Context, journal: &Journal, target: &Target) -> Result<Secret, Error> {
    let seals = context.seals()?;
    for rotation in known(context, journal, target)? {
        if seals.exists(rotation.id) {
            return Ok(seals.secret_of(rotation.id, rotation.new_secret())?);
        }
    }
    let hint = "a seal is removed when every store has the secret";
    Err(Stop::new(Kind::NotFound, format!("there is no sealed copy for `{}`", target.name), hint))
}

fn overruled(context: &Context, journal: &Journal, target: &Target) -> Result<Secret, Error> {
    let seals = context.seals()?;
    for rotation in known(context, journal, target)? {
        if let Some(id) = rotation.last_overruled.as_ref().map(|found| overruled_seal(rotation.id, found)) {
            return Ok(seals.unseal(id)?.secret());
        }
    }
    let hint = "`--override` seals what it goes over";
    Err(Stop::new(Kind::NotFound, format!("nothing was overridden at `{}`", target.name), hint))
}

/// The endpoint's rotations; where one that is over is damaged, those that are open, whose secret may be the only copy.
fn known(context: &Context, journal: &Journal, target: &Target) -> Result<Vec<Rotation>, Error> {
    let key = target.endpoint.key();
    let damaged = match journal.of_endpoint(&key) {
        Err(error) => error,
        known => return Ok(known?),
    };
    match journal.open_of(&key) {
        Ok(open) if !open.is_empty() => {
            context.warn(damaged.to_string());
            Ok(open)
        }
        _ => Err(damaged.into()),
    }
}
