//! Makes an endpoint out of what the operator named, and decides whether a key may go there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::nearest::nearest;
use super::rules;
use super::{Endpoint, Id, Provider, ProviderError};
use crate::advice::{Advice, Value, Verb, advice};
use crate::http::parse_base_url;
use crate::secret::{self, Secret};

/// Longest id and longest option value in bytes.
const LONGEST_VALUE: usize = 512;

impl Provider {
    /// Checks ids, base URL, authentication scheme and options, and joins them. Ids are given by name; all of the
    /// provider's ids are needed and no others.
    pub fn endpoint(
        self: &Arc<Self>,
        base_url: Option<&str>,
        ids: &[(String, String)],
        auth: Option<&str>,
        options: &BTreeMap<String, String>,
    ) -> Result<Endpoint, ProviderError> {
        let base_url = match base_url {
            Some(text) => parse_base_url(text).map_err(|why| ProviderError::BadBaseUrl { url: shown(text), why })?,
            None => {
                self.base_url().cloned().ok_or_else(|| ProviderError::NoBaseUrl { provider: self.name().to_owned() })?
            }
        };
        let ids = self.order_ids(ids)?;
        let auth = match auth {
            None => 0,
            Some(name) => self.spec().auth.schemes.iter().position(|scheme| scheme.name == name).ok_or_else(|| {
                let known = self.spec().auth.schemes.iter().map(|scheme| scheme.name.clone()).collect();
                ProviderError::UnknownAuth {
                    provider: self.name().to_owned(),
                    name: super::plain_text(secret::shown(name)),
                    known,
                }
            })?,
        };
        for (name, value) in options {
            self.check_option(name, value)?;
        }
        let provider = Arc::clone(self);
        Ok(Endpoint { provider, base_url, ids, present: None, auth, options: options.clone(), known_as: None })
    }

    /// Refuses an API key that is certainly the wrong one, before anything is sent. The key is never repeated.
    pub fn admit_key(&self, endpoint: &Endpoint, key: &Secret) -> Result<(), ProviderError> {
        let refused = |why: &str, fix: Advice| {
            Err(ProviderError::KeyRefused { provider: self.name().to_owned(), why: why.to_owned(), fix })
        };
        let env = &self.spec().auth.env;
        if key.is_empty() {
            let login = Verb::Login.on([Value::Given(self.name().to_owned())]);
            return refused("is empty", advice![format!("set `{env}`, or save a key with "), login]);
        }
        if !key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return refused(
                "has a space, a line end or a non-ASCII character in it",
                "copy it again, without a line end".into(),
            );
        }
        let scheme = self.spec().auth.schemes.get(endpoint.auth);
        if scheme.is_some_and(|scheme| scheme.encode.is_some()) && !key.expose().contains(':') {
            return refused(
                "has no `:` in it",
                format!("give both parts of it, as ID:SECRET: {}", self.spec().auth.about).into(),
            );
        }
        let host = endpoint.base_url.host_str();
        for row in &self.spec().auth.refuse {
            let here = row.host.is_none() || row.host.as_deref() == host;
            if here && key.expose().starts_with(&row.prefix) {
                return refused(&format!("starts with `{}`", row.prefix), row.why.as_str().into());
            }
        }
        Ok(())
    }

    fn order_ids(&self, given: &[(String, String)]) -> Result<Vec<Id>, ProviderError> {
        let known = &self.spec().ids;
        for (index, (name, value)) in given.iter().enumerate() {
            if !known.contains(name) {
                return Err(ProviderError::UnknownId {
                    provider: self.name().to_owned(),
                    name: super::plain_text(name),
                    nearest: nearest(name, known.iter().map(String::as_str)),
                    known: known.clone(),
                });
            }
            let twice = given.iter().take(index).any(|(earlier, _)| earlier == name);
            let flaw = if twice { Some("is given twice") } else { id_flaw(value) };
            if let Some(why) = flaw {
                return Err(ProviderError::BadId { name: name.clone(), why });
            }
        }
        let find = |name: &String| given.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
        let missing = |name: &String| ProviderError::MissingId {
            provider: self.name().to_owned(),
            name: name.clone(),
            known: known.clone(),
        };
        let id = |name: &String, value: String| Id { name: name.clone(), value: self.spelled(name, &value) };
        known.iter().map(|name| find(name).map(|value| id(name, value)).ok_or_else(|| missing(name))).collect()
    }

    fn check_option(&self, name: &str, value: &str) -> Result<(), ProviderError> {
        let options = &self.spec().options;
        if !options.contains_key(name) {
            return Err(ProviderError::UnknownOption {
                provider: self.name().to_owned(),
                name: super::plain_text(name),
                nearest: nearest(name, options.keys().map(String::as_str)),
                known: options.keys().cloned().collect(),
            });
        }
        let why = match value {
            "" => "is empty",
            _ if value.len() > LONGEST_VALUE => "is too long",
            _ if !rules::is_header_value(value) => "is not one line of printable ASCII",
            _ => return Ok(()),
        };
        Err(ProviderError::BadOption { name: name.to_owned(), why })
    }
}

/// Why a value cannot be an id, if it cannot.
pub fn id_flaw(value: &str) -> Option<&'static str> {
    match value {
        "" => Some("is empty"),
        "." | ".." => Some("would name another path"),
        _ if value.len() > LONGEST_VALUE => Some("is too long"),
        _ if value.contains(['/', '\\']) => Some("has a slash in it"),
        // In a body it would stand for something else.
        "{secret}" => Some("is a word of descriptions"),
        _ if value.starts_with("{carry.") => Some("is a word of descriptions"),
        _ if value.chars().any(|character| character.is_control() || character.is_whitespace()) => {
            Some("has a space or a control character in it")
        }
        _ => None,
    }
}

/// A refused base URL as it may be shown: without the user and password that it might hold.
fn shown(text: &str) -> String {
    super::plain_text(secret::shown(text.rsplit('@').next().unwrap_or_default()))
}
