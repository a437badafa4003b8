//! `whsec report`: what became of rotations, for a postmortem or an auditor.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::exit::{Exit, Fault};
use super::select::Selection;
use super::session::Session;
use super::{parse_duration, result};
use crate::operation::account::{Account, Done, Exposure, Happened, Receiver, Told};
use crate::operation::find;
use crate::rotation::{Outcome, Rotation};
use crate::system::text::hex;
use crate::time::span;
use page::Block;

mod page;

pub(super) const NAME: &str = "report";

/// What is looked at after a leak beside the secrets themselves.
const CHECKLIST: [&str; 4] = [
    "where the secret was seen it is gone: logs, artifacts, chats, error trackers, the history of the repository, and copies of them",
    "deliveries that receivers accepted within the exposure were looked through for forged ones",
    "what lay beside the secret (API keys, other secrets) was replaced as well",
    "what let it out is mended",
];

/// Tell what became of rotations, from the journal alone
///
/// Who rotated what, when and why, what was proved and what was somebody's word, and of a leak for how long the secret was accepted. The
/// same journal gives the same bytes. Without a selection it is of all rotations; times are UTC.
///
/// Examples:
///   whsec report --reason INC-2931 --leaked-at 2026-11-20T08:00:00Z > postmortem.md
///   whsec report --all --since 90d --format html > q4.html
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Only rotations with this in their reason, as an incident's number
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only those of which anything was recorded within this time
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<std::time::Duration>,
    /// Count the exposure from here on, where what leaked was out before anybody said so: 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME")]
    leaked_at: Option<Timestamp>,
    /// Write it as this
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "md")]
    format: Format,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Markdown
    Md,
    /// One HTML file
    Html,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let rotations = chosen(args, session)?;
    if rotations.is_empty() {
        let hint = "`whsec history` lists what is closed, `whsec status` what is open";
        return Err(Fault::new(Exit::NotFound, "the journal has no such rotation", hint));
    }
    let account = Account::of(&rotations, args.leaked_at);
    if session.output.is_json() {
        let fields = json!({
            "exposure": account.exposure(),
            "from": account.from,
            "until": account.until,
            "rotations": account.rotations,
            "timeline": account.timeline,
        });
        session.output.json(&result::object(NAME, Exit::Done, fields));
        return Ok(Exit::Done);
    }
    let title = match &args.reason {
        Some(reason) => format!("Rotations for {reason}"),
        None => "Rotations of webhook signing secrets".to_owned(),
    };
    let mut blocks = blocks(&title, &account);
    let sum = hex(&Sha256::digest(page::markdown(&blocks).as_bytes()));
    blocks.push(Block::Text(format!("sha256 of this report as Markdown, up to here: {sum}")));
    let text = match args.format {
        Format::Md => page::markdown(&blocks),
        Format::Html => page::html(&title, &blocks),
    };
    text.lines().for_each(|line| session.output.data(line));
    Ok(Exit::Done)
}

/// The rotations that are told of.
fn chosen(args: &Args, session: &Session) -> anyhow::Result<Vec<Rotation>> {
    let journal = find::journal(session.context()?)?;
    let mut all = journal.closed_since(Timestamp::MIN)?;
    all.extend(journal.open_rotations()?);
    args.selection.keep(session, &mut all)?;
    if let Some(wanted) = &args.reason {
        let has = |words: Option<&str>| words.is_some_and(|words| words.contains(wanted.as_str()));
        all.retain(|rotation| {
            has(rotation.plan.reason.as_deref()) || has(rotation.new_leaked.as_ref().map(|(_, why)| why.as_str()))
        });
    }
    if let Some(since) = args.since.and_then(|since| SignedDuration::try_from(since).ok()) {
        let since = session.now().checked_sub(since).unwrap_or(Timestamp::MIN);
        all.retain(|rotation| rotation.last_at >= since);
    }
    Ok(all)
}

