//! The vocabulary of provider descriptions: what a TOML file may say, one type a section.
//!
//! These are the words as written; `check.rs` turns them into a `Provider` in which impossible states are gone.
//! Unknown keys are refused everywhere. Paths into answers are JSON pointers (RFC 6901). Durations are written
//! `24h`, `10m`, `300s`. `man/whsec-provider.5` explains every word to people who write such a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod delivery;
mod list;
mod overlap;
mod rotate;

pub use delivery::{
    Encoding, Grammar, Hash, KeyDecoding, ProbeSpec, SignatureSpec, TestAnswerSpec, TestDeliverySpec, TimestampForm,
};
pub use list::EndpointsSpec;
pub use overlap::{EndKind, EndSpec, OverlapKind, OverlapSpec, Signs};
pub use rotate::{RotateAnswerSpec, RotateKind, RotateSpec, SecondsSpec, SecretForm, SecretSpec};

/// A whole description.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Version of this vocabulary; only 1 exists.
    pub version: u32,
    /// The provider's name in commands: lower-case letters, digits and `-`.
    pub name: String,
    /// The name people know it by.
    pub title: String,
    /// Scheme and host of the API, perhaps with a path prefix. Absent where the operator has to set it.
    pub base_url: Option<String>,
    /// Other addresses at which the very same endpoints are, as `https://HOST`.
    #[serde(default)]
    pub same: Vec<String>,
    /// The ids that name an endpoint, in the order of `PROVIDER/ID/ID`; the last one is the endpoint's own.
    pub ids: Vec<String>,
    /// What is known of the values of an id, by its name.
    #[serde(default)]
    pub id: BTreeMap<String, IdSpec>,
    /// How receivers take the new secret unless the target says otherwise.
    #[serde(default)]
    pub cutover: Option<Cutover>,
    /// Headers that every request carries.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers and parameters that a target may switch on with `options = { NAME = "…" }`.
    #[serde(default)]
    pub options: BTreeMap<String, OptionSpec>,
    /// Absent where nothing is ever sent, because a person rotates.
    #[serde(default, skip_serializing_if = "AuthSpec::is_absent")]
    pub auth: AuthSpec,
    pub rotate: RotateSpec,
    pub overlap: OverlapSpec,
    /// The call that lists endpoints. A journal keeps what a rotation needs of a description, and this is none of it.
    #[serde(default, skip_serializing)]
    pub list: Option<EndpointsSpec>,
    /// How the old secret is ended, where it lives until somebody ends it.
    pub end: Option<EndSpec>,
    /// How the old secret can be ended at once; absent where the provider has no such call.
    pub force: Option<ForceSpec>,
    /// Absent where a repeated request would rotate again.
    pub idempotency: Option<IdempotencySpec>,
    pub inspect: Option<InspectSpec>,
    #[serde(default)]
    pub errors: ErrorsSpec,
    /// Absent where the provider does not document how deliveries are signed.
    pub signature: Option<SignatureSpec>,
    /// The provider's own call that sends a test delivery.
    pub test_delivery: Option<TestDeliverySpec>,
    /// The event that whsec itself sends to see what a receiver accepts.
    pub probe: Option<ProbeSpec>,
    /// How many calls the provider takes, as far as it says.
    pub rate: Option<RateSpec>,
    /// What one rotation reaches, in words for the operator.
    pub scope: Option<String>,
    /// What has surprised people, in words for the operator.
    #[serde(default)]
    pub hazards: Vec<String>,
    /// Where each group of facts was read, and when.
    #[serde(default)]
    pub sources: Vec<SourceSpec>,
}

/// How many calls a provider takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateSpec {
    /// Calls a second.
    pub per_second: Option<f64>,
    /// Calls under way at once.
    pub at_once: Option<u16>,
}

impl Spec {
    /// Whether an id is the operator's own name for something, and is sent nowhere.
    pub fn is_label(&self, id: &str) -> bool {
        self.id.get(id).is_some_and(|known| known.form == IdForm::Label)
    }
}

/// What is known of the values of one id.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdSpec {
    pub form: IdForm,
}

/// What an id's values are like, where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IdForm {
    /// A UUID: the same in large and in small letters.
    Uuid,
    /// The operator's own name for what the API key alone leads to, as an account. It is sent nowhere.
    Label,
}

/// How receivers take a new secret while the provider signs with both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cutover {
    /// Receivers accept either secret for a while.
    Either,
    /// Receivers keep one secret and change it within the overlap.
    Switch,
}

/// A header, or a parameter of every address, that only a target's own option sends.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OptionSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What it is for, in words for the operator.
    pub about: String,
}

/// How requests prove who sends them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSpec {
    /// The environment variable that may hold the API key.
    pub env: String,
    /// Which key it has to be, in words for the operator.
    pub about: String,
    /// The ways in which the key may be sent; the first is the default, a target picks another by `auth = "NAME"`.
    pub schemes: Vec<AuthSchemeSpec>,
    /// Keys that are certainly the wrong ones, refused before anything is sent.
    #[serde(default)]
    pub refuse: Vec<RefuseSpec>,
}

