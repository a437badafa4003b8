//! Questions asked by a command: who may be asked, and what it means that nobody answered.

use super::exit::{Exit, Fault};
use super::session::Session;
use crate::operation::workspace::Workspace;
use crate::ui::dialog::{self, DialogError};

/// The answer, or the fault of a question that got none; `flag` is what answers it without a terminal.
pub fn answer<T>(answer: Result<T, DialogError>, flag: &str) -> anyhow::Result<T> {
    answer.map_err(|error| match error {
        DialogError::Interrupted => Fault::new(Exit::Interrupt, "interrupted", "nothing was changed"),
        DialogError::NobodyThere => needs(flag),
    })
}

/// Asks for a yes, unless `--yes` was given, with the endpoint's lock let go of meanwhile. A no fails with `refusal` and its hint.
pub fn agreement(session: &Session, workspace: &Workspace, question: &str, refusal: [&str; 2]) -> anyhow::Result<()> {
    if session.global.yes {
        return Ok(());
    }
    may_ask(session, "--yes")?;
    match answer(workspace.awaits(|| dialog::confirm(question, false)), "--yes")? {
        true => Ok(()),
        false => Err(Fault::new(Exit::Failed, refusal[0], refusal[1])),
    }
}

/// Fails unless somebody is there to answer; `flag` is what answers the question without a terminal.
pub fn may_ask(session: &Session, flag: &str) -> anyhow::Result<()> {
    if !session.may_ask() {
        return Err(needs(flag));
    }
    // A question that is interrupted has to give the cursor back, so the signal may not end the process by itself.
    session.signals()?;
    Ok(())
}

fn needs(flag: &str) -> anyhow::Error {
    Fault::new(
        Exit::Usage,
        format!("`{flag}` is needed, and there is nobody to ask"),
        format!("give {flag} on the command line"),
    )
}
