//! `whsec finish`: the tool's remaining steps, where they are safe.

use std::time::Duration;

use jiff::Timestamp;

use super::exit::Exit;
use super::fleet;
use super::options::TargetOptions;
use super::overrule::{self, Over};
use super::person;
use super::select::Selection;
use super::session::Session;
use super::waves::Many;
use super::{outcome, parse_duration};
use crate::operation::finish;
use crate::operation::report::End;
use crate::operation::workspace::Workspace;
use crate::operation::{allowed, changes, find};
use crate::rotation::changed::Change;
use crate::rotation::lease;
use crate::rotation::operator::Countdown;
use crate::rotation::{Rotation, Step};
use crate::time::moment;
use crate::ui::countdown;
use crate::ui::prompt::{Answers, Person};

/// Do the tool's remaining steps, if that is safe
///
/// Promotes and retires. Exits 9 while receivers are not known to run with the new secret, while one of them rejects it, or
/// while the old one lives.
///
/// Examples:
///   whsec finish payments
///   whsec finish payments --drain 2h
///   whsec finish payments --override --reason 'the probe is blocked by the firewall'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    many: Many,
    /// Go on although a receiver rejects the new secret, or nobody has said that deploy and verify are done
    ///
    /// With a fingerprint, or `empty`: over what somebody else has put into a slot, as with `cutover --override`.
    #[arg(long = "override", value_name = "FINGERPRINT", num_args = 0..=1, require_equals = true, default_missing_value = "",
          requires = "reason", value_parser = overrule::parse)]
    overrides: Vec<Over>,
    /// Note this reason with --override
    #[arg(long, value_name = "TEXT", requires = "overrides")]
    reason: Option<String>,
    /// Wait until the old secret has been gone for this long: deliveries signed before may still be retried
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    drain: Option<Duration>,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let several = fleet::Several { command: "finish", selection: &args.selection, many: &args.many, asserts: false };
    several.refuse(&[("--override=FINGERPRINT", args.overrides.iter().any(|over| *over != Over::Shown))])?;
    several.each(session, &args.options, &|session, name| one(args, session, name))
}

fn one(args: &Args, session: &Session, name: &str) -> anyhow::Result<Exit> {
    if !args.overrides.is_empty() {
        allowed::reason(session.context()?, args.reason.as_deref())?;
    }
    let mut found = find::open(session.operating()?, name, &args.options.asked())?;
    let mut rotation = find::need_open(session.context()?, &mut found)?;
    let context = session.context()?;
    if let Err(error) = finish::refuse_too_early(context, &found, &rotation) {
        return outcome::tell(session, "finish", &rotation, &found.workspace, Err(error));
    }
    let is_joined = |change: &Change| matches!(change, Change::ReceiverJoined { .. });
    let (receivers, others): (Vec<Change>, Vec<Change>) = found.changes.iter().cloned().partition(is_joined);
    changes::say(context, &rotation, &others);
    let workspace = &found.workspace;
    changes::take_in_receivers(context, workspace, &mut rotation, &receivers)?;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    // Whoever goes on whatever the receivers do says that they are ready, with the same reason.
    let goes_on = args.overrides.contains(&Over::Shown);
    let done = Step::ALL.into_iter().filter(|step| goes_on && step.is_of_new_secret()).collect();
    // A reason that is given for a slot says nothing of receivers.
    let gate_reason = args.reason.as_deref().filter(|_| goes_on);
    let answers = Answers {
        done,
        reason: gate_reason.map(str::to_owned),
        over_doubts: gate_reason.map(str::to_owned),
        ..Answers::default()
    };
    let mut person = person::of(session, workspace, &found.resources, answers, &stopped)?;
    let mut runner = workspace.runner(&mut rotation, &found.resources, &mut person);
    let reason = args.reason.as_deref().unwrap_or_default();
    if let Err(error) = overrule::overrule(session, workspace, &mut runner, &args.overrides, reason) {
        return outcome::failed(session, "finish", &rotation, workspace, error);
    }
    let wait = |rotation: &Rotation, until| drained(session, workspace, rotation, until, &stopped);
    let drain = |rotation: &mut Rotation, person: &mut Person<'_>| match args.drain {
        Some(drain) => finish::drain(context, &found, rotation, drain, gate_reason, person, &wait),
        None => Ok(End::Done),
    };
    let outcome = drain(&mut rotation, &mut person).and_then(|end| match end {
        End::Done => finish::finish(&found, &mut rotation, gate_reason, &mut person),
        end => Ok(end),
    });
    outcome::tell(session, "finish", &rotation, workspace, outcome)
}

/// Waits until then, or until others have moved the rotation. `false` where a signal came before.
fn drained(
    session: &Session,
    workspace: &Workspace,
    rotation: &Rotation,
    until: Timestamp,
    stopped: &dyn Fn() -> bool,
) -> bool {
    let why = format!("draining: what was signed with the old secret may be retried until {}", moment(until));
    session.output.say(&why);
    let provider_now = rotation.provider_now(session.now());
    let moved = || lease::has_moved(&workspace.journal, rotation);
    countdown::run(&session.output, Countdown { until, provider_now }, false, stopped, &moved)
}
