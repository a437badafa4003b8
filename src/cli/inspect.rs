//! `whsec inspect`: what the provider, the stores and the journal say of one endpoint.

use clap_complete::engine::ArgValueCandidates;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::options::TargetOptions;
use super::session::Session;
use super::{complete, result};
use crate::advice::Verb;
use crate::operation::Error;
use crate::operation::key;
use crate::operation::report;
use crate::operation::{changes, find, moved};
use crate::provider::answer::Inspected;
use crate::rotation::drift::{self, Act, Drift};
use crate::rotation::elsewhere::{self, Stray};
use crate::rotation::superseded::{Difference, Finding, compare};
use crate::rotation::{self, Evidence, RolledBack, Rotation, RunError, at_hand, newest_sent};
use crate::secret::Fingerprint;
use crate::store::{Access, Slot, Store, readable, slots};
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
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let journal = find::journal(session.context()?)?;
    let target = find::target(session.context()?, &journal, &args.target, &args.options.asked())?;
    find::warn_of_trouble(session.context()?, &args.target);
    let rotations = journal.of_endpoint(&target.endpoint.key())?;
    let newest = at_hand(&rotations).and_then(|at| rotations.get(at));
    let stores = find::stores(session.context()?, &journal, &target, &args.options.asked())?;
    let output = &session.output;
    output.data(&format!(
        "{}: endpoint {} at {}",
        target.name,
        target.endpoint.own_id(),
        target.endpoint.provider.title()
    ));
    let asked = ask(args, session, &target);
    let provider = match &asked {
        Ok(inspected) => {
            for line in provider_lines(inspected) {
                output.data(&line);
            }
            provider_json(inspected)
        }
        Err(_) => Value::Null,
    };
    let slots: Vec<Value> = stores.iter().map(|store| show_store(session, store.as_ref(), newest)).collect();
    let differing = differing(&slots);
    for line in differing.iter().flat_map(drift_lines) {
        output.data(&line);
    }
    let moved = asked.as_ref().ok().and_then(|inspected| moved(newest?, inspected, &stores));
    if let Some(moved) = &moved {
        output.data(&format!("since     {}", told(moved)));
    }
    let foreign = newest.map(|rotation| foreign(rotation, &stores)).unwrap_or_default();
    for drift in &foreign {
        output.data(&format!("drift     {}", drift::words(std::slice::from_ref(drift))));
    }
    // A slot that cannot be read has said so above, and beside an open rotation it is drift.
    let is_open = newest.is_some_and(|rotation| rotation.closed.is_none());
    let strays = elsewhere::strays(&stores, &target.endpoint.key(), &journal).ok().filter(|_| !is_open);
    let strays = strays.unwrap_or_default();
    if let Some(stray) = strays.first() {
        output.data(&format!("elsewhere {}: {}", stray.shows(), find::words(&strays)));
    }
    // Open under this name or these ids, for what the target was before.
    let away: Vec<Rotation> =
        journal.open_rotations()?.into_iter().filter(|rotation| moved::is_of(rotation, &target)).collect();
    match newest {
        Some(rotation) => output.data(&journal_line(rotation, session)),
        None if away.is_empty() => output.data("journal   never rotated with whsec"),
        None => {}
    }
    for rotation in &away {
        let (endpoint, address) = (moved::endpoint(&rotation.plan), &rotation.plan.base_url);
        output.data(&format!("{}, begun for {endpoint} at {address}", journal_line(rotation, session)));
        output.say(&session.written(moved::way_on(&rotation.plan, &target, Verb::Cutover)));
    }
    let (open, context) = (newest.filter(|rotation| rotation.closed.is_none()), session.context()?);
    let changed = open.map(|rotation| changes::since(context, &target, &rotation.plan)).unwrap_or_default();
    let behind = changes::without_the_secret(&target, newest_sent(&rotations)).filter(|_| open.is_none());
    for change in &changed {
        output.data(&format!("config    {}", change.words(&target.name)));
    }
    if let Some((of, stores)) = &behind {
        output
            .data(&format!("config    the last rotation was that of `{of}`: not known to be in {}", stores.join(", ")));
    }
    // The one that is to be replaced, while nobody knows what came of that.
    let replaced = newest.filter(|rotation| rotation.is_pending()).and_then(|rotation| rotation.plan.replaces);
    let beside = replaced.and_then(|earlier| rotations.iter().find(|rotation| rotation.id == earlier));
    if let Some(beside) = beside {
        output.data(&format!("{}, and stays open until that is known", journal_line(beside, session)));
    }
    let come_back = session.come_back("cutover", &target.name);
    let object = |rotation| report::rotation("inspect", rotation, session.now(), 0, &come_back, Value::Null);
    let (rotation, beside) = (newest.map(object), beside.map(object));
    let inspected_end = asked.as_ref().ok().and_then(|inspected| inspected.old_expires_at);
    let away: Vec<Value> = away.iter().map(object).collect();
    let asked = asked.and_then(|_| match (&moved, newest) {
        (Some(Finding::Superseded(difference)), Some(rotation)) => {
            Err(somebody_rotated(session, &target, rotation, difference, inspected_end))
        }
        _ => Ok(()),
    });
    let (exit, error) = match asked {
        Ok(()) => (Exit::Done, Value::Null),
        Err(error) => {
            let fault = session.fault(&error, Some(&target.name));
            (fault.exit, exit::say(output, &fault))
        }
    };
    let fields = json!({
        "target": target.name, "endpoint": target.endpoint.own_id(), "at_provider": provider, "stores": slots, "drift": differing,
        "since": moved.as_ref().map(since),
        "foreign": foreign, "elsewhere": strays.iter().map(stray_json).collect::<Vec<_>>(),
        "rotation": rotation, "beside": beside, "open_elsewhere": away, "changes": changed,
        "without_the_secret": behind.map(|(_, stores)| stores), "error": error,
    });
    output.json(&result::object("inspect", exit, fields));
    Ok(exit)
}

