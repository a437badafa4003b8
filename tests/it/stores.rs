//! Stores that cannot keep a secret: found out before the call, or completed after it.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::sandbox::{KEY, Sandbox};

/// Rotates into this store and sees that nothing is rotated.
fn refused(sandbox: &Sandbox, store: &str) -> String {
    let begun = std::time::Instant::now();
    let before = std::fs::read(sandbox.dotenv()).unwrap();
    let run = sandbox.run(&["rotate", "hooks", "--yes", "--store", store, "--json"]).exits(6);
    assert_eq!((run.json()["error"]["kind"].as_str(), run.json()["status"].as_str()), (Some("store"), Some("failed")));
    assert_eq!(sandbox.rotate_requests().len(), 0, "{store}");
    assert_eq!(std::fs::read(sandbox.dotenv()).unwrap(), before, "{store}");
    // Three seconds are measured in `tests/faults`; here others run at the same time.
    assert!(begun.elapsed().as_secs() < 30, "{store}");
    assert!(run.stderr.contains("nothing was sent, because a store failed its check"), "{}", run.stderr);
    run.stderr
}

#[test]
fn a_folder_that_is_missing() {
    let sandbox = Sandbox::new("layers");
    let said = refused(&sandbox, "file:none/secret");
    assert!(said.contains("cannot find the folder") && said.contains("hint: make the folder first"), "{said}");
}

#[test]
fn a_folder_that_is_a_file_or_that_the_system_keeps_to_itself() {
    let sandbox = Sandbox::new("layers");
    refused(&sandbox, "file:receiver.env/secret");
    refused(&sandbox, "file:/proc/self/secret");
    refused(&sandbox, "file:/dev/null");
    refused(&sandbox, "file:/dev/full");
}

