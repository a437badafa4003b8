//! Providers at which a new secret is a second endpoint, made like the first, which is removed at the end. Against servers that were
//! written from the providers' own documents, and not from our descriptions of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use whsec::secret::Secret;

use crate::sandbox::{Run, Sandbox};
use crate::screen::Terminal;
use crate::servers::http::{Answer, Request, Server};

/// What a provider has: endpoints by id, each with its secret, and answers by idempotency key.
#[derive(Default)]
struct Account {
    endpoints: BTreeMap<String, (Value, String)>,
    answered: BTreeMap<String, (Vec<u8>, Value)>,
    made: u32,
}

impl Account {
    /// Makes an endpoint, whose secret is answered this once.
    fn make(&mut self, shown: Value) -> (String, String) {
        self.made += 1;
        let (id, secret) = (format!("made_{}", self.made), format!("whsec_{:032x}", u128::from(self.made) << 64 | 7));
        self.endpoints.insert(id.clone(), (shown, secret.clone()));
        (id, secret)
    }
}

struct Scene {
    sandbox: Sandbox,
    account: Arc<Mutex<Account>>,
    accepted: Arc<Mutex<Vec<String>>>,
    /// How many of the next answers are lost.
    loses: Arc<AtomicUsize>,
    server: Server,
    _receiver: Server,
}

type Answers = fn(&mut Account, &Request) -> Answer;

impl Scene {
    fn new(provider: &str, key: &str, shown: Value, answers: Answers) -> Self {
        let sandbox = Sandbox::new(provider);
        std::fs::write(sandbox.path("key"), key).unwrap();
        let first = sandbox.newest().expose().to_owned();
        let mut account = Account::default();
        account.endpoints.insert(sandbox.id(), (shown, first.clone()));
        let (account, loses) = (Arc::new(Mutex::new(account)), Arc::new(AtomicUsize::new(0)));
        let (served, lost) = (Arc::clone(&account), Arc::clone(&loses));
        let server = Server::start(move |request| {
            let answer = answers(&mut served.lock().unwrap(), request);
            let changes = request.method != "GET";
            let is_lost =
                changes && lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if is_lost { Answer::Silence } else { answer }
        });
        sandbox.edit_config(&sandbox.stand_in.base_url(), &server.url());
        let accepted = Arc::new(Mutex::new(vec![first]));
        let known = Arc::clone(&accepted);
        let receiver = Server::start(move |request| {
            let is_ours = known.lock().unwrap().iter().any(|secret| is_signed(request, secret));
            Answer::Json(if is_ours { 204 } else { 401 }, String::new())
        });
        sandbox.edit_config("store = ", &format!("receivers = [\"{}/hooks\"]\nstore = ", receiver.url()));
        Self { sandbox, account, accepted, loses, server, _receiver: receiver }
    }

    fn stripe() -> Self {
        let shown = json!({
            "object": "webhook_endpoint", "url": "https://a.example/x?y=1&z=ä", "enabled_events": ["charge.failed", "*"],
            "api_version": null, "description": "a & b=c", "metadata": { "team b": "6+7" }, "status": "enabled",
            "application": null, "livemode": false,
        });
        Self::new("stripe-api", "sk_test_1", shown, stripe)
    }

    fn deploy(&self, suffixes: &[&str]) {
        let read = suffixes.iter().filter_map(|suffix| self.sandbox.slot(suffix));
        *self.accepted.lock().unwrap() = read.map(|secret| secret.expose().to_owned()).collect();
    }

    fn run(&self, words: &str) -> Run {
        self.sandbox.run(&words.replace("ID", &self.sandbox.id()).split_whitespace().collect::<Vec<_>>())
    }

    fn endpoints(&self) -> Vec<String> {
        self.account.lock().unwrap().endpoints.keys().cloned().collect()
    }

    fn shown(&self, id: &str) -> Value {
        self.account.lock().unwrap().endpoints[id].0.clone()
    }

    /// As far as both endpoints deliver and receivers accept either.
    fn verified(&self) -> Secret {
        self.run("rotate hooks --yes").exits(0);
        let new = self.sandbox.slot("_NEW").expect("a new secret");
        self.deploy(&["", "_NEW"]);
        self.run("cutover hooks --done deploy").exits(11).says("verify: proved by every receiver");
        new
    }

