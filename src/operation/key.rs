//! Finds the API key for an endpoint, in a fixed order, and says which way it came.
//!
//! A key saved by `login` is bound to the provider and the origin it was saved for. Nothing here prints a key.

use std::fs;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::context::Context;
use super::error::{Error, Kind, Stop, of_asking};
use crate::advice::{Verb, advice};
use crate::config::{KeySource, Target};
use crate::provider::{Endpoint, ProviderError};
use crate::rotation::KeyOrigin;
use crate::secret::{self, Secret};
use crate::shell;
use crate::store::{self, Reference, Slot, SlotNames, Store, StoreError, Surroundings};
use crate::system::program::{self, COMMAND_DEADLINE};

/// The keychain service under which `login` saves keys.
pub const KEY_SERVICE: &str = "whsec";

/// Longest key file that is read, in bytes; no provider's key comes near.
const LONGEST_KEY: u64 = 64 << 10;

/// An API key, with where it was found.
#[derive(Debug)]
pub struct ApiKey {
    pub secret: Secret,
    pub origin: KeyOrigin,
}

impl ApiKey {
    /// A key that was found in this way, in words: `the environment variable LAYERS_API_KEY`.
    fn found(secret: Secret, way: String) -> Self {
        Self { secret, origin: KeyOrigin { words: way, is_printed: false } }
    }
}

/// The keychain account under which `login` saves the key for this provider at this origin.
pub fn key_account(endpoint: &Endpoint) -> String {
    account(endpoint.provider.name(), &endpoint.origin())
}

/// The keychain account for a provider's name and an origin.
pub fn account(provider: &str, origin: &str) -> String {
    format!("{provider}@{origin}")
}

/// Looks for the API key of a target: `file`, else where the target says, else the provider's environment variable, else what `login` saved. The
/// first one that is named has to work; nothing falls through from a source that the operator chose.
pub fn find(context: &Context, target: &Target, file: Option<&Path>) -> Result<ApiKey, Error> {
    let endpoint = &target.endpoint;
    if endpoint.provider.is_by_hand() {
        return Err(no_key_needed(endpoint));
    }
    let found = match (file, &target.api_key) {
        (Some(path), _) => from_file(context, &context.folders().current.join(path))?,
        (None, Some(source)) => from_source(context, source, &target.surroundings)?,
        (None, None) => match from_variable(context, &endpoint.provider.spec().auth.env)? {
            Some(found) => found,
            None => saved(endpoint)?,
        },
    };
    endpoint.provider.admit_key(endpoint, &found.secret).map_err(refused)?;
    Ok(found)
}

/// Where nothing is ever sent, no key is looked for, or kept.
pub fn no_key_needed(endpoint: &Endpoint) -> Error {
    let message = format!("{} is never called: its secret is made by hand", endpoint.provider.title());
    Stop::new(Kind::Usage, message, "it needs no API key")
}

/// A refused key is an authentication failure, not a misuse of the command.
pub fn refused(error: ProviderError) -> Error {
    let shown = || advice![Verb::Doctor.alone(), " shows where the key comes from"];
    let hint = error.hint().unwrap_or_else(shown);
    Stop::new(Kind::Auth, error.to_string(), hint)
}

