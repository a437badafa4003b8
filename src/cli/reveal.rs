//! `whsec reveal`: prints a secret, on purpose.

use clap::ValueEnum;
use clap_complete::engine::ArgValueCandidates;

use super::complete;
use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::session::Session;
use crate::config::Target;
use crate::operation::find;
use crate::rotation::Rotation;
use crate::rotation::journal::Journal;
use crate::rotation::person_steps::overruled_seal;
use crate::secret::{self, Secret};
use crate::store::{Slot, readable};

/// Print a secret, on purpose
///
/// To a terminal, or anywhere with --unsafe-stdout. What is printed stays in the terminal's scrollback. `--slot sealed`
/// opens the encrypted copy that a rotation keeps until every store has the secret; after an answer that could not be
/// read, it is that whole answer.
///
/// Examples:
///   whsec reveal payments --slot next
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Print the secret in this slot
    #[arg(long, value_enum, default_value = "current")]
    slot: Which,
    /// Print to stdout even if it is not a terminal
    #[arg(long)]
    unsafe_stdout: bool,
    #[command(flatten)]
    options: TargetOptions,
}

/// The places a secret can be revealed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Current,
    Next,
    Previous,
    Sealed,
    /// What somebody else had put into a slot, and `--override` went over last
    Overridden,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    if session.output.is_json() {
        return Err(Fault::new(Exit::Usage, "--json never carries a secret", "leave --json out"));
    }
    if !args.unsafe_stdout && !session.output.stdout_is_terminal() {
        let fingerprint = session.come_back("fingerprint", secret::shown(&args.target));
        let hint = format!("add --unsafe-stdout if the secret may go there; `{fingerprint}` often is enough");
        return Err(Fault::new(Exit::Usage, "stdout is not a terminal, so the secret is not printed", hint));
    }
    let secret = match args.slot {
        Which::Sealed => sealed(args, session)?,
        Which::Overridden => overridden(args, session)?,
        Which::Current => stored(args, session, Slot::Current)?,
        Which::Next => stored(args, session, Slot::Next)?,
        Which::Previous => stored(args, session, Slot::Previous)?,
    };
    session.output.secret(&secret).map_err(|error| {
        Fault::new(Exit::Failed, format!("the secret could not be written to stdout: {error}"), "see where stdout goes")
    })?;
    Ok(Exit::Done)
}

fn stored(args: &Args, session: &Session, slot: Slot) -> anyhow::Result<Secret> {
    let journal = find::journal(session.context()?)?;
    let target = find::target(session.context()?, &journal, &args.target, &args.options.asked())?;
    find::warn_of_trouble(session.context()?, &args.target);
    for store in readable(&find::stores(session.context()?, &journal, &target, &args.options.asked())?) {
        if let Some(secret) = store.get(slot)? {
            return Ok(secret);
        }
    }
    let message = format!("no store of `{}` has a secret there", target.name);
    Err(Fault::new(
        Exit::NotFound,
        message,
        format!("`{}` shows which slots hold what", session.come_back("inspect", &target.name)),
    ))
}

fn sealed(args: &Args, session: &Session) -> anyhow::Result<Secret> {
    let journal = find::journal(session.context()?)?;
    let target = find::target(session.context()?, &journal, &args.target, &args.options.asked())?;
    find::warn_of_trouble(session.context()?, &args.target);
    let seals = session.context()?.seals()?;
    for rotation in known(session, &journal, &target)? {
        if seals.exists(rotation.id) {
            let says = rotation.new_secret();
            return Ok(seals.secret_of(rotation.id, says)?);
        }
    }
    let hint = "a seal is removed when every store has the secret";
    Err(Fault::new(Exit::NotFound, format!("there is no sealed copy for `{}`", target.name), hint))
}

/// The endpoint's rotations; where one that is over is damaged, those that are open, whose secret may be the only copy.
fn known(session: &Session, journal: &Journal, target: &Target) -> anyhow::Result<Vec<Rotation>> {
    let key = target.endpoint.key();
    let damaged = match journal.of_endpoint(&key) {
        Err(error) => error,
        known => return Ok(known?),
    };
    match journal.open_of(&key) {
        Ok(open) if !open.is_empty() => {
            session.output.warn(&damaged.to_string());
            Ok(open)
        }
        _ => Err(damaged.into()),
    }
}

fn overridden(args: &Args, session: &Session) -> anyhow::Result<Secret> {
    let journal = find::journal(session.context()?)?;
    let target = find::target(session.context()?, &journal, &args.target, &args.options.asked())?;
    let seals = session.context()?.seals()?;
    for rotation in known(session, &journal, &target)? {
        if let Some(id) = rotation.last_overruled.as_ref().map(|found| overruled_seal(rotation.id, found)) {
            return Ok(seals.unseal(id)?.secret());
        }
    }
    let hint = "`--override` seals what it goes over";
    Err(Fault::new(Exit::NotFound, format!("nothing was overridden at `{}`", target.name), hint))
}
