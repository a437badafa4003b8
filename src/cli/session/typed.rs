//! Commands as they are typed here, and errors whose hints name them.

use std::env;
use std::path::Path;

use super::super::exit::{self, Fault};
use super::super::options::TargetOptions;
use super::Session;
use crate::advice::{Advice, Command, On, Verb};
use crate::config::Target;
use crate::operation::Error;
use crate::rotation::Plan;
use crate::shell;

/// Writes commands as they are typed here: what was typed to find config and state is repeated.
#[derive(Clone, Debug)]
pub(super) struct Typist {
    repeated: Vec<String>,
    comes_back_with: Option<String>,
}

impl Typist {
    fn come_back(&self, command: &str, target: &str) -> String {
        if let Some(fixed) = &self.comes_back_with {
            return fixed.clone();
        }
        let typed = ["whsec".to_owned(), command.to_owned()];
        let words = typed.into_iter().chain(self.repeated.clone()).chain([shell::quoted(target)]);
        words.collect::<Vec<_>>().join(" ")
    }

    /// A command of an advice; `None` where it says all there is, or the target at hand is not known.
    pub(super) fn typed(&self, command: &Command, target: Option<&str>) -> Option<String> {
        let target = match &command.on {
            On::Here => target?,
            On::Target(name) => name,
            On::Nothing | On::Words(_) => return None,
        };
        Some(self.come_back(command.verb.name(), target) + &command.options())
    }
}

impl Session {
    /// The command line that comes back to a target.
    pub fn come_back(&self, command: &str, target: &str) -> String {
        // Where there is no current folder, what was typed is all there is.
        let current = self.folders().map(|folders| folders.current.clone()).unwrap_or_default();
        self.typist(&current).come_back(command, target)
    }

    /// Writes commands as they are typed here.
    pub(super) fn typist(&self, current: &Path) -> Typist {
        let mut repeated = Vec::new();
        for (flag, path) in [("--config", &self.global.config), ("--state-dir", &self.global.state_dir)] {
            // What the environment says, it will say again.
            let variable =
                env::var_os(format!("WHSEC_{}", flag.trim_start_matches('-').to_uppercase().replace('-', "_")));
            if let Some(path) = path.as_ref().filter(|path| variable.as_deref() != Some(path.as_os_str())) {
                // Absolute, because the colleague who takes over is in another folder.
                repeated.extend([flag.to_owned(), shell::quoted(&current.join(path).to_string_lossy())]);
            }
        }
        Typist { repeated, comes_back_with: self.comes_back_with.clone() }
    }

    /// The command line that acts on the endpoint of a rotation which is over. Where the config has no such target, provider, ids,
    /// address and stores stand for it, as the journal knows them.
    pub fn again(&self, command: &str, plan: &Plan) -> String {
        let configured = self.config().is_ok_and(|config| config.has(&plan.target));
        let same = |target: Target| target.endpoint.key() == plan.endpoint_key;
        let is_named = || configured && self.target(&plan.target, &TargetOptions::default()).is_ok_and(same);
        if self.comes_back_with.is_some() || is_named() {
            return self.come_back(command, &plan.target);
        }
        let ids: Vec<&str> = plan.ids.iter().map(|id| id.value.as_str()).collect();
        let mut words = vec![self.come_back(command, &format!("{}/{}", plan.provider, ids.join("/")))];
        let usual = self.catalog().ok().and_then(|catalog| catalog.get(&plan.provider).ok());
        if usual.and_then(|provider| Some(provider.base_url()?.to_string())).as_ref() != Some(&plan.base_url) {
            words.extend(["--base-url".to_owned(), self.quoted(&plan.base_url)]);
        }
        for store in &plan.stores {
            words.extend(["--store".to_owned(), self.quoted(&store.reference)]);
        }
        words.join(" ")
    }

    /// An error in words, with the target that is known here and not where it arose.
    pub fn fault(&self, error: &anyhow::Error, target: Option<&str>) -> Fault {
        let mut fault = exit::report(error);
        fault.hint = fault.hint.map(|hint| hint.written(&|command| self.typed(command, target)));
        fault
    }

    /// An advice about a rotation, with its commands as they are typed here. Once it is closed, nothing remembers an endpoint that
    /// the config does not have.
    pub fn written_of(&self, advice: Advice, plan: &Plan) -> Advice {
        advice.written(&|command| match (command.verb, &command.on) {
            (verb @ Verb::Rotate, On::Here) => Some(self.again(verb.name(), plan) + &command.options()),
            _ => self.typed(command, Some(&plan.target)),
        })
    }

    /// The same of an operation's error.
    pub fn fault_of(&self, error: &Error, target: Option<&str>) -> Fault {
        let hint = error.advice().map(|advice| advice.written(&|command| self.typed(command, target)));
        Fault { exit: error.kind().into(), message: error.words(), hint }
    }

    /// A command as it is typed here.
    pub fn written_out(&self, command: &Command) -> String {
        self.typed(command, None).unwrap_or_else(|| command.to_string())
    }

    /// An advice with its commands as they are typed here, as far as it names their targets.
    pub fn written(&self, advice: Advice) -> String {
        advice.written(&|command| self.typed(command, None)).to_string()
    }

    /// A command of an advice as it is typed here; `None` where it says all there is, or the target at hand is not known.
    pub fn typed(&self, command: &Command, target: Option<&str>) -> Option<String> {
        let current = self.folders().map(|folders| folders.current.clone()).unwrap_or_default();
        self.typist(&current).typed(command, target)
    }

    /// A word as it is typed in a shell.
    pub fn quoted(&self, word: &str) -> String {
        shell::quoted(word)
    }
}
