//! The words in a body that are known only when it is sent: the secret that we have made, and what is sent back as it was read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::spec::RotateSpec;
use crate::secret::Secret;

/// Stands in a body for the new secret, where that is ours to make: a whole value, and so in quotes.
pub(super) const SECRET: &str = "secret";

/// Before the name of what is sent back.
pub(super) const CARRY: &str = "carry.";

/// Stands in a body for how long the old secret is to live, in seconds: a number, where it is the caller's to say.
pub(super) const OVERLAP: &str = "{overlap_s}";

/// Stands in a body for the idempotency key, where that is not a header.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency_key";

/// Whether an id of this name would be taken for another word of a body.
pub(super) fn is_taken(name: &str) -> bool {
    [SECRET, IDEMPOTENCY_KEY, "overlap_s", "reason", "key"].contains(&name)
}

/// What the provider showed of an endpoint and wants to be sent back, by name; `None` of what it has not. It may hold what is nobody
/// else's business.
#[derive(Clone, Default, PartialEq)]
pub struct Carried(BTreeMap<String, Option<Value>>);

impl Carried {
    /// Reads what stands at the pointers of a description. Fails with the first one at which something has to be and is not.
    pub(super) fn read<'a>(item: &Value, rotate: &'a RotateSpec) -> Result<Self, &'a str> {
        let needed = |(name, pointer): (&String, &'a String)| match item.pointer(pointer) {
            Some(value) => Ok((name.clone(), Some(value.clone()))),
            None => Err(pointer.as_str()),
        };
        let mut read: BTreeMap<_, _> = rotate.carry.iter().map(needed).collect::<Result<_, _>>()?;
        let there = |pointer: &String| item.pointer(pointer).filter(|value| !value.is_null()).cloned();
        read.extend(rotate.may_carry.iter().map(|(name, pointer)| (name.clone(), there(pointer))));
        Ok(Self(read))
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of what another endpoint has otherwise. In which order a list comes says nothing.
    pub fn differs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let is_other = move |(name, value): &(&String, &Option<Value>)| {
            other.0.get(*name).is_none_or(|theirs| sorted(value.as_ref()) != sorted(theirs.as_ref()))
        };
        self.0.iter().filter(is_other).map(|(name, _)| name.as_str())
    }

    fn lacks(&self, value: &Value) -> bool {
        let name = value.as_str().and_then(|text| text.strip_prefix('{')?.strip_suffix('}')?.strip_prefix(CARRY));
        name.is_some_and(|name| matches!(self.0.get(name), Some(None)))
    }

    /// The same template without what the endpoint has not.
    fn without_lacking<'a>(&self, template: &'a str) -> Cow<'a, str> {
        if self.0.values().all(Option::is_some) {
            return Cow::Borrowed(template);
        }
        match serde_json::from_str(template) {
            Ok(mut body) => {
                self.leave_out(&mut body);
                Cow::Owned(body.to_string())
            }
            Err(_) => Cow::Borrowed(template),
        }
    }

    fn leave_out(&self, body: &mut Value) {
        match body {
            Value::Object(fields) => {
                fields.retain(|_, value| !self.lacks(value));
                fields.values_mut().for_each(|value| self.leave_out(value));
            }
            Value::Array(items) => {
                items.retain(|value| !self.lacks(value));
                items.iter_mut().for_each(|value| self.leave_out(value));
            }
            _ => {}
        }
    }
}

/// A value with its lists in one order; nothing is as good as an empty one.
fn sorted(value: Option<&Value>) -> Value {
    match value {
        None => Value::Null,
        Some(Value::String(text)) if text.is_empty() => Value::Null,
        Some(Value::Array(items)) if items.is_empty() => Value::Null,
        Some(Value::Array(items)) => {
            let mut items: Vec<Value> = items.iter().map(|item| sorted(Some(item))).collect();
            items.sort_by_key(Value::to_string);
            items.into()
        }
        Some(Value::Object(fields)) if fields.is_empty() => Value::Null,
        Some(Value::Object(fields)) => fields
            .iter()
            .map(|(name, value)| (name.clone(), sorted(Some(value))))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Some(value) => value.clone(),
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_set().entries(self.0.keys()).finish()
    }
}

