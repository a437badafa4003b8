//! What the config says by now, against what a rotation was begun with: said by every command that goes on with it, and made
//! good by `cutover`.

use std::collections::BTreeSet;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::shared;
use super::workspace::{self, Resources, Workspace};
use crate::advice::{Flag, Value, Verb, advice};
use crate::config::{Config, Target};
use crate::rotation::changed::{self, Change, Configured, left_behind};
use crate::rotation::operator::Operator;
use crate::rotation::{Event, Outcome, Plan, PlannedStore, Rotation, RunError, Step};
use crate::store::{self, Slot, readable, slots};

/// What is another by now than what the plan has, as it was decided and changed since.
pub fn since(context: &Context, target: &Target, plan: &Plan) -> Vec<Change> {
    changed::changes(plan, &configured(context, target))
}

/// What the config says of a target's endpoint now.
fn configured(context: &Context, target: &Target) -> Configured {
    let others = others(context, target);
    let named = |other: &Target| {
        let stores = named_stores(other).into_iter().map(|store| store.reference);
        stores.chain(other.receivers.iter().cloned()).collect::<Vec<_>>()
    };
    Configured {
        stores: named_stores(target),
        receivers: target.receivers.clone(),
        cutover: target.file.is_some().then_some(target.cutover),
        is_written: target.file.is_some() || !others.is_empty(),
        others: others.iter().flat_map(named).collect(),
    }
}

/// The other targets that the config has of the same endpoint, as far as they can be used.
fn others(context: &Context, target: &Target) -> Vec<Target> {
    let Ok(config) = context.config() else { return Vec::new() };
    let key = target.endpoint.key();
    if target.endpoint.provider.replaces() {
        // Each may name it by another of the ids that it had.
        let others =
            config.names().filter(|name| *name != target.name).filter_map(|name| context.configured(name).ok());
        return others.filter(|other| other.endpoint.key() == key).collect();
    }
    let others = config.of_endpoint(&key).filter(|name| *name != target.name);
    others.filter_map(|name| context.configured(name).ok()).collect()
}

/// A target's stores as a plan would name them. Opens none.
pub fn named_stores(target: &Target) -> Vec<PlannedStore> {
    let planned = |wanted: &crate::config::TargetStore| {
        let opened = store::open(&wanted.reference, &wanted.names, &target.surroundings);
        let reference = opened.map_or_else(|_| wanted.reference.to_string(), |store| store.reference());
        PlannedStore { reference, names: wanted.names.clone(), server: None }
    };
    target.stores.iter().map(planned).collect()
}

/// Notes in a new plan what flags named, and what of the config they passed over.
pub fn note_flags(context: &Context, plan: &mut Plan) -> Result<(), Error> {
    let (config, catalog) = (context.config_at_hand()?, context.catalog()?);
    let written = Some(config).filter(|config| config.has(&plan.target)).map(|config: &Config| {
        config.named(&plan.target, catalog).map(|target| (named_stores(&target), target.receivers))
    });
    let (stores, receivers) = written.transpose()?.unwrap_or_default();
    let planned: BTreeSet<&String> = plan.stores.iter().map(|store| &store.reference).collect();
    let named: BTreeSet<&String> = stores.iter().map(|store| &store.reference).chain(&receivers).collect();
    let by_flags = planned.iter().copied().chain(&plan.receivers).filter(|name| !named.contains(*name));
    let by_flags = by_flags.cloned().collect();
    let passed_over = stores.iter().map(|store| &store.reference).filter(|store| !planned.contains(store));
    plan.passed_over = passed_over.cloned().collect();
    plan.by_flags = by_flags;
    Ok(())
}

