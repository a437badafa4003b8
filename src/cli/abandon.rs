//! `whsec abandon`: closes a rotation where it stands, and changes nothing else.

use clap_complete::engine::ArgValueCandidates;

use super::exit::{Exit, Fault};
use super::notify::Notifier;
use super::options::TargetOptions;
use super::session::Session;
use super::work::Work;
use super::{ask, complete, conclude, find};
use crate::rotation::gate::old_seal;
use crate::rotation::rejoin::Meanwhile;
use crate::rotation::{Event, Outcome, Rotation, RunError, leaking, overtaken};
use crate::store::{Slot, readable};
use crate::ui::prompt::Answers;

/// Close a rotation where it stands, and change nothing else
///
/// Whatever secret came stays where it is, sealed or in its slots. Needs a yes, or --yes. Of a rotation that somebody else's has
/// superseded, and of a leak that no rotation contains, it says that this is dealt with.
///
/// Examples:
///   whsec abandon payments --reason 'endpoint is deleted next week'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Say why; it goes to the journal
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let mut found = find::open_to_close(session, &args.target, &args.options)?;
    if found.rotation.as_ref().is_none_or(|rotation| rotation.closed.is_some())
        && let Some(rotation) = overtaken(&found.work.journal.of_endpoint(&found.work.target.endpoint.key())?).cloned()
    {
        let refusal = ["left as it is, as you said", "status says that it is superseded still"];
        return acknowledge(
            args,
            session,
            &found.work,
            rotation,
            "Is the provider's secret the live one by now?",
            refusal,
        );
    }
    if found.rotation.as_ref().is_none_or(|rotation| rotation.closed.is_some())
        && let Some(rotation) = leaking(&found.work.journal.of_endpoint(&found.work.target.endpoint.key())?).cloned()
    {
        let refusal = ["left as it is, as you said", "status says that the leak is not contained still"];
        return acknowledge(args, session, &found.work, rotation, "Is the leak dealt with?", refusal);
    }
    let mut rotation = find::need_open(session, &mut found)?;
    let work = &found.work;
    for line in conclude::whereabouts(&rotation, &work.seals, session.now()) {
        session.output.warn(&line);
    }
    let refusal = ["not abandoned, as you said", "the rotation is still open"];
    ask::agreement(session, work, "Close this rotation, and leave everything as it is?", refusal)?;
    let stopped = || work.signals.arrived();
    let mut person = work.person(session, &found.tools, Answers::default(), &stopped);
    let meanwhile = work.runner(&mut rotation, &found.tools, &mut person).rejoin()?;
    match meanwhile {
        Meanwhile::Nothing => {}
        Meanwhile::WentOn => {
            let hint = format!("see where it stands: {}", session.come_back("inspect", &work.target.name));
            return Err(Fault::new(Exit::Conflict, "others went on with this rotation meanwhile", hint));
        }
        Meanwhile::Stopped => return Ok(work.signals.exit()),
    }
    drop(person);
    let closed = Event::Closed { outcome: Outcome::Abandoned, reason: Some(args.reason.clone()) };
    for store in readable(&found.tools.stores) {
        // A throw-away secret that a run which was cut off has left there is nobody's. A store that is in trouble keeps it: the
        // next `check` knows it.
        let left = store.get(Slot::Next).ok().flatten();
        if left.is_some_and(|next| rotation.tried.contains(&next.fingerprint()))
            && let Err(error) = store.apply(&[(Slot::Next, None)])
        {
            session.output.warn(&format!("a throw-away secret stays in {}: {error}", store.slot_name(Slot::Next)));
        }
    }
    work.journal.append(&mut rotation, &session.actor(), session.now(), std::slice::from_ref(&closed))?;
    Notifier::new(session).recorded(&rotation, &closed);
    // Of a leak that is not contained, the next rotation has to prove that receivers refuse it.
    if rotation.contained() != Some(false) {
        work.seals.remove(old_seal(rotation.id)).map_err(RunError::SealFailed)?;
    }
    conclude::conclude(session, "abandon", &rotation, &work.seals, anyhow::Ok(Exit::Done))
}

/// Says of a rotation that somebody else's came after, or of a leak, that this is dealt with, so that `status` is at rest again.
fn acknowledge(
    args: &Args,
    session: &Session,
    work: &Work,
    mut rotation: Rotation,
    question: &str,
    refusal: [&str; 2],
) -> anyhow::Result<Exit> {
    if let Some(why) = rotation.closed.as_ref().and_then(|closed| closed.reason.as_deref()) {
        session.output.warn(why);
    }
    ask::agreement(session, work, question, refusal)?;
    work.retake()?;
    let said = Event::Acknowledged { reason: args.reason.clone() };
    work.journal.append(&mut rotation, &session.actor(), session.now(), &[said])?;
    conclude::conclude(session, "abandon", &rotation, &work.seals, anyhow::Ok(Exit::Done))
}
