//! Many endpoints of one provider behind one address, which takes so many calls a second and no more.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::state::Act;
use super::{Seen, Shared, StandIn};
use crate::provider::request::encode_segment;
use crate::provider::spec::Meaning;
use crate::secret::Secret;

/// In which calls are counted, and after which a refused one may come again.
const WINDOW: Duration = Duration::from_secs(1);

/// What answers behind an address.
pub(super) struct Served {
    first: Arc<Shared>,
    others: Vec<Arc<Shared>>,
    most: Option<usize>,
    crowd: Mutex<Crowd>,
}

/// What has come to all of them.
#[derive(Default)]
struct Crowd {
    /// When calls came that were taken, of late.
    taken: VecDeque<Instant>,
    limited: u64,
    /// Endpoints, by their place, that are not there for now.
    gone: BTreeSet<usize>,
    /// After so many new secrets no call is taken.
    pauses_at: Option<u32>,
}

impl Served {
    pub(super) fn new(first: Arc<Shared>, others: Vec<Arc<Shared>>, most: Option<usize>) -> Self {
        Self { first, others, most, crowd: Mutex::default() }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Shared>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint that a request is about, and its place; the first where it is about none.
    pub(super) fn of(&self, seen: &Seen) -> (usize, &Arc<Shared>) {
        let names = |shared: &Shared| {
            let own = shared.options.ids.last().map(|(_, id)| id.as_str()).unwrap_or_default();
            seen.path.contains(&encode_segment(own)) || seen.body.contains(own)
        };
        let found = self.all().enumerate().skip(1).find(|(_, shared)| names(shared));
        found.unwrap_or((0, &self.first))
    }

    /// Why a request is refused whatever it asks for.
    pub(super) fn turns_away(&self, (at, shared): (usize, &Shared)) -> Option<Act> {
        let now = Instant::now();
        let mut crowd = self.crowd();
        if crowd.gone.contains(&at) {
            return Some(shared.refuse(Meaning::NotFound));
        }
        while crowd.taken.front().is_some_and(|taken| now.duration_since(*taken) >= WINDOW) {
            crowd.taken.pop_front();
        }
        let rotated = || self.all().map(|shared| shared.state().ledger.rotations).sum::<u32>();
        let pauses = crowd.pauses_at.is_some_and(|most| rotated() >= most);
        if pauses || self.most.is_some_and(|most| crowd.taken.len() >= most) {
            crowd.limited += 1;
            let mut refused = shared.refuse(Meaning::RateLimited);
            if let Act::Answer(answer) = &mut refused {
                answer.headers.push(("Retry-After".to_owned(), WINDOW.as_secs().to_string()));
            }
            return Some(refused);
        }
        crowd.taken.push_back(now);
        None
    }
}

impl StandIn {
    /// Of each endpoint how many new secrets were made, and the newest.
    pub fn made(&self) -> Vec<(u32, Option<Secret>)> {
        let made = |shared: &Arc<Shared>| {
            let state = shared.state();
            (state.ledger.rotations, state.newest().map(|live| live.secret.clone()))
        };
        self.served.all().map(made).collect()
    }

    /// Calls that were one too many.
    pub fn limited(&self) -> u64 {
        self.served.crowd().limited
    }

    /// After so many new secrets no call is taken, until that is taken back.
    pub fn pauses_at(&self, most: Option<u32>) {
        self.served.crowd().pauses_at = most;
    }

    /// From now on these endpoints, by their place, are not there, and all others are.
    pub fn are_gone(&self, places: impl IntoIterator<Item = usize>) {
        self.served.crowd().gone = places.into_iter().collect();
    }
}
