//! Where files live.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Error, Kind, Stop};

/// Where things are, all absolute.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The user's own config file and provider descriptions; none where nobody names a home.
    pub config_dir: Option<PathBuf>,
    /// Journal, seals, locks and the record of trusted files; none where nobody names a home.
    pub state_dir: Option<PathBuf>,
    /// The rules of this machine, which may not exist; none where nothing of it is touched.
    pub policy_file: Option<PathBuf>,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// Where relative paths start.
    pub current: PathBuf,
}

impl Folders {
    /// The state folder, made on first use and closed to everybody else. One that is there already is never changed; it is
    /// refused where somebody else could put a journal or a seal into it, as in a folder like `/tmp`.
    pub fn private_state_dir(&self) -> Result<&Path, Error> {
        let folder = self.state_dir()?;
        let failed = |what: &str, error: &std::io::Error| {
            let message = format!("cannot {what} the state folder `{}`: {error}", folder.display());
            Stop::new(Kind::Failed, message, "name another one: --state-dir DIR")
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
            return Err(Stop::new(Kind::Failed, message, "name one of your own: --state-dir DIR"));
        }
        if metadata.mode() & 0o022 != 0 {
            let message = format!("others can write to the state folder `{}`", folder.display());
            return Err(Stop::new(Kind::Failed, message, "close it, `chmod go-w`, or name another: --state-dir DIR"));
        }
        Ok(folder)
    }

    /// The state folder, which may not exist yet.
    pub fn state_dir(&self) -> Result<&Path, Error> {
        self.state_dir.as_deref().ok_or_else(|| {
            Stop::new(
                Kind::Usage,
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
