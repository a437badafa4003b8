//! The shared files of all AWS programs: `~/.aws/config` and `~/.aws/credentials`, as far as they say who asks and where.

use std::collections::BTreeMap;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::super::server::file;
use super::super::{Environment, StoreError};

/// The settings of one profile, and where they were looked for.
pub(super) struct Profile {
    pub name: String,
    settings: BTreeMap<String, Zeroizing<String>>,
    /// The `[sso-session …]` that it names.
    session: BTreeMap<String, Zeroizing<String>>,
    /// Whether `AWS_PROFILE` names it.
    pub is_chosen: bool,
}

type Sections = BTreeMap<String, BTreeMap<String, Zeroizing<String>>>;

impl Profile {
    /// The profile that `AWS_PROFILE` names, or `default`. Fails if a file cannot be read, or if there is no such profile
    /// although it was named.
    pub fn find(store: &str, environment: &Environment) -> Result<Self, StoreError> {
        let chosen = environment.text("AWS_PROFILE").or_else(|| environment.text("AWS_DEFAULT_PROFILE"));
        let name = chosen.clone().unwrap_or_else(|| "default".to_owned());
        let mut config = sections(store, place(environment, "AWS_CONFIG_FILE", ".aws/config"))?;
        let mut keys = sections(store, place(environment, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"))?;
        let section = if name == "default" { name.clone() } else { format!("profile {name}") };
        let found = [config.remove(&section), keys.remove(&name)];
        if chosen.is_some() && found.iter().all(Option::is_none) {
            return Err(StoreError::Refused {
                store: store.to_owned(),
                why: format!("there is no AWS profile `{name}`"),
                hint: "check AWS_PROFILE; `aws configure list-profiles` shows them".into(),
            });
        }
        let settings: BTreeMap<_, _> = found.into_iter().flatten().flatten().collect();
        let session =
            settings.get("sso_session").and_then(|name| config.remove(&format!("sso-session {}", name.as_str())));
        Ok(Self { name, settings, session: session.unwrap_or_default(), is_chosen: chosen.is_some() })
    }

    /// A setting of the profile, or of the SSO session that it names.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings.get(key).or_else(|| self.session.get(key)).map(|value| value.as_str())
    }
}

/// A file of the user's, which a variable may place elsewhere.
fn place(environment: &Environment, variable: &str, usual: &str) -> Option<PathBuf> {
    environment.text(variable).map(PathBuf::from).or_else(|| Some(environment.home.as_ref()?.join(usual)))
}

fn sections(store: &str, path: Option<PathBuf>) -> Result<Sections, StoreError> {
    let text = path.map(|path| file(store, &path)).transpose()?.flatten().unwrap_or_default();
    let mut sections = Sections::new();
    let mut current = String::new();
    for line in text.lines() {
        // An indented line belongs to a nested setting, none of which matters here.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            current = name.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.entry(current.clone()).or_default();
        } else if let Some((key, value)) = line.split_once('=') {
            let value = value.split(" #").next().unwrap_or_default().trim();
            let section = sections.entry(current.clone()).or_default();
            section.insert(key.trim().to_ascii_lowercase(), Zeroizing::new(value.to_owned()));
        }
    }
    Ok(sections)
}
