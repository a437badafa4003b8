//! `whsec target edit`: changes what the user's own config file says of a target; its comments stay.

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::super::exit::{Exit, Fault};
use super::super::session::Session;
use super::super::{ask, complete, result};
use super::details::Details;
use crate::config::compare::differences;
use crate::config::settings::{self, Settings, Words};
use crate::config::{Config, ConfigError, ConfigFile, Position, Target, edit, write};
use crate::operation::{find, shared, workspace};
use crate::ui::{dialog, difference::difference};

/// What a rotation was begun with.
const ENDPOINT: [&str; 3] = ["provider", "ids", "base_url"];
/// What it follows while it is open.
const FOLLOWED: [&str; 2] = ["store", "receivers"];

/// Change a target in your config file
///
/// What is given takes the place of what the file says: all stores, all receivers; ids and labels one by one. The change is shown
/// and asked about, and comments stay. Nothing is sent, and no store is opened. While a rotation is open its endpoint stays as it
/// is; a store or receiver that joins takes part with the next cutover, and one that leaves is kept until it is let go.
///
/// Examples:
///   whsec target edit payments --owner 'payments on-call' --label env=prod
///   whsec target edit payments --store keychain:payments --store file:/srv/receiver/secret
///   whsec target edit payments --unset max_age
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name the target
    #[arg(add = ArgValueCandidates::new(complete::named_targets))]
    name: String,
    #[command(flatten)]
    details: Details,
    /// Take this key out of the target, as the config names it
    #[arg(long = "unset", value_name = "KEY", value_parser = parse_key)]
    unset: Vec<&'static str>,
    /// Show what would be changed, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Puts the change together, checks it as every command would, shows it, asks, and writes it.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let (output, name) = (&session.output, &args.name);
    let path = session.context()?.own_file()?;
    let (catalog, folders) = (session.catalog()?, session.folders()?);
    let found = ConfigFile::own(&path)?.map(|file| file.text);
    let old = found.as_deref().unwrap_or_default();
    let load = |text: &str| Config::load(&[ConfigFile::own_with(&path, text)], catalog, folders.home.as_deref());
    // Whose name nobody has is told as everywhere.
    let there = load(old)?;
    let before = there.named(name, catalog);
    if let Err(error @ ConfigError::UnknownTarget { .. }) = before {
        return Err(match session.config()?.has(name) {
            true => ConfigError::TargetElsewhere { name: name.clone(), path }.into(),
            false => error.into(),
        });
    }
    let before = before.ok();
    let mut changes = changes(args, &there, before.as_ref())?;
    settings::make_absolute(&mut changes, &folders.current, folders.home.as_deref());
    let text = edit::change(old, &path, &[(name.clone(), changes)])?;
    // What the file would say is in no file, so no place in it is named.
    let loaded = load(&text).and_then(|config| Ok((config.named(name, catalog)?, config)));
    let (after, config) = loaded.map_err(|error| error.at(Position::Changed, 0))?;
    shared::refuse_configured(session.context()?, &config, &after, &workspace::open_stores(&after)?)?;
    // Of one that could not be used everything may be another.
    let changed = before.as_ref().map_or_else(|| settings::KEYS.to_vec(), |before| differences(before, &after));
    let is_open = refuse_while_open(before.as_ref(), &after, &changed, session)?;
    let shown = edit::alone(&text, &path, name)?;
    // The same in other words is no change; a key that goes is one, whatever held without it.
    let is_changed = text != old && !(changed.is_empty() && args.unset.is_empty());
    if is_changed {
        difference(&edit::alone(old, &path, name)?, &shown).iter().for_each(|line| output.data(line));
    } else {
        output.say("it says so already");
    }
    if is_changed && !args.dry_run {
        if !session.global.yes {
            ask::may_ask(session, "--yes")?;
            if !ask::answer(dialog::confirm(&format!("Write this into {}?", path.display()), true), "--yes")? {
                return Err(Fault::new(Exit::Failed, "not written", "nothing was changed"));
            }
        }
        write::replace(&path, found.as_deref(), &text)?;
        output.say(&format!("written into {}", path.display()));
        if is_open && changed.iter().any(|key| FOLLOWED.contains(key)) {
            output.say(&format!("its open rotation takes that in: {}", session.come_back("cutover", name)));
        }
    }
    let fields = json!({
        "target": name,
        "file": path,
        "changed": changed,
        "toml": shown,
        "written": is_changed && !args.dry_run,
    });
    output.json(&result::object("target edit", Exit::Done, fields));
    Ok(Exit::Done)
}

