//! HAR files, as browsers and proxies write them: entries are read one after the other, and none is kept.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::capture::{CaptureError, Stamp, Text, decode};
use super::{Delivery, Loss};

/// Gives each entry away until one is not taken, which is an error; yields how many there were, or `None` where it is
/// another object.
pub(super) fn read(text: &RawValue, take: Take<'_>) -> serde_json::Result<Option<usize>> {
    Part::File(take).deserialize(&mut serde_json::Deserializer::from_str(text.get()))
}

type Take<'f> = &'f mut dyn FnMut(Entry) -> bool;

/// The parts around the entries.
enum Part<'f> {
    /// `{"log": …}`
    File(Take<'f>),
    /// `{"entries": …}`
    Log(Take<'f>),
    /// `[…]`
    Entries(Take<'f>),
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        match self {
            Self::File(_) | Self::Log(_) => input.deserialize_map(self),
            Self::Entries(_) => input.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Option<usize>;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a HAR file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (name, inside) = match self {
            Self::File(take) => ("log", Self::Log(take)),
            Self::Log(take) | Self::Entries(take) => ("entries", Self::Entries(take)),
        };
        let (mut inside, mut count) = (Some(inside), None);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.0 == name {
                let part = inside.take().ok_or_else(|| A::Error::duplicate_field(name))?;
                count = map.next_value_seed(part)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        match count {
            None if name == "entries" => Err(A::Error::missing_field(name)),
            count => Ok(count),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (Self::File(take) | Self::Log(take) | Self::Entries(take)) = self;
        let mut count = 0;
        while let Some(entry) = list.next_element()? {
            count += 1;
            if !take(entry) {
                return Err(A::Error::custom("an entry that is no delivery"));
            }
        }
        Ok(Some(count))
    }
}

/// One request and its answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    started_date_time: Option<Stamp>,
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<Header>,
    post_data: Option<Body>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Body {
    text: Option<String>,
    encoding: Option<String>,
}

impl Entry {
    /// The request as a delivery.
    pub(super) fn delivery(self) -> Result<Delivery<'static>, CaptureError> {
        let (headers, method, url) = (self.request.headers, self.request.method, self.request.url);
        let (body, loss) = match self.request.post_data {
            Some(Body { text: Some(text), encoding }) => match encoding.as_deref() {
                Some("base64") => (decode(&text, "postData.text")?, None),
                _ => (text.into_bytes(), None),
            },
            _ => (Vec::new(), Some(Loss::NoBody)),
        };
        Ok(Delivery {
            headers: headers.into_iter().map(|header| (Cow::Owned(header.name), Cow::Owned(header.value))).collect(),
            url: url.map(Cow::Owned),
            method: method.map(Cow::Owned),
            body: Cow::Owned(body),
            received_at: self.started_date_time.map(|moment| moment.0),
            loss,
        })
    }
}
