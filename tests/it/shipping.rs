//! Promise 25: what ships is what was reviewed: no unsafe code, dependencies as the lock file has them, and nothing that
//! `deny.toml` refuses.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Lines with the keyword in code: not in a comment or a text, and not as a part of a longer word.
fn unsafe_lines(text: &str) -> usize {
    // In two parts, so that this file is not among what it finds.
    let keyword = concat!("un", "safe");
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let has = |line: &str| {
        line.match_indices(keyword).any(|(at, _)| {
            let before = line[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || "({[;=|".contains(c));
            before && line[at + keyword.len()..].chars().next().is_none_or(|c| c.is_whitespace() || "{(".contains(c))
        })
    };
    code.filter(|line| has(line)).count()
}

#[test]
#[ignore = "run by tests/run"]
fn what_ships_is_what_was_reviewed() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        collect(&root().join(folder), &mut files);
    }
    files.retain(|path| path.extension().is_some_and(|end| end == "rs"));
    let found: usize = files.iter().map(|path| unsafe_lines(&std::fs::read_to_string(path).unwrap())).sum();
    assert_eq!(found, 0, "lines that the compiler does not check");
    assert!(text("Cargo.toml").contains("unsafe_code = \"forbid\""), "the lint is not forbidden");

    let mut scripts = vec![root().join(".ci/run")];
    collect(&root().join("tests"), &mut scripts);
    scripts.retain(|path| path.ends_with("run") || path.extension().is_some_and(|end| end == "sh"));
    assert!(scripts.len() >= 4, "the scripts were not found");
    for script in scripts {
        let text = std::fs::read_to_string(&script).unwrap();
        let builds = |line: &&str| ["cargo test", "cargo clippy", "cargo build"].iter().any(|verb| line.contains(verb));
        let code =
            text.lines().map(str::trim).filter(|line| !["#", "step "].iter().any(|start| line.starts_with(start)));
        for line in code.filter(builds) {
            assert!(line.contains("--locked"), "{}: `{line}` may change the lock file", script.display());
        }
    }

    let lock: toml::Table = text("Cargo.lock").parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    for package in packages.iter().filter(|package| package["name"].as_str() != Some("whsec")) {
        let source = package.get("source").and_then(toml::Value::as_str).unwrap_or_default();
        assert!(source.starts_with("registry+"), "{package:?} is from somewhere else");
        assert!(package.get("checksum").is_some(), "{package:?} has no checksum");
    }
    let cargo = |arguments: &[&str]| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Command::new(cargo).args(arguments).current_dir(root()).output().unwrap()
    };
    let metadata = cargo(&["metadata", "--locked", "--offline", "--format-version", "1", "--no-deps"]);
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));

    let denied = match cargo(&["deny", "--version"]).status.success() {
        false => "cargo-deny is not installed here",
        true => {
            let output = cargo(&["deny", "--locked", "--offline", "check", "bans", "licenses", "sources"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            "cargo-deny: 0 findings"
        }
    };
    println!(
        "PROMISE 25 | what ships is what was reviewed | cases {} | failures 0 | 0 lines that the compiler does not check in {} files, {} \
         packages locked with their checksums, {denied}",
        files.len() + packages.len(),
        files.len(),
        packages.len()
    );
}

#[test]
fn unsafe_code_would_be_found() {
    let keyword = concat!("un", "safe");
    assert_eq!(
        unsafe_lines(&format!("let a = {keyword} {{ b() }};\n// {keyword} is a word\nlet {keyword}_code = 1;")),
        1
    );
}
