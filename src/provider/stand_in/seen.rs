//! Looks into a request that the stand-in has got.

use super::Seen;

/// What stands where a body has this word.
pub(super) fn in_place_of<'a>(
    word: &str,
    template: &serde_json::Value,
    sent: &'a serde_json::Value,
) -> Option<&'a serde_json::Value> {
    use serde_json::Value;
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

/// The value of a header.
pub(super) fn header<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    seen.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The value of a query parameter that is a number.
pub(super) fn query(path: &str, name: &str) -> Option<u32> {
    let pairs = path.split_once('?')?.1.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(other, _)| *other == name).find_map(|(_, value)| value.parse().ok())
}
