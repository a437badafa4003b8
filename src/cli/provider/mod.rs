//! `whsec provider`: the services that whsec knows, and descriptions of more.

use clap::Subcommand;

use super::exit::Exit;
use super::session::Session;

mod check;
mod list;
mod show;

/// List, show and check provider descriptions
///
/// A provider is described by a TOML file. Your own go into the folder `providers` beside your config file;
/// whsec-provider(5) has the vocabulary.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(list::Args),
    Show(show::Args),
    Check(check::Args),
}

/// Runs the verb.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    match &args.verb {
        Verb::List(args) => list::run(args, session),
        Verb::Show(args) => show::run(args, session),
        Verb::Check(args) => check::run(args, session),
    }
}
