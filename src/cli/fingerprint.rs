//! `whsec fingerprint`: which slot a value is in, without printing it.

use std::io::IsTerminal;

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::exit::{self, Exit, Fault};
use super::session::Session;
use super::{complete, result};
use crate::operation::key::read_key;
use crate::operation::whose::{self, Found, Held};
use crate::secret::{Fingerprint, Secret};

/// Show fingerprints, and which slot a value is in
///
/// With a target: the fingerprint in each slot of its stores. With `-`: the fingerprint of the value on stdin (one newline
/// at its end does not count), the slots that hold it, and whose secret it is or was and until when, as the journal knows
/// it. Exits 4 where it is nobody's.
///
/// Examples:
///   whsec fingerprint payments
///   printenv LAYERS_WEBHOOK_SECRET | whsec fingerprint -
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, PROVIDER/ID[/ID], or `-`
    #[arg(value_name = "TARGET|-", add = ArgValueCandidates::new(complete::targets))]
    target: String,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    if args.target == "-" {
        return stdin(session);
    }
    let slots = whose::slots(session.context()?, &args.target)?;
    for Held { fingerprint, slot, store, .. } in &slots {
        session.output.data(&format!("{fingerprint}  {slot:<8}  {store}"));
    }
    if slots.is_empty() {
        session.output.say(&format!("no slot of `{}` holds anything that can be read", args.target));
    }
    let fields = json!({ "target": args.target, "slots": slots });
    session.output.json(&result::object("fingerprint", Exit::Done, fields));
    Ok(Exit::Done)
}

/// The fingerprint of the value on stdin.
pub fn of_stdin() -> anyhow::Result<Fingerprint> {
    let refused = |why: String| Fault::new(Exit::Usage, why, "pipe one in, as `printenv NAME` prints it");
    if std::io::stdin().is_terminal() {
        return Err(refused("the value is taken from stdin, which is a terminal".to_owned()));
    }
    let value: Secret = read_key(std::io::stdin().lock())
        .map_err(|error| refused(format!("cannot read a value from stdin: {error}")))?;
    match value.is_empty() {
        true => Err(refused("there is no value on stdin".to_owned())),
        false => Ok(value.fingerprint()),
    }
}

/// Where a secret is, and what of it could not be found out is said.
pub fn find(session: &Session, fingerprint: &Fingerprint) -> anyhow::Result<Found> {
    let found = whose::find(session.context()?, fingerprint)?;
    for (name, error) in &found.unread {
        session.output.warn(&format!("`{name}` was not looked at: {}", error.words()));
    }
    Ok(found)
}

/// Says that a secret is nobody's.
pub fn nobodys(fingerprint: &Fingerprint) -> Fault {
    let message = format!("{fingerprint} is in no slot, and this machine's journal knows nothing of it");
    let hint =
        "was the value taken over whole, without quotes and spaces? a rotation that was begun elsewhere is known there";
    Fault { exit: Exit::NotFound, message, hint: Some(hint.into()) }
}

fn stdin(session: &Session) -> anyhow::Result<Exit> {
    let fingerprint = of_stdin()?;
    session.output.data(&fingerprint.to_string());
    let found = find(session, &fingerprint)?;
    for Held { target, slot, store, .. } in &found.slots {
        session.output.data(&format!("{target}  {slot}  {store}"));
    }
    for of in &found.known {
        session.output.data(&format!("{}  {}", of.target, of.words()));
    }
    let mut fields = json!({ "fingerprint": fingerprint, "slots": found.slots, "known": found.known });
    let exit = if found.is_empty() { Exit::NotFound } else { Exit::Done };
    if found.is_empty() {
        fields["error"] = exit::say(&session.output, &nobodys(&fingerprint));
    }
    session.output.json(&result::object("fingerprint", exit, fields));
    Ok(exit)
}
