//! The words about the call that changes the secret: who makes the new one, and where it is said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Method;

/// The rotate call and what its answer holds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RotateSpec {
    #[serde(default)]
    pub kind: RotateKind,
    /// Absent where a person rotates, as is every word of a call.
    pub method: Option<Method>,
    /// Path template below `base_url`; `{id}` stands for an id, always as one percent-encoded segment.
    pub path: Option<String>,
    /// Where a person rotates: the page and what to press there, in words for the operator. `{id}` stands for an id.
    #[serde(rename = "where")]
    pub page: Option<String>,
    /// The JSON body. Absent: no body is sent. A string that is wholly `{ID}` stands for an id.
    pub body: Option<serde_json::Value>,
    /// The media type of the body, where it is another one than `application/json`.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// What has to be sent back as it was read, or belongs to a second endpoint: pointers into the inspect answer, by a name. In
    /// `body`, `"{carry.NAME}"` stands for one.
    #[serde(default)]
    pub carry: BTreeMap<String, String>,
    /// The same of what an endpoint need not have: it is left out of the body then.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub may_carry: BTreeMap<String, String>,
    /// With `kind = "replace"`: what no call gives to the second endpoint, by the pointer at which the first has it, in words for the
    /// operator. An endpoint that has it is not replaced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uncarried: BTreeMap<String, String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Path template of the call (GET) that shows the new secret, where the rotate call's own answer does not. `answer` is of that
    /// one then.
    pub read: Option<String>,
    /// With `kind = "replace"`: the call (GET) that lists endpoints, in which one is found whose answer is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<SecondsSpec>,
    /// Absent where the secret is ours to make.
    pub answer: Option<RotateAnswerSpec>,
    /// What it is made like then. In `body`, `"{secret}"` stands for it. Where a person rotates: what the page shows looks like.
    pub secret: Option<SecretSpec>,
}

/// A list of endpoints, as far as it comes with one call.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SecondsSpec {
    pub path: String,
    /// The array in the answer.
    pub items: String,
    /// An endpoint's own id, and the address that it delivers to, within one item.
    pub id: String,
    pub url: String,
}

/// Who makes the new secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RotateKind {
    /// The provider, which answers with it.
    #[default]
    Call,
    /// The caller, who sends it.
    Set,
    /// The provider, with a second endpoint that it makes beside the first.
    Replace,
    /// The provider, on a page on which a person asks for it.
    Hand,
}

/// What a secret is made like.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSpec {
    pub form: SecretForm,
    /// How many random bytes are in it. Always said of one that whsec makes.
    pub bytes: Option<usize>,
    /// What one from a page begins with.
    pub prefix: Option<String>,
}

/// How random bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretForm {
    Hex,
    Base64,
    /// The base64 of URLs, without padding.
    Base64url,
    /// `whsec_` and base64, as Standard Webhooks has it.
    Whsec,
    /// Anything, as far as a page shows it.
    Text,
}

impl SecretForm {
    /// The word of the description.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base64url => "base64url",
            Self::Whsec => "whsec",
            Self::Text => "text",
        }
    }
}

/// Where things are in the answer to a rotate call, or to the one that shows what it made.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RotateAnswerSpec {
    pub secret: String,
    /// A list of secrets: `secret` is within the one entry then that has nothing at `without`, which is within an entry, too.
    pub list: Option<String>,
    pub without: Option<String>,
    /// The endpoint's own id, compared with the one that was asked for. With `kind = "replace"`: the new endpoint's.
    pub id: Option<String>,
    pub version: Option<String>,
    /// The provider's own short form of the new secret, safe to show.
    pub fingerprint: Option<String>,
    /// When the old secret ends: RFC 3339, or Unix time.
    pub old_expires_at: Option<String>,
    /// A sentence for the operator.
    pub notice: Option<String>,
}
