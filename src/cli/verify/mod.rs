//! `whsec verify`: which secret signed a delivery, or why none did.

use std::cell::LazyCell;

use clap::ValueHint;
use clap_complete::engine::ArgValueCandidates;
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::options::TargetOptions;
use super::session::Session;
use super::{complete, result};
use crate::advice::{Advice, Verb, advice};
use crate::delivery::Delivery;
use crate::delivery::examine::{Cause, Examination, Examiner};
use crate::operation::key::read_key;
use crate::operation::known::{self, Knowledge, Known, Role};
use crate::provider::signature::Scheme;
use crate::rotation::Event;
use crate::rotation::journal::JournalError;
use crate::secret::Fingerprint;
use crate::time::{moment, span};

mod follow;
mod input;

/// Find the secret that signed a delivery, or why none did
///
/// A delivery is a raw HTTP request (headers, a blank line, the exact body), `{"headers":{…},"body":"…"}` (or
/// `body_base64`), or a HAR file; from FILE or stdin. It is checked against every slot of the target's stores, in the
/// provider's scheme. A delivery that the new secret signed counts as evidence for the step `verify`.
///
/// Exits 0 if a secret that is live or coming signed it, else 9. With --follow, Ctrl-C ends the count as the input's end does.
///
/// Examples:
///   whsec verify payments delivery.http
///   whsec verify payments --header 'X-Layers-Signature: t=…,v1=…' --body body.json
///   tail -F deliveries.ndjson | whsec verify payments --follow
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// The captured delivery; `-` or nothing: stdin
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    file: Option<std::path::PathBuf>,
    /// Give a header in place of a capture; repeat it
    #[arg(long, value_name = "NAME: VALUE", value_parser = input::header, value_hint = ValueHint::Other, conflicts_with = "file")]
    header: Vec<(String, String)>,
    /// Read the exact body from this file, with --header
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "header")]
    body: Option<std::path::PathBuf>,
    /// Try a secret from stdin as well
    #[arg(long)]
    secret_stdin: bool,
    /// Judge the delivery's age at this time (RFC 3339 or Unix seconds), not now
    #[arg(long, value_name = "TIME", value_parser = input::time, value_hint = ValueHint::Other)]
    at: Option<Timestamp>,
    /// Count the deliveries of a log, a line of JSON each, as they come on stdin
    ///
    /// How old a delivery is is judged where its line says when it came, as `received_at`. While deliveries come,
    /// it is looked once a second whether stores and journal have changed, because somebody may have rotated since: what comes within
    /// a second of a change may be counted by what was true before it.
    #[arg(long, conflicts_with_all = ["header", "at", "secret_stdin"])]
    follow: bool,
    /// The same, and print the counts at the end only
    #[arg(long, conflicts_with_all = ["header", "at", "secret_stdin"])]
    summary: bool,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let mut knowledge = known::look(session.context()?, &args.target, &args.options.asked())?;
    let provider = &knowledge.target.endpoint.provider;
    let Some(scheme) = Scheme::of(provider) else {
        let message = format!("how {} signs deliveries is not described", provider.title());
        let hint = "describe it in a file of your own: `[signature]` in whsec-provider(5)";
        return Err(Fault::new(Exit::Usage, message, hint));
    };
    if args.secret_stdin {
        if input::is_stdin(args) {
            let hint = "give the delivery as a file";
            return Err(Fault::new(Exit::Usage, "the secret and the delivery cannot both come on stdin", hint));
        }
        let secret = read_key(std::io::stdin().lock()).map_err(|error| {
            Fault::new(Exit::Usage, format!("cannot read a secret from stdin: {error}"), "pipe one in")
        })?;
        knowledge.add_from_stdin(secret);
    }
    if knowledge.secrets.is_empty() {
        let message = format!("no slot of `{}` holds a secret that can be read", knowledge.target.name);
        return Err(Fault::new(
            Exit::NotFound,
            message,
            "name a store that does (--store REF), or pipe one in: --secret-stdin",
        ));
    }
    if args.follow || args.summary {
        return follow::run(args, session, &mut knowledge, &scheme);
    }
    let examiner = knowledge.examiner(&scheme);
    // Read for the first delivery that nothing here signed, and once.
    let others = LazyCell::new(|| others(session, &knowledge.target.name));
    let mut looked: Vec<Looked> = Vec::new();
    input::each(args, |delivery| {
        let mut found = look(args, session, &knowledge, &examiner, delivery);
        let unknown = found.examination.matches.is_empty() && found.examination.causes.contains(&Cause::NoMatch);
        if unknown {
            found.elsewhere = signed_elsewhere(&others, &scheme, delivery);
        }
        looked.push(found);
    })?;
    conclude(session, &mut knowledge, &looked)
}

