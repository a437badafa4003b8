//! `whsec journal show`: where the journal is, and who works on what.

use std::rc::Rc;

use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::result;
use super::super::session::Session;
use crate::rotation::journal::Journal;
use crate::time::span;

pub(super) const NAME: &str = "journal show";

/// Show the journal: where it is, whom it opens for, and who is at work on what
///
/// Examples:
///   whsec journal show
///   whsec journal show --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// The word that there is no shared journal.
pub(super) fn no_shared() -> anyhow::Error {
    Fault::new(
        Exit::NotFound,
        "the journal is in this state folder; no shared one is named",
        "`whsec journal init URL` makes one, and `[journal] at` or WHSEC_JOURNAL names it",
    )
}

/// Reads and prints it.
pub fn run(_args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let context = session.context()?;
    let Some(shared) = context.shared_journal_to_show()?.map(Rc::new) else {
        let at = context.state_dir()?.join("journal.sqlite");
        session.output.data(&format!("{}: of this machine alone", at.display()));
        let journal = json!({ "at": at.display().to_string(), "shared": false });
        session.output.json(&result::object(NAME, Exit::Done, json!({ "journal": journal })));
        return Ok(Exit::Done);
    };
    let holders = shared.holders()?;
    session.output.data(&format!("{}#{}: shared", shared.place(), shared.fingerprint()));
    for recipient in shared.recipients() {
        session.output.data(&format!("opens for {recipient}"));
    }
    let open = Journal::Shared(Rc::clone(&shared)).open_rotations()?;
    for rotation in &open {
        session.output.data(&format!("open      {} ({})", rotation.plan.target, rotation.plan.endpoint_key));
    }
    let mut held = Vec::new();
    for (endpoint, holder, left) in holders {
        let free = span(left.try_into().unwrap_or(jiff::SignedDuration::MAX));
        session.output.data(&format!("at work   {endpoint}: {holder}; free in {free} at the latest"));
        held.push(json!({ "endpoint": endpoint, "holder": holder, "free_in_seconds": left.as_secs() }));
    }
    let journal = json!({
        "at": shared.place(),
        "shared": true,
        "id": shared.id(),
        "key": shared.fingerprint(),
        "recipients": shared.recipients(),
        "open": open.iter().map(|rotation| &rotation.plan.target).collect::<Vec<_>>(),
        "held": held,
    });
    session.output.json(&result::object(NAME, Exit::Done, json!({ "journal": journal })));
    Ok(Exit::Done)
}
