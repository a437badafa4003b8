//! Everything one rotation acts on, opened once: the lock first, so that nobody else acts on the endpoint, but for the time in
//! which this process only waits.

use jiff::Timestamp;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::identify::identify;
use super::key::ApiKey;
use crate::advice::{Verb, advice};
use crate::config::{Target, TargetStore};
use crate::delivery::probe::Prober;
use crate::provider::Carried;
use crate::provider::client::Client;
use crate::rotation::agreed::Agreed;
use crate::rotation::guide::StoreNames;
use crate::rotation::journal::Journal;
use crate::rotation::lock::EndpointLock;
use crate::rotation::operator::Operator;
use crate::rotation::runner::Runner;
use crate::rotation::seal::Seals;
use crate::rotation::{ATTEMPTS, KeyOrigin, Plan, PlannedStore, Rest, Rotation, RunError, Step};
use crate::store::{self, Reference, Slot, Store};
use crate::system::{host, is_same_host};

/// An endpoint with its lock, journal, seals, stores and client.
pub struct Workspace {
    pub target: Target,
    pub journal: Journal,
    pub seals: Seals,
    /// Where the API key came from, where there is one.
    pub key_origin: Option<KeyOrigin>,
    client: Client,
    prober: Option<Prober>,
    by: String,
    clock: fn() -> Timestamp,
    lock: EndpointLock,
}

/// The same where the provider's own pace is kept to, which has to be found first.
const PACED_ATTEMPTS: u32 = 64;

/// A plan's stores, open, and the key that its provider needs.
pub struct Resources {
    pub stores: Vec<Box<dyn Store>>,
    pub api_key: Option<ApiKey>,
}

impl Workspace {
    /// Takes the endpoint's lock and opens what a rotation needs. A journal that is `at_hand` was opened to look, which is no other
    /// one where the folder has a lock to take.
    pub fn open(context: &Context, target: Target, at_hand: Option<Journal>) -> Result<Self, Error> {
        let by = context.actor().to_owned();
        let holder = format!("{by}, process {}, since {}", std::process::id(), context.now());
        let endpoint = target.endpoint.key();
        let lock = match context.shared_journal()? {
            Some(shared) => EndpointLock::lease(shared, &endpoint, &holder, context.longest_call()),
            None => EndpointLock::take(context.state_dir()?, &endpoint, &holder),
        };
        let lock = lock.map_err(RunError::from)?;
        let journal = match at_hand {
            Some(journal) => journal,
            None => context.journal()?,
        };
        identify(context, &journal)?;
        Ok(Self {
            journal,
            seals: context.seals()?,
            key_origin: None,
            client: context.client(&target)?,
            prober: None,
            target,
            by,
            clock: context.clock(),
            lock,
        })
    }

    /// Asks or waits with the endpoint's lock let go of, so that others may act on it meanwhile. The lock is taken again before
    /// anything is done about the answer: by [`Self::reacquire`], or by the runner.
    pub fn awaits<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.lock.release();
        ask()
    }

    /// Takes the lock again, or fails. `true` where it had been let go of, so that others may have acted meanwhile.
    pub fn reacquire(&self) -> Result<bool, RunError> {
        if self.lock.is_held() { Ok(false) } else { Ok(self.lock.reacquire().map(|()| true)?) }
    }

    /// Goes on with a rotation as far as it goes.
    pub fn run(
        &self,
        rotation: &mut Rotation,
        resources: &Resources,
        operator: &mut dyn Operator,
        last: Option<Step>,
    ) -> Result<Rest, RunError> {
        self.runner(rotation, resources, operator).run(last)
    }

    /// The imperative part, set on this rotation.
    pub fn runner<'a>(
        &'a self,
        rotation: &'a mut Rotation,
        resources: &'a Resources,
        operator: &'a mut dyn Operator,
    ) -> Runner<'a> {
        Runner {
            journal: &self.journal,
            client: &self.client,
            endpoint: &self.target.endpoint,
            api_key: resources.api_key.as_ref().map(|key| &key.secret),
            key_origin: resources.api_key.as_ref().map(|key| &key.origin),
            stores: &resources.stores,
            seals: &self.seals,
            operator,
            now: self.clock,
            sleep: std::thread::sleep,
            by: &self.by,
            rotation,
            lock: &self.lock,
            replays_left: 1,
            arrived: None,
            attempts_left: if self.client.is_paced() { PACED_ATTEMPTS } else { ATTEMPTS },
            prober: self.prober.as_ref(),
            probed: false,
            agreed: Agreed::default(),
            looked: None,
            carried: Carried::default(),
        }
    }

    /// Lets the receivers of this plan be asked what they accept, where that is allowed and described.
    pub fn enable_probes(&mut self, context: &Context, plan: &Plan) -> Result<(), Error> {
        if plan.receivers.is_empty() || !plan.may_probe {
            return Ok(());
        }
        let client = context.prober_client(&self.target)?;
        self.prober =
            Prober::new(&self.target.endpoint.provider, client, self.clock, Some(self.journal.stamps().clone()));
        Ok(())
    }
}

