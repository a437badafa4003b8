//! How long an old secret is to live, where somebody says it.

use std::time::Duration;

use super::error::{Error, Kind, Stop};
use crate::advice::{Advice, Verb, advice};
use crate::provider::{Overlap, Provider, duration_text};

/// How long the old secret is to live, if the provider takes that.
pub(super) fn chosen(provider: &Provider, chosen: Duration) -> Result<Duration, Error> {
    let title = provider.title();
    let refused = |message: String, hint: Advice| Err(Stop::new(Kind::Usage, message, hint));
    let Some(bounds) = provider.choice() else {
        let message = match provider.overlap() {
            Overlap::Fixed(lives) => format!("{title} keeps it for {}, whatever is asked", duration_text(lives)),
            Overlap::UntilEnded { .. } => format!("{title} keeps the old secret until it is ended"),
            Overlap::Answered => format!("{title} says itself for how long it keeps the old secret"),
            Overlap::None | Overlap::Unknown => format!("{title} is not known to keep the old secret"),
        };
        return refused(message, "leave --overlap out".into());
    };
    if chosen.is_zero() {
        let hint = advice!["to end it at once: ", Verb::ForceRotate.alone(), "; else give a time: --overlap 2h"];
        return refused("--overlap 0 would end the old secret with the call".to_owned(), hint);
    }
    if !bounds.contains(&chosen) {
        let [least, most, chosen] = [*bounds.start(), *bounds.end(), chosen].map(duration_text);
        let message = format!("{title} keeps the old secret for {least} to {most}, and not for {chosen}");
        return refused(message, "give a time between the two".into());
    }
    Ok(chosen)
}
