//! Takes over a rotation whose journal is lost: [`prepare`] makes it out by what its stores and the provider show, and once that
//! is agreed to [`Prepared::begin`] journals it. Nothing is sent that changes anything, and no store is written.

use uuid::Uuid;

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::start::{self, Intent};
use super::workspace::{self, Resources, Workspace};
use super::{changes, find, handed, inspect, moved, shared};
use crate::advice::{Verb, advice};
use crate::rotation::adopt::{self, Found, Unfit};
use crate::rotation::operator::{News, Operator};
use crate::rotation::{Answered, Entry, Event, Evidence, Plan, Rotation, drift, leaking, suspects};
use crate::time::moment;

/// A rotation that was made out and waits for a consent, on an endpoint that is locked.
pub struct Prepared {
    pub workspace: Workspace,
    pub resources: Resources,
    plan: Plan,
    found: Found,
    answered: Answered,
    shown: Evidence,
}

/// Makes out what is under way. Refuses what is open, what the journal knows, and what admits of no reading, or of two.
pub fn prepare(context: &Context, name: &str, asked: &Asked) -> Result<Prepared, Error> {
    let journal = find::journal(context)?;
    let target = find::usable(context, &journal, name, asked)?;
    let key = target.endpoint.key();
    context.refuse_left_behind(&key)?;
    let mut workspace = Workspace::open(context, target, Some(journal))?;
    if let Some(open) = workspace.journal.find_open(&key)? {
        return Err(start::is_open(context, &open));
    }
    moved::refuse(context, &workspace.journal.open_rotations()?, &workspace.target, Verb::Cutover)?;
    let target = &workspace.target;
    let provider = &target.endpoint.provider;
    // An end is never too early: the longest that somebody may have asked for.
    let overlap = provider.choice().map(|bounds| *bounds.end());
    let mut plan = start::plan(target, &Intent { overlap, ..Intent::default() })?;
    start::refuse_switch(target, &plan)?;
    start::refuse_no_store(target)?;
    let stores = workspace::open_stores(target)?;
    plan.stores = workspace::planned(target, &stores, workspace.journal.shared().is_some())?;
    changes::note_flags(context, &mut plan)?;
    shared::refuse_configured(context, context.config()?, target, &stores)?;
    shared::refuse_journaled(context, &workspace.journal, target, &stores)?;
    let found = adopt::look(&stores).map_err(|why| unfit(why, name))?;
    found.suits(&plan, provider.title()).map_err(|why| unfit(why, name))?;
    let known = workspace.journal.of_endpoint(&key)?;
    refuse_known(context, &known, &found)?;
    let (shown, api_key) = inspect::ask_if_shown(context, target, asked.api_key_file.as_deref())?;
    found.stands_beside(&shown, provider.title()).map_err(|why| unfit(why, name))?;
    plan = found.left_of(plan);
    if leaking(&known).is_some() {
        plan.leaked = suspects(&known, None);
    }
    changes::look_at_others(context, target, &plan)?;
    let answered = found.answered(&plan, &shown, context.now());
    workspace.key_origin = api_key.as_ref().map(|key| key.origin.clone());
    let shown = Evidence::from(&shown);
    Ok(Prepared { workspace, resources: Resources { stores, api_key }, plan, found, answered, shown })
}

impl Prepared {
    /// The rotation as it is going to be, for whoever is asked.
    pub fn preview(&self, context: &Context) -> Rotation {
        let mut rotation = Rotation::new(Uuid::nil(), self.plan.clone(), context.now());
        for event in self.events(None) {
            rotation.fold(&Entry { at: context.now(), by: context.actor().to_owned(), event });
        }
        rotation
    }

    fn events(&self, reason: Option<&str>) -> Vec<Event> {
        self.found.events(&self.answered, &self.shown, reason)
    }

    /// Takes the lock again where it was let go of for a question, and journals the rotation that was agreed to: all of it, or
    /// nothing.
    pub fn begin(
        &self,
        context: &Context,
        reason: Option<&str>,
        operator: &mut dyn Operator,
    ) -> Result<Rotation, Error> {
        let (workspace, name) = (&self.workspace, &self.workspace.target.name);
        if workspace.reacquire()? {
            if let Some(open) = workspace.journal.find_open(&self.plan.endpoint_key)? {
                return Err(start::is_open(context, &open));
            }
            refuse_known(context, &workspace.journal.of_endpoint(&self.plan.endpoint_key)?, &self.found)?;
        }
        if adopt::look(&self.resources.stores).map_err(|why| unfit(why, name))? != self.found {
            let hint = advice!["see what they hold now: ", Verb::Inspect.of(name).bare()];
            return Err(Stop::new(Kind::Conflict, "somebody has changed the slots meanwhile", hint));
        }
        let events = self.events(reason);
        let mut rotation = Rotation::new(Uuid::new_v4(), self.plan.clone(), context.now());
        workspace.journal.append(&mut rotation, context.actor(), context.now(), &events)?;
        events.iter().for_each(|event| operator.tell(&rotation, News::Recorded(event)));
        Ok(rotation)
    }
}

/// Refuses what is no news to this journal: its own rotations end as they were closed.
fn refuse_known(context: &Context, known: &[Rotation], found: &Found) -> Result<(), Error> {
    let new = found.new_secret();
    let Some(rotation) = known.iter().find(|rotation| drift::knows(rotation, &new)) else { return Ok(()) };
    if let Some(error) = handed::not_here(rotation) {
        return Err(error);
    }
    let (name, status) = (&rotation.plan.target, rotation.status(context.now()).name());
    let message = format!(
        "{new} is known here: it is of the rotation of `{name}` that was begun at {} ({status})",
        moment(rotation.opened_at)
    );
    Err(Stop::new(Kind::Conflict, message, advice!["what is live, and where: ", Verb::Inspect.of(name).bare()]))
}

fn unfit(why: Unfit, name: &str) -> Error {
    let kind = match why {
        Unfit::Store(error) => return error.into(),
        Unfit::Nothing { .. } | Unfit::History { .. } => Kind::NotFound,
        Unfit::Another { .. } => Kind::Conflict,
        Unfit::Unreadable { .. }
        | Unfit::Differ { .. }
        | Unfit::Same { .. }
        | Unfit::Three { .. }
        | Unfit::Ours { .. }
        | Unfit::Second { .. }
        | Unfit::NotRotated { .. } => Kind::Gate,
    };
    Stop::new(kind, format!("the rotation of `{name}` is not adopted: {why}"), why.hint())
}
