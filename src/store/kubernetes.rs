//! `k8s:NAMESPACE/NAME#key`: keys of one Secret, `key`, `key_next`, `key_previous`, by way of `kubectl`.
//!
//! `kubectl` has what a cluster asks for: contexts, client certificates, programs that make tokens, the pod's own account.
//! Others switch its context at any time, so the first call's is named in every later one, and the cluster behind it is
//! compared before each change.
//! The object goes to its standard input, and is replaced only if it is still at the version that was read. Raw requests,
//! so that nothing of the object is interpreted, kept in an annotation, or asked of the cluster beforehand.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::json::Document;
use super::names::{Names, Suffixes};
use super::reference::is_kubernetes_key;
use super::server::{Written, change_at_version};
use super::slots::{self, Held};
use super::{Access, Change, Slot, SlotNames, Store, StoreError, Surroundings, bare};
use crate::secret::Secret;
use crate::system::program::{Ended, Run};

const PROGRAM: &str = "kubectl";

const SUFFIXES: Suffixes<'static> = Suffixes { next: "_next", previous: "_previous", canary: "_whsec_check" };

/// The most that is read of an object, in bytes: half as much again as a cluster keeps of one, for base64.
const MOST: usize = 4 * 1024 * 1024;

/// How often a change is worked out anew because somebody else was faster.
const ATTEMPTS: u32 = 20;

/// How long the cluster may take, as `kubectl` is told.
const TIMEOUT: &str = "--request-timeout=10s";

/// Keys of one Secret.
pub(super) struct Kubernetes {
    reference: String,
    namespace: String,
    name: String,
    names: Names,
    surroundings: Surroundings,
    /// Where the first call went, which all others keep to.
    place: OnceLock<Cluster>,
}

/// A cluster, and the context that leads to it; a pod's own cluster has none.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cluster {
    context: Option<String>,
    server: String,
}

/// What `kubectl config view` is asked for: the context, then the cluster's address.
const PLACE: &str = "jsonpath={.current-context}{\"\\n\"}{.clusters[0].cluster.server}";

impl Kubernetes {
    /// Names the keys; nothing is started. A slot's own name is a key of the same secret.
    pub fn new(
        namespace: &str,
        name: &str,
        key: &str,
        names: &SlotNames,
        surroundings: &Surroundings,
    ) -> Result<Self, StoreError> {
        let reference = format!("k8s:{namespace}/{name}#{key}");
        let names = Names::new(&reference, key, &SUFFIXES, names)?;
        if let Some(odd) = names.iter().find(|name| !is_kubernetes_key(name)) {
            let (why, hint) =
                (format!("`{odd}` is no key of a Secret"), "letters, digits, `-`, `_` and `.`".to_owned());
            return Err(StoreError::Refused { store: reference, why, hint: hint.into() });
        }
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Ok(Self { reference, namespace, name, names, surroundings: surroundings.clone(), place: OnceLock::new() })
    }

    /// The cluster that this store keeps to.
    fn place(&self) -> Result<&Cluster, StoreError> {
        match self.place.get() {
            Some(place) => Ok(place),
            None => {
                let found = self.look_up(None)?;
                Ok(self.place.get_or_init(|| found))
            }
        }
    }

    /// Where a context leads now, or the current one.
    fn look_up(&self, context: Option<&str>) -> Result<Cluster, StoreError> {
        let ended = self.start(context, &["config", "view", "--minify", "-o", PLACE], None)?;
        let printed = String::from_utf8_lossy(&ended.output).into_owned();
        let (context, server) = printed.split_once('\n').unwrap_or_default();
        let (context, server) = (context.to_owned(), server.trim().to_owned());
        if !server.is_empty() {
            return Ok(Cluster { context: Some(context).filter(|name| !name.is_empty()), server });
        }
        let host = self.surroundings.environment.text("KUBERNETES_SERVICE_HOST");
        let pods = host.map(|host| Cluster { context: None, server: format!("{host} (own pod)") });
        pods.ok_or_else(|| {
            self.refused("`kubectl` has no cluster to talk to".to_owned(), "set KUBECONFIG, or choose a context")
        })
    }

