//! Promises 8 to 11: each write, sync, rename, removal and opening of a file fails once, or from then on, before the call
//! and after it. What is asserted is what the provider counted, what the stores hold, and that `cutover` completes it.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ensure;
use crate::scene::{Kind, Scene};
use crate::tally::{Case, Dice, is_full, skip, sweep};
use crate::trace::{self, CALLS};

/// Faults before the call, after it, those after which the secret was nowhere and the tool said so, and those that hit no
/// file.
static BEFORE: AtomicUsize = AtomicUsize::new(0);
static AFTER: AtomicUsize = AtomicUsize::new(0);
static NOWHERE: AtomicUsize = AtomicUsize::new(0);
static MISSED: AtomicUsize = AtomicUsize::new(0);

/// How often all the numbers around a fault's are tried.
const ROUNDS: usize = 3;
/// One fault in so many may hit no file.
const MISSES: usize = 100;

/// One fault.
#[derive(Clone, Debug)]
struct Fault {
    call: &'static str,
    at: usize,
    error: &'static str,
    /// Whether every later call of this name fails as well.
    stays: bool,
}

fn rotate(scene: &Scene, options: &[&str]) -> trace::Traced {
    let id = scene.sandbox.id();
    let set = format!("trace={}", CALLS.join(","));
    let options = [&["-e", &set], options].concat();
    trace::run(&scene.sandbox, &options, &["rotate", "hooks", "--yes", "--confirm", &id, "--json", "--timeout", "5s"])
}

/// Whether this secret is in a file other than the store's own.
fn strays(scene: &Scene, kind: Kind) -> Option<String> {
    let newest = scene.sandbox.newest();
    let work = scene.sandbox.path("work");
    let own = kind.file(&work);
    let slots = ["", ".next", ".previous"].map(|slot| format!("{}{slot}", own.display()));
    let found = scene.sandbox.all_files().into_iter().find(|(path, bytes)| {
        !slots.contains(&path.display().to_string())
            && bytes.windows(newest.len()).any(|window| window == newest.expose().as_bytes())
    });
    found.map(|(path, _)| path.display().to_string())
}

/// The number of a call shifts from run to run, as threads wake each other by writes, the more so the busier the machine
/// is: a fault that hit no file is tried at the numbers around it, and counted where none of them does.
fn drive(provider: &str, kind: Kind, fault: &Fault) -> Result<(), String> {
    for shift in [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5].repeat(ROUNDS) {
        let at = fault.at.saturating_add_signed(shift).max(1);
        if attempt(provider, kind, &Fault { at, ..fault.clone() })? {
            return Ok(());
        }
    }
    MISSED.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// One run with a fault; whether it hit a file of the state or the store.
fn attempt(provider: &str, kind: Kind, fault: &Fault) -> Result<bool, String> {
    let scene = new(provider, kind);
    let work = scene.sandbox.path("work");
    let old = kind.slot(&work, "")?;
    let whole = std::fs::read(kind.file(&work)).unwrap();
    let plus = if fault.stays { "+" } else { "" };
    let inject = format!("inject={}:error={}:when={}{plus}", fault.call, fault.error, fault.at);
    let traced = rotate(&scene, &["-e", &inject]);
    let hits = traced.injected();
    let Some(place) = hits.first().map(|line| (*line).to_owned()) else { return Ok(false) };
    let root = scene.sandbox.path("");
    if !["state/", "work/"].iter().any(|name| place.contains(&format!("{}{name}", root.display()))) {
        return Ok(false);
    }
    let code = traced.run.code;
    let said = format!("exit {code} after {place}\n{}", traced.run.stderr);
    ensure!(!matches!(code, 101 | 134 | -1), "a panic: {said}");
    let newest = scene.sandbox.newest();
    let new = Some(newest.expose().to_owned());
    if scene.sandbox.rotations() == 0 {
        BEFORE.fetch_add(1, Ordering::Relaxed);
        ensure!(scene.server.arrivals() == 0, "a rotate call was made: {said}");
        let of_a_store = place.contains(&format!("{}/", work.display()));
        let expected: &[i32] = if of_a_store { &[6] } else { &[1, 2, 3, 6] };
        ensure!(expected.contains(&code), "{said}");
        ensure!(kind.slot(&work, "")? == old, "the live slot changed: {said}");
        let again = scene.rotate("5s")?.run;
        if again.code == 5 {
            // The journal took the record that a call is about to be made, and said that it did not.
            ensure!(scene.status()? == "unknown", "in the way: {}", again.stderr);
            return Ok(true);
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
        let cutover = scene.run(&["cutover", "hooks", "--timeout", "5s"])?.run;
        if cutover.code == 7 {
            ensure!(code == 7 && !scene.is_idempotent() && fault.stays, "lost: {said}\n{}", cutover.stderr);
            ensure!(cutover.stderr.contains("neither the seal nor a store"), "it does not say so: {}", cutover.stderr);
            NOWHERE.fetch_add(1, Ordering::Relaxed);
            return Ok(true);
        }
        ensure!(cutover.code == 11, "cutover came to {}:\n{}\nafter {said}", cutover.code, cutover.stderr);
        ensure!(scene.sandbox.rotations() == 1, "{} rotations", scene.sandbox.rotations());
    }
    let slots = [kind.slot(&work, "")?, kind.slot(&work, "_NEW")?];
    ensure!(slots.contains(&Some(scene.sandbox.newest().expose().to_owned())), "the secret is in no store: {said}");
    let stray = strays(&scene, kind);
    ensure!(stray.is_none(), "the secret is in {stray:?}: {said}");
    Ok(true)
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
    if !trace::is_here() {
        return skip("storage faults", "strace is missing or may not trace");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for kind in Kind::ALL {
        for provider in ["layers", "signa", "verifa"] {
            let scene = new(provider, kind);
            let plain = rotate(&scene, &[]);
            assert_eq!(plain.run.code, 0, "{}", plain.run.stderr);
            let home = scene.sandbox.path("home");
            let root = home.parent().unwrap();
            let calls = trace::calls_below(&plain.log, root);
            assert!(calls.len() > 40, "only {} calls were seen", calls.len());
            for (call, at, line) in calls {
                let own = ["state/", "work/"].iter().any(|name| line.contains(&format!("{}/{name}", root.display())));
                // What the operator wrote is only read, and pipes and sockets are no disk.
                if !own {
                    continue;
                }
                for error in ["EIO", "ENOSPC"] {
                    for stays in [false, true] {
                        // Libraries are opened and pipes are written as well: a disk that stays broken is in `disks`.
                        if stays && matches!(call, "write" | "openat") {
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
    let all = cases.len();
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    sweep(9, "EIO and ENOSPC on every call to the disk", cases, || {
        format!(
            "{} before the call (0 rotate calls), {} after it (sealed or stored, completed by cutover); {} nowhere, and said so, \
             where the whole disk failed at a provider that cannot repeat; {} that hit no file",
            count(&BEFORE),
            count(&AFTER),
            count(&NOWHERE),
            count(&MISSED)
        )
    });
    assert!(count(&MISSED) * MISSES <= all, "{} of {all} faults hit no file", count(&MISSED));
}
