//! `whsec status`: open rotations and secrets' ages.

use clap_complete::engine::ArgValueCandidates;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::exit::Exit;
use super::session::Session;
use super::signals::Signals;
use super::{complete, find, parse_duration, result};
use crate::delivery::probe::Verdict;
use crate::rotation::{Next, Probed, Rotation, Sighting, Status, Step};
use crate::secret::Fingerprint;
use crate::ui::board::Board;
use crate::ui::time::{moment, span};

/// Show open rotations and how old secrets are
///
/// With --exit-code: 11 while a rotation waits for a person or a clock, 12 when an overlap ended with steps undone or a
/// secret is older than its `max_age`.
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

/// One target as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Row {
    target: String,
    provider: String,
    endpoint: String,
    /// Absent where no rotation is open.
    status: Option<Status>,
    step: Option<&'static str>,
    owner: Option<String>,
    opened_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    /// When the secret that is newest came; absent where whsec has never rotated it.
    rotated_at: Option<Timestamp>,
    max_age_seconds: Option<u64>,
    overdue: bool,
    /// The provider rotated and nobody has the secret: rotate again.
    lost: bool,
    /// How far the provider's clock, on which `expires_at` is, is ahead of ours.
    #[serde(skip)]
    clock_ahead_ms: i64,
    contained: Option<bool>,
    /// When the leak was declared that is not contained yet.
    leaking_since: Option<Timestamp>,
    /// What each receiver was last found to accept.
    receivers: Vec<Asked>,
    /// The deliveries that were seen, by the secret that signed them.
    deliveries: Vec<Arrived>,
}

/// What a receiver was found to accept.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Asked {
    url: String,
    verdict: Verdict,
    probed_at: Timestamp,
}

/// Deliveries that one secret signed.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Arrived {
    fingerprint: Fingerprint,
    is_new: bool,
    count: u64,
    last_signed_at: Option<Timestamp>,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    if args.watch {
        return watch(args, session);
    }
    let rows = rows(args, session)?;
    let now = session.now();
    for row in &rows {
        session.output.data(&line(row, now));
    }
    if rows.is_empty() {
        session
            .output
            .say("no target is configured and no rotation is open; begin with `whsec rehearse` or `whsec target add`");
    }
    let exit = exit(&rows, args);
    session.output.json(&result::object("status", exit, serde_json::json!({ "status": "done", "targets": rows })));
    Ok(exit)
}

