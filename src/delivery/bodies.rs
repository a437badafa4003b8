//! The usual ways in which a body is changed between the signer and the one who verifies it, so that the bytes that were
//! signed can be found again.

use std::io;

use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

/// Longest body that is written anew in every way, in bytes.
const LONGEST: usize = 1 << 20;

/// A way of writing a body, with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// How the signed bytes differ from those at hand, in words.
    pub how: String,
    pub bytes: Vec<u8>,
}

/// Other ways of writing this body, the likeliest first.
pub fn forms(body: &[u8]) -> impl Iterator<Item = Form> + '_ {
    let body = if body.len() > LONGEST { &[][..] } else { body };
    line_breaks(body).into_iter().chain(json(body)).filter(move |form| form.bytes != body)
}

/// The same text with other line breaks.
fn line_breaks(body: &[u8]) -> Vec<Form> {
    let trimmed = body.trim_ascii_end();
    let with = |end: &[u8]| [trimmed, end].concat();
    let mut lf = body.to_vec();
    lf.retain(|byte| *byte != b'\r');
    let crlf = lf.iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect();
    let form = |how: &str, bytes: Vec<u8>| Form { how: how.to_owned(), bytes };
    vec![
        form("without the line break at its end", trimmed.to_vec()),
        form("with a line break at its end", with(b"\n")),
        form("with CR LF at its end", with(b"\r\n")),
        form("with LF in place of CR LF", lf),
        form("with CR LF in place of LF", crlf),
    ]
}

const SPACINGS: [(Spacing, &str); 5] = [
    (Spacing::Compact, "without spaces"),
    (Spacing::Python, "with a space behind each `,` and `:`"),
    (Spacing::Indent(b"  "), "indented by 2 spaces"),
    (Spacing::Indent(b"    "), "indented by 4 spaces"),
    (Spacing::Indent(b"\t"), "indented by tabs"),
];

const ESCAPES: [(Escapes, &str); 5] = [
    (Escapes::Least, ""),
    (Escapes::Slash, "with `/` written `\\/`"),
    (Escapes::Ascii, "with other letters than ASCII written `\\u…`"),
    (Escapes::AsciiSlash, "with `/` written `\\/` and other letters than ASCII `\\u…`"),
    (Escapes::Html, "with `<`, `>` and `&` written `\\u…`"),
];

/// The same JSON written in other ways, the orders and spacings of keys combined.
fn json(body: &[u8]) -> impl Iterator<Item = Form> + use<> {
    let value: Option<Value> = serde_json::from_slice(body).ok().filter(|value: &Value| !value.is_null());
    let sorted = value.clone().map(|mut value| {
        value.sort_all_objects();
        value
    });
    // Equal though their keys stand in another order: only what is written tells.
    let is_other = |sorted: &Value| value.as_ref().map(Value::to_string) != Some(sorted.to_string());
    let sorted = sorted.filter(is_other);
    let escapes: Vec<_> = ESCAPES.iter().filter(|(escapes, _)| escapes.matter(body)).collect();
    let ways: Vec<_> =
        SPACINGS.iter().flat_map(|spacing| escapes.iter().map(move |escapes| (spacing, *escapes))).collect();
    let orders = [(value, ""), (sorted, "with its keys sorted")];
    orders.into_iter().flat_map(move |(value, order)| {
        let ways = ways.clone();
        value.into_iter().flat_map(move |value| {
            // One at a time: together they may be many times the body.
            ways.clone().into_iter().flat_map(move |((spacing, spaced), (escapes, escaped))| {
                let words: Vec<_> = [order, spaced, escaped].into_iter().filter(|word| !word.is_empty()).collect();
                let how = words.join(", ");
                let form = write(&value, *spacing, *escapes).map(|bytes| Form { how, bytes });
                let broken = form.as_ref().map(|form| Form {
                    how: format!("{}, with a line break at its end", form.how),
                    bytes: [form.bytes.as_slice(), b"\n"].concat(),
                });
                form.into_iter().chain(broken)
            })
        })
    })
}

/// What stands between the parts of a JSON text.
#[derive(Clone, Copy)]
enum Spacing {
    Compact,
    Python,
    Indent(&'static [u8]),
}

/// Which characters of a JSON text are escaped though they need not be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Least,
    Slash,
    Ascii,
    AsciiSlash,
    Html,
}

