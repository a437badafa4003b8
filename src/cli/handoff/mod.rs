//! `whsec handoff`: an open rotation from one person to another.

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;

mod export;
mod import;
mod recipient;

/// Hand an open rotation over to somebody who has no journal in common with you
///
/// Only one of the two goes on with it: it is over here as soon as it is handed over. A team that does this often is better off with
/// a journal that its machines share; `whsec journal init` and `whsec journal move` are for that.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Export(export::Args),
    Import(import::Args),
    Recipient(recipient::Args),
}

impl Args {
    /// The name of command and verb in JSON.
    pub fn name(&self) -> &'static str {
        match &self.verb {
            Verb::Export(_) => export::NAME,
            Verb::Import(_) => import::NAME,
            Verb::Recipient(_) => recipient::NAME,
        }
    }
}

/// Runs the verb.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::Export(args) => export::run(args, session),
        Verb::Import(args) => import::run(args, session),
        Verb::Recipient(args) => recipient::run(args, session),
    }
}
