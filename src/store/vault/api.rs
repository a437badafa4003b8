//! The calls to a KV v2 engine, and what each of its answers means. No answer's text is ever repeated: a policy or a
//! plugin may write anything into it.

use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::super::json::{Document, Flaw};
use super::super::server::Written;
use super::super::{Environment, StoreError};
use super::login::{self, Login};
use crate::http::{Call, Received, Url};

/// One document of one engine.
pub(super) struct Api {
    store: String,
    mount: String,
    path: String,
    environment: Environment,
    login: OnceLock<Login>,
}

/// A document as it was found; version 0 where there has never been one.
pub(super) struct Stored {
    pub document: Document,
    pub version: u64,
}

/// The parts of an answer that are not the document.
#[derive(Deserialize)]
struct Answer {
    data: AnswerData,
}

#[derive(Deserialize)]
struct AnswerData {
    data: Option<IgnoredAny>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Receipt {
    data: Metadata,
}

#[derive(Deserialize)]
struct Mount {
    data: MountData,
}

#[derive(Deserialize)]
struct MountData {
    options: Option<MountOptions>,
}

#[derive(Deserialize)]
struct MountOptions {
    version: Option<String>,
}

impl Api {
    /// Nothing is looked at yet.
    pub fn new(store: String, mount: String, path: String, environment: Environment) -> Self {
        Self { store, mount, path, environment, login: OnceLock::new() }
    }

    /// Address and namespace, as the environment names them.
    pub fn server(&self) -> Result<String, StoreError> {
        let (address, namespace) = login::place(&self.store, &self.environment)?;
        let namespace = namespace.map(|namespace| format!(" (namespace {namespace})")).unwrap_or_default();
        Ok(format!("{}{namespace}", login::origin(&address)))
    }

    /// The newest version. One that was deleted counts as empty; its number is where the next one goes on.
    pub fn read(&self) -> Result<Stored, StoreError> {
        let received = self.call("GET", &self.below("data")?, None)?;
        let body = &received.body;
        let answer = serde_json::from_slice::<Answer>(body).ok();
        match (received.status, answer) {
            (200, Some(Answer { data: AnswerData { data: Some(_), metadata } })) => {
                let document = Document::within(body, &["data", "data"]).map_err(|flaw| self.malformed(flaw))?;
                Ok(Stored { document, version: metadata.version })
            }
            // Deleted or destroyed: there is no text any more, but still a number.
            (200 | 404, Some(Answer { data: AnswerData { data: None, metadata } })) => {
                Ok(Stored { document: Document::empty(), version: metadata.version })
            }
            (200, _) => Err(self.not_kv_2()),
            (404, None) if errors(body).is_empty() => {
                self.look_at_mount()?;
                Ok(Stored { document: Document::empty(), version: 0 })
            }
            _ => Err(self.refusal(&received, "read")?),
        }
    }

    /// Writes the next version, on condition that `version` is still the newest.
    pub fn write(&self, document: &Document, version: u64) -> Result<Written, StoreError> {
        let head = format!("{{\"options\":{{\"cas\":{version}}},\"data\":");
        let body = Zeroizing::new([head.as_bytes(), document.bytes(), b"}"].concat());
        let received = self.call("POST", &self.below("data")?, Some(body))?;
        match received.status {
            200 if serde_json::from_slice::<Receipt>(&received.body).is_ok_and(|it| it.data.version > version) => {
                Ok(Written::Done)
            }
            200 | 204 => Err(self.not_kv_2()),
            400 if errors(&received.body).iter().any(|line| line.contains("did not match the current version")) => {
                Ok(Written::SomebodyWasFaster)
            }
            _ => Err(self.refusal(&received, "write")?),
        }
    }

    /// The document holds something at a slot's name that is not ours.
    pub fn malformed(&self, flaw: Flaw) -> StoreError {
        let why = match flaw {
            Flaw::Malformed { what, .. } => format!("a field of `{}/{}` is {what}", self.mount, self.path),
            Flaw::NoParent { .. } => format!("`{}/{}` is no document of fields", self.mount, self.path),
        };
        self.refused(why, "name another field: whsec replaces nothing but text")
    }

