//! A log's deliveries counted by the secret that signed them, while they come and while stores and journal change.

use std::io::{self, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::inventory::{self, Inventory, KnownSecret, Role};
use super::verify::{Seen, Verify};
use crate::delivery::examine::Examiner;
use crate::delivery::stream::{self, Rest, Why};
use crate::delivery::tally::{Count, Tally};
use crate::provider::signature::Scheme;
use crate::rotation::journal::{Journal, JournalError, Version};
use crate::secret::Secret;
use crate::stamp::StampKey;

/// How often the counts are shown, and it is looked whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often what was seen is journaled, beside the end: a walk in another terminal waits for it, and a log may never end.
const NOTE_EVERY: Duration = Duration::from_secs(30);

/// How often it is looked whether stores and journal are to be read again: somebody may have rotated since.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Where the journal is as it was, stores that are slow to read are read again once the last time was this many times as long ago
/// as it took: a program or a server behind them has other things to do.
const SHARE: u32 = 4;

/// How much of the log is read at a time.
const BLOCK: usize = 256 << 10;

/// What was counted in the end.
pub struct Followed {
    pub tally: Tally,
    /// Why the log could not be read to its end.
    pub failed: Option<io::Error>,
    /// Whether what was journaled is evidence for the step `verify`; or why the last of it was not.
    pub noted: Result<bool, JournalError>,
}

impl Followed {
    /// Whether deliveries came, and each was signed in time with a secret that is live or coming.
    pub fn verified(&self, secrets: &[KnownSecret]) -> bool {
        let tally = &self.tally;
        let counted = secrets.iter().zip(&tally.secrets);
        let dead: u64 = counted.filter(|(known, _)| !known.is_live()).map(|(_, count)| count.count).sum();
        let only_dead = if dead > 0 { tally.old_only.count } else { 0 };
        let bad = tally.unmatched() + tally.unreadable + tally.stale.count + only_dead;
        tally.deliveries.count > 0 && bad == 0
    }
}

/// Counts until the log ends or `stopped` says so. `show` is given the counts as they grow.
pub fn follow(
    context: &Context,
    verify: &mut Verify,
    (name, asked): (&str, &Asked),
    log: impl Read + Send + 'static,
    stopped: &dyn Fn() -> bool,
    show: &mut dyn FnMut(&Inventory, &Tally),
) -> Result<Followed, Error> {
    let tally = Arc::new(Mutex::new(Tally::new(verify.inventory.secrets.iter().map(is_old).collect())));
    let counted = || tally.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = Arc::new(AtomicBool::new(false));
    let (ask, asked_for) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let mut reader = Reader {
        scheme: verify.scheme.clone(),
        secrets: verify.inventory.secrets.iter().map(|known| known.secret.clone()).collect(),
        stamps: verify.inventory.journal.stamps().clone(),
        receivers: verify.inventory.target.receivers.clone(),
        counts: Arc::clone(&tally),
        ask,
        answered,
    };
    let is_over = Arc::clone(&ended);
    // A thread of its own, because reading waits and signals must not. It ends with the process.
    let worker = std::thread::Builder::new().name("deliveries".to_owned()).spawn(move || {
        let counted = reader.run(log);
        is_over.store(true, Ordering::SeqCst);
        counted
    });
    let worker = worker.map_err(|error| {
        Stop::new(Kind::Failed, format!("no thread can be started: {error}"), "see what else runs on this machine")
    })?;
    let mut last = Reading { journal: None, at: Instant::now(), took: Duration::ZERO };
    let (mut noted, mut noted_at, mut is_evidence) = (Tally::default(), None::<Instant>, false);
    while !ended.load(Ordering::SeqCst) && !stopped() {
        match asked_for.recv_timeout(LOOK_EVERY) {
            Ok(why) => {
                let inventory = &mut verify.inventory;
                if last.is_old(why, &inventory.journal) {
                    let begun = Instant::now();
                    if let Ok(fresh) = inventory::look_again(context, name, asked) {
                        inventory.renew(fresh);
                    }
                    (last.at, last.took) = (Instant::now(), begun.elapsed());
                }
                counted().know(inventory.secrets.iter().map(is_old).collect());
                // A reader that is gone needs no answer.
                let _ = answer.send(inventory.secrets.iter().map(|known| known.secret.clone()).collect());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            // The reader is through, and says so in a moment.
            Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::yield_now(),
        }
        let now = counted().clone();
        show(&verify.inventory, &now);
        // The end tries once more, and says what came of it.
        if now.deliveries.count > noted.deliveries.count
            && noted_at.is_none_or(|at| at.elapsed() >= NOTE_EVERY)
            && let Ok(evident) = verify.record(context, seen(&verify.inventory.secrets, &noted, &now))
        {
            is_evidence |= evident;
            (noted, noted_at) = (now, Some(Instant::now()));
        }
    }
    let failed = if ended.load(Ordering::SeqCst) { worker.join().ok().and_then(Result::err) } else { None };
    let tally = counted().clone();
    let seen_last = seen(&verify.inventory.secrets, &noted, &tally);
    let noted = verify.record(context, seen_last).map(|evident| evident || is_evidence);
    Ok(Followed { tally, failed, noted })
}

fn is_old(known: &KnownSecret) -> bool {
    known.role == Role::Old
}

/// The deliveries that each secret has signed since `before`.
fn seen(secrets: &[KnownSecret], before: &Tally, now: &Tally) -> Vec<Seen> {
    let seen = |(index, (known, count)): (usize, (&KnownSecret, &Count))| Seen {
        secret: known.fingerprint.clone(),
        deliveries: count.count - before.proofs.get(index).map_or(0, |before| before.count),
        signed_at: count.last,
    };
    secrets.iter().zip(&now.proofs).enumerate().map(seen).collect()
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

/// What reads the log, and asks for the secrets anew once a second, and where none that it has signed a delivery.
struct Reader {
    scheme: Scheme,
    secrets: Vec<Secret>,
    stamps: StampKey,
    counts: Arc<Mutex<Tally>>,
    ask: mpsc::Sender<Why>,
    answered: mpsc::Receiver<Vec<Secret>>,
    receivers: Vec<String>,
}

impl Reader {
    /// Reads to the end.
    fn run(&mut self, log: impl Read) -> io::Result<()> {
        let mut input = BufReader::with_capacity(BLOCK, log);
        let (mut line, mut asked_at) = (Vec::with_capacity(64 << 10), Instant::now());
        let mut unknown_at = None::<Instant>;
        loop {
            let examiner = Examiner::new(&self.scheme, self.secrets.iter().collect());
            let examiner = examiner.knowing_probes(Some(self.stamps.clone())).at(&self.receivers);
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
