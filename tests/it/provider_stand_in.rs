//! The client against the stand-in, for every provider; the stand-in's ledger is the oracle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use whsec::provider::answer::{Outcome, Reply, Rotated, rotated};
use whsec::provider::client::{Client, ClientOptions};
use whsec::provider::request::{self, Request};
use whsec::provider::signature::{Scheme, Sent, verify};
use whsec::provider::spec::Meaning;
use whsec::provider::stand_in::{Fault, StandIn, StandInOptions};
use whsec::provider::{Catalog, Endpoint, Provider};
use whsec::secret::Secret;

const ALL: [&str; 6] = ["layers", "signa", "svix", "hopae", "kadosei", "verifa"];
const IDEMPOTENT: [&str; 4] = ["layers", "signa", "svix", "hopae"];

/// A stand-in with a client and an endpoint that reach it.
pub struct Scene {
    pub provider: Arc<Provider>,
    pub stand_in: StandIn,
    pub endpoint: Endpoint,
    pub key: Secret,
    pub client: Client,
}

fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("a time")
}

impl Scene {
    pub fn new(name: &str, timeout: Duration) -> Self {
        let provider = Catalog::builtin().get(name).expect(name);
        let ids: Vec<_> = provider.spec().ids.iter().map(|id| (id.clone(), format!("{id}-1"))).collect();
        let key = Secret::new("k3y-0123456789abcdef");
        let options = StandInOptions {
            api_key: key.clone(),
            ids: ids.clone(),
            first_secret: None,
            clock: noon,
            window: None,
            receiver_url: None,
        };
        let stand_in = StandIn::start(Arc::clone(&provider), options).expect("a stand-in");
        let endpoint =
            provider.endpoint(Some(&stand_in.base_url()), &ids, None, &BTreeMap::new()).expect("an endpoint");
        let client = Client::new(&ClientOptions { timeout, ca: None }).expect("a client");
        Self { provider, stand_in, endpoint, key, client }
    }

    /// The same with another clock, and with a receiver for test deliveries.
    fn with(name: &str, clock: fn() -> Timestamp, receiver_url: Option<String>) -> Self {
        let mut scene = Self::new(name, Duration::from_secs(10));
        let ids: Vec<_> = scene.endpoint.ids.iter().map(|id| (id.name.clone(), id.value.clone())).collect();
        let api_key = scene.key.clone();
        let options =
            StandInOptions { api_key, ids: ids.clone(), first_secret: None, clock, window: None, receiver_url };
        scene.stand_in = StandIn::start(Arc::clone(&scene.provider), options).expect("a stand-in");
        let base_url = scene.stand_in.base_url();
        scene.endpoint = scene.provider.endpoint(Some(&base_url), &ids, None, &BTreeMap::new()).expect("an endpoint");
        scene
    }

    fn start(name: &str) -> Self {
        Self::new(name, Duration::from_secs(10))
    }

    pub fn call(&self, request: &Request) -> Outcome {
        self.client.call(&self.endpoint, request, &self.key)
    }

    fn reply(&self, request: &Request) -> Reply {
        match self.call(request) {
            Outcome::Success(reply) => reply,
            other => panic!("{}: {other:?}", self.provider.name()),
        }
    }

    fn rotated(&self, request: &Request) -> Rotated {
        self.read(&self.reply(request))
    }

    /// What a rotate call made: its answer says it, or another call shows it.
    fn read(&self, answer: &Reply) -> Rotated {
        let shown = request::read(&self.endpoint).map(|read| self.reply(&read));
        rotated(&self.endpoint, shown.as_ref().unwrap_or(answer)).expect("a new secret")
    }

    pub fn rotation(&self) -> Request {
        request::rotate(&self.endpoint, request::new_key(&self.provider).as_deref()).expect("a call")
    }
}

