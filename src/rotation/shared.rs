//! A journal that several machines share, as documents: its key, and what is read of it.
//!
//! Every document is one line of JSON and a stamp of the journal's key, which is in the journal itself, encrypted for its recipients:
//! whoever can write there and is none of them can take away or put back, and invent nothing.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::head::{Head, Held};
use super::row::Row;
use super::shared_error::SharedError;
use crate::documents::{Documents, DocumentsError, KEY_DIGITS, Tag};
use crate::stamp::StampKey;
use crate::store::envelope::{self, Envelope};
use crate::system::text::{hex, unhex};

/// The version of all documents.
pub const FORMAT: u64 = 1;
/// What a document's stamp is for.
const STAMPED: &str = "document";
/// What the fingerprint of the journal's key is for.
const NAMED: &str = "journal";
/// The document that says what journal it is.
const JOURNAL: &str = "journal.json";
/// How long a holder has an endpoint without a sign of life, unless a call may take longer.
const LEASE: Duration = Duration::from_secs(120);
/// Longest head, in bytes; one of a usual endpoint has a hundredth of it.
const LARGEST: usize = 2 << 20;
/// How often a document is written anew that others write meanwhile.
pub(super) const TRIES: usize = 32;

/// A shared journal, open.
#[derive(Debug)]
pub struct Shared {
    pub(super) documents: Documents,
    pub(super) stamps: StampKey,
    pub(super) about: About,
    /// The endpoints that this process has.
    pub(super) held: RefCell<BTreeMap<String, Held>>,
    /// Those that somebody else has taken from it, and who.
    pub(super) lost: RefCell<BTreeMap<String, String>>,
    /// All heads as they were at one look, for whoever asks for one after the other and changes nothing.
    looked: RefCell<Option<Vec<(Head, Duration)>>>,
    /// When it was asked last what others have done.
    pub(super) asked: Cell<Option<Duration>>,
    /// How many seals this process has named.
    seals: Cell<u64>,
    /// Rotations that this process has begun and has had to itself since: what is sealed of them is its own.
    pub(super) begun: RefCell<BTreeSet<Uuid>>,
    /// The journal that this process moves all of it to: what says that it is there is its own doing.
    pub(super) leaves_for: RefCell<Option<String>>,
}

/// The document that says what journal it is: it is made once, and again for other recipients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct About {
    id: Uuid,
    /// How long a holder has an endpoint without a sign of life, in seconds.
    pub lease: u64,
    /// Whom seals, and the key, are encrypted for.
    recipients: Vec<String>,
    /// The key of every stamp, encrypted for the recipients: in hex digits.
    key: String,
    /// The journal that all of it is in by now, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_to: Option<String>,
}

/// A head as it was found.
pub(super) struct Found {
    pub head: Head,
    pub tag: Option<Tag>,
    pub age: Duration,
}

impl Shared {
    /// Opens the journal that is there. `wanted` is the fingerprint that its key has to have, where that is said.
    pub fn open(
        documents: Documents,
        wanted: Option<&str>,
        identity: &Envelope,
        kept: &str,
    ) -> Result<Self, SharedError> {
        let mut shared = Self::open_though_moved(documents, wanted, identity, kept)?;
        match shared.about.moved_to.take() {
            Some(to) => Err(SharedError::Moved { at: shared.place().to_owned(), to }),
            None => Ok(shared),
        }
    }

