//! Makes requests out of an endpoint. A request holds no API key, so it may be journaled whole and sent again byte for byte.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::form::{self, FORM};
use super::path::PathTemplate;
pub use super::path::encode_segment;
use super::sections::REASON;
use super::spec::{AuthSchemeSpec, KeyEncoding, KeyForm, Method};
use super::words::{self, Carried};
use super::{Endpoint, Force, Overlap, Provider, RequestError};
use crate::secret::Secret;
use crate::system::text::hex;

/// What an API key may have in it as a part of a path: the unreserved characters of RFC 3986, and `:`.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A key as it is written into a path.
fn in_path(key: &Secret) -> Secret {
    Secret::new(Zeroizing::new(utf8_percent_encode(key.expose(), IN_PATH).to_string()).as_str())
}

/// The media type of a body where the description says no other.
const JSON: &str = "application/json";

/// One call, complete but for the API key, and for the new secret and what goes with it where that is ours to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub auth: AuthHeader,
}

/// How the API key is sent, without the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthHeader {
    pub header: String,
    /// The header's value with `{key}` in place of the key.
    pub value: String,
    /// How the key is written there, where it is not as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encode: Option<KeyEncoding>,
    /// In place of a header: what stands in front of the path, with `{key}` in place of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl AuthHeader {
    /// As a description has it.
    pub(super) fn of(scheme: &AuthSchemeSpec) -> Self {
        let (header, value, path) = (scheme.header.clone(), scheme.value.clone(), scheme.path.clone());
        Self { header, value, encode: scheme.encode, path }
    }

    /// What nobody is shown: the key, and the key as it is written where that is something else.
    pub(super) fn withheld(&self, key: &Secret) -> impl Iterator<Item = Secret> {
        let in_path = self.path.as_ref().map(|_| in_path(key));
        [key.clone()].into_iter().chain(self.encode.map(|_| self.written(key))).chain(in_path)
    }

    /// The key as it is written into the header.
    fn written(&self, key: &Secret) -> Secret {
        match self.encode {
            None => key.clone(),
            Some(KeyEncoding::Base64) => Secret::new(Zeroizing::new(STANDARD.encode(key.expose())).as_str()),
        }
    }

    /// What stands in front of the path, where the key stands there.
    pub(super) fn before_path(&self, key: &Secret) -> Option<Zeroizing<String>> {
        let path = self.path.as_ref()?;
        Some(Zeroizing::new(path.replace("{key}", in_path(key).expose())))
    }

    /// The header's value.
    pub(super) fn value(&self, key: &Secret) -> Zeroizing<String> {
        Zeroizing::new(self.value.replace("{key}", self.written(key).expose()))
    }
}

impl Request {
    /// `sha256:` and 64 hex digits over all fields, each with its length in front, so that no two requests look alike.
    pub fn digest(&self) -> String {
        let mut fields = vec!["1", self.method.as_str(), &self.url];
        for (name, value) in &self.headers {
            fields.extend(["header", name, value]);
        }
        fields.extend(match &self.body {
            Some(body) => ["body", body],
            None => ["no body", ""],
        });
        fields.extend([self.auth.header.as_str(), &self.auth.value]);
        fields.extend(self.auth.encode.map(|KeyEncoding::Base64| "base64"));
        fields.extend(self.auth.path.as_deref());
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update(field.len().to_le_bytes());
            hasher.update(field.as_bytes());
        }
        format!("sha256:{}", hex(&hasher.finalize()))
    }
}

impl Request {
    /// The body as it is sent. `Err` names the word for which there is nothing.
    pub(super) fn body_with(&self, secret: Option<&Secret>, carried: &Carried) -> Result<Zeroizing<Vec<u8>>, String> {
        let body = words::filled(self.body.as_deref().unwrap_or_default(), secret, carried)?;
        match self.is_form() {
            true => form::encoded(&body).map_err(|_| "body".to_owned()),
            false => Ok(body),
        }
    }

    /// Whether its body is sent as a form.
    pub(super) fn is_form(&self) -> bool {
        let of_body = |(name, value): &(String, String)| name.eq_ignore_ascii_case("content-type") && value == FORM;
        self.body.is_some() && self.headers.iter().any(of_body)
    }
}

