//! Promise 10: what is reported as stored is there after a power cut, and no cut leaves an empty or a half file.
//!
//! The store is on an ext4 of its own in a file. A copy of that file, taken while the filesystem is mounted, is the disk
//! as it would be found after a cut at that moment: it has what was handed to the disk and not what was still in memory.
//! Mounted elsewhere, its log is replayed as after a cut. The commit that ext4 makes by itself is put off for ten minutes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::ensure;
use crate::scene::{Kind, Scene};
use crate::tally::{Case, one_by_one, skip};
use crate::trace;

static SNAPSHOTS: AtomicUsize = AtomicUsize::new(0);

/// An ext4 in a file, mounted.
struct Disk {
    image: PathBuf,
    at: PathBuf,
}

impl Disk {
    fn make(folder: &Path) -> Option<Self> {
        let (image, at) = (folder.join("disk.img"), folder.join("disk"));
        std::fs::create_dir_all(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
        let made = Command::new("mkfs.ext4").args(["-q", "-b", "1024"]).arg(&image).output();
        made.is_ok_and(|output| output.status.success()).then_some(())?;
        Self { image, at }.mounted("loop,commit=600")
    }

    fn mounted(self, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&self.at).unwrap();
        let done = Command::new("mount").args(["-o", options]).arg(&self.image).arg(&self.at).output();
        done.is_ok_and(|output| output.status.success()).then_some(self)
    }

    /// The disk as it would be found after a cut now.
    fn cut(&self) -> Vec<u8> {
        std::fs::read(&self.image).unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}

/// Mounts a disk as it was after a cut, in a folder of its own.
fn after_cut(bytes: &[u8]) -> (tempfile::TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("cut.img");
    std::fs::write(&image, bytes).unwrap();
    let disk = Disk { image, at: folder.path().join("disk") }.mounted("loop").expect("a disk after a cut mounts");
    (folder, disk)
}

fn scene_on(provider: &str, kind: Kind) -> Option<(Scene, Disk)> {
    let scene = Scene::new(provider);
    let disk = Disk::make(&scene.sandbox.path("work"))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&disk.at, mode).unwrap();
    scene.keep_in(kind, &disk.at);
    // What was there before is on the disk for certain.
    assert!(Command::new("sync").arg("-f").arg(&disk.at).status().unwrap().success());
    Some((scene, disk))
}

/// A cut right after the tool has said that the secret is stored.
fn cut_when_stored(provider: &str, kind: Kind) -> Result<(), String> {
    let (scene, disk) = scene_on(provider, kind).ok_or("no disk")?;
    let run = scene.rotate("20s")?.run;
    let bytes = disk.cut();
    ensure!(run.code == 0, "exit {}:\n{}", run.code, run.stderr);
    SNAPSHOTS.fetch_add(1, Ordering::Relaxed);
    let (_folder, found) = after_cut(&bytes);
    let slots = [kind.slot(&found.at, "")?, kind.slot(&found.at, "_NEW")?];
    let newest = scene.sandbox.newest();
    ensure!(slots.contains(&Some(newest.expose().to_owned())), "stored, and gone after a cut");
    let left = std::fs::read_dir(&found.at).unwrap().filter_map(Result::ok);
    let left: Vec<_> = left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".tmp")).collect();
    ensure!(left.is_empty(), "left after a cut: {left:?}");
    Ok(())
}

/// Cuts all through a run: each of its calls to the disk is held up, and the disk is looked at all the time.
fn cut_all_along(provider: &str, kind: Kind) -> Result<(), String> {
    let (scene, disk) = scene_on(provider, kind).ok_or("no disk")?;
    let old = scene.sandbox.newest().expose().to_owned();
    let over = AtomicBool::new(false);
    let mut cuts = Vec::new();
    let traced = std::thread::scope(|scope| {
        let (disk, over) = (&disk, &over);
        let looker = scope.spawn(move || {
            let mut cuts = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let bytes = disk.cut();
                if cuts.last() != Some(&bytes) {
                    cuts.push(bytes);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            cuts
        });
        let id = scene.sandbox.id();
        let calls = "fsync,fdatasync,rename,renameat,renameat2,linkat,unlink,unlinkat,write,openat";
        let options = ["-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:delay_exit=20000")];
        let traced =
            trace::run(&scene.sandbox, &options, &["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"]);
        over.store(true, Ordering::SeqCst);
        cuts = looker.join().unwrap();
        traced
    });
    ensure!(traced.run.code == 0, "exit {}:\n{}", traced.run.code, traced.run.stderr);
    ensure!(traced.log.contains("(DELAYED)"), "nothing was held up");
    ensure!(cuts.len() > 3, "only {} states of the disk were seen", cuts.len());
    let new = scene.sandbox.newest().expose().to_owned();
    for bytes in cuts {
        SNAPSHOTS.fetch_add(1, Ordering::Relaxed);
        let (_folder, found) = after_cut(&bytes);
        let live = kind.slot(&found.at, "")?.ok_or("the live slot is empty after a cut")?;
        ensure!(live == old || live == new, "the live slot is neither old nor new after a cut");
        for slot in ["_NEW", "_OLD"] {
            let value = kind.slot(&found.at, slot)?;
            let known = |value: &String| *value == old || *value == new || value.starts_with("canary_");
            ensure!(value.as_ref().is_none_or(known), "{slot} holds half of something after a cut");
        }
    }
    Ok(())
}

