//! What receivers accept: asked from here, or by the provider's own test delivery.

use jiff::SignedDuration;

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::inventory::{self, Inventory, Role};
use super::key;
use crate::advice::{Verb, advice};
use crate::config::Target;
use crate::delivery::probe::{Case, Event as ProbeEvent, Prober, Report, Secrets, Verdict};
use crate::provider::Tested;
use crate::rotation::person_steps::probed;
use crate::rotation::{CLOCK_SET_BACK, Event, RunError, newest_sent};

/// What is asked of the receivers beside what the target says.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The cases that are tried; none: all that the secrets allow.
    pub cases: Vec<Case>,
    /// A body in place of the provider's test event.
    pub body: Option<Vec<u8>>,
}

/// Receivers that are about to be asked.
pub struct Probe {
    inventory: Inventory,
    prober: Prober,
    urls: Vec<String>,
    /// By how much the provider's clock is ahead of this machine's.
    ahead: SignedDuration,
}

impl Probe {
    /// Finds the receivers, the secrets and how the provider signs. Nothing is sent. Fails where a checkout's file that nobody
    /// trusts names the receivers, where no secret is live, and where it is not known which one is.
    pub fn begin(context: &Context, name: &str, asked: &Asked, wanted: Wanted) -> Result<Self, Error> {
        let inventory = inventory::look(context, name, asked)?;
        let target = &inventory.target;
        let urls = receivers(target, asked)?;
        let provider = &target.endpoint.provider;
        if provider.bears_secret() {
            context.warn(format!("{}'s deliveries bear the secret itself, and these probes do, too", provider.title()));
        }
        let client = context.prober_client(target)?;
        let Some(mut prober) = Prober::new(provider, client, context.clock(), Some(inventory.journal.stamps().clone()))
        else {
            let message = format!("how {} signs deliveries is not described", provider.title());
            let hint = "describe it in a file of your own (`[signature]` in whsec-provider(5)), or let it send one: --via-provider";
            return Err(Stop::new(Kind::Usage, message, hint));
        };
        if !wanted.cases.is_empty() {
            prober.cases.retain(|case| wanted.cases.contains(case));
        }
        if let Some(body) = wanted.body {
            prober.event = ProbeEvent::Bytes(body);
        }
        let now = context.now();
        let history = inventory.journal.of_endpoint(&target.endpoint.key())?;
        if newest_sent(&history).is_some_and(|rotation| rotation.is_unsettled(now)) {
            let message = format!("which secret of `{}` is alive is not known", target.name);
            let hint = advice![Verb::Status.alone(), " says why; ", Verb::Cutover.of(name), " finds it out"];
            return Err(Stop::new(Kind::Gate, message, hint));
        }
        if inventory.of(Role::New).is_none() {
            let message = format!("no slot of `{}` holds a live secret to sign with", target.name);
            let hint = advice![Verb::Inspect.of(name), " shows which slots hold what"];
            return Err(Stop::new(Kind::NotFound, message, hint));
        }
        if inventory.of(Role::Old).is_none() {
            context.detail("no slot holds an old secret, so `old` and `both` are not tried");
        }
        if inventory.open.as_ref().is_some_and(|rotation| rotation.is_clock_set_back(now)) {
            context.warn(CLOCK_SET_BACK);
        }
        let ahead = inventory.open.as_ref().map_or(SignedDuration::ZERO, |rotation| rotation.clock_ahead(now));
        Ok(Self { inventory, prober, urls, ahead })
    }

    /// The target at hand.
    pub fn target(&self) -> &Target {
        &self.inventory.target
    }

    /// The receivers that are to be asked.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Asks one receiver; ends early where `stopped` says so.
    pub fn ask(&self, url: &str, stopped: &dyn Fn() -> bool) -> Report {
        let secrets = Secrets { new: self.inventory.of(Role::New), old: self.inventory.of(Role::Old) };
        self.prober.probe(url, &secrets, self.ahead, stopped)
    }

