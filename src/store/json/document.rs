//! A JSON object in memory, such as a server keeps: some of its members are slots, and the others stay byte for byte.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::edit;
use super::scan::{Flaw, Object};
use crate::secret::Secret;

/// The text of one object.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(Zeroizing<Vec<u8>>);

impl Document {
    /// An object without members.
    pub fn empty() -> Self {
        Self(Zeroizing::new(b"{}".to_vec()))
    }

    /// The object that `parents` lead to in a text.
    pub fn within(text: &[u8], parents: &[&str]) -> Result<Self, Flaw> {
        let parents: Vec<String> = parents.iter().map(|parent| (*parent).to_owned()).collect();
        let object = Object::find(text, &parents)?;
        Ok(Self(Zeroizing::new(object.text[object.range].as_bytes().to_vec())))
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        Object::find(&self.0, &[]).is_ok_and(|object| object.members.is_empty())
    }

    /// A member's string; `None` where there is none, or an empty one.
    pub fn get(&self, name: &str) -> Result<Option<Secret>, Flaw> {
        let value = Object::find(&self.0, &[])?.string(name)?;
        Ok(value.filter(|value| !value.is_empty()).map(|value| Secret::new(value.as_str())))
    }

    /// The same with a member set or removed; a new one comes after `beside`. A member that is no string is not ours to
    /// replace.
    pub fn with(&self, name: &str, beside: &str, value: Option<&Secret>) -> Result<Self, Flaw> {
        let object = Object::find(&self.0, &[])?;
        object.string(name)?;
        Ok(Self(edit::with(&object, name, beside, value)))
    }

    /// Whether both have the same other members, to the letter.
    pub fn is_same_besides(&self, other: &Self, name: &str) -> Result<bool, Flaw> {
        let (ours, theirs) = (Object::find(&self.0, &[])?, Object::find(&other.0, &[])?);
        let others = |object: &Object<'_>| -> BTreeMap<String, String> {
            let members = object.members.iter().filter(|member| member.name != name);
            members
                .map(|member| (member.name.clone().into_owned(), object.text[member.value.clone()].to_owned()))
                .collect()
        };
        Ok(others(&ours) == others(&theirs))
    }

    /// The text of the object around this one, in which this is the member `name` now.
    pub fn put_into(&self, around: &[u8], name: &str) -> Result<Zeroizing<Vec<u8>>, Flaw> {
        let outer = Object::find(around, &[])?;
        let (range, head) = match outer.position(name) {
            Some(at) => (outer.members[at].value.clone(), String::new()),
            None => {
                let comma = if outer.members.is_empty() { "" } else { "," };
                (outer.range.end - 1..outer.range.end - 1, format!("{comma}\"{name}\":"))
            }
        };
        let (before, after) = (&around[..range.start], &around[range.end..]);
        Ok(Zeroizing::new([before, head.as_bytes(), &self.0, after].concat()))
    }

    /// The text.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b9_a_document_of_many_fields_costs_no_more_than_its_text() {
        // 0.9 MB, as much as a server's answer may have; with each field compared to each this took more than a minute.
        let fields: String = (0..60_000).map(|at| format!("\"f{at:06}\":\"\",")).collect();
        let answer = format!("{{\"data\":{{\"data\":{{{fields}\"secret\":\"old\"}},\"metadata\":{{\"version\":1}}}}}}");
        let before = Document::within(answer.as_bytes(), &["data", "data"]).unwrap();
        let mut after = before.clone();
        for (slot, value) in [("secret_next", Some("new")), ("secret", Some("new")), ("secret_next", None)] {
            after = after.with(slot, "secret", value.map(Secret::new).as_ref()).unwrap();
        }
        assert_eq!(after.get("secret").unwrap(), Some(Secret::new("new")));
        assert!(after.get("secret_next").unwrap().is_none());
        assert!(after.is_same_besides(&before, "secret").unwrap());
        assert!(!after.is_same_besides(&before, "f000001").unwrap());
    }
}