    /// The whole walk, from the endpoint that is there now to the one that it yields.
    fn walk(&self) -> String {
        let (before, new) = (self.endpoints(), self.verified());
        let [old] = before.as_slice() else { panic!("{before:?}") };
        self.run(&format!("cutover hooks --done end --confirm {old}")).exits(11);
        self.deploy(&[""]);
        self.run("cutover hooks").exits(0).says("done: hooks lives on");
        assert_eq!((self.sandbox.slot(""), self.sandbox.slot("_OLD")), (Some(new), None));
        let after = self.endpoints();
        let [id] = after.as_slice() else { panic!("{after:?}") };
        id.clone()
    }
}

/// By Stripe's page, by PagerDuty's and by Vercel's.
fn is_signed(request: &Request, secret: &str) -> bool {
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let of = |before: &str| {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(before.as_bytes());
        mac.update(&request.body);
        hex(&mac.finalize().into_bytes())
    };
    let stripe = header("stripe-signature");
    let part = |name: &str| stripe.split(',').filter_map(|pair| pair.strip_prefix(name)).collect::<Vec<_>>();
    if let Some(stamp) = part("t=").first() {
        let is_fresh = stamp.parse::<i64>().is_ok_and(|at| jiff::Timestamp::now().as_second().abs_diff(at) <= 300);
        return is_fresh && part("v1=").contains(&of(&format!("{stamp}.")).as_str());
    }
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&request.body);
    header("x-vercel-signature") == hex(&mac.finalize().into_bytes())
        || header("x-pagerduty-signature").split(',').any(|entry| entry == format!("v1={}", of("")))
}

fn says(status: u16, value: Value) -> Answer {
    Answer::Json(status, value.to_string())
}

fn listed(account: &Account) -> Value {
    let with_id = |(id, (shown, _)): (&String, &(Value, String))| {
        let mut shown = shown.clone();
        shown["id"] = json!(id);
        shown
    };
    account.endpoints.iter().map(with_id).collect()
}

/// A form with brackets, as Stripe's API takes it.
fn form(body: &[u8]) -> Value {
    let mut all = json!({});
    let url = reqwest::Url::parse(&format!("http://x/?{}", std::str::from_utf8(body).unwrap())).unwrap();
    for (name, value) in url.query_pairs() {
        let value = Value::from(value.into_owned());
        match name.strip_suffix("[]") {
            Some(list) => match all[list].as_array_mut() {
                Some(items) => items.push(value),
                None => all[list] = json!([value]),
            },
            None => match name.split_once('[').map(|(map, key)| (map, key.trim_end_matches(']'))) {
                Some((map, key)) => all[map][key] = value,
                None => all[name.as_ref()] = value,
            },
        }
    }
    all
}

/// By Stripe's API reference: forms, keys that are remembered with what was sent, 16 endpoints, a secret that is shown once.
fn stripe(account: &mut Account, request: &Request) -> Answer {
    let refused = |status, kind: &str, why: &str| says(status, json!({ "error": { "type": kind, "message": why } }));
    if request.headers.get("authorization").map(String::as_str) != Some("Bearer sk_test_1") {
        return refused(401, "invalid_request_error", "Invalid API Key provided");
    }
    let Some(rest) = request.target.strip_prefix("/v1/webhook_endpoints") else {
        return refused(404, "invalid_request_error", "Unrecognized request URL");
    };
    let own = rest.trim_start_matches('/').to_owned();
    let unknown = || refused(404, "invalid_request_error", "No such webhook endpoint");
    match request.method.as_str() {
        "POST" if own.is_empty() => {
            let is_form =
                request.headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded");
            let sent = if is_form { form(&request.body) } else { json!({}) };
            let key = request.headers.get("idempotency-key").cloned().unwrap_or_default();
            if let Some((before, answer)) = account.answered.get(&key) {
                return match *before == request.body {
                    true => says(200, answer.clone()),
                    false => refused(
                        400,
                        "idempotency_error",
                        "Keys for idempotent requests can only be used with the same parameters",
                    ),
                };
            }
            if !sent["url"].is_string() || !sent["enabled_events"].is_array() {
                return refused(400, "invalid_request_error", "Missing required param");
            }
            if let Some(name) = sent.as_object().unwrap().keys().find(|name| {
                !["url", "enabled_events", "api_version", "description", "metadata", "connect"].contains(&name.as_str())
            }) {
                return refused(400, "invalid_request_error", &format!("Received unknown parameter: {name}"));
            }
            if account.endpoints.len() >= 16 {
                return refused(400, "invalid_request_error", "You have reached the maximum of 16 webhook endpoints");
            }
            let mut shown =
                json!({ "object": "webhook_endpoint", "status": "enabled", "application": null, "livemode": false });
            for name in ["url", "enabled_events", "api_version", "description", "metadata"] {
                shown[name] = sent[name].clone();
            }
            let (id, secret) = account.make(shown.clone());
            (shown["id"], shown["secret"]) = (json!(id), json!(secret));
            account.answered.insert(key, (request.body.clone(), shown.clone()));
            says(200, shown)
        }
        "DELETE" => match account.endpoints.remove(&own) {
            Some(_) => says(200, json!({ "id": own, "object": "webhook_endpoint", "deleted": true })),
            None => unknown(),
        },
        _ if own.is_empty() => says(200, json!({ "object": "list", "data": listed(account), "has_more": false })),
        _ => match account.endpoints.get(&own) {
            Some((shown, _)) => {
                let mut shown = shown.clone();
                shown["id"] = json!(own);
                says(200, shown)
            }
            None => unknown(),
        },
    }
}

