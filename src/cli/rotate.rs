//! `whsec rotate`: a new secret, the old one kept as long as the provider does.

use super::begin::BeginArgs;
use super::exit::Exit;
use super::options::TargetOptions;
use super::select::{Selected, Selection};
use super::session::Session;
use super::start;
use super::waves::Waves;
use super::{parse_duration, several};
use crate::operation::start::Intent;

/// Rotate a target's secret and walk through the cutover
///
/// Shows the plan, asks, calls the provider once, keeps the new secret in every store, and goes on with the cutover.
/// Off a terminal it stops after the last step that needs nobody, names the next command and exits 0.
///
/// Where the old secret dies with the call, the endpoint's id has to be typed or given as --confirm, and the receivers have
/// to be ready: off a terminal they are probed as with --probe-first where the target names any, else --done prepare says it.
///
/// Examples:
///   whsec rotate payments
///   whsec rotate payments --dry-run
///   whsec rotate --all --older-than 90d --yes
///   whsec rotate layers/d4c71b62-7f08-4dc9-9d2c-8f7e2b9c4411 --store dotenv:.env#LAYERS_WEBHOOK_SECRET --yes
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
    /// Have the old secret live for this long, where the provider leaves that to the caller (30m, 2h, 1d)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    overlap: Option<std::time::Duration>,
    /// Note this reason in the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let Args { selection, waves, options, begin, .. } = args;
    let intent = Intent { reason: args.reason.as_deref(), overlap: args.overlap, ..Intent::default() };
    match selection.need(session)? {
        Selected::One(name) if waves.out.is_none() => one(args, session, &name),
        selected => {
            let chosen = selected.all();
            let one =
                |session: &Session, name: &str, begin: BeginArgs| one(&Args { begin, ..args.clone() }, session, name);
            several::run(
                session,
                &several::Rotations { command: "rotate", chosen, waves, options, begin, intent, one: &one },
            )
        }
    }
}

fn one(args: &Args, session: &Session, name: &str) -> anyhow::Result<Exit> {
    let target = session.target(name, &args.options)?;
    let intent = Intent { reason: args.reason.as_deref(), overlap: args.overlap, ..Intent::default() };
    let begin = args.begin.begin("rotate", &args.options, intent);
    start::rotate(session, target, &begin, args.begin.answers(session))
}
