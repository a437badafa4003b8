//! Rotations of several targets: what is planned is shown once, agreed to once, and carried out in waves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::agree::{self, Given, Shown};
use super::begin::BeginArgs;
use super::exit::Exit;
use super::fleet::{self, Fleet};
use super::options::TargetOptions;
use super::select::{self, Chosen};
use super::session::Session;
use super::waves::Waves;
use super::{plan_file, rest, result, start, tend};
use crate::operation::fleet::{Course, Item, Outcome, digest};
use crate::operation::fleet_plan::in_the_way;
use crate::operation::start::{self as starting, Intent};
use crate::operation::{Context, Error, allowed, find, workspace};
use crate::rotation::{Plan, Rotation, Status};

/// What is asked for.
pub struct Rotations<'a> {
    pub command: &'static str,
    pub chosen: Vec<Chosen>,
    pub waves: &'a Waves,
    pub options: &'a TargetOptions,
    pub begin: &'a BeginArgs,
    pub intent: Intent<'a>,
    /// Rotates one target.
    pub one: &'a (dyn Fn(&Session, &str, BeginArgs) -> anyhow::Result<Exit> + Sync),
}

/// A target that is to be rotated, as far as that can be decided before anything is asked.
struct Planned {
    item: Item,
    /// Nothing of a target that cannot be used: it fails by itself.
    plan: Option<Plan>,
}

/// Rotates them.
pub fn run(session: &Session, wanted: &Rotations<'_>) -> anyhow::Result<Exit> {
    let Rotations { command, waves, options, begin, .. } = *wanted;
    let given = [("--idempotency-key", begin.idempotency_key.is_some()), ("--secret", begin.secret.secret.is_some())];
    fleet::refuse_of_one(&[&options.of_one()[..], &given[..]].concat())?;
    if wanted.chosen.is_empty() {
        return select::nothing(session, command, false);
    }
    let (items, mut skipped) = fleet::taken(session, wanted.chosen.clone());
    let mut planned: Vec<Planned> = items.into_iter().map(|item| plan(session, item, &wanted.intent)).collect();
    if waves.skips_instant() {
        let ends = |planned: &Planned| planned.plan.as_ref().is_some_and(Plan::needs_id);
        for left in planned.extract_if(.., |planned| ends(planned)) {
            skipped.push((left.item, "its old secret ends with the call".to_owned()));
        }
    }
    if let Some(out) = &waves.out {
        let items = planned.into_iter().map(|planned| planned.item).collect();
        let wanted = plan_file::Wanted { command, waves, options, begin, intent: &wanted.intent };
        return plan_file::write(session, &wanted, items, skipped, out);
    }
    // What was agreed to for all of them is agreed to for this one, and no more than that.
    let ending: BTreeMap<&str, &str> = ending(&planned).map(|plan| (plan.target.as_str(), plan.own_id())).collect();
    let work = |session: &Session, name: &str| {
        let confirm = ending.get(name).map(|id| (*id).to_owned()).into_iter().collect();
        let begin = BeginArgs { confirm, ..begin.clone() };
        // What is open contains a leak itself.
        if wanted.intent.force.is_some() {
            (wanted.one)(session, name, begin)
        } else {
            work(session, name, begin, wanted.one)
        }
    };
    let mut fleet = Fleet::in_waves(command, waves, &work, judge);
    fleet.skipped = skipped;
    let items: Vec<Item> = planned.iter().map(|planned| planned.item.clone()).collect();
    let course = fleet.course(items);
    let digest = digest(&described(&planned, &course));
    let shown: Vec<Shown<'_>> = planned.iter().map(shown).collect();
    agree::show(session, &shown, &course, &fleet.skipped, &digest);
    start::heed(session, begin.dry_run, allow(session.context()?, &planned))?;
    if begin.dry_run {
        session.output.say("dry run: nothing was sent, written or asked");
        let fields = json!({ "plan": described(&planned, &course), "digest": digest });
        session.output.json(&result::object(command, Exit::Done, fields));
        return Ok(Exit::Done);
    }
    if !planned.is_empty() {
        let leaving_out = match wanted.intent.force {
            Some(_) => "--except GLOB leaves some out",
            None => "--skip-instant leaves them out",
        };
        let given = Given { ids: &begin.confirm, plan: waves.confirmed_plan(), leaving_out };
        agree::consent(session, &shown, &digest, &given)?;
    }
    fleet.yes = true;
    fleet::run(session, fleet, course)
}

