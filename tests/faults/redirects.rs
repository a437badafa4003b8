//! Promise 15, its first half: the API key goes to one origin, wherever an answer or a proxy variable points.

use crate::ensure;
use crate::scene::{ALL, NOT_IDEMPOTENT, Scene};
use crate::server::{Act, Elsewhere, Then, answer};
use crate::tally::{Case, Dice, is_full, sweep};

const CODES: [u16; 5] = [301, 302, 303, 307, 308];

/// How the other place differs from the provider's own.
const PLACES: [(&str, &str, &str); 4] = [
    ("another host", "http", "127.0.0.2"),
    ("another port", "http", "127.0.0.1"),
    ("another scheme", "https", "127.0.0.1"),
    ("no scheme", "", "127.0.0.2"),
];

fn drive(provider: &str, code: u16, scheme: &str, host: &str) -> Result<(), String> {
    let elsewhere = Elsewhere::at(host);
    let scene = Scene::new(provider);
    let colon = if scheme.is_empty() { "" } else { ":" };
    let to = format!("Location: {scheme}{colon}//{}/take\r\n", elsewhere.address);
    scene.server.script(&[Act::Refuse(Then::Send(answer(code, &to, b"")))]);
    let run = scene.rotate("2s")?.run;
    let expected = if code < 304 { 7 } else { 1 };
    ensure!(run.code == expected, "exit {} in place of {expected}:\n{}", run.code, run.stderr);
    ensure!(run.stderr.contains("redirects"), "nothing is said about it:\n{}", run.stderr);
    ensure!(elsewhere.heard() == (0, 0), "the other place heard {:?} (bytes, connections)", elsewhere.heard());
    ensure!(scene.sandbox.rotations() == 0, "rotated");
    scene.check_calls()
}

/// The variables that name a proxy, for a provider on this machine.
fn through_no_proxy(provider: &str, variable: &'static str) -> Result<(), String> {
    let elsewhere = Elsewhere::at("127.0.0.2");
    let scene = Scene::new(provider);
    let id = scene.sandbox.id();
    let mut command =
        scene.sandbox.command(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--timeout", "2s"]);
    command.env(variable, format!("http://{}", elsewhere.address));
    let run = scene.measure(&mut command)?.run;
    ensure!(run.code == 0, "exit {}:\n{}", run.code, run.stderr);
    ensure!(elsewhere.heard() == (0, 0), "the proxy heard {:?} (bytes, connections)", elsewhere.heard());
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn the_key_goes_nowhere_else() {
    let (mut quick, mut slow): (Vec<Case<'_>>, Vec<Case<'_>>) = (Vec::new(), Vec::new());
    for provider in ALL {
        for code in CODES {
            for (what, scheme, host) in PLACES {
                let label = format!("{provider}, {code} to {what}");
                let case: Case<'_> = (label, Box::new(move || drive(provider, code, scheme, host)));
                let repeats = code < 304 && !NOT_IDEMPOTENT.contains(&provider);
                if repeats { slow.push(case) } else { quick.push(case) }
            }
        }
        for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            let label = format!("{provider}, {variable}");
            quick.push((label, Box::new(move || through_no_proxy(provider, variable))));
        }
    }
    if !is_full() {
        quick = Dice::new(15).sample(quick, 45);
        slow = Dice::new(16).sample(slow, 6);
    }
    quick.extend(slow);
    sweep(15, "redirects and proxies", quick, || "0 bytes at the second listener".to_owned());
}

#[test]
fn no_redirect_of_a_rotation_is_followed() {
    for code in CODES {
        drive("verifa", code, "http", "127.0.0.2").unwrap();
    }
}
