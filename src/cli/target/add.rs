//! `whsec target add`: writes a target into the user's own config file, from flags, or asking for what is missing.

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::session::Session;
use super::super::{ask, complete, result};
use super::details::Details;
use super::questions;
use crate::config::edit::{self, NewTarget};
use crate::config::{Config, ConfigFile, write};
use crate::operation::{shared, workspace};
use crate::ui::dialog;

/// Set up a target
///
/// On a terminal, whsec asks for whatever the flags leave open, shows what it is going to write, and writes it into your
/// own config file; comments there are kept. Nothing is sent, and no store is opened.
///
/// Examples:
///   whsec target add
///   whsec target add payments layers/d4c71b62 --store keychain:payments
///   whsec target add checkout --provider kadosei --id applicationId=a1 --id webhookId=w1 \
///     --base-url https://api.kadosei.example --store dotenv:.env#KADOSEI_SECRET
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Call the target this
    pub(super) name: Option<String>,
    /// Name the endpoint as PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    pub(super) endpoint: Option<String>,
    /// Choose the provider
    #[arg(long, value_name = "PROVIDER", conflicts_with = "endpoint", add = ArgValueCandidates::new(complete::providers))]
    pub(super) provider: Option<String>,
    #[command(flatten)]
    pub(super) details: Details,
    /// Show what would be written, and write nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
}

/// Puts the target together, checks it as every command would, and writes it.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let output = &session.output;
    let path = session.context()?.own_file()?;
    let old = ConfigFile::own(&path)?.map(|file| file.text);
    let mut target = from_flags(args, session)?;
    let guided = questions::complete(&mut target, args, session)?;
    let text = check(&mut target, old.as_deref().unwrap_or_default(), &path, session)?;
    let shown = target.to_toml();
    shown.trim_end().lines().for_each(|line| output.data(line));
    if args.dry_run {
        let fields = json!({ "target": target.name, "file": path, "toml": shown, "written": false });
        output.json(&result::object("target add", Exit::Done, fields));
        return Ok(Exit::Done);
    }
    if guided && !session.global.yes {
        let question = format!("Write this into {}?", path.display());
        if !ask::answer(dialog::confirm(&question, true), "--yes")? {
            return Err(Fault::new(Exit::Failed, "not written", "nothing was changed"));
        }
    }
    write::replace(&path, old.as_deref(), &text)?;
    let next = session.come_back("inspect", &target.name);
    output.say(&format!("written into {}", path.display()));
    output.say(&format!("next: {next}"));
    let fields =
        json!({ "target": target.name, "file": path, "toml": shown, "written": true, "next": { "command": next } });
    output.json(&result::object("target add", Exit::Done, fields));
    Ok(Exit::Done)
}

fn from_flags(args: &Args, session: &Session) -> anyhow::Result<NewTarget> {
    let details = &args.details;
    let mut target = NewTarget {
        name: args.name.clone().unwrap_or_default(),
        provider: args.provider.clone().unwrap_or_default(),
        ids: details.ids.clone(),
        base_url: details.base_url.clone(),
        auth: details.auth.clone(),
        stores: details.stores.clone(),
        receivers: details.receivers.clone(),
        api_key: details.api_key_from.clone(),
        cutover: details.cutover,
        owner: details.owner.clone(),
        labels: details.labels.clone(),
        max_age: details.max_age.clone(),
    };
    if let Some(endpoint) = &args.endpoint {
        let mut parts = endpoint.split('/');
        target.provider = parts.next().unwrap_or_default().to_owned();
        let provider = session.catalog()?.get(&target.provider)?;
        let open = provider.spec().ids.iter().filter(|name| !details.ids.iter().any(|(given, _)| given == *name));
        let values: Vec<&str> = parts.collect();
        if values.len() > open.clone().count() {
            let message = format!("`{endpoint}` names more ids than `{}` has", target.provider);
            let form = format!("write {}/{}", target.provider, provider.spec().ids.join("/"));
            return Err(Fault::new(Exit::Usage, message, form));
        }
        target.ids.extend(open.zip(values).map(|(name, value)| (name.clone(), value.to_owned())));
    }
    Ok(target)
}

/// Normalises the target as it would be read from the file, makes its paths absolute, and gives the file's new text.
fn check(target: &mut NewTarget, old: &str, path: &std::path::Path, session: &Session) -> anyhow::Result<String> {
    let (catalog, folders) = (session.catalog()?, session.folders()?);
    let load = |text: &str| Config::load(&[ConfigFile::own_with(path, text)], catalog, folders.home.as_deref());
    target.make_absolute(&folders.current, folders.home.as_deref());
    let text = edit::add(old, path, target)?;
    let lines = old.lines().count();
    let loaded = load(&text).and_then(|config| Ok((config.named(&target.name, catalog)?, config)));
    let (named, config) = loaded.map_err(|error| error.not_written_yet(lines))?;
    shared::refuse_configured(session.context()?, &config, &named, &workspace::open_stores(&named)?)?;
    Ok(text)
}
