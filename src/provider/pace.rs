//! How calls to a provider are paced where many targets are worked on at once: so many are under way, none goes out before the time
//! that a provider has named which was asked too much, and afterwards no more than it took.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::duration_text;
use super::spec::RateSpec;
use crate::http::{Connections, Options};

/// Calls that are under way at once at most, where a provider's description says nothing else.
const MOST: u16 = 4;
/// How often somebody who waits looks for a signal.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The longest pause after an answer that names no time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Most that is added to a pause, so that several machines do not come back in the same moment.
const JITTER: Duration = Duration::from_millis(250);
/// After so many calls in a row that were taken, the next ones come a little faster.
const IN_A_ROW: u32 = 16;
/// What the time between two calls becomes then, and after one too many.
const FASTER: f64 = 0.97;
const SLOWER: f64 = 1.1;
/// Of fewer calls that were taken before a refusal nothing can be told: others may have used up what there was.
const FEW: u32 = 4;
/// A guess is halved after so many in a row: the time before the last of them was as guessed.
const IN_A_ROW_OF_GUESSES: u32 = 2;
/// So little between two calls is nothing.
const NEXT_TO_NOTHING: Duration = Duration::from_millis(2);

/// A timeout, and a further certificate authority.
type SetUp = (Duration, Option<Vec<u8>>);

/// The paces of all providers that a run calls, each by its origin; and the set-ups for their connections, which cost more than a call.
pub struct Paces {
    connections: Mutex<BTreeMap<SetUp, Arc<Connections>>>,
    patience: Duration,
    stops: Box<dyn Fn() -> bool + Send + Sync>,
    origins: Mutex<BTreeMap<String, Arc<Pace>>>,
}

/// What came of pacing a provider's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub calls: u64,
    /// Calls that were refused because there were too many.
    pub limited: u64,
    /// How long calls have waited, all together.
    pub waited: Duration,
}

/// The pace of one provider.
pub struct Pace {
    patience: Duration,
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    under_way: usize,
    /// Nothing goes out before.
    not_before: Instant,
    /// The time between two calls, and when the next one may go out by that.
    every: Duration,
    /// Whether that is a guess, which is halved as long as calls are taken.
    is_guess: bool,
    next: Instant,
    /// Since when calls are counted that were taken, and how many: from the first one on.
    since: Option<Instant>,
    taken: u32,
    in_a_row: u32,
    /// Refusals without a time, one after the other.
    refused: u32,
    figures: Figures,
}

impl Paces {
    /// Whoever waits gives up after `patience`, or once `stops` says so.
    pub fn new(patience: Duration, stops: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { connections: Mutex::default(), patience, stops: Box::new(stops), origins: Mutex::default() }
    }

    /// The set-up for calls with these options.
    pub fn connections(&self, options: &Options) -> Result<Arc<Connections>, &'static str> {
        let mut made = held(&self.connections);
        let key = (options.timeout, options.ca.clone());
        if let Some(made) = made.get(&key) {
            return Ok(Arc::clone(made));
        }
        let new = Arc::new(Connections::new(options)?);
        made.insert(key, Arc::clone(&new));
        Ok(new)
    }

    /// The pace of a provider.
    pub fn of(&self, origin: &str, rate: Option<RateSpec>) -> Arc<Pace> {
        let mut origins = held(&self.origins);
        let new = || Arc::new(Pace::new(self.patience, rate.unwrap_or_default()));
        Arc::clone(origins.entry(origin.to_owned()).or_insert_with(new))
    }

    /// What came of it, by origin.
    pub fn figures(&self) -> BTreeMap<String, Figures> {
        held(&self.origins).iter().map(|(origin, pace)| (origin.clone(), held(&pace.state).figures)).collect()
    }

    /// The origins that let nothing through at this moment, and for how long.
    pub fn paused(&self) -> Vec<(String, Duration)> {
        let now = Instant::now();
        let left = |pace: &Arc<Pace>| held(&pace.state).not_before.saturating_duration_since(now);
        let all = held(&self.origins);
        all.iter().map(|(origin, pace)| (origin.clone(), left(pace))).filter(|(_, left)| !left.is_zero()).collect()
    }

    /// Waits for a turn at this pace, and yields how long it took. Fails, in words, where that takes too long.
    pub fn enter(&self, pace: &Pace) -> Result<Duration, String> {
        pace.enter(&self.stops)
    }
}

