//! `whsec target remove`: takes a target out of the user's own config file; its secrets stay where they are.

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::session::Session;
use super::super::{ask, complete, result};
use crate::config::{ConfigFile, edit, write};
use crate::operation::find;
use crate::ui::dialog;

/// Remove a target from your config file
///
/// Nothing changes at the provider or in the stores. A target with an open rotation is not removed.
///
/// Examples:
///   whsec target remove payments
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the target
    #[arg(add = ArgValueCandidates::new(complete::named_targets))]
    name: String,
}

/// Removes the target, asking first.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let name = &args.name;
    let path = session.context()?.own_file()?;
    let is_open = match session.context()?.configured(name) {
        Ok(target) => find::has_open(session.context()?, &target)?,
        // One that cannot be used can be removed; what is open under its name is in its way all the same.
        Err(_) if session.config()?.has(name) => {
            find::journal(session.context()?)?.open_rotations()?.iter().any(|rotation| rotation.plan.target == *name)
        }
        Err(error) => return Err(error.into()),
    };
    if is_open {
        let message = format!("`{name}` has an open rotation");
        return Err(Fault::new(
            Exit::Conflict,
            message,
            format!("finish it first: {}", session.come_back("cutover", name)),
        ));
    }
    let old = ConfigFile::own(&path)?.map(|file| file.text);
    let new = edit::remove(old.as_deref().unwrap_or_default(), &path, name)?;
    if !session.global.yes {
        ask::may_ask(session, "--yes")?;
        if !ask::answer(dialog::confirm(&format!("Remove `{name}` from {}?", path.display()), false), "--yes")? {
            return Err(Fault::new(Exit::Failed, "not removed", "nothing was changed"));
        }
    }
    write::replace(&path, old.as_deref(), &new)?;
    session.output.say(&format!("removed `{name}`; its secrets stay in their stores"));
    let fields = json!({ "target": name, "file": path });
    session.output.json(&result::object("target remove", Exit::Done, fields));
    Ok(Exit::Done)
}
