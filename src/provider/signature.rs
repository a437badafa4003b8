//! Signs and verifies deliveries as a description says. The body is always the exact bytes that were sent.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use super::rules::{self, Flaw, flaw, require};
use super::spec::{Encoding, Grammar, KeyDecoding, SignatureSpec};
use super::{Provider, duration};
use crate::secret::Secret;

/// The prefix that Standard Webhooks cuts off before decoding.
pub const PREFIX: &str = "whsec_";

/// Most signatures that are read from one header.
const MOST_SIGNATURES: usize = 32;

/// The version of signatures that is verified.
const VERSION: &str = "v1";

/// A checked signature scheme.
#[derive(Clone, Debug)]
pub struct Scheme {
    spec: SignatureSpec,
    /// What is signed before the body.
    before: Vec<Piece>,
    tolerance: Duration,
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

/// Why a delivery does not verify.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    #[error("the delivery has no header `{header}`")]
    Missing { header: String },
    #[error("the header `{header}` is not in the form that this scheme has")]
    Malformed { header: String },
    #[error("the header `{header}` has no `v1` signature, only {versions}")]
    UnknownVersion { header: String, versions: String },
    #[error("the delivery was signed {seconds} s {}", if *.early { "in the future" } else { "ago" })]
    Stale { seconds: u64, early: bool },
    #[error("none of the secrets signed this delivery")]
    NoMatch,
    #[error("none of the secrets signed this delivery, and secret {index} is not the base64 that this scheme asks for")]
    Undecodable { index: usize },
}

/// What a delivery's headers say, before it is believed.
#[derive(Clone, Debug)]
pub struct Claims<'a> {
    /// As it stands in the header, because that is what is signed.
    pub timestamp: &'a str,
    /// The same in Unix seconds.
    pub signed_at: i64,
    /// The delivery's id, where it is signed; else empty.
    pub id: &'a str,
    /// The signatures of the version that is verified, in their order, as written.
    pub entries: Vec<&'a str>,
}

impl Claims<'_> {
    /// By how many seconds the timestamp is outside the tolerance, and whether it is early; `None` within.
    pub fn staleness(&self, scheme: &Scheme, now: i64) -> Option<(u64, bool)> {
        let seconds = now.abs_diff(self.signed_at);
        (seconds > scheme.tolerance.as_secs()).then_some((seconds, self.signed_at > now))
    }
}

impl Scheme {
    /// How this provider signs, where that is described.
    pub fn of(provider: &Provider) -> Option<Self> {
        provider.signature().cloned()
    }

    /// How far a timestamp may be off.
    pub fn tolerance(&self) -> Duration {
        self.tolerance
    }

    /// The header that carries the signatures.
    pub fn header(&self) -> &str {
        &self.spec.header
    }

    /// The header whose value is signed as the delivery's id, where there is one.
    pub fn id_header(&self) -> Option<&str> {
        self.spec.id_header.as_deref()
    }

