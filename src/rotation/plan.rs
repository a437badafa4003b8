//! The table of directions, and the plan: the ordered steps of one rotation, decided before anything is sent.
//!
//! Pure. A plan is journaled whole, so what was decided is what a later process goes on with, whatever the config
//! says by then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::planned::Planned;
use crate::provider::Id;
use crate::provider::request::Request;
use crate::secret::Fingerprint;
use crate::store::SlotNames;

/// One step of a rotation. The order here is not the order of a plan; each direction has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Key, endpoint, stores and seal are proved.
    Check,
    /// Receivers are ready to take the new secret at once.
    Prepare,
    /// The irreversible call.
    Issue,
    /// The new secret goes into `next` of every store.
    Stage,
    /// `current` moves to `previous`, `next` to `current`.
    Promote,
    /// Receivers run with the new secret.
    Deploy,
    /// A delivery verified with the new secret.
    Verify,
    /// The old secret's end.
    Wait,
    /// A person ends the old secret at the provider.
    End,
    /// `previous` is removed.
    Retire,
    /// Receivers no longer accept the old secret.
    Drop,
}

/// Who does a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doer {
    Tool,
    Person,
    Clock,
}

impl Step {
    /// Every step there is.
    pub const ALL: [Self; 11] = [
        Self::Check,
        Self::Prepare,
        Self::Issue,
        Self::Stage,
        Self::Promote,
        Self::Deploy,
        Self::Verify,
        Self::End,
        Self::Wait,
        Self::Retire,
        Self::Drop,
    ];

    /// The step's word in commands, JSON and the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Prepare => "prepare",
            Self::Issue => "issue",
            Self::Stage => "stage",
            Self::Promote => "promote",
            Self::Deploy => "deploy",
            Self::Verify => "verify",
            Self::Wait => "wait",
            Self::End => "end",
            Self::Retire => "retire",
            Self::Drop => "drop",
        }
    }

    /// The step of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == word)
    }

    /// Whether it says that receivers run with the new secret: what is to be done anew wherever they may not any more.
    pub fn is_of_new_secret(self) -> bool {
        match self {
            Self::Deploy | Self::Verify => true,
            Self::Check | Self::Prepare | Self::Issue | Self::Stage | Self::Promote => false,
            Self::End | Self::Wait | Self::Retire | Self::Drop => false,
        }
    }

    /// Who does it, where the plan says no other.
    pub fn doer(self) -> Doer {
        match self {
            Self::Check | Self::Issue | Self::Stage | Self::Promote | Self::Retire => Doer::Tool,
            Self::Prepare | Self::Deploy | Self::Verify | Self::End | Self::Drop => Doer::Person,
            Self::Wait => Doer::Clock,
        }
    }
}

/// The kinds of rotation; they differ only in their list of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both secrets live for a while and receivers accept either.
    OverlapEither,
    /// Both secrets live for a while and receivers change theirs within it.
    OverlapSwitch,
    /// The old secret dies with the call.
    Instant,
    /// An overlap provider is asked to end the old secret now.
    Force,
    /// The old secret has leaked, and the provider cannot end it: receivers drop it while it still lives.
    Contain,
    /// We make the secret, and the provider takes it in place of the old one once receivers accept either.
    Set,
    /// The same where receivers keep one secret, and change it as the provider does.
    SetSwitch,
    /// Both secrets live until the old one is ended, once a person says so.
    UntilEnded,
}

impl Direction {
    /// The steps in order.
    pub fn steps(self) -> &'static [Step] {
        use Step::{Check, Deploy, Drop, End, Issue, Prepare, Promote, Retire, Stage, Verify, Wait};
        match self {
            Self::OverlapEither => &[Check, Issue, Stage, Deploy, Verify, Wait, Promote, Retire, Drop],
            Self::OverlapSwitch => &[Check, Issue, Stage, Promote, Deploy, Verify, Wait, Retire, Drop],
            Self::Instant => &[Check, Prepare, Issue, Stage, Promote, Deploy, Verify, Retire, Drop],
            Self::Force => &[Check, Issue, Stage, Promote, Deploy, Verify, Retire, Drop],
            Self::Contain => &[Check, Issue, Stage, Promote, Deploy, Verify, Drop, Wait, Retire],
            Self::Set => &[Check, Stage, Deploy, Verify, Issue, Promote, Retire, Drop],
            Self::UntilEnded => &[Check, Issue, Stage, Deploy, Verify, End, Wait, Promote, Retire, Drop],
            Self::SetSwitch => &[Check, Prepare, Stage, Issue, Promote, Deploy, Verify, Retire, Drop],
        }
    }

    /// The direction's word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::OverlapEither => "overlap-either",
            Self::OverlapSwitch => "overlap-switch",
            Self::Instant => "instant",
            Self::Force => "force",
            Self::Contain => "contain",
            Self::Set => "set",
            Self::SetSwitch => "set-switch",
            Self::UntilEnded => "until-ended",
        }
    }

    /// Whether the call itself ends the old secret.
    pub fn ends_old_secret(self) -> bool {
        matches!(self, Self::Instant | Self::Force | Self::Set | Self::SetSwitch)
    }

    /// Whether the new secret is ours to make, and in the stores before the call.
    pub fn is_set(self) -> bool {
        matches!(self, Self::Set | Self::SetSwitch)
    }
}

