//! `whsec metrics`: where every target stands, as a monitoring system reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::exit::{self, Exit, Fault};
use super::select::Selection;
use super::session::Session;
use super::{result, status};
use crate::delivery::probe::Verdict;
use crate::operation::find;
use crate::operation::status::{Looked, Row};
use crate::rotation::Rotation;
use crate::secret::shown_path;
use crate::system::private;
use families::{ACCEPTS_OLD, ALL, LEAK, MAX_AGE, OPEN, OVERDUE, OVERLAP_END, READABLE, ROTATED, ROTATIONS, WRITTEN};
use text::{Labels, Text};

mod families;
mod text;

/// Write metrics of open rotations and secrets' ages
///
/// `OpenMetrics` text, from the journal and the config alone: nobody is called. With --out a file for the textfile collector, replaced
/// whole; a new one can be read by everybody, because the collector is another user and there is no secret in it. Where the
/// journal cannot be read that is written too, and the exit code is that of the failure.
///
/// Examples:
///   whsec metrics --out /var/lib/node_exporter/whsec.prom
///   whsec metrics --label env=prod
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Write to this file, whose name ends in .prom for the textfile collector
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let (mut text, now) = (Text::default(), session.now());
    let gathered = gather(args, session, &mut text);
    let is_readable = match &gathered {
        Ok(damage) => damage.is_none(),
        // What fails for another reason, such as a name that is none, writes nothing: the file that is there grows old, and an
        // alert says so.
        Err(_) if is_journal_readable(session) => return gathered.map(|_| Exit::Failed),
        Err(_) => false,
    };
    text.add(&READABLE, Labels::new(), i64::from(is_readable));
    text.add(&WRITTEN, Labels::new(), now.as_second());
    let lines = text.lines(&ALL);
    match &args.out {
        Some(path) => write(path, &lines)?,
        None => lines.iter().for_each(|line| session.output.data(line)),
    }
    // What is open is known without a part of the journal, and without the config.
    let error = match gathered {
        Ok(damage) => damage.or_else(|| session.config().err()),
        Err(error) => Some(error),
    };
    let mut fields = serde_json::json!({ "metrics": lines, "out": args.out.as_deref().map(shown_path) });
    let exit = error.map_or(Exit::Done, |error| {
        let fault = session.fault(&error, None);
        fields["error"] = exit::say(&session.output, &fault);
        fault.exit
    });
    session.output.json(&result::object("metrics", exit, fields));
    Ok(exit)
}

/// Adds what is known of the targets; yields what is wrong with a part of the journal that is left out.
fn gather(args: &Args, session: &Session, text: &mut Text) -> anyhow::Result<Option<anyhow::Error>> {
    let names = args.selection.names(session)?;
    let is_narrowed = !args.selection.is_empty();
    if is_narrowed && names.is_empty() {
        return Ok(None);
    }
    let Looked { rows, damage, .. } = status::look(session, &names, None)?;
    for row in &rows {
        add(text, row, &labels(session, &row.target, &row.provider, row.owner.as_deref()));
    }
    let closed = match find::journal(session.context()?)?.closed_since(Timestamp::MIN) {
        Ok(closed) => closed,
        Err(error) => return Ok(Some(damage.unwrap_or(error).into())),
    };
    let shown: BTreeSet<&str> = rows.iter().map(|row| row.target.as_str()).collect();
    for rotation in closed.iter().filter(|rotation| !is_narrowed || shown.contains(rotation.plan.target.as_str())) {
        count(text, session, rotation);
    }
    Ok(damage.map(Into::into))
}

fn is_journal_readable(session: &Session) -> bool {
    let read = |context| find::journal(context).is_ok_and(|journal| journal.open_rotations().is_ok());
    session.context().is_ok_and(read)
}

