//! Prints, in one run: how fast `whsec leak` reads a gigabyte that holds nothing, with 500 secrets in all their forms, beside
//! `grep -F -f` with the same secrets as they are, and in eight forms.
//!
//! `cargo bench --bench leak`; it takes a minute. The file is read once before anything is timed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nix::sys::resource::{UsageWho, getrusage};

#[path = "../tests/it/place.rs"]
mod place;
#[allow(dead_code, reason = "it is made for the tests, and not all of it is used here")]
#[path = "../tests/it/sandbox.rs"]
mod sandbox;
#[path = "../tests/servers/mod.rs"]
mod servers;

use sandbox::{Sandbox, noise};

const SECRETS: u64 = 500;
const BYTES: usize = 1 << 30;

fn main() {
    // `cargo test --benches` must not time anything.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let sandbox = Sandbox::new("layers");
    let (mut config, mut plain, mut forms) = (String::new(), String::new(), String::new());
    for at in 0..SECRETS {
        let secret = format!("whsec_{}", STANDARD.encode(noise(24, 900 + at)));
        let path = sandbox.path(&format!("home/{at}.env"));
        std::fs::write(&path, format!("HOOK={secret}\n")).unwrap();
        config.push_str(&format!(
            "[targets.t{at}]\nprovider = \"layers\"\nid = \"id-{at}\"\nbase_url = \"{}\"\nstore = \"dotenv:{}#HOOK\"\n\n",
            sandbox.stand_in.base_url(),
            path.display()
        ));
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        plain.push_str(&format!("{secret}\n"));
        let inner = |text: String| text[4..text.len() - 4].to_owned();
        let (one, two) = (inner(STANDARD.encode(format!("a{secret}"))), inner(STANDARD.encode(format!("ab{secret}"))));
        let (base64, url) = (STANDARD.encode(&secret), URL_SAFE_NO_PAD.encode(&secret));
        let percent = secret.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        forms.push_str(&format!("{secret}\n{base64}\n{one}\n{two}\n{url}\n{hex}\n{}\n{percent}\n", hex.to_uppercase()));
    }
    sandbox.config(&config);
    let (plain_list, form_list, data) = (sandbox.path("plain"), sandbox.path("forms"), sandbox.path("work/data"));
    std::fs::write(&plain_list, plain).unwrap();
    std::fs::write(&form_list, forms).unwrap();
    for (what, is_text) in [("text", true), ("noise", false)] {
        let mut bytes = noise(BYTES, 5);
        if is_text {
            // Lines as a log has them, with what every secret begins with.
            bytes.iter_mut().for_each(|byte| *byte = b' ' + *byte % 95);
            bytes.iter_mut().step_by(120).for_each(|byte| *byte = b'\n');
            bytes.chunks_exact_mut(4096).for_each(|chunk| chunk[..6].copy_from_slice(b"whsec_"));
        }
        std::fs::write(&data, bytes).unwrap();
        let mut ours = sandbox.command(&["leak", "data", "--quiet"]);
        timed(&format!("whsec leak, {SECRETS} secrets, {what}"), &mut ours, 0);
        for (what, list) in [("as they are", &plain_list), ("in 8 forms", &form_list)] {
            let mut grep = Command::new("grep");
            grep.env("LC_ALL", "C").args(["-a", "-c", "-F", "-f"]).arg(list).arg(&data);
            timed(&format!("  grep -F -f, {SECRETS} secrets {what}"), &mut grep, 1);
        }
    }
    let small = sandbox.path("work/small");
    std::fs::write(small, "nothing").unwrap();
    let begun = cpu();
    sandbox.run(&["leak", "small"]).exits(0);
    println!("reading {SECRETS} stores and making them ready: {:.0} ms", (cpu() - begun) * 1e3);
}

fn timed(what: &str, command: &mut Command, exits: i32) {
    let before = cpu();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(exits), "{what}");
    let took = cpu() - before;
    println!("{what}: {:.0} MB/s a core", BYTES as f64 / 1e6 / took);
}

/// Seconds of a processor that children have used, theirs and the system's for them.
fn cpu() -> f64 {
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(used.user_time()) + seconds(used.system_time())
}
