//! Finds an object in JSON text, and where its members are written. Never repeats what it read in an error.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// What is wrong with the text, and where: lines and columns count from 1.
#[derive(Debug, PartialEq, Eq)]
pub enum Flaw {
    Malformed { line: usize, column: usize, what: &'static str },
    NoParent { pointer: String },
}

/// One object in valid JSON text.
pub struct Object<'a> {
    pub text: &'a str,
    pub members: Vec<Member<'a>>,
    /// From `{` to `}`.
    pub range: Range<usize>,
}

/// One member of an object: where its name and its value are written.
pub struct Member<'a> {
    /// Borrowed where it has no escapes: there may be hundreds of thousands.
    pub name: Cow<'a, str>,
    pub key: Range<usize>,
    pub value: Range<usize>,
}

impl<'a> Object<'a> {
    /// Goes from the top through objects by name and arrays by index.
    pub fn find(bytes: &'a [u8], parents: &[String]) -> Result<Self, Flaw> {
        // The whole text is checked before any of it is taken apart, so that the scanner meets valid JSON only.
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| {
            let what = if error.is_eof() { "it ends too early" } else { "a syntax error" };
            Flaw::Malformed { line: error.line(), column: error.column(), what }
        })?;
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            flaw_at(&before, before.len(), "not UTF-8")
        })?;
        let mut at = blank(text, 0);
        for (depth, parent) in parents.iter().enumerate() {
            let inside = match text.as_bytes()[at] {
                b'{' => members(text, at)?.into_iter().find(|member| member.name == *parent).map(|member| member.value),
                b'[' => parent.parse().ok().and_then(|index: usize| elements(text, at).into_iter().nth(index)),
                _ => None,
            };
            at = inside.ok_or_else(|| Flaw::NoParent { pointer: format!("/{}", parents[..=depth].join("/")) })?.start;
        }
        if text.as_bytes()[at] != b'{' {
            return Err(Flaw::NoParent { pointer: format!("/{}", parents.join("/")) });
        }
        Ok(Self { text, members: members(text, at)?, range: at..end_of_value(text, at) })
    }

    /// The place of a member among the others.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name == name)
    }

    /// A member's string; `None` where there is no such member or it is `null`.
    pub fn string(&self, name: &str) -> Result<Option<Zeroizing<String>>, Flaw> {
        let Some(at) = self.position(name) else { return Ok(None) };
        let range = &self.members[at].value;
        let written = &self.text[range.clone()];
        match written.as_bytes()[0] {
            b'"' => Ok(Some(Zeroizing::new(decoded(self.text, range)?))),
            b'n' => Ok(None),
            _ => Err(flaw_at(self.text, range.start, "not a string")),
        }
    }
}

/// The members of the object that starts here. Fails for two of one name: readers differ on which one counts.
fn members(text: &str, start: usize) -> Result<Vec<Member<'_>>, Flaw> {
    let mut found: Vec<Member<'_>> = Vec::new();
    let mut names = HashSet::new();
    let mut at = blank(text, start + 1);
    while text.as_bytes()[at] != b'}' {
        let key = at..end_of_value(text, at);
        let colon = blank(text, key.end);
        let value = blank(text, colon + 1);
        let value = value..end_of_value(text, value);
        at = after_comma(text, value.end);
        let name = match &text[key.start + 1..key.end - 1] {
            plain if !plain.contains('\\') => Cow::Borrowed(plain),
            _ => Cow::Owned(decoded(text, &key)?),
        };
        if !names.insert(name.clone()) {
            return Err(flaw_at(text, key.start, "a second member of the same name"));
        }
        found.push(Member { name, key, value });
    }
    Ok(found)
}

fn elements(text: &str, start: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = blank(text, start + 1);
    while text.as_bytes()[at] != b']' {
        let element = at..end_of_value(text, at);
        at = after_comma(text, element.end);
        found.push(element);
    }
    found
}

fn after_comma(text: &str, at: usize) -> usize {
    let at = blank(text, at);
    if text.as_bytes()[at] == b',' { blank(text, at + 1) } else { at }
}

/// Where the value that starts here ends. Goes into arrays and objects by counting, so that depth costs nothing.
fn end_of_value(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                let is_scalar = |byte: &u8| !byte.is_ascii_whitespace() && !b",]}".contains(byte);
                return at + bytes[at..].iter().take_while(|byte| is_scalar(byte)).count();
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn blank(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start_matches([' ', '\t', '\n', '\r']).len()
}

fn decoded(text: &str, range: &Range<usize>) -> Result<String, Flaw> {
    serde_json::from_str(&text[range.clone()]).map_err(|_| flaw_at(text, range.start, "a string that is not Unicode"))
}

fn flaw_at(text: &str, at: usize, what: &'static str) -> Flaw {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    Flaw::Malformed { line, column, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, parents: &[&str]) -> Result<Vec<String>, Flaw> {
        let parents: Vec<String> = parents.iter().map(|parent| (*parent).to_owned()).collect();
        let object = Object::find(text.as_bytes(), &parents)?;
        Ok(object.members.iter().map(|member| text[member.value.clone()].to_owned()).collect())
    }

    #[test]
    fn values_end_where_they_end() {
        let text = r#" {"a" : -1.0e+400 , "b":"}\",{\\","c":[1,{"x":"]"}] ,"d":{},"e":null
            } "#;
        let values = find(text, &[]).unwrap();
        assert_eq!(values, ["-1.0e+400", r#""}\",{\\""#, r#"[1,{"x":"]"}]"#, "{}", "null"]);
    }

    #[test]
    fn pointers_go_through_objects_and_arrays() {
        assert_eq!(find(r#"{"a":[0,{"b":{"c":1}}]}"#, &["a", "1", "b"]).unwrap(), ["1"]);
        for parents in [&["x"][..], &["a", "2"], &["a", "0"], &["a"]] {
            assert!(matches!(find(r#"{"a":[0,{}]}"#, parents), Err(Flaw::NoParent { .. })), "{parents:?}");
        }
    }

    #[test]
    fn flaws_say_where_and_never_what() {
        for (text, line, column, what) in [
            ("", 1, 0, "it ends too early"),
            ("{\"a\": hidden}", 1, 7, "a syntax error"),
            ("{\n \"a\": \"hidden", 2, 13, "it ends too early"),
            ("{\"a\": 1,\n \"a\": 2}", 2, 2, "a second member of the same name"),
        ] {
            assert_eq!(find(text, &[]), Err(Flaw::Malformed { line, column, what }), "{text}");
        }
    }

    #[test]
    fn b9_many_members_cost_no_more_than_their_text() {
        // Compared with one another these would take minutes.
        let members: String = (0..300_000).map(|at| format!("\"m{at}\":{at},")).collect();
        let last = |name: &str| find(&format!("{{{members}\"{name}\":1}}"), &[]);
        assert_eq!(last("m").unwrap().len(), 300_001);
        assert!(matches!(last("m299999"), Err(Flaw::Malformed { what: "a second member of the same name", .. })));
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(find(&deep, &[]).unwrap().len(), 1);
    }
}
