//! The ways in which a probe is signed, right and wrong.

use crate::provider::signature::{Scheme, Sent, Signature};
use crate::secret::Secret;

/// A way of signing a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// With the new secret.
    New,
    /// With the old secret.
    Old,
    /// With both, the new one first, as providers do in the overlap.
    Both,
    /// Not at all.
    Unsigned,
    /// With random bytes.
    Garbage,
    /// With an entry that has nothing in it.
    Empty,
    /// Right in its first half and wrong in the second.
    Prefix,
    /// With the new secret, at a time long past.
    Stale,
    /// With a wrong entry first, then the new secret's.
    FirstWrong,
}

/// The secrets that probes are signed with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secrets<'a> {
    pub new: Option<&'a Secret>,
    pub old: Option<&'a Secret>,
}

impl Case {
    /// Every case, in the order they are tried.
    pub const ALL: [Self; 9] = [
        Self::New,
        Self::Old,
        Self::Both,
        Self::Unsigned,
        Self::Garbage,
        Self::Empty,
        Self::Prefix,
        Self::Stale,
        Self::FirstWrong,
    ];

    /// The word for it in commands, tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Old => "old",
            Self::Both => "both",
            Self::Unsigned => "unsigned",
            Self::Garbage => "garbage",
            Self::Empty => "empty",
            Self::Prefix => "prefix",
            Self::Stale => "stale",
            Self::FirstWrong => "first-wrong",
        }
    }

    /// What it is, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::New => "signed with the new secret",
            Self::Old => "signed with the old secret",
            Self::Both => "signed with both, new one first",
            Self::Unsigned => "not signed",
            Self::Garbage => "signed with random bytes",
            Self::Empty => "signed with nothing",
            Self::Prefix => "half of the signature is right",
            Self::Stale => "signed with the new one, long ago",
            Self::FirstWrong => "a wrong signature before the new",
        }
    }

    /// Whether a receiver that verifies deliveries should accept it, given what secrets it should know.
    pub fn is_sound(self) -> bool {
        matches!(self, Self::New | Self::Old | Self::Both | Self::FirstWrong)
    }

    /// Whether a receiver that works accepts it; `None` where that depends on how far the rotation has come.
    pub fn is_rightly_accepted(self) -> Option<bool> {
        (self != Self::Old).then_some(self.is_sound())
    }

    /// Whether what a receiver accepts is decided by it.
    pub(super) fn decides(self) -> bool {
        matches!(self, Self::New | Self::Old)
    }

    /// Whether it makes sense in a scheme, and the secrets are there that it takes.
    pub(super) fn is_possible(self, scheme: &Scheme, secrets: &Secrets<'_>) -> bool {
        let fits = match self {
            Self::Both | Self::FirstWrong => scheme.signs_with_all(),
            Self::Stale => scheme.tolerance().is_some(),
            _ => true,
        };
        fits && match self {
            Self::New | Self::Empty | Self::Prefix | Self::Stale | Self::FirstWrong => secrets.new.is_some(),
            Self::Old => secrets.old.is_some(),
            Self::Both => secrets.new.is_some() && secrets.old.is_some(),
            Self::Unsigned | Self::Garbage => true,
        }
    }

    /// The headers of a delivery that is signed like this; `None` where a secret is missing or cannot be decoded.
    pub(super) fn headers(
        self,
        scheme: &Scheme,
        secrets: &Secrets<'_>,
        id: &str,
        now: i64,
        sent: Sent<'_>,
    ) -> Option<Vec<(String, String)>> {
        let tolerance = scheme.tolerance().and_then(|tolerance| i64::try_from(tolerance.as_secs()).ok());
        let tolerance = tolerance.unwrap_or(i64::MAX);
        let at = if self == Self::Stale { now.saturating_sub(tolerance.saturating_mul(2).max(3600)) } else { now };
        let by = |secret: Option<&Secret>| scheme.signature(&scheme.keyed(secret?)?, id, &scheme.stamp(at), sent);
        let entry = |signature: Signature| scheme.written(&signature);
        let entries = match self {
            Self::New | Self::Stale => vec![entry(by(secrets.new)?)],
            Self::Old => vec![entry(by(secrets.old)?)],
            Self::Both => vec![entry(by(secrets.new)?), entry(by(secrets.old)?)],
            Self::Unsigned => return Some(scheme.unsigned(id, at)),
            Self::Garbage => vec![entry(scheme.garbage())],
            Self::Empty => vec![String::new()],
            Self::Prefix => vec![entry(by(secrets.new)?.half_right())],
            Self::FirstWrong => vec![entry(scheme.garbage()), entry(by(secrets.new)?)],
        };
        Some(scheme.headers(id, at, &entries))
    }
}
