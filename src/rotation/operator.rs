//! The human, as the runner sees one: told what happens, asked what only a person can do or know.
//!
//! "Could not ask" differs from "no": the first names a flag, the second is respected.

use std::time::Duration;

use jiff::Timestamp;

use super::changed::Change;
use super::superseded::Difference;
use super::{Answered, Event, Evidence, How, Rotation, Step};
use crate::delivery::probe::Report;
use crate::provider::answer::Inspected;
use crate::secret::Secret;

/// What a person said to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done; perhaps with a reason for the record.
    Done { reason: Option<String> },
    /// Not now: leave everything as it is.
    NotNow,
    /// Look once more whether it is proved by now.
    LookAgain,
    /// There is nobody who could be asked.
    NobodyToAsk,
}

/// What came of asking for a secret that a person has the provider make.
#[derive(Clone, Debug)]
pub enum Gift {
    Secret(Secret),
    /// Something was given, and cannot be read.
    Unreadable {
        why: String,
    },
    /// Not now: leave everything as it is.
    NotNow,
    /// There is nobody who could be asked, and nothing was given.
    NobodyToAsk,
}

/// What a person says of a call whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Whether the provider has rotated; with a reason, even if it looks as if that was not so.
    Said {
        applied: bool,
        reason: Option<String>,
    },
    NotNow,
    NobodyToAsk,
}

/// What the provider says about an endpoint now, beside what it said before the call.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    pub before: Evidence,
    /// `None` where the provider cannot be asked; `why` says it.
    pub now: Option<Evidence>,
    pub why: Option<String>,
    /// Whether the call was to make a second endpoint, which shows itself and is compared with nothing.
    pub makes_second: bool,
    /// The second endpoint that an answer has named, whose secret nobody has.
    pub second: Option<String>,
}

impl Comparison {
    /// Whether something that a rotation changes has changed. `None` where nothing of the kind can be compared.
    pub fn changed(&self) -> Option<bool> {
        if !self.made().is_empty() {
            return Some(true);
        }
        let now = self.now.as_ref()?;
        let pairs = [
            (&self.before.version, &now.version),
            (&self.before.fingerprint, &now.fingerprint),
            (&self.before.updated_at, &now.updated_at),
        ];
        // A time alone may stay the same: some providers do not move it, and it may have whole seconds.
        let only_time = pairs.iter().take(2).all(|(before, now)| before.is_none() && now.is_none());
        if only_time && self.before.updated_at == now.updated_at {
            return None;
        }
        let mut comparable = pairs.iter().filter(|(before, now)| before.is_some() || now.is_some()).peekable();
        comparable.peek()?;
        Some(comparable.any(|(before, now)| before != now))
    }

    /// The endpoints that have come since, to deliver where the first does; the one that an answer has named alone.
    pub fn made(&self) -> Vec<&String> {
        if let Some(second) = &self.second {
            return vec![second];
        }
        let before = self.before.alike.as_deref();
        let now = self.now.as_ref().and_then(|now| now.alike.as_deref());
        let (Some(before), Some(now)) = (before, now) else { return Vec::new() };
        now.iter().filter(|id| !before.contains(id)).collect()
    }

    /// The endpoint that the call has made, where it is known which that is.
    pub fn the_made(&self) -> Option<&String> {
        match self.made()[..] {
            [made] => Some(made),
            _ => None,
        }
    }

    /// What is known of the call, a line each.
    pub fn words(&self) -> Vec<String> {
        if let Some(second) = &self.second {
            return vec![format!("an answer has named the second endpoint, `{second}`, so that the call was applied")];
        }
        if let made @ [_, ..] = self.made().as_slice() {
            let ids: Vec<String> = made.iter().map(|id| format!("`{id}`")).collect();
            let since = format!(
                "a second endpoint with the same URL has come since, so that the call was applied: {}",
                ids.join(", ")
            );
            return vec![since];
        }
        if self.makes_second {
            let look = "a second endpoint with the same URL at the provider says that the call was applied: look there";
            return vec![look.to_owned()];
        }
        let Some(now) = &self.now else {
            let why = self.why.as_deref().unwrap_or("no reason given");
            return vec![format!("the provider cannot be asked what it has now: {why}")];
        };
        let mut lines = vec!["what the provider showed before the call, and what it shows now:".to_owned()];
        type Field = fn(&Evidence) -> &Option<String>;
        let rows: [(&str, Field); 3] = [
            ("version", |evidence| &evidence.version),
            ("fingerprint", |evidence| &evidence.fingerprint),
            ("updated at", |evidence| &evidence.updated_at),
        ];
        for (name, field) in rows {
            if let (before, after) = (field(&self.before), field(now))
                && (before.is_some() || after.is_some())
            {
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
                let verdict = if before == after { "the same" } else { "CHANGED" };
                lines.push(format!("  {name:<12} {} → {}   {verdict}", shown(before), shown(after)));
            }
        }
        lines.push(match self.changed() {
            Some(true) => "so it looks as if the call was applied".to_owned(),
            Some(false) => "so it looks as if the call was not applied".to_owned(),
            None => "nothing that it shows can tell whether the call was applied".to_owned(),
        });
        lines
    }

    /// Whether somebody who says this has to say why: what the provider shows says the opposite, or it cannot be asked.
    pub fn needs_reason(&self, applied: bool) -> bool {
        self.now.is_none() || self.changed() == Some(!applied)
    }
}

