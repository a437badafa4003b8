//! The command line: what was typed, and which file acts on it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::ui::{Color, Output};
use session::Session;

mod abandon;
mod adopt;
mod agree;
mod apply;
mod ask;
mod begin;
mod complete;
mod completions;
mod contain;
mod cutover;
mod discover;
mod doctor;
pub mod exit;
mod fingerprint;
mod finish;
mod fleet;
mod force_rotate;
mod handoff;
mod harden;
mod history;
mod import;
mod inspect;
mod journal;
mod leak;
mod login;
mod logout;
mod metrics;
mod mistyped;
mod options;
mod outcome;
mod overrule;
mod person;
mod plan_file;
mod probe;
mod provider;
mod read;
mod rehearse;
mod report;
mod rest;
mod result;
mod reveal;
mod rollback;
mod rotate;
mod select;
mod session;
mod several;
mod signals;
mod start;
mod status;
mod store;
mod table;
mod target;
mod tend;
mod verify;
mod waves;

/// Rotate webhook signing secrets without losing one
///
/// Calls the provider's rotate endpoint once, keeps the new secret before anything else, and walks you through the
/// cutover until the old secret is gone.
#[derive(Debug, Parser)]
#[command(name = "whsec", version, propagate_version = false, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Begin with `whsec rehearse`: a whole rotation on this machine, no account needed")]
#[command(after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What scripts branch on, below `--help` and in the man page.
const EXIT_CODES: &str = "\
Exit codes:
  0  done, or nothing to do
  1  failed; nothing changed at the provider. Or it was done, and what it says could not be written to stdout
  2  misuse or bad configuration, or a question that nobody can answer; it names the flag
  3  no API key, or it is refused
  4  target, endpoint or rotation not found
  5  conflict: an overlap or another rotation is open, somebody else rotated, or another whsec is at work
  6  a store failed its check; nothing was sent
  7  unknown: sent, and the outcome is not known; only `cutover` may go on
  8  rotated and sealed, but not yet in every store; only `cutover` may go on
  9  a gate said no: a probe, a delivery, a slot that somebody else has written, a secret in a file, or not proved safe yet
 10  some of several targets failed
 11  open: a rotation waits for a person or a clock
 12  overdue: an overlap ended with steps undone, deliveries may be failing, somebody else rotated, a leak is not
     contained, or a secret is too old
 13  the provider cannot be reached or is rate limited; certainly not applied
129, 130, 131, 143  hang-up, interrupt, quit, terminate; see `whsec status`

Begin with `whsec rehearse`: a whole rotation on this machine, no account needed.";

/// Options that every command takes, before or after its name.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Read this config file in place of the usual ones
    #[arg(long, global = true, value_name = "FILE", env = "WHSEC_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
    /// Keep journal, seals and locks in this folder
    ///
    /// It is the rotation: who goes on with one on another machine brings this folder along, and one copy at a time goes on.
    /// In it are `journal.sqlite`, which holds no secret, `seals/`, and where there is no keychain `seal-identity`, the key
    /// that opens them.
    #[arg(long, global = true, value_name = "DIR", env = "WHSEC_STATE_DIR", hide_env = true)]
    pub state_dir: Option<PathBuf>,
    /// Print one JSON object last on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Agree to the plan without being asked (ending a secret early needs --confirm as well)
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Never ask; fail and name the flag that answers
    #[arg(long, global = true, env = "WHSEC_NO_INPUT", hide_env = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub no_input: bool,
    /// Say only warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more about what happens
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Use colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto", hide_possible_values = true)]
    pub color: ColorWhen,
    /// Give each call this long: 30s to a provider, 5s to a receiver
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<std::time::Duration>,
}

/// When to use colour: auto, always or never.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

