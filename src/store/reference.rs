//! A store's name as a person writes it, `SCHEME:REST`, read and printed back. Opens nothing.

use std::fmt;
use std::path::PathBuf;

use super::StoreError;
use crate::secret;

/// One kind of store: the word before the colon, what to write, and what reads the rest.
struct Scheme {
    name: &'static str,
    form: &'static str,
    read: fn(&str) -> Result<Reference, &'static str>,
}

/// Every kind of store that can be named.
const SCHEMES: &[Scheme] = &[
    Scheme { name: "keychain", form: "write `keychain:SERVICE` or `keychain:SERVICE/ACCOUNT`", read: keychain },
    Scheme { name: "dotenv", form: "write `dotenv:PATH#KEY`", read: dotenv },
    Scheme { name: "json", form: "write `json:PATH#/pointer`", read: json },
    Scheme { name: "file", form: "write `file:PATH`", read: file },
    Scheme {
        name: "command",
        form: "write `command:NAME`, a program under `[commands.NAME]` in your own config",
        read: command,
    },
    Scheme { name: "stdout", form: "write `stdout:`", read: stdout },
    Scheme { name: "vault", form: "write `vault:MOUNT/PATH#FIELD`", read: vault },
    Scheme {
        name: "aws-sm",
        form: "write `aws-sm:NAME`, or `aws-sm:NAME#key` for a member of a JSON object",
        read: aws_sm,
    },
    Scheme { name: "age", form: "write `age:PATH`", read: age },
    Scheme { name: "k8s", form: "write `k8s:NAMESPACE/NAME#key`", read: kubernetes },
];

/// The account in `keychain:SERVICE`, where none is written.
pub const DEFAULT_ACCOUNT: &str = "webhook-secret";

/// How far a misspelt scheme may be from a known one to be suggested, in edits.
const NEAR: usize = 3;

/// Which store, and where in it. [`fmt::Display`] prints what [`Reference::parse`] reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `keychain:SERVICE[/ACCOUNT]`; a service holds no `/`, and the account is [`DEFAULT_ACCOUNT`] if not written.
    Keychain { service: String, account: String },
    /// `dotenv:PATH#KEY`
    Dotenv { path: PathBuf, key: String },
    /// `json:PATH#/pointer`, the pointer as RFC 6901 has it
    Json { path: PathBuf, pointer: String },
    /// `file:PATH`
    File { path: PathBuf },
    /// `age:PATH`
    Age { path: PathBuf },
    /// `command:NAME`
    Command { name: String },
    /// `stdout:`
    Stdout,
    /// `aws-sm:NAME[#key]`, the name or the ARN of a secret
    AwsSm { name: String, key: Option<String> },
    /// `k8s:NAMESPACE/NAME#key`
    Kubernetes { namespace: String, name: String, key: String },
    /// `vault:MOUNT/PATH#FIELD`, or `vault:MOUNT//PATH#FIELD` where the mount's own path has a `/`
    Vault { mount: String, path: String, field: String },
}

impl Reference {
    /// What it is in, as far as its words say: a folder, a mount, a namespace, a kind. What cannot be written there for one reference
    /// cannot for another.
    pub fn place(&self) -> String {
        let folder = |path: &PathBuf| path.parent().unwrap_or(path).display().to_string();
        match self {
            Self::Dotenv { path, .. } | Self::Json { path, .. } | Self::File { path } | Self::Age { path } => {
                folder(path)
            }
            Self::Keychain { .. } => "the keychain".to_owned(),
            Self::Command { name } => format!("command:{name}"),
            Self::Stdout => "stdout".to_owned(),
            Self::AwsSm { .. } => "AWS Secrets Manager".to_owned(),
            Self::Kubernetes { namespace, .. } => format!("k8s:{namespace}"),
            Self::Vault { mount, .. } => format!("vault:{mount}"),
        }
    }

    /// Whether references begin with this word.
    pub fn is_scheme(name: &str) -> bool {
        SCHEMES.iter().any(|scheme| scheme.name == name)
    }

