//! Questions asked by a command: who may be asked, and what it means that nobody answered.

use super::exit::{Exit, Fault};
use super::session::Session;
use super::signals::Signals;
use crate::ui::dialog::DialogError;

/// The answer, or the fault of a question that got none; `flag` is what answers it without a terminal.
pub fn answer<T>(answer: Result<T, DialogError>, flag: &str) -> anyhow::Result<T> {
    answer.map_err(|error| match error {
        DialogError::Interrupted => Fault::new(Exit::Interrupt, "interrupted", "nothing was changed"),
        DialogError::NobodyThere => needs(flag),
    })
}

/// Fails unless somebody is there to answer; `flag` is what answers the question without a terminal.
pub fn may_ask(session: &Session, flag: &str) -> anyhow::Result<()> {
    if !session.may_ask() {
        return Err(needs(flag));
    }
    // A question that is interrupted has to give the cursor back, so the signal may not end the process by itself.
    Signals::arm()?;
    Ok(())
}

fn needs(flag: &str) -> anyhow::Error {
    Fault::new(
        Exit::Usage,
        format!("`{flag}` is needed, and there is nobody to ask"),
        format!("give {flag} on the command line"),
    )
}
