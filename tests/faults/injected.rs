//! Promises 8 to 11: each write, sync, rename, removal and opening of a file fails once, or from then on, before the call
//! and after it. What is asserted is what the provider counted, what the stores hold, and that `cutover` completes it.

use std::sync::atomic::{AtomicUsize, Ordering};

use memchr::memmem;
use nix::errno::Errno;

use crate::breaker::{self, Broken, Fault};
use crate::ensure;
use crate::scene::{Kind, Scene};
use crate::tally::{Case, Dice, is_full, sweep};

/// Faults before the call, after it, those after which the secret was nowhere and the tool said so, and those that were
/// drawn again.
static BEFORE: AtomicUsize = AtomicUsize::new(0);
static AFTER: AtomicUsize = AtomicUsize::new(0);
static NOWHERE: AtomicUsize = AtomicUsize::new(0);
static AGAIN: AtomicUsize = AtomicUsize::new(0);

/// How often a fault is drawn until it hits something.
const DRAWS: usize = 8;

fn rotate(scene: &Scene, fault: Option<&Fault>) -> Broken {
    let id = scene.sandbox.id();
    let arguments = ["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--json", "--timeout", "20s"];
    breaker::run(&scene.sandbox, fault, &arguments)
}

/// Whether this secret is in a file other than the store's own.
fn strays(scene: &Scene, kind: Kind) -> Option<String> {
    let newest = scene.sandbox.newest();
    let work = scene.sandbox.path("work");
    let own = kind.file(&work);
    let slots = ["", ".next", ".previous"].map(|slot| format!("{}{slot}", own.display()));
    let found = scene.sandbox.all_files().into_iter().find(|(path, bytes)| {
        !slots.contains(&path.display().to_string()) && memmem::find(bytes, newest.expose().as_bytes()).is_some()
    });
    found.map(|(path, _)| path.display().to_string())
}

/// A run may make fewer calls of a name than the one that they were counted in: a fault that hits nothing is drawn again, out
/// of those that there were, and is no case before it hits.
fn drive(provider: &str, kind: Kind, fault: &Fault) -> Result<(), String> {
    let mut at = fault.at;
    for _ in 0..DRAWS {
        let made = match attempt(provider, kind, &Fault { at, ..fault.clone() })? {
            Attempt::Hit => return Ok(()),
            Attempt::Missed { made } => made,
        };
        AGAIN.fetch_add(1, Ordering::Relaxed);
        at = 1 + at % made.max(1);
    }
    Err(format!("hit nothing in {DRAWS} runs"))
}

/// What came of one run.
enum Attempt {
    Hit,
    /// So many calls of the name were made, and the fault was for a later one.
    Missed {
        made: usize,
    },
}

