//! What stores need besides their reference: the config's programs, and the world that `cli` alone may look at.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::envelope::Envelope;
use super::{CommandSpec, StoreError};
use crate::advice::Advice;
use crate::secret::Secret;

/// What stores need besides their reference.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Programs by name, from the user's own config.
    pub commands: Arc<BTreeMap<String, CommandSpec>>,
    /// The target's name, for `{target}` in a command's arguments.
    pub target: String,
    /// Environment variables that no program started from here gets to see, because they hold API keys.
    pub private: Arc<[String]>,
    /// Where a relative path in a reference starts.
    pub folder: PathBuf,
    /// Which server a store talks to and with which token is said by the environment, never by a reference.
    pub environment: Environment,
    /// The rotation that the stores are opened for, where there is one: a store that numbers its versions by a token of
    /// the caller's takes it, so that what is sent twice is done once.
    pub rotation: Option<Uuid>,
}

/// The environment's variables, the home folder and the clock. Nothing is looked at before a store needs it.
#[derive(Clone)]
pub struct Environment {
    variables: Variables,
    envelope: Envelopes,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// The local clock, for signatures that hold a moment.
    pub now: fn() -> Timestamp,
}

/// Finds a variable's value by its name.
type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Finds this machine's identity and whom else files are encrypted for.
type Envelopes = Arc<dyn Fn() -> Result<Envelope, NoEnvelope> + Send + Sync>;

/// Why there is no identity, and what to do about it.
pub struct NoEnvelope {
    pub why: String,
    pub hint: Advice,
}

impl Environment {
    /// An environment with these variables. A variable that is set and empty counts as not set.
    pub fn new(
        variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        home: Option<PathBuf>,
        now: fn() -> Timestamp,
    ) -> Self {
        let none = || {
            let hint = "run it with a home folder, where the identity is kept".into();
            Err(NoEnvelope { why: "there is no identity to encrypt with".to_owned(), hint })
        };
        Self { variables: Arc::new(variables), envelope: Arc::new(none), home, now }
    }

    /// The same with an identity for encrypted files, which is looked for when a store first needs it.
    pub fn with_envelope(self, find: impl Fn() -> Result<Envelope, NoEnvelope> + Send + Sync + 'static) -> Self {
        Self { envelope: Arc::new(find), ..self }
    }

    /// The identity for encrypted files, for a store.
    pub(super) fn envelope(&self, store: &str) -> Result<Envelope, StoreError> {
        (self.envelope)().map_err(|NoEnvelope { why, hint }| StoreError::Refused { store: store.to_owned(), why, hint })
    }

    /// A variable's value, which may be secret.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        (self.variables)(name).map(Secret::new).filter(|value| !value.is_empty())
    }

    /// The value of a variable that may be shown.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }
}

impl Default for Environment {
    /// One in which nothing is set and time stands still.
    fn default() -> Self {
        Self::new(|_| None, None, || Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Environment(…)")
    }
}
