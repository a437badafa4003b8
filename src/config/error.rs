//! What can be wrong with a config file, a target's name or a target's flags: data for the edge to put into words.
//!
//! Values are quoted only where they cannot be a secret; an `api_key` never is.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::advice::{Advice, Value, Verb, advice};
use crate::provider::ProviderError;
use crate::store::StoreError;

/// A place in a config file, lines and columns from 1; or a flag, which needs no line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    File {
        path: Arc<Path>,
        line: usize,
        column: usize,
    },
    Flag(&'static str),
    /// In a target that is in no file yet.
    New,
    /// In a target as it would be after a change.
    Changed,
    /// In a line of a table that was given.
    Row(u64),
}

/// The configuration cannot be used as it is. Nothing was sent.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the config file `{path}`")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write `{path}`")]
    Unwritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` is not used: {why}")]
    NotPrivate { path: PathBuf, why: &'static str, fix: String },
    #[error("{place}: {message}")]
    Toml { place: Position, message: String },
    #[error("{place}: there is no key `{key}`")]
    UnknownKey { place: Position, key: String, nearest: Option<String>, known: Vec<String> },
    #[error("{place}: `{key}` is not honoured in a file that came with a checkout: {why}")]
    NotTrusted { place: Position, key: String, why: &'static str },
    #[error("{place}: {key} {why}")]
    BadValue { place: Position, key: String, why: String },
    #[error("{place}: the target `{target}` cannot be used")]
    Provider {
        place: Position,
        target: String,
        #[source]
        source: Box<ProviderError>,
    },
    #[error("{place}: the target `{target}` cannot be used")]
    Store {
        place: Position,
        target: String,
        #[source]
        source: Box<StoreError>,
    },
    #[error("there is no target `{name}`")]
    UnknownTarget { name: String, nearest: Option<String>, known: Vec<String> },
    #[error("there is already a target `{name}` in `{path}`")]
    TargetExists { name: String, path: PathBuf },
    #[error("the target `{name}` is not in `{path}`")]
    TargetElsewhere { name: String, path: PathBuf },
    /// What is wrong with one target, found when the files were read.
    #[error(transparent)]
    Broken(Arc<ConfigError>),
    #[error("{place}: `{name}` gives {given} of the {} ids that `{provider}` needs", .ids.len())]
    IdCount { place: Position, name: String, provider: String, given: usize, ids: Vec<String> },
}

impl ConfigError {
    /// The same of a text that adds a target to `lines` lines of a file: what the file does not have is not cited.
    pub fn not_written_yet(self, lines: usize) -> Self {
        self.at(Position::New, lines)
    }

    /// The same where the place behind these lines is known as another one.
    pub fn at(mut self, new: Position, lines: usize) -> Self {
        if let Self::Broken(error) = self {
            // Nobody else has it any more once the config is gone.
            return Arc::try_unwrap(error).map_or_else(Self::Broken, |error| error.at(new, lines));
        }
        if let Self::Toml { place, .. }
        | Self::UnknownKey { place, .. }
        | Self::NotTrusted { place, .. }
        | Self::BadValue { place, .. }
        | Self::Provider { place, .. }
        | Self::Store { place, .. }
        | Self::IdCount { place, .. } = &mut self
            && matches!(place, Position::File { line, .. } if *line > lines)
        {
            *place = new;
        }
        self
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::NotPrivate { fix, .. } => fix.as_str().into(),
            Self::UnknownKey { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?").into(),
            Self::UnknownKey { known, .. } if !known.is_empty() => format!("the keys are {}", backticked(known)).into(),
            Self::NotTrusted { .. } => advice![
                "read the file; if it says what you want: ",
                Verb::TargetTrust.alone(),
                "; or run it from another folder",
            ],
            Self::Broken(error) => return error.hint(),
            Self::Provider { source, .. } => return source.hint(),
            Self::Store { source, .. } => return source.hint(),
            Self::UnknownTarget { known, .. } if known.is_empty() => {
                advice!["no target is set up yet: ", Verb::TargetAdd.alone(), ", or name one as PROVIDER/ID"]
            }
            Self::UnknownTarget { nearest: Some(nearest), .. } => {
                advice![format!("did you mean `{nearest}`? "), Verb::TargetList.alone(), " shows them all"]
            }
            Self::UnknownTarget { .. } => {
                advice![Verb::TargetList.alone(), " shows them; PROVIDER/ID works without one"]
            }
            Self::TargetExists { name, .. } => {
                advice![
                    "choose another name, or remove that one first: ",
                    Verb::TargetRemove.on([Value::Given(name.clone())]),
                ]
            }
            Self::IdCount { place: Position::Flag(_), provider, ids, .. } => {
                format!("write `{provider}/{}`, or give each id as --id NAME=VALUE", ids.join("/")).into()
            }
            Self::IdCount { ids, .. } => {
                let ids = ids.iter().map(|id| format!("{id} = \"…\"")).collect::<Vec<_>>().join(", ");
                format!("write ids = {{ {ids} }}").into()
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(out, "{}:{line}:{column}", path.display()),
            Self::Flag(flag) => write!(out, "`{flag}`"),
            Self::New => write!(out, "the new target"),
            Self::Changed => write!(out, "the changed target"),
            Self::Row(line) => write!(out, "line {line}"),
        }
    }
}

fn backticked(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
