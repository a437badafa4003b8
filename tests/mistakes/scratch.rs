//! A copy of the tree to make mistakes in, with a target folder of its own that begins with the dependencies as they are
//! built already.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::patch::{Mistake, Test};

pub struct Scratch {
    tree: PathBuf,
    target: PathBuf,
}

/// Files as they were, written back when dropped.
pub struct Undo(Vec<(PathBuf, String)>);

impl Drop for Undo {
    fn drop(&mut self) {
        for (path, text) in &self.0 {
            std::fs::write(path, text).unwrap();
        }
    }
}

impl Scratch {
    /// Copies the tree as it is now; the target folder stays warm from one run to the next.
    pub fn prepare() -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes");
        let (tree, target) = (place.join("tree"), place.join("target"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let _ = std::fs::remove_dir_all(&tree);
        std::fs::create_dir_all(&tree).unwrap();
        for entry in std::fs::read_dir(root).unwrap().map(Result::unwrap) {
            if !["target", ".git"].iter().any(|name| entry.file_name() == *name) {
                copy("-a", &entry.path(), &tree);
            }
        }
        let scratch = Self { tree, target };
        if !scratch.target.join("debug").exists() {
            scratch.warm(&Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("debug"));
        }
        scratch
    }

    /// Links what is built of the dependencies; cargo replaces files and never writes into them.
    fn warm(&self, built: &Path) {
        let own = self.target.join("debug");
        std::fs::create_dir_all(&own).unwrap();
        copy("-a", &built.join(".fingerprint"), &own);
        for folder in ["build", "deps"] {
            copy("-al", &built.join(folder), &own);
        }
        for folder in [".fingerprint", "deps"] {
            let entries = std::fs::read_dir(own.join(folder)).unwrap().map(|entry| entry.unwrap().path());
            for path in entries {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let ours = ["whsec-", "libwhsec-", "it-", "faults-", "promises-", "mistakes-", "rotate-"];
                if ours.iter().any(|start| name.starts_with(start)) {
                    let removed =
                        if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
                    removed.unwrap();
                }
            }
        }
    }

    /// Makes a mistake until what is returned is dropped.
    pub fn make(&self, mistake: &Mistake) -> Result<Undo, String> {
        let changed = mistake.changed(&self.tree)?;
        let path = |file: &PathBuf| self.tree.join(file);
        let undo = changed.iter().map(|(file, _)| (path(file), std::fs::read_to_string(path(file)).unwrap())).collect();
        let undo = Undo(undo);
        for (file, text) in changed {
            std::fs::write(path(&file), text).unwrap();
        }
        Ok(undo)
    }

    /// Builds these test targets and the binary. A mistake that does not compile proves nothing.
    pub fn build(&self, targets: &BTreeSet<String>) -> Result<(), String> {
        let mut cargo = self.cargo();
        cargo.arg("--no-run");
        for target in targets {
            cargo.args(chosen(target));
        }
        let output = cargo.output().unwrap();
        if output.status.success() { Ok(()) } else { Err(format!("it does not compile: {}", tail(&output))) }
    }

    /// A whole rotation of the binary as it is: where nothing goes wrong, a mistake does not show.
    pub fn rehearse(&self) -> Result<(), String> {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(self.target.join("debug/whsec"));
        command.args(["rehearse", "hopae", "--window", "1s"]).env_clear().env("HOME", home.path());
        let output = command.output().unwrap();
        if output.status.success() { Ok(()) } else { Err(format!("it does not even rehearse: {}", tail(&output))) }
    }

    /// Runs a test that is built; yields the names of those that failed, and what they said.
    pub fn run(&self, test: &Test) -> Result<(Vec<String>, String), String> {
        let mut cargo = self.cargo();
        cargo.args(chosen(&test.target)).args(["--", "--include-ignored", "--skip", "keychain", &test.filter]);
        if !test.only.is_empty() {
            cargo.env("WHSEC_TEST_ONLY", &test.only);
        }
        let output = cargo.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let failed = names_after_failures(&text);
        // One that could not run here passes too, and says so.
        let ran = !text.contains("test result: ok. 0 passed") && !text.contains("SKIPPED");
        match (output.status.success(), failed.is_empty()) {
            (true, _) if ran => Ok((failed, String::new())),
            (true, _) => Err(format!("{test:?} runs nothing here: {}", tail(&output))),
            (false, false) => Ok((failed, tail(&output))),
            (false, true) => Err(format!("{test:?} came to nothing: {}", tail(&output))),
        }
    }

    fn cargo(&self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--locked", "--offline", "--quiet"]).current_dir(&self.tree);
        cargo.env("CARGO_TARGET_DIR", &self.target);
        // Samples are enough, and what is set for this test is not meant for that one.
        for name in ["WHSEC_TEST_FULL", "WHSEC_TEST_ONLY", "WHSEC_TEST_BINARY", "CARGO_MANIFEST_DIR"] {
            cargo.env_remove(name);
        }
        cargo
    }
}

/// The argument for a test target; `lib` is the library's own tests.
fn chosen(target: &str) -> Vec<&str> {
    if target == "lib" { vec!["--lib"] } else { vec!["--test", target] }
}

/// The names in the harness's last list of failures.
fn names_after_failures(text: &str) -> Vec<String> {
    let Some((_, list)) = text.rsplit_once("\nfailures:\n") else { return Vec::new() };
    list.lines().take_while(|line| line.starts_with("    ")).map(|line| line.trim().to_owned()).collect()
}

fn copy(how: &str, from: &Path, to: &Path) {
    let status = Command::new("cp").arg(how).arg(from).arg(to).status().unwrap();
    assert!(status.success(), "copying {}", from.display());
}

fn tail(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
