//! Finds the secret that signed a delivery, entry by entry, or the reason why none did.

use std::borrow::Cow;
use std::cell::OnceCell;

use thiserror::Error;

use super::probe::mark;
use super::{Delivery, Loss, bodies, keys};
use crate::provider::signature::{Claims, Keyed, Mismatch, Scheme, Sent, Signature};
use crate::secret::Secret;
use crate::stamp::StampKey;

/// Secrets made ready to look at many deliveries.
pub struct Examiner<'a> {
    scheme: &'a Scheme,
    secrets: Vec<&'a Secret>,
    /// `None` for a secret that the scheme cannot decode.
    keys: Vec<Option<Keyed>>,
    /// Each secret's keys as others make them by mistake, once one is needed.
    mistaken: OnceCell<Vec<Vec<(&'static str, Keyed)>>>,
    /// Knows our own probes.
    own: Option<StampKey>,
    /// Addresses at which the provider may deliver, where the address is signed.
    addresses: Vec<String>,
}

/// What came of looking at one delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// Which of the secrets signed which entry of the header, both from 0.
    pub matches: Vec<Match>,
    /// How many entries there are.
    pub entries: usize,
    /// When it was signed, by its own word, in Unix seconds.
    pub signed_at: Option<i64>,
    /// Why it does not verify; empty where it does.
    pub causes: Vec<Cause>,
}

/// A secret signed an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    pub entry: usize,
    pub secret: usize,
}

/// Why a delivery does not verify. `secret` is the index of one of those given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    #[error("it has no header `{header}`")]
    MissingHeader { header: String },
    #[error("its header `{header}` is not in the form that this provider writes")]
    Malformed { header: String },
    #[error("its header `{header}` has no `{wanted}` signature, only {versions}")]
    UnknownVersion { header: String, wanted: String, versions: String },
    #[error(
        "its timestamp is {seconds} s {}; receivers take {tolerance} s, so it is off by {} s",
        if *.early { "in the future" } else { "old" },
        .seconds - .tolerance
    )]
    Stale { seconds: u64, tolerance: u64, early: bool },
    #[error("its body was changed on the way: it was signed {how}")]
    BodyChanged { secret: usize, how: String },
    #[error("the signer used the secret wrongly: {how}")]
    KeyMisused { secret: usize, how: &'static str },
    #[error("its signature is written {how}")]
    Misspelt { secret: usize, how: &'static str },
    #[error(
        "the address that it was sent to is signed, too, and it is not known: name it in the target's `receivers`, or in the capture"
    )]
    AddressUnknown,
    #[error("the body alone was signed, without the rest")]
    BodyAlone { secret: usize },
    #[error("the secret cannot be decoded as this provider's: it is not {wants}")]
    Undecodable { secret: usize, wants: &'static str },
    #[error("the capture has lost a part of the body: {length} bytes of {announced}")]
    CutShort { length: usize, announced: usize },
    #[error("the capture has no body, and so it cannot be verified")]
    NoBody,
    #[error("the capture keeps its body as parsed JSON, and its bytes may have been others")]
    BodyParsed,
    #[error("none of the secrets signed it")]
    NoMatch,
}

impl Cause {
    /// One word for JSON and counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MissingHeader { .. } => "header_missing",
            Self::Malformed { .. } => "header_malformed",
            Self::UnknownVersion { .. } => "version_unknown",
            Self::Stale { .. } => "stale",
            Self::BodyChanged { .. } => "body_changed",
            Self::KeyMisused { .. } => "key_misused",
            Self::Misspelt { .. } => "encoding",
            Self::AddressUnknown => "address_unknown",
            Self::BodyAlone { .. } => "timestamp_unsigned",
            Self::Undecodable { .. } => "secret_undecodable",
            Self::CutShort { .. } => "capture_cut_short",
            Self::NoBody => "capture_without_body",
            Self::BodyParsed => "capture_parsed",
            Self::NoMatch => "no_match",
        }
    }

    /// The secret that it is about.
    pub fn secret(&self) -> Option<usize> {
        match self {
            Self::BodyChanged { secret, .. }
            | Self::KeyMisused { secret, .. }
            | Self::Misspelt { secret, .. }
            | Self::BodyAlone { secret }
            | Self::Undecodable { secret, .. } => Some(*secret),
            _ => None,
        }
    }
}

