//! `whsec login`: saves an API key in the OS keychain, bound to the provider and the origin it may be sent to.

use std::io::IsTerminal;

use clap::ValueHint;
use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::exit::{Exit, Fault};
use super::session::Session;
use super::{ask, complete, result};
use crate::advice::advice;
use crate::operation::key::{self, KEY_SERVICE, key_account, read_key};
use crate::provider::Endpoint;
use crate::secret::Secret;
use crate::store::{self, Slot, Store, StoreError};
use crate::ui::dialog;

/// Save an API key in the OS keychain
///
/// The key is asked for without being shown, or read from stdin when that is not a terminal. It is bound to the
/// provider's address and sent nowhere else.
///
/// Examples:
///   whsec login layers
///   pass show layers/api-key | whsec login layers
///   whsec login kadosei --base-url https://api.kadosei.example
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the provider
    #[arg(add = ArgValueCandidates::new(complete::providers))]
    provider: String,
    /// Bind the key to this address in place of the provider's own
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    base_url: Option<String>,
}

/// Reads the key, checks its form, and saves it.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let endpoint = anywhere(session, &args.provider, args.base_url.as_deref())?;
    if endpoint.provider.is_by_hand() {
        return Err(key::no_key_needed(&endpoint).into());
    }
    let key = read(session, &endpoint)?;
    endpoint.provider.admit_key(&endpoint, &key).map_err(key::refused)?;
    let entry = store::keychain_entry(KEY_SERVICE, &key_account(&endpoint));
    entry.apply(&[(Slot::Current, Some(&key))]).map_err(|error| no_keychain(&error, &endpoint))?;
    let (name, origin) = (endpoint.provider.name(), endpoint.origin());
    session.output.say(&format!("saved in the keychain for `{name}`, to be sent to {origin} only"));
    let fields = json!({ "provider": name, "origin": origin, "saved": true });
    session.output.json(&result::object("login", Exit::Done, fields));
    Ok(Exit::Done)
}

/// Some endpoint of the provider: keys are bound to its origin, whatever the ids.
pub fn anywhere(session: &Session, provider: &str, base_url: Option<&str>) -> anyhow::Result<Endpoint> {
    let provider = session.catalog()?.get(provider)?;
    let ids: Vec<_> = provider.spec().ids.iter().map(|name| (name.clone(), "any".to_owned())).collect();
    Ok(provider.endpoint(base_url, &ids, None, &Default::default())?)
}

/// The fault of a keychain that cannot be used, with the other ways to give a key.
pub fn no_keychain(error: &StoreError, endpoint: &Endpoint) -> anyhow::Error {
    let variable = &endpoint.provider.spec().auth.env;
    let other = format!("set {variable} or give --api-key-file FILE in place of a saved key");
    let hint = match error.hint() {
        Some(hint) => advice![hint, "; or ", other],
        None => other.into(),
    };
    Fault::new(Exit::Store, error.to_string(), hint)
}

fn read(session: &Session, endpoint: &Endpoint) -> anyhow::Result<Secret> {
    let title = endpoint.provider.title();
    if !std::io::stdin().is_terminal() {
        return read_key(std::io::stdin().lock()).map_err(|error| {
            let message = format!("cannot read the API key from stdin: {error}");
            Fault::new(Exit::Auth, message, "pipe the key and nothing else")
        });
    }
    ask::may_ask(session, "the API key on stdin")?;
    session.output.say(&endpoint.provider.spec().auth.about);
    ask::answer(dialog::password(&format!("API key of {title} for {}", endpoint.origin())), "the API key on stdin")
}
