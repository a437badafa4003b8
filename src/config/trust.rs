//! What a config file that came with a checkout may not say, and the record of the ones that the user trusts.
//!
//! Such a file may name targets whose secrets go into files inside the checkout, and nothing else. Whatever could
//! send an API key or a secret elsewhere, run a program, or touch what belongs to another target is refused, by the
//! key's name and place, until `whsec target trust` has recorded the content's digest. The rules allow what is known
//! to be harmless; a word that is added to the vocabulary later is refused until somebody has thought about it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use toml::Spanned;

use super::raw::{RawConfig, RawKey, RawTarget};
use super::{ConfigError, ConfigFile};
use crate::stamp::StampKey;
use crate::store::Reference;
use crate::system::text::hex;

/// What a stamp in the record of trusted files is for.
const STAMPED: &str = "trusted";

const SENDS_KEY: &str = "it decides where or how your API key is sent";
const RUNS: &str = "it runs a program";
const RULES: &str = "it decides what you may do";
const READS_KEY: &str = "it decides which of your keys is used";
const SEALS: &str = "it decides who can open the sealed copy of a new secret";
const RECORDS: &str = "it decides where rotations are recorded, and can hide those that are open";
const CHANGES_REQUEST: &str = "it changes what is asked of the provider";
const OUTSIDE: &str = "only `dotenv:`, `json:`, `file:` and `age:` stores inside the checkout are";
const SLOT: &str = "a slot's name may hold letters, digits, `_` and `-` there, nothing that leads elsewhere";

/// Refuses everything that a checkout's file may not say. `slots` and stores are judged as written, before anything
/// is opened.
pub(crate) fn check(raw: &RawConfig, file: &ConfigFile) -> Result<(), ConfigError> {
    let RawConfig { targets, seal, journal, commands, ca, notify, policy, unread: _ } = raw;
    refuse_any(file, "ca", ca.as_ref(), SENDS_KEY)?;
    refuse_any(file, "seal", seal.as_ref(), SEALS)?;
    refuse_any(file, "journal", journal.as_ref(), RECORDS)?;
    refuse_any(file, "notify", notify.as_ref(), RUNS)?;
    refuse_any(file, "policy", policy.as_ref(), RULES)?;
    if let Some(name) = commands.keys().next() {
        return Err(refused(file, "commands", name.span().start, RUNS));
    }
    targets.values().try_for_each(|target| check_target(target, file))
}

fn check_target(target: &RawTarget, file: &ConfigFile) -> Result<(), ConfigError> {
    // Taken apart by name, so that a new key does not compile until it is listed here.
    let RawTarget {
        base_url,
        api_key,
        auth,
        options,
        ca,
        store,
        slots,
        provider,
        id,
        ids,
        receivers,
        cutover,
        owner,
        labels,
        max_age,
    } = target;
    // Harmless from anybody: they name an endpoint, and words for people.
    let _ = (provider, id, ids, receivers, cutover, owner, labels, max_age);
    refuse_any(file, "base_url", base_url.as_ref(), SENDS_KEY)?;
    refuse_any(file, "auth", auth.as_ref(), SENDS_KEY)?;
    refuse_any(file, "ca", ca.as_ref(), SENDS_KEY)?;
    refuse_any(file, "api_key", api_key.as_ref(), READS_KEY)?;
    refuse_any(file, "options", options.as_ref(), CHANGES_REQUEST)?;
    let mut names = Vec::new();
    if let Some(slots) = slots {
        let set = slots.get_ref();
        names.extend([&set.next, &set.current, &set.previous].into_iter().flatten());
        if !names.iter().all(|name| is_plain_name(name)) {
            return Err(refused(file, "slots", slots.span().start, SLOT));
        }
    }
    if let Some(store) = store {
        for text in store.get_ref().as_slice() {
            // One that cannot be parsed is reported as such when the target is normalised.
            let Ok(reference) = Reference::parse(text) else { continue };
            if !is_inside(&reference, &names, file.folder()) {
                return Err(refused(file, &format!("store = \"{text}\""), store.span().start, OUTSIDE));
            }
        }
    }
    Ok(())
}

fn refuse_any<T>(
    file: &ConfigFile,
    key: &str,
    value: Option<&Spanned<T>>,
    why: &'static str,
) -> Result<(), ConfigError> {
    value.map_or(Ok(()), |value| Err(refused(file, key, value.span().start, why)))
}

fn refused(file: &ConfigFile, key: &str, offset: usize, why: &'static str) -> ConfigError {
    ConfigError::NotTrusted { place: file.place(offset), key: key.to_owned(), why }
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || "_-".contains(character))
}

/// Whether a store writes nowhere but into files of the checkout.
fn is_inside(reference: &Reference, slots: &[&String], folder: &Path) -> bool {
    match reference {
        Reference::Dotenv { path, .. } | Reference::Json { path, .. } | Reference::Age { path } => {
            path_is_inside(path, folder)
        }
        // The other slots are files beside it, so no link there may lead away either.
        Reference::File { path } => path_is_inside(path, folder) && !has_links_beside(&folder.join(path), slots),
        _ => false,
    }
}

