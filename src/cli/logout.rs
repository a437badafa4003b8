//! `whsec logout`: removes an API key that `login` saved.

use clap::ValueHint;
use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::exit::Exit;
use super::login::{anywhere, no_keychain};
use super::session::Session;
use super::{complete, result};
use crate::operation::key::{KEY_SERVICE, key_account};
use crate::store::{self, Slot, Store};

/// Remove a saved API key from the OS keychain
///
/// The key itself stays valid at the provider.
///
/// Examples:
///   whsec logout layers
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the provider
    #[arg(add = ArgValueCandidates::new(complete::providers))]
    provider: String,
    /// Remove the key for this address in place of the provider's own
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    base_url: Option<String>,
}

/// Removes the entry, if there is one.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let endpoint = anywhere(session, &args.provider, args.base_url.as_deref())?;
    let entry = store::keychain_entry(KEY_SERVICE, &key_account(&endpoint));
    let was_there = entry.get(Slot::Current).map_err(|error| no_keychain(&error, &endpoint))?.is_some();
    if was_there {
        entry.apply(&[(Slot::Current, None)]).map_err(|error| no_keychain(&error, &endpoint))?;
    }
    let (name, origin) = (endpoint.provider.name(), endpoint.origin());
    session.output.say(&if was_there {
        format!("removed the key for `{name}` at {origin}; it stays valid at the provider")
    } else {
        format!("there was no saved key for `{name}` at {origin}")
    });
    let fields = json!({ "provider": name, "origin": origin, "removed": was_there });
    session.output.json(&result::object("logout", Exit::Done, fields));
    Ok(Exit::Done)
}
