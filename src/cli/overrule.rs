//! `--override`: goes on over what somebody else has put into a slot, bound to the fingerprint that was shown.

use super::ask;
use super::session::Session;
use crate::operation::Error;
use crate::operation::workspace::Workspace;
use crate::rotation::drift;
use crate::rotation::lease::Meanwhile;
use crate::rotation::runner::Runner;
use crate::secret::Fingerprint;
use crate::ui::dialog;

/// What `--override` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nothing: what is found is shown, and asked about where somebody is there.
    Shown,
    /// What has this fingerprint; absent for a slot that was emptied.
    Found(Option<Fingerprint>),
}

/// Reads `--override[=FINGERPRINT]`.
pub fn parse(text: &str) -> Result<Over, String> {
    match text {
        "" => Ok(Over::Shown),
        "empty" => Ok(Over::Found(None)),
        text => match text.parse() {
            Ok(fingerprint) => Ok(Over::Found(Some(fingerprint))),
            Err(error) => Err(format!("{error}, or `empty`")),
        },
    }
}

/// Rules out what was named, with its reason. What was only shown is asked about; off a terminal the run names it and stops.
pub fn overrule(
    session: &Session,
    workspace: &Workspace,
    runner: &mut Runner<'_>,
    named: &[Over],
    reason: &str,
) -> anyhow::Result<()> {
    for over in named {
        match over {
            Over::Found(found) => runner.rule_out(found.as_ref(), reason).map_err(Error::from)?,
            Over::Shown if session.may_ask() => ask_about(session, workspace, runner, reason)?,
            Over::Shown => {}
        }
    }
    Ok(())
}

fn ask_about(session: &Session, workspace: &Workspace, runner: &mut Runner<'_>, reason: &str) -> anyhow::Result<()> {
    while let Some(first) = runner.drifted().into_iter().next() {
        session.output.warn(&drift::words(std::slice::from_ref(&first)));
        let flag = format!("--override={}", first.found.as_ref().map_or("empty".to_owned(), ToString::to_string));
        ask::may_ask(session, &flag)?;
        let question = match first.found {
            Some(_) => "Go on over it? What is there is sealed first",
            None => "Go on although it is empty?",
        };
        if !ask::answer(workspace.awaits(|| dialog::confirm(question, false)), &flag)? {
            return Ok(());
        }
        if runner.reacquire().map_err(Error::from)? == Meanwhile::Stopped {
            return Ok(());
        }
        runner.rule_out(first.found.as_ref(), reason).map_err(Error::from)?;
    }
    Ok(())
}
