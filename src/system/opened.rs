//! A folder held open, and what is done to the names in it. No path is gone along a second time.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RawMode, RenameFlags, Stat};
use rustix::io::Errno;

/// Enough to go on from a folder; what is in it need not be readable.
#[cfg(target_os = "linux")]
const PASS: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const PASS: OFlags = OFlags::RDONLY;

/// A folder, open.
pub(super) struct Opened(File);

/// Whose a folder or a symlink is, and who may write to it.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    pub owner: u32,
    group: u32,
    mode: RawMode,
    pub is_link: bool,
}

impl Standing {
    fn of(stat: &Stat) -> Self {
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        Self { owner: stat.st_uid, group: stat.st_gid, mode: stat.st_mode, is_link }
    }

    /// Whether it is the user's or root's own; for root also that of `owner`, whose file it is about.
    pub fn is_trusted(&self, owner: Option<u32>) -> bool {
        let user = rustix::process::geteuid().as_raw();
        self.owner == user || self.owner == 0 || (user == 0 && Some(self.owner) == owner)
    }

    /// Whether the user owns it.
    pub fn is_own(&self) -> bool {
        self.owner == rustix::process::geteuid().as_raw()
    }

    /// Who else may put files in place of others in a folder: `o` for everybody, `g` for its group. In a sticky one nobody
    /// does, as in `/tmp`; and a group is nobody else where the user gave the folder to it, or it is the owner's private one.
    pub fn open_to_others(&self) -> Option<char> {
        let is_sticky = self.mode & 0o1000 != 0;
        let is_own_group = self.is_own() || self.group == self.owner;
        match self.mode {
            _ if is_sticky => None,
            mode if mode & 0o002 != 0 => Some('o'),
            mode if mode & 0o020 != 0 && !is_own_group => Some('g'),
            _ => None,
        }
    }
}

impl Opened {
    /// Where every path begins.
    pub fn root() -> io::Result<(Self, Standing)> {
        let root = rustix::fs::open("/", PASS | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Self::looked_at(root.into())
    }

    /// A folder in this one. Fails for a symlink.
    pub fn folder(&self, name: &OsStr) -> io::Result<(Self, Standing)> {
        let flags = PASS | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::looked_at(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    fn looked_at(folder: File) -> io::Result<(Self, Standing)> {
        let standing = Standing::of(&rustix::fs::fstat(&folder)?);
        Ok((Self(folder), standing))
    }

    /// Where a symlink leads; `None` where there is none of this name.
    #[cfg(target_os = "linux")]
    pub fn link(&self, name: &OsStr) -> io::Result<Option<(PathBuf, Standing)>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(link) => link,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let standing = Standing::of(&rustix::fs::fstat(&link)?);
        if !standing.is_link {
            return Ok(None);
        }
        Ok(Some((path(rustix::fs::readlinkat(&link, "", Vec::new())?), standing)))
    }

    #[cfg(not(target_os = "linux"))]
    pub fn link(&self, name: &OsStr) -> io::Result<Option<(PathBuf, Standing)>> {
        let stat = match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let standing = Standing::of(&stat);
        if !standing.is_link {
            return Ok(None);
        }
        Ok(Some((path(rustix::fs::readlinkat(&self.0, name, Vec::new())?), standing)))
    }

    /// Whose file it is; `None` where there is none.
    pub fn owner(&self, name: &OsStr) -> Option<u32> {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_uid)
    }

    /// The same folder, so that it can be locked, listed and synced.
    pub fn readable(&self) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(&self.0, ".", flags, Mode::empty())?.into()))
    }

    /// Its number on its disk.
    #[cfg(target_os = "linux")]
    pub fn number(&self) -> io::Result<u64> {
        Ok(std::os::unix::fs::MetadataExt::ino(&self.0.metadata()?))
    }

    /// Waits for nobody.
    pub fn try_lock(&self) -> Result<(), std::fs::TryLockError> {
        self.0.try_lock()
    }

    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// The names of regular files in it.
    pub fn files(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            if matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown) {
                names.push(path(entry.file_name().to_owned()).into_os_string());
            }
        }
        Ok(names)
    }

    /// Opens a file to be read: no symlink, and a pipe is not waited for.
    pub fn open(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    /// Makes a file that there was not, for its owner alone.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Gives a file another name, in place of what had it.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// The same where nothing has the other name; fails with `AlreadyExists` otherwise.
    pub fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match rustix::fs::renameat_with(&self.0, from, &self.0, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?;
                self.remove(from)
            }
            done => Ok(done?),
        }
    }

    /// Lets two files have each other's names; `false` where the disk or the kernel cannot.
    pub fn exchange(&self, one: &OsStr, other: &OsStr) -> io::Result<bool> {
        match rustix::fs::renameat_with(&self.0, one, &self.0, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn path(bytes: std::ffi::CString) -> PathBuf {
    PathBuf::from(<OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes.into_bytes()))
}
