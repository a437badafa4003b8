//! `whsec store`: the places that keep secrets, without a rotation.

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;

mod check;
mod copy;

/// Prove stores, and copy a secret from one to another
///
/// A store is named as in `store = …` and --store; whsec-config(5) has the forms.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(check::Args),
    Copy(copy::Args),
}

impl Args {
    /// The name of command and verb in JSON.
    pub fn name(&self) -> &'static str {
        match &self.verb {
            Verb::Check(_) => check::NAME,
            Verb::Copy(_) => copy::NAME,
        }
    }
}

/// Runs the verb.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::Check(args) => check::run(args, session),
        Verb::Copy(args) => copy::run(args, session),
    }
}
