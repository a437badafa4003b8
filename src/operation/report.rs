//! The JSON object that ends every command about a rotation (`whsec/v1`). Fields are only ever added.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::http::shown_address;
use crate::rotation::{Next, Rotation, Step};

/// Everything of a rotation that may be shown, as one object. `next_command` goes on with it.
pub fn rotation(
    command: &str,
    rotation: &Rotation,
    now: Timestamp,
    exit: u8,
    next_command: &str,
    error: Value,
) -> Value {
    let plan = &rotation.plan;
    let answered = rotation.answered();
    json!({
        "schema": "whsec/v1",
        "command": command,
        "status": rotation.status(now),
        "exit": exit,
        "target": plan.target,
        "provider": plan.provider,
        "endpoint": plan.own_id(),
        "rotation": rotation.id,
        "replaces": plan.replaces,
        "direction": plan.direction.name(),
        "owner": plan.owner,
        "reason": plan.reason,
        "opened_at": rotation.opened_at,
        "closed_at": rotation.closed.as_ref().map(|closed| closed.at),
        "closed_because": rotation.closed.as_ref().and_then(|closed| closed.reason.clone()),
        "secret": rotation.new_secret().map(|fingerprint| json!({
            "fingerprint": fingerprint,
            "version": answered.and_then(|answered| answered.version.as_ref()),
            "provider_fingerprint": answered.and_then(|answered| answered.provider_fingerprint.as_ref()),
        })),
        "previous": {
            "fingerprint": rotation.before.current,
            "expires_at": rotation.expires_at(),
            "expires_source": answered.map(|answered| answered.expires_source),
        },
        "stores": plan.stores.iter().map(|store| {
            let (slot, state) = slot_state(rotation, &store.reference);
            json!({ "store": store.reference, "slot": slot, "state": state })
        }).collect::<Vec<_>>(),
        "steps": plan.steps.iter().map(|step| step_state(rotation, *step)).collect::<Vec<_>>(),
        "contained": rotation.contained(),
        "leaking_since": rotation.leaking_since(),
        "receivers": rotation.probed.values().map(|(at, found)| json!({
            "url": shown_address(&found.url), "verdict": found.verdict, "accepts_new": found.accepts_new,
            "rejects_old": found.rejects_old, "probed_at": at,
        })).collect::<Vec<_>>(),
        "deliveries": rotation.seen.iter().map(|(secret, seen)| json!({
            "fingerprint": secret, "count": seen.deliveries, "last_signed_at": seen.signed_at, "seen_at": seen.at,
        })).collect::<Vec<_>>(),
        "next": next(rotation, now, next_command),
        "error": error,
    })
}

fn slot_state(rotation: &Rotation, store: &str) -> (Option<&'static str>, &'static str) {
    let done = |step| rotation.stores_done.contains(&(step, store.to_owned()));
    if done(Step::Promote) {
        (Some("current"), "stored")
    } else if done(Step::Stage) {
        (Some("next"), "stored")
    } else {
        (None, "pending")
    }
}

fn step_state(rotation: &Rotation, step: Step) -> Value {
    match rotation.done.get(&step) {
        Some(proof) => {
            let how = serde_json::to_value(&proof.how).unwrap_or(Value::Null);
            json!({ "step": step, "state": "done", "at": proof.at, "by": proof.by, "how": how["how"], "reason": how["reason"] })
        }
        None => json!({ "step": step, "state": "open" }),
    }
}

fn next(rotation: &Rotation, now: Timestamp, command: &str) -> Value {
    let step = match rotation.next(now) {
        Next::Finished => return Value::Null,
        Next::Reconcile => Step::Issue,
        Next::Run(step) | Next::Ask(step) => step,
        Next::Wait(_) => Step::Wait,
    };
    // Off a terminal nobody can be asked for the yes that this takes.
    let yes = if rotation.taken_back().is_some() { " --yes" } else { "" };
    json!({ "step": step, "command": format!("{command}{yes}") })
}
