//! Reads and changes one variable in the text of a dotenv file. Everything else stays byte for byte.

use std::collections::BTreeMap;
use std::ops::Range;

use zeroize::Zeroizing;

use super::text::{Binding, Lines, last};
use super::{node, python, shell};
use crate::secret::Secret;

/// Why a variable cannot be read or changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The two loaders do not find the same value in the same place.
    Disagree,
    /// There is no way of writing the value that both read back, and that a shell takes for nothing but a value.
    Unrepresentable,
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// As it is, for letters that mean nothing to any shell or loader.
    Plain,
    Single,
    Double,
}

/// The value of a variable, which is the last one given; `None` if there is none or it is empty.
pub fn read(raw: &str, key: &str) -> Result<Option<Zeroizing<String>>, Refusal> {
    let lines = Lines::new(raw);
    match agreed(&lines, key)? {
        Some(binding) => {
            binding.value.map(|value| Some(value).filter(|value| !value.is_empty())).ok_or(Refusal::Disagree)
        }
        None => Ok(None),
    }
}

/// The text with `key` set to the value, or without it. A new variable comes right after `beside`, or last where
/// there is no `beside`.
pub fn with(raw: &str, key: &str, beside: &str, value: Option<&Secret>) -> Result<Zeroizing<String>, Refusal> {
    let lines = Lines::new(raw);
    let Some(value) = value else {
        return without(raw, &lines, key);
    };
    let place = match agreed(&lines, key)? {
        Some(binding) => Insertion::Over(lines.raw(&binding.written)),
        None => match agreed(&lines, beside)? {
            Some(binding) => Insertion::Under(line(&lines, &binding.written)),
            None => Insertion::Last,
        },
    };
    let before = [values(&python::bindings(&lines.text), key), values(&node::bindings(&lines.text), key)];
    for style in styles(raw, &place) {
        let Some(written) = style.write(value.expose()) else { continue };
        let new = place.insert(raw, key, &written);
        let lines = Lines::new(&new);
        let after = [values(&python::bindings(&lines.text), key), values(&node::bindings(&lines.text), key)];
        let binding = agreed(&lines, key).ok().flatten();
        let reads_back = binding.is_some_and(|binding| {
            let is_harmless = value.expose().chars().all(shell::is_plain);
            binding.value.is_some_and(|read| read.as_str() == value.expose())
                && (is_harmless || shell::is_value(&new, key, &lines.raw(&binding.written)))
        });
        if reads_back && before == after {
            return Ok(new);
        }
    }
    Err(Refusal::Unrepresentable)
}

/// Where a value goes, in the file's own text.
enum Insertion {
    /// In place of what is written there.
    Over(Range<usize>),
    /// On a new line under the one there.
    Under(Range<usize>),
    /// On a new line at the end.
    Last,
}

impl Insertion {
    fn insert(&self, raw: &str, key: &str, written: &str) -> Zeroizing<String> {
        let mut new = Zeroizing::new(String::with_capacity(raw.len() + key.len() + written.len() + 16));
        let (at, line) = match self {
            Self::Over(range) => {
                for part in [&raw[..range.start], written, &raw[range.end..]] {
                    new.push_str(part);
                }
                return new;
            }
            Self::Under(line) => (line.end, &raw[line.clone()]),
            Self::Last => (raw.len(), last_line(raw)),
        };
        let is_crlf = line.ends_with("\r\n") || (!line.ends_with('\n') && raw.contains("\r\n"));
        let ending = if is_crlf { "\r\n" } else { "\n" };
        let is_export = matches!(self, Self::Under(_)) && line.trim_start().starts_with("export ");
        new.push_str(&raw[..at]);
        // A file whose last line is not ended keeps that, so that removing the new line gives the same bytes again.
        let is_ended = at == 0 || line.ends_with(['\n', '\r']);
        if !is_ended {
            new.push_str(ending);
        }
        for part in [if is_export { "export " } else { "" }, key, "=", written, if is_ended { ending } else { "" }] {
            new.push_str(part);
        }
        new.push_str(&raw[at..]);
        new
    }
}

