//! The words about the old secret: how long it lives, and how it is ended.

use serde::{Deserialize, Serialize};

/// How long the provider keeps the old secret.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OverlapSpec {
    pub kind: OverlapKind,
    /// With `fixed`: how long. With `chosen`: how long where nobody chooses.
    pub window: Option<String>,
    /// With `chosen`: the shortest and the longest that the provider takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// With `until-ended`: what deliveries bear meanwhile.
    pub signs: Option<Signs>,
}

/// What deliveries bear while both secrets live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signs {
    /// A signature for each.
    #[default]
    Both,
    /// The old one's alone.
    Old,
    /// Each of two endpoints its own: every event comes twice.
    Apart,
}

/// How the old secret is ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndSpec {
    pub kind: EndKind,
    /// Where a person ends it: the page and what to press there, in words for the operator.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Where a call does: path template of the one (DELETE) that removes an endpoint. It may be sent again at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How long deliveries may bear the old secret after that.
    pub settles: Option<String>,
}

/// Who ends the old secret, once a person says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndKind {
    /// A person, on the provider's page.
    Hand,
    /// A call, which removes the first of two endpoints.
    Call,
}

/// The kinds of overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OverlapKind {
    /// The old secret lives on for a documented time.
    Fixed,
    /// The old secret lives on for as long as the caller says.
    Chosen,
    /// For as long as the answer says, which is documented nowhere.
    Answered,
    /// The old secret dies with the call.
    None,
    /// Not documented; handled as `none`, because the worst may be true.
    Unknown,
    /// The old secret lives until somebody ends it.
    #[serde(rename = "until-ended")]
    UntilEnded,
}
