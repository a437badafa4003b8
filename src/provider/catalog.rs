//! Finds descriptions by name: the built-in ones, and the user's own files, which win. A file is read only when asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::nearest::nearest;
use super::{Provider, ProviderError};
use crate::owned::{self, NotOwned};
use crate::secret;

/// The built-in descriptions by name.
const BUILTIN: [(&str, &str); 5] = [
    ("hopae", include_str!("builtin/hopae.toml")),
    ("kadosei", include_str!("builtin/kadosei.toml")),
    ("layers", include_str!("builtin/layers.toml")),
    ("signa", include_str!("builtin/signa.toml")),
    ("verifa", include_str!("builtin/verifa.toml")),
];

/// Largest user's file in bytes; what is larger is no description.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Where a description comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    BuiltIn,
    File(PathBuf),
}

/// All known descriptions by name; those in the user's folder are named by their files, `NAME.toml`.
#[derive(Clone, Debug)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
}

/// Where a description comes from, and what it says once it was read: many targets have the same.
#[derive(Clone, Debug)]
struct Entry {
    origin: Origin,
    provider: OnceLock<Arc<Provider>>,
}

impl Entry {
    fn new(origin: Origin) -> Self {
        Self { origin, provider: OnceLock::new() }
    }
}

impl Catalog {
    /// Only what is built in.
    pub fn builtin() -> Self {
        Self { entries: BUILTIN.iter().map(|(name, _)| ((*name).to_owned(), Entry::new(Origin::BuiltIn))).collect() }
    }

    /// What is built in and every `*.toml` in a folder. No folder, or one that does not exist, adds nothing.
    pub fn load(folder: Option<&Path>) -> Result<Self, ProviderError> {
        let mut catalog = Self::builtin();
        let Some(folder) = folder else { return Ok(catalog) };
        let failed = |source| ProviderError::Read { path: folder.to_owned(), source };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(catalog),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let name = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            if let (Some(name), Some("toml")) = (name, path.extension().and_then(|extension| extension.to_str())) {
                catalog.entries.insert(name, Entry::new(Origin::File(path)));
            }
        }
        Ok(catalog)
    }

    /// Reads and checks the description of this name, once.
    pub fn get(&self, name: &str) -> Result<Arc<Provider>, ProviderError> {
        let Some(entry) = self.entries.get(name) else {
            let nearest = nearest(name, self.entries.keys().map(String::as_str));
            let name = if nearest.is_some() { name } else { secret::shown(name) };
            return Err(ProviderError::NotFound { name: super::plain_text(name), nearest });
        };
        if let Some(provider) = entry.provider.get() {
            return Ok(Arc::clone(provider));
        }
        let (text, file) = match &entry.origin {
            Origin::BuiltIn => (builtin_text(name).to_owned(), format!("{name}.toml (built in)")),
            Origin::File(path) => (read(path)?, path.display().to_string()),
        };
        let provider = Provider::parse(&text, &file)?;
        if provider.name() != name {
            let why = format!("is `{}`, but the file is called `{name}.toml`", provider.name());
            let fix = "give the file and the provider the same name".to_owned();
            return Err(ProviderError::Invalid { file, key: "name".to_owned(), why, fix });
        }
        Ok(Arc::clone(entry.provider.get_or_init(|| Arc::new(provider))))
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Name, title and origin of every description, sorted by name. Reads them all; where one is broken, its error
    /// stands in place of the title.
    pub fn iter(&self) -> impl Iterator<Item = (String, String, Origin)> + '_ {
        self.entries.iter().map(|(name, entry)| {
            let title = self.get(name).map_or_else(|error| error.to_string(), |provider| provider.title().to_owned());
            (name.clone(), title, entry.origin.clone())
        })
    }
}

fn builtin_text(name: &str) -> &'static str {
    BUILTIN.iter().find(|(other, _)| *other == name).map_or("", |(_, text)| text)
}

/// A description says where keys are sent, so nobody else may have written it.
fn read(path: &Path) -> Result<String, ProviderError> {
    let not_owned = |error: NotOwned| {
        error.map(
            path,
            |path, source| ProviderError::Read { path, source },
            |path, why, fix| ProviderError::NotPrivate { path, why, fix },
        )
    };
    let gone = || ProviderError::Read { path: path.to_owned(), source: std::io::ErrorKind::NotFound.into() };
    owned::read_text(path, LARGEST_FILE).map_err(not_owned)?.ok_or_else(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b9_a_description_is_read_once_however_many_targets_have_it() {
        let catalog = Catalog::builtin();
        let first = catalog.get("layers").unwrap();
        assert!(Arc::ptr_eq(&first, &catalog.get("layers").unwrap()));
    }
}
