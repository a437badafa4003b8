//! A body as a form has it (`application/x-www-form-urlencoded`): what is within something else is told by brackets, as in `a[b]=c`,
//! and each item of a list by `a[]=b`.

use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use zeroize::Zeroizing;

use super::path::RESERVED;

/// The media type of such a body.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A body that was written as JSON, as a form. What is null is left out: a form has no word for it.
pub(super) fn encoded(body: &[u8]) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let mut out = Zeroizing::new(String::new());
    if let Value::Object(fields) = serde_json::from_slice(body)? {
        fields.iter().for_each(|(name, value)| write(&mut out, name, value));
    }
    Ok(Zeroizing::new(out.as_bytes().to_vec()))
}

/// The same for people: nothing is percent-encoded, and words stand where they do.
pub(super) fn sketch(body: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(body) else { return body.to_owned() };
    let shown = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    };
    fields.iter().map(shown).collect::<Vec<_>>().join("&")
}

fn write(out: &mut Zeroizing<String>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter().for_each(|item| write(out, &format!("{name}[]"), item)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| write(out, &format!("{name}[{key}]"), value)),
        Value::String(text) => pair(out, name, text),
        Value::Bool(_) | Value::Number(_) => pair(out, name, &value.to_string()),
    }
}

fn pair(out: &mut Zeroizing<String>, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    out.extend(utf8_percent_encode(name, RESERVED));
    out.push('=');
    out.extend(utf8_percent_encode(value, RESERVED));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_within_is_told_by_brackets() {
        for (body, expected) in [
            (json!({}), ""),
            (json!({ "url": "https://a.example/x?y=1&z" }), "url=https%3A%2F%2Fa.example%2Fx%3Fy%3D1%26z"),
            (json!({ "events": ["a.b", "*"], "on": true }), "events%5B%5D=a.b&events%5B%5D=%2A&on=true"),
            (json!({ "metadata": { "a b": "ä+", "n": 7 } }), "metadata%5Ba%20b%5D=%C3%A4%2B&metadata%5Bn%5D=7"),
            (json!({ "none": null, "empty": "", "list": [] }), "empty="),
        ] {
            assert_eq!(std::str::from_utf8(&encoded(body.to_string().as_bytes()).unwrap()).unwrap(), expected);
        }
    }
}
