//! What became of rotations, for somebody who was not there: by the journal alone, so that the same journal says the same.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::http::shown_address;
use crate::rotation::{How, Outcome, Planned, Proof, Rotation, Step};
use crate::secret::Fingerprint;

/// How much of a plan's digest is shown where people read: as much as of a fingerprint.
const SHOWN: usize = "sha256:".len() + 12;

/// An account of rotations.
#[derive(Debug, Serialize)]
pub struct Account {
    /// Since when, and until when: the first and the last thing that is recorded of them.
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub rotations: Vec<Told>,
    pub timeline: Vec<Happened>,
}

/// What became of one.
#[derive(Debug, Serialize)]
pub struct Told {
    pub target: String,
    pub provider: String,
    pub endpoint: String,
    pub owner: Option<String>,
    pub direction: &'static str,
    pub rotation: String,
    pub reason: Option<String>,
    /// The plan that it was begun by.
    pub plan: Option<ByPlan>,
    pub is_for_a_leak: bool,
    pub old: Option<Fingerprint>,
    pub new: Option<Fingerprint>,
    pub opened_at: Timestamp,
    /// When the provider had carried the call out, and every store had the new secret.
    pub stored: Option<Done>,
    pub deployed: Option<Done>,
    pub verified: Option<Done>,
    /// When the old secret ends, or has ended, at the provider; nothing where that is not known.
    pub old_ends_at: Option<Timestamp>,
    /// When no receiver accepted the old secret any more, as proved or said; of a leak also by a later rotation.
    pub dropped: Option<Done>,
    pub contained: Option<bool>,
    pub exposure: Option<Exposure>,
    pub outcome: Option<Outcome>,
    pub closed_at: Option<Timestamp>,
    pub receivers: Vec<Receiver>,
    /// What nothing here proves.
    pub not_covered: Vec<String>,
}

/// A plan that somebody has agreed to.
#[derive(Debug, Serialize)]
pub struct ByPlan {
    pub digest: String,
    /// Who made it: `user@host`.
    pub by: String,
    /// Who has signed it.
    pub approved_by: Vec<String>,
}

/// A step that is done.
#[derive(Debug, Serialize)]
pub struct Done {
    pub at: Timestamp,
    pub by: String,
    /// `tool`, `clock`, `probe`, `delivery`, or `word`: a person's.
    pub how: &'static str,
    pub reason: Option<String>,
}

/// For how long a leaked secret was accepted.
#[derive(Debug, Serialize)]
pub struct Exposure {
    pub from: Timestamp,
    /// Nothing as long as it is not contained.
    pub until: Option<Timestamp>,
    pub seconds: Option<i64>,
}

/// What a receiver was found to accept last.
#[derive(Debug, Serialize)]
pub struct Receiver {
    pub url: String,
    pub at: Timestamp,
    pub accepts_new: Option<bool>,
    pub refuses_old: Option<bool>,
}

/// Something that happened.
#[derive(Debug, Serialize)]
pub struct Happened {
    pub at: Timestamp,
    pub target: String,
    pub what: String,
    /// `user@host`; nothing where the journal does not say it.
    pub by: Option<String>,
    /// A person's own words.
    pub words: Option<String>,
}

impl Account {
    /// Of these; `leaked_at` is since when what leaked was out, where somebody says that.
    pub fn of(rotations: &[Rotation], leaked_at: Option<Timestamp>) -> Self {
        let mut rotations: Vec<&Rotation> = rotations.iter().collect();
        rotations.sort_by(|one, other| {
            (one.opened_at, &one.plan.target, one.id).cmp(&(other.opened_at, &other.plan.target, other.id))
        });
        let mut timeline: Vec<Happened> = rotations.iter().flat_map(|rotation| happened(rotation)).collect();
        timeline.sort_by(|one, other| (one.at, &one.target).cmp(&(other.at, &other.target)));
        Self {
            from: timeline.first().map(|first| first.at),
            until: rotations.iter().map(|rotation| rotation.last_at).max(),
            rotations: rotations.iter().map(|rotation| told(rotation, &rotations, leaked_at)).collect(),
            timeline,
        }
    }

    /// Since when the first leaked secret was out, and until when the last one was accepted: nothing as long as one still is.
    pub fn exposure(&self) -> Option<Exposure> {
        let all: Vec<&Exposure> = self.rotations.iter().filter_map(|told| told.exposure.as_ref()).collect();
        let from = all.iter().map(|exposure| exposure.from).min()?;
        let until = all.iter().map(|exposure| exposure.until).collect::<Option<Vec<_>>>();
        Some(Exposure::of(from, until.and_then(|ends| ends.into_iter().max())))
    }
}

impl Exposure {
    fn of(from: Timestamp, until: Option<Timestamp>) -> Self {
        let length = until.map(|until| until.duration_since(from).max(SignedDuration::ZERO));
        Self { from, until, seconds: length.map(|length| length.as_secs()) }
    }
}

impl ByPlan {
    fn of(planned: &Planned) -> Self {
        Self { digest: planned.plan.clone(), by: planned.by.clone(), approved_by: planned.approved_by.clone() }
    }

    fn words(&self) -> String {
        let approved = match self.approved_by.as_slice() {
            [] => String::new(),
            people => format!(", signed by {}", people.join(", ")),
        };
        let digest: String = self.digest.chars().take(SHOWN).collect();
        format!("by the plan {digest} of {}{approved}", self.by)
    }
}

impl Done {
    fn of(proof: &Proof) -> Self {
        let reason = proof.reason().map(str::to_owned);
        Self { at: proof.at, by: proof.by.clone(), how: proof.how.name(), reason }
    }
}

