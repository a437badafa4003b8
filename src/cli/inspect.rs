//! `whsec inspect`: what the provider, the stores and the journal say of one endpoint.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::fleet;
use super::options::TargetOptions;
use super::result;
use super::select::Selection;
use super::session::Session;
use super::waves::Many;
use crate::advice::{Command, On, Verb};
use crate::operation::inspect::{self, Differing, Held, HeldSlot, Seen};
use crate::operation::{find, moved, report};
use crate::provider::answer::Inspected;
use crate::provider::plain_text;
use crate::rotation::drift;
use crate::rotation::elsewhere::Stray;
use crate::rotation::superseded::Finding;
use crate::rotation::{RolledBack, Rotation};
use crate::secret::Fingerprint;
use crate::time::moment;

/// Show what the provider, the stores and the journal say
///
/// Secrets are shown as fingerprints only. Sends nothing but the provider's read call.
///
/// Examples:
///   whsec inspect payments
///   whsec inspect signa/whk_01HK7 --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    many: Many,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let several = fleet::Several { command: "inspect", selection: &args.selection, many: &args.many, asserts: false };
    several.each(session, &args.options, &|session, name| one(args, session, name))
}

fn one(args: &Args, session: &Session, name: &str) -> anyhow::Result<Exit> {
    let options = &args.options;
    let seen = inspect::look(session.context()?, name, &options.asked(), options.api_key_file.as_deref())?;
    show(session, &seen);
    let (exit, error) = match seen.provider.as_ref().err().or(seen.superseded.as_ref()) {
        None => (Exit::Done, Value::Null),
        Some(error) => {
            let fault = session.fault_of(error, Some(&seen.target.name));
            (fault.exit, exit::say(&session.output, &fault))
        }
    };
    session.output.json(&result::object("inspect", exit, fields(session, &seen, error)));
    Ok(exit)
}

fn show(session: &Session, seen: &Seen) {
    let (output, target, rotation) = (&session.output, &seen.target, seen.rotation.as_ref());
    let (id, title) = (target.endpoint.own_id(), target.endpoint.provider.title());
    output.data(&format!("{}: endpoint {id} at {title}", target.name));
    for line in seen.provider.iter().flat_map(provider_lines) {
        output.data(&line);
    }
    for store in &seen.stores {
        store_lines(store, rotation, session.now()).iter().for_each(|line| output.data(line));
    }
    for line in seen.differing().iter().flat_map(differing_lines) {
        output.data(&line);
    }
    if let Some(since) = &seen.since {
        output.data(&format!("since     {}", told(since)));
    }
    for drift in &seen.foreign {
        output.data(&format!("drift     {}", drift::words(std::slice::from_ref(drift))));
    }
    if let Some(stray) = seen.strays.first() {
        output.data(&format!("elsewhere {}: {}", stray.shows(), find::words(&seen.strays)));
    }
    match rotation {
        Some(rotation) => output.data(&journal_line(rotation, session)),
        None if seen.away.is_empty() => output.data("journal   never rotated with whsec"),
        None => {}
    }
    for rotation in &seen.away {
        let (endpoint, address) = (moved::endpoint(&rotation.plan), &rotation.plan.base_url);
        output.data(&format!("{}, begun for {endpoint} at {address}", journal_line(rotation, session)));
        output.say(&session.written(moved::way_on(&rotation.plan, target, Verb::Cutover)));
    }
    for change in &seen.changes {
        output.data(&format!("config    {}", change.words(&target.name)));
    }
    if let Some((of, stores)) = &seen.without {
        let stores = stores.join(", ");
        output.data(&format!("config    the last rotation was that of `{of}`: not known to be in {stores}"));
    }
    if let Some(beside) = &seen.beside {
        output.data(&format!("{}, and stays open until that is known", journal_line(beside, session)));
    }
}

fn fields(session: &Session, seen: &Seen, error: Value) -> Value {
    // By the name that was given, whichever target the rotation was begun for.
    let here = || On::Target(seen.target.name.clone());
    let write = |command: &Command| session.written_out(&Command { on: here(), ..command.clone() });
    let object = |rotation| report::object("inspect", rotation, session.now(), 0, &write, Value::Null);
    json!({
        "target": seen.target.name, "endpoint": seen.target.endpoint.own_id(),
        "at_provider": seen.provider.as_ref().ok().map(provider_json),
        "stores": seen.stores.iter().map(store_json).collect::<Vec<_>>(),
        "drift": seen.differing().iter().map(differing_json).collect::<Vec<_>>(),
        "since": seen.since.as_ref().map(since_json),
        "foreign": seen.foreign, "elsewhere": seen.strays.iter().map(stray_json).collect::<Vec<_>>(),
        "rotation": seen.rotation.as_ref().map(object), "beside": seen.beside.as_ref().map(object),
        "open_elsewhere": seen.away.iter().map(object).collect::<Vec<_>>(), "changes": seen.changes,
        "without_the_secret": seen.without.as_ref().map(|(_, stores)| stores), "error": error,
    })
}