impl Pace {
    fn new(patience: Duration, rate: RateSpec) -> Self {
        let now = Instant::now();
        let state = State {
            under_way: 0,
            not_before: now,
            every: rate.per_second.map_or(Duration::ZERO, |calls| Duration::from_secs_f64(1.0 / calls)),
            is_guess: false,
            next: now,
            since: None,
            taken: 0,
            in_a_row: 0,
            refused: 0,
            figures: Figures::default(),
        };
        let most = usize::from(rate.at_once.unwrap_or(MOST));
        Self { patience, most, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn enter(&self, stops: &dyn Fn() -> bool) -> Result<Duration, String> {
        let begun = Instant::now();
        let mut state = held(&self.state);
        loop {
            let now = Instant::now();
            let at = state.not_before.max(state.next);
            if state.under_way < self.most && now >= at {
                state.under_way += 1;
                state.since.get_or_insert(now);
                state.next = now + state.every;
                state.figures.calls += 1;
                state.figures.waited += now - begun;
                return Ok(now - begun);
            }
            if stops() {
                return Err("it was stopped while it waited for its turn".to_owned());
            }
            if now - begun >= self.patience {
                return Err(format!(
                    "it takes no more calls now, and {} are over in which one could go out",
                    duration_text(self.patience)
                ));
            }
            let wait = at.saturating_duration_since(now).clamp(Duration::from_millis(1), LOOK_EVERY);
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A call is over: it was taken.
    pub fn taken(&self) {
        let mut state = held(&self.state);
        state.under_way = state.under_way.saturating_sub(1);
        (state.refused, state.taken, state.in_a_row) = (0, state.taken + 1, state.in_a_row + 1);
        if state.is_guess && state.in_a_row >= IN_A_ROW_OF_GUESSES {
            (state.in_a_row, state.every) = (0, state.every / 2);
            if state.every < NEXT_TO_NOTHING {
                (state.every, state.is_guess) = (Duration::ZERO, false);
            }
        } else if !state.is_guess && state.in_a_row >= IN_A_ROW {
            state.in_a_row = 0;
            state.every = state.every.mul_f64(FASTER);
        }
        self.changed.notify_all();
    }

    /// A call is over: it was one too many, and the next one goes out no sooner than that.
    pub fn refused(&self, retry_after: Option<Duration>) {
        let now = Instant::now();
        let mut state = held(&self.state);
        state.under_way = state.under_way.saturating_sub(1);
        state.figures.limited += 1;
        let pause = retry_after.unwrap_or_else(|| {
            let pause = Duration::from_secs(1 << state.refused.min(6)).min(LONGEST_PAUSE);
            state.refused += 1;
            pause
        });
        let until = now + pause + JITTER.min(pause / 4).mul_f64(chance());
        // Several that were under way together are one refusal.
        if let Some(since) = state.since.take() {
            (state.every, state.is_guess) = match state.taken {
                // As many as were taken, in the time after which it takes some again; how much of it had passed before is not known.
                taken if state.every.is_zero() => ((pause + (now - since) / 2) / taken.max(1), taken < FEW),
                // Whatever is in the way, it is not how fast these came.
                0 => (state.every, state.is_guess),
                _ if state.is_guess => (state.every * 2, false),
                _ => (state.every.mul_f64(SLOWER), false),
            };
            (state.taken, state.in_a_row) = (0, 0);
        }
        state.not_before = state.not_before.max(until);
        self.changed.notify_all();
    }

    /// Whether it takes fewer calls than there are to make.
    pub fn is_scarce(&self) -> bool {
        !held(&self.state).every.is_zero()
    }

    /// A turn was not made use of.
    pub fn unused(&self) {
        let mut state = held(&self.state);
        state.under_way = state.under_way.saturating_sub(1);
        state.figures.calls = state.figures.calls.saturating_sub(1);
        self.changed.notify_all();
    }
}

fn chance() -> f64 {
    f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Paces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.figures()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(300);

    fn paces(patience: Duration) -> Paces {
        Paces::new(patience, || false)
    }

    #[test]
    fn no_call_goes_out_before_the_time_that_was_named() {
        let paces = paces(Duration::from_secs(9));
        let pace = paces.of("https://p.example", None);
        for _ in 0..3 {
            paces.enter(&pace).unwrap();
            pace.taken();
        }
        paces.enter(&pace).unwrap();
        paces.enter(&pace).unwrap();
        assert!(!pace.is_scarce());
        let begun = Instant::now();
        pace.refused(Some(PAUSE));
        // One that was under way with it is the same refusal.
        pace.refused(Some(PAUSE / 3));
        assert!(pace.is_scarce() && !paces.paused().is_empty());
        paces.enter(&pace).unwrap();
        assert!(begun.elapsed() >= PAUSE);
        // And then no more than it took: three in that time.
        paces.enter(&pace).unwrap();
        assert!(begun.elapsed() >= PAUSE + PAUSE / 3, "{:?}", begun.elapsed());
        let figures = paces.figures()["https://p.example"];
        assert_eq!((figures.calls, figures.limited), (7, 2));
        assert!(figures.waited >= PAUSE);
    }

    #[test]
    fn a_refusal_that_says_nothing_of_a_rate_slows_down_little() {
        let paces = paces(Duration::from_secs(9));
        let pace = paces.of("https://p.example", None);
        for _ in 0..3 {
            paces.enter(&pace).unwrap();
            pace.refused(Some(PAUSE));
        }
        assert!(pace.is_scarce());
        for _ in 0..40 {
            paces.enter(&pace).unwrap();
            pace.taken();
        }
        assert!(!pace.is_scarce());
    }

    /// What one call in `PAUSE` is taken of is found out by few that are not.
    #[test]
    fn a_guess_that_was_too_fast_is_taken_back() {
        let paces = paces(Duration::from_secs(60));
        let pace = paces.of("https://p.example", None);
        let (mut free_at, mut refused) = (Instant::now(), 0);
        for _ in 0..20 {
            paces.enter(&pace).unwrap();
            let now = Instant::now();
            if now < free_at {
                refused += 1;
                pace.refused(Some(free_at - now));
            } else {
                free_at = now + PAUSE / 6;
                pace.taken();
            }
        }
        assert!(refused <= 5, "{refused} of 20");
    }

    #[test]
    fn so_many_are_under_way_at_once_and_others_wait() {
        let paces = paces(Duration::from_secs(9));
        let pace = paces.of("https://p.example", Some(RateSpec { at_once: Some(2), per_second: None }));
        paces.enter(&pace).unwrap();
        paces.enter(&pace).unwrap();
        thread::scope(|scope| {
            let third = scope.spawn(|| paces.enter(&pace).unwrap());
            thread::sleep(PAUSE);
            assert!(!third.is_finished());
            pace.unused();
            assert!(third.join().unwrap() >= PAUSE / 2);
        });
        assert_eq!(paces.figures()["https://p.example"].calls, 2, "a turn that was not made use of is no call");
        assert!(paces.of("https://q.example", None).enter(&|| false).is_ok(), "others have a pace of their own");
    }

    #[test]
    fn what_a_description_says_is_kept_from_the_first_call_on() {
        let paces = paces(Duration::from_secs(9));
        let pace = paces.of("https://p.example", Some(RateSpec { at_once: None, per_second: Some(10.0) }));
        let begun = Instant::now();
        for _ in 0..4 {
            paces.enter(&pace).unwrap();
        }
        assert!(begun.elapsed() >= PAUSE);
    }

    #[test]
    fn whoever_waits_too_long_or_is_stopped_gives_up() {
        let paces = paces(Duration::from_secs(1));
        let pace = paces.of("https://p.example", None);
        paces.enter(&pace).unwrap();
        pace.refused(Some(Duration::from_secs(60)));
        let why = paces.enter(&pace).unwrap_err();
        assert!(why.contains("1s are over"), "{why}");
        assert!(pace.enter(&|| true).unwrap_err().contains("stopped"));
    }
}
