//! Which folders this user's files live in, by the conventions of the system.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Fault};

/// Where things are. The environment is read once.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The user's own config file and provider descriptions; none where the environment names no home.
    pub config_dir: Option<PathBuf>,
    /// Journal, seals, locks and the record of trusted files; none where the environment names no home.
    pub state_dir: Option<PathBuf>,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// Where relative paths on the command line start.
    pub current: PathBuf,
}

impl Folders {
    /// The folders that flags and environment name, all absolute.
    pub fn find(state_dir: Option<&Path>) -> anyhow::Result<Self> {
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
        Ok(Self { config_dir: config.map(|config| config.join("whsec")), state_dir, home, current })
    }

    /// The state folder, made on first use and closed to everybody else. One that is there already is never changed; it is
    /// refused where somebody else could put a journal or a seal into it, as in a folder like `/tmp`.
    pub fn private_state_dir(&self) -> anyhow::Result<&Path> {
        let folder = self.state_dir()?;
        let failed = |what: &str, error: &std::io::Error| {
            let message = format!("cannot {what} the state folder `{}`: {error}", folder.display());
            Fault::new(Exit::Failed, message, "name another one: --state-dir DIR")
        };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
        builder.create(folder).map_err(|error| failed("make", &error))?;
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(folder).map_err(|error| failed("look at", &error))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            let message = format!("the state folder `{}` belongs to another user", folder.display());
            return Err(Fault::new(Exit::Failed, message, "name one of your own: --state-dir DIR"));
        }
        if metadata.mode() & 0o022 != 0 {
            let message = format!("others can write to the state folder `{}`", folder.display());
            return Err(Fault::new(Exit::Failed, message, "close it, `chmod go-w`, or name another: --state-dir DIR"));
        }
        Ok(folder)
    }

    /// The state folder, which may not exist yet.
    pub fn state_dir(&self) -> anyhow::Result<&Path> {
        self.state_dir.as_deref().ok_or_else(|| {
            Fault::new(
                Exit::Usage,
                "there is no home folder for the state",
                "set HOME, or name a folder: --state-dir DIR",
            )
        })
    }

    /// The user's own config file, which may not exist yet.
    pub fn config_file(&self) -> Option<PathBuf> {
        self.config_dir.as_ref().map(|folder| folder.join("config.toml"))
    }

    /// The user's own provider descriptions, which may not exist.
    pub fn providers_dir(&self) -> Option<PathBuf> {
        self.config_dir.as_ref().map(|folder| folder.join("providers"))
    }

    /// The record of trusted files, which may not exist yet.
    pub fn trust_file(&self) -> Option<PathBuf> {
        self.state_dir.as_ref().map(|folder| folder.join("trusted"))
    }
}

/// Refuses a state folder that comes with the checkout in which the command is run: what is trusted, journaled and sealed there
/// would be the checkout's word. A home that is kept in Git itself is no checkout.
fn refuse_in_checkout(state: &Path, current: &Path, home: Option<&Path>) -> anyhow::Result<()> {
    // As far as it exists, without links.
    let real =
        state.ancestors().find_map(|folder| Some(folder.canonicalize().ok()?.join(state.strip_prefix(folder).ok()?)));
    let holds = |folder: &Path| state.starts_with(folder) || real.as_ref().is_some_and(|real| real.starts_with(folder));
    let is_checkout = |folder: &Path| [".git", super::CHECKOUT_FILE].iter().any(|name| folder.join(name).exists());
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
