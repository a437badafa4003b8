//! `whsec force-rotate`: for leaked secrets, at every provider.

use super::begin::BeginArgs;
use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::select::{Chosen, Selected, Selection};
use super::session::Session;
use super::waves::Waves;
use super::{contain, fingerprint, fleet, several, start};
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
/// with --leaked. `--leaked -` takes the secret from stdin, and without a target finds every one that accepts it.
///
/// Of several targets all ids are listed, and agreed to by the plan's digest; each is begun, or contained by what is open, as
/// it would be alone.
///
/// Examples:
///   whsec force-rotate marks --reason 'INC-2931: secret in a public log' --confirm whk_01HK7
///   printenv SECRET | whsec force-rotate --leaked - --reason INC-2931 --dry-run
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
    #[arg(long, value_name = "TEXT", value_parser = words)]
    reason: String,
    /// Say which secret has leaked, by its fingerprint; `-` takes it itself from stdin, and finds the targets that accept it
    #[arg(long, value_name = "FINGERPRINT|-", value_parser = leaked)]
    leaked: Option<Leaked>,
}

/// A reason says something.
fn words(text: &str) -> Result<String, String> {
    match text.trim().is_empty() {
        true => Err("it is empty: say why".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// How it is said what has leaked.
#[derive(Clone, Debug)]
enum Leaked {
    Known(Fingerprint),
    /// The value itself, on stdin.
    Piped,
}

fn leaked(text: &str) -> Result<Leaked, String> {
    match text {
        "-" => Ok(Leaked::Piped),
        text => text.parse().map(Leaked::Known).map_err(|error| format!("{error}, or `-`")),
    }
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let Args { selection, waves, options, begin, .. } = args;
    let leaked = match &args.leaked {
        None => None,
        Some(Leaked::Known(fingerprint)) => Some(fingerprint.clone()),
        Some(Leaked::Piped) => Some(fingerprint::of_stdin()?),
    };
    let selected = match &leaked {
        Some(leaked) if selection.is_empty() => accepting(session, leaked)?,
        _ => selection.need(session)?,
    };
    match selected {
        Selected::One(name) if waves.out.is_none() => one(args, leaked.as_ref(), session, &name),
        selected => {
            // Of several it says which they are; what each had when it leaked is no part of a plan.
            let is_of_one = leaked.is_some() && (!selection.is_empty() || waves.out.is_some());
            fleet::refuse_of_one(&[("--leaked", is_of_one)])?;
            if waves.skips_instant() {
                let hint = "every old secret is to end here; leave targets out with --except";
                return Err(Fault::new(Exit::Usage, "--skip-instant leaves nothing of a force-rotate", hint));
            }
            let one = |session: &Session, name: &str, begin: BeginArgs| {
                one(&Args { begin, ..args.clone() }, leaked.as_ref(), session, name)
            };
            let intent = Intent { force: Some(&args.reason), ..Intent::default() };
            let chosen = selected.all();
            several::run(
                session,
                &several::Rotations { command: NAME, chosen, waves, options, begin, intent, one: &one },
            )
        }
    }
}

/// The targets that accept what has leaked.
fn accepting(session: &Session, leaked: &Fingerprint) -> anyhow::Result<Selected> {
    let found = fingerprint::find(session, leaked)?;
    if found.is_empty() {
        return Err(fingerprint::nobodys(leaked).into());
    }
    for of in found.known.iter().filter(|of| of.ended) {
        session.output.say(&format!("{}: {leaked} is {}", of.target, of.words()));
    }
    let names: Vec<String> = found.accepted_by(session.context()?.config_at_hand()?).into_iter().collect();
    Ok(match names.as_slice() {
        [one] => Selected::One(one.clone()),
        _ => Selected::Several(names.into_iter().map(|name| Chosen { name, skipped: None }).collect()),
    })
}

fn one(args: &Args, leaked: Option<&Fingerprint>, session: &Session, name: &str) -> anyhow::Result<Exit> {
    let intent = Intent { force: Some(&args.reason), leaked, ..Intent::default() };
    let begin = args.begin.begin(NAME, &args.options, intent);
    if let Some(exit) = contain::contain(session, name, &args.options.asked(), &begin, args.begin.answers(session))? {
        return Ok(exit);
    }
    let target = session.target(name, &args.options)?;
    start::rotate(session, target, &begin, args.begin.answers(session))
}
