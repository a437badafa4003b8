//! `force-rotate` where a rotation is open that has brought a new secret already: that one contains the leak, without a second
//! call, unless it is the new secret that has leaked.

use std::collections::BTreeSet;

use super::begin::{self, Begin};
use super::exit::{Exit, Fault};
use super::person;
use super::session::Session;
use super::{ask, conclude};
use crate::config::Target;
use crate::operation::Asked;
use crate::operation::find;
use crate::provider::Force;
use crate::rotation::journal::Journal;
use crate::rotation::runner::Rest;
use crate::rotation::{Leaked, Rotation, Step, at_hand, suspects};
use crate::store::{Slot, readable};
use crate::time::moment;
use crate::ui::dialog;
use crate::ui::preview;
use crate::ui::prompt::Answers;

/// Contains the leak with the open rotation; `None` where there is none that could, so that a call has to be made.
pub fn contain(
    session: &Session,
    name: &str,
    asked: &Asked,
    begin: &Begin<'_>,
    answers: Answers,
) -> anyhow::Result<Option<Exit>> {
    let journal = find::journal(session.context()?)?;
    let target = find::target(session.context()?, &journal, name, asked)?;
    let known = journal.of_endpoint(&target.endpoint.key())?;
    let open = at_hand(&known).and_then(|at| known.get(at)).filter(|rotation| rotation.closed.is_none());
    // One that is pending is settled first, and one of which nothing was sent has brought nothing.
    let Some(open) = open.filter(|rotation| rotation.may_be_applied() && !rotation.is_pending()) else {
        refuse_unknown(session, &journal, &target, asked, begin)?;
        return Ok(None);
    };
    let cannot_force = target.endpoint.provider.force() == Force::Unavailable;
    // What is live may be dead, and the provider keep one all the same that nobody has live.
    let kept = open.replaced_until().is_some_and(|end| open.provider_now(session.now()) < end);
    let old_lives = kept || open.old_secret_lives(session.now());
    match leaked(session, open, begin, cannot_force)? {
        Leaked::New if cannot_force && old_lives => note_leak(session, name, asked, begin).map(Some),
        // Whoever names the old one of a rotation that has ended it needs no other.
        Leaked::Old if cannot_force || (begin.wish.leaked.is_some() && !old_lives) => {
            go_on(session, name, asked, begin, answers).map(Some)
        }
        Leaked::New | Leaked::Old => Ok(None),
    }
}

/// Which secret has leaked: as was said, or asked where it decides between containing and another call.
fn leaked(session: &Session, open: &Rotation, begin: &Begin<'_>, decides: bool) -> anyhow::Result<Leaked> {
    let old = open.before.current.as_ref().map(ToString::to_string);
    let new = open.answered().map(|answered| answered.fingerprint.to_string());
    if let Some(said) = begin.wish.leaked {
        return open.which(said).ok_or_else(|| {
            let shown = |secret: &Option<String>| secret.clone().unwrap_or_else(|| "not known".to_owned());
            let message = format!("{said} is neither secret of the open rotation of `{}`", open.plan.target);
            Fault::new(Exit::Usage, message, format!("the old one is {}, the new one {}", shown(&old), shown(&new)))
        });
    }
    if !decides || !session.may_ask() || begin.dry_run || new.is_none() {
        return Ok(Leaked::Old);
    }
    let named = |what: &str, secret: Option<String>| format!("{what} ({})", secret.unwrap_or_default());
    let choices = [named("the old one, which is being replaced", old), named("the new one", new)];
    let flag = "--leaked FINGERPRINT";
    ask::may_ask(session, flag)?;
    let chosen = ask::answer(dialog::select("Which secret has leaked?", &choices), flag)?;
    Ok(if chosen == 0 { Leaked::Old } else { Leaked::New })
}

/// Refuses a fingerprint that is not of what is live, where nothing is open.
fn refuse_unknown(
    session: &Session,
    journal: &Journal,
    target: &Target,
    asked: &Asked,
    begin: &Begin<'_>,
) -> anyhow::Result<()> {
    let Some(said) = begin.wish.leaked else { return Ok(()) };
    let mut live = Vec::new();
    for store in readable(&find::stores(session.context()?, journal, target, asked)?) {
        live.extend(store.get(Slot::Current)?.map(|secret| secret.fingerprint()));
    }
    if live.iter().any(|live| live == said) {
        return Ok(());
    }
    let live = live.first().map_or_else(|| "nothing is".to_owned(), |live| format!("{live} is"));
    let message = format!("{said} is not live at `{}`, and no rotation that brought it is open", target.name);
    Err(Fault::new(Exit::Usage, message, format!("{live}; leave --leaked out to replace what is live")))
}

