//! Where every target stands: its open rotation, its secret's age, and what others have done beside it, as one value.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::context::Context;
use super::error::Error;
use super::{changes, find, moved};
use crate::advice::Verb;
use crate::config::Target;
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::{Plan, Rotation, Step, at_hand, is_unanswered, leaking, newest_sent, overtaken};
use row::ahead_ms;
pub use row::{Adopted, Arrived, Asked, Row};

mod row;

/// What is asked of the status.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Only these targets, or all.
    pub targets: &'a [String],
    /// The age from which a secret is too old, whatever the config says.
    pub max_age: Option<Duration>,
    /// Writes the command that acts again on the endpoint of a rotation which is over.
    pub again: &'a dyn Fn(Verb, &Plan) -> String,
}

/// What there is to show.
pub struct Looked {
    pub rows: Vec<Row>,
    /// All open rotations.
    pub open: Vec<Rotation>,
    /// What is wrong with a part of the journal that no open rotation is in.
    pub damage: Option<JournalError>,
}

/// Every configured target, then every other endpoint that the journal knows.
pub fn look(context: &Context, wanted: Wanted<'_>) -> Result<Looked, Error> {
    let journal = find::journal(context)?;
    journal.look_at_all()?;
    let names = if wanted.targets.is_empty() {
        context.config().map(|config| config.names().map(str::to_owned).collect()).unwrap_or_default()
    } else {
        wanted.targets.to_vec()
    };
    let (mut rows, mut shown, mut targets) = (Vec::new(), BTreeSet::new(), Vec::new());
    let open = journal.open_rotations()?;
    let mut damage = None;
    for name in &names {
        let trouble = context.trouble(name).map(|error| error.words());
        let target = match find::target(context, &journal, name, &Default::default()) {
            Ok(target) => target,
            // What is wrong with one target hides no other.
            Err(_) if trouble.is_some() => {
                rows.push(Row { target: name.clone(), trouble, ..Row::default() });
                continue;
            }
            Err(error) => return Err(error),
        };
        let key = target.endpoint.key();
        let row = Row {
            target: target.name.clone(),
            provider: target.endpoint.provider.name().to_owned(),
            endpoint: target.endpoint.own_id().to_owned(),
            owner: target.owner.clone(),
            trouble,
            ..Row::default()
        };
        let history = history(&journal, &key, &mut damage)?;
        let mut row = filled(row, &history, wanted.max_age.or(target.max_age), context.now(), wanted.again);
        compare(&mut row, context, &target, &history);
        // Of targets that are named, because a look into the files of all would take its time. What was begun at another address
        // is known, and shown by itself.
        let is_known = open.iter().any(|known| moved::is_of(known, &target));
        if !wanted.targets.is_empty() && row.status.is_none() && !is_known {
            row.elsewhere = row::elsewhere(&target, &journal);
            row.overdue |= row.elsewhere.is_some();
        }
        rows.push(row);
        shown.insert(key);
        targets.push(target);
    }
    // What is open of a target that was named is shown wherever it was begun.
    let is_of_named = |newest: &Rotation| {
        let is_named =
            || names.contains(&newest.plan.target) || targets.iter().any(|named| moved::is_of(newest, named));
        wanted.targets.is_empty() || (newest.closed.is_none() && is_named())
    };
    for (newest, history) in strangers(&journal, &open, &shown, &mut damage)? {
        if !is_of_named(&newest) {
            continue;
        }
        let plan = &newest.plan;
        let row = Row {
            target: plan.target.clone(),
            provider: plan.provider.clone(),
            endpoint: plan.own_id().to_owned(),
            owner: plan.owner.clone(),
            base_url: Some(plan.base_url.clone()),
            is_by_hand: plan.is_by_hand(),
            stores: plan.stores.iter().map(|store| store.reference.clone()).collect(),
            ..Row::default()
        };
        rows.push(filled(row, &history, wanted.max_age, context.now(), wanted.again));
    }
    Ok(Looked { rows, open, damage })
}

/// What an endpoint's row depends on, newest first. Where a rotation that is over is damaged, those that are open are shown all the
/// same.
fn history(
    journal: &Journal,
    endpoint: &str,
    damage: &mut Option<JournalError>,
) -> Result<Vec<Rotation>, JournalError> {
    journal.standing_of(endpoint).or_else(|error| {
        damage.get_or_insert(error);
        journal.open_of(endpoint)
    })
}

