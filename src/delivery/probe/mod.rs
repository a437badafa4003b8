//! Asks a receiver what it accepts: a marked, harmless event, signed in the provider's scheme in several ways, right and
//! wrong. No secret is sent, but in a scheme whose deliveries bear the secret itself; no redirect is followed, and what the
//! receiver answers beyond its status is not read.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

mod case;
pub mod mark;
mod verdict;

pub use case::{Case, Secrets};
pub use verdict::{Answer, Report, Tried, Verdict};

use crate::provider::client::Client;
use crate::provider::signature::{FORM, Scheme, Sent};
use crate::provider::{PROBE_MARK, Provider};
use crate::stamp::StampKey;

/// How long a receiver may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long one receiver is asked, all probes together: a third more than one takes that needs a second for each.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The time between two probes of one receiver.
pub const PAUSE: Duration = Duration::from_millis(50);

/// How often the cases are tried that decide what a receiver accepts, each time on a connection of its own: one of several
/// machines behind an address may still have the old secret. Met at random, one of four goes unnoticed once in 32 times.
const TRIES: usize = 12;

/// Sends probes in one provider's scheme.
pub struct Prober {
    pub client: Client,
    pub scheme: Scheme,
    pub event: Event,
    pub cases: Vec<Case>,
    pub pause: Duration,
    /// How long one receiver is asked.
    pub deadline: Duration,
    pub clock: fn() -> Timestamp,
    /// Makes probes known again in a log.
    pub key: Option<StampKey>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Event {
    /// In the form of the provider's events, made anew for each probe.
    Template(Value),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Event {
    /// The event that a provider's description has, or a plain one.
    pub fn of(provider: &Provider) -> Self {
        let plain = || serde_json::json!({ "type": "whsec.probe", "id": "{id}", "created_at": "{time}", "data": {} });
        Self::Template(provider.spec().probe.as_ref().map_or_else(plain, |probe| probe.body.clone()))
    }

    fn body(&self, is_form: bool, id: &str, now: Timestamp) -> Vec<u8> {
        match self {
            Self::Template(template) if is_form => form(&filled(template, id, now)).into_bytes(),
            Self::Template(template) => filled(template, id, now).to_string().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

impl Prober {
    /// A prober for a provider's receivers; `None` where it is not described how the provider signs.
    pub fn new(provider: &Provider, client: Client, clock: fn() -> Timestamp, key: Option<StampKey>) -> Option<Self> {
        let scheme = Scheme::of(provider)?;
        let event = Event::of(provider);
        let cases = Case::ALL.to_vec();
        Some(Self { client, scheme, event, cases, pause: PAUSE, deadline: DEADLINE, clock, key })
    }

    /// Tries every case that the secrets allow at one receiver. Ends early where nobody answers, where its time is over, which
    /// proves nothing then, or where `stopped` says so.
    ///
    /// Probes bear the time of the provider's clock, which is `ahead` of this machine's, as real deliveries do.
    pub fn probe(&self, url: &str, secrets: &Secrets<'_>, ahead: SignedDuration, stopped: &dyn Fn() -> bool) -> Report {
        let send = |case| {
            let now = (self.clock)();
            self.send(url, case, secrets, now.saturating_add(ahead).unwrap_or(now))
        };
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= self.deadline;
        let mut tried = Vec::new();
        for case in self.cases.iter().copied().filter(|case| case.is_possible(&self.scheme, secrets)) {
            let mut answers = Vec::new();
            for _ in 0..if case.decides() { TRIES } else { 1 } {
                if stopped() || is_over() {
                    break;
                }
                if !(tried.is_empty() && answers.is_empty()) {
                    std::thread::sleep(self.pause);
                }
                answers.extend(send(case));
            }
            if is_over() {
                tried.extend((!answers.is_empty()).then_some(Tried { case, answers }));
                return Report::cut_short(url.to_owned(), tried);
            }
            if answers.is_empty() {
                // A secret that cannot be decoded signs nothing; the other cases tell all the same.
                continue;
            }
            let nobody = answers.iter().all(|answer: &Answer| answer.status.is_err());
            tried.push(Tried { case, answers });
            if nobody {
                break;
            }
        }
        // Once more at the end: what refused the others may refuse everything by now.
        if let Some(new) = tried.iter_mut().find(|tried| tried.case == Case::New && !stopped()) {
            new.answers.extend(send(Case::New));
        }
        Report::new(url.to_owned(), tried)
    }

    fn send(&self, url: &str, case: Case, secrets: &Secrets<'_>, now: Timestamp) -> Option<Answer> {
        let id = mark::id(self.key.as_ref());
        let is_form = self.scheme.signs_form();
        let body = self.event.body(is_form, &id, now);
        let kind = if is_form { FORM } else { "application/json" };
        let mut headers = vec![
            ("Content-Type".to_owned(), kind.to_owned()),
            ("User-Agent".to_owned(), format!("whsec/{} (probe)", env!("CARGO_PKG_VERSION"))),
            (PROBE_MARK.to_owned(), "1".to_owned()),
        ];
        headers.extend(case.headers(&self.scheme, secrets, &id, now.as_second(), Sent::to(url, &body))?);
        let begun = Instant::now();
        let delivered = self.client.deliver(url, &headers, &body);
        let date = delivered.as_ref().ok().and_then(|delivered| delivered.date);
        Some(Answer {
            clock_ahead: date.map(|date| date.duration_since(now)),
            status: delivered.map(|delivered| delivered.status),
            took: begun.elapsed(),
        })
    }
}

/// An event as a form: a field for each of its own, whose value is the text, or the JSON of what is none.
fn form(event: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in event.as_object().into_iter().flatten() {
        form.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    form.finish()
}

/// A template with its words filled in.
fn filled(template: &Value, id: &str, now: Timestamp) -> Value {
    match template {
        Value::String(text) => Value::String(
            text.replace("{id}", id)
                .replace("{time}", &now.to_string())
                .replace("{seconds}", &now.as_second().to_string()),
        ),
        Value::Array(items) => Value::Array(items.iter().map(|item| filled(item, id, now)).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), filled(value, id, now))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b9_a_receiver_whose_time_is_over_is_asked_no_more_and_proves_nothing() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = crate::provider::Catalog::builtin().get("layers").unwrap();
        let client = Client::new(&crate::provider::client::ClientOptions { timeout: PATIENCE, ca: None }).unwrap();
        let mut prober = Prober::new(&provider, client, Timestamp::now, None).unwrap();
        prober.deadline = Duration::ZERO;
        let secret = crate::secret::Secret::new("whsec_Zm9vYmFyYmF6cXV4");
        let secrets = Secrets { new: Some(&secret), old: Some(&secret) };
        let report = prober.probe(&url, &secrets, SignedDuration::ZERO, &|| false);
        assert_eq!(report.verdict, Verdict::TooSlow);
        assert_eq!((report.accepts_new(), report.rejects_old()), (None, None));
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "it was asked");
    }

    #[test]
    fn a_template_is_filled_in_its_strings_alone() {
        let template = serde_json::json!({ "id": "evt_{id}", "at": ["{time}", 1, { "s": "{seconds}" }] });
        let event = Event::Template(template);
        let body = event.body(false, "x", Timestamp::UNIX_EPOCH);
        assert_eq!(body, br#"{"id":"evt_x","at":["1970-01-01T00:00:00Z",1,{"s":"0"}]}"#);
        let body = String::from_utf8(event.body(true, "x", Timestamp::UNIX_EPOCH)).unwrap();
        assert!(body.starts_with("id=evt_x&at=%5B%221970"), "{body}");
    }
}
