//! The state folder is believed only as whsec wrote it: what somebody else puts there goes nowhere and sends nothing.

use std::path::PathBuf;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use whsec::provider::stand_in::Fault;

use crate::journals::SECOND;
use crate::probes::in_overlap;
use crate::receivers::Kind;
use crate::sandbox::{Run, Sandbox};
use crate::verify::{line, signed};

const FORGED: &str = "whsec_Zm9yZ2VkLWZvcmdlZC1mb3JnZWQtZm9yZ2VkIQ";

/// Puts a seal there as version 0.1.0 wrote them, which takes no more than the recipient.
fn forge_seal(sandbox: &Sandbox, rotation: &str) -> PathBuf {
    let recipient = std::fs::read_to_string(sandbox.state().join("seal-recipient")).unwrap();
    let recipient = age::x25519::Recipient::from_str(recipient.trim()).unwrap();
    let fingerprint = whsec::secret::Secret::new(FORGED).fingerprint();
    let content = serde_json::json!({
        "answered": {
            "fingerprint": fingerprint, "version": null, "provider_fingerprint": null, "status": 200, "request_id": null,
            "expires_at": null, "expires_source": "unknown", "clock_ahead_ms": 0, "replayed": false, "notice": null,
        },
        "secret": FORGED,
    });
    let cipher = age::encrypt(&recipient, content.to_string().as_bytes()).unwrap();
    let path = sandbox.state().join("seals").join(format!("{rotation}.age"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, cipher).unwrap();
    path
}

#[test]
fn b4_a_forged_seal_does_not_go_live_after_a_lost_call() {
    let sandbox = Sandbox::new("verifa");
    let old = sandbox.newest();
    sandbox.stand_in.fault(Fault::LoseAnswer);
    let id = sandbox.id();
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--json"]).exits(7);
    let forged = forge_seal(&sandbox, run.json()["rotation"].as_str().unwrap());
    for line in [&["cutover", "hooks"][..], &["cutover", "hooks", "--resolve", "applied"], &["finish", "hooks"]] {
        let run = sandbox.run(line);
        assert_ne!(run.code, 0, "{line:?}");
        assert_eq!(sandbox.slot(""), Some(old.clone()), "{line:?}");
        assert!(!std::fs::read_to_string(sandbox.dotenv()).unwrap().contains(FORGED), "{line:?}");
    }
    sandbox.run(&["cutover", "hooks"]).exits(8).says("was not made here for this rotation").says("find out who writes");
    sandbox.run_revealing(&["reveal", "hooks", "--slot", "sealed", "--unsafe-stdout"]).exits(6);
    std::fs::remove_file(forged).unwrap();
    sandbox.run(&["cutover", "hooks"]).exits(7);
}

fn connection(sandbox: &Sandbox) -> rusqlite::Connection {
    rusqlite::Connection::open(sandbox.state().join("journal.sqlite")).unwrap()
}

/// Writes the sums as version 0.1.0 did, which takes no key.
fn add_up_bare(connection: &rusqlite::Connection) {
    let column = |rows: &str, id: &str| -> Vec<String> {
        let mut statement = connection.prepare(rows).unwrap();
        let columns = statement.column_count();
        let rows = statement
            .query_map([id], |row| (0..columns).map(|at| row.get::<_, String>(at)).collect::<Result<Vec<_>, _>>());
        rows.unwrap().flat_map(Result::unwrap).collect()
    };
    for id in
        connection.prepare("SELECT id FROM rotations").unwrap().query_map([], |row| row.get::<_, String>(0)).unwrap()
    {
        let id = id.unwrap();
        let mut fields = column(
            "SELECT id, endpoint, target, provider, plan, opened_at, coalesce(closed_at, '') FROM rotations WHERE id = ?1",
            &id,
        );
        fields.extend(column(
            "SELECT CAST(seq AS TEXT), at, by, event FROM events WHERE rotation = ?1 ORDER BY seq",
            &id,
        ));
        let mut digest = Sha256::new();
        for field in fields {
            digest.update(field.len().to_le_bytes());
            digest.update(field.as_bytes());
        }
        let sum: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        connection.execute("UPDATE rotations SET sum = ?2 WHERE id = ?1", [&id, &sum]).unwrap();
    }
}

#[test]
fn b4_a_journal_whose_sums_anybody_could_write_sends_no_key_elsewhere() {
    let (sandbox, other) = (Sandbox::new("layers"), Sandbox::new("layers"));
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.stand_in.fault(Fault::LoseAnswer);
    sandbox.rotate();
    for is_older in [false, true] {
        let connection = connection(&sandbox);
        let change = "UPDATE rotations SET plan = replace(plan, ?1, ?2)";
        connection.execute(change, [sandbox.stand_in.base_url(), other.stand_in.base_url()]).unwrap();
        add_up_bare(&connection);
        if is_older {
            connection.execute_batch(SECOND).unwrap();
        }
        drop(connection);
        let mut cutover = sandbox.command(&["cutover", "hooks"]);
        let run = sandbox.watch(cutover.env("LAYERS_API_KEY", sandbox.api_key.expose()).output().unwrap());
        run.exits(1).says("is damaged, or none of whsec");
        assert_eq!(other.requests(), 0, "the key went elsewhere");
    }
}

#[test]
fn b4_a_journal_of_version_0_1_0_is_taken_over_once() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    let key = sandbox.state().join("state-key");
    let downgrade = || {
        let connection = connection(&sandbox);
        add_up_bare(&connection);
        connection.execute_batch(SECOND).unwrap();
    };
    downgrade();
    std::fs::remove_file(&key).unwrap();
    sandbox.run(&["status"]).exits(0);
    let text = std::fs::read_to_string(&key).unwrap();
    assert_eq!(
        text.lines().count(),
        1,
        "nothing more is taken over: {}",
        text.replace(text.lines().next().unwrap(), "…")
    );
    sandbox.run(&["cutover", "hooks", "--done", "deploy"]).exits(11);
    downgrade();
    sandbox.run(&["status"]).exits(1).says("is damaged, or none of whsec");
}

