//! A world for the engine's tests: fakes around a real journal and real seals in a folder in memory. Nothing leaves the
//! process, and time passes where somebody sleeps.

use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::agreed::Agreed;
use super::fake_provider::{Fake, provider_of, replacing_provider, setting_provider};
use super::fakes::{self, Others, Person, Shelf, first_word};
use super::journal::Journal;
use super::lock::EndpointLock;
use super::operator::Reply;
use super::run::Rest;
use super::runner::Runner;
use super::seal::{Places, Seals};
use super::shared::Shared;
use super::tests::rotation;
use super::*;
use crate::delivery::probe::Prober;
use crate::documents::Memory;
use crate::http::Received;
use crate::provider::client::{Client, ClientOptions, Wire};
use crate::provider::{Carried, Endpoint, Provider, request};
use crate::secret::Secret;
use crate::store::{Access, Store};

#[cfg(test)]
#[path = "join_tests.rs"]
mod join_tests;
#[cfg(test)]
#[path = "slotting_tests.rs"]
mod slotting_tests;

/// Everything that a runner acts on.
pub struct World {
    pub journal: Journal,
    pub rotation: Rotation,
    pub person: Person,
    pub shelves: Vec<Shelf>,
    pub fake: Arc<Mutex<Fake>>,
    pub key: Option<Secret>,
    pub origin: Option<KeyOrigin>,
    pub prober: Option<Prober>,
    pub seals: Seals,
    pub endpoint: Endpoint,
    pub lock: Rc<EndpointLock>,
    client: Client,
    stores: Vec<Box<dyn Store>>,
    folder: TempDir,
    /// Where the journal is that several machines share, if it is one, and who opens it.
    memory: Option<Memory>,
    identity: Shelf,
}

impl World {
    /// A rotation that is decided, with the old secret live in one store.
    pub fn new(direction: Direction) -> Self {
        Self::with(direction, &[("a", Access::ReadWrite)])
    }

    /// The same in these stores.
    pub fn with(direction: Direction, stores: &[(&str, Access)]) -> Self {
        fakes::set_clock();
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let provider = if direction.is_set() { setting_provider() } else { provider_of() };
        let endpoint = provider.endpoint(None, &[("id".to_owned(), "whk_1".to_owned())], None, &Default::default());
        let endpoint = endpoint.unwrap();
        let mut begun = rotation(direction);
        begun.id = Uuid::new_v4();
        begun.plan.endpoint_key = endpoint.key();
        let request = match direction {
            Direction::Force => request::force(&endpoint, Some("key"), "it leaked").unwrap(),
            _ => request::rotate(&endpoint, Some("key")),
        };
        begun.plan.issuing = Issuing::Call(request.unwrap());
        if direction.is_set() {
            (begun.plan.idempotency_key, begun.plan.key_window, begun.plan.overlap) = (None, None, None);
        }
        begun.plan.stores = stores.iter().map(|(name, _)| planned(name)).collect();
        let shelves: Vec<Shelf> = stores.iter().map(|(name, access)| Shelf::new(name, *access)).collect();
        shelves.iter().for_each(|shelf| shelf.put("-o-"));
        let fake = Arc::new(Mutex::new(Fake::new()));
        let identity = Shelf::new("identity", Access::ReadWrite);
        // The same rules hold where several machines share the journal: `tests/run` asks all of them of either.
        let memory = std::env::var_os("WHSEC_TEST_SHARED").map(|_| Memory::default());
        let (journal, seals) = opened(folder.path(), &identity, memory.as_ref());
        let lock = match journal.shared() {
            Some(shared) => EndpointLock::lease(Rc::clone(shared), &endpoint.key(), "ana", Duration::from_secs(30)),
            None => EndpointLock::take(folder.path(), &endpoint.key(), "ana"),
        };
        let lock = Rc::new(lock.unwrap());
        Self {
            journal,
            memory,
            identity,
            rotation: begun,
            person: Person::new(folder.path()),
            stores: shelves.iter().map(|shelf| Box::new(shelf.clone()) as Box<dyn Store>).collect(),
            shelves,
            client: client(&fake),
            fake,
            key: Some(Secret::new("a key of the test's own")),
            origin: Some(KeyOrigin { words: "the file `/k`".to_owned(), is_printed: false }),
            prober: None,
            seals,
            endpoint,
            lock,
            folder,
        }
    }

    /// A rotation for which a person has the provider of this description make the new secret.
    pub fn by_hand(direction: Direction, description: &str) -> Self {
        let mut world = Self::new(direction);
        let provider = Arc::new(Provider::parse(description, "by hand").unwrap());
        let ids = [("id".to_owned(), "whk_1".to_owned())];
        world.endpoint = provider.endpoint(None, &ids, None, &Default::default()).unwrap();
        let plan = &mut world.rotation.plan;
        plan.issuing = Issuing::ByHand { page: provider.page(&world.endpoint.ids).unwrap() };
        plan.endpoint_key = world.endpoint.key();
        (plan.idempotency_key, plan.key_window) = (None, None);
        (world.key, world.origin) = (None, None);
        world
    }

