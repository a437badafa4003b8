//! What is signed of a delivery: the words of `signed`, put together from a request. Knows no keys.

use super::rules::{Flaw, require};

/// The media type of a body whose fields are signed.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A request as it is delivered: what may be signed beside what its headers say.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    pub method: &'a str,
    /// The address that the provider has; empty where that is not known.
    pub url: &'a str,
    /// The exact bytes.
    pub body: &'a [u8],
}

impl<'a> Sent<'a> {
    /// The method of a delivery, where nothing says another.
    pub const METHOD: &'static str = "POST";

    /// A delivery to this address.
    pub fn to(url: &'a str, body: &'a [u8]) -> Self {
        Self { method: Self::METHOD, url, body }
    }

    /// A delivery of which the body alone is known.
    pub fn of(body: &'a [u8]) -> Self {
        Self::to("", body)
    }
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Timestamp,
    Id,
    Method,
    Url,
    /// The fields of a form.
    Form,
    Body,
    Literal(String),
}

/// A checked `signed`.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: String,
    pub(super) pieces: Vec<Piece>,
}

/// Most text beside the words, in bytes.
const MOST_TEXT: usize = 16;

impl Template {
    /// Checks the words, in a layout with a timestamp and an id or without.
    pub(super) fn check(text: &str, is_timed: bool, has_id: bool) -> Result<Self, Flaw> {
        let key = "signature.signed";
        let pieces = pieces(text);
        let count = |wanted: &[Piece]| pieces.iter().filter(|piece| wanted.contains(piece)).count();
        require(
            count(&[Piece::Body, Piece::Form]) == 1,
            key,
            "does not have `{body}` in it once, or `{form}` in its place",
            "write it like `{timestamp}.{body}`",
        )?;
        require(
            count(&[Piece::Timestamp]) == usize::from(is_timed),
            key,
            match is_timed {
                true => "does not have `{timestamp}` in it once",
                false => "has `{timestamp}` in it, and nothing says where that is",
            },
            match is_timed {
                true => "write it like `{timestamp}.{body}`",
                false => {
                    "say where it is, by `lead` or `timestamp_header`; or leave it out where the body alone is signed"
                }
            },
        )?;
        require(
            count(&[Piece::Id]) == usize::from(has_id),
            "signature.id_header",
            "goes with `{id}` in `signed`",
            "set both or neither",
        )?;
        for word in [Piece::Url, Piece::Method] {
            require(count(&[word]) <= 1, key, "has a word in it more than once", "write each once")?;
        }
        let literals = pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(literal) => Some(literal.as_str()),
            _ => None,
        });
        let rest: String = literals.collect();
        require(
            rest.len() <= MOST_TEXT && rest.bytes().all(|byte| byte == b'\n' || is_plain(byte)),
            key,
            "has something unknown in it",
            "`{timestamp}`, `{id}`, `{method}`, `{url}`, `{form}` and `{body}` are known",
        )?;
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// In the words of the description.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the address is signed, too.
    pub(super) fn has_address(&self) -> bool {
        self.pieces.contains(&Piece::Url)
    }

    /// Whether the fields of a form are signed, and no body.
    pub(super) fn has_form(&self) -> bool {
        self.pieces.contains(&Piece::Form)
    }

    /// The fields of a body, where they are what is signed, and nothing elsewhere; `None` where it is no form, so that nothing
    /// vouches for it.
    pub(super) fn fields(&self, body: &[u8]) -> Option<Vec<u8>> {
        if self.has_form() { fields(body) } else { Some(Vec::new()) }
    }

    /// What is signed, in parts one behind the other.
    pub(super) fn parts<'a>(
        &'a self,
        id: &'a str,
        timestamp: &'a str,
        sent: Sent<'a>,
        fields: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> {
        self.pieces.iter().map(move |piece| match piece {
            Piece::Timestamp => timestamp.as_bytes(),
            Piece::Id => id.as_bytes(),
            Piece::Method => sent.method.as_bytes(),
            Piece::Url => sent.url.as_bytes(),
            Piece::Form => fields,
            Piece::Body => sent.body,
            Piece::Literal(text) => text.as_bytes(),
        })
    }
}

