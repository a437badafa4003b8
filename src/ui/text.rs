//! Foreign text made harmless before it meets a terminal, and long lines folded.

use crate::provider::is_hostile;

/// The same text with every control character but newline shown as an escape, except for the colour sequences that
/// this program writes itself (`ESC [ digits m`).
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = colour_sequence(rest) {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        if first == '\n' || !is_hostile(first) {
            out.push(first);
        } else {
            out.extend(first.escape_unicode());
        }
        rest = &rest[first.len_utf8()..];
    }
    out
}

/// The same text with every character that could drive a terminal shown as an escape, colour included.
pub fn escaped(text: &str) -> String {
    let escape = |character: char| match character {
        '\n' => vec!['\n'],
        _ if is_hostile(character) => character.escape_unicode().collect(),
        _ => vec![character],
    };
    text.chars().flat_map(escape).collect()
}

/// A line folded to a width, the rest of it indented a little deeper than its beginning.
pub fn folded(line: &str, width: usize) -> String {
    if console::measure_text_width(line) < width || width < 40 {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start().len();
    let deeper = " ".repeat(indent + 2);
    let options = textwrap::Options::new(width - 1)
        .subsequent_indent(&deeper)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(line, options)
}

fn colour_sequence(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let end = rest.find(|character: char| !(character.is_ascii_digit() || character == ';'))?;
    rest[end..].starts_with('m').then_some(2 + end + 1)
}
