//! `whsec verify`: which secret signed a delivery, or why none did.

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
use crate::delivery::examine::{Cause, Examination};
use crate::operation::inventory::{Inventory, KnownSecret, Role};
use crate::operation::key::read_key;
use crate::operation::verify::{Looked, Verify};
use crate::rotation::journal::JournalError;
use crate::time::{moment, span};

mod follow;
mod input;

/// Find the secret that signed a delivery, or why none did
///
/// A delivery is a raw HTTP request (headers, a blank line, the exact body), `{"headers":{…},"body":"…"}` (or
/// `body_base64`), or a HAR file; from FILE or stdin. It is checked against every slot of the target's stores, in the
/// provider's scheme. A delivery that the new secret signed counts as evidence for the step `verify`.
///
/// Where the address is signed, too, it is one of the target's `receivers`, or the capture's own: a request line and `Host`, a HAR
/// file's, or `"url"` (and `"method"`) in JSON.
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
    let context = session.context()?;
    let follows = args.follow || args.summary;
    if follows {
        follow::refuse_file(args, session)?;
    }
    if args.secret_stdin && input::is_stdin(args) {
        let hint = "give the delivery as a file";
        return Err(Fault::new(Exit::Usage, "the secret and the delivery cannot both come on stdin", hint));
    }
    let given =
        args.secret_stdin.then(|| read_key(std::io::stdin().lock())).transpose().map_err(|error| {
            Fault::new(Exit::Usage, format!("cannot read a secret from stdin: {error}"), "pipe one in")
        })?;
    let mut verify = Verify::begin(context, &args.target, &args.options.asked(), given)?;
    if follows {
        return follow::run(args, session, &mut verify);
    }
    let looked = verify.look(context, args.at, |take| input::each(args, take))?;
    conclude(session, &mut verify, &looked)
}

fn conclude(session: &Session, verify: &mut Verify, looked: &[Looked]) -> anyhow::Result<Exit> {
    // The JSON says all of it.
    let shown = if session.output.is_json() { &[] } else { looked };
    for (index, delivery) in shown.iter().enumerate() {
        if looked.len() > 1 {
            session.output.data(&format!("delivery {} of {}", index + 1, looked.len()));
        }
        lines(&verify.inventory, delivery).iter().for_each(|line| session.output.data(line));
    }
    let verified = looked.iter().filter(|delivery| delivery.verified).count();
    let noted = verify.record(session.context()?, verify.seen(looked));
    let inventory = &verify.inventory;
    note(session, &inventory.target.name, noted);
    let (exit, error) = if verified == looked.len() {
        (Exit::Done, Value::Null)
    } else {
        let which = match looked.len() {
            1 => "the delivery does not verify".to_owned(),
            all => format!("{} of {all} deliveries do not verify", all - verified),
        };
        let hint = looked.iter().find(|delivery| !delivery.verified).and_then(hint);
        let hint = hint.map(|hint| hint.written(&|command| session.typed(command, Some(&inventory.target.name))));
        let fault = Fault { exit: Exit::Gate, message: which, hint };
        (Exit::Gate, exit::say(&session.output, &fault))
    };
    let fields = json!({
        "target": inventory.target.name, "verified": verified == looked.len(), "deliveries": [], "error": error,
    });
    let envelope = result::object("verify", exit, fields);
    session.output.json(&Told { envelope, deliveries: Objects { inventory, looked } });
    Ok(exit)
}

/// The result, whose deliveries become objects one by one: all together they may be a hundred times the capture.
struct Told<'a> {
    envelope: Value,
    deliveries: Objects<'a>,
}

struct Objects<'a> {
    inventory: &'a Inventory,
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
        out.collect_seq(self.looked.iter().map(|looked| object(self.inventory, looked)))
    }
}

fn lines(inventory: &Inventory, looked: &Looked) -> Vec<String> {
    let Looked { examination, elsewhere, at, .. } = looked;
    let mut lines = Vec::new();
    for found in &examination.matches {
        let Some(known) = inventory.secrets.get(found.secret) else { continue };
        let entry = if examination.entries > 1 {
            format!(", signature {} of {}", found.entry + 1, examination.entries)
        } else {
            String::new()
        };
        lines.push(format!("signed with {} ({}{}){entry}", known.slots(), known.fingerprint, role(inventory, known)));
    }
    if let Some(signed_at) = examination.signed_at.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        let age = at.duration_since(signed_at);
        let when = if age.is_negative() { "after" } else { "before" };
        lines.push(format!("signed at {}, {} {when} it was looked at", moment(signed_at), span(age.abs())));
    }
    for cause in &examination.causes {
        let known = cause.secret().and_then(|index| inventory.secrets.get(index));
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
    let is_old = |known: &&KnownSecret| known.role == Role::Old;
    let signers: Vec<&KnownSecret> = signers(inventory, examination).collect();
    if !signers.is_empty() && signers.iter().all(is_old) {
        let live = signers.iter().any(|known| known.is_live());
        lines.push(match live {
            true => "old secret only: nothing in it shows that the provider signs with the new one".to_owned(),
            false => "not verified: old secret only; receivers that run with the new one refuse it".to_owned(),
        });
    }
    lines
}

fn signers<'a>(inventory: &'a Inventory, examination: &'a Examination) -> impl Iterator<Item = &'a KnownSecret> {
    examination.matches.iter().filter_map(|found| inventory.secrets.get(found.secret))
}

fn role(inventory: &Inventory, known: &KnownSecret) -> &'static str {
    match (inventory.open.is_some(), known.role) {
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

fn object(inventory: &Inventory, looked: &Looked) -> Value {
    let examination = &looked.examination;
    let place = |index: usize| inventory.secrets.get(index);
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

/// Says whether what was seen is evidence for a step. A journal that cannot take it is no reason to fail.
fn note(session: &Session, target: &str, noted: Result<bool, JournalError>) {
    match noted {
        Ok(true) => {
            session.output.say("noted for the step `verify` of the open rotation");
            session.output.say(&format!("  {}", session.come_back("cutover", target)));
        }
        Ok(false) => {}
        Err(error) => session.output.warn(&format!("it was not noted in the journal: {error}")),
    }
}
