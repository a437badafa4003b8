//! Keys and MACs: how a key is made from a secret, with which hash a MAC is, and how it is written. Knows no headers.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::spec::{Encoding, Hash, KeyDecoding};
use crate::secret::Secret;
use crate::system::text;

/// The prefix that Standard Webhooks cuts off before decoding.
pub const PREFIX: &str = "whsec_";

/// Bytes of the longest MAC.
const LONGEST: usize = 64;

/// A secret made ready to sign or verify many deliveries.
#[derive(Clone)]
pub enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Box<Hmac<Sha512>>),
    /// Deliveries bear the secret itself.
    Token(Secret),
}

/// What a delivery bears of a secret.
#[derive(Clone)]
pub enum Signature {
    Mac(Mac),
    /// The secret itself.
    Token(Secret),
}

/// A MAC in bytes.
#[derive(Clone, Copy)]
pub struct Mac {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Keyed {
    /// The bytes of a key made ready; HMAC takes a key of any length.
    pub(super) fn new(hash: Hash, key: &[u8]) -> Option<Self> {
        Some(match hash {
            Hash::Sha1 => Self::Sha1(Hmac::new_from_slice(key).ok()?),
            Hash::Sha256 => Self::Sha256(Hmac::new_from_slice(key).ok()?),
            Hash::Sha512 => Self::Sha512(Box::new(Hmac::new_from_slice(key).ok()?)),
        })
    }

    /// What a delivery bears in which these parts, one behind the other, are signed.
    pub(super) fn sign<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> Signature {
        fn run<'a, M: hmac::Mac + Clone>(begun: &M, parts: impl Iterator<Item = &'a [u8]>) -> Signature {
            let mut mac = begun.clone();
            parts.for_each(|part| mac.update(part));
            Signature::Mac(Mac::new(&mac.finalize().into_bytes()))
        }
        match self {
            Self::Sha1(begun) => run(begun, parts),
            Self::Sha256(begun) => run(begun, parts),
            Self::Sha512(begun) => run(&**begun, parts),
            Self::Token(secret) => Signature::Token(secret.clone()),
        }
    }
}

impl Mac {
    fn new(made: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        let length = made.len().min(LONGEST);
        bytes[..length].copy_from_slice(&made[..length]);
        Self { bytes, length }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Signature {
    /// As it is written. A secret that stands there itself is no longer wiped from memory afterwards.
    pub fn written(&self, encoding: Encoding) -> String {
        match self {
            Self::Mac(mac) => String::from_utf8_lossy(write(encoding, mac, &mut [0; 2 * LONGEST])).into_owned(),
            Self::Token(secret) => secret.expose().to_owned(),
        }
    }

    /// Whether an entry of the header is this, in constant time.
    pub fn is(&self, entry: &str, encoding: Encoding) -> bool {
        match self {
            Self::Mac(mac) => entry.as_bytes().ct_eq(write(encoding, mac, &mut [0; 2 * LONGEST])).into(),
            Self::Token(secret) => *secret == Secret::new(entry),
        }
    }

    /// One that is right in its first half and wrong in the second.
    pub fn half_right(self) -> Self {
        match self {
            Self::Mac(mut mac) => {
                let half = mac.length / 2;
                mac.bytes.iter_mut().skip(half).for_each(|byte| *byte ^= 0xff);
                Self::Mac(mac)
            }
            Self::Token(secret) => {
                let half = secret.expose().chars().count() / 2;
                let flip = |(at, letter)| match letter {
                    _ if at < half => letter,
                    'x' => 'y',
                    _ => 'x',
                };
                let flipped: String = secret.expose().chars().enumerate().map(flip).collect();
                Self::Token(Secret::new(flipped))
            }
        }
    }
}

impl Hash {
    /// Its name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// How many bytes a MAC has.
    fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// A MAC that nobody's secret makes.
    pub(super) fn garbage(self) -> Signature {
        let mut bytes = [0; LONGEST];
        // Without randomness it is a MAC of zeros, which nobody's secret makes either.
        let _ = getrandom::fill(&mut bytes);
        Signature::Mac(Mac::new(&bytes[..self.length()]))
    }
}

impl Encoding {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base64url => "the base64 of URLs, without padding",
        }
    }
}

impl KeyDecoding {
    /// What the secret has to be for that, in words.
    pub fn wants(self) -> &'static str {
        match self {
            Self::Raw => "any text",
            Self::Base64AfterPrefix => "base64 behind `whsec_`",
            Self::Base64 => "base64",
            Self::Hex => "hex",
        }
    }
}

/// The key that a text stands for.
pub fn key(decoding: KeyDecoding, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let base64 = |text| STANDARD.decode(text).ok();
    let bytes = match decoding {
        KeyDecoding::Raw => return Some(Zeroizing::new(text.as_bytes().to_vec())),
        KeyDecoding::Base64AfterPrefix => base64(text.strip_prefix(PREFIX).unwrap_or(text)),
        KeyDecoding::Base64 => base64(text),
        KeyDecoding::Hex => text::unhex(text),
    };
    bytes.map(Zeroizing::new).filter(|key| !key.is_empty())
}

fn write<'a>(encoding: Encoding, mac: &Mac, out: &'a mut [u8; 2 * LONGEST]) -> &'a [u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let length = match encoding {
        Encoding::Hex => {
            for (pair, byte) in out.chunks_exact_mut(2).zip(mac.bytes()) {
                pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
            2 * mac.length
        }
        // Base64 is shorter than hex, so it always fits.
        Encoding::Base64 => STANDARD.encode_slice(mac.bytes(), out).unwrap_or_default(),
        Encoding::Base64url => URL_SAFE_NO_PAD.encode_slice(mac.bytes(), out).unwrap_or_default(),
    };
    &out[..length]
}
