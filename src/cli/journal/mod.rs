//! `whsec journal`: where rotations are recorded.

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;

mod init;
mod prove;
mod relocate;
mod show;

/// Set up and look at the journal that several machines share
///
/// Without one the journal is in the state folder, and needs nothing. `[journal] at` in the config names a shared one, or
/// WHSEC_JOURNAL does; whsec-config(5) has the form.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Args),
    Show(show::Args),
    Prove(prove::Args),
    Move(relocate::Args),
}

impl Args {
    /// The name of command and verb in JSON.
    pub fn name(&self) -> &'static str {
        match &self.verb {
            Verb::Init(_) => init::NAME,
            Verb::Show(_) => show::NAME,
            Verb::Prove(_) => prove::NAME,
            Verb::Move(_) => relocate::NAME,
        }
    }
}

/// Runs the verb.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::Init(args) => init::run(args, session),
        Verb::Show(args) => show::run(args, session),
        Verb::Prove(args) => prove::run(args, session),
        Verb::Move(args) => relocate::run(args, session),
    }
}
