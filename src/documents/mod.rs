//! Documents that several machines share: small texts under names, each written only as the next after the one that was read.
//!
//! Four verbs, and whoever stands above needs no others: `read`, `write_if`, `list`, `delete`. That a write is refused unless it
//! follows what was read is all the safety there is; no lock is held anywhere. What they say is not known here.

use std::fmt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub use error::DocumentsError;
pub use location::{BadLocation, KEY_DIGITS, Location, Login, Place};
#[cfg(test)]
pub use memory::{Lie, Memory, Mishap};
pub use objects::{Access, Bucket, Versions};
pub use proof::prove;

mod error;
mod location;
#[cfg(test)]
mod memory;
mod objects;
mod postgres;
mod proof;

/// How long a place is tried that cannot be reached, and the pause between two tries.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is tried in that time.
const TRIES: u32 = 3;

/// Longest body that is read or written, in bytes.
pub const LARGEST: usize = 4 << 20;

/// A place of documents, open.
pub struct Documents {
    backend: Backend,
    at: String,
    /// Lets in whoever was let in before, where that has ended.
    renew: Option<Renew>,
    /// Between two tries.
    pause: Duration,
}

/// Finds out anew who asks, where that can be done.
type Renew = Box<dyn Fn() -> Option<Login>>;

enum Backend {
    Objects(Box<objects::Objects>),
    Postgres(Box<postgres::Postgres>),
    #[cfg(test)]
    Memory(memory::Memory),
}

/// What tells one state of a document from every other one that it ever had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag(String);

/// A document as it is.
#[derive(Clone, Debug)]
pub struct Document {
    pub body: Vec<u8>,
    pub tag: Tag,
    /// How long ago it was written, by the place's own clock: no other clock has a say.
    pub age: Duration,
}

impl Documents {
    /// Where a location leads, with what is needed to be let in. Nothing is reached yet.
    pub fn at(location: &Location, login: Login) -> Result<Self, DocumentsError> {
        let at = location.to_string();
        let backend = match (location.place(), login) {
            (Place::Postgres(server), Login::Postgres(login)) => {
                Backend::Postgres(Box::new(postgres::Postgres::new(at.clone(), server, login)?))
            }
            (Place::Objects(bucket), Login::Objects(access)) => {
                Backend::Objects(Box::new(objects::Objects::new(at.clone(), bucket, access)?))
            }
            _ => return Err(DocumentsError::Unfit { at, why: "who asks is known elsewhere only".to_owned() }),
        };
        Ok(Self { backend, at, renew: None, pause: PAUSE })
    }

    /// The same with a way to go on once credentials have expired, as they do in the hours that a countdown may last.
    pub fn renewed_by(self, renew: impl Fn() -> Option<Login> + 'static) -> Self {
        Self { renew: Some(Box::new(renew)), ..self }
    }

    /// Where they are, for people.
    pub fn place(&self) -> &str {
        &self.at
    }

    /// Makes the place ready to be written to for the first time; where it is already, nothing happens.
    pub fn prepare(&self) -> Result<(), DocumentsError> {
        match &self.backend {
            Backend::Postgres(postgres) => self.patiently(|| postgres.prepare()),
            // A bucket is made by whoever answers for who may do what in it.
            Backend::Objects(_) => Ok(()),
            #[cfg(test)]
            Backend::Memory(_) => Ok(()),
        }
    }

    /// What speaks against keeping a journal there, though it works: in words, one each.
    pub fn doubts(&self) -> Result<Vec<String>, DocumentsError> {
        match &self.backend {
            Backend::Postgres(postgres) => self.patiently(|| postgres.doubts()),
            Backend::Objects(_) => Ok(Vec::new()),
            #[cfg(test)]
            Backend::Memory(_) => Ok(Vec::new()),
        }
    }

    /// What becomes of a document's older states, where the place may keep them: no journal needs that, and people may.
    pub fn versions(&self) -> Option<Versions> {
        match &self.backend {
            Backend::Objects(objects) => Some(objects.versions()),
            _ => None,
        }
    }

    /// A document, if there is one of this name.
    pub fn read(&self, name: &str) -> Result<Option<Document>, DocumentsError> {
        self.patiently(|| self.read_once(name))
    }

