//! `whsec force-rotate`: for a leaked secret, at every provider.

use clap_complete::engine::ArgValueCandidates;

use super::begin::BeginArgs;
use super::complete;
use super::contain;
use super::exit::Exit;
use super::options::TargetOptions;
use super::session::Session;
use super::start;
use crate::operation::start::Intent;
use crate::secret::Fingerprint;

/// Replace a secret that has leaked, and contain the leak
///
/// Ends the old secret at the provider where that is possible. Where it is not, the new one is deployed alone, and the old
/// one runs out at the provider while no receiver accepts it any more. Either way the leak is contained by the receivers:
/// forged deliveries are accepted until every one of them has dropped the old secret, which is the walk's step `drop`.
///
/// Needs the endpoint's id, typed or as --confirm. Where a rotation is open already and the provider cannot end the old
/// secret, that rotation contains the leak, and no second call is made; if it is the new secret that has leaked, say so
/// with --leaked.
///
/// Examples:
///   whsec force-rotate marks --reason 'INC-2931: secret in a public log' --confirm whk_01HK7
///   printenv SECRET | whsec fingerprint -
///   whsec force-rotate marks --reason INC-2931 --leaked sha256:ba7816bf8f01 --confirm whk_01HK7
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
    /// Say which secret has leaked, by its fingerprint
    #[arg(long, value_name = "FINGERPRINT")]
    leaked: Option<Fingerprint>,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let intent = Intent { force: Some(&args.reason), leaked: args.leaked.as_ref(), ..Intent::default() };
    let begin = args.begin.begin("force-rotate", &args.options, intent);
    if let Some(exit) =
        contain::contain(session, &args.target, &args.options.asked(), &begin, args.begin.answers(session))?
    {
        return Ok(exit);
    }
    let target = session.target(&args.target, &args.options)?;
    start::rotate(session, target, &begin, args.begin.answers(session))
}