fn add(text: &mut Text, row: &Row, labels: &Labels) {
    let with = |more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        labels.iter().cloned().chain(more).collect::<Labels>()
    };
    let mut moment = |family, at: Option<Timestamp>| {
        if let Some(at) = at {
            text.add(family, labels.clone(), at.as_second());
        }
    };
    moment(&ROTATED, row.rotated_at);
    moment(&LEAK, row.leaking_since);
    // The end is on the provider's clock, and whoever reads it compares it with ours.
    let ahead = SignedDuration::from_millis(row.clock_ahead_ms);
    moment(&OVERLAP_END, row.expires_at.and_then(|end| end.checked_sub(ahead).ok()));
    if let Some(age) = row.max_age_seconds {
        text.add(&MAX_AGE, labels.clone(), i64::try_from(age).unwrap_or(i64::MAX));
    }
    if let Some(status) = row.status {
        text.add(&OPEN, with(&[("status", status.name()), ("step", row.step.unwrap_or("none"))]), 1);
    }
    text.add(&OVERDUE, labels.clone(), i64::from(row.overdue));
    // By their places: an address may hold a password.
    for (index, asked) in row.receivers.iter().enumerate() {
        if let Some(accepts) = accepts_old(asked.verdict) {
            text.add(&ACCEPTS_OLD, with(&[("receiver_index", &index.to_string())]), i64::from(accepts));
        }
    }
}

/// Whether a receiver takes the old secret, where its verdict shows that.
fn accepts_old(verdict: Verdict) -> Option<bool> {
    match verdict {
        Verdict::AcceptsBoth | Verdict::OldOnly | Verdict::AcceptsAnything => Some(true),
        Verdict::NewOnly | Verdict::RejectsAll => Some(false),
        _ => None,
    }
}

fn count(text: &mut Text, session: &Session, rotation: &Rotation) {
    let Some(closed) = &rotation.closed else { return };
    let plan = &rotation.plan;
    let mut labels = labels(session, &plan.target, &plan.provider, plan.owner.as_deref());
    labels.push(("outcome".to_owned(), closed.outcome.name().to_owned()));
    text.add(&ROTATIONS, labels, 1);
}

/// What a target's series are told apart by. The config's own labels are `label_…`, so that none can be taken for one of ours or
/// of the monitoring system's; its owner counts for what ended as well, else a new owner would begin a counter anew.
fn labels(session: &Session, target: &str, provider: &str, owner: Option<&str>) -> Labels {
    let traits = session.config().ok().and_then(|config| config.traits(target));
    let configured = traits.as_ref().map(|(_, _, labels)| labels);
    let owner = traits.as_ref().map_or(owner, |(_, owner, _)| *owner);
    let mut all = vec![("target".to_owned(), target.to_owned()), ("provider".to_owned(), provider.to_owned())];
    all.extend(owner.map(|owner| ("owner".to_owned(), owner.to_owned())));
    let mut named = BTreeMap::new();
    for (name, value) in configured.into_iter().flatten() {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        let name: String = format!("label_{}", name.chars().map(plain).collect::<String>());
        // `a-b` and `a.b` are two labels that would have one name.
        let free = std::iter::once(name.clone()).chain((2..).map(|at| format!("{name}_{at}")));
        if let Some(free) = free.into_iter().find(|name| !named.contains_key(name)) {
            named.insert(free, (*value).to_owned());
        }
    }
    all.extend(named);
    all
}

/// Replaces the file whole: whoever collects it never sees half of it.
fn write(path: &Path, lines: &[String]) -> anyhow::Result<()> {
    let mut bytes = lines.join("\n").into_bytes();
    bytes.push(b'\n');
    let mut is_new = false;
    let written = private::edit(path, |found| {
        is_new = found.is_none();
        Some(Zeroizing::new(bytes.clone()))
    });
    let unwritten = |why: String| {
        let message = format!("the metrics could not be written to {}: {why}", shown_path(path));
        Fault::new(Exit::Failed, message, "name a file in a folder that this user can write to")
    };
    written.map_err(|error| unwritten(error.to_string()))?;
    // Somebody else collects it. A mode that somebody has given it since stays.
    if is_new {
        let readable = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(path, readable).map_err(|error| unwritten(error.to_string()))?;
    }
    Ok(())
}