fn blocks(title: &str, account: &Account) -> Vec<Block> {
    let told = &account.rotations;
    let mut blocks = vec![Block::Heading(1, title.to_owned()), Block::Heading(2, "Summary".to_owned())];
    let between = |from: Option<Timestamp>| from.map(utc).unwrap_or_default();
    blocks.push(Block::List(summary(account)));
    blocks.push(Block::Text(format!("Recorded between {} and {}.", between(account.from), between(account.until))));
    blocks.push(Block::Heading(2, "Targets".to_owned()));
    let head = [
        "Target",
        "Endpoint",
        "Owner",
        "Begun",
        "In every store",
        "Deployed",
        "Verified",
        "Old secret ends",
        "Dropped",
        "State",
    ];
    blocks.push(Block::Table(head.map(str::to_owned).to_vec(), told.iter().map(row).collect()));
    let leaks: Vec<&Told> = told.iter().filter(|told| told.is_for_a_leak).collect();
    if !leaks.is_empty() {
        blocks.push(Block::Heading(2, "Exposure".to_owned()));
        let head = ["Target", "From", "Until", "Length", "Contained", "Leaked secret", "New secret"];
        blocks.push(Block::Table(head.map(str::to_owned).to_vec(), leaks.iter().map(|told| exposed(told)).collect()));
    }
    let receivers = |told: &Told| told.receivers.iter().map(|one| receiver(told, one)).collect::<Vec<_>>();
    let receivers: Vec<Vec<String>> = told.iter().flat_map(receivers).collect();
    if !receivers.is_empty() {
        blocks.push(Block::Heading(2, "Receivers, as they were found last".to_owned()));
        let head = ["Target", "Receiver", "Asked", "New secret", "Old secret"];
        blocks.push(Block::Table(head.map(str::to_owned).to_vec(), receivers));
    }
    blocks.push(Block::Heading(2, "Timeline".to_owned()));
    let head = ["When", "Target", "What", "Who", "Their words"];
    blocks.push(Block::Table(head.map(str::to_owned).to_vec(), account.timeline.iter().map(event).collect()));
    let missing =
        |told: &Told| told.not_covered.iter().map(|what| format!("{}: {what}", told.target)).collect::<Vec<_>>();
    let missing: Vec<String> = told.iter().flat_map(missing).collect();
    blocks.push(Block::Heading(2, "Not proved".to_owned()));
    blocks.push(match missing.is_empty() {
        true => Block::Text("Every receiver that is named was asked.".to_owned()),
        false => Block::List(missing),
    });
    if !leaks.is_empty() {
        blocks.push(Block::Heading(2, "To be looked at beside".to_owned()));
        blocks.push(Block::List(CHECKLIST.map(str::to_owned).to_vec()));
    }
    blocks
}

fn summary(account: &Account) -> Vec<String> {
    let told = &account.rotations;
    let count = |wanted: fn(&Told) -> bool| told.iter().filter(|told| wanted(told)).count();
    let mut lines = vec![format!(
        "rotations: {}, of which {} are closed and {} open",
        told.len(),
        count(|told| told.closed_at.is_some()),
        count(|told| told.closed_at.is_none())
    )];
    if let Some(exposure) = account.exposure() {
        let contained = count(|told| told.contained == Some(true));
        let proved =
            count(|told| told.contained == Some(true) && told.dropped.as_ref().is_some_and(|done| done.how != "word"));
        let leaks = count(|told| told.is_for_a_leak);
        lines.push(format!(
            "for a leak: {leaks}, of which {contained} are contained ({proved} proved, {} by somebody's word)",
            contained - proved
        ));
        lines.push(format!("exposure of all: {}", length(&exposure)));
    }
    lines
}

fn row(told: &Told) -> Vec<String> {
    let done = |done: &Option<Done>| {
        done.as_ref().map(|done| format!("{} ({}, {})", utc(done.at), done.how, done.by)).unwrap_or_default()
    };
    let state = match (told.contained, &told.closed_at) {
        (Some(false), _) => "not contained".to_owned(),
        (_, None) => "open".to_owned(),
        (_, Some(at)) => {
            format!("{} {}", told.outcome.map_or("closed", Outcome::name), utc(*at))
        }
    };
    vec![
        told.target.clone(),
        format!("{}/{}", told.provider, told.endpoint),
        told.owner.clone().unwrap_or_default(),
        utc(told.opened_at),
        done(&told.stored),
        done(&told.deployed),
        done(&told.verified),
        told.old_ends_at.map(utc).unwrap_or_default(),
        done(&told.dropped),
        state,
    ]
}

fn exposed(told: &Told) -> Vec<String> {
    let fingerprint =
        |secret: &Option<crate::secret::Fingerprint>| secret.as_ref().map(ToString::to_string).unwrap_or_default();
    let (from, until, length) = match &told.exposure {
        Some(exposure) => (utc(exposure.from), exposure.until.map(utc).unwrap_or_default(), length(exposure)),
        None => Default::default(),
    };
    let contained = match (told.contained, &told.dropped) {
        (Some(true), Some(done)) if done.how == "word" => format!("yes, {} says", done.by),
        (Some(true), _) => "yes, proved".to_owned(),
        _ => "no".to_owned(),
    };
    vec![told.target.clone(), from, until, length, contained, fingerprint(&told.old), fingerprint(&told.new)]
}

fn receiver(told: &Told, receiver: &Receiver) -> Vec<String> {
    let words = |known: Option<bool>, yes: &str, no: &str| match known {
        Some(true) => yes.to_owned(),
        Some(false) => no.to_owned(),
        None => "not proved".to_owned(),
    };
    vec![
        told.target.clone(),
        receiver.url.clone(),
        utc(receiver.at),
        words(receiver.accepts_new, "accepted", "refused"),
        words(receiver.refuses_old, "refused", "accepted"),
    ]
}

fn event(happened: &Happened) -> Vec<String> {
    let Happened { at, target, what, by, words } = happened;
    vec![utc(*at), target.clone(), what.clone(), by.clone().unwrap_or_default(), words.clone().unwrap_or_default()]
}

fn length(exposure: &Exposure) -> String {
    match exposure.seconds {
        Some(seconds) => span(SignedDuration::from_secs(seconds)),
        None => format!("not over, since {}", utc(exposure.from)),
    }
}

fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