/// Whether a path stays below the folder, as written and through every link on its way. `.git` is not content.
fn path_is_inside(path: &Path, folder: &Path) -> bool {
    let full = folder.join(path);
    let Ok(below) = full.strip_prefix(folder) else { return false };
    let mut walked = folder.to_owned();
    for part in below.components() {
        let Component::Normal(name) = part else { return false };
        if name.eq_ignore_ascii_case(".git") || name == "~" {
            return false;
        }
        walked.push(name);
        if fs::symlink_metadata(&walked).is_ok_and(|metadata| metadata.file_type().is_symlink()) {
            return false;
        }
    }
    below.components().next().is_some()
}

/// Whether a link has the name of one of the file's slots: the file's own name and a suffix, or a name set for it.
fn has_links_beside(path: &Path, slots: &[&String]) -> bool {
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let entries = path.parent().and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_slot = name.starts_with(&own) || slots.iter().any(|slot| name.starts_with(slot.as_str()));
        is_slot && entry.file_type().is_ok_and(|kind| kind.is_symlink())
    })
}

/// SHA-256 of all that is trusted with a file: its text, and every file of the checkout that its programs name, or that it has
/// certificates in.
pub fn digest(file: &ConfigFile) -> String {
    let mut all = Sha256::new();
    all.update(file.text.as_bytes());
    for path in covered(file) {
        // Whatever cannot be read now is not what was read then.
        let content = fs::read(&path).map(|bytes| Sha256::digest(&bytes).to_vec()).unwrap_or_default();
        for field in [path.to_string_lossy().as_bytes(), &content] {
            all.update((field.len() as u64).to_le_bytes());
            all.update(field);
        }
    }
    hex(&all.finalize())
}

/// The files that come with a checkout and that its programs name, sorted: a program, a script that it is given, or words within
/// such a word, as in `sh -c`.
pub fn covered(file: &ConfigFile) -> Vec<PathBuf> {
    // A file that cannot be read is not honoured either.
    let Ok(RawConfig { targets, commands, ca, notify, .. }) = super::raw::parse(file) else { return Vec::new() };
    let mut words: Vec<String> = Vec::new();
    for command in commands.into_values() {
        words.extend(command.put.into_iter().chain(command.get.into_iter().flatten()));
        words.extend(command.clear.into_iter().flatten().chain(command.with.into_values()));
    }
    words.extend(notify.into_iter().flat_map(|notify| notify.into_inner().command));
    words.extend(ca.into_iter().map(Spanned::into_inner));
    for target in targets.into_values() {
        words.extend(target.ca.into_iter().map(Spanned::into_inner));
        if let Some(RawKey::Command(key)) = target.api_key.map(Spanned::into_inner) {
            words.extend(key.command);
        }
    }
    let ends = |letter: char| letter.is_whitespace() || ";&|()<>`\"'=".contains(letter);
    let parts = words.iter().flat_map(|word| word.split(ends));
    let paths = words.iter().map(String::as_str).chain(parts).filter(|word| !word.is_empty()).map(Path::new);
    let comes_along = |path: &&Path| path.is_relative() || path.starts_with(file.folder());
    let found: BTreeSet<PathBuf> =
        paths.filter(comes_along).map(|path| super::paths::absolute(path, file.folder(), None)).collect();
    found.into_iter().filter(|path| path.is_file()).collect()
}

/// The record of trusted files: one line each, the state folder's stamp, the digest of what is trusted, the file's absolute
/// path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: Vec<(String, PathBuf)>,
}

impl Ledger {
    /// Reads the record; lines that the key does not vouch for are left out, which trusts less.
    pub fn parse(text: &str, key: &StampKey) -> Self {
        let entries = text.lines().filter_map(|line| {
            let (stamp, rest) = line.split_once("  ")?;
            let (digest, path) = rest.split_once("  ")?;
            key.vouches(STAMPED, &[digest.as_bytes(), path.as_bytes()], stamp).then(|| (digest.to_owned(), path.into()))
        });
        Self { entries: entries.collect() }
    }

    /// Whether anything is trusted at this path.
    pub fn knows(&self, path: &Path) -> bool {
        self.entries.iter().any(|(_, at)| at == path)
    }

    /// Whether this content at this path is trusted.
    pub fn holds(&self, path: &Path, digest: &str) -> bool {
        self.entries.iter().any(|(trusted, at)| trusted == digest && at == path)
    }

    /// Trusts this content at this path, and no other content there any more.
    pub fn grant(&mut self, path: &Path, digest: &str) {
        self.revoke(path);
        self.entries.push((digest.to_owned(), path.to_owned()));
    }

    /// Trusts no content at this path.
    pub fn revoke(&mut self, path: &Path) {
        self.entries.retain(|(_, at)| at != path);
    }

    /// The record as [`Ledger::parse`] reads it; `None` where a path cannot stand in a line.
    pub fn to_text(&self, key: &StampKey) -> Option<String> {
        let lines = self.entries.iter().map(|(digest, path)| {
            let path = path.to_str().filter(|path| !path.contains('\n'))?;
            let stamp = key.stamp(STAMPED, &[digest.as_bytes(), path.as_bytes()]);
            Some(format!("{stamp}  {digest}  {path}\n"))
        });
        lines.collect()
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
