//! The value that everything here protects, and the name it goes by in public.
//!
//! Nothing below this module knows about providers, stores or terminals. `expose` is the only way to the
//! characters; there is no `Display`, `Deref` or `Serialize`, and `Debug` shows nothing.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::system::text::hex;

/// A signing secret or an API key, wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// `sha256:` and the first 12 hex digits of the SHA-256 of a secret's bytes: what may be shown and stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(String);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is written `sha256:` and 12 hex digits")]
pub struct NoFingerprint;

/// Hex digits of SHA-256 that a fingerprint shows.
const FINGERPRINT_DIGITS: usize = 12;

/// Letters and digits in a row that make a text a secret perhaps: with both in it, and of whatever kind.
const TELLING: (usize, usize) = (12, 20);

/// A word as it was typed or written, for an error that repeats it; `…` where it could be a secret in the wrong place, because
/// errors end up in logs.
pub fn shown(word: &str) -> &str {
    if could_be_secret(word) { "…" } else { word }
}

/// The same of a file's name: hidden where there is no such file and it could be a secret.
pub fn shown_path(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match path.symlink_metadata() {
        Err(_) if could_be_secret(&name) => path.with_file_name("…").display().to_string(),
        _ => path.display().to_string(),
    }
}

/// Whether a secret or a key could look like this: such a thing has a long row of letters and digits, and names seldom do.
pub fn could_be_secret(word: &str) -> bool {
    word.starts_with("whsec_")
        || word.split(|character: char| !character.is_ascii_alphanumeric()).any(|row| {
            let is_mixed = row.contains(|digit: char| digit.is_ascii_digit())
                && row.contains(|letter: char| letter.is_ascii_alphabetic());
            row.len() >= if is_mixed { TELLING.0 } else { TELLING.1 }
        })
}

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
        Fingerprint(format!("sha256:{}", hex(&digest[..FINGERPRINT_DIGITS / 2])))
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

impl Fingerprint {
    /// The hex digits alone.
    pub fn digits(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, digits)| digits)
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let digits = text.strip_prefix("sha256:").ok_or(NoFingerprint)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
        if digits.len() == FINGERPRINT_DIGITS && is_hex { Ok(Self(text.to_owned())) } else { Err(NoFingerprint) }
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
    fn a_fingerprint_reads_back() {
        assert_eq!("sha256:ba7816bf8f01".parse(), Ok(Secret::new("abc").fingerprint()));
        for text in ["", "ba7816bf8f01", "sha256:", "sha256:ba7816bf8f0", "sha256:BA7816BF8F01", "sha256:ba7816bf8f011"]
        {
            assert_eq!(text.parse::<Fingerprint>(), Err(NoFingerprint), "{text}");
        }
    }

    #[test]
    fn b11_what_could_be_a_secret_is_not_shown() {
        for word in [
            "whsec_short",
            "whsec_c2VjcmV0LXNlY3JldA",
            "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
            "deploy=dGhlLXNlY3JldA2",
            "9f86d081884c7d659a2feaa0c55ad015",
            "abcdefghijklmnopqrstuvwxyz",
            "https://hooks.example.com/?token=4eC39HqLyjWD",
        ] {
            assert_eq!(shown(word), "…", "{word}");
        }
        for word in [
            "",
            "payments-eu-production",
            "PaymentsProduction",
            "layers/ep_1",
            "dotenv:/srv/app/.env#KEY",
            "2026-11-21",
        ] {
            assert_eq!(shown(word), word);
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("whsec_hidden")), "Secret(…)");
    }
}
