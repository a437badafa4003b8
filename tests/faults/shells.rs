//! Promise 30, for shells and loaders: whatever a provider answers with, sourcing the file that it is written to runs nothing
//! of it and gives the same text back; or it is refused, and kept sealed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use whsec::provider::stand_in::Fault;

use crate::ensure;
use crate::scene::Scene;
use crate::tally::{Case, Dice, is_full, sweep};

const KEY: &str = "HOOK_SECRET";

static READ: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Secrets made to be run, replaced or cut off; each that is run leaves a file `F`.
const HOSTILE: [&str; 36] = [
    "$(id>F)",
    "`id>F`",
    "a;id>F;'b'\"c\"",
    "';id>F;'",
    "\";id>F;\"",
    "'$(id>F)'",
    "\"$(id>F)\"",
    "\"`id>F`\"",
    "\\$(id>F)",
    "\\';id>F;\\'",
    "a&id>F&",
    "a|id>F",
    "a>F",
    "<(id>F)",
    "$((1+1))",
    "$HOME",
    "${HOME}",
    "${HOME:-x}",
    "$'\\x41'",
    "!!",
    "it's!",
    "it's",
    "back\\slash",
    "two\\\\",
    "end\\",
    "literal\\n",
    "#start",
    "a#b",
    "gr\u{fc}\u{df}e\u{1f511}",
    "~root",
    "*",
    "{a,b}",
    "[F]",
    "-n",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==",
    "%s%n",
];

/// The same, with what no provider's answer may hold, for `store copy`.
const SPACED: [&str; 6] = ["a id>F", "a\nid>F", "a\n$(id>F)", "a';\nid>F\n'", "a \\\nid>F", "\ta\t#b"];

/// Lines around the value: as people write them, and as nobody should.
const FILES: [(&str, bool); 8] = [
    ("PORT=1\nHOOK_SECRET=old\nLAST=1\n", true),
    ("HOOK_SECRET=\"old\"\n", true),
    ("# it's the secret\n  export HOOK_SECRET='old' # why\nLAST=\"a b\"\n", true),
    ("LIST=${PORT:-1}\nHOOK_SECRET=old", true),
    ("HOOK_SECRET=\"old\"\r\nLAST=1\r\n", false),
    ("OPEN='yes\nHOOK_SECRET=old\nLAST=1\n", false),
    ("OPEN=\"yes\nHOOK_SECRET=old\nLAST=1\n", false),
    ("HOOK_SECRET = old\n", false),
];