fn ask(args: &Args, session: &Session, target: &crate::config::Target) -> anyhow::Result<Inspected> {
    find::refuse_undescribed(session.context()?, target)?;
    let context = session.context()?;
    let key = key::find(context, target, args.options.api_key_file.as_deref())?;
    context.client(target)?.inspect(&target.endpoint, &key.secret).map_err(|outcome| {
        let provider = target.endpoint.provider.title().to_owned();
        Error::of_key(RunError::unasked(provider, "show the endpoint", outcome), &key.origin).into()
    })
}

/// What the provider shows of a change since the newest rotation, where it is open or its secret is live still.
fn moved(newest: &Rotation, inspected: &Inspected, stores: &[Box<dyn Store>]) -> Option<Finding> {
    let ours = &newest.answered()?.fingerprint;
    let is_live = |store: &dyn Store| slots::holds(store, Slot::Current, ours).unwrap_or(false);
    if newest.closed.is_some() && !readable(stores).any(is_live) {
        return None;
    }
    Some(compare(newest, &Evidence::from(inspected))).filter(|found| !matches!(found, Finding::Same | Finding::Unknown))
}

fn told(moved: &Finding) -> String {
    match moved {
        Finding::Superseded(difference) => format!("somebody rotated again: {difference}"),
        Finding::Behind(difference) => format!("as it was before the call: {difference}"),
        Finding::Touched(difference) => format!("the endpoint was changed, perhaps by a rotation: {difference}"),
        Finding::Same | Finding::Unknown => String::new(),
    }
}

fn since(moved: &Finding) -> Value {
    let (word, difference) = match moved {
        Finding::Superseded(difference) => ("superseded", difference),
        Finding::Behind(difference) => ("behind", difference),
        Finding::Touched(difference) => ("touched", difference),
        Finding::Same | Finding::Unknown => return Value::Null,
    };
    json!({ "found": word, "what": difference.what, "ours": difference.ours, "theirs": difference.theirs })
}

