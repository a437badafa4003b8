//! What each described request would look like on the wire, for people: nothing is sent, and no key is in it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use super::form;
use super::request::{self, Request};
use super::{Endpoint, Force, Id, Provider, plain_text};

/// Stands for the operator's reason.
const REASON: &str = "REASON";

/// Stands for an idempotency key.
const KEY: &str = "00000000-0000-4000-8000-000000000000";

/// Stands for the host where the operator sets it.
const HOST: &str = "https://base-url.example";

/// One call as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// `rotate`, `force-rotate`, `inspect`, `end` or `test delivery`.
    pub call: &'static str,
    /// The request's lines: request line, headers, an empty line and the body where there is one.
    pub lines: Vec<String>,
}

/// Shows every call of a provider with `ID` placeholders, and `$ENV` in place of the key.
pub fn describe(provider: &Arc<Provider>) -> Vec<Shown> {
    let base_url = provider.base_url().cloned().or_else(|| crate::http::Url::parse(HOST).ok());
    let Some(base_url) = base_url else { return Vec::new() };
    let ids = provider.spec().ids.iter().map(|name| Id { name: name.clone(), value: name.to_uppercase() }).collect();
    let endpoint = Endpoint {
        provider: Arc::clone(provider),
        base_url,
        ids,
        auth: 0,
        options: std::collections::BTreeMap::new(),
        present: None,
        known_as: None,
    };
    let forced = (provider.force() == Force::Call)
        .then(|| request::force(&endpoint, Some(KEY), REASON).ok())
        .flatten()
        .flatten();
    let calls = [
        ("rotate", request::rotate(&endpoint, Some(KEY))),
        ("force-rotate", forced),
        ("inspect", request::inspect(&endpoint, 1)),
        ("end", request::end(&endpoint)),
        ("test delivery", request::test_delivery(&endpoint, Some(KEY))),
    ];
    let shown =
        |(call, request): (&'static str, Option<Request>)| Some(Shown { call, lines: lines(provider, &request?) });
    calls.into_iter().filter_map(shown).collect()
}

fn origin_and_path(url: &str) -> Option<(&str, &str)> {
    let host = url.find("://")? + 3;
    Some(url.split_at(host + url.get(host..)?.find('/')?))
}

/// A request's body as it is shown.
pub fn body(request: &Request) -> Option<Cow<'_, str>> {
    let body = request.body.as_deref()?;
    Some(if request.is_form() { form::sketch(body).into() } else { body.into() })
}

/// A request as lines of HTTP, with `$ENV` in place of the key: request line, headers, an empty line, the body.
pub fn lines(provider: &Provider, request: &Request) -> Vec<String> {
    let key = format!("${}", provider.spec().auth.env);
    let key = if request.auth.encode.is_some() { format!("base64({key})") } else { key };
    let (url, header) = match (&request.auth.path, origin_and_path(&request.url)) {
        (Some(before), Some((origin, path))) => (format!("{origin}{}{path}", before.replace("{key}", &key)), None),
        _ => (
            request.url.clone(),
            Some(format!("{}: {}", request.auth.header, request.auth.value.replace("{key}", &key))),
        ),
    };
    let mut lines = vec![format!("{} {url}", request.method.as_str())];
    lines.extend(header);
    lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    match body(request) {
        Some(body) => lines.extend([String::new(), body.into_owned()]),
        None if request.method.carries_body() => lines.push("Content-Length: 0".to_owned()),
        None => {}
    }
    lines.iter().map(|line| plain_text(line)).collect()
}
