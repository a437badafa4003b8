//! `whsec journal init`: makes a shared journal, or lets others in.

use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::result;
use super::super::session::Session;
use crate::documents::Location;

pub(super) const NAME: &str = "journal init";

/// Make a journal that several machines share
///
/// Proves first that the place keeps what it promises. The journal's key is encrypted for `[seal] recipients` and for your own
/// identity; where there is a journal already, those of them who are new to it are let in, and nothing else changes.
/// Exits with 6 if the place cannot hold a journal.
///
/// Examples:
///   whsec journal init postgres://ops@db.example.com/whsec
///   whsec journal init 'postgres:///whsec?host=/run/postgresql' --json
///   whsec journal init 's3://acme-ops/whsec?region=eu-central-1'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the place: postgres://[USER@]HOST[:PORT]/DATABASE or s3://BUCKET/PREFIX
    #[arg(value_name = "URL", value_hint = clap::ValueHint::Other)]
    at: String,
}

/// Proves the place, makes the journal, and says what to put into the config.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let context = session.context()?;
    let location: Location = args.at.parse().map_err(|error| {
        Fault::new(
            Exit::Usage,
            format!("the place {error}"),
            "name a database or a bucket: postgres://HOST/DATABASE, s3://BUCKET/PREFIX",
        )
    })?;
    let journal = context.make_shared_journal(&location)?;
    let at = format!("{location}#{}", journal.fingerprint());
    session.output.say(&format!("the journal {} is at {location}; it opens for:", journal.id()));
    for recipient in journal.recipients() {
        session.output.say(&format!("  {recipient}"));
    }
    session.output.say("put this into the config of every machine that goes on with its rotations:");
    session.output.data("[journal]");
    session.output.data(&format!("at = \"{at}\""));
    let fields = json!({ "journal": { "at": at, "id": journal.id(), "recipients": journal.recipients() } });
    session.output.json(&result::object(NAME, Exit::Done, fields));
    Ok(Exit::Done)
}
