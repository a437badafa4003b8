//! `whsec target`: the endpoints that the operator looks after, as the config files list them.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::Exit;
use super::session::Session;
use crate::config::{KeySource, Target};
use crate::http::shown_address;
use crate::provider::duration_text;
use crate::provider::spec::Cutover;

mod add;
mod details;
mod edit;
mod list;
mod questions;
mod remove;
mod show;
mod trust;

/// Set up, change, list and remove targets
///
/// A target is an endpoint at a provider together with the stores of its secret and the receivers of its deliveries.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Add(add::Args),
    Edit(edit::Args),
    List(list::Args),
    Show(show::Args),
    Remove(remove::Args),
    Trust(trust::Args),
}

/// Runs the verb.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    // Ctrl-C at a question is an answer to it then: it does not end the process with the cursor hidden.
    session.signals()?;
    match &args.verb {
        Verb::Add(args) => add::run(args, session),
        Verb::Edit(args) => edit::run(args, session),
        Verb::List(args) => list::run(args, session),
        Verb::Show(args) => show::run(args, session),
        Verb::Remove(args) => remove::run(args, session),
        Verb::Trust(args) => trust::run(args, session),
    }
}

/// A target as JSON shows it.
fn describe(target: &Target) -> Value {
    let ids: Value = target.endpoint.ids.iter().map(|id| (id.name.clone(), json!(id.value))).collect();
    json!({
        "target": target.name,
        "provider": target.endpoint.provider.name(),
        "endpoint": target.endpoint.own_id(),
        "ids": ids,
        "base_url": target.endpoint.base_url.as_str(),
        "stores": stores(target),
        "receivers": target.receivers.iter().map(|url| shown_address(url)).collect::<Vec<_>>(),
        "api_key": target.api_key.as_ref().map(key_source),
        "cutover": cutover(target.cutover),
        "owner": target.owner,
        "max_age": target.max_age.map(duration_text),
        "file": target.file,
    })
}

fn stores(target: &Target) -> Vec<String> {
    target.stores.iter().map(|store| store.reference.to_string()).collect()
}

fn cutover(cutover: Cutover) -> &'static str {
    match cutover {
        Cutover::Either => "either",
        Cutover::Switch => "switch",
    }
}

/// Where the key comes from, in the words of the config; arguments of a program are left out.
fn key_source(source: &KeySource) -> String {
    match source {
        KeySource::Env(name) => format!("env:{name}"),
        KeySource::File(path) => format!("file:{}", path.display()),
        KeySource::Keychain { service, account } => format!("keychain:{service}/{account}"),
        KeySource::Store(reference) => reference.to_string(),
        KeySource::Command(arguments) => format!("command {}", arguments.first().map_or("", String::as_str)),
    }
}
