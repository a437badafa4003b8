//! Puts the stand-in's answers into words: JSON with each value where the description says that it is.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::seen::query;
use super::state::Live;
use super::{Shared, state};
use crate::provider::spec::Meaning;

/// Sets a value at a JSON pointer, making objects on the way.
fn put(root: &mut Value, pointer: Option<&String>, value: Value) {
    let Some(pointer) = pointer else { return };
    let mut place = root;
    for part in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Some(fields) = place.as_object_mut() else { return };
        place = fields.entry(part.replace("~1", "/").replace("~0", "~")).or_insert(Value::Null);
    }
    *place = value;
}

/// The answer to a rotate call; the secret first, so that a half answer has a part of it.
pub(super) fn rotated(shared: &Shared, live: &Live, version: u32, old_expires_at: Option<Timestamp>) -> String {
    let mut body = json!({});
    let Some(answer) = &shared.provider.spec().rotate.answer else { return body.to_string() };
    match (&answer.list, &answer.without) {
        (Some(list), Some(without)) => {
            // The one that ends stands first.
            let (mut old, mut new) = (json!({}), json!({}));
            put(&mut old, Some(&answer.secret), json!("whsec_the_one_that_ends"));
            put(&mut old, Some(without), json!(old_expires_at));
            put(&mut new, Some(&answer.secret), json!(live.secret.expose()));
            put(&mut new, Some(without), Value::Null);
            let entries = if old_expires_at.is_some() { vec![old, new] } else { vec![new] };
            put(&mut body, Some(list), json!(entries));
        }
        _ => put(&mut body, Some(&answer.secret), json!(live.secret.expose())),
    }
    put(&mut body, answer.id.as_ref(), json!(live.own));
    put(&mut body, answer.version.as_ref(), json!(version));
    put(&mut body, answer.fingerprint.as_ref(), json!(masked(live)));
    if let Some(at) = old_expires_at {
        put(&mut body, answer.old_expires_at.as_ref(), json!(at));
    }
    put(&mut body, answer.notice.as_ref(), json!("this secret is shown once"));
    body.to_string()
}

/// The answer to a call that brings the secret: it was taken.
pub(super) fn taken(shared: &Shared) -> String {
    json!({ "id": own_id(shared), "secret": "********" }).to_string()
}

/// The answer to the call that shows what a rotate call made.
pub(super) fn read(shared: &Shared, state: &state::State) -> String {
    let ends = state.old_expires_at((shared.options.clock)());
    state.newest().map_or_else(String::new, |newest| rotated(shared, newest, state.version, ends))
}

/// The answer to an inspect call. A list has another endpoint on its first page and ours on the second.
pub(super) fn inspected(shared: &Shared, state: &state::State, page: u32) -> String {
    let Some(inspect) = &shared.provider.spec().inspect else { return String::new() };
    let mut item = item(shared, state);
    let Some(list) = &inspect.list else { return item.to_string() };
    let id = if page == 2 { own_id(shared) } else { "another" };
    put(&mut item, Some(&list.id), json!(id));
    let mut body = json!({});
    put(&mut body, Some(&list.items), json!([item]));
    put(&mut body, Some(&list.more), json!(page < 2));
    body.to_string()
}

/// The endpoints that there are, with the address that all of them deliver to.
pub(super) fn listed(shared: &Shared, state: &state::State) -> String {
    let spec = shared.provider.spec();
    let Some(list) = &spec.rotate.list else { return String::new() };
    let shown = item(shared, state);
    let url = spec.inspect.as_ref().and_then(|inspect| shown.pointer(inspect.answer.url.as_ref()?).cloned());
    let entry = |live: &Live| {
        let mut entry = json!({});
        put(&mut entry, Some(&list.id), json!(live.own));
        put(&mut entry, Some(&list.url), json!(url));
        entry
    };
    let mut body = json!({});
    put(&mut body, Some(&list.items), state.live.iter().map(entry).collect());
    body.to_string()
}

