//! Why an operation stopped: an error of a floor below, or a refusal of its own. Either has a kind, which is what callers branch on,
//! words, and an advice.

use std::error::Error as StdError;
use std::fmt;

use jiff::SignedDuration;
use thiserror::Error;

use crate::advice::Advice;
use crate::config::ConfigError;
use crate::documents::DocumentsError;
use crate::provider::spec::Meaning;
use crate::provider::{ProviderError, RequestError};
use crate::rotation::journal::JournalError;
use crate::rotation::lock::LockError;
use crate::rotation::seal::SealError;
use crate::rotation::shared_error::SharedError;
use crate::rotation::state_key::StateKeyError;
use crate::rotation::{KeyOrigin, RunError, Unasked, Unheard};
use crate::store::StoreError;
use crate::time::span;

/// What a failure means to whoever called. The exit codes of the command line are one rendering of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing has changed at the provider.
    Failed,
    /// What was asked for, or the config, cannot be right.
    Usage,
    /// No API key, or it is refused.
    Auth,
    NotFound,
    /// Somebody else is at work, or has been.
    Conflict,
    /// A store or the seal failed; nothing was sent.
    Store,
    /// Sent, and the outcome is not known.
    Unknown,
    /// Rotated and sealed, but not yet in every store.
    Sealed,
    /// A gate said no.
    Gate,
    /// The provider cannot be reached; certainly not applied.
    Unavailable,
}

/// Why an operation stopped.
#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Stop(#[from] Stop),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Run(#[from] RunError),
    /// The same of a call with an API key whose source is known.
    #[error(transparent)]
    Keyed(#[from] Keyed),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    StateKey(#[from] StateKeyError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A refusal of an operation itself, before anything is sent or written.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct Stop {
    pub kind: Kind,
    pub message: String,
    pub advice: Advice,
}

impl Stop {
    /// A refusal as an operation returns it.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(kind: Kind, message: impl Into<String>, advice: impl Into<Advice>) -> Error {
        Self { kind, message: message.into(), advice: advice.into() }.into()
    }
}

/// An error of a run, and where its API key came from.
#[derive(Debug)]
pub struct Keyed {
    pub error: RunError,
    pub key: KeyOrigin,
}

impl fmt::Display for Keyed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(to)
    }
}

impl StdError for Keyed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl Error {
    /// An error of a call with this API key.
    pub fn of_key(error: RunError, key: &KeyOrigin) -> Self {
        Keyed { error, key: key.clone() }.into()
    }

    /// The error of a run that this is, with the source of its API key as far as that is known.
    pub fn run(&self) -> Option<(&RunError, Option<&KeyOrigin>)> {
        match self {
            Self::Run(error) => Some((error, None)),
            Self::Keyed(Keyed { error, key }) => Some((error, Some(key))),
            _ => None,
        }
    }

    /// Whether another whsec is at work on the endpoint this moment.
    pub fn is_busy(&self) -> bool {
        matches!(self.run(), Some((RunError::Lock(LockError::Held { .. }), _)))
    }

    /// Whether it is not any more as it was planned.
    pub fn is_stale(&self) -> bool {
        matches!(self.run(), Some((RunError::Stale { .. }, _)))
    }

    /// Whether it is what a config, or a name in the place of one, says.
    pub fn is_of_config(&self) -> bool {
        matches!(self, Self::Config(_))
    }

    /// What it means to whoever called.
    pub fn kind(&self) -> Kind {
        self.judged().0
    }

    /// What can be done about it.
    pub fn advice(&self) -> Option<Advice> {
        self.judged().1
    }

    /// The error and its causes, in words.
    pub fn words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            words.push_str(&format!(": {error}"));
            cause = error.source();
        }
        words
    }

    fn judged(&self) -> (Kind, Option<Advice>) {
        match self {
            Self::Stop(stop) => (stop.kind, Some(stop.advice.clone())),
            Self::Config(error) => (of_config(error), error.hint()),
            Self::Provider(error) => (Kind::Usage, error.hint()),
            Self::Request(error) => (Kind::Usage, error.hint()),
            Self::Run(error) => (of_run(error), advice_of_run(error, None)),
            Self::Keyed(Keyed { error, key }) => (of_run(error), advice_of_run(error, Some(key))),
            Self::Journal(error) => (of_journal(error), error.hint()),
            Self::StateKey(error) => (Kind::Failed, error.hint()),
            Self::Seal(error) => (of_seal(error), error.hint()),
            Self::Store(error) => (of_store(error), error.hint()),
        }
    }
}

/// Kind and advice of an error that is known here, by itself or as an [`Error`].
pub fn judge(cause: &(dyn StdError + 'static)) -> Option<(Kind, Option<Advice>)> {
    if let Some(error) = cause.downcast_ref::<Error>() {
        return Some(error.judged());
    }
    Some(if let Some(error) = cause.downcast_ref::<ConfigError>() {
        (of_config(error), error.hint())
    } else if let Some(error) = cause.downcast_ref::<ProviderError>() {
        (Kind::Usage, error.hint())
    } else if let Some(error) = cause.downcast_ref::<RequestError>() {
        (Kind::Usage, error.hint())
    } else if let Some(error) = cause.downcast_ref::<RunError>() {
        (of_run(error), advice_of_run(error, None))
    } else if let Some(error) = cause.downcast_ref::<JournalError>() {
        (of_journal(error), error.hint())
    } else if let Some(error) = cause.downcast_ref::<StateKeyError>() {
        (Kind::Failed, error.hint())
    } else if let Some(error) = cause.downcast_ref::<SealError>() {
        (of_seal(error), error.hint())
    } else {
        let error = cause.downcast_ref::<StoreError>()?;
        (of_store(error), error.hint())
    })
}

/// What can be done about an error of a run, with what is known of the key, and of how long the provider wants to be left alone.
fn advice_of_run(error: &RunError, key: Option<&KeyOrigin>) -> Option<Advice> {
    let RunError::Refused { refusal, .. } = error else { return error.hint() };
    match (refusal.meaning, key, refusal.retry_after) {
        (Meaning::Auth, Some(key), _) => Some(format!("the API key came from {}: replace it there", key.words).into()),
        (Meaning::RateLimited | Meaning::Unavailable, _, Some(wait)) => {
            let wait = span(SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX));
            Some(format!("{}; run it again in {wait}", error.nothing_changed()).into())
        }
        _ => error.hint(),
    }
}

