//! A plan of many rotations as a file: everything decided, with where each endpoint stood, and the digest that somebody agrees to.
//!
//! It holds no secret, no API key and no idempotency key. Whoever changes a byte of it has another plan.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::fleet::{Share, digest};
use super::{find, inspect};
use crate::advice::Verb;
use crate::config::Target;
use crate::config::policy::Beginning;
use crate::rotation::planned::{Before, Otherwise};
use crate::rotation::{Call, Issuing, Plan, Rotation};
use crate::store::{Store, slots};
use crate::time::moment;

/// The form of the file; a later whsec that needs another one writes another.
const SCHEMA: &str = "whsec.plan/v1";
/// How long somebody may take to agree to it.
const LASTS: SignedDuration = SignedDuration::from_hours(24);
/// Stands in a request's digest for the idempotency key, which is made at the call.
const KEY: &str = "{idempotency_key}";

/// A plan of many rotations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetPlan {
    schema: String,
    /// Of all that follows: `sha256:` and 64 hex digits.
    pub digest: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Who made it: `user@host`.
    pub by: String,
    /// The command that it carries out.
    pub command: String,
    pub reason: Option<String>,
    pub options: Options,
    pub targets: Vec<Entry>,
    /// What is left out, and why.
    pub skipped: Vec<Skipped>,
}

/// How it is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    pub jobs: std::num::NonZeroUsize,
    /// The targets that go first.
    pub canary: Vec<String>,
    pub wave: Option<Share>,
    pub pause_seconds: u64,
    pub max_failures: Option<Share>,
    pub max_wait_seconds: u64,
    /// How long old secrets are to live, where that is the caller's to say.
    pub overlap_seconds: Option<u64>,
    /// Whether it stops at each target as soon as every store has the new secret.
    pub detach: bool,
    /// Whether somebody says that the receivers are ready where an old secret ends with the call.
    pub prepared: bool,
    /// Whether receivers have to prove before the call that they would take a second secret.
    pub probe_first: bool,
}

/// One target of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub target: String,
    pub provider: String,
    /// The endpoint, with its provider and address.
    pub endpoint: String,
    /// Its own id, as `--confirm` wants it.
    pub id: String,
    pub direction: String,
    /// Whether its old secret ends with the call.
    pub ends_old: bool,
    pub stores: Vec<Place>,
    pub receivers: Vec<String>,
    /// The digest of what is sent, or none where a person has the secret made.
    pub request: Option<String>,
    pub wave: usize,
    pub before: Before,
}

/// Where the new secret goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    pub reference: String,
    pub server: Option<String>,
}

/// A target that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    pub target: String,
    pub why: String,
}

impl FleetPlan {
    /// A plan that is made now.
    pub fn new(
        context: &Context,
        command: &str,
        reason: Option<&str>,
        options: Options,
        targets: Vec<Entry>,
        skipped: Vec<Skipped>,
    ) -> Self {
        let created_at = context.now();
        let mut plan = Self {
            schema: SCHEMA.to_owned(),
            digest: String::new(),
            created_at,
            expires_at: created_at.saturating_add(LASTS).unwrap_or(created_at),
            by: context.actor().to_owned(),
            command: command.to_owned(),
            reason: reason.map(str::to_owned),
            options,
            targets,
            skipped,
        };
        plan.digest = plan.own_digest();
        plan
    }