/// What only a person can decide, because nothing that can be asked speaks for going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The endpoint was changed, which may have been another rotation.
    Touched(Difference),
    /// The provider shows what it showed before the call.
    Behind(Difference),
    /// A request whose answer is lost would go out again with the API key of somebody else.
    OtherKey { before: String, now: String },
    /// The secret that is to go live is said to have leaked.
    Leaked { new: String, reason: String },
    /// Receivers may refuse what the provider is about to be given once more.
    Unready { why: String },
    /// The endpoint that is to take the place of the first does not look like it.
    Unlike { endpoint: String, why: String },
    /// The provider's clock cannot be had, and by ours the old secret has ended.
    Clock { provider: String, why: String, end: Timestamp },
}

impl Doubt {
    /// What going on says of it.
    pub fn question(&self) -> &'static str {
        match self {
            Self::Touched(_) => "Was that something else than a rotation?",
            Self::Behind(_) => "Is our secret the provider's all the same?",
            Self::OtherKey { .. } => "Are both keys of the account that the endpoint is in?",
            Self::Leaked { .. } => "Let it go live all the same?",
            Self::Unready { .. } => "Give it to the provider all the same?",
            Self::Unlike { .. } => "Remove the old endpoint all the same?",
            Self::Clock { .. } => "Has the old secret ended?",
        }
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Touched(difference) => {
                write!(f, "the endpoint was changed, which may have been another rotation: {difference}")
            }
            Self::Behind(difference) => write!(f, "the provider shows what it showed before the call: {difference}"),
            Self::OtherKey { before, now } => {
                write!(f, "the request whose answer was lost went out with {before}, and would go out again with {now}")
            }
            Self::Leaked { new, reason } => {
                write!(f, "the new secret {new}, which is to go live, is said to have leaked: {reason}")
            }
            Self::Unready { why } => write!(f, "the call may never have arrived, and {why}"),
            Self::Unlike { endpoint, why } => write!(f, "the new endpoint `{endpoint}` is not like the old one: {why}"),
            Self::Clock { provider, why, end } => {
                write!(f, "{provider} cannot be asked for its clock ({why}); by ours the old secret ended at {end}")
            }
        }
    }
}

/// News of a running rotation.
#[derive(Clone, Debug)]
pub enum News<'a> {
    /// A step of the tool begins.
    Begins(Step),
    /// The provider's endpoint, as inspect shows it.
    Inspected(&'a Inspected),
    /// A store took, returned and gave up a canary.
    StoreProved { store: &'a str },
    /// A request is on its way; more than one attempt only with the same key.
    Sending { attempt: u32 },
    /// The same request goes out again in a while.
    Retrying { why: &'a str, seconds: u64 },
    /// The answer came and is sealed.
    Answered(&'a Answered),
    /// A store is staged, promoted or retired.
    StoreDone { step: Step, store: &'a str, slot: &'a str },
    /// The provider's clock and ours differ by more than seconds.
    ClockOff { ahead_ms: i64 },
    /// Something the operator has to know.
    Warning(&'a str),
    /// The provider's clock has passed the old secret's end.
    OldSecretEnded,
    /// A receiver has been asked what it accepts.
    Probed(&'a Report),
    /// A person's step is proved.
    Proved(Step, &'a How),
    /// A step is done, or the rotation is closed; it is in the journal.
    Recorded(&'a Event),
}

/// A countdown to the old secret's end.
#[derive(Clone, Copy, Debug)]
pub struct Countdown {
    /// The end on the provider's clock.
    pub until: Timestamp,
    /// The provider's clock at the moment the countdown begins.
    pub provider_now: Timestamp,
}

/// What an operator is about to be asked, or to wait for.
#[derive(Clone, Copy, Debug)]
pub enum Awaited<'a> {
    /// A person's step.
    Step(Step),
    /// What came of a call whose answer is lost.
    Outcome,
    /// A reason to go on all the same.
    Doubt(&'a Doubt),
    /// The old secret's end.
    Clock,
}

/// Who looks on and answers.
pub trait Operator {
    /// Passes on what happens.
    fn tell(&mut self, rotation: &Rotation, news: News<'_>);

    /// Whether this takes somebody's time, or the clock's, in which others may act on the endpoint: the answer is not at hand.
    fn takes_time(&self, rotation: &Rotation, awaited: Awaited<'_>) -> bool;

    /// Asks for a step that only a person can do.
    fn do_step(&mut self, rotation: &Rotation, step: Step) -> Reply;

    /// Asks for the new secret that a person has the provider make. Whoever types it is asked again for what is not `admitted`, which
    /// says why.
    fn take_secret(&mut self, rotation: &Rotation, admitted: &dyn Fn(&Secret) -> Result<(), String>) -> Gift;

    /// Asks what came of a call whose answer is lost.
    fn resolve_call(&mut self, rotation: &Rotation, comparison: &Comparison) -> Ruling;

    /// Asks for the reason to go on although nothing speaks for it. `Done` only with one.
    fn resolve_doubt(&mut self, rotation: &Rotation, doubt: &Doubt) -> Reply;

    /// Counts down. `Done` when the time is over, or as soon as others have `moved` the rotation.
    fn watch(&mut self, rotation: &Rotation, countdown: Countdown, moved: &dyn Fn() -> bool) -> Reply;

    /// Told before the provider's answer to the call is awaited how long that takes at most, and `None` once it is over: no safe
    /// point comes between.
    fn awaits_answer(&mut self, at_most: Option<Duration>);

    /// The stores and receivers that the config names by now, and that the rotation does not know. Asked before a
    /// rotation is closed as done, which may be a day after the config was read.
    fn joined(&self, rotation: &Rotation) -> Vec<Change>;

    /// Whether a signal asked to stop at the next safe point.
    fn wants_to_stop(&self) -> bool;
}
