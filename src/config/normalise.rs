//! From the words of one target to a `Target`: every name known, every path absolute, every URL allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::draft::{Draft, Ids, Placed};
use super::notify::Notify;
use super::raw::{RawKey, RawNotify};
use super::{Config, ConfigError, ConfigFile, IdentityPlace, KeySource, Position, Target, TargetStore, paths};
use crate::documents::{BadLocation, Location};
use crate::http::{Url, is_loopback};
use crate::provider::{self, Catalog, Provider};
use crate::secret;
use crate::store::{self, Access, Reference, SlotNames, Surroundings};

/// Longest name of a target, in characters.
const LONGEST_NAME: usize = 64;

/// The keychain service under which `login` and the seal keep keys.
const RESERVED_SERVICE: &str = "whsec";

/// The account in `api_key = "keychain:SERVICE"`, where none is written.
const KEY_ACCOUNT: &str = "api-key";

/// Longest label, and longest value of one, in bytes.
const LONGEST_LABEL: usize = 63;

/// Longest owner, in characters.
const LONGEST_OWNER: usize = 200;

/// Checks a draft and makes the target that it describes.
pub(super) fn target(draft: &Draft, config: &Config, catalog: &Catalog) -> Result<Target, ConfigError> {
    if draft.file.is_some() {
        check_name(&draft.name, &draft.place)?;
    }
    // What was typed in the place of a target may be anything; a name in a file is one.
    let name = if draft.file.is_some() { &draft.name } else { secret::shown(&draft.name) };
    let blame = |place: &Position| {
        let (place, target) = (place.clone(), name.to_owned());
        move |source| ConfigError::Provider { place, target, source: Box::new(source) }
    };
    let provider = catalog.get(&draft.provider.value).map_err(blame(&draft.provider.place))?;
    let ids = ids(draft, &provider)?;
    let base_url = draft.base_url.as_ref();
    let place = base_url.map_or(&draft.ids.place, |url| &url.place);
    let endpoint = provider
        .endpoint(
            base_url.map(|url| url.value.as_str()),
            &ids,
            draft.auth.as_ref().map(|auth| auth.value.as_str()),
            &draft.options,
        )
        .map_err(blame(place))?;
    if draft.owner.as_ref().is_some_and(|owner| owner.chars().count() > LONGEST_OWNER) {
        return Err(bad(&draft.place, "`owner`", format!("is longer than {LONGEST_OWNER} characters")));
    }
    let labels = draft.labels.as_ref().map(labels).transpose()?.unwrap_or_default();
    let home = config.home.as_deref();
    let ca = draft.ca.as_ref().map(|ca| paths::absolute(ca.as_ref(), &draft.folder, home));
    let surroundings = Surroundings {
        commands: config.commands.clone(),
        target: draft.name.clone(),
        private: config.private.clone(),
        folder: draft.store_folder.clone(),
        environment: config.environment.clone(),
        rotation: None,
    };
    let api_key = draft.api_key.as_ref().map(|key| key_source(key, draft, config, &surroundings)).transpose()?;
    Ok(Target {
        endpoint,
        stores: stores(draft, &surroundings, config)?,
        receivers: draft.receivers.iter().map(receiver).collect::<Result<_, _>>()?,
        may_probe: !draft.receivers_from_checkout,
        stores_from_checkout: draft.stores_from_checkout,
        api_key,
        cutover: draft.cutover.unwrap_or_else(|| provider.default_cutover()),
        max_age: draft.max_age.as_ref().map(max_age).transpose()?.or(config.policy.max_age()),
        ca: ca.or_else(|| config.ca.clone()),
        surroundings,
        name: draft.name.clone(),
        owner: draft.owner.clone(),
        labels,
        file: draft.file.clone(),
    })
}

/// Words and values that can be selected by.
fn labels(written: &Placed<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, ConfigError> {
    match written.value.iter().find(|(name, value)| !is_label(name) || !(value.is_empty() || is_label(value))) {
        None => Ok(written.value.clone()),
        Some((name, _)) => Err(bad(
            &written.place,
            "`labels`",
            format!(
                "has `{name}`, which is not written in letters, digits, `-`, `_`, `.` and `/`, {LONGEST_LABEL} at most"
            ),
        )),
    }
}

/// Whether a text can be a label, or a label's value.
pub fn is_label(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST_LABEL && text.bytes().all(is_plain)
}

/// The environment variables that may hold an API key: every provider's own, and those that any target names. Read off
/// the words as written, so that a target which is broken otherwise hides nothing; `unread` is what could be read of those whose
/// other words could not.
pub(super) fn private_variables<'a>(
    drafts: impl Iterator<Item = &'a Draft>,
    unread: &[String],
    catalog: &Catalog,
) -> Vec<String> {
    let written = drafts.filter_map(|draft| match &draft.api_key.as_ref()?.value {
        RawKey::Reference(text) => Some(text),
        RawKey::Command(_) => None,
    });
    let variable = |text: &String| text.strip_prefix("env:").filter(|name| is_variable(name)).map(str::to_owned);
    let named = written.chain(unread).filter_map(variable);
    catalog.key_variables().chain(named).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Refuses a name that could not be typed, or be taken for `PROVIDER/ID` or a flag.
pub(crate) fn check_name(name: &str, place: &Position) -> Result<(), ConfigError> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    let starts_well = name.starts_with(|character: char| character.is_ascii_alphanumeric());
    if starts_well && name.len() <= LONGEST_NAME && name.chars().all(allowed) {
        return Ok(());
    }
    let why =
        format!("may hold letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most {LONGEST_NAME}");
    Err(bad(place, "a target's name", why))
}

