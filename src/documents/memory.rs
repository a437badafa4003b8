//! Documents in memory, for tests: shared by as many hands as hold it, with a clock that is set, and whims.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::{Backend, Document, Documents, DocumentsError, Tag};

/// Documents in memory; clones are the same ones.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    documents: BTreeMap<String, Written>,
    writes: u64,
    now: Duration,
    whim: Option<Whim>,
    seen: usize,
    lie: Option<Lie>,
}

struct Written {
    body: Vec<u8>,
    tag: u64,
    at: Duration,
}

/// How a place does not keep what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It writes whatever was there before.
    IgnoresWhatWas,
    /// It writes again what is new only where there is something.
    IgnoresThatThereIs,
    /// It does not list what it has.
    ListsNothing,
    /// It does not remove what it has.
    RemovesNothing,
    /// What was written this moment is an hour old.
    WrongClock,
}

/// What goes wrong with a request, by its number.
pub type Whim = Box<dyn FnMut(usize) -> Mishap + Send>;

/// What goes wrong with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    None,
    /// It does not arrive.
    Unsent,
    /// It arrives, and the answer does not.
    Unanswered,
}

impl Memory {
    /// The same documents, as a place.
    pub fn open(&self) -> Documents {
        Documents {
            backend: Backend::Memory(self.clone()),
            at: "memory:".to_owned(),
            renew: None,
            pause: Duration::ZERO,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    /// Lets the place lie: about what was there before a write, or about what is there.
    pub fn lies(&self, lie: Lie) {
        self.held().lie = Some(lie);
    }

    /// Lets time pass at the place.
    pub fn age(&self, by: Duration) {
        self.held().now += by;
    }

    /// Lets requests go wrong from here on.
    pub fn with_whim(&self, whim: impl FnMut(usize) -> Mishap + Send + 'static) {
        self.held().whim = Some(Box::new(whim));
    }

    pub fn without_whim(&self) {
        self.held().whim = None;
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.held().seen
    }

    /// Changes a document behind everybody's back.
    pub fn tamper(&self, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let mut held = self.held();
        let written = held.documents.get_mut(name).unwrap();
        written.body = change(std::mem::take(&mut written.body));
    }

    /// Everything that is there, for a look for secrets.
    pub fn bodies(&self) -> Vec<(String, Vec<u8>)> {
        let held = self.held();
        held.documents.iter().map(|(name, written)| (name.clone(), written.body.clone())).collect()
    }

    fn request<T>(&self, act: impl FnOnce(&mut Held) -> T) -> Result<T, DocumentsError> {
        let mut whim = self.held().whim.take();
        let number = self.held().seen;
        self.held().seen += 1;
        let mishap = whim.as_mut().map_or(Mishap::None, |whim| whim(number));
        let mut held = self.held();
        held.whim = whim;
        let lost = || DocumentsError::Unreachable { at: "memory:".to_owned(), why: format!("{mishap:?}") };
        match mishap {
            Mishap::Unsent => Err(lost()),
            Mishap::None => Ok(act(&mut held)),
            Mishap::Unanswered => {
                act(&mut held);
                Err(lost())
            }
        }
    }

    pub fn read(&self, name: &str) -> Result<Option<Document>, DocumentsError> {
        self.request(|held| held.documents.get(name).map(|written| written.document(held.now)))
    }

    pub fn read_all(&self, prefix: &str) -> Result<Vec<(String, Document)>, DocumentsError> {
        self.request(|held| {
            let begin = held.documents.iter().filter(|(name, _)| name.starts_with(prefix));
            begin.map(|(name, written)| (name.clone(), written.document(held.now))).collect()
        })
    }

    pub fn list(&self, prefix: &str) -> Result<Vec<(String, Tag)>, DocumentsError> {
        let mut all = self.read_all(prefix)?;
        all.retain(|_| self.held().lie != Some(Lie::ListsNothing));
        Ok(all.into_iter().map(|(name, document)| (name, document.tag)).collect())
    }

    pub fn write_if(&self, name: &str, body: &[u8], before: Option<&Tag>) -> Result<Option<Tag>, DocumentsError> {
        self.request(|held| {
            let found = held.documents.get(name).map(|written| Tag(written.tag.to_string()));
            let is_ignored = match held.lie {
                Some(Lie::IgnoresWhatWas) => before.is_some(),
                Some(Lie::IgnoresThatThereIs) => before.is_none(),
                _ => false,
            };
            if found.as_ref() != before && !is_ignored {
                return None;
            }
            held.writes += 1;
            let hour = Duration::from_secs(3600);
            held.now += if held.lie == Some(Lie::WrongClock) { hour } else { Duration::ZERO };
            let (tag, at) =
                (held.writes, held.now.saturating_sub(if held.lie.is_some() { hour } else { Duration::ZERO }));
            held.documents.insert(name.to_owned(), Written { body: body.to_owned(), tag, at });
            Some(Tag(tag.to_string()))
        })
    }

    pub fn delete(&self, name: &str) -> Result<(), DocumentsError> {
        self.request(|held| {
            if held.lie != Some(Lie::RemovesNothing) {
                held.documents.remove(name);
            }
        })
    }
}

impl Written {
    fn document(&self, now: Duration) -> Document {
        Document { body: self.body.clone(), tag: Tag(self.tag.to_string()), age: now.saturating_sub(self.at) }
    }
}