    /// Checks the words of `[signature]`.
    pub(crate) fn check(spec: &SignatureSpec) -> Result<Self, Flaw> {
        rules::header_name("signature.header", &spec.header)?;
        for (key, header) in
            [("signature.timestamp_header", &spec.timestamp_header), ("signature.id_header", &spec.id_header)]
        {
            header.as_ref().map_or(Ok(()), |header| rules::header_name(key, header))?;
        }
        let apart = spec.timestamp_header.is_some();
        let fits = apart == (spec.grammar == Grammar::Spaced);
        require(
            fits,
            "signature.timestamp_header",
            "does not go with the grammar",
            "`t=,v1=` has its timestamp within; `v1, v1,` needs a header for it",
        )?;
        let signed = &spec.signed;
        let once = |placeholder: &str| signed.matches(placeholder).count() == 1;
        require(
            once("{body}") && signed.ends_with("{body}"),
            "signature.signed",
            "does not end with `{body}`",
            "write it like `{timestamp}.{body}`",
        )?;
        require(
            once("{timestamp}"),
            "signature.signed",
            "does not have `{timestamp}` in it once",
            "write it like `{timestamp}.{body}`",
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
        let tolerance = duration(&spec.tolerance).filter(|tolerance| !tolerance.is_zero());
        let tolerance =
            tolerance.ok_or_else(|| flaw("signature.tolerance", "is not a duration", "write it like `300s`"))?;
        Ok(Self { before: pieces(signed), spec: spec.clone(), tolerance })
    }

    /// How the key is made from the secret.
    pub fn key_decoding(&self) -> KeyDecoding {
        self.spec.key
    }

    /// How a MAC is written.
    pub fn encoding(&self) -> Encoding {
        self.spec.encoding
    }

    /// Makes a secret ready; `None` for one that cannot be decoded.
    pub fn keyed(&self, secret: &Secret) -> Option<Keyed> {
        keyed(&key(self.spec.key, secret.expose())?)
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

    /// The MAC of a body alone, as no scheme here has it.
    pub fn digest_of_body(&self, key: &Keyed, body: &[u8]) -> Digest {
        key.0.clone().chain_update(body).finalize().into_bytes().into()
    }

    /// Whether an entry of the header is this MAC, in constant time.
    pub fn is_signed(&self, entry: &str, digest: &Digest) -> bool {
        let mut written = [0_u8; 64];
        entry.as_bytes().ct_eq(write(self.spec.encoding, digest, &mut written)).into()
    }

    /// Reads what the headers say. Nothing of it is proved yet.
    pub fn claims<'a, N: AsRef<str>, V: AsRef<str>>(&self, headers: &'a [(N, V)]) -> Result<Claims<'a>, Mismatch> {
        let header = one(headers, &self.spec.header)?;
        let id = self.spec.id_header.as_ref().map_or(Ok(""), |name| one(headers, name))?;
        let (timestamp, place, pairs) = match self.spec.grammar {
            Grammar::Pairs => {
                let pairs: Vec<_> = header.split(',').filter_map(|pair| pair.trim().split_once('=')).collect();
                let mut times = pairs.iter().filter(|(name, _)| *name == "t");
                let (Some((_, timestamp)), None) = (times.next(), times.next()) else {
                    return Err(malformed(&self.spec.header));
                };
                (*timestamp, &self.spec.header, pairs)
            }
            Grammar::Spaced => {
                let name = self.spec.timestamp_header.as_ref().unwrap_or(&self.spec.header);
                (one(headers, name)?, name, header.split(' ').filter_map(|entry| entry.split_once(',')).collect())
            }
        };
        let entries: Vec<_> = pairs.iter().filter(|(name, _)| *name == VERSION).map(|(_, value)| *value).collect();
        if entries.is_empty() {
            return Err(self.without_version(pairs.iter().map(|(name, _)| *name)));
        }
        let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let signed_at = timestamp.parse().ok().filter(|_| digits).ok_or_else(|| malformed(place))?;
        if entries.len() > MOST_SIGNATURES {
            return Err(malformed(&self.spec.header));
        }
        Ok(Claims { timestamp, signed_at, id, entries })
    }

    fn without_version<'a>(&self, names: impl Iterator<Item = &'a str>) -> Mismatch {
        let is_version = |name: &&str| {
            let digits = name.strip_prefix('v').unwrap_or_default();
            digits.starts_with(|first: char| first.is_ascii_digit()) && name.len() < 8 && name.is_ascii()
        };
        let versions: Vec<_> = names.filter(is_version).take(MOST_SIGNATURES).map(|name| format!("`{name}`")).collect();
        match versions.is_empty() {
            true => malformed(&self.spec.header),
            false => Mismatch::UnknownVersion { header: self.spec.header.clone(), versions: versions.join(", ") },
        }
    }

    /// The headers of a delivery with these signatures, as they stand in the header.
    pub fn headers(&self, id: &str, timestamp: i64, entries: &[String]) -> Vec<(String, String)> {
        let spec = &self.spec;
        let mut headers = Vec::new();
        headers.extend(spec.id_header.as_ref().map(|name| (name.clone(), id.to_owned())));
        headers.extend(spec.timestamp_header.as_ref().map(|name| (name.clone(), timestamp.to_string())));
        let signatures = match spec.grammar {
            Grammar::Pairs => {
                entries.iter().fold(format!("t={timestamp}"), |text, entry| text + "," + VERSION + "=" + entry)
            }
            Grammar::Spaced => entries.iter().map(|entry| format!("{VERSION},{entry}")).collect::<Vec<_>>().join(" "),
        };
        headers.push((spec.header.clone(), signatures));
        headers
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
        let digest = scheme.digest(&key, id, &timestamp.to_string(), body);
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
    match claims.staleness(scheme, now) {
        Some((seconds, early)) => Err(Mismatch::Stale { seconds, early }),
        None => Ok(index),
    }
}

fn one<'a, N: AsRef<str>, V: AsRef<str>>(headers: &'a [(N, V)], name: &str) -> Result<&'a str, Mismatch> {
    let mut found = headers.iter().filter(|(other, _)| other.as_ref().eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value.as_ref().trim()),
        (None, _) => Err(Mismatch::Missing { header: name.to_owned() }),
        _ => Err(malformed(name)),
    }
}

fn malformed(header: &str) -> Mismatch {
    Mismatch::Malformed { header: header.to_owned() }
}
