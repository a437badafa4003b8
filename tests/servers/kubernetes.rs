//! The Secrets of a cluster, as its API server keeps them: every change makes a version, and a replacement of another version
//! than the newest is a conflict.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::http::{Answer, Request, Server};

/// What the next calls come to in place of what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Unauthorized,
    /// May be read, not replaced.
    Forbidden,
    Immutable,
    Unwell,
    /// Done, and then the connection ends without an answer.
    LostAnswer,
    /// Somebody else changes it before each of our changes.
    AlwaysFaster,
}

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Value>,
    version: u64,
    fault: Option<Fault>,
}

pub struct Kubernetes {
    pub server: Server,
    state: Arc<Mutex<State>>,
}

impl Kubernetes {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(&mut lock(&shared), request));
        Self { server, state }
    }

    pub fn fail(&self, fault: Option<Fault>) {
        lock(&self.state).fault = fault;
    }

    /// Makes a Secret with these values, which are in base64 already.
    pub fn create(&self, namespace: &str, name: &str, data: Value) {
        let mut state = lock(&self.state);
        state.version += 1;
        let metadata = json!({
            "name": name, "namespace": namespace, "resourceVersion": state.version.to_string(),
            "annotations": { "kept": "as it was" },
        });
        let mut object = json!({ "kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": "Opaque" });
        if !data.is_null() {
            object["data"] = data;
        }
        state.secrets.insert(format!("{namespace}/{name}"), object);
    }

    /// The object as it is.
    pub fn object(&self, namespace: &str, name: &str) -> Value {
        lock(&self.state).secrets[&format!("{namespace}/{name}")].clone()
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters:\n- name: test\n  cluster:\n    server: {}\n\
             contexts:\n- name: test\n  context:\n    cluster: test\n",
            self.server.url()
        )
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(status: u16, reason: &str) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status, "reason": reason,
        "message": format!("the test says {reason}"),
    });
    Answer::Json(status, body.to_string())
}

fn answer(state: &mut State, request: &Request) -> Answer {
    // A login is not looked at: `kubectl` sends none over plain HTTP.
    if state.fault == Some(Fault::Unauthorized) {
        return refuse(401, "Unauthorized");
    }
    let path = request.target.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches("/api/v1/namespaces/").split('/').collect();
    let [namespace, "secrets", name] = parts[..] else { return refuse(404, "NotFound") };
    let fault = state.fault;
    if fault == Some(Fault::Unwell) {
        return refuse(503, "ServiceUnavailable");
    }
    let Some(object) = state.secrets.get_mut(&format!("{namespace}/{name}")) else { return refuse(404, "NotFound") };
    match (request.method.as_str(), fault) {
        ("GET", _) => return Answer::Json(200, object.to_string()),
        ("PUT", Some(Fault::Forbidden)) => return refuse(403, "Forbidden"),
        ("PUT", Some(Fault::Immutable)) => return refuse(422, "Invalid"),
        ("PUT", _) => {}
        _ => return refuse(405, "MethodNotAllowed"),
    }
    let Ok(mut wanted) = serde_json::from_slice::<Value>(&request.body) else { return refuse(400, "BadRequest") };
    if fault == Some(Fault::AlwaysFaster) {
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
    }
    if wanted["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
        return refuse(409, "Conflict");
    }
    state.version += 1;
    wanted["metadata"]["resourceVersion"] = json!(state.version.to_string());
    if wanted["data"].as_object().is_some_and(serde_json::Map::is_empty) {
        wanted.as_object_mut().unwrap().remove("data");
    }
    *object = wanted;
    if fault == Some(Fault::LostAnswer) { Answer::Silence } else { Answer::Json(200, object.to_string()) }
}
