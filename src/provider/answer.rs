//! What came of a call, and what an answer holds. Errors name a category and a position, never content.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroizing;

use super::spec::{Meaning, RotateAnswerSpec, SecondsSpec};
use super::{Carried, Endpoint, id_flaw, plain_text};
use crate::secret::Secret;

pub use super::judge::judge;
pub use crate::http::Received;

/// Fewest characters of a shown secret that may be a whole one.
const SHORTEST_WHOLE: usize = 20;

/// The Unix time of 2001, before which no secret of today ends.
const FIRST_SECONDS: i64 = 1_000_000_000;

/// The Unix time from which on it is told in milliseconds: that of the year 5138 in seconds, and of 1973 in milliseconds.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// Longest secret in bytes.
const LONGEST_SECRET: usize = 4_096;

/// What came of a call.
#[derive(Debug)]
pub enum Outcome {
    /// The provider did it.
    Success(Reply),
    /// The provider answered that it did not do it.
    Refused(Refusal),
    /// No byte of it reached the provider.
    NotSent { why: String },
    /// It may have been done.
    Unknown(Unknown),
}

/// A 2xx answer.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
    /// Whether the body came whole; a body that is too large or was cut off is kept as far as it came.
    pub complete: bool,
    /// The provider's clock.
    pub date: Option<Timestamp>,
    pub request_id: Option<String>,
    /// Whether the provider marked this as the repeated answer to an earlier request.
    pub replayed: bool,
}

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub meaning: Meaning,
    pub status: u16,
    /// The provider's code, as plain text.
    pub code: Option<String>,
    /// The provider's words, as plain text.
    pub message: Option<String>,
    /// What the description says about it.
    pub says: Option<String>,
    pub retry_after: Option<Duration>,
    pub request_id: Option<String>,
    pub date: Option<Timestamp>,
}

/// A call whose outcome nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    pub status: Option<u16>,
    pub why: String,
    pub retry_after: Option<Duration>,
    pub date: Option<Timestamp>,
}

/// What the answer to a rotate call holds.
#[derive(Clone, Debug)]
pub struct Rotated {
    pub secret: Secret,
    /// The id of the endpoint that was made, where one was.
    pub endpoint: Option<String>,
    pub version: Option<String>,
    pub fingerprint: Option<String>,
    pub old_expires_at: Option<Timestamp>,
    /// Whether the description promises an end of the old secret that the answer does not hold in a readable form.
    pub expiry_unreadable: bool,
    pub notice: Option<String>,
}

/// What the answer to an inspect call holds.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    pub url: Option<String>,
    pub status: Option<String>,
    pub version: Option<String>,
    pub fingerprint: Option<String>,
    pub updated_at: Option<String>,
    pub old_expires_at: Option<Timestamp>,
    /// A whole secret, where the provider shows one; a masked one is left out.
    pub secret: Option<Secret>,
    pub date: Option<Timestamp>,
    /// What has to be sent back with a secret of ours, or belongs to a second endpoint.
    pub carried: Carried,
    /// What the endpoint has and no call gives to a second one, in words.
    pub uncarried: Option<String>,
}

/// An answer does not hold what its description says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    #[error("the answer was cut off or is larger than whsec reads")]
    Cut,
    #[error("the answer is empty")]
    Empty,
    #[error("the answer is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("the answer has nothing at `{pointer}`")]
    Missing { pointer: String },
    #[error("the answer has something else than text at `{pointer}`")]
    WrongType { pointer: String },
    #[error("the answer has several entries at `{list}` with nothing at `{without}`")]
    Several { list: String, without: String },
    #[error("the answer has only a masked secret at `{pointer}`")]
    Masked { pointer: String },
    #[error("the answer has something that cannot be a secret at `{pointer}`")]
    NotASecret { pointer: String },
    #[error("the answer is not described to hold a secret")]
    NotDescribed,
    #[error("the answer has nothing at `{pointer}`, which has to be sent back with the new secret")]
    NotCarried { pointer: String },
    #[error("the answer is about another endpoint than the one asked for (`{pointer}`)")]
    OtherEndpoint { pointer: String },
    #[error("the answer has no id of a new endpoint at `{pointer}`")]
    NotNew { pointer: String },
}

/// Reads the answer to a rotate call, or to the one that shows what it made.
pub fn rotated(endpoint: &Endpoint, reply: &Reply) -> Result<Rotated, AnswerError> {
    let Some(answer) = &endpoint.provider.spec().rotate.answer else { return Err(AnswerError::NotDescribed) };
    let body = parse(reply)?;
    let id = text(&body, answer.id.as_ref());
    let made = match &answer.id {
        Some(pointer) if endpoint.provider.replaces() => {
            let new = id.filter(|id| id_flaw(id).is_none() && !endpoint.is_own_id(id));
            Some(new.ok_or_else(|| AnswerError::NotNew { pointer: pointer.clone() })?)
        }
        Some(pointer) if id.is_some_and(|id| !endpoint.is_own_id(&id)) => {
            return Err(AnswerError::OtherEndpoint { pointer: pointer.clone() });
        }
        _ => None,
    };
    let old_expires_at = timestamp(&body, answer.old_expires_at.as_ref());
    let rotated = Rotated {
        secret: secret(entry(&body, answer)?, &answer.secret)?,
        endpoint: made,
        version: plain(&body, answer.version.as_ref()),
        fingerprint: plain(&body, answer.fingerprint.as_ref()),
        old_expires_at,
        expiry_unreadable: answer.old_expires_at.is_some() && old_expires_at.is_none(),
        notice: plain(&body, answer.notice.as_ref()),
    };
    Ok(rotated.withhold())
}