/// Before the call: another target of the endpoint has stores of its own, which go dead with it. Where that is at once it is
/// refused, else it is warned of.
pub fn look_at_others(context: &Context, target: &Target, plan: &Plan) -> Result<(), Error> {
    for other in others(context, target) {
        let has = |store: &PlannedStore| plan.stores.iter().any(|known| known.reference == store.reference);
        let left: Vec<String> =
            named_stores(&other).into_iter().filter(|store| !has(store)).map(|store| store.reference).collect();
        if left.is_empty() {
            continue;
        }
        let name = &other.name;
        let message = format!("`{name}` is the same endpoint, and keeps its secret in {}", left.join(", "));
        if !plan.direction.ends_old_secret() {
            context.warn(advice![
                format!("{message}: it goes dead with this rotation unless this brings it in: "),
                Verb::Cutover.of(name).bare()
            ]);
            continue;
        }
        let all = plan.stores.iter().map(|store| &store.reference).chain(&left);
        let flags: Vec<String> = all.map(|store| Flag::with("store", store).to_string()).collect();
        let hint = format!("name all stores, with the flags {}; or have one target for the endpoint", flags.join(" "));
        return Err(Stop::new(
            Kind::Conflict,
            format!("nothing was sent: {message}, which would be dead at once"),
            hint,
        ));
    }
    Ok(())
}

/// The stores and receivers that the config names by now and the rotation does not know, read anew: the config of a process
/// that waits may be a day old.
pub fn joined(context: &Context, target: &Target, rotation: &Rotation) -> Vec<Change> {
    let read = || {
        target.file.as_ref()?;
        let now = context.anew();
        let target = now.configured(&target.name).ok()?;
        (target.endpoint.key() == rotation.plan.endpoint_key).then(|| since(&now, &target, &rotation.plan))
    };
    let is_joined = |change: &Change| matches!(change, Change::StoreJoined { .. } | Change::ReceiverJoined { .. });
    read().into_iter().flatten().filter(is_joined).collect()
}

/// Says what is another by now.
pub fn say(context: &Context, rotation: &Rotation, changes: &[Change]) {
    for change in changes {
        context.warn(change.words(&rotation.plan.target));
    }
}

/// Refuses to finish what the config has added to since.
pub fn refuse_joined(name: &str, changes: &[Change]) -> Result<(), Error> {
    refuse_renamed(changes)?;
    let joined = changes.iter().find_map(|change| match change {
        Change::StoreJoined { store } => Some(store.clone()),
        _ => None,
    });
    let Some(store) = joined else { return Ok(()) };
    let hint = advice!["this puts it there: ", Verb::Cutover.of(name).bare()];
    Err(Stop::new(Kind::Sealed, RunError::Lacking { store }.to_string(), hint))
}

fn refuse_renamed(changes: &[Change]) -> Result<(), Error> {
    let renamed = changes.iter().find(|change| matches!(change, Change::SlotsRenamed { .. }));
    let Some(renamed) = renamed else { return Ok(()) };
    let hint = "set `slots` as they were, until this rotation is done";
    Err(Stop::new(Kind::Conflict, renamed.words(""), hint))
}

/// Makes good what has changed since the rotation was begun: what is let go goes, with its reason; what joined is proved and
/// taken in; the rest is said.
pub fn settle(
    context: &Context,
    workspace: &Workspace,
    resources: &mut Resources,
    rotation: &mut Rotation,
    changes: &[Change],
    let_go: (&[String], Option<&str>),
    operator: &mut dyn Operator,
) -> Result<(), Error> {
    refuse_renamed(changes)?;
    let left = leave(context, workspace, rotation, changes, let_go)?;
    resources.stores.retain(|store| !left.contains(&store.reference()));
    take_in_receivers(context, workspace, rotation, changes)?;
    let mut joined = Vec::new();
    for change in changes {
        match change {
            Change::StoreJoined { store } => joined.push(store.clone()),
            Change::StoreLeft { store: gone } | Change::ReceiverLeft { url: gone } if !left.contains(gone) => {
                let words = change.words(&rotation.plan.target);
                context.warn(advice![
                    words,
                    "; or let it go: ",
                    Verb::Cutover.of(&workspace.target.name).with("let-go", gone).open("reason", "TEXT").bare()
                ]);
            }
            Change::Cutover { .. } => context.warn(change.words(&rotation.plan.target)),
            // Said already: where it was taken in, let go or refused.
            Change::ReceiverJoined { .. }
            | Change::StoreLeft { .. }
            | Change::ReceiverLeft { .. }
            | Change::SlotsRenamed { .. } => {}
        }
    }
    take_in(context, workspace, resources, rotation, &joined, operator)
}

