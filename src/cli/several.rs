//! Rotations of several targets: what is planned is shown once, agreed to once, and carried out in waves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::begin::BeginArgs;
use super::exit::{Exit, Fault};
use super::fleet::{self, Fleet};
use super::options::TargetOptions;
use super::select::{self, Chosen};
use super::session::Session;
use super::waves::Waves;
use super::{ask, rest, result, tend};
use crate::operation::fleet::{Course, Item, Outcome, digest};
use crate::operation::start::{self, Intent};
use crate::operation::{find, workspace};
use crate::rotation::{Call, Plan, Status};
use crate::ui::dialog;

/// How many digits of a digest are typed.
const TYPED: usize = 8;
/// The most ids that are named in a hint.
const MOST_NAMED: usize = 3;

/// What is asked for.
pub struct Rotations<'a> {
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
    let Rotations { waves, options, begin, .. } = wanted;
    let command = "rotate";
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
    // What was agreed to for all of them is agreed to for this one, and no more than that.
    let ending: BTreeMap<&str, &str> = ending(&planned).map(|plan| (plan.target.as_str(), plan.own_id())).collect();
    let work = |session: &Session, name: &str| {
        let confirm = ending.get(name).map(|id| (*id).to_owned()).into_iter().collect();
        work(session, name, BeginArgs { confirm, ..(*begin).clone() }, wanted.one)
    };
    let mut fleet = Fleet::in_waves(command, waves, &work, judge);
    fleet.skipped = skipped;
    let items: Vec<Item> = planned.iter().map(|planned| planned.item.clone()).collect();
    let course = fleet.course(items);
    let digest = show(session, &planned, &course, &fleet.skipped);
    if begin.dry_run {
        session.output.say("dry run: nothing was sent, written or asked");
        let fields = json!({ "plan": described(&planned, &course), "digest": digest });
        session.output.json(&result::object(command, Exit::Done, fields));
        return Ok(Exit::Done);
    }
    if !planned.is_empty() {
        consent(session, waves, begin, &planned, &digest)?;
    }
    fleet.yes = true;
    fleet::run(session, fleet, course)
}

fn plan(session: &Session, mut item: Item, intent: &Intent<'_>) -> Planned {
    let plan = session.target(&item.name, &TargetOptions::default()).ok().and_then(|target| {
        item.places = target.stores.iter().map(|store| store.reference.place()).collect();
        let stores = workspace::open_stores(&target).ok()?;
        let mut plan = start::plan(&target, intent).ok()?;
        plan.stores = workspace::planned(&target, &stores, false).ok()?;
        Some(plan)
    });
    Planned { item, plan }
}

/// What it comes to, on one screen. Yields the digest of all of it.
fn show(session: &Session, planned: &[Planned], course: &Course, skipped: &[(Item, String)]) -> String {
    let output = &session.output;
    let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for Planned { item, plan } in planned {
        let direction = plan.as_ref().map_or("cannot be rotated as it stands", |plan| plan.direction.name());
        *kinds.entry((&item.provider, direction)).or_default() += 1;
    }
    output.say(&format!("{} targets to rotate:", planned.len()));
    for ((provider, direction), count) in kinds {
        output.say(&format!("  {count:>5}  {provider:<16} {direction}"));
    }
    if course.waves().len() > 1 {
        let sizes: Vec<String> = course.waves().iter().map(|wave| wave.len().to_string()).collect();
        let first: Vec<&str> = course.waves()[0].iter().map(|at| course.items()[*at].name.as_str()).collect();
        output.say(&format!("in waves of {}; first {}", sizes.join(", "), some_of(&first)));
    }
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    skipped.iter().for_each(|(item, why)| left.entry(why).or_default().push(&item.name));
    for (why, names) in left {
        output.say(&format!("left out, as {why}: {}", some_of(&names)));
    }
    let ending: Vec<&Plan> = ending(planned).collect();
    if !ending.is_empty() {
        output.show("the old secret ends with the call at:");
        for plan in &ending {
            output.show(&format!("  {}  {}", plan.own_id(), plan.target));
        }
    }
    let digest = digest(&described(planned, course));
    output.say(&format!("plan {digest}"));
    digest
}

