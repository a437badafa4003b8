//! The state folder's own key, in `state-key`: made once, 0600, and what it takes over from before it was there.
//!
//! Seals and a journal of version 0.1.0 bear no stamp. Those that lie there when the key is made are believed: the journal
//! once, after which its rows are stamped; a seal until it is gone.

use std::path::{Path, PathBuf};

use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::advice::Advice;
use crate::shell;
use crate::stamp::StampKey;
use crate::system::{FileError, private};

const NAME: &str = "state-key";
/// Lines behind the key: what is believed without a stamp.
const JOURNAL: &str = "takes over the journal";
const SEAL: &str = "takes over the seal ";

/// The key of a state folder.
#[derive(Clone, Debug)]
pub struct StateKey {
    pub stamps: StampKey,
    path: PathBuf,
    takes_journal: bool,
    seals: Vec<Uuid>,
}

/// The key cannot be had. Nothing was sent.
#[derive(Debug, Error)]
pub enum StateKeyError {
    #[error("the state folder's key `{path}` cannot be made or read")]
    Unusable {
        path: PathBuf,
        #[source]
        source: FileError,
    },
    #[error("the state folder's key `{path}` is not one that whsec made")]
    Malformed { path: PathBuf },
    #[error("the state folder's key `{path}` is not used: other users own it, or can read or write it")]
    NotPrivate { path: PathBuf },
}

impl StateKeyError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<Advice> {
        match self {
            Self::Unusable { source, .. } => source.hint().map(Advice::from),
            Self::Malformed { .. } => Some("bring it back from a backup: the journal is believed only with it".into()),
            Self::NotPrivate { path } => {
                let path = shell::quoted(&path.to_string_lossy());
                Some(format!("find out who could; then: chmod 600 {path}").into())
            }
        }
    }
}

impl StateKey {
    /// The key of a state folder that exists; it is made if there is none.
    pub fn open(state: &Path) -> Result<Self, StateKeyError> {
        if let Some(key) = Self::look(state)? {
            return Ok(key);
        }
        let path = state.join(NAME);
        let failed = |source| StateKeyError::Unusable { path: path.clone(), source };
        let mut text = StampKey::generate().to_text();
        text.push('\n');
        if state.join("journal.sqlite").exists() {
            text.push_str(&format!("{JOURNAL}\n"));
        }
        for seal in seals(state) {
            text.push_str(&format!("{SEAL}{seal}\n"));
        }
        // Where another process makes one at the same time, the first one stays.
        private::edit(&path, |found| if found.is_some() { None } else { Some(bytes(&text)) }).map_err(failed)?;
        Self::look(state)?.ok_or(StateKeyError::Malformed { path })
    }

    /// The key, if there is one.
    pub fn look(state: &Path) -> Result<Option<Self>, StateKeyError> {
        let path = state.join(NAME);
        let failed = |source| StateKeyError::Unusable { path: path.clone(), source };
        let Some((text, is_private)) = private::read(&path).map_err(failed)? else { return Ok(None) };
        if !is_private {
            return Err(StateKeyError::NotPrivate { path });
        }
        let mut lines = text.lines();
        let Some(stamps) = lines.next().and_then(StampKey::parse) else {
            return Err(StateKeyError::Malformed { path });
        };
        let rest: Vec<&str> = lines.collect();
        let seals = rest.iter().filter_map(|line| line.strip_prefix(SEAL)?.parse().ok()).collect();
        Ok(Some(Self { stamps, path, takes_journal: rest.contains(&JOURNAL), seals }))
    }

    /// One that is kept nowhere, for a look at what lies on a disk where none can be made.
    pub fn for_a_look(state: &Path) -> Self {
        let path = state.join(NAME);
        Self { stamps: StampKey::generate(), path, takes_journal: true, seals: seals(state) }
    }

    /// Whether a journal without stamps is believed, because it was there before the key.
    pub fn takes_journal(&self) -> bool {
        self.takes_journal
    }

    /// Whether a seal without a stamp is believed, because it was there before the key.
    pub fn takes_seal(&self, seal: Uuid) -> bool {
        self.seals.contains(&seal)
    }

    /// From now on the journal is believed by its stamps alone. On a disk that cannot be written that is said again later.
    pub fn has_taken_journal(&self) {
        if self.takes_journal {
            let without = |text: &str| -> String {
                text.lines().filter(|line| *line != JOURNAL).map(|line| format!("{line}\n")).collect()
            };
            let _ = private::edit(&self.path, |found| {
                Some(bytes(&Zeroizing::new(without(std::str::from_utf8(found?).ok()?))))
            });
        }
    }
}

fn bytes(text: &Zeroizing<String>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

/// The seals that are there.
fn seals(state: &Path) -> Vec<Uuid> {
    let entries = std::fs::read_dir(state.join("seals")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".age")?.parse().ok()).collect()
}

#[cfg(test)]
#[path = "state_key_tests.rs"]
mod tests;
