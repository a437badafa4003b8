//! The words about the call that lists the endpoints that an API key can see. No rotation needs it.

use serde::{Deserialize, Serialize};

/// A call (`GET`) whose answer is a list, or one page of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointsSpec {
    /// Path template with every id but the endpoint's own.
    pub path: String,
    /// The array in the answer; empty where the answer is one.
    pub items: String,
    /// The endpoint's own id within one item.
    pub id: String,
    /// The address that it delivers to, its state, and when it was changed last.
    pub url: Option<String>,
    pub status: Option<String>,
    pub updated_at: Option<String>,
    /// The query parameter with the page's size, and the size asked for.
    pub size: Option<String>,
    pub size_value: Option<u32>,
    /// The query parameter with the page's number, from 1.
    pub page: Option<String>,
    /// The query parameter with what the answer says at `next`.
    pub cursor: Option<String>,
    pub next: Option<String>,
    /// The query parameter with the id of the last item that was had.
    pub after: Option<String>,
    /// The boolean in the answer that says whether there are more pages. Without: until a page has less than `size_value`.
    pub more: Option<String>,
}
