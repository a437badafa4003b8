//! What the shell offers for an argument: names of targets and providers. Never fails, never asks, never sends.

use std::path::PathBuf;

use clap_complete::CompletionCandidate;

use super::session::Session;
use super::{ColorWhen, Global};
use crate::ui::{Color, Output};

/// The configured targets, then the providers as the start of an ad hoc one.
pub fn targets() -> Vec<CompletionCandidate> {
    let session = session();
    let named = session.target_names().into_iter().map(CompletionCandidate::new);
    let ad_hoc = providers_with(&session, "/");
    named.chain(ad_hoc).collect()
}

/// The configured targets.
pub fn named_targets() -> Vec<CompletionCandidate> {
    session().target_names().into_iter().map(CompletionCandidate::new).collect()
}

/// The providers.
pub fn providers() -> Vec<CompletionCandidate> {
    providers_with(&session(), "")
}

fn providers_with(session: &Session, end: &str) -> Vec<CompletionCandidate> {
    let Ok(catalog) = session.catalog() else { return Vec::new() };
    let candidate = |name, title: String| CompletionCandidate::new(format!("{name}{end}")).help(Some(title.into()));
    catalog.iter().map(|(name, title, _)| candidate(name, title)).collect()
}

/// A session as the environment alone describes it: the command line is not finished yet.
fn session() -> Session {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let global = Global {
        config: folder("WHSEC_CONFIG"),
        state_dir: folder("WHSEC_STATE_DIR"),
        json: false,
        yes: false,
        no_input: true,
        quiet: true,
        verbose: false,
        color: ColorWhen::Never,
        timeout: None,
    };
    Session::new(global, Output::new(false, true, false, Color::Never))
}
