//! A person rotates, on the provider's page: what such a description says, and what the secret that they bring has to look like.
//!
//! Nothing that is said of a secret repeats it.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::rules::{self, Checked, require};
use super::signature::{self, PREFIX};
use super::spec::{ErrorsSpec, SecretForm, SecretSpec, Spec};
use super::{Provider, sections};
use crate::secret::Secret;

/// What is shorter is no secret, whoever has made it.
const FEWEST_CHARACTERS: usize = 8;
/// Fewest bytes that a secret is made of, where nobody says how many.
const FEWEST_BYTES: usize = 8;
/// Longest secret that is taken, in bytes: what a line of a terminal holds.
const MOST_CHARACTERS: usize = 4_000;
/// Most bytes that a description may say a secret is made of.
const MOST_BYTES: usize = 1_024;

/// A description of a provider at which a person rotates: nothing in it speaks of a call.
pub(super) fn check(spec: &Spec) -> Checked {
    let rotate = &spec.rotate;
    let Some(page) = &rotate.page else {
        return require(false, "rotate.where", "is missing", "say where to look and what to press");
    };
    rules::words("rotate.where", page)?;
    let none = |is_none, key| {
        require(is_none, key, "is of no use where a person rotates", "take it out: nothing is ever sent")
    };
    none(spec.auth.is_absent(), "auth")?;
    none(rotate.method.is_none(), "rotate.method")?;
    none(rotate.path.is_none(), "rotate.path")?;
    none(rotate.body.is_none(), "rotate.body")?;
    none(rotate.media_type.is_none(), "rotate.type")?;
    none(rotate.carry.is_empty() && rotate.may_carry.is_empty(), "rotate.carry")?;
    none(rotate.headers.is_empty(), "rotate.headers")?;
    none(rotate.read.is_none(), "rotate.read")?;
    none(rotate.answer.is_none(), "rotate.answer")?;
    none(spec.headers.is_empty(), "headers")?;
    none(spec.options.is_empty(), "options")?;
    none(spec.force.is_none(), "force")?;
    none(spec.idempotency.is_none(), "idempotency")?;
    none(spec.inspect.is_none(), "inspect")?;
    none(spec.test_delivery.is_none(), "test_delivery")?;
    let ErrorsSpec { code, message, within, request_id, table } = &spec.errors;
    let is_silent = code.is_none() && message.is_none() && within.is_none() && request_id.is_none();
    none(is_silent && table.is_empty(), "errors")?;
    let Some(secret) = &rotate.secret else { return Ok(()) };
    require(
        secret.form != SecretForm::Whsec || secret.prefix.is_none(),
        "rotate.secret.prefix",
        "is of no use with `whsec`, which is one",
        "take it out",
    )?;
    sections::decodable(spec, secret)?;
    require(
        secret.bytes.is_none_or(|bytes| (FEWEST_BYTES..=MOST_BYTES).contains(&bytes))
            && !(secret.bytes.is_some() && is_text(secret)),
        "rotate.secret.bytes",
        "is not between 8 and 1024, or goes with a form that has none",
        "leave it out where lengths differ",
    )?;
    let plain =
        |prefix: &String| (1..=32).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_graphic());
    require(
        secret.prefix.as_ref().is_none_or(plain),
        "rotate.secret.prefix",
        "is not the start of a secret",
        "write the characters that every one begins with",
    )
}

impl Provider {
    /// Refuses what cannot be the secret that this provider's page shows. What is said never repeats it.
    pub fn admit_secret(&self, secret: &Secret) -> Result<(), String> {
        let text = secret.expose();
        let length = text.chars().count();
        if text.is_empty() {
            return Err("nothing was given".to_owned());
        }
        if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return Err("it has white space in the middle: copy the secret alone".to_owned());
        }
        if length < FEWEST_CHARACTERS {
            return Err(format!("it has {length} characters, and a secret has more: copy the whole of it"));
        }
        if text.len() > MOST_CHARACTERS {
            return Err("it is longer than a secret can be: copy the secret alone".to_owned());
        }
        if let Some(expected) = &self.spec().rotate.secret {
            fits(expected, text).map_err(|why| format!("{} shows others: {why}", self.title()))?;
        }
        match self.spec().signature.as_ref().and_then(|signature| signature.key) {
            Some(decoding) if signature::key(decoding, text).is_none() => {
                Err(format!("no key can be made of it: it is not {}", decoding.wants()))
            }
            _ => Ok(()),
        }
    }
}

