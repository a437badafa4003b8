//! What is said where nothing speaks for going on, and what can be done about it.

use jiff::Timestamp;

use super::drift::Drift;
use super::operator::Doubt;
use super::plan::Step;
use super::unasked::{Theirs, Unasked, Unheard};
use crate::advice::{Advice, Command, Flag, Verb, advice};

pub(super) fn superseded_hint(provider: &str, theirs: &Theirs, overlap_until: Option<Timestamp>) -> Advice {
    let mut first = String::new();
    if !theirs.held.is_empty() {
        first.push_str(&format!("{}, which may be theirs; ", theirs.held.join(", ")));
    }
    if theirs.is_shown {
        first.push_str(&format!("{provider} shows their secret itself; "));
    }
    advice![
        first,
        "put their secret into the live slot and say so: ",
        Verb::Abandon.here().open("reason", "TEXT"),
        "; or, ",
        again(overlap_until, Verb::Rotate.here())
    ]
}

/// How to rotate again after somebody else has: not while an old secret lives.
pub fn again(overlap_until: Option<Timestamp>, command: impl Into<Advice>) -> Advice {
    let from = overlap_until.map(|until| format!("from {until} on, ")).unwrap_or_default();
    advice![from, "rotate again: ", command.into()]
}

pub(super) fn doubtful_words(provider: &str, doubt: &Doubt, is_live: bool) -> String {
    match doubt {
        Doubt::Touched(_) | Doubt::Behind(_) if is_live => {
            format!("what is live may not be {provider}'s secret any more: {doubt}")
        }
        Doubt::Touched(_) | Doubt::Behind(_) => {
            format!("nothing goes live before it is known whose secret {provider} has: {doubt}")
        }
        Doubt::OtherKey { .. } | Doubt::Unready { .. } => format!("nothing was sent again: {doubt}"),
        Doubt::Unlike { .. } => format!("nothing was removed: {doubt}"),
        Doubt::Clock { .. } | Doubt::Leaked { .. } => doubt.to_string(),
    }
}

pub(super) fn doubtful_hint(doubt: &Doubt) -> Advice {
    let go_on = || Verb::Cutover.here().open("reason", "TEXT");
    match doubt {
        Doubt::Touched(_) => advice![
            "find out who changed what; if nobody rotated, say so: ",
            go_on(),
            "; if somebody did, put their secret into the live slot and give this one up: ",
            Verb::Abandon.here().open("reason", "TEXT")
        ],
        Doubt::Behind(_) => advice![
            "run ",
            Verb::Cutover.here(),
            " again in a minute; if the provider is known to have our secret, say why: ",
            Flag::open("reason", "TEXT")
        ],
        Doubt::OtherKey { .. } => {
            advice!["give the key that it was sent with; if both are of the same account, say so: ", go_on()]
        }
        Doubt::Unready { .. } => advice![
            "deploy the new secret there beside the old one, then ",
            Verb::Cutover.here(),
            "; if the probe is wrong, say why: ",
            go_on()
        ],
        Doubt::Unlike { .. } => {
            let said = Verb::Cutover.here().with("done", Step::End.name()).open("confirm", "ID").open("reason", "TEXT");
            advice!["mend it at the provider, then ", Verb::Cutover.here(), "; if that is meant, say why: ", said]
        }
        Doubt::Leaked { .. } => advice![
            "as soon as the provider takes another rotation: ",
            Verb::ForceRotate.here().open("reason", "TEXT"),
            "; if it has to go live all the same, say why: ",
            go_on()
        ],
        Doubt::Clock { .. } => advice!["if it has ended, say how you know: ", word_of_the_end()],
    }
}

/// What to say where a ruling on a lost call is against what the provider shows.
pub(super) fn against_hint(applied: bool) -> Advice {
    let (is, other, said) = match applied {
        false => ("if it was, ", "applied", "not-applied"),
        true => ("if it was not, ", "not-applied", "applied"),
    };
    advice![
        is,
        Verb::Cutover.here().with("resolve", other),
        "; if you know better, say why: ",
        Flag::with("resolve", said),
        " ",
        Flag::open("reason", "TEXT")
    ]
}

/// Says that the old secret has ended, where the provider's clock does not.
fn word_of_the_end() -> Command {
    Verb::Cutover.here().with("done", Step::Wait.name()).open("reason", "TEXT")
}

pub(super) fn clock_hint(provider: &str, unheard: &Unheard, ours_is_past: bool) -> Advice {
    let mend = match unheard {
        Unheard::Unasked(Unasked::NoKey) => {
            advice!["give an API key (", Verb::Doctor.alone(), " shows where one is looked for)"]
        }
        Unheard::Unasked(Unasked::Refused(_)) => {
            advice!["mend the API key (", Verb::Doctor.alone(), " shows which one is used)"]
        }
        Unheard::Unasked(Unasked::NotFound(_)) => {
            format!("see whether {provider} still has the endpoint, and whether the key is of the same account").into()
        }
        Unheard::Unasked(_) => format!("see whether {provider} can be reached from here").into(),
        Unheard::NoDate | Unheard::Unsteady => "try again later".into(),
    };
    let word = match ours_is_past {
        true => advice!["; or, if you know that the old secret has ended, say how: ", word_of_the_end()],
        false => "; nothing is lost meanwhile".into(),
    };
    advice![mend, ", then ", Verb::Cutover.here(), word]
}

pub(super) fn failed_words(step: Step) -> String {
    match step {
        Step::End => "nothing was removed: no store is seen to have the new secret".to_owned(),
        _ => format!("the secret is rotated and safe, but not every store took the step `{}`", step.name()),
    }
}

pub(super) fn drift_words(is_sent: bool) -> &'static str {
    if is_sent { "it is left as it is" } else { "nothing was sent" }
}

pub(super) fn drift_hint(drifts: &[Drift], is_sent: bool) -> Advice {
    let found = drifts.first().and_then(|first| first.found.as_ref());
    let name = found.map_or("empty".to_owned(), ToString::to_string);
    let go_over = || Verb::Cutover.here().joined("override", name.clone()).open("reason", "TEXT");
    match (found, is_sent) {
        (None, false) => {
            "run the same command again; if it is to be empty, write any value there, which the new one replaces".into()
        }
        (None, true) => advice![
            "run the same command again; if it stays empty, put back what was there, or go on over it: ",
            go_over()
        ],
        (Some(_), false) => "find out who put it there, and move it where it belongs".into(),
        (Some(_), true) => advice![
            "find out who put it there: ",
            Verb::Inspect.here(),
            "; if it is the one that works, ",
            Verb::Abandon.here().open("reason", "TEXT"),
            " leaves it; if not, ",
            go_over(),
            " seals it and goes on"
        ],
    }
}

#[cfg(test)]
#[path = "doubts_tests.rs"]
mod tests;
