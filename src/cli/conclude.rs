//! How every command about a rotation ends: what happened, where the new secret is, whether the old one still works,
//! and the one command that goes on.

use serde_json::Value;

use super::exit::{self, Exit, Fault};
use super::session::Session;
use crate::operation::work::Work;
use crate::operation::{report, whereabouts};
use crate::rotation::{self, Call, Doer, Next, Outcome, Rotation, RunError, Step, guide};
use crate::time::moment;
use crate::ui::prompt;

/// Says and prints the end of a run, and yields its exit code.
pub fn conclude(
    session: &Session,
    command: &str,
    rotation: &Rotation,
    work: &Work,
    outcome: Result<Exit, impl Into<anyhow::Error>>,
) -> anyhow::Result<Exit> {
    let come_back = session.come_back("cutover", &rotation.plan.target);
    let (exit, error) = match outcome.map_err(Into::into) {
        Ok(exit) => {
            say_next(session, rotation, &come_back);
            (exit, Value::Null)
        }
        Err(error) => {
            let run = exit::run_error(&error).map(|(error, _)| error);
            let evidence = match run {
                Some(
                    RunError::Lost { comparison: Some(comparison), .. } | RunError::AgainstEvidence { comparison, .. },
                ) => prompt::evidence(comparison),
                _ => Vec::new(),
            };
            let fault = session.fault_of(&error, &rotation.plan, work.key_origin.as_ref());
            // A person at a terminal saw it with the question, if there was one.
            let is_seen = session.may_ask() && matches!(run, Some(RunError::Lost { .. }));
            for line in evidence.iter().filter(|_| !is_seen) {
                session.output.warn(line);
            }
            session.output.error(&fault.message, fault.hint_words().as_deref());
            // What was true of one that others have closed since is not what an operator needs now.
            let is_past = matches!(run, Some(RunError::GivenUp { .. }));
            for line in whereabouts::whereabouts(rotation, &work.seals, session.now()).into_iter().filter(|_| !is_past)
            {
                session.output.say(&format!(" note: {line}"));
            }
            let mut value = error_value(&fault, &evidence);
            if let Some(RunError::Drift { drifts, .. }) = run {
                value["foreign"] = serde_json::json!(drifts);
            }
            (fault.exit, value)
        }
    };
    if let Some(line) = beside(rotation, &come_back) {
        session.output.say(&format!(" note: {line}"));
    }
    session.output.json(&report::rotation(command, rotation, session.now(), exit.code(), &come_back, error));
    Ok(exit)
}

/// What is true of the rotation that this one was to replace.
fn beside(rotation: &Rotation, come_back: &str) -> Option<String> {
    if rotation.left_the_other_open() {
        return Some(format!("the rotation that was open before is as it was; it goes on with\n  {come_back}"));
    }
    let waits = "the rotation that was open before stays open until it is known what came of this one";
    rotation.is_pending().then(|| waits.to_owned())
}