/// Checks the recipients of `[seal]` for their form; the seal itself reads them.
pub(super) fn recipients(recipients: &Spanned<Vec<String>>, file: &ConfigFile) -> Result<Vec<String>, ConfigError> {
    let wrong = |why: String| bad(&file.place(recipients.span().start), "`recipients`", why);
    for recipient in recipients.get_ref() {
        if recipient.starts_with("AGE-SECRET-KEY-") {
            return Err(wrong("holds an age identity, which is secret; its recipient starts with `age1`".to_owned()));
        }
        if !recipient.starts_with("age1") {
            return Err(wrong("holds something that is not an age recipient (`age1…`)".to_owned()));
        }
    }
    if recipients.get_ref().is_empty() {
        return Err(wrong("is empty; leave it out to use your own".to_owned()));
    }
    Ok(recipients.get_ref().clone())
}

/// Where the identity that opens seals is kept.
pub(super) fn identity(
    text: &Spanned<String>,
    file: &ConfigFile,
    home: Option<&Path>,
) -> Result<IdentityPlace, ConfigError> {
    let wrong = |why: String| bad(&file.place(text.span().start), "`identity`", why);
    match text.get_ref().as_str() {
        "keychain" => return Ok(IdentityPlace::Keychain),
        "file" => return Ok(IdentityPlace::File),
        _ => {}
    }
    let reference = Reference::parse(text.get_ref())
        .map_err(|error| wrong(format!("is neither `keychain` nor `file` nor a store: {error}")))?;
    match reference {
        Reference::Stdout => Err(wrong("has to be one that can be read".to_owned())),
        Reference::Age { .. } => Err(wrong("cannot be encrypted for itself".to_owned())),
        _ if is_reserved(&reference) => Err(wrong("is said as `keychain`".to_owned())),
        _ => Ok(IdentityPlace::Store(paths::reference(reference, file.folder(), home))),
    }
}

/// Where the journal is that several machines share.
pub(super) fn journal(text: &Spanned<String>, file: &ConfigFile) -> Result<Location, ConfigError> {
    text.get_ref().parse().map_err(|error: BadLocation| bad(&file.place(text.span().start), "`at`", error.why))
}

fn ids(draft: &Draft, provider: &Provider) -> Result<Vec<(String, String)>, ConfigError> {
    let names = &provider.spec().ids;
    let flagged = |name: &str| draft.id_flags.iter().any(|(flag, _)| flag == name);
    let mut ids = draft.id_flags.clone();
    match &draft.ids.value {
        Ids::ByName(named) => ids.extend(named.iter().filter(|(name, _)| !flagged(name)).cloned()),
        Ids::InOrder(values) => {
            let open: Vec<&String> = names.iter().filter(|name| !flagged(name)).collect();
            // One id that is written beside all the flags is simply replaced by them.
            let replaced = open.is_empty() && draft.file.is_some();
            if values.len() != open.len() && !replaced {
                let given = values.len() + names.len() - open.len();
                let name = if draft.file.is_some() { format!("targets.{}", draft.name) } else { draft.name.clone() };
                let (provider, ids) = (provider.name().to_owned(), names.clone());
                return Err(ConfigError::IdCount { place: draft.ids.place.clone(), name, provider, given, ids });
            }
            ids.extend(open.into_iter().cloned().zip(values.iter().cloned()));
        }
    }
    Ok(ids)
}

fn stores(draft: &Draft, surroundings: &Surroundings, config: &Config) -> Result<Vec<TargetStore>, ConfigError> {
    let blame = |place: &Position| {
        let (place, target) = (place.clone(), draft.name.clone());
        move |source| ConfigError::Store { place, target, source: Box::new(source) }
    };
    let mut seen = BTreeSet::new();
    let mut stores = Vec::new();
    for Placed { value, place } in &draft.stores {
        let reference = Reference::parse(value).map_err(blame(place))?;
        if let Reference::Command { name } = &reference
            && !config.commands.contains_key(name)
        {
            let nearest = super::nearest(name, config.commands.keys().map(String::as_str));
            let hint = nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default();
            return Err(bad(
                place,
                "`store`",
                format!("names the program `{name}`, but there is no [commands.{name}]{hint}"),
            ));
        }
        if is_reserved(&reference) {
            let why = format!("names the keychain service `{RESERVED_SERVICE}`, which keeps whsec's own keys");
            return Err(bad(place, "`store`", why));
        }
        let reference = paths::reference(reference, &draft.store_folder, config.home.as_deref());
        if !seen.insert(reference.to_string()) {
            return Err(draft.shared_store(&reference.to_string(), &draft.name));
        }
        // Opening touches nothing yet; it shows whether the names of slots fit.
        store::open(&reference, &draft.slots, surroundings).map_err(blame(place))?;
        stores.push(TargetStore { reference, names: draft.slots.clone() });
    }
    Ok(stores)
}

