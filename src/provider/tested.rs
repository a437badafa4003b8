//! The provider's own test delivery: the call, and what its answer says.

use serde_json::Value;

use super::answer::{self, Outcome};
use super::client::Client;
use super::withhold::without;
use super::{Endpoint, request};
use crate::secret::Secret;

/// What the answer to a test call says, where the description tells where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tested {
    /// Whether the receiver accepted the delivery; `None` where the provider does not wait for that.
    pub accepted: Option<bool>,
    /// The receiver's status.
    pub status: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The delivery's id.
    pub id: Option<String>,
}

impl Client {
    /// Has the provider send a test delivery; `None` where it has no call for that. `Err` is never a success.
    pub fn test_delivery(&self, endpoint: &Endpoint, api_key: &Secret) -> Option<Result<Tested, Outcome>> {
        let spec = endpoint.provider.spec().test_delivery.as_ref()?;
        let key = request::new_key(&endpoint.provider);
        let request = request::test_delivery(endpoint, key.as_deref())?;
        let reply = match self.call(endpoint, &request, api_key) {
            Outcome::Success(reply) => reply,
            other => return Some(Err(other)),
        };
        // An answer without a body is a yes all the same.
        let body = answer::parse(&reply).unwrap_or(Value::Null);
        let text = |pointer: &Option<String>| without(answer::text(&body, pointer.as_ref()), api_key);
        let success = spec.answer.success.as_ref().and_then(|pointer| body.pointer(pointer));
        Some(Ok(Tested {
            accepted: success.and_then(Value::as_bool),
            status: text(&spec.answer.status),
            error: text(&spec.answer.error),
            id: text(&spec.answer.id),
        }))
    }
}
