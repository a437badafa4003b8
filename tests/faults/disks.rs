//! Promises 8, 9 and 11: the places that keep a secret break, before the call or in the middle of it, and are mended.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::ensure;
use crate::scene::{Kind, Scene};
use crate::server::Act;
use crate::tally::{Case, in_time, skip, sweep};
use memchr::memmem;

/// What happens to a folder.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Full,
    ReadOnly,
    Vanished,
    SymlinkElsewhere,
    ForeignOwner,
    OpenToAll,
    FileInPlaceOfFolder,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::Full,
    Trouble::ReadOnly,
    Trouble::Vanished,
    Trouble::SymlinkElsewhere,
    Trouble::ForeignOwner,
    Trouble::OpenToAll,
    Trouble::FileInPlaceOfFolder,
];

/// A small disk of its own, unmounted at the end.
pub struct Disk(pub PathBuf);

impl Disk {
    pub fn mount(path: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let done =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs"]).arg(&path).output();
        done.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn remount(path: &Path, how: &str) {
    assert!(Command::new("mount").args(["-o", how]).arg(path).status().unwrap().success(), "remounting");
}

fn aside(folder: &Path) -> PathBuf {
    folder.with_extension("aside")
}

/// Fills a disk to its last byte: in blocks, and then in what is left.
fn fill(folder: &Path) {
    for (name, size) in [("filler", 1 << 20), ("rest", 4096)] {
        let _ = std::fs::write(folder.join(name), vec![b'x'; size]);
    }
    assert!(std::fs::write(folder.join("more"), [b'x'; 4096]).is_err(), "the disk is full");
    let _ = std::fs::remove_file(folder.join("more"));
    let _ = std::fs::write(folder.join("more"), []);
}

impl Trouble {
    fn needs_a_disk(self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly)
    }

    fn begin(self, folder: &Path) {
        let mode = |mode| std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        match self {
            Self::Full => fill(folder),
            Self::ReadOnly => remount(folder, "remount,ro"),
            Self::Vanished => std::fs::rename(folder, aside(folder)).unwrap(),
            Self::SymlinkElsewhere => {
                std::fs::rename(folder, aside(folder)).unwrap();
                // Somebody else's symlink, to a place that nobody may write to.
                let elsewhere = folder.with_extension("elsewhere");
                std::fs::create_dir_all(&elsewhere).unwrap();
                std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o777)).unwrap();
                symlink(&elsewhere, folder).unwrap();
            }
            Self::ForeignOwner => chown(folder, Some(65_534), Some(65_534)).unwrap(),
            Self::OpenToAll => mode(0o777),
            Self::FileInPlaceOfFolder => {
                std::fs::rename(folder, aside(folder)).unwrap();
                std::fs::write(folder, "not a folder").unwrap();
            }
        }
    }

    fn end(self, folder: &Path) {
        match self {
            Self::Full => {
                for name in ["filler", "rest", "more"] {
                    let _ = std::fs::remove_file(folder.join(name));
                }
            }
            Self::ReadOnly => remount(folder, "remount,rw"),
            Self::Vanished => std::fs::rename(aside(folder), folder).unwrap(),
            Self::SymlinkElsewhere | Self::FileInPlaceOfFolder => {
                std::fs::remove_file(folder).unwrap();
                std::fs::rename(aside(folder), folder).unwrap();
            }
            Self::ForeignOwner => chown(folder, Some(0), Some(0)).unwrap(),
            Self::OpenToAll => {
                std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
            }
        }
    }
}

/// A scene whose store is in a folder that trouble may come to.
fn prepare(provider: &str, kind: Kind, trouble: Trouble) -> Option<(Scene, Option<Disk>, PathBuf)> {
    let scene = Scene::new(provider);
    let folder = scene.sandbox.path("work/place");
    let disk = if trouble.needs_a_disk() { Some(Disk::mount(folder.clone())?) } else { None };
    std::fs::create_dir_all(&folder).unwrap();
    scene.keep_in(kind, &folder);
    assert_eq!(scene.sandbox.run(&["doctor"]).code, 0);
    Some((scene, disk, folder))
}

fn content(kind: Kind, folder: &Path) -> Option<Vec<u8>> {
    std::fs::read(kind.file(folder)).ok()
}

fn before(provider: &str, kind: Kind, trouble: Trouble) -> Result<Duration, String> {
    let (scene, _disk, folder) = prepare(provider, kind, trouble).ok_or("no disk can be mounted")?;
    let whole = content(kind, &folder);
    trouble.begin(&folder);
    let run = scene.rotate("20s")?;
    ensure!(run.run.code == 6, "exit {} in place of 6:\n{}", run.run.code, run.run.stderr);
    ensure!(scene.server.arrivals() == 0, "a rotate call was made");
    let elsewhere = folder.with_extension("elsewhere");
    let written = std::fs::read_dir(elsewhere).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(!written, "something was written elsewhere");
    trouble.end(&folder);
    ensure!(content(kind, &folder) == whole, "the store changed");
    let later = scene.rotate("20s")?.run;
    ensure!(later.code == 0, "not free to rotate later, {}:\n{}", later.code, later.stderr);
    Ok(run.wall)
}

