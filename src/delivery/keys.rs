//! The usual mistakes with a key and with how a signature is written, so that a delivery that does not verify says why.

use zeroize::Zeroizing;

use crate::provider::signature::{PREFIX, Scheme, Signature, key};
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
    let (is_raw, used_as_text) = match scheme.key_decoding() {
        KeyDecoding::Raw => (true, ""),
        KeyDecoding::Base64AfterPrefix => (false, "used as its text; this scheme decodes the base64 behind `whsec_`"),
        KeyDecoding::Base64 => (false, "used as its text; this scheme decodes it from base64"),
        KeyDecoding::Hex => (false, "used as its text; this scheme decodes it from hex"),
    };
    let candidates = [
        (!is_raw, used_as_text, raw(text)),
        (
            true,
            match is_raw {
                true => "decoded from base64; this scheme uses the text as it is, `whsec_` included",
                false => "decoded from the base64 behind `whsec_`",
            },
            decoded(text),
        ),
        (true, "used as its text without `whsec_`", raw(bare)),
        (true, "decoded from hex", key(KeyDecoding::Hex, bare)),
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
pub fn misspelt(scheme: &Scheme, entry: &str, signature: &Signature) -> Option<&'static str> {
    if scheme.bears_secret() {
        return None;
    }
    let [hex, base64, urls] =
        [Encoding::Hex, Encoding::Base64, Encoding::Base64url].map(|encoding| signature.written(encoding));
    let is = |text: &str, padded: &str| entry.trim_end_matches('=') == text.trim_end_matches('=') && entry != padded;
    let spellings = [
        (Encoding::Base64, "in hex, where base64 is due", entry.eq_ignore_ascii_case(&hex)),
        (Encoding::Base64url, "in hex, where the base64 of URLs is due", entry.eq_ignore_ascii_case(&hex)),
        (Encoding::Hex, "in capital hex digits, where small ones are due", entry.eq_ignore_ascii_case(&hex)),
        (Encoding::Hex, "in base64, where hex is due", entry == base64),
        (Encoding::Base64, "in base64 without its padding", is(&base64, &base64)),
        (Encoding::Base64, "in the base64 of URLs", is(&urls, &base64)),
        (Encoding::Base64url, "in base64 with `+` and `/`, where that of URLs is due", is(&base64, &urls)),
        (Encoding::Base64url, "in base64 with padding, where none is due", is(&urls, &urls)),
    ];
    spellings.into_iter().find(|(encoding, _, same)| *encoding == scheme.encoding() && *same).map(|(_, how, _)| how)
}