impl AuthSpec {
    /// Whether nothing is said of it.
    pub fn is_absent(&self) -> bool {
        self.env.is_empty() && self.about.is_empty() && self.schemes.is_empty() && self.refuse.is_empty()
    }
}

/// One way of sending the API key.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSchemeSpec {
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub header: String,
    /// The header's value, with `{key}` in it once.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// In place of a header: what stands in front of every path, with `{key}` in it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How the key is written there, where it is not as it stands.
    pub encode: Option<KeyEncoding>,
}

/// Ways to write an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyEncoding {
    /// Base64, as the basic authentication of RFC 7617 has it: the key is `ID:SECRET`.
    Base64,
}

/// A key that starts like this is refused, everywhere or on one host.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RefuseSpec {
    pub prefix: String,
    pub host: Option<String>,
    /// The reason and the fix, in words for the operator.
    pub why: String,
}

/// The methods that descriptions use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The method as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request with this method says how long its body is, even if it has none.
    pub fn carries_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// The call that ends the old secret at once: the rotate call with another body.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ForceSpec {
    /// The JSON body; the string `"{reason}"` in it is replaced by the operator's reason.
    pub body: Option<serde_json::Value>,
    /// Longest reason that the provider takes, in characters.
    pub reason_max: Option<usize>,
}

/// How a repeated request is recognised.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdempotencySpec {
    /// The header that carries the key. Left out where `{idempotency_key}` in the body does.
    pub header: Option<String>,
    pub form: KeyForm,
    /// Longest key in characters, with `token`.
    pub max_length: Option<usize>,
    /// How long the provider remembers a key.
    pub window: String,
    /// The header that marks a replayed answer, where there is one.
    pub replayed: Option<String>,
}

/// What an idempotency key may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyForm {
    /// A UUID and nothing else.
    Uuid,
    /// Letters, digits, `_` and `-`.
    Token,
}

/// The call that shows an endpoint, and what its answer holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InspectSpec {
    pub method: Method,
    /// That a `POST` changes nothing.
    #[serde(default)]
    pub reads: bool,
    pub path: String,
    /// The body of a `POST`.
    pub body: Option<serde_json::Value>,
    /// With this, the answer is one page of a list from which the endpoint is picked by its id.
    pub list: Option<ListSpec>,
    #[serde(default)]
    pub answer: InspectAnswerSpec,
}

/// A list that comes in numbered pages.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// The array in the answer.
    pub items: String,
    /// The id within one item.
    pub id: String,
    /// The query parameter with the page's number, from 1.
    pub page: String,
    /// The query parameter with the page's size, and the size asked for.
    pub size: String,
    pub size_value: u32,
    /// The boolean in the answer that says whether there are more pages.
    pub more: String,
}

/// Where things are in the answer to an inspect call (within the item, for a list). All are optional.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InspectAnswerSpec {
    pub url: Option<String>,
    pub status: Option<String>,
    pub version: Option<String>,
    pub fingerprint: Option<String>,
    pub updated_at: Option<String>,
    pub old_expires_at: Option<String>,
    /// The secret, where the provider shows it: absent, empty, masked or whole. Never printed; a whole one serves
    /// only to recover a lost answer.
    pub secret: Option<String>,
}

/// What the provider's errors mean.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorsSpec {
    /// Where an error's code is in the answer.
    pub code: Option<String>,
    /// Where an error's sentence is in the answer.
    pub message: Option<String>,
    /// What an answer has that refuses with a status of success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// Where the provider's own id of the request is in the answer, beside the header `X-Request-Id`.
    pub request_id: Option<String>,
    /// The first row that fits wins; where none fits, the status decides as `whsec-provider(5)` lists.
    #[serde(default)]
    pub table: Vec<ErrorSpec>,
}

/// One row of the error table.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorSpec {
    pub status: u16,
    pub code: Option<String>,
    pub means: Meaning,
    /// What it says to the operator.
    pub says: Option<String>,
}

/// What an error means for a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The API key is not accepted, or may not do this. Not applied.
    Auth,
    /// No such endpoint. Not applied.
    NotFound,
    /// An earlier rotation's overlap is still open. Not applied.
    OverlapOpen,
    /// The idempotency key was used with other bytes. Not applied.
    KeyConflict,
    /// The first request with this key is still at work. Ask again with the same key.
    InFlight,
    /// Something else is in the way. Not applied.
    Conflict,
    /// The request is refused as it stands. Not applied.
    Invalid,
    /// Too many requests. Not applied.
    RateLimited,
    /// Down, and certainly not applied.
    Unavailable,
    /// May have been applied.
    Unknown,
}

/// Where facts come from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    pub facts: String,
    pub url: String,
    /// The day it was read, `YYYY-MM-DD`.
    pub read: String,
}
