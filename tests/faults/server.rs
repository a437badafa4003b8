//! One scripted server that can do everything wrong: bytes on a socket, no HTTP library.
//!
//! It stands before the stand-in, which knows what a true answer looks like and counts what was rotated. Calls that
//! only look are passed on as they are; what happens to each rotate call is what the script says.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What happens to one rotate call.
#[derive(Clone, Debug)]
pub enum Act {
    /// The provider does it and answers as it should.
    Honest,
    /// Closed before a byte of it is read; not done.
    CloseUnread,
    /// Accepted and never read; not done.
    HoldUnread,
    /// Read, not done, then this.
    Refuse(Then),
    /// Done, then this.
    Commit(Then),
}

/// What is written, and how it ends.
#[derive(Clone, Debug)]
pub enum Then {
    /// These bytes, then closed.
    Send(Vec<u8>),
    /// These bytes, then nothing for ever.
    Hold(Vec<u8>),
    /// The first bytes, then the chunk again and again.
    Drip { head: Vec<u8>, chunk: Vec<u8>, every: Duration },
    /// The true answer, changed, then closed.
    Change(fn(&[u8]) -> Vec<u8>),
    /// The true answer, changed, then nothing for ever.
    ChangeAndHold(fn(&[u8]) -> Vec<u8>),
    /// The true answer, changed, a byte at a time.
    Slowly { change: fn(&[u8]) -> Vec<u8>, every: Duration },
}

/// What is done when a rotate call arrives, before anything else.
pub type Hook = Box<dyn FnMut() + Send>;

struct Shared {
    backend: SocketAddr,
    /// The acts to come; the last one is done again and again.
    script: Mutex<VecDeque<Act>>,
    /// Rotate calls as they came, whole, with when.
    calls: Mutex<Vec<(Instant, Vec<u8>)>>,
    /// Rotate calls that came, read or not.
    arrivals: AtomicUsize,
    hook: Mutex<Option<Hook>>,
    after: Mutex<Option<Hook>>,
    stop: AtomicBool,
}

pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Before this backend, with every rotate call done honestly until a script says otherwise.
    pub fn start(backend: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            backend,
            script: Mutex::new(VecDeque::from([Act::Honest])),
            calls: Mutex::default(),
            arrivals: AtomicUsize::new(0),
            hook: Mutex::default(),
            after: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.stop.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&served);
                // A client that goes away in the middle is what these tests are about.
                std::thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
        Self { address, shared }
    }

    /// What happens to the next rotate calls; the last act is done from then on.
    pub fn script(&self, acts: &[Act]) {
        *lock(&self.shared.script) = acts.iter().cloned().collect();
    }

    /// Runs this once, when the next rotate call has been read.
    pub fn when_called(&self, hook: impl FnMut() + Send + 'static) {
        *lock(&self.shared.hook) = Some(Box::new(hook));
    }

    /// Runs this once, when the provider has done the next rotate call and not yet answered it.
    pub fn when_done(&self, hook: impl FnMut() + Send + 'static) {
        *lock(&self.shared.after) = Some(Box::new(hook));
    }

    /// How many rotate calls came, read or not.
    pub fn arrivals(&self) -> usize {
        self.shared.arrivals.load(Ordering::SeqCst)
    }

    /// The rotate calls that were read, byte for byte.
    pub fn calls(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.calls).iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// The time between one rotate call and the next.
    pub fn gaps(&self) -> Vec<Duration> {
        lock(&self.shared.calls).windows(2).map(|pair| pair[1].0.duration_since(pair[0].0)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // The listener's thread looks at the flag at its next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(shared: &Shared, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut start = [0_u8; 512];
    let begun = Instant::now();
    let line = loop {
        let count = stream.peek(&mut start)?;
        let seen = &start[..count];
        if let Some(end) = seen.iter().position(|byte| *byte == b'\n') {
            break String::from_utf8_lossy(&seen[..end]).into_owned();
        }
        if count == 0 || count == start.len() || begun.elapsed() > Duration::from_secs(5) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    if !is_rotation(&line) {
        let request = read_request(&mut stream)?;
        return stream.write_all(&pass_on(shared.backend, &request)?);
    }
    shared.arrivals.fetch_add(1, Ordering::SeqCst);
    let act = {
        let mut script = lock(&shared.script);
        if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
    };
    let act = act.unwrap_or(Act::Honest);
    match act {
        Act::CloseUnread => return Ok(()),
        Act::HoldUnread => {
            hold(shared, None);
            return Ok(());
        }
        _ => {}
    }
    let request = read_request(&mut stream)?;
    lock(&shared.calls).push((Instant::now(), request.clone()));
    if let Some(mut hook) = lock(&shared.hook).take() {
        hook();
    }
    let (honest, then) = match act {
        Act::Refuse(then) => (Vec::new(), then),
        Act::Commit(then) => (pass_on(shared.backend, &request)?, then),
        _ => (pass_on(shared.backend, &request)?, Then::Change(<[u8]>::to_vec)),
    };
    if let Some(mut hook) = lock(&shared.after).take() {
        hook();
    }
    match then {
        Then::Send(bytes) => stream.write_all(&bytes),
        Then::Change(change) => stream.write_all(&change(&honest)),
        Then::Hold(bytes) => {
            stream.write_all(&bytes)?;
            hold(shared, Some(stream));
            Ok(())
        }
        Then::ChangeAndHold(change) => {
            stream.write_all(&change(&honest))?;
            hold(shared, Some(stream));
            Ok(())
        }
        Then::Slowly { change, every } => {
            stream.set_nodelay(true)?;
            for byte in change(&honest) {
                stream.write_all(&[byte])?;
                std::thread::sleep(every);
            }
            Ok(())
        }
        Then::Drip { head, chunk, every } => {
            stream.write_all(&head)?;
            while !shared.stop.load(Ordering::SeqCst) {
                stream.write_all(&chunk)?;
                std::thread::sleep(every);
            }
            Ok(())
        }
    }
}

/// Keeps a connection open until the client goes, or the server does.
fn hold(shared: &Shared, stream: Option<TcpStream>) {
    let begun = Instant::now();
    while !shared.stop.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
        if let Some(stream) = &stream {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
            match stream.peek(&mut [0]) {
                Ok(0) => return,
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                _ => {}
            }
        } else if begun.elapsed() > Duration::from_secs(8) {
            return;
        }
    }
}

/// The rotate calls of all five providers, by their request line.
pub fn is_rotation(line: &str) -> bool {
    line.starts_with("PATCH ") || (line.starts_with("POST ") && line.contains("rotate-secret"))
}

/// Reads one request, body and all.
pub fn read_request(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            if request.len() >= end + 4 + length {
                return Ok(request);
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Lets the backend answer a request, and returns the answer whole.
pub fn pass_on(backend: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(backend)?;
    let line = request.windows(2).position(|window| window == b"\r\n").unwrap_or(0);
    stream.write_all(&[&request[..line], b"\r\nConnection: close", &request[line..]].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The body of an answer as it came.
pub fn body(answer: &[u8]) -> &[u8] {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    &answer[head..]
}

/// An answer with this status, these headers and this body.
pub fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listener that should never hear anything, and counts what it does hear.
pub struct Elsewhere {
    pub address: SocketAddr,
    heard: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Elsewhere {
    /// At this address, on a free port.
    pub fn at(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (bytes, count) = (Arc::clone(&heard), Arc::clone(&connections));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                let mut buffer = [0_u8; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    bytes.fetch_add(read, Ordering::SeqCst);
                }
            }
        });
        Self { address, heard, connections }
    }

    /// Bytes heard and connections made.
    pub fn heard(&self) -> (usize, usize) {
        (self.heard.load(Ordering::SeqCst), self.connections.load(Ordering::SeqCst))
    }
}
