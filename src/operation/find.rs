//! Finds a target and its rotation: by the config, by an ad hoc name, or by what an open rotation was begun with.

use std::collections::BTreeSet;

use super::context::{Asked, Context, refuse_typed};
use super::error::{Error, Kind, Stop};
use super::identify::identify;
use super::workspace::{self, Resources, Workspace};
use super::{changes, handed, key, moved};
use crate::advice::{Flag, Value, Verb, advice};
use crate::config::Target;
use crate::http::{Url, shown_address};
use crate::provider::{self, Endpoint};
use crate::rotation::changed::Change;
use crate::rotation::elsewhere::{self, Stray};
use crate::rotation::journal::Journal;
use crate::rotation::{Plan, PlannedStore, Rotation, Step, at_hand};
use crate::store::Store;
use crate::time::moment;

/// An endpoint opened for going on with its rotation.
pub struct OpenEndpoint {
    pub workspace: Workspace,
    pub resources: Resources,
    /// The open rotation; else the newest closed one.
    pub rotation: Option<Rotation>,
    /// What the config says otherwise by now.
    pub changes: Vec<Change>,
}

/// The journal of this state folder, to be looked at: on a read-only disk it takes no events.
pub fn journal(context: &Context) -> Result<Journal, Error> {
    let journal = context.journal_to_look()?;
    identify(context, &journal)?;
    Ok(journal)
}

/// Whether the journal has an open rotation of the target.
pub fn has_open(context: &Context, target: &Target) -> Result<bool, Error> {
    Ok(journal(context)?.find_open(&target.endpoint.key())?.is_some())
}

/// The target as configured, or as its open rotation remembers it. The second serves ad hoc targets whose flags are
/// not repeated, and targets that left the config meanwhile or cannot be used as they stand there: what is journaled is enough
/// to look, to reveal, to close and to go back.
pub fn target(context: &Context, journal: &Journal, name: &str, asked: &Asked) -> Result<Target, Error> {
    let configured = context.target(name, &asked.overrides);
    if configured.is_ok() && context.config()?.has(name) {
        return configured;
    }
    let open = journal.open_rotations()?;
    let by_key = |target: &Target| open.iter().any(|rotation| rotation.plan.endpoint_key == target.endpoint.key());
    if configured.as_ref().is_ok_and(by_key) {
        return configured;
    }
    let begun = |rotation: &&Rotation| rotation.plan.target == name || is_named(rotation, name);
    let Some(plan) = open.iter().rev().find(begun).map(|rotation| &rotation.plan) else { return configured };
    match context.target(&plan.target, &asked.overrides) {
        // Its API key may be said nowhere else.
        Ok(target) if target.endpoint.key() == plan.endpoint_key => Ok(target),
        _ => from_plan(context, plan),
    }
}

/// The target for a command that may send: where it is configured, it has to be usable as it is.
pub fn usable(context: &Context, journal: &Journal, name: &str, asked: &Asked) -> Result<Target, Error> {
    if let Some(error) = context.trouble(name) {
        return Err(error);
    }
    let target = target(context, journal, name, asked)?;
    refuse_undescribed(context, &target)?;
    Ok(target)
}

/// Nothing can be sent to an endpoint of which no more is known than what the journal has.
pub fn refuse_undescribed(context: &Context, target: &Target) -> Result<(), Error> {
    if !target.endpoint.is_remembered() {
        return Ok(());
    }
    let provider = target.endpoint.provider.name();
    context.catalog()?.get(provider)?;
    let message = format!("`{provider}` is not described as it was when this rotation was begun");
    let hint = advice![
        "put its description back, or close the rotation: ",
        Verb::Abandon.of(&target.name).open("reason", "TEXT").bare()
    ];
    Err(Stop::new(Kind::Usage, message, hint))
}

/// Warns that a target is not used as it is configured.
pub fn warn_of_trouble(context: &Context, name: &str) {
    if let Some(error) = context.trouble(name) {
        let why = error.words();
        context.warn(format!("{why}; what the rotation of `{name}` was begun with is used"));
    }
}

/// Whether a name is the rotation's own id: of two that are open at one endpoint, nothing else tells which.
fn is_named(rotation: &Rotation, name: &str) -> bool {
    name.parse().is_ok_and(|id: uuid::Uuid| rotation.closed.is_none() && id == rotation.id)
}

/// The stores that `--store` names; else those that the open rotation was begun with, as far as they can be opened; else the
/// configured ones.
pub fn stores(
    context: &Context,
    journal: &Journal,
    target: &Target,
    asked: &Asked,
) -> Result<Vec<Box<dyn Store>>, Error> {
    match journal.find_open(&target.endpoint.key())?.filter(|_| asked.overrides.stores.is_empty()) {
        Some(open) => Ok(those_that_open(context, target, &open.plan.stores)),
        None => workspace::open_stores(target),
    }
}

/// Opens an endpoint with its open rotation. The API key is looked for, but only some steps need it.
pub fn open(context: &Context, name: &str, asked: &Asked) -> Result<OpenEndpoint, Error> {
    let journal = journal(context)?;
    let target = usable(context, &journal, name, asked)?;
    open_target(context, journal, target, name, asked, Verb::Cutover, workspace::open_planned)
}