/// By PagerDuty's OpenAPI document: no key, one object within another, a filter and events that have to be there.
fn pagerduty(account: &mut Account, request: &Request) -> Answer {
    let is_told =
        request.headers.get("accept").is_some_and(|accept| accept == "application/vnd.pagerduty+json;version=2");
    if !is_told || request.headers.get("authorization").map(String::as_str) != Some("Token token=pd-1") {
        return says(
            401,
            json!({ "error": { "code": 2006, "message": "You are not authorized to perform this action" } }),
        );
    }
    let own = request.target.strip_prefix("/webhook_subscriptions").unwrap_or("/").trim_start_matches('/').to_owned();
    match request.method.as_str() {
        "POST" if own.is_empty() => {
            let sent: Value = serde_json::from_slice(&request.body).unwrap();
            let mut shown = sent["webhook_subscription"].clone();
            let method = &shown["delivery_method"];
            let is_right = shown["type"] == "webhook_subscription"
                && method["type"] == "http_delivery_method"
                && method["url"].is_string()
                && shown["events"].as_array().is_some_and(|events| !events.is_empty())
                && shown["filter"]["type"].is_string()
                && shown["description"] != Value::Null;
            if !is_right {
                return says(400, json!({ "error": { "code": 2001, "message": "Invalid Input Provided" } }));
            }
            shown["delivery_method"]["temporarily_disabled"] = json!(false);
            shown["delivery_method"]["custom_headers"] = json!([]);
            let (id, secret) = account.make(shown.clone());
            shown["id"] = json!(id);
            shown["delivery_method"]["secret"] = json!(secret);
            says(200, json!({ "webhook_subscription": shown }))
        }
        "DELETE" if account.endpoints.remove(&own).is_some() => Answer::Json(204, String::new()),
        "GET" if own.is_empty() => says(200, json!({ "webhook_subscriptions": listed(account), "more": false })),
        "GET" if account.endpoints.contains_key(&own) => {
            let mut shown = account.endpoints[&own].0.clone();
            shown["id"] = json!(own);
            shown["delivery_method"]["secret"] = Value::Null;
            says(200, json!({ "webhook_subscription": shown }))
        }
        _ => says(404, json!({ "error": { "code": 2100, "message": "Not Found" } })),
    }
}

/// By Vercel's reference: of the team that the address names.
fn vercel(account: &mut Account, request: &Request) -> Answer {
    let not_found = || says(404, json!({ "error": { "code": "not_found", "message": "Webhook not found" } }));
    let Some((path, "teamId=team_1")) = request.target.split_once('?') else { return not_found() };
    let own = path.strip_prefix("/v1/webhooks").unwrap_or("/").trim_start_matches('/').to_owned();
    match request.method.as_str() {
        "POST" if own.is_empty() => {
            let mut shown: Value = serde_json::from_slice(&request.body).unwrap();
            let (id, secret) = account.make(shown.clone());
            (shown["id"], shown["secret"], shown["ownerId"]) = (json!(id), json!(secret), json!("team_1"));
            says(200, shown)
        }
        "DELETE" if account.endpoints.remove(&own).is_some() => Answer::Json(204, String::new()),
        "GET" if account.endpoints.contains_key(&own) => says(200, account.endpoints[&own].0.clone()),
        "GET" if own.is_empty() => says(200, listed(account)),
        _ => not_found(),
    }
}

