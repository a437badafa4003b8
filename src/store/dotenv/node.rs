//! Reads a dotenv file as npm `dotenv` does: the one regular expression that it has used since 15, by hand.
//!
//! `^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|…"…|…`…|[^#\r\n]+)?\s*(?:#.*)?$`

use std::ops::Range;

use zeroize::Zeroizing;

use super::text::{Binding, Cursor};

/// All bindings, in order.
pub fn bindings(text: &str) -> Vec<Binding> {
    let mut cursor = Cursor { text, at: 0 };
    let mut found = Vec::new();
    while cursor.at < text.len() {
        let start = cursor.at;
        match binding(&mut cursor) {
            Some(binding) => found.push(binding),
            None => cursor.at = start,
        }
        cursor.skip(|letter| letter != '\n');
        cursor.take("\n");
    }
    found
}

fn binding(cursor: &mut Cursor<'_>) -> Option<Binding> {
    cursor.skip(is_space);
    let start = cursor.at;
    if cursor.take("export") && !cursor.skip(is_space).is_empty() {
        let after_export = cursor.at;
        if let Some(binding) = assignment(cursor) {
            return Some(binding);
        }
        cursor.at = after_export;
    }
    // `export` may be the name itself.
    cursor.at = start;
    assignment(cursor)
}

fn assignment(cursor: &mut Cursor<'_>) -> Option<Binding> {
    let key = cursor.skip(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-'));
    let after_key = cursor.at;
    cursor.skip(is_space);
    if key.is_empty() {
        return None;
    }
    if !cursor.take("=") {
        cursor.at = after_key;
        let colon = cursor.take(":");
        let space = cursor.peek().filter(|letter| colon && is_space(*letter))?;
        cursor.at += space.len_utf8();
    }
    let equals = cursor.at;
    let (written, is_double) = match quoted(cursor) {
        Some(written) => written,
        None => {
            let line = cursor.skip(|letter| letter != '#' && letter != '\n');
            let value = line.trim_matches(is_space);
            let start = equals + (line.len() - line.trim_start_matches(is_space).len());
            let written = if value.is_empty() { equals..equals } else { start..start + value.len() };
            (written, value.starts_with('"'))
        }
    };
    let inside = without_quotes(&cursor.text[written.clone()]);
    let value = match is_double {
        true => Zeroizing::new(Zeroizing::new(inside.replace("\\n", "\n")).replace("\\r", "\r")),
        false => Zeroizing::new(inside.to_owned()),
    };
    Some(Binding { key: key.to_owned(), value: Some(value), written })
}

/// A value in quotes with nothing but a comment after it, and whether the quotes are double. The last closing
/// quote that leaves that is taken, up to the first without a backslash before it.
fn quoted(cursor: &mut Cursor<'_>) -> Option<(Range<usize>, bool)> {
    let start = cursor.at;
    cursor.skip(is_space);
    let opening = cursor.at;
    let quote = cursor.peek().filter(|letter| matches!(letter, '\'' | '"' | '`'));
    cursor.at = start;
    let quote = quote?;
    let inside = &cursor.text[opening + 1..];
    let mut end = None;
    for (at, _) in inside.match_indices(quote) {
        let rest = inside[at + 1..].trim_start_matches(|letter| letter != '\n' && is_space(letter));
        if rest.is_empty() || rest.starts_with(['\n', '#']) {
            end = Some(opening + 1 + at + 1);
        }
        if !inside[..at].ends_with('\\') {
            break;
        }
    }
    cursor.at = end?;
    Some((opening..cursor.at, quote == '"'))
}

fn without_quotes(written: &str) -> &str {
    let quote = written.chars().next().filter(|letter| matches!(letter, '\'' | '"' | '`'));
    let inside = quote.and_then(|quote| written[1..].strip_suffix(quote));
    inside.unwrap_or(written)
}

/// `\s` of JavaScript.
fn is_space(letter: char) -> bool {
    letter == '\u{feff}' || (letter.is_whitespace() && letter != '\u{85}')
}
