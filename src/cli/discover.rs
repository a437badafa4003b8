//! `whsec discover`: which endpoints an API key can see at a provider, and targets made of those that are none yet.

use std::path::PathBuf;

use clap::ValueHint;
use clap_complete::engine::ArgValueCandidates;
use serde_json::{Value, json};

use super::exit::{Exit, Fault};
use super::options::pair;
use super::session::Session;
use super::table::Table;
use super::{complete, import};
use crate::config::Overrides;
use crate::http::shown_address;
use crate::operation::discover::{self, Found};
use crate::operation::enlist::enlist;
use crate::secret::shown;

/// Set up targets from a provider's own list of endpoints
///
/// Asks the provider for its list, and for nothing else. Endpoints that are no target yet become one each: named after where they
/// deliver to, with that address as receiver and the stores of --store. What would be written is shown and asked about.
///
/// Examples:
///   whsec discover layers --dry-run
///   whsec discover layers --store 'keychain:{name}'
///   whsec discover github --id owner=acme --id repo=shop --store 'vault:secret/hooks/{id}#secret'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the provider
    #[arg(add = ArgValueCandidates::new(complete::providers))]
    provider: String,
    /// Give an id that stands above an endpoint's own, by its name
    #[arg(long = "id", value_name = "NAME=VALUE", value_parser = pair, value_hint = ValueHint::Other)]
    ids: Vec<(String, String)>,
    /// Call the provider at this address
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    base_url: Option<String>,
    /// Read the API key from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    api_key_file: Option<PathBuf>,
    /// Keep each secret here; `{name}` and `{id}` stand for the target's name and the endpoint's id
    #[arg(long = "store", value_name = "REF", value_hint = ValueHint::Other)]
    stores: Vec<String>,
    /// List what the key can see, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Asks for the list, and writes what is new in it.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    if !args.dry_run && args.stores.is_empty() {
        let hint = "say where secrets are kept, as --store 'keychain:{name}'; --dry-run lists what there is";
        return Err(Fault::new(Exit::Usage, "`--store` is needed to set up targets", hint));
    }
    let is_template = |store: &&String| store.contains("{name}") || store.contains("{id}");
    if let Some(store) = args.stores.iter().find(|store| !is_template(store)) {
        let message = format!("`--store {}` is the same for every endpoint", shown(store));
        return Err(Fault::new(Exit::Usage, message, "put `{name}` or `{id}` into it, so that each has its own"));
    }
    let context = session.context()?;
    let folder = session.folders()?.current.clone();
    let overrides =
        Overrides { ids: args.ids.clone(), base_url: args.base_url.clone(), folder, ..Overrides::default() };
    let (target, found) = discover::look(context, &args.provider, overrides, args.api_key_file.as_deref())?;
    show(&found, session);
    let endpoints: Vec<Value> = found.iter().map(described).collect();
    let taken = session.target_names();
    let stores = args.stores.as_slice();
    let rows = match stores {
        [] => Vec::new(),
        _ => discover::rows(&target, args.base_url.as_deref(), &found, stores, &taken),
    };
    let enlisted = enlist(context, rows.into_iter().map(Ok).collect())?;
    import::finish("discover", enlisted, args.dry_run, json!({ "endpoints": endpoints }), session)
}

fn show(found: &[Found], session: &Session) {
    if found.is_empty() {
        session.output.say("this key can see no endpoint there");
        return;
    }
    if found.iter().all(|found| !found.targets.is_empty()) {
        session.output.say("each of these is a target already");
    }
    let mut table = Table::new(["ID", "STATUS", "CHANGED", "TARGET", "URL"]);
    for Found { listed, targets } in found {
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        table.row([
            listed.id.clone(),
            word(&listed.status),
            word(&listed.updated_at),
            if targets.is_empty() { "-".to_owned() } else { targets.join(" ") },
            listed.url.as_deref().map_or_else(|| "-".to_owned(), shown_address),
        ]);
    }
    table.print(&session.output);
}

fn described(found: &Found) -> Value {
    json!({
        "id": found.listed.id,
        "status": found.listed.status,
        "updated_at": found.listed.updated_at,
        "url": found.listed.url.as_deref().map(shown_address),
        "targets": found.targets,
    })
}
