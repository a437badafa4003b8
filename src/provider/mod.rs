//! Providers as data: a description says what each call looks like, and nothing here is written for one of them.
//!
//! `spec` holds the words, `check` turns words into a `Provider`, `request` and `answer` speak for it, `client`
//! performs what they say, `signature` signs and verifies deliveries, `stand_in` answers as the provider would,
//! `preview` shows requests to people, and `catalog` finds descriptions by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub mod answer;
mod auth;
mod by_hand;
mod catalog;
mod check;
pub mod client;
mod duration;
mod endpoint;
mod error;
mod form;
mod idempotency;
mod identity;
mod judge;
mod layout;
pub mod listing;
mod mac;
pub mod made;
mod nearest;
mod options;
mod overlap;
pub mod pace;
mod parse;
mod path;
mod placeholders;
pub mod preview;
pub mod receiver;
pub mod recipe;
mod remembered;
mod replace;
pub mod request;
mod rules;
mod sections;
pub mod signature;
mod signed;
pub mod spec;
pub mod stand_in;
mod tags;
mod tested;
mod text;
mod withhold;
mod words;

pub use catalog::{Catalog, Origin};
pub use check::{Force, Overlap, Provider};
pub use duration::{duration, duration_text};
pub use endpoint::id_flaw;
pub use error::{ProviderError, RequestError};
pub use idempotency::Idempotency;
pub use identity::is_same_address;
pub use remembered::remembered;
pub use tested::Tested;
pub use text::{is_hostile, plain_text};
pub use words::Carried;

pub use crate::http::Url;

/// The header that says that a delivery is a probe of whsec's.
pub const PROBE_MARK: &str = "X-Whsec-Probe";

/// One webhook endpoint at a provider: everything that a request needs but the API key.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub provider: Arc<Provider>,
    /// Validated: https, or http to loopback; no query, fragment, user or password; no trailing slash.
    pub base_url: Url,
    /// Ids by name, in the provider's order, as the endpoint is known by.
    pub ids: Vec<Id>,
    /// Its own id by now, where another endpoint has taken its place since.
    pub present: Option<String>,
    /// Index into the provider's authentication schemes.
    pub auth: usize,
    /// Values for the provider's optional headers.
    pub options: BTreeMap<String, String>,
    /// What the journal calls it, where its provider's description is gone and cannot say.
    pub known_as: Option<String>,
}

/// An id that names an endpoint or part of the way to it. One path segment; never empty, `.`, `..`, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Id {
    pub name: String,
    pub value: String,
}

impl Endpoint {
    /// The endpoint's own id by now.
    pub fn own_id(&self) -> &str {
        self.present.as_deref().unwrap_or_else(|| self.ids.last().map_or("", |id| &id.value))
    }

    /// Its ids by now, as calls name it.
    pub fn ids_now(&self) -> Vec<Id> {
        let mut ids = self.ids.clone();
        if let (Some(own), Some(present)) = (ids.last_mut(), &self.present) {
            own.value.clone_from(present);
        }
        ids
    }

    /// The same endpoint under the id that has taken its place.
    pub fn at(&self, own: &str) -> Self {
        Self { present: Some(own.to_owned()), ..self.clone() }
    }

    /// Whether no more is known of it than what the journal has: nothing may be sent to it.
    pub fn is_remembered(&self) -> bool {
        self.known_as.is_some()
    }

    /// `https://host[:port]`, to which an API key is bound.
    pub fn origin(&self) -> String {
        self.base_url.origin().ascii_serialization()
    }

    /// The same for every way of naming this endpoint.
    pub fn key(&self) -> String {
        self.known_as.clone().unwrap_or_else(|| self.provider.identity(&self.base_url, &self.ids))
    }

    /// Whether a text is the endpoint's own id, in whatever spelling.
    pub fn is_own_id(&self, text: &str) -> bool {
        self.ids.last().is_some_and(|own| self.provider.is_same_id(&own.name, self.own_id(), text))
    }
}
