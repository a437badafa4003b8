//! Promises 13 and 14: neither the API key nor a secret in anything that comes out: stdout, stderr, journal, state folder,
//! arguments and environment of programs that are started; raw, encoded, reversed, or any eight bytes of it.

use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use whsec::provider::stand_in::Fault;
use whsec::secret::Secret;

use crate::ensure;
use crate::sandbox::Sandbox;
use crate::scene::{ALL, Scene};
use crate::tally::{Case, Dice, is_full, skip, sweep};
use crate::trace;

/// So many bytes of a secret in a row are telling.
const TELLING: usize = 8;

/// What must not come out, in every form that is looked for.
pub struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    pub fn of(secrets: &[Secret]) -> Self {
        let mut forms = Vec::new();
        for secret in secrets {
            let raw = secret.expose().as_bytes();
            let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
            let percent: String = raw.iter().map(|byte| format!("%{byte:02X}")).collect();
            let escaped: String = raw.iter().map(|byte| format!("\\u{:04x}", u32::from(*byte))).collect();
            let reversed: Vec<u8> = raw.iter().rev().copied().collect();
            let upper = hex.to_uppercase();
            let encoded = [
                ("base64", STANDARD.encode(raw).trim_end_matches('=').as_bytes().to_vec()),
                ("base64 for URLs", URL_SAFE_NO_PAD.encode(raw).into_bytes()),
                ("hex", hex.into_bytes()),
                ("upper hex", upper.into_bytes()),
                ("percent", percent.into_bytes()),
                ("JSON escapes", escaped.into_bytes()),
                ("reversed", reversed),
            ];
            // A whole form may be cut off, so its first half is looked for.
            forms.extend(encoded.map(|(name, bytes)| (name.to_owned(), bytes[..bytes.len() / 2].to_vec())));
            // What all secrets begin with tells nothing.
            let own = raw.strip_prefix(b"whsec_").unwrap_or(raw);
            forms.extend(own.windows(TELLING).map(|window| ("eight bytes".to_owned(), window.to_vec())));
        }
        Self(forms)
    }

    /// The first form found in these bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<&str> {
        self.0.iter().find(|(_, form)| contains(bytes, form)).map(|(name, _)| name.as_str())
    }

    pub fn check(&self, place: &str, bytes: &[u8]) -> Result<(), String> {
        match self.find(bytes) {
            None => Ok(()),
            Some(form) => {
                let shown: String = String::from_utf8_lossy(bytes).chars().take(2000).collect();
                Err(format!("a secret ({form}) in {place}:\n{shown}"))
            }
        }
    }
}

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    let Some(first) = form.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(form) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// A store that is a program, which notes how it was started.
fn with_noting_store(sandbox: &Sandbox) {
    let folder = sandbox.path("kept");
    let notes = sandbox.path("notes");
    std::fs::create_dir_all(&folder).unwrap();
    let program = sandbox.path("work/keep.sh");
    let text = format!(
        "#!/bin/sh\ncat /proc/$$/cmdline >> {notes}; printf '\\n' >> {notes}; cat /proc/$$/environ >> {notes}; printf '\\n' >> {notes}\n\
         umask 077\ncase \"$1\" in\nput) cat > {folder}/$2 ;;\nget) [ -e {folder}/$2 ] || exit 44; cat {folder}/$2 ;;\n\
         clear) rm -f {folder}/$2 ;;\nesac\n",
        notes = notes.display(),
        folder = folder.display(),
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let own = format!("store = \"dotenv:{}#HOOK_SECRET\"", sandbox.dotenv().display());
    let both = format!("store = [\"dotenv:{}#HOOK_SECRET\", \"command:keep\"]", sandbox.dotenv().display());
    let text = sandbox.config_text();
    assert!(text.contains(&own), "the sandbox names its store in another way: {text}");
    let program = program.display();
    sandbox.config(&format!(
        "[commands.keep]\nput = [\"{program}\", \"put\", \"{{slot}}\"]\nget = [\"{program}\", \"get\", \"{{slot}}\"]\n\
         clear = [\"{program}\", \"clear\", \"{{slot}}\"]\n\n{}",
        text.replace(&own, &both)
    ));
}

/// Every command, in an order in which each has something to do.
fn tour(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let id = sandbox.id();
    let lines = [
        "doctor".to_owned(),
        "doctor --json".to_owned(),
        "target list".to_owned(),
        "target show hooks".to_owned(),
        "provider list".to_owned(),
        format!("provider show {}", sandbox.provider.name()),
        "inspect hooks -v".to_owned(),
        "inspect hooks --json".to_owned(),
        "rotate hooks --dry-run -v".to_owned(),
        format!("rotate hooks --yes --confirm {id} --done prepare -v"),
        format!("rotate hooks --yes --confirm {id} --done prepare --json"),
        "fingerprint hooks".to_owned(),
        "inspect hooks --json".to_owned(),
        "status -v".to_owned(),
        "status hooks --json".to_owned(),
        "cutover hooks --done prepare --done deploy --reason tested --json".to_owned(),
        "rollback hooks".to_owned(),
        "cutover hooks --done deploy --done verify -v".to_owned(),
        "finish hooks -v".to_owned(),
        "probe hooks --url http://127.0.0.1:9/".to_owned(),
        "verify hooks /dev/null".to_owned(),
        "reveal hooks".to_owned(),
        "abandon hooks --reason over --yes -v".to_owned(),
        format!("force-rotate hooks --reason leak --confirm {id} --done prepare -v"),
        "history --json".to_owned(),
        "history".to_owned(),
        "completions bash".to_owned(),
        format!("logout {}", sandbox.provider.name()),
    ];
    lines.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn drive(provider: &str, fault: Option<Fault>) -> Result<(), String> {
    let sandbox = Sandbox::new(provider);
    with_noting_store(&sandbox);
    if let Some(fault) = fault {
        sandbox.stand_in.fault(fault);
    }
    let mut known = vec![sandbox.api_key.clone()];
    known.extend(sandbox.stand_in.live_secrets());
    let mut outputs = Vec::new();
    for arguments in tour(&sandbox) {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = sandbox.command(&arguments);
        // Both ways for a key to come in, so that both are kept from programs.
        command.env(&sandbox.provider.spec().auth.env, sandbox.api_key.expose());
        let output = command.output().unwrap();
        let code = output.status.code().unwrap_or(-1);
        ensure!(!matches!(code, 101 | 134 | -1), "{arguments:?} came to {code}");
        outputs.push((arguments.join(" "), [output.stdout, output.stderr].concat()));
        for secret in sandbox.stand_in.live_secrets() {
            if !known.contains(&secret) {
                known.push(secret);
            }
        }
    }
    ensure!(known.len() > 2, "nothing was rotated");
    let canaries = Canaries::of(&known);
    for (command, bytes) in &outputs {
        canaries.check(&format!("the output of `{command}`"), bytes)?;
    }
    let notes = std::fs::read(sandbox.path("notes")).map_err(|_| "the program was never started")?;
    canaries.check("arguments or environment of a program", &notes)?;
    for (path, bytes) in sandbox.all_files() {
        let own = ["work/receiver.env", "key", "kept/"].iter().any(|name| path.starts_with(sandbox.path(name)));
        if !own {
            canaries.check(&path.display().to_string(), &bytes)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn no_command_gives_a_secret_away() {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for provider in ALL {
        let echo = "{\"error\":\"KEY\",\"detail\":\"KEY is not\",\"code\":\"KEY\",\"message\":\"KEY is not\"}";
        let echo = echo.replace("KEY", "test_key_5f1d0c9ab2e84d7793");
        let faults = [
            None,
            Some(Fault::LoseAnswer),
            Some(Fault::HalfBody),
            Some(Fault::Status(401, echo.clone())),
            Some(Fault::StatusAfter(500, echo.clone())),
            Some(Fault::StatusAfter(200, echo)),
        ];
        for fault in faults {
            cases.push((format!("{provider}, {fault:?}"), Box::new(move || drive(provider, fault))));
        }
    }
    if !is_full() {
        cases = Dice::new(14).sample(cases, 9);
    }
    sweep(13, "canaries through all commands", cases, || {
        "8 encodings and every 8 bytes, at RUST_LOG=trace and RUST_BACKTRACE=full: 0 hits".to_owned()
    });
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn no_secret_reaches_another_programs_arguments_or_environment() {
    if !trace::is_here() {
        return skip("execve traces", "strace is missing or may not trace");
    }
    let mut cases: Vec<Case<'_>> = Vec::new();
    for provider in ALL {
        cases.push((
            provider.to_owned(),
            Box::new(move || {
                let sandbox = Sandbox::new(provider);
                with_noting_store(&sandbox);
                let mut known = vec![sandbox.api_key.clone()];
                known.extend(sandbox.stand_in.live_secrets());
                let id = sandbox.id();
                let options = ["-v", "-s", "65536", "-e", "trace=execve,execveat"];
                // With the key in the environment, which is whsec's own and nobody else's.
                let traced = |arguments: &[&str]| {
                    let mut command = sandbox.command(arguments);
                    command.env(&sandbox.provider.spec().auth.env, sandbox.api_key.expose());
                    trace::run_command(&sandbox, &options, &command)
                };
                let first = traced(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"]);
                ensure!(first.run.code == 0, "exit {}:\n{}", first.run.code, first.run.stderr);
                let second = traced(&["cutover", "hooks", "--done", "deploy", "--done", "verify"]);
                known.extend(sandbox.stand_in.live_secrets());
                let own = format!("execve(\"{}\"", env!("CARGO_BIN_EXE_whsec"));
                let log: String = [first.log, second.log].concat();
                let others = log.lines().filter(|line| !line.contains(&own));
                let log: String = others.map(|line| format!("{line}\n")).collect();
                let started = log.lines().filter(|line| line.contains("keep.sh")).count();
                ensure!(started > 5, "only {started} programs were seen");
                Canaries::of(&known).check("an execve", log.as_bytes())
            }),
        ));
    }
    sweep(14, "execve of every program started", cases, || "0 hits in argv and environment".to_owned());
}

#[test]
fn every_form_of_a_secret_is_found() {
    let secret = Secret::new("whsec_Zm9vYmFyYmF6cXV4");
    let canaries = Canaries::of(std::slice::from_ref(&secret));
    let raw = secret.expose();
    let hex: String = raw.bytes().map(|byte| format!("{byte:02X}")).collect();
    let percent: String = raw.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let forms = [raw.to_owned(), STANDARD.encode(raw), URL_SAFE_NO_PAD.encode(raw), hex.to_lowercase(), hex, percent];
    for form in forms.iter().cloned().chain([raw.chars().rev().collect(), "…FyYmF6cX…".to_owned()]) {
        assert!(canaries.find(format!("before {form} after").as_bytes()).is_some(), "{form}");
    }
    assert!(canaries.find(b"whsec_ and nothing else").is_none());
}

/// Used by the mutations: a scene and what must not come out of it.
pub fn watched(provider: &str) -> (Scene, Vec<Secret>) {
    let scene = Scene::new(provider);
    let mut known = vec![scene.sandbox.api_key.clone()];
    known.extend(scene.sandbox.stand_in.live_secrets());
    (scene, known)
}
