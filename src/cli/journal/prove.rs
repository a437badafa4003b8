//! `whsec journal prove`: whether a place can hold a journal.

use std::rc::Rc;

use serde_json::json;

use super::super::exit::Exit;
use super::super::result;
use super::super::session::Session;
use super::show::no_shared;
use crate::rotation::journal::Journal;

pub(super) const NAME: &str = "journal prove";

/// Prove that the shared journal's place keeps what it promises
///
/// Writes documents of its own there, several at once, and removes them: a place that does not look at what was there before
/// it writes would let two machines rotate at once. Then reads all of the journal. Exits with 6 if the place is unfit, and with 1
/// if something is not as it was written.
///
/// Examples:
///   whsec journal prove
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// Proves the place, then verifies what is there.
pub fn run(_args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let context = session.context()?;
    let Some(location) = context.location()? else { return Err(no_shared()) };
    let doubts = context.prove(&location)?;
    if let Some(shared) = context.shared_journal_to_show()? {
        Journal::Shared(Rc::new(shared)).verify()?;
    }
    for doubt in &doubts {
        session.output.warn(doubt);
    }
    session.output.data(&format!("ok    {location}: each write follows what was read, and all is as it was written"));
    let fields = json!({ "journal": { "at": location.to_string() }, "doubts": doubts });
    session.output.json(&result::object(NAME, Exit::Done, fields));
    Ok(Exit::Done)
}