    /// A rotation that makes a second endpoint beside the first.
    pub fn replacing() -> Self {
        let mut world = Self::new(Direction::UntilEnded);
        let ids = [("id".to_owned(), "whk_1".to_owned())];
        world.endpoint = replacing_provider().endpoint(None, &ids, None, &Default::default()).unwrap();
        let plan = &mut world.rotation.plan;
        plan.issuing = Issuing::Call(request::rotate(&world.endpoint, Some("key")).unwrap());
        plan.ending = request::end(&world.endpoint).map(Ending::Call);
        plan.endpoint_key = world.endpoint.key();
        plan.overlap = None;
        plan.steps.retain(|step| *step != Step::Wait);
        world.fake().endpoints = Some([("whk_1", json!({ "url": "https://a.test/" }))].into());
        world
    }

    /// The same after `last`, every step of a person's done on their word.
    pub fn after(direction: Direction, stores: &[(&str, Access)], last: Step) -> Self {
        Self::with(direction, stores).went_on_to(last)
    }

    /// Goes on to the end of a step, and forgets what was said.
    pub fn went_on_to(mut self, last: Step) -> Self {
        self.person.always = Some(Reply::Done { reason: None });
        let came_to = self.run(Some(last));
        assert_eq!(came_to, "finished", "{:?}", self.person.heard);
        self.forget();
        self
    }

    /// Nothing was said.
    pub fn forget(&mut self) {
        self.person.always = None;
        self.person.heard.clear();
        self.person.recorded.clear();
        self.fake().calls.clear();
    }

