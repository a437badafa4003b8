//! `force-rotate` where a rotation is open that has brought a new secret already: that one contains the leak, without a second
//! call, unless it is the new secret that has leaked.

use std::collections::BTreeSet;

use super::exit::{Exit, Fault};
use super::session::Session;
use super::start::{self, Begin};
use super::{ask, outcome, person};
use crate::config::policy::Beginning;
use crate::operation::contain::{self, Way};
use crate::operation::report::End;
use crate::operation::start::Giver;
use crate::operation::{Asked, Error, allowed, find};
use crate::rotation::{Leaked, Rest, Rotation, Step, suspects};
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
    let said = begin.intent.leaked;
    let context = session.context()?;
    let (reason, is_planned) = (begin.intent.force, begin.intent.planned.is_some());
    let beginning = Beginning { forced: true, is_instant: false, reason, is_planned };
    start::heed(session, begin.dry_run, allowed::refuse(context, &beginning))?;
    let Some(candidate) = contain::candidate(context, name, asked, said)? else { return Ok(None) };
    let leaked = match said {
        Some(said) => candidate.said(said)?,
        None if candidate.is_open_which() && session.may_ask() && !begin.dry_run => {
            ask_which(session, &candidate.rotation)?
        }
        None => {
            if candidate.is_open_which() {
                say_which(session, &candidate.rotation);
            }
            Leaked::Old
        }
    };
    match candidate.way(leaked, said.is_some()) {
        Way::Call => Ok(None),
        _ if begin.intent.giver == Giver::AtHand => {
            let message = "the open rotation has its new secret already, and nothing is taken from --secret";
            let hint = "leave it out to contain the leak; end that rotation first if another secret was made since";
            Err(Fault::new(Exit::Usage, message, hint))
        }
        Way::GoOn => go_on(session, name, asked, begin, answers).map(Some),
        Way::NotYet => note_leak(session, name, asked, begin).map(Some),
    }
}

/// Asks which secret has leaked, where it decides between containing and another call.
fn ask_which(session: &Session, open: &Rotation) -> anyhow::Result<Leaked> {
    let old = open.before.current.as_ref().map(ToString::to_string);
    let new = open.new_secret().map(ToString::to_string);
    let named = |what: &str, secret: Option<String>| format!("{what} ({})", secret.unwrap_or_default());
    let choices = [named("the old one, which is being replaced", old), named("the new one", new)];
    let flag = "--leaked FINGERPRINT";
    ask::may_ask(session, flag)?;
    let chosen = ask::answer(dialog::select("Which secret has leaked?", &choices), flag)?;
    Ok(if chosen == 0 { Leaked::Old } else { Leaked::New })
}

/// Says which secret is taken for the one that has leaked where nobody has said it: the other one goes live.
fn say_which(session: &Session, open: &Rotation) {
    if let (Some(old), Some(new)) = (open.before.current.as_ref(), open.new_secret()) {
        let name = &open.plan.target;
        session.output.warn(&format!(
            "of the open rotation of `{name}` the old secret ({old}) is taken for the leaked one, and the new one goes live; \
             if that has leaked, say --leaked {new}"
        ));
    }
}

/// Journals that the new secret of the open rotation has leaked where nothing else can be done yet, and says what can.
fn note_leak(session: &Session, name: &str, asked: &Asked, begin: &Begin<'_>) -> anyhow::Result<Exit> {
    let mut found = find::open(session.operating()?, name, asked)?;
    let mut rotation = find::need_open(session.context()?, &mut found)?;
    let workspace = &found.workspace;
    let signals = session.signals()?;
    let outcome = match rotation.new_secret().cloned() {
        Some(new) if !begin.dry_run => {
            let stopped = || signals.arrived();
            let mut person = person::of(session, workspace, &found.resources, Answers::default(), &stopped)?;
            let mut runner = workspace.runner(&mut rotation, &found.resources, &mut person);
            let declared = runner.declare_leak(begin.intent.force.unwrap_or_default(), BTreeSet::from([new]));
            declared.map(|declared| !declared).map_err(Error::from)
        }
        _ => Ok(false),
    };
    let outcome = match outcome {
        Ok(true) => Ok(End::Stopped),
        Ok(false) => Err(contain::no_way_yet(&workspace.target, &rotation)),
        Err(error) => Err(error),
    };
    outcome::tell(session, begin.command, &rotation, workspace, outcome)
}

/// Turns the open rotation to containing the leak, and goes on with it.
fn go_on(session: &Session, name: &str, asked: &Asked, begin: &Begin<'_>, answers: Answers) -> anyhow::Result<Exit> {
    let mut found = find::open(session.operating()?, name, asked)?;
    let mut rotation = find::need_open(session.context()?, &mut found)?;
    let workspace = &found.workspace;
    let output = &session.output;
    let reason = begin.intent.force.unwrap_or_default();
    let since = moment(rotation.opened_at);
    output.say(&format!("the rotation that is open since {since} contains the leak; no second call is made"));
    let turned = rotation.containing(session.now(), reason);
    preview::left(output, &turned, &workspace.target.endpoint.provider);
    if begin.dry_run {
        output.say("dry run: nothing was sent, written or asked");
        return outcome::tell(session, begin.command, &rotation, workspace, Ok::<_, Error>(End::Done));
    }
    start::consent(session, workspace, &turned.plan, begin.confirm)?;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = person::of(session, workspace, &found.resources, answers, &stopped)?;
    let mut runner = workspace.runner(&mut rotation, &found.resources, &mut person);
    let last = begin.detach.then_some(Step::Stage);
    let earlier = workspace.journal.of_endpoint(&workspace.target.endpoint.key())?;
    let earlier: Vec<Rotation> = earlier.into_iter().filter(|known| known.id != runner.rotation.id).collect();
    let outcome = runner.declare_leak(reason, suspects(&earlier, None)).and_then(|declared| match declared {
        true => runner.run(last),
        false => Ok(Rest::Stopped),
    });
    outcome::tell(session, begin.command, &rotation, workspace, outcome.map(start::begun))
}