/// A template with its words filled in, in one pass: what is filled in is text, whatever words it has in it. `Err` names the first
/// word for which there is nothing.
pub(super) fn filled(template: &str, secret: Option<&Secret>, carried: &Carried) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut out = Zeroizing::new(Vec::with_capacity(template.len() + secret.map_or(0, Secret::len)));
    let template = carried.without_lacking(template);
    let mut rest = template.as_ref();
    while let Some((before, word, after)) = next(rest) {
        out.extend_from_slice(before.as_bytes());
        let value = match word.strip_prefix(CARRY) {
            Some(name) => carried.0.get(name).and_then(Option::as_ref).map(|value| Zeroizing::new(value.to_string())),
            // A request that was made without a key has its word still.
            None if word == IDEMPOTENCY_KEY => None,
            None => secret.map(|secret| Zeroizing::new(Value::from(secret.expose()).to_string())),
        };
        out.extend_from_slice(value.ok_or_else(|| word.to_owned())?.as_bytes());
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// The next value that is wholly such a word: what is before it, the word, and what is after it.
fn next(template: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(at) = template.get(from..)?.find("\"{").map(|at| from + at) {
        let inner = template.get(at + 2..)?;
        if let Some((word, after)) = inner.split_once("}\"")
            && (word == SECRET
                || word == IDEMPOTENCY_KEY
                || (word.starts_with(CARRY) && !word.contains(['"', '{', '\\'])))
        {
            return Some((template.get(..at)?, word, after));
        }
        from = at + 2;
    }
    None
}

/// A body with the endpoint's ids in the places of their names, and how long the old secret is to live and the idempotency key in
/// their own.
pub(super) fn in_place<'a>(
    body: &'a Value,
    ids: &[super::Id],
    overlap: Option<Duration>,
    key: Option<&str>,
) -> Cow<'a, Value> {
    let value = |name: &str| match name {
        IDEMPOTENCY_KEY => key.map(Value::from),
        name => ids.iter().find(|id| id.name == name).map(|id| Value::from(id.value.as_str())),
    };
    let with = |other| in_place(other, ids, overlap, key).into_owned();
    match body {
        Value::String(text) if text == OVERLAP => {
            overlap.map_or(Cow::Borrowed(body), |overlap| Cow::Owned(overlap.as_secs().into()))
        }
        Value::String(text) => {
            let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            name.and_then(value).map_or(Cow::Borrowed(body), Cow::Owned)
        }
        Value::Array(items) => Cow::Owned(items.iter().map(with).collect()),
        Value::Object(fields) => Cow::Owned(
            fields.iter().map(|(name, value)| (name.clone(), with(value))).collect::<serde_json::Map<_, _>>().into(),
        ),
        _ => Cow::Borrowed(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rotate(carry: &[&str], may_carry: &[&str]) -> RotateSpec {
        let of = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), format!("/{name}"))).collect();
        RotateSpec { carry: of(carry), may_carry: of(may_carry), ..RotateSpec::default() }
    }

    fn carried(item: &Value) -> Carried {
        Carried::read(item, &rotate(&["url", "events"], &[])).unwrap()
    }

    #[test]
    fn what_is_filled_in_is_text_whatever_words_it_has_in_it() {
        let template =
            json!({ "url": "{carry.url}", "on": "{carry.events}", "token": "{secret}", "say": "a \"{secret}\" b" });
        let shown = carried(&json!({ "url": "{secret}", "events": ["{secret}", "{carry.url}", 1, true] }));
        let secret = Secret::new("s\"1");
        let sent = filled(&template.to_string(), Some(&secret), &shown).unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["url"], "{secret}");
        assert_eq!(sent["on"], json!(["{secret}", "{carry.url}", 1, true]));
        assert_eq!(sent["token"], "s\"1");
        assert_eq!(sent["say"], "a \"{secret}\" b");
    }

    #[test]
    fn nothing_is_sent_of_which_a_part_is_missing() {
        let template = json!({ "url": "{carry.url}", "token": "{secret}" }).to_string();
        let shown = carried(&json!({ "url": null, "events": [] }));
        assert_eq!(filled(&template, None, &shown).unwrap_err(), "secret");
        assert_eq!(filled(&template, Some(&Secret::new("x")), &Carried::default()).unwrap_err(), "carry.url");
        assert!(filled(&template, Some(&Secret::new("x")), &shown).is_ok(), "nothing at all is something to send back");
        let among = json!({ "a": "{carry.url}", "b": "x{secret}" }).to_string();
        assert!(filled(&among, None, &shown).is_ok(), "a word among other text is no place for the secret");
    }

    #[test]
    fn what_is_to_be_sent_back_and_is_not_there_is_named_by_its_pointer() {
        assert_eq!(Carried::read(&json!({ "url": "x" }), &rotate(&["events"], &["url"])), Err("/events"));
    }

    #[test]
    fn what_an_endpoint_has_not_is_left_out_of_the_one_that_takes_its_place() {
        let rotate = rotate(&["url", "events"], &["about", "kind"]);
        let shown = Carried::read(&json!({ "url": "x", "events": ["a"], "about": null }), &rotate).unwrap();
        let template = json!({
            "hook": { "url": "{carry.url}", "about": "{carry.about}", "type": "fixed" },
            "list": ["{carry.kind}", "{carry.events}"],
        });
        let sent: Value = serde_json::from_slice(&filled(&template.to_string(), None, &shown).unwrap()).unwrap();
        assert_eq!(sent, json!({ "hook": { "url": "x", "type": "fixed" }, "list": [["a"]] }));
        let all = json!({ "url": "x", "events": [], "about": "{carry.kind}", "kind": "k" });
        let sent = filled(&template.to_string(), None, &Carried::read(&all, &rotate).unwrap()).unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["hook"]["about"], "{carry.kind}", "what was read is text");
    }

    #[test]
    fn what_another_endpoint_has_otherwise_is_named() {
        let rotate = rotate(&["url", "events"], &["about"]);
        let of = |item: &Value| Carried::read(item, &rotate).unwrap();
        let first = of(&json!({ "url": "x", "events": ["a", "b"], "about": null }));
        for (other, name) in [
            (json!({ "url": "x", "events": ["b", "a"], "about": "" }), None),
            (json!({ "url": "x", "events": ["a"] }), Some("events")),
            (json!({ "url": "x", "events": ["a", "b"], "about": "c" }), Some("about")),
            (json!({ "url": "x?y", "events": ["a", "b"] }), Some("url")),
        ] {
            assert_eq!(first.differs(&of(&other)).next(), name, "{other}");
        }
    }

    #[test]
    fn ids_stand_where_their_names_do_and_nowhere_else() {
        let ids = [super::super::Id { name: "hook".to_owned(), value: "{7f}".to_owned() }];
        let body = json!({ "data": { "id": "{hook}", "list": ["{hook}", "x {hook}"], "{hook}": "{secret}" } });
        let expected = json!({ "data": { "id": "{7f}", "list": ["{7f}", "x {hook}"], "{hook}": "{secret}" } });
        assert_eq!(*in_place(&body, &ids, None, None), expected);
        let seconds = json!({ "for": ["{overlap_s}", "x{overlap_s}"] });
        let chosen = in_place(&seconds, &ids, Some(Duration::from_secs(7_200)), None);
        assert_eq!(*chosen, json!({ "for": [7_200, "x{overlap_s}"] }));
    }
}