/// The store breaks when the provider has rotated and not yet answered.
fn after(provider: &str, kind: Kind, trouble: Trouble) -> Result<(), String> {
    let (scene, _disk, folder) = prepare(provider, kind, trouble).ok_or("no disk can be mounted")?;
    let whole = content(kind, &folder);
    let place = folder.clone();
    scene.server.when_done(move || trouble.begin(&place));
    let run = scene.rotate("20s")?.run;
    ensure!(run.code == 8, "exit {} in place of 8:\n{}", run.code, run.stderr);
    let sealed = scene.sealed();
    ensure!(sealed.as_deref() == Some(scene.sandbox.newest().expose()), "it is not sealed");
    let still = scene.run(&["cutover", "hooks", "--timeout", "20s"])?.run.code;
    ensure!(still == 8, "cutover came to {still} in place of 8 while the trouble lasts");
    ensure!(scene.rotate("20s")?.run.code == 5, "a second rotation is not refused");
    trouble.end(&folder);
    ensure!(content(kind, &folder) == whole, "the live slot changed");
    let newest = scene.sandbox.newest();
    let plain = scene
        .sandbox
        .all_files()
        .into_iter()
        .find(|(_, bytes)| memmem::find(bytes, newest.expose().as_bytes()).is_some());
    ensure!(plain.is_none(), "the secret is in plain text in {:?}", plain.map(|(path, _)| path));
    let done = scene.run(&["cutover", "hooks", "--timeout", "20s"])?.run;
    ensure!(done.code == 11, "cutover came to {} in place of 11:\n{}", done.code, done.stderr);
    let slots = [kind.slot(&folder, "")?, kind.slot(&folder, "_NEW")?];
    ensure!(slots.contains(&Some(newest.expose().to_owned())), "the secret is not in the store");
    ensure!(scene.sandbox.rotations() == 1, "{} rotations", scene.sandbox.rotations());
    Ok(())
}

/// The state folder breaks when the provider has rotated and not yet answered.
fn state_after(provider: &str, with_the_store: bool) -> Result<(), String> {
    let scene = Scene::new(provider);
    let folder = scene.sandbox.path("state");
    let _disk = Disk::mount(folder.clone()).ok_or("no disk can be mounted")?;
    let store = if with_the_store { folder.clone() } else { scene.sandbox.path("work") };
    scene.keep_in(Kind::File, &store);
    ensure!(scene.sandbox.run(&["doctor"]).code == 0, "not set up");
    let place = folder.clone();
    scene.server.when_done(move || fill(&place));
    let run = scene.rotate("20s")?.run;
    ensure!(matches!(run.code, 7 | 8), "exit {} where the state folder is full:\n{}", run.code, run.stderr);
    Trouble::Full.end(&folder);
    scene.server.script(&[Act::Honest]);
    let done = scene.run(&["cutover", "hooks", "--timeout", "20s"])?.run;
    if with_the_store && !scene.is_idempotent() && run.code == 7 {
        // Nothing could keep it and nobody can ask again: what is promised is that this is said.
        ensure!(done.code == 7, "cutover came to {}:\n{}", done.code, done.stderr);
        return Ok(());
    }
    ensure!(done.code == 11, "cutover came to {} in place of 11:\n{}", done.code, done.stderr);
    let slots = [Kind::File.slot(&store, "")?, Kind::File.slot(&store, "_NEW")?];
    ensure!(slots.contains(&Some(scene.sandbox.newest().expose().to_owned())), "the secret is not in the store");
    ensure!(scene.sandbox.rotations() == 1, "{} rotations", scene.sandbox.rotations());
    Ok(())
}

