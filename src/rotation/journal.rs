//! Rotations and their events, wherever they are kept: in this state folder, or where several machines share them.
//!
//! It never holds a secret or an API key. Whatever is read and is not as it was written is refused.

use std::path::Path;
use std::rc::Rc;

use jiff::Timestamp;
use uuid::Uuid;

pub use super::journal_error::JournalError;
use super::left;
use super::local::Local;
use super::shared::Shared;
use super::{Entry, Event, Plan, Rotation};
use crate::stamp::StampKey;

/// The journal, open.
#[derive(Debug)]
pub enum Journal {
    Local(Local),
    Shared(Rc<Shared>),
}

/// How far the journal had come at one moment, as this process saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(i64);

/// The same of either.
macro_rules! either {
    ($self:ident, $journal:ident => $asked:expr) => {
        match $self {
            Self::Local($journal) => $asked,
            Self::Shared($journal) => $asked,
        }
    };
}

impl Journal {
    /// Opens or creates the journal of a state folder that exists.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        left::refuse(folder)?;
        Local::open(folder).map(Self::Local)
    }

    /// The same of one that has moved to another place, to be moved back.
    pub fn open_though_moved(folder: &Path) -> Result<Self, JournalError> {
        Local::open(folder).map(Self::Local)
    }

    /// Where the journal of a state folder is by now, if it has moved.
    pub fn moved_to(folder: &Path) -> Result<Option<String>, JournalError> {
        left::moved_to(folder)
    }

    /// The same for looking only: where the folder is read-only, a journal that takes no events.
    pub fn open_to_look(folder: &Path) -> Result<Self, JournalError> {
        left::refuse(folder)?;
        Local::open_to_look(folder).map(Self::Local)
    }

    /// The journal that several machines share, where it is one.
    pub fn shared(&self) -> Option<&Rc<Shared>> {
        match self {
            Self::Local(_) => None,
            Self::Shared(shared) => Some(shared),
        }
    }

    /// Makes events durable at once and folds them into the rotation. The first ones of a rotation also record
    /// it as open, with its plan; that fails where another rotation of the endpoint is open, unless its plan says that it
    /// replaces that one. The other is closed together with what records that the provider has carried this one out.
    pub fn append(
        &self,
        rotation: &mut Rotation,
        by: &str,
        now: Timestamp,
        events: &[Event],
    ) -> Result<(), JournalError> {
        let entries = entries(by, now, events);
        either!(self, journal => journal.append(rotation, &entries))
    }

    /// The same for what a power cut may take back, because whoever goes on comes to it again: the next append that is durable
    /// makes it so. Others on this machine read it at once; where machines share the journal, with that append.
    pub fn append_soon(
        &self,
        rotation: &mut Rotation,
        by: &str,
        now: Timestamp,
        events: &[Event],
    ) -> Result<(), JournalError> {
        let entries = entries(by, now, events);
        match self {
            Self::Local(journal) => journal.append_soon(rotation, &entries),
            Self::Shared(journal) => journal.append_soon(rotation, &entries),
        }
    }

    /// The key that this journal is stamped with.
    pub fn stamps(&self) -> &StampKey {
        match self {
            Self::Local(journal) => journal.stamps(),
            Self::Shared(journal) => journal.stamps(),
        }
    }

    /// What changes whenever another process has written. `None` where that cannot be told.
    pub fn version_at_hand(&self) -> Option<Version> {
        either!(self, journal => journal.version_at_hand()).map(Version)
    }

    /// Fails where the journal is not the one any more that was opened.
    pub fn in_place(&self) -> Result<(), JournalError> {
        match self {
            Self::Local(journal) => journal.in_place(),
            Self::Shared(_) => Ok(()),
        }
    }

    /// Whether it is time to ask once more what others have done: each second on this machine, and where every question goes over
    /// a network four times a minute.
    pub fn is_asked_again(&self) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Shared(journal) => journal.is_asked_again(),
        }
    }

    /// The open rotation of an endpoint; where another is pending beside it, that one. Whatever is wrong with those that are over
    /// does not hide it.
    pub fn find_open(&self, endpoint: &str) -> Result<Option<Rotation>, JournalError> {
        either!(self, journal => journal.find_open(endpoint))
    }

    /// The open rotations of an endpoint, newest first.
    pub fn open_of(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        either!(self, journal => journal.open_of(endpoint))
    }

    /// The rotations of an endpoint that anything still depends on, newest first: what is said of it by them is what is said
    /// by all.
    pub fn standing_of(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        either!(self, journal => journal.standing_of(endpoint))
    }

    /// Looks at all endpoints at once where that is fewer questions, for whoever asks for one after the other and changes nothing.
    pub fn look_at_all(&self) -> Result<(), JournalError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Shared(journal) => Ok(journal.look_at_all()?),
        }
    }

    /// All open rotations, oldest first.
    pub fn open_rotations(&self) -> Result<Vec<Rotation>, JournalError> {
        either!(self, journal => journal.open_rotations())
    }

    /// All rotations of an endpoint, newest first.
    pub fn of_endpoint(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        either!(self, journal => journal.of_endpoint(endpoint))
    }

    /// The keys of all endpoints of which anything is recorded.
    pub fn endpoints(&self) -> Result<Vec<String>, JournalError> {
        either!(self, journal => journal.endpoints())
    }

    /// One rotation of an endpoint by its id.
    pub fn find(&self, endpoint: &str, id: Uuid) -> Result<Option<Rotation>, JournalError> {
        match self {
            Self::Local(journal) => journal.find(id),
            Self::Shared(journal) => journal.find(endpoint, id),
        }
    }

    /// Brings the keys of endpoints in line with what descriptions say of them now: those of all open rotations, and once
    /// those that an earlier whsec has written. `key` yields nothing where it cannot tell, and then the key stays. Where two
    /// open rotations turn out to be of one endpoint, both stay, and are found by its key.
    ///
    /// In a shared journal keys stay as they were begun: a document cannot be renamed while others may write it.
    pub fn identify(&self, key: &dyn Fn(&Plan) -> Option<String>) -> Result<(), JournalError> {
        match self {
            Self::Local(journal) => journal.identify(key),
            Self::Shared(_) => Ok(()),
        }
    }

    /// The newest few rotations of every other endpoint whose plan is wanted: what a slot of theirs holds is their doing.
    pub fn newest_of_others(
        &self,
        endpoint: &str,
        is_wanted: &dyn Fn(&Plan) -> bool,
    ) -> Result<Vec<Rotation>, JournalError> {
        either!(self, journal => journal.newest_of_others(endpoint, is_wanted))
    }

    /// Closed rotations since a moment, oldest first.
    pub fn closed_since(&self, since: Timestamp) -> Result<Vec<Rotation>, JournalError> {
        either!(self, journal => journal.closed_since(since))
    }

    /// Fails where anything that is recorded is not as it was written, whoever asks for it or not.
    pub fn verify(&self) -> Result<(), JournalError> {
        either!(self, journal => journal.verify())
    }
}

fn entries(by: &str, now: Timestamp, events: &[Event]) -> Vec<Entry> {
    events.iter().map(|event| Entry { at: now, by: by.to_owned(), event: event.clone() }).collect()
}