/// The same to go back, with what the rotation was begun with, where the target cannot be used as it is configured.
pub fn open_to_go_back(context: &Context, name: &str, asked: &Asked) -> Result<OpenEndpoint, Error> {
    let journal = journal(context)?;
    let target = target(context, &journal, name, asked)?;
    warn_of_trouble(context, name);
    open_target(context, journal, target, name, asked, Verb::Rollback, workspace::open_planned)
}

/// The same to close it: a store that cannot be opened is warned of, and left alone.
pub fn open_to_close(context: &Context, name: &str, asked: &Asked) -> Result<OpenEndpoint, Error> {
    let journal = journal(context)?;
    let target = target(context, &journal, name, asked)?;
    warn_of_trouble(context, name);
    let open_planned = |target: &Target, planned: &[PlannedStore]| Ok(those_that_open(context, target, planned));
    open_target(context, journal, target, name, asked, Verb::Abandon, open_planned)
}

/// Those of a plan's stores that can be opened; the others are warned of.
fn those_that_open(context: &Context, target: &Target, planned: &[PlannedStore]) -> Vec<Box<dyn Store>> {
    let open = |planned: &PlannedStore| match workspace::open_planned(target, std::slice::from_ref(planned)) {
        Ok(stores) => stores,
        Err(error) => {
            context.warn(format!("{} is left out: {}", planned.reference, error.words()));
            Vec::new()
        }
    };
    planned.iter().flat_map(open).collect()
}

fn open_target(
    context: &Context,
    journal: Journal,
    target: Target,
    name: &str,
    asked: &Asked,
    verb: Verb,
    open_planned: impl Fn(&Target, &[PlannedStore]) -> Result<Vec<Box<dyn Store>>, Error>,
) -> Result<OpenEndpoint, Error> {
    let mut workspace = Workspace::open(context, target, Some(journal))?;
    let chosen = |rotation: &Rotation| is_named(rotation, name);
    let mut in_the_way = workspace.journal.open_rotations()?;
    if in_the_way.iter().any(chosen) {
        in_the_way.retain(chosen);
    }
    moved::refuse(context, &in_the_way, &workspace.target, verb)?;
    let key = workspace.target.endpoint.key();
    let mut rotations = workspace.journal.open_of(&key)?;
    // What is over is asked for where nothing is open, and is in the way of nothing that is.
    if rotations.is_empty() {
        rotations = workspace.journal.standing_of(&key)?;
    }
    let open = rotations.iter().position(chosen).or_else(|| at_hand(&rotations));
    let mut rotation = open.map(|at| rotations.swap_remove(at));
    let mut changes = Vec::new();
    if let Some(rotation) = rotation.as_mut().filter(|rotation| rotation.closed.is_none()) {
        changes = changes::since(context, &workspace.target, &rotation.plan);
        refuse_other_stores(&workspace.target, &rotation.plan, asked)?;
        if !asked.overrides.receivers.is_empty() {
            refuse_typed(&workspace.target, &asked.overrides.receivers)?;
            for url in rotation.plan.receivers.iter().filter(|url| !asked.overrides.receivers.contains(url)) {
                context.warn(format!(
                    "--receiver leaves out {}: what this run proves is not proved of it",
                    shown_address(url)
                ));
            }
            rotation.ask_only(&asked.overrides.receivers);
            // What flags say is of this run alone.
            changes.retain(|change| !matches!(change, Change::ReceiverJoined { .. } | Change::ReceiverLeft { .. }));
        } else if workspace.target.file.is_some() && !workspace.target.receivers.is_empty() {
            // A receiver that was added since counts, beside those that nobody has let go.
            rotation.ask_as_well(&workspace.target.receivers, workspace.target.may_probe);
        }
        workspace.enable_probes(context, &rotation.plan)?;
    }
    workspace.target.surroundings.rotation = rotation.as_ref().map(|rotation| rotation.id);
    if let Some(rotation) = rotation.as_ref().filter(|rotation| !rotation.done.contains_key(&Step::Stage)) {
        workspace::refuse_bare_stdout(context, &rotation.plan)?;
    }
    let stores = match &rotation {
        Some(rotation) => open_planned(&workspace.target, &rotation.plan.stores)?,
        None => workspace::open_stores(&workspace.target)?,
    };
    let api_key = match key::find(context, &workspace.target, asked.api_key_file.as_deref()) {
        _ if workspace.target.endpoint.provider.is_by_hand() => None,
        Ok(key) => Some(key),
        Err(error) if asked.api_key_file.is_some() => return Err(error),
        Err(error) => {
            context.detail(format!("no API key: {error}"));
            None
        }
    };
    workspace.key_origin = api_key.as_ref().map(|key| key.origin.clone());
    let resources = Resources { stores, api_key };
    Ok(OpenEndpoint { workspace, resources, rotation, changes })
}

