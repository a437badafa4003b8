//! `whsec status`: open rotations and secrets' ages.

use std::collections::{BTreeMap, BTreeSet};

use clap_complete::engine::ArgValueCandidates;

use super::exit::{self, Exit};

use super::person;
use super::session::Session;
use super::{complete, parse_duration, result};
use crate::config::Target;
use crate::operation::{changes, find, moved};
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::{Rotation, Step, at_hand, is_unanswered, leaking, newest_sent, overtaken};
use crate::ui::board::Board;
use lines::{line, wall};
use row::{Row, ahead_ms};

mod lines;
mod row;

/// Show open rotations and how old secrets are
///
/// With --exit-code: 11 while a rotation waits for a person or a clock, 12 when an overlap ended with steps undone, a secret is
/// older than its `max_age`, or a file of an open rotation holds what somebody else put there. A secret whose age is not known
/// here counts as older. 12 too as soon as deliveries may be failing: the call ended the old secret, and a receiver refuses the
/// new one, or ten minutes have shown none that takes it; and until something is done about a rotation by somebody else. The files
/// of a target that is named are looked into as well: 12 where a slot is filled by a rotation that this machine does not know.
///
/// Examples:
///   whsec status
///   whsec status --watch
///   whsec status --exit-code --max-age 90d --quiet
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Only these targets
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    targets: Vec<String>,
    /// Redraw until interrupted; off a terminal, write a line for each change
    #[arg(long)]
    watch: bool,
    /// Exit 11 or 12 when something is open or overdue
    #[arg(long)]
    exit_code: bool,
    /// Count secrets older than this as overdue, whatever the config says
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_age: Option<std::time::Duration>,
}

/// How often `--watch` looks at the journal.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    if args.watch {
        return watch(args, session);
    }
    let Looked { mut rows, damage, .. } = look(args, session)?;
    let now = session.now();
    rows.sort_by_key(|row| row.failing_since.is_none());
    for row in rows.iter().filter(|_| !session.global.quiet) {
        session.output.data(&line(row, now));
    }
    // What is open is known without the one and the other.
    if let Some(error) = damage.map(anyhow::Error::from).or_else(|| session.config().err()) {
        let fault = exit::report(&error);
        let error = exit::say(&session.output, &fault);
        let fields = serde_json::json!({ "status": "failed", "targets": rows, "error": error });
        session.output.json(&result::object("status", fault.exit, fields));
        return Ok(fault.exit);
    }
    if rows.is_empty() {
        session
            .output
            .say("no target is configured and no rotation is open; begin with `whsec rehearse` or `whsec target add`");
    }
    let exit = exit_of(&rows, args);
    session.output.json(&result::object("status", exit, serde_json::json!({ "status": "done", "targets": rows })));
    Ok(exit)
}

fn watch(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let signals = session.signals()?;
    let mut board = Board::new(&session.output);
    let Looked { rows: mut shown, mut open, mut damage } = look(args, session)?;
    let mut told: Vec<Row> = Vec::new();
    while !signals.arrived() {
        let now = session.now();
        if let Some(damage) = damage.take() {
            session.output.warn(&format!("{:#}", anyhow::Error::from(damage)));
        }
        // A notifier that failed once is called again at the next moment.
        let notifier = person::notifier(session, session.context()?);
        open.iter().for_each(|rotation| notifier.look_at_clock(rotation, now));
        if board.redraws() {
            // What needs somebody stands at the top.
            shown.sort_by_key(|row| (row.failing_since.is_none(), !row.overdue, row.status.is_none()));
            let mut lines: Vec<String> = shown.iter().flat_map(|row| wall(row, now)).collect();
            lines.push(format!("{}   Ctrl-C ends", crate::time::moment(now)));
            board.draw(&lines);
        } else {
            for row in shown.iter().filter(|row| !told.contains(row)) {
                session.output.data(&line(row, now));
                session.output.json(row);
            }
            told.clone_from(&shown);
        }
        std::thread::sleep(LOOK_EVERY);
        match look(args, session) {
            Ok(looked) => (shown, open, damage) = (looked.rows, looked.open, looked.damage),
            // A display goes on; what it shows is a moment old.
            Err(error) => session.output.warn(&format!("{error:#}")),
        }
    }
    Ok(if args.exit_code { exit_of(&shown, args) } else { signals.exit() })
}

