//! Foreign text made harmless before it meets a terminal, and long lines folded.

use crate::provider::is_hostile;

/// What this program itself writes between the words of a line: bold, four colours, and their end.
const OWN: [&str; 6] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m"];

/// The same text as one line in which nothing drives a terminal: line breaks and all that could move the cursor, hide text or
/// turn its direction are shown as escapes, except for the styles that this program writes itself, which end with the line.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut styled) = (text, false);
    while let Some(first) = rest.chars().next() {
        if let Some(own) = OWN.iter().find(|own| rest.starts_with(**own)) {
            styled = *own != OWN[0];
            out.push_str(own);
            rest = &rest[own.len()..];
            continue;
        }
        push_shown(&mut out, first);
        rest = &rest[first.len_utf8()..];
    }
    if styled {
        out.push_str(OWN[0]);
    }
    out
}

/// The same as [`printable`] for text that is all foreign, such as the name of a folder: no style of ours is in it either.
pub fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        push_shown(&mut out, character);
        out
    })
}

fn push_shown(out: &mut String, character: char) {
    if is_hostile(character) { out.extend(character.escape_unicode()) } else { out.push(character) }
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

/// A line in red, for what is happening now.
pub fn alarming(line: &str) -> String {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    format!("{red}{line}{red:#}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b10_a_line_stays_one_line_and_moves_nothing() {
        let own = |text: &str| format!("\u{1b}[1m\u{1b}[31mbad:\u{1b}[0m {text}");
        for (foreign, shown) in [
            ("plain — ünï", "plain — ünï"),
            ("a\nfake row", "a\\u{a}fake row"),
            ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("\u{1b}[2J\u{1b}[H", "\\u{1b}[2J\\u{1b}[H"),
            ("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("\u{1b}]52;c;x\u{1b}\\", "\\u{1b}]52;c;x\\u{1b}\\"),
            ("\u{1b}[8mhidden", "\\u{1b}[8mhidden"),
            ("\u{1b}[30;40mhidden", "\\u{1b}[30;40mhidden"),
            ("\u{1b}[38;5;1m", "\\u{1b}[38;5;1m"),
            ("\u{202e}desrever\u{200b}\u{9b}2J", "\\u{202e}desrever\\u{200b}\\u{9b}2J"),
        ] {
            assert_eq!(printable(&own(foreign)), own(shown));
            assert_eq!(one_line(foreign), shown);
        }
        // A style that somebody else begins ends with the line, and is no style where all is foreign.
        assert_eq!(printable("\u{1b}[31mred"), "\u{1b}[31mred\u{1b}[0m");
        assert_eq!(one_line("\u{1b}[31mred"), "\\u{1b}[31mred");
    }
}
