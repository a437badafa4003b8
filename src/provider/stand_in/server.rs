//! The stand-in's HTTP: one request a connection, on one thread. What to answer is decided in `state`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::Seen;
use super::crowd::Served;
use super::fault::Tail;
use super::state::{Act, Answer};
use super::wording;
use crate::provider::client::{Client, ClientOptions};

/// Largest body that is read, in bytes.
const LARGEST_BODY: usize = 64 * 1024;

/// For a test delivery.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Closed;

/// What a broken connection writes once HTTP is over.
type Slot = Arc<Mutex<Option<Tail>>>;

/// Serves until told to stop.
pub(super) fn run(
    runtime: &Runtime,
    listener: std::net::TcpListener,
    served: Arc<Served>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.spawn(accept(listener, served));
    // Both a message and a dropped sender mean the end.
    let _ = runtime.block_on(stopped);
}

async fn accept(listener: std::net::TcpListener, served: Arc<Served>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&served)));
    }
}

/// Serves one connection. A second handle to the socket outlives hyper, for answers that are not HTTP.
async fn serve(stream: TcpStream, served: Arc<Served>) -> Option<()> {
    let stream = stream.into_std().ok()?;
    let twin = TcpStream::from_std(stream.try_clone().ok()?).ok()?;
    let stream = TcpStream::from_std(stream).ok()?;
    let slot = Slot::default();
    let service = service_fn(|request| handle(request, Arc::clone(&served), Arc::clone(&slot)));
    // An error here is a fault that was asked for, or a client that went away.
    let _ = http1::Builder::new()
        .keep_alive(false)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    let tail = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(tail) = tail {
        tail.write(&twin).await;
    }
    Some(())
}

async fn handle(request: Request<Incoming>, served: Arc<Served>, slot: Slot) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let mut seen = Seen {
        method: head.method.as_str().to_owned(),
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: String::new(),
    };
    if served.of(&seen).1.closes_unread(&seen) {
        return Err(Closed);
    }
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| Closed)?.to_bytes();
    seen.body = String::from_utf8_lossy(&body).into_owned();
    let (at, shared) = served.of(&seen);
    let act = served.turns_away((at, shared)).unwrap_or_else(|| shared.answer(seen));
    match act {
        Act::Answer(answer) => response(answer),
        Act::Deliver { url, headers, body, mut answer } => {
            let sent = tokio::task::spawn_blocking(move || deliver(&url, &headers, &body)).await;
            let status = sent.ok().and_then(Result::ok);
            answer.body = wording::tested(shared, status);
            response(answer)
        }
        Act::Break(tail) => {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(tail);
            Err(Closed)
        }
    }
}

fn response(answer: Answer) -> Result<Response<Full<Bytes>>, Closed> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(answer.body))).map_err(|_| Closed)
}

fn deliver(url: &str, headers: &[(String, String)], body: &str) -> Result<u16, String> {
    let options = ClientOptions { timeout: DELIVERY_TIMEOUT, ca: None };
    let client = Client::new(&options).map_err(|error| error.to_string())?;
    client.deliver(url, headers, body.as_bytes()).map(|delivered| delivered.status)
}
