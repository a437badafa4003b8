//! The person at this terminal, or the flags that speak for one, set on an endpoint that is open.

use super::session::Session;
use crate::operation::notify::Notifier;
use crate::operation::workspace::{self, Resources, Workspace};
use crate::operation::{Context, changes};
use crate::ui::prompt::{Answers, Notice, Person};

/// Who is told and asked of a rotation of this endpoint.
pub fn of<'a>(
    session: &'a Session,
    workspace: &'a Workspace,
    resources: &Resources,
    answers: Answers,
    stopped: &'a dyn Fn() -> bool,
) -> anyhow::Result<Person<'a>> {
    let (context, signals) = (session.context()?, session.signals()?);
    let notifier = notifier(session, context);
    Ok(Person {
        output: &session.output,
        provider: &workspace.target.endpoint.provider,
        stores: workspace::names(&resources.stores),
        answers,
        come_back: session.come_back("cutover", &workspace.target.name),
        is_rehearsal: session.comes_back_with.is_some(),
        stopped,
        awaits: Box::new(|word| signals.awaits(word, &session.output)),
        joined: Box::new(|rotation| changes::joined(context, &workspace.target, rotation)),
        notify: Box::new(move |rotation, notice| match notice {
            Notice::Recorded(event) => notifier.recorded(rotation, event),
            Notice::Clock => notifier.look_at_clock(rotation, session.now()),
        }),
        counted: false,
        headed: None,
    })
}

/// The user's notifier, which is told the command that goes on as it is typed here.
pub fn notifier<'a>(session: &'a Session, context: &'a Context) -> Notifier<'a> {
    let notifier = Notifier::new(context, Box::new(|command| session.written_out(command)));
    if session.is_one_of_many { notifier.without_steps() } else { notifier }
}
