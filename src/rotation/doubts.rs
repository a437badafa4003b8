//! What is said where nothing speaks for going on, and what can be done about it.

use jiff::Timestamp;

use super::clock::Unheard;
use super::look::{Theirs, Unasked};
use super::operator::Doubt;

pub(super) fn superseded_hint(provider: &str, theirs: &Theirs, overlap_until: Option<Timestamp>) -> String {
    let mut hint = String::new();
    if !theirs.held.is_empty() {
        hint.push_str(&format!("{}, which may be theirs; ", theirs.held.join(", ")));
    }
    if theirs.is_shown {
        hint.push_str(&format!("{provider} shows their secret itself; "));
    }
    let again = again(overlap_until, "`whsec rotate TARGET`");
    hint.push_str(&format!(
        "put their secret into the live slot and say so: `whsec abandon TARGET --reason TEXT`; or, {again}"
    ));
    hint
}

/// How to rotate again after somebody else has: not while an old secret lives.
pub fn again(overlap_until: Option<Timestamp>, command: &str) -> String {
    let from = overlap_until.map(|until| format!("from {until} on, ")).unwrap_or_default();
    format!("{from}rotate again: {command}")
}

pub(super) fn doubtful_words(provider: &str, doubt: &Doubt, is_live: bool) -> String {
    match doubt {
        Doubt::Touched(_) | Doubt::Behind(_) if is_live => {
            format!("what is live may not be {provider}'s secret any more: {doubt}")
        }
        Doubt::Touched(_) | Doubt::Behind(_) => {
            format!("nothing goes live before it is known whose secret {provider} has: {doubt}")
        }
        Doubt::OtherKey { .. } => format!("nothing was sent again: {doubt}"),
        Doubt::Clock { .. } | Doubt::Leaked { .. } => doubt.to_string(),
    }
}

pub(super) fn doubtful_hint(doubt: &Doubt) -> &'static str {
    match doubt {
        Doubt::Touched(_) => {
            "find out who changed what; if nobody rotated, say so: `whsec cutover TARGET --reason TEXT`; if somebody did, put their \
             secret into the live slot and give this one up: `whsec abandon TARGET --reason TEXT`"
        }
        Doubt::Behind(_) => {
            "run `whsec cutover TARGET` again in a minute; if the provider is known to have our secret, say why: --reason TEXT"
        }
        Doubt::OtherKey { .. } => {
            "give the key that it was sent with; if both are of the same account, say so: `whsec cutover TARGET --reason TEXT`"
        }
        Doubt::Leaked { .. } => {
            "as soon as the provider takes another rotation: `whsec force-rotate TARGET --reason TEXT`; if it has to go live all the same, say why: \
             `whsec cutover TARGET --reason TEXT`"
        }
        Doubt::Clock { .. } => "if it has ended, say how you know: `whsec cutover TARGET --done wait --reason TEXT`",
    }
}

pub(super) fn clock_hint(provider: &str, unheard: &Unheard, ours_is_past: bool) -> String {
    let mend = match unheard {
        Unheard::Unasked(Unasked::NoKey) => "give an API key (`whsec doctor` shows where one is looked for)".to_owned(),
        Unheard::Unasked(Unasked::Refused(_)) => "mend the API key (`whsec doctor` shows which one is used)".to_owned(),
        Unheard::Unasked(Unasked::NotFound(_)) => {
            format!("see whether {provider} still has the endpoint, and whether the key is of the same account")
        }
        Unheard::Unasked(_) => format!("see whether {provider} can be reached from here"),
        Unheard::NoDate | Unheard::Unsteady => "try again later".to_owned(),
    };
    let word = match ours_is_past {
        true => {
            "; or, if you know that the old secret has ended, say how: `whsec cutover TARGET --done wait --reason TEXT`"
        }
        false => "; nothing is lost meanwhile",
    };
    format!("{mend}, then `whsec cutover TARGET`{word}")
}
