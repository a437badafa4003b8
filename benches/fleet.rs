//! Prints, in one run on loopback: what it takes to rotate many targets at a provider that answers in 50 ms, in one run and by a shell
//! loop over the same binary, as time, as CPU each and as memory; and 100 targets at a provider that takes 5 calls a second.
//!
//! `cargo bench --bench fleet`; it takes two minutes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

#[path = "../tests/it/place.rs"]
mod place;
#[allow(dead_code, reason = "it is made for the tests, and not all of it is used here")]
#[path = "../tests/it/sandbox.rs"]
mod sandbox;
#[path = "../tests/servers/mod.rs"]
mod servers;

use sandbox::Sandbox;
use servers::crowd::Crowd;

const MANY: usize = 500;
const PLANNED: usize = 1000;
/// What the loop does of them: it is as slow for each.
const LOOPED: usize = 25;
const ANSWERS: Duration = Duration::from_millis(50);

fn main() {
    // `cargo test --benches` must not time anything.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (sandbox, crowd) = fleet(LOOPED);
    crowd.answers_after(ANSWERS);
    let text = "for at in $(seq 0 24); do \"$0\" rotate t$at --yes || exit; done";
    let mut looped = Command::new("sh");
    looped.args(["-c", text, env!("CARGO_BIN_EXE_whsec")]);
    shown("a shell loop", LOOPED, &sandbox, looped);
    let (sandbox, crowd) = fleet(MANY);
    crowd.answers_after(ANSWERS);
    // What such a provider would say of itself.
    let text = std::fs::read_to_string("src/provider/builtin/layers.toml").unwrap();
    sandbox.description("layers", &text.replace("[rotate]", "[rate]\nat_once = 32\n\n[rotate]"));
    let mut run = Command::new(env!("CARGO_BIN_EXE_whsec"));
    run.args(["rotate", "--all", "--yes", "--canary", "0", "-j", "32", "--quiet", "--json"]);
    shown("one run, 32 at once", MANY, &sandbox, run);
    let (sandbox, crowd) = fleet(PLANNED);
    crowd.answers_after(ANSWERS);
    sandbox.description("layers", &text.replace("[rotate]", "[rate]\nat_once = 32\n\n[rotate]"));
    let mut plan = Command::new(env!("CARGO_BIN_EXE_whsec"));
    let out = sandbox.path("plan");
    plan.args(["rotate", "--all", "-j", "32", "--quiet", "--json", "--out"]).arg(out);
    shown("a plan of them, 32 at once", PLANNED, &sandbox, plan);
    let (sandbox, crowd) = fleet(100);
    crowd.takes(5, Duration::from_secs(1));
    let mut run = Command::new(env!("CARGO_BIN_EXE_whsec"));
    run.args(["rotate", "--all", "--yes", "--canary", "0", "-j", "32", "--quiet", "--json"]);
    shown("one run, 5 calls a second taken", 100, &sandbox, run);
    println!("  {} calls, {} before the time that was named", crowd.calls(), crowd.impatient());
}

/// So many targets at one server.
fn fleet(count: usize) -> (Sandbox, Crowd) {
    let (sandbox, crowd) = (Sandbox::new("layers"), Crowd::start());
    let mut config = "[seal]\nidentity = \"file\"\n".to_owned();
    for at in 0..count {
        let (id, path) = (format!("d4c71b62-7f08-4dc9-9d2c-{at:012}"), sandbox.path(&format!("work/{at}.env")));
        std::fs::write(&path, format!("HOOK={}\n", crowd.kept(&id).secret)).unwrap();
        config.push_str(&format!(
            "\n[targets.t{at}]\nprovider = \"layers\"\nid = \"{id}\"\nbase_url = \"{}\"\nstore = \"dotenv:{}#HOOK\"\n\
             api_key = \"file:{}\"\n",
            crowd.server.url(),
            path.display(),
            sandbox.path("key").display()
        ));
    }
    sandbox.config(&config);
    (sandbox, crowd)
}

fn shown(what: &str, count: usize, sandbox: &Sandbox, mut command: Command) {
    let usual = sandbox.command(&[]);
    command.env_clear();
    for (name, value) in usual.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(folder) = usual.get_current_dir() {
        command.current_dir(folder);
    }
    let before = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let took = begun.elapsed();
    let after = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    assert!(status.success(), "{what}: {status}");
    let ms = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3;
    let cpu = ms(after.user_time()) + ms(after.system_time()) - ms(before.user_time()) - ms(before.system_time());
    println!(
        "{what:<34} {count:>4} targets  {took:>9.2?}  {:>6.1} ms each, {:>5.1} ms of CPU  {:>4} MB",
        took.as_secs_f64() * 1e3 / count as f64,
        cpu / count as f64,
        after.max_rss() / 1024
    );
}
