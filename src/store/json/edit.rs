//! Sets and removes one member in JSON text, in the style of its neighbours.

use std::ops::Range;

use zeroize::Zeroizing;

use super::scan::Object;
use crate::secret::Secret;

/// The text with the member set to the value, or without it. A new member comes right after `beside`, or last
/// where there is no `beside`.
pub fn with(object: &Object<'_>, name: &str, beside: &str, value: Option<&Secret>) -> Zeroizing<Vec<u8>> {
    let at = object.position(name);
    match (value, at) {
        (None, None) => Zeroizing::new(object.text.as_bytes().to_vec()),
        (None, Some(at)) => spliced(object.text, span_to_remove(object, at), ""),
        (Some(value), Some(at)) => spliced(object.text, object.members[at].value.clone(), &quoted(value.expose())),
        (Some(value), None) => insert(object, name, beside, value),
    }
}

fn insert(object: &Object<'_>, name: &str, beside: &str, value: &Secret) -> Zeroizing<Vec<u8>> {
    let (name, value) = (quoted(name), quoted(value.expose()));
    let text = object.text;
    let Some(last) = object.members.len().checked_sub(1) else {
        let line_start = text[..object.range.start].rfind('\n').map_or(0, |at| at + 1);
        let line = &text[line_start..object.range.start];
        let indent = &line[..line.len() - line.trim_start().len()];
        let new = Zeroizing::new(format!("{{\n{indent}  {}: {}\n{indent}}}", name.as_str(), value.as_str()));
        return spliced(text, object.range.clone(), &new);
    };
    let at = object.position(beside).unwrap_or(last);
    let anchor = &object.members[at];
    let colon = &text[anchor.key.end..anchor.value.start];
    let new = Zeroizing::new(format!(",{}{}{colon}{}", gap(object, at), name.as_str(), value.as_str()));
    spliced(text, anchor.value.end..anchor.value.end, &new)
}

/// The space between a comma and the next name, as it is around this member.
fn gap<'a>(object: &Object<'a>, at: usize) -> &'a str {
    let before = |at: usize| {
        let end = object.members[at].key.start;
        let start = object.text[..end].trim_end_matches([' ', '\t', '\n', '\r']).len();
        &object.text[start..end]
    };
    // On one line, `{"a": 1, "b": 2}`, there is no space before the first; so the second shows how it is done.
    let only = before(0);
    match (at, object.members.len()) {
        (0, 1) if only.is_empty() && object.text[object.members[0].key.end..].starts_with(": ") => " ",
        (0, 1) => only,
        (0, _) => before(1),
        (at, _) => before(at),
    }
}

/// A member with its comma and the space before it; of a first member, the space after it.
fn span_to_remove(object: &Object<'_>, at: usize) -> Range<usize> {
    let members = &object.members;
    match (at, members.get(at + 1)) {
        (0, None) => object.range.start + 1..object.range.end - 1,
        (0, Some(next)) => members[0].key.start..next.key.start,
        (at, _) => members[at - 1].value.end..members[at].value.end,
    }
}

fn spliced(text: &str, range: Range<usize>, new: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + new.len()));
    for part in [&text[..range.start], new, &text[range.end..]] {
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn quoted(value: &str) -> Zeroizing<String> {
    // `Value`'s Display is the same JSON, and cannot fail.
    let value = serde_json::Value::from(value);
    let written = Zeroizing::new(value.to_string());
    if let serde_json::Value::String(plain) = value {
        drop(Zeroizing::new(plain));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, name: &str, value: Option<&str>) -> String {
        let object = Object::find(text.as_bytes(), &[]).unwrap();
        let bytes = with(&object, name, "k", value.map(Secret::new).as_ref());
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_new_member_looks_like_its_neighbours_and_leaves_no_trace() {
        for (before, after) in [
            (
                "{\n    \"k\": \"a\",\n    \"z\": 1.0\n}\n",
                "{\n    \"k\": \"a\",\n    \"n\": \"v\",\n    \"z\": 1.0\n}\n",
            ),
            ("{\n\t\"k\":\"a\"\n}", "{\n\t\"k\":\"a\",\n\t\"n\":\"v\"\n}"),
            (r#"{"a": 1e999, "k": "a"}"#, r#"{"a": 1e999, "k": "a", "n": "v"}"#),
            (r#"{"k": "a", "b": 2}"#, r#"{"k": "a", "n": "v", "b": 2}"#),
            (r#"{"k": "a"}"#, r#"{"k": "a", "n": "v"}"#),
            (r#"{"k":"a"}"#, r#"{"k":"a","n":"v"}"#),
            (r#"{"other":123456789012345678901234567890}"#, r#"{"other":123456789012345678901234567890,"n":"v"}"#),
            ("{}\n", "{\n  \"n\": \"v\"\n}\n"),
            ("{\r\n  \"k\": \"a\"\r\n}\r\n", "{\r\n  \"k\": \"a\",\r\n  \"n\": \"v\"\r\n}\r\n"),
        ] {
            assert_eq!(set(before, "n", Some("v")), after);
            assert_eq!(set(after, "n", None), before);
        }
    }

    #[test]
    fn only_the_value_is_replaced() {
        assert_eq!(
            set(r#"{"k" :  "a" , "b":[ ]}"#, "k", Some("\"\\\n\u{e9}")),
            "{\"k\" :  \"\\\"\\\\\\n\u{e9}\" , \"b\":[ ]}"
        );
        assert_eq!(set(r#"{"k": "a", "b": 1}"#, "k", None), r#"{"b": 1}"#);
    }
}