fn refusal(outcome: &Outcome) -> (Meaning, u16) {
    match outcome {
        Outcome::Refused(refusal) => (refusal.meaning, refusal.status),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rotate_gives_the_secret_that_deliveries_are_then_signed_with() {
    for name in ALL {
        let scene = Scene::start(name);
        let before = scene.stand_in.live_secrets();
        let request = scene.rotation();
        let reply = scene.reply(&request);
        let answer = scene.read(&reply);
        let live = scene.stand_in.live_secrets();
        assert_eq!(live.first(), Some(&answer.secret), "{name}");
        let overlaps = matches!(name, "layers" | "signa" | "svix");
        assert_eq!(live.get(1), before.first().filter(|_| overlaps), "{name}");
        assert_eq!(
            answer.old_expires_at.map(|at| at.to_string()).as_deref(),
            (name == "layers").then_some("2026-11-21T12:00:00Z")
        );
        assert_eq!(answer.version.as_deref(), (name == "signa").then_some("2"), "{name}");
        assert_eq!(reply.date, Some(noon()), "{name}");
        assert!(reply.request_id.is_some() && reply.complete && !reply.replayed, "{name}");
        assert_eq!(scene.stand_in.ledger().rotations, 1, "{name}");
    }
}

#[test]
fn what_reaches_the_provider_is_the_request_and_nothing_more() {
    for name in ALL {
        let scene = Scene::start(name);
        let request = scene.rotation();
        scene.reply(&request);
        let ledger = scene.stand_in.ledger();
        let [seen] = ledger.requests.as_slice() else { panic!("{name}: {ledger:?}") };
        assert_eq!(seen.method, request.method.as_str(), "{name}");
        assert!(request.url.ends_with(&seen.path), "{name}");
        assert_eq!(seen.body, request.body.clone().unwrap_or_default(), "{name}");
        let length = seen.body.len().to_string();
        let mut expected: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        expected.push((request.auth.header.to_lowercase(), request.auth.value.replace("{key}", scene.key.expose())));
        expected.push(("content-length".to_owned(), length));
        expected.push(("accept".to_owned(), "*/*".to_owned()));
        expected.push(("user-agent".to_owned(), format!("whsec/{}", env!("CARGO_PKG_VERSION"))));
        expected.push(("host".to_owned(), request.url.split('/').nth(2).unwrap_or_default().to_owned()));
        let mut sent = seen.headers.clone();
        sent.sort();
        expected.sort();
        assert_eq!(sent, expected, "{name}");
    }
}

#[test]
fn inspect_shows_the_endpoint_even_on_the_second_page_of_a_list() {
    for name in ALL {
        let scene = Scene::start(name);
        let before = scene.client.inspect(&scene.endpoint, &scene.key).expect("an endpoint");
        scene.reply(&scene.rotation());
        let after = scene.client.inspect(&scene.endpoint, &scene.key).expect("an endpoint");
        assert_eq!(before.url.as_deref(), Some("https://receiver.example/hooks"), "{name}");
        assert_eq!(before.version != after.version, name == "signa", "{name}");
        assert_eq!(before.fingerprint != after.fingerprint, name == "kadosei", "{name}");
        let shown = after.secret.zip(scene.stand_in.live_secrets().first().cloned());
        assert_eq!(
            shown.map(|(shown, live)| shown == live),
            (name == "svix").then_some(true),
            "{name}: a masked secret is none"
        );
        assert_eq!(after.date, Some(noon()), "{name}");
    }
}

#[test]
fn a_lost_answer_is_fetched_again_with_the_same_bytes() {
    for name in IDEMPOTENT {
        let scene = Scene::start(name);
        scene.stand_in.fault(Fault::LoseAnswer);
        let request = scene.rotation();
        assert!(matches!(scene.call(&request), Outcome::Unknown(_)), "{name}");
        let reply = scene.reply(&request);
        let answer = scene.read(&reply);
        assert_eq!(Some(&answer.secret), scene.stand_in.live_secrets().first(), "{name}");
        assert_eq!(reply.replayed, !matches!(name, "layers" | "svix"), "{name}: these mark no replay");
        let ledger = scene.stand_in.ledger();
        assert_eq!(ledger.rotations, 1, "{name}");
        assert_eq!(ledger.requests[0], ledger.requests[1], "{name}");
    }
}

#[test]
fn a_key_with_other_bytes_is_a_conflict() {
    for (name, meaning) in
        [("layers", Meaning::KeyConflict), ("signa", Meaning::OverlapOpen), ("hopae", Meaning::KeyConflict)]
    {
        let scene = Scene::start(name);
        let mut request = scene.rotation();
        scene.reply(&request);
        request.body = Some("{\"other\":1}".to_owned());
        assert_eq!(refusal(&scene.call(&request)), (meaning, 409), "{name}");
        assert_eq!(scene.stand_in.ledger().rotations, 1, "{name}");
    }
}

#[test]
fn github_takes_what_it_is_given_and_the_same_again_is_no_rotation() {
    let scene = Scene::start("github");
    let (given, request) = (Secret::new("0123456789abcdef0123456789abcdef"), scene.rotation());
    let look = || scene.client.inspect(&scene.endpoint, &scene.key).expect("a look");
    assert!(matches!(scene.call(&request), Outcome::NotSent { .. }), "no secret, no request");
    for _ in 0..2 {
        let nothing = whsec::provider::Carried::default();
        let outcome = scene.client.call_with(&scene.endpoint, &request, &scene.key, (Some(&given), &nothing));
        assert!(matches!(outcome, Outcome::Success(_)), "{outcome:?}");
        assert_eq!((scene.stand_in.live_secrets(), look().secret), (vec![given.clone()], None));
    }
    assert_eq!(scene.stand_in.ledger().rotations, 1);
    let bodies: Vec<String> = scene.stand_in.ledger().requests.iter().map(|seen| seen.body.clone()).collect();
    assert!(bodies.iter().any(|body| *body == format!("{{\"secret\":\"{}\"}}", given.expose())), "{bodies:?}");
    let empty = Request { body: Some("{}".to_owned()), ..request };
    assert_eq!(refusal(&scene.call(&empty)), (Meaning::Invalid, 422));
}

#[test]
fn signa_refuses_a_second_rotation_in_the_overlap_and_force_ends_it() {
    let scene = Scene::start("signa");
    scene.reply(&scene.rotation());
    let again = scene.call(&scene.rotation());
    assert_eq!(refusal(&again), (Meaning::OverlapOpen, 409));
    assert!(matches!(again, Outcome::Refused(refusal) if refusal.says.is_some()));
    let key = request::new_key(&scene.provider);
    let force = request::force(&scene.endpoint, key.as_deref(), "leak, IR-1").expect("a request").expect("a call");
    let answer = scene.rotated(&force);
    assert_eq!(scene.stand_in.live_secrets(), [answer.secret]);
    assert_eq!(scene.stand_in.ledger().rotations, 2);
}

#[test]
fn force_is_the_rotate_call_where_no_call_of_its_own_ends_the_old_secret() {
    for name in ["layers", "hopae", "kadosei", "verifa"] {
        let scene = Scene::start(name);
        let key = request::new_key(&scene.provider);
        let force = request::force(&scene.endpoint, key.as_deref(), "leak").expect("a request").expect("a call");
        assert_eq!(force, request::rotate(&scene.endpoint, key.as_deref()).expect("a call"), "{name}");
    }
}

#[test]
fn a_wrong_key_is_auth_and_an_unknown_id_is_not_found() {
    for name in ALL {
        let scene = Scene::start(name);
        let outcome = scene.client.call(&scene.endpoint, &scene.rotation(), &Secret::new("wrong"));
        assert_eq!(refusal(&outcome), (Meaning::Auth, 401), "{name}");
        let ids: Vec<_> = scene.provider.spec().ids.iter().map(|id| (id.clone(), "nobody".to_owned())).collect();
        let other = scene
            .provider
            .endpoint(Some(&scene.stand_in.base_url()), &ids, None, &BTreeMap::new())
            .expect("an endpoint");
        let outcome = scene.client.call(&other, &request::rotate(&other, None).expect("a call"), &scene.key);
        assert_eq!(refusal(&outcome), (Meaning::NotFound, 404), "{name}");
        let Err(outcome) = scene.client.inspect(&other, &scene.key) else { panic!("{name}: an endpoint") };
        assert_eq!(refusal(&outcome).0, Meaning::NotFound, "{name}");
        assert_eq!(scene.stand_in.ledger().rotations, 0, "{name}");
    }
}

#[test]
fn layers_takes_its_newer_authentication_where_the_target_says_so() {
    let scene = Scene::start("layers");
    let ids: Vec<_> = scene.endpoint.ids.iter().map(|id| (id.name.clone(), id.value.clone())).collect();
    let bearer = scene
        .provider
        .endpoint(Some(&scene.stand_in.base_url()), &ids, Some("bearer"), &BTreeMap::new())
        .expect("an endpoint");
    assert!(matches!(
        scene.client.call(&bearer, &request::rotate(&bearer, None).expect("a call"), &scene.key),
        Outcome::Success(_)
    ));
}

#[test]
fn nothing_listens_means_not_sent() {
    let scene = Scene::start("verifa");
    // A port of which nobody is given one by chance, as of one that was just let go of.
    let endpoint = Endpoint { base_url: "http://127.0.0.1:1".parse().unwrap(), ..scene.endpoint.clone() };
    let request = request::rotate(&endpoint, request::new_key(&scene.provider).as_deref()).expect("a call");
    let outcome = scene.client.call(&endpoint, &request, &scene.key);
    assert!(matches!(&outcome, Outcome::NotSent { why } if why == "the connection was refused"), "{outcome:?}");
}

#[test]
fn a_journaled_request_for_another_origin_is_not_sent() {
    let (one, other) = (Scene::start("signa"), Scene::start("signa"));
    let outcome = one.client.call(&one.endpoint, &other.rotation(), &one.key);
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    assert!(other.stand_in.ledger().requests.is_empty());
}

#[test]
fn the_providers_test_delivery_is_asked_for() {
    for name in ["layers", "signa", "kadosei", "verifa"] {
        let scene = Scene::start(name);
        let key = request::new_key(&scene.provider);
        let request = request::test_delivery(&scene.endpoint, key.as_deref()).expect("a request");
        assert!(matches!(scene.call(&request), Outcome::Success(_)), "{name}");
        assert_eq!(request.headers.iter().any(|(header, _)| header == "Idempotency-Key"), name == "signa", "{name}");
    }
    assert!(request::test_delivery(&Scene::start("hopae").endpoint, None).is_none());
}

static SECONDS: AtomicI64 = AtomicI64::new(0);

fn moved() -> Timestamp {
    Timestamp::from_second(1_795_176_000 + SECONDS.load(Ordering::SeqCst)).expect("a time")
}

#[test]
fn an_overlap_and_a_key_end_by_the_providers_clock() {
    let scene = Scene::with("signa", moved, None);
    let request = scene.rotation();
    let first = scene.rotated(&request);
    SECONDS.store(86_399, Ordering::SeqCst);
    assert_eq!(scene.stand_in.live_secrets().len(), 2);
    assert_eq!(scene.rotated(&request).secret, first.secret, "the key is still remembered");
    SECONDS.store(86_400, Ordering::SeqCst);
    assert_eq!(scene.stand_in.live_secrets(), std::slice::from_ref(&first.secret));
    assert_ne!(scene.rotated(&request).secret, first.secret, "the key is forgotten: a late replay rotates again");
}

#[test]
fn a_test_delivery_is_signed_with_every_live_secret() {
    for name in ["layers", "signa", "verifa"] {
        let receiver = Scene::start("hopae");
        let scene = Scene::with(name, noon, Some(format!("{}/deliveries?x=1", receiver.stand_in.base_url())));
        let old = scene.stand_in.live_secrets();
        let new = scene.rotated(&scene.rotation());
        scene.reply(&request::test_delivery(&scene.endpoint, None).expect("a request"));
        let ledger = receiver.stand_in.ledger();
        let [seen] = ledger.requests.as_slice() else { panic!("{name}: {ledger:?}") };
        assert!(seen.path.ends_with("/deliveries?x=1"), "{name}: {}", seen.path);
        let scheme = Scheme::of(&scene.provider).expect("a scheme");
        let check = |secret: &Secret| {
            verify(&scheme, &[secret], &seen.headers, Sent::of(seen.body.as_bytes()), noon().as_second())
        };
        assert_eq!(check(&new.secret), Ok(0), "{name}");
        assert_eq!(check(&old[0]).is_ok(), name != "verifa", "{name}");
        assert!(!seen.headers.iter().any(|(_, value)| value.contains(scene.key.expose())), "{name}");
    }
}
