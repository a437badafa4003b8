//! `whsec rollback`: the old secret back in the live slot while the provider still honours it.

use clap_complete::engine::ArgValueCandidates;

use super::exit::Exit;
use super::options::TargetOptions;
use super::person;
use super::session::Session;
use super::{complete, outcome};
use crate::operation::report::End;
use crate::operation::{changes, find, rollback};
use crate::time::span;
use crate::ui::prompt::Answers;

/// Put the old secret back into the live slot while it is still valid
///
/// The new secret goes back to the `next` slot, so nothing is lost and `whsec cutover` goes forward again. Refused, with
/// exit 9, once the provider no longer honours the old secret. Where the old one has leaked it takes a --reason, because
/// that opens the leak again. Where a second endpoint was made beside the first, that one is removed, and the rotation is over.
///
/// Examples:
///   whsec rollback marks --reason 'receivers refuse the new secret'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Note this reason in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let mut found = find::open_to_go_back(session.operating()?, &args.target, &args.options.asked())?;
    let mut rotation = find::need_open(session.context()?, &mut found)?;
    changes::say(session.context()?, &rotation, &found.changes);
    let workspace = &found.workspace;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = person::of(session, workspace, &found.resources, Answers::default(), &stopped)?;
    let outcome = rollback::roll_back(workspace, &found.resources, &mut rotation, args.reason.as_deref(), &mut person);
    if let (Ok(back), Some(second)) = (&outcome, rotation.second())
        && back.is_over
    {
        session.output.say(&format!("the new endpoint `{second}` is removed with its secret, and the old one goes on"));
        session.output.say("have the receivers forget the new secret, with which nothing signs any more");
        if back.opens_leak {
            session.output.warn("the leak is open still: whoever has the old secret can forge deliveries");
        }
    } else if let Ok(back) = &outcome {
        session.output.say("the old secret is live again in every store, and the new one waits in `next`");
        session.output.say("deploy or reload the receivers, so that they read it");
        if back.opens_leak {
            session.output.warn("this opens the leak again: whoever has the old secret can forge deliveries");
        }
        if let Some(end) = back.ends_at {
            let left = span(end.duration_since(rotation.provider_now(session.now())));
            session.output.say(&format!("the old secret ends in {left}; go forward before that"));
        }
    }
    outcome::tell(session, "rollback", &rotation, workspace, outcome.map(|_| End::Done))
}
