//! The words about deliveries: how they are signed, and how one is made to come.

use serde::{Deserialize, Serialize};

use super::Method;

/// How deliveries are signed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureSpec {
    /// The header with the signatures.
    pub header: String,
    /// How they stand in it, where that has a name; else `lead`, `entry` and `between` say it.
    pub grammar: Option<Grammar>,
    /// What stands in front of all signatures, with `{timestamp}` at its end.
    pub lead: Option<String>,
    /// One signature, with `{mac}` at its end; or `{secret}`, where deliveries bear the secret itself.
    pub entry: Option<String>,
    /// What stands between two signatures; without it there is only one.
    pub between: Option<String>,
    /// The header with the timestamp, where it is not in the signature header.
    pub timestamp_header: Option<String>,
    /// How the timestamp is written, where it is not in Unix seconds.
    pub timestamp_form: Option<TimestampForm>,
    /// The header with the delivery's id, where it is signed.
    pub id_header: Option<String>,
    /// What is signed: `{timestamp}`, `{id}`, `{method}`, `{url}` and `{body}` or `{form}`, joined as written.
    pub signed: Option<String>,
    #[serde(default, skip_serializing_if = "Hash::is_usual")]
    pub hash: Hash,
    pub encoding: Option<Encoding>,
    pub key: Option<KeyDecoding>,
    /// How far a timestamp may be off, where there is one.
    pub tolerance: Option<String>,
}

/// How several signatures stand in one header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Grammar {
    /// `t=1700000000,v1=…,v1=…`
    #[serde(rename = "t=,v1=")]
    Pairs,
    /// `v1,… v1,…` as Standard Webhooks has it
    #[serde(rename = "v1, v1,")]
    Spaced,
}

/// How a timestamp is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestampForm {
    /// Unix seconds.
    #[default]
    S,
    /// Unix milliseconds.
    Ms,
    /// `2026-11-22T13:00:00Z`
    Rfc3339,
}

/// The hash of the HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    Sha1,
    #[default]
    Sha256,
    Sha512,
}

impl Hash {
    /// Whether it is the one that need not be said.
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// How a MAC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    Hex,
    Base64,
    /// With `-` and `_`, without padding.
    Base64url,
}

/// How the HMAC key is made from the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDecoding {
    /// The whole string's bytes, prefix included.
    Raw,
    /// `whsec_` is cut off and the rest is base64.
    Base64AfterPrefix,
    Base64,
    Hex,
}

/// The provider's own test delivery.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TestDeliverySpec {
    pub method: Method,
    pub path: String,
    pub body: Option<serde_json::Value>,
    /// Whether the call itself takes an idempotency key.
    #[serde(default)]
    pub idempotency: bool,
    /// What comes of it and how fast, in words for the operator.
    pub about: String,
    #[serde(default)]
    pub answer: TestAnswerSpec,
}

/// Where things are in the answer to a test call. All are optional.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TestAnswerSpec {
    /// The boolean that says whether the receiver accepted the delivery.
    pub success: Option<String>,
    /// The status that the receiver answered with.
    pub status: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The delivery's id, to look for it in a log.
    pub id: Option<String>,
}

/// A marked, harmless event.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// The body. In its strings `{id}` stands for the event's id, `{time}` for the time (RFC 3339) and `{seconds}` for
    /// the same in Unix seconds.
    pub body: serde_json::Value,
}
