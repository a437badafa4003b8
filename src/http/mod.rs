//! The one way out of this machine, for providers and stores alike: HTTPS (plain HTTP to loopback), no redirects, no
//! retries, no decompression, bounded bodies and time.
//!
//! Says what came, never what it means. Its errors never hold a header, a body or a key.

use std::io::Read;
use std::time::{Duration, Instant};

use reqwest::blocking::Response;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

mod address;
mod connection;

pub use address::{is_loopback, parse_base_url, shown_address};
pub use connection::{Connections, SHOWN, distrust_environment, distrusts_environment};
pub use reqwest::Url;

/// Largest body that is read, in bytes.
pub const LARGEST_BODY: usize = 1024 * 1024;

/// How calls are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// For a whole call, from looking the host up to the last byte of the answer.
    pub timeout: Duration,
    /// A further certificate authority, as PEM.
    pub ca: Option<Vec<u8>>,
}

/// A call to be made once.
pub struct Call<'a> {
    pub method: &'a str,
    pub url: Url,
    /// Sent as sensitive, so that nothing prints them.
    pub headers: Vec<(String, String)>,
    pub body: Option<Zeroizing<Vec<u8>>>,
}

/// An answer as it came, before anybody says what it means.
pub struct Received {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Zeroizing<Vec<u8>>,
    /// Whether the body came whole.
    pub complete: bool,
}

impl Received {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
pub enum Failure {
    /// Certainly nothing arrived.
    NotSent(String),
    /// It may have been acted on.
    Unknown(String),
}

/// Makes a call, once, and reads its answer until the deadline.
pub fn call(connections: &Connections, call: Call<'_>, deadline: Instant) -> Result<Received, Failure> {
    let headers = header_map(&call.headers).ok_or_else(|| Failure::NotSent("a header cannot be sent".to_owned()))?;
    send(connections, call.method, call.url, headers, call.body.map(|body| body.to_vec()), deadline)
}

/// The same with headers that are made already.
pub fn send(
    connections: &Connections,
    method: &str,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    deadline: Instant,
) -> Result<Received, Failure> {
    let not_sent = |why: &str| Failure::NotSent(why.to_owned());
    let remaining = deadline.saturating_duration_since(Instant::now());
    if remaining.is_zero() {
        return Err(not_sent("the time is over"));
    }
    let method = reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| not_sent("no such method"))?;
    let client = connections.to(&url).map_err(Failure::NotSent)?;
    let mut builder = client.request(method, url).headers(headers).timeout(remaining);
    if let Some(body) = body {
        builder = builder.body(body);
    }
    Ok(receive(builder.send().map_err(|error| failure(&error))?, deadline, connections.largest()))
}

/// Reads the answer as far as it comes, within bounds.
fn receive(mut response: Response, deadline: Instant, largest: usize) -> Received {
    let status = response.status().as_u16();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let mut body = Zeroizing::new(Vec::with_capacity(16 * 1024));
    let mut chunk = Zeroizing::new([0_u8; 16 * 1024]);
    let complete = loop {
        if Instant::now() >= deadline {
            break false;
        }
        match response.read(chunk.as_mut()) {
            Ok(0) => break true,
            Ok(count) if body.len() + count > largest => break false,
            Ok(count) => body.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break false,
        }
    };
    Received { status, headers, body, complete }
}

/// Headers marked sensitive, so that nothing prints them; `None` where one cannot be sent.
pub fn header_map(headers: &[(String, String)]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        map.append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    Some(map)
}

/// `is_connect` is true exactly where the connection was never made; everything else may have been acted on.
pub fn failure(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        Failure::NotSent("the request cannot be sent as it stands".to_owned())
    } else if error.is_connect() {
        Failure::NotSent(connection::obstacle(error).to_owned())
    } else if error.is_timeout() {
        Failure::Unknown("no answer in time".to_owned())
    } else {
        Failure::Unknown("the connection ended before an answer came".to_owned())
    }
}