/// Journals the receivers that came to the config, and says which steps are to be done again for them.
pub fn take_in_receivers(
    context: &Context,
    workspace: &Workspace,
    rotation: &mut Rotation,
    changes: &[Change],
) -> Result<(), Error> {
    for change in changes {
        if let Change::ReceiverJoined { url } = change {
            let event = Event::ReceiverJoined { url: url.clone() };
            workspace.journal.append(rotation, context.actor(), context.now(), &[event])?;
            context.warn(change.words(&rotation.plan.target));
        }
    }
    Ok(())
}

/// Lets go what is to be let go, and yields it.
fn leave(
    context: &Context,
    workspace: &Workspace,
    rotation: &mut Rotation,
    changes: &[Change],
    (let_go, reason): (&[String], Option<&str>),
) -> Result<Vec<String>, Error> {
    let (mut events, mut left) = (Vec::new(), Vec::new());
    for text in let_go {
        let as_store = context.config_at_hand()?.reference(text, &context.folders().current);
        let as_store = as_store.map(|reference| reference.to_string()).unwrap_or_default();
        let reason = reason.unwrap_or_default().to_owned();
        let event = changes.iter().find_map(|change| match change {
            Change::StoreLeft { store } if *store == as_store => {
                Some(Event::StoreLeft { store: store.clone(), reason: reason.clone() })
            }
            Change::ReceiverLeft { url } if url == text => {
                Some(Event::ReceiverLeft { url: url.clone(), reason: reason.clone() })
            }
            _ => None,
        });
        let Some(event) = event else {
            let message = format!("`{text}` is nothing of this rotation that has left the config");
            let hint = advice![
                "take it out of the config first; ",
                Verb::Inspect.here(),
                " shows what has changed since it was begun"
            ];
            return Err(Stop::new(Kind::Usage, message, hint));
        };
        left.push(if let Event::StoreLeft { store, .. } = &event { store.clone() } else { text.clone() });
        events.push(event);
    }
    let stay: Vec<&PlannedStore> =
        rotation.plan.stores.iter().filter(|store| !left.contains(&store.reference)).collect();
    let has = |store: &&&PlannedStore| rotation.stores_done.contains(&(Step::Stage, store.reference.clone()));
    let is_kept =
        rotation.new_secret().is_none() || workspace.seals.exists(rotation.id) || stay.iter().any(|store| has(&store));
    let is_nowhere_else = !is_kept || stay.is_empty();
    if is_nowhere_else && events.iter().any(|event| matches!(event, Event::StoreLeft { .. })) {
        let message = "no other store and no seal has the new secret, so this one is not let go";
        let hint = advice!["name another store in the config, and run ", Verb::Cutover.here(), " first"];
        return Err(Stop::new(Kind::Gate, message, hint));
    }
    if !events.is_empty() {
        workspace.journal.append(rotation, context.actor(), context.now(), &events)?;
        left.iter().for_each(|gone| context.say(format!("{gone} was let go; what is in its slots stays there")));
    }
    Ok(left)
}

