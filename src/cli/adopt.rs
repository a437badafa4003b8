//! `whsec adopt`: goes on with a rotation of which only the stores know.

use clap_complete::engine::ArgValueCandidates;

use super::exit::Exit;
use super::options::TargetOptions;
use super::session::Session;
use super::{ask, complete, outcome};
use crate::operation::Error;
use crate::operation::adopt::{self, Found};
use crate::operation::report::End;

const NAME: &str = "adopt";

/// Take up a rotation whose journal is gone, from what its stores have
///
/// Where a state folder is lost in mid-rotation, the slots still have both secrets. From them a rotation is recorded that `cutover`
/// goes on with: nothing is sent, and no slot is changed. When it was begun nobody knows, so the old secret counts as alive for the
/// provider's whole overlap from now on, and what receivers do is proved or said anew. Never of a rotation that another machine
/// still knows: go on there. Needs a yes, or --yes. Exits with 4 if the slots show none, and with 9 if what they show is not clear.
///
/// Examples:
///   whsec adopt payments --reason 'the laptop that had it is broken'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Say why; it goes to the journal
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let context = session.operating()?;
    let target = session.target(&args.target, &args.options)?;
    let adoptable = adopt::find(context, target, &args.reason)?;
    let Found { new, old, is_promoted } = &adoptable.found;
    let live = if *is_promoted { "the new one is live" } else { "the old one is live" };
    session.output.say(&format!("the slots show a rotation: new {new}, old {old}; {live}"));
    session
        .output
        .say("when it was begun is not known: the old secret counts as alive for the whole overlap from now on");
    let refusal = ["not adopted, as you said", "nothing was recorded, and the slots are as they were"];
    ask::agreement(session, adoptable.workspace(), "Go on with it on this machine?", refusal)?;
    let (rotation, workspace) = adopt::adopt(context, adoptable, &args.reason)?;
    outcome::tell(session, NAME, &rotation, &workspace, Ok::<_, Error>(End::Done))
}
