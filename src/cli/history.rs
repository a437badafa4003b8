//! `whsec history`: closed rotations, for the record.

use jiff::{SignedDuration, Timestamp};

use super::exit::Exit;
use super::select::Selection;
use super::session::Session;
use super::{parse_duration, result};
use crate::operation::find;
use crate::operation::report;
use crate::operation::status::Adopted;
use crate::provider::plain_text;
use crate::rotation::{Rotation, Status};
use crate::time::moment;

/// List closed rotations, oldest first
///
/// Examples:
///   whsec history --since 90d
///   whsec history payments --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Only those that ended within this time
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<std::time::Duration>,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let now = session.now();
    let since = args.since.and_then(|since| SignedDuration::try_from(since).ok());
    let since = since.and_then(|since| now.checked_sub(since).ok()).unwrap_or(Timestamp::MIN);
    let mut closed = find::journal(session.context()?)?.closed_since(since)?;
    args.selection.keep(session, &mut closed)?;
    for rotation in &closed {
        session.output.data(&line(rotation));
    }
    if closed.is_empty() {
        session.output.say("no rotation has been closed");
    }
    let objects: Vec<_> = closed
        .iter()
        .map(|rotation| report::object("history", rotation, now, 0, &|_| String::new(), serde_json::Value::Null))
        .collect();
    session.output.json(&result::object("history", Exit::Done, serde_json::json!({ "rotations": objects })));
    Ok(Exit::Done)
}

fn line(rotation: &Rotation) -> String {
    let (outcome, at, by, reason) = match &rotation.closed {
        Some(closed) => {
            (closed.outcome.name(), moment(closed.at), closed.by.as_str(), closed.reason.as_deref().unwrap_or(""))
        }
        None => ("", String::new(), "", ""),
    };
    let fingerprint = rotation.new_secret().map(ToString::to_string).unwrap_or_default();
    // Why it was begun or adopted, and why it was closed.
    let why = rotation.plan.reason.as_deref().filter(|why| *why != reason);
    let adopted = Adopted::of(rotation).map(|adopted| adopted.words()).unwrap_or_default();
    // One that has come back was handed over before it ended.
    let handed = rotation.handed_over.as_ref().filter(|_| rotation.status(rotation.last_at) != Status::HandedOver);
    let handed = handed.map(|handed| plain_text(&handed.to_string())).unwrap_or_default();
    let reason = [adopted.as_str(), why.unwrap_or(""), &handed, reason]
        .into_iter()
        .filter(|why| !why.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    format!(
        "{at}  {outcome:<9}  {}  {}  {fingerprint}  {by}  {reason}",
        rotation.plan.target,
        rotation.plan.direction_name()
    )
    .trim_end()
    .to_owned()
}