/// Reads the answer to an inspect call, or the endpoint's item on a page of a list.
pub(crate) fn inspected(endpoint: &Endpoint, item: &Value, date: Option<Timestamp>) -> Result<Inspected, AnswerError> {
    let spec = endpoint.provider.spec();
    let Some(inspect) = &spec.inspect else { return Ok(Inspected::default()) };
    let answer = &inspect.answer;
    let carried = Carried::read(item, &spec.rotate);
    Ok(Inspected {
        url: plain(item, answer.url.as_ref()),
        status: state(item, answer.status.as_ref()),
        version: plain(item, answer.version.as_ref()),
        fingerprint: plain(item, answer.fingerprint.as_ref()),
        updated_at: plain(item, answer.updated_at.as_ref()),
        old_expires_at: timestamp(item, answer.old_expires_at.as_ref()),
        secret: text(item, answer.secret.as_ref()).filter(|shown| is_whole(shown)).map(Secret::new),
        date,
        uncarried: uncarried(item, &spec.rotate.uncarried),
        carried: carried.map_err(|pointer| AnswerError::NotCarried { pointer: pointer.to_owned() })?,
    })
}

/// The ids of the items of a list that have this address, as it is shown.
pub(crate) fn delivering_to(list: &SecondsSpec, reply: &Reply, url: &str) -> Result<Vec<String>, AnswerError> {
    let body = parse(reply)?;
    let items = body.pointer(&list.items).and_then(serde_json::Value::as_array);
    let items = items.ok_or_else(|| AnswerError::Missing { pointer: list.items.clone() })?;
    let is_one = |item: &&Value| plain(item, Some(&list.url)).is_some_and(|shown| shown == url);
    Ok(items.iter().filter(is_one).filter_map(|item| plain(item, Some(&list.id))).collect())
}

/// The first of these that the endpoint has, in words.
fn uncarried(item: &Value, pointers: &BTreeMap<String, String>) -> Option<String> {
    let is_something = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(_) => true,
    };
    let has = |(pointer, _): &(&String, &String)| item.pointer(pointer).is_some_and(is_something);
    pointers.iter().find(has).map(|(_, words)| words.clone())
}

/// Reads a whole body as JSON.
pub(crate) fn parse(reply: &Reply) -> Result<Value, AnswerError> {
    if !reply.complete {
        return Err(AnswerError::Cut);
    }
    if reply.body.iter().all(u8::is_ascii_whitespace) {
        return Err(AnswerError::Empty);
    }
    serde_json::from_slice(&reply.body)
        .map_err(|error| AnswerError::NotJson { line: error.line(), column: error.column() })
}

/// A string or a number at a pointer, as text.
pub(crate) fn text(body: &Value, pointer: Option<&String>) -> Option<String> {
    match body.pointer(pointer?)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A state as a word: a yes or no is told by the name of its field, `isActive` as `active` or `not active`.
pub(super) fn state(body: &Value, pointer: Option<&String>) -> Option<String> {
    let Value::Bool(is) = body.pointer(pointer?)? else { return plain(body, pointer) };
    let name = pointer?.rsplit('/').next()?;
    // `isActive` and `is_active`, but not `issued`.
    let bare =
        name.strip_prefix("is").filter(|rest| rest.starts_with(|first: char| first == '_' || first.is_uppercase()));
    let name = bare.map_or(name, |rest| rest.trim_start_matches('_'));
    Some(format!("{}{}", if *is { "" } else { "not " }, plain_text(&name.to_lowercase())))
}

/// The same, safe to show; `None` where there is nothing to see.
pub(crate) fn plain(body: &Value, pointer: Option<&String>) -> Option<String> {
    text(body, pointer).map(|text| plain_text(&text)).filter(|text| !text.is_empty())
}

/// RFC 3339, or Unix time: in seconds, and in milliseconds where seconds would be thousands of years from now.
fn timestamp(body: &Value, pointer: Option<&String>) -> Option<Timestamp> {
    let written = text(body, pointer)?;
    match written.parse::<i64>() {
        // A number as small as this may be the seconds that are left, or anything.
        Ok(unix) if unix < FIRST_SECONDS => None,
        Ok(unix) if unix < FIRST_MILLISECONDS => Timestamp::from_second(unix).ok(),
        Ok(unix) => Timestamp::from_millisecond(unix).ok(),
        Err(_) => written.parse().ok(),
    }
}

/// Where the secret is within the answer: all of it, or the one entry of a list that has no end.
fn entry<'a>(body: &'a Value, answer: &RotateAnswerSpec) -> Result<&'a Value, AnswerError> {
    let (Some(list), Some(without)) = (&answer.list, &answer.without) else { return Ok(body) };
    let entries = body.pointer(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut new = entries.iter().filter(|entry| entry.pointer(without).is_none_or(Value::is_null));
    match (new.next(), new.next()) {
        (Some(entry), None) => Ok(entry),
        (None, _) => Err(AnswerError::Missing { pointer: list.clone() }),
        _ => Err(AnswerError::Several { list: list.clone(), without: without.clone() }),
    }
}

