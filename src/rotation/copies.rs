//! Where seals lie: a file each in the state folder, or documents beside a shared journal.
//!
//! In a shared journal every seal is a document of its own, written once and by whoever has something to seal: a machine that was
//! taken over meanwhile can still keep what it got. Where that cannot be written the file of this machine takes its place.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use uuid::Uuid;

use super::seal_error::SealError;
use super::shared::Shared;
use super::shared_error::SharedError;
use crate::system::private;

/// The places of seals.
pub(super) struct Copies {
    folder: PathBuf,
    pub journal: Option<Rc<Shared>>,
    /// Seals that this process has put where others find them, each with its name, by their rotations, of which it has removed none
    /// since: nobody else removes one while the endpoint is this process's.
    published: RefCell<BTreeMap<Uuid, Vec<Written>>>,
}

/// A seal's document: its name, and what is in it.
type Written = (String, Vec<u8>);

/// A seal as it lies somewhere.
pub(super) struct Copied {
    place: Place,
    pub cipher: Vec<u8>,
}

enum Place {
    File(PathBuf),
    Document(String),
}

impl Copies {
    /// Files alone.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder, journal: None, published: RefCell::default() }
    }

    /// Where a seal is, for people.
    pub fn place(&self, id: Uuid) -> PathBuf {
        let file = path_in(&self.folder, id);
        match &self.journal {
            Some(journal) if !file.exists() => PathBuf::from(format!("{} as seals/{id}", journal.place())),
            _ => file,
        }
    }

    /// Whether there is any. Where that cannot be told there may be one.
    pub fn are_there(&self, id: Uuid) -> bool {
        let in_journal = |journal: &Rc<Shared>| journal.documents.list(&prefix(id)).map_or(true, |all| !all.is_empty());
        let is_ours = self.published.borrow().contains_key(&id);
        is_ours || path_in(&self.folder, id).exists() || self.journal.as_ref().is_some_and(in_journal)
    }

    /// All that there are, the newest first; that of this machine where the journal could not be written is the last.
    pub fn of(&self, id: Uuid) -> Result<Vec<Copied>, SealError> {
        let mut found = Vec::new();
        if let Some(journal) = &self.journal {
            // Of one that this process has begun, and had to itself since, there are no others.
            let own = self.published.borrow().get(&id).filter(|_| journal.begun.borrow().contains(&id)).cloned();
            let all = match own {
                Some(own) => own,
                None => {
                    let all = journal.documents.read_all(&prefix(id)).map_err(SharedError::from)?;
                    all.into_iter().map(|(name, document)| (name, document.body)).collect()
                }
            };
            let copied = |(name, cipher)| Copied { place: Place::Document(name), cipher };
            found.extend(all.into_iter().rev().map(copied));
        }
        let path = path_in(&self.folder, id);
        match std::fs::read(&path) {
            Ok(cipher) => found.push(Copied { place: Place::File(path), cipher }),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(SealError::Read { path, source }),
        }
        Ok(found)
    }

    /// The rotations of which there are any where they belong, and what is kept beside their own.
    pub fn ids(&self) -> Result<BTreeSet<Uuid>, SealError> {
        let mut ids = BTreeSet::<Uuid>::new();
        if let Some(journal) = &self.journal {
            let all = journal.documents.list(SEALS).map_err(SharedError::from)?;
            let id = |name: &str| name.strip_prefix(SEALS)?.split('/').next()?.parse::<Uuid>().ok();
            ids.extend(all.iter().filter_map(|(name, _)| id(name)));
            return Ok(ids);
        }
        self.in_files()
    }

    /// The rotations of which there is one on this machine.
    pub fn in_files(&self) -> Result<BTreeSet<Uuid>, SealError> {
        let mut ids = BTreeSet::<Uuid>::new();
        let path = self.folder.clone();
        let entries = match std::fs::read_dir(&path) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(ids),
            entries => entries.map_err(|source| SealError::Read { path, source })?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        ids.extend(names.filter_map(|name| name.strip_suffix(".age")?.parse::<Uuid>().ok()));
        // One that only tries whether a seal can be written is nobody's.
        ids.remove(&Uuid::nil());
        Ok(ids)
    }

    /// Keeps a seal: on this machine first, which takes no time to speak of, and where others find it as soon as that can be
    /// written.
    pub fn write(&self, id: Uuid, cipher: &[u8]) -> Result<(), SealError> {
        let path = path_in(&self.folder, id);
        let kept = private::write(&path, cipher);
        if let Some(journal) = &self.journal
            && self.publish(journal, id, cipher).is_ok()
        {
            // It is no loss if it stays.
            let _ = std::fs::remove_file(&path);
            return Ok(());
        }
        kept.map_err(|source| SealError::Write { path, source })
    }

    /// Puts what only this machine has where others find it.
    pub fn share(&self, id: Uuid) -> Result<(), SealError> {
        let path = path_in(&self.folder, id);
        let Some(journal) = &self.journal else { return Ok(()) };
        let Ok(cipher) = std::fs::read(&path) else { return Ok(()) };
        self.publish(journal, id, &cipher)?;
        let _ = std::fs::remove_file(&path);
        Ok(())
    }

    fn publish(&self, journal: &Shared, id: Uuid, cipher: &[u8]) -> Result<(), SharedError> {
        // By the fence, so that the newest stands last; the rest tells seals of one holder apart, in their order.
        let name = format!("{}{:012}-{}.age", prefix(id), journal.fence(), journal.next_seal());
        let written = journal.documents.write_if(&name, cipher, None);
        if !matches!(written, Ok(Some(_))) {
            // It may lie there all the same.
            journal.begun.borrow_mut().remove(&id);
        }
        match written? {
            Some(_) => {
                self.published.borrow_mut().entry(id).or_default().push((name, cipher.to_owned()));
                Ok(())
            }
            None => Err(journal.damaged(&name)),
        }
    }

    /// One is removed: whether others are there is not known any more.
    pub fn forget(&self, id: Uuid) {
        self.published.borrow_mut().remove(&id);
    }

    /// Removes a seal.
    pub fn remove(&self, copied: &Copied) -> Result<(), SealError> {
        match (&copied.place, &self.journal) {
            (Place::File(path), _) => match std::fs::remove_file(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(SealError::Read { path: path.clone(), source })
                }
                _ => Ok(()),
            },
            (Place::Document(name), Some(journal)) => Ok(journal.documents.delete(name).map_err(SharedError::from)?),
            (Place::Document(_), None) => Ok(()),
        }
    }
}

/// The file of one rotation's seal.
pub(super) fn path_in(folder: &Path, id: Uuid) -> PathBuf {
    folder.join(format!("{id}.age"))
}

/// What the documents of all seals begin with.
const SEALS: &str = "seals/";

fn prefix(id: Uuid) -> String {
    format!("{SEALS}{id}/")
}