/// A page of all endpoints: another one is on the first, and ours on the second, where there are pages.
pub(super) fn endpoints(shared: &Shared, state: &state::State, path: &str) -> String {
    let spec = shared.provider.spec();
    let Some(list) = &spec.list else { return String::new() };
    let shown = item(shared, state);
    let own = |pointer: Option<&String>| pointer.and_then(|pointer| shown.pointer(pointer)).cloned();
    let answer = spec.inspect.as_ref().map(|inspect| &inspect.answer);
    let entry = |id: &str, url: Value| {
        let mut entry = json!({});
        put(&mut entry, Some(&list.id), json!(id));
        put(&mut entry, list.url.as_ref(), url);
        put(&mut entry, list.status.as_ref(), json!("active"));
        put(
            &mut entry,
            list.updated_at.as_ref(),
            own(answer.and_then(|it| it.updated_at.as_ref())).unwrap_or_default(),
        );
        entry
    };
    let url = own(answer.and_then(|it| it.url.as_ref())).unwrap_or(json!("https://receiver.example/hooks"));
    let (ours, other) = (entry(own_id(shared), url), entry("another", json!("https://another.example/hooks")));
    let is_first = |name: &String| query(path, name).is_none_or(|page| page < 2) && !path.contains("=another");
    // Where nothing tells that there are more, a page that is not full is the last.
    let tells = list.more.is_some() || list.next.is_some();
    let asked_by = [&list.page, &list.cursor, &list.after].into_iter().flatten().next().filter(|_| tells);
    let items = match asked_by.map(is_first) {
        None => vec![other, ours],
        Some(true) => vec![other],
        Some(false) => vec![ours],
    };
    let is_last = asked_by.is_none_or(|name| !is_first(name));
    if list.items.is_empty() {
        return Value::from(items).to_string();
    }
    let mut body = json!({});
    put(&mut body, Some(&list.items), Value::from(items));
    put(&mut body, list.next.as_ref(), if is_last { Value::Null } else { json!("2") });
    put(&mut body, list.more.as_ref(), json!(!is_last));
    body.to_string()
}

/// The endpoint as it is shown.
pub(super) fn item(shared: &Shared, state: &state::State) -> Value {
    let mut item = json!({});
    let spec = shared.provider.spec();
    let Some(answer) = spec.inspect.as_ref().map(|inspect| &inspect.answer) else { return item };
    let now = (shared.options.clock)();
    // What has to be sent back; where the description says what it is, that is what it is.
    for (name, pointer) in spec.rotate.carry.iter().chain(&spec.rotate.may_carry) {
        put(&mut item, Some(pointer), json!({ "kept": [name, "as it was", true] }));
    }
    put(
        &mut item,
        answer.url.as_ref(),
        json!(shared.options.receiver_url.as_deref().unwrap_or("https://receiver.example/hooks")),
    );
    put(&mut item, answer.status.as_ref(), json!("active"));
    put(&mut item, answer.version.as_ref(), json!(shared.shown_version(state.version)));
    put(&mut item, answer.updated_at.as_ref(), json!(state.updated_at));
    put(&mut item, answer.old_expires_at.as_ref(), json!(state.old_expires_at(now)));
    if let Some(newest) = state.newest() {
        put(&mut item, answer.fingerprint.as_ref(), json!(masked(newest)));
        let whole = shared.whims().shows_secret.then(|| newest.secret.expose().to_owned());
        put(&mut item, answer.secret.as_ref(), json!(whole.unwrap_or_else(|| masked(newest))));
    }
    item
}

/// The answer to a test call: what came of the delivery, where the description says that the provider tells.
pub(super) fn tested(shared: &Shared, status: Option<u16>) -> String {
    let mut body = json!({});
    if let Some(test) = &shared.provider.spec().test_delivery {
        let accepted = status.is_some_and(|status| (200..300).contains(&status));
        put(&mut body, test.answer.success.as_ref(), json!(accepted));
        put(&mut body, test.answer.status.as_ref(), json!(status));
        put(&mut body, test.answer.error.as_ref(), json!((!accepted).then_some("the receiver refused it")));
        put(&mut body, test.answer.id.as_ref(), json!("delivery_1"));
    }
    body.to_string()
}

/// Status and body of a refusal: the first row with this meaning, or a status that has it anyway.
pub(super) fn refused(shared: &Shared, meaning: Meaning) -> (u16, String) {
    let errors = &shared.provider.spec().errors;
    let row = errors.table.iter().find(|row| row.means == meaning);
    let status = row.map_or_else(|| usual_status(meaning), |row| row.status);
    let code = row.and_then(|row| row.code.clone()).unwrap_or_else(|| "refused".to_owned());
    let mut body = json!({});
    put(&mut body, errors.code.as_ref(), json!(code));
    put(&mut body, errors.message.as_ref(), json!("the stand-in refuses this request"));
    if let Some(within) = errors.within.as_ref().filter(|within| status == 200 && body.pointer(within).is_none()) {
        put(&mut body, Some(within), json!(code));
    }
    (status, body.to_string())
}

fn usual_status(meaning: Meaning) -> u16 {
    match meaning {
        Meaning::Auth => 401,
        Meaning::NotFound => 404,
        Meaning::OverlapOpen | Meaning::KeyConflict | Meaning::InFlight | Meaning::Conflict => 409,
        Meaning::Invalid => 400,
        Meaning::RateLimited => 429,
        Meaning::Unavailable | Meaning::Unknown => 503,
    }
}

fn own_id(shared: &Shared) -> &str {
    let name = shared.provider.spec().ids.last();
    shared.options.ids.iter().find(|(id, _)| Some(id) == name).map_or("", |(_, value)| value)
}

/// A short form that is safe to show: the last four characters.
fn masked(live: &Live) -> String {
    let shown = live.secret.expose();
    let tail = shown.char_indices().rev().nth(3).and_then(|(start, _)| shown.get(start..)).unwrap_or_default();
    format!("whsec_****{tail}")
}
