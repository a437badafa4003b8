//! `whsec leak`: what holds a secret of ours is found in every form, named by file and byte, and never printed; what could not be
//! read is not called clean.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use whsec::secret::Secret;

use crate::fleet::Fleet;
use crate::sandbox::{KEY, Sandbox, is_full, noise};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A secret as other programs write it, each way with the word that it is to be found by.
fn written(secret: &str) -> Vec<(&'static str, String)> {
    let percent: String =
        secret
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || byte == b'_' {
                    (byte as char).into()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
    vec![
        ("raw", secret.to_owned()),
        ("base64", STANDARD.encode(secret)),
        ("base64", STANDARD.encode(format!("a{secret}b"))),
        ("base64", STANDARD.encode(format!("ab{secret}a"))),
        ("base64url", URL_SAFE_NO_PAD.encode(format!("{secret}??>>"))),
        ("hex", hex(secret.as_bytes())),
        ("hex-upper", hex(secret.as_bytes()).to_uppercase()),
        ("percent", percent),
        ("json", serde_json::to_string(secret).unwrap().trim_matches('"').replace('/', "\\/")),
    ]
}

#[test]
fn l1_a_secret_is_found_in_every_form_and_never_printed() {
    let sandbox = Sandbox::new("layers");
    let secret = sandbox.newest();
    for (form, text) in written(secret.expose()) {
        let is_plain = ["percent", "json"].contains(&form) && text == secret.expose();
        let shown = if is_plain {
            "raw"
        } else if form == "base64url" {
            "base64"
        } else {
            form
        };
        let path = sandbox.path("work/found.bin");
        std::fs::write(&path, [&b"\x00\xff\n"[..], text.as_bytes(), b"\n\x00"].concat()).unwrap();
        let run = sandbox.run(&["leak", "found.bin"]).exits(9);
        let (place, _) = run.stdout.split_once("  ").unwrap();
        assert!(place.starts_with("found.bin:"), "{}", run.stdout);
        assert!(
            run.stdout.ends_with(&format!("  hooks  current  {shown}  {}\n", secret.fingerprint())),
            "{}",
            run.stdout
        );
        assert!(!run.stdout.contains(&text) && !run.stderr.contains(&text), "{form} was printed");
        run.says("secrets found where they do not belong: 1")
            .says(&format!("force-rotate hooks --reason TEXT --leaked {}", secret.fingerprint()));
        std::fs::write(&path, &text.as_bytes()[..text.len() / 2]).unwrap();
        sandbox.run(&["leak", "found.bin"]).exits(0).says("found: 0");
    }
}

/// 500 secrets in every form, in text and in noise: all of them, each where it is, and nothing else.
#[test]
fn t12_all_forms_of_many_secrets_are_found_and_nothing_else() {
    let sandbox = Sandbox::new("layers");
    let size = if is_full() { 1 << 30 } else { 64 << 20 };
    let mut config = String::new();
    let secrets: Vec<Secret> =
        (0..500).map(|at| Secret::new(format!("whsec_{}", STANDARD.encode(noise(24, 77_000 + at))))).collect();
    for (at, secret) in secrets.iter().enumerate() {
        let path = sandbox.path(&format!("home/{at}.env"));
        std::fs::write(&path, format!("HOOK={}\n", secret.expose())).unwrap();
        config.push_str(&format!(
            "[targets.t{at}]\nprovider = \"layers\"\nid = \"id-{at}\"\nbase_url = \"{}\"\nstore = \"dotenv:{}#HOOK\"\n\n",
            sandbox.stand_in.base_url(),
            path.display()
        ));
    }
    sandbox.config(&config);
    let mut wanted = Vec::new();
    let hidden: Vec<(usize, &str, String)> = secrets
        .iter()
        .enumerate()
        .flat_map(|(at, secret)| written(secret.expose()).into_iter().map(move |(form, text)| (at, form, text)))
        .collect();
    for (file, half) in ["log.txt", "program"].into_iter().zip(hidden.chunks(hidden.len().div_ceil(2))) {
        let mut bytes = noise(size / 2, file.len() as u64);
        if file == "log.txt" {
            bytes.iter_mut().for_each(|byte| *byte = b' ' + *byte % 95);
        }
        let every = bytes.len() / half.len();
        for (nth, (at, _, text)) in half.iter().enumerate() {
            bytes[nth * every..nth * every + text.len()].copy_from_slice(text.as_bytes());
            wanted.push((file, (nth * every) as u64, text.len() as u64, secrets[*at].fingerprint().to_string()));
        }
        std::fs::write(sandbox.path("work").join(file), bytes).unwrap();
    }
    let json = sandbox.run(&["leak", "log.txt", "program", "--json"]).exits(9).json();
    let mut found: Vec<(String, u64, String)> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            let text = |name: &str| found[name].as_str().unwrap().to_owned();
            (text("path"), found["offset"].as_u64().unwrap(), text("fingerprint"))
        })
        .collect();
    assert_eq!(json["bytes"], size, "all was read");
    for (file, offset, length, fingerprint) in &wanted {
        let is_it = |(path, at, is): &(String, u64, String)| {
            path == file && (*offset..offset + length).contains(at) && is == fingerprint
        };
        assert!(found.iter().any(is_it), "{file}:{offset} was not found");
        found.retain(|found| !is_it(found));
    }
    assert_eq!(found, [], "false hits");
}