impl Escapes {
    /// Whether they may change how this JSON is written at all: most bodies have nothing in them that would be escaped.
    fn matter(self, body: &[u8]) -> bool {
        // What is escaped already may be any letter.
        let any = body.windows(2).any(|pair| pair == b"\\u");
        let (slash, wide) = (body.contains(&b'/'), !body.is_ascii());
        match self {
            Self::Least => true,
            Self::Slash => any || slash,
            Self::Ascii => any || wide,
            Self::AsciiSlash => any || (slash && wide),
            Self::Html => any || wide || body.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&')),
        }
    }
}

fn write(value: &Value, spacing: Spacing, escapes: Escapes) -> Option<Vec<u8>> {
    let mut bytes = Bounded(Vec::new());
    let written = match spacing {
        Spacing::Compact => serialize(value, &mut bytes, Escaping { inner: CompactFormatter, escapes }),
        Spacing::Python => serialize(value, &mut bytes, Escaping { inner: PythonFormatter, escapes }),
        Spacing::Indent(indent) => {
            serialize(value, &mut bytes, Escaping { inner: PrettyFormatter::with_indent(indent), escapes })
        }
    };
    written.ok().map(|()| bytes.0)
}

fn serialize<F: Formatter>(value: &Value, bytes: &mut Bounded, formatter: F) -> serde_json::Result<()> {
    serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(bytes, formatter))
}

/// A body that fails to grow beyond what bodies are: indenting what is nested deeply makes much of little.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > 2 * LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `, ` and `: ` as Python's `json.dumps` does.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

/// Another formatter's spacing with more escapes.
struct Escaping<F> {
    inner: F,
    escapes: Escapes,
}

impl<F: Formatter> Formatter for Escaping<F> {
    fn begin_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_array(out)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_array(out)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.inner.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_array_value(out)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_object(out)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_object(out)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.inner.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.inner.end_object_value(out)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let slashes = matches!(self.escapes, Escapes::Slash | Escapes::AsciiSlash);
        let ascii = matches!(self.escapes, Escapes::Ascii | Escapes::AsciiSlash);
        let html = self.escapes == Escapes::Html;
        for letter in fragment.chars() {
            let escaped =
                (ascii && !letter.is_ascii()) || (html && matches!(letter, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'));
            if escaped {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            } else if slashes && letter == '/' {
                out.write_all(b"\\/")?;
            } else {
                out.write_all(letter.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_what_its_writer_writes() {
        let body = "{\"b\":[1,{\"z\":\"a/ü<\"}],\"a\":null}";
        let find = |bytes: &str| {
            let form = forms(body.as_bytes()).find(|form| form.bytes == bytes.as_bytes());
            form.unwrap_or_else(|| panic!("nothing makes {bytes}")).how
        };
        assert_eq!(find("{\"a\":null,\"b\":[1,{\"z\":\"a/ü<\"}]}"), "with its keys sorted, without spaces");
        assert_eq!(find("{\"b\": [1, {\"z\": \"a/ü<\"}], \"a\": null}"), "with a space behind each `,` and `:`");
        assert_eq!(find("{\"b\":[1,{\"z\":\"a\\/\\u00fc<\"}],\"a\":null}").matches("written").count(), 1);
        assert_eq!(
            find("{\"b\": [1, {\"z\": \"a/\\u00fc<\"}], \"a\": null}"),
            "with a space behind each `,` and `:`, with other letters than ASCII written `\\u…`"
        );
        assert_eq!(
            find("{\n  \"b\": [\n    1,\n    {\n      \"z\": \"a/ü<\"\n    }\n  ],\n  \"a\": null\n}"),
            "indented by 2 spaces"
        );
        assert!(find("{\"b\":[1,{\"z\":\"a/ü\\u003c\"}],\"a\":null}").contains("`<`"));
        assert_eq!(find(&format!("{body}\n")), "with a line break at its end");
    }

    #[test]
    fn what_is_nested_deeply_is_not_written_out() {
        let body = format!("{}{}1{}", "[".repeat(100), "1,".repeat(200_000), "]".repeat(100));
        assert!(forms(body.as_bytes()).all(|form| form.bytes.len() <= 2 * LONGEST + 1));
    }

    #[test]
    fn b9_what_a_body_has_nothing_of_is_not_tried_in_every_way() {
        assert!(forms(b"{\"id\":1}").count() <= 16, "{}", forms(b"{\"id\":1}").count());
        assert!(forms("{\"b\":\"</é>\",\"a\":1}".as_bytes()).count() > 90);
    }

    #[test]
    fn no_form_is_the_body_itself_and_none_is_made_of_a_huge_one() {
        assert!(forms(b"{\"a\":1}").all(|form| form.bytes != b"{\"a\":1}"));
        assert_eq!(forms(&vec![b' '; LONGEST + 1]).count(), 5 - 3);
    }
}
