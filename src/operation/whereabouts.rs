//! Where the new secret is, and whether the old one still works, as it is told.

use jiff::Timestamp;

use crate::rotation::seal::Seals;
use crate::rotation::{Call, ExpirySource, Rotation, Step};
use crate::time::moment;

/// Where the new secret is, and whether the old one still works: what an operator needs first when something failed.
pub fn whereabouts(rotation: &Rotation, seals: &Seals, now: Timestamp) -> Vec<String> {
    let Some(new) = rotation.new_secret() else { return unknown(rotation, seals) };
    let (mut places, mut lacking) = (Vec::new(), Vec::new());
    for store in &rotation.plan.stores {
        let has = |step| rotation.stores_done.contains(&(step, store.reference.clone()));
        if has(Step::Promote) {
            places.push(format!("made live in {}", store.reference));
        } else if has(Step::Stage) {
            places.push(format!("put into the next slot of {}", store.reference));
        } else {
            lacking.push(store.reference.as_str());
        }
    }
    if seals.exists(rotation.id) {
        places.push(format!("sealed in {}", seals.path(rotation.id).display()));
    }
    let mut places = if places.is_empty() { "nowhere that whsec knows of".to_owned() } else { places.join(", ") };
    if !lacking.is_empty() {
        places.push_str(&format!("; not yet in {}", lacking.join(", ")));
    }
    let source = rotation.answered().map(|answered| answered.expires_source);
    let old = match (source, rotation.expires_at()) {
        (None, _) if rotation.is_unsent() && rotation.doubt.is_some() => {
            "the provider does not have it yet, and whose secret it has is in doubt".to_owned()
        }
        (None, _) if rotation.is_unsent() => "the provider does not have it yet, and the old secret works".to_owned(),
        (None, _) => "which of the two the provider has is not known".to_owned(),
        (Some(ExpirySource::Call), _) => "the old secret no longer works".to_owned(),
        (_, Some(end)) if rotation.provider_now(now) >= end => format!("the old secret ended at {}", moment(end)),
        (_, Some(end)) => format!("the old secret works until {}", moment(end)),
        (_, None) if rotation.ending.is_some() => "whether the old secret works still is not known".to_owned(),
        (_, None) if rotation.plan.ending.is_some() => "the old secret works until it is ended".to_owned(),
        (_, None) => "how long the old secret works is not known".to_owned(),
    };
    let mut lines = vec![format!("the new secret {new} was {places}"), old];
    if let Some(second) = rotation.second().filter(|_| !rotation.done.contains_key(&Step::End)) {
        let first = rotation.plan.own_id();
        lines.push(match (&rotation.ending, &rotation.rolled_back) {
            (Some(_), _) => format!("the endpoint `{first}` may be removed already; the new `{second}` delivers"),
            (None, Some(_)) => format!("the endpoint `{first}` delivers; the new `{second}` may be removed already"),
            (None, None) => format!("both endpoints deliver, `{first}` and the new `{second}`"),
        });
    }
    lines
}

/// The same while there is no answer that can be read.
fn unknown(rotation: &Rotation, seals: &Seals) -> Vec<String> {
    if !rotation.may_be_applied() {
        return Vec::new();
    }
    let new = if seals.exists(rotation.id) {
        format!("what the provider answered is sealed in {}", seals.path(rotation.id).display())
    } else if rotation.call == Call::Unread && rotation.closed.is_none() {
        "the provider has rotated, and shows the new secret to whoever asks it".to_owned()
    } else if rotation.applied {
        "the provider has rotated, and nobody has the new secret".to_owned()
    } else {
        "if the provider has rotated, nobody has the new secret yet".to_owned()
    };
    let ended =
        rotation.live_dead_since().map(|since| format!(", which ended at {}", moment(since))).unwrap_or_default();
    vec![new, format!("the live slot of every store holds the old secret{ended}")]
}
