//! What the stand-in knows and how a request changes it: secrets, versions, remembered keys, faults to come.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::fault::{Fault, Tail, Then};
use super::second::own_id;
use super::seen::{in_place_of, key_of, query};
use super::{Ledger, Seen, Shared, StandInOptions, wording};
use crate::provider::signature::{Scheme, Sent, sign};
use crate::provider::spec::{KeyDecoding, Meaning, Method};
use crate::provider::{Overlap, Provider, made, request};
use crate::secret::Secret;
use crate::system::text::hex;

/// What the stand-in knows.
pub(super) struct State {
    pub(super) live: Vec<Live>,
    remembered: Vec<Remembered>,
    pub(super) version: u32,
    pub(super) updated_at: Timestamp,
    pub(super) ledger: Ledger,
    pub(super) faults: VecDeque<Fault>,
}

/// A secret that deliveries are signed with.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) secret: Secret,
    /// The endpoint's own id.
    pub(super) own: String,
    expires_at: Option<Timestamp>,
}

/// An idempotency key with the request that it came with and the answer to it.
struct Remembered {
    key: String,
    request: String,
    at: Timestamp,
    body: String,
}

/// What to do about a request.
pub(super) enum Act {
    Answer(Answer),
    Deliver { url: String, headers: Vec<(String, String)>, body: String, answer: Answer },
    Break(Tail),
}

/// How long the old secret lives where only the answer tells.
const UNTOLD: Duration = Duration::from_secs(3600);

/// An HTTP answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl State {
    pub(super) fn new(provider: &Provider, options: &StandInOptions) -> Self {
        let secret = options.first_secret.clone().unwrap_or_else(|| new_secret(provider));
        Self {
            live: vec![Live { secret, own: own_id(provider, options), expires_at: None }],
            remembered: Vec::new(),
            version: 1,
            updated_at: (options.clock)(),
            ledger: Ledger::default(),
            faults: VecDeque::new(),
        }
    }

    /// The secrets that are alive, newest first.
    pub(super) fn live(&self, now: Timestamp) -> Vec<Secret> {
        let alive = self.live.iter().filter(|live| live.expires_at.is_none_or(|end| end > now));
        alive.map(|live| live.secret.clone()).collect()
    }

    pub(super) fn newest(&self) -> Option<&Live> {
        self.live.first()
    }

    /// When the last of the old secrets ends, while one lives.
    pub(super) fn old_expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.live.iter().filter_map(|live| live.expires_at).filter(|end| *end > now).max()
    }
}

impl Shared {
    /// Whether the next fault closes this rotate call before its body is read; the fault is then used up.
    pub(super) fn closes_unread(&self, seen: &Seen) -> bool {
        let spec = self.provider.spec();
        let rotates = self.rotates(seen, spec.rotate.method);
        let mut state = self.state();
        let closes = rotates && matches!(state.faults.front(), Some(Fault::CloseUnread));
        if closes {
            state.faults.pop_front();
        }
        closes
    }

    /// Decides what to do about a request, and does it.
    pub(super) fn answer(&self, seen: Seen) -> Act {
        self.state().ledger.requests.push(seen.clone());
        let spec = self.provider.spec();
        if !self.is_authentic(&seen) {
            return self.refuse(Meaning::Auth);
        }
        if self.rotates(&seen, spec.rotate.method) && !self.only_looks(&seen) {
            return self.rotate(&seen);
        }
        if self.reaches(&seen, Method::Delete, self.provider.end_path.as_ref()) {
            return self.remove(&seen);
        }
        if self.reaches(&seen, Method::Get, self.provider.list_path.as_ref()) {
            let body = wording::listed(self, &self.state());
            return Act::Answer(self.answer_with(200, body));
        }
        if self.reaches(&seen, Method::Get, self.provider.read_path.as_ref()) {
            let body = wording::read(self, &self.state());
            return Act::Answer(self.answer_with(200, body));
        }
        if let Some(inspect) = &spec.inspect
            && self.reaches(&seen, inspect.method, self.provider.inspect_path.as_ref())
        {
            if let Some(answer) = self.refused_look() {
                return Act::Answer(answer);
            }
            let page = inspect.list.as_ref().and_then(|list| query(&seen.path, &list.page)).unwrap_or(1);
            let body = wording::inspected(self, &self.state(), page);
            return Act::Answer(self.answer_with(200, body));
        }
        if self.reaches(&seen, Method::Get, self.provider.endpoints_path.as_ref()) {
            let body = wording::endpoints(self, &self.state(), &seen.path);
            return Act::Answer(self.answer_with(200, body));
        }
        if let Some(test) = &spec.test_delivery
            && self.reaches(&seen, test.method, self.provider.test_path.as_ref())
        {
            return self.test_delivery();
        }
        self.refuse(Meaning::NotFound)
    }

