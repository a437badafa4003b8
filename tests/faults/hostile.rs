//! Promise 16: no answer, however hostile, takes memory or time that it should not.

use crate::answers::{Leaves, SECOND, acts, doubled, sampled};
use crate::ensure;
use crate::scene::{ALL, IDEMPOTENT, Scene, memory};
use crate::server::{Act, Then};
use crate::tally::{Case, sweep};

#[test]
#[ignore = "sweep: run by tests/run"]
fn a_hostile_answer_to_any_call_takes_neither_memory_nor_time() {
    let mut all: Vec<Case<'_>> = Vec::new();
    for (name, act, leaves) in acts() {
        for provider in ALL {
            let act = act.clone();
            let label = format!("{provider}, {name}");
            all.push((
                label,
                Box::new(move || {
                    // Others use this machine too: only what takes too long each time takes too long.
                    let again = |_| {
                        std::thread::sleep(SECOND);
                        bounded(provider, &act, leaves)
                    };
                    bounded(provider, &act, leaves).or_else(again).or_else(again).or_else(again)
                }),
            ));
        }
    }
    for provider in ALL {
        all.push((
            format!("{provider}, every key twice"),
            Box::new(move || {
                let scene = Scene::new(provider);
                scene.server.script(&[Act::Commit(Then::Change(doubled))]);
                let code = scene.rotate("1s")?.run.code;
                ensure!(code == 0 || code == 7, "exit {code}");
                ensure!(scene.is_kept(), "the secret is nowhere");
                Ok(())
            }),
        ));
    }
    sweep(16, "hostile answers", sampled(all, 16, 40), || format!("{}; wall ≤ deadline + 1 s", memory()));
}

fn bounded(provider: &str, act: &Act, leaves: Leaves) -> Result<(), String> {
    let scene = Scene::new(provider);
    scene.server.script(&[act.clone(), Act::Honest]);
    let rotated = scene.rotate("1s")?;
    let expected = if provider_repeats(provider) || leaves == Leaves::Secret { 0 } else { 7 };
    ensure!(rotated.run.code == expected, "exit {} in place of {expected}", rotated.run.code);
    // Where a second attempt follows, there is a pause of one second before it.
    let most = if scene.server.arrivals() > 1 { 4 * SECOND } else { 2 * SECOND };
    ensure!(rotated.wall < most, "took {:?}", rotated.wall);
    Ok(())
}

fn provider_repeats(provider: &str) -> bool {
    IDEMPOTENT.contains(&provider)
}
