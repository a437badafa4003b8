//! `whsec provider list`: one line a provider, with what matters most when its secret is rotated.

use serde_json::{Value, json};

use super::super::exit::{Exit, report};
use super::super::result;
use super::super::session::Session;
use super::super::table::Table;
use super::show::{force, overlap};
use crate::provider::{Force, Origin, Provider, ProviderError};

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
    let mut rows = Vec::new();
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
                objects.push(describe(&provider, &from));
                let (title, ids) = (provider.title().to_owned(), provider.spec().ids.join("/"));
                rows.push((Group::of(&provider), [name, title, ids, overlap(&provider), from]));
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
    // Kept in the catalog's order within each group.
    rows.sort_by_key(|(group, _)| *group);
    for (index, group) in rows.chunk_by(|(one, _), (other, _)| one == other).enumerate() {
        if index > 0 {
            session.output.data("");
        }
        let mut table = Table::new(["PROVIDER", "NAME", "IDS", "OLD SECRET LIVES", "FROM"]);
        group.iter().for_each(|(_, cells)| table.row(cells.clone()));
        session.output.data(group[0].0.heading());
        table.print(&session.output);
    }
    session.output.json(&result::object("provider list", Exit::Done, json!({ "providers": objects })));
    Ok(Exit::Done)
}

/// What can be done at a provider, which is what its rotation is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    EndsEarly,
    RunsOut,
    EndsWithTheCall,
    Given,
    Replaced,
    ByHand,
}

impl Group {
    fn of(provider: &Provider) -> Self {
        match (provider.takes(), provider.force()) {
            _ if provider.is_by_hand() => Self::ByHand,
            _ if provider.replaces() => Self::Replaced,
            (Some(_), _) => Self::Given,
            (None, Force::Call) => Self::EndsEarly,
            (None, Force::SameCall) => Self::EndsWithTheCall,
            (None, Force::Unavailable) => Self::RunsOut,
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::EndsEarly => "Both secrets live for a while, and force-rotate ends the old one early:",
            Self::RunsOut => "Both secrets live for a while, and the old one runs out by itself:",
            Self::EndsWithTheCall => "The old secret ends with the call, or nobody says when:",
            Self::ByHand => "You make the new secret on the provider's page, and whsec takes it from there:",
            Self::Replaced => {
                "whsec has a second endpoint made like the first, and removes the first once receivers accept it:"
            }
            Self::Given => "whsec makes the new secret, and gives it to the provider once receivers accept it:",
        }
    }
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
