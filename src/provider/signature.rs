//! Signs and verifies deliveries as a description says. The body is always the exact bytes that were sent.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use super::layout::Layout;
pub use super::layout::{Claims, Mismatch};
use super::rules::{Flaw, flaw, require};
use super::spec::{Encoding, KeyDecoding, SignatureSpec};
use super::{Provider, duration};
use crate::secret::Secret;

/// The prefix that Standard Webhooks cuts off before decoding.
pub const PREFIX: &str = "whsec_";

/// A checked signature scheme.
#[derive(Clone, Debug)]
pub struct Scheme {
    layout: Layout,
    signed: String,
    /// What is signed before the body.
    before: Vec<Piece>,
    encoding: Encoding,
    key: KeyDecoding,
    /// `None` where nothing says when a delivery was signed.
    tolerance: Option<Duration>,
}

/// A part of what is signed.
#[derive(Clone, Debug)]
enum Piece {
    Timestamp,
    Id,
    Literal(String),
}

/// A secret made ready to sign or verify many deliveries.
#[derive(Clone)]
pub struct Keyed(Hmac<Sha256>);

/// A MAC in bytes.
pub type Digest = [u8; 32];

/// A delivery cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    #[error("secret {index} of those given is not the base64 that this scheme asks for")]
    Undecodable { index: usize },
}

impl Scheme {
    /// How this provider signs, where that is described.
    pub fn of(provider: &Provider) -> Option<Self> {
        provider.signature().cloned()
    }

    /// How far a timestamp may be off; `None` where nothing says when a delivery was signed.
    pub fn tolerance(&self) -> Option<Duration> {
        self.tolerance
    }

    /// The header that carries the signatures.
    pub fn header(&self) -> &str {
        &self.layout.header
    }

    /// The header whose value is signed as the delivery's id, where there is one.
    pub fn id_header(&self) -> Option<&str> {
        self.layout.id_header.as_deref()
    }

    /// Whether a delivery bears a signature for each secret that is alive.
    pub fn signs_with_all(&self) -> bool {
        self.layout.has_many()
    }

    /// The header with the signatures as people draw it, and what it has of each secret.
    pub fn sketch(&self) -> String {
        self.layout.sketch()
    }

    /// What is signed, in the words of the description.
    pub fn signed(&self) -> &str {
        &self.signed
    }

    /// Checks the words of `[signature]`.
    pub(crate) fn check(spec: &SignatureSpec) -> Result<Self, Flaw> {
        let layout = Layout::check(spec)?;
        let signed = &spec.signed;
        let once = |placeholder: &str| signed.matches(placeholder).count() == 1;
        require(
            once("{body}") && signed.ends_with("{body}"),
            "signature.signed",
            "does not end with `{body}`",
            "write it like `{timestamp}.{body}`",
        )?;
        require(
            signed.matches("{timestamp}").count() == usize::from(layout.is_timed()),
            "signature.signed",
            match layout.is_timed() {
                true => "does not have `{timestamp}` in it once",
                false => "has `{timestamp}` in it, and nothing says where that is",
            },
            match layout.is_timed() {
                true => "write it like `{timestamp}.{body}`",
                false => {
                    "say where it is, by `lead` or `timestamp_header`; or leave it out where the body alone is signed"
                }
            },
        )?;
        require(
            once("{id}") == spec.id_header.is_some(),
            "signature.id_header",
            "goes with `{id}` in `signed`",
            "set both or neither",
        )?;
        let rest = signed.replace("{body}", "").replace("{timestamp}", "").replace("{id}", "");
        require(
            rest.len() <= 16 && !rest.contains(['{', '}']),
            "signature.signed",
            "has something unknown in it",
            "`{timestamp}`, `{id}` and `{body}` are known",
        )?;
        let tolerance = match (&spec.tolerance, layout.is_timed()) {
            (Some(text), true) => Some(
                duration(text)
                    .filter(|tolerance| !tolerance.is_zero())
                    .ok_or_else(|| flaw("signature.tolerance", "is not a duration", "write it like `300s`"))?,
            ),
            (None, false) => None,
            (None, true) => {
                return Err(flaw("signature.tolerance", "is missing", "say how far a timestamp may be off: `300s`"));
            }
            (Some(_), false) => {
                return Err(flaw("signature.tolerance", "is of no use without a timestamp", "take it out"));
            }
        };
        let (encoding, key) = (spec.encoding, spec.key);
        Ok(Self { layout, signed: signed.clone(), before: pieces(signed), encoding, key, tolerance })
    }

    /// By how many seconds a timestamp is outside the tolerance, and whether it is early; `None` within, and without one.
    pub fn staleness(&self, claims: &Claims<'_>, now: i64) -> Option<(u64, bool)> {
        let (signed_at, tolerance) = claims.signed_at.zip(self.tolerance)?;
        let seconds = now.abs_diff(signed_at);
        (seconds > tolerance.as_secs()).then_some((seconds, signed_at > now))
    }

    /// How the key is made from the secret.
    pub fn key_decoding(&self) -> KeyDecoding {
        self.key
    }

    /// A moment in Unix seconds as a delivery says it, which is what is signed.
    pub fn stamp(&self, at: i64) -> String {
        self.layout.stamp(at)
    }