/// Journals that the new secret of the open rotation has leaked where nothing else can be done yet, and says what can.
fn note_leak(session: &Session, name: &str, asked: &Asked, begin: &Begin<'_>) -> anyhow::Result<Exit> {
    let mut found = find::open(session.operating()?, name, asked)?;
    let mut rotation = find::need_open(session.context()?, &mut found)?;
    let work = &found.work;
    let signals = session.signals()?;
    let outcome = match rotation.answered().map(|answered| answered.fingerprint.clone()) {
        Some(new) if !begin.dry_run => {
            let stopped = || signals.arrived();
            let mut person = person::of(session, work, &found.tools, Answers::default(), &stopped)?;
            let mut runner = work.runner(&mut rotation, &found.tools, &mut person);
            let declared = runner.declare_leak(begin.wish.force.unwrap_or_default(), BTreeSet::from([new]));
            declared.map(|declared| !declared).map_err(anyhow::Error::from)
        }
        _ => Ok(false),
    };
    let outcome = match outcome {
        Ok(true) => Ok(signals.exit()),
        Ok(false) => Err(no_way_yet(session, &work.target, &rotation)),
        Err(error) => Err(error),
    };
    conclude::conclude(session, begin.command, &rotation, work, outcome)
}

/// The new secret has leaked, and the provider takes no further rotation while the old one lives.
fn no_way_yet(session: &Session, target: &Target, open: &Rotation) -> anyhow::Error {
    let (title, name) = (target.endpoint.provider.title(), &target.name);
    let until = open.replaced_until().map_or_else(|| "the old one has ended".to_owned(), moment);
    let message = format!(
        "nothing was sent: {title} takes no further rotation until {until}, and the new secret of `{name}` stays alive there"
    );
    let is_live = open.done.contains_key(&Step::Promote);
    let back = match is_live {
        true => format!("{} --reason TEXT puts the old one back; ", session.come_back("rollback", name)),
        false => String::new(),
    };
    let hint = format!(
        "receivers that know the old secret alone contain it until then: {back}deploy that; from that time on this same command \
         replaces it"
    );
    Fault::new(Exit::Conflict, message, hint)
}

/// Turns the open rotation to containing the leak, and goes on with it.
fn go_on(session: &Session, name: &str, asked: &Asked, begin: &Begin<'_>, answers: Answers) -> anyhow::Result<Exit> {
    let mut found = find::open(session.operating()?, name, asked)?;
    let mut rotation = find::need_open(session.context()?, &mut found)?;
    let work = &found.work;
    let output = &session.output;
    let reason = begin.wish.force.unwrap_or_default();
    let since = moment(rotation.opened_at);
    output.say(&format!("the rotation that is open since {since} contains the leak; no second call is made"));
    let turned = rotation.containing(session.now(), reason);
    preview::left(output, &turned, &work.target.endpoint.provider);
    if begin.dry_run {
        output.say("dry run: nothing was sent, written or asked");
        return conclude::conclude(session, begin.command, &rotation, work, anyhow::Ok(Exit::Done));
    }
    begin::consent(session, work, &turned.plan, begin.confirm)?;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = person::of(session, work, &found.tools, answers, &stopped)?;
    let mut runner = work.runner(&mut rotation, &found.tools, &mut person);
    let last = begin.detach.then_some(Step::Stage);
    let earlier = work.journal.of_endpoint(&work.target.endpoint.key())?;
    let earlier: Vec<Rotation> = earlier.into_iter().filter(|known| known.id != runner.rotation.id).collect();
    let outcome = runner.declare_leak(reason, suspects(&earlier, None)).and_then(|declared| match declared {
        true => runner.run(last),
        false => Ok(Rest::Stopped),
    });
    let exit = |rest| match rest {
        Rest::Finished | Rest::Person(_) | Rest::Clock(_) => Exit::Done,
        Rest::Stopped => signals.exit(),
    };
    conclude::conclude(session, begin.command, &rotation, work, outcome.map(exit))
}
