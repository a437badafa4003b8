//! The key by which a provider knows a request that it has had already: what it looks like, and where it goes, which is a header or a
//! place in the body.

use std::time::Duration;

use serde_json::Value;

use super::duration;
use super::rules::{self, Checked, Flaw, flaw, require};
use super::spec::{KeyForm, Spec};
use super::words::IDEMPOTENCY_KEY;

/// Longest idempotency key where the description names no bound, and the longest that any description may name.
const LONGEST_KEY: usize = 255;

/// Shortest time that a provider must remember a key for it to be of use.
const SHORTEST_WINDOW: Duration = Duration::from_secs(60);

/// How the provider recognises a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The header that carries the key; `None` where a body does.
    pub header: Option<String>,
    pub form: KeyForm,
    /// Longest key in characters.
    pub max_length: usize,
    /// How long a key is remembered.
    pub window: Duration,
    /// The header that marks a replayed answer.
    pub replayed: Option<String>,
}

/// Whether the key goes into bodies.
pub(super) fn is_in_body(spec: &Spec) -> bool {
    spec.idempotency.as_ref().is_some_and(|idempotency| idempotency.header.is_none())
}

/// `[idempotency]`: a place, a form, a bound and a window.
pub(super) fn check(spec: &Spec) -> Result<Option<Idempotency>, Flaw> {
    let Some(written) = &spec.idempotency else { return Ok(None) };
    match &written.header {
        Some(header) => {
            rules::header_name("idempotency.header", header)?;
            let shared = spec.auth.schemes.iter().any(|scheme| scheme.header.eq_ignore_ascii_case(header));
            require(!shared, "idempotency.header", "is the header of the API key", "set each header in one place")?;
        }
        None => in_bodies(spec)?,
    }
    if let Some(replayed) = &written.replayed {
        rules::header_name("idempotency.replayed", replayed)?;
    }
    let max_length = match (written.form, written.max_length) {
        (KeyForm::Uuid, None) => 36,
        (KeyForm::Uuid, Some(_)) => {
            return Err(flaw(
                "idempotency.max_length",
                "goes with `form = \"token\"`",
                "take it out: a UUID has 36 characters",
            ));
        }
        (KeyForm::Token, most) => most.unwrap_or(LONGEST_KEY),
    };
    let fits = (36..=LONGEST_KEY).contains(&max_length);
    require(
        fits,
        "idempotency.max_length",
        "is not between 36 and 255",
        "a key that whsec makes is a UUID of 36 characters",
    )?;
    let window = duration(&written.window).filter(|window| *window >= SHORTEST_WINDOW);
    let Some(window) = window else {
        return Err(flaw("idempotency.window", "is not a duration of a minute or more", "write it like `24h`"));
    };
    Ok(Some(Idempotency {
        header: written.header.clone(),
        form: written.form,
        max_length,
        window,
        replayed: written.replayed.clone(),
    }))
}

/// Each body that makes a new secret has the key: one without it would not be known again.
fn in_bodies(spec: &Spec) -> Checked {
    let lacks = |body: Option<&Value>| !body.is_some_and(has_key);
    if lacks(spec.rotate.body.as_ref()) {
        let fix = "name the `header`, or write `\"{idempotency_key}\"` in `rotate.body`";
        return Err(flaw("idempotency", "says nowhere where the key goes".to_owned(), fix));
    }
    let forces = spec.force.as_ref().is_some_and(|force| lacks(force.body.as_ref()));
    require(!forces, "force.body", "has no place for the idempotency key", "write `\"{idempotency_key}\"` there too")
}

fn has_key(body: &Value) -> bool {
    match body {
        Value::String(text) => text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) == Some(IDEMPOTENCY_KEY),
        Value::Array(items) => items.iter().any(has_key),
        Value::Object(fields) => fields.values().any(has_key),
        _ => false,
    }
}
