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
const PREFIX: &str = "whsec_";

/// Most signatures that are read from one header.
const MOST_SIGNATURES: usize = 32;

/// A checked signature scheme.
#[derive(Clone, Debug)]
pub struct Scheme {
    spec: SignatureSpec,
    tolerance: Duration,
}

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
    #[error("the delivery was signed {seconds} s {}", if *.early { "in the future" } else { "ago" })]
    Stale { seconds: u64, early: bool },
    #[error("none of the secrets signed this delivery")]
    NoMatch,
    #[error("none of the secrets signed this delivery, and secret {index} is not the base64 that this scheme asks for")]
    Undecodable { index: usize },
}

/// What a delivery's headers say, before it is believed.
struct Claims<'a> {
    timestamp: &'a str,
    id: &'a str,
    signatures: Vec<&'a str>,
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
        Ok(Self { spec: spec.clone(), tolerance })
    }

    fn key(&self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        match self.spec.key {
            KeyDecoding::Raw => Some(Zeroizing::new(secret.expose().as_bytes().to_vec())),
            KeyDecoding::Base64AfterPrefix => {
                let encoded = secret.expose().strip_prefix(PREFIX).unwrap_or(secret.expose());
                STANDARD.decode(encoded).ok().filter(|key| !key.is_empty()).map(Zeroizing::new)
            }
        }
    }

    /// The MAC as it is written, or `None` for a secret that cannot be decoded.
    fn mac(&self, secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key(secret)?).ok()?;
        let before = self.spec.signed.strip_suffix("{body}").unwrap_or(&self.spec.signed);
        for piece in before.split('{') {
            let (value, literal) = match piece.split_once('}') {
                Some(("timestamp", literal)) => (timestamp, literal),
                Some((_, literal)) => (id, literal),
                None => ("", piece),
            };
            mac.update(value.as_bytes());
            mac.update(literal.as_bytes());
        }
        mac.update(body);
        let bytes = mac.finalize().into_bytes();
        Some(match self.spec.encoding {
            Encoding::Hex => bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
            Encoding::Base64 => STANDARD.encode(bytes),
        })
    }

    fn claims<'a>(&self, headers: &'a [(String, String)]) -> Result<Claims<'a>, Mismatch> {
        let header = one(headers, &self.spec.header)?;
        let id = self.spec.id_header.as_ref().map_or(Ok(""), |name| one(headers, name))?;
        let (timestamp, signatures) = match self.spec.grammar {
            Grammar::Pairs => {
                let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
                let mut times = pairs().filter(|(name, _)| *name == "t");
                let (Some((_, timestamp)), None) = (times.next(), times.next()) else {
                    return Err(malformed(&self.spec.header));
                };
                (timestamp, pairs().filter(|(name, _)| *name == "v1").map(|(_, value)| value).collect::<Vec<_>>())
            }
            Grammar::Spaced => {
                let name = self.spec.timestamp_header.as_deref().unwrap_or_default();
                (one(headers, name)?, header.split(' ').filter_map(|entry| entry.strip_prefix("v1,")).collect())
            }
        };
        if signatures.is_empty() || signatures.len() > MOST_SIGNATURES {
            return Err(malformed(&self.spec.header));
        }
        Ok(Claims { timestamp, id, signatures })
    }
}

/// Signs a delivery with every secret, the first one first; the result is the delivery's extra headers.
pub fn sign(
    scheme: &Scheme,
    secrets: &[&Secret],
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Result<Vec<(String, String)>, SignatureError> {
    let spec = &scheme.spec;
    let timestamp = timestamp.to_string();
    let mut macs = Vec::new();
    for (index, secret) in secrets.iter().enumerate() {
        macs.push(scheme.mac(secret, id, &timestamp, body).ok_or(SignatureError::Undecodable { index })?);
    }
    let mut headers = Vec::new();
    headers.extend(spec.id_header.as_ref().map(|name| (name.clone(), id.to_owned())));
    headers.extend(spec.timestamp_header.as_ref().map(|name| (name.clone(), timestamp.clone())));
    let signatures = match spec.grammar {
        Grammar::Pairs => macs.iter().fold(format!("t={timestamp}"), |text, mac| text + ",v1=" + mac),
        Grammar::Spaced => macs.iter().map(|mac| format!("v1,{mac}")).collect::<Vec<_>>().join(" "),
    };
    headers.push((spec.header.clone(), signatures));
    Ok(headers)
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
    let place = scheme.spec.timestamp_header.as_ref().unwrap_or(&scheme.spec.header);
    let digits = !claims.timestamp.is_empty() && claims.timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let signed_at = claims.timestamp.parse::<i64>().ok().filter(|_| digits).ok_or_else(|| malformed(place))?;
    let mut matching = None;
    let mut undecodable = None;
    for (index, secret) in secrets.iter().enumerate().rev() {
        match scheme.mac(secret, claims.id, claims.timestamp, body) {
            Some(mac) => {
                let same = claims.signatures.iter().any(|signature| signature.as_bytes().ct_eq(mac.as_bytes()).into());
                matching = if same { Some(index) } else { matching };
            }
            None => undecodable = Some(index),
        }
    }
    let Some(index) = matching else {
        return Err(undecodable.map_or(Mismatch::NoMatch, |index| Mismatch::Undecodable { index }));
    };
    let seconds = now.abs_diff(signed_at);
    if seconds > scheme.tolerance.as_secs() {
        return Err(Mismatch::Stale { seconds, early: signed_at > now });
    }
    Ok(index)
}

fn one<'a>(headers: &'a [(String, String)], name: &str) -> Result<&'a str, Mismatch> {
    let mut found = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value.trim()),
        (None, _) => Err(Mismatch::Missing { header: name.to_owned() }),
        _ => Err(malformed(name)),
    }
}

fn malformed(header: &str) -> Mismatch {
    Mismatch::Malformed { header: header.to_owned() }
}
