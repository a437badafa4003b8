//! The way to a file: its folders opened one after the other, each looked at as it is opened.
//!
//! A symlink is followed only where nobody else made it or could put another in its place. What is open stays what it is:
//! a folder that is exchanged for a symlink afterwards leads nowhere else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::FileError;
use super::admission::refused;
use super::opened::{Opened, Standing};

/// Symlinks that are followed one after the other before it counts as a loop.
const LINKS: usize = 16;

/// An open folder, and the name in it that a path comes to. There need not be a file of that name.
pub(super) struct Way {
    pub folder: Opened,
    pub name: OsString,
    /// The path without symlinks, for messages.
    pub path: PathBuf,
    steps: Vec<Step>,
}

/// A folder or a symlink on the way.
struct Step {
    path: PathBuf,
    standing: Standing,
}

impl Way {
    /// Goes along a path. Fails with [`FileFault::Failed`] where a folder is missing, and with
    /// [`FileFault::Refused`] at a symlink that others have a hand in.
    pub fn find(path: &Path) -> Result<Self, FileError> {
        let io = FileError::failed;
        let path = &std::path::absolute(path).map_err(|source| io("find", path, source))?;
        let (mut folder, standing) = Opened::root().map_err(|source| io("find the folder", Path::new("/"), source))?;
        let mut here = PathBuf::from("/");
        let mut steps = vec![Step { path: here.clone(), standing }];
        let mut left = parts(path);
        let mut links = 0;
        while let Some(part) = left.pop() {
            let at = here.join(&part);
            let is_last = left.is_empty() && part != "..";
            if !is_last {
                match folder.folder(&part) {
                    Ok((next, standing)) => {
                        folder = next;
                        // Without symlinks the folder above is that of the path above.
                        if part == ".." {
                            here.pop();
                        } else {
                            here.push(&part);
                        }
                        steps.push(Step { path: here.clone(), standing });
                        continue;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        return Err(io("find the folder", &at, error));
                    }
                    Err(_) => {}
                }
            }
            match folder.link(&part).map_err(|source| io("look at", &at, source))? {
                None if is_last => return Ok(Self { folder, path: at, name: part, steps }),
                None => {
                    let source = std::io::Error::from(std::io::ErrorKind::NotADirectory);
                    return Err(io("find the folder", &at, source));
                }
                Some((to, standing)) => {
                    links += 1;
                    if links > LINKS {
                        return Err(refused(path, "is a symlink in a loop of symlinks", "name the file itself"));
                    }
                    let step = Step { path: at, standing };
                    // Root goes along anybody's, and judges them when it is known whose file they lead to.
                    step.refuse_stranger(Some(step.standing.owner))?;
                    if let Some(around) = steps.iter().rev().find(|step| !step.standing.is_link) {
                        around.refuse_open_to_others()?;
                    }
                    steps.push(step);
                    if to.is_absolute() {
                        (folder, _) = Opened::root().map_err(|source| io("find the folder", Path::new("/"), source))?;
                        here = PathBuf::from("/");
                    }
                    left.extend(parts(&to));
                }
            }
        }
        Err(refused(path, "is not a regular file", "name a file, not a folder, pipe or device"))
    }

    /// Refuses a way on which somebody else could put another file in place of ours: each folder is the user's or root's, and
    /// nobody else writes to it. Root may go to another user's file on folders of that user.
    pub fn judge(&self, owner: Option<u32>) -> Result<(), FileError> {
        for step in &self.steps {
            step.refuse_stranger(owner)?;
            if !step.standing.is_link {
                step.refuse_open_to_others()?;
            }
        }
        Ok(())
    }
}

impl Step {
    fn refuse_stranger(&self, owner: Option<u32>) -> Result<(), FileError> {
        let (what, hint) = match self.standing.is_link {
            _ if self.standing.is_trusted(owner) => return Ok(()),
            true => ("is somebody else's symlink", "name the file it points to"),
            false => (
                "is a folder of another user",
                "it is another user's: choose another folder, or run whsec as that user",
            ),
        };
        Err(refused(&self.path, what, hint))
    }

    fn refuse_open_to_others(&self) -> Result<(), FileError> {
        let bits = match self.standing.open_to_others() {
            None => return Ok(()),
            Some('o') => "o-w",
            Some(_) => "g-w",
        };
        let chmod = format!("chmod {bits} '{}'", self.path.display());
        let hint = match self.standing.is_own() {
            true => chmod,
            false => format!("choose another folder, or as its owner: {chmod}"),
        };
        Err(refused(&self.path, "is a folder that others can write to", &hint))
    }
}

/// What is left to go, the next part last. `..` stays: it is the folder above the one that a symlink led to.
fn parts(path: &Path) -> Vec<OsString> {
    use std::path::Component;
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(part).collect()
}