    /// Refuses to change anything where the context leads to another cluster by now.
    fn compare_place(&self) -> Result<(), StoreError> {
        let begun = self.place()?;
        let now = self.look_up(begun.context.as_deref())?;
        if now == *begun {
            return Ok(());
        }
        let why = format!("it was at {} when this began, and `kubectl` now leads to {}", begun.server, now.server);
        Err(self.refused(why, "nothing was written there; set the context as it was, then run the same command again"))
    }

    /// The whole object as the cluster has it.
    fn read(&self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let ended = self.run(&["get", "--raw", &self.path(), TIMEOUT], None)?;
        if ended.status.success() { Ok(ended.output) } else { Err(self.refusal(&ended, "read")) }
    }

    /// The object's values, in base64.
    fn data(&self, object: &[u8]) -> Result<Document, StoreError> {
        match serde_json::from_slice::<Outline>(object) {
            Ok(Outline { kind: Some(kind), data: Some(_) }) if kind == "Secret" => {
                Document::within(object, &["data"]).map_err(|_| self.not_a_secret())
            }
            Ok(Outline { kind: Some(kind), data: None }) if kind == "Secret" => Ok(Document::empty()),
            _ => Err(self.not_a_secret()),
        }
    }

    fn value(&self, data: &Document, slot: Slot) -> Result<Option<Secret>, StoreError> {
        let Some(written) = data.get(self.names.of(slot)).map_err(|_| self.not_a_secret())? else { return Ok(None) };
        let bytes = STANDARD.decode(written.expose()).map(Zeroizing::new).map_err(|_| self.not_a_secret())?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(Secret::new(text)).filter(|value| !value.is_empty())),
            Err(_) => Err(self.refused(
                format!("`{}` holds something that is not text", self.names.of(slot)),
                "name another key: whsec replaces nothing but text",
            )),
        }
    }

    fn changed(&self, data: &Document, changes: &[Change<'_>]) -> Result<Document, StoreError> {
        let mut wanted = data.clone();
        for (slot, value) in changes {
            // What is no text is not ours to replace.
            self.value(&wanted, *slot)?;
            let written = value.map(|value| Secret::new(STANDARD.encode(value.expose())));
            let changed = wanted.with(self.names.of(*slot), self.names.of(Slot::Current), written.as_ref());
            wanted = changed.map_err(|_| self.not_a_secret())?;
        }
        Ok(wanted)
    }

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/{}", self.namespace, self.name)
    }

    /// Talks to the cluster that this store keeps to.
    fn run(&self, arguments: &[&str], input: Option<&[u8]>) -> Result<Ended, StoreError> {
        let place = self.place()?;
        self.start(place.context.as_deref(), arguments, input)
    }

    fn start(&self, context: Option<&str>, arguments: &[&str], input: Option<&[u8]>) -> Result<Ended, StoreError> {
        let context = context.map(|name| format!("--context={name}"));
        let words = [PROGRAM].into_iter().chain(context.as_deref()).chain(arguments.iter().copied());
        let arguments: Vec<String> = words.map(str::to_owned).collect();
        let environment = &self.surroundings.environment;
        let variables: Vec<_> =
            environment.text("KUBECONFIG").map(|it| ("KUBECONFIG".to_owned(), it)).into_iter().collect();
        let private = &self.surroundings.private;
        let run = Run::new(&arguments, private);
        Run { input, variables: &variables, most: MOST, hears: true, ..run }
            .end()
            .map_err(StoreError::program(&self.reference))
    }

    /// What `kubectl` says in parentheses is the cluster's own word for what is wrong; the rest is not repeated.
    fn refusal(&self, ended: &Ended, what: &str) -> StoreError {
        let complaint = String::from_utf8_lossy(&ended.complaint);
        let said = |word: &str| complaint.contains(word);
        let (namespace, name) = (&self.namespace, &self.name);
        if said("(NotFound)") {
            let hint = format!(
                "is the context right? whsec makes none: `kubectl create secret generic {name} -n {namespace}`"
            );
            self.refused(format!("there is no Secret `{name}` in `{namespace}`"), &hint)
        } else if said("(Forbidden)") {
            let why = format!("the account is not allowed to {what} the Secret `{name}` in `{namespace}`");
            self.refused(why, "it needs `get` and `update` on that Secret; `kubectl auth can-i` tells what it may")
        } else if said("(Unauthorized)") || said("must be logged in") {
            self.refused("the cluster does not accept the login".to_owned(), "log in again, then run it again")
        } else if said("is invalid") {
            self.refused(format!("the cluster does not take the Secret `{name}` so"), "is it marked `immutable`?")
        } else if said("(TooManyRequests)") || said("(ServiceUnavailable)") || said("(InternalError)") {
            self.refused("the cluster is not well".to_owned(), "run the same command again in a while")
        } else if said("Unable to connect") || said("was refused") || said("no such host") || said("timeout") {
            let (store, server) = (self.reference.clone(), "the cluster".to_owned());
            StoreError::NoAnswer { store, server, why: "the connection failed".to_owned() }
        } else {
            let why = format!("`kubectl` cannot {what} it");
            self.refused(why, &format!("`kubectl get secret {name} -n {namespace}` shows why"))
        }
    }

    fn not_a_secret(&self) -> StoreError {
        self.refused("the answer is no Secret".to_owned(), "does `kubectl` talk to a cluster?")
    }

    fn refused(&self, why: String, hint: &str) -> StoreError {
        StoreError::Refused { store: self.reference.clone(), why, hint: hint.into() }
    }
}

