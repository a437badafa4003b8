//! Promise 8 and 9 with a real keychain that is locked or whose daemon is stopped: inside `tests/keychain/session.sh`.

use std::process::Command;
use std::time::Duration;

use crate::ensure;
use crate::scene::Scene;
use crate::tally::{Case, in_time, one_by_one, skip};

/// Longest that a run may take where the keychain does not answer.
const MOST: Duration = Duration::from_secs(4);

fn signal(name: &str) {
    let daemon = std::fs::read_to_string(std::env::var("KEYRING_PID_FILE").unwrap()).unwrap();
    assert!(Command::new("kill").args([name, daemon.trim()]).status().unwrap().success());
}

fn lock() {
    let login = "['/org/freedesktop/secrets/collection/login']";
    let call = ["call", "--session", "-d", "org.freedesktop.secrets", "-o", "/org/freedesktop/secrets", "-m"];
    let done = Command::new("gdbus").args(call).args(["org.freedesktop.Secret.Service.Lock", login]).output().unwrap();
    assert!(done.status.success());
}

/// A target whose only store is the keychain; it is this session's, whatever the sandbox says.
fn scene(provider: &str) -> Scene {
    let scene = Scene::new(provider);
    let own = format!("dotenv:{}#HOOK_SECRET", scene.sandbox.dotenv().display());
    let text = scene.sandbox.config_text();
    assert!(text.contains(&own));
    let service = format!("keychain:faults-{}", uuid::Uuid::new_v4().simple());
    scene.sandbox.config(&text.replace(&own, &service));
    scene
}

fn run(scene: &Scene, arguments: &[&str]) -> Result<(i32, String, Duration), String> {
    let mut command = scene.sandbox.command(arguments);
    for name in ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let measured = scene.measure(&mut command)?;
    Ok((measured.run.code, measured.run.stderr, measured.wall))
}

fn rotate(scene: &Scene) -> Result<(i32, String, Duration), String> {
    let id = scene.sandbox.id();
    run(scene, &["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--timeout", "10s"])
}

fn stopped_before(provider: &str) -> Result<Duration, String> {
    let scene = scene(provider);
    signal("-STOP");
    let outcome = rotate(&scene);
    signal("-CONT");
    let (code, stderr, wall) = outcome?;
    ensure!(code == 6, "exit {code} in place of 6:\n{stderr}");
    ensure!(scene.server.arrivals() == 0, "a rotate call was made");
    Ok(wall)
}

fn stopped_after(provider: &str) -> Result<(), String> {
    let scene = scene(provider);
    scene.server.when_done(|| signal("-STOP"));
    let outcome = rotate(&scene);
    signal("-CONT");
    let (code, stderr, _) = outcome?;
    ensure!(code == 8, "exit {code} in place of 8:\n{stderr}");
    ensure!(scene.sealed().as_deref() == Some(scene.sandbox.newest().expose()), "it is not sealed");
    let (code, stderr, _) = run(&scene, &["cutover", "hooks"])?;
    ensure!(code == 11, "cutover came to {code} in place of 11:\n{stderr}");
    ensure!(scene.sandbox.rotations() == 1 && scene.server.arrivals() == 1, "asked again");
    Ok(())
}

fn locked_before(provider: &str) -> Result<Duration, String> {
    let scene = scene(provider);
    lock();
    let (code, stderr, wall) = rotate(&scene)?;
    ensure!(code == 6, "exit {code} in place of 6:\n{stderr}");
    ensure!(scene.server.arrivals() == 0, "a rotate call was made");
    Ok(wall)
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_keychain_that_is_stopped_or_locked() {
    if std::env::var_os("KEYRING_PID_FILE").is_none() {
        return skip("keychain faults", "not inside tests/keychain/session.sh");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for provider in ["layers", "verifa"] {
        cases.push((
            format!("{provider}, stopped before"),
            Box::new(move || in_time(MOST, || stopped_before(provider))),
        ));
        cases.push((format!("{provider}, stopped after"), Box::new(move || stopped_after(provider))));
    }
    // Locked last: nobody unlocks it again.
    for provider in ["layers", "verifa"] {
        cases.push((format!("{provider}, locked before"), Box::new(move || in_time(MOST, || locked_before(provider)))));
    }
    one_by_one(8, "a keychain stopped and locked", cases, || {
        "exit 6 and 0 rotate calls before, sealed after".to_owned()
    });
}
