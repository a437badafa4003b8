//! `whsec journal move`: all rotations to another journal.

use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::result;
use super::super::session::Session;
use crate::documents::Location;
use crate::operation::relocate::LOCAL;

pub(super) const NAME: &str = "journal move";

/// Move the journal, with what is open in it, to another place
///
/// From the state folder to a journal that machines share, which `whsec journal init` has made, between two of those, or back with
/// `--to local`. Nobody works on an endpoint meanwhile; afterwards the old place refuses with the name of the new one. While a
/// secret is sealed that not every store has nothing is moved. What only this machine has (dotenv, json, file, keychain) stays bound to it.
/// Cut off anywhere, one of the two places at most lets anybody go on, and the same command again does the rest.
///
/// Examples:
///   whsec journal move --to 's3://acme-ops/whsec?region=eu-central-1#5f0c…'
///   whsec journal move --to local
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the place, as `journal init` printed it, or `local` for this state folder
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Other)]
    to: String,
}

/// Moves it and says what the config needs.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let location = match args.to.as_str() {
        LOCAL => None,
        text => Some(text.parse::<Location>().map_err(|error| {
            Fault::new(Exit::Usage, format!("the place {error}"), "name it as `journal init` printed it, or `local`")
        })?),
    };
    let moved = session.context()?.move_journal(location.as_ref())?;
    let count = match moved.rotations {
        1 => "1 rotation".to_owned(),
        count => format!("{count} rotations"),
    };
    session.output.say(&format!("{count} moved from {} to {}", moved.from, moved.to));
    if !moved.open.is_empty() {
        session.output.say(&format!("open there: {}", moved.open.join(", ")));
    }
    if moved.to == LOCAL {
        session
            .output
            .say("take `[journal] at` out of the config of this machine, and WHSEC_JOURNAL out of its environment");
    } else {
        session.output.say("put this into the config of every machine that goes on with its rotations:");
        session.output.data("[journal]");
        session.output.data(&format!("at = \"{}\"", moved.to));
    }
    let fields = json!({
        "journal": { "at": moved.to, "from": moved.from, "rotations": moved.rotations, "open": moved.open },
    });
    session.output.json(&result::object(NAME, Exit::Done, fields));
    Ok(Exit::Done)
}
