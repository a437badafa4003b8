//! The words in braces that stand for something in a description. Whatever else is in braces would be sent as it stands, and a
//! provider might take it for a secret.

use serde_json::Value;

use super::idempotency;
use super::nearest::nearest;
use super::rules::{Checked, Flaw, flaw};
use super::spec::{OverlapKind, RotateKind, Spec};
use super::words::{self, IDEMPOTENCY_KEY};

/// Keys whose texts are for people, and are sent to nobody.
const PROSE: [&str; 8] = ["title", "about", "says", "why", "scope", "hazards", "sources", "uncarried"];

/// Where words stand for something, and which. Paths say themselves what they take, and `force.body` where it takes it.
const PLACES: [(&str, &[&str]); 14] = [
    (FORCE, &["reason"]),
    ("auth.schemes.value", &["key"]),
    ("auth.schemes.path", &["key"]),
    ("probe.body", &["id", "time", "seconds"]),
    ("signature.lead", &["timestamp"]),
    ("signature.header", &["n"]),
    ("signature.entry", &["mac", "secret", "timestamp"]),
    ("signature.signed", &["timestamp", "id", "method", "url", "form", "body"]),
    ("rotate.path", ANY),
    ("rotate.read", ANY),
    ("end.path", ANY),
    ("rotate.list.path", ANY),
    ("inspect.path", ANY),
    ("test_delivery.path", ANY),
];
const ANY: &[&str] = &[];
/// The body of the rotate call, whose words are those of the description.
const BODY: &str = "rotate.body";
/// The body of a call that only shows.
const LOOK: &str = "inspect.body";
/// The body of the rotate call with which the old secret ends at once.
const FORCE: &str = "force.body";
/// Where a person rotates or ends the old secret, in whose words ids stand for themselves.
const PAGES: [&str; 2] = ["rotate.where", "end.where"];

/// Every word that stands for something somewhere, but for the names of ids.
const KNOWN: [&str; 15] = [
    "body",
    "form",
    "id",
    "idempotency_key",
    "key",
    "mac",
    "method",
    "n",
    "overlap_s",
    "reason",
    "seconds",
    "secret",
    "time",
    "timestamp",
    "url",
];

/// What the words in bodies may be.
#[derive(Default)]
struct Words {
    /// In that of the rotate call.
    of_body: Vec<String>,
    ids: Vec<String>,
}

/// Refuses a word in braces that stands for nothing where it is.
pub(super) fn check(spec: &Spec) -> Checked {
    match serde_json::to_value(spec) {
        Ok(value) => walk(&Words { of_body: of_body(spec), ids: spec.ids.clone() }, "", &value),
        // A description that was read can be written.
        Err(_) => Ok(()),
    }
}

/// The words of the rotate call's body: the endpoint's ids, and what goes with a secret of ours.
fn of_body(spec: &Spec) -> Vec<String> {
    let mut words = spec.ids.clone();
    if spec.rotate.kind == RotateKind::Replace {
        // What is made has an id of its own.
        words.pop();
    }
    if spec.overlap.kind == OverlapKind::Chosen {
        words.push(words::OVERLAP.trim_matches(['{', '}']).to_owned());
    }
    if idempotency::is_in_body(spec) {
        words.push(IDEMPOTENCY_KEY.to_owned());
    }
    if spec.rotate.kind == RotateKind::Set {
        words.push(words::SECRET.to_owned());
    }
    let carried = spec.rotate.carry.keys().chain(spec.rotate.may_carry.keys());
    words.extend(carried.map(|name| format!("{}{name}", words::CARRY)));
    words
}

fn walk(words: &Words, key: &str, value: &Value) -> Checked {
    match value {
        Value::String(text) => look(words, key, text),
        Value::Array(items) => items.iter().try_for_each(|item| walk(words, key, item)),
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| !is_prose(key, name)).try_for_each(|(name, value)| {
                look(&Words::default(), key, name)?;
                walk(words, &if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, value)
            })
        }
        _ => Ok(()),
    }
}

/// Whether texts below this name are for people; in a body every name is the provider's.
fn is_prose(key: &str, name: &str) -> bool {
    PROSE.contains(&name) && !key.split('.').any(|part| part == "body")
}

