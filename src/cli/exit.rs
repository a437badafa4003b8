//! Exit codes, and the one place where an error becomes prose, a hint and a code.

use std::process::ExitCode;

use crate::advice::{Advice, Verb, advice};
use crate::config::ConfigError;
use crate::provider::spec::Meaning;
use crate::provider::{ProviderError, RequestError};
use crate::rotation::journal::JournalError;
use crate::rotation::lock::LockError;
use crate::rotation::seal::SealError;
use crate::rotation::state_key::StateKeyError;
use crate::rotation::{RunError, Unasked, Unheard};
use crate::store::StoreError;
use crate::ui::Output;

/// What a command's exit code tells the script that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Auth = 3,
    NotFound = 4,
    Conflict = 5,
    Store = 6,
    Unknown = 7,
    Sealed = 8,
    Gate = 9,
    Partial = 10,
    Open = 11,
    Overdue = 12,
    Unavailable = 13,
    Hangup = 129,
    Interrupt = 130,
    Quit = 131,
    Terminate = 143,
}

impl Exit {
    /// One word for the JSON field `error.kind`.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Store => "store",
            Self::Unknown => "unknown",
            Self::Sealed => "sealed",
            Self::Gate => "gate",
            Self::Partial => "partial",
            Self::Open => "open",
            Self::Overdue => "overdue",
            Self::Unavailable => "unavailable",
            Self::Hangup | Self::Interrupt | Self::Quit | Self::Terminate => "interrupted",
        }
    }

    /// The number as a shell sees it.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error as a command ends with it, or one made at the edge: a message with its code and hint.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<Advice>,
}

impl Fault {
    /// A fault as `anyhow` carries it.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<Advice>) -> anyhow::Error {
        Self { exit, message: message.into(), hint: Some(hint.into()) }.into()
    }

    /// The hint in words.
    pub fn hint_words(&self) -> Option<String> {
        self.hint.as_ref().map(ToString::to_string)
    }
}

/// Finds code, prose and hint for a chain of errors. The first error of a kind that we know decides.
pub fn report(error: &anyhow::Error) -> Fault {
    let mut exit = Exit::Failed;
    let mut hint = None;
    for cause in error.chain() {
        let found = if let Some(fault) = cause.downcast_ref::<Fault>() {
            Some((fault.exit, fault.hint.clone()))
        } else if let Some(error) = cause.downcast_ref::<ConfigError>() {
            Some((config_exit(error), error.hint()))
        } else if let Some(error) = cause.downcast_ref::<ProviderError>() {
            Some((Exit::Usage, error.hint()))
        } else if let Some(error) = cause.downcast_ref::<RequestError>() {
            Some((Exit::Usage, error.hint()))
        } else if let Some(error) = cause.downcast_ref::<RunError>() {
            Some((run_exit(error), error.hint()))
        } else if let Some(error) = cause.downcast_ref::<JournalError>() {
            Some((Exit::Failed, error.hint()))
        } else if let Some(error) = cause.downcast_ref::<StateKeyError>() {
            Some((Exit::Failed, error.hint()))
        } else if let Some(error) = cause.downcast_ref::<SealError>() {
            Some((Exit::Store, error.hint()))
        } else {
            cause.downcast_ref::<StoreError>().map(|error| (store_exit(error), error.hint()))
        };
        if let Some(found) = found {
            (exit, hint) = found;
            break;
        }
    }
    let message = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    Fault { exit, message, hint }
}

fn config_exit(error: &ConfigError) -> Exit {
    match error {
        ConfigError::UnknownTarget { .. } => Exit::NotFound,
        _ => Exit::Usage,
    }
}