    /// As it is written.
    pub fn text(&self) -> String {
        format!("{}\n", serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// As it was written: refuses one of which a byte is another, one of another whsec, and one that is too old.
    pub fn read(now: Timestamp, bytes: &[u8]) -> Result<Self, Error> {
        let refused = |message: String, hint: &str| Stop::new(Kind::Conflict, message, hint);
        let again = "make another one, with --out";
        let schema = serde_json::from_slice::<Value>(bytes).ok();
        let schema = schema.as_ref().and_then(|plan| plan["schema"].as_str());
        if let Some(other) = schema.filter(|schema| schema.starts_with("whsec.plan/") && *schema != SCHEMA) {
            return Err(refused(format!("the plan is of another whsec ({other}; this one knows {SCHEMA})"), again));
        }
        if schema.is_none() {
            return Err(refused("that is no plan of rotations".to_owned(), "name a file that `--out` has written"));
        }
        let plan = serde_json::from_slice::<Self>(bytes).ok();
        let Some(plan) = plan.filter(|plan| plan.text().as_bytes() == bytes && plan.digest == plan.own_digest()) else {
            return Err(refused(
                "the plan was changed after it was made, so nobody has agreed to what it says now".to_owned(),
                again,
            ));
        };
        if plan.expires_at <= now {
            let (made, until) = (moment(plan.created_at), moment(plan.expires_at));
            return Err(refused(format!("the plan of {made} was good until {until}"), again));
        }
        Ok(plan)
    }

    /// Whether it replaces secrets that have leaked.
    pub fn is_forced(&self) -> bool {
        self.command == Verb::ForceRotate.name()
    }

    /// What rules are asked about it as a whole.
    pub fn beginning(&self) -> Beginning<'_> {
        let forced = self.is_forced();
        let is_instant = !forced && self.ending().next().is_some();
        Beginning { forced, is_instant, reason: self.reason.as_deref(), is_planned: true }
    }

    /// Those whose old secret ends with the call.
    pub fn ending(&self) -> impl Iterator<Item = &Entry> {
        self.targets.iter().filter(|entry| entry.ends_old)
    }

    fn own_digest(&self) -> String {
        let mut content = serde_json::to_value(self).unwrap_or_default();
        if let Some(content) = content.as_object_mut() {
            content.remove("digest");
        }
        digest(&content)
    }
}

impl Entry {
    /// What is decided of a target now.
    pub fn of(plan: &Plan, before: Before, wave: usize) -> Self {
        let place = |store: &crate::rotation::PlannedStore| Place {
            reference: store.reference.clone(),
            server: store.server.clone(),
        };
        Self {
            target: plan.target.clone(),
            provider: plan.provider.clone(),
            endpoint: plan.endpoint_key.clone(),
            id: plan.own_id().to_owned(),
            direction: plan.direction_name().to_owned(),
            ends_old: plan.needs_id(),
            stores: plan.stores.iter().map(place).collect(),
            receivers: plan.receivers.clone(),
            request: request(plan),
            wave,
            before,
        }
    }

    /// Refuses where another thing is decided of the target by now: its config has changed, or its provider's description.
    pub fn refuse_otherwise(&self, now: &Self) -> Result<(), Error> {
        let list = |entry: &Self| entry.stores.iter().map(Place::words).collect::<Vec<_>>().join(", ");
        let facts = |entry: &Self| {
            let (receivers, ends) = (entry.receivers.join(", "), entry.ends_old.to_string());
            [entry.endpoint.clone(), entry.id.clone(), entry.direction.clone(), ends, list(entry), receivers].map(Some)
        };
        let ([endpoint, id, direction, ends, stores, receivers], now_is) = (facts(self), facts(now));
        let [endpoint_now, id_now, direction_now, ends_now, stores_now, receivers_now] = now_is;
        Ok(Otherwise::refuse([
            ("the endpoint", endpoint, endpoint_now),
            ("its id", id, id_now),
            ("the direction", direction, direction_now),
            // What was agreed to, and what rules were asked about.
            ("that its old secret ends", ends, ends_now),
            ("its stores", stores, stores_now),
            ("its receivers", receivers, receivers_now),
            ("the request", self.request.clone(), now.request.clone()),
        ])?)
    }
}

impl Place {
    fn words(&self) -> String {
        match &self.server {
            Some(server) => format!("{} at {server}", self.reference),
            None => self.reference.clone(),
        }
    }
}

/// The digest of what a plan sends, whatever idempotency key it is sent with.
fn request(plan: &Plan) -> Option<String> {
    let Issuing::Call(request) = &plan.issuing else { return None };
    let mut request = request.clone();
    if let Some(key) = &plan.idempotency_key {
        let texts = request.headers.iter_mut().map(|(_, value)| value).chain(&mut request.body);
        texts.for_each(|text| *text = text.replace(key, KEY));
    }
    Some(request.digest())
}

/// Where a target's endpoint stands, and what the journal knows of it, newest first. Nothing is sent but the provider's read call.
pub fn before(
    context: &Context,
    target: &Target,
    stores: &[Box<dyn Store>],
    api_key_file: Option<&std::path::Path>,
) -> Result<(Before, Vec<Rotation>), Error> {
    let known = find::journal(context)?.of_endpoint(&target.endpoint.key())?;
    let (shown, _) = inspect::ask_if_shown(context, target, api_key_file)?;
    let live = slots::live(stores)?.map(|secret| secret.fingerprint());
    Ok((Before::of(&shown, live, &known), known))
}

/// The rotation that is open and has to be gone on with before another one can be begun.
pub fn in_the_way(newest_first: &[Rotation]) -> Option<&Rotation> {
    newest_first.iter().find(|open| open.closed.is_none() && (open.call != Call::NotApplied || open.made.is_some()))
}

#[cfg(test)]
#[path = "fleet_plan_tests.rs"]
mod tests;