fn of_config(error: &ConfigError) -> Kind {
    match error {
        ConfigError::UnknownTarget { .. } => Kind::NotFound,
        _ => Kind::Usage,
    }
}

fn of_store(error: &StoreError) -> Kind {
    match error {
        StoreError::BadReference { .. } => Kind::Usage,
        _ => Kind::Store,
    }
}

/// The same where credentials were asked for, which does nothing: what may pass is nobody's refusal.
pub(super) fn of_asking(error: &StoreError) -> Kind {
    if error.may_pass() { Kind::Unavailable } else { Kind::Auth }
}

fn of_journal(error: &JournalError) -> Kind {
    match error {
        JournalError::AlreadyOpen { .. } => Kind::Conflict,
        JournalError::Shared(error) => of_shared(error),
        _ => Kind::Failed,
    }
}

fn of_seal(error: &SealError) -> Kind {
    match error {
        SealError::Shared(error) => of_shared(error),
        _ => Kind::Store,
    }
}

fn of_shared(error: &SharedError) -> Kind {
    match error {
        SharedError::Documents(error) => match error {
            DocumentsError::Unreachable { .. } => Kind::Unavailable,
            DocumentsError::Refused { .. } | DocumentsError::Expired { .. } => Kind::Auth,
            DocumentsError::Unfit { .. } => Kind::Store,
            DocumentsError::Missing { .. } => Kind::NotFound,
            DocumentsError::Login { .. } => Kind::Usage,
            DocumentsError::TooLarge { .. } => Kind::Failed,
        },
        SharedError::TakenOver { .. }
        | SharedError::Contended { .. }
        | SharedError::Moved { .. }
        | SharedError::Arriving { .. } => Kind::Conflict,
        SharedError::DoesNotOpen { .. } => Kind::Store,
        SharedError::Unnamed { .. } => Kind::Usage,
        SharedError::Damaged { .. }
        | SharedError::Newer { .. }
        | SharedError::OtherKey { .. }
        | SharedError::Headless { .. }
        | SharedError::Encrypt { .. } => Kind::Failed,
    }
}

fn of_run(error: &RunError) -> Kind {
    match error {
        RunError::Journal(error) => of_journal(error),
        RunError::Lock(LockError::Shared(error)) => of_shared(error),
        RunError::Lock(LockError::Held { .. })
        | RunError::OverlapOpen { .. }
        | RunError::Stale { .. }
        | RunError::Undone { .. }
        | RunError::GivenUp { .. }
        | RunError::Pending { .. }
        | RunError::OtherStores
        | RunError::TakenOver { .. }
        | RunError::Superseded { .. } => Kind::Conflict,
        RunError::Lock(_) | RunError::SameSecret { .. } => Kind::Failed,
        RunError::StoreCheck(_) | RunError::SealCheck(_) => Kind::Store,
        RunError::Refused { refusal, .. } => of_refusal(refusal.meaning),
        RunError::NotSent { .. } | RunError::CheckFailed { .. } => Kind::Unavailable,
        RunError::Lost { .. }
        | RunError::EndUnknown { .. }
        | RunError::Unreadable { .. }
        | RunError::Unread { .. }
        | RunError::AgainstEvidence { .. }
        | RunError::NotRecorded { is_answered: false, .. } => Kind::Unknown,
        RunError::Lacking { .. }
        | RunError::StoreFailed { .. }
        | RunError::SealFailed(_)
        | RunError::NotRecorded { is_answered: true, .. } => Kind::Sealed,
        RunError::KeyNeeded { .. } | RunError::ClockUnheard { unheard: Unheard::Unasked(Unasked::NoKey), .. } => {
            Kind::Auth
        }
        RunError::CannotProbe { .. } | RunError::NotTaken { .. } => Kind::Usage,
        RunError::NotMade { .. } => Kind::Failed,
        // The rotation is closed as failed, and that is what every later `cutover` says.
        RunError::SecretLost { .. } => Kind::NotFound,
        RunError::TooEarly { .. }
        | RunError::Drift { .. }
        | RunError::NotDrifted { .. }
        | RunError::Favoured { .. }
        | RunError::ClockUnheard { .. }
        | RunError::Doubtful { .. }
        | RunError::NoWayBack { .. }
        | RunError::Contradicted { .. }
        | RunError::Unsafe { .. }
        | RunError::NoSecond { .. }
        | RunError::Uncarried { .. }
        | RunError::Unproved { .. }
        | RunError::NotReady { .. } => Kind::Gate,
    }
}

fn of_refusal(meaning: Meaning) -> Kind {
    match meaning {
        Meaning::Auth => Kind::Auth,
        Meaning::NotFound => Kind::NotFound,
        Meaning::OverlapOpen | Meaning::KeyConflict | Meaning::InFlight | Meaning::Conflict => Kind::Conflict,
        Meaning::Invalid => Kind::Failed,
        Meaning::RateLimited | Meaning::Unavailable => Kind::Unavailable,
        Meaning::Unknown => Kind::Unknown,
    }
}