    /// The same of one that may be at another place by now.
    pub fn open_though_moved(
        documents: Documents,
        wanted: Option<&str>,
        identity: &Envelope,
        kept: &str,
    ) -> Result<Self, SharedError> {
        let Some(found) = documents.read(JOURNAL)? else {
            return Err(DocumentsError::Missing { at: documents.place().to_owned() }.into());
        };
        let at = documents.place().to_owned();
        let damaged = || SharedError::Damaged { at: at.clone(), document: JOURNAL.to_owned() };
        let (json, _) = parts(&found.body).ok_or_else(damaged)?;
        refuse_newer(json, &at)?;
        let Content { content: about, .. }: Content<About> = serde_json::from_slice(json).map_err(|_| damaged())?;
        let key =
            unhex(&about.key).and_then(|cipher| identity.open(&cipher)).ok_or_else(|| SharedError::DoesNotOpen {
                at: at.clone(),
                store: kept.to_owned(),
                recipients: about.recipients.clone(),
                own: identity.recipients.last().map(ToString::to_string),
            })?;
        let stamps = std::str::from_utf8(&key).ok().and_then(StampKey::parse).ok_or_else(damaged)?;
        let mut shared = Self::of(documents, stamps, about);
        if wanted.is_some_and(|wanted| wanted != shared.fingerprint()) {
            return Err(SharedError::OtherKey { at, found: shared.fingerprint() });
        }
        shared.about = shared.opened(JOURNAL, &found.body)?;
        Ok(shared)
    }

    fn of(documents: Documents, stamps: StampKey, about: About) -> Self {
        Self {
            documents,
            stamps,
            about,
            held: RefCell::default(),
            lost: RefCell::default(),
            looked: RefCell::default(),
            asked: Cell::default(),
            seals: Cell::new(0),
            begun: RefCell::default(),
            leaves_for: RefCell::default(),
        }
    }

    /// Says in the journal itself that it is elsewhere by now, or is here again.
    pub(super) fn say_moved(&self, to: Option<&str>) -> Result<(), SharedError> {
        for _ in 0..TRIES {
            let Some(found) = self.documents.read(JOURNAL)? else { break };
            let about = self.opened::<About>(JOURNAL, &found.body)?;
            if about.moved_to.as_deref() == to {
                return Ok(());
            }
            let about = About { moved_to: to.map(str::to_owned), ..about };
            if self.documents.write_if(JOURNAL, &self.text(JOURNAL, &about)?, Some(&found.tag))?.is_some() {
                return Ok(());
            }
        }
        Err(self.contended(JOURNAL))
    }

    /// Where it is by now, as the journal itself says it this moment.
    pub(super) fn moved_by_now(&self) -> Result<Option<String>, SharedError> {
        let Some(found) = self.documents.read(JOURNAL)? else { return Err(self.damaged(JOURNAL)) };
        Ok(self.opened::<About>(JOURNAL, &found.body)?.moved_to)
    }

    /// Makes a journal; one that is there is opened, and its key is encrypted for those recipients that are new.
    pub fn make(
        documents: Documents,
        wanted: Option<&str>,
        identity: &Envelope,
        kept: &str,
    ) -> Result<Self, SharedError> {
        documents.prepare()?;
        let at = documents.place().to_owned();
        let recipients: Vec<String> = identity.recipients.iter().map(ToString::to_string).collect();
        let encrypted = |key: &StampKey, recipients: &[String]| {
            let cipher = envelope::encrypt_for(recipients, key.to_text().as_bytes());
            cipher.map(|cipher| hex(&cipher)).ok_or_else(|| SharedError::Encrypt { at: at.clone() })
        };
        let Some(found) = documents.read(JOURNAL)? else {
            // What is there was stamped with a key that is gone: another one would make all of it unreadable for good.
            let is_new = |prefix| documents.list(prefix).map(|all| all.is_empty());
            if wanted.is_some() || !is_new(HEADS)? || !is_new(OVER)? || !is_new("seals/")? {
                return Err(SharedError::Headless { at });
            }
            let stamps = StampKey::generate();
            let key = encrypted(&stamps, &recipients)?;
            let lease = LEASE.as_secs();
            let about = About { id: Uuid::new_v4(), lease, recipients, key, moved_to: None };
            let shared = Self::of(documents, stamps, about);
            let body = shared.text(JOURNAL, &shared.about)?;
            return match shared.documents.write_if(JOURNAL, &body, None)? {
                Some(_) => Ok(shared),
                // Somebody else has made one this moment.
                None => Self::open(shared.documents, wanted, identity, kept),
            };
        };
        let mut shared = Self::open(documents, wanted, identity, kept)?;
        let mut about = shared.about.clone();
        about.recipients.extend(recipients.into_iter().filter(|new| !shared.about.recipients.contains(new)));
        if about.recipients != shared.about.recipients {
            about.key = encrypted(&shared.stamps, &about.recipients)?;
            let body = shared.text(JOURNAL, &about)?;
            if shared.documents.write_if(JOURNAL, &body, Some(&found.tag))?.is_none() {
                return Err(shared.contended(JOURNAL));
            }
            shared.about = about;
        }
        Ok(shared)
    }

