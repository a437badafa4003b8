//! `whsec finish`: the tool's remaining steps, where they are safe.

use clap_complete::engine::ArgValueCandidates;

use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::session::Session;
use super::{complete, conclude, find};
use crate::rotation::runner::Rest;
use crate::rotation::{Next, RunError, Step};
use crate::ui::prompt::Answers;
use crate::ui::time::moment;

/// Do the tool's remaining steps, if that is safe
///
/// Promotes and retires. Exits 9 while receivers are not known to run with the new secret, or while the old one lives.
///
/// Examples:
///   whsec finish payments
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let mut found = find::open(session, &args.target, &args.options)?;
    let mut rotation = find::need_open(session, &mut found)?;
    let come_back = session.come_back("cutover", &rotation.plan.target);
    let refuse = |fault| conclude::conclude(session, "finish", &rotation, &found.work.seals, Err(fault));
    if rotation.next(session.now()) == Next::Reconcile {
        let message =
            format!("there is nothing to finish at `{}`: what came of the call is not known yet", args.target);
        return refuse(Fault::new(Exit::Unknown, message, format!("find it out: {come_back}")));
    }
    if rotation.answered().is_none() {
        let message = format!("there is nothing to finish at `{}`: the call comes first", args.target);
        return refuse(Fault::new(Exit::Gate, message, format!("go on with the rotation: {come_back}")));
    }
    let work = &found.work;
    let stopped = || work.signals.arrived();
    let mut person = work.person(session, &found.tools, Answers::default(), &stopped);
    let outcome = work.run(&mut rotation, &found.tools, &mut person, None).and_then(|rest| match rest {
        Rest::Stopped => Ok(work.signals.exit()),
        // What is left then is the receivers' part alone.
        Rest::Finished | Rest::Person(Step::Drop) => Ok(Exit::Done),
        Rest::Person(step) => {
            let why = format!("nobody has said that `{0}` is done (`cutover` with `--done {0}` says it)", step.name());
            Err(RunError::TooEarly { step: Step::Retire, why })
        }
        Rest::Clock(until) => {
            Err(RunError::TooEarly { step: Step::Retire, why: format!("the old secret lives until {}", moment(until)) })
        }
    });
    conclude::conclude(session, "finish", &rotation, &work.seals, outcome)
}
