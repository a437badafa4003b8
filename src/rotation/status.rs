//! Where a rotation stands, in one word.

use jiff::Timestamp;

use super::{Call, Next, Outcome, Rotation, Step};

/// Where a rotation stands, in the one word that JSON and `status` show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Planned,
    Unknown,
    Sealed,
    Stored,
    Deployed,
    Verified,
    Waiting,
    Done,
    Abandoned,
    Failed,
    Superseded,
    #[serde(rename = "handed-over")]
    HandedOver,
}

impl Status {
    /// Those of a rotation that is open.
    pub const OPEN: [Self; 7] =
        [Self::Planned, Self::Unknown, Self::Sealed, Self::Stored, Self::Deployed, Self::Verified, Self::Waiting];

    /// The word in JSON and `status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Unknown => "unknown",
            Self::Sealed => "sealed",
            Self::Stored => "stored",
            Self::Deployed => "deployed",
            Self::Verified => "verified",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Abandoned => "abandoned",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::HandedOver => "handed-over",
        }
    }
}

impl Rotation {
    /// Where the rotation stands, at `now` on our own clock.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.closed.as_ref().map(|closed| closed.outcome) {
            Some(Outcome::Done) => return Status::Done,
            Some(Outcome::Failed) => return Status::Failed,
            Some(Outcome::Abandoned) => return Status::Abandoned,
            Some(Outcome::Superseded) => return Status::Superseded,
            Some(Outcome::HandedOver) => return Status::HandedOver,
            None => {}
        }
        match self.call {
            Call::NotApplied if self.made.is_none() => return Status::Planned,
            Call::Unknown { .. } | Call::Unreadable { .. } | Call::Unread => return Status::Unknown,
            Call::Answered(_) | Call::NotApplied => {}
        }
        let done = |step| self.done.contains_key(&step);
        match self.next(now) {
            _ if !done(Step::Stage) => Status::Sealed,
            Next::Wait(_) => Status::Waiting,
            _ if done(Step::Verify) => Status::Verified,
            _ if done(Step::Deploy) => Status::Deployed,
            _ => Status::Stored,
        }
    }
}
