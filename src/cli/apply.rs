//! `whsec apply`: a plan that `rotate --out` has written is carried out, target by target as it was seen, or not at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueHint;
use serde_json::json;

use super::agree::{self, Given, Shown};
use super::begin::{BeginArgs, StepBefore};
use super::exit::Exit;
use super::fleet::{self, Fleet};
use super::options::TargetOptions;
use super::session::Session;
use super::{contain, plan_file, read, result, several, start};
use crate::operation::approval::{self, Signed};
use crate::operation::fleet::{Canary, Item, Rules};
use crate::operation::fleet_plan::{Entry, FleetPlan};
use crate::operation::start::{self as starting, Intent};
use crate::operation::{Context, Error, allowed, find};
use crate::rotation::planned::Otherwise;
use crate::rotation::{Outcome, Planned, Rotation, RunError, newest_sent};
use crate::time::moment;
use crate::ui::text::one_line;

pub(super) const NAME: &str = "apply";

/// Largest plan that is read, in bytes; one of a thousand targets has a hundredth of it.
const LARGEST: u64 = 64 << 20;

/// How targets are left out of a plan that is there.
const LEAVING_OUT: &str = "another plan leaves some out, made with --except or --skip-instant";

/// Carry out a plan that `rotate --out` has written
///
/// What is agreed to is this plan and no other: its digest is of every byte. Each target is looked at once more before its call; where
/// the config, a store, the journal or what the provider shows is not as it was planned, nothing is sent for it, and it is `stale`. Where old secrets
/// end with the call, the plan's first digits are typed, or given whole as --confirm-plan. The same command again goes on.
///
/// Examples:
///   whsec rotate --all --older-than 90d --out q4.plan
///   whsec apply q4.plan --dry-run
///   whsec apply q4.plan --yes
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The plan; `-` takes it from stdin
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Agree to the plan with this digest, and to the end of every old secret in it
    #[arg(long, value_name = "DIGEST", conflicts_with = "confirm")]
    confirm_plan: Option<String>,
    /// Agree that the old secret ends, by the endpoint's last id; one for each
    #[arg(long, value_name = "ID")]
    confirm: Vec<String>,
    /// Show the plan and stop
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let context = session.context()?;
    let path = match args.file.as_os_str() == "-" {
        true => args.file.clone(),
        false => context.folders().current.join(&args.file),
    };
    let bytes = read::file_or_stdin(&path, LARGEST, "name a file that `rotate --out` has written")?;
    let plan = FleetPlan::read(session.now(), &bytes)?;
    let item = |entry: &Entry| Item {
        name: entry.target.clone(),
        provider: entry.provider.clone(),
        places: entry.stores.iter().map(|store| store.reference.clone()).collect(),
    };
    let skipped = plan.skipped.iter().map(|left| {
        let item = Item { name: left.target.clone(), ..Item::default() };
        (item, left.why.clone())
    });
    let approved_by = approved_by(context, &plan, &path, &bytes);
    let approvers = approved_by.as_ref().cloned().unwrap_or_default();
    let work = |session: &Session, name: &str| one(session, &plan, &approvers, name);
    let times = (Duration::from_secs(plan.options.pause_seconds), Duration::from_secs(plan.options.max_wait_seconds));
    let mut fleet = Fleet::by_rules(NAME, rules(&plan), times, &work, several::judge);
    fleet.skipped = skipped.collect();
    fleet.plan = Some(plan.digest.clone());
    let course = fleet.course(plan.targets.iter().map(item).collect());
    let shown: Vec<Shown<'_>> = plan.targets.iter().map(plan_file::shown).collect();
    let why = plan.reason.as_ref().map(|reason| format!(", for {}", one_line(reason))).unwrap_or_default();
    let (made, until) = (moment(plan.created_at), moment(plan.expires_at));
    session.output.say(&format!("made by {} at {made}{why}; good until {until}", plan.by));
    agree::show(session, &shown, &course, &fleet.skipped, &plan.digest);
    if args.dry_run {
        if let Err(error) = &approved_by {
            session.output.warn(&format!("it cannot be carried out as it stands: {error}"));
        }
        session.output.say("dry run: nothing was sent, written or asked");
        let fields = json!({
            "plan": plan.targets,
            "digest": plan.digest,
            "by": plan.by,
            "approved_by": approvers,
            "expires_at": plan.expires_at,
            "skipped": plan.skipped,
        });
        session.output.json(&result::object(NAME, Exit::Done, fields));
        return Ok(Exit::Done);
    }
    approved_by?;
    let given = Given { ids: &args.confirm, plan: args.confirm_plan.as_deref(), leaving_out: LEAVING_OUT };
    agree::consent(session, &shown, &plan.digest, &given)?;
    fleet.yes = true;
    fleet::run(session, fleet, course)
}

