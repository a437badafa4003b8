//! Reads what somebody caught: a raw HTTP request, a JSON object with headers and body, or a HAR file.
//!
//! Errors say line and column, never content.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{Delivery, Loss, har, http};

/// A capture cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CaptureError {
    #[error("it is empty")]
    Empty,
    #[error("it is not an HTTP request: {why}")]
    NotHttp { why: String },
    #[error("no blank line separates the headers from the body")]
    NoBlankLine,
    #[error("it is not the JSON of a capture: {category} at line {line}, column {column}")]
    NotJson { category: &'static str, line: usize, column: usize },
    #[error("`{field}` is not base64")]
    NotBase64 { field: &'static str },
    #[error("the HAR file has no request in it")]
    EmptyHar,
    #[error("there are several lines of JSON in it")]
    SeveralLines,
}

impl CaptureError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::SeveralLines => "count the deliveries of a log with `--follow`".to_owned(),
            Self::NotJson { .. } => {
                "write it as `{\"headers\":{…},\"body\":\"…\"}`, with `body_base64` for bytes that are no text"
                    .to_owned()
            }
            _ => "a capture is a raw HTTP request, `{\"headers\":{…},\"body\":\"…\"}` or a HAR file".to_owned(),
        }
    }

    fn json(error: &serde_json::Error) -> Self {
        let category = match error.classify() {
            serde_json::error::Category::Io => "input",
            serde_json::error::Category::Syntax => "syntax",
            serde_json::error::Category::Data => "not the fields of one",
            serde_json::error::Category::Eof => "it ends too early",
        };
        Self::NotJson { category, line: error.line(), column: error.column() }
    }
}

/// Most values of one header that are kept: more than any server takes.
const MOST_VALUES: usize = 1_000;

/// Reads a whole file: one delivery, or all of a HAR file's, one after the other, as together they may be many times the
/// file. What was made of those before an error is nothing worth.
pub fn each(bytes: &[u8], mut take: impl FnMut(&Delivery<'_>)) -> Result<(), CaptureError> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => Err(CaptureError::Empty),
        Some(b'{') => each_of_json(bytes, &mut take),
        Some(_) => {
            take(&http::parse(bytes)?);
            Ok(())
        }
    }
}

/// Reads one line of a log: `{"headers":{…},"body":"…"}` with whatever else stands in it.
pub fn parse_line(line: &[u8]) -> Result<Delivery<'_>, CaptureError> {
    let failed = |error| CaptureError::json(&error);
    // As text at once: then no string in it has to be looked at for that again.
    let Ok(text) = std::str::from_utf8(line) else {
        let record: Record<'_, Text<'_>> = serde_json::from_slice(line).map_err(failed)?;
        return record.delivery();
    };
    // Most bodies are texts; looking at one as anything that it may be takes twice the time.
    match serde_json::from_str::<Record<'_, Text<'_>>>(text) {
        Ok(record) => record.delivery(),
        Err(_) => {
            let record: Record<'_, &RawValue> = serde_json::from_str(text).map_err(failed)?;
            let (body, loss) = match record.body_base64 {
                Some(text) => (Cow::Owned(decode(&text.0, "body_base64")?), None),
                None => {
                    let parsed = record.body.map_or(Cow::default(), |raw| Cow::Borrowed(raw.get().as_bytes()));
                    (parsed, Some(Loss::Parsed))
                }
            };
            let received_at = record.received_at.map(|moment| moment.0);
            let (url, method) = (record.url.map(|url| url.0), record.method.map(|method| method.0));
            Ok(Delivery { headers: record.headers.0, url, method, body, received_at, loss })
        }
    }
}

