//! One target before it is checked: the words of a file and of flags, each with the place it comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;

use super::raw::{OneOrMany, RawKey, RawTarget};
use super::{ConfigError, ConfigFile, Position, Trust};
use crate::provider::Catalog;
use crate::provider::spec::Cutover;
use crate::store::SlotNames;

/// What flags say in place of the files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Store references; if any, the file's stores do not count.
    pub stores: Vec<String>,
    /// Ids by name, each in place of the one that the file or the ad hoc name has.
    pub ids: Vec<(String, String)>,
    pub base_url: Option<String>,
    /// Receivers; if any, the file's do not count.
    pub receivers: Vec<String>,
    /// The current folder, where relative paths in flags start.
    pub folder: PathBuf,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub value: T,
    pub place: Position,
}

/// The ids of an endpoint as written.
#[derive(Clone, Debug)]
pub(super) enum Ids {
    /// In the provider's order.
    InOrder(Vec<String>),
    ByName(Vec<(String, String)>),
}

/// A target as written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub name: String,
    pub place: Position,
    pub provider: Placed<String>,
    pub ids: Placed<Ids>,
    /// Ids given by flags, which win.
    pub id_flags: Vec<(String, String)>,
    pub base_url: Option<Placed<String>>,
    pub auth: Option<Placed<String>>,
    pub options: BTreeMap<String, String>,
    pub stores: Vec<Placed<String>>,
    /// Where relative paths of the stores start.
    pub store_folder: PathBuf,
    pub slots: SlotNames,
    pub receivers: Vec<Placed<String>>,
    /// Whether a checkout's file that is not trusted names the receivers.
    pub receivers_from_checkout: bool,
    /// Whether such a file names the stores.
    pub stores_from_checkout: bool,
    pub api_key: Option<Placed<RawKey>>,
    pub cutover: Option<Cutover>,
    pub owner: Option<String>,
    pub labels: Option<Placed<BTreeMap<String, String>>>,
    pub max_age: Option<Placed<String>>,
    pub ca: Option<String>,
    /// Where relative paths of the file start.
    pub folder: PathBuf,
    pub file: Option<PathBuf>,
}

impl Draft {
    /// The words of a file, `name` standing at `place`.
    pub fn from_file(name: String, place: Position, raw: RawTarget, file: &ConfigFile) -> Result<Self, ConfigError> {
        let provider = placed(raw.provider, file);
        let ids = match (raw.id, raw.ids) {
            (Some(id), None) => placed(id, file).map(|id| Ids::InOrder(vec![id])),
            (None, Some(ids)) => placed(ids, file).map(|ids| Ids::ByName(ids.into_iter().collect())),
            (None, None) => Placed { value: Ids::InOrder(Vec::new()), place: place.clone() },
            (Some(_), Some(ids)) => {
                let why = "and `id` are two ways of saying the same; keep one".to_owned();
                return Err(ConfigError::BadValue {
                    place: file.place(ids.span().start),
                    key: "`ids`".to_owned(),
                    why,
                });
            }
        };
        Ok(Self {
            name,
            place,
            provider,
            ids,
            id_flags: Vec::new(),
            base_url: raw.base_url.map(|url| placed(url, file)),
            auth: raw.auth.map(|auth| placed(auth, file)),
            options: raw.options.map(Spanned::into_inner).unwrap_or_default(),
            stores: all_placed(raw.store, file),
            store_folder: file.folder().to_owned(),
            slots: raw.slots.map(Spanned::into_inner).unwrap_or_default(),
            receivers: all_placed(raw.receivers, file),
            receivers_from_checkout: file.trust == Trust::Checkout,
            stores_from_checkout: file.trust == Trust::Checkout,
            api_key: raw.api_key.map(|key| placed(key, file)),
            cutover: raw.cutover,
            owner: raw.owner,
            labels: raw.labels.map(|labels| placed(labels, file)),
            max_age: raw.max_age.map(|age| placed(age, file)),
            ca: raw.ca.map(Spanned::into_inner),
            folder: file.folder().to_owned(),
            file: Some(file.path.clone()),
        })
    }