impl From<ColorWhen> for Color {
    fn from(when: ColorWhen) -> Self {
        match when {
            ColorWhen::Auto => Self::Auto,
            ColorWhen::Always => Self::Always,
            ColorWhen::Never => Self::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Rotate(rotate::Args),
    Apply(apply::Args),
    ForceRotate(force_rotate::Args),
    Inspect(inspect::Args),
    #[command(visible_alias = "resume")]
    Cutover(cutover::Args),
    Status(status::Args),
    Metrics(metrics::Args),
    Tend(tend::Args),
    Finish(finish::Args),
    Rollback(rollback::Args),
    Abandon(abandon::Args),
    Adopt(adopt::Args),
    Handoff(handoff::Args),
    Verify(verify::Args),
    Probe(probe::Args),
    Fingerprint(fingerprint::Args),
    Leak(leak::Args),
    Reveal(reveal::Args),
    History(history::Args),
    Report(report::Args),
    Rehearse(rehearse::Args),
    Store(store::Args),
    Target(target::Args),
    Import(import::Args),
    Discover(discover::Args),
    Provider(provider::Args),
    Login(login::Args),
    Logout(logout::Args),
    Journal(journal::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
}

impl Command {
    /// The command's name in JSON.
    fn name(&self) -> &'static str {
        match self {
            Self::Rotate(_) => "rotate",
            Self::Apply(_) => apply::NAME,
            Self::ForceRotate(_) => force_rotate::NAME,
            Self::Inspect(_) => "inspect",
            Self::Cutover(_) => "cutover",
            Self::Status(_) => "status",
            Self::Metrics(_) => "metrics",
            Self::Tend(_) => "tend",
            Self::Finish(_) => "finish",
            Self::Rollback(_) => "rollback",
            Self::Abandon(_) => "abandon",
            Self::Adopt(_) => "adopt",
            Self::Handoff(args) => args.name(),
            Self::Verify(_) => "verify",
            Self::Probe(_) => "probe",
            Self::Fingerprint(_) => "fingerprint",
            Self::Leak(_) => "leak",
            Self::Reveal(_) => "reveal",
            Self::History(_) => "history",
            Self::Report(_) => report::NAME,
            Self::Rehearse(_) => "rehearse",
            Self::Store(args) => args.name(),
            Self::Target(_) => "target",
            Self::Import(_) => "import",
            Self::Discover(_) => "discover",
            Self::Provider(_) => "provider",
            Self::Login(_) => "login",
            Self::Logout(_) => "logout",
            Self::Journal(args) => args.name(),
            Self::Doctor(_) => "doctor",
            Self::Completions(_) => "completions",
        }
    }

    fn run(&self, session: &Session) -> anyhow::Result<exit::Exit> {
        match self {
            Self::Rotate(args) => rotate::run(args, session),
            Self::Apply(args) => apply::run(args, session),
            Self::ForceRotate(args) => force_rotate::run(args, session),
            Self::Inspect(args) => inspect::run(args, session),
            Self::Cutover(args) => cutover::run(args, session),
            Self::Status(args) => status::run(args, session),
            Self::Metrics(args) => metrics::run(args, session),
            Self::Tend(args) => tend::run(args, session),
            Self::Finish(args) => finish::run(args, session),
            Self::Rollback(args) => rollback::run(args, session),
            Self::Abandon(args) => abandon::run(args, session),
            Self::Adopt(args) => adopt::run(args, session),
            Self::Handoff(args) => handoff::run(args, session),
            Self::Verify(args) => verify::run(args, session),
            Self::Probe(args) => probe::run(args, session),
            Self::Fingerprint(args) => fingerprint::run(args, session),
            Self::Leak(args) => leak::run(args, session),
            Self::Reveal(args) => reveal::run(args, session),
            Self::History(args) => history::run(args, session),
            Self::Report(args) => report::run(args, session),
            Self::Rehearse(args) => rehearse::run(args, session),
            Self::Store(args) => store::run(args, session),
            Self::Target(args) => target::run(args, session),
            Self::Import(args) => import::run(args, session),
            Self::Discover(args) => discover::run(args, session),
            Self::Provider(args) => provider::run(args, session),
            Self::Login(args) => login::run(args, session),
            Self::Logout(args) => logout::run(args, session),
            Self::Journal(args) => journal::run(args, session),
            Self::Doctor(args) => doctor::run(args, session),
            Self::Completions(args) => completions::run(args, session),
        }
    }
}

/// The whole command definition, for completions, man pages and tests.
pub fn command() -> clap::Command {
    flowing(Cli::command())
}

/// The same with each paragraph of a command's help in one line, for whatever width it is wrapped to: where its lines end in the
/// source is no matter. Lines that are indented stay as they are.
fn flowing(command: clap::Command) -> clap::Command {
    let about = command.get_long_about().map(|about| {
        let mut text = String::new();
        for line in about.to_string().lines() {
            let goes_on = !text.is_empty() && !text.ends_with('\n') && !line.is_empty() && !line.starts_with(' ');
            text.push_str(if text.is_empty() {
                ""
            } else if goes_on {
                " "
            } else {
                "\n"
            });
            text.push_str(line);
        }
        text
    });
    let command = about.into_iter().fold(command, clap::Command::long_about);
    command.mut_subcommands(flowing)
}

/// Runs one command line from its arguments to its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    clap_complete::CompleteEnv::with_factory(command).complete();
    let parsed = command().try_get_matches_from(&arguments);
    let (cli, target) = match parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, target(&matches)))) {
        Ok(parsed) => parsed,
        Err(error) => {
            let error = mistyped::without_values(error);
            // clap prints help to stdout and misuse to stderr; a reader that has gone is no reason to fail.
            let printed = error.print();
            let is_lost = printed.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe);
            if is_lost && !error.use_stderr() {
                return exit::Exit::Failed.into();
            }
            if error.use_stderr() && arguments.iter().any(|argument| argument == "--json") {
                let hint = Some("`whsec --help` shows how it is written".into());
                let message = error.to_string();
                let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                let fault = exit::Fault { exit: exit::Exit::Usage, message, hint };
                Output::new(true, true, false, Color::Never).json(&exit::failed(
                    "whsec",
                    &fault,
                    exit::error_object(&fault),
                ));
            }
            return ExitCode::from(error.exit_code().try_into().unwrap_or(exit::Exit::Usage.code()));
        }
    };
    let global = &cli.global;
    let output = Output::new(global.json, global.quiet, global.verbose, global.color.into());
    harden::harden(&output);
    session::heed_environment();
    let session = Session::new(cli.global, output.clone());
    match cli.command.run(&session) {
        Ok(exit) => exit::unless_lost(exit, &output).into(),
        Err(error) => {
            let fault = session.fault(&error, target.as_deref());
            output.error(&fault.message, fault.hint_words().as_deref());
            output.json(&exit::failed(cli.command.name(), &fault, exit::object_of(&fault, &error)));
            fault.exit.into()
        }
    }
}

/// What the command line names as its target.
fn target(matches: &clap::ArgMatches) -> Option<String> {
    let (_, matches) = matches.subcommand()?;
    if let Ok(Some(mut named)) = matches.try_get_many::<String>("selected") {
        return named.next().filter(|_| named.next().is_none()).cloned();
    }
    matches.try_get_one::<String>("target").ok().flatten().cloned().or_else(|| target(matches))
}

fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    crate::provider::duration(text).ok_or_else(|| "it is no duration such as `30s`, `10m` or `24h`".to_owned())
}
