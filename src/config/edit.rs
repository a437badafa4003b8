//! Changes to a config file's text that keep its comments, order and layout.

use std::collections::BTreeSet;
use std::path::Path;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, value};

use super::settings::{self, Settings};
use super::{ConfigError, check_name, file, paths};
use crate::provider::spec::Cutover;
use crate::store::Reference;

/// A target to be written into a file.
#[derive(Clone, Debug, Default)]
pub struct NewTarget {
    pub name: String,
    pub provider: String,
    /// By name, in the provider's order.
    pub ids: Vec<(String, String)>,
    pub base_url: Option<String>,
    pub auth: Option<String>,
    /// References, paths absolute.
    pub stores: Vec<String>,
    pub receivers: Vec<String>,
    pub api_key: Option<String>,
    pub cutover: Option<Cutover>,
    pub owner: Option<String>,
    pub labels: Vec<(String, String)>,
    pub max_age: Option<String>,
}

impl NewTarget {
    /// The target alone, as it will stand in the file.
    pub fn to_toml(&self) -> String {
        let mut document = DocumentMut::new();
        insert(&mut document, self);
        document.to_string()
    }

    /// Makes the paths in references absolute, so that they mean the same wherever the file is read from. What cannot be
    /// read stays as it is, for the check to complain about.
    pub fn make_absolute(&mut self, folder: &Path, home: Option<&Path>) {
        for store in &mut self.stores {
            if let Ok(reference) = Reference::parse(store) {
                *store = paths::reference(reference, folder, home).to_string();
            }
        }
        // The account of a keychain entry has another name there, where none is written.
        let key = self.api_key.as_deref().filter(|key| !key.starts_with("keychain:"));
        if let Some(Ok(reference)) = key.map(Reference::parse) {
            self.api_key = Some(paths::reference(reference, folder, home).to_string());
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.insert("provider", value(&self.provider));
        match self.ids.as_slice() {
            [(_, id)] => table.insert("id", value(id)),
            ids => table.insert("ids", value(ids.iter().map(|(name, id)| (name, id)).collect::<InlineTable>())),
        };
        let words = [("base_url", &self.base_url), ("auth", &self.auth)];
        insert_words(&mut table, &words);
        insert_list(&mut table, "store", &self.stores);
        insert_list(&mut table, "receivers", &self.receivers);
        let cutover = self.cutover.map(|cutover| match cutover {
            Cutover::Either => "either".to_owned(),
            Cutover::Switch => "switch".to_owned(),
        });
        let words = [("api_key", &self.api_key), ("cutover", &cutover), ("owner", &self.owner)];
        insert_words(&mut table, &words);
        if !self.labels.is_empty() {
            table.insert("labels", settings::pairs(&self.labels));
        }
        insert_words(&mut table, &[("max_age", &self.max_age)]);
        table
    }
}

/// The text with one more target at its end. Refuses a name that is taken.
pub fn add(text: &str, path: &Path, target: &NewTarget) -> Result<String, ConfigError> {
    check_name(&target.name)?;
    let mut document = parse(text, path)?;
    if targets(&document).is_some_and(|targets| targets.contains_key(&target.name)) {
        return Err(ConfigError::TargetExists { name: target.name.clone(), path: path.to_owned() });
    }
    insert(&mut document, target);
    Ok(document.to_string())
}

/// The text with more targets at its end, and those targets alone. None of them is there already.
pub fn append(text: &str, path: &Path, targets: &[(String, Settings)]) -> Result<(String, String), ConfigError> {
    let (mut document, mut alone) = (parse(text, path)?, DocumentMut::new());
    for (name, settings) in targets {
        for document in [&mut document, &mut alone] {
            insert_table(document, name, settings::table(settings));
        }
    }
    Ok((document.to_string(), alone.to_string()))
}

/// The text with these keys of targets set to these words. Fails where the file has no target of one of the names.
pub fn change(text: &str, path: &Path, changes: &[(String, Settings)]) -> Result<String, ConfigError> {
    let mut document = parse(text, path)?;
    for (name, changes) in changes {
        let targets = document.get_mut("targets").and_then(Item::as_table_like_mut);
        let Some(table) = targets.and_then(|targets| targets.get_mut(name)).and_then(Item::as_table_like_mut) else {
            return Err(ConfigError::TargetElsewhere { name: name.clone(), path: path.to_owned() });
        };
        settings::put(table, changes);
    }
    Ok(document.to_string())
}

/// A target of the text alone, as it stands there. Fails where the file has none of this name.
pub fn alone(text: &str, path: &Path, name: &str) -> Result<String, ConfigError> {
    let (document, mut alone) = (parse(text, path)?, DocumentMut::new());
    match targets(&document).and_then(|targets| targets.get(name)) {
        Some(Item::Table(table)) => insert_table(&mut alone, name, table.clone()),
        // One that is written within a line.
        Some(item) => return Ok(item.to_string().trim().to_owned()),
        None => return Err(ConfigError::TargetElsewhere { name: name.to_owned(), path: path.to_owned() }),
    }
    Ok(alone.to_string())
}

/// The names of the targets that the text has.
pub fn names(text: &str, path: &Path) -> Result<BTreeSet<String>, ConfigError> {
    let document = parse(text, path)?;
    Ok(targets(&document).into_iter().flat_map(|all| all.iter()).map(|(name, _)| name.to_owned()).collect())
}

/// The text without the target, or an error where the file has none of this name.
pub fn remove(text: &str, path: &Path, name: &str) -> Result<String, ConfigError> {
    let mut document = parse(text, path)?;
    let removed =
        document.get_mut("targets").and_then(Item::as_table_like_mut).and_then(|targets| targets.remove(name));
    match removed {
        Some(_) => Ok(document.to_string()),
        None => Err(ConfigError::TargetElsewhere { name: name.to_owned(), path: path.to_owned() }),
    }
}

fn insert(document: &mut DocumentMut, target: &NewTarget) {
    insert_table(document, &target.name, target.table());
}

fn insert_table(document: &mut DocumentMut, name: &str, table: Table) {
    if targets(document).is_none() {
        let mut targets = Table::new();
        targets.set_implicit(true);
        document.insert("targets", Item::Table(targets));
    }
    if let Some(targets) = document.get_mut("targets").and_then(Item::as_table_like_mut) {
        targets.insert(name, Item::Table(table));
    }
}

fn targets(document: &DocumentMut) -> Option<&dyn toml_edit::TableLike> {
    document.get("targets").and_then(Item::as_table_like)
}

fn insert_words(table: &mut Table, words: &[(&str, &Option<String>)]) {
    for (key, word) in words {
        if let Some(word) = word {
            table.insert(key, value(word));
        }
    }
}

fn insert_list(table: &mut Table, key: &str, list: &[String]) {
    match list {
        [] => {}
        [one] if key == "store" => {
            table.insert(key, value(one));
        }
        many => {
            table.insert(key, value(many.iter().collect::<Array>()));
        }
    }
}

fn parse(text: &str, path: &Path) -> Result<DocumentMut, ConfigError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let place = file::place(text, path, error.span().unwrap_or_default().start);
        ConfigError::Toml { place, message: error.message().lines().next().unwrap_or_default().to_owned() }
    })
}
