//! A provider for the engine's tests, with the receivers of its deliveries: what it is at, and what comes of its next calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::fakes::{now, pass, secret};
use crate::http::Failure;
use crate::provider::Provider;
use crate::provider::signature::{Scheme, Sent};
use crate::secret::Secret;

/// The provider: it shows all that a provider can, takes a key once, and keeps the old secret for a day.
const DESCRIPTION: &str = r#"
version = 1
name = "fake"
title = "Fake"
base_url = "https://fake.test"
ids = ["id"]
cutover = "switch"
scope = "one endpoint"
hazards = []
auth = { env = "FAKE_API_KEY", about = "a key", schemes = [{ name = "bearer", header = "Authorization", value = "Bearer {key}" }] }
rotate = { method = "POST", path = "/e/{id}/rotate", answer = { secret = "/secret", version = "/version", old_expires_at = "/ends" } }
overlap = { kind = "fixed", window = "24h" }
force = { body = { force = true } }
idempotency = { header = "Idempotency-Key", form = "token", max_length = 255, window = "24h", replayed = "Replayed" }
inspect = { method = "GET", path = "/e/{id}", answer = { version = "/version", updated_at = "/updated_at", secret = "/secret", old_expires_at = "/ends" } }
signature = { grammar = "t=,v1=", header = "X-Signature", signed = "{timestamp}.{body}", encoding = "hex", key = "raw", tolerance = "300s" }
sources = [{ facts = "all", url = "https://fake.test", read = "2026-11-20" }]

[errors]
code = "/code"
table = [
    { status = 409, code = "busy", means = "in_flight", says = "still at work" },
    { status = 409, means = "overlap_open", says = "the old secret lives" },
    { status = 422, means = "invalid" },
    { status = 503, means = "unavailable" },
]
"#;

/// What comes of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Yes,
    /// It is carried out, and its answer is lost.
    Lost,
    /// It is cut off before anything was done.
    Cut,
    /// It is carried out, and the answer holds no secret.
    Bare,
    /// Nothing was sent.
    Off,
    /// It answers with the secret that it was at before.
    Same,
    /// A look that a copy answers which has not heard of the call.
    Behind,
    /// A status, with this code.
    No(u16, &'static str),
}

/// What the provider is at, and what it does next.
pub struct Fake {
    pub secret: char,
    pub version: u64,
    /// What an inspect call shows, beside nothing.
    pub shows: &'static [&'static str],
    pub updated_at: String,
    /// How far its clock is ahead of ours, each time that it is asked; the last one stays. Without any, answers bear no date.
    pub ahead: VecDeque<i64>,
    /// What comes of the next calls; then `Yes`.
    pub answers: VecDeque<Answer>,
    /// The same of calls that only ask.
    pub looks: VecDeque<Answer>,
    /// What the answer says of the old secret's end.
    pub ends: Value,
    /// The bodies of answers, by key, and the secrets that it was told by.
    known: BTreeMap<String, Value>,
    /// Every call, in a word.
    pub calls: Vec<&'static str>,
    /// The secrets that each receiver takes; one that is not there cannot be reached.
    pub receivers: BTreeMap<String, &'static str>,
    /// The secrets that it was given, where it takes ours.
    pub given: Vec<Secret>,
    /// The one that receivers know as `?`.
    pub ours: Option<Secret>,
    /// The endpoints that there are and what each shows, where a rotation makes a second one.
    pub endpoints: Option<BTreeMap<&'static str, Value>>,
    /// What happens in the world while the next call is at work.
    pub meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

impl Fake {
    /// At the old secret, which it shows no more of than a version.
    pub fn new() -> Self {
        Self {
            secret: 'o',
            version: 1,
            shows: &["version"],
            updated_at: "2026-11-01T00:00:00Z".to_owned(),
            ahead: [0].into(),
            answers: VecDeque::new(),
            looks: VecDeque::new(),
            ends: Value::Null,
            known: BTreeMap::new(),
            calls: Vec::new(),
            receivers: BTreeMap::new(),
            given: Vec::new(),
            ours: None,
            endpoints: None,
            meanwhile: None,
        }
    }