    /// How a MAC is written.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Makes a secret ready; `None` for one that cannot be decoded.
    pub fn keyed(&self, secret: &Secret) -> Option<Keyed> {
        keyed(&key(self.key, secret.expose())?)
    }

    /// The MAC of a delivery.
    pub fn digest(&self, key: &Keyed, id: &str, timestamp: &str, body: &[u8]) -> Digest {
        let mut mac = key.0.clone();
        for piece in &self.before {
            mac.update(match piece {
                Piece::Timestamp => timestamp.as_bytes(),
                Piece::Id => id.as_bytes(),
                Piece::Literal(text) => text.as_bytes(),
            });
        }
        mac.update(body);
        mac.finalize().into_bytes().into()
    }

    /// The MAC of a body alone, which is what a signer makes that forgets the rest.
    pub fn digest_of_body(&self, key: &Keyed, body: &[u8]) -> Digest {
        key.0.clone().chain_update(body).finalize().into_bytes().into()
    }

    /// Whether an entry of the header is this MAC, in constant time.
    pub fn is_signed(&self, entry: &str, digest: &Digest) -> bool {
        let mut written = [0_u8; 64];
        entry.as_bytes().ct_eq(write(self.encoding, digest, &mut written)).into()
    }

    /// Reads what the headers say. Nothing of it is proved yet.
    pub fn claims<'a, N: AsRef<str>, V: AsRef<str>>(&self, headers: &'a [(N, V)]) -> Result<Claims<'a>, Mismatch> {
        self.layout.claims(headers)
    }

    /// The headers of a delivery with these signatures, as they stand in the header; of several, the first alone where there is
    /// place for one.
    pub fn headers(&self, id: &str, timestamp: i64, entries: &[String]) -> Vec<(String, String)> {
        self.layout.headers(id, timestamp, entries)
    }
}

/// The key that a text stands for.
pub fn key(decoding: KeyDecoding, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    match decoding {
        KeyDecoding::Raw => Some(Zeroizing::new(text.as_bytes().to_vec())),
        KeyDecoding::Base64AfterPrefix => {
            let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
            STANDARD.decode(encoded).ok().filter(|key| !key.is_empty()).map(Zeroizing::new)
        }
    }
}

/// The bytes of a key made ready; HMAC takes a key of any length.
pub fn keyed(key: &[u8]) -> Option<Keyed> {
    Hmac::<Sha256>::new_from_slice(key).ok().map(Keyed)
}

/// A MAC as it is written.
pub fn written(encoding: Encoding, digest: &Digest) -> String {
    String::from_utf8_lossy(write(encoding, digest, &mut [0_u8; 64])).into_owned()
}

fn write<'a>(encoding: Encoding, digest: &Digest, out: &'a mut [u8; 64]) -> &'a [u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let length = match encoding {
        Encoding::Hex => {
            for (pair, byte) in out.chunks_exact_mut(2).zip(digest) {
                pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
            out.len()
        }
        // 32 bytes are 44 characters, so it always fits.
        Encoding::Base64 => STANDARD.encode_slice(digest, out).unwrap_or_default(),
    };
    &out[..length]
}

/// What is signed before the body, in pieces.
fn pieces(signed: &str) -> Vec<Piece> {
    let before = signed.strip_suffix("{body}").unwrap_or(signed);
    let mut pieces = Vec::new();
    for text in before.split('{') {
        let literal = match text.split_once('}') {
            Some((word, literal)) => {
                pieces.push(if word == "timestamp" { Piece::Timestamp } else { Piece::Id });
                literal
            }
            None => text,
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
    }
    pieces
}

/// Signs a delivery with every secret, the first one first; the result is the delivery's extra headers.
pub fn sign(
    scheme: &Scheme,
    secrets: &[&Secret],
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Result<Vec<(String, String)>, SignatureError> {
    let mut entries = Vec::new();
    for (index, secret) in secrets.iter().enumerate() {
        let key = scheme.keyed(secret).ok_or(SignatureError::Undecodable { index })?;
        let digest = scheme.digest(&key, id, &scheme.stamp(timestamp), body);
        entries.push(written(scheme.encoding(), &digest));
    }
    Ok(scheme.headers(id, timestamp, &entries))
}

/// Finds the secret that signed a delivery: its index among those given. `now` is in Unix seconds.
pub fn verify(
    scheme: &Scheme,
    secrets: &[&Secret],
    headers: &[(String, String)],
    body: &[u8],
    now: i64,
) -> Result<usize, Mismatch> {
    let claims = scheme.claims(headers)?;
    let mut matching = None;
    let mut undecodable = None;
    for (index, secret) in secrets.iter().enumerate().rev() {
        let Some(key) = scheme.keyed(secret) else {
            undecodable = Some(index);
            continue;
        };
        let digest = scheme.digest(&key, claims.id, claims.timestamp, body);
        if claims.entries.iter().any(|entry| scheme.is_signed(entry, &digest)) {
            matching = Some(index);
        }
    }
    let Some(index) = matching else {
        return Err(undecodable.map_or(Mismatch::NoMatch, |index| Mismatch::Undecodable { index }));
    };
    match scheme.staleness(&claims, now) {
        Some((seconds, early)) => Err(Mismatch::Stale { seconds, early }),
        None => Ok(index),
    }
}
