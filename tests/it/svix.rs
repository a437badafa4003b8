//! Svix: the rotate call answers 204, and another shows the secret. Against a server that was written from what a real one was seen
//! to do, and not from our description of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use whsec::secret::Secret;

use crate::sandbox::{Run, Sandbox};
use crate::servers::http::{Answer, Request, Server};

const ENDPOINT: &str = "/api/v1/app/id0-7Qx/endpoint/id1-7Qx";

/// What the server knows.
#[derive(Default)]
struct State {
    /// Newest first; the old ones live on until their grace is over, which no test waits for.
    keys: Vec<String>,
    /// Idempotency keys that were seen, with their bodies.
    seen: BTreeMap<String, Vec<u8>>,
    /// How many of the next answers to a rotation are lost.
    lost: u32,
    /// How many looks at the secret fail once one was made.
    failing: u32,
    /// How many looks at the secret come from a copy that is behind, once one was made.
    behind: u32,
}

struct Svix {
    sandbox: Sandbox,
    server: Server,
    state: Arc<Mutex<State>>,
}

fn new_key() -> String {
    use base64::Engine;
    let bytes = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}

fn answer(state: &mut State, api_key: &Secret, request: &Request) -> Answer {
    let refused = |status, code: &str| Answer::Json(status, json!({ "code": code, "detail": code }).to_string());
    if request.headers.get("authorization") != Some(&format!("Bearer {}", api_key.expose())) {
        return refused(401, "authentication_failed");
    }
    let Some(path) = request.target.strip_prefix(ENDPOINT) else { return refused(404, "not_found") };
    match (request.method.as_str(), path) {
        ("GET", "") => Answer::Json(200, json!({ "id": "ep_1", "url": "https://hooks.example/" }).to_string()),
        ("GET", "/secret") if state.failing > 0 && !state.seen.is_empty() => {
            state.failing -= 1;
            refused(500, "server_error")
        }
        ("GET", "/secret") => {
            let is_behind = state.behind > 0 && state.keys.len() > 1;
            state.behind -= u32::from(is_behind);
            Answer::Json(200, json!({ "key": state.keys[usize::from(is_behind)] }).to_string())
        }
        ("POST", "/secret/rotate") => {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let grace = body["gracePeriodSeconds"].as_u64().unwrap();
            let key = request.headers["idempotency-key"].clone();
            let is_new = state.seen.insert(key, request.body.clone()).is_none();
            if is_new && state.keys.len() > 10 {
                return refused(400, "limit_reached");
            }
            if is_new {
                // The one that is live ends now; those from before have a grace of their own.
                state.keys.drain(..usize::from(grace == 0));
                state.keys.insert(0, new_key());
            }
            match state.lost {
                0 => Answer::Json(204, String::new()),
                _ => {
                    state.lost -= 1;
                    Answer::Silence
                }
            }
        }
        _ => refused(404, "not_found"),
    }
}

