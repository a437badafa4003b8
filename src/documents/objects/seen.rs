//! Objects that were read or written before, by their ETags: what a list shows unchanged is not asked for again. Those of a journal's
//! heads and of what is over are kept in a file too, where one is named; seals are not.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::Tag;
use crate::system::private;
use crate::system::text::hex;

/// What is kept in the file, by how its name begins.
const KEPT: [&str; 2] = ["heads/", "closed/"];
/// Largest file, in bytes: beyond it nothing is kept.
const LARGEST: usize = 64 << 20;

/// What was seen, and where it is kept.
#[derive(Default)]
pub struct Seen {
    file: Option<PathBuf>,
    known: RefCell<BTreeMap<String, One>>,
    /// Whether the file has less, or more.
    is_changed: Cell<bool>,
}

/// A document as it was.
struct One {
    tag: String,
    body: Vec<u8>,
}

/// The same in the file.
#[derive(Serialize, Deserialize)]
struct Line {
    tag: String,
    /// Of the body, so that a file that was damaged says nothing.
    sum: String,
    body: String,
}

impl Seen {
    /// What a file has of earlier runs, and where it is kept from now on.
    pub fn in_file(file: PathBuf) -> Self {
        let text = std::fs::read(&file).unwrap_or_default();
        let lines: BTreeMap<String, Line> = serde_json::from_slice(&text).unwrap_or_default();
        let whole = lines.into_iter().filter(|(_, line)| sum(line.body.as_bytes()) == line.sum);
        let known = whole.map(|(name, line)| (name, One { tag: line.tag, body: line.body.into_bytes() })).collect();
        Self { file: Some(file), known: RefCell::new(known), is_changed: Cell::default() }
    }

    /// A document's body, if it was seen in that state.
    pub fn body(&self, name: &str, tag: &Tag) -> Option<Vec<u8>> {
        let known = self.known.borrow();
        known.get(name).filter(|one| one.tag == tag.0).map(|one| one.body.clone())
    }

    /// Remembers a document.
    pub fn keep(&self, name: &str, tag: &Tag, body: &[u8]) {
        let one = One { tag: tag.0.clone(), body: body.to_vec() };
        self.known.borrow_mut().insert(name.to_owned(), one);
        self.is_changed.set(true);
    }

    /// Writes what was listed under this prefix to the file, and forgets what is not there any more. It is no loss where that fails.
    pub fn save(&self, prefix: &str, listed: &[String]) {
        let listed: BTreeSet<&String> = listed.iter().collect();
        let mut known = self.known.borrow_mut();
        let before = known.len();
        known.retain(|name, _| !name.starts_with(prefix) || listed.contains(name));
        if known.len() == before && !self.is_changed.replace(false) {
            return;
        }
        let kept = known.iter().filter(|(name, _)| KEPT.iter().any(|kept| name.starts_with(kept)));
        let line = |one: &One| {
            let body = String::from_utf8(one.body.clone()).ok()?;
            Some(Line { tag: one.tag.clone(), sum: sum(&one.body), body })
        };
        let kept: BTreeMap<&String, Line> = kept.filter_map(|(name, one)| Some((name, line(one)?))).collect();
        if let Some(file) = self.file.as_ref()
            && let Ok(text) = serde_json::to_vec(&kept)
            && text.len() <= LARGEST
        {
            let _ = private::write(file, &text);
        }
    }
}

fn sum(body: &[u8]) -> String {
    hex(&Sha256::digest(body)[..12])
}
