//! The way into a rotation, shared by rotate, force-rotate and rehearse: show what was decided, get consent, run.

use uuid::Uuid;

use super::exit::{Exit, Fault};
use super::session::Session;
use super::{ask, conclude, person};
use crate::config::Target;
use crate::operation::report;
use crate::operation::start::{self, Begun, Decided, Prepared, Wish};
use crate::operation::work::{self, Work};
use crate::rotation::runner::Rest;
use crate::rotation::{Direction, Plan, Rotation, Step};
use crate::ui::prompt::{Answers, Moment, Person};
use crate::ui::{dialog, preview};

/// What rotate and force-rotate are told beside the target.
#[derive(Clone, Debug, Default)]
pub struct Begin<'a> {
    /// The command's name in JSON.
    pub command: &'static str,
    pub wish: Wish<'a>,
    pub confirm: Option<&'a str>,
    pub dry_run: bool,
    pub detach: bool,
}

/// Rotates: from the plan as far as it goes. `along` goes along with a person's steps.
pub fn rotate(
    session: &Session,
    target: Target,
    begin: &Begin<'_>,
    answers: Answers,
    along: &dyn Fn(&Rotation, Step, Moment),
) -> anyhow::Result<Exit> {
    let (output, context) = (&session.output, session.context()?);
    let decided = start::decide(context, target, &begin.wish)?;
    if begin.dry_run {
        let Decided { plan, target, stores, .. } = decided;
        preview::plan(output, &plan, &target.endpoint.provider, &work::names(&stores));
        output.say("dry run: nothing was sent, written or asked");
        let (rotation, now) = (Rotation::new(Uuid::nil(), plan, session.now()), session.now());
        let again = session.come_back(begin.command, &target.name);
        output.json(&report::rotation(begin.command, &rotation, now, 0, &again, serde_json::Value::Null));
        return Ok(Exit::Done);
    }
    let wish = Wish {
        probes: begin.wish.probes || session.may_ask(),
        speaks_for_receivers: answers.speaks_for(Step::Prepare),
        ..begin.wish.clone()
    };
    let prepared = decided.prepare(session.operating()?, &wish)?;
    let Prepared { plan, work, tools, .. } = &prepared;
    if session.may_ask() || !session.global.yes {
        preview::plan(output, plan, &work.target.endpoint.provider, &work::names(&tools.stores));
    }
    consent(session, work, plan, begin.confirm)?;
    let Begun { mut rotation, work, tools } = prepared.begin(context)?;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = Person { along, ..person::of(session, &work, &tools, answers, &stopped)? };
    let last = begin.detach.then_some(Step::Stage);
    let outcome = work.run(&mut rotation, &tools, &mut person, last);
    let exit = |rest| match rest {
        Rest::Finished | Rest::Person(_) | Rest::Clock(_) => Exit::Done,
        Rest::Stopped => signals.exit(),
    };
    conclude::conclude(session, begin.command, &rotation, &work, outcome.map(exit))
}

/// Asks for what the plan needs: a yes, or the endpoint's id where receivers may soon refuse the old secret. Lets go of the endpoint's
/// lock while somebody is asked.
pub fn consent(session: &Session, work: &Work, plan: &Plan, confirm: Option<&str>) -> anyhow::Result<()> {
    let id = plan.own_id();
    if let Some(typed) = confirm {
        return if work.target.endpoint.is_own_id(typed) { Ok(()) } else { Err(wrong_id(id)) };
    }
    if plan.needs_id() {
        let flag = format!("--confirm {}", session.quoted(id));
        ask::may_ask(session, &flag)?;
        work.let_go();
        let question = match plan.direction {
            Direction::Contain => "Receivers are to refuse the old secret at once. Type the endpoint's id to go on",
            _ => "This ends the old secret. Type the endpoint's id to go on",
        };
        let typed = ask::answer(dialog::text(question, Some(""), |_| Ok(())), &flag)?;
        return if work.target.endpoint.is_own_id(&typed) { Ok(()) } else { Err(wrong_id(id)) };
    }
    let refusal = ["not rotated, as you said", "nothing was sent; run it again when you are ready"];
    ask::agreement(session, work, "Rotate now?", refusal)
}

fn wrong_id(id: &str) -> anyhow::Error {
    let message = "that is not the endpoint's id, so nothing was sent";
    Fault::new(Exit::Usage, message, format!("the endpoint of this target is `{id}`"))
}
