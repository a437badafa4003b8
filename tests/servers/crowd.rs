//! Many endpoints at once, as Layers (an overlap, keys are remembered) and as Verifa (the call ends the old secret, none are): one
//! ledger, a limit of calls, and what may go wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::http::{Answer, Request, Server};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    None,
    /// Nothing is done, and this is answered.
    Refused(u16),
    /// It is done, and nothing is answered.
    Unanswered,
    /// It is done, and answered this much later.
    Late(Duration),
}

type Whim = Box<dyn FnMut(&str, &str) -> Mishap + Send>;

/// An endpoint as the provider has it.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub secret: String,
    pub rotations: usize,
    /// The answers to the keys that were sent.
    keys: BTreeMap<String, String>,
    updated_at: usize,
}

#[derive(Default)]
struct State {
    endpoints: BTreeMap<String, Kept>,
    made: usize,
    delay: Duration,
    whim: Option<Whim>,
    /// So many calls a second are taken, and none for so long after one too many.
    limit: Option<(usize, Duration)>,
    recent: Vec<Instant>,
    closed_until: Option<Instant>,
    calls: usize,
    /// The same before they are answered.
    begun: usize,
    /// Calls that came although they had been told to wait.
    impatient: usize,
}

/// The provider; it serves until it is dropped.
pub struct Crowd {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

impl Crowd {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| serve(&shared, request));
        Self { server, state }
    }

    fn held(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }

    /// The endpoint as it is; it is there from the first time that it is asked for.
    pub fn kept(&self, id: &str) -> Kept {
        self.held().endpoint(id).clone()
    }

    /// Somebody changes something of it that is no secret.
    pub fn touch(&self, id: &str) {
        self.held().endpoint(id).updated_at += 1;
    }

    pub fn answers_after(&self, delay: Duration) {
        self.held().delay = delay;
    }

    /// Decides what becomes of each request, by what it does (`inspect`, `rotate`) and the endpoint's id.
    pub fn with_whim(&self, whim: impl FnMut(&str, &str) -> Mishap + Send + 'static) {
        self.held().whim = Some(Box::new(whim));
    }

    pub fn without_whim(&self) {
        self.held().whim = None;
    }

    pub fn takes(&self, calls: usize, retry_after: Duration) {
        self.held().limit = Some((calls, retry_after));
    }

    pub fn calls(&self) -> usize {
        self.held().calls
    }

    pub fn begun(&self) -> usize {
        self.held().begun
    }

    pub fn impatient(&self) -> usize {
        self.held().impatient
    }
}

impl State {
    fn endpoint(&mut self, id: &str) -> &mut Kept {
        if !self.endpoints.contains_key(id) {
            self.made += 1;
            let kept = Kept { secret: secret(self.made), ..Kept::default() };
            self.endpoints.insert(id.to_owned(), kept);
        }
        self.endpoints.get_mut(id).unwrap()
    }

    /// Whether there are too many calls, and how long to wait then.
    fn is_too_much(&mut self) -> Option<Duration> {
        let (most, wait) = self.limit?;
        let now = Instant::now();
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            // Those that were under way when the first was refused could not know.
            if self.closed_until.is_some_and(|until| now + wait > until + Duration::from_millis(150)) {
                self.impatient += 1;
            }
            return Some(until - now);
        }
        self.recent.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        if self.recent.len() >= most {
            self.closed_until = Some(now + wait);
            return Some(wait);
        }
        self.recent.push(now);
        None
    }
}

fn secret(number: usize) -> String {
    format!("whsec_crowd_{number:06}_5f1d0c9ab2e84d77")
}

fn held(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &Mutex<State>, request: &Request) -> Answer {
    let delay = {
        let mut state = held(state);
        state.begun += 1;
        state.delay
    };
    std::thread::sleep(delay);
    let mut state = held(state);
    state.calls += 1;
    if let Some(wait) = state.is_too_much() {
        let seconds = wait.as_millis().div_ceil(1000);
        let headers = vec![("Retry-After".to_owned(), seconds.to_string())];
        return Answer::Full { status: 429, headers, body: b"{}".to_vec() };
    }
    let parts: Vec<&str> = request.target.trim_matches('/').split('/').collect();
    let is_verifa = parts.first() == Some(&"api");
    let rotates = parts.last() == Some(&"rotate-secret");
    let id = parts.iter().rev().nth(usize::from(rotates)).copied().unwrap_or_default().to_owned();
    let what = if rotates { "rotate" } else { "inspect" };
    let mishap = state.whim.as_mut().map_or(Mishap::None, |whim| whim(what, &id));
    if let Mishap::Refused(status) = mishap {
        return Answer::Json(status, "{}".to_owned());
    }
    let body = if rotates { rotate(&mut state, &id, is_verifa, request) } else { shown(&mut state, &id, is_verifa) };
    match mishap {
        Mishap::Unanswered => Answer::Silence,
        Mishap::Late(delay) => {
            drop(state);
            std::thread::sleep(delay);
            Answer::Json(200, body)
        }
        _ => Answer::Json(200, body),
    }
}

fn rotate(state: &mut State, id: &str, is_verifa: bool, request: &Request) -> String {
    let key = request.headers.get("idempotency-key").filter(|_| !is_verifa).cloned();
    if let Some(known) = key.as_ref().and_then(|key| state.endpoint(id).keys.get(key).cloned()) {
        return known;
    }
    state.made += 1;
    let secret = secret(state.made);
    let kept = state.endpoint(id);
    kept.secret.clone_from(&secret);
    kept.rotations += 1;
    kept.updated_at += 1;
    let body = match is_verifa {
        true => format!(r#"{{"id":"{id}","secret":"{secret}"}}"#),
        false => {
            let end = jiff::Timestamp::now() + Duration::from_secs(86_400);
            format!(r#"{{"endpointId":"{id}","signingSecret":"{secret}","previousSecretExpiresAt":"{end}"}}"#)
        }
    };
    key.into_iter().for_each(|key| drop(kept.keys.insert(key, body.clone())));
    body
}

fn shown(state: &mut State, id: &str, is_verifa: bool) -> String {
    let at = jiff::Timestamp::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + state.endpoint(id).updated_at as u64);
    match is_verifa {
        true => format!(r#"{{"id":"{id}","url":"https://r.example/{id}","enabled":true,"updated_at":"{at}"}}"#),
        false => {
            format!(r#"{{"endpointId":"{id}","url":"https://r.example/{id}","status":"active","updatedAt":"{at}"}}"#)
        }
    }
}