    /// Reads a reference. Paths stay as written, `~/` and relative ones too. Fails with
    /// [`StoreError::BadReference`], whose hint shows the form or the nearest scheme.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let bad = |why: &str, hint: String| {
            let text = secret::shown(text).escape_debug().to_string();
            Err(StoreError::BadReference { text, why: why.to_owned(), hint: hint.into() })
        };
        if text.chars().any(char::is_control) {
            return bad("it holds a control character", "write it on one line, without any".to_owned());
        }
        let Some((name, rest)) = text.split_once(':') else {
            return bad("it has no scheme", nearest(text).map_or_else(known, |near| near.form.to_owned()));
        };
        let Some(scheme) = SCHEMES.iter().find(|scheme| scheme.name == name) else {
            let hint = nearest(name).map_or_else(known, |near| format!("did you mean `{}:`?", near.name));
            return bad("there is no such scheme", hint);
        };
        (scheme.read)(rest).or_else(|why| bad(why, scheme.form.to_owned()))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keychain { service, account } if account == DEFAULT_ACCOUNT => write!(out, "keychain:{service}"),
            Self::Keychain { service, account } => write!(out, "keychain:{service}/{account}"),
            Self::Dotenv { path, key } => write!(out, "dotenv:{}#{key}", path.display()),
            Self::Json { path, pointer } => write!(out, "json:{}#{pointer}", path.display()),
            Self::File { path } => write!(out, "file:{}", path.display()),
            Self::Age { path } => write!(out, "age:{}", path.display()),
            Self::Command { name } => write!(out, "command:{name}"),
            Self::Stdout => out.write_str("stdout:"),
            Self::AwsSm { name, key: None } => write!(out, "aws-sm:{name}"),
            Self::AwsSm { name, key: Some(key) } => write!(out, "aws-sm:{name}#{key}"),
            Self::Kubernetes { namespace, name, key } => write!(out, "k8s:{namespace}/{name}#{key}"),
            Self::Vault { mount, path, field } => {
                let between = if mount.contains('/') { "//" } else { "/" };
                write!(out, "vault:{mount}{between}{path}#{field}")
            }
        }
    }
}

/// Whether a dotenv file can have a variable of this name: `[A-Za-z_][A-Za-z0-9_]*`.
pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
}

/// Whether a Kubernetes secret can have a key of this name.
pub(super) fn is_kubernetes_key(key: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    !key.is_empty() && key != "." && key != ".." && key.chars().all(plain)
}

fn keychain(rest: &str) -> Result<Reference, &'static str> {
    let (service, account) = rest.split_once('/').unwrap_or((rest, DEFAULT_ACCOUNT));
    if service.is_empty() {
        return Err("the service is empty");
    }
    if account.is_empty() {
        return Err("the account is empty");
    }
    Ok(Reference::Keychain { service: service.to_owned(), account: account.to_owned() })
}

fn dotenv(rest: &str) -> Result<Reference, &'static str> {
    let (path, key) = rest.rsplit_once('#').ok_or("it does not say which variable")?;
    if !is_variable(key) {
        return Err("a variable's name is letters, digits and `_`, and starts with no digit");
    }
    Ok(Reference::Dotenv { path: path_of_file(path)?, key: key.to_owned() })
}

fn json(rest: &str) -> Result<Reference, &'static str> {
    let at = rest.find("#/").ok_or("it does not say which member, as a pointer that starts with `/`")?;
    let (path, pointer) = (&rest[..at], &rest[at + 1..]);
    if pointer.ends_with('/') {
        return Err("the pointer's last part is empty");
    }
    if pointer.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
        return Err("in a pointer `~` is written `~0`, and `/` in a name `~1`");
    }
    Ok(Reference::Json { path: path_of_file(path)?, pointer: pointer.to_owned() })
}

fn file(rest: &str) -> Result<Reference, &'static str> {
    Ok(Reference::File { path: path_of_file(rest)? })
}

fn age(rest: &str) -> Result<Reference, &'static str> {
    Ok(Reference::Age { path: path_of_file(rest)? })
}

fn stdout(rest: &str) -> Result<Reference, &'static str> {
    rest.is_empty().then_some(Reference::Stdout).ok_or("nothing follows `stdout:`")
}

fn command(rest: &str) -> Result<Reference, &'static str> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if rest.is_empty() || !rest.chars().all(plain) {
        return Err("a command's name is letters, digits, `-` and `_`");
    }
    Ok(Reference::Command { name: rest.to_owned() })
}

fn aws_sm(rest: &str) -> Result<Reference, &'static str> {
    let (name, key) = rest.split_once('#').map_or((rest, None), |(name, key)| (name, Some(key)));
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/_+=.@-".contains(letter);
    let is_arn = name.starts_with("arn:") && name.split(':').count() == 7;
    if name.is_empty() || !name.chars().all(|letter| plain(letter) || (is_arn && letter == ':')) {
        return Err("a secret's name is letters, digits and `/_+=.@-`, or it is an ARN");
    }
    if key == Some("") {
        return Err("the key is empty");
    }
    Ok(Reference::AwsSm { name: name.to_owned(), key: key.map(str::to_owned) })
}

