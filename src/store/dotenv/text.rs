//! What both loaders have in common: the text they read, a cursor through it, and what they find.

use std::ops::Range;

use zeroize::Zeroizing;

/// A file's text as both loaders see it, with every line break a `\n`, and where each byte of that was.
pub struct Lines {
    pub text: Zeroizing<String>,
    origin: Vec<usize>,
}

/// One `KEY=value` that a loader found.
pub struct Binding {
    pub key: String,
    /// The value as the program gets it; `None` where the loader would put something else into it.
    pub value: Option<Zeroizing<String>>,
    /// The value as it is written, with its quotes; just after the `=` if there is none.
    pub written: Range<usize>,
}

/// A place in a text, moved on by reading.
pub struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl Lines {
    pub fn new(raw: &str) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(raw.len()));
        let mut origin = Vec::with_capacity(raw.len() + 1);
        for (at, letter) in raw.char_indices() {
            let letter = match letter {
                '\r' if raw[at..].starts_with("\r\n") => continue,
                '\r' => '\n',
                // A line break begins at its `\r`, so that what goes before it goes before both.
                '\n' if raw[..at].ends_with('\r') => {
                    text.push('\n');
                    origin.push(at - 1);
                    continue;
                }
                letter => letter,
            };
            text.push(letter);
            origin.extend(at..at + letter.len_utf8());
        }
        origin.push(raw.len());
        Self { text, origin }
    }

    /// The same place in the file's own text.
    pub fn raw(&self, range: &Range<usize>) -> Range<usize> {
        self.origin[range.start]..self.origin[range.end]
    }
}

impl<'a> Cursor<'a> {
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves over what the predicate accepts, and returns it.
    pub fn skip(&mut self, accepts: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|letter| !accepts(letter)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Moves over `expected`, if it is next.
    pub fn take(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }
}

/// The value of the last binding of a key, which is the one that counts for both loaders.
pub fn last<'a>(bindings: &'a [Binding], key: &str) -> Option<&'a Binding> {
    bindings.iter().rev().find(|binding| binding.key == key)
}
