//! Whose API key a request is sent with, as far as that can be told again without the key: a lost request is not sent again as
//! somebody else without a question.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use crate::provider::plain_text;
use crate::secret::Secret;
use crate::system::text::hex;

/// Where an API key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOrigin {
    /// In words: `the environment variable LAYERS_API_KEY`.
    pub words: String,
    /// Whether a program printed it, which may print another one each time.
    pub is_printed: bool,
}

/// What the journal keeps of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMark {
    pub source: String,
    /// Whom a token is of, by its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whom: Option<String>,
    /// The start of a digest that is another one in each rotation. Absent for a token, and where a key changes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Shorter keys could be guessed, and a digest would say which guess is right.
const SHORTEST_DIGESTED: usize = 16;
/// Bytes of the digest that are kept. Providers' keys are long and random, so that nobody finds one by trying; of a key that
/// somebody chose, so few leave many guesses that fit.
const DIGEST_BYTES: usize = 4;

impl KeyMark {
    /// What is kept of a key in this rotation.
    pub fn of(key: &Secret, origin: &KeyOrigin, rotation: Uuid) -> Self {
        let whom = whom(key.expose());
        let is_lasting = whom.is_none() && !origin.is_printed && key.len() >= SHORTEST_DIGESTED;
        let digest = is_lasting.then(|| digest(key, rotation)).flatten();
        Self { source: plain_text(&origin.words), whom, digest }
    }

    /// Whether both are of the same account, as far as that shows. A new token of the same subject is the same key.
    pub fn is_of(&self, other: &Self) -> bool {
        match (&self.whom, &other.whom, &self.digest, &other.digest) {
            (Some(one), Some(other), ..) => one == other,
            (None, None, Some(one), Some(other)) => one == other,
            (None, None, None, None) => self.source == other.source,
            _ => false,
        }
    }
}

impl std::fmt::Display for KeyMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.whom, &self.digest) {
            (Some(whom), _) => write!(f, "a token of {whom} from {}", self.source),
            (None, Some(digest)) => write!(f, "the key {digest}… from {}", self.source),
            (None, None) => write!(f, "a key from {}", self.source),
        }
    }
}

/// Issuer and subject of a JSON Web Token. Nobody has to believe it: it is only compared with itself.
fn whom(key: &str) -> Option<String> {
    let mut parts = key.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let claim = |name: &str| claims.get(name).and_then(|value| value.as_str()).map(plain_text);
    let subject = claim("sub").filter(|subject| !subject.is_empty())?;
    Some(match claim("iss") {
        Some(issuer) => format!("{subject} at {issuer}"),
        None => subject,
    })
}

/// Salted with the rotation, so that two rotations do not tell whether they used the same key.
fn digest(key: &Secret, rotation: Uuid) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(rotation.as_bytes()).ok()?;
    mac.update(key.expose().as_bytes());
    let bytes = mac.finalize().into_bytes();
    Some(hex(bytes.get(..DIGEST_BYTES).unwrap_or(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(words: &str, is_printed: bool) -> KeyOrigin {
        KeyOrigin { words: words.to_owned(), is_printed }
    }

    fn token(claims: &str, signature: &str) -> String {
        format!("eyJhbGciOiJIUzI1NiJ9.{}.{signature}", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a13_a_key_is_known_again_by_its_subject_or_its_digest() {
        let ana = |signature| token(r#"{"iss":"https://id.example","sub":"ana","exp":1}"#, signature);
        let (file, variable) = (origin("the file `/k`", false), origin("the environment variable `K`", false));
        let program = origin("the program `token`", true);
        let long = |letter: &str| letter.repeat(32);
        for (one, other, same) in [
            ((long("a"), &file), (long("a"), &file), true),
            ((long("a"), &file), (long("a"), &variable), true),
            ((long("a"), &file), (long("b"), &file), false),
            ((ana("x"), &file), (ana("y"), &file), true),
            ((ana("x"), &program), (token(r#"{"sub":"ben"}"#, "x"), &program), false),
            ((ana("x"), &file), (long("a"), &file), false),
            ((long("a"), &program), (long("b"), &program), true),
            ((long("a"), &program), (long("a"), &file), false),
            (("short".to_owned(), &file), ("other".to_owned(), &file), true),
        ] {
            let mark = |(key, origin): (String, &KeyOrigin)| KeyMark::of(&Secret::new(key), origin, Uuid::nil());
            let (one, other) = (mark(one), mark(other));
            assert_eq!(one.is_of(&other), same, "{one} / {other}");
            assert_eq!(other.is_of(&one), same, "{other} / {one}");
        }
    }

    #[test]
    fn a13_two_rotations_do_not_tell_that_they_used_one_key() {
        let key = Secret::new("a".repeat(32));
        let mark = |id| KeyMark::of(&key, &origin("the file `/k`", false), id);
        assert_ne!(mark(Uuid::nil()).digest, mark(Uuid::max()).digest);
        assert_eq!(mark(Uuid::nil()).digest.map(|digest| digest.len()), Some(2 * DIGEST_BYTES));
    }

    #[test]
    fn a13_what_is_no_token_has_no_subject() {
        for key in ["", "a.b.c", "a.b", "a.e30.c", "a.e30.c.d", &token(r#"{"sub":""}"#, "x"), &token("[]", "x")] {
            assert_eq!(whom(key), None, "{key}");
        }
    }
}