    fn call(&self, method: &str, url: &Url, body: Option<Zeroizing<Vec<u8>>>) -> Result<Received, StoreError> {
        let login = self.login()?;
        let mut headers = vec![
            ("x-vault-token".to_owned(), login.token.expose().to_owned()),
            ("x-vault-request".to_owned(), "true".to_owned()),
        ];
        headers.extend(login.namespace.clone().map(|namespace| ("x-vault-namespace".to_owned(), namespace)));
        headers.extend(body.is_some().then(|| ("content-type".to_owned(), "application/json".to_owned())));
        login.server.call(Call { method, url: url.clone(), headers, body })
    }

    fn login(&self) -> Result<&Login, StoreError> {
        if let Some(login) = self.login.get() {
            return Ok(login);
        }
        let login = Login::find(&self.store, &self.environment)?;
        Ok(self.login.get_or_init(|| login))
    }

    /// The document's address below one of the engine's branches.
    fn below(&self, branch: &str) -> Result<Url, StoreError> {
        let parts = self.mount.split('/').chain([branch]).chain(self.path.split('/'));
        self.url(parts)
    }

    fn url<'a>(&self, parts: impl Iterator<Item = &'a str>) -> Result<Url, StoreError> {
        let mut url = self.login()?.address.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().push("v1").extend(parts)),
            Err(()) => return Err(self.refused("VAULT_ADDR has no host".to_owned(), "write it as https://HOST:8200")),
        }
        Ok(url)
    }

    /// A document that was never written may as well be one of an engine that is no KV v2, where a write would end up
    /// under another path. Whoever may not look at the engine finds out by the answer to the write.
    fn look_at_mount(&self) -> Result<(), StoreError> {
        let parts = ["sys", "internal", "ui", "mounts"].into_iter().chain(self.mount.split('/'));
        let received = self.call("GET", &self.url(parts)?, None)?;
        let Ok(mount) = serde_json::from_slice::<Mount>(&received.body) else { return Ok(()) };
        let version = mount.data.options.and_then(|options| options.version);
        if received.status == 200 && version.as_deref() != Some("2") { Err(self.not_kv_2()) } else { Ok(()) }
    }

    fn not_kv_2(&self) -> StoreError {
        let hint = "name a KV version 2 engine; `vault secrets list -detailed` shows them";
        self.refused(format!("`{}` is not a KV version 2 engine", self.mount), hint)
    }

    /// What any call may be refused with.
    fn refusal(&self, received: &Received, what: &'static str) -> Result<StoreError, StoreError> {
        let said = |words: &str| errors(&received.body).iter().any(|line| line.contains(words));
        let (mount, path) = (&self.mount, &self.path);
        Ok(match received.status {
            403 if !self.is_token_known()? => self.refused(
                "Vault does not accept the token".to_owned(),
                "it has expired, was revoked, or is of another namespace: `vault login`, then run it again",
            ),
            403 => self.refused(
                format!("the token's policy does not allow to {what} `{mount}/data/{path}`"),
                "it needs `read`, `create` and `update` there",
            ),
            404 if said("no handler for route") => self.refused(
                format!("no engine is mounted at `{mount}`"),
                "`vault secrets list` shows them; write `vault:MOUNT//PATH#FIELD` for a mount that has a `/`",
            ),
            503 if said("sealed") => {
                self.refused("Vault is sealed".to_owned(), "have it unsealed, then run the same command again")
            }
            status => self.login()?.server.unexpected(status),
        })
    }

    /// Whether the token is any good, which a refusal alone does not tell.
    fn is_token_known(&self) -> Result<bool, StoreError> {
        let url = self.url(["auth", "token", "lookup-self"].into_iter())?;
        Ok(self.call("GET", &url, None)?.status == 200)
    }

    fn refused(&self, why: String, hint: &str) -> StoreError {
        StoreError::Refused { store: self.store.clone(), why, hint: hint.into() }
    }
}

fn errors(body: &[u8]) -> Vec<String> {
    serde_json::from_slice::<Complaint>(body).map(|complaint| complaint.errors).unwrap_or_default()
}
