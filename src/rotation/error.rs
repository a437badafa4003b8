//! What can go wrong while a rotation runs: data for the edge to put into words.

use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;

use super::journal::JournalError;
use super::lock::LockError;
use super::operator::Comparison;
use super::seal::SealError;
use super::{Direction, Step};
use crate::provider::answer::{self, Refusal};
use crate::store::StoreError;

/// Why a rotation stopped.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A store or the seal failed before anything was sent.
    #[error("nothing was sent, because a store failed its check")]
    StoreCheck(#[source] StoreError),
    #[error("nothing was sent, because the new secret could not be sealed")]
    SealCheck(#[source] SealError),
    /// The provider refused before or at the call; nothing changed.
    #[error("{} refused to {what}: {}", .provider, refusal_words(.refusal))]
    Refused { provider: String, what: &'static str, refusal: Box<Refusal> },
    #[error("cannot reach {provider}: {why}; nothing was sent")]
    NotSent { provider: String, why: String },
    #[error("{provider} did not answer the check as it should: {why}; nothing was rotated")]
    CheckFailed { provider: String, why: String },
    #[error("the old secret of `{endpoint}` still lives until {until}, so this would be a second rotation in an open overlap")]
    OverlapOpen { endpoint: String, until: Timestamp },
    /// Sent, and the outcome is not known.
    #[error("the request to {provider} was sent, but its outcome is unknown: {why}")]
    Lost { provider: String, why: String, replayable: bool, comparison: Option<Box<Comparison>> },
    /// Applied, but the secret could not be read from the answer.
    #[error("{provider} rotated the secret, but its answer cannot be read: {why}; the whole answer is sealed in `{seal}`")]
    Unreadable { provider: String, why: String, seal: PathBuf },
    /// Somebody rotated again between a lost answer and its replay.
    #[error("{provider} returned the lost secret (version {ours}), but the endpoint is at version {theirs} by now: somebody rotated again")]
    Stale { provider: String, ours: String, theirs: String },
    /// The secret is safe, but a store does not have it yet.
    #[error("the secret is rotated and safe, but not every store took the step `{}`", .step.name())]
    StoreFailed { step: Step, sealed: Option<PathBuf>, #[source] source: StoreError },
    #[error("the new secret could not be sealed")]
    SealFailed(#[source] SealError),
    #[error("an API key for {provider} is needed to go on")]
    KeyNeeded { provider: String },
    #[error("`{}` is not to be done yet: {why}", .step.name())]
    TooEarly { step: Step, why: String },
    #[error("the old secret cannot be put back: {why}")]
    NoWayBack { why: String, direction: Direction },
    #[error("{provider} applied the lost call, and nobody has the secret: rotate again at once")]
    SecretLost { provider: String },
}

impl RunError {
    /// The outcome of a call that changes nothing and did not succeed.
    pub fn from_outcome(provider: String, what: &'static str, outcome: answer::Outcome) -> Self {
        match outcome {
            answer::Outcome::Refused(refusal) => Self::Refused { provider, what, refusal: Box::new(refusal) },
            answer::Outcome::NotSent { why } => Self::NotSent { provider, why },
            answer::Outcome::Unknown(unknown) => Self::CheckFailed { provider, why: unknown.why },
            answer::Outcome::Success(_) => {
                Self::CheckFailed { provider, why: "the answer does not hold what it should".to_owned() }
            }
        }
    }
}

fn refusal_words(refusal: &Refusal) -> String {
    let mut words = refusal.says.clone().or_else(|| refusal.message.clone()).unwrap_or_else(|| "no reason given".to_owned());
    words.push_str(&format!(" (status {}", refusal.status));
    if let Some(code) = &refusal.code {
        words.push_str(&format!(", code `{code}`"));
    }
    if let Some(id) = &refusal.request_id {
        words.push_str(&format!(", request {id}"));
    }
    words.push(')');
    words
}
