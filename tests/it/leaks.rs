//! No API key and no secret anywhere but in the stores: not in what is said, not in the journal, not in a seal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use whsec::provider::stand_in::Fault;
use whsec::secret::Secret;

use crate::sandbox::{Run, Sandbox};

/// Length of the pieces that are looked for, in bytes.
const WINDOW: usize = 8;

/// What must not be found: every piece of the value, and the value in other clothes.
fn traces(secret: &Secret) -> Vec<String> {
    let value = secret.expose().trim_start_matches("whsec_");
    let mut traces: Vec<String> =
        value.as_bytes().windows(WINDOW).map(|window| String::from_utf8_lossy(window).into_owned()).collect();
    traces.push(STANDARD.encode(secret.expose()).trim_end_matches('=').to_owned());
    traces.push(secret.expose().bytes().map(|byte| format!("{byte:02x}")).collect());
    traces.push(secret.expose().bytes().map(|byte| format!("%{byte:02X}")).collect());
    traces.push(format!("{:?}", secret.expose().as_bytes()));
    traces
}

fn assert_clean(what: &str, text: &str, traces: &[String]) {
    if let Some(trace) = traces.iter().find(|trace| text.contains(trace.as_str())) {
        panic!("`{trace}`, a piece of a secret, is in {what}:\n{text}");
    }
}

/// Everything but the receiver's file and the key's own is clean.
fn assert_files_clean(sandbox: &Sandbox, traces: &[String]) {
    for (path, bytes) in sandbox.all_files() {
        if path != sandbox.dotenv() && path != sandbox.path("key") {
            assert_clean(&path.display().to_string(), &String::from_utf8_lossy(&bytes), traces);
        }
    }
}

#[test]
fn nothing_secret_is_said_or_left_behind_at_any_provider() {
    for name in ["layers", "signa", "hopae", "kadosei", "verifa"] {
        let sandbox = Sandbox::new(name);
        let mut found = [traces(&sandbox.newest()), traces(&sandbox.api_key)].concat();
        sandbox.stand_in.fault(Fault::StatusAfter(
            500,
            format!("{{\"error\": \"{0}\", \"detail\": \"your key {0}\"}}", sandbox.api_key.expose()),
        ));
        let id = sandbox.id();
        let lines: [&[&str]; 14] = [
            &["rotate", "hooks", "--dry-run"],
            &["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"],
            &["cutover", "hooks"],
            &["cutover", "hooks", "--resolve", "not-applied"],
            &["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare"],
            &["inspect", "hooks"],
            &["status", "hooks"],
            &["fingerprint", "hooks"],
            &["doctor"],
            &["target", "show", "hooks"],
            &["cutover", "hooks", "--done", "deploy", "--done", "verify"],
            &["rollback", "hooks"],
            &["finish", "hooks"],
            &["history"],
        ];
        for line in lines {
            for json in [false, true] {
                let mut arguments = vec!["-v"];
                arguments.extend(line);
                arguments.extend(json.then_some("--json"));
                let run = Run::from(sandbox.command(&arguments).output().unwrap());
                found.extend(traces(&sandbox.newest()));
                assert_clean(&format!("{name}: {line:?}"), &format!("{}{}", run.stdout, run.stderr), &found);
                assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
            }
        }
        assert!(sandbox.rotations() >= 1, "{name}");
        assert_files_clean(&sandbox, &found);
    }
}

#[test]
fn a_seal_is_encrypted() {
    let sandbox = Sandbox::new("verifa");
    sandbox.stand_in.fault(Fault::HalfBody);
    sandbox.rotate().exits(7);
    let seals: Vec<_> = sandbox.leftovers();
    assert_eq!(seals.len(), 1, "{seals:?}");
    assert_files_clean(&sandbox, &traces(&sandbox.newest()));
}

#[test]
fn the_look_for_traces_finds_one() {
    let sandbox = Sandbox::new("verifa");
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    let found = traces(&sandbox.newest());
    assert!(found.iter().any(|trace| text.contains(trace)));
    assert!(std::panic::catch_unwind(|| assert_clean("the store", &text, &found)).is_err());
}

