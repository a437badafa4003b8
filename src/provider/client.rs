//! Performs requests as described, once each, by the one way out that `http` gives.
//!
//! Its errors never hold a header, a body or a key.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
#[cfg(test)]
use reqwest::header::HeaderMap;
use reqwest::header::{CONTENT_LENGTH, DATE, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::answer::{self, Inspected, Outcome, Refusal, Unknown};
use super::judge::{http_date, judge};
use super::pace::{Pace, Paces};
use super::request::{self, Request};
use super::spec::{Meaning, Method};
use super::{Carried, Endpoint, ProviderError};
use crate::http::{self, Connections, Failure, Received, Url, failure, header_map, parse_base_url};
use crate::secret::Secret;

pub use crate::http::{LARGEST_BODY, Options as ClientOptions};

/// Most pages of a list that are looked through.
const MOST_PAGES: u32 = 100;

/// Makes calls. Cheap to make: connections and certificates are set up when they are first needed.
pub struct Client {
    timeout: Duration,
    connections: Arc<Connections>,
    paced: Option<Paced>,
    #[cfg(test)]
    wire: Option<Wire>,
}

/// The pace that calls are made at where many targets are worked on at once.
struct Paced {
    paces: Arc<Paces>,
    pace: Arc<Pace>,
    /// Whether a turn is at hand that no call has made use of yet.
    has_turn: Cell<bool>,
}

impl Drop for Paced {
    fn drop(&mut self) {
        if self.has_turn.take() {
            self.pace.unused();
        }
    }
}

/// What comes of a request where there is no network: its method, address, headers and body.
#[cfg(test)]
pub type Wire = Box<dyn Fn(&str, &Url, &HeaderMap, &[u8]) -> Result<Received, Failure> + Send + Sync>;

/// A receiver's answer to a delivery.
pub struct Delivered {
    pub status: u16,
    /// Its clock, in whole seconds.
    pub date: Option<Timestamp>,
}

impl Client {
    /// Refuses a certificate authority that cannot be read; opens no connection.
    pub fn new(options: &ClientOptions) -> Result<Self, ProviderError> {
        let connections = Connections::new(options).map_err(|why| ProviderError::BadAuthority { why })?;
        Ok(Self::with(options, Arc::new(connections)))
    }

    /// The same with the set-up that others have made already.
    pub fn beside(options: &ClientOptions, paces: &Paces) -> Result<Self, ProviderError> {
        let connections = paces.connections(options).map_err(|why| ProviderError::BadAuthority { why })?;
        Ok(Self::with(options, connections))
    }

    fn with(options: &ClientOptions, connections: Arc<Connections>) -> Self {
        Self {
            timeout: options.timeout,
            connections,
            paced: None,
            #[cfg(test)]
            wire: None,
        }
    }

    /// The same, whose calls to the provider of this endpoint keep to its pace.
    pub fn paced(self, paces: &Arc<Paces>, endpoint: &Endpoint) -> Self {
        let pace = paces.of(&endpoint.origin(), endpoint.provider.spec().rate);
        Self { paced: Some(Paced { paces: Arc::clone(paces), pace, has_turn: Cell::new(false) }), ..self }
    }

    /// Whether calls keep to a pace, and wait for as long as the provider wants.
    pub fn is_paced(&self) -> bool {
        self.paced.is_some()
    }

    /// Whether the provider takes fewer calls than there are to make.
    pub fn is_scarce(&self) -> bool {
        self.paced.as_ref().is_some_and(|paced| paced.pace.is_scarce())
    }

    /// Waits for the turn of the next call, where calls keep to a pace. Fails, in words, where that takes too long.
    pub fn awaits_turn(&self) -> Result<Duration, String> {
        match &self.paced {
            Some(paced) if !paced.has_turn.get() => {
                let waited = paced.paces.enter(&paced.pace)?;
                paced.has_turn.set(true);
                Ok(waited)
            }
            _ => Ok(Duration::ZERO),
        }
    }

    /// The same, whose requests reach nothing but this.
    #[cfg(test)]
    pub fn on(self, wire: Wire) -> Self {
        Self { wire: Some(wire), ..self }
    }

    /// How long a call takes at most.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Makes one call, once. The key goes to the endpoint's origin and nowhere else.
    pub fn call(&self, endpoint: &Endpoint, request: &Request, api_key: &Secret) -> Outcome {
        self.call_with(endpoint, request, api_key, (None, &Carried::default()))
    }

    /// The same, with no more time than that, however long calls may take otherwise.
    pub fn call_within(&self, most: Duration, endpoint: &Endpoint, request: &Request, api_key: &Secret) -> Outcome {
        let deadline = Instant::now() + self.timeout.min(most);
        self.call_until(endpoint, request, api_key, (None, &Carried::default()), deadline)
    }

    /// The same with the secret that we have made, if we have, and what was read to be sent back, which go where the request has
    /// places for them.
    pub fn call_with(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        api_key: &Secret,
        new: (Option<&Secret>, &Carried),
    ) -> Outcome {
        let outcome = self.call_until(endpoint, request, api_key, new, Instant::now() + self.timeout);
        new.0.into_iter().fold(outcome, Outcome::withhold)
    }

    /// Shows the endpoint, with its secret where a call for that alone is described. `Err` is never a success.
    #[expect(clippy::result_large_err, reason = "an outcome is what every other call returns, and few are made")]
    pub fn inspect(&self, endpoint: &Endpoint, api_key: &Secret) -> Result<Inspected, Outcome> {
        let deadline = Instant::now() + self.timeout;
        let Some(read) = request::read(endpoint) else { return self.show(endpoint, api_key, deadline) };
        let shown = match endpoint.provider.spec().inspect {
            Some(_) => self.show(endpoint, api_key, deadline)?,
            None => Inspected::default(),
        };
        let reply = match self.call_until(endpoint, &read, api_key, (None, &Carried::default()), deadline) {
            Outcome::Success(reply) => reply,
            other => return Err(other),
        };
        let withheld = read.auth.withheld(api_key);
        let read = answer::rotated(endpoint, &reply).map_err(|error| unreadable(reply.status, error.to_string()))?;
        let shown = Inspected {
            version: shown.version.or(read.version),
            fingerprint: shown.fingerprint.or(read.fingerprint),
            old_expires_at: shown.old_expires_at.or(read.old_expires_at),
            secret: Some(read.secret),
            date: reply.date.or(shown.date),
            ..shown
        };
        Ok(withheld.fold(shown, |shown, key| shown.withhold(&key)))
    }

    /// The ids of the endpoints that deliver to this address, as far as one call lists them; none where no such call is described.
    #[expect(clippy::result_large_err, reason = "an outcome is what every other call returns, and few are made")]
    pub fn delivering_to(&self, endpoint: &Endpoint, url: &str, api_key: &Secret) -> Result<Vec<String>, Outcome> {
        let (Some(request), Some(list)) = (request::list(endpoint), &endpoint.provider.spec().rotate.list) else {
            return Ok(Vec::new());
        };
        let reply = match self.call(endpoint, &request, api_key) {
            Outcome::Success(reply) => reply,
            other => return Err(other),
        };
        answer::delivering_to(list, &reply, url).map_err(|error| unreadable(reply.status, error.to_string()))
    }

    /// The same without that secret, looking through a list's pages where there is no call for one endpoint.
    #[expect(clippy::result_large_err, reason = "an outcome is what every other call returns, and few are made")]
    fn show(&self, endpoint: &Endpoint, api_key: &Secret, deadline: Instant) -> Result<Inspected, Outcome> {
        let list = endpoint.provider.spec().inspect.as_ref().and_then(|inspect| inspect.list.as_ref());
        for page in 1..=MOST_PAGES {
            let Some(request) = request::inspect(endpoint, page) else {
                return Err(Outcome::NotSent { why: "no call that shows the endpoint is described".to_owned() });
            };
            let reply = match self.call_until(endpoint, &request, api_key, (None, &Carried::default()), deadline) {
                Outcome::Success(reply) => reply,
                other => return Err(other),
            };
            let body = answer::parse(&reply).map_err(|error| unreadable(reply.status, error.to_string()))?;
            let shown = |item: &serde_json::Value| match answer::inspected(endpoint, item, reply.date) {
                Ok(shown) => Ok(request.auth.withheld(api_key).fold(shown, |shown, key| shown.withhold(&key))),
                Err(error) => Err(unreadable(reply.status, error.to_string())),
            };
            let Some(list) = list else { return shown(&body) };
            let Some(items) = body.pointer(&list.items).and_then(|items| items.as_array()) else {
                return Err(unreadable(reply.status, format!("the answer has no list at `{}`", list.items)));
            };
            let own = |item: &&serde_json::Value| {
                answer::text(item, Some(&list.id)).is_some_and(|id| endpoint.is_own_id(&id))
            };
            if let Some(item) = items.iter().find(own) {
                return shown(item);
            }
            let more = body.pointer(&list.more).and_then(serde_json::Value::as_bool).unwrap_or(false);
            if !more || items.is_empty() {
                return Err(Outcome::Refused(not_listed(reply)));
            }
        }
        Err(unreadable(200, format!("the endpoint is not on the first {MOST_PAGES} pages of the list")))
    }

    /// Posts a signed delivery to a receiver. Nobody reads its answer's body.
    pub fn deliver(&self, url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Delivered, String> {
        let url = receiver(url)?;
        let headers = header_map(headers).ok_or_else(|| "a header has a character that cannot be sent".to_owned())?;
        #[cfg(test)]
        if let Some(wire) = &self.wire {
            let received = wire("POST", &url, &headers, body).map_err(|failure| match failure {
                Failure::NotSent(why) | Failure::Unknown(why) => why,
            })?;
            return Ok(Delivered { status: received.status, date: received.header("date").and_then(http_date) });
        }
        let client = self.connections.to(&url)?;
        let sent = client.post(url).headers(headers).body(body.to_vec()).timeout(self.timeout).send();
        let response = sent.map_err(|error| match failure(&error) {
            Failure::NotSent(why) | Failure::Unknown(why) => why,
        })?;
        let date = response.headers().get(DATE).and_then(|date| http_date(date.to_str().ok()?));
        Ok(Delivered { status: response.status().as_u16(), date })
    }

    /// Once; but what only reads goes out again as long as the pace has to be found that the provider takes.
    fn call_until(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        api_key: &Secret,
        new: (Option<&Secret>, &Carried),
        mut deadline: Instant,
    ) -> Outcome {
        loop {
            match self.awaits_turn() {
                // Nobody's time is used up by waiting.
                Ok(waited) => deadline += waited,
                Err(why) => return Outcome::NotSent { why },
            }
            let outcome = self.call_once(endpoint, request, api_key, new, deadline);
            let Some(paced) = &self.paced else { return outcome };
            paced.has_turn.set(false);
            let refusal = match &outcome {
                Outcome::Refused(refusal) if refusal.meaning == Meaning::RateLimited => Some(refusal.retry_after),
                Outcome::Refused(refusal) if refusal.meaning == Meaning::Unavailable => refusal.retry_after.map(Some),
                _ => None,
            };
            match refusal {
                None => paced.pace.taken(),
                Some(retry_after) => paced.pace.refused(retry_after),
            }
            if refusal.is_none() || request.method != Method::Get {
                return outcome;
            }
        }
    }

    fn call_once(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        api_key: &Secret,
        new: (Option<&Secret>, &Carried),
        deadline: Instant,
    ) -> Outcome {
        match self.send(endpoint, request, api_key, new, deadline) {
            Ok(received) => {
                let outcome = judge(&endpoint.provider, received);
                request.auth.withheld(api_key).fold(outcome, |outcome, key| outcome.withhold(&key))
            }
            Err(Failure::NotSent(why)) => Outcome::NotSent { why },
            Err(Failure::Unknown(why)) => {
                Outcome::Unknown(Unknown { status: None, why, retry_after: None, date: None })
            }
        }
    }

    fn send(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        api_key: &Secret,
        (secret, carried): (Option<&Secret>, &Carried),
        deadline: Instant,
    ) -> Result<Received, Failure> {
        let not_sent = |why: &str| Failure::NotSent(why.to_owned());
        let body = request.body_with(secret, carried);
        let mut body = body.map_err(|word| not_sent(&format!("there is nothing to put into it for `{{{word}}}`")))?;
        let mut url = Url::parse(&request.url).map_err(|_| not_sent("the request's address is not a URL"))?;
        if url.origin() != endpoint.base_url.origin() || url.as_str() != request.url {
            return Err(not_sent("the request's address is not one of this endpoint's origin"));
        }
        let mut headers = header_map(&request.headers).ok_or_else(|| not_sent("a header cannot be sent"))?;
        if let Some(before) = request.auth.before_path(api_key) {
            // From here on the address is as secret as the key: errors name none.
            let path = Zeroizing::new(format!("{}{}", *before, url.path()));
            url.set_path(&path);
        } else {
            let value = request.auth.value(api_key);
            let (Ok(name), Ok(mut value)) =
                (HeaderName::from_bytes(request.auth.header.as_bytes()), HeaderValue::from_str(&value))
            else {
                return Err(not_sent("the API key cannot be sent in a header"));
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if request.body.is_none() && request.method.carries_body() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        #[cfg(test)]
        if let Some(wire) = &self.wire {
            return wire(request.method.as_str(), &url, &headers, &body);
        }
        let body = request.body.as_ref().map(|_| std::mem::take(&mut *body));
        http::send(&self.connections, request.method.as_str(), url, headers, body, deadline)
    }
}

/// A receiver's address: as strict as a base URL, but a query is allowed.
fn receiver(text: &str) -> Result<Url, String> {
    let (address, query) = text.split_once('?').map_or((text, None), |(address, query)| (address, Some(query)));
    let mut url = parse_base_url(address).map_err(|why| format!("the receiver's address cannot be used: {why}"))?;
    url.set_query(query);
    Ok(url)
}

pub(super) fn unreadable(status: u16, why: String) -> Outcome {
    Outcome::Unknown(Unknown { status: Some(status), why, retry_after: None, date: None })
}

fn not_listed(reply: answer::Reply) -> Refusal {
    Refusal {
        meaning: Meaning::NotFound,
        status: reply.status,
        code: None,
        message: None,
        says: Some("the endpoint is not on the provider's list".to_owned()),
        retry_after: None,
        request_id: reply.request_id,
        date: reply.date,
    }
}