#[test]
fn b4_a_journal_without_its_key_says_what_is_missing() {
    let sandbox = Sandbox::new("signa");
    sandbox.rotate().exits(0);
    std::fs::remove_file(sandbox.state().join("state-key")).unwrap();
    let run = sandbox.run(&["cutover", "hooks"]).exits(1);
    run.says("was not written with the `state-key` that lies beside it").says("bring the whole folder");
}

#[test]
fn b4_a_state_folder_is_never_a_checkouts_own() {
    let sandbox = Sandbox::new("layers");
    for folder in ["work/.git", "work/deep/er", "elsewhere"] {
        std::fs::create_dir_all(sandbox.path(folder)).unwrap();
    }
    std::os::unix::fs::symlink(sandbox.path("work/deep"), sandbox.path("elsewhere/link")).unwrap();
    let run = |cwd: &str, variable: &str, value: &std::path::Path| -> Run {
        let mut command = sandbox.command(&["status"]);
        sandbox.watch(command.current_dir(sandbox.path(cwd)).env(variable, value).output().unwrap())
    };
    let relative = run("work", "WHSEC_STATE_DIR", "state".as_ref()).exits(2);
    relative.says("is relative, so every folder would bring its own").says("hint: name it from the root");
    let within = [("work", "work/state"), ("work/deep/er", "work/state"), ("work/deep", "elsewhere/link/state")];
    for (cwd, state) in within {
        let variables = [("WHSEC_STATE_DIR", state.to_owned()), ("XDG_STATE_HOME", format!("{state}/up"))];
        for (variable, state) in variables {
            run(cwd, variable, &sandbox.path(&state))
                .exits(2)
                .says("lies in the checkout")
                .says("hint: keep it elsewhere");
            assert!(!sandbox.path(&state).exists());
        }
    }
    std::fs::remove_dir(sandbox.path("work/.git")).unwrap();
    std::fs::write(sandbox.path("work/whsec.toml"), "").unwrap();
    run("work/deep", "WHSEC_STATE_DIR", &sandbox.path("work/state")).exits(2);
    for (cwd, state) in [("work", "elsewhere/state"), ("elsewhere", "work/state")] {
        run(cwd, "WHSEC_STATE_DIR", &sandbox.path(state)).exits(0);
    }
    // Somebody who keeps a home in Git still has a home.
    std::fs::create_dir(sandbox.path("home/.git")).unwrap();
    run("home", "XDG_STATE_HOME", &sandbox.path("home/.local/state")).exits(0);
}

