//! Promise 18, between look and use: the store's folder becomes somebody's symlink to another folder at a system call of a
//! rotation, and nothing is written there.

use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ensure;
use crate::scene::{Kind, Scene};
use crate::tally::{Case, Dice, is_full, skip, sweep};
use crate::tracer::{self, Act};

const STRANGER: u32 = 65_534;
/// Points of a sample, each with every kind of store.
const SAMPLE: usize = 14;

static MADE: AtomicUsize = AtomicUsize::new(0);

/// A scene with its only store in a folder of its own, and another folder with a file of the same name.
fn scene(kind: Kind) -> Scene {
    let scene = Scene::new("signa");
    for folder in ["work/place", "work/elsewhere"] {
        let folder = scene.sandbox.path(folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    scene.keep_in(kind, &scene.sandbox.path("work/place"));
    let there = kind.file(&scene.sandbox.path("work/elsewhere"));
    std::fs::copy(kind.file(&scene.sandbox.path("work/place")), there).unwrap();
    scene
}

/// Rotates, and swaps the folder at this call; yields how many calls there were.
fn rotate(scene: &Scene, at: u64) -> (u64, i32) {
    let command = scene.sandbox.command(&["rotate", "hooks", "--yes", "--timeout", "5s"]);
    let place = scene.sandbox.path("work/place");
    let traced = tracer::run_with(&command, |call, _| {
        if call == at {
            std::fs::rename(&place, place.with_extension("aside")).unwrap();
            symlink(scene.sandbox.path("work/elsewhere"), &place).unwrap();
            lchown(&place, Some(STRANGER), Some(STRANGER)).unwrap();
            MADE.fetch_add(1, Ordering::Relaxed);
        }
        Act::Pass
    });
    (traced.calls, scene.sandbox.watch(traced.output).code)
}

fn listing(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
}

fn drive(kind: Kind, part: usize, parts: usize) -> Result<(), String> {
    let (calls, code) = rotate(&scene(kind), u64::MAX);
    ensure!(code == 0, "without a swap it comes to {code}");
    let at = calls * u64::try_from(part).unwrap() / u64::try_from(parts).unwrap() + 1;
    let scene = scene(kind);
    let elsewhere = scene.sandbox.path("work/elsewhere");
    let before = listing(&elsewhere);
    let (_, code) = rotate(&scene, at);
    ensure!(listing(&elsewhere) == before, "at call {at} of {calls} something was written elsewhere");
    if scene.sandbox.rotations() == 0 {
        ensure!(matches!(code, 1 | 2 | 6), "exit {code}, and nothing was sent");
        return Ok(());
    }
    let aside = scene.sandbox.path("work/place.aside");
    let aside = if aside.exists() { aside } else { scene.sandbox.path("work/place") };
    let newest = scene.sandbox.newest().expose().to_owned();
    let kept = [kind.slot(&aside, "")?, kind.slot(&aside, "_NEW")?, scene.sealed()];
    ensure!(kept.contains(&Some(newest)), "at call {at} the new secret was lost, exit {code}");
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_swapped_folder_leads_nowhere_else() {
    let probe = tempfile::NamedTempFile::new().unwrap();
    if lchown(probe.path(), Some(STRANGER), None).is_err() {
        return skip("swapped folders", "no link can be given to somebody else, which takes root");
    }
    let parts = if is_full() { 400 } else { SAMPLE };
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut dice = Dice::new(18);
    for kind in Kind::ALL {
        for part in 0..parts {
            // Points all along the way, and others in each sample of another size.
            let (part, parts) = (part * 16 + dice.below(16), parts * 16);
            cases.push((format!("{kind:?}, {part} of {parts}"), Box::new(move || drive(kind, part, parts))));
        }
    }
    sweep(18, "folders swapped for symlinks", cases, || {
        format!(
            "{} swaps in the middle of a rotation: 0 writes elsewhere, 0 secrets lost",
            MADE.load(Ordering::Relaxed)
        )
    });
}