/// Opens the stores of a target as its config has them.
pub fn open_stores(target: &Target) -> Result<Vec<Box<dyn Store>>, Error> {
    let open = |wanted: &TargetStore| store::open(&wanted.reference, &wanted.names, &target.surroundings);
    Ok(target.stores.iter().map(open).collect::<Result<_, _>>()?)
}

/// What the server of a store on one machine begins with.
const HOST: &str = "host:";

/// The target's stores as a plan keeps them. Where other machines may go on, one that only this machine has is bound to it.
pub fn planned(target: &Target, stores: &[Box<dyn Store>], is_shared: bool) -> Result<Vec<PlannedStore>, Error> {
    let host = is_shared.then(|| format!("{HOST}{}", host()));
    let planned = |wanted: &TargetStore, store: &dyn Store| {
        let server = store.server()?.or_else(|| host.clone().filter(|_| is_of_one_machine(&wanted.reference)));
        Ok(PlannedStore { reference: store.reference(), names: wanted.names.clone(), server })
    };
    target.stores.iter().zip(stores).map(|(wanted, store)| planned(wanted, store.as_ref())).collect()
}

/// Opens the stores that a plan was made with, whatever the config says by now. Refuses one that the environment places
/// on another server by now, which would get a secret that is not meant for it.
pub fn open_planned(target: &Target, planned: &[PlannedStore]) -> Result<Vec<Box<dyn Store>>, Error> {
    planned.iter().map(|planned| open_one(target, planned)).collect()
}

/// Says of a store that only this machine has that it has, or, where no other machine may go on, no more. What is bound elsewhere stays.
pub fn bind(store: &mut PlannedStore, is_shared: bool) {
    let is_of_one = || Reference::parse(&store.reference).is_ok_and(|reference| is_of_one_machine(&reference));
    match (&store.server, is_shared) {
        (None, true) if is_of_one() => store.server = Some(format!("{HOST}{}", host())),
        (Some(begun), false) if begun.strip_prefix(HOST).is_some_and(|there| is_same_host(there, &host())) => {
            store.server = None;
        }
        _ => {}
    }
}

/// Whether a store is bound to one machine.
pub fn is_of_a_host(store: &PlannedStore) -> bool {
    store.server.as_ref().is_some_and(|server| server.starts_with(HOST))
}

/// The machine that a store is bound to; empty of one that is not.
pub fn host_of(store: &PlannedStore) -> &str {
    store.server.as_deref().and_then(|server| server.strip_prefix(HOST)).unwrap_or_default()
}

/// Whether that is another one than this.
pub fn is_elsewhere(store: &PlannedStore) -> bool {
    is_of_a_host(store) && !is_same_host(host_of(store), &host())
}

fn is_of_one_machine(reference: &Reference) -> bool {
    match reference {
        Reference::Dotenv { .. } | Reference::Json { .. } | Reference::File { .. } | Reference::Keychain { .. } => true,
        // Encrypted files go along with a checkout, and programs may keep things anywhere.
        Reference::Age { .. } | Reference::Command { .. } | Reference::Stdout => false,
        Reference::Vault { .. } | Reference::AwsSm { .. } | Reference::Kubernetes { .. } => false,
    }
}

fn open_one(target: &Target, planned: &PlannedStore) -> Result<Box<dyn Store>, Error> {
    let store = store::open(&Reference::parse(&planned.reference)?, &planned.names, &target.surroundings)?;
    match &planned.server {
        Some(begun) if begun.starts_with(HOST) => {
            let (there, here) = (begun.trim_start_matches(HOST), host());
            if is_same_host(there, &here) {
                return Ok(store);
            }
            let message =
                format!("`{}` is on `{there}`, where this rotation was begun, and this is `{here}`", planned.reference);
            let hint = advice![
                "go on there; where that machine is gone, close it: ",
                Verb::Abandon.here().open("reason", "TEXT")
            ];
            Err(Stop::new(Kind::Usage, message, hint))
        }
        Some(begun) => Ok(store::bound(store, begun)?),
        None => Ok(store),
    }
}

/// The names of slots as the guide tells them.
pub fn names(stores: &[Box<dyn Store>]) -> Vec<StoreNames> {
    let names = |store: &dyn Store| StoreNames {
        store: store.reference(),
        next: store.slot_name(Slot::Next),
        current: store.slot_name(Slot::Current),
        previous: store.slot_name(Slot::Previous),
    };
    stores.iter().map(|store| names(store.as_ref())).collect()
}

/// Refuses a plan whose secret would share stdout with something else.
pub fn refuse_bare_stdout(context: &Context, plan: &Plan) -> Result<(), Error> {
    let used = plan.stores.iter().filter(|store| store.reference == "stdout:").count();
    if used > 0 && (context.has_other_output() || used > 1) {
        let message = "`stdout:` cannot share stdout with --json or with itself";
        return Err(Stop::new(Kind::Usage, message, "leave one of them out, or name another store"));
    }
    Ok(())
}
