//! One object as a line of JSON, written as it is made: whole it may be a hundred times what it is about.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::provider::is_hostile;

/// How much is written at a time.
const BLOCK: usize = 64 << 10;

/// Writes the object and ends its line.
pub(super) fn write_line<T: Serialize>(out: impl Write, object: &T) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BLOCK, out);
    object.serialize(&mut Serializer::with_formatter(&mut out, Harmless))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Compact, and nothing in its texts drives a terminal: JSON itself escapes the ASCII controls only.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hostile)) = rest.char_indices().find(|(_, character)| is_hostile(*character)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in hostile.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hostile.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written<T: Serialize>(object: &T) -> String {
        let mut out = Vec::new();
        write_line(&mut out, object).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn b10_what_drives_a_terminal_is_escaped_as_json_has_it() {
        let foreign = "a\u{202e}b\u{9b}2J\u{7f}\u{e0041}\u{1b}\n\"ü";
        assert_eq!(written(&[foreign]), "[\"a\\u202eb\\u009b2J\\u007f\\udb40\\udc41\\u001b\\n\\\"ü\"]\n");
    }

    #[test]
    fn b9_a_line_is_written_in_pieces_that_do_not_grow_with_it() {
        struct Pieces(usize, usize);
        impl Write for &mut Pieces {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.max(bytes.len());
                self.1 += bytes.len();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut pieces = Pieces(0, 0);
        write_line(&mut pieces, &vec!["delivery"; 100_000]).unwrap();
        assert_eq!(pieces.1, 100_000 * 11 + 2, "compact, in one line");
        assert!(pieces.0 <= BLOCK, "{} bytes at once", pieces.0);
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_that_reads_as_the_same_text(text in any::<String>(), hostile in "[\u{200b}-\u{200f}\u{80}-\u{9f}]") {
            let text = format!("{text}{hostile}{text}");
            let line = written(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
            prop_assert!(!line.trim_end_matches('\n').chars().any(is_hostile), "{}", line);
        }
    }
}