#[test]
fn stripe_gets_an_endpoint_just_like_the_first_which_is_removed_at_the_end() {
    let scene = Scene::stripe();
    let (first, before) = (scene.sandbox.id(), scene.shown(&scene.sandbox.id()));
    let plan = scene.run("rotate hooks -n").exits(0);
    plan.says("every event comes twice").says("lives on until its endpoint is removed").says("a second endpoint");
    let second = scene.walk();
    assert_eq!(scene.shown(&second), before, "nothing of it is lost on the way");
    assert_ne!(second, first);
    // The journal goes on with the endpoint by its id of now, whatever the config calls it.
    assert!(scene.run("inspect hooks --json").exits(0).json()["endpoint"] == second.as_str());
    scene.run("cutover hooks").exits(0).says("nothing to do");
    let third = scene.walk();
    let text = scene.sandbox.config_text();
    assert!(text.contains(&first), "{text}");
    scene.sandbox.edit_config(&first, &third);
    let rows = scene.run("status --json").exits(0).json();
    assert_eq!(rows["targets"].as_array().map(Vec::len), Some(1), "{rows}");
    let fourth = scene.walk();
    assert_eq!(scene.endpoints(), std::slice::from_ref(&fourth));
    assert_eq!(scene.run("history hooks --json").exits(0).json()["rotations"].as_array().map(Vec::len), Some(3));
    // One that it had in between is still the same endpoint.
    scene.sandbox.edit_config(&third, &second);
    assert_eq!(scene.run("inspect hooks --json").exits(0).json()["endpoint"], fourth.as_str());
    assert!(scene.sandbox.leftovers().is_empty());
}

#[test]
fn the_first_endpoint_is_removed_by_its_id_alone_and_not_while_a_receiver_refuses_the_new_secret() {
    let scene = Scene::stripe();
    let old = scene.sandbox.slot("").unwrap();
    let run = scene.run("rotate hooks --yes --json").exits(0);
    assert_eq!(
        (run.json()["direction"].as_str(), run.json()["new_endpoint"].as_str()),
        (Some("replace"), Some("made_1"))
    );
    scene.run("cutover hooks --done deploy --done end --confirm ID").exits(11).says("--done end had no effect");
    scene.deploy(&["", "_NEW"]);
    scene
        .run("cutover hooks")
        .exits(11)
        .says("accepts both")
        .says("cutover hooks --done end --confirm ID".replace("ID", &scene.sandbox.id()).as_str());
    scene.run("cutover hooks --done end").exits(2).says("--confirm");
    scene.run("cutover hooks --done end --confirm made_1").exits(2).says("that is not the endpoint's id");
    scene.deploy(&[""]);
    scene.run("cutover hooks --done end --confirm ID").exits(9).says("old only");
    assert_eq!((scene.endpoints().len(), scene.sandbox.slot("")), (2, Some(old)));
    // A second endpoint that the provider has disabled since takes nobody's place.
    scene.deploy(&["", "_NEW"]);
    scene.account.lock().unwrap().endpoints.get_mut("made_1").unwrap().0["status"] = json!("disabled");
    scene
        .run("cutover hooks --done end --confirm ID")
        .exits(9)
        .says("its status is `disabled`")
        .says("nothing was removed")
        .says("--done end --confirm");
    assert_eq!(scene.endpoints().len(), 2);
    scene.account.lock().unwrap().endpoints.get_mut("made_1").unwrap().0["status"] = json!("enabled");
    scene.run("cutover hooks --done end --confirm ID").exits(11).says("is removed, and its secret is dead");
    assert_eq!(scene.endpoints(), ["made_1"]);
    scene.run("rollback hooks").exits(9);
}

#[test]
fn at_a_terminal_its_id_is_typed() {
    let scene = Scene::stripe();
    let id = scene.sandbox.id();
    let mut terminal = Terminal::run(&scene.sandbox, &["rotate", "hooks"]);
    terminal
        .expect("every event")
        .expect("Rotate now?")
        .types("y")
        .expect("second endpoint is `made_1`")
        .expect("deploy: done?");
    scene.deploy(&["", "_NEW"]);
    terminal.types("y").expect("whsec removes the endpoint").expect("type the old endpoint's id").listens().types("\r");
    terminal.expect("next: end");
    terminal.exits(0);
    assert_eq!(scene.endpoints().len(), 2);
    // Hours pass at the question, and somebody deploys what does not know the new secret.
    let mut terminal = Terminal::run(&scene.sandbox, &["cutover", "hooks"]);
    terminal.expect("type the old endpoint's id").listens();
    scene.deploy(&[""]);
    terminal.types(&format!("{id}\r")).expect("old only");
    terminal.exits(9);
    assert_eq!(scene.endpoints().len(), 2);
    scene.deploy(&["", "_NEW"]);
    let mut terminal = Terminal::run(&scene.sandbox, &["cutover", "hooks"]);
    terminal
        .expect("type the old endpoint's id")
        .listens()
        .types(&format!("{id}\r"))
        .expect("is removed")
        .expect("drop: done?");
    scene.deploy(&[""]);
    terminal.types("\r").expect("done: hooks lives on").expect_folded("id = \"made_1\"");
    terminal.exits(0);
    assert_eq!(scene.endpoints(), ["made_1"]);
}