    /// What comes of a request, and what it says.
    pub fn answer(
        &mut self,
        is_call: bool,
        key: Option<&str>,
        given: Option<Secret>,
    ) -> Result<(u16, Value, bool), Failure> {
        self.calls.push(if is_call { "rotate" } else { "look" });
        let next = if is_call { self.answers.pop_front() } else { self.looks.pop_front() }.unwrap_or(Answer::Yes);
        let cut = || Failure::Unknown("the connection ended".to_owned());
        match next {
            Answer::Off => return Err(Failure::NotSent("no route".to_owned())),
            Answer::Cut => return Err(cut()),
            Answer::No(status, code) => return Ok((status, json!({ "code": code }), false)),
            Answer::Same => return Ok((200, json!({ "secret": secret(self.secret).expose() }), false)),
            Answer::Behind => return Ok((200, json!({ "secret": secret('o').expose() }), false)),
            Answer::Yes | Answer::Lost | Answer::Bare if !is_call => {
                let all = json!({ "version": self.version, "updated_at": self.updated_at, "secret": secret(self.secret).expose() });
                let shown = self.shows.iter().filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone())));
                return Ok((200, Value::Object(shown.collect()), false));
            }
            _ => {}
        }
        if let Some(act) = self.meanwhile.take() {
            act();
        }
        let is_set = given.is_some();
        self.given.extend(given);
        let known = key.and_then(|key| self.known.get(key).cloned());
        let replayed = known.is_some();
        let body = known.unwrap_or_else(|| {
            (self.secret, self.version) = (if is_set { '?' } else { 'n' }, self.version + 1);
            self.updated_at = now().to_string();
            let mut body = json!({ "version": self.version, "ends": self.ends });
            if next != Answer::Bare && !is_set {
                body["secret"] = json!(secret('n').expose());
            }
            key.map(|key| self.known.insert(key.to_owned(), body.clone()));
            body
        });
        if next == Answer::Lost { Err(cut()) } else { Ok((200, body, replayed)) }
    }

    /// What comes of a request where there are several endpoints: a new one is made like the body says.
    pub fn answer_of_many(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        sent: &Value,
    ) -> Result<(u16, Value, bool), Failure> {
        let own = path.rsplit('/').next().unwrap_or_default().to_owned();
        let has = |fake: &Self| fake.endpoints.as_ref().and_then(|all| all.get(own.as_str()).cloned());
        match method {
            "POST" => {
                let is_made = key.is_some_and(|key| self.known.contains_key(key));
                let answer = self.answer(true, key, None).map(|(status, mut body, replayed)| {
                    body["id"] = json!("whk_2");
                    (status, body, replayed)
                });
                // A lost answer is of an endpoint that is there.
                if self.secret == 'n' && !is_made {
                    self.endpoints.as_mut().map(|all| all.insert("whk_2", sent.clone()));
                }
                answer
            }
            "DELETE" => {
                self.calls.push("remove");
                let next = self.answers.pop_front().unwrap_or(Answer::Yes);
                let gone = has(self).is_none();
                if matches!(next, Answer::Yes | Answer::Lost) {
                    self.endpoints.as_mut().map(|all| all.remove(own.as_str()));
                }
                match next {
                    Answer::Yes if gone => Ok((404, json!({}), false)),
                    Answer::Yes => Ok((200, json!({}), false)),
                    Answer::No(status, code) => Ok((status, json!({ "code": code }), false)),
                    Answer::Off => Err(Failure::NotSent("no route".to_owned())),
                    _ => {
                        pass(30);
                        Err(Failure::Unknown("it took too long".to_owned()))
                    }
                }
            }
            _ => match (has(self), self.answer(false, None, None)?) {
                (Some(shown), (200, _, replayed)) => Ok((200, shown, replayed)),
                (None, (200, ..)) => Ok((404, json!({}), false)),
                (_, refused) => Ok(refused),
            },
        }
    }

    /// Its clock, as an answer bears it.
    pub fn date(&mut self) -> Option<String> {
        let ahead = if self.ahead.len() > 1 { self.ahead.pop_front() } else { self.ahead.front().copied() }?;
        let date = now() + SignedDuration::from_secs(ahead);
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).ok()
    }

    /// A receiver's status.
    pub fn deliver(&self, url: &str, headers: &reqwest::header::HeaderMap, body: &[u8]) -> Result<u16, Failure> {
        let Some(takes) = self.receivers.get(url) else { return Err(Failure::NotSent("refused".to_owned())) };
        let signature = headers.get("X-Signature").and_then(|text| text.to_str().ok()).unwrap_or_default();
        let at = signature.trim_start_matches("t=").split(',').next().unwrap_or_default();
        let provider = now().as_second() + self.ahead.front().copied().unwrap_or(0);
        let is_fresh = at.parse::<i64>().is_ok_and(|at| (provider - at).abs() <= 300);
        let scheme = Scheme::of(&provider_of()).unwrap();
        let signs = |letter: char| {
            let known = if letter == '?' { self.ours.clone() } else { Some(secret(letter)) };
            let Some(key) = known.and_then(|known| scheme.keyed(&known)) else { return false };
            let found = scheme.signature(&key, "", at, Sent::of(body));
            found.is_some_and(|found| signature.contains(&scheme.written(&found)))
        };
        Ok(if is_fresh && takes.chars().any(signs) { 200 } else { 401 })
    }
}

