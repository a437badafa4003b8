//! The dialog of `whsec target add`: asks for what the flags leave open, the necessary first.

use super::super::ask;
use super::super::session::Session;
use super::add::Args;
use crate::config::check_name;
use crate::config::edit::NewTarget;
use crate::provider::spec::Cutover;
use crate::provider::{Provider, id_flaw};
use crate::store::Reference;
use crate::ui::dialog;

/// The kinds of store, what to ask for each, and how a reference to one starts.
const KINDS: [(&str, &str, &str); 5] = [
    ("the OS keychain", "Service, or SERVICE/ACCOUNT", "keychain:"),
    ("a variable in a dotenv file", "PATH#KEY", "dotenv:"),
    ("a member of a JSON file", "PATH#/pointer", "json:"),
    ("a file of its own", "PATH", "file:"),
    ("a program named in your config", "Name of the program", "command:"),
];

/// Fills the target in; says whether anything was asked. Without a terminal a missing necessity is an error that names
/// its flag, and the rest stays as it is.
pub fn complete(target: &mut NewTarget, args: &Args, session: &Session) -> anyhow::Result<bool> {
    let mut asked = false;
    if target.name.is_empty() {
        ask::may_ask(session, "NAME")?;
        let check = |name: &str| check_name(name).map_err(|error| error.to_string());
        target.name = ask::answer(dialog::text("Name of the target", None, check), "NAME")?;
        asked = true;
    }
    if target.provider.is_empty() {
        ask::may_ask(session, "--provider")?;
        target.provider = provider(session)?;
        asked = true;
    }
    let provider = session.catalog()?.get(&target.provider)?;
    for name in &provider.spec().ids {
        if target.ids.iter().any(|(given, _)| given == name) {
            continue;
        }
        ask::may_ask(session, &format!("--id {name}=VALUE"))?;
        let question = format!("{name} of the endpoint at {}", provider.title());
        target.ids.push((name.clone(), ask::answer(dialog::text(&question, None, is_id), "--id")?));
        asked = true;
    }
    // As the provider names them, whatever order they were given in; one it does not have is left for the check.
    target.ids.sort_by_key(|(given, _)| provider.spec().ids.iter().position(|name| name == given));
    if target.base_url.is_none() && provider.base_url().is_none() {
        ask::may_ask(session, "--base-url")?;
        let question = format!("Base URL of {}", provider.title());
        target.base_url = Some(ask::answer(dialog::text(&question, None, not_empty), "--base-url")?);
        asked = true;
    }
    if asked || (target.stores.is_empty() && session.may_ask() && !session.global.yes && !args.dry_run) {
        ask::may_ask(session, "--store")?;
        optional(target, &provider)?;
        asked = true;
    }
    Ok(asked)
}

fn provider(session: &Session) -> anyhow::Result<String> {
    let all: Vec<(String, String)> =
        session.catalog()?.iter().map(|(name, title, _)| (name.clone(), format!("{name}  {title}"))).collect();
    let items: Vec<String> = all.iter().map(|(_, item)| item.clone()).collect();
    let chosen = ask::answer(dialog::select("Provider", &items), "--provider")?;
    Ok(all.into_iter().nth(chosen).map(|(name, _)| name).unwrap_or_default())
}

fn optional(target: &mut NewTarget, provider: &Provider) -> anyhow::Result<()> {
    if target.stores.is_empty() {
        while let Some(store) = store(target.stores.is_empty())? {
            target.stores.push(store);
        }
    }
    if target.receivers.is_empty() {
        let question = "Receiver's URL, if whsec may look for deliveries there (empty for none)";
        let url = ask::answer(dialog::text(question, Some(""), |_| Ok(())), "--receiver")?;
        target.receivers.extend((!url.is_empty()).then_some(url));
    }
    if target.cutover.is_none() && provider.overlaps() {
        let mut ways = [
            (Cutover::Either, "receivers accept the old and the new secret for a while"),
            (Cutover::Switch, "receivers keep one secret, and change it while deliveries carry both signatures"),
        ];
        // The provider's own way first.
        ways.sort_by_key(|(way, _)| *way != provider.default_cutover());
        let items = ways.map(|(_, words)| words.to_owned());
        let chosen = ask::answer(dialog::select("How receivers take the new secret", &items), "--cutover")?;
        target.cutover = ways.get(chosen).map(|(way, _)| *way);
    }
    Ok(())
}

fn store(first: bool) -> anyhow::Result<Option<String>> {
    let none = if first { "nowhere yet: only look at the endpoint" } else { "nowhere else" };
    let items: Vec<String> = KINDS.iter().map(|(words, ..)| *words).chain([none]).map(str::to_owned).collect();
    let question = if first { "Keep the secret in" } else { "Keep it also in" };
    // After the first store the likely answer is that there is no other.
    let items = if first { items } else { items.into_iter().rev().collect() };
    let chosen = ask::answer(dialog::select(question, &items), "--store")?;
    let Some((_, form, scheme)) = items.get(chosen).and_then(|item| KINDS.iter().find(|(words, ..)| words == item))
    else {
        return Ok(None);
    };
    let check = |rest: &str| match Reference::parse(&format!("{scheme}{rest}")) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.hint().map_or_else(|| error.to_string(), |hint| hint.to_string())),
    };
    let rest = ask::answer(dialog::text(form, None, check), "--store")?;
    Ok(Some(format!("{scheme}{rest}")))
}

fn is_id(text: &str) -> Result<(), String> {
    id_flaw(text).map_or(Ok(()), |flaw| Err(format!("an id {flaw}")))
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("it cannot be empty".to_owned()) } else { Ok(()) }
}
