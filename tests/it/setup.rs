//! Setting up without a provider: targets, trust in a checkout's file, doctor, saved keys. Nothing is ever sent.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const API_KEY: &str = "lp_test_canary_5f1d0c9ab2e84d77";

/// An empty home with a folder in it to work in; no keychain.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("checkout")).unwrap();
        Self(home)
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        // The current folder is seen without links, as on a system whose temporary folder is one.
        self.0.path().canonicalize().unwrap().join(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whsec"));
        command.args(arguments).env_clear().current_dir(self.path("checkout")).stdin(Stdio::null());
        command.env("HOME", self.path("")).env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent");
        command.env("XDG_CONFIG_HOME", self.path("conf")).env("XDG_STATE_HOME", self.path("state"));
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        said(self.command(arguments).output().unwrap())
    }
}

fn said(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(!stdout.contains("canary") && !stderr.contains("canary"), "{stdout}{stderr}");
    (output.status.code().unwrap(), stdout, stderr)
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[test]
fn a_target_is_added_listed_and_removed() {
    let home = Home::new();
    let file = home.path("conf/whsec/config.toml");
    let (code, stdout, stderr) =
        home.run(&["target", "add", "payments", "layers/d4c", "--store", "dotenv:.env#KEY", "--max-age", "90d"]);
    let store = format!("dotenv:{}#KEY", home.path("checkout/.env").display());
    let toml =
        format!("[targets.payments]\nprovider = \"layers\"\nid = \"d4c\"\nstore = \"{store}\"\nmax_age = \"90d\"\n");
    assert_eq!((code, stdout), (0, toml.clone()), "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), toml);

    let (code, stdout, _) = home.run(&["target", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &listed["targets"][0]["stores"][0]), (0, &serde_json::json!(store)));

    assert_eq!(home.run(&["target", "add", "payments", "signa/x"]).0, 2);
    let (code, _, stderr) = home.run(&["target", "remove", "payments"]);
    assert_eq!((code, stderr.contains("--yes")), (2, true), "{stderr}");
    assert_eq!(home.run(&["target", "remove", "payments", "--yes"]).0, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    assert!(!exists(&home.path("checkout/.env")));
}

#[test]
fn a_target_that_could_not_be_used_is_not_written() {
    let home = Home::new();
    for arguments in [
        ["a", "nobody/1", "--store", "file:x"],
        ["a", "layers/1", "--store", "dotenv:x"],
        ["a/b", "layers/1", "--store", "file:x"],
        ["a", "kadosei/1/2", "--store", "file:x"],
        ["a", "layers/1", "--base-url", "http://api.example.com"],
        ["a", "layers/1", "--api-key-from", API_KEY],
    ] {
        let (code, _, stderr) = home.run(&[&["target", "add"], &arguments[..]].concat());
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(!exists(&home.path("conf")), "{arguments:?}");
        // There is no file yet, and so it has no lines.
        assert!(!stderr.contains(".toml:"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_checkouts_file_sends_and_runs_nothing_until_it_is_trusted() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let file = home.path("checkout/whsec.toml");
    let marker = home.path("ran");
    let target = "[targets.evil]\nprovider = \"layers\"\nid = \"1\"\n";
    let base_url = format!("{target}base_url = \"http://{}\"\n", listener.local_addr().unwrap());
    let command = format!("{target}api_key = {{ command = [\"touch\", \"{}\"] }}\n", marker.display());
    for text in [&base_url, &command] {
        fs::write(&file, text).unwrap();
        for arguments in [&["inspect", "evil"][..], &["rotate", "evil", "--yes"], &["target", "list"]] {
            let output = home.command(arguments).env("LAYERS_API_KEY", API_KEY).output().unwrap();
            let (code, _, stderr) = said(output);
            let expected = format!("{}:4:", file.display());
            assert_eq!((code, stderr.contains(&expected)), (2, true), "{arguments:?}: {stderr}");
        }
        assert_eq!(said(home.command(&["doctor"]).env("LAYERS_API_KEY", API_KEY).output().unwrap()).0, 1);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!exists(&marker));
    }

    fs::write(&file, &base_url).unwrap();
    assert_eq!(home.run(&["target", "trust"]).0, 2, "nobody is there to agree");
    assert_eq!(home.run(&["target", "trust", "--yes"]).0, 0);
    assert_eq!(home.run(&["target", "list"]).0, 0);
    fs::write(&file, base_url.clone() + "# changed\n").unwrap();
    assert_eq!(home.run(&["target", "list"]).0, 2);
    fs::write(&file, &base_url).unwrap();
    assert_eq!(home.run(&["target", "trust", "--revoke"]).0, 0);
    assert_eq!(home.run(&["target", "list"]).0, 2);
}

#[test]
fn doctor_names_what_is_missing_and_where_a_key_was_found() {
    let home = Home::new();
    assert_eq!(home.run(&["doctor"]).0, 0, "an empty home is no fault");
    home.run(&["target", "add", "payments", "layers/d4c", "--store", "file:secret"]);
    let (code, stdout, _) = home.run(&["doctor"]);
    assert_eq!((code, stdout.contains("LAYERS_API_KEY")), (1, true), "{stdout}");
    let output = home.command(&["doctor"]).env("LAYERS_API_KEY", API_KEY).output().unwrap();
    let (code, stdout, _) = said(output);
    let found = stdout.contains("API key: the environment variable `LAYERS_API_KEY`");
    assert_eq!((code, found), (0, true), "{stdout}");
    assert!(!exists(&home.path("checkout/secret")), "doctor only reads");
}

#[test]
fn doctor_looks_at_the_targets_that_are_named() {
    let home = Home::new();
    home.run(&["target", "add", "payments", "layers/d4c", "--store", "file:one"]);
    home.run(&["target", "add", "invoices", "signa/d4c", "--store", "file:two"]);
    let looked = |arguments: &[&str]| {
        let (code, stdout, stderr) = home.run(&[&["doctor"], arguments].concat());
        (code, ["payments", "invoices"].map(|name| stdout.contains(name)), stderr)
    };
    assert_eq!(looked(&[]).1, [true, true]);
    assert_eq!(looked(&["pay*"]).1, [true, false]);
    assert_eq!(looked(&["invoices"]).1, [false, true]);
    assert_eq!(looked(&["--all", "--provider", "layers"]).1, [true, false]);
    let (code, found, _) = looked(&["nothing-*"]);
    assert_eq!((code, found), (0, [false, false]));
    let (code, _, stderr) = looked(&["nobody"]);
    assert_eq!((code, stderr.contains("there is no target `nobody`")), (4, true), "{stderr}");
}

#[test]
fn login_without_a_keychain_names_the_other_ways() {
    let home = Home::new();
    fs::write(home.path("key"), API_KEY).unwrap();
    let mut command = home.command(&["login", "layers"]);
    command.stdin(fs::File::open(home.path("key")).unwrap());
    let (code, _, stderr) = said(command.output().unwrap());
    assert_eq!(code, 6, "{stderr}");
    // Lines are folded on a terminal only.
    assert!(stderr.contains("set LAYERS_API_KEY or give --api-key-file FILE"), "{stderr}");
}

#[test]
fn a_config_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.run(&["target", "add", "payments", "layers/d4c"]);
    let file = home.path("conf/whsec/config.toml");
    fs::set_permissions(&file, PermissionsExt::from_mode(0o622)).unwrap();
    for arguments in [&["target", "list"][..], &["--config", file.to_str().unwrap(), "target", "list"]] {
        let (code, _, stderr) = home.run(arguments);
        assert_eq!((code, stderr.contains("other users may write it")), (2, true), "{stderr}");
    }
}

#[test]
fn c8_a_target_that_is_not_written_yet_has_no_line_to_be_named() {
    let home = Home::new();
    let file = home.path("conf/whsec/config.toml");
    home.run(&["target", "add", "payments", "layers/d4c", "--store", "dotenv:.env#KEY"]);
    let before = fs::read_to_string(&file).unwrap();
    let add = |more: &[&str]| home.run(&[&["target", "add", "other"], more].concat());
    for wrong in [
        &["layers/x", "--store", "dotnev:a#B"][..],
        &["layers/x", "--receiver", "hooks"],
        &["layers/x", "--base-url", "http://api.example.com"],
        &["layers/x", "--max-age", "soon"],
        &["layers/.."],
        &["layers"],
    ] {
        let (code, _, stderr) = add(wrong);
        assert_eq!(code, 2, "{wrong:?}: {stderr}");
        assert!(!stderr.contains("config.toml:"), "a line of a file that does not have it: {stderr}");
    }
    let (_, _, stderr) = add(&["layers/x", "--store", "dotnev:a#B"]);
    assert!(stderr.contains("the new target: the target `other` cannot be used"), "{stderr}");
    // What is wrong in the file itself is named with its line.
    let line = before.lines().count() + 1;
    fs::write(&file, format!("{before}[\n")).unwrap();
    let (code, _, stderr) = add(&["layers/x"]);
    assert!(code == 2 && stderr.contains(&format!("config.toml:{line}:")), "{code}: {stderr}");
}