    /// Where it is, for people.
    pub fn place(&self) -> &str {
        self.documents.place()
    }

    /// Which journal it is.
    pub fn id(&self) -> Uuid {
        self.about.id
    }

    /// What tells its key from another one: hex digits that may be shown.
    pub fn fingerprint(&self) -> String {
        self.stamps.stamp(NAMED, &[])[..KEY_DIGITS].to_owned()
    }

    /// Whom seals are encrypted for.
    pub fn recipients(&self) -> &[String] {
        &self.about.recipients
    }

    /// What tells a seal of this process from every other one, behind those that it named before.
    pub(super) fn next_seal(&self) -> String {
        let number = self.seals.get();
        self.seals.set(number + 1);
        format!("{number:06}-{}", Uuid::new_v4().simple())
    }

    /// An endpoint's head as far as it is at hand: this process's own as it has written it, or as all were looked at; else as it is.
    /// Whoever has another one since is noticed by the next write.
    pub(super) fn head(&self, endpoint: &str) -> Result<Found, SharedError> {
        if let Some(held) = self.held.borrow().get(endpoint) {
            return Ok(Found { head: held.head.clone(), tag: Some(held.tag.clone()), age: Duration::ZERO });
        }
        if let Some(all) = &*self.looked.borrow() {
            let known = all.iter().find(|(head, _)| head.endpoint == endpoint);
            let (head, age) = known.cloned().unwrap_or_else(|| (Head::new(endpoint), Duration::ZERO));
            return Ok(Found { head, tag: None, age });
        }
        self.read_head(endpoint)
    }

    /// An endpoint's head as it is; an empty one of an endpoint of which nothing is known.
    pub(super) fn read_head(&self, endpoint: &str) -> Result<Found, SharedError> {
        let name = head_name(endpoint);
        match self.documents.read(&name)? {
            None => Ok(Found { head: Head::new(endpoint), tag: None, age: Duration::ZERO }),
            Some(found) => {
                let head: Head = self.opened(&name, &found.body)?;
                Ok(Found { head, tag: Some(found.tag), age: found.age })
            }
        }
    }

    /// The heads of all endpoints, each with how long ago it was written.
    pub(super) fn heads(&self) -> Result<Vec<(Head, Duration)>, SharedError> {
        if let Some(all) = &*self.looked.borrow() {
            return Ok(all.clone());
        }
        let all = self.documents.read_all(HEADS)?;
        all.into_iter().map(|(name, found)| Ok((self.opened(name.as_str(), &found.body)?, found.age))).collect()
    }

    /// Looks at all heads at once, for whoever asks for one after the other: until anything is written or looked at anew.
    pub fn look_at_all(&self) -> Result<(), SharedError> {
        self.forget_looked();
        let all = self.heads()?;
        *self.looked.borrow_mut() = Some(all);
        Ok(())
    }

    pub(super) fn forget_looked(&self) {
        *self.looked.borrow_mut() = None;
    }

    /// The rows that are over and in no head any more, of an endpoint or of all. One that its head still names is left out by
    /// whoever knows the head.
    pub(super) fn over(&self, endpoint: Option<&str>) -> Result<Vec<Row>, SharedError> {
        let prefix = endpoint.map_or_else(|| OVER.to_owned(), |endpoint| format!("{OVER}{}/", digest(endpoint)));
        let all = self.documents.read_all(&prefix)?;
        all.into_iter().map(|(name, found)| self.opened(name.as_str(), &found.body)).collect()
    }

