//! How every command about a rotation ends: what happened, where the new secret is, whether the old one still works,
//! and the one command that goes on.

use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::session::Session;
use crate::advice::{Command, Verb};
use crate::operation::report::{self, End, Failure, Report};
use crate::operation::workspace::Workspace;
use crate::operation::{self, Error};
use crate::rotation::{Call, Doer, Next, Outcome, Rotation, guide};
use crate::time::moment;

/// Says and prints the end of a command, and yields its exit code.
pub fn tell(
    session: &Session,
    command: &str,
    rotation: &Rotation,
    workspace: &Workspace,
    outcome: Result<End, impl Into<Error>>,
) -> anyhow::Result<Exit> {
    let (exit, object) = told(session, command, rotation, workspace, outcome)?;
    session.output.json(&object);
    Ok(exit)
}

/// The same with the object for whoever prints it.
pub fn told(
    session: &Session,
    command: &str,
    rotation: &Rotation,
    workspace: &Workspace,
    outcome: Result<End, impl Into<Error>>,
) -> anyhow::Result<(Exit, Value)> {
    let report = Report::of(workspace, rotation, session.now(), outcome.map_err(Into::into));
    let (exit, error) = match &report.end {
        End::Failed(failure) => say_failure(session, &report, failure),
        end => {
            say_next(session, &report);
            let exit = match end {
                End::Open => Exit::Open,
                End::Stopped => session.signals()?.exit(),
                End::Done | End::Failed(_) => Exit::Done,
            };
            (exit, Value::Null)
        }
    };
    if let Some(advice) = report.beside() {
        session.output.say(&format!(" note: {}", session.written_of(advice, &rotation.plan)));
    }
    let write = |command: &Command| session.written_out(command);
    Ok((exit, report::object(command, rotation, report.at, exit.code(), &write, error)))
}

/// The same of an error: what a question of ours ended in is no news of the rotation.
pub fn failed(
    session: &Session,
    command: &str,
    rotation: &Rotation,
    workspace: &Workspace,
    error: anyhow::Error,
) -> anyhow::Result<Exit> {
    match error.downcast::<operation::Error>() {
        Ok(error) => tell(session, command, rotation, workspace, Err(error)),
        Err(error) => Err(error),
    }
}

/// The end of a command that goes on with a rotation, where the newest one is closed.
pub fn closed(session: &Session, command: &str, rotation: &Rotation, workspace: &Workspace) -> anyhow::Result<Exit> {
    let outcome = report::closed(rotation, session.now());
    if outcome.is_ok() {
        session.output.say(&format!("nothing to do: no rotation of `{}` is open", rotation.plan.target));
    }
    tell(session, command, rotation, workspace, outcome)
}

fn say_failure(session: &Session, report: &Report<'_>, failure: &Failure) -> (Exit, Value) {
    let hint = failure.advice.clone().map(|advice| session.written_of(advice, &report.rotation.plan));
    let fault = Fault { exit: failure.kind.into(), message: failure.message.clone(), hint };
    // A person at a terminal saw it with the question, if there was one.
    let is_seen = session.may_ask() && failure.is_evidence_seen;
    for line in failure.evidence.iter().filter(|_| !is_seen) {
        session.output.warn(line);
    }
    let mut error = exit::say(&session.output, &fault);
    for line in &failure.whereabouts {
        session.output.say(&format!(" note: {line}"));
    }
    if !failure.evidence.is_empty() {
        error["evidence"] = json!(failure.evidence);
    }
    if !failure.foreign.is_empty() {
        error["foreign"] = json!(failure.foreign);
    }
    if let Some(until) = failure.until {
        error["until"] = json!(until);
    }
    exit::mark(&mut error, failure.is_busy, failure.is_stale);
    (fault.exit, error)
}

fn say_next(session: &Session, report: &Report<'_>) {
    let (output, rotation) = (&session.output, report.rotation);
    // A rehearsal is gone once it is left, and nothing comes back to it.
    let is_rehearsal = session.comes_back_with.is_some();
    let goes_on = || Verb::Cutover.of(&rotation.plan.target);
    let say = |command: Command| {
        if !is_rehearsal {
            output.say(&format!("  {}", session.written_out(&command)));
        }
    };
    match rotation.next(report.at) {
        Next::Finished => match &rotation.closed {
            Some(closed) if closed.outcome == Outcome::Done => {
                let fingerprint = rotation.new_secret().map(ToString::to_string);
                output.say(&format!("done: {} lives on {}", rotation.plan.target, fingerprint.unwrap_or_default()));
                if rotation.second().is_some() && !is_rehearsal {
                    let key = match rotation.plan.ids.as_slice() {
                        [.., _, own] => format!("ids.{}", own.name),
                        _ => "id".to_owned(),
                    };
                    let id = rotation.own_id();
                    output.say(&format!(
                        "this journal knows the endpoint by its new id; others need it in the target: {key} = \"{id}\""
                    ));
                }
            }
            Some(closed) => output.say(&format!("closed: {}", closed.reason.as_deref().unwrap_or("no reason given"))),
            None => {}
        },
        Next::Reconcile => {
            output.say("next: find out what came of the call");
            say(goes_on());
        }
        Next::Wait(until) => {
            output.say(&format!("next: wait; the old secret ends at {}", moment(until)));
            say(goes_on().flag("wait"));
        }
        Next::Run(step) | Next::Ask(step) => {
            if rotation.call == Call::NotApplied {
                output.say("nothing was sent yet");
            }
            if let Some(end) = report.ended_before(step) {
                let late = "receivers that know only the old secret refuse every delivery";
                output.warn(&format!("the old secret ended at {}: {late}", moment(end)));
            }
            let is_yes_needed = rotation.taken_back().is_some() && !session.may_ask();
            output.say(&format!("next: {}, {}", step.name(), guide::title(&rotation.plan, step)));
            say(if is_yes_needed { goes_on().flag("yes") } else { goes_on() });
            if rotation.plan.doer(step) == Doer::Person && !session.may_ask() && !is_rehearsal {
                output.say("once it is done, where nobody can be asked:");
                say(report.says_done(step));
            }
        }
    }
}