/// Proves the stores that came to the config, and takes them into the rotation.
fn take_in(
    context: &Context,
    workspace: &Workspace,
    resources: &mut Resources,
    rotation: &mut Rotation,
    joined: &[String],
    operator: &mut dyn Operator,
) -> Result<(), Error> {
    if joined.is_empty() {
        return Ok(());
    }
    let is_answered = rotation.answered().is_some();
    let failed = |error: Error| match error {
        Error::Store(source) if is_answered => RunError::StoreFailed { step: Step::Stage, sealed: None, source }.into(),
        Error::Store(source) => RunError::StoreCheck(source).into(),
        error => error,
    };
    let mut target = workspace.target.clone();
    // Opened by the reference that they have once they are open.
    let (named, wanted) = (named_stores(&target), std::mem::take(&mut target.stores));
    let new = wanted.into_iter().zip(named).filter(|(_, named)| joined.contains(&named.reference));
    target.stores = new.map(|(wanted, _)| wanted).collect();
    let stores = workspace::open_stores(&target).map_err(failed)?;
    shared::refuse_configured(context, context.config_at_hand()?, &target, &stores)?;
    shared::refuse_journaled(context, &workspace.journal, &target, &stores)?;
    let planned = workspace::planned(&target, &stores, workspace.journal.shared().is_some()).map_err(failed)?;
    let new = Resources { stores, api_key: None };
    workspace.runner(rotation, &new, operator).take_in(&planned)?;
    for store in &planned {
        context.say(format!("{} takes part in this rotation from here on", store.reference));
    }
    resources.stores.extend(new.stores);
    Ok(())
}

/// The stores of a target that the endpoint's last rotation, which is done, did not give its secret to, and whose it was.
pub fn without_the_secret(target: &Target, newest: Option<&Rotation>) -> Option<(String, Vec<String>)> {
    let newest =
        newest.filter(|newest| newest.closed.as_ref().is_some_and(|closed| closed.outcome == Outcome::Done))?;
    let stores = named_stores(target);
    let passed_over = |store: &str| newest.plan.passed_over.iter().any(|known| known == store);
    let left = left_behind(newest, &stores).into_iter().map(|store| store.reference.clone());
    let left: Vec<String> = left.filter(|store| !passed_over(store)).collect();
    (!left.is_empty()).then(|| (newest.plan.target.clone(), left))
}

/// After a rotation that is done: notes the stores of this target that have its secret by now, and refuses where one has not.
pub fn refuse_without_the_secret(
    context: &Context,
    workspace: &Workspace,
    rotation: &mut Rotation,
) -> Result<(), Error> {
    let Some((of, left)) = without_the_secret(&workspace.target, Some(rotation)) else { return Ok(()) };
    let Some(new) = rotation.new_secret().cloned() else { return Ok(()) };
    let stores = workspace::open_stores(&workspace.target)?;
    let planned = workspace::planned(&workspace.target, &stores, workspace.journal.shared().is_some())?;
    let has = |reference: &String| {
        let mut named = readable(&stores).filter(|store| store.reference() == *reference);
        named.any(|store| slots::holds(store, Slot::Current, &new).unwrap_or(false))
    };
    let (have, lack): (Vec<String>, Vec<String>) = left.into_iter().partition(has);
    let joined = planned.into_iter().filter(|store| have.contains(&store.reference));
    let events: Vec<Event> = joined.map(|store| Event::StoreJoined { store, held: None }).collect();
    if !events.is_empty() {
        workspace.journal.append(rotation, context.actor(), context.now(), &events)?;
        context.say(format!("{} has the secret of that rotation", have.join(", ")));
    }
    let Some(first) = lack.first() else { return Ok(()) };
    let whose =
        if of == workspace.target.name { "before it came to the config".to_owned() } else { format!("that of `{of}`") };
    let message =
        format!("the last rotation of this endpoint was {whose}, and {} does not have its secret", lack.join(", "));
    let from = rotation.plan.stores.first().map(|store| store.reference.clone()).unwrap_or_default();
    let hint = advice![
        "put it there: ",
        Verb::StoreCopy.on([Value::Given(from), Value::Given(first.clone())]).bare(),
        "; then ",
        Verb::Cutover.of(&workspace.target.name).bare(),
        " notes it"
    ];
    Err(Stop::new(Kind::Sealed, message, hint))
}
