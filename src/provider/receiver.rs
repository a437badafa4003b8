//! A stand-in for a receiver, on loopback: it verifies deliveries as the description says, with the secrets that it
//! was last told, and counts. `rehearse` and the tests deploy to it.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::PROBE_MARK;
use super::signature::{Scheme, Sent, verify};
use crate::secret::{Fingerprint, Secret};

/// Largest delivery that is read, in bytes.
const LARGEST_DELIVERY: usize = 1 << 20;

/// A running receiver; it stops when dropped.
pub struct Receiver {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What has been delivered since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    pub accepted: u64,
    pub refused: u64,
    /// The secret under which the last accepted one verified.
    pub last_accepted_with: Option<Fingerprint>,
}

struct Shared {
    scheme: Scheme,
    /// What its address begins with, as the sender has it.
    origin: String,
    clock: fn() -> Timestamp,
    state: Mutex<(Vec<Secret>, Deliveries)>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, (Vec<Secret>, Deliveries)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1 in a thread of its own, and refuses everything until it is told a secret.
    pub fn start(scheme: Scheme, clock: fn() -> Timestamp) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let origin = format!("http://{address}");
        let shared = Arc::new(Shared { scheme, origin, clock, state: Mutex::default() });
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("stand-in receiver".to_owned()).spawn(move || {
            runtime.spawn(accept(listener, served));
            // Both a message and a dropped sender mean the end.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where deliveries go.
    pub fn url(&self) -> String {
        format!("{}/webhooks", self.shared.origin)
    }

    /// Accepts these secrets from now on, as after a deploy.
    pub fn reload(&self, secrets: Vec<Secret>) {
        self.shared.state().0 = secrets;
    }

    /// The counts so far.
    pub fn deliveries(&self) -> Deliveries {
        self.shared.state().1.clone()
    }
}

impl Drop for Receiver {
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

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| handle(request, Arc::clone(&shared)));
            // An error here is a sender that went away.
            let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body = Limited::new(body, LARGEST_DELIVERY).collect().await.map(http_body_util::Collected::to_bytes);
    let mut state = shared.state();
    let (secrets, deliveries) = &mut *state;
    let known: Vec<&Secret> = secrets.iter().collect();
    let now = (shared.clock)().as_second();
    let url = format!("{}{}", shared.origin, head.uri);
    let verified = body.ok().and_then(|body| {
        let sent = Sent { method: head.method.as_str(), url: &url, body: &body };
        verify(&shared.scheme, &known, &headers, sent, now).ok()
    });
    // Probes are no deliveries, and counting them would hide those that were refused.
    let counts = u64::from(!head.headers.contains_key(PROBE_MARK));
    let status = match verified.and_then(|index| known.get(index)) {
        Some(secret) => {
            deliveries.accepted += counts;
            if counts > 0 {
                deliveries.last_accepted_with = Some(secret.fingerprint());
            }
            StatusCode::NO_CONTENT
        }
        None => {
            deliveries.refused += counts;
            StatusCode::UNAUTHORIZED
        }
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}