fn kubernetes(rest: &str) -> Result<Reference, &'static str> {
    let (place, key) = rest.rsplit_once('#').ok_or("it does not say which key of the secret")?;
    let (namespace, name) = place.split_once('/').ok_or("it does not say which namespace and which secret")?;
    let is_name = |text: &str| {
        let plain =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-' || letter == '.';
        text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.chars().all(plain)
    };
    if !is_name(namespace) || !is_name(name) {
        return Err("a namespace's and a secret's name are lower-case letters, digits, `-` and `.`");
    }
    if !is_kubernetes_key(key) {
        return Err("a key is letters, digits, `-`, `_` and `.`");
    }
    Ok(Reference::Kubernetes { namespace: namespace.to_owned(), name: name.to_owned(), key: key.to_owned() })
}

fn vault(rest: &str) -> Result<Reference, &'static str> {
    let (place, field) = rest.rsplit_once('#').ok_or("it does not say which field")?;
    let (mount, path) =
        place.split_once("//").or_else(|| place.split_once('/')).ok_or("it does not say which path below the mount")?;
    if [mount, path].iter().any(|part| part.split('/').any(|part| ["", ".", ".."].contains(&part))) {
        return Err("a part of its path is empty, `.` or `..`");
    }
    if field.is_empty() {
        return Err("the field is empty");
    }
    Ok(Reference::Vault { mount: mount.to_owned(), path: path.to_owned(), field: field.to_owned() })
}

fn path_of_file(path: &str) -> Result<PathBuf, &'static str> {
    match path {
        "" => Err("the path is empty"),
        folder if folder.ends_with('/') => Err("the path is a folder's"),
        path => Ok(PathBuf::from(path)),
    }
}

fn nearest(name: &str) -> Option<&'static Scheme> {
    let scored = SCHEMES.iter().map(|known| (strsim::damerau_levenshtein(name, known.name), known));
    let (distance, near) = scored.min_by_key(|(distance, known)| (*distance, known.name))?;
    (distance <= NEAR && distance < near.name.len()).then_some(near)
}

fn known() -> String {
    let names: Vec<&str> = SCHEMES.iter().map(|scheme| scheme.name).collect();
    format!("the schemes are `{}:`", names.join(":`, `"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_prints_back() {
        for text in [
            "keychain:payments",
            "keychain:payments/layers",
            "keychain:payments/a/b",
            "dotenv:.env#LAYERS_WEBHOOK_SECRET",
            "dotenv:/srv/a#b/.env#_K1",
            "json:conf/app.json#/webhooks/0/secret",
            "json:a.json#/a~1b/c~0d",
            "file:/run/secrets/layers",
            "command:op",
            "age:secrets/hooks.age",
            "stdout:",
            "vault:secret/app/hooks#signing key",
            "vault:team/kv//app#key",
            "k8s:payments/hooks#signing.key",
            "aws-sm:prod/hooks",
            "aws-sm:prod/hooks#signing.key",
            "aws-sm:arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/hooks-AbCdEf#key",
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        let spelt_out = Reference::parse("keychain:payments/webhook-secret").unwrap();
        assert_eq!(spelt_out, Reference::parse("keychain:payments").unwrap());
    }

    #[test]
    fn what_is_wrong_is_named_with_a_way_out() {
        for (text, why, hint) in [
            ("keychian:x", "there is no such scheme", "did you mean `keychain:`?"),
            ("dotnev:x", "there is no such scheme", "did you mean `dotenv:`?"),
            ("dotenv", "it has no scheme", "write `dotenv:PATH#KEY`"),
            ("keychain:", "the service is empty", "write `keychain:SERVICE` or `keychain:SERVICE/ACCOUNT`"),
            ("keychain:a/", "the account is empty", "write `keychain:SERVICE` or `keychain:SERVICE/ACCOUNT`"),
            ("dotenv:.env", "it does not say which variable", "write `dotenv:PATH#KEY`"),
            ("dotenv:#KEY", "the path is empty", "write `dotenv:PATH#KEY`"),
            ("json:a.json#/a/", "the pointer's last part is empty", "write `json:PATH#/pointer`"),
            ("file:/run/", "the path is a folder's", "write `file:PATH`"),
            ("stdout:x", "nothing follows `stdout:`", "write `stdout:`"),
        ] {
            let Err(StoreError::BadReference { why: said, hint: told, .. }) = Reference::parse(text) else {
                panic!("`{text}` was read");
            };
            assert_eq!((said, told.to_string()), (why.to_owned(), hint.to_owned()), "{text}");
        }
        for text in [
            "vault:kv#f",
            "vault:kv/#f",
            "vault:kv/../sys#f",
            "vault:kv/a",
            "vault:kv/a#",
            "aws-sm:",
            "aws-sm:a b",
            "aws-sm:a#",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        for text in ["", "valt:x", "dotenv:.env#1KEY", "dotenv:.env#A-B", "json:a.json", "json:a#/x~2", "command:a b"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        assert!(Reference::parse("file:a\0b").is_err());
    }
}