/// What came of one delivery.
struct Looked {
    examination: Examination,
    /// Whether a secret that is live or coming signed it, and recently.
    verified: bool,
    /// Another target that has the secret which signed it, and the slot.
    elsewhere: Option<(String, String)>,
    /// It says that it is a probe, which says nothing about the provider.
    is_marked: bool,
    /// This state folder has sent it as one.
    is_probe: bool,
    at: Timestamp,
}

fn look(
    args: &Args,
    session: &Session,
    knowledge: &Knowledge,
    examiner: &Examiner<'_>,
    delivery: &Delivery<'_>,
) -> Looked {
    let at = args.at.or(delivery.received_at).unwrap_or_else(|| session.now());
    let examination = examiner.examine(delivery, Some(at.as_second()));
    let is_live = |index: usize| knowledge.secrets.get(index).is_some_and(Known::is_live);
    let verified = examination.causes.is_empty() && examination.matches.iter().any(|found| is_live(found.secret));
    Looked {
        examination,
        verified,
        elsewhere: None,
        is_marked: delivery.is_marked(),
        is_probe: examiner.is_probe(delivery),
        at,
    }
}

/// What is known of every other configured target. What cannot be read there is passed over.
fn others(session: &Session, own: &str) -> Vec<Knowledge> {
    let Ok(context) = session.context() else { return Vec::new() };
    let names = session.target_names().into_iter().filter(|name| name != own);
    names.filter_map(|name| known::look_quietly(context, &name).ok()).collect()
}

/// Another target with a secret that signed the delivery, and the slot.
fn signed_elsewhere(others: &[Knowledge], scheme: &Scheme, delivery: &Delivery<'_>) -> Option<(String, String)> {
    others.iter().find_map(|other| {
        let found = other.examiner(scheme).look(delivery, None).matches.first().copied()?;
        Some((other.target.name.clone(), other.secrets.get(found.secret)?.slots()))
    })
}

fn conclude(session: &Session, knowledge: &mut Knowledge, looked: &[Looked]) -> anyhow::Result<Exit> {
    // The JSON says all of it.
    let shown = if session.output.is_json() { &[] } else { looked };
    for (index, delivery) in shown.iter().enumerate() {
        if looked.len() > 1 {
            session.output.data(&format!("delivery {} of {}", index + 1, looked.len()));
        }
        lines(knowledge, delivery).iter().for_each(|line| session.output.data(line));
    }
    let verified = looked.iter().filter(|delivery| delivery.verified).count();
    let seen = seen(knowledge, looked);
    note(session, knowledge, seen, false);
    let (exit, error) = if verified == looked.len() {
        (Exit::Done, Value::Null)
    } else {
        let which = match looked.len() {
            1 => "the delivery does not verify".to_owned(),
            all => format!("{} of {all} deliveries do not verify", all - verified),
        };
        let hint = looked.iter().find(|delivery| !delivery.verified).and_then(hint);
        let hint = hint.map(|hint| hint.written(&|command| session.typed(command, Some(&knowledge.target.name))));
        let fault = Fault { exit: Exit::Gate, message: which, hint };
        (Exit::Gate, exit::say(&session.output, &fault))
    };
    let fields = json!({
        "target": knowledge.target.name, "verified": verified == looked.len(), "deliveries": [], "error": error,
    });
    let envelope = result::object("verify", exit, fields);
    session.output.json(&Told { envelope, deliveries: Objects { knowledge, looked } });
    Ok(exit)
}