    fn rotate(&self, seen: &Seen) -> Act {
        let now = (self.options.clock)();
        let idempotency = self.provider.idempotency();
        let key = idempotency.and_then(|idempotency| key_of(&self.provider, idempotency, seen));
        if key.is_none() && idempotency.is_some_and(|idempotency| idempotency.header.is_none()) {
            return self.refuse(Meaning::Invalid);
        }
        let request = format!("{} {}\n{}", seen.method, seen.path, seen.body);
        if let Some(key) = key.as_deref() {
            if request::check_key(&self.provider, key).is_err() {
                return self.refuse(Meaning::Invalid);
            }
            if let Some(act) = self.replay(key, &request, now) {
                return act;
            }
        }
        if self.provider.takes().is_some() && !(self.given(seen).is_some() && self.carries_back(seen)) {
            return self.refuse(Meaning::Invalid);
        }
        if self.provider.replaces()
            && self.carries_over(key.as_deref()).is_none_or(|body| *body != *seen.body.as_bytes())
        {
            return self.refuse(Meaning::Invalid);
        }
        let fault = self.state().faults.pop_front();
        let fault = match fault {
            Some(Fault::Status(status, body)) => return Act::Answer(self.answer_with(status, body)),
            Some(Fault::RawRefusal(head)) => return Act::Break(Tail { head, then: Then::Close }),
            fault => fault,
        };
        let described = self.provider.spec().errors.table.iter().any(|row| row.means == Meaning::OverlapOpen);
        if described && !self.forces(seen) && self.state().old_expires_at(now).is_some() {
            return self.refuse(Meaning::OverlapOpen);
        }
        let body = self.commit(seen, now);
        if let Some(key) = key {
            let remembered = Remembered { key: key.to_owned(), request, at: now, body: body.clone() };
            self.state().remembered.push(remembered);
        }
        self.break_or_answer(fault, body)
    }

    /// Makes the new secret, ends or keeps the old one, and words the answer.
    fn commit(&self, seen: &Seen, now: Timestamp) -> String {
        if let Some(given) = self.given(seen) {
            self.take(given, now);
            return wording::taken(self);
        }
        let (new, version, ends) = self.renew(!self.forces(seen), self.asked_for(seen), now);
        match self.provider.read_path {
            Some(_) => String::new(),
            None => wording::rotated(self, &new, version, ends),
        }
    }

    /// The secret that a request brings, where the provider takes one.
    fn given(&self, seen: &Seen) -> Option<Secret> {
        self.provider.takes()?;
        let template = self.provider.spec().rotate.body.as_ref()?;
        let sent = serde_json::from_str(&seen.body).ok()?;
        in_place_of("{secret}", template, &sent)?.as_str().map(Secret::new)
    }

    /// Whether a request sends back what has to be sent back, as it is shown.
    fn carries_back(&self, seen: &Seen) -> bool {
        let rotate = &self.provider.spec().rotate;
        let sent = serde_json::from_str::<serde_json::Value>(&seen.body).unwrap_or_default();
        let shown = wording::item(self, &self.state());
        rotate.carry.iter().chain(&rotate.may_carry).all(|(name, pointer)| {
            let sent = rotate.body.as_ref().and_then(|body| in_place_of(&format!("{{carry.{name}}}"), body, &sent));
            sent.is_some() && sent == shown.pointer(pointer)
        })
    }

    /// What is given replaces what was there; the same again changes nothing but the time.
    fn take(&self, given: Secret, now: Timestamp) {
        let mut state = self.state();
        state.updated_at = now;
        if state.newest().is_some_and(|live| live.secret == given) {
            return;
        }
        let own = own_id(&self.provider, &self.options);
        state.live = vec![Live { secret: given, own, expires_at: None }];
        state.version += 1;
        state.ledger.rotations += 1;
    }

    /// Somebody rotates without a request that is seen, as on a page; yields what that shows.
    pub(super) fn rotate_by_hand(&self) -> Secret {
        self.renew(true, None, (self.options.clock)()).0.secret
    }

    /// Somebody ends every secret but the newest.
    pub(super) fn end_by_hand(&self) {
        self.state().live.truncate(1);
    }

    /// For how long a request asks to keep the old secret, where that is the caller's to say.
    fn asked_for(&self, seen: &Seen) -> Option<Duration> {
        let template = self.provider.spec().rotate.body.as_ref().filter(|_| self.provider.choice().is_some())?;
        let sent = serde_json::from_str(&seen.body).ok()?;
        in_place_of("{overlap_s}", template, &sent)?.as_u64().map(Duration::from_secs)
    }

