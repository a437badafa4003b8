//! Receivers of every kind, right and wrong: real HTTP servers that verify deliveries by code of their own and read the
//! secrets from a dotenv file for each, as a receiver does that needs no restart.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

/// What a receiver does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Accepts either of two secrets: the live one, and one beside it.
    Both,
    /// Knows the live slot alone.
    LiveOnly,
    /// Knows the coming slot alone.
    NextOnly,
    /// The same by the crate `standardwebhooks`.
    Library,
    FirstSignatureOnly,
    Anything,
    NoTimestamp,
    Prefix,
    RejectsAll,
    Redirects,
    /// Behind it are two machines, of which one has not been deployed yet.
    HalfDeployed,
    /// Verifies nothing, and limits the rate after three.
    Overloaded,
    Down,
}

/// A running receiver.
pub struct Receiver {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    kind: Mutex<Kind>,
    file: Mutex<Option<PathBuf>>,
    requests: Mutex<Vec<Request>>,
    turns: AtomicUsize,
    /// How far its clock is ahead, in seconds.
    ahead: AtomicI64,
    /// Where redirects lead.
    elsewhere: String,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Receiver {
    pub fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // A port that was given back may be given to another receiver; the first one is given to nobody.
        let port = if kind == Kind::Down { 1 } else { listener.local_addr().unwrap().port() };
        let shared = Arc::new(Shared {
            kind: Mutex::new(kind),
            file: Mutex::default(),
            requests: Mutex::default(),
            turns: AtomicUsize::new(0),
            ahead: AtomicI64::new(0),
            elsewhere: format!("http://127.0.0.1:{port}/elsewhere"),
        });
        let receiver = Self { url: format!("http://127.0.0.1:{port}/hooks"), shared: Arc::clone(&shared) };
        if kind != Kind::Down {
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || shared.serve(stream));
                }
            });
        }
        receiver
    }

    /// Reads its secrets from this dotenv file.
    pub fn reads(&self, file: &Path) {
        *self.shared.file.lock().unwrap() = Some(file.to_owned());
    }

    /// Becomes another, as after a deploy.
    pub fn becomes(&self, kind: Kind) {
        *self.shared.kind.lock().unwrap() = kind;
    }

    /// Its clock is ahead by so many seconds, or behind.
    pub fn is_ahead(&self, seconds: i64) {
        self.shared.ahead.store(seconds, Ordering::SeqCst);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let request = read(&mut stream)?;
        let kind = *self.kind.lock().unwrap();
        let status = self.answer(kind, &request);
        self.requests.lock().unwrap().push(request);
        let location = if status == 307 { format!("Location: {}\r\n", self.elsewhere) } else { String::new() };
        let date = self.now().strftime("%a, %d %b %Y %T GMT");
        write!(
            stream,
            "HTTP/1.1 {status} x\r\n{location}Date: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .ok()
    }

    fn answer(&self, kind: Kind, request: &Request) -> u16 {
        let (next, live) = (self.secret("_NEW"), self.secret(""));
        let secrets = match kind {
            Kind::Anything => return 200,
            Kind::Overloaded if self.turns.fetch_add(1, Ordering::SeqCst) < 3 => return 200,
            Kind::Overloaded => return 429,
            Kind::RejectsAll => return 403,
            Kind::Redirects => return 307,
            Kind::NextOnly => vec![next],
            Kind::LiveOnly => vec![live],
            Kind::HalfDeployed if self.turns.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) => vec![live],
            _ => vec![next, live],
        };
        let known: Vec<String> = secrets.into_iter().flatten().collect();
        let now = self.now().as_second();
        if known.iter().any(|secret| verifies(kind, request, secret, now)) { 204 } else { 401 }
    }

    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.ahead.load(Ordering::SeqCst))
    }

    fn secret(&self, suffix: &str) -> Option<String> {
        let file = self.file.lock().unwrap().clone()?;
        let text = std::fs::read_to_string(file).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{}{suffix}=", super::sandbox::KEY)))?;
        Some(value.trim_matches(['\'', '"']).to_owned())
    }
}

/// Verifies by the words of the providers' pages: hex over `t.body` with the text as the key, or Standard Webhooks.
fn verifies(kind: Kind, request: &Request, secret: &str, now: i64) -> bool {
    let standard = request.header("webhook-id").is_some();
    let (timestamp, signatures, expected) = if standard {
        let timestamp = request.header("webhook-timestamp").unwrap_or_default().to_owned();
        let header = request.header("webhook-signature").unwrap_or_default();
        let signatures: Vec<String> =
            header.split(' ').filter_map(|entry| entry.strip_prefix("v1,")).map(str::to_owned).collect();
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap_or_default();
        let id = request.header("webhook-id").unwrap_or_default();
        let mac = mac(&key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", &request.body]);
        (timestamp, signatures, STANDARD.encode(mac))
    } else {
        let header = ["X-Layers-Signature", "X-Hopae-Signature", "X-Verifa-Signature"]
            .iter()
            .find_map(|name| request.header(name))
            .unwrap_or_default();
        let fields: Vec<(&str, &str)> = header.split(',').filter_map(|field| field.split_once('=')).collect();
        let of = |name: &'static str| {
            fields.iter().filter(move |(field, _)| *field == name).map(|(_, value)| (*value).to_owned())
        };
        let timestamp = of("t").next().unwrap_or_default();
        let mac = mac(secret.as_bytes(), &[timestamp.as_bytes(), b".", &request.body]);
        let hex = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        (timestamp.clone(), of("v1").collect(), hex)
    };
    let fresh = timestamp.parse::<i64>().is_ok_and(|at| now.abs_diff(at) <= 300);
    if !fresh && kind != Kind::NoTimestamp {
        return false;
    }
    match kind {
        Kind::Library => {
            let mut headers = http::HeaderMap::new();
            for (name, value) in &request.headers {
                headers.insert(http::HeaderName::try_from(name.as_str()).unwrap(), value.parse().unwrap());
            }
            standardwebhooks::Webhook::new(secret).is_ok_and(|library| library.verify(&request.body, &headers).is_ok())
        }
        Kind::FirstSignatureOnly => signatures.first() == Some(&expected),
        Kind::Prefix => signatures.iter().any(|given| given.get(..16).is_some_and(|start| expected.starts_with(start))),
        _ => signatures.contains(&expected),
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    loop {
        let mut space = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut space);
        if let Ok(httparse::Status::Complete(begin)) = parsed.parse(&bytes) {
            let headers: Vec<(String, String)> = parsed
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
            if bytes.len() >= begin + length {
                let path = parsed.path.unwrap_or_default().to_owned();
                return Some(Request { path, headers, body: bytes[begin..begin + length].to_vec() });
            }
        }
        let count = stream.read(&mut block).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&block[..count]);
    }
}