    /// Lets these receivers be probed.
    pub fn probing(mut self, receivers: &[(&str, &'static str)]) -> Self {
        let urls = receivers.iter().map(|(url, _)| (*url).to_owned());
        self.rotation.plan.receivers = urls.clone().collect();
        self.fake().receivers = urls.zip(receivers.iter().map(|(_, takes)| *takes)).collect();
        let prober = Prober::new(&self.endpoint.provider, client(&self.fake), fakes::now, None);
        self.prober = prober.map(|prober| Prober { pause: Duration::ZERO, ..prober });
        self
    }

    /// One more store.
    pub fn add(&mut self, name: &str, access: Access, letters: &str) {
        let shelf = Shelf::new(name, access);
        shelf.put(letters);
        self.stores.push(Box::new(shelf.clone()));
        self.shelves.push(shelf);
    }

    /// The provider and its receivers.
    pub fn fake(&self) -> std::sync::MutexGuard<'_, Fake> {
        self.fake.lock().unwrap()
    }

    /// What one process does: it begins with what the world knows of the rotation.
    pub fn process<T>(&mut self, act: impl FnOnce(&mut Runner<'_>) -> T) -> T {
        act(&mut Runner {
            journal: &self.journal,
            client: &self.client,
            endpoint: &self.endpoint,
            api_key: self.key.as_ref(),
            key_origin: self.origin.as_ref(),
            stores: &self.stores,
            seals: &self.seals,
            operator: &mut self.person,
            now: fakes::now,
            sleep: fakes::sleep,
            by: "ana@box",
            rotation: &mut self.rotation,
            lock: &self.lock,
            replays_left: 1,
            arrived: None,
            attempts_left: ATTEMPTS,
            prober: self.prober.as_ref(),
            probed: false,
            agreed: Agreed::default(),
            looked: None,
            carried: Carried::default(),
        })
    }

    /// Runs as far as it goes, or to `last`; in a word what came of it.
    pub fn run(&mut self, last: Option<Step>) -> String {
        outcome(self.process(|runner| runner.run(last)))
    }

    /// The stores, for what looks at them alone.
    pub fn boxed(&self) -> Vec<Box<dyn Store>> {
        self.shelves.iter().map(|shelf| Box::new(shelf.clone()) as Box<dyn Store>).collect()
    }

    /// What was recorded, in short.
    pub fn recorded(&self) -> String {
        self.person.recorded.join(" ")
    }

    /// Whether this was said.
    pub fn heard(&self, words: &str) -> bool {
        self.person.heard.iter().any(|heard| heard.contains(words))
    }

    /// What all stores hold.
    pub fn slots(&self) -> String {
        self.shelves.iter().map(Shelf::letters).collect::<Vec<_>>().join(" ")
    }

    /// Journals events as this process.
    pub fn journals(&mut self, events: &[Event]) {
        self.journal.append(&mut self.rotation, "ana@box", fakes::now(), events).unwrap();
    }

    /// What somebody else journals of this rotation.
    pub fn others(&self, events: Vec<Event>) -> Others {
        let (id, key) = (self.rotation.id, self.rotation.plan.endpoint_key.clone());
        let (identity, memory) = (self.identity.clone(), self.memory.clone());
        Box::new(move |folder| {
            let (journal, _) = opened(folder, &identity, memory.as_ref());
            let mut rotation = journal.find(&key, id).unwrap().unwrap();
            journal.append(&mut rotation, "ben@box", fakes::now(), &events).unwrap();
        })
    }

    /// Somebody else takes the endpoint, which this process has let go of.
    pub fn others_take(&self, holder: &str) -> EndpointLock {
        let key = &self.rotation.plan.endpoint_key;
        let (journal, _) = opened(self.folder(), &self.identity, self.memory.as_ref());
        match journal.shared() {
            Some(shared) => EndpointLock::lease(Rc::clone(shared), key, holder, Duration::from_secs(30)).unwrap(),
            None => EndpointLock::take(self.folder(), key, holder).unwrap(),
        }
    }

    /// Where the state is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the new secret is sealed, and the old one.
    pub fn sealed(&self) -> (bool, bool) {
        let id = self.rotation.id;
        (self.seals.exists(id), self.seals.exists(person_steps::old_seal(id)))
    }
}

/// The journal of a state folder, or the one in memory that goes with this identity, and the seals beside it.
fn opened(folder: &Path, identity: &Shelf, memory: Option<&Memory>) -> (Journal, Seals) {
    let places = || Ok(Places { first: Box::new(identity.clone()), otherwise: None });
    let seals = Seals::open(folder, &[], &places).unwrap();
    let Some(memory) = memory else { return (Journal::open(folder).unwrap(), seals) };
    let shared = Rc::new(Shared::make(memory.open(), None, &seals.envelope().unwrap(), "identity").unwrap());
    (Journal::Shared(Rc::clone(&shared)), seals.in_journal(shared).unwrap())
}

/// In a word what came of a run.
pub fn outcome(result: Result<Rest, RunError>) -> String {
    match result {
        Ok(Rest::Person(step)) => format!("person {}", step.name()),
        Ok(rest) => first_word(&rest),
        Err(error) => first_word(&error),
    }
}

pub fn planned(name: &str) -> PlannedStore {
    PlannedStore { reference: name.to_owned(), names: Default::default(), server: None }
}

fn client(fake: &Arc<Mutex<Fake>>) -> Client {
    let fake = Arc::clone(fake);
    let wire: Wire = Box::new(move |method, url, headers, body| {
        let mut fake = fake.lock().unwrap();
        let received = |status, headers, body: Vec<u8>| Received { status, headers, body: body.into(), complete: true };
        if url.host_str() != Some("fake.test") {
            return fake.deliver(url.as_str(), headers, body).map(|status| received(status, Vec::new(), Vec::new()));
        }
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
        let sent: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let given = sent["secret"].as_str().map(Secret::new);
        let (status, body, replayed) = match fake.endpoints {
            Some(_) => fake.answer_of_many(method, url.path(), key, &sent)?,
            None => fake.answer(method != "GET", key, given)?,
        };
        let mut headers = vec![("replayed".to_owned(), replayed.to_string())];
        headers.extend(fake.date().map(|date| ("date".to_owned(), date)));
        Ok(received(status, headers, body.to_string().into_bytes()))
    });
    Client::new(&ClientOptions { timeout: Duration::from_secs(30), ca: None }).unwrap().on(wire)
}

#[test]
fn the_world_turns_in_every_direction() {
    for (direction, recorded) in [
        (
            Direction::OverlapEither,
            "checked sent1 answered stage@a stage:tool shown deploy:word verify:word wait:clock promote@a promote:tool retire@a retire:tool drop:word closed:done",
        ),
        (
            Direction::OverlapSwitch,
            "checked sent1 answered stage@a stage:tool shown promote@a promote:tool deploy:word verify:word wait:clock retire@a retire:tool drop:word closed:done",
        ),
        (
            Direction::Instant,
            "checked prepare:word sent1 answered stage@a stage:tool shown promote@a promote:tool deploy:word verify:word retire@a retire:tool drop:word closed:done",
        ),
        (
            Direction::Force,
            "checked sent1 answered stage@a stage:tool shown promote@a promote:tool deploy:word verify:word retire@a retire:tool drop:word closed:done",
        ),
        (
            Direction::Contain,
            "checked sent1 answered stage@a stage:tool shown promote@a promote:tool deploy:word verify:word drop:word wait:clock retire@a retire:tool closed:done",
        ),
        (
            Direction::Set,
            "checked made stage@a stage:tool deploy:word verify:word sent1 answered shown promote@a promote:tool retire@a retire:tool drop:word closed:done",
        ),
        (
            Direction::SetSwitch,
            "checked prepare:word made stage@a stage:tool sent1 answered shown promote@a promote:tool deploy:word verify:word retire@a retire:tool drop:word closed:done",
        ),
    ] {
        let mut world = World::new(direction);
        let reason = (direction == Direction::Set).then(|| "nobody can be probed".to_owned());
        world.person.always = Some(Reply::Done { reason });
        assert_eq!(world.run(None), "finished", "{:?}", world.person.heard);
        let slots = if direction.is_set() { "-?-" } else { "-n-" };
        assert_eq!((world.recorded().as_str(), world.slots().as_str()), (recorded, slots), "{direction:?}");
        assert_eq!(world.sealed(), (false, false));
        let known = world.journal.find(&world.rotation.plan.endpoint_key, world.rotation.id).unwrap().unwrap();
        assert_eq!((&known.done, &known.call), (&world.rotation.done, &world.rotation.call));
    }
}
