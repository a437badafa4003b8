//! From a TOML file's text to a `Spec`, with errors that say where and what was probably meant.

use serde::Deserialize;

use super::nearest::nearest;
use super::spec::Spec;
use super::{ProviderError, plain_text};

/// The only version of the vocabulary.
const VERSION: u32 = 1;

/// Largest description in bytes.
const LARGEST_FILE: usize = 256 * 1024;

/// What is read first, so that a newer vocabulary is named as such and not as a list of unknown words.
#[derive(Deserialize)]
struct Version {
    version: Option<u32>,
}

/// Reads a description. `file` serves the messages only.
pub(crate) fn parse(text: &str, file: &str) -> Result<Spec, ProviderError> {
    let invalid = |key: &str, why: String, fix: &str| ProviderError::Invalid {
        file: file.to_owned(),
        key: key.to_owned(),
        why,
        fix: fix.to_owned(),
    };
    if text.len() > LARGEST_FILE {
        return Err(invalid("file", "is too large".to_owned(), "one description is a few kilobytes"));
    }
    let version = toml::from_str::<Version>(text).map_err(|error| syntax(text, file, &error))?.version;
    match version {
        Some(VERSION) => toml::from_str(text).map_err(|error| syntax(text, file, &error)),
        Some(other) => Err(invalid(
            "version",
            format!("is {other}, which this whsec does not know"),
            "write `version = 1`, or use a newer whsec",
        )),
        None => Err(invalid("version", "is missing".to_owned(), "begin the file with `version = 1`")),
    }
}

fn syntax(text: &str, file: &str, error: &toml::de::Error) -> ProviderError {
    let place = match error.span() {
        Some(span) => {
            let (line, column) = position(text, span.start);
            format!("{file}:{line}:{column}")
        }
        None => file.to_owned(),
    };
    let message = error.message();
    let nearest = message.starts_with("unknown ").then(|| suggestion(message)).flatten();
    ProviderError::Syntax { place, message: plain_text(message), nearest }
}

/// Line and column, both from 1, the column in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

/// The nearest of the words that serde lists in backticks after the unknown one.
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, quoted)
}