/// The newest rotation of each endpoint that is not shown yet, open ones first, with what else its row depends on. One that never
/// sent anything has left nothing.
fn strangers(
    journal: &Journal,
    open: &[Rotation],
    shown: &BTreeSet<String>,
    damage: &mut Option<JournalError>,
) -> Result<Vec<(Rotation, Vec<Rotation>)>, JournalError> {
    let endpoints = journal.endpoints().unwrap_or_else(|error| {
        damage.get_or_insert(error);
        open.iter().map(|rotation| rotation.plan.endpoint_key.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    });
    let mut histories = BTreeMap::new();
    for endpoint in endpoints.into_iter().filter(|endpoint| !shown.contains(endpoint)) {
        let history = history(journal, &endpoint, damage)?;
        histories.insert(endpoint, history);
    }
    let ended = |rotation: &&Rotation| rotation.closed.as_ref().map(|closed| closed.at);
    let sent = |rotation: &&Rotation| rotation.closed.is_some() && rotation.may_be_applied();
    let mut closed: Vec<&Rotation> = histories.values().flatten().filter(sent).collect();
    closed.sort_by_key(ended);
    let newest: Vec<Rotation> = open.iter().chain(closed.into_iter().rev()).cloned().collect();
    let history_of = |newest: Rotation| Some((histories.remove(&newest.plan.endpoint_key)?, newest));
    Ok(newest.into_iter().filter_map(history_of).map(|(history, newest)| (newest, history)).collect())
}

/// A row with what has come of the endpoint's rotations, newest first.
fn filled(
    mut row: Row,
    history: &[Rotation],
    max_age: Option<Duration>,
    now: Timestamp,
    again: &dyn Fn(Verb, &Plan) -> String,
) -> Row {
    let live = history.iter().filter(|rotation| rotation.done.contains_key(&Step::Promote));
    let newest = live.filter_map(|rotation| Some((rotation.done.get(&Step::Issue)?.at, rotation)));
    if let Some((at, rotation)) = newest.max_by_key(|(at, _)| *at) {
        row.adopted = Adopted::of(rotation);
        // Nobody knows when what was adopted came.
        row.rotated_at = Some(at).filter(|_| rotation.adopted.is_none());
    }
    row.max_age_seconds = max_age.map(|age| age.as_secs());
    row.overdue = max_age.is_some_and(|most| row.is_older_than(most, now));
    let newest = newest_sent(history);
    row.lost = newest.is_some_and(Rotation::lost_its_secret);
    row.abandoned = newest.is_some_and(|rotation| rotation.left_a_dead_secret(now) || rotation.gave_up_before_live());
    if let Some(rotation) = newest.filter(|rotation| rotation.gave_up_before_live()) {
        row.expires_at = rotation.expires_at();
        row.clock_ahead_ms = ahead_ms(rotation, now);
    }
    row.superseded = overtaken(history).is_some();
    row.overdue |= row.lost || row.abandoned || row.superseded;
    row.handed_over = newest.and_then(Rotation::is_with).map(|handed| format!("{handed}; whoever has it goes on"));
    if let Some(rotation) = newest.filter(|_| row.lost || row.abandoned) {
        row.again = Some(again(Verb::Rotate, &rotation.plan));
    }
    let hand = at_hand(history).and_then(|at| history.get(at)).filter(|rotation| rotation.closed.is_none());
    if let Some(rotation) = hand {
        row.take(rotation, now);
    }
    if let Some(earlier) = hand.filter(|rotation| rotation.is_pending()).and_then(|pending| pending.plan.replaces)
        && let Some(earlier) = history.iter().find(|rotation| rotation.id == earlier)
    {
        row.take_beside(earlier, now);
    }
    // Whoever rotates again has contained nothing yet.
    if let Some(rotation) = leaking(history) {
        row.contained = Some(false);
        row.leaking_since = Some(rotation.leak_since());
        // One that is under way, and for that, is no reason for haste.
        let is_unanswered = is_unanswered(history);
        row.overdue |= row.status.is_none() || is_unanswered;
        if is_unanswered || row.again.is_some() {
            row.again = Some(format!("{} --reason TEXT", again(Verb::ForceRotate, &rotation.plan)));
        }
    }
    row
}

/// Adds to a row what the config says otherwise than its rotation.
fn compare(row: &mut Row, context: &Context, target: &Target, history: &[Rotation]) {
    let hand = at_hand(history).and_then(|at| history.get(at)).filter(|rotation| rotation.closed.is_none());
    if let Some(rotation) = hand {
        let changed = changes::since(context, target, &rotation.plan);
        row.changes = changed.iter().map(|change| change.words(&target.name)).collect();
        return;
    }
    let behind = changes::without_the_secret(target, newest_sent(history));
    // One that came to its own target since is put right at leisure.
    row.overdue |= behind.as_ref().is_some_and(|(of, _)| *of != target.name);
    row.changes = behind.iter().map(|(of, stores)| without(of, stores)).collect();
}

/// A secret that lives elsewhere is not as old as the rotation that made it.
fn without(of: &str, stores: &[String]) -> String {
    format!("the last rotation was that of `{of}`: its secret is not known to be in {}", stores.join(", "))
}
