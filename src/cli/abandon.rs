//! `whsec abandon`: closes a rotation where it stands, and changes nothing else.

use clap_complete::engine::ArgValueCandidates;

use super::exit::{Exit, Fault};
use crate::operation::find::Found;
use crate::operation::whereabouts;

use super::options::TargetOptions;
use super::person;
use super::session::Session;
use super::{ask, complete, conclude};
use crate::operation::find;
use crate::rotation::gate::old_seal;
use crate::rotation::rejoin::Meanwhile;
use crate::rotation::{Event, Outcome, Rotation, RunError, drift, leaking, overtaken};
use crate::secret::Fingerprint;
use crate::store::{Slot, Store, readable};
use crate::ui::prompt::Answers;

/// Close a rotation where it stands, and change nothing else
///
/// Whatever secret came stays where it is, sealed or in its slots. Needs a yes, or --yes. Of a rotation that somebody else's has
/// superseded, and of a leak that no rotation contains, it says that this is dealt with; of the first it exits 9 while a live slot
/// still holds what theirs has replaced.
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
    /// Say that what somebody else has superseded is dealt with although it is still live: by its fingerprint
    #[arg(long = "override", value_name = "FINGERPRINT", require_equals = true, value_hint = clap::ValueHint::Other)]
    overrides: Vec<Fingerprint>,
    #[command(flatten)]
    options: TargetOptions,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let mut found = find::open_to_close(session.operating()?, &args.target, &args.options.asked())?;
    if found.rotation.as_ref().is_none_or(|rotation| rotation.closed.is_some()) {
        let known = found.work.journal.of_endpoint(&found.work.target.endpoint.key())?;
        if let Some(rotation) = overtaken(&known) {
            let question = "Is the provider's secret the live one by now?";
            return acknowledge(args, session, &found, rotation, question, "it is superseded");
        }
        if let Some(rotation) = leaking(&known) {
            return acknowledge(
                args,
                session,
                &found,
                rotation,
                "Is the leak dealt with?",
                "the leak is not contained",
            );
        }
    }
    let mut rotation = find::need_open(session.context()?, &mut found)?;
    let work = &found.work;
    for line in whereabouts::whereabouts(&rotation, &work.seals, session.now()) {
        session.output.warn(&line);
    }
    let refusal = ["not abandoned, as you said", "the rotation is still open"];
    ask::agreement(session, work, "Close this rotation, and leave everything as it is?", refusal)?;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = person::of(session, work, &found.tools, Answers::default(), &stopped)?;
    let meanwhile = work.runner(&mut rotation, &found.tools, &mut person).rejoin()?;
    match meanwhile {
        Meanwhile::Nothing => {}
        Meanwhile::WentOn => {
            let hint = format!("see where it stands: {}", session.come_back("inspect", &work.target.name));
            return Err(Fault::new(Exit::Conflict, "others went on with this rotation meanwhile", hint));
        }
        Meanwhile::Stopped => return Ok(signals.exit()),
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
    work.journal.append(&mut rotation, session.context()?.actor(), session.now(), std::slice::from_ref(&closed))?;
    person::notifier(session, session.context()?).recorded(&rotation, &closed);
    // Of a leak that is not contained, the next rotation has to prove that receivers refuse it.
    if rotation.contained() != Some(false) {
        work.seals.remove(old_seal(rotation.id)).map_err(RunError::SealFailed)?;
    }
    conclude::conclude(session, "abandon", &rotation, work, anyhow::Ok(Exit::Done))
}

/// Says of a rotation that somebody else's came after, or of a leak, that this is dealt with, so that `status` is at rest again.
fn acknowledge(
    args: &Args,
    session: &Session,
    found: &Found,
    rotation: &Rotation,
    question: &str,
    otherwise: &str,
) -> anyhow::Result<Exit> {
    let (work, mut rotation) = (&found.work, rotation.clone());
    let live = if rotation.is_superseded() { still_live(session, found, &rotation) } else { Vec::new() };
    if let Some((place, secret)) = live.iter().find(|(_, secret)| !args.overrides.contains(secret)) {
        let name = &work.target.name;
        let message =
            format!("{place} still holds {secret}, which somebody else's rotation has replaced at the provider");
        let hint = format!(
            "put their secret there, or rotate again: {}; to say that it is dealt with all the same: {} --reason TEXT \
             --override={secret}",
            session.come_back("rotate", name),
            session.come_back("abandon", name)
        );
        let refused = Err(Fault::new(Exit::Gate, message, hint));
        return conclude::conclude(session, "abandon", &rotation, work, refused);
    }
    if let Some(why) = rotation.closed.as_ref().and_then(|closed| closed.reason.as_deref()) {
        session.output.warn(why);
    }
    let refusal = ["left as it is, as you said", &format!("status says that {otherwise} still")];
    ask::agreement(session, work, question, refusal)?;
    work.retake()?;
    let overridden = live.into_iter().map(|(place, secret)| Event::Overridden {
        why: format!("{place} still holds {secret}, which somebody else's rotation has replaced"),
        reason: args.reason.clone(),
        slot: None,
    });
    let said = Event::Acknowledged { reason: args.reason.clone() };
    let events: Vec<Event> = overridden.chain([said]).collect();
    work.journal.append(&mut rotation, session.context()?.actor(), session.now(), &events)?;
    conclude::conclude(session, "abandon", &rotation, work, anyhow::Ok(Exit::Done))
}

/// The live slots that hold a secret of the superseded rotation, with its fingerprint. A store that cannot be read proves nothing.
fn still_live(session: &Session, found: &Found, rotation: &Rotation) -> Vec<(String, Fingerprint)> {
    let live = |store: &dyn Store| match store.get(Slot::Current) {
        Ok(secret) => secret.map(|secret| secret.fingerprint()).filter(|secret| drift::knows(rotation, secret)),
        Err(error) => {
            session.output.warn(&format!("what is live in {} was not looked at: {error}", store.reference()));
            None
        }
    };
    let place = |store: &dyn Store| format!("`{}` of `{}`", store.slot_name(Slot::Current), store.reference());
    readable(&found.tools.stores).filter_map(|store| Some((place(store), live(store)?))).collect()
}