/// The call that makes a new secret, or takes the one that we have made; `None` where a person rotates.
pub fn rotate(endpoint: &Endpoint, key: Option<&str>) -> Option<Request> {
    rotate_keeping(endpoint, key, None)
}

/// The same, which asks the provider to keep the old secret for so long, where that is the caller's to say; else for as long as it
/// is asked where nobody chooses.
pub fn rotate_keeping(endpoint: &Endpoint, key: Option<&str>, overlap: Option<Duration>) -> Option<Request> {
    let usual = match endpoint.provider.overlap() {
        Overlap::Fixed(window) => Some(window),
        _ => None,
    };
    rotate_with(endpoint, key, endpoint.provider.spec().rotate.body.as_ref(), overlap.or(usual))
}

/// The call that makes a new secret because the old one has leaked: it ends the old one at once where the provider can. `None` where a
/// person rotates.
pub fn force(endpoint: &Endpoint, key: Option<&str>, reason: &str) -> Result<Option<Request>, RequestError> {
    let provider = &endpoint.provider;
    match (provider.force(), &provider.spec().force) {
        (Force::Call, Some(force)) => {
            if let Some(most) = force.reason_max {
                check_reason(provider, reason, most)?;
            }
            let body = force.body.as_ref().map(|body| with_reason(body, reason));
            Ok(rotate_with(endpoint, key, body.as_ref(), None))
        }
        _ => Ok(rotate(endpoint, key)),
    }
}

/// The call that shows the endpoint's secret, where the rotate call itself does not say it.
pub fn read(endpoint: &Endpoint) -> Option<Request> {
    Some(plain(endpoint, Method::Get, endpoint.provider.read_path.as_ref()?))
}

/// The call that shows the endpoint, or a page of the list that it is on. Pages count from 1.
pub fn inspect(endpoint: &Endpoint, page: u32) -> Option<Request> {
    let inspect = endpoint.provider.spec().inspect.as_ref()?;
    let path = endpoint.provider.inspect_path.as_ref()?;
    let mut request = plain(endpoint, inspect.method, path);
    let body = inspect.body.as_ref().map(|body| words::in_place(body, &endpoint.ids_now(), None, None));
    add_body(&mut request, body.as_deref(), JSON);
    if let Some(list) = &inspect.list {
        ask(&mut request.url, &list.page, &page.to_string());
        ask(&mut request.url, &list.size, &list.size_value.to_string());
    }
    Some(request)
}

/// The call that lists the endpoint with others, where one may have been made of which nobody knows.
pub fn list(endpoint: &Endpoint) -> Option<Request> {
    Some(plain(endpoint, Method::Get, endpoint.provider.list_path.as_ref()?))
}

/// The call that lists all endpoints, or the page that is asked for by this parameter.
pub fn endpoints(endpoint: &Endpoint, page: Option<&(String, String)>) -> Option<Request> {
    let list = endpoint.provider.spec().list.as_ref()?;
    let mut request = plain(endpoint, Method::Get, endpoint.provider.endpoints_path.as_ref()?);
    if let (Some(size), Some(value)) = (&list.size, list.size_value) {
        ask(&mut request.url, size, &value.to_string());
    }
    if let Some((name, value)) = page {
        ask(&mut request.url, name, value);
    }
    Some(request)
}

/// The call that removes the endpoint, where one ends the old secret. It may be sent again at any time: what is gone is gone.
pub fn end(endpoint: &Endpoint) -> Option<Request> {
    Some(plain(endpoint, Method::Delete, endpoint.provider.end_path.as_ref()?))
}

/// The call that has the provider send a test delivery.
pub fn test_delivery(endpoint: &Endpoint, key: Option<&str>) -> Option<Request> {
    let test = endpoint.provider.spec().test_delivery.as_ref()?;
    let mut request = plain(endpoint, test.method, endpoint.provider.test_path.as_ref()?);
    add_body(&mut request, test.body.as_ref(), JSON);
    if test.idempotency {
        add_key(&mut request, &endpoint.provider, key);
    }
    Some(request)
}

