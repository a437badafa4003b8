//! The usual mistakes with a key and with how a signature is written, so that a delivery that does not verify says why.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::provider::signature::{Digest, PREFIX, Scheme, key, written};
use crate::provider::spec::{Encoding, KeyDecoding};
use crate::secret::Secret;

/// A way of using a secret that is not this scheme's, with the key that comes of it.
pub struct Mistaken {
    /// What the signer did, in words behind "signed with the secret …".
    pub how: &'static str,
    pub key: Zeroizing<Vec<u8>>,
}

/// Every mistaken key of a secret.
pub fn mistaken(scheme: &Scheme, secret: &Secret) -> Vec<Mistaken> {
    let text = secret.expose();
    let bare = text.strip_prefix(PREFIX).unwrap_or(text);
    let right = key(scheme.key_decoding(), text);
    let raw = |text: &str| Some(Zeroizing::new(text.as_bytes().to_vec()));
    let as_used = |text: String| key(scheme.key_decoding(), &Zeroizing::new(text));
    let decoded = |text: &str| key(KeyDecoding::Base64AfterPrefix, text);
    let trimmed = text.trim();
    let is_base64 = scheme.key_decoding() == KeyDecoding::Base64AfterPrefix;
    let candidates = [
        (is_base64, "used as its text; this scheme decodes the base64 behind `whsec_`", raw(text)),
        (!is_base64, "decoded from base64; this scheme uses the text as it is, `whsec_` included", decoded(text)),
        (true, "used as its text without `whsec_`", raw(bare)),
        (true, "decoded from hex", hex(bare)),
        (trimmed != text, "without the white space that it has at its end in the slot", as_used(trimmed.to_owned())),
        (true, "with a line break behind it", raw(&Zeroizing::new(format!("{text}\n")))),
        (true, "with CR LF behind it", raw(&Zeroizing::new(format!("{text}\r\n")))),
        (true, "with a space behind it", raw(&Zeroizing::new(format!("{text} ")))),
        (true, "between quotes", raw(&Zeroizing::new(format!("\"{text}\"")))),
    ];
    candidates
        .into_iter()
        .filter(|(fits, ..)| *fits)
        .filter_map(|(_, how, key)| Some(Mistaken { how, key: key? }))
        .filter(|mistaken| right.as_ref() != Some(&mistaken.key))
        .collect()
}

/// How an entry is written that is the right MAC in the wrong letters.
pub fn misspelt(scheme: &Scheme, entry: &str, digest: &Digest) -> Option<&'static str> {
    let (hex, base64) = (written(Encoding::Hex, digest), written(Encoding::Base64, digest));
    let spellings = [
        (Encoding::Base64, "in hex, where base64 is due", entry.eq_ignore_ascii_case(&hex)),
        (Encoding::Hex, "in capital hex digits, where small ones are due", entry.eq_ignore_ascii_case(&hex)),
        (Encoding::Hex, "in base64, where hex is due", entry == base64),
        (Encoding::Base64, "in base64 without its padding", entry == STANDARD_NO_PAD.encode(digest)),
        (
            Encoding::Base64,
            "in the base64 of URLs",
            [URL_SAFE.encode(digest), URL_SAFE_NO_PAD.encode(digest)].contains(&entry.to_owned()),
        ),
    ];
    spellings.into_iter().find(|(encoding, _, same)| *encoding == scheme.encoding() && *same).map(|(_, how, _)| how)
}

fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<_>>>().map(Zeroizing::new)
}