    /// All documents whose names begin so, with their names, sorted.
    pub fn read_all(&self, prefix: &str) -> Result<Vec<(String, Document)>, DocumentsError> {
        self.patiently(|| match &self.backend {
            Backend::Postgres(postgres) => postgres.read_all(prefix),
            Backend::Objects(objects) => objects.read_all(prefix),
            #[cfg(test)]
            Backend::Memory(memory) => memory.read_all(prefix),
        })
    }

    /// The names that begin so, sorted, each with what tells its state.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, Tag)>, DocumentsError> {
        self.patiently(|| match &self.backend {
            Backend::Postgres(postgres) => postgres.list(prefix),
            Backend::Objects(objects) => objects.list(prefix),
            #[cfg(test)]
            Backend::Memory(memory) => memory.list(prefix),
        })
    }

    /// Writes a document as the next after `before`, or as the first of its name. `None` where it is not as it was any more.
    ///
    /// Where the answer is lost the document is read: the body says whether it is this one, so no two writes may have the same.
    pub fn write_if(&self, name: &str, body: &[u8], before: Option<&Tag>) -> Result<Option<Tag>, DocumentsError> {
        if body.len() > LARGEST {
            return Err(DocumentsError::TooLarge { name: name.to_owned() });
        }
        let mut is_first = true;
        self.patiently(|| {
            let write = match &self.backend {
                Backend::Postgres(postgres) => postgres.write_if(name, body, before),
                Backend::Objects(objects) => objects.write_if(name, body, before),
                #[cfg(test)]
                Backend::Memory(memory) => memory.write_if(name, body, before),
            };
            if !std::mem::replace(&mut is_first, false) && matches!(write, Ok(None)) {
                let found = self.read_once(name)?;
                return Ok(found.filter(|found| found.body == body).map(|found| found.tag));
            }
            write
        })
    }

    /// Removes a document; none there is as good.
    pub fn delete(&self, name: &str) -> Result<(), DocumentsError> {
        self.patiently(|| match &self.backend {
            Backend::Postgres(postgres) => postgres.delete(name),
            Backend::Objects(objects) => objects.delete(name),
            #[cfg(test)]
            Backend::Memory(memory) => memory.delete(name),
        })
    }

    /// Tries again what may work a moment later.
    fn patiently<T>(&self, mut act: impl FnMut() -> Result<T, DocumentsError>) -> Result<T, DocumentsError> {
        let begun = Instant::now();
        let (mut tries, mut is_renewed) = (1, false);
        loop {
            match act() {
                Err(DocumentsError::Expired { .. }) if !is_renewed && self.renew() => {
                    is_renewed = true;
                    continue;
                }
                Err(error) if error.may_pass() && tries < TRIES && begun.elapsed() < PATIENCE => sleep(self.pause),
                done => return done,
            }
            tries += 1;
        }
    }

    /// The same with a file that keeps what was seen there, so that what is as it was need not be asked for by the next run.
    pub fn seen_in(self, file: PathBuf) -> Self {
        let backend = match self.backend {
            Backend::Objects(objects) => Backend::Objects(Box::new(objects.with_file(file))),
            other => other,
        };
        Self { backend, ..self }
    }

    /// Whether somebody is let in anew.
    fn renew(&self) -> bool {
        match (&self.backend, self.renew.as_ref().and_then(|renew| renew())) {
            (Backend::Objects(objects), Some(Login::Objects(access))) => objects.renew(access),
            _ => return false,
        }
        true
    }

    /// Has a server do something, whatever comes of it.
    #[cfg(test)]
    fn ask(&self, sql: &str) {
        if let Backend::Postgres(postgres) = &self.backend {
            let _ = postgres.ask(sql);
        }
    }

    fn read_once(&self, name: &str) -> Result<Option<Document>, DocumentsError> {
        match &self.backend {
            Backend::Postgres(postgres) => postgres.read(name),
            Backend::Objects(objects) => objects.read(name),
            #[cfg(test)]
            Backend::Memory(memory) => memory.read(name),
        }
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_tuple("Documents").field(&self.at).finish()
    }
}