pub fn provider_of() -> Arc<Provider> {
    static PROVIDER: OnceLock<Arc<Provider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(Provider::parse(DESCRIPTION, "fake.toml").unwrap())))
}

/// The same, of which no call is described that shows anything.
pub fn mute_provider() -> Arc<Provider> {
    let lines = DESCRIPTION.lines().filter(|line| !line.starts_with("inspect"));
    Arc::new(Provider::parse(&lines.collect::<Vec<_>>().join("\n"), "fake.toml").unwrap())
}

/// The same, whose rotate call answers without the secret, which another call shows.
pub fn reading_provider() -> Arc<Provider> {
    let lines = DESCRIPTION.lines().filter(|line| !line.starts_with("inspect"));
    let text =
        lines.collect::<Vec<_>>().join("\n").replace("/rotate\", answer", "/rotate\", read = \"/e/{id}\", answer");
    Arc::new(Provider::parse(&text, "fake.toml").unwrap())
}

/// The same, which takes a secret of ours.
pub fn setting_provider() -> Arc<Provider> {
    let is_kept = |line: &&str| {
        !["rotate", "overlap", "force", "idempotency", "cutover"].iter().any(|word| line.starts_with(word))
    };
    let lines = DESCRIPTION.lines().filter(is_kept);
    let text = lines.collect::<Vec<_>>().join("\n");
    let set = "rotate = { kind = \"set\", method = \"PUT\", path = \"/e/{id}\", body = { secret = \"{secret}\" }, secret = { form = \"hex\", bytes = 32 } }\noverlap = { kind = \"none\" }\n\n[errors]";
    Arc::new(Provider::parse(&text.replace("\n[errors]", set), "fake.toml").unwrap())
}

/// The same, whose rotate call makes a second endpoint.
pub fn replacing_provider() -> Arc<Provider> {
    let is_kept =
        |line: &&str| !["rotate", "overlap", "force", "inspect", "cutover"].iter().any(|word| line.starts_with(word));
    let lines = DESCRIPTION.lines().filter(is_kept);
    let replace = r#"rotate = { kind = "replace", method = "POST", path = "/e", body = { url = "{carry.url}", about = "{carry.about}" }, carry = { url = "/url" }, may_carry = { about = "/about" }, uncarried = { "/app" = "it has an app" }, answer = { secret = "/secret", id = "/id" } }
inspect = { method = "GET", path = "/e/{id}", answer = { url = "/url", status = "/status" } }
overlap = { kind = "until-ended", signs = "apart" }
end = { kind = "call", path = "/e/{id}" }

[errors]"#;
    Arc::new(
        Provider::parse(&lines.collect::<Vec<_>>().join("\n").replace("\n[errors]", replace), "fake.toml").unwrap(),
    )
}
