//! `whsec fingerprint`: which slot a value is in, without printing it.

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::exit::{Exit, Fault};
use super::session::{self, Session};
use super::{complete, find, result};
use crate::secret::{Fingerprint, Secret};
use crate::store::{Slot, readable};

/// Show fingerprints, and which slot a value is in
///
/// With a target: the fingerprint in each slot of its stores. With `-`: the fingerprint of the value on stdin (one newline
/// at its end does not count), and every configured target's slots that hold it.
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
    let value: Secret = session::read_key(std::io::stdin().lock())
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
    let mut found = Vec::new();
    for name in session.target_names() {
        let mut slots = match slots(session, &name) {
            Ok(slots) => slots,
            Err(error) => {
                session.output.warn(&format!("`{name}` was not looked at: {error}"));
                continue;
            }
        };
        slots.retain(|(_, _, held)| *held == fingerprint);
        for (store, slot, _) in &slots {
            session.output.data(&format!("{name}  {slot}  {store}"));
        }
        found.extend(objects(&name, &slots));
    }
    session.output.json(&result::object(
        "fingerprint",
        Exit::Done,
        json!({ "fingerprint": fingerprint, "slots": found }),
    ));
    Ok(Exit::Done)
}

type Held = (String, &'static str, Fingerprint);

/// Every slot of a target's stores that holds something.
fn slots(session: &Session, name: &str) -> anyhow::Result<Vec<Held>> {
    let journal = find::journal(session)?;
    let target = find::target(session, &journal, name, &Default::default())?;
    let mut held = Vec::new();
    for store in readable(&find::stores(&journal, &target, &Default::default())?) {
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
