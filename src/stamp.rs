//! What a state folder vouches for: HMAC-SHA-256 with a key of its own, so that what others put there is not believed.
//!
//! Pure: the key's file is `rotation/state_key.rs`. A stamp says that this whsec wrote these very fields for this very
//! purpose. It promises nothing against somebody who can read the key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::system::text::{hex, unhex};

/// Length of a key in bytes.
const LENGTH: usize = 32;

/// A key that is a state folder's own.
#[derive(Clone)]
pub struct StampKey(Zeroizing<[u8; LENGTH]>);

/// A stamp in the making: fields are added one by one.
pub struct Stamper(Option<Hmac<Sha256>>);

impl StampKey {
    /// A key at random.
    pub fn generate() -> Self {
        let mut chance = Sha256::new();
        // Each has 122 random bits of the system's.
        (0..4).for_each(|_| chance.update(Uuid::new_v4().as_bytes()));
        Self(Zeroizing::new(chance.finalize().into()))
    }

    /// A key as [`StampKey::to_text`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(unhex(text)?);
        bytes.as_slice().try_into().ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// The key in hex digits, for its file.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(self.0.as_slice()))
    }

    /// Begins a stamp. What is stamped for one purpose is nothing for another.
    pub fn stamper(&self, purpose: &str) -> Stamper {
        // HMAC takes keys of any length.
        let mut stamper = Stamper(Hmac::new_from_slice(self.0.as_slice()).ok());
        stamper.add(purpose.as_bytes());
        stamper
    }

    /// The stamp of these fields.
    pub fn stamp(&self, purpose: &str, fields: &[&[u8]]) -> String {
        let mut stamper = self.stamper(purpose);
        fields.iter().for_each(|field| stamper.add(field));
        stamper.finish()
    }

    /// Whether these fields were stamped with this key; `stamp` may be the beginning of one, half of it at least.
    pub fn vouches(&self, purpose: &str, fields: &[&[u8]], stamp: &str) -> bool {
        let whole = self.stamp(purpose, fields);
        stamp.len() >= LENGTH
            && whole.get(..stamp.len()).is_some_and(|begin| begin.as_bytes().ct_eq(stamp.as_bytes()).into())
    }
}

impl Stamper {
    /// Adds a field with its length, so that no two lists of fields are the same bytes.
    pub fn add(&mut self, field: &[u8]) {
        if let Some(mac) = &mut self.0 {
            mac.update(&(field.len() as u64).to_le_bytes());
            mac.update(field);
        }
    }

    /// The stamp: 64 hex digits.
    pub fn finish(self) -> String {
        self.0.map(|mac| hex(&mac.finalize().into_bytes())).unwrap_or_default()
    }
}

impl fmt::Debug for StampKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("StampKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_a_stamp_is_for_one_purpose_these_fields_and_one_key() {
        let (key, other) = (StampKey::generate(), StampKey::generate());
        let stamp = key.stamp("seal", &[b"ab", b"c"]);
        assert!(key.vouches("seal", &[b"ab", b"c"], &stamp) && key.vouches("seal", &[b"ab", b"c"], &stamp[..32]));
        assert!(!key.vouches("seal", &[b"a", b"bc"], &stamp) && !key.vouches("row", &[b"ab", b"c"], &stamp));
        assert!(!other.vouches("seal", &[b"ab", b"c"], &stamp));
        for forged in ["", &stamp[..31], &stamp.to_uppercase(), &format!("{stamp}00")] {
            assert!(!key.vouches("seal", &[b"ab", b"c"], forged), "{forged}");
        }
        assert!(StampKey::parse(&key.to_text()).unwrap().vouches("seal", &[b"ab", b"c"], &stamp));
        assert!(StampKey::parse("").is_none() && StampKey::parse(&"é".repeat(32)).is_none());
    }
}
