//! What can go wrong before anything is sent: a description, an endpoint, a key or a request that cannot be right.
//!
//! None of these ever holds an API key, a secret or an answer.

use std::io;
use std::path::PathBuf;

use crate::advice::{Advice, Verb, advice};
use thiserror::Error;

/// A provider's description, the endpoint asked for, or the client's own set-up is wrong.
#[derive(Debug, Error)]
pub enum ProviderError {
    #[error("{place}: {message}")]
    Syntax { place: String, message: String, nearest: Option<String> },
    #[error("{file}: `{key}` {why}")]
    Invalid { file: String, key: String, why: String, fix: String },
    #[error("cannot read the provider descriptions at `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` is not used: {why}")]
    NotPrivate { path: PathBuf, why: &'static str, fix: String },
    #[error("no provider is called `{name}`")]
    NotFound { name: String, nearest: Option<String> },
    #[error("{title} signs with a key pair of its own, so there is no secret to rotate")]
    KeyPair { title: &'static str },
    #[error("`{provider}` has no default `base_url`")]
    NoBaseUrl { provider: String },
    #[error("the base URL `{url}` cannot be used: {why}")]
    BadBaseUrl { url: String, why: &'static str },
    #[error("`{provider}` needs the id `{name}`")]
    MissingId { provider: String, name: String, known: Vec<String> },
    #[error("`{provider}` has no id called `{name}`")]
    UnknownId { provider: String, name: String, nearest: Option<String>, known: Vec<String> },
    #[error("the id `{name}` {why}")]
    BadId { name: String, why: &'static str },
    #[error("`{provider}` has no authentication scheme called `{name}`")]
    UnknownAuth { provider: String, name: String, known: Vec<String> },
    #[error("`{provider}` has no option called `{name}`")]
    UnknownOption { provider: String, name: String, nearest: Option<String>, known: Vec<String> },
    #[error("the option `{name}` {why}")]
    BadOption { name: String, why: &'static str },
    #[error("the API key for `{provider}` {why}")]
    KeyRefused { provider: String, why: String, fix: Advice },
    #[error("the extra certificate authority cannot be read: {why}")]
    BadAuthority { why: &'static str },
}

impl ProviderError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Syntax { nearest, .. } => format!("did you mean `{}`?", nearest.as_ref()?).into(),
            Self::Invalid { fix, .. } | Self::NotPrivate { fix, .. } => fix.as_str().into(),
            Self::KeyRefused { fix, .. } => fix.clone(),
            Self::Read { .. } => "make it yours to read, or put it away".into(),
            Self::BadAuthority { .. } => return None,
            Self::NotFound { nearest, .. } => {
                let near = nearest.as_ref().map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
                let any = if near.is_empty() { "; `hand/NAME` is any endpoint, by hand" } else { "" };
                advice![near, Verb::ProviderList.alone(), " names them all", any]
            }
            Self::KeyPair { .. } => "receivers verify with its public key, which is nobody's secret".into(),
            Self::NoBaseUrl { .. } => "give it as `base_url` in your own config file or by `--base-url URL`".into(),
            Self::BadBaseUrl { .. } => "write it as https://HOST or https://HOST/PREFIX".into(),
            Self::MissingId { known, .. } => format!("its ids are {}, in this order", listed(known)).into(),
            Self::BadId { .. } => "copy the id as the provider shows it".into(),
            Self::UnknownAuth { known, .. } => format!("it has {}", listed(known)).into(),
            Self::UnknownId { nearest, known, .. } | Self::UnknownOption { nearest, known, .. } => match nearest {
                Some(name) => format!("did you mean `{name}`?").into(),
                None if known.is_empty() => "it has none".into(),
                None => format!("it has {}", listed(known)).into(),
            },
            Self::BadOption { .. } => "an option's value is sent as a header: printable ASCII, one line".into(),
        })
    }
}

/// A request cannot be made as it was asked for.
#[derive(Debug, Error)]
pub enum RequestError {
    #[error("the reason is longer than the {most} characters that `{provider}` takes")]
    ReasonTooLong { provider: String, most: usize },
    #[error("the reason is empty")]
    ReasonEmpty,
    #[error("`{provider}` takes no idempotency key on its rotate call")]
    KeyNotTaken { provider: String },
    #[error("the idempotency key {why}")]
    BadKey { why: String },
}

impl RequestError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::ReasonTooLong { .. } => "shorten it; a ticket number is enough".into(),
            Self::ReasonEmpty => "say why in a few words: `--reason TEXT`".into(),
            Self::KeyNotTaken { .. } => "leave `--idempotency-key` out; a repeated call would rotate again".into(),
            Self::BadKey { .. } => "leave `--idempotency-key` out and a fitting one is made".into(),
        })
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
