//! A stand-in for a provider, on loopback: it answers as the description says that the provider would, and keeps a
//! ledger of what reached it. `rehearse` and the tests run against it. It is driven by data, like the client.

mod crowd;
mod fault;
mod reach;
mod second;
mod seen;
mod server;
mod state;
mod whims;
mod wording;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crowd::Served;
pub use fault::Fault;
use state::State;

use super::spec::Signs;
use super::{Overlap, Provider};
use crate::secret::Secret;

/// What the stand-in stands for.
#[derive(Clone, Debug)]
pub struct StandInOptions {
    /// The only key that is accepted.
    pub api_key: Secret,
    /// The ids of the only endpoint there is.
    pub ids: Vec<(String, String)>,
    /// The secret before the first rotation; made up where none is given.
    pub first_secret: Option<Secret>,
    /// The provider's clock.
    pub clock: fn() -> Timestamp,
    /// How long an old secret lives on, in place of what the description says.
    pub window: Option<Duration>,
    /// Where test deliveries go.
    pub receiver_url: Option<String>,
}

/// What has reached the stand-in and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// How many new secrets were made.
    pub rotations: u32,
    /// Every request that was read, in order.
    pub requests: Vec<Seen>,
}

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub method: String,
    /// Path and query as on the wire.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// A running stand-in; it stops when dropped.
pub struct StandIn {
    address: SocketAddr,
    /// The first endpoint.
    shared: Arc<Shared>,
    served: Arc<Served>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the server's thread and its owner both see.
pub(super) struct Shared {
    pub(super) provider: Arc<Provider>,
    pub(super) options: StandInOptions,
    state: Mutex<State>,
    whims: Mutex<whims::Whims>,
}

impl Shared {
    /// The state; a panic elsewhere does not make it worse.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path prefix of the provider's base URL.
    pub(super) fn prefix(&self) -> &str {
        self.provider.base_url().map_or("", |url| url.path().trim_end_matches('/'))
    }
}

impl StandIn {
    /// Listens on a free port of 127.0.0.1, in a thread of its own.
    pub fn start(provider: Arc<Provider>, options: StandInOptions) -> io::Result<Self> {
        Self::many(provider, options, Vec::new(), None)
    }

    /// The same for several endpoints, whose ids and secrets differ, behind one address that takes at most so many calls a second.
    pub fn many(
        provider: Arc<Provider>,
        first: StandInOptions,
        others: Vec<StandInOptions>,
        most: Option<usize>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = |options: StandInOptions| {
            let (state, provider) = (Mutex::new(State::new(&provider, &options)), Arc::clone(&provider));
            Arc::new(Shared { provider, options, state, whims: Mutex::default() })
        };
        let first = shared(first);
        let served = Arc::new(Served::new(Arc::clone(&first), others.into_iter().map(shared).collect(), most));
        let (stop, stopped) = oneshot::channel();
        let answers = Arc::clone(&served);
        let run = move || server::run(&runtime, listener, answers, stopped);
        let thread = std::thread::Builder::new().name("stand-in provider".to_owned()).spawn(run)?;
        Ok(Self { address, shared: first, served, stop: Some(stop), thread: Some(thread) })
    }

    /// What a target has as its `base_url` to reach the stand-in; with the path prefix that the provider has.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, self.shared.prefix())
    }

    /// The secrets that deliveries are signed with, newest first.
    pub fn live_secrets(&self) -> Vec<Secret> {
        let now = (self.shared.options.clock)();
        self.shared.state().live(now)
    }

    /// What each delivery of one event is signed with: where they bear the old secret alone, with the oldest; where each endpoint has
    /// its own, with one each.
    pub fn signings(&self) -> Vec<Vec<Secret>> {
        let mut live = self.live_secrets();
        match self.shared.provider.overlap() {
            Overlap::UntilEnded { signs: Signs::Old, .. } => vec![live.split_off(live.len().saturating_sub(1))],
            Overlap::UntilEnded { signs: Signs::Apart, .. } => live.into_iter().map(|secret| vec![secret]).collect(),
            _ => vec![live],
        }
    }

    /// What has happened so far.
    pub fn ledger(&self) -> Ledger {
        self.shared.state().ledger.clone()
    }

    /// Breaks the next rotate call that no earlier fault breaks.
    pub fn fault(&self, fault: Fault) {
        self.shared.state().faults.push_back(fault);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already; then nobody needs to be told.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