fn told(since: &Finding) -> String {
    match since {
        Finding::Superseded(difference) => format!("somebody rotated again: {difference}"),
        Finding::Behind(difference) => format!("as it was before the call: {difference}"),
        Finding::Touched(difference) => format!("the endpoint was changed, perhaps by a rotation: {difference}"),
        Finding::Same | Finding::Unknown => String::new(),
    }
}

fn since_json(since: &Finding) -> Value {
    let (word, difference) = match since {
        Finding::Superseded(difference) => ("superseded", difference),
        Finding::Behind(difference) => ("behind", difference),
        Finding::Touched(difference) => ("touched", difference),
        Finding::Same | Finding::Unknown => return Value::Null,
    };
    json!({ "found": word, "what": difference.what, "ours": difference.ours, "theirs": difference.theirs })
}

fn provider_lines(inspected: &Inspected) -> Vec<String> {
    let rows = [
        ("url", inspected.url.clone()),
        ("status", inspected.status.clone()),
        ("version", inspected.version.clone()),
        ("fingerprint", inspected.fingerprint.clone()),
        ("updated", inspected.updated_at.clone()),
        ("old ends", inspected.old_expires_at.map(moment)),
        ("secret", inspected.secret.as_ref().map(|secret| format!("shown by the provider: {}", secret.fingerprint()))),
    ];
    rows.into_iter().filter_map(|(name, value)| Some(format!("provider  {name:<12}{}", value?))).collect()
}

fn provider_json(inspected: &Inspected) -> Value {
    json!({
        "url": inspected.url, "status": inspected.status, "version": inspected.version,
        "fingerprint": inspected.fingerprint, "updated_at": inspected.updated_at,
        "old_expires_at": inspected.old_expires_at,
        "secret": inspected.secret.as_ref().map(|secret| secret.fingerprint()), "date": inspected.date,
    })
}

fn store_lines(held: &Held, newest: Option<&Rotation>, now: Timestamp) -> Vec<String> {
    let mut lines = vec![format!("store     {}", held.store)];
    let Some(slots) = &held.slots else {
        lines.push("          cannot be read".to_owned());
        return lines;
    };
    lines.extend(slots.iter().map(|HeldSlot { slot, name, secret }| {
        let text = match secret {
            Ok(Some(fingerprint)) => format!("{fingerprint}{}", role(newest, fingerprint, now)),
            Ok(None) => "empty".to_owned(),
            Err(error) => format!("unreadable: {error}"),
        };
        format!("          {:<9} {name:<32} {text}", slot.name())
    }));
    lines
}

fn store_json(held: &Held) -> Value {
    let mut object = json!({ "store": held.store });
    for HeldSlot { slot, secret, .. } in held.slots.iter().flatten() {
        object[slot.name()] = match secret {
            Ok(fingerprint) => json!(fingerprint),
            Err(error) => json!({ "error": error.to_string() }),
        };
    }
    object
}

fn differing_lines(differing: &Differing) -> Vec<String> {
    let fingerprint = |held: &Option<Fingerprint>| held.as_ref().map_or("empty".to_owned(), ToString::to_string);
    let row = |(store, held): &(String, Option<Fingerprint>)| format!("          {:<20} {store}", fingerprint(held));
    let title = format!("drift     the stores differ in `{}`:", differing.slot.name());
    [title].into_iter().chain(differing.held.iter().map(row)).collect()
}

fn differing_json(differing: &Differing) -> Value {
    let held = differing.held.iter().map(|(store, held)| json!({ "store": store, "fingerprint": held }));
    json!({ "slot": differing.slot.name(), "stores": held.collect::<Vec<_>>() })
}

fn stray_json(stray: &Stray) -> Value {
    json!({ "store": stray.store, "slot": stray.slot, "fingerprint": stray.fingerprint, "of_target": stray.of })
}

/// What the journal knows a fingerprint as.
fn role(newest: Option<&Rotation>, fingerprint: &Fingerprint, now: Timestamp) -> String {
    let Some(rotation) = newest else { return String::new() };
    if rotation.new_secret() == Some(fingerprint) {
        "  (the new secret)".to_owned()
    } else if rotation.before.current.as_ref() == Some(fingerprint) {
        let ended = rotation.expires_at().filter(|_| !rotation.old_secret_lives(now));
        let ended = ended.map(|end| format!(", which ended at {}", moment(end))).unwrap_or_default();
        format!("  (the old secret{ended})")
    } else {
        String::new()
    }
}

fn journal_line(rotation: &Rotation, session: &Session) -> String {
    let status = rotation.status(session.now()).name();
    let step = rotation.step().filter(|_| rotation.closed.is_none()).map(|step| format!(", next: {}", step.name()));
    let since = moment(rotation.opened_at);
    let put_back = |back: &RolledBack| format!("; the old secret was put back at {} by {back}", moment(back.at));
    let back = rotation.taken_back().map(put_back).unwrap_or_default();
    let handed = rotation.handed_over.as_ref().map(|handed| format!("; {}", plain_text(&handed.to_string())));
    let contained =
        rotation.contained().map(|contained| if contained { "; contained: yes" } else { "; contained: no" });
    format!(
        "journal   {} since {since}: {status}{}{back}{}{}",
        rotation.plan.direction_name(),
        step.unwrap_or_default(),
        handed.unwrap_or_default(),
        contained.unwrap_or_default()
    )
}
