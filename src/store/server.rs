//! Servers that keep secrets: one request, sent once, within a deadline, with errors that hold nothing of it; and the
//! files that say who asks.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use uuid::Uuid;
use zeroize::Zeroizing;

use super::{SERVER_DEADLINE, StoreError};
use crate::http::{self, Call, Connections, Failure, Options, Received};
use crate::system::FileError;

/// Between a server's region and whose account it is, and between that and who asks.
const ACCOUNT: &str = ", account ";
const CALLER: &str = " as ";

/// A server on which an account of one's own is what tells it from others.
pub(super) fn of_account(server: &str, account: &str, caller: &str) -> String {
    format!("{server}{ACCOUNT}{account}{CALLER}{caller}")
}

/// Whether the server that is there now is the one that a rotation was begun with. Who asks may differ: a colleague, or the
/// same person's next login. A rotation that was begun when no account was recorded is compared without one.
pub(super) fn is_same(begun: &str, now: &str) -> bool {
    let place = |server: &str| match server.rsplit_once(CALLER) {
        Some((place, _)) if place.contains(ACCOUNT) => place.to_owned(),
        _ => server.to_owned(),
    };
    let (begun, now) = (place(begun), place(now));
    begun == now || now.strip_prefix(&begun).is_some_and(|rest| rest.starts_with(ACCOUNT))
}

/// What to do where a server takes no more calls for now.
pub(super) const ASKED_TOO_OFTEN: &str = "it is asked too often; run the same command again in a while";

/// The longest file that is read to find out who asks, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// A server and the ways to it, which are set up when they are first needed.
pub(super) struct Server {
    store: String,
    /// As messages name it, such as `Vault at https://vault.example:8200`.
    pub name: String,
    ca: Option<Vec<u8>>,
    deadline: Duration,
    connections: OnceLock<Connections>,
}

impl Server {
    /// Opens no connection. `ca` is a further certificate authority, as PEM.
    pub fn new(store: &str, name: String, ca: Option<Vec<u8>>) -> Self {
        Self { store: store.to_owned(), name, ca, deadline: SERVER_DEADLINE, connections: OnceLock::new() }
    }

    /// One that is near, or not there at all.
    pub fn within(store: &str, name: String, deadline: Duration) -> Self {
        Self { deadline, ..Self::new(store, name, None) }
    }

    /// Sends a request and takes a whole answer, whatever it says.
    pub fn call(&self, call: Call<'_>) -> Result<Received, StoreError> {
        let connections = match self.connections.get() {
            Some(connections) => connections,
            None => {
                let options = Options { timeout: self.deadline, ca: self.ca.clone() };
                let made = Connections::new(&options).map_err(|why| {
                    let why = format!("the certificate authority for {} cannot be read: {why}", self.name);
                    self.refused(&why, "name a file of PEM certificates")
                })?;
                self.connections.get_or_init(|| made)
            }
        };
        let (store, server) = (self.store.clone(), self.name.clone());
        match http::call(connections, call, Instant::now() + self.deadline) {
            Ok(received) if received.complete => Ok(received),
            Ok(_) => Err(StoreError::NoAnswer { store, server, why: "it ended too early".to_owned() }),
            Err(Failure::NotSent(why)) => Err(StoreError::Unreachable { store, server, why }),
            Err(Failure::Unknown(why)) => Err(StoreError::NoAnswer { store, server, why }),
        }
    }

    /// The server's no, in our words.
    pub fn refused(&self, why: &str, hint: &str) -> StoreError {
        StoreError::Refused { store: self.store.clone(), why: why.to_owned(), hint: hint.into() }
    }

    /// An answer that is none of those we know, told by its status alone.
    pub fn unexpected(&self, status: u16) -> StoreError {
        let hint = match status {
            429 => return self.busy(format!("status {status}"), ASKED_TOO_OFTEN),
            500..=599 => {
                return self.busy(format!("status {status}"), "it is not well; run the same command again in a while");
            }
            300..=399 => "whsec follows no redirects; name the server that answers itself",
            _ => "is this the right server?",
        };
        self.refused(&format!("{} answered with status {status}", self.name), hint)
    }

    /// An answer that says that a later call may be taken.
    pub fn busy(&self, said: String, hint: &'static str) -> StoreError {
        StoreError::Busy { store: self.store.clone(), server: self.name.clone(), said, hint }
    }
}

/// What came of writing on condition that nobody else had written since.
pub(super) enum Written {
    Done,
    SomebodyWasFaster,
}

/// The longest pause before writing once more, for each time that somebody was faster.
const PAUSE: Duration = Duration::from_millis(20);

/// A pause that differs from everybody else's, so that several writers do not meet again and again.
fn pause(times: u32) -> Duration {
    let [chance, ..] = Uuid::new_v4().into_bytes();
    PAUSE * times * u32::from(chance) / u32::from(u8::MAX)
}

/// Changes what is kept at a version: `prepare` reads it and works out what to write, `None` where nothing is to be changed,
/// and `write` does it on condition of the version that was read. That condition makes it safe to look and, if need be, to
/// write again where an answer was lost, once.
pub(super) fn change_at_version<T>(
    store: &str,
    attempts: u32,
    prepare: impl Fn() -> Result<Option<T>, StoreError>,
    write: impl Fn(T) -> Result<Written, StoreError>,
) -> Result<(), StoreError> {
    let mut lost = None;
    for attempt in 1..=attempts {
        let Some(wanted) = prepare()? else { return Ok(()) };
        match write(wanted) {
            Ok(Written::Done) => return Ok(()),
            Ok(Written::SomebodyWasFaster) => sleep(pause(attempt)),
            Err(error @ StoreError::NoAnswer { .. }) if lost.is_none() => lost = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(lost.unwrap_or(StoreError::Contended { store: store.to_owned() }))
}

/// Reads a file that says who asks or whom to trust; `None` where there is none.
pub(super) fn file(store: &str, path: &Path) -> Result<Option<Zeroizing<String>>, StoreError> {
    let failed = |source| StoreError::file(store)(FileError::failed("read", path, source));
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_FILE).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_a_rotation_keeps_to_its_account_whoever_goes_on_with_it() {
        let begun = of_account("AWS eu-west-1", "111122223333", "arn:aws:sts::111122223333:assumed-role/ops/ada");
        for (now, same) in [
            (begun.clone(), true),
            (of_account("AWS eu-west-1", "111122223333", "arn:aws:sts::111122223333:assumed-role/ops/bob"), true),
            (of_account("AWS eu-west-1", "444455556666", "arn:aws:sts::444455556666:assumed-role/ops/ada"), false),
            (of_account("AWS eu-west-2", "111122223333", "arn:aws:iam::111122223333:user/ada"), false),
            ("AWS eu-west-1".to_owned(), false),
        ] {
            assert_eq!(is_same(&begun, &now), same, "{now}");
            // What version 0.1.0 recorded has the region only.
            assert_eq!(is_same("AWS eu-west-1", &now), !now.contains("eu-west-2"), "{now}");
        }
        assert!(!is_same("AWS eu-west", &begun) && !is_same("https://a.example", "https://a.example.com"));
    }
}