    /// Journals what was found for an open rotation. A journal that cannot take it is no reason to fail.
    pub fn record(&mut self, context: &Context, reports: &[Report]) {
        let inventory = &mut self.inventory;
        let Some(mut rotation) = inventory.open.clone().filter(|rotation| rotation.new_secret().is_some()) else {
            return;
        };
        // What was asked of another address by the way is no fact about this rotation, nor is a part of the cases.
        let ours =
            |report: &&Report| rotation.plan.receivers.contains(&report.url) && report.verdict != Verdict::Undecided;
        let receivers: Vec<_> = reports.iter().filter(ours).map(probed).collect();
        if receivers.is_empty() {
            return;
        }
        let found = Event::Probed { receivers };
        match inventory.journal.append(&mut rotation, context.actor(), context.now(), &[found]) {
            Ok(()) => context.detail("noted in the journal of the open rotation"),
            Err(error) => context.warn(format!("it was not noted in the journal: {error}")),
        }
    }
}

/// The receivers to ask: those that were asked for, else the target's own, unless a checkout's file names them.
fn receivers(target: &Target, asked: &Asked) -> Result<Vec<String>, Error> {
    if !asked.overrides.receivers.is_empty() {
        return Ok(asked.overrides.receivers.clone());
    }
    if target.receivers.is_empty() {
        let message = format!("`{}` names no receiver", target.name);
        let hint = "name one: --url URL, or `receivers = [\"https://…\"]` in the target";
        return Err(Stop::new(Kind::Usage, message, hint));
    }
    if !target.may_probe {
        let message = "the receivers are named by a checkout's file that you do not trust, so they are not probed";
        let hint = advice!["look at it, then ", Verb::TargetTrust.alone(), "; or name one: --url URL"];
        return Err(Stop::new(Kind::Usage, message, hint));
    }
    Ok(target.receivers.clone())
}

/// What a receiver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// Take what the new secret signed, and nothing forged.
    BeReady,
    /// Answer each case that was tried as it should be.
    AnswerEach,
    /// Be of this verdict.
    Be(Verdict),
}

impl Must {
    /// Whether a receiver does.
    pub fn holds(self, report: &Report) -> bool {
        match self {
            Self::Be(verdict) => report.verdict == verdict,
            Self::BeReady => report.accepts_new() == Some(true) && !accepts_forged(report),
            Self::AnswerEach => !report.tried.is_empty() && !refuses_sound(report) && !accepts_forged(report),
        }
    }
}

/// Whether a receiver refused what the new secret signed.
fn refuses_sound(report: &Report) -> bool {
    let mut sound = report.tried.iter().filter(|tried| tried.case.is_sound() && tried.case != Case::Old);
    sound.any(|tried| tried.is_accepted() != Some(true))
}

/// Whether a receiver accepted something that nobody with a secret signed just now.
fn accepts_forged(report: &Report) -> bool {
    report.tried.iter().any(|tried| !tried.case.is_sound() && tried.is_accepted() != Some(false))
}

/// What came of the provider's own test delivery.
pub struct ByProvider {
    pub target: Target,
    pub tested: Tested,
}

/// Has the provider send its own test delivery. An answer that says nothing of the receiver is a yes of the provider alone.
pub fn via_provider(context: &Context, name: &str, asked: &Asked) -> Result<ByProvider, Error> {
    let target = inventory::look(context, name, asked)?.target;
    let provider = &target.endpoint.provider;
    let key = key::find(context, &target, asked.api_key_file.as_deref())?;
    let Some(tested) = context.client(&target)?.test_delivery(&target.endpoint, &key.secret) else {
        let message = format!("{} has no call that sends a test delivery", provider.title());
        return Err(Stop::new(Kind::Usage, message, "probe the receivers from here: leave --via-provider out"));
    };
    let tested = tested.map_err(|outcome| {
        match RunError::from_outcome(provider.title().to_owned(), "send a test delivery", outcome) {
            RunError::CheckFailed { provider, why } => Stop::new(
                Kind::Unavailable,
                format!("the test delivery failed: {provider} did not answer as it should: {why}"),
                "run it again later, or leave --via-provider out to probe from here",
            ),
            other => Error::of_key(other, &key.origin),
        }
    })?;
    Ok(ByProvider { target, tested })
}
