//! What can go wrong while a rotation runs: data for the edge to put into words.

use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;

use super::Step;
use super::doubts::{
    against_hint, clock_hint, doubtful_hint, doubtful_words, drift_hint, drift_words, failed_words, superseded_hint,
};
use super::drift::{self, Drift};
use super::journal::JournalError;
use super::lock::LockError;
use super::operator::{Comparison, Doubt};
use super::planned::{self, Otherwise};
use super::seal::SealError;
use super::shared_error::taken_over_hint;
use super::superseded::Difference;
use super::unasked::{Theirs, Unheard};
use crate::advice::{Advice, Flag, Verb, advice};
use crate::provider::answer::{self, Refusal};
use crate::provider::spec::Meaning;
use crate::store::StoreError;

/// Why a rotation stopped.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Somebody else holds the endpoint by now, and goes on.
    #[error("another whsec has taken this endpoint over meanwhile ({by}); nothing more is done here")]
    TakenOver { by: String, sealed: Option<PathBuf> },
    /// A store or the seal failed before anything was sent.
    #[error("nothing was sent, because a store failed its check")]
    StoreCheck(#[source] StoreError),
    #[error("nothing was sent, because the new secret could not be sealed")]
    SealCheck(#[source] SealError),
    /// The provider refused before or at the call; nothing changed.
    #[error("{} refused to {what}: {}", .provider, refusal_words(.refusal))]
    Refused {
        provider: String,
        what: &'static str,
        refusal: Box<Refusal>,
        /// Whether force-rotate ends what an open overlap refuses, and was not what was refused.
        can_force: bool,
    },
    #[error("cannot reach {provider}: {why}; nothing was sent")]
    NotSent { provider: String, why: String },
    #[error("{provider} did not answer the check as it should: {why}")]
    CheckFailed { provider: String, why: String },
    #[error(
        "the old secret of `{endpoint}` still lives until {until}, so this would be a second rotation in an open overlap"
    )]
    OverlapOpen { endpoint: String, until: Timestamp, can_force: bool },
    /// Others have changed something since the plan was made that this rotation is a part of.
    #[error("it is not any more as it was planned: {}", planned::words(.otherwise))]
    Stale { otherwise: Vec<Otherwise> },
    /// Sent, and the outcome is not known.
    #[error("the request to {provider} was sent, but its outcome is unknown: {why}")]
    Lost { provider: String, why: String, replayable: bool, comparison: Option<Box<Comparison>> },
    /// A success that changed nothing.
    #[error("{provider} answered with the very secret that was live before: nothing was rotated")]
    SameSecret { provider: String },
    /// Applied, but the secret could not be read from the answer.
    #[error(
        "{provider} rotated the secret, but its answer cannot be read: {why}; the whole answer is sealed in `{seal}`"
    )]
    Unreadable { provider: String, why: String, seal: PathBuf, replayable: bool },
    /// Applied, but the provider does not show the secret now.
    #[error("{provider} rotated the secret, which could not be read from there: {why}")]
    Unread { provider: String, why: String },
    /// Somebody else has rotated since our own call.
    #[error("our secret is not {provider}'s any more, because somebody rotated again: {difference}")]
    Superseded { provider: String, difference: Difference, theirs: Box<Theirs>, overlap_until: Option<Timestamp> },
    /// Nothing that can be asked speaks for going on.
    #[error("{}", doubtful_words(.provider, .doubt, *.is_live))]
    Doubtful { provider: String, doubt: Doubt, is_live: bool },
    /// The secret is safe, but a store does not have it yet.
    #[error("{}", failed_words(*.step))]
    StoreFailed {
        step: Step,
        sealed: Option<PathBuf>,
        #[source]
        source: StoreError,
    },
    /// A slot holds something else than the journal knows of.
    #[error("{}; {}", drift::words(.drifts), drift_words(*.is_sent))]
    Drift { drifts: Vec<Drift>, is_sent: bool },
    /// Somebody goes on over a secret that no slot holds.
    #[error("there is nothing to go on over: no slot of this rotation holds {found}")]
    NotDrifted { found: String },
    /// Somebody goes on over a secret that may be the one that is alive.
    #[error("{found} may be the secret that is alive: {why}; it is left where it is")]
    Favoured { found: String, why: String },
    #[error("the new secret could not be sealed")]
    SealFailed(#[source] SealError),
    /// The journal failed after the call was sent.
    #[error("{}, and the journal cannot record it", sent_words(*.is_answered))]
    NotRecorded {
        is_answered: bool,
        #[source]
        source: JournalError,
    },
    /// While this process waited, somebody put the old secret back.
    #[error("`{}` is due again: meanwhile a step of this rotation was undone by {by}", .step.name())]
    Undone { step: Step, by: String },
    /// While this process waited, a forced rotation was begun beside this one, and nobody knows yet what came of it.
    #[error("a force-rotate of `{endpoint}` is pending beside this rotation since {since}")]
    Pending { endpoint: String, since: Timestamp },
    /// While this process waited, somebody took a store in or let one go.
    #[error("meanwhile another whsec has changed which stores take part in this rotation")]
    OtherStores,
    /// The config names a store that the rotation does not know.
    #[error("`{store}` came to the config since this rotation was begun, and does not have the new secret")]
    Lacking { store: String },
    #[error("this rotation was closed meanwhile by {by}: {why}")]
    GivenUp { by: String, why: String },
    /// A person says of a lost call what the provider does not show.
    #[error("{}", against_words(*.applied, .comparison))]
    AgainstEvidence { applied: bool, comparison: Box<Comparison> },
    /// At the end of a countdown.
    #[error("{provider} cannot be asked for its clock, and ours alone does not end the old secret: {unheard}")]
    ClockUnheard { provider: String, unheard: Unheard, ours_is_past: bool },
    #[error("an API key for {provider} is needed to go on")]
    KeyNeeded { provider: String },
    #[error("`{}` is not to be done yet: {why}", .step.name())]
    TooEarly { step: Step, why: String },
    /// What somebody says is not what receivers were found to do.
    #[error("`{}` is not done: {url} {finds}", .step.name())]
    Contradicted { step: Step, url: String, finds: &'static str },
    /// A gate of `finish`.
    #[error("it is not safe yet: {url} {finds}")]
    Unsafe { url: String, finds: &'static str },
    /// The receivers did not take a second secret.
    #[error("nothing was sent, because {url} does not take a second secret yet ({finds})")]
    NotReady { url: String, finds: &'static str, next: Vec<String> },
    /// A secret of ours could not be made, or is gone before it was sent.
    #[error("nothing was sent, because there is no new secret: {why}")]
    NotMade { why: String },
    /// What was given is not the new secret.
    #[error("what was given is not the new secret: {why}; no store was touched")]
    NotTaken { why: String },
    /// Nobody has seen that receivers accept what the provider is about to sign with alone.
    #[error("nothing was sent: no receiver was seen to accept the new secret, and {provider} would sign with it alone")]
    Unproved { provider: String },
    #[error("nothing was sent, because {why}")]
    CannotProbe { why: &'static str },
    /// The first endpoint has what the call that makes a second one cannot say.
    #[error("nothing was sent: a second endpoint at {provider} would not be like the first: {what}")]
    Uncarried { provider: String, what: String },
    /// The call that removes an endpoint was sent, and its outcome is not known.
    #[error("whether {provider} has removed the endpoint `{endpoint}` is unknown: {why}")]
    EndUnknown { provider: String, endpoint: String, is_back: bool, why: String },
    /// What came of the call was found in a store alone.
    #[error("nothing was removed, because nobody knows the id of the new endpoint at {provider}")]
    NoSecond { provider: String },
    #[error("the old secret cannot be put back: {why}")]
    NoWayBack { why: String, only_forward: bool },
    /// `until` is when the old secret may end, where the provider keeps it for a while.
    #[error("{provider} applied the lost call, and nobody has the secret: it has to be rotated again")]
    SecretLost { provider: String, until: Option<Timestamp>, can_force: bool, second: Option<String> },
}

impl RunError {
    /// What the operator can do about it. Its commands act on the target at hand, which is the rotation's.
    pub fn hint(&self) -> Option<Advice> {
        let slots = || advice![Verb::Inspect.here(), " shows which slot holds what"];
        let reason = || Flag::open("reason", "TEXT");
        Some(match self {
            Self::Journal(error) => return error.hint(),
            Self::Lock(error) => return error.hint(),
            Self::TakenOver { sealed, .. } => taken_over_hint(sealed.as_deref()),
            Self::StoreCheck(error) => return error.hint(),
            Self::SealCheck(error) | Self::SealFailed(error) => return error.hint(),
            Self::Refused { refusal, can_force, .. } => refusal_hint(refusal, *can_force, self.nothing_changed()),
            Self::NotSent { .. } => "check the network and `base_url`, then run it again".into(),
            Self::CheckFailed { .. } => "to ask changes nothing at the provider; run it again later".into(),
            Self::OverlapOpen { can_force: true, .. } => advice![
                "wait for the old secret's end; if one has leaked, ",
                Verb::ForceRotate.here().open("reason", "TEXT"),
                " ends it now"
            ],
            Self::OverlapOpen { can_force: false, .. } => advice![
                "wait for the old secret's end; if one has leaked, let the receivers know only the other one until then: ",
                slots()
            ],
            Self::Stale { .. } => {
                "nothing was sent; see who did that, and make another plan of what is still to be done".into()
            }
            Self::Lost { replayable: true, .. } => {
                advice!["nothing is lost yet: ", Verb::Cutover.here(), " sends the very same request again"]
            }
            Self::Lost { replayable: false, .. } => advice![
                "find out what happened, then say it: ",
                Verb::Cutover.here().with("resolve", "applied"),
                " or `",
                Flag::with("resolve", "not-applied"),
                "`, with ",
                reason(),
                " where the provider does not back it"
            ],
            Self::SameSecret { .. } => {
                "nothing has changed, so a leak is not contained: ask the provider, or make another \
                                        endpoint; a key given by --idempotency-key may be one of an earlier rotation"
                    .into()
            }
            Self::Unreadable { replayable: true, .. } => advice![
                Verb::Reveal.here().with("slot", "sealed"),
                " shows the whole answer; ",
                Verb::Cutover.here(),
                " asks for it again"
            ],
            Self::Unreadable { replayable: false, .. } => advice![
                Verb::Reveal.here().with("slot", "sealed"),
                " shows the whole answer; if it is of no use, ",
                Verb::Cutover.here().with("resolve", "applied"),
                " closes this rotation, and you can rotate again"
            ],
            Self::Unread { .. } => advice![
                "nothing is lost, it is shown whenever it is asked for: ",
                Verb::Cutover.here(),
                " asks again; if it is never shown, ",
                Verb::Cutover.here().with("resolve", "applied"),
                " closes this rotation, and you can rotate again"
            ],
            Self::Superseded { provider, theirs, overlap_until, .. } => {
                superseded_hint(provider, theirs, *overlap_until)
            }
            Self::Doubtful { doubt, .. } => doubtful_hint(doubt),
            Self::StoreFailed { source, .. } => {
                let mend = source.hint().unwrap_or_else(|| "mend the store".into());
                advice![mend, "; then ", Verb::Cutover.here(), " completes the rest"]
            }
            Self::Drift { drifts, is_sent } => drift_hint(drifts, *is_sent),
            Self::NotDrifted { .. } => slots(),
            Self::Favoured { .. } => advice![
                "find out who rotated; ",
                Verb::Abandon.here().open("reason", "TEXT"),
                " gives this rotation up and leaves every slot as it is"
            ],
            Self::NotRecorded { source, .. } => {
                let mend = match source {
                    JournalError::Unusable { .. } | JournalError::ReadOnly { .. } | JournalError::Gone { .. } => {
                        source.hint().unwrap_or_default()
                    }
                    _ => "mend the journal".into(),
                };
                advice![mend, "; then ", Verb::Cutover.here(), " goes on"]
            }
            Self::Undone { .. } => advice![slots(), "; ", Verb::Cutover.here().flag("yes"), " goes forward again"],
            Self::Pending { .. } => advice![Verb::Cutover.here(), " finds out what came of it, then this one goes on"],
            Self::OtherStores => advice![Verb::Cutover.here(), " goes on with the stores as they are now"],
            Self::Lacking { .. } => advice![Verb::Cutover.here(), " puts it there"],
            Self::GivenUp { .. } => slots(),
            Self::AgainstEvidence { applied, .. } => against_hint(*applied),
            Self::ClockUnheard { provider, unheard, ours_is_past } => clock_hint(provider, unheard, *ours_is_past),
            Self::KeyNeeded { .. } => advice![Verb::Doctor.alone(), " shows where a key is looked for"],
            Self::TooEarly { .. } => advice![Verb::Cutover.here(), " shows what is due"],
            Self::Contradicted { step, .. } => advice![
                "mend it, then ",
                Verb::Cutover.here(),
                "; if the probe is wrong, say why: ",
                Flag::with("done", step.name()),
                " ",
                reason()
            ],
            Self::Unsafe { .. } => {
                advice!["deploy the new secret there; if the probe is wrong, go on with --override ", reason()]
            }
            Self::NotReady { next, .. } => advice![
                format!(
                    "let the receivers accept a delivery if its signature matches under either of two secrets, the live one \
                     or the one in {}, then run it again; where they are ready in another way, say so: ",
                    next.join(", ")
                ),
                Flag::with("done", Step::Prepare.name())
            ],
            Self::NotTaken { .. } => "copy the new secret, and it alone, then run it again".into(),
            Self::NotMade { .. } => advice!["begin again: ", Verb::Rotate.here()],
            Self::Unproved { .. } => advice![
                "name receivers that may be probed (",
                Flag::open("receiver", "URL"),
                "), or say how you know it: ",
                Verb::Cutover.here().with("done", Step::Verify.name()).open("reason", "TEXT")
            ],
            Self::Uncarried { .. } => {
                "have a person make the second one: `hand/NAME` in the target, same stores".into()
            }
            Self::EndUnknown { is_back, .. } => {
                let verb = if *is_back { Verb::Rollback } else { Verb::Cutover };
                advice![verb.here(), " sends it again, which does no harm where it is gone already"]
            }
            Self::NoSecond { .. } => advice![
                "see that there are two endpoints, remove the old one there, then say so: ",
                Verb::Cutover.here().with("done", Step::End.name()).open("reason", "TEXT")
            ],
            Self::CannotProbe { .. } => "leave --probe-first out, or mend that".into(),
            Self::NoWayBack { only_forward: true, .. } => "go forward: deploy the new secret to the receivers".into(),
            Self::NoWayBack { .. } => slots(),
            Self::SecretLost { second: Some(id), provider, .. } => {
                advice![
                    format!("it is that of a second endpoint{id}: remove it at {provider}, then rotate again: "),
                    Verb::Rotate.here()
                ]
            }
            Self::SecretLost { until: None, .. } => advice!["rotate again at once: ", Verb::Rotate.here()],
            Self::SecretLost { can_force: true, until: Some(until), .. } => advice![
                format!("receivers live on the old secret until {until}; "),
                Verb::ForceRotate.here().open("reason", "TEXT"),
                " makes another one before that"
            ],
            Self::SecretLost { can_force: false, until: Some(until), .. } => format!(
                "receivers live on the old secret until {until}; the provider may take another rotation only then"
            )
            .into(),
        })
    }

    /// What can be said after a refusal: a call that only asks changes nothing, and says nothing of one that went out before.
    pub fn nothing_changed(&self) -> &'static str {
        match self {
            Self::Refused { what: ROTATE, .. } => "nothing was rotated",
            _ => "to ask changes nothing at the provider",
        }
    }

    /// The outcome of a call that only asks, where something else may have been sent before.
    pub fn unasked(provider: String, what: &'static str, outcome: answer::Outcome) -> Self {
        match Self::from_outcome(provider, what, outcome) {
            Self::NotSent { provider, why } => {
                Self::CheckFailed { provider, why: format!("it cannot be reached: {why}") }
            }
            error => error,
        }
    }

    /// The outcome of a call that changes nothing and did not succeed.
    pub fn from_outcome(provider: String, what: &'static str, outcome: answer::Outcome) -> Self {
        match outcome {
            answer::Outcome::Refused(refusal) => {
                Self::Refused { provider, what, refusal: Box::new(refusal), can_force: false }
            }
            answer::Outcome::NotSent { why } => Self::NotSent { provider, why },
            answer::Outcome::Unknown(unknown) => Self::CheckFailed { provider, why: unknown.why },
            answer::Outcome::Success(_) => Self::CheckFailed { provider, why: "its answer is not whole".into() },
        }
    }
}

/// What is refused where the call itself is.
pub(super) const ROTATE: &str = "rotate";

fn refusal_hint(refusal: &Refusal, can_force: bool, nothing_changed: &str) -> Advice {
    match refusal.meaning {
        Meaning::Auth => advice![Verb::Doctor.alone(), " shows which key is used, and where it comes from"],
        Meaning::NotFound => "check the ids, and that the key belongs to the same organisation".into(),
        Meaning::OverlapOpen if can_force => advice![
            "wait for the old secret's end; if it has leaked, ",
            Verb::ForceRotate.here().open("reason", "TEXT"),
            " ends it now"
        ],
        Meaning::OverlapOpen => format!("{nothing_changed}; wait for the old secret's end").into(),
        Meaning::RateLimited | Meaning::Unavailable => format!("{nothing_changed}; run it again later").into(),
        _ => nothing_changed.into(),
    }
}

fn against_words(applied: bool, comparison: &Comparison) -> &'static str {
    match (&comparison.now, applied) {
        (None, _) => "the provider cannot be asked now, so nothing backs what was said of the call",
        (Some(_), false) => {
            "what the provider shows has changed since before the call, so it looks as if the call was applied"
        }
        (Some(_), true) => {
            "what the provider shows is the same as before the call, so it looks as if the call was not applied"
        }
    }
}

fn sent_words(is_answered: bool) -> &'static str {
    if is_answered { "the secret is rotated" } else { "the request was sent, its outcome is unknown" }
}

fn refusal_words(refusal: &Refusal) -> String {
    let meant = if refusal.meaning == Meaning::RateLimited { "rate limited" } else { "no reason given" };
    let mut words = refusal.says.clone().or_else(|| refusal.message.clone()).unwrap_or_else(|| meant.to_owned());
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