/// When a leak was contained, by the rotation that is for it or by a later one: an attempt that failed was made good by that.
fn contained_by<'a>(rotation: &'a Rotation, all: &[&'a Rotation]) -> Option<&'a Proof> {
    let of_this = |other: &&&Rotation| {
        other.plan.endpoint_key == rotation.plan.endpoint_key
            && (other.id == rotation.id || other.opened_at > rotation.opened_at)
            && other.contained() == Some(true)
    };
    all.iter().find(of_this)?.done.get(&Step::Drop)
}

fn told(rotation: &Rotation, all: &[&Rotation], leaked_at: Option<Timestamp>) -> Told {
    let plan = &rotation.plan;
    let done = |step: Step| rotation.done.get(&step).map(Done::of);
    let is_for_a_leak = rotation.is_for_a_leak();
    let contained_by = contained_by(rotation, all).filter(|_| is_for_a_leak);
    let until = contained_by.map(|proof| proof.at);
    let from = leaked_at.unwrap_or_else(|| rotation.leak_since()).min(rotation.leak_since());
    Told {
        target: plan.target.clone(),
        provider: plan.provider.clone(),
        endpoint: plan.own_id().to_owned(),
        owner: plan.owner.clone(),
        direction: plan.direction_name(),
        rotation: rotation.id.to_string(),
        reason: plan.reason.clone(),
        plan: plan.planned.as_ref().map(ByPlan::of),
        is_for_a_leak,
        old: rotation.before.current.clone(),
        new: rotation.new_secret().cloned(),
        opened_at: rotation.opened_at,
        stored: done(Step::Stage),
        deployed: done(Step::Deploy),
        verified: done(Step::Verify),
        old_ends_at: rotation.expires_at(),
        exposure: is_for_a_leak.then(|| Exposure::of(from, until)),
        not_covered: not_covered(rotation),
        dropped: contained_by.map(Done::of).or_else(|| done(Step::Drop)),
        contained: is_for_a_leak.then_some(contained_by.is_some()),
        outcome: rotation.closed.as_ref().map(|closed| closed.outcome),
        closed_at: rotation.closed.as_ref().map(|closed| closed.at),
        receivers: receivers(rotation),
    }
}

fn receivers(rotation: &Rotation) -> Vec<Receiver> {
    let probed = rotation.probed.values().map(|(at, found)| Receiver {
        url: shown_address(&found.url),
        at: *at,
        accepts_new: found.accepts_new,
        refuses_old: found.rejects_old,
    });
    probed.collect()
}

fn not_covered(rotation: &Rotation) -> Vec<String> {
    let plan = &rotation.plan;
    let mut missing = Vec::new();
    if plan.receivers.is_empty() {
        missing.push("no receiver is named, so that none was probed".to_owned());
    }
    for url in plan.receivers.iter().filter(|url| !rotation.probed.contains_key(*url)) {
        missing.push(format!("{} was never probed", shown_address(url)));
    }
    for (step, words) in [(Step::Verify, "accept the new secret"), (Step::Drop, "refuse the old one")] {
        if rotation.done.get(&step).is_some_and(|proof| matches!(proof.how, How::Word { .. })) {
            missing.push(format!("that receivers {words} is somebody's word"));
        }
    }
    missing
}

fn happened(rotation: &Rotation) -> Vec<Happened> {
    let target = &rotation.plan.target;
    let one = |at: Timestamp, what: String, by: Option<&str>, words: Option<&str>| Happened {
        at,
        target: target.clone(),
        what,
        by: by.map(str::to_owned),
        words: words.map(str::to_owned),
    };
    let reason = rotation.plan.reason.as_deref();
    let (begun_by, declared_by) = (rotation.begun_by.as_deref(), rotation.leak_declared_by.as_deref());
    let by_plan = rotation.plan.planned.as_ref().map(|planned| format!(", {}", ByPlan::of(planned).words()));
    let begun = |how: &str| format!("{how}{}", by_plan.as_deref().unwrap_or_default());
    // Where a leak was declared of one that was open, that reason took the place of the first.
    let mut all = match rotation.leak_declared_at {
        Some(at) => vec![
            one(rotation.opened_at, begun("begun"), begun_by, None),
            one(at, "the old secret was said to have leaked".to_owned(), declared_by, reason),
        ],
        None if rotation.plan.forced => vec![one(rotation.opened_at, begun("begun, for a leak"), begun_by, reason)],
        None => vec![one(rotation.opened_at, begun("begun"), begun_by, reason)],
    };
    if let Some((at, why)) = &rotation.new_leaked {
        all.push(one(*at, "the new secret was said to have leaked".to_owned(), declared_by, Some(why)));
    }
    if let Some(adopted) = &rotation.adopted {
        all.push(one(adopted.at, "taken over, its journal being lost".to_owned(), Some(&adopted.by), adopted.reason()));
    }
    for (step, proof) in &rotation.done {
        let what = format!("{} ({})", step.name(), proof.how.name());
        all.push(one(proof.at, what, Some(&proof.by), proof.reason()));
    }
    if let Some(back) = &rotation.rolled_back {
        all.push(one(back.at, "the old secret was put back".to_owned(), Some(&back.by), back.reason.as_deref()));
    }
    if let Some(handed) = &rotation.handed_over {
        all.push(one(handed.at, handed.to_words(), Some(&handed.by), None));
    }
    if let Some(closed) = &rotation.closed {
        let what = format!("closed as {}", closed.outcome.name());
        all.push(one(closed.at, what, Some(&closed.by), closed.reason.as_deref()));
    }
    all
}