/// What a child sees of us goes through its environment and its arguments; neither holds a secret.
#[test]
fn a_store_program_gets_the_secret_on_stdin_only() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new("hopae");
    let program = sandbox.path("work/keep.sh");
    let work = sandbox.path("work").display().to_string();
    std::fs::write(&program, format!("#!/bin/sh\n{{ env; echo \"$@\"; }} >> {work}/seen\ncat > {work}/kept.$1\n"))
        .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    sandbox.config(&format!(
        "[commands.keep]\nput = [\"{}\", \"{{slot}}\"]\nclear = [\"rm\", \"-f\", \"{work}/kept.{{slot}}\"]\n\n{}",
        program.display(),
        sandbox.config_text()
    ));
    let id = sandbox.id();
    let mut command =
        sandbox.command(&["rotate", "hooks", "--confirm", &id, "--done", "prepare", "--store", "command:keep"]);
    let run = sandbox.watch(command.env("HOPAE_API_KEY", sandbox.api_key.expose()).output().unwrap()).exits(0);
    assert_eq!(run.stdout, "");
    assert_eq!(std::fs::read_to_string(sandbox.path("work/kept.current")).unwrap(), sandbox.newest().expose());
    let seen = std::fs::read_to_string(sandbox.path("work/seen")).unwrap();
    assert!(seen.contains("PATH="));
    assert_clean("a program's environment", &seen, &[traces(&sandbox.newest()), traces(&sandbox.api_key)].concat());
}

/// Every variable that any target reads its key from is kept from every program, whichever target it runs for; all other
/// variables are passed on.
#[test]
fn no_program_sees_the_key_variable_of_any_target() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new("layers");
    let (work, url) = (sandbox.path("work").display().to_string(), sandbox.stand_in.base_url());
    // One program for everything, by the name that a store of Kubernetes looks for.
    let program = sandbox.path("work/kubectl");
    std::fs::write(&program, format!("#!/bin/sh\nenv > {work}/seen.$1\necho not-a-key\ncat > /dev/null\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let own = format!("api_key = \"file:{}\"", sandbox.path("key").display());
    sandbox.edit_config(&own, "api_key = \"env:MY_OWN_KEYVAR\"");
    let program = program.display();
    sandbox.config(&format!(
        "[notify]\ncommand = [\"{program}\", \"notify\"]\n[commands.keep]\nput = [\"{program}\", \"put\"]\n{}\n\
         [targets.other]\nprovider = \"signa\"\nbase_url = \"{url}\"\nid = \"x\"\n\
         store = \"dotenv:{work}/other.env#K\"\napi_key = \"env:OTHER_KEYVAR\"\n\
         [targets.third]\nprovider = \"signa\"\nbase_url = \"{url}\"\nid = \"y\"\n\
         store = \"dotenv:{work}/third.env#K\"\napi_key = {{ command = [\"{program}\", \"key\"] }}\n",
        sandbox.config_text()
    ));
    let run = |line: &str| {
        let mut command = sandbox.command(&line.split_whitespace().collect::<Vec<_>>());
        command.env("PATH", format!("{work}:/usr/bin:/bin")).env("PASSED_ON", "1").env("LAYERS_API_KEY", "of-layers");
        command.env("MY_OWN_KEYVAR", sandbox.api_key.expose()).env("OTHER_KEYVAR", "of-another");
        sandbox.watch(command.output().unwrap())
    };
    run("rotate hooks --yes --store command:keep").exits(0);
    run("inspect third");
    run("store check k8s:team/hooks#key");
    let seen: Vec<_> = std::fs::read_dir(&work).unwrap().flatten().map(|entry| entry.path()).collect();
    let seen: Vec<_> = seen.iter().filter(|path| path.to_string_lossy().contains("/seen.")).collect();
    assert!(seen.len() >= 4, "not every program was run: {seen:?}");
    for path in seen {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("PASSED_ON=1"), "{path:?}: {text}");
        for name in ["MY_OWN_KEYVAR", "OTHER_KEYVAR", "LAYERS_API_KEY"] {
            assert!(!text.contains(name), "{path:?} saw {name}");
        }
    }
}
