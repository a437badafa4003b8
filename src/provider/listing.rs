//! The endpoints that an API key can see, page by page. Of what the provider shows, secrets among it, nothing is taken but what
//! people tell endpoints by.

use serde_json::Value;

use super::answer::{self, Outcome};
use super::client::{Client, unreadable};
use super::path::PathTemplate;
use super::rules::{Checked, is_token, optional_pointer, pointer, require};
use super::spec::{EndpointsSpec, Spec};
use super::{Endpoint, request};
use crate::secret::Secret;

/// Most pages that are asked for.
const MOST_PAGES: u32 = 100;

/// An endpoint as a list shows it, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its own id.
    pub id: String,
    pub url: Option<String>,
    pub status: Option<String>,
    pub updated_at: Option<String>,
}

/// Refuses a list that cannot be gone through.
pub(super) fn check(spec: &Spec, path: Option<&PathTemplate>) -> Checked {
    let (Some(list), Some(path)) = (&spec.list, path) else { return Ok(()) };
    let is_own = spec.ids.last().is_some_and(|own| path.uses(own));
    require(!is_own, "list.path", "has the endpoint's own id in it", "leave it out: the call lists all of them")?;
    if !list.items.is_empty() {
        pointer("list.items", &list.items)?;
    }
    require(!list.id.is_empty(), "list.id", "is empty", "write it like `/id`")?;
    pointer("list.id", &list.id)?;
    let pointers = [&list.url, &list.status, &list.updated_at, &list.next, &list.more];
    pointers.iter().try_for_each(|field| optional_pointer("list", field.as_ref()))?;
    for parameter in [&list.size, &list.page, &list.cursor, &list.after].into_iter().flatten() {
        let fix = "write the name of a query parameter, as `limit`";
        require(is_token(parameter) && !parameter.contains(['&', '#']), "list", "has a parameter that is none", fix)?;
    }
    let ways = [&list.page, &list.cursor, &list.after].iter().filter(|way| way.is_some()).count();
    require(ways <= 1, "list", "has several ways to its next page", "keep one of `page`, `cursor` and `after`")?;
    let goes_with = "goes with another word";
    require(list.cursor.is_some() == list.next.is_some(), "list.cursor", goes_with, "say both, `cursor` and `next`")?;
    require(
        list.size.is_some() == list.size_value.is_some(),
        "list.size",
        goes_with,
        "say both, `size` and `size_value`",
    )?;
    let ends = list.more.is_some() || list.size_value.is_some();
    let turns = list.page.is_some() || list.after.is_some();
    require(ends || !turns, "list.more", "is missing", "say which page is the last: `more`, or `size` and `size_value`")
}

impl Client {
    /// All endpoints that the key can see beside this one, whose own id is not used. `Err` is never a success.
    #[expect(clippy::result_large_err, reason = "an outcome is what every other call returns, and few are made")]
    pub fn endpoints(&self, endpoint: &Endpoint, api_key: &Secret) -> Result<Vec<Listed>, Outcome> {
        let not_described = || Outcome::NotSent { why: "no call that lists endpoints is described".to_owned() };
        let list = endpoint.provider.spec().list.as_ref().ok_or_else(not_described)?;
        let (mut found, mut next) = (Vec::<Listed>::new(), first(list));
        for page in 1..=MOST_PAGES {
            let Some(request) = request::endpoints(endpoint, next.as_ref()) else { return Err(not_described()) };
            let reply = match self.call(endpoint, &request, api_key) {
                Outcome::Success(reply) => reply,
                other => return Err(other),
            };
            let body = answer::parse(&reply).map_err(|error| unreadable(reply.status, error.to_string()))?;
            let Some(items) = body.pointer(&list.items).and_then(Value::as_array) else {
                return Err(unreadable(reply.status, format!("the answer has no list at `{}`", list.items)));
            };
            let before = found.len();
            for listed in items.iter().filter_map(|item| listed(list, item)) {
                // What a page shows again was had, and a list that goes in a circle ends.
                if found.iter().all(|other| other.id != listed.id) {
                    found.push(listed);
                }
            }
            let is_new = found.len() > before;
            next = if is_new { following(list, &body, items.len(), page, found.last()) } else { None };
            if next.is_none() {
                return Ok(found);
            }
        }
        Err(unreadable(200, format!("the list has more than {MOST_PAGES} pages")))
    }
}

/// What the first page is asked for by.
fn first(list: &EndpointsSpec) -> Option<(String, String)> {
    list.page.clone().map(|page| (page, "1".to_owned()))
}

/// What the page behind this one is asked for by, if there is one.
fn following(
    list: &EndpointsSpec,
    body: &Value,
    items: usize,
    page: u32,
    last: Option<&Listed>,
) -> Option<(String, String)> {
    let is_full = || list.size_value.is_some_and(|size| u32::try_from(items).is_ok_and(|items| items >= size));
    let has_more = match &list.more {
        Some(more) => body.pointer(more).and_then(Value::as_bool).unwrap_or(false),
        None => list.cursor.is_some() || is_full(),
    };
    if !has_more {
        return None;
    }
    if let Some(page_name) = &list.page {
        return Some((page_name.clone(), (page + 1).to_string()));
    }
    if let Some(cursor) = &list.cursor {
        let next = answer::text(body, list.next.as_ref()).filter(|next| !next.is_empty())?;
        return Some((cursor.clone(), next));
    }
    Some((list.after.clone()?, last?.id.clone()))
}

fn listed(list: &EndpointsSpec, item: &Value) -> Option<Listed> {
    Some(Listed {
        id: answer::plain(item, Some(&list.id))?,
        url: answer::plain(item, list.url.as_ref()),
        status: answer::state(item, list.status.as_ref()),
        updated_at: answer::plain(item, list.updated_at.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_says_by_what_the_next_one_is_asked_for() {
        let list = |more: Value| -> EndpointsSpec {
            let mut words = json!({ "path": "/hooks", "items": "/data", "id": "/id" });
            words.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(words).unwrap()
        };
        let last = Listed { id: "we_2".to_owned(), url: None, status: None, updated_at: None };
        for (words, body, items, next) in [
            (json!({}), json!({ "more": true }), 2, None),
            (json!({ "after": "after", "more": "/more" }), json!({ "more": true }), 2, Some(("after", "we_2"))),
            (json!({ "after": "after", "more": "/more" }), json!({ "more": false }), 2, None),
            (json!({ "page": "page", "more": "/more" }), json!({ "more": true }), 2, Some(("page", "4"))),
            (json!({ "page": "page", "more": "/more" }), json!({}), 2, None),
            (json!({ "page": "page", "size": "n", "size_value": 2 }), json!([]), 2, Some(("page", "4"))),
            (json!({ "page": "page", "size": "n", "size_value": 2 }), json!([]), 1, None),
            (json!({ "cursor": "cursor", "next": "/next" }), json!({ "next": "c2" }), 2, Some(("cursor", "c2"))),
            (json!({ "cursor": "cursor", "next": "/next" }), json!({ "next": null }), 2, None),
            (json!({ "cursor": "cursor", "next": "/next" }), json!({ "next": "" }), 2, None),
        ] {
            let found = following(&list(words.clone()), &body, items, 3, Some(&last));
            let next = next.map(|(name, value): (&str, &str)| (name.to_owned(), value.to_owned()));
            assert_eq!(found, next, "{words} {body}");
        }
    }
}
