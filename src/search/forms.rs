//! The forms in which a secret is met in files: as it is, and as programs encode it. Pure; each is a copy of the secret and is
//! wiped when dropped.

use std::collections::BTreeSet;

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// How a secret is written where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    Raw,
    Base64,
    Base64Url,
    Hex,
    HexUpper,
    Percent,
    Json,
}

impl Form {
    /// The word for it in output and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Hex => "hex",
            Self::HexUpper => "hex-upper",
            Self::Percent => "percent",
            Self::Json => "json",
        }
    }
}

/// A secret in one form.
pub(super) type Written = (Form, Zeroizing<Vec<u8>>);

/// Every form of a secret, each text once.
pub(super) fn forms(secret: &Secret) -> Vec<Written> {
    let value = secret.expose();
    let bytes = value.as_bytes();
    let mut all = vec![(Form::Raw, Zeroizing::new(bytes.to_vec()))];
    for offset in 0..3 {
        all.push((Form::Base64, within_base64(&STANDARD, bytes, offset)));
        all.push((Form::Base64Url, within_base64(&URL_SAFE, bytes, offset)));
    }
    all.push((Form::Hex, each(bytes, |byte, out| push_hex(byte, b"0123456789abcdef", out))));
    all.push((Form::HexUpper, each(bytes, |byte, out| push_hex(byte, b"0123456789ABCDEF", out))));
    // Programs differ in the case of the digits and in whether a slash is left as it is.
    for (digits, kept) in [(b"0123456789ABCDEF", ""), (b"0123456789abcdef", ""), (b"0123456789ABCDEF", "/")] {
        all.push((Form::Percent, each(bytes, |byte, out| push_percent(byte, digits, kept, out))));
    }
    // As most write it, as PHP does, as Go and whoever keeps to ASCII do.
    for style in [Escapes::Needed, Escapes::Slashes, Escapes::Ascii] {
        all.push((Form::Json, json(value, style)));
    }
    let mut seen = BTreeSet::new();
    let is_first: Vec<bool> = all.iter().map(|(_, text)| seen.insert(text.as_slice())).collect();
    let mut is_first = is_first.into_iter();
    all.retain(|_| is_first.next().unwrap_or(true));
    all
}

fn each(bytes: &[u8], push: impl Fn(u8, &mut Vec<u8>)) -> Zeroizing<Vec<u8>> {
    // Large enough for what is longest, so that no copy is left behind by one that grows.
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() * 6));
    bytes.iter().for_each(|byte| push(*byte, &mut out));
    out
}

fn push_hex(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.extend([digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

fn push_percent(byte: u8, digits: &[u8; 16], kept: &str, out: &mut Vec<u8>) {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || kept.as_bytes().contains(&byte) {
        out.push(byte);
    } else {
        out.push(b'%');
        push_hex(byte, digits, out);
    }
}

/// What stays the same of the base64 of a text that has the secret so many bytes (modulo 3) behind its beginning, whatever stands
/// before and behind it.
fn within_base64(alphabet: &Alphabet, bytes: &[u8], offset: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(bytes.len() + offset));
    padded.resize(offset, 0);
    padded.extend_from_slice(bytes);
    let text = Zeroizing::new(GeneralPurpose::new(alphabet, NO_PAD).encode(&*padded));
    // A character has 6 bits: those with a bit of what stands before or behind are left out.
    let (first, end) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    Zeroizing::new(text.as_bytes()[first.min(end)..end].to_vec())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Needed,
    Slashes,
    Ascii,
}

fn json(value: &str, style: Escapes) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 6));
    for character in value.chars() {
        match character {
            '"' | '\\' => out.extend([b'\\', character as u8]),
            '/' if style == Escapes::Slashes => out.extend(b"\\/"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '<' | '>' | '&' if style == Escapes::Ascii => push_unit(character as u16, &mut out),
            '\0'..'\x20' => push_unit(character as u16, &mut out),
            _ if character.is_ascii() || style == Escapes::Needed => {
                out.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_unit(*unit, &mut out)),
        }
    }
    out
}

fn push_unit(unit: u16, out: &mut Vec<u8>) {
    out.extend(b"\\u");
    unit.to_be_bytes().into_iter().for_each(|byte| push_hex(byte, b"0123456789abcdef", out));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_as_programs_write_it() {
        let found = forms(&Secret::new("whsec_a/b+c\"é="));
        let has = |form: Form, text: &str| {
            let texts: Vec<_> = found.iter().map(|(form, text)| (*form, String::from_utf8_lossy(text))).collect();
            assert!(texts.iter().any(|(is, found)| *is == form && found == text), "{text} as {form:?}: {texts:?}");
        };
        has(Form::Raw, "whsec_a/b+c\"é=");
        has(Form::Hex, "77687365635f612f622b6322c3a93d");
        has(Form::HexUpper, "77687365635F612F622B6322C3A93D");
        has(Form::Percent, "whsec_a%2Fb%2Bc%22%C3%A9%3D");
        has(Form::Percent, "whsec_a%2fb%2bc%22%c3%a9%3d");
        has(Form::Percent, "whsec_a/b%2Bc%22%C3%A9%3D");
        has(Form::Json, "whsec_a/b+c\\\"é=");
        has(Form::Json, "whsec_a\\/b+c\\\"\\u00e9=");
        has(Form::Json, "whsec_a/b+c\\\"\\u00e9=");
    }

    #[test]
    fn base64_is_found_whatever_stands_around() {
        let secret = Secret::new("whsec_??>>~~secret??");
        let found = forms(&secret);
        for (alphabet, form) in [(&STANDARD, Form::Base64), (&URL_SAFE, Form::Base64Url)] {
            for before in ["", "a", "ab", "abc", "abcd", "\u{7f}\u{7f}"] {
                for behind in ["", "z", "zy", "\u{7f}"] {
                    let text = format!("{before}{}{behind}", secret.expose());
                    let text = GeneralPurpose::new(alphabet, NO_PAD).encode(text);
                    let is_in = |(is, part): &&Written| {
                        let part = String::from_utf8_lossy(part);
                        (*is == form || *is == Form::Base64) && text.contains(&*part)
                    };
                    assert_eq!(found.iter().filter(is_in).count(), 1, "{before:?} {behind:?} {form:?}");
                }
            }
        }
    }
}
