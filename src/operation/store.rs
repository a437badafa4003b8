//! What is done with stores outside a rotation: proving that they can keep a secret, and copying one from one to another.

use super::context::Context;
use super::error::{Error, Kind, Stop};
use crate::advice::{Verb, advice};
use crate::secret::Fingerprint;
use crate::store::{self, Access, Slot, SlotNames, Store, slots};

/// Opens a store by its reference alone, paths relative to the current folder.
pub fn open(context: &Context, reference: &str) -> Result<Box<dyn Store>, Error> {
    let reference = context.config()?.reference(reference, &context.folders().current)?;
    Ok(store::open(&reference, &SlotNames::default(), &context.surroundings("")?)?)
}

/// Proves a store as the step `check` of a rotation does; the server that it is on, where it is on one.
pub fn prove(store: &dyn Store) -> Result<Option<String>, Error> {
    let server = store.server()?;
    slots::prove(store, &slots::canary(slots::USUAL_SECRET_LENGTH))?;
    Ok(server)
}

/// What came of a copy.
pub struct Copied {
    pub from: String,
    pub to: String,
    pub fingerprint: Fingerprint,
    /// The slot's name in the store that has it now.
    pub slot_name: String,
    /// Whether it was there already, and nothing was written.
    pub is_same: bool,
    /// Whether it was read back.
    pub is_read_back: bool,
    /// The secret that was there before.
    pub replaced: Option<Fingerprint>,
}

/// Copies what a store has in a slot into another one, which is proved first. What is there stays, unless `replace` says otherwise.
pub fn copy(context: &Context, from: &str, to: &str, slot: Slot, replace: bool) -> Result<Copied, Error> {
    let (from, to) = (open(context, from)?, open(context, to)?);
    if to.access() == Access::Once {
        let hint = advice![Verb::Reveal.here().flag("unsafe-stdout"), " writes a secret to a pipe"];
        return Err(Stop::new(Kind::Usage, format!("`{}` keeps nothing", to.reference()), hint));
    }
    let Some(secret) = from.get(slot)? else {
        let message = format!("`{}` has nothing in `{}`", from.reference(), from.slot_name(slot));
        return Err(Stop::new(Kind::NotFound, message, "`--slot` names another slot: current, next or previous"));
    };
    let there = if to.access() == Access::ReadWrite { to.get(slot)? } else { None };
    let is_same = there.as_ref() == Some(&secret);
    let replaced = there.filter(|_| !is_same).map(|there| there.fingerprint());
    if let Some(other) = replaced.as_ref().filter(|_| !replace) {
        let message = format!("`{}` holds another secret in `{}` ({other})", to.reference(), to.slot_name(slot));
        let hint = "it may be the only copy; --replace puts this one in its place";
        return Err(Stop::new(Kind::Conflict, message, hint));
    }
    if !is_same {
        slots::prove(to.as_ref(), &slots::canary(secret.len().max(slots::USUAL_SECRET_LENGTH)))?;
        to.apply(&[(slot, Some(&secret))])?;
        slots::read_back(to.as_ref(), slot, &secret)?;
    }
    Ok(Copied {
        from: from.reference(),
        to: to.reference(),
        fingerprint: secret.fingerprint(),
        slot_name: to.slot_name(slot),
        is_same,
        is_read_back: to.access() == Access::ReadWrite,
        replaced,
    })
}
