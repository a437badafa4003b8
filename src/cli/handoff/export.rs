//! `whsec handoff export`: an open rotation as a file for whoever goes on with it.

use std::path::PathBuf;

use clap::ValueHint;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::session::Session;
use super::super::{ask, complete, outcome, person};
use crate::operation::report::End;
use crate::operation::{Error, handoff};
use crate::store::envelope::Recipient;

pub(super) const NAME: &str = "handoff export";

/// Hand an open rotation over: write it into a file that its recipients can open, and close it here
///
/// Once the provider has answered: before that, and where the outcome of a call is not known, exit 9. The file has the rotation with
/// its history, and what is sealed of it. It opens for whom --to names and for whoever opens your own seals, so that `whsec
/// handoff import` takes it back. What is sealed here stays. Of a file that was lost another one can be made, after a yes.
///
/// The colleague's recipient is what `whsec handoff recipient` prints there.
///
/// Examples:
///   whsec handoff export payments --to age1…
///   whsec handoff export payments --to age1… --to age1… --out payments.age --reason 'end of my shift'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Encrypt it for this age recipient; repeat it for several
    #[arg(long, required = true, value_name = "RECIPIENT", value_hint = ValueHint::Other)]
    to: Vec<String>,
    /// Write this file, which must not exist yet; otherwise TARGET.handoff.age in the current folder
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
    /// Say why; it goes to the journal
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    if let Some(text) = args.to.iter().find(|text| text.parse::<Recipient>().is_err()) {
        let hint = "name what `whsec handoff recipient` prints on the other machine";
        return Err(Fault::new(Exit::Usage, format!("`{text}` is not an age recipient (`age1…`)"), hint));
    }
    let context = session.operating()?;
    let prepared = handoff::prepare(context, &args.target)?;
    if let Some(handed) = prepared.handed_before() {
        session.output.warn(&format!(
            "it was {handed}; whoever goes on with that bundle, and you with this one, undo each other"
        ));
        let refusal = ["not handed over once more, as you said", "nothing was changed"];
        ask::agreement(session, &prepared.workspace, "Is that bundle lost, and does nobody go on with it?", refusal)?;
    }
    let file = context.folders().current.join(args.out.clone().unwrap_or_else(|| default_name(&args.target)));
    let (workspace, rotation, event) = prepared.export(context, &args.to, args.reason.as_deref(), &file)?;
    person::notifier(session, context).recorded(&rotation, &event);
    let (exit, mut object) = outcome::told(session, NAME, &rotation, &workspace, Ok::<_, Error>(End::Done))?;
    session.output.say("send this file, and whoever gets it goes on with `whsec handoff import`:");
    session.output.data(&file.display().to_string());
    object["bundle"] = json!(file.display().to_string());
    session.output.json(&object);
    Ok(exit)
}

/// Of an ad hoc target what may stand in a file's name.
fn default_name(target: &str) -> PathBuf {
    let letter = |letter: char| if letter.is_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    let name: String = target.chars().map(letter).collect();
    PathBuf::from(format!("{}.handoff.age", name.trim_start_matches('.')))
}
