//! Rules for `[overlap]` and `[end]`: how long the old secret lives, and whose that is to say.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::check::Overlap;
use super::rules::{Flaw, flaw, require};
use super::spec::{OverlapKind, RotateKind, Spec};
use super::words::OVERLAP;
use super::{duration, replace, sections};

/// How long the old secret lives.
pub(super) fn check(spec: &Spec) -> Result<Overlap, Flaw> {
    let key = "overlap.window";
    let is_until_ended = spec.overlap.kind == OverlapKind::UntilEnded;
    require(
        is_until_ended || spec.overlap.signs.is_none(),
        "overlap.signs",
        "needs `kind = \"until-ended\"`",
        "take it out",
    )?;
    require(
        is_until_ended || spec.end.is_none(),
        "end",
        "needs `kind = \"until-ended\"` of `[overlap]`",
        "take it out",
    )?;
    match (spec.overlap.kind, &spec.overlap.window) {
        (OverlapKind::Fixed | OverlapKind::Chosen, None) => {
            Err(flaw(key, "is missing", "say how long: `window = \"24h\"`"))
        }
        (OverlapKind::Fixed | OverlapKind::Chosen, Some(text)) => positive(key, text).map(Overlap::Fixed),
        (OverlapKind::Answered, None) => {
            let told = spec.rotate.answer.as_ref().and_then(|answer| answer.old_expires_at.as_ref());
            require(
                told.is_some(),
                "rotate.answer.old_expires_at",
                "is missing",
                "say where the answer says when the old secret ends, or say another `kind` of `[overlap]`",
            )?;
            Ok(Overlap::Answered)
        }
        (_, Some(_)) => Err(flaw(key, "needs `kind = \"fixed\"`", "take the window out, or set the kind")),
        (OverlapKind::UntilEnded, None) => until_ended(spec),
        (OverlapKind::None, None) => Ok(Overlap::None),
        (OverlapKind::Unknown, None) => Ok(Overlap::Unknown),
    }
}

/// The old secret lives until it is ended, as `[end]` says.
fn until_ended(spec: &Spec) -> Result<Overlap, Flaw> {
    require(
        matches!(spec.rotate.kind, RotateKind::Hand | RotateKind::Replace),
        "overlap.kind",
        "goes with `kind = \"hand\"` or `\"replace\"` of `[rotate]`",
        "where a call rotates, say for how long the old secret lives",
    )?;
    let Some(end) = &spec.end else {
        return Err(flaw(
            "end",
            "is missing",
            "say how the old secret is ended: `[end]` with `kind = \"hand\"` and `where`, or `\"call\"` and `path`",
        ));
    };
    replace::check_end(spec, end)?;
    let settles = end.settles.as_deref().map(|text| {
        duration(text)
            .filter(|settles| !settles.is_zero())
            .ok_or_else(|| flaw("end.settles", "is not a duration", "write it like `1h`, or leave it out"))
    });
    Ok(Overlap::UntilEnded { signs: spec.overlap.signs.unwrap_or_default(), settles: settles.transpose()? })
}

fn positive(key: &str, text: &str) -> Result<Duration, Flaw> {
    let span = duration(text).filter(|span| !span.is_zero());
    span.ok_or_else(|| flaw(key, "is not a duration", "write it like `24h`, `10m` or `300s`"))
}

/// The bounds of an overlap that the caller chooses; `None` where nobody does.
pub(super) fn choice(spec: &Spec) -> Result<Option<RangeInclusive<Duration>>, Flaw> {
    let overlap = &spec.overlap;
    let bounds = [("overlap.min", &overlap.min), ("overlap.max", &overlap.max)];
    let is_sent = spec.rotate.body.as_ref().is_some_and(|body| sections::has_value(body, OVERLAP));
    if overlap.kind != OverlapKind::Chosen {
        for (key, bound) in bounds {
            require(bound.is_none(), key, "needs `kind = \"chosen\"`", "take it out, or set the kind")?;
        }
        return Ok(None);
    }
    require(
        is_sent,
        "rotate.body",
        "does not have `\"{overlap_s}\"` in it",
        "say where the choice is sent, in seconds",
    )?;
    let [min, max] = bounds.map(|(key, bound)| match bound {
        Some(text) => positive(key, text),
        None => Err(flaw(key, "is missing", "say what the provider takes: `1h`, `7d`")),
    });
    let range = min?..=max?;
    let window = overlap.window.as_ref().map(|text| positive("overlap.window", text)).transpose()?;
    let fits = window.is_some_and(|window| range.contains(&window));
    require(fits, "overlap.window", "is not between `min` and `max`", "say what is asked for where nobody chooses")?;
    Ok(Some(range))
}
