//! A receiver of a provider's deliveries in a few lines of Python, of JavaScript and of Go, for whoever has to write one.
//!
//! Each accepts either of two secrets, as the time between two rotations needs it. They are put together from the same words by which
//! `verify` and `probe` judge, and held against those by tests.

mod go;
mod javascript;
mod python;
mod words;

use self::words::Words;
use super::signature::Scheme;

/// A receiver in a language.
pub struct Recipe {
    pub language: &'static str,
    pub lines: Vec<String>,
}

/// A receiver in each language.
pub fn receivers(scheme: &Scheme) -> [Recipe; 3] {
    let words = Words {
        layout: scheme.layout(),
        mac: scheme.mac_words(),
        tolerance: scheme.tolerance().map_or(0, |tolerance| tolerance.as_secs()),
    };
    [
        Recipe { language: "Python", lines: python::lines(&words) },
        Recipe { language: "JavaScript", lines: javascript::lines(&words) },
        Recipe { language: "Go", lines: go::lines(&words) },
    ]
}
