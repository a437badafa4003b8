//! `whsec doctor`: what is set up, what is not, and the command that mends it. Sends nothing but the read calls of stores on
//! servers; writes only a sealed copy of nothing, and removes it.

use serde::Serialize;
use serde_json::json;

use super::exit::{Exit, Fault};
use super::select::Selection;
use super::session::Session;
use super::{person, result};
use crate::advice::Advice;

mod files;
mod journal;
mod keys;
mod targets;

/// Look at the set-up, and say what to do about it
///
/// Looks at config files, the state folder, the keychain, API keys and stores, those of the targets that are named, or of all.
/// Nothing of yours is changed, and nothing is sent but what reads a store that is on a server.
/// Exits with 1 if something that is needed is missing.
///
/// Examples:
///   whsec doctor
///   whsec doctor --json
///   whsec doctor -l env=prod
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Send the program of `[notify]` a test, and say what came of it
    #[arg(long)]
    notify: bool,
}

/// How something that was looked at is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not there, and not needed as things are.
    Note,
    /// Needed, and missing or broken.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub about: String,
    pub state: State,
    /// What was found.
    pub found: String,
    /// The command or the change that mends it.
    pub fix: Option<String>,
}

impl Check {
    /// Something as it should be.
    pub fn ok(about: &str, found: impl Into<String>) -> Self {
        Self { about: about.to_owned(), state: State::Ok, found: found.into(), fix: None }
    }

    /// Something that is not there and need not be.
    pub fn note(about: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { about: about.to_owned(), state: State::Note, found: found.into(), fix: Some(fix.into()) }
    }

    /// Something needed that is missing or broken.
    pub fn bad(about: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { about: about.to_owned(), state: State::Bad, found: found.into(), fix: Some(fix.into()) }
    }

    /// A failed look, in the error's own words.
    pub fn failed(about: &str, error: &anyhow::Error) -> Self {
        let fault = super::exit::report(error);
        Self { about: about.to_owned(), state: State::Bad, fix: fault.hint_words(), found: fault.message }
    }
}

/// Looks at everything and prints it, one line each.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let wanted = match args.selection.is_empty() {
        true => targets::names(session),
        false => args.selection.names(session)?,
    };
    let of_targets = targets::look(session, &wanted)?;
    let mut checks = files::look(session);
    checks.extend(journal::look(session));
    checks.extend(keys::look(session));
    checks.extend(of_targets);
    checks.push(clock(session));
    if args.notify {
        checks.push(notifier(session)?);
    }
    let width = checks.iter().map(|check| check.about.chars().count()).max().unwrap_or(0);
    for check in &checks {
        let mark = match check.state {
            State::Ok => "ok  ",
            State::Note => "note",
            State::Bad => "BAD ",
        };
        session.output.data(&format!("{mark}  {:<width$}  {}", check.about, check.found));
        if let Some(fix) = &check.fix {
            session.output.data(&format!("      {:<width$}  -> {fix}", ""));
        }
    }
    let bad: Vec<&Check> = checks.iter().filter(|check| check.state == State::Bad).collect();
    let Some(first) = bad.first() else {
        session.output.json(&result::object("doctor", Exit::Done, json!({ "checks": checks })));
        return Ok(Exit::Done);
    };
    let message = format!("{} of {} checks found something to mend", bad.len(), checks.len());
    let fault = Fault { exit: Exit::Failed, message, hint: first.fix.clone().map(Advice::from) };
    let error = super::exit::error_object(&fault);
    session.output.json(&result::object("doctor", fault.exit, json!({ "checks": checks, "error": error })));
    Ok(fault.exit)
}

/// Has the user's notifier told of nothing.
fn notifier(session: &Session) -> anyhow::Result<Check> {
    let fix = "`[notify]` of your config names the program, which gets JSON on its standard input: whsec-config(5)";
    Ok(match person::notifier(session, session.context()?).test() {
        Some(Ok(())) => Check::ok("notify", "the program took a test"),
        Some(Err(why)) => Check::bad("notify", why, fix),
        None => Check::bad("notify", "no program is named", fix),
    })
}

/// No clock is right before this tool was written.
const EARLIEST_YEAR: i16 = 2026;

fn clock(session: &Session) -> Check {
    let now = session.now().to_zoned(jiff::tz::TimeZone::system());
    if now.year() < EARLIEST_YEAR {
        return Check::bad(
            "clock",
            format!("it says {now}"),
            "set the clock; certificates and idempotency keys depend on it",
        );
    }
    Check::ok("clock", now.strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
}