fn may_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    Disk::mount(folder.path().join("disk")).is_some()
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_store_in_trouble_before_the_call() {
    if !may_mount() {
        return skip("stores in trouble", "no disk can be mounted, which takes root");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for kind in Kind::ALL {
        for provider in ["layers", "verifa"] {
            for trouble in TROUBLES {
                let label = format!("{provider}, {kind:?}, {trouble:?}");
                cases.push((
                    label,
                    Box::new(move || in_time(Duration::from_secs(3), || before(provider, kind, trouble))),
                ));
            }
        }
    }
    sweep(8, "stores in trouble before the call", cases, || "0 rotate calls, exit 6, each in less than 3 s".to_owned());
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_store_in_trouble_after_the_call() {
    if !may_mount() {
        return skip("stores in trouble", "no disk can be mounted, which takes root");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for provider in ["layers", "verifa"] {
        for kind in Kind::ALL {
            for trouble in TROUBLES {
                let label = format!("{provider}, {kind:?}, {trouble:?}");
                cases.push((label, Box::new(move || after(provider, kind, trouble))));
            }
        }
        for with_the_store in [false, true] {
            let label = format!("{provider}, the state folder full, with the store {with_the_store}");
            cases.push((label, Box::new(move || state_after(provider, with_the_store))));
        }
    }
    sweep(11, "stores in trouble after the call", cases, || {
        "sealed every time, completed by cutover, 0 live bytes changed, 0 plain secrets elsewhere".to_owned()
    });
}

/// A rotation is open when its state folder's disk becomes read-only.
fn state_read_only(cut_off: bool) -> Result<(), String> {
    let scene = Scene::new("layers");
    let folder = scene.sandbox.path("state");
    let _disk = Disk::mount(folder.clone()).ok_or("no disk can be mounted")?;
    scene.keep_in(Kind::Dotenv, &scene.sandbox.path("work"));
    ensure!(scene.rotate("20s")?.run.code == 0, "not rotated");
    let log = scene.sandbox.state().join("journal.sqlite-wal");
    if cut_off {
        std::fs::write(&log, [b'x'; 4096]).unwrap();
    }
    Trouble::ReadOnly.begin(&folder);
    let calls = scene.server.arrivals();
    for line in ["status", "history", "inspect hooks", "fingerprint hooks"] {
        let run = scene.run(&line.split(' ').collect::<Vec<_>>())?.run;
        if cut_off {
            ensure!(run.code == 1, "{line}: exit {}:\n{}", run.code, run.stderr);
            ensure!(run.stderr.contains(&format!("are in `{}`", log.display())), "{line}: {}", run.stderr);
        } else {
            ensure!(run.code == 0, "{line}: exit {}:\n{}", run.code, run.stderr);
        }
    }
    if !cut_off {
        let status = scene.run(&["status"])?.run.stdout;
        ensure!(status.contains("next: deploy"), "the open rotation is not shown:\n{status}");
        let verified = scene.sandbox.run_with_stdin(&["verify", "hooks", "-"], "POST / HTTP/1.1\r\n\r\n{}");
        ensure!(verified.code == 9, "verify: exit {}:\n{}", verified.code, verified.stderr);
    }
    let state = scene.sandbox.state().display().to_string();
    for line in ["rotate hooks --yes", "cutover hooks --done deploy", "finish hooks", "abandon hooks --yes --reason x"]
    {
        let run = scene.run(&line.split(' ').collect::<Vec<_>>())?.run;
        ensure!(run.code == 1, "{line}: exit {}:\n{}", run.code, run.stderr);
        let named = run.stderr.contains(&state) && (cut_off || run.stderr.contains("is read-only"));
        ensure!(named, "{line} does not name the folder:\n{}", run.stderr);
    }
    let doctor = scene.sandbox.run(&["doctor"]);
    ensure!(doctor.stdout.contains(&format!("`{state}` is read-only")), "doctor finds nothing:\n{}", doctor.stdout);
    ensure!(scene.server.arrivals() == calls, "the provider was called");
    Trouble::ReadOnly.end(&folder);
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_state_folder_in_trouble_before_the_call() {
    if !may_mount() {
        return skip("a state folder in trouble", "no disk can be mounted, which takes root");
    }
    let cases: Vec<Case<'_>> = vec![
        ("read-only".to_owned(), Box::new(|| state_read_only(false))),
        ("read-only, cut off before".to_owned(), Box::new(|| state_read_only(true))),
        ("full".to_owned(), Box::new(state_full)),
    ];
    sweep(9, "a state folder in trouble before the call", cases, || {
        "looked at while it is read-only, 0 calls made, the folder named".to_owned()
    });
}

/// The disk of the state folder has no room left before anything is sent.
fn state_full() -> Result<(), String> {
    let scene = Scene::new("layers");
    let folder = scene.sandbox.path("state");
    let _disk = Disk::mount(folder.clone()).ok_or("no disk can be mounted")?;
    ensure!(scene.sandbox.run(&["doctor"]).code == 0, "not set up");
    fill(&folder);
    let run = scene.rotate("20s")?.run;
    ensure!(run.code == 1, "exit {}:\n{}", run.code, run.stderr);
    ensure!(run.stderr.contains("make room on the disk of"), "{}", run.stderr);
    ensure!(scene.server.arrivals() == 0, "a rotate call was made");
    Ok(())
}
