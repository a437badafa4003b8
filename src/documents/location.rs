//! Where a shared journal is, as it is written in a config, and what it takes to be let in: never in the same text.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::objects::{Access, Bucket};
use super::postgres::{Server, ServerLogin};
use crate::http::Url;

/// A place of documents: `postgres://HOST/DATABASE` or `s3://BUCKET/PREFIX`, with options behind `?` and the journal's key behind `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// As it was written, without what is behind `#`.
    text: String,
    place: Place,
    /// The fingerprint of the journal's key: another journal that somebody put there is not believed.
    key: Option<String>,
}

/// The kinds of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Postgres(Server),
    Objects(Bucket),
}

/// Why a text is not a location.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{why}")]
pub struct BadLocation {
    pub why: String,
}

impl BadLocation {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// What it takes to be let in.
#[derive(Clone, Debug)]
pub enum Login {
    Postgres(ServerLogin),
    Objects(Access),
}

impl FromStr for Location {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        let url = Url::parse(text)
            .map_err(|_| BadLocation::new("is no address: `postgres://HOST/DATABASE` or `s3://BUCKET/PREFIX`"))?;
        let place = match url.scheme() {
            "postgres" | "postgresql" => Place::Postgres(Server::of(&url)?),
            "s3" => Place::Objects(Bucket::of(&url)?),
            "gs" | "az" => {
                return Err(BadLocation::new(
                    "is an object store that this whsec cannot keep a journal in; `s3://…` and `postgres://…` can",
                ));
            }
            _ => {
                let why = "is no place for a journal: `postgres://HOST/DATABASE` or `s3://BUCKET/PREFIX`";
                return Err(BadLocation::new(why));
            }
        };
        let key = url.fragment().filter(|key| !key.is_empty()).map(str::to_ascii_lowercase);
        if key.as_ref().is_some_and(|key| key.len() != KEY_DIGITS || !key.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(BadLocation::new("has something behind `#` that is not the fingerprint of a journal's key"));
        }
        Ok(Self { text: text.split('#').next().unwrap_or_default().to_owned(), place, key })
    }
}

/// How many hex digits of a key's fingerprint a location has.
pub const KEY_DIGITS: usize = 24;

impl Location {
    /// The fingerprint that the journal's key has to have, where it is said.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Which kind of place it is, and where: who is let in is found out otherwise at each.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for Location {
    /// As it is typed, without the fingerprint behind it.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

#[cfg(test)]
#[path = "location_tests.rs"]
mod tests;
