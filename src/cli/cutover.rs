//! `whsec cutover`: goes on from wherever the rotation stands.

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::engine::ArgValueCandidates;

use super::exit::{Exit, Fault};
use super::options::TargetOptions;
use super::overrule::{self, Over};
use super::person;
use super::session::Session;
use super::{ask, begin, complete, conclude};
use crate::operation::find::Found;
use crate::operation::work::Work;
use crate::operation::{changes, find, shared};
use crate::rotation::operator::Ruling;
use crate::rotation::rejoin::Meanwhile;
use crate::rotation::runner::Rest;
use crate::rotation::{Call, Closed, How, Outcome, RolledBack, Rotation, Step, elsewhere};
use crate::time::moment;
use crate::ui::prompt::Answers;

/// Go on with an open rotation from wherever it stands
///
/// Does the tool's steps, asks for a person's, counts down to the old secret's end. Any colleague on the same machine
/// can take over. Without a terminal it does what needs nobody and exits 11 while a person or a clock is due.
///
/// The state folder is the rotation: where it knows none, --done, --wait and --resolve exit 4, and so does every cutover
/// where a slot holds a secret of a rotation that was begun elsewhere.
///
/// Examples:
///   whsec cutover payments
///   whsec cutover payments --done deploy --done verify --reason 'release 214, log checked'
///   whsec cutover payments --wait
///   whsec cutover orders --resolve not-applied
///   whsec cutover payments --override=sha256:5ba997f40cdd --reason 'a test by hand'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A target's name, or PROVIDER/ID[/ID]
    #[arg(add = ArgValueCandidates::new(complete::targets))]
    target: String,
    /// Record a person's step as done elsewhere: prepare, deploy, verify or drop
    #[arg(long, value_name = "STEP", value_enum)]
    done: Vec<PersonStep>,
    /// Note this reason with what is said to be done, or not, or with going on where something is in doubt
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    /// Block until the countdown ends
    #[arg(long)]
    wait: bool,
    /// Say what came of a call whose answer is lost for good
    #[arg(long, value_name = "WHAT", value_enum)]
    resolve: Option<Resolve>,
    /// Go on over what somebody else has put into a slot: by its fingerprint, or `empty`
    ///
    /// It is sealed first, and `whsec reveal TARGET --slot overridden` shows it. Refused where the provider shows that it may be
    /// the secret that is alive. On a terminal, without a fingerprint, what is found is shown and asked about.
    #[arg(long = "override", value_name = "FINGERPRINT", num_args = 0..=1, require_equals = true, default_missing_value = "",
          requires = "reason", value_parser = overrule::parse)]
    overrides: Vec<Over>,
    /// Let go a store or a receiver that has left the config since the rotation was begun
    #[arg(long, value_name = "WHAT", requires = "reason", value_hint = clap::ValueHint::Other)]
    let_go: Vec<String>,
    /// Agree that the old secret ends, by the endpoint's last id
    #[arg(long, value_name = "ID")]
    confirm: Option<String>,
    #[command(flatten)]
    options: TargetOptions,
}

/// The steps that a person does.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PersonStep {
    Prepare,
    Deploy,
    Verify,
    /// Only where the provider does not say when the old secret ends, or, with --reason, where its clock cannot be had
    Wait,
    Drop,
}

