//! How the calls of an object store go out: over the one way out of this machine. Each answer keeps the store's own time, and the
//! newest refusal is remembered, so that it can be told in words.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use thiserror::Error;
use tokio::task;

use super::super::LARGEST;
use crate::http::{self, Connections, Failure, Options, Received, Url};

/// How long a call may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How many connections stay open.
pub const KEPT: usize = 32;

/// Why something was not done.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// An answer that is no success.
    Answered { status: u16, code: String, region: Option<String>, method: String },
    /// There is none.
    Silent(String),
}

/// What is remembered of answers.
#[derive(Default)]
struct Heard {
    refusal: Option<Refusal>,
    time: Option<i64>,
}

#[derive(Debug, Error)]
#[error("{0}")]
struct NoAnswer(String);

/// The way to an object store; clones are the same one.
#[derive(Clone)]
pub struct Wire {
    connections: Arc<Connections>,
    heard: Arc<Mutex<Heard>>,
}

impl Wire {
    /// With a CA bundle beside the system's own; fails where that cannot be read.
    pub fn new(ca: Option<Vec<u8>>) -> Result<Self, &'static str> {
        // Something is said around each document.
        let connections =
            Connections::new(&Options { timeout: ANSWER, ca })?.for_many(KEPT, LARGEST.saturating_add(64 << 10));
        Ok(Self { connections: Arc::new(connections), heard: Arc::default() })
    }

    /// What was refused last since this was asked last.
    pub fn refusal(&self) -> Option<Refusal> {
        self.held().refusal.take()
    }

    /// What time it is there, in seconds since 1970, as the newest answer says; `None` where that says nothing of it.
    pub fn time(&self) -> Option<i64> {
        self.held().time
    }

    fn held(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent(&self, why: String) -> HttpError {
        self.held().refusal = Some(Refusal::Silent(why.clone()));
        HttpError::new(HttpErrorKind::Unknown, NoAnswer(why))
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Wire(…)")
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        let url = Url::parse(&parts.uri.to_string()).map_err(|_| self.silent("its address is none".to_owned()))?;
        let (connections, method) = (Arc::clone(&self.connections), parts.method.as_str().to_owned());
        let sent = {
            let method = method.clone();
            let body = Some(body).filter(|body| !body.is_empty() || method == "PUT");
            let send = move || http::send(&connections, &method, url, parts.headers, body, Instant::now() + ANSWER);
            task::spawn_blocking(send).await
        };
        let received = match sent {
            Ok(Ok(received)) if received.complete => received,
            Ok(Ok(_)) => return Err(self.silent("its answer ended too early".to_owned())),
            Ok(Err(Failure::NotSent(why) | Failure::Unknown(why))) => return Err(self.silent(why)),
            Err(_) => return Err(self.silent("the call was given up".to_owned())),
        };
        let time = received.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        self.held().time = time.map(|time| time.timestamp().as_second());
        if !(200..300).contains(&received.status) {
            self.held().refusal = Some(answered(&received, method));
        }
        let mut response = HttpResponse::new(received.body.to_vec().into());
        *response.status_mut() =
            received.status.try_into().map_err(|_| self.silent("its answer has a status that is none".to_owned()))?;
        *response.headers_mut() = http::header_map(&received.headers).unwrap_or_default();
        Ok(response)
    }
}

/// What a refusal says, as far as it may be repeated: its code is one word.
fn answered(received: &Received, method: String) -> Refusal {
    let text = String::from_utf8_lossy(&received.body);
    let is_word =
        |word: &&str| word.len() <= 64 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let tagged = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        let (inside, _) = rest.split_once('<')?;
        Some(inside.trim()).filter(is_word).map(str::to_owned)
    };
    let region = received.header("x-amz-bucket-region").filter(is_word).map(str::to_owned);
    Refusal::Answered {
        status: received.status,
        code: tagged("Code").unwrap_or_default(),
        region: region.or_else(|| tagged("Region")),
        method,
    }
}