/// What the flags say, as the keys of the file.
fn changes(args: &Args, config: &Config, before: Option<&Target>) -> anyhow::Result<Settings> {
    let (name, details) = (&args.name, &args.details);
    let mut changes = Settings::new();
    let one = |text: &Option<String>| text.clone().map(Words::One);
    if !details.ids.is_empty() {
        let known = before.iter().flat_map(|target| &target.endpoint.ids);
        let ids = over(known.map(|id| (id.name.clone(), id.value.clone())).collect(), &details.ids);
        changes.push(match ids.as_slice() {
            [(_, id)] => ("id", Words::One(id.clone())),
            _ => ("ids", Words::Pairs(ids)),
        });
    }
    if !details.labels.is_empty() {
        let known = config.traits(name).map(|(_, _, labels)| labels).unwrap_or_default();
        let known = known.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        changes.push(("labels", Words::Pairs(over(known, &details.labels))));
    }
    let cutover = details.cutover.map(|cutover| Words::One(super::cutover(cutover).to_owned()));
    let list = |all: &[String]| (!all.is_empty()).then(|| Words::list(all.to_vec()));
    let said = [
        ("base_url", one(&details.base_url)),
        ("auth", one(&details.auth)),
        ("store", list(&details.stores)),
        ("receivers", list(&details.receivers)),
        ("api_key", one(&details.api_key_from)),
        ("cutover", cutover),
        ("owner", one(&details.owner)),
        ("max_age", one(&details.max_age)),
    ];
    changes.extend(said.into_iter().filter_map(|(key, words)| Some((key, words?))));
    for key in &args.unset {
        if changes.iter().any(|(changed, _)| changed == key) {
            let message = format!("`--unset {key}` and the flag that sets it say two things");
            return Err(Fault::new(Exit::Usage, message, "keep one of them"));
        }
        changes.push((key, Words::None));
    }
    if changes.is_empty() {
        let hint =
            "say what to change: --store, --receiver, --api-key-from, --owner, --label, --max-age, --unset and so on";
        return Err(Fault::new(Exit::Usage, "nothing is to be changed", hint));
    }
    Ok(changes)
}

/// The first with what the second says of the same names, and of others.
fn over(mut known: Vec<(String, String)>, said: &[(String, String)]) -> Vec<(String, String)> {
    for (name, value) in said {
        match known.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(value),
            None => known.push((name.clone(), value.clone())),
        }
    }
    known
}

/// Whether a rotation is open; refuses to make another endpoint of the one that it was begun for.
fn refuse_while_open(
    before: Option<&Target>,
    after: &Target,
    changed: &[&str],
    session: &Session,
) -> anyhow::Result<bool> {
    let (context, name) = (session.context()?, &after.name);
    let (is_open, is_another) = match before {
        Some(target) => (find::has_open(context, target)?, changed.iter().any(|key| ENDPOINT.contains(key))),
        // What is open under its name is gone on with by that.
        None => {
            let open = find::journal(context)?.open_rotations()?;
            let open = open.iter().find(|rotation| rotation.plan.target == *name);
            (open.is_some(), open.is_some_and(|open| open.plan.endpoint_key != after.endpoint.key()))
        }
    };
    if is_open && is_another {
        let message = format!("`{name}` has an open rotation, and its endpoint stays what that was begun for");
        let hint = format!("finish it first: {}", session.come_back("cutover", name));
        return Err(Fault::new(Exit::Conflict, message, hint));
    }
    Ok(is_open)
}

/// A key that a target can be without.
fn parse_key(text: &str) -> Result<&'static str, String> {
    let needed = ["provider", "id", "ids"];
    let known = || settings::KEYS.into_iter().filter(|key| !needed.contains(key));
    known().find(|key| *key == text).ok_or_else(|| format!("it is one of {}", known().collect::<Vec<_>>().join(", ")))
}
