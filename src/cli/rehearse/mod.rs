//! `whsec rehearse`: a whole rotation against stand-ins on loopback, by the real code.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap_complete::engine::ArgValueCandidates;
use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::session::Session;
use super::start::{self, Begin};
use super::{complete, parse_duration, person, result, waves};
use crate::operation::find;
use crate::operation::fleet::Share;
use crate::operation::start::{self as starting, Begun, Giver, Intent};
use crate::provider::spec::Signs;
use crate::provider::{Overlap, Provider};
use crate::rotation::{Doer, Step};
use crate::secret::Secret;
use crate::shell;
use crate::ui::Output;
use crate::ui::prompt::Answers;
use actor::{Actor, Rehearsed};
use stage::Stage;

mod actor;
mod drill;
mod stage;

/// Rotate against a stand-in provider and receiver on this machine
///
/// Needs no account, no keychain and no network. The stand-in provider answers as its description says, a stand-in
/// receiver verifies deliveries all the while, and the overlap is shortened. On a terminal you walk through it; elsewhere
/// it runs through by itself.
///
/// Examples:
///   whsec rehearse
///   whsec rehearse verifa
///   whsec rehearse ./acme.toml --window 10s
///   whsec rehearse --targets 50 --fail 10%
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A provider's name, or the file of a description
    #[arg(default_value = "layers", add = ArgValueCandidates::new(complete::providers))]
    provider: String,
    /// Let the old secret live this long
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = parse_duration)]
    window: Duration,
    /// Play a leak, as force-rotate has it: end the old secret at once, or contain it where the provider cannot
    #[arg(long)]
    force: bool,
    /// Play a whole run over so many endpoints, by the commands themselves: some fail at first, some calls are one too many, and it
    /// is killed in the middle. The machine's own rules hold for it, if there are any
    #[arg(long, value_name = "N", conflicts_with_all = ["force", "window"], value_parser = clap::value_parser!(u16).range(2..=200))]
    targets: Option<u16>,
    /// Have so many of them fail at first
    #[arg(long, value_name = "N|P%", requires = "targets", value_parser = waves::share, default_value = "10%")]
    fail: Share,
}

/// How long a rehearsal waits for a delivery to arrive.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    if let Some(targets) = args.targets {
        return drill::run(args, usize::from(targets), args.fail, session);
    }
    let begun = Instant::now();
    let output = &session.output;
    let provider = provider(args, session)?;
    let stage = Stage::set(&provider, args.window)?;
    let old = stage.live()?;
    output.say(&format!(
        "A rehearsal with a stand-in for {}: nothing leaves this machine, and nothing of yours is touched.",
        provider.title()
    ));
    match stage.receiver() {
        Some(receiver) => {
            output.say(&format!("A stand-in receiver verifies a delivery every moment at {}", receiver.url()))
        }
        None => output.say(&format!("How {} signs is not described, so no deliveries are played.", provider.title())),
    }
    output.say("");
    let exit = rotate(args, session, &stage, old.clone())?;
    if exit != Exit::Done {
        let again = format!("start over with `whsec rehearse {}`", shell::quoted(&args.provider));
        output.say(&format!("The rehearsal ends here. Its stand-ins and its folder are gone; {again}."));
        let error = not_through(exit, "the rehearsal was left before its end", args);
        output.json(&result::object("rehearse", exit, json!({ "provider": provider.name(), "error": error })));
        return Ok(exit);
    }
    let outcome = played(&stage, old.as_ref())?;
    say_end(output, &provider, &outcome, begun.elapsed());
    let exit = if outcome.sound { Exit::Done } else { Exit::Failed };
    let fields = json!({
        "provider": provider.name(), "rotations": outcome.rotations, "deliveries_accepted": outcome.accepted,
        "deliveries_refused": outcome.refused, "old_secret_refused": outcome.old_refused,
        "seconds": begun.elapsed().as_secs_f64(),
        "error": if outcome.sound { Value::Null } else { not_through(exit, "the rehearsal went wrong", args) },
    });
    output.json(&result::object("rehearse", exit, fields));
    Ok(exit)
}

/// The error of a rehearsal that is not what it should be.
fn not_through(exit: Exit, why: &str, args: &Args) -> Value {
    let hint = Some(format!("start over: whsec rehearse {}", shell::quoted(&args.provider)).into());
    exit::error_object(&Fault { exit, message: why.to_owned(), hint })
}

