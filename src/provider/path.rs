//! Paths below a base URL. An id is one percent-encoded segment and can never become part of another path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Id;

/// Everything but the unreserved characters of RFC 3986.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A checked path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathTemplate(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Id(String),
    /// An id and the verb behind it, as `{id}:rotate`.
    Verb(String, String),
}

/// Writes a value as one path segment: every character but letters, digits and `-._~` is percent-encoded.
pub fn encode_segment(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

impl Segment {
    /// The id that stands there.
    fn id(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Id(name) | Self::Verb(name, _) => Some(name),
        }
    }
}

impl PathTemplate {
    /// Reads `/literal/{id}/…`. The error says what is wrong, to follow the key's name.
    pub(crate) fn parse(text: &str, ids: &[String]) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else { return Err("does not start with `/`".to_owned()) };
        // Some paths end with a slash, and are another one without it.
        let (rest, slash) = match rest.strip_suffix('/') {
            Some(rest) => (rest, Some(Segment::Literal(String::new()))),
            None => (rest, None),
        };
        let mut template = Self(Vec::new());
        for part in rest.split('/') {
            let segment = Self::segment(part, ids)?;
            if segment.id().is_some_and(|id| template.uses(id)) {
                return Err(format!("uses `{part}` twice"));
            }
            template.0.push(segment);
        }
        template.0.extend(slash);
        Ok(template)
    }

    fn segment(part: &str, ids: &[String]) -> Result<Segment, String> {
        let is_verb = |verb: &str| !verb.is_empty() && verb.bytes().all(|byte| byte.is_ascii_alphabetic());
        match part.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, "")) if ids.iter().any(|id| id == name) => return Ok(Segment::Id(name.to_owned())),
            Some((name, "")) => return Err(format!("uses `{{{name}}}`, which is not among `ids`")),
            Some((name, rest)) if rest.strip_prefix(':').is_some_and(is_verb) && ids.iter().any(|id| id == name) => {
                return Ok(Segment::Verb(name.to_owned(), rest.to_owned()));
            }
            _ => {}
        }
        match part {
            "" => Err("has an empty segment".to_owned()),
            "." | ".." => Err(format!("has the segment `{part}`, which leads elsewhere")),
            _ if part.contains(['{', '}']) => {
                Err(format!("has an id within the segment `{part}`; an id is a whole segment"))
            }
            _ if encode_segment(part) != part => Err(format!("has `{part}`; segments are letters, digits and `-._~`")),
            _ => Ok(Segment::Literal(part.to_owned())),
        }
    }

    /// Whether the template names this id.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.0.iter().any(|segment| segment.id() == Some(name))
    }

    /// The path for these ids, with a leading slash.
    pub(crate) fn fill(&self, ids: &[Id]) -> String {
        let mut path = String::new();
        for segment in &self.0 {
            path.push('/');
            let value = |name: &String| ids.iter().find(|id| &id.name == name).map_or("", |id| &id.value);
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Id(name) => path.push_str(&encode_segment(value(name))),
                Segment::Verb(name, verb) => path.extend([&encode_segment(value(name)), verb.as_str()]),
            }
        }
        path
    }

    /// The ids' values in a path that this template made, or `None` for another path.
    pub(crate) fn matches<'a>(&self, path: &'a str) -> Option<Vec<(&str, &'a str)>> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        if parts.len() != self.0.len() {
            return None;
        }
        let mut found = Vec::new();
        for (segment, part) in self.0.iter().zip(parts) {
            match segment {
                Segment::Literal(text) if text == part => {}
                Segment::Literal(_) => return None,
                Segment::Id(name) => found.push((name.as_str(), part)),
                Segment::Verb(name, verb) => found.push((name.as_str(), part.strip_suffix(verb.as_str())?)),
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_templates_are_refused() {
        let ids = ["app".to_owned(), "hook".to_owned()];
        for text in [
            "v1",
            "",
            "/v1/../x",
            "/v1/./x",
            "/v1//x",
            "/v1/{other}",
            "/v1/x-{app}",
            "/{app}/{app}",
            "/v1?x=1",
            "/a b",
            "/%2e%2e",
            "/v1//",
            "/",
            "/{app}:",
            "/{app}:a/b?c",
            "/{other}:rotate",
            "/{app}/{app}:rotate",
        ] {
            assert!(PathTemplate::parse(text, &ids).is_err(), "{text}");
        }
        assert!(PathTemplate::parse("/v1/{app}/hooks/{hook}/rotate-secret", &ids).is_ok());
    }

    #[test]
    fn a_verb_behind_an_id_and_a_slash_at_the_end_are_sent_as_they_stand() {
        let (ids, id) = (["hook".to_owned()], Id { name: "hook".to_owned(), value: "a:b/c".to_owned() });
        for (text, path) in
            [("/v1/{hook}:rotateSecret", "/v1/a%3Ab%2Fc:rotateSecret"), ("/v1/{hook}/x/", "/v1/a%3Ab%2Fc/x/")]
        {
            let template = PathTemplate::parse(text, &ids).unwrap();
            assert_eq!(template.fill(std::slice::from_ref(&id)), path);
            assert_eq!(template.matches(path), Some(vec![("hook", "a%3Ab%2Fc")]));
            assert_eq!(template.matches(path.trim_end_matches("/x/").trim_end_matches(":rotateSecret")), None);
        }
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(encode_segment("whk_1/rotate-secret?force=true#"), "whk_1%2Frotate-secret%3Fforce%3Dtrue%23");
        assert_eq!(encode_segment("%2e%2e"), "%252e%252e");
    }
}
