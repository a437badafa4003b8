//! `whsec handoff import`: goes on here with a rotation that somebody has handed over.

use std::path::PathBuf;

use clap::ValueHint;

use super::super::exit::Exit;
use super::super::read::file_or_stdin;
use super::super::session::Session;
use super::super::{ask, outcome, person};
use crate::operation::handoff::import::{self, Offer};
use crate::operation::report::End;
use crate::operation::{Error, workspace};
use crate::rotation::handoff::LARGEST;
use crate::ui::preview;

pub(super) const NAME: &str = "handoff import";

/// Take in a rotation that somebody has handed over, and go on with it here
///
/// Shows who hands over what, and asks for a yes, or takes --yes. Nothing is sent, and no store is written. Anybody can make such a file
/// for you: address, calls, stores and receivers have to be those of your own config (exit 2), and the rest is for you to know whom you
/// have it from. A store that only another machine has (dotenv, json, file, keychain) is gone on with there alone.
///
/// Exits with 5 where a rotation of the endpoint is open here, or where more is known of this one. What has come in already is left
/// as it is.
///
/// Examples:
///   whsec handoff import payments.handoff.age
///   ssh colleague cat payments.handoff.age | whsec handoff import - --yes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Read this file, or `-` for stdin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let context = session.operating()?;
    let prepared = match import::prepare(
        context,
        &file_or_stdin(&args.file, LARGEST, "name the file that was handed over, or `-` for stdin")?,
    )? {
        Offer::New(prepared) => prepared,
        Offer::Here(open) => {
            session.output.say("it has come in already, and is left as it is");
            return outcome::tell(session, NAME, &open.1, &open.0, Ok::<_, Error>(End::Done));
        }
    };
    let workspace = &prepared.workspace;
    let provider = &workspace.target.endpoint.provider;
    preview::handed_over(&session.output, &prepared.rotation, provider, &workspace::names(&prepared.stores));
    let refusal = ["not taken in, as you said", "nothing was changed"];
    ask::agreement(session, workspace, "Do you have it from them, and shall it go on here?", refusal)?;
    let (rotation, event) = prepared.begin(context)?;
    person::notifier(session, context).recorded(&rotation, &event);
    outcome::tell(session, NAME, &rotation, workspace, Ok::<_, Error>(End::Done))
}