/// The rotation itself, in a session whose folders are the rehearsal's.
fn rotate(args: &Args, session: &Session, stage: &Stage, old: Option<Secret>) -> anyhow::Result<Exit> {
    let alone = !session.may_ask();
    let mut global = session.global.clone();
    global.config = Some(stage.config()?);
    global.state_dir = Some(stage.folder().join("state"));
    global.json = false;
    global.yes = global.yes || alone;
    let mut inner = Session::new(global.clone(), session.output.for_people());
    inner.comes_back_with = Some(format!("whsec rehearse {}", shell::quoted(&args.provider)));
    let target = stage.target()?;
    let id = target.endpoint.own_id().to_owned();
    let person_steps = Step::ALL.into_iter().filter(|step| step.doer() == Doer::Person);
    let answers = Answers {
        done: if alone { person_steps.collect() } else { Default::default() },
        // What nobody can see is said with a reason.
        reason: (alone && stage.receiver().is_none()).then(|| "a rehearsal without a receiver".to_owned()),
        wait: true,
        may_ask: !alone,
        ..Answers::default()
    };
    let force = args.force.then_some("rehearsal");
    let intent = Intent { force, probes: true, giver: Giver::Person, ..Intent::default() };
    let confirm = alone.then_some(id.as_str());
    let begin = Begin { command: "rehearse", intent, confirm, ..Begin::default() };
    let decided = starting::decide(inner.context()?, target, &begin.intent)?;
    let Some(Begun { mut rotation, workspace, resources }) = start::agree(&inner, decided, &begin, &answers)? else {
        return Ok(Exit::Done);
    };
    let signals = inner.signals()?;
    let stopped = || signals.arrived();
    let person = person::of(&inner, &workspace, &resources, answers, &stopped)?;
    let mut rehearsed = Rehearsed { person, actor: Actor { output: &inner.output, stage, old } };
    let mut exit = start::go(&inner, &begin, &mut rotation, &workspace, &resources, &mut rehearsed)?;
    // A person who said "not now" leaves before the end; elsewhere only a fault can.
    if exit == Exit::Done && stage_open(&inner)? {
        exit = Exit::Open;
    }
    Ok(exit)
}

fn stage_open(inner: &Session) -> anyhow::Result<bool> {
    Ok(!find::journal(inner.context()?)?.open_rotations()?.is_empty())
}

fn provider(args: &Args, session: &Session) -> anyhow::Result<Arc<Provider>> {
    let file = Path::new(&args.provider);
    if args.provider.ends_with(".toml") || file.is_absolute() {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let message = format!("cannot read `{}`: {error}", args.provider);
            Fault::new(Exit::Usage, message, "name a provider (`whsec provider list`) or the file of a description")
        })?;
        return Ok(Arc::new(Provider::parse(&text, &args.provider)?));
    }
    Ok(session.catalog()?.get(&args.provider)?)
}

/// What the stand-ins saw.
struct Played {
    rotations: u32,
    accepted: u64,
    refused: u64,
    /// Whether the receiver refuses the old secret at the end; `None` where nothing is delivered.
    old_refused: Option<bool>,
    sound: bool,
}

fn played(stage: &Stage, old: Option<&Secret>) -> anyhow::Result<Played> {
    let (accepted, refused) = stage.deliveries();
    let old_refused = old.and_then(|old| stage.is_accepted(old)).map(|accepted| !accepted);
    let live = stage.live()?;
    let new_accepted = live.as_ref().and_then(|live| stage.is_accepted(live));
    let sound =
        stage.rotations() == 1 && live.as_ref() != old && old_refused != Some(false) && new_accepted != Some(false);
    Ok(Played { rotations: stage.rotations(), accepted, refused, old_refused, sound })
}

fn say_end(output: &Output, provider: &Provider, outcome: &Played, took: Duration) {
    output.say("");
    output.say(&format!("What happened, in {:.0} s:", took.as_secs_f64()));
    let issued = if provider.is_by_hand() { "new secret made by hand" } else { "rotate call" };
    output.say(&format!("  • {} {issued}; the new secret was sealed before any store was touched", outcome.rotations));
    if provider.is_by_hand() {
        output.say(
            "    (its form is checked, and that it is not the old one; that it is the right one only a delivery shows)",
        );
    }
    let is_apart = matches!(provider.overlap(), Overlap::UntilEnded { signs: Signs::Apart, .. });
    if provider.replaces() {
        output.say("  • a second endpoint was made like the first; each event came twice until the first was removed");
    }
    if provider.spec().end.is_some() {
        output.say("  • the old secret lived until the receivers were seen to accept the new one, and was ended then");
    }
    if outcome.old_refused.is_some() {
        output.say(&format!("  • {} deliveries accepted, {} refused on the way", outcome.accepted, outcome.refused));
        if outcome.refused > 0 && is_apart {
            output.say(
                "    (refused ones were the new endpoint's before the receiver knew its secret; the old one's, of the same \
                 events, were accepted)",
            );
        } else if outcome.refused > 0 {
            output.say(
                "    (refused ones came between the old secret's end and the deploy: that gap is what to prepare for)",
            );
        }
    }
    match outcome.old_refused {
        Some(true) => output.say("  • a delivery forged with the old secret was refused at the end"),
        Some(false) => output.warn("a delivery forged with the old secret was still accepted at the end"),
        None => {}
    }
    output.say("");
    output.say("Against the real provider:");
    if !provider.is_by_hand() {
        output.say(&format!(
            "  whsec login {:<12} saves the API key in the keychain (or set {})",
            provider.name(),
            provider.spec().auth.env
        ));
    }
    output.say("  whsec target add         asks for the endpoint and where its secret is kept");
    output.say("  whsec doctor             says what is still missing");
    output.say("  whsec rotate NAME -n     shows the plan and sends nothing");
}
