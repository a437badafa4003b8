//! The way into a rotation, shared by rotate, force-rotate and rehearse: show what was decided, get consent, run.

use uuid::Uuid;

use super::exit::{Exit, Fault};
use super::session::Session;
use super::{ask, outcome, person};
use crate::advice::Command;
use crate::config::Target;
use crate::operation::report::{self, End};
use crate::operation::start::{self, Begun, Decided, Giver, Intent, Prepared};
use crate::operation::workspace::{self, Resources, Workspace};
use crate::operation::{Error, allowed};
use crate::rotation::operator::Operator;
use crate::rotation::{Direction, Plan, Rest, Rotation, Step};
use crate::ui::prompt::Answers;
use crate::ui::{dialog, preview};

/// What rotate and force-rotate are told beside the target.
#[derive(Clone, Debug, Default)]
pub struct Begin<'a> {
    /// The command's name in JSON.
    pub command: &'static str,
    pub intent: Intent<'a>,
    pub confirm: Option<&'a str>,
    pub dry_run: bool,
    pub detach: bool,
}

/// Rotates: from the plan as far as it goes.
pub fn rotate(session: &Session, target: Target, begin: &Begin<'_>, answers: Answers) -> anyhow::Result<Exit> {
    let decided = start::decide(session.context()?, target, &begin.intent)?;
    carry_out(session, decided, begin, answers)
}

/// The same of what is decided.
pub fn carry_out(session: &Session, decided: Decided, begin: &Begin<'_>, answers: Answers) -> anyhow::Result<Exit> {
    let Some(Begun { mut rotation, workspace, resources }) = agree(session, decided, begin, &answers)? else {
        return Ok(Exit::Done);
    };
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = person::of(session, &workspace, &resources, answers, &stopped)?;
    go(session, begin, &mut rotation, &workspace, &resources, &mut person)
}

/// Shows the plan and gets the consent that it needs. `None` of a dry run, which ends there.
pub fn agree(
    session: &Session,
    decided: Decided,
    begin: &Begin<'_>,
    answers: &Answers,
) -> anyhow::Result<Option<Begun>> {
    let (output, context) = (&session.output, session.context()?);
    if begin.dry_run {
        let Decided { plan, target, stores, .. } = decided;
        preview::plan(output, &plan, &target.endpoint.provider, &workspace::names(&stores));
        heed(session, true, allowed::begin(context, &plan))?;
        output.say("dry run: nothing was sent, written or asked");
        let (rotation, now) = (Rotation::new(Uuid::nil(), plan, session.now()), session.now());
        // There is nothing to go on with yet.
        let again = |_: &Command| session.come_back(begin.command, &target.name);
        output.json(&report::object(begin.command, &rotation, now, 0, &again, serde_json::Value::Null));
        return Ok(None);
    }
    let intent = Intent {
        probes: begin.intent.probes || session.may_ask(),
        speaks_for_receivers: answers.speaks_for(Step::Prepare),
        giver: match begin.intent.giver {
            Giver::Nobody if answers.may_ask => Giver::Person,
            giver => giver,
        },
        ..begin.intent.clone()
    };
    let prepared = decided.prepare(session.operating()?, &intent)?;
    let Prepared { plan, workspace, resources, .. } = &prepared;
    if session.may_ask() || !session.global.yes {
        preview::plan(output, plan, &workspace.target.endpoint.provider, &workspace::names(&resources.stores));
    }
    consent(session, workspace, plan, begin.confirm)?;
    Ok(Some(prepared.begin(context)?))
}

/// Refuses what the rules do not allow; a dry run goes on, and is told.
pub fn heed(session: &Session, is_dry: bool, allowed: Result<(), Error>) -> Result<(), Error> {
    match allowed {
        Err(error) if is_dry => {
            session.output.warn(&format!("it would be refused: {error}"));
            Ok(())
        }
        allowed => allowed,
    }
}

/// Carries out what was agreed to, as far as it goes.
pub fn go(
    session: &Session,
    begin: &Begin<'_>,
    rotation: &mut Rotation,
    workspace: &Workspace,
    resources: &Resources,
    operator: &mut dyn Operator,
) -> anyhow::Result<Exit> {
    let last = begin.detach.then_some(Step::Stage);
    let outcome = workspace.run(rotation, resources, operator, last);
    outcome::tell(session, begin.command, rotation, workspace, outcome.map(begun))
}

/// How far a rotation has come that was only to be begun.
pub fn begun(rest: Rest) -> End {
    match rest {
        Rest::Finished | Rest::Person(_) | Rest::Clock(_) => End::Done,
        Rest::Stopped => End::Stopped,
    }
}

/// Asks for what the plan needs: a yes, or the endpoint's id where receivers may soon refuse the old secret. Lets go of the endpoint's
/// lock while somebody is asked.
pub fn consent(session: &Session, workspace: &Workspace, plan: &Plan, confirm: Option<&str>) -> anyhow::Result<()> {
    let id = plan.own_id();
    if let Some(typed) = confirm {
        return is_the_id(workspace, plan, typed);
    }
    if plan.needs_id() {
        let flag = format!("--confirm {}", session.quoted(id));
        ask::may_ask(session, &flag)?;
        let question = match plan.direction {
            Direction::Contain => "Receivers are to refuse the old secret at once. Type the endpoint's id to go on",
            _ => "This ends the old secret. Type the endpoint's id to go on",
        };
        let typed = ask::answer(workspace.awaits(|| dialog::text(question, Some(""), |_| Ok(()))), &flag)?;
        return is_the_id(workspace, plan, &typed);
    }
    let refusal = ["not rotated, as you said", "nothing was sent; run it again when you are ready"];
    ask::agreement(session, workspace, "Rotate now?", refusal)
}

/// Refuses what is not the endpoint's own id.
pub fn is_the_id(workspace: &Workspace, plan: &Plan, typed: &str) -> anyhow::Result<()> {
    // By now another endpoint may have taken its place.
    if workspace.target.endpoint.at(plan.own_id()).is_own_id(typed) {
        return Ok(());
    }
    let message = "that is not the endpoint's id, so nothing was sent";
    Err(Fault::new(Exit::Usage, message, format!("the endpoint of this target is `{}`", plan.own_id())))
}
