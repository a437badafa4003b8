//! `whsec abandon`: closes a rotation where it stands, and changes nothing else.

use clap_complete::engine::ArgValueCandidates;

use super::exit::Exit;
use super::options::TargetOptions;
use super::person;
use super::session::Session;
use super::{ask, complete, outcome};
use crate::operation::abandon::{self, Closing, Matter};
use crate::operation::find::{self, OpenEndpoint};
use crate::operation::report::End;
use crate::operation::{Error, allowed, whereabouts};
use crate::rotation::Rotation;
use crate::secret::Fingerprint;
use crate::ui::prompt::Answers;

/// Close a rotation where it stands, and change nothing else
///
/// Whatever secret came stays where it is, sealed or in its slots. Needs a yes, or --yes. Of a rotation that somebody else's has
/// superseded, and of a leak that no rotation contains, it says that this is dealt with; of the first it exits 9 while a live slot
/// still holds what theirs has replaced.
///
/// Examples:
///   whsec abandon payments --reason 'endpoint is deleted next week'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Say why; it goes to the journal
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Say that what somebody else has superseded is dealt with although it is still live: by its fingerprint
    #[arg(long = "override", value_name = "FINGERPRINT", require_equals = true, value_hint = clap::ValueHint::Other)]
    overrides: Vec<Fingerprint>,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    allowed::reason(session.context()?, Some(&args.reason))?;
    let mut found = find::open_to_close(session.operating()?, &args.target, &args.options.asked())?;
    match abandon::matter(session.context()?, &mut found)? {
        Matter::Open(rotation) => close(args, session, &found, rotation),
        Matter::Overtaken(rotation) => {
            let question = "Is the provider's secret the live one by now?";
            acknowledge(args, session, &found, rotation, question, "it is superseded")
        }
        Matter::HandedOver(rotation) => {
            let question = "Has it come to its end where it was handed over to?";
            acknowledge(args, session, &found, rotation, question, "it is handed over")
        }
        Matter::Leaking(rotation) => {
            acknowledge(args, session, &found, rotation, "Is the leak dealt with?", "the leak is not contained")
        }
    }
}

fn close(args: &Args, session: &Session, found: &OpenEndpoint, mut rotation: Rotation) -> anyhow::Result<Exit> {
    let workspace = &found.workspace;
    for line in whereabouts::whereabouts(&rotation, &workspace.seals, session.now()) {
        session.output.warn(&line);
    }
    let refusal = ["not abandoned, as you said", "the rotation is still open"];
    ask::agreement(session, workspace, "Close this rotation, and leave everything as it is?", refusal)?;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = person::of(session, workspace, &found.resources, Answers::default(), &stopped)?;
    match abandon::close(session.context()?, found, &mut rotation, &args.reason, &mut person)? {
        Closing::Closed => outcome::tell(session, "abandon", &rotation, workspace, Ok::<_, Error>(End::Done)),
        Closing::Stopped => Ok(signals.exit()),
    }
}

/// Says of a rotation that somebody else's came after, or of a leak, that this is dealt with, so that `status` is at rest again.
fn acknowledge(
    args: &Args,
    session: &Session,
    found: &OpenEndpoint,
    mut rotation: Rotation,
    question: &str,
    otherwise: &str,
) -> anyhow::Result<Exit> {
    let (workspace, context) = (&found.workspace, session.context()?);
    let live = match abandon::still_live(context, found, &rotation, &args.overrides) {
        Ok(live) => live,
        Err(error) => return outcome::tell(session, "abandon", &rotation, workspace, Err(error)),
    };
    if let Some(why) = rotation.closed.as_ref().and_then(|closed| closed.reason.as_deref()) {
        session.output.warn(why);
    }
    let refusal = ["left as it is, as you said", &format!("status says that {otherwise} still")];
    ask::agreement(session, workspace, question, refusal)?;
    abandon::acknowledge(context, found, &mut rotation, live, &args.reason)?;
    outcome::tell(session, "abandon", &rotation, workspace, Ok::<_, Error>(End::Done))
}