    /// The target that `PROVIDER/ID[/ID]` describes, ids taken literally; or `PROVIDER` alone if flags give the ids.
    /// `None` where the text is no such thing.
    pub fn ad_hoc(text: &str, flags: &Overrides, catalog: &Catalog) -> Result<Option<Self>, ConfigError> {
        let mut parts = text.split('/');
        let provider = parts.next().unwrap_or_default();
        let given: Vec<String> = parts.map(str::to_owned).collect();
        let place = Position::Flag("TARGET");
        if given.is_empty() && (flags.ids.is_empty() || !catalog.names().iter().any(|name| name == provider)) {
            return Ok(None);
        }
        let provider = Placed { value: provider.to_owned(), place: place.clone() };
        Ok(Some(Self {
            name: text.to_owned(),
            place: place.clone(),
            provider,
            ids: Placed { value: Ids::InOrder(given), place },
            id_flags: Vec::new(),
            base_url: None,
            auth: None,
            options: BTreeMap::new(),
            stores: Vec::new(),
            store_folder: flags.folder.clone(),
            slots: SlotNames::default(),
            receivers: Vec::new(),
            receivers_from_checkout: false,
            stores_from_checkout: false,
            api_key: None,
            cutover: None,
            owner: None,
            labels: None,
            max_age: None,
            ca: None,
            folder: flags.folder.clone(),
            file: None,
        }))
    }

    /// Puts what flags say in place of what was written.
    pub fn apply(&mut self, flags: &Overrides) {
        let from = |flag, value: &String| Placed { value: value.clone(), place: Position::Flag(flag) };
        self.id_flags.clone_from(&flags.ids);
        if let Some(url) = &flags.base_url {
            self.base_url = Some(from("--base-url", url));
        }
        if !flags.stores.is_empty() {
            self.stores = flags.stores.iter().map(|store| from("--store", store)).collect();
            self.store_folder.clone_from(&flags.folder);
            self.stores_from_checkout = false;
            // Names of slots belong to the stores they were written beside.
            self.slots = SlotNames::default();
        }
        if !flags.receivers.is_empty() {
            self.receivers = flags.receivers.iter().map(|url| from("--receiver", url)).collect();
            self.receivers_from_checkout = false;
        }
    }

    /// The error of a checkout's target that stands in the way of one of the user's own.
    pub fn shadows(&self, own: &str) -> ConfigError {
        let why = "it would stand in for one of your own targets";
        let key =
            if own == self.name { format!("targets.{own}") } else { format!("targets.{} (your `{own}`)", self.name) };
        ConfigError::NotTrusted { place: self.place.clone(), key, why }
    }

    /// The error of two targets of which one's slot is a slot of the other as well.
    pub fn shared_slot(&self, slot: &str, other: &str) -> ConfigError {
        ConfigError::BadValue {
            place: self.stores.first().map_or(&self.place, |store| &store.place).clone(),
            key: format!("the target `{}`", self.name),
            why: format!("has a slot `{slot}`, where the target `{other}` has one too; `slots` keeps them apart"),
        }
    }

    /// The error of two targets that would overwrite each other's secrets.
    pub fn shared_store(&self, store: &str, other: &str) -> ConfigError {
        let place = self.stores.first().map_or(&self.place, |store| &store.place).clone();
        let whose = if other == self.name { "twice".to_owned() } else { format!("as the target `{other}` does") };
        ConfigError::BadValue {
            place,
            key: format!("the target `{}`", self.name),
            why: format!("names the store `{store}` {whose}"),
        }
    }
}

impl<T> Placed<T> {
    /// The same place with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Placed<U> {
        Placed { value: change(self.value), place: self.place }
    }
}

fn placed<T>(value: Spanned<T>, file: &ConfigFile) -> Placed<T> {
    let place = file.place(value.span().start);
    Placed { value: value.into_inner(), place }
}

fn all_placed(values: Option<Spanned<OneOrMany>>, file: &ConfigFile) -> Vec<Placed<String>> {
    let Some(values) = values else { return Vec::new() };
    let place = file.place(values.span().start);
    values.get_ref().as_slice().iter().map(|value| Placed { value: value.clone(), place: place.clone() }).collect()
}
