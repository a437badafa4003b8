//! Who may do what with a file: its owner, group, mode, access list and further attributes, read from one file and given
//! to the one that takes its place.
//!
//! A receiver that runs as another user reads its secret by these. What cannot be kept is named and nothing is replaced.

use std::fs::File;
use std::io;

/// What one file lets others do.
#[derive(PartialEq, Eq)]
pub(super) struct Rights {
    owner: u32,
    group: u32,
    /// The permission bits, with those for set-id and sticky.
    mode: u32,
    attributes: attributes::Attributes,
}

/// Something of a file that its replacement cannot have.
pub(super) struct Unkept {
    /// What it is, as in "its group (1234) cannot be kept".
    pub what: String,
    /// What whoever is in charge of the file can do.
    pub hint: String,
}

impl Rights {
    /// Reads them from an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = file.metadata()?;
        let attributes = attributes::of(file)?;
        Ok(Self { owner: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777, attributes })
    }

    /// Gives them to another file, and looks whether it has them. On failure that file has some of them.
    pub fn give(&self, file: &File) -> Result<(), Unkept> {
        let now = Self::of(file).map_err(|_| self.unkept_mode())?;
        // First, because a change of owner takes bits and capabilities away.
        if (now.owner, now.group) != (self.owner, self.group) {
            self.give_owner(file, &now).map_err(|_| self.unkept_owner(&now))?;
        }
        attributes::give(file, &self.attributes, &now.attributes).map_err(unkept_attribute)?;
        // Last, because an access list sets the bits of the group.
        let mode = rustix::fs::Mode::from_raw_mode(self.mode as rustix::fs::RawMode);
        rustix::fs::fchmod(file, mode).map_err(|_| self.unkept_mode())?;
        let now = Self::of(file).map_err(|_| self.unkept_mode())?;
        if (now.owner, now.group) != (self.owner, self.group) {
            return Err(self.unkept_owner(&now));
        }
        if let Some(name) = attributes::differing(&self.attributes, &now.attributes) {
            return Err(unkept_attribute(name));
        }
        if now.mode == self.mode { Ok(()) } else { Err(self.unkept_mode()) }
    }

    fn give_owner(&self, file: &File, now: &Self) -> io::Result<()> {
        use rustix::fs::{Gid, Uid};
        let owner = (now.owner != self.owner).then(|| Uid::from_raw(self.owner));
        let group = (now.group != self.group).then(|| Gid::from_raw(self.group));
        Ok(rustix::fs::fchown(file, owner, group)?)
    }

    fn unkept_owner(&self, now: &Self) -> Unkept {
        match now.owner == self.owner {
            true => Unkept {
                what: format!("its group ({}) cannot be kept", self.group),
                hint: "run whsec as a member of that group, or `chgrp` the file to a group of yours".into(),
            },
            false => Unkept {
                what: format!("its owner ({}) cannot be kept", self.owner),
                hint: "run whsec as the user who owns the file".into(),
            },
        }
    }

    fn unkept_mode(&self) -> Unkept {
        Unkept {
            what: format!("its mode ({:04o}) cannot be kept", self.mode),
            hint: "does this disk keep modes? otherwise run whsec as the user who owns the file".into(),
        }
    }
}

fn unkept_attribute(name: String) -> Unkept {
    Unkept {
        what: match name == attributes::ACCESS_LIST {
            true => "its access list cannot be kept".to_owned(),
            false => format!("its attribute `{}` cannot be kept", name.escape_debug()),
        },
        hint: "run whsec as a user who may set it, or take it off the file if nothing needs it (`setfattr -x`, `setfacl -b`)".into(),
    }
}

/// Extended attributes, of which the access list is one. macOS and the BSDs keep theirs by other means.
#[cfg(target_os = "linux")]
mod attributes {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io;

    use rustix::buffer::spare_capacity;
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
    use rustix::io::Errno;

    pub type Attributes = BTreeMap<String, Vec<u8>>;

    pub const ACCESS_LIST: &str = "system.posix_acl_access";

    /// Digests of a file's content and of its attributes, which the system makes anew.
    const OF_THIS_FILE: [&str; 2] = ["security.ima", "security.evm"];

    /// The most that the names of one file's attributes take, and the most that a value takes, in bytes.
    const MOST: usize = 64 * 1024;

    /// All that can be seen, by name.
    pub fn of(file: &File) -> io::Result<Attributes> {
        let mut names = Vec::with_capacity(MOST);
        match flistxattr(file, spare_capacity(&mut names)) {
            Ok(_) => {}
            Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Attributes::new()),
            Err(error) => return Err(error.into()),
        }
        let mut found = Attributes::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let name = String::from_utf8_lossy(name).into_owned();
            if OF_THIS_FILE.contains(&name.as_str()) {
                continue;
            }
            let mut value = Vec::with_capacity(MOST);
            match fgetxattr(file, &name, spare_capacity(&mut value)) {
                Ok(_) => drop(found.insert(name, value)),
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Sets what differs. Fails with the name of the first that cannot be set.
    pub fn give(file: &File, wanted: &Attributes, now: &Attributes) -> Result<(), String> {
        if now.contains_key(ACCESS_LIST) && !wanted.contains_key(ACCESS_LIST) {
            // The folder's default list; every other attribute of a new file is the system's own business.
            fremovexattr(file, ACCESS_LIST).map_err(|_| ACCESS_LIST.to_owned())?;
        }
        for (name, value) in wanted.iter().filter(|(name, value)| now.get(*name) != Some(value)) {
            fsetxattr(file, name, value, XattrFlags::empty()).map_err(|_| name.clone())?;
        }
        Ok(())
    }

    /// The name of one that is not as wanted.
    pub fn differing(wanted: &Attributes, now: &Attributes) -> Option<String> {
        let unlike = |name: &&str| wanted.get(*name) != now.get(*name);
        let mut names = wanted.keys().map(String::as_str).chain([ACCESS_LIST]);
        names.find(unlike).map(str::to_owned)
    }
}

#[cfg(not(target_os = "linux"))]
mod attributes {
    use std::fs::File;
    use std::io;

    pub type Attributes = ();

    pub const ACCESS_LIST: &str = "";

    pub fn of(_: &File) -> io::Result<Attributes> {
        Ok(())
    }

    pub fn give(_: &File, (): &Attributes, (): &Attributes) -> Result<(), String> {
        Ok(())
    }

    pub fn differing((): &Attributes, (): &Attributes) -> Option<String> {
        None
    }
}
