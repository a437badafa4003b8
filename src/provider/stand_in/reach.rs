//! Which call a request is, and whether whoever sends it may make it.

use super::seen::header;
use super::{Seen, Shared};
use crate::provider::path::PathTemplate;
use crate::provider::spec::Method;
use crate::provider::{Force, request};
use crate::secret::Secret;

impl Shared {
    /// Whether a request is this call about the endpoint that there is.
    pub(super) fn reaches(&self, seen: &Seen, method: Method, template: Option<&PathTemplate>) -> bool {
        let path = seen.path.split('?').next().unwrap_or_default();
        let before = self
            .provider
            .spec()
            .auth
            .schemes
            .iter()
            .find_map(|scheme| request::AuthHeader::of(scheme).before_path(&self.options.api_key));
        let path = before.and_then(|before| path.strip_prefix(before.as_str())).unwrap_or(path);
        let Some(path) = path.strip_prefix(self.prefix()) else { return false };
        let Some(found) = template.and_then(|template| template.matches(path)) else { return false };
        let state = self.state();
        let is_live = |value: &str| state.live.iter().any(|live| request::encode_segment(&live.own) == value);
        let ours = |name: &str, value: &str| match self.provider.spec().ids.last() {
            Some(own) if own == name => is_live(value),
            _ => self.options.ids.iter().any(|(id, known)| id == name && request::encode_segment(known) == value),
        };
        seen.method == method.as_str() && found.iter().all(|(name, value)| ours(name, value))
    }

    /// Whether a request is the rotate call, where there is one.
    pub(super) fn rotates(&self, seen: &Seen, method: Option<Method>) -> bool {
        method.is_some_and(|method| self.reaches(seen, method, self.provider.rotate_path.as_ref()))
    }

    /// Whether a request that may be the rotate call is the one that shows the endpoint, by its body.
    pub(super) fn only_looks(&self, seen: &Seen) -> bool {
        let Ok(endpoint) = self.provider.endpoint(None, &self.options.ids, None, &Default::default()) else {
            return false;
        };
        let look = request::inspect(&endpoint, 1);
        let sent = |request: &request::Request| serde_json::from_str(request.body.as_deref()?).ok();
        let body: Option<serde_json::Value> = look.as_ref().and_then(sent);
        body.is_some() && body == serde_json::from_str(&seen.body).ok()
    }

    pub(super) fn is_authentic(&self, seen: &Seen) -> bool {
        let schemes = &self.provider.spec().auth.schemes;
        schemes.iter().any(|scheme| {
            let auth = request::AuthHeader::of(scheme);
            if let Some(before) = auth.before_path(&self.options.api_key) {
                return seen.path.starts_with(before.as_str());
            }
            let expected = Secret::new(auth.value(&self.options.api_key).as_str());
            header(seen, &auth.header).is_some_and(|value| Secret::new(value) == expected)
        })
    }

    /// Whether the body is the described force body, whatever the reason.
    pub(super) fn forces(&self, seen: &Seen) -> bool {
        let Some(expected) = self.provider.spec().force.as_ref().and_then(|force| force.body.as_ref()?.as_object())
        else {
            return false;
        };
        let sent = serde_json::from_str::<serde_json::Value>(&seen.body).unwrap_or_default();
        let same = |name: &String, value: &serde_json::Value| {
            ["{reason}", "{idempotency_key}"].iter().any(|word| value == word) || sent.get(name) == Some(value)
        };
        self.provider.force() == Force::Call && expected.iter().all(|(name, value)| same(name, value))
    }
}
