//! The value that everything here protects, and the name it goes by in public.
//!
//! Nothing below this module knows about providers, stores or terminals. `expose` is the only way to the
//! characters; there is no `Display`, `Deref` or `Serialize`, and `Debug` shows nothing.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A signing secret or an API key, wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// `sha256:` and the first 12 hex digits of the SHA-256 of a secret's bytes: what may be shown and stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(String);

/// Hex digits of SHA-256 that a fingerprint shows.
const FINGERPRINT_DIGITS: usize = 12;

impl Secret {
    /// Takes ownership of the characters; the caller keeps no copy.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The characters. The name is meant to be easy to search for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no characters at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The public name of this value.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::digest(self.0.as_bytes());
        let mut text = String::from("sha256:");
        for byte in digest.iter().take(FINGERPRINT_DIGITS / 2) {
            text.push_str(&format!("{byte:02x}"));
        }
        Fingerprint(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_the_start_of_sha256() {
        // `printf abc | sha256sum` starts with ba7816bf8f01.
        assert_eq!(Secret::new("abc").fingerprint().to_string(), "sha256:ba7816bf8f01");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("whsec_hidden")), "Secret(…)");
    }
}