/// The result, whose deliveries become objects one by one: all together they may be a hundred times the capture.
struct Told<'a> {
    envelope: Value,
    deliveries: Objects<'a>,
}

struct Objects<'a> {
    knowledge: &'a Knowledge,
    looked: &'a [Looked],
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        for (name, value) in self.envelope.as_object().into_iter().flatten() {
            match name.as_str() {
                "deliveries" => map.serialize_entry(name, &self.deliveries)?,
                _ => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

impl Serialize for Objects<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.looked.iter().map(|looked| object(self.knowledge, looked)))
    }
}

fn lines(knowledge: &Knowledge, looked: &Looked) -> Vec<String> {
    let Looked { examination, elsewhere, at, .. } = looked;
    let mut lines = Vec::new();
    for found in &examination.matches {
        let Some(known) = knowledge.secrets.get(found.secret) else { continue };
        let entry = if examination.entries > 1 {
            format!(", signature {} of {}", found.entry + 1, examination.entries)
        } else {
            String::new()
        };
        lines.push(format!("signed with {} ({}{}){entry}", known.slots(), known.fingerprint, role(knowledge, known)));
    }
    if let Some(signed_at) = examination.signed_at.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        let age = at.duration_since(signed_at);
        let when = if age.is_negative() { "after" } else { "before" };
        lines.push(format!("signed at {}, {} {when} it was looked at", moment(signed_at), span(age.abs())));
    }
    for cause in &examination.causes {
        let known = cause.secret().and_then(|index| knowledge.secrets.get(index));
        let whose = known.map(|known| format!(" ({}, {})", known.slots(), known.fingerprint)).unwrap_or_default();
        match (cause, elsewhere) {
            (Cause::NoMatch, Some((target, slots))) => {
                lines.push(format!("not verified: it was signed with another target's secret: `{target}` ({slots})"))
            }
            _ => lines.push(format!("not verified: {cause}{whose}")),
        }
    }
    if looked.is_probe {
        lines.push("a probe of whsec's own, which is no evidence".to_owned());
    } else if looked.is_marked {
        lines
            .push("marked as a probe of whsec's own, and none that this state folder has sent: no evidence".to_owned());
    }
    let is_old = |known: &&Known| known.role == Role::Old;
    let signers: Vec<&Known> = signers(knowledge, examination).collect();
    if !signers.is_empty() && signers.iter().all(is_old) {
        let live = signers.iter().any(|known| known.is_live());
        lines.push(match live {
            true => "old secret only: nothing in it shows that the provider signs with the new one".to_owned(),
            false => "not verified: old secret only; receivers that run with the new one refuse it".to_owned(),
        });
    }
    lines
}

fn signers<'a>(knowledge: &'a Knowledge, examination: &'a Examination) -> impl Iterator<Item = &'a Known> {
    examination.matches.iter().filter_map(|found| knowledge.secrets.get(found.secret))
}

fn role(knowledge: &Knowledge, known: &Known) -> &'static str {
    match (knowledge.open.is_some(), known.role) {
        (true, Role::New) => ", the new secret",
        (_, Role::Old) => ", the old secret",
        _ => "",
    }
}

fn hint(looked: &Looked) -> Option<Advice> {
    looked.examination.causes.iter().find_map(|cause| match cause {
        Cause::Stale { .. } => {
            Some("judge a capture at the time it arrived: --at TIME, or `received_at` in its JSON".into())
        }
        Cause::BodyChanged { .. } => Some("verify over the bytes that came, before anything parses the body".into()),
        Cause::MissingHeader { .. } => Some("was it sent by this provider, and did a proxy keep its headers?".into()),
        Cause::CutShort { .. } | Cause::NoBody | Cause::BodyParsed => {
            Some("capture the request with its exact body".into())
        }
        Cause::NoMatch => Some(match looked.elsewhere {
            Some(_) => "the receiver runs with a secret of that target".into(),
            None => advice![Verb::Inspect.here(), " shows which slots hold what"],
        }),
        _ => None,
    })
}

