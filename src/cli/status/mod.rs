//! `whsec status`: open rotations and secrets' ages.

use super::exit::{self, Exit};
use super::person;
use super::select::{self, Selection};
use super::session::Session;
use super::{parse_duration, result};
use crate::advice::Verb;
use crate::operation::status::{self, Looked, Row, Wanted};
use crate::rotation::Plan;
use crate::ui::board::Board;
pub(super) use lines::line;
use lines::wall;

mod lines;

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
    #[command(flatten)]
    selection: Selection,
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
    let Some(names) = names(args, session)? else { return select::nothing(session, "status", false) };
    let Looked { mut rows, damage, .. } = look(session, &names, args.max_age)?;
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
    let exit = if args.exit_code { exit_of(&rows) } else { Exit::Done };
    session.output.json(&result::object("status", exit, serde_json::json!({ "status": "done", "targets": rows })));
    Ok(exit)
}

/// The targets that are named, and none for all; `None` where what is named is none.
fn names(args: &Args, session: &Session) -> anyhow::Result<Option<Vec<String>>> {
    let names = args.selection.names(session)?;
    Ok(Some(names).filter(|names| !names.is_empty() || args.selection.is_empty()))
}

fn watch(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let Some(mut targets) = names(args, session)? else { return select::nothing(session, "status", false) };
    let signals = session.signals()?;
    let mut board = Board::new(&session.output);
    let Looked { rows: mut shown, mut open, mut damage } = look(session, &targets, args.max_age)?;
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
        // What it is narrowed by may have changed.
        if let Ok(Some(names)) = names(args, session) {
            targets = names;
        }
        match look(session, &targets, args.max_age) {
            Ok(looked) => (shown, open, damage) = (looked.rows, looked.open, looked.damage),
            // A display goes on; what it shows is a moment old.
            Err(error) => session.output.warn(&format!("{error:#}")),
        }
    }
    Ok(if args.exit_code { exit_of(&shown) } else { signals.exit() })
}

/// What `--exit-code` makes of what there is to show.
pub fn exit_of(rows: &[Row]) -> Exit {
    match () {
        () if rows.iter().any(|row| row.overdue || !row.foreign.is_empty()) => Exit::Overdue,
        () if rows.iter().any(|row| row.trouble.is_some()) => Exit::Usage,
        () if rows.iter().any(|row| row.status.is_some()) => Exit::Open,
        () => Exit::Done,
    }
}

/// Where these targets stand, or all.
pub fn look(session: &Session, targets: &[String], max_age: Option<std::time::Duration>) -> anyhow::Result<Looked> {
    let again = |verb: Verb, plan: &Plan| session.again(verb.name(), plan);
    let wanted = Wanted { targets, max_age, again: &again };
    Ok(status::look(session.context()?, wanted)?)
}