/// What may stand between the words: it is written into receivers in other languages, too.
fn is_plain(byte: u8) -> bool {
    (byte.is_ascii_graphic() || byte == b' ') && !b"{}\"".contains(&byte)
}

fn pieces(text: &str) -> Vec<Piece> {
    let words = [
        ("{timestamp}", Piece::Timestamp),
        ("{id}", Piece::Id),
        ("{method}", Piece::Method),
        ("{url}", Piece::Url),
        ("{form}", Piece::Form),
        ("{body}", Piece::Body),
    ];
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let next = words.iter().filter_map(|(word, piece)| Some((rest.find(word)?, word, piece))).min_by_key(|at| at.0);
        let (literal, behind) = match next {
            Some((at, word, _)) => (&rest[..at], &rest[at + word.len()..]),
            None => (rest, ""),
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        pieces.extend(next.map(|(_, _, piece)| piece.clone()));
        rest = behind;
    }
    pieces
}

/// The names and values of a form's fields, sorted by name, and the values of one name, each once, too; `None` of a body that is
/// no form.
fn fields(body: &[u8]) -> Option<Vec<u8>> {
    let is_form = |byte: &u8| byte.is_ascii_graphic() && !b"{}<>\"".contains(byte);
    if !body.iter().all(is_form) {
        return None;
    }
    let mut fields: Vec<_> = form_urlencoded::parse(body).collect();
    fields.sort_unstable();
    fields.dedup();
    Some(fields.into_iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()].concat()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted_and_each_value_counts_once() {
        let text = |body: &str| fields(body.as_bytes()).map(|fields| String::from_utf8(fields).unwrap());
        for (body, expected) in [
            ("b=2&a=1", Some("a1b2")),
            ("a=2&a=1&a=2", Some("a1a2")),
            ("To=%2B1800&Name=J%C3%BCrgen+K.&Empty=", Some("EmptyNameJürgen K.To+1800")),
            ("", Some("")),
            ("{\"a\":1}", None),
            ("a=1\n", None),
            ("a=\u{fc}", None),
        ] {
            assert_eq!(text(body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn what_is_signed_is_put_together_in_its_order() {
        let template = |text: &str| Template::check(text, text.contains("{timestamp}"), text.contains("{id}"));
        let sent = Sent { method: "PUT", url: "https://a.example/?b", body: b"c=1" };
        for (text, expected) in [
            ("{body}", "c=1"),
            ("v0:{timestamp}:{body}", "v0:9:c=1"),
            ("{method}{url}{body}{timestamp}", "PUThttps://a.example/?bc=19"),
            ("{url}{form}", "https://a.example/?bc1"),
            ("{id}.{timestamp}.{body}", "7.9.c=1"),
        ] {
            let template = template(text).unwrap();
            let fields = template.fields(sent.body).unwrap();
            let parts: Vec<&[u8]> = template.parts("7", "9", sent, &fields).collect();
            assert_eq!(String::from_utf8(parts.concat()).unwrap(), expected);
            assert_eq!(
                (template.has_address(), template.has_form()),
                (text.contains("{url}"), text.contains("{form}"))
            );
        }
        assert!(template("{url}{form}").unwrap().fields(b"{}").is_none());
        for (text, why) in [
            ("{url}", "does not have `{body}`"),
            ("{form}{body}", "does not have `{body}`"),
            ("{url}{url}{body}", "more than once"),
            ("{uri}{body}", "something unknown"),
            ("{timestamp}\"{body}", "something unknown"),
            ("\u{e9}{body}", "something unknown"),
            ("a long text that is a literal{body}", "something unknown"),
        ] {
            let flaw = format!("{:?}", template(text).unwrap_err());
            assert!(flaw.contains(why), "{text}: {flaw}");
        }
    }
}
