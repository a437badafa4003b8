//! `whsec fingerprint`: which slot a value is in, without printing it.

use std::collections::BTreeSet;

use clap_complete::engine::ArgValueCandidates;
use jiff::Timestamp;
use serde_json::json;

use super::exit::{self, Exit, Fault};
use super::session::Session;
use super::{complete, result};
use crate::operation::key::read_key;
use crate::operation::{find, whose, workspace};
use crate::rotation::Plan;
use crate::secret::{Fingerprint, Secret};
use crate::store::{Slot, Store, readable};

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
    let slots = slots(session, &args.target)?;
    for (store, slot, fingerprint) in &slots {
        session.output.data(&format!("{fingerprint}  {slot:<8}  {store}"));
    }
    if slots.is_empty() {
        session.output.say(&format!("no slot of `{}` holds anything that can be read", args.target));
    }
    let fields = json!({ "target": args.target, "slots": objects(&args.target, &slots) });
    session.output.json(&result::object("fingerprint", Exit::Done, fields));
    Ok(Exit::Done)
}

fn stdin(session: &Session) -> anyhow::Result<Exit> {
    let value: Secret = read_key(std::io::stdin().lock())
        .map_err(|error| Fault::new(Exit::Usage, format!("cannot read a value from stdin: {error}"), "pipe one in"))?;
    if value.is_empty() {
        return Err(Fault::new(
            Exit::Usage,
            "there is no value on stdin",
            "pipe one in: printenv NAME | whsec fingerprint -",
        ));
    }
    let fingerprint = value.fingerprint();
    session.output.data(&fingerprint.to_string());
    let journal = find::journal(session.context()?)?;
    let (mut found, mut looked) = (Vec::new(), BTreeSet::new());
    let mut hold = |name: &str, slots: anyhow::Result<Vec<Held>>| {
        let mut slots = slots.unwrap_or_else(|error| {
            session.output.warn(&format!("`{name}` was not looked at: {error:#}"));
            Vec::new()
        });
        slots.retain(|(_, _, held)| *held == fingerprint);
        for (store, slot, _) in &slots {
            session.output.data(&format!("{name}  {slot}  {store}"));
        }
        found.extend(objects(name, &slots));
    };
    for name in session.target_names() {
        let target = find::target(session.context()?, &journal, &name, &Default::default());
        looked.extend(target.map(|target| target.endpoint.key()));
        hold(&name, slots(session, &name));
    }
    // Endpoints that the config does not have, as their last rotation left them.
    let mut known = journal.closed_since(Timestamp::UNIX_EPOCH)?;
    known.extend(journal.open_rotations()?);
    for rotation in known.iter().rev().filter(|rotation| rotation.may_be_applied()) {
        if looked.insert(rotation.plan.endpoint_key.clone()) {
            hold(&rotation.plan.target, slots_of_plan(session, &rotation.plan));
        }
    }
    let whose = whose::whose(&journal, &fingerprint, session.now())?;
    for of in &whose {
        session.output.data(&format!("{}  {}", of.target, of.words()));
    }
    let exit = if found.is_empty() && whose.is_empty() { Exit::NotFound } else { Exit::Done };
    let mut fields = json!({ "fingerprint": fingerprint, "slots": found, "known": whose });
    if exit == Exit::NotFound {
        let message = format!("{fingerprint} is in no slot, and this machine's journal knows nothing of it");
        let hint = "was the value taken over whole, without quotes and spaces? a rotation that was begun elsewhere is known there";
        fields["error"] = exit::say(&session.output, &Fault { exit, message, hint: Some(hint.into()) });
    }
    session.output.json(&result::object("fingerprint", exit, fields));
    Ok(exit)
}

type Held = (String, &'static str, Fingerprint);

/// Every slot of a target's stores that holds something.
fn slots(session: &Session, name: &str) -> anyhow::Result<Vec<Held>> {
    let journal = find::journal(session.context()?)?;
    let target = find::target(session.context()?, &journal, name, &Default::default())?;
    held(&find::stores(session.context()?, &journal, &target, &Default::default())?)
}

/// The same of an endpoint that only the journal knows.
fn slots_of_plan(session: &Session, plan: &Plan) -> anyhow::Result<Vec<Held>> {
    held(&workspace::open_planned(&find::from_plan(session.context()?, plan)?, &plan.stores)?)
}

fn held(stores: &[Box<dyn Store>]) -> anyhow::Result<Vec<Held>> {
    let mut held = Vec::new();
    for store in readable(stores) {
        for slot in Slot::KEPT {
            if let Some(secret) = store.get(slot)? {
                held.push((store.reference(), slot.name(), secret.fingerprint()));
            }
        }
    }
    Ok(held)
}

fn objects(target: &str, slots: &[Held]) -> Vec<serde_json::Value> {
    slots
        .iter()
        .map(|(store, slot, fingerprint)| json!({ "target": target, "store": store, "slot": slot, "fingerprint": fingerprint }))
        .collect()
}