fn run_exit(error: &RunError) -> Exit {
    match error {
        RunError::Journal(JournalError::AlreadyOpen { .. })
        | RunError::Lock(LockError::Held { .. })
        | RunError::OverlapOpen { .. }
        | RunError::Undone { .. }
        | RunError::GivenUp { .. }
        | RunError::Pending { .. }
        | RunError::OtherStores
        | RunError::Superseded { .. } => Exit::Conflict,
        RunError::Journal(_) | RunError::Lock(_) | RunError::SameSecret { .. } => Exit::Failed,
        RunError::StoreCheck(_) | RunError::SealCheck(_) => Exit::Store,
        RunError::Refused { refusal, .. } if refusal.status == 409 => Exit::Conflict,
        RunError::Refused { refusal, .. } => refused_exit(refusal.meaning),
        RunError::NotSent { .. } | RunError::CheckFailed { .. } => Exit::Unavailable,
        RunError::Lost { .. }
        | RunError::Unreadable { .. }
        | RunError::AgainstEvidence { .. }
        | RunError::NotRecorded { is_answered: false, .. } => Exit::Unknown,
        RunError::Lacking { .. }
        | RunError::StoreFailed { .. }
        | RunError::SealFailed(_)
        | RunError::NotRecorded { is_answered: true, .. } => Exit::Sealed,
        RunError::KeyNeeded { .. } | RunError::ClockUnheard { unheard: Unheard::Unasked(Unasked::NoKey), .. } => {
            Exit::Auth
        }
        RunError::CannotProbe { .. } => Exit::Usage,
        // The rotation is closed as failed, and that is what every later `cutover` says.
        RunError::SecretLost { .. } => Exit::NotFound,
        RunError::TooEarly { .. }
        | RunError::Drift { .. }
        | RunError::NotDrifted { .. }
        | RunError::Favoured { .. }
        | RunError::ClockUnheard { .. }
        | RunError::Doubtful { .. }
        | RunError::NoWayBack { .. }
        | RunError::Contradicted { .. }
        | RunError::Unsafe { .. }
        | RunError::NotReady { .. } => Exit::Gate,
    }
}

fn refused_exit(meaning: Meaning) -> Exit {
    match meaning {
        Meaning::Auth => Exit::Auth,
        Meaning::NotFound => Exit::NotFound,
        Meaning::OverlapOpen | Meaning::KeyConflict | Meaning::InFlight => Exit::Conflict,
        Meaning::Invalid => Exit::Failed,
        Meaning::RateLimited | Meaning::Unavailable => Exit::Unavailable,
        Meaning::Unknown => Exit::Unknown,
    }
}

fn store_exit(error: &StoreError) -> Exit {
    match error {
        StoreError::BadReference { .. } => Exit::Usage,
        _ => Exit::Store,
    }
}

/// The JSON object of a command that failed before it had anything else to say.
pub fn failed(command: &str, fault: &Fault) -> serde_json::Value {
    serde_json::json!({
        "schema": "whsec/v1",
        "command": command,
        "status": "failed",
        "exit": fault.exit.code(),
        "error": error_object(fault),
    })
}

/// The exit of a command that did what it was to do, unless what it had to say is lost: whoever reads that has nothing.
pub fn unless_lost(exit: Exit, output: &Output) -> Exit {
    match output.lost() {
        Some(why) if exit == Exit::Done => {
            let (status, inspect) = (Verb::Status.alone(), Verb::Inspect.alone());
            let hint = advice!["what it did is done, and not to be done again: ", status, " and ", inspect, " show it"];
            output.error(
                &format!("what this command says could not be written to stdout: {why}"),
                Some(&hint.to_string()),
            );
            Exit::Failed
        }
        _ => exit,
    }
}

/// Says an error, and yields the JSON field for it.
pub fn say(output: &Output, fault: &Fault) -> serde_json::Value {
    output.error(&fault.message, fault.hint_words().as_deref());
    error_object(fault)
}

/// The JSON field `error`.
pub fn error_object(fault: &Fault) -> serde_json::Value {
    serde_json::json!({ "kind": fault.exit.kind(), "message": fault.message, "hint": fault.hint_words() })
}