#[test]
fn b4_trust_is_taken_from_nobody_else() {
    let sandbox = Sandbox::new("layers");
    let file = sandbox.path("work/whsec.toml");
    let text = format!(
        "[targets.theirs]\nprovider = \"layers\"\nid = \"1\"\nbase_url = \"{}\"\n",
        sandbox.stand_in.base_url()
    );
    std::fs::write(&file, &text).unwrap();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let digest: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let real = file.parent().unwrap().canonicalize().unwrap().join("whsec.toml");
    for stamp in [String::new(), format!("{}  ", "0".repeat(64))] {
        std::fs::write(sandbox.state().join("trusted"), format!("{stamp}{digest}  {}\n", real.display())).unwrap();
        std::process::Command::new("chmod").arg("-R").arg("go-rwx").arg(sandbox.state()).status().unwrap();
        sandbox.run(&["target", "show", "theirs"]).exits(2).says("not honoured in a file that came with a checkout");
    }
    sandbox.run(&["target", "trust", "--yes"]).exits(0);
    sandbox.run(&["target", "show", "theirs"]).exits(0);
}

#[test]
fn b6_a_script_that_a_trusted_file_runs_is_asked_about_again_when_it_changes() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new("layers");
    let script = sandbox.path("work/key.sh");
    let write = |text: &str| {
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    };
    write(&format!("#!/bin/sh\nprintf %s {}\n", sandbox.api_key.expose()));
    let text = format!(
        "[targets.theirs]\nprovider = \"layers\"\nid = \"id0-7Qx\"\nbase_url = \"{}\"\napi_key = {{ command = [\"./key.sh\"] }}\n",
        sandbox.stand_in.base_url()
    );
    sandbox.config("");
    std::fs::write(sandbox.path("work/whsec.toml"), text).unwrap();
    let run = sandbox.run(&["target", "trust", "--yes", "--json"]).exits(0);
    assert!(run.json()["covers"][0].as_str().unwrap().ends_with("/work/key.sh"), "{}", run.stdout);
    sandbox.run(&["inspect", "theirs"]).exits(0);
    let marker = sandbox.path("marker");
    write(&format!("#!/bin/sh\ntouch '{}'\nprintf %s x\n", marker.display()));
    sandbox.run(&["inspect", "theirs"]).exits(2).says("not honoured in a file that came with a checkout");
    assert!(!marker.exists(), "the changed script ran");
    sandbox.run(&["target", "trust", "--yes"]).exits(0);
    sandbox.run(&["inspect", "theirs"]);
    assert!(marker.exists());
}

#[test]
fn b8_who_says_that_it_is_a_probe_is_counted_unless_it_is_ours() {
    for provider in ["layers", "signa"] {
        let (sandbox, receiver) = in_overlap(provider, Kind::Both);
        let (old, at) = (sandbox.stand_in.live_secrets().remove(1), jiff::Timestamp::now().as_second());
        sandbox.run(&["probe", "hooks", "--with", "new,old,garbage"]).exits(0);
        let probes: Vec<String> = receiver
            .requests()
            .iter()
            .map(|request| line(&request.headers, &String::from_utf8(request.body.clone()).unwrap(), at))
            .collect();
        let sent = probes.len() as u64;
        let run = sandbox.run_with_stdin(&["verify", "hooks", "--summary", "--json"], &probes.concat()).exits(9);
        assert_eq!(
            (run.json()["probes"].as_u64(), &run.json()["deliveries"]["count"]),
            (Some(sent), &0.into()),
            "{provider}"
        );
        // Forged with the secret that has leaked, and marked so that nobody counts it; one with the id of a real probe.
        let mut forged = signed(provider, &[&old], at, "{\"id\":\"probe_00000000000000000000000000000000\"}");
        forged.push(("X-Whsec-Probe".to_owned(), "1".to_owned()));
        let forged = line(&forged, "{\"id\":\"probe_00000000000000000000000000000000\"}", at);
        let run = sandbox
            .run_with_stdin(&["verify", "hooks", "--summary", "--json"], &format!("{}{forged}", probes.concat()));
        let json = run.json();
        assert_eq!(
            (json["probes"].as_u64(), &json["old_only"]["count"]),
            (Some(sent), &1.into()),
            "{provider}: {json}"
        );
        // Whoever sent it, it proves nothing of the provider.
        let new = sandbox.newest();
        let mut marked = signed(provider, &[&new], at, "{}");
        marked.push(("X-Whsec-Probe".to_owned(), "1".to_owned()));
        sandbox.run(&["cutover", "hooks", "--done", "deploy"]);
        let marked = line(&marked, "{}", jiff::Timestamp::now().as_second());
        let run = sandbox.run_with_stdin(&["verify", "hooks", "--summary", "--json"], &marked).exits(0);
        assert_eq!(run.json()["deliveries"]["count"], 1);
        assert!(!run.stderr.contains("noted for the step"), "{provider}: {}", run.stderr);
    }
}
