//! What an API key can see at a provider, beside what the config has: the provider is asked for its list, and for nothing else.

use std::path::Path;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::key;
use crate::config::settings::Words;
use crate::config::sheet::Row;
use crate::config::{KeySource, Overrides, Target};
use crate::http::Url;
use crate::provider::listing::Listed;
use crate::rotation::RunError;

/// In the place of the id that is looked for; it is in no call.
const ANY: &str = "any";
/// Longest name that is made up, in characters.
const LONGEST_NAME: usize = 40;
/// How much of an id makes a name another one.
const TELLING: usize = 8;

/// An endpoint at the provider.
#[derive(Debug)]
pub struct Found {
    pub listed: Listed,
    /// The targets that it is already.
    pub targets: Vec<String>,
}

/// Asks the provider which endpoints there are. `overrides` has the ids above an endpoint's own, and an address.
pub fn look(
    context: &Context,
    provider: &str,
    mut overrides: Overrides,
    api_key_file: Option<&Path>,
) -> Result<(Target, Vec<Found>), Error> {
    let described = context.catalog()?.get(provider)?;
    if described.spec().list.is_none() {
        let message = format!("no call that lists endpoints is described for `{provider}`");
        return Err(Stop::new(Kind::Usage, message, "set its targets up one by one, or from a table"));
    }
    overrides.ids.extend(described.spec().ids.last().map(|own| (own.clone(), ANY.to_owned())));
    let mut target = context.target(provider, &overrides)?;
    target.api_key = common_key(context, &target)?;
    let key = key::find(context, &target, api_key_file)?;
    let listed = context.client(&target)?.endpoints(&target.endpoint, &key.secret).map_err(|outcome| {
        Error::of_key(RunError::unasked(described.title().to_owned(), "list its endpoints", outcome), &key.origin)
    })?;
    let config = context.config()?;
    let found = listed.into_iter().map(|listed| {
        // One whose id could be none of a target's is no target.
        let endpoint = described.endpoint(
            Some(target.endpoint.base_url.as_str()),
            &ids(&target, &listed.id),
            None,
            &target.endpoint.options,
        );
        let key = endpoint.map(|endpoint| endpoint.key()).unwrap_or_default();
        Found { targets: config.of_endpoint(&key).map(str::to_owned).collect(), listed }
    });
    let found = found.collect();
    Ok((target, found))
}

/// Where the targets of the provider at this address have their API key, if that is one place.
fn common_key(context: &Context, target: &Target) -> Result<Option<KeySource>, Error> {
    let (config, catalog) = (context.config()?, context.catalog()?);
    let (name, origin) = (target.endpoint.provider.name(), target.endpoint.origin());
    let named = config.names().filter_map(|name| config.named(name, catalog).ok());
    let here = named.filter(|other| other.endpoint.provider.name() == name && other.endpoint.origin() == origin);
    let mut keys: Vec<Option<KeySource>> = here.map(|other| other.api_key).collect();
    keys.dedup();
    Ok(keys.pop().filter(|_| keys.is_empty()).flatten())
}

/// A key's place as the config names it; a program of its own is left to whoever writes the file.
fn words(key: &KeySource) -> Option<Words> {
    Some(Words::One(match key {
        KeySource::Env(name) => format!("env:{name}"),
        KeySource::File(path) => format!("file:{}", path.display()),
        KeySource::Keychain { service, account } => format!("keychain:{service}/{account}"),
        KeySource::Store(reference) => reference.to_string(),
        KeySource::Command(_) => return None,
    }))
}

/// A target for each endpoint that is none yet. In `stores`, `{name}` and `{id}` stand for the target's name and the endpoint's id.
pub fn rows(target: &Target, base_url: Option<&str>, found: &[Found], stores: &[String], taken: &[String]) -> Vec<Row> {
    let (provider, mut taken) = (&target.endpoint.provider, taken.to_vec());
    let fresh = found.iter().filter(|found| found.targets.is_empty());
    fresh
        .zip(1..)
        .map(|(Found { listed, .. }, line)| {
            let name = name(listed, provider.name(), &taken);
            taken.push(name.clone());
            let ids = match ids(target, &listed.id).as_slice() {
                [(_, id)] => ("id", Words::One(id.clone())),
                ids => ("ids", Words::Pairs(ids.to_vec())),
            };
            let filled = |text: &String| text.replace("{name}", &name).replace("{id}", &listed.id);
            let mut settings = vec![
                ("provider", Words::One(provider.name().to_owned())),
                ids,
                ("store", Words::list(stores.iter().map(filled).collect())),
            ];
            settings.extend(base_url.map(|url| ("base_url", Words::One(url.to_owned()))));
            settings.extend(target.api_key.as_ref().and_then(words).map(|key| ("api_key", key)));
            // What cannot be probed is no receiver.
            let url = listed.url.clone().filter(|url| url.starts_with("https://"));
            settings.extend(url.map(|url| ("receivers", Words::One(url))));
            Row { line, name, settings }
        })
        .collect()
}

fn ids(target: &Target, own: &str) -> Vec<(String, String)> {
    let known = target.endpoint.ids.iter().map(|id| (id.name.clone(), id.value.clone()));
    let mut ids: Vec<_> = known.collect();
    if let Some((_, value)) = ids.last_mut() {
        own.clone_into(value);
    }
    ids
}

/// What an endpoint is called: where it delivers to, with its id where that alone tells it from another.
fn name(listed: &Listed, provider: &str, taken: &[String]) -> String {
    let url = listed.url.as_deref().and_then(|url| Url::parse(url).ok());
    let place = url.map(|url| format!("{}{}", url.host_str().unwrap_or_default(), url.path()));
    let plain = plain(place.as_deref().unwrap_or(provider));
    let id: String = listed.id.chars().filter(char::is_ascii_alphanumeric).collect();
    let tail = &id[id.len().saturating_sub(TELLING)..];
    let is_free = |name: &String| !taken.contains(name);
    let plain = if plain.is_empty() { provider.to_owned() } else { plain };
    let candidates = [plain.clone(), format!("{plain}-{tail}")].into_iter();
    let numbered = (2_u32..).map(|number| format!("{plain}-{tail}-{number}"));
    candidates.chain(numbered).find(is_free).unwrap_or(plain)
}

/// Letters, digits, `.` and `-` of a text, as a target's name has them.
fn plain(text: &str) -> String {
    let words =
        text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.').filter(|word| !word.is_empty());
    let joined: String = words.collect::<Vec<_>>().join("-").chars().take(LONGEST_NAME).collect();
    joined.trim_matches(['.', '-']).to_owned()
}
