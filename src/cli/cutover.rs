//! `whsec cutover`: goes on from wherever the rotation stands.

use clap::ValueEnum;
use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};

use super::begin::SecretArgs;
use super::exit::{Exit, Fault};
use super::fleet;
use super::options::TargetOptions;
use super::overrule::{self, Over};
use super::person;
use super::select::Selection;
use super::session::Session;
use super::waves::Many;
use super::{ask, outcome, start};
use crate::operation::find::OpenEndpoint;
use crate::operation::report::End;
use crate::operation::resume::{self, Needs, Open, Stand};
use crate::operation::workspace::{Resources, Workspace};
use crate::operation::{Error, allowed, changes};
use crate::rotation::changed::Change;
use crate::rotation::lease::Meanwhile;
use crate::rotation::operator::Ruling;
use crate::rotation::runner::Runner;
use crate::rotation::{Doer, Rest, RolledBack, Rotation, RunError, Step};
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
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    many: Many,
    /// Record a person's step as done elsewhere: prepare, deploy, verify, end or drop
    #[arg(long, value_name = "STEP", value_parser = steps())]
    done: Vec<Step>,
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
    secret: SecretArgs,
    #[command(flatten)]
    options: TargetOptions,
}

/// What came of a lost call.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Resolve {
    /// The provider rotated; the new secret is lost
    Applied,
    /// The provider did not rotate
    NotApplied,
}

/// The steps that can be said to be done.
fn steps() -> impl TypedValueParser<Value = Step> {
    const OF_THE_CLOCK: &str = "Only where the provider does not say when the old secret ends, or, with --reason, where its clock cannot be had";
    let said = |step: Step| match step.doer() {
        Doer::Person => Some(PossibleValue::new(step.name())),
        Doer::Clock => Some(PossibleValue::new(step.name()).help(OF_THE_CLOCK)),
        Doer::Tool => None,
    };
    let words = PossibleValuesParser::new(Step::ALL.into_iter().filter_map(said));
    words.try_map(|word| Step::named(&word).ok_or("it is no step"))
}

/// Runs the command.
pub fn run(args: &Args, session: &Session) -> anyhow::Result<Exit> {
    let asserts = args.asserts_a_rotation();
    let several = fleet::Several { command: "cutover", selection: &args.selection, many: &args.many, asserts };
    several.refuse(&[
        ("--override", !args.overrides.is_empty()),
        ("--let-go", !args.let_go.is_empty()),
        ("--confirm", args.confirm.is_some()),
        ("--secret", args.secret.secret.is_some()),
        ("--resolve", args.resolve.is_some()),
    ])?;
    several.each(session, &args.options, &|session, name| one(args, session, name))
}

fn one(args: &Args, session: &Session, name: &str) -> anyhow::Result<Exit> {
    let output = &session.output;
    if args.says_something() {
        allowed::reason(session.context()?, args.reason.as_deref())?;
    }
    let asked = args.options.asked();
    match resume::stand(session.operating()?, name, &asked, args.asserts_a_rotation())? {
        Stand::Open(open) => go_on(args, session, open),
        Stand::Never => {
            output.say(&format!("nothing to do: `{}` has never been rotated with whsec on this machine", name));
            let fields = serde_json::json!({ "target": name });
            output.json(&super::result::object("cutover", Exit::Done, fields));
            Ok(Exit::Done)
        }
        Stand::Over { found, rotation, refused: Some(error) } => {
            outcome::tell(session, "cutover", &rotation, &found.workspace, Err(error))
        }
        Stand::Over { found, rotation, refused: None } => {
            outcome::closed(session, "cutover", &rotation, &found.workspace)
        }
    }
}