    fn renew(&self, keeps_old: bool, asked_for: Option<Duration>, now: Timestamp) -> (Live, u32, Option<Timestamp>) {
        let window = match self.provider.overlap() {
            Overlap::Fixed(window) if keeps_old => Some(asked_for.or(self.options.window).unwrap_or(window)),
            Overlap::Answered if keeps_old => Some(self.options.window.unwrap_or(UNTOLD)),
            _ => None,
        };
        let ends = window.map(|window| now.checked_add(window).unwrap_or(Timestamp::MAX));
        let own = match self.provider.replaces() {
            true => format!("new_{}", Uuid::new_v4().simple()),
            false => own_id(&self.provider, &self.options),
        };
        let new = Live { secret: new_secret(&self.provider), own, expires_at: None };
        let mut state = self.state();
        match ends {
            None if matches!(self.provider.overlap(), Overlap::UntilEnded { .. }) => {}
            Some(ends) => state.live.iter_mut().for_each(|old| old.expires_at = Some(old.expires_at.unwrap_or(ends))),
            None => state.live.clear(),
        }
        state.live.insert(0, new.clone());
        state.version += 1;
        state.updated_at = now;
        state.ledger.rotations += 1;
        (new, state.version, ends)
    }

    /// The answer to a key that is still remembered, if it is.
    fn replay(&self, key: &str, request: &str, now: Timestamp) -> Option<Act> {
        let idempotency = self.provider.idempotency()?;
        let state = self.state();
        let young = |at: Timestamp| at.checked_add(idempotency.window).is_ok_and(|end| now < end);
        let earlier = state.remembered.iter().find(|earlier| earlier.key == key && young(earlier.at))?;
        if earlier.request != request {
            return Some(self.refuse(Meaning::KeyConflict));
        }
        let mut answer = self.done(earlier.body.clone());
        answer.headers.extend(idempotency.replayed.clone().map(|name| (name, "true".to_owned())));
        Some(Act::Answer(answer))
    }

    pub(super) fn break_or_answer(&self, fault: Option<Fault>, body: String) -> Act {
        let tail = |head, then| Act::Break(Tail { head, then });
        match fault {
            Some(Fault::LoseAnswer) => tail(Vec::new(), Then::Close),
            Some(Fault::Stall) => tail(Vec::new(), Then::Hold),
            Some(Fault::Late(after)) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                tail(Vec::new(), Then::Late { answer: (head + &body).into_bytes(), after })
            }
            Some(Fault::Raw(bytes)) => tail(bytes, Then::Close),
            Some(Fault::Drip { head, chunk, every }) => tail(head, Then::Repeat { chunk, every }),
            Some(Fault::HalfBody) => {
                let half = body.get(..body.len() / 2).unwrap_or_default();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{half}",
                    body.len()
                );
                tail(head.into_bytes(), Then::Close)
            }
            Some(Fault::StatusAfter(status, body)) => Act::Answer(self.answer_with(status, body)),
            _ => Act::Answer(self.done(body)),
        }
    }

    /// The answer to a rotate call that was carried out; where another call shows the secret, it has no body.
    fn done(&self, body: String) -> Answer {
        self.answer_with(if body.is_empty() { 204 } else { 200 }, body)
    }

    fn test_delivery(&self) -> Act {
        let now = (self.options.clock)();
        let answer = self.answer_with(200, "{}".to_owned());
        let (Some(url), Some(scheme)) = (&self.options.receiver_url, Scheme::of(&self.provider)) else {
            return Act::Answer(answer);
        };
        let live = self.state().live(now);
        let secrets: Vec<&Secret> = live.iter().collect();
        let body = if scheme.signs_form() { "type=test.ping" } else { "{\"type\":\"test.ping\"}" }.to_owned();
        let id = format!("msg_{}", Uuid::new_v4().simple());
        match sign(&scheme, &secrets, &id, now.as_second(), Sent::to(url, body.as_bytes())) {
            Ok(headers) => Act::Deliver { url: url.clone(), headers, body, answer },
            Err(_) => Act::Answer(answer),
        }
    }

    pub(super) fn refuse(&self, meaning: Meaning) -> Act {
        let (status, body) = wording::refused(self, meaning);
        Act::Answer(self.answer_with(status, body))
    }

    pub(super) fn answer_with(&self, status: u16, body: String) -> Answer {
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        let date = self.date().and_then(|date| printer.timestamp_to_rfc9110_string(&date).ok());
        headers.extend(date.map(|date| ("Date".to_owned(), date)));
        headers.push(("X-Request-Id".to_owned(), format!("req_{}", Uuid::new_v4().simple())));
        Answer { status, headers, body }
    }
}

/// 32 random bytes in the form that the provider's page shows, or that its signatures need.
fn new_secret(provider: &Provider) -> Secret {
    let shown = provider.spec().rotate.secret.as_ref().filter(|_| provider.is_by_hand());
    if let Some(secret) = shown.and_then(|shown| made::secret(shown).ok()) {
        return secret;
    }
    let seed = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    let bytes = Sha256::digest(seed);
    Secret::new(match provider.spec().signature.as_ref().and_then(|signature| signature.key) {
        Some(KeyDecoding::Base64AfterPrefix) => format!("whsec_{}", STANDARD.encode(bytes)),
        Some(KeyDecoding::Base64) => STANDARD.encode(bytes),
        Some(KeyDecoding::Hex) => hex(&bytes),
        Some(KeyDecoding::Raw) | None => format!("whsec_{}", hex(&bytes)),
    })
}