#[test]
fn an_answer_that_is_lost_is_asked_for_by_its_key_and_no_third_endpoint_is_made() {
    let scene = Scene::stripe();
    scene.loses.store(1, Ordering::SeqCst);
    assert_eq!(scene.walk(), "made_1");
    assert_eq!(scene.account.lock().unwrap().made, 1);
    // And that of the removal: it is sent again.
    scene.verified();
    scene.loses.store(1, Ordering::SeqCst);
    scene.run("cutover hooks --done end --confirm made_1").exits(11).says("is removed");
    assert_eq!(scene.endpoints(), ["made_2"]);
    scene.deploy(&[""]);
    scene.run("cutover hooks").exits(0);
    // Where none comes at all it goes on from there, by itself.
    scene.verified();
    scene.loses.store(4, Ordering::SeqCst);
    scene.run("cutover hooks --done end --confirm made_2").exits(7).says("sends it again");
    scene.run("rollback hooks").exits(9).says("may be removed already");
    scene.run("cutover hooks").exits(11).says("is removed");
    assert_eq!(scene.endpoints(), ["made_3"]);
}

#[test]
fn what_came_of_a_call_without_a_key_is_asked_and_a_stray_endpoint_is_spoken_of() {
    let shown = json!({ "url": "https://a.example/", "events": ["deployment.created"], "projectIds": ["prj_1"] });
    let scene = Scene::new("vercel", "tok-1", shown.clone(), vercel);
    scene.sandbox.edit_config("store = ", "options = { team = \"team_1\" }\nstore = ");
    let old = scene.sandbox.slot("");
    scene.loses.store(1, Ordering::SeqCst);
    // One that was there before with the same address is nobody's new one.
    scene.account.lock().unwrap().endpoints.insert("other".to_owned(), (shown.clone(), "whsec_other".to_owned()));
    let run = scene.run("rotate hooks --yes").exits(7);
    run.says("has come since, so that the call was applied: `made_1`").says_not("`other`");
    assert_eq!((scene.endpoints().len(), scene.sandbox.slot("") == old), (3, true));
    scene.run("cutover hooks --resolve not-applied").exits(7).says("--reason");
    scene.account.lock().unwrap().endpoints.remove("other");
    let lost = scene.run("cutover hooks --resolve applied").exits(4);
    lost.says("remove it").says("rotate hooks");
    scene.account.lock().unwrap().endpoints.remove("made_1");
    let second = scene.walk();
    assert_eq!(scene.shown(&second), shown);
    assert!(
        scene.server.seen().iter().all(|request| request.target.ends_with("?teamId=team_1")),
        "every call names the team"
    );
}

#[test]
fn pagerduty_is_sent_what_it_has_shown_but_for_what_it_never_shows() {
    let shown = json!({
        "type": "webhook_subscription", "active": true, "description": "prod", "events": ["incident.triggered"],
        "filter": { "id": "P1", "type": "service_reference" },
        "delivery_method": { "type": "http_delivery_method", "url": "https://a.example/", "temporarily_disabled": false, "custom_headers": [{ "name": "X", "value": "<redacted>" }] },
    });
    let scene = Scene::new("pagerduty", "pd-1", shown, pagerduty);
    scene.run("rotate hooks --yes").exits(9).says("custom headers").says("hand/NAME");
    assert_eq!(scene.endpoints().len(), 1);
    let id = scene.sandbox.id();
    scene.account.lock().unwrap().endpoints.get_mut(&id).unwrap().0["delivery_method"]["custom_headers"] = json!([]);
    let before = scene.shown(&id);
    let second = scene.walk();
    assert_eq!(scene.shown(&second), before);
}

