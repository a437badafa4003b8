//! Promise 18: files that whsec makes are for their owner alone, whatever the umask, and nothing is written where somebody
//! else's link, pipe or folder would have it.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ensure;
use crate::scene::{Kind, Scene};
use crate::tally::{Case, skip, sweep};
use memchr::memmem;

const UMASKS: [&str; 3] = ["000", "022", "077"];
const STRANGER: u32 = 65_534;
static FILES: AtomicUsize = AtomicUsize::new(0);

/// What is found where a store's file should be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    /// The user's own file, as an editor leaves it.
    Plain,
    OpenToAll,
    ReadOnly,
    /// The user's own link to the user's own file.
    OwnSymlink,
    ForeignSymlink,
    /// A link to a file that somebody else owns.
    SymlinkToForeign,
    Fifo,
    HardLink,
    ForeignOwner,
    WritableParent,
    ForeignParent,
    Directory,
    /// A link in a loop with itself.
    Loop,
}

const ALL: [Found; 13] = [
    Found::Plain,
    Found::OpenToAll,
    Found::ReadOnly,
    Found::OwnSymlink,
    Found::ForeignSymlink,
    Found::SymlinkToForeign,
    Found::Fifo,
    Found::HardLink,
    Found::ForeignOwner,
    Found::WritableParent,
    Found::ForeignParent,
    Found::Directory,
    Found::Loop,
];

impl Found {
    /// Whether the file is the user's alone to change; root's are all that are in root's own folders.
    fn is_fine(self) -> bool {
        let is_own = matches!(self, Self::Plain | Self::OpenToAll | Self::ReadOnly | Self::OwnSymlink);
        is_own || matches!(self, Self::ForeignOwner | Self::SymlinkToForeign)
    }

    fn is_link(self) -> bool {
        matches!(self, Self::OwnSymlink | Self::SymlinkToForeign)
    }

    fn arrange(self, file: &Path, elsewhere: &Path) {
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        let folder = file.parent().unwrap();
        let other = elsewhere.join("other");
        let to_other = || {
            std::fs::rename(file, &other).unwrap();
            symlink(&other, file).unwrap();
        };
        match self {
            Self::Plain => mode(file, 0o600),
            Self::OpenToAll => mode(file, 0o666),
            Self::ReadOnly => mode(file, 0o400),
            Self::OwnSymlink => to_other(),
            Self::ForeignSymlink => {
                to_other();
                std::os::unix::fs::lchown(file, Some(STRANGER), Some(STRANGER)).unwrap();
            }
            Self::SymlinkToForeign => {
                to_other();
                chown(&other, Some(STRANGER), Some(STRANGER)).unwrap();
            }
            Self::Fifo => {
                std::fs::remove_file(file).unwrap();
                assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
            }
            Self::HardLink => std::fs::hard_link(file, &other).unwrap(),
            Self::ForeignOwner => chown(file, Some(STRANGER), Some(STRANGER)).unwrap(),
            Self::WritableParent => mode(folder, 0o777),
            Self::ForeignParent => chown(folder, Some(STRANGER), Some(STRANGER)).unwrap(),
            Self::Directory => {
                std::fs::remove_file(file).unwrap();
                std::fs::create_dir(file).unwrap();
            }
            Self::Loop => {
                std::fs::remove_file(file).unwrap();
                symlink(file, file).unwrap();
            }
        }
    }
}

/// Mode and content of everything below a folder, links not followed.
fn inventory(folder: &Path) -> Inventory {
    let mut found = BTreeMap::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let bytes = if metadata.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        found.insert(path.clone(), (metadata.mode(), bytes));
        if metadata.is_dir() {
            found.extend(inventory(&path));
        }
    }
    found
}

