//! Keeps a secret out of what others wrote: providers have been seen to repeat a key in the sentence that refuses it.

use super::answer::{Inspected, Outcome, Refusal, Reply, Rotated, Unknown};
use crate::secret::Secret;

/// So many bytes in a row that are also in the secret make a text unfit to show. Short forms such as `whsec_****b7d1` stay.
const TELLING: usize = 8;

/// Whether a text repeats a telling part of a secret.
fn repeats(text: &str, secret: &Secret) -> bool {
    let secret = secret.expose().as_bytes();
    let window = TELLING.min(secret.len()).max(1);
    secret.windows(window).any(|part| text.as_bytes().windows(window).any(|other| other == part))
}

/// The text, unless it repeats the secret.
pub(crate) fn without(text: Option<String>, secret: &Secret) -> Option<String> {
    text.filter(|text| !repeats(text, secret))
}

impl Outcome {
    /// The outcome without any words that repeat the API key, or a secret that was sent.
    pub(crate) fn withhold(self, key: &Secret) -> Self {
        match self {
            Self::Success(reply) => Self::Success(Reply { request_id: without(reply.request_id, key), ..reply }),
            Self::Refused(refusal) => Self::Refused(Refusal {
                code: without(refusal.code, key),
                message: without(refusal.message, key),
                request_id: without(refusal.request_id, key),
                ..refusal
            }),
            Self::Unknown(unknown) => {
                let why = without(Some(unknown.why), key)
                    .unwrap_or_else(|| "the provider's words repeat the API key or the secret".to_owned());
                Self::Unknown(Unknown { why, ..unknown })
            }
            Self::NotSent { why } => Self::NotSent { why },
        }
    }
}

impl Rotated {
    /// The same without any words that repeat the new secret.
    pub(crate) fn withhold(self) -> Self {
        Self {
            version: without(self.version, &self.secret),
            fingerprint: without(self.fingerprint, &self.secret),
            notice: without(self.notice, &self.secret),
            ..self
        }
    }
}

impl Inspected {
    /// The same without any words that repeat the API key or the secret that is shown.
    pub(crate) fn withhold(self, key: &Secret) -> Self {
        let keep = |text: Option<String>| {
            let text = without(text, key);
            match &self.secret {
                Some(secret) => without(text, secret),
                None => text,
            }
        };
        Self {
            url: keep(self.url),
            status: keep(self.status),
            version: keep(self.version),
            fingerprint: keep(self.fingerprint),
            updated_at: keep(self.updated_at),
            ..self
        }
    }
}
