//! `whsec provider list`: one line a provider, with what matters most when its secret is rotated.

use serde_json::{Value, json};

use super::super::exit::{Exit, report};
use super::super::result;
use super::super::session::Session;
use super::super::table::Table;
use super::show::{force, overlap};
use crate::provider::{Origin, Provider, ProviderError};

/// List the providers
///
/// Examples:
///   whsec provider list
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// Prints every provider, built in and the user's own. One that cannot be read is a warning.
pub fn run(_args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let catalog = session.catalog()?;
    let mut table = Table::new(["PROVIDER", "NAME", "IDS", "OLD SECRET LIVES", "END IT EARLY", "FROM"]);
    let mut objects = Vec::new();
    if let Some(error) = catalog.trouble() {
        session.output.warn(&in_words(error));
    }
    for (name, _, origin) in catalog.iter() {
        let from = match &origin {
            Origin::BuiltIn => "built in".to_owned(),
            Origin::File(path) => path.display().to_string(),
        };
        match catalog.get(&name) {
            Ok(provider) => {
                table.row([
                    name,
                    provider.title().to_owned(),
                    provider.spec().ids.join("/"),
                    overlap(&provider),
                    force(&provider).to_owned(),
                    from.clone(),
                ]);
                objects.push(describe(&provider, &from));
            }
            Err(error) => {
                let error = in_words(error);
                if catalog.trouble().is_none() {
                    session.output.warn(&error);
                }
                objects.push(json!({ "provider": name, "from": from, "error": error }));
            }
        }
    }
    table.print(&session.output);
    session.output.json(&result::object("provider list", Exit::Done, json!({ "providers": objects })));
    Ok(Exit::Done)
}

/// The error with its cause.
fn in_words(error: ProviderError) -> String {
    report(&error.into()).message
}

fn describe(provider: &Provider, from: &str) -> Value {
    json!({
        "provider": provider.name(),
        "title": provider.title(),
        "ids": provider.spec().ids,
        "overlap": overlap(provider),
        "force": force(provider),
        "from": from,
    })
}