/// What came of a lost call.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Resolve {
    /// The provider rotated; the new secret is lost
    Applied,
    /// The provider did not rotate
    NotApplied,
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let mut found = find::open(session.operating()?, &args.target, &args.options.asked())?;
    let Some(mut rotation) = found.rotation.take() else {
        find::refuse_elsewhere(&found)?;
        if args.asserts_a_rotation() {
            return Err(find::none_open(session.context()?, &args.target, None).into());
        }
        session
            .output
            .say(&format!("nothing to do: `{}` has never been rotated with whsec on this machine", args.target));
        session.output.json(&super::result::object(
            "cutover",
            Exit::Done,
            serde_json::json!({ "target": args.target }),
        ));
        return Ok(Exit::Done);
    };
    if rotation.closed.is_some()
        && let Err(error) = changes::refuse_without_the_secret(session.context()?, &found.work, &mut rotation)
    {
        return conclude::conclude(session, "cutover", &rotation, &found.work, Err(error));
    }
    if let Some(closed) = &rotation.closed {
        find::refuse_elsewhere(&found)?;
        if closed.outcome != Outcome::Done {
            return conclude::closed(session, "cutover", &rotation, &found.work);
        }
        let outcome = if args.asserts_a_rotation() { holds(&found, closed) } else { Ok(()) };
        if outcome.is_ok() {
            session.output.say(&format!("nothing to do: no rotation of `{}` is open", args.target));
        }
        let outcome = outcome.map(|()| Exit::Done);
        return conclude::conclude(session, "cutover", &rotation, &found.work, outcome);
    }
    let work = &found.work;
    if args.resolve.is_some() && !rotation.lacks_answer() {
        session.output.warn("--resolve had no effect: what came of the call is known");
    }
    if rotation.call == Call::NotApplied {
        begin::consent(session, work, &rotation.plan, args.confirm.as_deref())?;
    } else if let Some(back) = rotation.taken_back() {
        go_forward(session, work, back)?;
    }
    let let_go = (args.let_go.as_slice(), args.reason.as_deref());
    let (context, signals) = (session.context()?, session.signals()?);
    let stopped = || signals.arrived();
    let mut told = person::of(session, work, &found.tools, Answers::default(), &stopped)?;
    let settled = changes::settle(context, work, &mut found.tools, &mut rotation, &found.changes, let_go, &mut told);
    drop(told);
    if let Err(error) = settled {
        return conclude::conclude(session, "cutover", &rotation, work, Err(error));
    }
    if rotation.sent.is_empty() {
        let stores = &found.tools.stores;
        shared::refuse_configured(context.config_at_hand()?, context.catalog()?, &work.target, stores)?;
        shared::refuse_journaled(&work.journal, &work.target, stores)?;
    }
    let mut person = person::of(session, work, &found.tools, args.answers(session), &stopped)?;
    let mut runner = work.runner(&mut rotation, &found.tools, &mut person);
    let reason = args.reason.as_deref().unwrap_or_default();
    if let Err(error) = overrule::overrule(session, work, &mut runner, &args.overrides, reason) {
        return conclude::conclude(session, "cutover", &rotation, work, Err::<Exit, _>(error));
    }
    let outcome = runner.rejoin().and_then(|meanwhile| match meanwhile {
        Meanwhile::Stopped => Ok(Rest::Stopped),
        Meanwhile::Nothing | Meanwhile::WentOn => runner.run(None),
    });
    let unused = std::mem::take(&mut person.answers.done);
    for step in unused.into_iter().filter(|_| outcome.is_ok()) {
        let why = match () {
            () if is_proved(&rotation, step) => "it is proved already",
            () if rotation.done.contains_key(&step) => "it was done before",
            () if !rotation.plan.steps.contains(&step) => "this rotation has no such step",
            () => "it is not due yet",
        };
        session.output.warn(&format!("--done {} had no effect: {why}", step.name()));
    }
    // What comes next is the rotation that it was to replace.
    let is_through = !rotation.left_the_other_open();
    let exit = |rest| match rest {
        Rest::Finished if is_through => Exit::Done,
        Rest::Finished => Exit::Open,
        Rest::Person(_) | Rest::Clock(_) => Exit::Open,
        Rest::Stopped => signals.exit(),
    };
    conclude::conclude(session, "cutover", &rotation, work, outcome.map(exit))
}

/// Whether what is asserted of a rotation holds although none is open: the last one was closed as done, and what it made live
/// is live, as where a job of CI is tried again.
fn holds(found: &Found, closed: &Closed) -> anyhow::Result<()> {
    let target = &found.work.target;
    let known = found.work.journal.of_endpoint(&target.endpoint.key())?;
    let Some(stray) = elsewhere::stray_live(&found.tools.stores, &known)? else { return Ok(()) };
    let message = format!(
        "the last rotation of `{}` that this machine knows was closed at {}, and others have rotated since: {}",
        target.name,
        moment(closed.at),
        stray.words()
    );
    let hint = "what you go on with was begun elsewhere: go on there, or bring its state folder here and name it: --state-dir DIR";
    Err(Fault::new(Exit::NotFound, message, hint))
}

/// Asks for a yes before the new secret goes live again that somebody has taken back.
fn go_forward(session: &Session, work: &Work, back: &RolledBack) -> anyhow::Result<()> {
    session.output.warn(&format!("the old secret was put back at {} by {back}", moment(back.at)));
    let refusal = ["not promoted, as you said", "nothing was changed"];
    ask::agreement(session, work, "Let the new secret go live again?", refusal)
}

fn is_proved(rotation: &Rotation, step: Step) -> bool {
    rotation.done.get(&step).is_some_and(|proof| matches!(proof.how, How::Probe | How::Delivery))
}

impl Args {
    /// Whether the command line says that there is a rotation, as a script does that believes to be in the middle of one.
    fn asserts_a_rotation(&self) -> bool {
        !self.done.is_empty() || self.wait || self.resolve.is_some()
    }

    fn answers(&self, session: &Session) -> Answers {
        let step = |step: &PersonStep| match step {
            PersonStep::Prepare => Step::Prepare,
            PersonStep::Deploy => Step::Deploy,
            PersonStep::Verify => Step::Verify,
            PersonStep::Wait => Step::Wait,
            PersonStep::Drop => Step::Drop,
        };
        Answers {
            done: self.done.iter().map(step).collect(),
            reason: self.reason.clone(),
            over_doubts: self.reason.clone().filter(|_| self.done.is_empty() && self.resolve.is_none()),
            wait: self.wait,
            ruling: self.resolve.map(|what| match what {
                Resolve::Applied => Ruling::Said { applied: true, reason: self.reason.clone() },
                Resolve::NotApplied => Ruling::Said { applied: false, reason: self.reason.clone() },
            }),
            may_ask: session.may_ask(),
        }
    }
}