fn go_on(args: &Args, session: &Session, open: Open) -> anyhow::Result<Exit> {
    if args.done.contains(&Step::End) && open.rotation.plan.steps.contains(&Step::End) {
        let (workspace, plan) = (&open.found.workspace, &open.rotation.plan);
        let Some(typed) = &args.confirm else {
            let message = "`--done end` says that the old secret is ended, which nobody takes back";
            let hint = format!("give --confirm {} with it", session.quoted(plan.own_id()));
            return Err(Fault::new(Exit::Usage, message, hint));
        };
        start::is_the_id(workspace, plan, typed)?;
    }
    if args.resolve.is_some() && !open.rotation.lacks_answer() {
        session.output.warn("--resolve had no effect: what came of the call is known");
    }
    if args.resolve.is_some() && open.rotation.made.is_some() && open.rotation.lacks_answer() {
        session
            .output
            .warn("--resolve counts only where nobody has the secret any more: else the very same is sent again");
    }
    match open.needs() {
        Needs::Nothing => {}
        Needs::Consent => start::consent(session, &open.found.workspace, &open.rotation.plan, args.confirm.as_deref())?,
        Needs::Forward(back) => go_forward(session, &open.found.workspace, back)?,
    }
    let Open { found: OpenEndpoint { workspace, mut resources, changes, .. }, mut rotation } = open;
    let let_go = (args.let_go.as_slice(), args.reason.as_deref());
    if let Err(error) = take_in(session, &workspace, &mut resources, &mut rotation, &changes, let_go)? {
        return outcome::tell(session, "cutover", &rotation, &workspace, Err(error));
    }
    resume::refuse_shared(session.context()?, &workspace, &resources, &rotation)?;
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut person = person::of(session, &workspace, &resources, args.answers(session), &stopped)?;
    let mut runner = workspace.runner(&mut rotation, &resources, &mut person);
    let reason = args.reason.as_deref().unwrap_or_default();
    if let Err(error) = overrule::overrule(session, &workspace, &mut runner, &args.overrides, reason) {
        return outcome::failed(session, "cutover", &rotation, &workspace, error);
    }
    let outcome = run_on(&mut runner);
    let unused = std::mem::take(&mut person.answers.done);
    for step in unused.into_iter().filter(|_| outcome.is_ok()) {
        let why = resume::no_effect(&rotation, step);
        session.output.warn(&format!("--done {} had no effect: {why}", step.name()));
    }
    if person.answers.is_piped && outcome.is_ok() {
        session.output.warn("--secret had no effect: the new secret is there already");
    }
    let outcome = outcome.map(|rest| end_of(rest, &rotation));
    outcome::tell(session, "cutover", &rotation, &workspace, outcome)
}

/// Takes in what the config says otherwise by now.
pub(super) fn take_in(
    session: &Session,
    workspace: &Workspace,
    resources: &mut Resources,
    rotation: &mut Rotation,
    changes: &[Change],
    let_go: (&[String], Option<&str>),
) -> anyhow::Result<Result<(), Error>> {
    let signals = session.signals()?;
    let stopped = || signals.arrived();
    let mut told = person::of(session, workspace, resources, Answers::default(), &stopped)?;
    Ok(changes::settle(session.context()?, workspace, resources, rotation, changes, let_go, &mut told))
}

/// Goes on as far as it goes, once no other process is at work.
pub(super) fn run_on(runner: &mut Runner<'_>) -> Result<Rest, RunError> {
    match runner.reacquire()? {
        Meanwhile::Stopped => Ok(Rest::Stopped),
        Meanwhile::Nothing | Meanwhile::WentOn => runner.run(None),
    }
}

/// What a run that came to rest means to whoever called.
pub(super) fn end_of(rest: Rest, rotation: &Rotation) -> End {
    match rest {
        // What comes next is the rotation that it was to replace.
        Rest::Finished if !rotation.left_the_other_open() => End::Done,
        Rest::Finished | Rest::Person(_) | Rest::Clock(_) => End::Open,
        Rest::Stopped => End::Stopped,
    }
}

/// Asks for a yes before the new secret goes live again that somebody has taken back.
fn go_forward(session: &Session, workspace: &Workspace, back: &RolledBack) -> anyhow::Result<()> {
    session.output.warn(&format!("the old secret was put back at {} by {back}", moment(back.at)));
    let refusal = ["not promoted, as you said", "nothing was changed"];
    ask::agreement(session, workspace, "Let the new secret go live again?", refusal)
}

impl Args {
    /// Whether the command line says that there is a rotation, as a script does that believes to be in the middle of one.
    fn asserts_a_rotation(&self) -> bool {
        !self.done.is_empty() || self.wait || self.resolve.is_some() || self.secret.is_piped()
    }

    /// Whether the command line vouches for something.
    fn says_something(&self) -> bool {
        let overrules = !self.overrides.is_empty() || !self.let_go.is_empty();
        !self.done.is_empty() || self.resolve.is_some() || overrules
    }

    fn answers(&self, session: &Session) -> Answers {
        Answers {
            done: self.done.iter().copied().collect(),
            reason: self.reason.clone(),
            over_doubts: self.reason.clone().filter(|_| self.done.is_empty() && self.resolve.is_none()),
            wait: self.wait,
            ruling: self.resolve.map(|what| match what {
                Resolve::Applied => Ruling::Said { applied: true, reason: self.reason.clone() },
                Resolve::NotApplied => Ruling::Said { applied: false, reason: self.reason.clone() },
            }),
            is_piped: self.secret.is_piped(),
            may_ask: session.may_ask(),
        }
    }
}
