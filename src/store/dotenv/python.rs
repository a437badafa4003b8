//! Reads a dotenv file as python-dotenv does (`dotenv/parser.py` and `variables.py` of 1.2.4).

use zeroize::Zeroizing;

use super::text::{Binding, Cursor};

/// All bindings, in order. Lines that python-dotenv warns of and skips are skipped.
pub fn bindings(text: &str) -> Vec<Binding> {
    let mut cursor = Cursor { text, at: 0 };
    let mut found = Vec::new();
    while cursor.at < text.len() {
        match binding(&mut cursor) {
            Some(Line::Binding(binding)) => found.push(binding),
            Some(Line::Nothing) => {}
            None => {
                cursor.skip(|letter| letter != '\n');
                cursor.take("\n");
            }
        }
    }
    found
}

enum Line {
    Binding(Binding),
    Nothing,
}

/// One binding or comment; `None` where python-dotenv gives up, with the cursor where it does.
fn binding(cursor: &mut Cursor<'_>) -> Option<Line> {
    cursor.skip(is_space);
    if cursor.rest().is_empty() {
        return Some(Line::Nothing);
    }
    let after = cursor.rest().strip_prefix("export");
    if after.is_some_and(|after| after.starts_with(is_space_within_line)) {
        cursor.take("export");
        cursor.skip(is_space_within_line);
    }
    let key = match cursor.peek() {
        Some('#') => None,
        Some('\'') => {
            let (key, _) = cursor.rest()[1..].split_once('\'').filter(|(key, _)| !key.is_empty())?;
            cursor.at += key.len() + 2;
            Some(key)
        }
        _ => Some(cursor.skip(|letter| letter != '=' && letter != '#' && !is_space(letter)))
            .filter(|key| !key.is_empty()),
    };
    if key.is_none() && cursor.peek() != Some('#') {
        return None;
    }
    cursor.skip(is_space_within_line);
    let line = match key {
        Some(key) if cursor.take("=") => {
            let (value, written) = value(cursor)?;
            let value = Some(value).filter(|value| !is_interpolated(value));
            Line::Binding(Binding { key: key.to_owned(), value, written })
        }
        // A name without `=` unsets what came before it, which no other loader does.
        Some(key) => Line::Binding(Binding { key: key.to_owned(), value: None, written: cursor.at..cursor.at }),
        None => Line::Nothing,
    };
    let end = cursor.at;
    cursor.skip(is_space_within_line);
    match cursor.peek() {
        Some('#') => {
            cursor.skip(|letter| letter != '\n');
        }
        Some('\n') | None => {}
        Some(_) => {
            cursor.at = end;
            return None;
        }
    }
    cursor.take("\n");
    Some(line)
}

/// A value, with what surrounds it where it is written.
fn value(cursor: &mut Cursor<'_>) -> Option<(Zeroizing<String>, std::ops::Range<usize>)> {
    let equals = cursor.at;
    let gap = !cursor.skip(is_space_within_line).is_empty();
    let start = cursor.at;
    match cursor.peek() {
        None | Some('\n') => Some((Zeroizing::default(), equals..equals)),
        Some('#') if gap => Some((Zeroizing::default(), equals..equals)),
        Some(quote @ ('\'' | '"')) => {
            let inside = quoted(&cursor.rest()[1..], quote)?;
            cursor.at += inside.len() + 2;
            let escapes = if quote == '\'' { "\\'" } else { "\\'\"abfnrtv" };
            Some((unescaped(inside, escapes), start..cursor.at))
        }
        Some(_) => {
            let line = cursor.skip(|letter| letter != '\n');
            let value = without_comment(line).trim_end_matches(is_space);
            Some((Zeroizing::new(value.to_owned()), start..start + value.len()))
        }
    }
}

/// What stands before the closing quote; a backslash takes the letter after it along.
fn quoted(text: &str, quote: char) -> Option<&str> {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next()?;
            }
            letter if letter == quote => return Some(&text[..at]),
            _ => {}
        }
    }
    None
}

fn unescaped(text: &str, escapes: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(&escaped) if letter == '\\' && escapes.contains(escaped) => {
                letters.next();
                value.push(match escaped {
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\x0b',
                    other => other,
                });
            }
            _ => value.push(letter),
        }
    }
    value
}

/// Cuts off ` # comment`; a `#` without space before it is part of the value.
fn without_comment(line: &str) -> &str {
    let comment = line.char_indices().find(|&(at, letter)| letter == '#' && line[..at].ends_with(is_space));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// Whether `${NAME}` or `${NAME:-default}` is in it, which python-dotenv replaces in every kind of quotes.
fn is_interpolated(value: &str) -> bool {
    value.match_indices("${").any(|(at, opening)| {
        let inside = &value[at + opening.len()..];
        let name = inside.find([':', '}']).map_or("", |end| &inside[end..]);
        name.starts_with('}') || name.strip_prefix(":-").is_some_and(|default| default.contains('}'))
    })
}

/// `\s` of Python, which has four separators more than Rust.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '\x1c'..='\x1f')
}

fn is_space_within_line(letter: char) -> bool {
    letter != '\n' && is_space(letter)
}