#[test]
fn l2_stdin_is_searched_and_so_is_a_stream_over_the_edge_of_a_window() {
    let sandbox = Sandbox::new("layers");
    let secret = sandbox.newest();
    for line in [&["leak", "-"][..], &["leak"]] {
        for at in [0, (64 << 10) - 5, (64 << 10) * 3 - 20] {
            let text = format!("{}{}\n", "x".repeat(at), secret.expose());
            let run = sandbox.run_with_stdin(line, &text).exits(9);
            assert!(run.stdout.starts_with(&format!("stdin:{at}  hooks  current  raw  ")), "{}", run.stdout);
        }
        sandbox.run_with_stdin(line, "nothing\n").exits(0).says("searched: files 1, bytes 8, secrets 1; found: 0");
    }
    sandbox.run_with_stdin(&["leak", "-", "-"], "").exits(2);
}

#[test]
fn l3_what_a_repository_once_had_is_found_by_a_pipe() {
    let sandbox = Sandbox::new("layers");
    let secret = sandbox.newest();
    std::fs::create_dir(sandbox.path("repository")).unwrap();
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.current_dir(sandbox.path("repository")).env("HOME", sandbox.path("home"));
        let output = git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "-q"]);
    std::fs::write(sandbox.path("repository/config.yml"), format!("key: {}\n", secret.expose())).unwrap();
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    std::fs::write(sandbox.path("repository/config.yml"), "key: from the environment\n").unwrap();
    git(&["commit", "-qam", "two"]);
    let repository = sandbox.path("repository").display().to_string();
    sandbox.run(&["leak", &repository]).exits(0);
    let run = sandbox.run_with_stdin(&["leak", "-"], &git(&["log", "-p", "--all"])).exits(9);
    assert_eq!(run.stdout.lines().count(), 2, "it came and it went: {}", run.stdout);
}

#[test]
fn l4_a_slots_own_file_is_where_its_secret_belongs() {
    let sandbox = Sandbox::new("layers");
    let secret = sandbox.newest();
    let env = sandbox.dotenv().display().to_string();
    let run = sandbox.run(&["leak", &env, "--json"]).exits(0);
    assert_eq!(run.json()["findings"][0]["own"], true);
    // By another name it is the same file; a copy is none, nor is what stands in it once more.
    std::fs::hard_link(sandbox.dotenv(), sandbox.path("work/same.env")).unwrap();
    sandbox.run(&["leak", "same.env"]).exits(0).says("is the secret's own slot: hooks, current");
    std::fs::copy(sandbox.dotenv(), sandbox.path("work/copy.env")).unwrap();
    let run = sandbox.run(&["leak", "copy.env"]).exits(9);
    assert!(run.stdout.starts_with("copy.env:"), "{}", run.stdout);
    let text = std::fs::read_to_string(sandbox.dotenv()).unwrap();
    std::fs::write(sandbox.dotenv(), format!("{text}# was {}\n", secret.expose())).unwrap();
    let run = sandbox.run(&["leak", &env, "--json"]).exits(9).json();
    assert_eq!((&run["findings"][0]["own"], &run["findings"][1]["own"]), (&true.into(), &false.into()));
    assert!(std::fs::metadata(sandbox.dotenv()).unwrap().nlink() == 2 && text.contains(KEY));
}