/// A few of these names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    let some = names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => some,
        more => format!("{some} and {more} more"),
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

/// Whether an endpoint's own id is among those that were given.
fn is_confirmed(plan: &Plan, confirmed: &[String]) -> bool {
    confirmed.iter().any(|id| id == plan.own_id())
}

/// Asks once for all of them: a yes, or where old secrets end, the plan's digest.
fn consent(
    session: &Session,
    waves: &Waves,
    begin: &BeginArgs,
    planned: &[Planned],
    digest: &str,
) -> anyhow::Result<()> {
    if let Some(given) = waves.confirmed_plan() {
        if given == digest {
            return Ok(());
        }
        let hint = "it is another plan by now: look at it once more with --dry-run, and confirm that one";
        return Err(Fault::new(Exit::Conflict, format!("the plan is {digest}, and nothing was sent"), hint));
    }
    let left: Vec<&Plan> = ending(planned).filter(|plan| !is_confirmed(plan, &begin.confirm)).collect();
    if left.is_empty() {
        let (count, yes) = (planned.len(), session.global.yes);
        if yes || ending(planned).next().is_some() {
            return Ok(());
        }
        ask::may_ask(session, "--yes")?;
        let agreed = ask::answer(dialog::confirm(&format!("Rotate {count} targets now?"), false), "--yes")?;
        return if agreed { Ok(()) } else { Err(refused()) };
    }
    let flag = format!("--confirm-plan {digest}");
    if !session.may_ask() {
        let ids: Vec<&str> = left.iter().map(|plan| plan.own_id()).collect();
        let (count, ids) = (left.len(), some_of(&ids));
        let message = format!("old secrets end with the call at {count} targets ({ids}), and there is nobody to ask");
        let hint = format!("give {flag}, or `--confirm ID` for each of them; --skip-instant leaves them out");
        return Err(Fault::new(Exit::Usage, message, hint));
    }
    let start = digest.trim_start_matches("sha256:").get(..TYPED).unwrap_or_default();
    let question = format!("This ends {} old secrets. Type {start}, the plan's first digits, to go on", left.len());
    let typed = ask::answer(dialog::text(&question, Some(""), |_| Ok(())), &flag)?;
    if typed.trim() == start { Ok(()) } else { Err(refused()) }
}

fn refused() -> anyhow::Error {
    Fault::new(Exit::Usage, "not rotated, as you said", "nothing was sent; run it again when you are ready")
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
    let open = find::journal(context)?.find_open(&target.endpoint.key())?;
    if let Some(open) = open.filter(|open| open.call != Call::NotApplied || open.made.is_some()) {
        let rests = matches!(
            open.status(session.now()),
            Status::Stored | Status::Deployed | Status::Verified | Status::Waiting
        );
        let (exit, object) = tend::one(session, name)?;
        let mut object = object.unwrap_or_else(|| json!({ "target": name }));
        object["was_open"] = json!(rests);
        session.output.json(&object);
        return Ok(exit);
    }
    one(session, name, begin)
}

fn judge(exit: Exit, object: &Value) -> Outcome {
    let is = |status: &str| object["status"] == status;
    match exit {
        Exit::Done | Exit::Open | Exit::Overdue if is("done") => Outcome::Done,
        Exit::Done | Exit::Open | Exit::Overdue if object["was_open"] == true => Outcome::Open,
        Exit::Done | Exit::Open | Exit::Overdue => Outcome::Stored,
        // An overlap that is open is nobody's fault. What another whsec is at may be a process that is gone, and is not done.
        Exit::Conflict if object["error"]["until"].is_string() => Outcome::Open,
        Exit::Conflict if object["error"]["busy"] == true => Outcome::NotBegun,
        _ => rest::judge(exit, object),
    }
}