/// Who has signed the plan, where the rules ask for that. Refuses what they do not allow.
fn approved_by(context: &Context, plan: &FleetPlan, path: &Path, bytes: &[u8]) -> Result<Vec<String>, Error> {
    let beginning = plan.beginning();
    allowed::refuse(context, &beginning)?;
    let policy = context.policy()?;
    let needed = policy.approvals(beginning.forced, beginning.is_instant, plan.targets.len());
    let signed = Signed { by: &plan.by, bytes, file: (path != Path::new("-")).then_some(path) };
    approval::need(context, signed, needed)
}

fn rules(plan: &FleetPlan) -> Rules {
    let options = &plan.options;
    let canary = match options.canary.as_slice() {
        [] => Canary::Count(0),
        names => Canary::Named(names.to_vec()),
    };
    Rules { jobs: options.jobs, canary, wave: options.wave, max_failures: options.max_failures }
}

/// Rotates one target as it was planned, or goes on with what an earlier run of the same plan has begun.
fn one(session: &Session, plan: &FleetPlan, approved_by: &[String], name: &str) -> anyhow::Result<Exit> {
    let Some(entry) = plan.targets.iter().find(|entry| entry.target == name) else { return Ok(Exit::NotFound) };
    let context = session.operating()?;
    let target = session.target(name, &TargetOptions::default())?;
    let known = find::journal(context)?.of_endpoint(&target.endpoint.key())?;
    if let Some(ours) = newest_sent(&known).filter(|newest| is_of(newest, plan)) {
        return go_on(session, name, ours);
    }
    entry.before.refuse_other_rotation(&known).map_err(Error::from)?;
    let options = &plan.options;
    let planned = Planned {
        plan: plan.digest.clone(),
        by: plan.by.clone(),
        approved_by: approved_by.to_vec(),
        before: entry.before.clone(),
    };
    let is_forced = plan.is_forced();
    let intent = Intent {
        force: plan.reason.as_deref().filter(|_| is_forced),
        reason: plan.reason.as_deref(),
        overlap: options.overlap_seconds.map(Duration::from_secs),
        planned: Some(&planned),
        ..Intent::default()
    };
    let decided = starting::decide(context, target, &intent)?;
    entry.refuse_otherwise(&Entry::of(&decided.plan, entry.before.clone(), entry.wave))?;
    let begin = BeginArgs {
        confirm: entry.ends_old.then(|| entry.id.clone()).into_iter().collect(),
        done: options.prepared.then_some(StepBefore::Prepare),
        detach: options.detach,
        probe_first: options.probe_first,
        ..BeginArgs::default()
    };
    let (options, answers) = (TargetOptions::default(), begin.answers(session));
    let begin = begin.begin(NAME, &options, intent);
    // What is open contains a leak itself.
    if is_forced && let Some(exit) = contain::contain(session, name, &options.asked(), &begin, answers.clone())? {
        return Ok(exit);
    }
    start::carry_out(session, decided, &begin, answers)
}

fn is_of(rotation: &Rotation, plan: &FleetPlan) -> bool {
    rotation.plan.planned.as_ref().is_some_and(|planned| planned.plan == plan.digest)
}

/// An earlier run of this very plan has rotated it.
fn go_on(session: &Session, name: &str, ours: &Rotation) -> anyhow::Result<Exit> {
    match &ours.closed {
        None => several::go_on(session, name, ours),
        Some(closed) if closed.outcome == Outcome::Done => {
            let fingerprint = ours.new_secret().map(ToString::to_string);
            let object = json!({
                "target": name,
                "status": "done",
                "rotation": ours.id,
                "secret": { "fingerprint": fingerprint },
            });
            session.output.json(&object);
            Ok(Exit::Done)
        }
        Some(_) => {
            let was = Some("open by this plan".to_owned());
            let otherwise = vec![Otherwise { what: "its rotation", was, is: Some("given up".to_owned()) }];
            Err(Error::from(RunError::Stale { otherwise }).into())
        }
    }
}