/// One run with a fault.
fn attempt(provider: &str, kind: Kind, fault: &Fault) -> Result<Attempt, String> {
    let scene = new(provider, kind);
    let work = scene.sandbox.path("work");
    let old = kind.slot(&work, "")?;
    let whole = std::fs::read(kind.file(&work)).unwrap();
    let broken = rotate(&scene, Some(fault));
    let Some(hit) = broken.hit else {
        return Ok(Attempt::Missed { made: broken.calls.iter().filter(|(call, _)| *call == fault.call).count() });
    };
    let code = broken.run.code;
    let said = format!("exit {code} after {}\n{}", hit.display(), broken.run.stderr);
    ensure!(!matches!(code, 101 | 134 | -1), "a panic: {said}");
    let newest = scene.sandbox.newest();
    let new = Some(newest.expose().to_owned());
    if scene.sandbox.rotations() == 0 {
        BEFORE.fetch_add(1, Ordering::Relaxed);
        ensure!(scene.server.arrivals() == 0, "a rotate call was made: {said}");
        let of_a_store = hit.starts_with(&work);
        let expected: &[i32] = if of_a_store { &[6] } else { &[1, 2, 3, 6] };
        ensure!(expected.contains(&code), "{said}");
        ensure!(kind.slot(&work, "")? == old, "the live slot changed: {said}");
        let again = scene.rotate("20s")?.run;
        if again.code == 5 {
            // The journal took the record that a call is about to be made, and said that it did not.
            ensure!(scene.status()? == "unknown", "in the way: {}", again.stderr);
            return Ok(Attempt::Hit);
        }
        ensure!(again.code == 0, "not free to rotate later, {}:\n{}\nafter {said}", again.code, again.stderr);
    } else {
        AFTER.fetch_add(1, Ordering::Relaxed);
        ensure!(matches!(code, 0 | 7 | 8), "{said}");
        let live = kind.slot(&work, "")?;
        ensure!(live == old || live == new, "the live slot is neither old nor new: {said}");
        if provider == "layers" {
            ensure!(live == old, "the live slot changed: {said}");
            let text = std::fs::read(kind.file(&work)).unwrap();
            ensure!(kind != Kind::File || text == whole, "the live file changed: {said}");
        }
        let cutover = scene.run(&["cutover", "hooks", "--timeout", "20s"])?.run;
        if cutover.code == 7 {
            ensure!(code == 7 && !scene.is_idempotent() && fault.stays, "lost: {said}\n{}", cutover.stderr);
            // Where not even that could be recorded, it is said as of one that was cut off.
            let words = ["neither the seal nor a store", "nobody has the new secret yet"];
            let says = words.iter().any(|words| cutover.stderr.contains(words));
            ensure!(says, "it does not say so: {}", cutover.stderr);
            NOWHERE.fetch_add(1, Ordering::Relaxed);
            return Ok(Attempt::Hit);
        }
        ensure!(cutover.code == 11, "cutover came to {}:\n{}\nafter {said}", cutover.code, cutover.stderr);
        ensure!(scene.sandbox.rotations() == 1, "{} rotations", scene.sandbox.rotations());
    }
    let slots = [kind.slot(&work, "")?, kind.slot(&work, "_NEW")?];
    ensure!(slots.contains(&Some(scene.sandbox.newest().expose().to_owned())), "the secret is in no store: {said}");
    let stray = strays(&scene, kind);
    ensure!(stray.is_none(), "the secret is in {stray:?}: {said}");
    Ok(Attempt::Hit)
}

fn new(provider: &str, kind: Kind) -> Scene {
    let scene = Scene::with_own_store(provider, kind);
    // The state folder and the identity are there already, as on any machine but a new one.
    assert_eq!(scene.sandbox.run(&["doctor"]).code, 0);
    scene
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn every_call_to_the_disk_fails() {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for kind in Kind::ALL {
        for provider in ["layers", "signa", "verifa"] {
            let plain = rotate(&new(provider, kind), None);
            assert_eq!(plain.run.code, 0, "{}", plain.run.stderr);
            assert!(plain.calls.len() > 40, "only {} calls were seen", plain.calls.len());
            for (number, (call, _)) in plain.calls.iter().enumerate() {
                let at = 1 + plain.calls[..number].iter().filter(|(other, _)| other == call).count();
                for error in [Errno::EIO, Errno::ENOSPC] {
                    for stays in [false, true] {
                        // A disk on which nothing can be opened or written any more is in `disks`.
                        if stays && matches!(*call, "write" | "openat" | "openat2") {
                            continue;
                        }
                        let fault = Fault { call, at, error, stays };
                        let label = format!("{provider}, {kind:?}, {fault:?}");
                        cases.push((label, Box::new(move || drive(provider, kind, &fault))));
                    }
                }
            }
        }
    }
    if !is_full() {
        cases = Dice::new(8).sample(cases, 90);
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    sweep(9, "EIO and ENOSPC on every call to the disk", cases, || {
        format!(
            "{} before the call (0 rotate calls), {} after it (sealed or stored, completed by cutover); {} nowhere, and said so, \
             where the whole disk failed at a provider that cannot repeat; {} drawn again until they hit",
            count(&BEFORE),
            count(&AFTER),
            count(&NOWHERE),
            count(&AGAIN)
        )
    });
}
