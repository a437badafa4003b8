//! What a command line brings to every operation: a context that is made of flags and environment, somebody who may be asked,
//! and signals.
//!
//! The only place that reads the environment and the clock. Everything is read once, when it is first asked for.

use std::cell::OnceCell;
use std::env;
use std::sync::Arc;

use jiff::Timestamp;

use super::Global;
use super::options::TargetOptions;
use super::signals::Signals;
use crate::advice::Advice;
use crate::config::{Config, Target};
use crate::http;
use crate::operation::context::{Files, World};
use crate::operation::journal::VARIABLE as SHARED_JOURNAL;
use crate::operation::{Context, Folders, Note, find, shared};
use crate::provider::Catalog;
use crate::provider::pace::Paces;
use crate::system::program;
use crate::ui::Output;

mod folders;
mod typed;

/// One run of the command line.
#[derive(Debug)]
pub struct Session {
    pub output: Output,
    pub global: Global,
    /// The command to come back with where there is nothing to come back to, as in a rehearsal.
    pub comes_back_with: Option<String>,
    /// Whether others are at work beside it, on other targets.
    pub is_one_of_many: bool,
    context: OnceCell<Context>,
    signals: OnceCell<Signals>,
}

/// What sessions share that are at work side by side.
#[derive(Clone)]
pub struct Crew {
    global: Global,
    signals: Signals,
    files: Files,
    paces: Option<Arc<Paces>>,
}

impl Crew {
    /// Whether a signal has arrived.
    pub fn has_arrived(&self) -> bool {
        self.signals.arrived()
    }

    /// One of them. Nobody is asked; what was agreed to for all of them is agreed to.
    pub fn member(&self, output: Output, yes: bool) -> anyhow::Result<Session> {
        let global = Global { no_input: true, yes, ..self.global.clone() };
        let session = Session { is_one_of_many: true, ..Session::new(global, output) };
        let context = Context::with_files(session.world(self.paces.clone())?, self.files.clone());
        drop(session.context.set(context));
        drop(session.signals.set(self.signals.alone()));
        Ok(session)
    }
}

impl Session {
    /// A session that has looked at nothing yet.
    pub fn new(global: Global, output: Output) -> Self {
        let (context, signals) = (OnceCell::new(), OnceCell::new());
        Self { output, global, comes_back_with: None, is_one_of_many: false, context, signals }
    }

    /// What several of them share who are at work on a target each.
    pub fn crew(&self, paces: Option<Arc<Paces>>) -> anyhow::Result<Crew> {
        let context = self.context()?;
        let files = context.files(shared::neighbours(context, &find::journal(context)?)?)?;
        Ok(Crew { global: self.global.clone(), signals: self.signals()?.clone(), files, paces })
    }

    /// What operations need.
    pub fn context(&self) -> anyhow::Result<&Context> {
        if let Some(context) = self.context.get() {
            return Ok(context);
        }
        let context = Context::new(self.world(None)?);
        Ok(self.context.get_or_init(|| context))
    }

    fn world(&self, paces: Option<Arc<Paces>>) -> anyhow::Result<World> {
        let folders = folders::find(self.global.state_dir.as_deref())?;
        let (output, typist) = (self.output.clone(), self.typist(&folders.current));
        let words = move |advice: Advice| advice.written(&|command| typist.typed(command, None)).to_string();
        let hear = move |note: Note| match note {
            Note::Warning(advice) => output.warn(&words(advice)),
            Note::Said(advice) => output.say(&words(advice)),
            Note::Detail(advice) => output.detail(&words(advice)),
        };
        // What is rehearsed is recorded nowhere else, and nobody's rotation.
        let is_rehearsed = self.comes_back_with.is_some();
        let policy_file = folders.policy_file.filter(|_| !is_rehearsed);
        let folders = Folders { policy_file, ..folders };
        Ok(World {
            config_file: self.global.config.as_ref().map(|path| folders.current.join(path)),
            folders,
            timeout: self.global.timeout,
            actor: actor(),
            clock: Timestamp::now,
            variables: Arc::new(move |name| env::var_os(name).filter(|_| !is_rehearsed || name != SHARED_JOURNAL)),
            has_other_output: self.output.is_json(),
            paces,
            hear: Arc::new(hear),
        })
    }

    /// The same for an operation that acts: signals are caught from here on.
    pub fn operating(&self) -> anyhow::Result<&Context> {
        self.signals()?;
        self.context()
    }

    /// The signals of this process, caught from the first time that they are asked for.
    pub fn signals(&self) -> std::io::Result<&Signals> {
        if let Some(signals) = self.signals.get() {
            return Ok(signals);
        }
        let signals = Signals::arm(&self.output)?;
        Ok(self.signals.get_or_init(|| signals))
    }

    /// Where files live.
    pub fn folders(&self) -> anyhow::Result<&Folders> {
        Ok(self.context()?.folders())
    }

    /// The providers that are built in and the user's own.
    pub fn catalog(&self) -> anyhow::Result<&Catalog> {
        Ok(self.context()?.catalog()?)
    }

    /// What the config files say.
    pub fn config(&self) -> anyhow::Result<&Config> {
        Ok(self.context()?.config()?)
    }

    /// Why a target cannot be used as it is configured; nothing where it can, or is not configured at all.
    pub fn trouble(&self, name: &str) -> Option<anyhow::Error> {
        match self.context() {
            Ok(context) => context.trouble(name).map(Into::into),
            Err(error) => Some(error),
        }
    }

    /// The target of this name or the ad hoc one, with what the flags say in place of what the files say.
    pub fn target(&self, name: &str, options: &TargetOptions) -> anyhow::Result<Target> {
        Ok(self.context()?.target(name, &options.overrides())?)
    }

    /// The names of the configured targets; none where the config cannot be read, as completion must not fail.
    pub fn target_names(&self) -> Vec<String> {
        self.config().map(|config| config.names().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// Whether somebody is there to answer questions.
    pub fn may_ask(&self) -> bool {
        self.output.is_terminal() && !self.global.no_input
    }

    /// The local clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Takes from the environment what holds for the whole process: where programs are looked up, and whether it could show a key.
pub fn heed_environment() {
    let path = env::var_os("PATH").unwrap_or_default();
    program::search_in(env::split_paths(&path));
    let names =
        |variables: &[&str]| variables.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    let authorities = names(&["SSL_CERT_FILE", "SSL_CERT_DIR"]);
    http::distrust_environment(authorities && names(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]));
}

/// Who runs this, as `user@host`, for the journal.
fn actor() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(user_id);
    crate::provider::plain_text(&format!("{user}@{}", host()))
}

fn user_id() -> String {
    format!("uid{}", rustix::process::geteuid().as_raw())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