#[test]
fn a_file_that_others_have_a_hand_in() {
    let sandbox = Sandbox::new("layers");
    std::fs::hard_link(sandbox.dotenv(), sandbox.path("work/twin")).unwrap();
    assert!(refused(&sandbox, &format!("dotenv:receiver.env#{KEY}")).contains("has hard links"));
    std::fs::create_dir(sandbox.path("work/open")).unwrap();
    std::fs::set_permissions(sandbox.path("work/open"), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(refused(&sandbox, "file:open/secret").contains("is a folder that others can write to"));
}

#[test]
fn a_keychain_that_is_not_there() {
    let sandbox = Sandbox::new("layers");
    let said = refused(&sandbox, "keychain:payments");
    assert!(said.contains("the keychain"), "{said}");
}

#[test]
fn a_json_file_that_is_not_json() {
    let sandbox = Sandbox::new("layers");
    std::fs::write(sandbox.path("work/app.json"), "{\"a\": \n nope}").unwrap();
    let said = refused(&sandbox, "json:app.json#/a");
    assert!(said.contains("is not valid JSON (line 2"), "{said}");
}

/// A tiny disk of its own, unmounted at the end.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(path: std::path::PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).output();
        match done {
            Ok(output) if output.status.success() => Some(Self(path)),
            other => {
                eprintln!("skipped: this test mounts a disk, which needs root: {other:?}");
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_is_full() {
    let sandbox = Sandbox::new("layers");
    let Some(disk) = Disk::mount(sandbox.path("work/full"), "size=16k,mode=0700") else { return };
    std::fs::write(disk.0.join("secret"), sandbox.newest().expose()).unwrap();
    let filler = std::fs::write(disk.0.join("filler"), vec![b'x'; 64 << 10]);
    assert!(filler.is_err(), "the disk is full");
    let said = refused(&sandbox, "file:full/secret");
    assert!(said.contains("hint: make room on that disk"), "{said}");
    assert_eq!(std::fs::read_to_string(disk.0.join("secret")).unwrap(), sandbox.newest().expose());
}

#[test]
fn a_disk_that_is_read_only() {
    let sandbox = Sandbox::new("layers");
    let Some(disk) = Disk::mount(sandbox.path("work/fixed"), "size=64k,mode=0700") else { return };
    std::fs::write(disk.0.join("secret"), sandbox.newest().expose()).unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap();
    assert!(remounted.success());
    let said = refused(&sandbox, "file:fixed/secret");
    assert!(said.contains("hint: the disk is mounted read-only"), "{said}");
}

#[test]
fn a_state_folder_that_cannot_keep_a_seal() {
    let sandbox = Sandbox::new("layers");
    sandbox.run(&["status"]).exits(0);
    std::fs::write(sandbox.state().join("seals"), "not a folder").unwrap();
    sandbox.rotate().exits(6).says("nothing was sent, because the new secret could not be sealed");
    assert_eq!(sandbox.rotate_requests().len(), 0);
}

#[test]
fn a_store_that_breaks_after_the_answer_keeps_the_seal_and_cutover_completes_it() {
    for name in ["layers", "verifa"] {
        let sandbox = Sandbox::new(name);
        let old = sandbox.newest();
        // The program takes the canary and fails at the first real secret, as long as `broken` is there.
        let program = sandbox.path("work/keep.sh");
        std::fs::write(
            &program,
            "#!/bin/sh\nvalue=$(cat)\ncase \"$value\" in canary_*) ;; *) [ -e \"$1/broken\" ] && exit 9 ;; esac\n\
             printf %s \"$value\" > \"$1/kept.$2\"\n",
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(sandbox.path("work/broken"), "").unwrap();
        let work = sandbox.path("work").display().to_string();
        sandbox.config(&format!(
            "[commands.keep]\nput = [\"{}\", \"{work}\", \"{{slot}}\"]\nclear = [\"rm\", \"-f\", \"{work}/kept.{{slot}}\"]\n\n{}",
            program.display(),
            sandbox.config_text()
        ));
        sandbox.stores(&["command:keep", "dotenv:./receiver.env#HOOK_SECRET"]);
        let id = sandbox.id();
        let run = sandbox.run(&["rotate", "hooks", "--yes", "--confirm", &id, "--done", "prepare", "--json"]).exits(8);
        let json = run.json();
        assert_eq!(
            (json["status"].as_str(), json["error"]["kind"].as_str()),
            (Some("sealed"), Some("sealed")),
            "{name}"
        );
        assert_eq!(json["stores"][0]["state"], "pending", "{name}");
        assert_eq!(json["stores"][1]["state"], "stored", "{name}");
        run.says("the secret is rotated and safe, but not every store took the step `stage`")
            .says("sealed in ")
            .says("hint: mend the store; then `whsec cutover hooks` completes the rest");
        // Where the old secret lives, nothing is live before all have it; where it is dead, each is as soon as it can.
        let slots = if name == "layers" { ["new", "old", "empty"] } else { ["empty", "new", "old"] };
        assert_eq!(sandbox.slots(&old), slots, "{name}");
        let sealed = sandbox.run_revealing(&["reveal", "hooks", "--slot", "sealed", "--unsafe-stdout"]).exits(0);
        assert_eq!(sealed.stdout, sandbox.newest().expose());

        sandbox.run(&["cutover", "hooks"]).exits(8);
        std::fs::remove_file(sandbox.path("work/broken")).unwrap();
        sandbox.run(&["cutover", "hooks"]).exits(11);
        assert_eq!(std::fs::read_to_string(sandbox.path("work/kept.next")).is_ok(), name == "layers");
        assert_eq!((sandbox.rotations(), sandbox.rotate_requests().len()), (1, 1), "{name}");
    }
}

/// A rotation would put the secret in the key's place, and every later call would send that as the key.
#[test]
fn a_slot_that_holds_an_api_key_takes_no_secret() {
    let sandbox = Sandbox::new("layers");
    let file = sandbox.path("key").display().to_string();
    for (key, place) in [("#HOOK_SECRET", "HOOK_SECRET"), ("#HOOK_SECRET_NEW", "HOOK_SECRET_NEW")] {
        let key = format!("dotenv:{}{key}", sandbox.dotenv().display());
        sandbox.edit_config(&format!("api_key = \"file:{file}"), &format!("api_key = \"{key}"));
        let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
        let run = sandbox.rotate();
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(place) && run.stderr.contains("holds the API key of `hooks`"), "{}", run.stderr);
        assert_eq!(std::fs::read_to_string(sandbox.dotenv()).unwrap(), text);
        sandbox.edit_config(&format!("api_key = \"{key}"), &format!("api_key = \"file:{file}"));
    }
    sandbox.stores(&[&format!("file:{file}")]);
    sandbox.rotate().exits(2).says("holds the API key of `hooks`");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), sandbox.api_key.expose());
    assert_eq!(sandbox.rotations(), 0);
}
