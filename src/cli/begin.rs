//! Options of the commands that begin a rotation.

use std::io::IsTerminal;

use super::options::TargetOptions;
use super::session::Session;
use super::start::Begin;
use crate::operation::start::{Giver, Intent};
use crate::rotation::Step;
use crate::ui::prompt::Answers;

/// Options of the commands that call the provider's rotate endpoint.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct BeginArgs {
    /// Agree that the old secret ends, by the endpoint's last id; for several targets, one for each
    #[arg(long, value_name = "ID")]
    pub confirm: Vec<String>,
    /// Say that the receivers are ready to take the new secret at once, for providers that end the old one with the call
    #[arg(long, value_name = "STEP", value_enum, conflicts_with = "probe_first")]
    pub done: Option<StepBefore>,
    /// Send this idempotency key in place of a fresh one
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Show the plan and stop
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Stop as soon as every store has the new secret
    #[arg(long)]
    pub detach: bool,
    /// Prove before the call that the receivers would take a second secret
    ///
    /// For providers that end the old secret with the call. A throw-away secret goes into the `next` slots, the receivers
    /// read it, they are probed with both, and the slots are cleared again.
    #[arg(long, conflicts_with_all = ["dry_run", "secret"])]
    pub probe_first: bool,
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// Where the new secret is, for what a person has the provider make.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct SecretArgs {
    /// Take the new secret from stdin (`-`), where a person has had the provider make it
    ///
    /// For providers without a call that rotates, and for `hand/NAME`, which is any endpoint. On a terminal it is asked for, and
    /// not shown. It is sealed before anything else is done; it never stands on a command line.
    #[arg(long, value_name = "-", value_parser = dash)]
    pub secret: Option<Stdin>,
}

/// What `-` stands for.
#[derive(Clone, Copy, Debug)]
pub struct Stdin;

fn dash(text: &str) -> Result<Stdin, String> {
    // Whatever stands there may be the secret, and is not repeated.
    if text == "-" {
        Ok(Stdin)
    } else {
        Err("it is not taken from the command line: give `-`, and pipe it in".to_owned())
    }
}

impl SecretArgs {
    /// Whether it comes out of a pipe, and nobody is asked for it.
    pub fn is_piped(self) -> bool {
        self.secret.is_some() && !std::io::stdin().is_terminal()
    }
}

/// The one step of a person that comes before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StepBefore {
    Prepare,
}

impl BeginArgs {
    /// These options as they begin a rotation of a target.
    pub fn begin<'a>(&'a self, command: &'static str, options: &'a TargetOptions, intent: Intent<'a>) -> Begin<'a> {
        let intent = Intent {
            idempotency_key: self.idempotency_key.as_deref(),
            api_key_file: options.api_key_file.as_deref(),
            probe_first: self.probe_first,
            giver: if self.secret.is_piped() { Giver::AtHand } else { Giver::Nobody },
            ..intent
        };
        Begin {
            command,
            intent,
            confirm: self.confirm.first().map(String::as_str),
            dry_run: self.dry_run,
            detach: self.detach,
        }
    }

    /// What is decided before anybody is asked.
    pub fn answers(&self, session: &Session) -> Answers {
        let done = self.done.map(|StepBefore::Prepare| Step::Prepare);
        let (may_ask, is_piped) = (session.may_ask(), self.secret.is_piped());
        Answers { done: done.into_iter().collect(), may_ask, is_piped, ..Answers::default() }
    }
}
