//! `whsec force-rotate`: for leaked secrets, at every provider.

use super::begin::BeginArgs;
use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::select::{Selected, Selection};
use super::session::Session;
use super::waves::Waves;
use super::{contain, fleet, several, start};
use crate::operation::start::Intent;
use crate::secret::Fingerprint;

pub(super) const NAME: &str = "force-rotate";

/// Replace secrets that have leaked, and contain the leak
///
/// Ends the old secret at the provider where that is possible. Where it is not, the new one is deployed alone, and the old
/// one runs out at the provider while no receiver accepts it any more. Either way the leak is contained by the receivers:
/// forged deliveries are accepted until every one of them has dropped the old secret, which is the walk's step `drop`.
///
/// Needs the endpoint's id, typed or as --confirm. Where a rotation is open already and the provider cannot end the old
/// secret, that rotation contains the leak, and no second call is made; if it is the new secret that has leaked, say so
/// with --leaked.
///
/// Of several targets all ids are listed, and agreed to by the plan's digest; each is begun, or contained by what is open, as
/// it would be alone.
///
/// Examples:
///   whsec force-rotate marks --reason 'INC-2931: secret in a public log' --confirm whk_01HK7
///   printenv SECRET | whsec fingerprint -
///   whsec force-rotate -l app=shop --all --reason INC-2931 --confirm-plan sha256:…
///   whsec force-rotate marks --reason INC-2931 --leaked sha256:ba7816bf8f01 --confirm whk_01HK7
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    waves: Waves,
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
    let Args { selection, waves, options, begin, .. } = args;
    match selection.need(session)? {
        Selected::One(name) if waves.out.is_none() => one(args, session, &name),
        selected => {
            fleet::refuse_of_one(&[("--leaked", args.leaked.is_some())])?;
            if waves.skips_instant() {
                let hint = "every old secret is to end here; leave targets out with --except";
                return Err(Fault::new(Exit::Usage, "--skip-instant leaves nothing of a force-rotate", hint));
            }
            let one =
                |session: &Session, name: &str, begin: BeginArgs| one(&Args { begin, ..args.clone() }, session, name);
            let intent = Intent { force: Some(&args.reason), ..Intent::default() };
            let chosen = selected.all();
            several::run(
                session,
                &several::Rotations { command: NAME, chosen, waves, options, begin, intent, one: &one },
            )
        }
    }
}

fn one(args: &Args, session: &Session, name: &str) -> anyhow::Result<Exit> {
    let intent = Intent { force: Some(&args.reason), leaked: args.leaked.as_ref(), ..Intent::default() };
    let begin = args.begin.begin(NAME, &args.options, intent);
    if let Some(exit) = contain::contain(session, name, &args.options.asked(), &begin, args.begin.answers(session))? {
        return Ok(exit);
    }
    let target = session.target(name, &args.options)?;
    start::rotate(session, target, &begin, args.begin.answers(session))
}