/// Whether a reference names what whsec keeps its own keys in.
pub(super) fn is_reserved(reference: &Reference) -> bool {
    matches!(reference, Reference::Keychain { service, .. } if service == RESERVED_SERVICE)
}

fn receiver(written: &Placed<String>) -> Result<String, ConfigError> {
    let wrong =
        |why: &str| bad(&written.place, &format!("the receiver `{}`", secret::shown(&written.value)), why.to_owned());
    let url = Url::parse(&written.value).map_err(|_| wrong("is not a URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err(wrong("is not https; http is for loopback only")),
        _ => return Err(wrong("is not an https URL")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not quoted: there is a password in it.
        return Err(bad(&written.place, "a receiver's URL", "holds a user or password".to_owned()));
    }
    if url.fragment().is_some() {
        return Err(wrong("has a fragment (`#…`), which is never sent"));
    }
    Ok(url.into())
}

/// Never quotes what is written: it may be the key itself.
fn key_source(
    written: &Placed<RawKey>,
    draft: &Draft,
    config: &Config,
    surroundings: &Surroundings,
) -> Result<KeySource, ConfigError> {
    let wrong = |why: &str| bad(&written.place, "`api_key`", why.to_owned());
    let home = config.home.as_deref();
    let text = match &written.value {
        RawKey::Command(command) if command.command.first().is_none_or(String::is_empty) => {
            return Err(wrong("names no program"));
        }
        RawKey::Command(command) => {
            return Ok(KeySource::Command(paths::program(command.command.clone(), &draft.folder, home)));
        }
        RawKey::Reference(text) => text,
    };
    match text.split_once(':') {
        Some(("env", name)) if is_variable(name) => Ok(KeySource::Env(name.to_owned())),
        Some(("env", _)) => Err(wrong("names no environment variable after `env:`")),
        Some(("file", "")) => Err(wrong("names no file after `file:`")),
        Some(("file", path)) => Ok(KeySource::File(paths::absolute(path.as_ref(), &draft.folder, home))),
        Some(("keychain", entry)) => {
            let (service, account) = entry.split_once('/').unwrap_or((entry, KEY_ACCOUNT));
            if service.is_empty() || account.is_empty() || text.chars().any(char::is_control) {
                return Err(wrong("names no keychain entry; it is written `keychain:SERVICE[/ACCOUNT]`"));
            }
            Ok(KeySource::Keychain { service: service.to_owned(), account: account.to_owned() })
        }
        Some(("command", name)) if !config.commands.contains_key(name) => Err(wrong(
            "names no program under [commands]; one of its own is written { command = [\"PROGRAM\", \"ARGUMENT\"] }",
        )),
        Some((scheme, _)) if Reference::is_scheme(scheme) => {
            let form = format!("names nothing that a store could hold; it is written like a `store` with `{scheme}:`");
            let reference = Reference::parse(text).map_err(|_| wrong(&form))?;
            let reference = paths::reference(reference, &draft.folder, home);
            let store = store::open(&reference, &SlotNames::default(), surroundings).map_err(|_| wrong(&form))?;
            match store.access() {
                Access::ReadWrite => Ok(KeySource::Store(reference)),
                _ => Err(wrong("names a store that cannot be read")),
            }
        }
        _ => Err(wrong(
            "says where the key is (`keychain:…`, `env:…`, `file:…`, or a store such as `vault:…`), and never holds the key itself",
        )),
    }
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|character: char| character.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn max_age(written: &Placed<String>) -> Result<Duration, ConfigError> {
    provider::duration(&written.value)
        .filter(|age| !age.is_zero())
        .ok_or_else(|| bad(&written.place, "`max_age`", "is not a duration such as `90d`, `24h` or `30m`".to_owned()))
}

/// The program that is told what happens.
pub(super) fn notifier(
    RawNotify { command, on }: RawNotify,
    place: Position,
    folder: &Path,
    home: Option<&Path>,
) -> Result<Notify, ConfigError> {
    if command.first().is_none_or(String::is_empty) {
        return Err(bad(&place, "`notify`", "names no program".to_owned()));
    }
    let on = on.map(|words| words.into_iter().map(Spanned::into_inner).collect());
    Ok(Notify { command: paths::program(command, folder, home), on })
}

fn bad(place: &Position, key: &str, why: String) -> ConfigError {
    ConfigError::BadValue { place: place.clone(), key: key.to_owned(), why }
}