/// Reads a key, one newline at its end left out.
pub fn read_key(mut from: impl Read) -> std::io::Result<Secret> {
    let mut text = Zeroizing::new(String::new());
    from.by_ref().take(LONGEST_KEY + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_KEY {
        return Err(std::io::Error::other("it is too long for an API key"));
    }
    Ok(Secret::new(without_newline(&text)))
}

fn from_source(context: &Context, source: &KeySource, surroundings: &Surroundings) -> Result<ApiKey, Error> {
    match source {
        KeySource::Env(name) => from_variable(context, name)?.ok_or_else(|| {
            let message =
                format!("the environment variable `{name}`, where the target says its API key is, is not set");
            Stop::new(Kind::Auth, message, format!("set {name}, or give the key as --api-key-file FILE"))
        }),
        KeySource::File(path) => from_file(context, path),
        KeySource::Keychain { service, account } => {
            let way = format!("the keychain entry `{service}/{account}`");
            match from_keychain(service, account)? {
                Some(key) => Ok(ApiKey::found(key, way)),
                None => Err(Stop::new(
                    Kind::Auth,
                    format!("{way}, where the target says its API key is, does not exist or is locked away"),
                    "unlock the keychain or save the key there, or give it as --api-key-file FILE",
                )),
            }
        }
        KeySource::Store(reference) => from_store(reference, surroundings),
        KeySource::Command(arguments) => {
            let program = arguments.first().map_or("", String::as_str);
            let failed = |error| {
                let hint = format!("`api_key` runs `{program}`; try it by hand");
                Stop::new(Kind::Auth, format!("the API key's program failed: {error}"), hint)
            };
            let printed = program::output(arguments, COMMAND_DEADLINE, &surroundings.private).map_err(failed)?;
            let unusable = |why: &str| failed(program::failed(arguments, why.to_owned()));
            let text = std::str::from_utf8(&printed).map_err(|_| unusable("printed something that is not UTF-8"))?;
            let key = Secret::new(without_newline(text));
            if key.is_empty() {
                return Err(unusable("printed nothing"));
            }
            let origin = KeyOrigin { words: format!("the program `{program}`"), is_printed: true };
            Ok(ApiKey { secret: key, origin })
        }
    }
}

fn from_store(reference: &Reference, surroundings: &Surroundings) -> Result<ApiKey, Error> {
    let way = format!("the store `{reference}`");
    let failed = |error: StoreError| {
        let hint = error.hint().unwrap_or_else(|| "mend the store, or give the key as --api-key-file FILE".into());
        Stop::new(of_asking(&error), format!("the API key cannot be read: {error}"), hint)
    };
    let opened = store::open(reference, &SlotNames::default(), surroundings).map_err(failed)?;
    match opened.get(Slot::Current).map_err(failed)? {
        Some(key) => {
            // A program may print another one each time.
            let origin = KeyOrigin { words: way, is_printed: matches!(reference, Reference::Command { .. }) };
            Ok(ApiKey { secret: Secret::new(without_newline(key.expose())), origin })
        }
        None => {
            let message = format!("{way}, where the target says its API key is, has nothing there");
            Err(Stop::new(Kind::Auth, message, "put the key there, or give it as --api-key-file FILE"))
        }
    }
}

fn from_variable(context: &Context, name: &str) -> Result<Option<ApiKey>, Error> {
    let way = format!("the environment variable `{name}`");
    let Some(value) = context.variable(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.into_string() {
        Ok(value) => {
            let value = Zeroizing::new(value);
            Ok(Some(ApiKey::found(Secret::new(without_newline(&value)), way)))
        }
        Err(_) => Err(Stop::new(Kind::Auth, format!("{way} holds no readable text"), "copy the key again")),
    }
}

fn from_file(context: &Context, path: &Path) -> Result<ApiKey, Error> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot read the API key file `{}`: {error}", secret::shown_path(path));
        Stop::new(Kind::Auth, message, "name a file that holds the key and nothing else")
    };
    let file = fs::File::open(path).map_err(failed)?;
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = file.metadata().map_err(failed)?;
        let (shown, typed) = (path.display(), shell::quoted(&path.to_string_lossy()));
        // What another user owns or can write is another user's key. What root owns, and what others can read, may be a mounted
        // secret.
        if metadata.is_file() && ![0, rustix::process::geteuid().as_raw()].contains(&metadata.uid()) {
            let message = format!("another user owns the API key file `{shown}`");
            let hint = format!("is it your key? then: chown \"$USER\" {typed}");
            return Err(Stop::new(Kind::Auth, message, hint));
        }
        if metadata.is_file() && metadata.mode() & 0o022 != 0 {
            let message = format!("other users may write the API key file `{shown}`");
            return Err(Stop::new(Kind::Auth, message, format!("chmod 600 {typed}")));
        }
        if metadata.is_file() && metadata.mode() & 0o044 != 0 {
            context.warn(format!("other users may read the API key file `{shown}`: chmod 600 {typed}"));
        }
    }
    let key = read_key(file).map_err(failed)?;
    Ok(ApiKey::found(key, format!("the file `{}`", path.display())))
}

fn saved(endpoint: &Endpoint) -> Result<ApiKey, Error> {
    let account = key_account(endpoint);
    let (name, variable) = (endpoint.provider.name(), &endpoint.provider.spec().auth.env);
    let elsewhere = endpoint.provider.base_url() != Some(&endpoint.base_url);
    let at = if elsewhere { format!(" --base-url {}", endpoint.base_url) } else { String::new() };
    let found = from_keychain(KEY_SERVICE, &account);
    if let Ok(Some(key)) = found {
        let way = format!("the keychain, saved by `whsec login {name}{at}`");
        return Ok(ApiKey::found(key, way));
    }
    let keychain = match found {
        Err(error) => format!("; {error}"),
        Ok(_) => String::new(),
    };
    Err(Stop::new(
        Kind::Auth,
        format!("there is no API key for `{name}` at {}{keychain}", endpoint.origin()),
        format!(
            "set {variable}, give --api-key-file FILE, save one with `whsec login {name}{at}`, or write `api_key` into your own config"
        ),
    ))
}

fn from_keychain(service: &str, account: &str) -> Result<Option<Secret>, store::StoreError> {
    store::keychain_entry(service, account).get(Slot::Current)
}

fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare() -> Context {
        Context::for_tests()
    }

    #[test]
    fn one_line_break_at_the_end_does_not_count() {
        for (text, key) in [("k", "k"), ("k\n", "k"), ("k\r\n", "k"), ("k\n\n", "k\n"), (" k", " k"), ("", "")] {
            assert_eq!(read_key(text.as_bytes()).unwrap().expose(), key);
        }
        assert!(read_key(std::io::repeat(b'k')).is_err());
    }

    #[test]
    fn a_key_file_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "k\n").unwrap();
        for (mode, taken) in [(0o600, true), (0o440, true), (0o620, false), (0o602, false)] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let found = from_source(&bare(), &KeySource::File(path.clone()), &Surroundings::default());
            assert_eq!(found.is_ok(), taken, "{mode:o}");
            if let Err(error) = found {
                assert_eq!(error.kind(), Kind::Auth);
            }
        }
    }

    #[test]
    fn b11_a_key_file_of_another_user_is_refused() {
        use std::os::unix::fs::{PermissionsExt, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it's a key");
        fs::write(&path, "k\n").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        if !rustix::process::geteuid().is_root() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: only root gives files away\n");
            return;
        }
        chown(&path, Some(12_345), None).unwrap();
        let error = from_source(&bare(), &KeySource::File(path.clone()), &Surroundings::default()).unwrap_err();
        assert_eq!((error.kind(), error.words().contains("another user owns the API key file")), (Kind::Auth, true));
        let words = shlex::split(error.advice().unwrap().to_string().split("then: ").nth(1).unwrap()).unwrap();
        assert_eq!(words.last().map(String::as_str), path.to_str());
    }

    #[test]
    fn a_key_program_that_prints_no_key_is_named() {
        let key = |script: &str| {
            let program = ["sh", "-c", script].map(str::to_owned).to_vec();
            from_source(&bare(), &KeySource::Command(program), &Surroundings::default())
        };
        assert_eq!(key("echo key").unwrap().secret.expose(), "key");
        for (script, says) in [
            ("true", "printed nothing"),
            ("echo", "printed nothing"),
            ("printf '\\377'", "is not UTF-8"),
            ("exit 3", "exited with 3"),
        ] {
            let error = key(script).unwrap_err();
            let words = error.words();
            assert!(words.contains(says) && words.contains("the program `sh`"), "{words}");
            assert_eq!(error.kind(), Kind::Auth);
        }
    }

    #[test]
    fn a_key_is_what_a_store_has_live() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        fs::write(&path, "{\"layers\":{\"key\":\"k1\\n\",\"none\":\"\"}}").unwrap();
        let key = |pointer: &str| {
            let reference = Reference::parse(&format!("json:{}#{pointer}", path.display())).unwrap();
            from_source(&bare(), &KeySource::Store(reference), &Surroundings::default())
        };
        let found = key("/layers/key").unwrap();
        assert_eq!((found.secret.expose(), found.origin.is_printed), ("k1", false));
        assert!(found.origin.words.starts_with("the store `json:/"), "{}", found.origin.words);
        let empty = key("/layers/none").unwrap_err();
        assert_eq!((empty.kind(), empty.words().contains("has nothing there")), (Kind::Auth, true));
        fs::write(&path, "{").unwrap();
        let broken = key("/layers/key").unwrap_err();
        assert_eq!((broken.kind(), broken.words().contains("the API key cannot be read")), (Kind::Auth, true));
    }

    #[test]
    fn a_source_that_the_target_names_does_not_fall_through() {
        let source = KeySource::Env("WHSEC_TEST_NO_SUCH_VARIABLE".to_owned());
        let error = from_source(&bare(), &source, &Surroundings::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Auth);
        assert!(error.words().contains("WHSEC_TEST_NO_SUCH_VARIABLE"));
    }

    /// One context serves many targets, and nothing but what was handed in says where their keys are.
    #[test]
    fn each_target_has_its_own_key_with_its_own_source() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        let target = |name: &str| {
            format!(
                "[targets.{name}]\nprovider = \"layers\"\nid = \"{name}\"\napi_key = \"env:{}_KEY\"\n",
                name.to_uppercase()
            )
        };
        fs::write(&config, target("one") + &target("two")).unwrap();
        let context = Context::in_world(Some(config), |name| name.strip_suffix("_KEY").map(Into::into));
        for name in ["one", "two"] {
            let target = context.target(name, &Default::default()).unwrap();
            let found = find(&context, &target, None).unwrap();
            let upper = name.to_uppercase();
            assert_eq!(found.secret.expose(), upper);
            assert_eq!(found.origin.words, format!("the environment variable `{upper}_KEY`"));
        }
    }
}