fn object(knowledge: &Knowledge, looked: &Looked) -> Value {
    let examination = &looked.examination;
    let place = |index: usize| knowledge.secrets.get(index);
    let matches: Vec<Value> = examination
        .matches
        .iter()
        .filter_map(|found| {
            let known = place(found.secret)?;
            let (slot, store) = known.places.first()?;
            Some(json!({
                "signature": found.entry + 1, "slot": slot, "store": store, "fingerprint": known.fingerprint,
                "is_old": known.role == Role::Old,
            }))
        })
        .collect();
    let causes: Vec<Value> = examination
        .causes
        .iter()
        .map(|cause| {
            let fingerprint = cause.secret().and_then(place).map(|known| &known.fingerprint);
            json!({ "kind": cause.kind(), "message": cause.to_string(), "fingerprint": fingerprint })
        })
        .collect();
    json!({
        "verified": looked.verified, "matches": matches, "signatures": examination.entries,
        "signed_at": examination.signed_at.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        "judged_at": looked.at, "causes": causes,
        "other_target": looked.elsewhere.as_ref().map(|(target, slots)| json!({ "target": target, "slot": slots })),
    })
}

/// Deliveries that one secret signed.
struct Seen {
    secret: Fingerprint,
    deliveries: u64,
    signed_at: Option<Timestamp>,
}

/// The deliveries of single captures, by the secret that signed them; those that are too old are no evidence.
fn seen(knowledge: &Knowledge, looked: &[Looked]) -> Vec<Seen> {
    let real = || looked.iter().filter(|delivery| !delivery.is_marked).map(|delivery| &delivery.examination);
    let fresh = || real().filter(|found| found.causes.is_empty());
    let of = |(index, known): (usize, &Known)| {
        let signed = || fresh().filter(|found| found.matches.iter().any(|matching| matching.secret == index));
        let signed_at = signed().filter_map(|found| Timestamp::from_second(found.signed_at?).ok()).max();
        Seen { secret: known.fingerprint.clone(), deliveries: signed().count() as u64, signed_at }
    };
    let known = knowledge.secrets.iter().enumerate().filter(|(_, known)| !known.is_only_given());
    known.map(of).collect()
}

/// Journals which secrets of the open rotation were seen at work, and says so where it is evidence for a step, as what was
/// noted before may be. A journal that cannot take it is no reason to fail.
fn note(session: &Session, knowledge: &mut Knowledge, seen: Vec<Seen>, before: bool) {
    match journal(session, knowledge, seen) {
        Ok(now) if now || before => {
            let next = session.come_back("cutover", &knowledge.target.name);
            session.output.say("noted for the step `verify` of the open rotation");
            session.output.say(&format!("  {next}"));
        }
        Ok(_) => {}
        Err(error) => session.output.warn(&format!("it was not noted in the journal: {error}")),
    }
}

/// Journals what was seen; whether the new secret is among it. A rotation that was closed meanwhile gets none of it.
fn journal(session: &Session, knowledge: &mut Knowledge, seen: Vec<Seen>) -> Result<bool, JournalError> {
    let Some(rotation) = knowledge.open.as_mut() else { return Ok(false) };
    let Some(new) = rotation.new_secret().cloned() else { return Ok(false) };
    let seen: Vec<Seen> = seen.into_iter().filter(|seen| seen.deliveries > 0).collect();
    let open = knowledge.journal.find_open(&rotation.plan.endpoint_key)?;
    if seen.is_empty() || open.is_none_or(|open| open.id != rotation.id) {
        return Ok(false);
    }
    let is_evidence = seen.iter().any(|seen| seen.secret == new);
    let event = |Seen { secret, deliveries, signed_at }| Event::Seen { secret, deliveries, signed_at };
    let events: Vec<Event> = seen.into_iter().map(event).collect();
    knowledge.journal.append(rotation, &session.actor(), session.now(), &events)?;
    Ok(is_evidence)
}