fn plan(session: &Session, mut item: Item, intent: &Intent<'_>) -> Planned {
    let plan = session.target(&item.name, &TargetOptions::default()).ok().and_then(|target| {
        item.places = target.stores.iter().map(|store| store.reference.place()).collect();
        let stores = workspace::open_stores(&target).ok()?;
        let mut plan = starting::plan(&target, intent).ok()?;
        plan.stores = workspace::planned(&target, &stores, false).ok()?;
        Some(plan)
    });
    Planned { item, plan }
}

/// Refuses what the rules do not allow of any of them.
fn allow(context: &Context, planned: &[Planned]) -> Result<(), Error> {
    allowed::count(context, planned.len())?;
    planned.iter().filter_map(|planned| planned.plan.as_ref()).try_for_each(|plan| allowed::begin(context, plan))
}

fn shown(planned: &Planned) -> Shown<'_> {
    let Planned { item, plan } = planned;
    Shown {
        name: &item.name,
        provider: &item.provider,
        direction: plan.as_ref().map_or("cannot be rotated as it stands", |plan| plan.direction.name()),
        id: plan.as_ref().map_or("", Plan::own_id),
        ends_old: plan.as_ref().is_some_and(Plan::needs_id),
    }
}

/// All of it as a value.
fn described(planned: &[Planned], course: &Course) -> Value {
    let described = |(at, Planned { item, plan }): (usize, &Planned)| {
        let stores = plan.iter().flat_map(|plan| &plan.stores);
        let stores: Vec<Value> =
            stores.map(|store| json!({ "reference": store.reference, "server": store.server })).collect();
        json!({
            "target": item.name,
            "endpoint": plan.as_ref().map(|plan| plan.endpoint_key.as_str()),
            "direction": plan.as_ref().map(|plan| plan.direction.name()),
            "ends_old": plan.as_ref().is_some_and(Plan::needs_id),
            "stores": stores,
            "wave": course.wave_of(at),
        })
    };
    planned.iter().enumerate().map(described).collect()
}

fn ending(planned: &[Planned]) -> impl Iterator<Item = &Plan> {
    planned.iter().filter_map(|planned| planned.plan.as_ref()).filter(|plan| plan.needs_id())
}

/// Rotates a target, or goes on with a rotation of it that is open already, as far as nobody is needed.
fn work(
    session: &Session,
    name: &str,
    begin: BeginArgs,
    one: &(dyn Fn(&Session, &str, BeginArgs) -> anyhow::Result<Exit> + Sync),
) -> anyhow::Result<Exit> {
    let context = session.operating()?;
    let target = session.target(name, &TargetOptions::default())?;
    let open = find::journal(context)?.open_of(&target.endpoint.key())?;
    match in_the_way(&open) {
        Some(open) => go_on(session, name, open),
        None => one(session, name, begin),
    }
}

/// Goes on with a rotation that is open, as far as nobody is needed.
pub fn go_on(session: &Session, name: &str, open: &Rotation) -> anyhow::Result<Exit> {
    let status = open.status(session.now());
    let rests = matches!(status, Status::Stored | Status::Deployed | Status::Verified | Status::Waiting);
    let (exit, object) = tend::one(session, name)?;
    let mut object = object.unwrap_or_else(|| json!({ "target": name }));
    object["was_open"] = json!(rests);
    session.output.json(&object);
    Ok(exit)
}

/// What the code and the object of a rotation's command come to.
pub fn judge(exit: Exit, object: &Value) -> Outcome {
    let is = |status: &str| object["status"] == status;
    match exit {
        Exit::Done | Exit::Open | Exit::Overdue if is("done") => Outcome::Done,
        Exit::Done | Exit::Open | Exit::Overdue if object["was_open"] == true => Outcome::Open,
        Exit::Done | Exit::Open | Exit::Overdue => Outcome::Stored,
        // An overlap that is open is nobody's fault. What another whsec is at may be a process that is gone, and is not done.
        Exit::Conflict if object["error"]["until"].is_string() => Outcome::Open,
        Exit::Conflict if object["error"]["busy"] == true => Outcome::NotBegun,
        Exit::Conflict if object["error"]["stale"] == true => Outcome::Stale,
        _ => rest::judge(exit, object),
    }
}