impl Svix {
    fn new() -> Self {
        let sandbox = Sandbox::new("svix");
        let first = sandbox.newest().expose().to_owned();
        let state = Arc::new(Mutex::new(State { keys: vec![first], ..State::default() }));
        let (served, api_key) = (Arc::clone(&state), sandbox.api_key.clone());
        let server = Server::start(move |request| answer(&mut served.lock().unwrap(), &api_key, request));
        sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
        Self { sandbox, server, state }
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    fn newest(&self) -> Secret {
        Secret::new(self.state.lock().unwrap().keys[0].as_str())
    }

    /// How many secrets were made.
    fn made(&self) -> usize {
        self.state.lock().unwrap().seen.len()
    }

    fn calls(&self, path: &str) -> usize {
        self.server.seen().iter().filter(|request| request.target == format!("{ENDPOINT}{path}")).count()
    }

    fn run(&self, words: &str) -> Run {
        let run = self.sandbox.run(&words.split_whitespace().collect::<Vec<_>>());
        for key in &self.state.lock().unwrap().keys {
            assert!(!format!("{}{}", run.stdout, run.stderr).contains(key), "a secret came out");
        }
        run
    }
}

#[test]
fn a_secret_that_another_call_shows_is_staged_and_the_documented_overlap_counts() {
    let svix = Svix::new();
    let old = svix.newest();
    svix.run("rotate hooks --yes").exits(0).says("issue").says("deploy");
    assert_eq!((svix.made(), svix.sandbox.slot("_NEW"), svix.sandbox.slot("")), (1, Some(svix.newest()), Some(old)));
    let open = svix.run("status hooks --json").exits(0).json();
    assert!(open["targets"][0]["expires_at"].is_string(), "{open}");
    let shown = svix.run("inspect hooks --json").exits(0).json();
    assert_eq!(shown["at_provider"]["url"], "https://hooks.example/", "{shown}");
}

#[test]
fn a_lost_answer_makes_one_secret_which_is_read_after_the_repetition() {
    for lost in [1, 4] {
        let svix = Svix::new();
        svix.set(|state| state.lost = lost);
        let run = svix.run("rotate hooks --yes");
        if lost == 4 {
            run.exits(7);
            svix.run("cutover hooks").exits(11);
        } else {
            run.exits(0);
        }
        assert_eq!((svix.made(), svix.sandbox.slot("_NEW")), (1, Some(svix.newest())));
    }
}

#[test]
fn what_is_not_shown_now_is_read_by_whoever_goes_on() {
    let svix = Svix::new();
    let old = svix.newest();
    svix.set(|state| state.failing = 1);
    svix.run("rotate hooks --yes")
        .exits(7)
        .says("Svix rotated the secret, which could not be read from there")
        .says("shows the new secret to whoever asks it")
        .says("whsec cutover hooks");
    assert_eq!((svix.sandbox.slot(""), svix.sandbox.slot("_NEW")), (Some(old), None));
    assert_eq!(svix.run("status hooks --json").exits(0).json()["targets"][0]["status"], "unknown");
    svix.run("rotate hooks --yes").exits(5);
    svix.run("cutover hooks").exits(11);
    assert_eq!((svix.made(), svix.calls("/secret/rotate"), svix.sandbox.slot("_NEW")), (1, 1, Some(svix.newest())));
}

#[test]
fn a_copy_that_shows_the_old_secret_still_is_asked_again_and_never_believed() {
    let svix = Svix::new();
    svix.set(|state| state.behind = 2);
    svix.run("rotate hooks --yes").exits(0);
    assert_eq!((svix.made(), svix.sandbox.slot("_NEW")), (1, Some(svix.newest())));

    let svix = Svix::new();
    let old = svix.newest();
    svix.set(|state| state.behind = 1000);
    svix.run("rotate hooks --yes").exits(7).says("it still shows the secret from before");
    assert_eq!((svix.sandbox.slot(""), svix.sandbox.slot("_NEW")), (Some(old), None));
    // Somebody gives it up; the provider's answer is known, so no reason is asked for.
    svix.run("cutover hooks --resolve applied").exits(4);
    svix.run("cutover hooks").exits(4);
}

#[test]
fn somebody_else_who_rotates_is_seen_by_the_secret_that_is_shown() {
    let svix = Svix::new();
    svix.run("rotate hooks --yes").exits(0);
    svix.set(|state| state.keys.insert(0, new_key()));
    svix.run("cutover hooks").exits(5).says("somebody rotated again");
}

#[test]
fn force_rotate_ends_the_old_secret_at_once() {
    let svix = Svix::new();
    let old = svix.newest();
    let id = svix.sandbox.id();
    svix.run(&format!("force-rotate hooks --reason leaked --confirm {id} --yes")).exits(0);
    assert!(!svix.state.lock().unwrap().keys.contains(&old.expose().to_owned()));
    assert_eq!(svix.sandbox.slot(""), Some(svix.newest()));
}

#[test]
fn ten_old_secrets_are_the_most_and_nothing_was_sent() {
    let svix = Svix::new();
    svix.set(|state| state.keys.extend((0..10).map(|_| new_key())));
    svix.run("rotate hooks --yes").exits(5).says("ten old secrets of this endpoint are alive");
    svix.run("status hooks").exits(0);
}

#[test]
fn the_caller_says_how_long_the_old_secret_lives_and_never_ends_it_by_that() {
    let svix = Svix::new();
    let refused = |words: &str, says: &str| {
        svix.run(words).exits(2).says(says).says_not("deploy");
        assert_eq!(svix.made(), 0, "{words}: it was sent");
    };
    // An empty variable of a script, and what the provider does not take.
    refused("rotate hooks --yes --overlap 0s", "would end the old secret with the call");
    refused("rotate hooks --yes --overlap 8d", "keeps the old secret for 10m to 7d, and not for 8d");
    refused("rotate hooks --yes --overlap 5s", "and not for 5s");
    refused("rotate hooks --yes --overlap soon", "it is no duration");
    svix.run("rotate hooks --dry-run --overlap 2h").exits(0).says("2h");
    let before = jiff::Timestamp::now();
    svix.run("rotate hooks --yes --overlap 2h").exits(0);
    let sent: Vec<serde_json::Value> = svix
        .server
        .seen()
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    assert_eq!(sent, [json!({ "gracePeriodSeconds": 7_200 })]);
    let open = svix.run("status hooks --json").exits(0).json();
    let ends: jiff::Timestamp = open["targets"][0]["expires_at"].as_str().unwrap().parse().unwrap();
    let lives = ends.duration_since(before).as_secs();
    assert!((7_195..7_260).contains(&lives), "{lives} s");
    // Where nobody chooses, it is as long as the description says; where nobody may, that is said.
    let usual = Svix::new();
    usual.run("rotate hooks --yes").exits(0);
    let asked = usual.server.seen().into_iter().find(|request| request.method == "POST").unwrap();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&asked.body).unwrap(),
        json!({ "gracePeriodSeconds": 86_400 })
    );
    let layers = Sandbox::new("layers");
    let run = layers.run(&["rotate", "hooks", "--yes", "--overlap", "2h"]).exits(2);
    run.says("keeps it for 1d, whatever is asked").says("leave --overlap out");
    assert_eq!(layers.rotations(), 0);
}