/// A cut when the secret is only sealed, and in the journal: the state folder is on the disk.
fn cut_when_sealed(provider: &str) -> Result<(), String> {
    let scene = Scene::new(provider);
    let disk = Disk::make(&scene.sandbox.path("work")).ok_or("no disk")?;
    let state = disk.at.join("whsec").display().to_string();
    let place = scene.sandbox.path("work/place");
    std::fs::create_dir(&place).unwrap();
    scene.keep_in(Kind::File, &place);
    let id = scene.sandbox.id();
    let store = place.clone();
    scene.server.when_done(move || std::fs::rename(&store, store.with_extension("aside")).unwrap());
    let arguments = ["--state-dir", &state, "rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"];
    let run = scene.run(&arguments)?.run;
    let bytes = disk.cut();
    ensure!(run.code == 8, "exit {}:\n{}", run.code, run.stderr);
    SNAPSHOTS.fetch_add(1, Ordering::Relaxed);
    std::fs::rename(place.with_extension("aside"), &place).unwrap();
    let (_folder, found) = after_cut(&bytes);
    let state = found.at.join("whsec").display().to_string();
    let run = scene.run(&["--state-dir", &state, "cutover", "hooks"])?.run;
    ensure!(run.code == 11, "cutover came to {} after a cut:\n{}", run.code, run.stderr);
    let newest = Some(scene.sandbox.newest().expose().to_owned());
    let slots = [Kind::File.slot(&place, "")?, Kind::File.slot(&place, "_NEW")?];
    ensure!(slots.contains(&newest), "sealed, and gone after a cut");
    ensure!(scene.server.arrivals() == 1, "the provider was asked again");
    Ok(())
}

/// A cut when the request is on its way: the journal knows of it.
fn cut_when_sent(provider: &str) -> Result<(), String> {
    let scene = Scene::new(provider);
    let disk = std::sync::Arc::new(Disk::make(&scene.sandbox.path("work")).ok_or("no disk")?);
    let state = disk.at.join("whsec").display().to_string();
    let (sender, taken) = std::sync::mpsc::channel();
    let own = std::sync::Arc::clone(&disk);
    scene.server.when_called(move || sender.send(own.cut()).unwrap());
    let id = scene.sandbox.id();
    scene.run(&["--state-dir", &state, "rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"])?;
    let bytes = taken.recv_timeout(Duration::from_secs(5)).map_err(|error| error.to_string())?;
    SNAPSHOTS.fetch_add(1, Ordering::Relaxed);
    let (_folder, found) = after_cut(&bytes);
    let state = found.at.join("whsec").display().to_string();
    let run = scene.run(&["--state-dir", &state, "status", "hooks", "--json"])?.run;
    let status = run.json()["targets"][0]["status"].clone();
    ensure!(status == "unknown", "the journal says {status} after a cut in the middle of the call");
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn the_power_goes() {
    let folder = tempfile::tempdir().unwrap();
    if Disk::make(folder.path()).is_none() {
        return skip("power cuts", "no ext4 can be mounted from a file, which takes root, mkfs.ext4 and loop devices");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for provider in ["layers", "verifa"] {
        for kind in Kind::ALL {
            cases.push((format!("{provider}, {kind:?}, stored"), Box::new(move || cut_when_stored(provider, kind))));
            if trace::is_here() {
                let label = format!("{provider}, {kind:?}, all along");
                cases.push((label, Box::new(move || cut_all_along(provider, kind))));
            }
        }
        cases.push((format!("{provider}, sealed"), Box::new(move || cut_when_sealed(provider))));
        cases.push((format!("{provider}, sent"), Box::new(move || cut_when_sent(provider))));
    }
    one_by_one(10, "power cuts", cases, || {
        format!(
            "{} states of a disk after a cut; stored is stored, 0 empty or half files",
            SNAPSHOTS.load(Ordering::Relaxed)
        )
    });
}