/// A fresh idempotency key, where the provider takes one.
pub fn new_key(provider: &Provider) -> Option<String> {
    provider.idempotency().map(|_| Uuid::new_v4().to_string())
}

/// Checks a key that somebody else made.
pub fn check_key(provider: &Provider, key: &str) -> Result<(), RequestError> {
    let Some(idempotency) = provider.idempotency() else {
        return Err(RequestError::KeyNotTaken { provider: provider.name().to_owned() });
    };
    let bad = |why: String| Err(RequestError::BadKey { why });
    match idempotency.form {
        KeyForm::Uuid if key.len() != 36 || Uuid::try_parse(key).is_err() => {
            bad("is not a UUID such as `8e03978e-40d5-43dd-bc93-6894a57f9324`".to_owned())
        }
        KeyForm::Token if key.is_empty() => bad("is empty".to_owned()),
        KeyForm::Token if key.len() > idempotency.max_length => {
            bad(format!("is longer than {} characters", idempotency.max_length))
        }
        KeyForm::Token if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') => {
            bad("has more in it than letters, digits, `_` and `-`".to_owned())
        }
        _ => Ok(()),
    }
}

fn rotate_with(
    endpoint: &Endpoint,
    key: Option<&str>,
    body: Option<&Value>,
    overlap: Option<Duration>,
) -> Option<Request> {
    let rotate = &endpoint.provider.spec().rotate;
    let mut request = plain(endpoint, rotate.method?, endpoint.provider.rotate_path.as_ref()?);
    request.headers.extend(rotate.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    let body = body.map(|body| words::in_place(body, &endpoint.ids_now(), overlap, key));
    add_body(&mut request, body.as_deref(), rotate.media_type.as_deref().unwrap_or(JSON));
    add_key(&mut request, &endpoint.provider, key);
    Some(request)
}

/// Method, address, authentication, and the headers that every call carries.
fn plain(endpoint: &Endpoint, method: Method, path: &PathTemplate) -> Request {
    let spec = endpoint.provider.spec();
    let scheme = spec.auth.schemes.get(endpoint.auth).or(spec.auth.schemes.first());
    let auth = scheme.map(AuthHeader::of).unwrap_or_default();
    let mut headers: Vec<_> = spec.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut url = format!("{}{}", endpoint.base_url.as_str().trim_end_matches('/'), path.fill(&endpoint.ids_now()));
    for (option, value) in endpoint.options.iter().filter_map(|(name, value)| Some((spec.options.get(name)?, value))) {
        headers.extend(option.header.as_ref().map(|header| (header.clone(), value.clone())));
        if let Some(query) = &option.query {
            ask(&mut url, query, value);
        }
    }
    Request { method, url, headers, body: None, auth }
}

/// Adds a parameter to an address.
fn ask(url: &mut String, name: &str, value: &str) {
    let before = if url.contains('?') { '&' } else { '?' };
    url.push_str(&format!("{before}{name}={}", encode_segment(value)));
}

fn add_body(request: &mut Request, body: Option<&Value>, media_type: &str) {
    if let Some(body) = body {
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        request.headers.push(("Content-Type".to_owned(), media_type.to_owned()));
        request.body = Some(body.to_string());
    }
}

fn add_key(request: &mut Request, provider: &Provider, key: Option<&str>) {
    let header = provider.idempotency().and_then(|idempotency| idempotency.header.clone());
    request.headers.extend(header.zip(key.map(str::to_owned)));
}

fn check_reason(provider: &Provider, reason: &str, most: usize) -> Result<(), RequestError> {
    if reason.trim().is_empty() {
        return Err(RequestError::ReasonEmpty);
    }
    if reason.chars().count() > most {
        return Err(RequestError::ReasonTooLong { provider: provider.name().to_owned(), most });
    }
    Ok(())
}

/// The body with the reason in its place, wherever that is at the top level.
fn with_reason(body: &Value, reason: &str) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        for value in fields.values_mut().filter(|value| value.as_str() == Some(REASON)) {
            *value = Value::String(reason.to_owned());
        }
    }
    body
}
