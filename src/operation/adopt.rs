//! Takes up a rotation of which no journal is left: what the stores' slots show of it becomes one that can be gone on with. Nothing is
//! sent, and nothing is written but the journal.

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::start::{self, Begun, Giver, Intent, Prepared};
use super::workspace::Workspace;
use crate::advice::{Verb, advice};
use crate::config::Target;
use crate::rotation::{Direction, Event, Evidence, How, Rotation, Step};
use crate::secret::Fingerprint;
use crate::store::{Access, Slot, Store, slots};

/// How far a rotation has come, as its slots show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub new: Fingerprint,
    pub old: Fingerprint,
    /// Whether the new secret is live.
    pub is_promoted: bool,
}

/// One that may be taken up.
pub struct Adoptable {
    pub found: Found,
    prepared: Prepared,
}

impl Adoptable {
    /// The endpoint, locked.
    pub fn workspace(&self) -> &Workspace {
        &self.prepared.workspace
    }
}

/// Looks at the slots of all stores and takes the endpoint's lock. Fails where a rotation is known, or where the slots do not show one.
pub fn find(context: &Context, target: Target, reason: &str) -> Result<Adoptable, Error> {
    let title = target.endpoint.provider.title().to_owned();
    let name = target.name.clone();
    let giver = if target.endpoint.provider.is_by_hand() { Giver::AtHand } else { Giver::Nobody };
    let intent = Intent { reason: Some(reason), giver, speaks_for_receivers: true, ..Intent::default() };
    let decided = start::decide(context, target, &intent)?;
    if decided.plan.direction.is_set() {
        let message = format!("whsec makes the secret for {title}, and no slot shows whether {title} was given it");
        let hint = "see there which one is in use; then empty the other slot by hand and rotate again";
        return Err(Stop::new(Kind::Gate, message, hint));
    }
    if decided.plan.direction == Direction::UntilEnded && decided.target.endpoint.provider.replaces() {
        let message = format!("a new secret at {title} is a second endpoint, and no slot shows which");
        let hint = "see there which of the two is in use, and remove the other; then put its secret into the live slot by hand";
        return Err(Stop::new(Kind::Gate, message, hint));
    }
    let found = shown(&name, &decided.stores)?;
    let prepared = decided.prepare(context, &intent)?;
    Ok(Adoptable { found, prepared })
}

/// Records it as what the slots show, once that is agreed to. Everything that receivers do is proved or said anew.
pub fn adopt(context: &Context, adoptable: Adoptable, reason: &str) -> Result<(Rotation, Workspace), Error> {
    let Adoptable { found, prepared } = adoptable;
    let Begun { mut rotation, workspace, resources } = prepared.begin(context)?;
    // Somebody may have gone on with it by hand while a person was asked.
    if shown(&rotation.plan.target, &resources.stores)? != found {
        let hint = advice!["see what is there now: ", Verb::Inspect.of(&rotation.plan.target).bare()];
        return Err(Stop::new(Kind::Conflict, "nothing was recorded: the slots have changed meanwhile", hint));
    }
    let before = Evidence { current: Some(found.old.clone()), ..Evidence::default() };
    let mut events = vec![Event::Checked { before }, Event::Given { fingerprint: found.new.clone() }];
    for step in [Step::Stage, Step::Promote].into_iter().take(1 + usize::from(found.is_promoted)) {
        let stores = rotation.plan.stores.iter().map(|store| store.reference.clone());
        events.extend(stores.map(|store| Event::StoreDone { step, store }));
        events.push(Event::Done { step, how: How::Tool });
    }
    let why = "adopted: no journal was left of it, and this is what the slots show".to_owned();
    events.push(Event::Overridden { why, reason: reason.to_owned(), slot: None });
    workspace.journal.append(&mut rotation, context.actor(), context.now(), &events)?;
    Ok((rotation, workspace))
}

/// What all stores alike show.
fn shown(target: &str, stores: &[Box<dyn Store>]) -> Result<Found, Error> {
    let mut found: Option<(Found, String)> = None;
    for store in stores {
        if store.access() != Access::ReadWrite {
            let message = format!("what is in {} cannot be read, so nothing shows what was begun", store.reference());
            return Err(Stop::new(Kind::Gate, message, "take it out of the target for as long as this takes"));
        }
        let one = of_store(target, store.as_ref())?;
        match &found {
            None => found = Some((one, store.reference())),
            Some((other, first)) if *other != one => {
                let message = format!("{first} and {} do not show the same rotation", store.reference());
                let hint =
                    advice!["bring them to the same state by hand; what each has: ", Verb::Inspect.of(target).bare()];
                return Err(Stop::new(Kind::Gate, message, hint));
            }
            Some(_) => {}
        }
    }
    found.map(|(found, _)| found).ok_or_else(|| nothing(target, "there is no store"))
}

fn of_store(target: &str, store: &dyn Store) -> Result<Found, Error> {
    let held = slots::look(store)?;
    let of = |slot| held.of(slot).cloned();
    let kept = of(Slot::Previous).filter(|_| !store.keeps_history());
    match (of(Slot::Next), of(Slot::Current), kept) {
        (Some(new), Some(old), None) if new != old => Ok(Found { new, old, is_promoted: false }),
        (None, Some(new), Some(old)) if new != old => Ok(Found { new, old, is_promoted: true }),
        (Some(_), Some(_), Some(_)) => {
            let reference = store.reference();
            let message = format!("all three slots of {reference} are filled, which no rotation leaves behind");
            let hint =
                advice!["see what they hold, and empty what is of an earlier one: ", Verb::Inspect.of(target).bare()];
            Err(Stop::new(Kind::Gate, message, hint))
        }
        (Some(_), None, _) => {
            let message = format!("`{}` of {} is empty", store.slot_name(Slot::Current), store.reference());
            Err(Stop::new(Kind::Gate, message, "put what is live into it first, by hand"))
        }
        _ => Err(nothing(target, &format!("{} has one secret", store.reference()))),
    }
}

fn nothing(target: &str, why: &str) -> Error {
    let message = format!("there is nothing to adopt: {why}");
    Stop::new(Kind::NotFound, message, advice!["begin a rotation: ", Verb::Rotate.of(target).bare()])
}