/// The parts of an object that say whether it is one of ours.
#[derive(serde::Deserialize)]
struct Outline {
    kind: Option<String>,
    data: Option<serde::de::IgnoredAny>,
}

impl Store for Kubernetes {
    fn reference(&self) -> String {
        self.reference.clone()
    }

    fn slot_name(&self, slot: Slot) -> String {
        self.names.of(slot).to_owned()
    }

    fn access(&self) -> Access {
        Access::ReadWrite
    }

    fn server(&self) -> Result<Option<String>, StoreError> {
        Ok(Some(self.place()?.server.clone()))
    }

    fn get(&self, slot: Slot) -> Result<Option<Secret>, StoreError> {
        self.value(&self.data(&self.read()?)?, slot)
    }

    fn apply(&self, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(None, changes)
    }

    fn apply_seen(&self, seen: &Held, changes: &[Change<'_>]) -> Result<(), StoreError> {
        self.change(Some(seen), changes)
    }
}

impl Kubernetes {
    fn change(&self, seen: Option<&Held>, changes: &[Change<'_>]) -> Result<(), StoreError> {
        bare::admit_values(&self.reference, changes)?;
        let prepare = || {
            let object = self.read()?;
            let data = self.data(&object)?;
            let wanted = self.changed(&data, changes)?;
            // A lost answer may have been to this very change, which is looked for before anything else.
            if wanted == data {
                return Ok(None);
            }
            if let Some(seen) = seen {
                slots::still(&self.reference, seen, |slot| self.value(&data, slot))?;
            }
            // The object carries the version that was read.
            wanted.put_into(&object, "data").map(Some).map_err(|_| self.not_a_secret())
        };
        change_at_version(&self.reference, ATTEMPTS, prepare, |object| {
            self.compare_place()?;
            let ended = self.run(&["replace", "--raw", &self.path(), "-f", "-", TIMEOUT], Some(&object))?;
            match ended.status.success() {
                true => Ok(Written::Done),
                false if String::from_utf8_lossy(&ended.complaint).contains("(Conflict)") => {
                    Ok(Written::SomebodyWasFaster)
                }
                false => Err(self.refusal(&ended, "change")),
            }
        })
    }
}

#[cfg(test)]
#[path = "kubernetes_tests.rs"]
mod tests;