fn watch(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let signals = Signals::arm()?;
    let mut board = Board::new(&session.output);
    let mut shown: Vec<Row> = Vec::new();
    while !signals.arrived() {
        let rows = rows(args, session)?;
        let now = session.now();
        if board.redraws() {
            board.draw(&rows.iter().map(|row| line(row, now)).collect::<Vec<_>>());
        } else {
            for row in rows.iter().filter(|row| !shown.contains(row)) {
                session.output.data(&line(row, now));
                session.output.json(row);
            }
        }
        shown = rows;
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(if args.exit_code { exit(&shown, args) } else { signals.exit() })
}

fn exit(rows: &[Row], args: &Args) -> Exit {
    match () {
        () if !args.exit_code => Exit::Done,
        () if rows.iter().any(|row| row.overdue) => Exit::Overdue,
        () if rows.iter().any(|row| row.status.is_some()) => Exit::Open,
        () => Exit::Done,
    }
}

/// Every configured target, then every open rotation of another.
fn rows(args: &Args, session: &Session) -> anyhow::Result<Vec<Row>> {
    let now = session.now();
    let journal = find::journal(session)?;
    let mut open = journal.open_rotations()?;
    let mut rows = Vec::new();
    let names = if args.targets.is_empty() {
        session.config()?.names().map(str::to_owned).collect()
    } else {
        args.targets.clone()
    };
    for name in names {
        let target = find::target(session, &journal, &name, &Default::default())?;
        let key = target.endpoint.key();
        let history = journal.of_endpoint(&key)?;
        open.retain(|rotation| rotation.plan.endpoint_key != key);
        let max_age = args.max_age.or(target.max_age);
        let mut row = Row {
            target: target.name.clone(),
            provider: target.endpoint.provider.name().to_owned(),
            endpoint: target.endpoint.own_id().to_owned(),
            owner: target.owner.clone(),
            rotated_at: history
                .iter()
                .filter(|rotation| rotation.done.contains_key(&Step::Promote))
                .filter_map(|rotation| rotation.done.get(&Step::Issue))
                .map(|issued| issued.at)
                .max(),
            max_age_seconds: max_age.map(|age| age.as_secs()),
            ..Row::default()
        };
        row.overdue = row.age(now).zip(max_age).is_some_and(|(age, most)| age.as_secs() > clamp(most.as_secs()));
        row.lost = history.first().is_some_and(Rotation::lost_its_secret);
        row.overdue |= row.lost;
        if let Some(rotation) = history.iter().find(|rotation| rotation.closed.is_none()) {
            row.take(rotation, now);
        }
        rows.push(row);
    }
    if args.targets.is_empty() {
        rows.extend(open.iter().map(|rotation| {
            let plan = &rotation.plan;
            let mut row = Row {
                target: plan.target.clone(),
                provider: plan.provider.clone(),
                endpoint: plan.own_id().to_owned(),
                owner: plan.owner.clone(),
                ..Row::default()
            };
            row.take(rotation, now);
            row
        }));
    }
    Ok(rows)
}

impl Row {
    fn take(&mut self, rotation: &Rotation, now: Timestamp) {
        self.status = Some(rotation.status(now));
        self.step = rotation.step().map(crate::rotation::Step::name);
        self.opened_at = Some(rotation.opened_at);
        self.expires_at = rotation.expires_at();
        self.clock_ahead_ms = rotation.clock_ahead_ms;
        self.contained = rotation.contained();
        self.leaking_since = rotation.leaking_since();
        let asked = |(at, found): &(Timestamp, Probed)| Asked {
            url: found.url.clone(),
            verdict: found.verdict,
            probed_at: *at,
        };
        self.receivers = rotation.probed.values().map(asked).collect();
        let new = rotation.answered().map(|answered| &answered.fingerprint);
        let arrived = |(fingerprint, seen): (&Fingerprint, &Sighting)| Arrived {
            fingerprint: fingerprint.clone(),
            is_new: new == Some(fingerprint),
            count: seen.deliveries,
            last_signed_at: seen.signed_at,
        };
        self.deliveries = rotation.seen.iter().map(arrived).collect();
        let ended = rotation.expires_at().is_some_and(|end| rotation.provider_time(now) >= end);
        self.overdue |= ended && !matches!(rotation.next(now), Next::Finished);
    }

    fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.rotated_at.map(|at| now.duration_since(at))
    }
}

fn line(row: &Row, now: Timestamp) -> String {
    let mut parts = vec![format!("{:<20}", row.target)];
    match (row.status, row.step) {
        (Some(status), step) => {
            let next = if status == Status::Unknown { "find out what came of the call" } else { step.unwrap_or("-") };
            parts.push(format!("{:<9} next: {next:<8}", status.name()));
        }
        (None, _) => parts.push("closed".to_owned()),
    }
    if let Some(end) = row.expires_at.filter(|_| row.status.is_some()) {
        let left = end.duration_since(now) - SignedDuration::from_millis(row.clock_ahead_ms);
        parts.push(if left.is_positive() {
            format!("old secret ends in {}, at {}", span(left), moment(end))
        } else {
            format!("old secret ended {} ago", span(-left))
        });
    }
    match row.age(now) {
        Some(age) if row.status.is_none() => parts.push(format!("secret is {} old", span(age))),
        None if row.status.is_none() => parts.push("age unknown: never rotated with whsec".to_owned()),
        _ => {}
    }
    if let Some(since) = row.leaking_since {
        parts.push(format!("contained: no, {} since the leak was declared", span(now.duration_since(since))));
    }
    if let Some(owner) = &row.owner {
        parts.push(owner.clone());
    }
    if row.lost {
        parts.push("SECRET LOST: rotate again".to_owned());
    } else if row.overdue {
        parts.push("OVERDUE".to_owned());
    }
    parts.join("  ")
}

fn clamp(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
