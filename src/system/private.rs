//! Files and folders of the tool's own: closed to everybody else, and replaced as durably as any other.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::FileError;
use super::admission;
use super::folder::Folder;
use super::replace::{Place, Wanted};
use super::way::Way;

/// Makes a folder, closed to everybody else, whose entry outlasts a power cut.
pub fn folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    path.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
}

/// Whether nothing can be written into a folder: its disk is mounted read-only, or its mode says so.
pub fn is_read_only(folder: &Path) -> bool {
    use rustix::fs::{Access, access};
    use rustix::io::Errno;
    access(folder, Access::WRITE_OK).is_err_and(|error| matches!(error, Errno::ROFS | Errno::ACCESS))
}

/// Writes a file, such as a seal.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    edit(path, |_| Some(Zeroizing::new(bytes.to_vec())))
}

/// Changes a file: `change` is given what is there, and says what is to be there, or `None` to leave it.
pub fn edit(path: &Path, mut change: impl FnMut(Option<&[u8]>) -> Option<Zeroizing<Vec<u8>>>) -> Result<(), FileError> {
    Place::new(path.to_owned()).edit(|found| Ok(change(found).map_or(Wanted::Same, Wanted::Content)))
}

/// What a file holds, and whether its owner is this user and nobody else can read or write it; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<(Zeroizing<String>, bool)>, FileError> {
    let found = match admission::read(path) {
        // Nor is there one where there is no folder yet.
        Err(error) if error.is_not_found() => None,
        found => found?,
    };
    let Some(found) = found else { return Ok(None) };
    let text = Zeroizing::new(String::from_utf8_lossy(&found.bytes).into_owned());
    Ok(Some((text, admission::is_private(&found.metadata))))
}

/// Removes what writers that were cut off have left in a folder that whsec has to itself.
pub fn tidy(folder: &Path) -> Result<(), FileError> {
    let way = Way::find(&folder.join("any"))?;
    way.judge(None)?;
    Folder::lock(&way)?.remove_all_leftovers()
}
