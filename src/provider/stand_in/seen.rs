//! Looks into a request that the stand-in has got.

use serde_json::Value;

use super::Seen;
use crate::provider::form::FORM;
use crate::provider::{Idempotency, Provider};

/// What stands where a body has this word.
pub(super) fn in_place_of<'a>(word: &str, template: &Value, sent: &'a Value) -> Option<&'a Value> {
    match (template, sent) {
        (Value::String(text), sent) if text == word => Some(sent),
        (Value::Object(fields), Value::Object(_)) => {
            fields.iter().find_map(|(name, template)| in_place_of(word, template, sent.get(name)?))
        }
        (Value::Array(items), Value::Array(others)) => {
            items.iter().zip(others).find_map(|(template, sent)| in_place_of(word, template, sent))
        }
        _ => None,
    }
}

/// The idempotency key of a request: in its header, or in the place of a rotate or a force call's body.
pub(super) fn key_of(provider: &Provider, idempotency: &Idempotency, seen: &Seen) -> Option<String> {
    if let Some(name) = &idempotency.header {
        return header(seen, name).map(str::to_owned);
    }
    let spec = provider.spec();
    let sent = match spec.rotate.media_type.as_deref() {
        Some(FORM) => {
            let fields = form_urlencoded::parse(seen.body.as_bytes());
            fields.map(|(name, value)| (name.into_owned(), Value::from(value.as_ref()))).collect()
        }
        _ => serde_json::from_str(&seen.body).ok()?,
    };
    let bodies = [spec.rotate.body.as_ref(), spec.force.as_ref().and_then(|force| force.body.as_ref())];
    let found = bodies.into_iter().flatten().find_map(|body| in_place_of("{idempotency_key}", body, &sent)?.as_str());
    found.map(str::to_owned)
}

/// The value of a header.
pub(super) fn header<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    seen.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The value of a query parameter that is a number.
pub(super) fn query(path: &str, name: &str) -> Option<u32> {
    let pairs = path.split_once('?')?.1.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(other, _)| *other == name).find_map(|(_, value)| value.parse().ok())
}
