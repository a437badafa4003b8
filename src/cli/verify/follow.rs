//! `whsec verify --follow`: live counts of a log's deliveries by the secret that signed them.

use std::io::BufReader;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Args, Seen, journal, note, role};
use crate::cli::exit::{self, Exit, Fault};
use crate::cli::result;
use crate::cli::session::Session;
use crate::delivery::examine::Examiner;
use crate::delivery::stream::{self, Rest, Why};
use crate::delivery::tally::{Count, Tally};
use crate::operation::known::{self, Knowledge, Known, Role};
use crate::provider::signature::Scheme;
use crate::rotation::journal::{Journal, Version};
use crate::secret::Secret;
use crate::stamp::StampKey;
use crate::time::moment;
use crate::ui::board::Board;

/// How often the counts are drawn, and signals looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often what was seen is journaled, beside the end: a walk in another terminal waits for it, and a log may never end.
const NOTE_EVERY: Duration = Duration::from_secs(30);

/// How often it is looked whether stores and journal are to be read again: somebody may have rotated since.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Where the journal is as it was, stores that are slow to read are read again once the last time was this many times as long ago
/// as it took: a program or a server behind them has other things to do.
const SHARE: u32 = 4;

/// How much of stdin is read at a time.
const BLOCK: usize = 256 << 10;