#[test]
fn l5_every_slot_and_seal_of_an_open_rotation_is_looked_for() {
    let sandbox = Sandbox::new("layers");
    let old = sandbox.newest();
    sandbox.rotate().exits(0);
    let new = sandbox.newest();
    std::fs::write(sandbox.path("work/notes"), format!("{} {}", old.expose(), new.expose())).unwrap();
    let run = sandbox.run(&["leak", "notes"]).exits(9);
    for secret in [&old, &new] {
        assert!(run.stdout.contains(&secret.fingerprint().to_string()), "{}", run.stdout);
    }
    // Sealed, and in no slot yet.
    let sandbox = Sandbox::new("layers");
    sandbox.rotates_with_its_store_away(sandbox.command(&["rotate", "hooks", "--yes"]));
    std::fs::write(sandbox.path("work/notes"), sandbox.newest().expose()).unwrap();
    let run = sandbox.run(&["leak", "notes"]).exits(9);
    assert!(run.stdout.contains("  hooks  sealed  raw  "), "{}{}", run.stdout, run.stderr);
}

#[test]
fn l6_folders_are_gone_through_in_order_and_links_and_pipes_are_not() {
    let sandbox = Sandbox::new("layers");
    let secret = sandbox.newest();
    let tree = sandbox.path("tree");
    std::fs::create_dir_all(tree.join("b/c")).unwrap();
    for name in ["b/c/deep", "a", "c"] {
        std::fs::write(tree.join(name), secret.expose()).unwrap();
    }
    std::fs::write(sandbox.path("outside"), secret.expose()).unwrap();
    symlink(sandbox.path("outside"), tree.join("link")).unwrap();
    symlink(&tree, tree.join("b/round")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(tree.join("pipe")).status().unwrap().success());
    let named = tree.display().to_string();
    let run = sandbox.run(&["leak", &named]).exits(9).says("/tree/pipe was not looked into: a pipe");
    let found: Vec<_> = run.stdout.lines().map(|line| line.split_once(":0  ").unwrap().0.replace(&named, "")).collect();
    assert_eq!(found, ["/a", "/b/c/deep", "/c"]);
    let json = sandbox.run(&["leak", &named, "--json"]).exits(9).json();
    assert_eq!((json["skipped"].as_array().unwrap().len(), &json["files"]), (3, &3.into()));
    // What is named itself is meant.
    sandbox.run(&["leak", &tree.join("link").display().to_string()]).exits(9);
}

#[test]
fn l7_what_cannot_be_read_is_not_called_clean() {
    let sandbox = Sandbox::new("layers");
    std::fs::write(sandbox.path("work/clean"), "nothing").unwrap();
    sandbox.run(&["leak", "clean", "gone"]).exits(1).says("gone was not read").says("paths that were not read: 1");
    std::fs::write(sandbox.path("work/found"), sandbox.newest().expose()).unwrap();
    let json = sandbox.run(&["leak", "gone", "found", "--json"]).exits(9).json();
    assert_eq!((&json["unread"][0]["path"], &json["error"]["kind"]), (&"gone".into(), &"gate".into()));
    // A file that is there and gives an error, also to root.
    sandbox.run(&["leak", "/proc/self/mem"]).exits(1).says("/proc/self/mem was not read");
    std::fs::set_permissions(sandbox.path("work/clean"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let is_root = std::fs::read(sandbox.path("work/clean")).is_ok();
    sandbox.run(&["leak", "clean"]).exits(if is_root { 0 } else { 1 });
}

#[test]
fn l8_what_is_not_looked_for_is_said() {
    let sandbox = Sandbox::new("layers");
    std::fs::write(sandbox.path("work/clean"), "nothing").unwrap();
    std::fs::write(sandbox.dotenv(), format!("{KEY}=too-short\n")).unwrap();
    let run = sandbox
        .run(&["leak", "clean", "--json"])
        .exits(4)
        .says("not covered: current of")
        .says("shorter than 12 bytes");
    assert_eq!(run.json()["not_covered"][0]["target"], "hooks");
    let run = run.says("what is configured: ").says("target list");
    assert_eq!(run.json()["secrets"], 0);
    std::fs::remove_file(sandbox.dotenv()).unwrap();
    std::fs::create_dir(sandbox.dotenv()).unwrap();
    let run = sandbox.run(&["leak", "clean", "--json"]).exits(6).says("not covered");
    assert_eq!(
        (&run.json()["not_covered"][0]["failed"], &run.json()["error"]["kind"]),
        (&true.into(), &"store".into())
    );
}

#[test]
fn l9_a_name_drives_no_terminal_and_gives_no_secret_away() {
    let sandbox = Sandbox::new("layers");
    let secret = sandbox.newest();
    let tree = sandbox.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("a\u{1b}[2J\nb"), secret.expose()).unwrap();
    let run = sandbox.run(&["leak", &tree.display().to_string()]).exits(9);
    assert!(run.stdout.contains("/a\\u{1b}[2J\\u{a}b:0  hooks"), "{:?}", run.stdout);
    std::fs::remove_dir_all(&tree).unwrap();
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join(hex(secret.expose().as_bytes())), "nothing").unwrap();
    let run = sandbox.run(&["leak", &tree.display().to_string()]).exits(9);
    assert!(run.stdout.starts_with("… (the name of a file)  hooks  current  hex  "), "{}", run.stdout);
    sandbox.run(&["leak", secret.expose()]).exits(9);
}

