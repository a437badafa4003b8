//! Which folders this user's files live in, by the conventions of the system.

use std::env;
use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Fault};
use crate::config::policy::OF_THE_MACHINE;
use crate::operation::Folders;
use crate::operation::context::CHECKOUT_FILE;

/// The folders that flags and environment name, all absolute.
pub fn find(state_dir: Option<&Path>) -> anyhow::Result<Folders> {
    let current = env::current_dir().map_err(|_| {
        Fault::new(Exit::Usage, "the current folder is gone", "go to one that exists, then run it again")
    })?;
    let home = absolute("HOME");
    let (config, state) = if cfg!(target_os = "macos") {
        let support = home.as_ref().map(|home| home.join("Library/Application Support"));
        (support.clone(), support)
    } else {
        let below_home = |part: &str| home.as_ref().map(|home| home.join(part));
        (
            absolute("XDG_CONFIG_HOME").or_else(|| below_home(".config")),
            absolute("XDG_STATE_HOME").or_else(|| below_home(".local/state")),
        )
    };
    if let Some(given) = state_dir.filter(|given| given.is_relative()) {
        let message =
            format!("the state folder `{}` is relative, so every folder would bring its own", given.display());
        return Err(Fault::new(Exit::Usage, message, "name it from the root: --state-dir /…, or WHSEC_STATE_DIR"));
    }
    let usual = home.as_ref().map(|home| home.join(".local/state"));
    let is_named = state_dir.is_some() || state != usual;
    let state_dir = state_dir.map(Path::to_owned).or_else(|| state.map(|state| state.join("whsec")));
    if let Some(state) = state_dir.as_deref().filter(|_| is_named) {
        refuse_in_checkout(state, &current, home.as_deref())?;
    }
    let policy_file = Some(PathBuf::from(OF_THE_MACHINE));
    Ok(Folders { config_dir: config.map(|config| config.join("whsec")), state_dir, policy_file, home, current })
}

/// Refuses a state folder that comes with the checkout in which the command is run: what is trusted, journaled and sealed there
/// would be the checkout's word. A home that is kept in Git itself is no checkout.
fn refuse_in_checkout(state: &Path, current: &Path, home: Option<&Path>) -> anyhow::Result<()> {
    // As far as it exists, without links.
    let real =
        state.ancestors().find_map(|folder| Some(folder.canonicalize().ok()?.join(state.strip_prefix(folder).ok()?)));
    let holds = |folder: &Path| state.starts_with(folder) || real.as_ref().is_some_and(|real| real.starts_with(folder));
    let is_checkout = |folder: &Path| [".git", CHECKOUT_FILE].iter().any(|name| folder.join(name).exists());
    let is_above_home = |folder: &Path| home.is_some_and(|home| home.starts_with(folder));
    match current.ancestors().find(|folder| holds(folder) && !is_above_home(folder) && is_checkout(folder)) {
        None => Ok(()),
        Some(checkout) => {
            let (state, checkout) = (state.display(), checkout.display());
            let message =
                format!("the state folder `{state}` lies in the checkout `{checkout}`, which could bring its own");
            Err(Fault::new(Exit::Usage, message, "keep it elsewhere: --state-dir DIR, or WHSEC_STATE_DIR"))
        }
    }
}

/// A folder that a variable names; relative ones do not count, as the XDG specification has it.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
