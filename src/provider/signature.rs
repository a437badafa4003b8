//! Signs and verifies deliveries as a description says. The body is always the exact bytes that were sent.

use std::time::Duration;

use thiserror::Error;

use super::layout::Layout;
pub use super::layout::{Claims, Mismatch};
pub use super::mac::{Keyed, PREFIX, Signature, key};
use super::rules::{Checked, Flaw, flaw, require};
use super::signed::Template;
pub use super::signed::{FORM, Sent};
use super::spec::{Encoding, Hash, KeyDecoding, SignatureSpec};
use super::{Provider, duration};
use crate::secret::Secret;

/// A checked signature scheme.
#[derive(Clone, Debug)]
pub struct Scheme {
    layout: Layout,
    /// `None` where a delivery bears the secret itself.
    mac: Option<MacOf>,
    /// `None` where nothing says when a delivery was signed.
    tolerance: Option<Duration>,
}

/// How a MAC is made.
#[derive(Clone, Debug)]
struct MacOf {
    signed: Template,
    hash: Hash,
    encoding: Encoding,
    key: KeyDecoding,
}

/// A delivery cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    #[error("secret {index} of those given is not what this scheme decodes")]
    Undecodable { index: usize },
    #[error("the fields of a form are signed, and the body is none")]
    NoForm,
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

    /// What is signed, in the words of the description; `None` where a delivery bears the secret itself.
    pub fn signed(&self) -> Option<&str> {
        self.mac.as_ref().map(|mac| mac.signed.text())
    }

    /// Whether a delivery bears the secret itself: whoever sees one has the secret.
    pub fn bears_secret(&self) -> bool {
        self.mac.is_none()
    }

    /// Whether the address is signed, so that it has to be known as the provider has it.
    pub fn signs_address(&self) -> bool {
        self.mac.as_ref().is_some_and(|mac| mac.signed.has_address())
    }

    /// Whether the fields of a form are signed, so that nothing else can be delivered.
    pub fn signs_form(&self) -> bool {
        self.mac.as_ref().is_some_and(|mac| mac.signed.has_form())
    }

    /// The hash of the MAC.
    pub fn hash(&self) -> Hash {
        self.mac.as_ref().map(|mac| mac.hash).unwrap_or_default()
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How a MAC is made; `None` where deliveries bear the secret itself.
    pub(super) fn mac_words(&self) -> Option<(&Template, Hash, Encoding, KeyDecoding)> {
        self.mac.as_ref().map(|mac| (&mac.signed, mac.hash, mac.encoding, mac.key))
    }

    /// Checks the words of `[signature]`.
    pub(crate) fn check(spec: &SignatureSpec) -> Result<Self, Flaw> {
        let layout = Layout::check(spec)?;
        let mac = match layout.bears_secret() {
            true => {
                none_of_a_mac(spec)?;
                None
            }
            false => Some(MacOf::check(spec, &layout)?),
        };
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
        Ok(Self { layout, mac, tolerance })
    }

    /// By how many seconds a timestamp is outside the tolerance, and whether it is early; `None` within, and without one.
    pub fn staleness(&self, claims: &Claims<'_>, now: i64) -> Option<(u64, bool)> {
        let (signed_at, tolerance) = claims.signed_at.zip(self.tolerance)?;
        let seconds = now.abs_diff(signed_at);
        (seconds > tolerance.as_secs()).then_some((seconds, signed_at > now))
    }

    /// How the key is made from the secret.
    pub fn key_decoding(&self) -> KeyDecoding {
        self.mac.as_ref().map_or(KeyDecoding::Raw, |mac| mac.key)
    }

    /// A moment in Unix seconds as a delivery says it, which is what is signed.
    pub fn stamp(&self, at: i64) -> String {
        self.layout.stamp(at)
    }

    /// How a MAC is written.
    pub fn encoding(&self) -> Encoding {
        self.mac.as_ref().map_or(Encoding::Hex, |mac| mac.encoding)
    }

    /// Makes a secret ready; `None` for one that cannot be decoded.
    pub fn keyed(&self, secret: &Secret) -> Option<Keyed> {
        self.keyed_by(&key(self.key_decoding(), secret.expose())?)
    }

    /// Makes a key ready, as it is.
    pub fn keyed_by(&self, key: &[u8]) -> Option<Keyed> {
        match &self.mac {
            Some(mac) => Keyed::new(mac.hash, key),
            None => std::str::from_utf8(key).ok().map(|token| Keyed::Token(Secret::new(token))),
        }
    }

    /// What a delivery bears of a key. `None` where fields are signed and the body is no form.
    pub fn signature(&self, key: &Keyed, id: &str, timestamp: &str, sent: Sent<'_>) -> Option<Signature> {
        let Some(mac) = &self.mac else { return Some(key.sign(std::iter::empty())) };
        let fields = mac.signed.fields(sent.body)?;
        Some(key.sign(mac.signed.parts(id, timestamp, sent, &fields)))
    }

    /// The MAC of a body alone, which is what a signer makes that forgets the rest.
    pub fn signature_of_body(&self, key: &Keyed, body: &[u8]) -> Signature {
        key.sign(std::iter::once(body))
    }

    /// What nobody's secret makes.
    pub fn garbage(&self) -> Signature {
        match &self.mac {
            Some(mac) => mac.hash.garbage(),
            None => Signature::Token(Secret::new(Hash::Sha256.garbage().written(Encoding::Hex))),
        }
    }

    /// A signature as it stands in the header.
    pub fn written(&self, signature: &Signature) -> String {
        signature.written(self.encoding())
    }

    /// Whether an entry of the header is this signature, in constant time.
    pub fn is_signed(&self, entry: &str, signature: &Signature) -> bool {
        signature.is(entry, self.encoding())
    }

    /// The headers of a delivery that is not signed.
    pub fn unsigned(&self, id: &str, timestamp: i64) -> Vec<(String, String)> {
        self.layout.around(id, timestamp)
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

impl MacOf {
    fn check(spec: &SignatureSpec, layout: &Layout) -> Result<Self, Flaw> {
        let missing = |key, fix| flaw(key, "is missing", fix);
        let signed = spec.signed.as_ref();
        let signed =
            signed.ok_or_else(|| missing("signature.signed", "say what is signed: `{body}`, `{timestamp}.{body}`"))?;
        let signed = Template::check(signed, layout.is_timed(), spec.id_header.is_some())?;
        let encoding = spec.encoding;
        let encoding = encoding.ok_or_else(|| missing("signature.encoding", "write `hex`, `base64` or `base64url`"))?;
        let key = spec.key;
        let key = key.ok_or_else(|| missing("signature.key", "write `raw`, or how the secret is decoded"))?;
        Ok(Self { signed, hash: spec.hash, encoding, key })
    }
}

/// Refuses what speaks of a MAC where there is none.
fn none_of_a_mac(spec: &SignatureSpec) -> Checked {
    let said = [
        ("signature.signed", spec.signed.is_some()),
        ("signature.encoding", spec.encoding.is_some()),
        ("signature.key", spec.key.is_some()),
        ("signature.hash", spec.hash != Hash::default()),
        ("signature.timestamp_header", spec.timestamp_header.is_some()),
        ("signature.id_header", spec.id_header.is_some()),
    ];
    said.into_iter().try_for_each(|(key, is_said)| {
        require(!is_said, key, "is of no use where deliveries bear the secret itself", "take it out")
    })
}

/// Signs a delivery with every secret, the first one first; the result is the delivery's extra headers.
pub fn sign(
    scheme: &Scheme,
    secrets: &[&Secret],
    id: &str,
    timestamp: i64,
    sent: Sent<'_>,
) -> Result<Vec<(String, String)>, SignatureError> {
    let mut entries = Vec::new();
    for (index, secret) in secrets.iter().enumerate() {
        let key = scheme.keyed(secret).ok_or(SignatureError::Undecodable { index })?;
        let signature = scheme.signature(&key, id, &scheme.stamp(timestamp), sent).ok_or(SignatureError::NoForm)?;
        entries.push(scheme.written(&signature));
    }
    Ok(scheme.headers(id, timestamp, &entries))
}

/// Finds the secret that signed a delivery: its index among those given. `now` is in Unix seconds.
pub fn verify(
    scheme: &Scheme,
    secrets: &[&Secret],
    headers: &[(String, String)],
    sent: Sent<'_>,
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
        let Some(signature) = scheme.signature(&key, claims.id, claims.timestamp, sent) else { continue };
        if claims.entries.iter().any(|entry| scheme.is_signed(entry, &signature)) {
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