#[test]
fn an_endpoint_that_the_second_would_not_be_like_is_left_to_a_person() {
    let scene = Scene::stripe();
    let id = scene.sandbox.id();
    scene.account.lock().unwrap().endpoints.get_mut(&id).unwrap().0["application"] = json!("ca_1");
    scene.run("rotate hooks --yes").exits(9).says("Connect").says("nothing was sent");
    assert_eq!(scene.endpoints(), [id]);
}

#[test]
fn what_somebody_changes_at_the_first_meanwhile_is_not_lost_unasked() {
    let scene = Scene::stripe();
    let id = scene.sandbox.id();
    scene.verified();
    scene.account.lock().unwrap().endpoints.get_mut(&id).unwrap().0["enabled_events"] =
        json!(["charge.failed", "*", "new"]);
    scene.run("cutover hooks --done end --confirm ID").exits(9).says("its `events` is another");
    assert_eq!(scene.endpoints().len(), 2);
    scene.run("cutover hooks --done end --confirm ID --reason moved").exits(11);
    assert_eq!(scene.endpoints(), ["made_1"]);
}

#[test]
fn what_was_given_up_while_both_were_there_are_two_endpoints() {
    let scene = Scene::stripe();
    let id = scene.sandbox.id();
    scene.verified();
    scene.run("abandon hooks --reason later --yes").exits(0);
    assert_eq!(scene.run("inspect hooks --json").exits(0).json()["endpoint"], id.as_str());
    scene.sandbox.edit_config(&id, "made_1");
    assert_eq!(scene.run("inspect hooks --json").exits(0).json()["endpoint"], "made_1");
}

#[test]
fn a_second_endpoint_whose_secret_is_gone_is_known_by_its_id() {
    let shown = json!({ "url": "https://a.example/", "events": ["deployment.created"] });
    let scene = Scene::new("vercel", "tok-1", shown, vercel);
    scene.sandbox.edit_config("store = ", "options = { team = \"team_1\" }\nstore = ");
    let new = scene.verified();
    let text = std::fs::read_to_string(scene.sandbox.dotenv()).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains(new.expose())).collect();
    std::fs::write(scene.sandbox.dotenv(), kept.join("\n") + "\n").unwrap();
    scene.run("cutover hooks --done end --confirm ID").exits(7);
    assert_eq!(scene.endpoints().len(), 2, "nothing is removed for a secret that nobody has");
    // An answer that does not come on the way back says which, and what to do about it.
    scene.loses.store(4, Ordering::SeqCst);
    scene.run("rollback hooks --reason gone").exits(7).says("`made_1` is unknown").says("rollback hooks");
    scene.run("rollback hooks --reason gone").exits(0).says("`made_1` is removed");
    assert_eq!(scene.endpoints(), [scene.sandbox.id()]);
}

#[test]
fn on_the_way_back_the_second_endpoint_is_removed() {
    let scene = Scene::stripe();
    let old = scene.sandbox.slot("");
    scene.verified();
    scene.run("abandon hooks --reason later").exits(2).says("both endpoints deliver");
    scene.run("rollback hooks --reason no").exits(0).says("`made_1` is removed");
    assert_eq!((scene.endpoints(), scene.sandbox.slot("") == old), (vec![scene.sandbox.id()], true));
    scene.run("rollback hooks").exits(4);
    scene.run("status --exit-code").exits(0);
    // And another rotation begins from where it was.
    assert_eq!(scene.walk(), "made_2");
}

#[test]
fn a_leak_is_contained_by_going_on_or_by_a_new_endpoint() {
    let scene = Scene::stripe();
    scene.run("force-rotate hooks --reason leaked --yes --confirm ID").exits(0);
    scene.deploy(&["_NEW"]);
    scene.run("cutover hooks --done deploy").exits(11);
    scene.run("cutover hooks --done end --confirm ID").exits(0);
    assert_eq!(scene.endpoints(), ["made_1"]);
    // While two are there, the old one's removal contains its leak, and the way back that of the new one.
    let new = scene.verified().fingerprint();
    scene
        .run(&format!("force-rotate hooks --reason x --leaked {new} --yes --confirm made_1"))
        .exits(5)
        .says("rollback hooks");
    scene.run("rollback hooks --reason leaked").exits(0);
    assert_eq!(scene.endpoints(), ["made_1"]);
    let old = scene.sandbox.slot("").unwrap().fingerprint();
    scene.verified();
    scene.run(&format!("force-rotate hooks --reason x --leaked {old} --yes --confirm made_1")).says("next: end");
    scene.run("cutover hooks --done end --confirm made_1").exits(11);
    assert_eq!(scene.endpoints(), ["made_3"]);
}
