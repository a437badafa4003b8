//! `whsec finish`: the tool's remaining steps, where they are safe.

use std::collections::BTreeSet;
use std::time::Duration;

use clap_complete::engine::ArgValueCandidates;
use jiff::{SignedDuration, Timestamp};

use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::overrule::{self, Over};
use super::person;
use super::session::Session;
use super::{complete, conclude, parse_duration};
use crate::operation::work::Work;
use crate::operation::{changes, find};
use crate::rotation::changed::Change;
use crate::rotation::operator::Countdown;
use crate::rotation::rejoin::{self, Meanwhile};
use crate::rotation::runner::Rest;
use crate::rotation::{Next, Rotation, RunError, Step};
use crate::time::moment;
use crate::ui::countdown;
use crate::ui::prompt::Answers;

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
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
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
    let mut found = find::open(session.operating()?, &args.target, &args.options.asked())?;
    let mut rotation = find::need_open(session.context()?, &mut found)?;
    let come_back = session.come_back("cutover", &rotation.plan.target);
    let refuse = |fault| conclude::conclude(session, "finish", &rotation, &found.work, Err(fault));
    if rotation.next(session.now()) == Next::Reconcile {
        let message =
            format!("there is nothing to finish at `{}`: what came of the call is not known yet", args.target);
        return refuse(Fault::new(Exit::Unknown, message, format!("find it out: {come_back}")));
    }
    if rotation.answered().is_none() {
        let message = format!("there is nothing to finish at `{}`: the call comes first", args.target);
        return refuse(Fault::new(Exit::Gate, message, format!("go on with the rotation: {come_back}")));
    }
    if let Some(back) = rotation.taken_back() {
        let why = format!("the old secret was put back at {} by {back}", moment(back.at));
        return refuse(RunError::TooEarly { step: Step::Promote, why }.into());
    }
    if let Err(error) = changes::refuse_joined(&args.target, &found.changes) {
        return refuse(error.into());
    }
    let is_joined = |change: &Change| matches!(change, Change::ReceiverJoined { .. });
    let (receivers, others): (Vec<Change>, Vec<Change>) = found.changes.iter().cloned().partition(is_joined);
    changes::say(session.context()?, &rotation, &others);
    let work = &found.work;
    changes::take_in_receivers(session.context()?, work, &mut rotation, &receivers)?;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    // Whoever goes on whatever the receivers do says that they are ready, with the same reason.
    let goes_on = args.overrides.contains(&Over::Shown);
    let done = if goes_on { [Step::Deploy, Step::Verify].into() } else { BTreeSet::new() };
    // A reason that is given for a slot says nothing of receivers.
    let gate_reason = args.reason.as_deref().filter(|_| goes_on);
    let answers = Answers {
        done,
        reason: gate_reason.map(str::to_owned),
        over_doubts: gate_reason.map(str::to_owned),
        ..Answers::default()
    };
    let mut person = person::of(session, work, &found.tools, answers, &stopped)?;
    let mut runner = work.runner(&mut rotation, &found.tools, &mut person);
    let reason = args.reason.as_deref().unwrap_or_default();
    if let Err(error) = overrule::overrule(session, work, &mut runner, &args.overrides, reason) {
        return conclude::conclude(session, "finish", &rotation, work, Err::<Exit, _>(error));
    }
    let drain = |rotation: &Rotation| {
        let is_over = rotation.closed.is_some() || rotation.done.contains_key(&Step::Retire);
        args.drain.filter(|_| !is_over)
    };
    while let Some(until) = drain(&rotation).and_then(|drain| draining_until(session, &rotation, drain)) {
        // What is refused anyway is refused before the waiting, too.
        let mut waited = work.runner(&mut rotation, &found.tools, &mut person).gate(gate_reason);
        if waited.is_ok() {
            work.let_go();
            let is_stopped = !drained(session, work, &rotation, until, &stopped);
            let mut runner = work.runner(&mut rotation, &found.tools, &mut person);
            waited = match runner.rejoin() {
                Ok(meanwhile) if is_stopped || meanwhile == Meanwhile::Stopped => {
                    // What is said of the rotation now is what others have made of it.
                    let _ = runner.catch_up();
                    let stopped = anyhow::Ok(signals.exit());
                    return conclude::conclude(session, "finish", &rotation, work, stopped);
                }
                rejoined => rejoined.map(|_| ()),
            };
        }
        if let Err(error) = waited {
            return conclude::conclude(session, "finish", &rotation, work, Err(error));
        }
    }
    let unfinished = if rotation.done.contains_key(&Step::Promote) { Step::Retire } else { Step::Promote };
    let mut runner = work.runner(&mut rotation, &found.tools, &mut person);
    let is_open = runner.rotation.closed.is_none();
    let gate = if is_open { runner.gate(gate_reason) } else { Ok(()) };
    let outcome = gate.and_then(|()| runner.run(None));
    let outcome = outcome.and_then(|rest| match rest {
        Rest::Stopped => Ok(signals.exit()),
        // What is left then is the receivers' part alone.
        Rest::Finished => Ok(Exit::Done),
        Rest::Person(Step::Drop) if rotation.done.contains_key(&Step::Retire) => Ok(Exit::Done),
        Rest::Person(step) => {
            let why = format!("nobody has said that `{0}` is done (`cutover` with `--done {0}` says it)", step.name());
            Err(RunError::TooEarly { step: unfinished, why })
        }
        Rest::Clock(until) => {
            Err(RunError::TooEarly { step: Step::Retire, why: format!("the old secret lives until {}", moment(until)) })
        }
    });
    conclude::conclude(session, "finish", &rotation, work, outcome)
}

/// Until when deliveries that were signed with the old secret may be retried, on the provider's clock; `None` once that is over.
fn draining_until(session: &Session, rotation: &Rotation, drain: Duration) -> Option<Timestamp> {
    let issued = rotation.done.get(&Step::Issue).map(|proof| rotation.provider_time(proof.at));
    let ended = rotation.expires_at().or(issued)?;
    let until = ended.saturating_add(SignedDuration::try_from(drain).unwrap_or(SignedDuration::MAX)).ok()?;
    (rotation.provider_now(session.now()) < until).then_some(until)
}

/// Waits until then, or until others have moved the rotation. `false` where a signal came before.
fn drained(session: &Session, work: &Work, rotation: &Rotation, until: Timestamp, stopped: &dyn Fn() -> bool) -> bool {
    let why = format!("draining: what was signed with the old secret may be retried until {}", moment(until));
    session.output.say(&why);
    let provider_now = rotation.provider_now(session.now());
    let moved = || rejoin::has_moved(&work.journal, rotation);
    countdown::run(&session.output, Countdown { until, provider_now }, false, stopped, &moved)
}
