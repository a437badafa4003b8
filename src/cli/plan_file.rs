//! `--out`: a plan of rotations goes into a file, with where each endpoint stands, and nothing is carried out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::agree::{self, Shown};
use super::begin::BeginArgs;
use super::exit::{Exit, Fault};
use super::fleet::{self, Ended, Fleet};
use super::options::TargetOptions;
use super::session::Session;
use super::waves::Waves;
use super::{rest, result, select};
use crate::operation::fleet::{Course, Item};
use crate::operation::fleet_plan::{Entry, FleetPlan, Skipped, before, in_the_way};
use crate::operation::start::{self, Intent};
use crate::operation::{allowed, approval};
use crate::rotation::Plan;
use crate::rotation::planned::Before;
use crate::secret::shown_path;
use crate::system::private;

/// What is to be planned.
pub struct Wanted<'a> {
    pub command: &'static str,
    pub waves: &'a Waves,
    pub options: &'a TargetOptions,
    pub begin: &'a BeginArgs,
    pub intent: &'a Intent<'a>,
}

/// What was seen of a target.
enum Looked {
    Free(Box<(Plan, Before)>),
    Open,
}

/// Looks at each target and writes what is to be done. Nothing is sent but read calls.
pub fn write(
    session: &Session,
    wanted: &Wanted<'_>,
    items: Vec<Item>,
    mut skipped: Vec<(Item, String)>,
    out: &Path,
) -> anyhow::Result<Exit> {
    let Wanted { command, waves, options, begin, intent } = *wanted;
    if out.as_os_str() == "-" {
        let hint = "name a file: a plan is agreed to by somebody who can read it, and is kept";
        return Err(Fault::new(Exit::Usage, "a plan is not written to stdout", hint));
    }
    let path = session.context()?.folders().current.join(out);
    if intent.force.is_some() {
        allowed::reason(session.context()?, intent.force)?;
    }
    if path.exists() {
        let message = format!("`{}` is there already, and no plan was made", shown_path(&path));
        return Err(Fault::new(Exit::Usage, message, "name another file, or remove that one"));
    }
    let seen: Mutex<BTreeMap<String, Looked>> = Mutex::default();
    let look = |session: &Session, name: &str| {
        let context = session.operating()?;
        let decided = start::decide(context, session.target(name, &TargetOptions::default())?, intent)?;
        let key_file = options.api_key_file.as_deref();
        let (before, known) = before(context, &decided.target, &decided.stores, key_file)?;
        let looked = match in_the_way(&known) {
            // What is open contains a leak itself.
            Some(_) if intent.force.is_none() => Looked::Open,
            _ => Looked::Free(Box::new((decided.plan, before))),
        };
        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), looked);
        Ok(Exit::Done)
    };
    let fleet = Fleet::through(command, &waves.many, &look);
    let course = fleet.course(items.clone());
    let Ended { rested, .. } = fleet::carry_out(session, &fleet, course)?;
    let signals = session.signals()?;
    if signals.arrived() {
        return Ok(signals.exit());
    }
    let mut seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let why = |name: &str| {
        let rest = rested.iter().map(rest::Rest::named).find(|(named, _)| *named == name);
        rest.and_then(|(_, why)| why).unwrap_or("it was not come to").to_owned()
    };
    let (mut failed, mut free, mut plans) = (0, Vec::new(), Vec::new());
    for item in items {
        match seen.remove(&item.name) {
            Some(Looked::Free(looked)) => {
                free.push(item);
                plans.push(*looked);
            }
            Some(Looked::Open) => skipped.push((item, "a rotation of it is open".to_owned())),
            None => {
                failed += 1;
                let why = why(&item.name);
                skipped.push((item, why));
            }
        }
    }
    if plans.is_empty() && failed == 0 {
        return select::nothing(session, command, false);
    }
    let course = Course::new(free, &waves.rules());
    let entries: Vec<Entry> = plans
        .into_iter()
        .enumerate()
        .map(|(at, (plan, before))| Entry::of(&plan, before, course.wave_of(at)))
        .collect();
    let left = skipped.iter().map(|(item, why)| Skipped { target: item.name.clone(), why: why.clone() }).collect();
    let options = waves.options(&course, begin, intent.overlap);
    let reason = intent.force.or(intent.reason);
    let plan = FleetPlan::new(session.context()?, command, reason, options, entries, left);
    let shown: Vec<Shown<'_>> = plan.targets.iter().map(shown).collect();
    agree::show(session, &shown, &course, &skipped, &plan.digest);
    if plan.targets.is_empty() {
        let message = format!("no plan was made: none of {failed} targets can be rotated as it stands");
        return Err(Fault::new(Exit::Partial, message, "what each of them says stands above"));
    }
    private::write(&path, plan.text().as_bytes()).map_err(|error| {
        let message = format!("cannot write the plan `{}`: {error}", shown_path(&path));
        Fault::new(Exit::Failed, message, "name a file that can be written; nothing was sent")
    })?;
    let exit = if failed == 0 { Exit::Done } else { Exit::Partial };
    let apply = session.come_back("apply", &out.display().to_string());
    let beginning = plan.beginning();
    let policy = session.context()?.policy()?;
    let needed =
        policy.approvals(beginning.forced, beginning.is_instant, plan.targets.len()).map(|needed| needed.count.get());
    let signatures = needed.max().unwrap_or_default();
    if signatures > 0 {
        let sign = approval::command(&path);
        session.output.say(&format!("the rules ask for {signatures} signed by others than {}: {sign}", plan.by));
    }
    session.output.say("nothing was sent but read calls; this carries it out:");
    session.output.say(&format!("  {apply}"));
    let error = match failed {
        0 => json!(null),
        _ => rest::error(session, exit, &rested),
    };
    let fields = json!({
        "plan": plan.targets,
        "digest": plan.digest,
        "expires_at": plan.expires_at,
        "file": path.display().to_string(),
        "signatures": signatures,
        "skipped": plan.skipped,
        "next": { "command": apply },
        "error": error,
    });
    session.output.json(&result::object(command, exit, fields));
    Ok(exit)
}

/// A target of a plan as it is shown.
pub fn shown(entry: &Entry) -> Shown<'_> {
    Shown {
        name: &entry.target,
        provider: &entry.provider,
        direction: &entry.direction,
        id: &entry.id,
        ends_old: entry.ends_old,
    }
}
