//! Promise 16: no answer, however hostile, takes memory or time that it should not.

use std::time::Duration;

use crate::answers::{Leaves, SECOND, acts, deadline, doubled, sampled};
use crate::ensure;
use crate::scene::{ALL, IDEMPOTENT, Scene, memory};
use crate::server::{Act, Then};
use crate::tally::{Case, in_time, sweep};

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_hostile_answer_to_any_call_takes_neither_memory_nor_time() {
    let mut all: Vec<Case<'_>> = Vec::new();
    for (name, act, leaves) in acts() {
        for provider in ALL {
            let act = act.clone();
            let label = format!("{provider}, {name}");
            all.push((label, Box::new(move || in_time(Duration::ZERO, || over_time(provider, &act, leaves)))));
        }
    }
    for provider in ALL {
        all.push((
            format!("{provider}, every key twice"),
            Box::new(move || {
                let scene = Scene::new(provider);
                scene.server.script(&[Act::Commit(Then::Change(doubled))]);
                let code = scene.rotate("20s")?.run.code;
                ensure!(code == 0 || code == 7, "exit {code}");
                ensure!(scene.is_kept(), "the secret is nowhere");
                Ok(())
            }),
        ));
    }
    sweep(16, "hostile answers", sampled(all, 16, 40), || format!("{}; wall ≤ deadline + 1 s", memory()));
}

/// How much longer than it may a run takes.
fn over_time(provider: &str, act: &Act, leaves: Leaves) -> Result<Duration, String> {
    let scene = Scene::new(provider);
    scene.server.script(&[act.clone(), Act::Honest]);
    let (deadline, limit) = deadline(act);
    let rotated = scene.rotate(deadline)?;
    // One that is silent to the end has run into the deadline and is asked again, or it is not known what became of it.
    let expected = if provider_repeats(provider) || leaves == Leaves::Secret { 0 } else { 7 };
    ensure!(rotated.run.code == expected, "exit {} in place of {expected}:\n{}", rotated.run.code, rotated.run.stderr);
    // Where a second attempt follows, there is a pause of one second before it.
    let most = limit + if scene.server.arrivals() > 1 { 3 * SECOND } else { SECOND };
    Ok(rotated.wall.saturating_sub(most))
}

fn provider_repeats(provider: &str) -> bool {
    IDEMPOTENT.contains(&provider)
}