fn exit_of(rows: &[Row], args: &Args) -> Exit {
    match () {
        () if !args.exit_code => Exit::Done,
        () if rows.iter().any(|row| row.overdue || !row.foreign.is_empty()) => Exit::Overdue,
        () if rows.iter().any(|row| row.trouble.is_some()) => Exit::Usage,
        () if rows.iter().any(|row| row.status.is_some()) => Exit::Open,
        () => Exit::Done,
    }
}

/// What there is to show.
struct Looked {
    rows: Vec<Row>,
    /// All open rotations.
    open: Vec<Rotation>,
    /// What is wrong with a part of the journal that no open rotation is in.
    damage: Option<JournalError>,
}

/// Every configured target, then every other endpoint that the journal knows.
fn look(args: &Args, session: &Session) -> anyhow::Result<Looked> {
    let journal = find::journal(session.context()?)?;
    let names = if args.targets.is_empty() {
        session.config().map(|config| config.names().map(str::to_owned).collect()).unwrap_or_default()
    } else {
        args.targets.clone()
    };
    let (mut rows, mut shown, mut targets) = (Vec::new(), BTreeSet::new(), Vec::new());
    let open = journal.open_rotations()?;
    let mut damage = None;
    for name in &names {
        let trouble = session.trouble(name).map(|error| exit::report(&error).message);
        let target = match find::target(session.context()?, &journal, name, &Default::default()) {
            Ok(target) => target,
            // What is wrong with one target hides no other.
            Err(_) if trouble.is_some() => {
                rows.push(Row { target: name.clone(), trouble, ..Row::default() });
                continue;
            }
            Err(error) => return Err(error.into()),
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
        let mut row = filled(row, &history, args.max_age.or(target.max_age), session);
        compare(&mut row, session, &target, &history);
        // Of targets that are named, because a look into the files of all would take its time. What was begun at another address
        // is known, and shown by itself.
        let is_known = open.iter().any(|known| moved::is_of(known, &target));
        if !args.targets.is_empty() && row.status.is_none() && !is_known {
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
        args.targets.is_empty() || (newest.closed.is_none() && is_named())
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
            stores: plan.stores.iter().map(|store| store.reference.clone()).collect(),
            ..Row::default()
        };
        rows.push(filled(row, &history, args.max_age, session));
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
) -> anyhow::Result<Vec<(Rotation, Vec<Rotation>)>> {
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
fn filled(mut row: Row, history: &[Rotation], max_age: Option<std::time::Duration>, session: &Session) -> Row {
    let now = session.now();
    let live = history.iter().filter(|rotation| rotation.done.contains_key(&Step::Promote));
    row.rotated_at = live.filter_map(|rotation| rotation.done.get(&Step::Issue)).map(|issued| issued.at).max();
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
    if let Some(rotation) = newest.filter(|_| row.lost || row.abandoned) {
        row.again = Some(session.again("rotate", &rotation.plan));
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
            row.again = Some(format!("{} --reason TEXT", session.again("force-rotate", &rotation.plan)));
        }
    }
    row
}

/// Adds to a row what the config says otherwise than its rotation.
fn compare(row: &mut Row, session: &Session, target: &Target, history: &[Rotation]) {
    let hand = at_hand(history).and_then(|at| history.get(at)).filter(|rotation| rotation.closed.is_none());
    if let Some(rotation) = hand {
        let changed = session.context().map(|context| changes::since(context, target, &rotation.plan));
        row.changes = changed.unwrap_or_default().iter().map(|change| change.words(&target.name)).collect();
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