    /// The same of one rotation.
    pub(super) fn one_over(&self, endpoint: &str, opened_at: &str, id: &str) -> Result<Option<Row>, SharedError> {
        let name = over_name(endpoint, opened_at, id);
        self.documents.read(&name)?.map(|found| self.opened(&name, &found.body)).transpose()
    }

    /// Writes a row that leaves its head. As long as the head names it, what is written here counts for nothing. `false` where more is
    /// recorded of it here already: then whoever read the head has read an old one.
    pub(super) fn write_over(&self, row: &Row) -> Result<bool, SharedError> {
        let name = over_name(row.key(), &row.opened_at, &row.id);
        let body = self.text(&name, row)?;
        for _ in 0..TRIES {
            let found = self.documents.read(&name)?;
            if let Some(found) = &found {
                let there: Row = self.opened(&name, &found.body)?;
                let (there, ours) = (&there.events, &row.events);
                match there.len() < ours.len() {
                    true if ours.starts_with(there) => {}
                    false if there.starts_with(ours) => return Ok(there.len() == ours.len()),
                    _ => return Err(self.damaged(&name)),
                }
            }
            if self.documents.write_if(&name, &body, found.as_ref().map(|found| &found.tag))?.is_some() {
                return Ok(true);
            }
        }
        Err(self.contended(&name))
    }

    /// What a document says in its first line; the second is its stamp, which is of its name too.
    fn opened<T: DeserializeOwned>(&self, name: &str, body: &[u8]) -> Result<T, SharedError> {
        let damaged = || self.damaged(name);
        let (json, stamp) = parts(body).ok_or_else(damaged)?;
        if !self.stamps.vouches(STAMPED, &[name.as_bytes(), json], stamp) {
            return Err(damaged());
        }
        refuse_newer(json, self.place())?;
        let content: Content<T> = serde_json::from_slice(json).map_err(|_| damaged())?;
        Ok(content.content)
    }

    pub(super) fn text(&self, name: &str, content: &impl Serialize) -> Result<Vec<u8>, SharedError> {
        let json = serde_json::to_vec(&Content { format: FORMAT, content }).map_err(|_| self.damaged(name))?;
        if json.len() > LARGEST {
            return Err(DocumentsError::TooLarge { name: name.to_owned() }.into());
        }
        let stamp = self.stamps.stamp(STAMPED, &[name.as_bytes(), &json]);
        Ok([&json, b"\n".as_slice(), stamp.as_bytes()].concat())
    }

    pub(super) fn damaged(&self, document: &str) -> SharedError {
        SharedError::Damaged { at: self.place().to_owned(), document: document.to_owned() }
    }

    pub(super) fn contended(&self, document: &str) -> SharedError {
        SharedError::Contended { at: self.place().to_owned(), document: document.to_owned() }
    }
}

/// What every document says first.
#[derive(Serialize, Deserialize)]
struct Content<T> {
    format: u64,
    #[serde(flatten)]
    content: T,
}

/// A document's format alone, which a newer whsec's has too.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

fn refuse_newer(json: &[u8], at: &str) -> Result<(), SharedError> {
    match serde_json::from_slice(json) {
        Ok(Format { format }) if format > FORMAT => {
            Err(SharedError::Newer { at: at.to_owned(), found: format, known: FORMAT })
        }
        _ => Ok(()),
    }
}

/// The two lines of a document.
fn parts(body: &[u8]) -> Option<(&[u8], &str)> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    Some((&body[..end], std::str::from_utf8(&body[end + 1..]).ok()?))
}

const HEADS: &str = "heads/";
const OVER: &str = "closed/";

/// The document of an endpoint's head.
pub(super) fn head_name(endpoint: &str) -> String {
    format!("{HEADS}{}.json", digest(endpoint))
}

fn over_name(endpoint: &str, opened_at: &str, id: &str) -> String {
    format!("{OVER}{}/{opened_at}-{id}.json", digest(endpoint))
}

/// An endpoint's key as a name of documents: it may be long, and hold letters that names may not.
fn digest(endpoint: &str) -> String {
    hex(&Sha256::digest(endpoint.as_bytes())[..12])
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
