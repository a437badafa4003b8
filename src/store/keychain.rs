//! `keychain:SERVICE[/ACCOUNT]`: the operating system's keychain, one entry a slot. The only user of keyring.
//!
//! Every call runs in a thread of its own under [`STORE_DEADLINE`], because a keychain that asks somebody for a
//! password waits for ever. Errors are told by their kind alone: some of keyring's carry the secret.
//!
//! An entry that is not found is no proof of absence: a keychain that was never unlocked finds nothing as well.
//! Writing to one fails, though, so a store that was proved by writing is to be trusted.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use keyring_core::{Entry, Error};
use zeroize::Zeroizing;

use super::names::{Names, Suffixes};
use super::reference::DEFAULT_ACCOUNT;
use super::{Access, Change, STORE_DEADLINE, Slot, SlotNames, Store, StoreError, bare};
use crate::advice::{Advice, Verb, advice};
use crate::secret::Secret;

const SUFFIXES: Suffixes<'static> = Suffixes { next: ".next", previous: ".previous", canary: ".whsec-check" };

/// A failure that comes later than this is a service that does not answer, which D-Bus gives up on by itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// Entries of one service.
pub struct Keychain {
    reference: String,
    service: String,
    names: Names,
}

/// One entry by itself, for what is no webhook secret: an API key, the identity of the seal. The entry is the
/// slot [`Slot::Current`].
pub fn keychain_entry(service: &str, account: &str) -> impl Store + use<> {
    Keychain {
        reference: reference(service, account),
        service: service.to_owned(),
        names: Names::own(account, &SUFFIXES),
    }
}

impl Keychain {
    /// Names the entries; the keychain is not opened. A slot's own name is an account of the same service.
    pub fn new(service: &str, account: &str, names: &SlotNames) -> Result<Self, StoreError> {
        let reference = reference(service, account);
        let names = Names::new(&reference, account, &SUFFIXES, names)?;
        Ok(Self { reference, service: service.to_owned(), names })
    }

    /// Runs a call in a thread that is left behind if it does not end in time.
    fn within_deadline<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // Nobody listens any more once the deadline is over.
            let _ = sender.send(call());
        });
        let started = Instant::now();
        let late = || StoreError::TimedOut { store: self.reference.clone(), seconds: started.elapsed().as_secs() };
        let answer = receiver.recv_timeout(STORE_DEADLINE).map_err(|_| late())?;
        answer.map_err(|trouble| match trouble {
            Trouble::Unavailable | Trouble::Failed if started.elapsed() > PATIENCE => late(),
            trouble => trouble.of(&self.reference),
        })
    }
}

impl Store for Keychain {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn slot_name(&self, slot: Slot) -> String {
        self.names.of(slot).to_owned()
    }

    fn access(&self) -> Access {
        Access::ReadWrite
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let (service, account) = (self.service.clone(), self.slot_name(slot));
        self.within_deadline(move || match entries()?.entry(&service, &account)?.get_password() {
            Ok(value) => Ok(Some(Secret::new(value)).filter(|value| !value.is_empty())),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(Trouble::from(error)),
        })
    }

    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit_values(&self.reference, changes)?;
        for (slot, value) in changes {
            let (service, account) = (self.service.clone(), self.slot_name(*slot));
            let value = value.map(|value| Zeroizing::new(value.expose().to_owned()));
            self.within_deadline(move || {
                let entry = entries()?.entry(&service, &account)?;
                let done = match value {
                    Some(value) => entry.set_password(&value),
                    None => entry.delete_credential(),
                };
                match done {
                    Err(Error::NoEntry) => Ok(()),
                    done => done.map_err(Trouble::from),
                }
            })?;
        }
        Ok(())
    }
}

fn reference(service: &str, account: &str) -> String {
    match account {
        DEFAULT_ACCOUNT => format!("keychain:{service}"),
        account => format!("keychain:{service}/{account}"),
    }
}

/// The keychain of this system, opened anew for each call: what failed once, as with a bus that is not there
/// yet, or hangs, has no part in the next.
#[cfg(target_os = "linux")]
struct Entries(std::sync::Arc<keyring_core::CredentialStore>);

#[cfg(target_os = "linux")]
fn entries() -> Result<Entries, Trouble> {
    dbus_secret_service_keyring_store::Store::new().map(|store| Entries(store)).map_err(|_| Trouble::Unavailable)
}

#[cfg(target_os = "linux")]
impl Entries {
    fn entry(&self, service: &str, account: &str) -> Result<Entry, Trouble> {
        self.0.build(service, account, None).map_err(Trouble::from)
    }
}

#[cfg(not(target_os = "linux"))]
struct Entries;

#[cfg(not(target_os = "linux"))]
fn entries() -> Result<Entries, Trouble> {
    // `keyring::Entry::new` would remember its first failure for the whole process, and say less of it.
    keyring::Entry::store_status().as_ref().map(|()| Entries).map_err(|_| Trouble::Unavailable)
}

#[cfg(not(target_os = "linux"))]
impl Entries {
    fn entry(&self, service: &str, account: &str) -> Result<Entry, Trouble> {
        Entry::new(service, account).map_err(Trouble::from)
    }
}

/// What a keychain's error comes to, with nothing of its content.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Unavailable,
    Locked,
    Failed,
    NotText,
    Ambiguous,
    Unfit,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::NoStorageAccess(_) => Self::Locked,
            Error::NoDefaultStore | Error::NotSupportedByStore(_) => Self::Unavailable,
            Error::BadEncoding(bytes) | Error::BadDataFormat(bytes, _) => {
                drop(Zeroizing::new(bytes));
                Self::NotText
            }
            Error::Ambiguous(_) => Self::Ambiguous,
            Error::TooLong(..) | Error::Invalid(..) => Self::Unfit,
            _ => Self::Failed,
        }
    }
}

impl Trouble {
    fn of(self, store: &str) -> StoreError {
        let (why, hint): (_, Advice) = match self {
            Self::Unavailable => (
                "is not there",
                "on Linux it needs a session bus and a Secret Service, such as gnome-keyring; \
                 without a desktop use `dotenv:`, `file:` or `command:`"
                    .into(),
            ),
            Self::Locked => ("is locked, or was never set up", "unlock it, then run the same command again".into()),
            Self::Failed => ("failed", advice![Verb::Doctor.alone(), " looks at it; is its service running?"]),
            Self::NotText => {
                ("holds something that is not text", "another program wrote this entry; choose another".into())
            }
            Self::Ambiguous => (
                "has two entries of this name",
                "another program made the second; remove one with the keychain's own tool, or choose another name"
                    .into(),
            ),
            Self::Unfit => ("does not take a name or value like this", "is it too long?".into()),
        };
        StoreError::Keychain { store: store.to_owned(), why: why.to_owned(), hint }
    }
}

#[cfg(test)]
#[path = "keychain_tests.rs"]
mod tests;
