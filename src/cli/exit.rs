//! Exit codes, and the one place where an error becomes prose, a hint and a code.

use std::process::ExitCode;

use crate::advice::{Advice, Verb, advice};
use crate::operation::{self, Kind};
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

    /// Whether a signal has ended it.
    pub fn is_of_signal(self) -> bool {
        matches!(self, Self::Hangup | Self::Interrupt | Self::Quit | Self::Terminate)
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
    let known = error.chain().find_map(|cause| match cause.downcast_ref::<Fault>() {
        Some(fault) => Some((fault.exit, fault.hint.clone())),
        None => operation::error::judge(cause).map(|(kind, hint)| (kind.into(), hint)),
    });
    let (exit, hint) = known.unwrap_or((Exit::Failed, None));
    let message = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    Fault { exit, message, hint }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Failed => Self::Failed,
            Kind::Usage => Self::Usage,
            Kind::Auth => Self::Auth,
            Kind::NotFound => Self::NotFound,
            Kind::Conflict => Self::Conflict,
            Kind::Store => Self::Store,
            Kind::Unknown => Self::Unknown,
            Kind::Sealed => Self::Sealed,
            Kind::Gate => Self::Gate,
            Kind::Unavailable => Self::Unavailable,
        }
    }
}

/// The JSON object of a command that failed before it had anything else to say.
pub fn failed(command: &str, fault: &Fault, error: serde_json::Value) -> serde_json::Value {
    serde_json::json!({
        "schema": "whsec/v1",
        "command": command,
        "status": "failed",
        "exit": fault.exit.code(),
        "error": error,
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

/// The JSON field `error`, with what a script needs to know of an error beside its code.
pub fn object_of(fault: &Fault, error: &anyhow::Error) -> serde_json::Value {
    let mut object = error_object(fault);
    if let Some(error) = error.downcast_ref::<operation::Error>() {
        mark(&mut object, error.is_busy(), error.is_stale());
    }
    object
}

/// Marks what another whsec is at this moment, and what is not as it was planned.
pub fn mark(object: &mut serde_json::Value, is_busy: bool, is_stale: bool) {
    for (name, _) in [("busy", is_busy), ("stale", is_stale)].into_iter().filter(|(_, is_so)| *is_so) {
        object[name] = serde_json::Value::Bool(true);
    }
}

/// The JSON field `error`.
pub fn error_object(fault: &Fault) -> serde_json::Value {
    serde_json::json!({ "kind": fault.exit.kind(), "message": fault.message, "hint": fault.hint_words() })
}
