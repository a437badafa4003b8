//! A KV v2 engine mounted at `secret` that answers as a real Vault was recorded to, strict about what it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::http::{Answer, Request, Server};

pub const TOKEN: &str = "hvs.CAESIJtest0000token";

/// One document: its versions, and which of them were deleted.
#[derive(Default)]
struct Kept {
    versions: Vec<Option<Map<String, Value>>>,
}

/// What the next calls come to in place of what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Sealed,
    ExpiredToken,
    /// The policy allows to read and not to write.
    ReadOnly,
    /// The policy allows nothing.
    Nothing,
    Throttled,
    /// Written, and then the connection ends without an answer.
    LostAnswer,
    /// Somebody else writes before each of our writes.
    AlwaysFaster,
    /// A field that is new is cut off.
    Truncates,
    Redirects,
}

#[derive(Default)]
struct State {
    kept: BTreeMap<String, Kept>,
    fault: Option<Fault>,
    /// Writes until a fault sets in.
    soon: Option<(u32, Fault)>,
}

pub struct Vault {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

impl Vault {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(&mut lock(&shared), request));
        Self { server, state }
    }

    pub fn fail(&self, fault: Option<Fault>) {
        lock(&self.state).fault = fault;
    }

    /// Lets this many writes through before the fault sets in.
    pub fn fail_after(&self, writes: u32, fault: Fault) {
        lock(&self.state).soon = Some((writes, fault));
    }

    /// The newest version's fields; `None` where there is none or it was deleted.
    pub fn document(&self, path: &str) -> Option<Value> {
        lock(&self.state).kept.get(path)?.versions.last()?.clone().map(Value::Object)
    }

    /// Writes a version as somebody else would.
    pub fn write(&self, path: &str, document: Value) {
        let document = document.as_object().unwrap().clone();
        lock(&self.state).kept.entry(path.to_owned()).or_default().versions.push(Some(document));
    }

    /// Soft-deletes the newest version.
    pub fn delete(&self, path: &str) {
        *lock(&self.state).kept.get_mut(path).unwrap().versions.last_mut().unwrap() = None;
    }

    pub fn versions(&self, path: &str) -> usize {
        lock(&self.state).kept.get(path).map_or(0, |kept| kept.versions.len())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn errors(status: u16, lines: &[&str]) -> Answer {
    Answer::Json(status, json!({ "errors": lines }).to_string())
}

fn metadata(version: usize, deleted: bool) -> Value {
    let deletion_time = if deleted { "2026-11-20T20:00:00.000000000Z" } else { "" };
    json!({
        "created_time": "2026-11-20T19:00:00.000000000Z", "custom_metadata": null, "deletion_time": deletion_time,
        "destroyed": false, "version": version,
    })
}

fn answer(state: &mut State, request: &Request) -> Answer {
    if request.method == "POST"
        && let Some((writes, fault)) = state.soon.take()
    {
        match writes.checked_sub(1) {
            Some(left) => state.soon = Some((left, fault)),
            None => state.fault = Some(fault),
        }
    }
    match state.fault {
        Some(Fault::Sealed) => return errors(503, &["Vault is sealed"]),
        Some(Fault::ExpiredToken) => return errors(403, &["permission denied"]),
        Some(Fault::Throttled) => return errors(429, &["request path \"secret/data/x\": rate limit quota exceeded"]),
        Some(Fault::Redirects) => return Answer::Json(307, String::new()),
        _ => {}
    }
    if request.headers.get("x-vault-token").map(String::as_str) != Some(TOKEN) {
        return errors(403, &["permission denied"]);
    }
    let path = request.target.trim_start_matches("/v1/");
    if path == "auth/token/lookup-self" {
        return Answer::Json(200, json!({ "data": { "policies": ["default"] } }).to_string());
    }
    if let Some(mount) = path.strip_prefix("sys/internal/ui/mounts/") {
        return match mount {
            "secret" => {
                Answer::Json(200, json!({ "data": { "options": { "version": "2" }, "path": "secret/" } }).to_string())
            }
            "old" => {
                Answer::Json(200, json!({ "data": { "options": { "version": "1" }, "path": "old/" } }).to_string())
            }
            _ => {
                errors(403, &["preflight capability check returned 403, please ensure client's policies grant access"])
            }
        };
    }
    if path.starts_with("old/") {
        return errors(404, &[]);
    }
    let Some(path) = path.strip_prefix("secret/data/") else {
        let line = format!("no handler for route \"{path}\". route entry not found.");
        return errors(404, &[&line]);
    };
    let denied = match request.method.as_str() {
        "GET" => state.fault == Some(Fault::Nothing),
        _ => matches!(state.fault, Some(Fault::ReadOnly | Fault::Nothing)),
    };
    if denied {
        return errors(403, &["1 error occurred:\n\t* permission denied\n\n"]);
    }
    match request.method.as_str() {
        "GET" => read(state, path),
        "POST" => write(state, path, &request.body),
        _ => errors(405, &["unsupported operation"]),
    }
}

fn read(state: &State, path: &str) -> Answer {
    let versions = state.kept.get(path).map_or(&[][..], |kept| &kept.versions);
    match versions.last() {
        None => errors(404, &[]),
        Some(document) => {
            let metadata = metadata(versions.len(), document.is_none());
            let status = if document.is_some() { 200 } else { 404 };
            Answer::Json(status, json!({ "data": { "data": document, "metadata": metadata } }).to_string())
        }
    }
}

fn write(state: &mut State, path: &str, body: &[u8]) -> Answer {
    let Ok(mut body) = serde_json::from_slice::<Value>(body) else { return errors(400, &["failed to parse JSON"]) };
    let Some(mut document) = body["data"].take().as_object().cloned() else {
        return errors(400, &["no data provided"]);
    };
    let Some(cas) = body["options"]["cas"].as_u64() else {
        return errors(400, &["check-and-set parameter required for this call"]);
    };
    let fault = state.fault;
    let kept = state.kept.entry(path.to_owned()).or_default();
    if fault == Some(Fault::AlwaysFaster) {
        let last = kept.versions.last().cloned().flatten().unwrap_or_default();
        kept.versions.push(Some(last));
    }
    if cas != kept.versions.len() as u64 {
        return errors(400, &["check-and-set parameter did not match the current version"]);
    }
    if fault == Some(Fault::Truncates) {
        let before = kept.versions.last().cloned().flatten().unwrap_or_default();
        for (name, value) in &mut document {
            if let Some(text) = value.as_str().filter(|_| before.get(name) != Some(&*value)) {
                *value = json!(text.chars().take(40).collect::<String>());
            }
        }
    }
    kept.versions.push(Some(document));
    let version = kept.versions.len();
    if fault == Some(Fault::LostAnswer) {
        return Answer::Silence;
    }
    Answer::Json(200, json!({ "data": metadata(version, false) }).to_string())
}