/// The end of a command that goes on with a rotation, where the newest one is closed. Only one that is done is as it was wanted.
pub fn closed(session: &Session, command: &str, rotation: &Rotation, work: &Work) -> anyhow::Result<Exit> {
    let name = &rotation.plan.target;
    let Some(closed) = rotation.closed.as_ref().filter(|closed| closed.outcome != Outcome::Done) else {
        session.output.say(&format!("nothing to do: no rotation of `{name}` is open"));
        return conclude(session, command, rotation, work, anyhow::Ok(Exit::Done));
    };
    let (at, by) = (moment(closed.at), &closed.by);
    let why = closed.reason.as_deref().unwrap_or("no reason given");
    let come_back = |verb| session.come_back(verb, name);
    let fault = match closed.outcome {
        Outcome::Superseded if rotation.is_superseded() => Fault::new(
            Exit::Conflict,
            format!("no rotation of `{name}` is open: the last one was superseded at {at}: {why}"),
            format!(
                "put their secret into the live slot and say so: {} --reason TEXT; or, {}",
                come_back("abandon"),
                rotation::again(rotation.overlap_until(session.now()), come_back("rotate"))
            ),
        ),
        Outcome::Failed => Fault::new(
            Exit::NotFound,
            format!("no rotation of `{name}` is open: the last one failed at {at}: {why}"),
            match rotation.failed_to_contain() {
                true => format!(
                    "the leak is not contained: {} --reason TEXT; if there is none, say so: {} --reason TEXT",
                    come_back("force-rotate"),
                    come_back("abandon")
                ),
                false => format!("begin another: {}", come_back("rotate")),
            },
        ),
        outcome => Fault::new(
            Exit::NotFound,
            match outcome {
                Outcome::Superseded => format!(
                    "no rotation of `{name}` is open: the last one was superseded at {at}, which is dealt with: {why}"
                ),
                _ => format!("no rotation of `{name}` is open: {by} closed the last one at {at} (abandoned): {why}"),
            },
            format!("what is live, and where: {}", come_back("inspect")),
        ),
    };
    conclude(session, command, rotation, work, Err(fault))
}

fn error_value(fault: &Fault, evidence: &[String]) -> Value {
    let mut value = exit::error_object(fault);
    if !evidence.is_empty() {
        value["evidence"] = Value::from(evidence.to_vec());
    }
    value
}

fn say_next(session: &Session, rotation: &Rotation, come_back: &str) {
    let output = &session.output;
    let direction = rotation.plan.told_as();
    // A rehearsal is gone once it is left, and nothing comes back to it.
    let is_rehearsal = session.comes_back_with.is_some();
    let command = |line: String| {
        if !is_rehearsal {
            output.say(&format!("  {line}"));
        }
    };
    match rotation.next(session.now()) {
        Next::Finished => match &rotation.closed {
            Some(closed) if closed.outcome == Outcome::Done => {
                let fingerprint = rotation.new_secret().map(ToString::to_string);
                output.say(&format!("done: {} lives on {}", rotation.plan.target, fingerprint.unwrap_or_default()));
            }
            Some(closed) => output.say(&format!("closed: {}", closed.reason.as_deref().unwrap_or("no reason given"))),
            None => {}
        },
        Next::Reconcile => {
            output.say("next: find out what came of the call");
            command(come_back.to_owned());
        }
        Next::Wait(until) => {
            output.say(&format!("next: wait; the old secret ends at {}", moment(until)));
            command(format!("{come_back} --wait"));
        }
        Next::Run(step) | Next::Ask(step) => {
            if rotation.call == Call::NotApplied {
                output.say("nothing was sent yet");
            }
            let ended = rotation.expires_at().filter(|end| rotation.provider_now(session.now()) >= *end);
            if let Some(end) = ended.filter(|_| step != Step::Drop) {
                let late = "receivers that know only the old secret refuse every delivery";
                output.warn(&format!("the old secret ended at {}: {late}", moment(end)));
            }
            let yes = if rotation.taken_back().is_some() && !session.may_ask() { " --yes" } else { "" };
            let is_asked = rotation.call == Call::NotApplied && rotation.made.is_none();
            let confirm = match is_asked && direction.ends_old_secret() && !session.may_ask() {
                true => format!(" --confirm {}", session.quoted(rotation.plan.own_id())),
                false => String::new(),
            };
            output.say(&format!("next: {}, {}", step.name(), guide::title(direction, step)));
            command(format!("{come_back}{yes}"));
            if step.doer() == Doer::Person && !session.may_ask() && !is_rehearsal {
                output.say("once it is done, where nobody can be asked:");
                // A bare word does not do where receivers have to be seen to accept what nobody has sent yet.
                let reason = if step == Step::Verify && rotation.is_unsent() { " --reason TEXT" } else { "" };
                command(format!("{come_back} --done {}{confirm}{reason}", step.name()));
            }
        }
    }
}