/// A program that reads such a file, and prints a variable of it; it is given both.
struct Reader {
    name: &'static str,
    command: Vec<String>,
    folder: Option<(&'static str, PathBuf)>,
    is_shell: bool,
}

/// The shells, and the loaders where `tests/dotenv-loaders/check.sh` has them.
fn readers() -> Vec<Reader> {
    let source = ". \"$1\" >/dev/null 2>&1; eval \"printf %s \\\"\\$$2\\\"\"";
    let python = "import sys; from dotenv import dotenv_values as read; \
                  sys.stdout.buffer.write((read(sys.argv[1]).get(sys.argv[2]) or '').encode())";
    let node = "const [file, key] = process.argv.slice(1); \
                process.stdout.write(require('dotenv').parse(require('fs').readFileSync(file))[key] || '')";
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let mut readers = Vec::new();
    for name in ["sh", "dash", "bash"] {
        if Path::new("/bin").join(name).exists() {
            readers.push(Reader { name, command: words(&[name, "-c", source, "x"]), folder: None, is_shell: true });
        }
    }
    let loaders = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dotenv-loaders");
    let (in_python, in_node) = (loaders.join("python-1.2.4"), loaders.join("node-18.0.10/node_modules"));
    if in_python.is_dir() {
        let folder = Some(("PYTHONPATH", in_python));
        readers.push(Reader { name: "python3", command: words(&["python3", "-c", python]), folder, is_shell: false });
    }
    if in_node.is_dir() {
        let folder = Some(("NODE_PATH", in_node));
        readers.push(Reader { name: "node", command: words(&["node", "-e", node]), folder, is_shell: false });
    }
    readers
}

/// Has everybody read the file: nothing of it is run; and the value is this one, where it was written.
fn read_by_all(scene: &Scene, file: &Path, key: &str, value: Option<&str>, sourced: bool) -> Result<(), String> {
    let empty = scene.sandbox.path("empty");
    std::fs::create_dir_all(&empty).unwrap();
    for reader in readers() {
        let mut command = Command::new(&reader.command[0]);
        command.args(&reader.command[1..]).arg(file).arg(key).current_dir(&empty);
        if let Some((name, folder)) = &reader.folder {
            command.env(name, folder);
        }
        let output = command.output().unwrap();
        let run = std::fs::read_dir(&empty).unwrap().next().is_some();
        ensure!(!run, "{} ran something of\n{}", reader.name, std::fs::read_to_string(file).unwrap());
        if let Some(value) = value.filter(|_| sourced || !reader.is_shell) {
            let same = output.stdout == value.as_bytes();
            ensure!(same, "{} reads {:?}", reader.name, String::from_utf8_lossy(&output.stdout));
            READ.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// A provider answers with this secret.
fn answered(secret: &str, (text, sourced): (&str, bool)) -> Result<(), String> {
    let scene = Scene::new("signa");
    let file = scene.sandbox.dotenv();
    std::fs::write(&file, text).unwrap();
    let answer = serde_json::json!({ "id": scene.sandbox.id(), "secret": secret, "secret_version": 2 });
    scene.sandbox.stand_in.fault(Fault::StatusAfter(200, answer.to_string()));
    let run = scene.rotate("5s")?.run;
    match run.code {
        0 => {
            read_by_all(&scene, &file, KEY, Some(secret), sourced)?;
            read_by_all(&scene, &file, "HOOK_SECRET_OLD", Some("old"), sourced)
        }
        8 => {
            REFUSED.fetch_add(1, Ordering::Relaxed);
            // A new line could be written as it should be, where the live one cannot.
            let now = std::fs::read_to_string(&file).unwrap();
            let is_staged = now.contains(&format!("HOOK_SECRET_NEW='{secret}'\n"));
            ensure!(is_staged || scene.sealed().as_deref() == Some(secret), "it is not kept");
            ensure!(is_staged || now == text, "the file was changed");
            ensure!(now.contains(text.lines().find(|line| line.contains(KEY)).unwrap()), "the live line was changed");
            ensure!(run.stderr.contains("`json:` and `file:` keep any text"), "no way out:\n{}", run.stderr);
            read_by_all(&scene, &file, KEY, None, sourced)
        }
        code => Err(format!("exit {code}:\n{}", run.stderr)),
    }
}

/// Somebody copies this text from another store.
fn copied(secret: &str, (text, sourced): (&str, bool)) -> Result<(), String> {
    let scene = Scene::new("signa");
    let (file, from) = (scene.sandbox.dotenv(), scene.sandbox.path("work/from"));
    std::fs::write(&file, text).unwrap();
    std::fs::write(&from, secret).unwrap();
    let (from, to) = (format!("file:{}", from.display()), format!("dotenv:{}#{KEY}", file.display()));
    let run = scene.run(&["store", "copy", &from, &to, "--replace"])?.run;
    if run.code == 0 {
        return read_by_all(&scene, &file, KEY, Some(secret), sourced);
    }
    REFUSED.fetch_add(1, Ordering::Relaxed);
    ensure!(std::fs::read_to_string(&file).unwrap() == text, "exit {}, and the file was changed", run.code);
    read_by_all(&scene, &file, KEY, None, sourced)
}

/// A name that is none is refused before anything is written.
fn named(name: &str) -> Result<(), String> {
    let scene = Scene::new("signa");
    let file = scene.sandbox.dotenv();
    let before = std::fs::read(&file).unwrap();
    let reference = format!("dotenv:{}#{name}", file.display());
    let run = scene.run(&["store", "check", &reference])?.run;
    ensure!(run.code == 2, "exit {}:\n{}", run.code, run.stderr);
    ensure!(std::fs::read(&file).unwrap() == before, "the file was changed");
    read_by_all(&scene, &file, KEY, None, false)
}

#[test]
#[ignore = "sweep: run by tests/run"]
fn hostile_text_is_never_run_by_who_reads_the_file() {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for file in FILES {
        for secret in HOSTILE {
            cases.push((format!("{secret} in {:?}", file.0), Box::new(move || answered(secret, file))));
        }
        for secret in SPACED {
            cases.push((format!("{secret:?} into {:?}", file.0), Box::new(move || copied(secret, file))));
        }
    }
    for name in ["$(id>F)", "A;id>F", "A=1\nid>F", "`id>F`", "A B"] {
        cases.push((format!("the name {name:?}"), Box::new(move || named(name))));
    }
    if !is_full() {
        cases = Dice::new(30).sample(cases, 80);
    }
    let all = readers();
    let names: Vec<&str> = all.iter().map(|reader| reader.name).collect();
    sweep(30, "hostile text in dotenv files", cases, || {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        format!(
            "{} values read back by {}, {} refused and kept: 0 executions",
            count(&READ),
            names.join(", "),
            count(&REFUSED)
        )
    });
    assert!(READ.load(Ordering::Relaxed) > 100, "too little was written to prove anything");
}
