//! Whether somebody else has rotated since: what the provider shows now, beside what our own call brought. Pure.
//!
//! A version, a fingerprint or the secret itself changes with a rotation and with nothing else. A time of change moves with an
//! edited description too, so it only asks, and only where nothing better is shown.

use jiff::{SignedDuration, Timestamp};

use super::facts::LONGEST_CALL;
use super::{CLOCK_SLACK, Evidence, Rotation};

/// What a look at the provider came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The provider is at our secret still.
    Same,
    /// It is at another one.
    Superseded(Difference),
    /// Something of the endpoint was changed, which may have been its secret.
    Touched(Difference),
    /// It shows what it showed before our call: an answer of a copy that lags, or somebody has put the old secret back.
    Behind(Difference),
    /// Nothing that it shows can tell.
    Unknown,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `version`, `fingerprint`, `secret` or `time of change`.
    pub what: &'static str,
    pub ours: String,
    pub theirs: String,
}

/// How long a provider may take to note the time of a change after it has answered.
const NOTED_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// Compares what the provider shows now with what our answer said or, where that is silent, with what the first look after it
/// showed.
pub fn compare(rotation: &Rotation, now: &Evidence) -> Finding {
    let Some(answered) = rotation.answered() else { return Finding::Unknown };
    let (before, after) = (&rotation.before, rotation.after.as_ref());
    let text = |fingerprint: &crate::secret::Fingerprint| fingerprint.to_string();
    let first = |field: fn(&Evidence) -> &Option<String>| after.and_then(|after| field(after).clone());
    // What differs, ours, theirs, and what was shown before the call.
    let facts = [
        (
            "version",
            answered.version.clone().or_else(|| first(|seen| &seen.version)),
            now.version.clone(),
            before.version.clone(),
        ),
        (
            "fingerprint",
            answered.provider_fingerprint.clone().or_else(|| first(|seen| &seen.fingerprint)),
            now.fingerprint.clone(),
            before.fingerprint.clone(),
        ),
        (
            "secret",
            Some(text(&answered.fingerprint)),
            now.shown.as_ref().map(text),
            before.shown.as_ref().or(before.current.as_ref()).map(text),
        ),
    ];
    let mut is_told = false;
    for (what, ours, theirs, before) in facts {
        let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
        if is_same(&ours, &theirs) {
            is_told = true;
            continue;
        }
        let is_behind = before.is_some_and(|before| is_same(&before, &theirs));
        let difference = Difference { what, ours, theirs };
        return if is_behind { Finding::Behind(difference) } else { Finding::Superseded(difference) };
    }
    if is_told { Finding::Same } else { by_time(rotation, now) }
}

/// What of the endpoint has changed since we looked before a call that brings a secret of ours, by somebody else: what we send
/// takes the place of whatever is there.
pub fn touched(rotation: &Rotation, now: &Evidence) -> Option<Difference> {
    let known = rotation.after.as_ref().unwrap_or(&rotation.before);
    let text = |fingerprint: &Option<crate::secret::Fingerprint>| fingerprint.as_ref().map(ToString::to_string);
    let is_ours_by_itself = now.shown.is_some() && now.shown.as_ref() == rotation.new_secret();
    let facts = [
        ("secret", text(&known.shown), text(&now.shown).filter(|_| !is_ours_by_itself)),
        ("version", known.version.clone(), now.version.clone()),
        ("fingerprint", known.fingerprint.clone(), now.fingerprint.clone()),
        ("time of change", known.updated_at.clone(), now.updated_at.clone()),
    ];
    let differ = facts.into_iter().filter_map(|(what, ours, theirs)| {
        let (ours, theirs) = (ours?, theirs?);
        (!is_same(&ours, &theirs)).then_some(Difference { what, ours, theirs })
    });
    let mut differ: Vec<Difference> = differ.collect();
    if rotation.sent.is_empty() {
        return (!differ.is_empty()).then(|| differ.swap_remove(0));
    }
    if is_ours_by_itself {
        return None;
    }
    // A call of ours that was lost may be what has changed it, and then it did so while it was under way.
    let is_ours = |at: Timestamp| {
        rotation
            .sent
            .iter()
            .map(|sent| at.duration_since(sent.theirs))
            .any(|after| after >= -CLOCK_SLACK && after <= LONGEST_CALL.saturating_add(NOTED_WITHIN))
    };
    // What came with our own call is known by its time, or else it may be somebody's.
    let is_explained = |found: &Difference| found.what == "time of change" && found.theirs.parse().is_ok_and(is_ours);
    let shows_secret = differ.iter().any(|found| found.what == "secret");
    if !shows_secret && differ.iter().any(is_explained) {
        return None;
    }
    differ.pop()
}

/// The same where nothing but a time of change is shown.
fn by_time(rotation: &Rotation, now: &Evidence) -> Finding {
    let Some(theirs) = now.updated_at.clone() else { return Finding::Unknown };
    let what = "time of change";
    match rotation.after.as_ref().and_then(|after| after.updated_at.clone()) {
        Some(ours) if ours == theirs => Finding::Same,
        Some(ours) => Finding::Touched(Difference { what, ours, theirs }),
        None => match our_call(rotation) {
            Some(call) if theirs.parse().is_ok_and(|at| !is_ours(rotation, call, at)) => {
                Finding::Touched(Difference { what, ours: format!("{call} at the latest"), theirs })
            }
            _ => Finding::Unknown,
        },
    }
}

/// When our answer came, on the provider's clock.
fn our_call(rotation: &Rotation) -> Option<Timestamp> {
    rotation.done.get(&super::Step::Issue).map(|answered| rotation.provider_time(answered.at))
}

/// Whether a change at that time can be our own call's doing, which was answered at `call`. After a lost answer it was the first
/// request or its repetition, and nothing in between.
fn is_ours(rotation: &Rotation, call: Timestamp, at: Timestamp) -> bool {
    let replayed = rotation.answered().is_some_and(|answered| answered.replayed);
    let is_between = replayed
        && matches!(rotation.sent.as_slice(), [.., before, last]
            if at.duration_since(before.theirs) > NOTED_WITHIN
                && rotation.provider_time(last.ours).duration_since(at) > CLOCK_SLACK);
    at.duration_since(call) <= NOTED_WITHIN && !is_between
}

/// Whether two short forms are of one secret. Providers mask one with `****b7d1` here and `...b7d1` there.
fn is_same(ours: &str, theirs: &str) -> bool {
    ours == theirs || tail(ours).zip(tail(theirs)).is_some_and(|(ours, theirs)| ours == theirs)
}

/// What a masked form shows of the end.
pub(super) fn tail(text: &str) -> Option<&str> {
    let is_masked = text.contains("***") || text.contains("...") || text.contains(['…', '•']);
    let end = text.rsplit(['*', '.', '…', '•']).next().filter(|end| !end.is_empty());
    end.filter(|_| is_masked)
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} is {} there, and ours is {}", self.what, self.theirs, self.ours)
    }
}

#[cfg(test)]
#[path = "superseded_tests.rs"]
mod tests;