fn secret(body: &Value, pointer: &str) -> Result<Secret, AnswerError> {
    let pointer = || pointer.to_owned();
    match body.pointer(&pointer()) {
        None | Some(Value::Null) => Err(AnswerError::Missing { pointer: pointer() }),
        Some(Value::String(value)) if is_masked(value) => Err(AnswerError::Masked { pointer: pointer() }),
        Some(Value::String(value)) => {
            let fits = !value.is_empty() && value.len() <= LONGEST_SECRET;
            let legal = !value.chars().any(|character| character.is_control() || character.is_whitespace());
            if fits && legal {
                Ok(Secret::new(value.as_str()))
            } else {
                Err(AnswerError::NotASecret { pointer: pointer() })
            }
        }
        Some(_) => Err(AnswerError::WrongType { pointer: pointer() }),
    }
}

/// Whether part of a secret is hidden or left out. A replayed answer may be so, and must not reach a store.
fn is_masked(value: &str) -> bool {
    value.contains(['…', '•']) || value.contains("***") || value.contains("...")
}

/// Whether a shown secret can be the whole one; stricter than for a new secret, because here nothing promises it.
fn is_whole(shown: &str) -> bool {
    let legal = !shown.chars().any(|character| character == '*' || character.is_control() || character.is_whitespace());
    shown.chars().count() >= SHORTEST_WHOLE && shown.len() <= LONGEST_SECRET && legal && !is_masked(shown)
}

impl fmt::Debug for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reply")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("complete", &self.complete)
            .field("date", &self.date)
            .field("request_id", &self.request_id)
            .field("replayed", &self.replayed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn d4_an_end_in_unix_time_is_read_in_either_unit() {
        let at = |value: Value| timestamp(&json!({ "at": value }), Some(&"/at".to_owned())).map(|at| at.to_string());
        for (value, expected) in [
            (json!("2026-11-22T13:00:00Z"), Some("2026-11-22T13:00:00Z")),
            (json!("2026-11-22T15:00:00+02:00"), Some("2026-11-22T13:00:00Z")),
            (json!(1_795_352_400), Some("2026-11-22T13:00:00Z")),
            (json!("1795352400"), Some("2026-11-22T13:00:00Z")),
            (json!(1_795_352_400_123_i64), Some("2026-11-22T13:00:00.123Z")),
            (json!(1_795_352_400.5), None),
            (json!(12_345), None),
            (json!(-1_795_352_400), None),
            (json!("in an hour"), None),
            (json!(i64::MAX), None),
            (json!(true), None),
        ] {
            assert_eq!(at(value.clone()).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn the_entry_without_an_end_is_the_new_one_if_there_is_one_alone() {
        let mut spec: RotateAnswerSpec = serde_json::from_value(json!({ "secret": "/value" })).unwrap();
        (spec.list, spec.without) = (Some("/secrets".to_owned()), Some("/ends".to_owned()));
        let found = |secrets: Value| {
            let body = json!({ "secrets": secrets });
            entry(&body, &spec).map(|entry| entry["value"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(found(json!([{ "value": "old", "ends": "soon" }, { "value": "new" }])), Ok("new".to_owned()));
        assert_eq!(found(json!([{ "value": "new", "ends": null }])), Ok("new".to_owned()));
        assert!(matches!(found(json!([{ "value": "old", "ends": 1 }])), Err(AnswerError::Missing { .. })));
        assert!(matches!(found(json!([{ "value": "a" }, { "value": "b" }])), Err(AnswerError::Several { .. })));
        assert!(matches!(found(json!({ "value": "a" })), Err(AnswerError::Missing { .. })));
    }

    #[test]
    fn c8_a_yes_or_no_is_told_as_a_word() {
        let item = json!({ "isActive": true, "is_on": false, "status": "live", "enabled": true, "issued": true });
        let word = |pointer: &str| state(&item, Some(&pointer.to_owned()));
        let words = ["/isActive", "/is_on", "/status", "/enabled", "/issued", "/none"].map(word);
        let expected = [Some("active"), Some("not on"), Some("live"), Some("enabled"), Some("issued"), None];
        assert_eq!(words, expected.map(|word| word.map(str::to_owned)));
    }
}
