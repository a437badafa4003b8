//! `whsec force-rotate`: a new secret, and the old one ended now.

use clap_complete::engine::ArgValueCandidates;

use super::begin::{self, Wish};
use super::complete;
use super::exit::Exit;
use super::options::TargetOptions;
use super::rotate::BeginArgs;
use super::session::Session;

/// Rotate and end the old secret now
///
/// For a leaked secret. Needs the endpoint's id, typed or as --confirm, because receivers that still use the old
/// secret refuse every delivery from then on. It does not contain the leak: forged deliveries are accepted until every
/// receiver has dropped the old secret, which is the walk's last step.
///
/// Examples:
///   whsec force-rotate marks --reason 'INC-2931: secret in a public log' --confirm whk_01HK7
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    #[command(flatten)]
    options: TargetOptions,
    #[command(flatten)]
    begin: BeginArgs,
    /// Say why; it goes to the journal and, where it takes one, to the provider
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let target = session.target(&args.target, &args.options)?;
    let wish = Wish { force: Some(&args.reason), ..args.begin.wish("force-rotate", &args.options) };
    begin::rotate(session, target, &wish, args.begin.answers(session), &|_, _, _| {})
}