impl From<Mismatch> for Cause {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::Missing { header } => Self::MissingHeader { header },
            Mismatch::Malformed { header } => Self::Malformed { header },
            Mismatch::UnknownVersion { header, wanted, versions } => Self::UnknownVersion { header, wanted, versions },
            Mismatch::Stale { .. } | Mismatch::NoMatch | Mismatch::Undecodable { .. } => Self::NoMatch,
        }
    }
}

impl<'a> Examiner<'a> {
    /// Makes the secrets ready.
    pub fn new(scheme: &'a Scheme, secrets: Vec<&'a Secret>) -> Self {
        let keys = secrets.iter().map(|secret| scheme.keyed(secret)).collect();
        Self { scheme, keys, secrets, mistaken: OnceCell::new(), own: None, addresses: Vec::new() }
    }

    /// The same, which knows the probes that were sent with this key.
    pub fn knowing_probes(self, own: Option<StampKey>) -> Self {
        Self { own, ..self }
    }

    /// The same, which knows where the provider may deliver: the address is signed in some schemes.
    pub fn at(self, addresses: &[String]) -> Self {
        let addresses = if self.scheme.signs_address() { addresses.to_vec() } else { Vec::new() };
        Self { addresses, ..self }
    }

    /// Whether it is a probe of our own, which says nothing about the provider.
    pub fn is_probe(&self, delivery: &Delivery<'_>) -> bool {
        mark::is_probe(delivery, self.scheme.id_header(), self.own.as_ref())
    }

    /// Which secrets signed which entries. Says no more of a delivery that nothing matches, and is quick: for many.
    /// `now` is in Unix seconds; without it the age is not judged.
    pub fn look(&self, delivery: &Delivery<'_>, now: Option<i64>) -> Examination {
        let claims = match self.scheme.claims(&delivery.headers) {
            Ok(claims) => claims,
            Err(mismatch) => return Examination { causes: vec![mismatch.into()], ..Examination::default() },
        };
        let matches = self.matches(&claims, delivery, &delivery.body);
        let mut causes = Vec::new();
        if matches.is_empty() {
            causes.push(Cause::NoMatch);
        }
        let stale = now.and_then(|now| self.scheme.staleness(&claims, now)).zip(self.scheme.tolerance());
        if let Some(((seconds, early), tolerance)) = stale {
            causes.push(Cause::Stale { seconds, tolerance: tolerance.as_secs(), early });
        }
        Examination { matches, entries: claims.entries.len(), signed_at: claims.signed_at, causes }
    }

    /// The same, and where nothing matches, everything that may be the reason.
    pub fn examine(&self, delivery: &Delivery<'_>, now: Option<i64>) -> Examination {
        let mut examination = self.look(delivery, now);
        if let (true, Ok(claims)) = (examination.matches.is_empty(), self.scheme.claims(&delivery.headers)) {
            let stale = examination.causes.into_iter().filter(|cause| *cause != Cause::NoMatch);
            examination.causes = self.reasons(&claims, delivery).into_iter().chain(stale).collect();
        }
        examination
    }

    fn matches(&self, claims: &Claims<'_>, delivery: &Delivery<'_>, body: &[u8]) -> Vec<Match> {
        let mut matches = Vec::new();
        for (secret, key) in self.keys.iter().enumerate() {
            let Some(key) = key else { continue };
            let signatures = self.signatures(key, claims, delivery, body);
            let is_signed = |entry: &str| signatures.iter().any(|signature| self.scheme.is_signed(entry, signature));
            let signed = claims.entries.iter().enumerate().filter(|(_, entry)| is_signed(entry));
            matches.extend(signed.map(|(entry, _)| Match { entry, secret }));
        }
        matches.sort_by_key(|found| (found.entry, found.secret));
        matches
    }

    /// What a delivery with this body bears of a key: one signature for each address that it may have been sent to, where the
    /// address is signed; else one.
    fn signatures(&self, key: &Keyed, claims: &Claims<'_>, delivery: &Delivery<'_>, body: &[u8]) -> Vec<Signature> {
        let method = delivery.method.as_deref().unwrap_or(Sent::METHOD);
        let by = |url| self.scheme.signature(key, claims.id, claims.timestamp, Sent { method, url, body });
        match self.scheme.signs_address() {
            true => self.addresses_of(delivery).filter_map(by).collect(),
            false => by("").into_iter().collect(),
        }
    }

