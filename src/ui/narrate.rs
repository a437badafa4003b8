//! A running rotation in words: one line for each step, one for each thing that came of it.

use std::time::Duration;

use jiff::SignedDuration;

use super::Output;
use crate::rotation::operator::News;
use crate::rotation::{Answered, Event, ExpirySource, How, Rotation, Step, guide};
use crate::time::{moment, span};

/// Tells one piece of news on stderr.
pub fn tell(output: &Output, rotation: &Rotation, news: &News<'_>) {
    match news {
        News::Begins(step) => output.say(&heading(rotation, *step)),
        News::Inspected(inspected) => {
            let mut facts = Vec::new();
            facts.extend(inspected.url.clone());
            facts.extend(inspected.status.clone());
            facts.extend(inspected.version.as_ref().map(|version| format!("version {version}")));
            facts.extend(inspected.fingerprint.clone());
            output.say(&done(&format!("the endpoint answers: {}", facts.join(", "))));
        }
        News::StoreProved { store } => output.say(&done(&format!("{store} takes, returns and gives up a canary"))),
        News::Sending { attempt: 1 } => output.detail("      the request is journaled; sending it"),
        News::Sending { attempt } if rotation.made.is_some() => {
            output.say(&format!("      attempt {attempt}: the same secret again"));
        }
        News::Sending { attempt } => output.say(&format!("      attempt {attempt}: the same request, the same key")),
        News::Retrying { why, seconds } => output.say(&format!("      {why}; again in {seconds} s")),
        News::Recorded(Event::Given { fingerprint }) => {
            output.say(&done(&format!("new secret {fingerprint} taken and sealed")));
            rotation
                .answered()
                .iter()
                .for_each(|answered| output.say(&format!("      {}", old_secret(rotation, answered))));
        }
        News::Answered(answered) if rotation.made.is_some() => {
            output.say(&done(&format!("the provider has taken the new secret {}", answered.fingerprint)));
            output.say(&format!("      {}", old_secret(rotation, answered)));
        }
        News::Answered(answered) => {
            output.say(&done(&format!("new secret {} received and sealed{}", answered.fingerprint, version(answered))));
            if let Some(second) = &answered.endpoint {
                output.say(&done(&format!("the second endpoint is `{second}`, and from now on both deliver")));
            }
            output.say(&format!("      {}", old_secret(rotation, answered)));
            if let Some(notice) = &answered.notice {
                output.say(&format!("      {} says: {notice}", rotation.plan.provider));
            }
        }
        News::StoreDone { step, store, slot } => output.say(&done(&match step {
            Step::Stage => format!("{store}: the new secret is in {slot}"),
            Step::Promote => format!("{store}: {slot} holds the new secret"),
            _ => format!("{store}: {slot} is empty"),
        })),
        News::ClockOff { ahead_ms } => {
            let (by, how) =
                (SignedDuration::from_millis(ahead_ms.abs()), if *ahead_ms > 0 { "behind" } else { "ahead of" });
            output.warn(&format!("this machine's clock is {} {how} the provider's; the provider's counts", span(by)));
        }
        News::Warning(text) => output.warn(text),
        News::Probed(report) => {
            super::probes::brief(report).iter().for_each(|line| output.say(&format!("      {line}")))
        }
        News::Proved(step, how) => {
            let by = if **how == How::Delivery { "by a delivery that was verified" } else { "by every receiver" };
            output.say(&done(&format!("{}: proved {by}", step.name())));
        }
        News::Recorded(Event::Made { fingerprint }) => {
            output.say(&done(&format!("new secret {fingerprint} made and sealed; the provider does not have it yet")));
        }
        News::Recorded(Event::Ending { .. }) => {
            output.say(&format!("      removing `{}`; the word for it is journaled", rotation.plan.own_id()));
        }
        News::Recorded(Event::Done { step: Step::End, .. }) if rotation.second().is_some() => {
            output.say(&done(&format!(
                "the old endpoint `{}` is removed, and its secret is dead",
                rotation.plan.own_id()
            )));
        }
        News::Recorded(_) => {}
        News::OldSecretEnded if rotation.plan.is_by_hand() => output.say(&done("the old secret has ended")),
        News::OldSecretEnded => output.say(&done("the old secret has ended, by the provider's clock")),
    }
}

/// What is said to a signal while the provider's answer is awaited.
pub fn stops_later(provider: &str, at_most: Duration, come_back: &str) -> String {
    // Rounded up: it never promises less time than there is.
    let seconds = at_most.as_secs() + u64::from(at_most.subsec_nanos() > 0);
    let at_most = span(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
    format!(
        "whsec stops once {provider} has answered, at most {at_most} after the request; a second signal leaves the \
         outcome unknown, which `{come_back}` looks into"
    )
}

/// `3/9  stage   keep the new secret …`, the number being the step's place in the plan.
pub fn heading(rotation: &Rotation, step: Step) -> String {
    let steps = &rotation.plan.steps;
    let number = steps.iter().position(|other| *other == step).map_or(0, |at| at + 1);
    let bold = anstyle::Style::new().bold();
    format!("{number:>2}/{} {bold}{:<8}{bold:#} {}", steps.len(), step.name(), guide::title(&rotation.plan, step))
}

/// When the old secret ends, and how that is known.
pub fn old_secret(rotation: &Rotation, answered: &Answered) -> String {
    match (answered.expires_source, rotation.expires_at()) {
        (ExpirySource::Call, _) if rotation.plan.is_by_hand() => {
            "the old secret died when the new one was made".to_owned()
        }
        (ExpirySource::Call, _) => "the old secret died with the call".to_owned(),
        (_, Some(end)) if rotation.before.dead_since.is_some() => {
            format!("the old secret ended at {}, before this rotation", moment(end))
        }
        (_, Some(end)) if end <= rotation.opened_at => {
            format!("the old secret ended at {}, by the answer", moment(end))
        }
        (ExpirySource::Provider, Some(end)) => format!("the old secret lives until {} (from provider)", moment(end)),
        (ExpirySource::Documented, Some(end)) => format!("the old secret lives until {} (documented)", moment(end)),
        _ if rotation.plan.ending.is_some() => "the old secret lives until you end it".to_owned(),
        _ => format!("{} does not say when the old secret ends", rotation.plan.provider),
    }
}

fn version(answered: &Answered) -> String {
    let version = answered.version.as_ref().map(|version| format!(", version {version}"));
    let fingerprint = answered.provider_fingerprint.as_ref().map(|text| format!(", {text} at the provider"));
    format!("{}{}", version.unwrap_or_default(), fingerprint.unwrap_or_default())
}

fn done(text: &str) -> String {
    let green = anstyle::AnsiColor::Green.on_default();
    format!("      {green}✓{green:#} {text}")
}
