//! `whsec target list`: one line a target.

use serde_json::json;

use super::super::exit::{self, Exit};
use super::super::result;
use super::super::session::Session;
use super::super::table::Table;

/// List the targets
///
/// Examples:
///   whsec target list
///   whsec target list --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {}

/// Prints every target of the config files.
pub fn run(_args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let (config, catalog) = (session.config()?, session.catalog()?);
    let (mut targets, mut broken) = (Vec::new(), Vec::new());
    // Each is looked at once: there may be thousands.
    for name in config.names() {
        match config.named(name, catalog) {
            Ok(target) => targets.push(target),
            Err(error) => broken.push((name, exit::report(&error.into()))),
        }
    }
    let mut table = Table::new(["TARGET", "PROVIDER", "ENDPOINT", "STORES", "OWNER"]);
    for target in &targets {
        table.row([
            target.name.clone(),
            target.endpoint.provider.name().to_owned(),
            target.endpoint.own_id().to_owned(),
            super::stores(target).join(" "),
            target.owner.clone().unwrap_or_default(),
        ]);
    }
    if targets.is_empty() && broken.is_empty() {
        session.output.say("no target is set up yet; set one up: whsec target add");
    } else if !targets.is_empty() {
        table.print(&session.output);
    }
    let broken: Vec<_> = broken
        .iter()
        .map(|(name, fault)| json!({ "target": name, "error": exit::say(&session.output, fault) }))
        .collect();
    let exit = if broken.is_empty() { Exit::Done } else { Exit::Usage };
    if session.output.is_json() {
        let targets: Vec<_> = targets.iter().map(super::describe).collect();
        session.output.json(&result::object("target list", exit, json!({ "targets": targets, "broken": broken })));
    }
    Ok(exit)
}
