//! Rules for single values in a description: names, headers, pointers, words. Knows nothing of how they combine.

use std::collections::BTreeMap;

/// What is wrong with one key of a description, and how to put it right.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) key: String,
    pub(crate) why: String,
    pub(crate) fix: String,
}

/// Shorthand for a check that found nothing or one flaw.
pub(crate) type Checked = Result<(), Flaw>;

/// Bounds that keep a description small enough to read.
pub(crate) const MOST_ENTRIES: usize = 64;
const LONGEST_NAME: usize = 64;
const LONGEST_WORDS: usize = 1_000;
const LONGEST_HEADER_VALUE: usize = 1_024;
const LONGEST_POINTER: usize = 256;
const LONGEST_BODY: usize = 4_096;

/// Headers that decide where a request goes, how it is framed or who sends it: never fixed in a description.
const RESERVED_HEADERS: [&str; 19] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Makes a flaw.
pub(crate) fn flaw(key: &str, why: impl Into<String>, fix: impl Into<String>) -> Flaw {
    Flaw { key: key.to_owned(), why: why.into(), fix: fix.into() }
}

/// A flaw unless the condition holds.
pub(crate) fn require(holds: bool, key: &str, why: &str, fix: &str) -> Checked {
    if holds { Ok(()) } else { Err(flaw(key, why, fix)) }
}

/// A name as it stands in commands: lower-case letters, digits and `-`.
pub(crate) fn word(key: &str, text: &str) -> Checked {
    let starts = text.starts_with(|character: char| character.is_ascii_lowercase());
    let legal = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let fits = starts && legal && !text.ends_with('-') && text.len() <= LONGEST_NAME;
    require(fits, key, "is not a name", "write lower-case letters, digits and `-`, starting with a letter")
}

/// An id's name: letters, digits, `_` and `-`.
pub(crate) fn id_name(key: &str, text: &str) -> Checked {
    let starts = text.starts_with(|character: char| character.is_ascii_alphabetic());
    let legal = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let fits = starts && legal && text.len() <= LONGEST_NAME;
    require(fits, key, "is not an id's name", "write letters, digits, `_` and `-`, starting with a letter")
}

/// An environment variable's name; whsec's own and the system's are not for keys.
pub(crate) fn environment(key: &str, text: &str) -> Checked {
    let starts = text.starts_with(|character: char| character.is_ascii_uppercase());
    let legal = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let taken = ["WHSEC_", "LD_", "XDG_", "DBUS_", "SSL_"].iter().any(|prefix| text.starts_with(prefix))
        || ["PATH", "HOME", "USER", "SHELL", "TERM", "LANG", "PWD", "TMPDIR"].contains(&text);
    require(
        starts && legal && !taken && text.len() <= LONGEST_NAME,
        key,
        "is not a variable for a key",
        "write one such as `ACME_API_KEY`",
    )
}

/// A sentence for the operator: one line, not empty, bounded.
pub(crate) fn words(key: &str, text: &str) -> Checked {
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_WORDS && !text.chars().any(char::is_control);
    require(
        fits,
        key,
        "is empty, longer than 1000 characters or more than one line",
        "write one short paragraph on one line",
    )
}

/// A JSON pointer (RFC 6901); the empty one means the whole answer.
pub(crate) fn pointer(key: &str, text: &str) -> Checked {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    let fits = (text.is_empty() || text.starts_with('/')) && escapes && text.len() <= LONGEST_POINTER;
    require(fits && !text.chars().any(char::is_control), key, "is not a JSON pointer", "write it like `/data/secret`")
}

/// A pointer that may be absent.
pub(crate) fn optional_pointer(key: &str, text: Option<&String>) -> Checked {
    text.map_or(Ok(()), |text| pointer(key, text))
}

/// A header's name that a description may set: legal, and not one of those that steer the request.
pub(crate) fn header_name(key: &str, name: &str) -> Checked {
    require(is_token(name), key, "is not a header's name", "write letters, digits and `-`")?;
    let reserved = RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str());
    require(!reserved, key, "may not be set here", "leave it out; whsec sets it itself where it is needed")
}

/// A header's value: printable ASCII on one line.
pub(crate) fn header_value(key: &str, value: &str) -> Checked {
    let fits = is_header_value(value) && value.len() <= LONGEST_HEADER_VALUE;
    require(fits, key, "is not a header's value", "write printable ASCII on one line, without spaces around it")
}

/// Fixed headers, with names that nothing else sets.
pub(crate) fn headers(key: &str, headers: &BTreeMap<String, String>, taken: &[String]) -> Checked {
    require(headers.len() <= MOST_ENTRIES, key, "has too many entries", "keep the headers that the provider asks for")?;
    let mut seen: Vec<String> = taken.iter().map(|name| name.to_ascii_lowercase()).collect();
    for (name, value) in headers {
        let key = format!("{key}.{name}");
        let lower = name.to_ascii_lowercase();
        // The one reserved header that a provider may want where no body calls for it; `taken` says where it may not.
        if lower != "content-type" {
            header_name(&key, name)?;
        }
        header_value(&key, value)?;
        require(!seen.contains(&lower), &key, "is set twice", "set each header in one place")?;
        seen.push(lower);
    }
    Ok(())
}

/// A JSON body: an object, bounded, and not one of TOML's dates, which have no form in JSON.
pub(crate) fn body(key: &str, body: &serde_json::Value) -> Checked {
    let text = body.to_string();
    require(body.is_object(), key, "is not an object", "write it as `{ name = \"value\" }`")?;
    require(text.len() <= LONGEST_BODY, key, "is too long", "keep it below 4096 bytes")?;
    require(!text.contains("$__toml"), key, "has a TOML date in it", "put the date in quotes")
}

/// Whether a value may stand in a header.
pub(crate) fn is_header_value(value: &str) -> bool {
    let edges = value.starts_with(' ') || value.ends_with(' ');
    !value.is_empty() && !edges && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Whether a text is a token as RFC 9110 has it.
pub(crate) fn is_token(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(legal)
}
