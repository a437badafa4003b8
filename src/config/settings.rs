//! What is written under a target's keys, as words: by a row of a table or by flags, on the way into a file.

use std::path::Path;

use toml_edit::{Array, InlineTable, Item, Table, value};

use super::paths;
use crate::store::Reference;

/// The keys of a target in the order in which they are written; `man/whsec-config.5` explains them.
pub const KEYS: [&str; 15] = [
    "provider",
    "id",
    "ids",
    "base_url",
    "auth",
    "store",
    "slots",
    "receivers",
    "api_key",
    "cutover",
    "owner",
    "labels",
    "max_age",
    "options",
    "ca",
];

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    One(String),
    Many(Vec<String>),
    Pairs(Vec<(String, String)>),
    /// The key is not there.
    None,
}

/// Keys of one target, each with what is to stand there.
pub type Settings = Vec<(&'static str, Words)>;

impl Words {
    /// As several are written, of which one stands alone.
    pub fn list(mut all: Vec<String>) -> Self {
        match (all.len(), all.pop()) {
            (1, Some(one)) => Self::One(one),
            (_, last) => Self::Many(all.into_iter().chain(last).collect()),
        }
    }

    fn item(&self) -> Option<Item> {
        match self {
            Self::One(text) => Some(value(text)),
            Self::Many(texts) => Some(value(texts.iter().collect::<Array>())),
            Self::Pairs(all) => Some(pairs(all)),
            Self::None => None,
        }
    }
}

/// Names with their values, within a line.
pub(super) fn pairs(all: &[(String, String)]) -> Item {
    value(all.iter().map(|(name, text)| (name, text)).collect::<InlineTable>())
}

/// Makes the paths absolute, so that they mean the same wherever the file is read from. What cannot be read stays as it is, for the
/// check to complain about.
pub fn make_absolute(settings: &mut Settings, folder: &Path, home: Option<&Path>) {
    for (key, words) in settings {
        let change = |text: &mut String| match *key {
            "store" => *text = absolute(text, folder, home),
            // The account of a keychain entry has another name there, where none is written.
            "api_key" if !text.starts_with("keychain:") => *text = absolute(text, folder, home),
            "ca" => *text = paths::absolute(Path::new(text.as_str()), folder, home).display().to_string(),
            _ => {}
        };
        match words {
            Words::One(text) => change(text),
            Words::Many(texts) => texts.iter_mut().for_each(change),
            Words::Pairs(_) | Words::None => {}
        }
    }
}

fn absolute(text: &str, folder: &Path, home: Option<&Path>) -> String {
    Reference::parse(text).map_or_else(|_| text.to_owned(), |it| paths::reference(it, folder, home).to_string())
}

/// A new target's table.
pub(super) fn table(settings: &Settings) -> Table {
    let mut table = Table::new();
    for key in KEYS {
        let words = settings.iter().find(|(name, _)| *name == key);
        if let Some(item) = words.and_then(|(_, words)| words.item()) {
            table.insert(key, item);
        }
    }
    table
}

/// Puts words in the place of what a table has; a comment behind a value stays.
pub(super) fn put(table: &mut dyn toml_edit::TableLike, settings: &Settings) {
    for (key, words) in settings {
        // Two ways of saying the same.
        match *key {
            "id" => drop(table.remove("ids")),
            "ids" => drop(table.remove("id")),
            _ => {}
        }
        let Some(mut item) = words.item() else {
            table.remove(key);
            continue;
        };
        match table.get_mut(key) {
            Some(found) => {
                if let (Some(new), Some(old)) = (item.as_value_mut(), found.as_value()) {
                    *new.decor_mut() = old.decor().clone();
                }
                *found = item;
            }
            None => drop(table.insert(key, item)),
        }
    }
}
