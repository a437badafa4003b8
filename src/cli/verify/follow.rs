//! `whsec verify --follow`: live counts of a log's deliveries by the secret that signed them.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Args, note, role};
use crate::cli::exit::{self, Exit, Fault};
use crate::cli::result;
use crate::cli::session::Session;
use crate::delivery::tally::{Count, Tally};
use crate::operation::follow;
use crate::operation::inventory::{Inventory, KnownSecret, Role};
use crate::operation::verify::Verify;
use crate::time::moment;
use crate::ui::board::Board;

/// Counts until stdin ends or a signal asks to stop.
pub fn run(args: &Args, session: &Session, verify: &mut Verify) -> anyhow::Result<Exit> {
    let signals = session.signals()?;
    let mut board = (!args.summary).then(|| Board::new(&session.output));
    let mut told = Tally::default();
    let mut show = |inventory: &Inventory, now: &Tally| {
        let Some(board) = board.as_mut() else { return };
        if board.redraws() {
            board.draw(&lines(inventory, now));
        } else {
            changes(session, &inventory.secrets, &told, now);
        }
        told = now.clone();
    };
    let (asked, stopped) = (args.options.asked(), || signals.arrived());
    let (named, log) = ((args.target.as_str(), &asked), std::io::stdin());
    let followed = follow::follow(session.context()?, verify, named, log, &stopped, &mut show)?;
    if let Some(board) = board.as_mut().filter(|board| board.redraws()) {
        board.draw(&[]);
    }
    drop(board);
    let inventory = &verify.inventory;
    lines(inventory, &followed.tally).iter().for_each(|line| session.output.data(line));
    if let Some(error) = &followed.failed {
        session.output.warn(&format!("stdin could not be read to its end: {error}"));
    }
    let verified = followed.verified(&inventory.secrets);
    note(session, &inventory.target.name, followed.noted);
    let exit = if verified { Exit::Done } else { Exit::Gate };
    let mut fields = object(inventory, &followed.tally);
    if exit == Exit::Gate {
        let message = match followed.tally.deliveries.count {
            0 => "no delivery came".to_owned(),
            all => format!("not all of {all} deliveries were signed with a live secret, in time"),
        };
        let verify = session.come_back("verify", &inventory.target.name);
        let hint = Some(format!("`{verify} FILE` says why, with one of them in FILE").into());
        let fault = Fault { exit, message, hint };
        fields["error"] = exit::say(&session.output, &fault);
    }
    session.output.json(&result::object("verify", exit, fields));
    Ok(exit)
}

/// Refuses a file beside the log that is counted as it comes.
pub fn refuse_file(args: &Args, session: &Session) -> anyhow::Result<()> {
    let Some(file) = args.file.as_deref().filter(|file| *file != Path::new("-")) else { return Ok(()) };
    let (file, target) = (session.quoted(&file.to_string_lossy()), session.quoted(&args.target));
    let hint = format!("tail -F {file} | whsec verify {target} --follow");
    Err(Fault::new(Exit::Usage, "--follow and --summary read stdin", hint))
}

fn lines(inventory: &Inventory, tally: &Tally) -> Vec<String> {
    let secrets = &inventory.secrets;
    let mut lines = vec![row("deliveries", &tally.deliveries, "")];
    for (known, count) in secrets.iter().zip(&tally.secrets) {
        let about = format!("{}{}", known.fingerprint, role(inventory, known));
        lines.push(row(&known.slots(), count, &about));
    }
    lines.push(row("old only", &tally.old_only, "by the old secret and no other"));
    for (kind, count) in &tally.causes {
        lines.push(row("unverified", count, kind));
    }
    if tally.stale.count > 0 {
        lines.push(row("stale", &tally.stale, "outside the tolerance when it arrived"));
    }
    if tally.probes > 0 {
        lines.push(format!("{:<12}{:>9}  probes of whsec, which count as nothing else", "probes", tally.probes));
    }
    if tally.unreadable > 0 {
        lines.push(format!("{:<12}{:>9}  lines that are no delivery", "unreadable", tally.unreadable));
    }
    lines
}

fn row(name: &str, count: &Count, about: &str) -> String {
    let last = count.last.map_or_else(|| "never".to_owned(), moment);
    format!("{name:<12}{:>9}  {last:<23}  {about}", count.count).trim_end().to_owned()
}

/// Off a terminal: a line for each kind of delivery that has not been seen before.
fn changes(session: &Session, secrets: &[KnownSecret], told: &Tally, now: &Tally) {
    let first = |name: &str, before: u64, after: &Count| {
        if before == 0 && after.count > 0 {
            // Not every log says when a delivery came.
            let at = after.last.map(|at| format!(", {}", moment(at))).unwrap_or_default();
            session.output.say(&format!("first seen: {name}{at}"));
        }
    };
    for (index, (known, count)) in secrets.iter().zip(&now.secrets).enumerate() {
        first(&known.slots(), told.secrets.get(index).map_or(0, |count| count.count), count);
    }
    first("old only", told.old_only.count, &now.old_only);
    for (kind, count) in &now.causes {
        first(&format!("unverified ({kind})"), told.causes.get(kind).map_or(0, |count| count.count), count);
    }
}

fn object(inventory: &Inventory, tally: &Tally) -> Value {
    let secrets = &inventory.secrets;
    let count = |count: &Count| json!({ "count": count.count, "last_at": count.last.map(|at: Timestamp| at) });
    let slots: Vec<Value> = secrets
        .iter()
        .zip(&tally.secrets)
        .map(|(known, counted)| {
            json!({
                "slot": known.places.first().map(|(slot, _)| slot), "fingerprint": known.fingerprint,
                "is_old": known.role == Role::Old, "count": counted.count, "last_at": counted.last,
            })
        })
        .collect();
    let causes: serde_json::Map<String, Value> =
        tally.causes.iter().map(|(kind, counted)| ((*kind).to_owned(), count(counted))).collect();
    json!({
        "target": inventory.target.name, "deliveries": count(&tally.deliveries), "slots": slots,
        "old_only": count(&tally.old_only), "unverified": causes, "stale": count(&tally.stale),
        "unreadable": tally.unreadable, "probes": tally.probes,
    })
}
