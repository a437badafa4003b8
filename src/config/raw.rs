//! The vocabulary of a config file as written: which keys there are and which type each value has.
//!
//! Unknown keys are refused everywhere. What the values mean is decided in `normalise.rs`, and what a file that came
//! with a checkout may say in `trust.rs`. `man/whsec-config.5` explains every key to people.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::file::ConfigFile;
use super::notify::Moment;
use super::policy::Instant;
use crate::provider::spec::Cutover;
use crate::store::{CommandSpec, SlotNames};

/// A whole config file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawConfig {
    #[serde(default)]
    pub targets: BTreeMap<Spanned<String>, RawTarget>,
    pub seal: Option<Spanned<RawSeal>>,
    pub journal: Option<Spanned<RawJournal>>,
    #[serde(default)]
    pub commands: BTreeMap<Spanned<String>, CommandSpec>,
    /// A file of CA certificates (PEM) that are accepted beside the system's own.
    pub ca: Option<Spanned<String>>,
    pub notify: Option<Spanned<RawNotify>>,
    pub policy: Option<Spanned<RawPolicy>>,
    /// Targets whose words cannot be read.
    #[serde(skip)]
    pub unread: Vec<Unread>,
}

/// A target whose words cannot be read; what is wrong with it concerns no other.
#[derive(Debug)]
pub(crate) struct Unread {
    pub name: String,
    pub error: ConfigError,
    /// Where its API key is, as far as that can be read: a variable that holds a key is kept from programs all the same.
    pub api_key: Option<String>,
}

/// The program that is told what happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawNotify {
    pub command: Vec<String>,
    pub on: Option<Vec<Spanned<Moment>>>,
}

/// One target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTarget {
    pub provider: Spanned<String>,
    pub id: Option<Spanned<String>>,
    pub ids: Option<Spanned<BTreeMap<String, String>>>,
    pub store: Option<Spanned<OneOrMany>>,
    pub slots: Option<Spanned<SlotNames>>,
    pub receivers: Option<Spanned<OneOrMany>>,
    pub api_key: Option<Spanned<RawKey>>,
    pub cutover: Option<Cutover>,
    pub owner: Option<String>,
    pub labels: Option<Spanned<BTreeMap<String, String>>>,
    pub max_age: Option<Spanned<String>>,
    pub auth: Option<Spanned<String>>,
    pub base_url: Option<Spanned<String>>,
    pub options: Option<Spanned<BTreeMap<String, String>>>,
    pub ca: Option<Spanned<String>>,
}

/// Where the local copy of a new secret is encrypted to, and where the key to it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSeal {
    pub recipients: Option<Spanned<Vec<String>>>,
    pub identity: Option<Spanned<String>>,
}

/// Where rotations are recorded that several machines go on with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawJournal {
    pub at: Spanned<String>,
}

/// Who may rotate what, when, and with whose consent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPolicy {
    pub max_age: Option<Spanned<String>>,
    pub instant: Option<Instant>,
    pub approvals: Option<Spanned<RawApprovals>>,
    pub approvers: Option<Spanned<String>>,
    pub may_force: Option<Vec<Spanned<String>>>,
    pub windows: Option<Vec<Spanned<String>>>,
    pub reason: Option<Spanned<String>>,
}

/// How many signatures a plan needs.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawApprovals {
    pub force: Option<usize>,
    pub instant: Option<usize>,
    pub plan_over: Option<usize>,
}

/// One string or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Where an API key comes from, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected `keychain:…`, `env:…`, `file:…` or `{ command = [\"PROGRAM\", …] }`")]
pub(crate) enum RawKey {
    Reference(String),
    Command(RawKeyCommand),
}

/// A program that prints an API key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawKeyCommand {
    pub command: Vec<String>,
}

impl OneOrMany {
    /// The strings in the order written.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// Reads the words of one file; says file, line and column where they are not TOML or not our words. Of the targets each is
/// read by itself.
pub(crate) fn parse(file: &ConfigFile) -> Result<RawConfig, ConfigError> {
    let wrong = |error: &toml::de::Error| wrong(error, file);
    let mut words = DeTable::parse(&file.text).map_err(|error| wrong(&error))?;
    let targets = match words.get_mut().remove("targets").map(Spanned::into_inner) {
        Some(DeValue::Table(targets)) => targets,
        Some(_) => return toml::from_str(&file.text).map_err(|error| wrong(&error)),
        None => DeTable::default(),
    };
    let mut raw = RawConfig::deserialize(words.into_deserializer()).map_err(|error| wrong(&error))?;
    for (name, words) in targets {
        let place = name.span();
        let name = name.into_inner().into_owned();
        let api_key = words.get_ref().get("api_key").and_then(|key| key.get_ref().as_str()).map(str::to_owned);
        match RawTarget::deserialize(words.into_deserializer()) {
            Ok(target) => drop(raw.targets.insert(Spanned::new(place, name), target)),
            Err(error) => raw.unread.push(Unread { name, error: wrong(&error), api_key }),
        }
    }
    Ok(raw)
}

/// Reads a file of rules alone.
pub(crate) fn policy(file: &ConfigFile) -> Result<RawPolicy, ConfigError> {
    toml::from_str(&file.text).map_err(|error| wrong(&error, file))
}

fn wrong(error: &toml::de::Error, file: &ConfigFile) -> ConfigError {
    let Range { start, .. } = error.span().unwrap_or_default();
    let place = file.place(start);
    match unknown_key(error.message()) {
        Some((key, known)) => {
            let nearest = super::nearest(&key, known.iter().map(String::as_str));
            ConfigError::UnknownKey { place, key, nearest, known }
        }
        None => ConfigError::Toml { place, message: without_values(error.message()) },
    }
}

/// Takes serde's sentence about an unknown field apart: the field, and the ones it knows.
fn unknown_key(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    // Every other piece between backticks is a name.
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((key.to_owned(), known))
}

/// The same sentence without the value that serde quotes, because somebody may have put a secret there.
fn without_values(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    if ["invalid type: ", "invalid value: ", "invalid length "].iter().any(|start| line.starts_with(start))
        && let Some(at) = line.rfind("expected ")
    {
        return line[at..].to_owned();
    }
    if line.starts_with("unknown variant `")
        && let Some(at) = line.rfind("expected ")
    {
        return line[at..].to_owned();
    }
    line.to_owned()
}