/// `end` is that of their overlap, where the provider tells of it.
fn somebody_rotated(
    session: &Session,
    target: &crate::config::Target,
    rotation: &Rotation,
    difference: &Difference,
    end: Option<Timestamp>,
) -> anyhow::Error {
    let (name, provider) = (&rotation.plan.target, target.endpoint.provider.title());
    let message = format!("our secret is not {provider}'s any more, because somebody rotated again: {difference}");
    let now = session.now();
    let end = end.filter(|end| *end > rotation.provider_now(now)).into_iter().chain(rotation.overlap_until(now)).max();
    let hint = match rotation.closed {
        None => format!("close this rotation, and see how to go on: {}", session.come_back("cutover", name)),
        Some(_) => {
            let again = rotation::again(end, session.come_back("rotate", name));
            format!("put their secret into the live slot, or {again}")
        }
    };
    Fault::new(Exit::Conflict, message, hint)
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

fn show_store(session: &Session, store: &dyn Store, newest: Option<&Rotation>) -> Value {
    let reference = store.reference();
    let mut object = json!({ "store": reference });
    session.output.data(&format!("store     {reference}"));
    if store.access() != Access::ReadWrite {
        session.output.data("          cannot be read");
        return object;
    }
    for slot in Slot::KEPT {
        let word = slot.name();
        let (text, value) = match store.get(slot) {
            Ok(Some(secret)) => {
                let fingerprint = secret.fingerprint();
                (format!("{fingerprint}{}", role(newest, &fingerprint, session.now())), json!(fingerprint))
            }
            Ok(None) => ("empty".to_owned(), Value::Null),
            Err(error) => (format!("unreadable: {error}"), json!({ "error": error.to_string() })),
        };
        session.output.data(&format!("          {word:<9} {:<32} {text}", store.slot_name(slot)));
        object[word] = value;
    }
    object
}

/// The slots that hold what an open rotation does not know of.
fn foreign(rotation: &Rotation, stores: &[Box<dyn Store>]) -> Vec<Drift> {
    if rotation.closed.is_some() || rotation.new_secret().is_none() {
        return Vec::new();
    }
    let look = |store| drift::look(rotation, Act::due(rotation), store).ok();
    readable(stores).filter_map(look).flatten().collect()
}

/// The slots in which stores that can be read do not hold the same, with what each holds.
fn differing(stores: &[Value]) -> Vec<Value> {
    let slots = ["next", "current", "previous"].into_iter();
    let held = |slot: &str| -> Vec<Value> {
        let known = stores.iter().filter(|store| store.get(slot).is_some_and(|value| !value.is_object()));
        known.map(|store| json!({ "store": store["store"], "fingerprint": store[slot] })).collect()
    };
    let all = slots.map(|slot| (slot, held(slot)));
    let differ = all.filter(|(_, held)| held.windows(2).any(|pair| pair[0]["fingerprint"] != pair[1]["fingerprint"]));
    differ.map(|(slot, held)| json!({ "slot": slot, "stores": held })).collect()
}

fn stray_json(stray: &Stray) -> Value {
    json!({ "store": stray.store, "slot": stray.slot, "fingerprint": stray.fingerprint, "of_target": stray.of })
}

fn drift_lines(drift: &Value) -> Vec<String> {
    let stores = drift["stores"].as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |text: &Value| text.as_str().unwrap_or("empty").to_owned();
    let rows =
        stores.iter().map(|held| format!("          {:<20} {}", word(&held["fingerprint"]), word(&held["store"])));
    [format!("drift     the stores differ in `{}`:", word(&drift["slot"]))].into_iter().chain(rows).collect()
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
    let contained =
        rotation.contained().map(|contained| if contained { "; contained: yes" } else { "; contained: no" });
    format!(
        "journal   {} since {since}: {status}{}{back}{}",
        rotation.plan.direction.name(),
        step.unwrap_or_default(),
        contained.unwrap_or_default()
    )
}
