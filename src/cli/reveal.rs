//! `whsec reveal`: prints a secret, on purpose.

use clap::ValueEnum;
use clap_complete::engine::ArgValueCandidates;

use super::complete;
use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::session::Session;
use crate::operation::reveal::{self, Kept};
use crate::secret;
use crate::store::Slot;

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

impl Which {
    fn kept(self) -> Kept {
        match self {
            Self::Current => Kept::Slot(Slot::Current),
            Self::Next => Kept::Slot(Slot::Next),
            Self::Previous => Kept::Slot(Slot::Previous),
            Self::Sealed => Kept::Sealed,
            Self::Overridden => Kept::Overruled,
        }
    }
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
    let secret = reveal::secret(session.context()?, &args.target, &args.options.asked(), args.slot.kept())?;
    session.output.secret(&secret).map_err(|error| {
        Fault::new(Exit::Failed, format!("the secret could not be written to stdout: {error}"), "see where stdout goes")
    })?;
    Ok(Exit::Done)
}