type Inventory = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// No file or folder of whsec's own is open to anybody else, and no file that it wrote a secret to but where the live one is.
fn all_private(scene: &Scene, before: &Inventory, place: &Path) -> Result<(), String> {
    let state = scene.sandbox.path("state");
    let newest = scene.sandbox.newest();
    // What is beside the live file is as open as that one.
    let live = inventory(place).into_iter().chain(inventory(&scene.sandbox.path("elsewhere")));
    let live = live.filter(|(path, _)| before.contains_key(path)).map(|(_, (mode, _))| mode & 0o077);
    let open = live.fold(0, |open, mode| open | mode);
    for (path, (mode, bytes)) in inventory(&scene.sandbox.path("")) {
        let has_secret = memmem::find(&bytes, newest.expose().as_bytes()).is_some();
        let is_own = (path.starts_with(&state) && path != state) || has_secret;
        if !is_own || before.get(&path) == Some(&(mode, bytes)) {
            continue;
        }
        let is_store = path.starts_with(place) || path.parent() == Some(&scene.sandbox.path("elsewhere"));
        let may_be_open = if is_store { open } else { 0 };
        ensure!(mode & 0o077 & !may_be_open == 0, "{} has mode {:o}", path.display(), mode & 0o7777);
        ensure!(!has_secret || is_store, "a secret is in {}", path.display());
        FILES.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Rotates to the end with this umask.
fn run_with(umask: &str, scene: &Scene, arguments: &[&str]) -> Result<i32, String> {
    let inner = scene.sandbox.command(arguments);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask \"$0\" && exec \"$@\"", umask]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(inner.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    Ok(scene.measure(&mut command)?.run.code)
}

fn drive(umask: &str, kind: Kind, found: Found) -> Result<(), String> {
    let scene = Scene::new("hopae");
    let (place, elsewhere) = (scene.sandbox.path("work/place"), scene.sandbox.path("elsewhere"));
    for folder in [&place, &elsewhere] {
        std::fs::create_dir(folder).unwrap();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    scene.keep_in(kind, &place);
    let file = kind.file(&place);
    found.arrange(&file, &elsewhere);
    let around = || {
        let mut all = inventory(&scene.sandbox.path(""));
        all.retain(|path, _| !path.starts_with(scene.sandbox.path("state")));
        all
    };
    let before = around();
    let first = std::fs::metadata(&file).ok().map(|metadata| metadata.mode());
    let id = scene.sandbox.id();
    let code = run_with(umask, &scene, &["rotate", "hooks", "--confirm", &id, "--done", "prepare"])?;
    if !found.is_fine() {
        ensure!(code == 6, "exit {code} in place of 6");
        ensure!(scene.server.arrivals() == 0, "a rotate call was made");
        ensure!(around() == before, "something was written");
        return all_private(&scene, &before, &place);
    }
    ensure!(code == 0, "exit {code}");
    all_private(&scene, &before, &place)?;
    let code =
        run_with(umask, &scene, &["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"])?;
    ensure!(code == 0, "cutover came to {code}");
    all_private(&scene, &before, &place)?;
    let live = if found.is_link() { elsewhere.join("other") } else { file.clone() };
    let metadata = std::fs::symlink_metadata(&live).unwrap();
    ensure!(metadata.is_file(), "{} is no file any more", live.display());
    ensure!(Some(metadata.mode()) == first, "the store has mode {:o}", metadata.mode() & 0o7777);
    let link = std::fs::symlink_metadata(&file).unwrap();
    ensure!(link.is_symlink() == found.is_link(), "the link is gone");
    let foreign = matches!(found, Found::ForeignOwner | Found::SymlinkToForeign);
    ensure!((metadata.uid() == STRANGER) == foreign, "its owner is {}", metadata.uid());
    let mut left = around();
    left.retain(|path, _| !before.contains_key(path));
    ensure!(left.is_empty(), "left behind: {:?}", left.keys());
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn private_files_stay_private_and_nothing_is_written_elsewhere() {
    let probe = tempfile::NamedTempFile::new().unwrap();
    if chown(probe.path(), Some(STRANGER), Some(STRANGER)).is_err() {
        return skip("private files", "no file can be given to somebody else, which takes root");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for umask in UMASKS {
        for kind in Kind::ALL {
            for found in ALL {
                let label = format!("umask {umask}, {kind:?}, {found:?}");
                cases.push((label, Box::new(move || drive(umask, kind, found))));
            }
        }
    }
    sweep(18, "private files", cases, || {
        let files = FILES.load(Ordering::Relaxed);
        format!("{files} files and folders looked at: none made over 0600 or 0700, 0 writes elsewhere")
    });
}