fn look(words: &Words, key: &str, text: &str) -> Checked {
    let is_in = |place: &str| key.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let known = match PLACES.iter().find(|(place, _)| is_in(place)) {
        Some((_, [])) => return Ok(()),
        // The call that ends the old secret at once has the key as well.
        Some((place, known)) if *place == FORCE => {
            let key = words.of_body.iter().filter(|word| *word == IDEMPOTENCY_KEY);
            known.iter().copied().chain(key.map(String::as_str)).collect()
        }
        Some((_, known)) => known.to_vec(),
        None if is_in(BODY) || PAGES.into_iter().any(is_in) => words.of_body.iter().map(String::as_str).collect(),
        None if is_in(LOOK) => words.ids.iter().map(String::as_str).collect(),
        None => Vec::new(),
    };
    if let Some(word) = in_braces(text).find(|word| !known.contains(word)) {
        return Err(unknown(key, word, &known));
    }
    // A reason among other text is found elsewhere.
    let is_whole = |word: &str| is_in(BODY) || is_in(LOOK) || (is_in(FORCE) && word == IDEMPOTENCY_KEY);
    match in_braces(text).next() {
        Some(word) if is_whole(word) && text.len() != word.len() + 2 => Err(flaw(
            key,
            format!("has `{{{word}}}` among other text, which would be sent as it stands"),
            "a word stands for a whole value there",
        )),
        _ => Ok(()),
    }
}

fn unknown(key: &str, word: &str, here: &[&str]) -> Flaw {
    let why = format!("has `{{{word}}}`, which stands for nothing there and would be sent as it stands");
    let fix = match nearest(word, here.iter().copied()) {
        Some(near) => format!("did you mean `{{{near}}}`?"),
        None if here.is_empty() => match nearest(word, KNOWN) {
            Some(near) => {
                format!("`{{{near}}}` is known elsewhere, and no word is filled in here: write what is to be sent")
            }
            None => "no word is filled in here: write what is to be sent".to_owned(),
        },
        None => format!(
            "the words there are {}",
            here.iter().map(|word| format!("`{{{word}}}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    flaw(key, why, fix)
}

/// The words in braces, as in `{word}`. Other braces are text.
fn in_braces(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |word: &&str| {
        let starts = word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        starts && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
    };
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(word, _)| word)).filter(is_word)
}

#[cfg(test)]
mod tests {
    use super::super::{Provider, ProviderError};

    /// A description with these words more, and what is said of it.
    fn said(section: &str, words: &str) -> Result<(), String> {
        let text = include_str!("builtin/signa.toml");
        let (before, after) = text.split_once(section).expect("a section of it");
        match Provider::parse(&format!("{before}{section}\n{words}{after}"), "acme.toml") {
            Ok(_) => Ok(()),
            Err(ProviderError::Invalid { key, why, fix, .. }) => Err(format!("{key} {why}: {fix}")),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn d1_a_word_that_stands_for_nothing_is_refused_wherever_it_would_be_sent() {
        let rotate = |body: &str| said("[rotate]", &format!("body = {body}"));
        let sent = "would be sent as it stands";
        for body in [
            "{ config = { secret = \"{secret}\" } }",
            "{ list = [\"{hook}\"] }",
            "{ list = [\"a {id}\"] }",
            "{ \"{secret}\" = 1 }",
            "{ text = \"now {time}\" }",
            "{ title = \"{title}\" }",
            "{ r = \"{reason}\" }",
        ] {
            assert!(rotate(body).is_err_and(|why| why.starts_with("rotate.body") && why.contains(sent)), "{body}");
        }
        for body in ["{ a = \"{}\" }", "{ a = \"{ x }\" }", "{ a = \"}{\" }", "{ a = '{\"x\":1}' }"] {
            assert_eq!(rotate(body), Ok(()), "{body}");
        }
        assert!(said("[rotate]", "headers = { X-Org = \"{org}\" }").is_err_and(|why| why.contains("`{org}`")));
    }

    #[test]
    fn d1_the_word_that_was_probably_meant_is_named() {
        let text = include_str!("builtin/signa.toml").replace("\"{reason}\"", "\"{reasons}\"");
        let Err(ProviderError::Invalid { key, why, fix, .. }) = Provider::parse(&text, "acme.toml") else { panic!() };
        assert_eq!(key, "force.body.reason");
        assert_eq!(why, "has `{reasons}`, which stands for nothing there and would be sent as it stands");
        assert_eq!(fix, "did you mean `{reason}`?");
        let text = include_str!("builtin/signa.toml").replace("\"evt_{id}\"", "\"evt_{uuid}\"");
        let Err(ProviderError::Invalid { key, fix, .. }) = Provider::parse(&text, "acme.toml") else { panic!() };
        assert_eq!(
            (key.as_str(), fix.as_str()),
            ("probe.body.id", "the words there are `{id}`, `{time}`, `{seconds}`")
        );
    }
}
