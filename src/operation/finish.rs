//! The tool's own remaining steps, where they are safe: after the drain that was asked for, and through the receivers' gate.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::changes;
use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::find::OpenEndpoint;
use super::report::End;
use crate::advice::{Verb, advice};
use crate::rotation::lease::Meanwhile;
use crate::rotation::operator::Operator;
use crate::rotation::{Next, Rest, Rotation, RunError, Step};
use crate::time::moment;

/// Refuses a rotation of which nothing can be finished by now.
pub fn refuse_too_early(context: &Context, found: &OpenEndpoint, rotation: &Rotation) -> Result<(), Error> {
    let (name, target) = (&found.workspace.target.name, &rotation.plan.target);
    if rotation.next(context.now()) == Next::Reconcile {
        let message = format!("there is nothing to finish at `{name}`: what came of the call is not known yet");
        return Err(Stop::new(Kind::Unknown, message, advice!["find it out: ", Verb::Cutover.of(target).bare()]));
    }
    if rotation.answered().is_none() {
        let message = format!("there is nothing to finish at `{name}`: the call comes first");
        let hint = advice!["go on with the rotation: ", Verb::Cutover.of(target).bare()];
        return Err(Stop::new(Kind::Gate, message, hint));
    }
    if let Some(back) = rotation.taken_back() {
        let why = format!("the old secret was put back at {} by {back}", moment(back.at));
        return Err(RunError::TooEarly { step: Step::Promote, why }.into());
    }
    changes::refuse_joined(name, &found.changes)
}

/// Lets deliveries come in that were signed with the old secret: until it has been gone for `drain`, on the provider's clock.
/// `wait` waits until then, and says whether it did; others may act meanwhile.
pub fn drain(
    context: &Context,
    found: &OpenEndpoint,
    rotation: &mut Rotation,
    drain: Duration,
    gate_reason: Option<&str>,
    operator: &mut dyn Operator,
    wait: &dyn Fn(&Rotation, Timestamp) -> bool,
) -> Result<End, Error> {
    let OpenEndpoint { workspace, resources, .. } = found;
    while let Some(until) = draining_until(context, rotation, drain) {
        // What is refused anyway is refused before the waiting, too.
        workspace.runner(rotation, resources, operator).gate(gate_reason)?;
        let is_stopped = !workspace.awaits(|| wait(rotation, until));
        let mut runner = workspace.runner(rotation, resources, operator);
        if runner.reacquire()? == Meanwhile::Stopped || is_stopped {
            // What is said of the rotation now is what others have made of it.
            let _ = runner.catch_up();
            return Ok(End::Stopped);
        }
    }
    Ok(End::Done)
}

/// Until when deliveries that were signed with the old secret may be retried, on the provider's clock; `None` once that is over.
fn draining_until(context: &Context, rotation: &Rotation, drain: Duration) -> Option<Timestamp> {
    let is_over = rotation.closed.is_some() || rotation.done.contains_key(&Step::Retire);
    let issued = rotation.done.get(&Step::Issue).map(|proof| rotation.provider_time(proof.at));
    let ended = rotation.expires_at().or(issued).filter(|_| !is_over)?;
    let until = ended.saturating_add(SignedDuration::try_from(drain).unwrap_or(SignedDuration::MAX)).ok()?;
    (rotation.provider_now(context.now()) < until).then_some(until)
}

/// Does what the tool can do, if no receiver is in the way, or for this reason. Done means that what is left is the receivers' part
/// alone.
pub fn finish(
    found: &OpenEndpoint,
    rotation: &mut Rotation,
    gate_reason: Option<&str>,
    operator: &mut dyn Operator,
) -> Result<End, Error> {
    let unfinished = if rotation.done.contains_key(&Step::Promote) { Step::Retire } else { Step::Promote };
    let mut runner = found.workspace.runner(rotation, &found.resources, operator);
    if runner.rotation.closed.is_none() {
        runner.gate(gate_reason)?;
    }
    let rest = runner.run(None)?;
    Err(match rest {
        Rest::Stopped => return Ok(End::Stopped),
        Rest::Finished => return Ok(End::Done),
        Rest::Person(Step::Drop) if rotation.done.contains_key(&Step::Retire) => return Ok(End::Done),
        Rest::Person(step) => {
            let why = format!("nobody has said that `{0}` is done (`cutover` with `--done {0}` says it)", step.name());
            RunError::TooEarly { step: unfinished, why }
        }
        Rest::Clock(until) => {
            RunError::TooEarly { step: Step::Retire, why: format!("the old secret lives until {}", moment(until)) }
        }
    }
    .into())
}