/// Counts until stdin ends or a signal asks to stop.
pub fn run(args: &Args, session: &Session, knowledge: &mut Knowledge, scheme: &Scheme) -> anyhow::Result<Exit> {
    if let Some(file) = args.file.as_deref().filter(|file| *file != std::path::Path::new("-")) {
        let hint = format!(
            "tail -F {} | whsec verify {} --follow",
            session.quoted(&file.to_string_lossy()),
            session.quoted(&args.target)
        );
        return Err(Fault::new(Exit::Usage, "--follow and --summary read stdin", hint));
    }
    let signals = session.signals()?;
    let is_old = |known: &Known| known.role == Role::Old;
    let tally = Arc::new(Mutex::new(Tally::new(knowledge.secrets.iter().map(is_old).collect())));
    let ended = Arc::new(AtomicBool::new(false));
    let (ask, asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let mut reader = Reader {
        scheme: scheme.clone(),
        secrets: knowledge.secrets.iter().map(|known| known.secret.clone()).collect(),
        stamps: knowledge.journal.stamps().clone(),
        counts: Arc::clone(&tally),
        ask,
        answered,
    };
    let is_over = Arc::clone(&ended);
    // A thread of its own, because reading waits and signals must not. It ends with the process.
    let worker = std::thread::Builder::new().name("deliveries".to_owned()).spawn(move || {
        let counted = reader.run();
        is_over.store(true, Ordering::SeqCst);
        counted
    })?;
    let mut last = Reading { journal: None, at: Instant::now(), took: Duration::ZERO };
    let mut board = (!args.summary).then(|| Board::new(&session.output));
    let mut told = Tally::default();
    let (mut noted, mut noted_at, mut is_evidence) = (Tally::default(), None::<Instant>, false);
    while !ended.load(Ordering::SeqCst) && !signals.arrived() {
        match asked.recv_timeout(LOOK_EVERY) {
            Ok(why) => {
                if last.is_old(why, &knowledge.journal) {
                    let begun = Instant::now();
                    if let Ok(fresh) = known::look_again(session.context()?, &args.target, &args.options.asked()) {
                        knowledge.renew(fresh);
                    }
                    (last.at, last.took) = (Instant::now(), begun.elapsed());
                }
                let mut counts = tally.lock().unwrap_or_else(PoisonError::into_inner);
                counts.know(knowledge.secrets.iter().map(is_old).collect());
                // A reader that is gone needs no answer.
                let _ = answer.send(knowledge.secrets.iter().map(|known| known.secret.clone()).collect());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            // The reader is through, and says so in a moment.
            Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::yield_now(),
        }
        let Some(board) = board.as_mut() else { continue };
        let now = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if board.redraws() {
            board.draw(&lines(knowledge, &now));
        } else {
            changes(session, &knowledge.secrets, &told, &now);
        }
        let seen_now = seen(&knowledge.secrets, &noted, &now);
        // The end tries once more, and says what came of it.
        if now.deliveries.count > noted.deliveries.count
            && noted_at.is_none_or(|at| at.elapsed() >= NOTE_EVERY)
            && let Ok(evident) = journal(session, knowledge, seen_now)
        {
            is_evidence |= evident;
            (noted, noted_at) = (now.clone(), Some(Instant::now()));
        }
        told = now;
    }
    let failed = if ended.load(Ordering::SeqCst) { worker.join().ok().and_then(Result::err) } else { None };
    if let Some(board) = board.as_mut().filter(|board| board.redraws()) {
        board.draw(&[]);
    }
    drop(board);
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    lines(knowledge, &tally).iter().for_each(|line| session.output.data(line));
    if let Some(error) = failed {
        session.output.warn(&format!("stdin could not be read to its end: {error}"));
    }
    let seen_last = seen(&knowledge.secrets, &noted, &tally);
    note(session, knowledge, seen_last, is_evidence);
    let exit = judged(&knowledge.secrets, &tally);
    let mut fields = object(knowledge, &tally);
    if exit == Exit::Gate {
        let message = match tally.deliveries.count {
            0 => "no delivery came".to_owned(),
            all => format!("not all of {all} deliveries were signed with a live secret, in time"),
        };
        let verify = session.come_back("verify", &knowledge.target.name);
        let hint = Some(format!("`{verify} FILE` says why, with one of them in FILE").into());
        let fault = Fault { exit, message, hint };
        fields["error"] = exit::say(&session.output, &fault);
    }
    session.output.json(&result::object("verify", exit, fields));
    Ok(exit)
}

/// When stores and journal were read last, and how long that took.
struct Reading {
    journal: Option<Version>,
    at: Instant,
    took: Duration,
}

impl Reading {
    /// Whether they are to be read again. What whsec does is in the journal; what others do is in the stores alone.
    fn is_old(&mut self, why: Why, journal: &Journal) -> bool {
        let version = journal.version_at_hand();
        let has_moved = std::mem::replace(&mut self.journal, version) != version;
        has_moved || why == Why::Unknown || self.at.elapsed() >= self.took * SHARE
    }
}

/// What reads stdin, and asks for the secrets anew once a second, and where none that it has signed a delivery.
struct Reader {
    scheme: Scheme,
    secrets: Vec<Secret>,
    stamps: StampKey,
    counts: Arc<Mutex<Tally>>,
    ask: mpsc::Sender<Why>,
    answered: mpsc::Receiver<Vec<Secret>>,
}

impl Reader {
    /// Reads to the end.
    fn run(&mut self) -> std::io::Result<()> {
        let mut input = BufReader::with_capacity(BLOCK, std::io::stdin());
        let (mut line, mut asked_at) = (Vec::with_capacity(64 << 10), Instant::now());
        let mut unknown_at = None::<Instant>;
        loop {
            let examiner = Examiner::new(&self.scheme, self.secrets.iter().collect());
            let examiner = examiner.knowing_probes(Some(self.stamps.clone()));
            let mut renews = |why| match why {
                Why::Due => asked_at.elapsed() >= RENEW_EVERY,
                Why::Unknown => unknown_at.is_none_or(|at| at.elapsed() >= RENEW_EVERY),
            };
            let why = match stream::count(&mut input, &mut line, &examiner, &self.counts, &mut renews)? {
                Rest::End => return Ok(()),
                Rest::Renew(why) => why,
            };
            if self.ask.send(why).is_ok()
                && let Ok(secrets) = self.answered.recv()
            {
                self.secrets = secrets;
            }
            asked_at = Instant::now();
            if why == Why::Unknown {
                unknown_at = Some(asked_at);
            }
        }
    }
}

/// The deliveries that each secret has signed since `before`.
fn seen(secrets: &[Known], before: &Tally, now: &Tally) -> Vec<Seen> {
    let seen = |(index, (known, count)): (usize, (&Known, &Count))| Seen {
        secret: known.fingerprint.clone(),
        deliveries: count.count - before.proofs.get(index).map_or(0, |before| before.count),
        signed_at: count.last,
    };
    secrets.iter().zip(&now.proofs).enumerate().map(seen).collect()
}

/// Whether every delivery was signed with a secret that is live or coming.
fn judged(secrets: &[Known], tally: &Tally) -> Exit {
    let dead: u64 =
        secrets.iter().zip(&tally.secrets).filter(|(known, _)| !known.is_live()).map(|(_, count)| count.count).sum();
    let only_dead = if dead > 0 { tally.old_only.count } else { 0 };
    let bad = tally.unmatched() + tally.unreadable + tally.stale.count + only_dead;
    if tally.deliveries.count > 0 && bad == 0 { Exit::Done } else { Exit::Gate }
}

fn lines(knowledge: &Knowledge, tally: &Tally) -> Vec<String> {
    let secrets = &knowledge.secrets;
    let mut lines = vec![row("deliveries", &tally.deliveries, "")];
    for (known, count) in secrets.iter().zip(&tally.secrets) {
        let about = format!("{}{}", known.fingerprint, role(knowledge, known));
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
fn changes(session: &Session, secrets: &[Known], told: &Tally, now: &Tally) {
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

fn object(knowledge: &Knowledge, tally: &Tally) -> Value {
    let secrets = &knowledge.secrets;
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
        "target": knowledge.target.name, "deliveries": count(&tally.deliveries), "slots": slots,
        "old_only": count(&tally.old_only), "unverified": causes, "stale": count(&tally.stale),
        "unreadable": tally.unreadable, "probes": tally.probes,
    })
}
