//! How a command about a rotation came out, as one value: prose, exit code and the JSON object `whsec/v1` are renderings of it.
//! Fields of the object are only ever added.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::{Error, Kind, Stop};
use super::handed;
use super::whereabouts::whereabouts;
use super::workspace::Workspace;
use crate::advice::{Advice, Command, Verb, advice};
use crate::http::shown_address;
use crate::rotation::drift::Drift;
use crate::rotation::{self, Call, Next, Outcome, Rotation, RunError, Step};
use crate::time::moment;

/// How a command about a rotation came out.
pub struct Report<'a> {
    pub rotation: &'a Rotation,
    pub at: Timestamp,
    pub end: End,
}

/// How it ended.
pub enum End {
    /// What was asked for is done.
    Done,
    /// It goes on once a person or the clock is through.
    Open,
    /// A signal asked to stop.
    Stopped,
    Failed(Box<Failure>),
}

/// Why it stopped, and what an operator needs first then.
pub struct Failure {
    pub kind: Kind,
    pub message: String,
    pub advice: Option<Advice>,
    /// What is known of a lost call, a line each.
    pub evidence: Vec<String>,
    /// Whether whoever could be asked about the lost call has seen that.
    pub is_evidence_seen: bool,
    /// What others have put into slots.
    pub foreign: Vec<Drift>,
    /// Until when the overlap is open that is in the way.
    pub until: Option<Timestamp>,
    /// Whether it is not any more as it was planned.
    pub is_stale: bool,
    /// Whether another whsec is at work on the endpoint this moment.
    pub is_busy: bool,
    /// Where the new secret is, and whether the old one still works.
    pub whereabouts: Vec<String>,
}

impl<'a> Report<'a> {
    /// What came of acting on a rotation.
    pub fn of(workspace: &Workspace, rotation: &'a Rotation, at: Timestamp, outcome: Result<End, Error>) -> Self {
        let end = outcome.unwrap_or_else(|error| End::Failed(Box::new(Failure::of(workspace, rotation, at, error))));
        Self { rotation, at, end }
    }

    /// What is true of the rotation that this one was to replace.
    pub fn beside(&self) -> Option<Advice> {
        if self.rotation.left_the_other_open() {
            let goes_on = Verb::Cutover.of(&self.rotation.plan.target).bare();
            return Some(advice!["the rotation that was open before is as it was; it goes on with\n  ", goes_on]);
        }
        let waits = "the rotation that was open before stays open until it is known what came of this one";
        self.rotation.is_pending().then(|| waits.into())
    }

    /// When the old secret ended that receivers may still live on, before this step.
    pub fn ended_before(&self, step: Step) -> Option<Timestamp> {
        let end = self.rotation.expires_at().filter(|end| self.rotation.provider_now(self.at) >= *end)?;
        (step != Step::Drop).then_some(end)
    }

    /// The command that says that a person's step is done.
    pub fn says_done(&self, step: Step) -> Command {
        let plan = &self.rotation.plan;
        let command = Verb::Cutover.of(&plan.target);
        let mut command = match step {
            Step::Issue => command.with("secret", "-"),
            step => command.with("done", step.name()),
        };
        let is_asked = self.rotation.call == Call::NotApplied && self.rotation.made.is_none();
        if is_asked && plan.is_by_hand() && !plan.needs_id() {
            command = command.flag("yes");
        }
        if step == Step::End || (is_asked && plan.needs_id()) {
            command = command.with("confirm", plan.own_id());
        }
        // A bare word does not do where receivers have to be seen to accept what nobody has sent yet.
        match step == Step::Verify && self.rotation.is_unsent() {
            true => command.open("reason", "TEXT"),
            false => command,
        }
    }
}

impl Failure {
    fn of(workspace: &Workspace, rotation: &Rotation, at: Timestamp, error: Error) -> Self {
        let error = match (error, &workspace.key_origin) {
            (Error::Run(error), Some(key)) => Error::of_key(error, key),
            (error, _) => error,
        };
        let run = error.run().map(|(error, _)| error);
        let evidence = match run {
            Some(
                RunError::Lost { comparison: Some(comparison), .. } | RunError::AgainstEvidence { comparison, .. },
            ) => comparison.words(),
            _ => Vec::new(),
        };
        let foreign = match run {
            Some(RunError::Drift { drifts, .. }) => drifts.clone(),
            _ => Vec::new(),
        };
        // What was true of one that others have closed since is not what an operator needs now.
        let whereabouts = match run {
            Some(RunError::GivenUp { .. }) => Vec::new(),
            _ => whereabouts(rotation, &workspace.seals, at),
        };
        Self {
            kind: error.kind(),
            message: error.words(),
            advice: error.advice(),
            evidence,
            is_stale: error.is_stale(),
            is_busy: error.is_busy(),
            is_evidence_seen: matches!(run, Some(RunError::Lost { .. })),
            foreign,
            until: match run {
                Some(RunError::OverlapOpen { until, .. }) => Some(*until),
                _ => None,
            },
            whereabouts,
        }
    }
}

