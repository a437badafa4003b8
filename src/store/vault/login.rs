//! Which Vault, and with which token: `VAULT_ADDR`, `VAULT_TOKEN` and their like, as Vault's own program reads them, and
//! OpenBao's `BAO_…` where those are not set.

use super::super::server::{Server, file};
use super::super::{Environment, Slot, Store, StoreError, keychain_entry};
use crate::http::{Url, parse_base_url};
use crate::secret::Secret;

/// The keychain's service of whsec's own keys; the account is `vault@` and the server's address.
const KEYCHAIN_SERVICE: &str = "whsec";

/// A server and the right to talk to it.
pub(super) struct Login {
    pub address: Url,
    pub namespace: Option<String>,
    pub token: Secret,
    pub server: Server,
}

/// Which server the environment names, with its namespace.
pub(super) fn place(store: &str, environment: &Environment) -> Result<(Url, Option<String>), StoreError> {
    let refused = |why: String, hint: &str| StoreError::Refused { store: store.to_owned(), why, hint: hint.into() };
    let Some(text) = variable(environment, "ADDR") else {
        return Err(refused("VAULT_ADDR is not set".to_owned(), "export VAULT_ADDR=https://HOST:8200"));
    };
    let address = parse_base_url(&text)
        .map_err(|why| refused(format!("VAULT_ADDR cannot be used: {why}"), "write it as https://HOST:8200"))?;
    let namespace = variable(environment, "NAMESPACE").map(|namespace| namespace.trim_matches('/').to_owned());
    Ok((address, namespace))
}

impl Login {
    /// Looks for address, certificate authority and token. Nothing is sent.
    pub fn find(store: &str, environment: &Environment) -> Result<Self, StoreError> {
        let (address, namespace) = place(store, environment)?;
        let ca = match variable(environment, "CACERT") {
            None => None,
            Some(path) => Some(file(store, path.as_ref())?.ok_or_else(|| StoreError::Refused {
                store: store.to_owned(),
                why: format!("VAULT_CACERT names `{path}`, which is not there"),
                hint: "name a file of PEM certificates".into(),
            })?),
        };
        let token = token(store, &address, environment)?;
        let server = Server::new(store, format!("Vault at {}", origin(&address)), ca.map(|ca| ca.as_bytes().to_vec()));
        Ok(Self { address, namespace, token, server })
    }
}

/// Scheme, host and port.
pub(super) fn origin(address: &Url) -> String {
    address.origin().ascii_serialization()
}

/// The first token that there is: the variable, the file of `vault login`, the keychain.
fn token(store: &str, address: &Url, environment: &Environment) -> Result<Secret, StoreError> {
    if let Some(token) = environment.secret("VAULT_TOKEN").or_else(|| environment.secret("BAO_TOKEN")) {
        return Ok(token);
    }
    if let Some(path) = environment.home.as_ref().map(|home| home.join(".vault-token"))
        && let Some(text) = file(store, &path)?
        && !text.trim().is_empty()
    {
        return Ok(Secret::new(text.trim()));
    }
    let account = format!("vault@{}", origin(address));
    // A keychain that is not there is no reason to fail: most people have their token from `vault login`.
    let saved = keychain_entry(KEYCHAIN_SERVICE, &account).get(Slot::Current).ok().flatten();
    saved.ok_or_else(|| StoreError::Refused {
        store: store.to_owned(),
        why: "there is no token for Vault".to_owned(),
        hint: format!(
            "run `vault login`, set VAULT_TOKEN, or save one in the keychain as `{KEYCHAIN_SERVICE}`, `{account}`"
        )
        .into(),
    })
}

fn variable(environment: &Environment, name: &str) -> Option<String> {
    environment.text(&format!("VAULT_{name}")).or_else(|| environment.text(&format!("BAO_{name}")))
}
