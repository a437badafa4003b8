//! `whsec handoff recipient`: for whom a colleague hands over to this machine.

use serde_json::json;

use super::super::exit::Exit;
use super::super::result;
use super::super::session::Session;

pub(super) const NAME: &str = "handoff recipient";

/// Print this machine's own recipient, for whoever is to hand over to it
///
/// It is public, and that of the identity which opens your seals; where there is none yet, that is made.
///
/// Examples:
///   whsec handoff recipient
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// Prints it.
pub fn run(_args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let recipient = session.context()?.keeper()?.seals(false)?.own_recipient().unwrap_or_default();
    session.output.data(&recipient);
    session.output.json(&result::object(NAME, Exit::Done, json!({ "recipient": recipient })));
    Ok(Exit::Done)
}