/// The end of what goes on with a rotation, where the newest one is closed. Only one that is done is as it was wanted.
pub fn closed(rotation: &Rotation, now: Timestamp) -> Result<End, Error> {
    let name = &rotation.plan.target;
    let Some(closed) = rotation.closed.as_ref().filter(|closed| closed.outcome != Outcome::Done) else {
        return Ok(End::Done);
    };
    let (at, by) = (moment(closed.at), &closed.by);
    let why = closed.reason.as_deref().unwrap_or("no reason given");
    let with_reason = |verb: Verb| verb.of(name).open("reason", "TEXT").bare();
    if let Some(error) = handed::not_here(rotation) {
        return Err(error);
    }
    let (kind, message, advice) = match closed.outcome {
        Outcome::Superseded if rotation.is_superseded() => (
            Kind::Conflict,
            format!("no rotation of `{name}` is open: the last one was superseded at {at}: {why}"),
            advice![
                "put their secret into the live slot and say so: ",
                with_reason(Verb::Abandon),
                "; or, ",
                rotation::again(rotation.overlap_until(now), Verb::Rotate.of(name).bare()),
            ],
        ),
        Outcome::Failed => (
            Kind::NotFound,
            format!("no rotation of `{name}` is open: the last one failed at {at}: {why}"),
            match rotation.failed_to_contain() {
                true => advice![
                    "the leak is not contained: ",
                    with_reason(Verb::ForceRotate),
                    "; if there is none, say so: ",
                    with_reason(Verb::Abandon),
                ],
                false => advice!["begin another: ", Verb::Rotate.of(name).bare()],
            },
        ),
        outcome => (
            Kind::NotFound,
            match outcome {
                Outcome::Superseded => format!(
                    "no rotation of `{name}` is open: the last one was superseded at {at}, which is dealt with: {why}"
                ),
                _ => {
                    let status = rotation.status(now).name();
                    format!("no rotation of `{name}` is open: {by} closed the last one at {at} ({status}): {why}")
                }
            },
            advice!["what is live, and where: ", Verb::Inspect.of(name).bare()],
        ),
    };
    Err(Stop::new(kind, message, advice))
}

/// Everything of a rotation that may be shown, as one object; `write` writes the command that goes on with it.
pub fn object(
    command: &str,
    rotation: &Rotation,
    now: Timestamp,
    exit: u8,
    write: &dyn Fn(&Command) -> String,
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
        "new_endpoint": rotation.second(),
        "rotation": rotation.id,
        "replaces": plan.replaces,
        "direction": plan.direction_name(),
        "owner": plan.owner,
        "reason": plan.reason,
        "opened_at": rotation.opened_at,
        "adopted": rotation.adopted.is_some(),
        "adopted_by": rotation.adopted.as_ref().map(|proof| &proof.by),
        "adopted_because": rotation.adopted.as_ref().and_then(|proof| proof.reason()),
        "handed_over": rotation.handed_over,
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
        "next": next(rotation, now, write),
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
            json!({
                "step": step, "state": "done", "at": proof.at, "by": proof.by, "how": proof.how.name(), "reason": proof.reason(),
            })
        }
        None => json!({ "step": step, "state": "open" }),
    }
}

fn next(rotation: &Rotation, now: Timestamp, write: &dyn Fn(&Command) -> String) -> Value {
    let step = match rotation.next(now) {
        Next::Finished => return Value::Null,
        Next::Reconcile => Step::Issue,
        Next::Run(step) | Next::Ask(step) => step,
        Next::Wait(_) => Step::Wait,
    };
    let goes_on = Verb::Cutover.of(&rotation.plan.target);
    // Off a terminal nobody can be asked for the yes that this takes.
    let goes_on = if rotation.taken_back().is_some() { goes_on.flag("yes") } else { goes_on };
    json!({ "step": step, "command": write(&goes_on) })
}
