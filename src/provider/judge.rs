//! What an answer's status, code and headers mean: the description's error table first, then defaults by status.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::answer::{Outcome, Refusal, Reply, Unknown, parse, plain, text};
use super::spec::{ErrorSpec, Meaning};
use super::{Provider, plain_text};
use crate::http::Received;

/// The status of a conflict.
const CONFLICT: u16 = 409;

/// Headers that carry the provider's own id of a request.
const REQUEST_ID_HEADERS: [&str; 2] = ["x-request-id", "request-id"];

/// Says what an answer means. Only the table and the status decide; the provider's words are passed on.
pub fn judge(provider: &Provider, received: Received) -> Outcome {
    let date = received.header("date").and_then(http_date);
    let retry_after = received.header("retry-after").and_then(|text| wait(text, date));
    let replayed = provider.idempotency().and_then(|idempotency| idempotency.replayed.as_ref());
    let replayed =
        replayed.and_then(|name| received.header(name)).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let named = REQUEST_ID_HEADERS.iter().find_map(|name| received.header(name)).map(plain_text);
    let status = received.status;
    let mut reply =
        Reply { status, body: received.body, complete: received.complete, date, request_id: named, replayed };
    let body = parse(&reply).unwrap_or(Value::Null);
    let errors = &provider.spec().errors;
    reply.request_id = reply.request_id.or_else(|| plain(&body, errors.request_id.as_ref()));
    if (200..300).contains(&status) && !refuses(provider, &body) {
        return Outcome::Success(reply);
    }
    let code = text(&body, errors.code.as_ref());
    let row = errors.table.iter().find(|row| fits(row, status, code.as_deref()));
    let meaning = meaning(row.map(|row| row.means), status);
    let code = code.as_deref().map(plain_text);
    let message = plain(&body, errors.message.as_ref());
    let says = row.and_then(|row| row.says.clone()).or_else(|| redirects(status));
    if meaning == Meaning::Unknown {
        let why =
            says.or(message).map_or_else(|| format!("status {status}"), |words| format!("status {status}: {words}"));
        return Outcome::Unknown(Unknown { status: Some(status), why, retry_after, date });
    }
    Outcome::Refused(Refusal { meaning, status, code, message, says, retry_after, request_id: reply.request_id, date })
}

/// Whether an answer speaks of errors with a status of success: it has what those have, and no secret. What is no row of the table
/// may have been applied all the same.
fn refuses(provider: &Provider, body: &Value) -> bool {
    let spec = provider.spec();
    let has = |value: &Value, pointer: &String| value.pointer(pointer).is_some_and(|found| !found.is_null());
    let has_secret = spec.rotate.answer.as_ref().is_some_and(|answer| {
        let entries = answer.list.as_ref().and_then(|list| body.pointer(list)).and_then(Value::as_array);
        has(body, &answer.secret) || entries.into_iter().flatten().any(|entry| has(entry, &answer.secret))
    });
    spec.errors.within.as_ref().is_some_and(|within| has(body, within)) && !has_secret
}

fn fits(row: &ErrorSpec, status: u16, code: Option<&str>) -> bool {
    row.status == status && (row.code.is_none() || row.code.as_deref() == code)
}

/// What a refusal means: as the table says, else by its status. A 409 is a conflict, of a kind that the table may name.
fn meaning(listed: Option<Meaning>, status: u16) -> Meaning {
    match listed {
        Some(means @ (Meaning::OverlapOpen | Meaning::KeyConflict | Meaning::InFlight | Meaning::Unknown)) => means,
        Some(_) if status == CONFLICT => Meaning::Conflict,
        Some(means) => means,
        None => by_status(status),
    }
}

/// The meaning of a status that the table does not list; `whsec-provider(5)` lists the same.
fn by_status(status: u16) -> Meaning {
    match status {
        401 | 403 => Meaning::Auth,
        404 | 410 => Meaning::NotFound,
        408 | 425 => Meaning::Unknown,
        CONFLICT => Meaning::Conflict,
        429 => Meaning::RateLimited,
        307 | 308 | 400..=499 => Meaning::Invalid,
        _ => Meaning::Unknown,
    }
}

fn redirects(status: u16) -> Option<String> {
    (300..400)
        .contains(&status)
        .then(|| "it redirects, and whsec follows no redirects; is `base_url` right?".to_owned())
}

/// `Retry-After` as seconds, or as a date on the provider's own clock.
fn wait(text: &str, now: Option<Timestamp>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Duration::from_secs);
    }
    let seconds = http_date(text)?.as_second().checked_sub(now?.as_second())?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Reads a `Date` header.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_counts_seconds_or_from_the_providers_clock() {
        let now = http_date("Fri, 20 Nov 2026 12:00:00 GMT");
        assert!(now.is_some());
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("Fri, 20 Nov 2026 12:01:00 GMT", Some(60)),
            ("Fri, 20 Nov 2026 11:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(wait(text, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(wait("Fri, 20 Nov 2026 12:01:00 GMT", None), None);
    }

    #[test]
    fn a_status_without_a_row_never_means_more_than_it_says() {
        for (status, meaning) in [
            (301, Meaning::Unknown),
            (308, Meaning::Invalid),
            (400, Meaning::Invalid),
            (403, Meaning::Auth),
            (404, Meaning::NotFound),
            (408, Meaning::Unknown),
            (409, Meaning::Conflict),
            (410, Meaning::NotFound),
            (425, Meaning::Unknown),
            (429, Meaning::RateLimited),
            (500, Meaning::Unknown),
            (502, Meaning::Unknown),
            (199, Meaning::Unknown),
        ] {
            assert_eq!(by_status(status), meaning, "{status}");
        }
    }

    #[test]
    fn a_409_is_a_conflict_whatever_the_table_says() {
        for (listed, is_kept) in [
            (Meaning::OverlapOpen, true),
            (Meaning::KeyConflict, true),
            (Meaning::InFlight, true),
            (Meaning::Unknown, true),
            (Meaning::Invalid, false),
            (Meaning::Auth, false),
            (Meaning::RateLimited, false),
        ] {
            assert_eq!(meaning(Some(listed), 409), if is_kept { listed } else { Meaning::Conflict });
            assert_eq!(meaning(Some(listed), 422), listed);
        }
        assert_eq!(meaning(None, 409), Meaning::Conflict);
    }
}