fn each_of_json(bytes: &[u8], take: &mut dyn FnMut(&Delivery<'_>)) -> Result<(), CaptureError> {
    let mut lines = serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    let whole = match lines.next() {
        Some(Ok(whole)) => whole,
        Some(Err(error)) => return Err(CaptureError::json(&error)),
        None => return Err(CaptureError::Empty),
    };
    if lines.next().is_some() {
        return Err(CaptureError::SeveralLines);
    }
    // Whether it is a HAR file is known at its end.
    match har::read(whole, &mut |_| true) {
        Ok(Some(0)) => return Err(CaptureError::EmptyHar),
        Ok(Some(_)) => {}
        _ => {
            take(&parse_line(whole.get().as_bytes())?);
            return Ok(());
        }
    }
    let mut outcome = Ok(());
    let read = har::read(whole, &mut |entry| {
        outcome = entry.delivery().map(|delivery| take(&delivery));
        outcome.is_ok()
    });
    outcome.and(read.map(drop).map_err(|error| CaptureError::json(&error)))
}

/// A delivery as taps and function platforms write it.
#[derive(Deserialize)]
struct Record<'a, Body> {
    #[serde(borrow)]
    headers: Headers<'a>,
    #[serde(borrow, default)]
    url: Option<Text<'a>>,
    #[serde(borrow, default)]
    method: Option<Text<'a>>,
    body: Option<Body>,
    #[serde(borrow, default)]
    body_base64: Option<Text<'a>>,
    /// As AWS Lambda writes it.
    #[serde(default, rename = "isBase64Encoded")]
    is_base64: bool,
    #[serde(default)]
    received_at: Option<Stamp>,
}

impl<'a> Record<'a, Text<'a>> {
    fn delivery(self) -> Result<Delivery<'a>, CaptureError> {
        let (body, loss) = match (self.body_base64, self.body) {
            (Some(text), _) => (Cow::Owned(decode(&text.0, "body_base64")?), None),
            (None, Some(text)) if self.is_base64 => (Cow::Owned(decode(&text.0, "body")?), None),
            (None, Some(Text(Cow::Borrowed(text)))) => (Cow::Borrowed(text.as_bytes()), None),
            (None, Some(Text(Cow::Owned(text)))) => (Cow::Owned(text.into_bytes()), None),
            (None, None) => (Cow::default(), Some(Loss::NoBody)),
        };
        let received_at = self.received_at.map(|moment| moment.0);
        let (url, method) = (self.url.map(|url| url.0), self.method.map(|method| method.0));
        Ok(Delivery { headers: self.headers.0, url, method, body, received_at, loss })
    }
}

pub(super) fn decode(text: &str, field: &'static str) -> Result<Vec<u8>, CaptureError> {
    STANDARD.decode(text).map_err(|_| CaptureError::NotBase64 { field })
}

/// A text that is borrowed where it has no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        input.deserialize_str(TextVisitor)
    }
}

/// RFC 3339, or Unix seconds.
pub(super) struct Stamp(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(f64),
            Text(String),
        }
        let moment = match Written::deserialize(input)? {
            #[expect(clippy::cast_possible_truncation, reason = "a time that is out of range is refused below")]
            Written::Seconds(seconds) => Timestamp::from_millisecond((seconds * 1000.0) as i64).ok(),
            Written::Text(text) => text.parse().ok(),
        };
        moment.map(Self).ok_or_else(|| serde::de::Error::custom("not a time"))
    }
}

/// Headers as an object of texts or lists of texts, as pairs, or as objects with `name` and `value`.
struct Headers<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers<'de>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut headers = Vec::with_capacity(16);
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match map.next_value::<Values<'de>>()? {
                Values::One(value) => headers.push((name.0, value)),
                Values::Many(values) => headers.extend(values.into_iter().map(|value| (name.0.clone(), value.0))),
                Values::Other => {}
            }
        }
        Ok(Headers(headers))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Item {
            Pair(String, String),
            Named { name: String, value: String },
        }
        let mut headers = Vec::new();
        while let Some(item) = list.next_element::<Item>()? {
            let (Item::Pair(name, value) | Item::Named { name, value }) = item;
            headers.push((Cow::Owned(name), Cow::Owned(value)));
        }
        Ok(Headers(headers))
    }
}

/// The value of one header: a text, several, or something that is no header's value.
enum Values<'a> {
    One(Cow<'a, str>),
    Many(Vec<Text<'a>>),
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct ValuesVisitor;
        impl<'de> Visitor<'de> for ValuesVisitor {
            type Value = Values<'de>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a header's value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Values::One(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Values::One(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    if values.len() < MOST_VALUES {
                        values.push(value);
                    }
                }
                Ok(Values::Many(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Values::Other)
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Values::One(Cow::Owned(number.to_string())))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Values::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Values::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Values::Other)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Values::Other)
            }
        }
        input.deserialize_any(ValuesVisitor)
    }
}
