//! What is known of single steps of a rotation, by whom and when.

use jiff::{SignedDuration, Timestamp};

use super::How;
use crate::time::moment;

/// Deliveries that one secret signed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sighting {
    pub deliveries: u64,
    /// When the last of them was looked at.
    pub at: Timestamp,
    /// When the last of them was signed, by its own word.
    pub signed_at: Option<Timestamp>,
}

/// How long after it was sent a lost call may still have been carried out.
pub(super) const LONGEST_CALL: SignedDuration = SignedDuration::from_secs(60);

/// When a request was about to be sent, on both clocks: the provider's as it was last heard then, since ours may be set later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentAt {
    pub ours: Timestamp,
    pub theirs: Timestamp,
}

/// When, by whom and how a step was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    pub at: Timestamp,
    pub by: String,
    pub how: How,
}

impl Proof {
    /// What was said with a person's word.
    pub fn reason(&self) -> Option<&str> {
        match &self.how {
            How::Word { reason } => reason.as_deref(),
            How::Tool | How::Clock | How::Probe | How::Delivery => None,
        }
    }
}

/// That the old secret was put back into the live slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    pub at: Timestamp,
    pub by: String,
    pub reason: Option<String>,
}

impl std::fmt::Display for RolledBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.by, self.reason.as_deref().unwrap_or("no reason given"))
    }
}

/// That the rotation was handed over to somebody who goes on with it in another journal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Handed {
    pub at: Timestamp,
    pub by: String,
    /// The recipients that it was encrypted for.
    pub to: Vec<String>,
    pub reason: Option<String>,
}

impl Handed {
    /// To whom, and why, in words.
    pub fn to_words(&self) -> String {
        let why = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("handed over to {}{why}", self.to.join(", "))
    }
}

impl std::fmt::Display for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} by {} at {}", self.to_words(), self.by, moment(self.at))
    }
}