fn is_text(secret: &SecretSpec) -> bool {
    secret.form == SecretForm::Text
}

/// Whether a text has the form that is expected; why not, as far as that can be told without it.
fn fits(expected: &SecretSpec, text: &str) -> Result<(), String> {
    let rest = match &expected.prefix {
        Some(prefix) => text.strip_prefix(prefix.as_str()).ok_or_else(|| format!("they begin with `{prefix}`"))?,
        None => text,
    };
    let decoded = match expected.form {
        SecretForm::Text => return Ok(()),
        SecretForm::Hex => {
            let is_hex = rest.len() % 2 == 0 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then_some(rest.len() / 2)
        }
        SecretForm::Base64 => length(&STANDARD, rest),
        SecretForm::Base64url => length(&URL_SAFE_NO_PAD, rest).or_else(|| length(&URL_SAFE, rest)),
        SecretForm::Whsec => {
            let rest = rest.strip_prefix(PREFIX).ok_or_else(|| format!("they begin with `{PREFIX}`"))?;
            length(&STANDARD, rest)
        }
    };
    let Some(bytes) = decoded else { return Err(format!("they are {}", expected.form.name())) };
    match expected.bytes {
        None if bytes < FEWEST_BYTES => Err(format!("they are longer than {bytes} bytes")),
        Some(expected) if expected != bytes => {
            Err(format!("they are made of {expected} bytes, and this one of {bytes}"))
        }
        _ => Ok(()),
    }
}

fn length(engine: &GeneralPurpose, text: &str) -> Option<usize> {
    engine.decode(text).ok().map(|bytes| Zeroizing::new(bytes).len())
}

#[cfg(test)]
mod tests {
    use super::super::ProviderError;
    use super::*;

    const SLACK: &str = "version = 1\nname = \"acme\"\ntitle = \"Acme\"\nids = [\"app\"]\n\
                         [rotate]\nkind = \"hand\"\nwhere = \"https://acme.example/apps/{app}: Regenerate\"\n\
                         [overlap]\nkind = \"unknown\"\n";

    fn described(rotate: &str, rest: &str) -> Result<Provider, String> {
        let text = SLACK.replace("[overlap]", &format!("{rotate}\n[overlap]")) + rest;
        Provider::parse(&text, "acme.toml").map_err(|error| match error {
            ProviderError::Invalid { key, why, fix, .. } => format!("{key} {why}: {fix}"),
            other => other.to_string(),
        })
    }

    #[test]
    fn what_speaks_of_a_call_is_refused_where_a_person_rotates() {
        assert!(described("", "").is_ok());
        for (rotate, rest, key) in [
            ("method = \"POST\"", "", "rotate.method"),
            ("path = \"/a/{app}\"", "", "rotate.path"),
            ("body = { a = 1 }", "", "rotate.body"),
            ("read = \"/a/{app}\"", "", "rotate.read"),
            ("", "[auth]\nenv = \"ACME_KEY\"\nabout = \"a key\"\nschemes = []", "auth"),
            ("", "[inspect]\nmethod = \"GET\"\npath = \"/a/{app}\"", "inspect"),
            ("", "[errors]\ncode = \"/code\"", "errors"),
            ("", "[idempotency]\nheader = \"K\"\nform = \"uuid\"\nwindow = \"24h\"", "idempotency"),
            ("secret = { form = \"text\", bytes = 4 }", "", "rotate.secret.bytes"),
            ("secret = { form = \"hex\", prefix = \"\" }", "", "rotate.secret.prefix"),
        ] {
            let said = described(rotate, rest).map(|_| ()).unwrap_err();
            assert!(said.starts_with(&format!("{key} ")), "{rotate}{rest}: {said}");
        }
        let text = SLACK.replace("{app}", "{team}");
        assert!(Provider::parse(&text, "acme.toml").unwrap_err().to_string().contains("{team}"));
    }

