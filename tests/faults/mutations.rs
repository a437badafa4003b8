//! Promise 13, on answers: 10,000 mutations of what the pages of the five show, in the process and through the binary.

use std::path::PathBuf;

use crate::canaries::{Canaries, watched};
use crate::ensure;
use crate::entries::{self, PLANTED, mutate};
use crate::scene::ALL;
use crate::server::{Act, Then, answer};
use crate::tally::{Case, Dice, is_full, report, sweep};

/// The bodies of all recorded answers, with a planted secret where the page shows one.
fn seeds() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut bodies = Vec::new();
    for provider in ALL {
        for entry in std::fs::read_dir(folder.join(provider)).unwrap() {
            let path = entry.unwrap().path();
            if !path.to_string_lossy().ends_with(".answer.http") {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let body = text.split_once("\n\n").map_or("", |(_, body)| body);
            let mut value: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
            for name in ["secret", "signingSecret"] {
                if value.get(name).is_some() {
                    value[name] = PLANTED.into();
                }
            }
            bodies.push(value.to_string().into_bytes());
        }
    }
    for body in [
        "{\"secret\":\"PLANTED\",\"id\":\"x1\",\"secret_version\":2}",
        "{\"signingSecret\":\"PLANTED\",\"warning\":\"once\"}",
    ] {
        bodies.push(body.replace("PLANTED", PLANTED).into_bytes());
    }
    assert!(bodies.len() >= 6, "only {} fixtures", bodies.len());
    bodies
}

#[test]
fn ten_thousand_mutated_answers_show_nothing() {
    let (mut dice, seeds) = (Dice::new(13), seeds());
    let count = if is_full() { 100_000 } else { 10_000 };
    for round in 0..count {
        let body = mutate(&mut dice, &seeds[round % seeds.len()]);
        let which = u8::try_from(dice.below(256)).unwrap();
        let bytes = [&[which, u8::try_from(dice.below(256)).unwrap()], &body[..]].concat();
        entries::answer(&bytes);
        entries::refusal(&bytes);
    }
    report(13, "mutated answers, in the process", count, &[], "0 hits, 0 panics");
}

/// Puts the key and the secret that is being made into a mutated body, and the body into an answer of any status.
fn drive(seed: u64, provider: &str) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let (scene, mut known) = watched(provider);
    let seeds = seeds();
    let seed = &seeds[dice.below(seeds.len())];
    let body = mutate(&mut dice, seed);
    let body = String::from_utf8_lossy(&body).replace("\"once\"", &format!("\"{}\"", scene.sandbox.api_key.expose()));
    let status = [200, 200, 201, 400, 401, 404, 409, 422][dice.below(8)];
    let act = Then::Send(answer(status, "Content-Type: application/json\r\n", body.as_bytes()));
    let act = if status < 300 { Act::Commit(act) } else { Act::Refuse(act) };
    scene.server.script(&[act]);
    let mut shown = Vec::new();
    let id = scene.sandbox.id();
    for arguments in [
        &["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "-v", "--timeout", "20s"][..],
        &["cutover", "hooks", "--json", "--timeout", "20s"],
        &["inspect", "hooks"],
        &["history", "--json"],
    ] {
        let run = scene.run(arguments)?.run;
        ensure!((0..=13).contains(&run.code), "{arguments:?} came to {}", run.code);
        shown.extend_from_slice(format!("{}{}", run.stdout, run.stderr).as_bytes());
    }
    known.extend(scene.sandbox.stand_in.live_secrets());
    let of_the_sandbox = Canaries::of(&known);
    of_the_sandbox.check("what was shown", &shown)?;
    if status < 300 {
        Canaries::of(&[whsec::secret::Secret::new(PLANTED)]).check("what was shown", &shown)?;
    }
    for (path, bytes) in scene.sandbox.all_files() {
        if path.starts_with(scene.sandbox.path("state")) {
            of_the_sandbox.check(&path.display().to_string(), &bytes)?;
        }
    }
    ensure!(scene.sandbox.rotations() <= 1, "rotated more than once");
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn mutated_answers_through_the_binary() {
    let count = if is_full() { 600 } else { 60 };
    let mut cases: Vec<Case<'_>> = Vec::new();
    for seed in 0..count {
        let provider = ALL[usize::try_from(seed).unwrap() % ALL.len()];
        cases.push((format!("{provider}, seed {seed}"), Box::new(move || drive(seed + 1_000, provider))));
    }
    sweep(13, "mutated answers, through the binary", cases, || "0 hits, 0 panics, at most 1 rotation each".to_owned());
}
