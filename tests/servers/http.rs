//! A small HTTP server on loopback for stand-ins of other people's systems: one thread a connection, no library.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A request as it came, header names in lower case.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What is answered, or that the connection is closed without a word.
#[derive(Clone)]
pub enum Answer {
    Json(u16, String),
    /// With these headers besides its length.
    Full {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// The same, which ends in the middle of the body, or of the head where there is none.
    Half {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Silence,
}

type Handler = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

/// Serves until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (handler, stopped, record): (Handler, _, _) = (Arc::new(handler), Arc::clone(&stop), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, record) = (Arc::clone(&handler), Arc::clone(&record));
                // A client that is killed in the middle is what these tests are about.
                std::thread::spawn(move || drop(serve(&handler, &record, stream)));
            }
        });
        Self { address, stop, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(handler: &Handler, seen: &Mutex<Vec<Request>>, stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        body = chunks(&mut reader)?;
    }
    let request = Request { method, target, headers, body };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    let (status, headers, body, is_whole) = match handler(&request) {
        Answer::Json(status, text) => {
            (status, vec![("content-type".to_owned(), "application/json".to_owned())], text.into_bytes(), true)
        }
        Answer::Full { status, headers, body } => (status, headers, body, true),
        Answer::Half { status, headers, body } => (status, headers, body, false),
        Answer::Silence => return Ok(()),
    };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    // What has no content may not say how long it is.
    let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!("HTTP/1.1 {status} Whatever\r\n{headers}{length}connection: close\r\n\r\n");
    let mut whole = [head.as_bytes(), &body].concat();
    if !is_whole {
        whole.truncate(head.len().min(whole.len() - 1) + body.len() / 2);
        whole.truncate(whole.len() - usize::from(body.is_empty()));
    }
    let mut stream = stream;
    stream.write_all(&whole)
}

fn chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap_or(0);
        // Each chunk is followed by a line break of its own.
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk)?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}
