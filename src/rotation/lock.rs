//! One process at a time on one endpoint: by a file's lock on this machine, by a lease where several share the journal.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::file_lock::FileLock;
use super::held::NotTaken;
pub use super::lock_error::LockError;
use super::shared::Shared;
use super::shared_error::SharedError;
use crate::time::span;

/// Held as long as the value lives, but for the time between [`Self::release`] and [`Self::reacquire`].
#[derive(Debug)]
pub enum EndpointLock {
    File(FileLock),
    Lease(Lease),
}

/// An endpoint of a shared journal. It is given back at the end, and over by itself where this process ends without that.
#[derive(Debug)]
pub struct Lease {
    journal: Rc<Shared>,
    endpoint: String,
    holder: String,
    /// The longest that a call may take.
    call: Duration,
}

impl EndpointLock {
    /// Takes the endpoint's lock in a state folder at once or fails. `holder` tells the next one who has it.
    pub fn take(state: &Path, endpoint_key: &str, holder: &str) -> Result<Self, LockError> {
        FileLock::take(state, endpoint_key, holder).map(Self::File)
    }

    /// The same in a shared journal, where calls take no longer than that.
    pub fn lease(journal: Rc<Shared>, endpoint_key: &str, holder: &str, call: Duration) -> Result<Self, LockError> {
        let lease = Lease { journal, endpoint: endpoint_key.to_owned(), holder: holder.to_owned(), call };
        lease.take().map(|()| Self::Lease(lease))
    }

    /// Lets others act on the endpoint while this process only waits.
    pub fn release(&self) {
        match self {
            Self::File(file) => file.release(),
            Self::Lease(lease) => lease.journal.give_back(&lease.endpoint),
        }
    }

    /// Whether nobody else can act on the endpoint now.
    pub fn is_held(&self) -> bool {
        match self {
            Self::File(file) => file.is_held(),
            Self::Lease(lease) => lease.journal.has(&lease.endpoint),
        }
    }

    /// Whether nobody else can act on the endpoint now, as far as that is known without asking anybody.
    pub fn is_still_held(&self) -> bool {
        match self {
            Self::File(file) => file.is_held(),
            Self::Lease(lease) => !lease.journal.left(&lease.endpoint).is_zero(),
        }
    }

    /// Takes the lock that was let go of, at once, or fails.
    pub fn reacquire(&self) -> Result<(), LockError> {
        match self {
            Self::File(file) => file.reacquire(),
            Self::Lease(lease) => lease.take(),
        }
    }

    /// Sees to it that nobody else can act on the endpoint for so long from now on, or fails.
    pub fn keep(&self, at_least: Duration) -> Result<(), SharedError> {
        match self {
            // It is held as long as this process lives.
            Self::File(_) => Ok(()),
            Self::Lease(lease) => lease.journal.keep(&lease.endpoint, at_least),
        }
    }
}

impl Lease {
    fn take(&self) -> Result<(), LockError> {
        self.journal.take(&self.endpoint, &self.holder, self.call).map_err(|why| match why {
            NotTaken::Held { holder, left } => {
                let left = span(left.try_into().unwrap_or(jiff::SignedDuration::MAX));
                LockError::Held { holder: format!("{holder}; free in {left} at the latest") }
            }
            NotTaken::Failed(error) => LockError::Shared(error),
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.journal.give_back(&self.endpoint);
    }
}
