//! `whsec adopt`: goes on here with a rotation whose journal is lost.

use clap::builder::NonEmptyStringValueParser;
use clap_complete::engine::ArgValueCandidates;

use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::person;
use super::session::Session;
use super::{ask, complete, outcome};
use crate::operation::report::End;
use crate::operation::{Error, adopt, workspace};
use crate::ui::preview;
use crate::ui::prompt::Answers;

/// Take over a rotation whose journal is lost
///
/// For one that was begun on a machine that is gone: what the slots hold and the provider shows is the rotation. Nothing is sent that
/// changes anything, and no store is written. What cannot be seen is asked for again by `cutover`, deploy first; the old secret ends
/// as the provider says, else as documented from now on. Needs a yes, or --yes; where nobody can be asked, --reason.
///
/// Refused, with exit 9, where the slots can be read in two ways, and with exit 4 where there is nothing to adopt.
///
/// Examples:
///   whsec adopt payments
///   whsec adopt payments --reason 'begun on a runner that is gone'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Say why; it goes to the journal
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let context = session.operating()?;
    let prepared = adopt::prepare(context, &args.target, &args.options.asked())?;
    let (workspace, resources) = (&prepared.workspace, &prepared.resources);
    let provider = &workspace.target.endpoint.provider;
    preview::adopted(&session.output, &prepared.preview(context), provider, &workspace::names(&resources.stores));
    if !session.may_ask() && args.reason.is_none() {
        let message =
            "`--reason` is needed, and there is nobody to ask: what is shown is taken for the rotation that was begun";
        return Err(Fault::new(Exit::Usage, message, "give --reason TEXT on the command line"));
    }
    if session.may_ask() {
        let refusal = ["not adopted, as you said", "nothing was changed"];
        ask::agreement(session, workspace, "Is this the rotation, and shall it go on here?", refusal)?;
    }
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = person::of(session, workspace, resources, Answers::default(), &stopped)?;
    let rotation = prepared.begin(context, args.reason.as_deref(), &mut person)?;
    outcome::tell(session, "adopt", &rotation, workspace, Ok::<_, Error>(End::Done))
}