    /// Where it may have been sent to, as the provider has it: what the target says, and what the capture does.
    fn addresses_of<'d>(&'d self, delivery: &'d Delivery<'_>) -> impl Iterator<Item = &'d str> {
        self.addresses.iter().map(String::as_str).chain(delivery.url.as_deref())
    }

    /// Everything that explains why nothing matches; what is certain comes first.
    fn reasons(&self, claims: &Claims<'_>, delivery: &Delivery<'_>) -> Vec<Cause> {
        let mut causes = Vec::new();
        match delivery.loss {
            Some(Loss::CutShort { length, announced }) => causes.push(Cause::CutShort { length, announced }),
            Some(Loss::NoBody) => causes.push(Cause::NoBody),
            Some(Loss::Parsed) | None => {}
        }
        if self.scheme.signs_address() && self.addresses_of(delivery).next().is_none() {
            causes.push(Cause::AddressUnknown);
            return causes;
        }
        if let Some(cause) = self.changed_body(claims, delivery).or_else(|| self.misused(claims, delivery)) {
            causes.push(cause);
            return causes;
        }
        if delivery.loss == Some(Loss::Parsed) {
            causes.push(Cause::BodyParsed);
        }
        if causes.is_empty() && self.keys.iter().any(Option::is_some) {
            causes.push(Cause::NoMatch);
        }
        let wants = self.scheme.key_decoding().wants();
        let undecodable = self.keys.iter().position(Option::is_none).map(|secret| Cause::Undecodable { secret, wants });
        causes.extend(undecodable);
        causes
    }

    fn changed_body(&self, claims: &Claims<'_>, delivery: &Delivery<'_>) -> Option<Cause> {
        if self.scheme.bears_secret() {
            return None;
        }
        let mut forms = bodies::forms(&delivery.body);
        forms.find_map(|form| {
            let found = self.matches(claims, delivery, &form.bytes);
            found.first().map(|found| Cause::BodyChanged { secret: found.secret, how: form.how.clone() })
        })
    }

    fn misused(&self, claims: &Claims<'_>, delivery: &Delivery<'_>) -> Option<Cause> {
        let is_there =
            |signature: &Signature| claims.entries.iter().any(|entry| self.scheme.is_signed(entry, signature));
        let signatures = |key: &Keyed| self.signatures(key, claims, delivery, &delivery.body);
        for (secret, (mistaken, key)) in self.mistaken().iter().zip(&self.keys).enumerate() {
            if let Some(key) = key {
                let misspelt = |signature: &Signature| {
                    claims.entries.iter().find_map(|entry| keys::misspelt(self.scheme, entry, signature))
                };
                if let Some(how) = signatures(key).iter().find_map(misspelt) {
                    return Some(Cause::Misspelt { secret, how });
                }
                if is_there(&self.scheme.signature_of_body(key, &delivery.body)) {
                    return Some(Cause::BodyAlone { secret });
                }
            }
            for (how, key) in mistaken {
                if signatures(key).iter().any(is_there) {
                    return Some(Cause::KeyMisused { secret, how });
                }
            }
        }
        None
    }

    fn mistaken(&self) -> &[Vec<(&'static str, Keyed)>] {
        let of = |secret: &&Secret| {
            let mistaken = keys::mistaken(self.scheme, secret).into_iter();
            mistaken.filter_map(|mistaken| Some((mistaken.how, self.scheme.keyed_by(&mistaken.key)?))).collect()
        };
        self.mistaken.get_or_init(|| self.secrets.iter().map(of).collect())
    }
}

/// A delivery put together from single headers and a body.
pub fn from_parts(headers: &[(String, String)], body: Vec<u8>) -> Delivery<'static> {
    let headers = headers.iter().map(|(name, value)| (Cow::Owned(name.clone()), Cow::Owned(value.clone()))).collect();
    Delivery { headers, body: Cow::Owned(body), ..Delivery::default() }
}