impl Style {
    fn write(self, value: &str) -> Option<Zeroizing<String>> {
        // Shells, and loaders of different age, end a value in quotes differently after these; and no shell keeps the last.
        let is_ambiguous = value.contains("\\\\") || value.contains("\\'") || value.ends_with('\\');
        let is_odd = |letter: char| letter.is_control() && !"\n\t".contains(letter);
        match self {
            Self::Plain => value.chars().all(shell::is_plain).then(|| Zeroizing::new(value.to_owned())),
            _ if value.contains(is_odd) => None,
            Self::Single if is_ambiguous || value.contains('\'') => None,
            Self::Single => Some(Zeroizing::new(format!("'{value}'"))),
            // In these a shell runs, replaces and takes back.
            Self::Double if value.contains(['"', '$', '`', '\\', '!']) => None,
            Self::Double => Some(Zeroizing::new(format!("\"{value}\""))),
        }
    }
}

/// The styles to try: first that of the value in this place or of the line above.
fn styles(raw: &str, place: &Insertion) -> impl Iterator<Item = Style> {
    let example = match place {
        Insertion::Over(range) => &raw[range.clone()],
        Insertion::Under(line) => raw[line.clone()].split_once('=').map_or("", |(_, value)| value.trim_start()),
        Insertion::Last => "",
    };
    let first = match example.chars().next() {
        Some('\'') => Style::Single,
        Some('"') => Style::Double,
        _ => Style::Plain,
    };
    std::iter::once(first).chain([Style::Plain, Style::Single, Style::Double])
}

fn without(raw: &str, lines: &Lines, key: &str) -> Result<Zeroizing<String>, Refusal> {
    let (python, node) = (python::bindings(&lines.text), node::bindings(&lines.text));
    let mut new = Zeroizing::new(raw.to_owned());
    for binding in python.iter().rev().filter(|binding| binding.key == key) {
        let mut line = line(lines, &binding.written);
        if !raw[line.clone()].ends_with(['\n', '\r']) {
            line.start -= line_break_before(raw, line.start);
        }
        new.replace_range(line, "");
    }
    let after = Lines::new(&new);
    let (python_after, node_after) = (python::bindings(&after.text), node::bindings(&after.text));
    let is_gone = last(&python_after, key).is_none() && last(&node_after, key).is_none();
    let others_stay =
        values(&python, key) == values(&python_after, key) && values(&node, key) == values(&node_after, key);
    if is_gone && others_stay { Ok(new) } else { Err(Refusal::Disagree) }
}

/// The last binding of a key, if both loaders find the same one.
fn agreed(lines: &Lines, key: &str) -> Result<Option<Binding>, Refusal> {
    let take = |mut bindings: Vec<Binding>| {
        let at = bindings.iter().rposition(|binding| binding.key == key)?;
        Some(bindings.swap_remove(at))
    };
    match (take(python::bindings(&lines.text)), take(node::bindings(&lines.text))) {
        (None, None) => Ok(None),
        (Some(python), Some(node)) if python.written == node.written && python.value == node.value => Ok(Some(python)),
        _ => Err(Refusal::Disagree),
    }
}

/// What a loader gives to every other variable.
fn values(bindings: &[Binding], except: &str) -> BTreeMap<String, Option<Zeroizing<String>>> {
    let others = bindings.iter().filter(|binding| binding.key != except);
    others.map(|binding| (binding.key.clone(), binding.value.clone())).collect()
}

/// The whole lines around a written value, with their ending, in the file's own text.
fn line(lines: &Lines, written: &Range<usize>) -> Range<usize> {
    let start = lines.text[..written.start].rfind('\n').map_or(0, |at| at + 1);
    let end = lines.text[written.end..].find('\n').map_or(lines.text.len(), |at| written.end + at + 1);
    lines.raw(&(start..end))
}

fn last_line(raw: &str) -> &str {
    let body = raw.strip_suffix('\n').unwrap_or(raw);
    &raw[body.rfind('\n').map_or(0, |at| at + 1)..]
}

fn line_break_before(raw: &str, at: usize) -> usize {
    let before = &raw[..at];
    if before.ends_with("\r\n") { 2 } else { usize::from(before.ends_with(['\n', '\r'])) }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
