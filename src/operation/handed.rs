//! A rotation that was handed over, met again where it was: told as that, never as something to be emptied or adopted.

use super::error::{Error, Kind, Stop};
use crate::advice::{Advice, Value, Verb, advice};
use crate::rotation::{Rotation, newest_sent};
use crate::store::{Store, StoreError, readable, slots};

/// That no rotation is open here, because the last one was handed over; nothing of one that was not.
pub fn not_here(rotation: &Rotation) -> Option<Error> {
    let handed = rotation.is_with()?;
    let name = &rotation.plan.target;
    let message = format!("no rotation of `{name}` is open here: it was {handed}; whoever has it goes on");
    Some(Stop::new(Kind::NotFound, message, way_out(name)))
}

/// Refuses another rotation while the stores show that one which was handed over has not come to its end, or show nothing.
pub fn refuse(known: &[Rotation], stores: &[Box<dyn Store>]) -> Result<(), Error> {
    let Some(rotation) = newest_sent(known) else { return Ok(()) };
    let Some(handed) = rotation.is_with() else { return Ok(()) };
    if is_seen_over(rotation, stores)? {
        return Ok(());
    }
    let name = &rotation.plan.target;
    let message = format!("nothing was sent: the rotation of `{name}` was {handed}; whoever has it goes on");
    Err(Stop::new(Kind::Conflict, message, way_out(name)))
}

fn way_out(name: &str) -> Advice {
    let import = Verb::HandoffImport.on([Value::Open("FILE")]);
    let dealt_with = Verb::Abandon.of(name).open("reason", "TEXT").bare();
    advice!["the bundle brings it back here: ", import, "; once it has come to its end there, say so: ", dealt_with]
}

/// Whether there is a store to look into, and in none of them is anything left to be done.
fn is_seen_over(rotation: &Rotation, stores: &[Box<dyn Store>]) -> Result<bool, StoreError> {
    let mut is_seen = false;
    for store in readable(stores) {
        let (held, before) = (slots::look(store)?, &rotation.before);
        let is_kept = store.keeps_history() || held.previous == held.current;
        let had = before.held.get(&store.reference()).map_or(&before.current, |held| &held.current);
        let is_old = held.current.is_some() && held.current == *had;
        if held.next.is_some() || (held.previous.is_some() && !is_kept) || is_old {
            return Ok(false);
        }
        is_seen = true;
    }
    Ok(is_seen)
}