    #[test]
    fn a_description_without_a_call_has_to_be_one_of_a_person() {
        let text = SLACK.replace("kind = \"hand\"\n", "");
        assert!(Provider::parse(&text, "acme.toml").unwrap_err().to_string().contains("rotate.where"));
        let text = text.lines().filter(|line| !line.starts_with("where")).collect::<Vec<_>>();
        assert!(Provider::parse(&text.join("\n"), "acme.toml").unwrap_err().to_string().contains("`auth`"));
    }

    #[test]
    fn the_page_is_told_with_the_endpoints_ids() {
        let provider = described("", "").unwrap();
        let ids = [super::super::Id { name: "app".to_owned(), value: "A1".to_owned() }];
        assert_eq!(provider.page(&ids).unwrap(), "https://acme.example/apps/A1: Regenerate");
    }

    #[test]
    fn what_is_pasted_has_the_form_that_the_page_shows_or_is_refused_without_being_repeated() {
        let (hex, base64) = ("0123456789abcdef0123456789abcdef", "MDEyMzQ1Njc4OWFiY2RlZg==");
        for (secret, given, expected) in [
            ("", hex, None),
            ("", "0123456", Some("7 characters")),
            ("", "", Some("nothing was given")),
            ("", "01234567 89abcdef", Some("white space")),
            ("", "01234567\u{0}89abcdef", Some("white space")),
            ("form = \"hex\"", hex, None),
            ("form = \"hex\", bytes = 16", hex, None),
            ("form = \"hex\", bytes = 32", hex, Some("32 bytes, and this one of 16")),
            ("form = \"hex\"", "0123456789abcdeg", Some("they are hex")),
            ("form = \"hex\"", "0123456789abcde", Some("they are hex")),
            ("form = \"base64\", bytes = 16", base64, None),
            ("form = \"base64\"", "not-base64", Some("they are base64")),
            ("form = \"base64url\", bytes = 16", base64, None),
            ("form = \"base64url\"", "MDEyMzQ1Njc4OWFiY2RlZg", None),
            ("form = \"whsec\", bytes = 16", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==", None),
            ("form = \"whsec\"", "whsec_YWFh", Some("longer than 3 bytes")),
            ("form = \"whsec\"", base64, Some("begin with `whsec_`")),
            ("form = \"text\", prefix = \"wsec_\"", "wsec_anything", None),
            ("form = \"text\", prefix = \"wsec_\"", "whsec_anything", Some("begin with `wsec_`")),
        ] {
            let rotate = if secret.is_empty() { String::new() } else { format!("secret = {{ {secret} }}") };
            let said = described(&rotate, "").unwrap().admit_secret(&Secret::new(given)).err();
            match expected {
                None => assert_eq!(said, None, "{secret} {given}"),
                Some(part) => {
                    let said = said.unwrap_or_default();
                    assert!(said.contains(part), "{secret}: {said}");
                    assert!(given.is_empty() || !said.contains(given), "{said}");
                }
            }
        }
        assert!(described("", "").unwrap().admit_secret(&Secret::new("x".repeat(4_001))).is_err());
    }

    #[test]
    fn a_secret_of_which_no_key_can_be_made_is_refused() {
        let signature = "[signature]\nheader = \"webhook-signature\"\ngrammar = \"v1, v1,\"\nid_header = \"webhook-id\"\n\
                         timestamp_header = \"webhook-timestamp\"\nsigned = \"{id}.{timestamp}.{body}\"\nencoding = \"base64\"\n\
                         key = \"base64-after-prefix\"\ntolerance = \"300s\"\n";
        let provider = described("", signature).unwrap();
        assert!(provider.admit_secret(&Secret::new("whsec_MDEyMzQ1Njc4OWFiY2RlZg==")).is_ok());
        assert!(provider.admit_secret(&Secret::new("whsec_MDEyMzQ1Njc4OWFiY2RlZ")).is_err());
    }
}