/// Refuses flags that name other stores than the rotation was begun with: they would change nothing.
fn refuse_other_stores(target: &Target, plan: &Plan, asked: &Asked) -> Result<(), Error> {
    if asked.overrides.stores.is_empty() {
        return Ok(());
    }
    let named: BTreeSet<String> = workspace::open_stores(target)?.iter().map(|store| store.reference()).collect();
    let begun: BTreeSet<String> = plan.stores.iter().map(|store| store.reference.clone()).collect();
    if named == begun {
        return Ok(());
    }
    let begun: Vec<String> = begun.into_iter().collect();
    let message = format!("a rotation keeps to the stores that it was begun with: {}", begun.join(", "));
    let hint = advice![
        "leave --store out; ",
        Verb::StoreCopy.on([Value::Open("FROM"), Value::Open("TO")]),
        " puts a secret elsewhere, ",
        Verb::Reveal.here().with("slot", "sealed"),
        " shows one that no store takes"
    ];
    Err(Stop::new(Kind::Usage, message, hint))
}

/// The open rotation, or a plain word that there is none.
pub fn need_open(context: &Context, found: &mut OpenEndpoint) -> Result<Rotation, Error> {
    match found.rotation.take() {
        Some(rotation) if rotation.closed.is_none() => Ok(rotation),
        last => {
            if let Some(error) = last.as_ref().and_then(handed::not_here) {
                return Err(error);
            }
            refuse_elsewhere(found)?;
            Err(none_open(context, &found.workspace.target.name, last.as_ref()))
        }
    }
}

/// Fails where the slots say that a rotation goes on of which this journal knows nothing. A store that cannot be read is a
/// failure too: what is in it cannot be ruled out.
pub fn refuse_elsewhere(found: &OpenEndpoint) -> Result<(), Error> {
    let Workspace { target, journal, .. } = &found.workspace;
    let configured = workspace::open_stores(target)?;
    // A target that was named without its stores has those of its last rotation.
    let stores = if configured.is_empty() { &found.resources.stores } else { &configured };
    let strays = elsewhere::strays(stores, &target.endpoint.key(), journal)?;
    match strays.first() {
        None => Ok(()),
        Some(Stray { of: Some(_), .. }) => {
            let message = format!("no rotation of `{}` is open: {}", target.name, words(&strays));
            Err(Stop::new(
                Kind::NotFound,
                message,
                "give each target slots of its own; the secret may be the only copy",
            ))
        }
        Some(_) => {
            let message = format!("{} of `{}`: {}", elsewhere::UNDER_WAY, target.name, words(&strays));
            Err(Stop::new(Kind::NotFound, message, elsewhere::go_on_there()))
        }
    }
}

/// What strays hold, in words.
pub fn words(strays: &[Stray]) -> String {
    strays.iter().map(Stray::words).collect::<Vec<_>>().join("; ")
}

/// The word that none is open: none is known, or the last one is closed.
pub fn none_open(context: &Context, name: &str, last: Option<&Rotation>) -> Error {
    let Some((last, closed)) = last.and_then(|last| Some((last, last.closed.as_ref()?))) else {
        let message = format!("no rotation of `{name}` is open, and this machine knows of none");
        let hint = advice![
            "if one was begun elsewhere, its state folder is the rotation: go on there, or name it: ",
            Flag::open("state-dir", "DIR"),
            "; begin one: ",
            Verb::Rotate.of(name).bare()
        ];
        return Stop::new(Kind::NotFound, message, hint);
    };
    let (status, by) = (last.status(context.now()).name(), &closed.by);
    let message =
        format!("no rotation of `{name}` is open: {by} closed the last one at {} ({status})", moment(closed.at));
    let hint = advice!["what is live, and where: ", Verb::Inspect.of(name).bare()];
    Stop::new(Kind::NotFound, message, hint)
}

/// The target as its rotation was begun; where its provider has no description any more, one that can be looked at and closed.
pub fn from_plan(context: &Context, plan: &Plan) -> Result<Target, Error> {
    let described = || -> Result<Endpoint, Error> {
        let ids: Vec<(String, String)> = plan.ids.iter().map(|id| (id.name.clone(), id.value.clone())).collect();
        let auth = Some(plan.auth.as_str()).filter(|name| !name.is_empty());
        Ok(context.catalog()?.get(&plan.provider)?.endpoint(Some(&plan.base_url), &ids, auth, &plan.options)?)
    };
    let endpoint = match described() {
        Ok(endpoint) => Endpoint { present: plan.present.clone(), ..endpoint },
        Err(error) => {
            let Ok(base_url) = Url::parse(&plan.base_url) else { return Err(error) };
            provider::remembered(&plan.provider, &plan.ids, &base_url, &plan.endpoint_key)?
        }
    };
    Ok(Target {
        name: plan.target.clone(),
        cutover: endpoint.provider.default_cutover(),
        endpoint,
        stores: Vec::new(),
        surroundings: context.surroundings(&plan.target)?,
        receivers: plan.receivers.clone(),
        may_probe: plan.may_probe,
        stores_from_checkout: false,
        api_key: None,
        owner: plan.owner.clone(),
        labels: Default::default(),
        max_age: None,
        ca: context.config_at_hand()?.ca.clone(),
        file: None,
    })
}