/// A store as the plan keeps it: enough to open it again from another folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStore {
    /// The reference with absolute paths.
    pub reference: String,
    #[serde(default)]
    pub names: SlotNames,
    /// The server that the environment named for it, where it is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// How the new secret comes about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Issuing {
    /// By this call, without the API key.
    Call(Request),
    /// A person has the provider make it, on this page, and gives it to whsec.
    ByHand { page: String },
}

/// How the old secret is ended, once a person says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ending {
    /// By this call, without the API key: it removes the first of two endpoints.
    Call(Request),
    /// A person does it, on this page.
    ByHand { page: String },
}

/// One rotation, decided. Everything a later process needs to go on, and no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub target: String,
    pub provider: String,
    /// The same for every way of naming this endpoint.
    pub endpoint_key: String,
    pub base_url: String,
    pub ids: Vec<Id>,
    /// The endpoint's own id when it was begun, where another endpoint has taken its place since it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<String>,
    /// How the API key is sent, by the provider's name for it.
    pub auth: String,
    /// Values of the provider's optional headers.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    pub direction: Direction,
    pub steps: Vec<Step>,
    /// The exact request of the issue step, or who does that.
    #[serde(rename = "request")]
    pub issuing: Issuing,
    /// The key that makes a repetition safe, where the provider takes one.
    pub idempotency_key: Option<String>,
    /// How long the provider remembers the key, as documented.
    #[serde(with = "seconds")]
    pub key_window: Option<Duration>,
    /// How long the provider keeps the old secret, as documented.
    #[serde(with = "seconds")]
    pub overlap: Option<Duration>,
    /// How the old secret is ended, where it lives until then.
    #[serde(default, rename = "end", skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// How long deliveries may bear the old secret after that.
    #[serde(default, with = "seconds", skip_serializing_if = "Option::is_none")]
    pub settles: Option<Duration>,
    pub stores: Vec<PlannedStore>,
    /// Stores of the target's config that flags passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<String>,
    /// Stores and receivers that flags named, and no config.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_flags: Vec<String>,
    #[serde(default)]
    pub receivers: Vec<String>,
    /// Whether the receivers may be probed: not where a checkout's file names them.
    #[serde(default)]
    pub may_probe: bool,
    /// Whether receivers have to prove before the call that they would take a second secret.
    #[serde(default)]
    pub probe_first: bool,
    /// Whether it is for a leak, by force-rotate.
    #[serde(default)]
    pub forced: bool,
    /// Secrets from before the one that is replaced, which receivers may have and have to refuse before a leak is contained.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub leaked: BTreeSet<Fingerprint>,
    /// The open rotation that this one closes once the provider has carried it out, and not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Uuid>,
    pub reason: Option<String>,
    pub owner: Option<String>,
    /// The plan of several that it is a part of, where somebody has agreed to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
}

impl Plan {
    /// Whether somebody has to type the endpoint's id: receivers may soon refuse what they accept now.
    pub fn needs_id(&self) -> bool {
        // Where a person rotates, it is they who end it.
        (self.direction.ends_old_secret() && !self.is_by_hand()) || self.forced
    }

    /// Whether a person has the provider make the new secret, and nothing is ever sent.
    pub fn is_by_hand(&self) -> bool {
        matches!(self.issuing, Issuing::ByHand { .. })
    }

    /// Who does a step of this plan.
    pub fn doer(&self, step: Step) -> Doer {
        if step == Step::Issue && self.is_by_hand() { Doer::Person } else { step.doer() }
    }

    /// What the rotation is like, as JSON says it.
    pub fn direction_name(&self) -> &'static str {
        match self.direction {
            Direction::Instant if self.is_by_hand() => "hand",
            Direction::OverlapEither if self.is_by_hand() => "hand-either",
            Direction::OverlapSwitch if self.is_by_hand() => "hand-switch",
            Direction::Contain if self.is_by_hand() => "hand-contain",
            Direction::UntilEnded if matches!(self.ending, Some(Ending::Call(_))) => "replace",
            direction => direction.name(),
        }
    }

    /// The direction in whose words the steps are told: where the new secret goes live before the receivers are asked for anything,
    /// they switch.
    pub fn told_as(&self) -> Direction {
        let at = |step| self.steps.iter().position(|other| *other == step);
        match self.direction {
            Direction::OverlapEither if at(Step::Promote) < at(Step::Deploy) => Direction::OverlapSwitch,
            direction => direction,
        }
    }

    /// The endpoint's own id, as `--confirm` wants it.
    pub fn own_id(&self) -> &str {
        self.present.as_deref().unwrap_or_else(|| self.ids.last().map_or("", |id| &id.value))
    }
}

/// Whole seconds in the journal.
mod seconds {
    use super::Duration;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
        value.map(|value| value.as_secs()).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(input)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