#[test]
fn l10_a_reader_that_has_gone_changes_no_exit_code() {
    let sandbox = Sandbox::new("layers");
    std::fs::write(sandbox.path("work/found"), format!("{}\n", sandbox.newest().expose()).repeat(9000)).unwrap();
    let mut child = sandbox.command(&["leak", "found"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

/// The journal keeps fingerprints of secrets that no slot holds any more; and what is nobody's here is somebody's all the same.
#[test]
fn l5_what_is_over_what_no_slot_lets_out_and_what_is_not_ours_are_told_apart() {
    let fleet = Fleet::new(0, 2);
    let value = |name: &str| fleet.crowd.kept(&fleet.ids[name]).secret;
    let over = value("acct-0");
    for name in ["acct-0", "acct-1"] {
        fleet.run(&["rotate", name, "--confirm", &fleet.ids[name], "--done", "prepare"]).exits(0);
        let done = ["cutover", name, "--done", "deploy", "--done", "verify", "--done", "drop", "--reason", "seen"];
        fleet.run(&done).exits(0);
    }
    // As a store that lets nothing out: it is alive, and known by its fingerprint alone.
    let blind = value("acct-1");
    std::fs::write(fleet.sandbox.path("work/acct-1.env"), "").unwrap();
    let foreign = "whsec_Zm9yZWlnbi1mb3JlaWduLWZvcg==";
    let look = |text: &str| {
        std::fs::write(fleet.sandbox.path("work/log"), text).unwrap();
        fleet.run(&["leak", "log"]).says_not(text)
    };
    let print = |value: &str| Secret::new(value).fingerprint().to_string();
    let run = look(foreign).exits(0).says(&format!("log:0 is not ours: `whsec_…`, {}", print(foreign)));
    assert_eq!(run.stdout, "");
    let run = look(&over).exits(0);
    assert!(run.stdout.starts_with(&format!("log:0  acct-0  {}  the old secret since ", print(&over))), "{run:?}");
    assert!(run.stdout.contains("it ended at"), "{run:?}");
    let run = look(&blind).exits(9).says("secrets found where they do not belong: 1");
    let run = run.says(&format!("whsec force-rotate acct-1 --reason TEXT --leaked {}", print(&blind)));
    assert!(run.stdout.contains("came with the rotation of"), "{run:?}");
    std::fs::write(fleet.sandbox.path("work/log"), format!("{over}\n{foreign} {blind}\n{}", value("acct-0"))).unwrap();
    let json = fleet.run(&["leak", "log", "--json"]).exits(9).json();
    let others = json["others"].as_array().unwrap();
    let is = |at: usize| (others[at]["fingerprint"].as_str().unwrap(), others[at]["known"].as_array().unwrap().len());
    assert_eq!([is(0), is(1), is(2)], [(&*print(&over), 1), (&*print(foreign), 0), (&*print(&blind), 1)]);
    assert_eq!((others.len(), json["findings"].as_array().unwrap().len()), (3, 1), "{json}");
}
