//! The house rules, read off the source files: who may use whom, what lives where, how long a file is. And that the
//! documents name only what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A source file: its path below `src`, its module, its text without comments and without tests.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    /// The layer that the file belongs to: `store` for `store/json/scan.rs`.
    fn layer(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

/// What stands left of each layer. `provider` and `store` never see each other.
const USES: &[(&str, &[&str])] = &[
    ("shell", &[]),
    ("time", &[]),
    ("advice", &["shell"]),
    ("system", &["shell"]),
    ("secret", &["system"]),
    ("search", &["secret"]),
    ("stamp", &["system", "secret"]),
    ("http", &["secret"]),
    ("provider", &["advice", "system", "secret", "http"]),
    ("delivery", &["secret", "stamp", "http", "provider"]),
    ("store", &["advice", "system", "secret", "http"]),
    ("documents", &["advice", "system", "secret", "http"]),
    ("config", &["advice", "system", "secret", "stamp", "http", "provider", "store", "documents"]),
    (
        "rotation",
        &[
            "shell",
            "time",
            "advice",
            "system",
            "secret",
            "stamp",
            "http",
            "provider",
            "delivery",
            "store",
            "documents",
            "config",
        ],
    ),
    (
        "operation",
        &[
            "shell",
            "time",
            "advice",
            "system",
            "secret",
            "search",
            "stamp",
            "http",
            "provider",
            "delivery",
            "store",
            "documents",
            "config",
            "rotation",
        ],
    ),
    ("ui", &["time", "system", "secret", "http", "provider", "delivery", "store", "config", "rotation"]),
    (
        "cli",
        &[
            "shell",
            "time",
            "advice",
            "system",
            "secret",
            "search",
            "stamp",
            "http",
            "provider",
            "delivery",
            "store",
            "documents",
            "config",
            "rotation",
            "operation",
            "ui",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

/// Words that only some files may have, by the beginnings of their paths.
const PLACES: &[(&str, &[&str])] = &[
    ("clap", &["cli/"]),
    ("anyhow", &["cli/"]),
    ("std::env", &["cli/", "main.rs"]),
    ("Timestamp::now", &["cli/"]),
    ("SystemTime", &["cli/"]),
    ("reqwest", &["http/", "provider/client.rs"]),
    ("reqwest::blocking", &["http/"]),
    (".send()", &["http/mod.rs", "provider/client.rs"]),
    ("keyring", &["store/keychain.rs"]),
    ("process::Command", &["system/program.rs"]),
    ("std::process::{", &["system/program.rs"]),
    (
        "rusqlite",
        &[
            "rotation/bring_up.rs",
            "rotation/endpoints.rs",
            "rotation/heads.rs",
            "rotation/local.rs",
            "rotation/journal_error.rs",
            "rotation/moving.rs",
            "rotation/rows.rs",
            "rotation/sums.rs",
        ],
    ),
    ("csv::", &["config/sheet.rs"]),
    ("age::", &["rotation/seal.rs", "store/envelope.rs", "store/mod.rs"]),
    ("dialoguer", &["ui/"]),
    ("indicatif", &["ui/"]),
    ("console::", &["ui/"]),
    ("anstream", &["ui/"]),
    ("anstyle", &["ui/"]),
    ("stdout()", &["ui/", "store/stdout.rs"]),
    ("stderr()", &["ui/"]),
    ("print!", &[]),
    ("println!", &[]),
    ("dbg!", &[]),
    (".unwrap()", &[]),
    (".expect(", &[]),
    ("panic!", &[]),
    ("todo!", &[]),
    ("unimplemented!", &[]),
    ("unreachable!", &[]),
    ("unsafe ", &[]),
    ("process::exit", &[]),
];

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    let texts: Vec<(PathBuf, String)> =
        paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect();
    let tests: BTreeSet<PathBuf> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let mut sources: Vec<Source> = texts
        .into_iter()
        .filter(|(path, _)| !tests.iter().any(|test| path.starts_with(test) || path == test))
        .map(|(path, text)| {
            let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            Source { path, code: without_tests(&text), text }
        })
        .collect();
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Files and folders of modules that only tests have.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let is_root = path.file_name().is_some_and(|name| name == "mod.rs" || name == "lib.rs" || name == "main.rs");
    let folder = if is_root { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    let mut found = Vec::new();
    for part in text.split("#[cfg(test)]\n").skip(1) {
        let mut lines = part.lines();
        let first = lines.next().unwrap_or_default();
        let named = first.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]"));
        let line = if named.is_some() { lines.next().unwrap_or_default() } else { first };
        let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) else { continue };
        match named {
            Some(named) => found.push(path.parent().unwrap().join(named)),
            None => found.extend([folder.join(format!("{name}.rs")), folder.join(name)]),
        }
    }
    found
}

/// The code: no comments, and nothing behind the beginning of a test module.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).map(|line| format!("{line}\n")).collect()
}

/// The layers that a file's code names: `crate::ui::…`, also in braces.
fn layers_used(code: &str) -> BTreeSet<&str> {
    let word = |text: &'static str| code.match_indices(text).map(move |(at, _)| at + text.len());
    word("crate::")
        .map(|at| {
            let rest = &code[at..];
            &rest[..rest.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn a_module_uses_only_what_stands_to_its_left() {
    for source in sources() {
        let allowed = USES.iter().find(|(layer, _)| *layer == source.layer());
        let (layer, allowed) = allowed.unwrap_or_else(|| panic!("`{}` belongs to no layer", source.path));
        for used in layers_used(&source.code) {
            assert!(!used.is_empty(), "{}: write `crate::LAYER`, which this test can read", source.path);
            assert!(used == *layer || allowed.contains(&used), "{} uses `{used}`", source.path);
        }
    }
}

#[test]
fn what_only_one_place_may_use_is_used_nowhere_else() {
    for source in sources() {
        for (word, places) in PLACES {
            let allowed = places.iter().any(|place| source.path.starts_with(place));
            assert!(allowed || !has_word(&source.code, word), "{} has `{word}`", source.path);
        }
    }
}

/// The files and folders of a layer that a file of it names: `super::find`, `crate::cli::{ask, find}`.
fn siblings<'a>(source: &Source, all: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let layer = format!("crate::{}::", source.layer());
    let goes_on = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut found = BTreeSet::new();
    for word in ["super::", &layer] {
        for (at, _) in source.code.match_indices(word) {
            let rest = &source.code[at + word.len()..];
            let list = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or(rest);
            let names = if rest.starts_with('{') { list.split(',').collect() } else { vec![list] };
            let named = |name: &str| name.trim().split(|letter| !goes_on(letter)).next().unwrap_or_default().to_owned();
            let names: BTreeSet<String> = names.into_iter().map(named).collect();
            found.extend(all.iter().filter(|sibling| names.contains(**sibling)).copied());
        }
    }
    found
}

/// What is in a circle cannot be read from its beginning.
#[test]
fn no_file_of_the_engine_an_operation_or_a_command_needs_one_that_needs_it() {
    let sources = sources();
    for layer in ["rotation", "operation", "cli"] {
        let stem = |source: &Source| {
            let path = source.path.strip_prefix(&format!("{layer}/"))?;
            Some(path.split('/').next()?.trim_end_matches(".rs").to_owned()).filter(|stem| stem != "mod")
        };
        let stems: BTreeSet<String> = sources.iter().filter_map(&stem).collect();
        let all: BTreeSet<&str> = stems.iter().map(String::as_str).collect();
        let mut needs = BTreeMap::<&str, BTreeSet<&str>>::new();
        for source in &sources {
            let Some(stem) = stem(source).and_then(|stem| all.get(stem.as_str()).copied()) else { continue };
            let others = siblings(source, &all).into_iter().filter(|other| *other != stem);
            needs.entry(stem).or_default().extend(others);
        }
        assert!(needs.values().map(BTreeSet::len).sum::<usize>() > 20, "the uses were not found");
        // What needs nothing that is left is taken away, until nothing is left.
        while let Some(free) = needs.iter().find(|(_, needed)| needed.is_empty()).map(|(stem, _)| *stem) {
            needs.remove(free);
            needs.values_mut().for_each(|needed| {
                needed.remove(free);
            });
        }
        assert!(needs.is_empty(), "a circle in `{layer}`: {needs:?}");
    }
}

/// Whether the code has the word, and not as the end of a longer one.
fn has_word(code: &str, word: &str) -> bool {
    let part_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| !word.starts_with(part_of_name) || !code[..at].ends_with(part_of_name))
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let sources = sources();
    let mut lengths: Vec<usize> = sources.iter().map(|source| source.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median < 150, "the median file has {median} lines");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut everything = Vec::new();
    collect(&root.join("src"), &mut everything);
    for path in &everything {
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
    collect(&root.join("tests"), &mut everything);
    for path in everything {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it is for", path.display());
    }
}

#[test]
fn there_are_exactly_two_traits() {
    let mut traits: Vec<String> = Vec::new();
    for source in sources() {
        let lines = source.code.lines().filter_map(|line| line.trim_start().strip_prefix("pub trait "));
        traits.extend(lines.map(|rest| rest.split([' ', ':', '<']).next().unwrap_or_default().to_owned()));
        let private = source.code.lines().any(|line| line.trim_start().starts_with("trait "));
        assert!(!private, "{} has a trait of its own", source.path);
    }
    traits.sort();
    assert_eq!(traits, ["Operator", "Store"]);
}

/// A line break that somebody else has written must not look like one of ours, so ours are calls of their own.
#[test]
fn b10_what_is_said_is_said_line_by_line() {
    for source in sources() {
        for verb in [".say(", ".warn(", ".data(", ".detail(", ".error("] {
            for (at, _) in source.code.match_indices(verb) {
                let call = source.code[at..].split(';').next().unwrap_or_default();
                assert!(!call.contains("\\n"), "{}: `{}`", source.path, call.lines().next().unwrap_or_default());
            }
        }
    }
}

#[test]
fn names_that_say_nothing_are_not_used() {
    for source in sources() {
        let stem = source.path.trim_end_matches(".rs").rsplit('/').next().unwrap_or_default();
        assert!(!["util", "utils", "common", "helpers", "manager", "types", "misc"].contains(&stem), "{}", source.path);
    }
}

/// The documents: their paths and texts.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = [root.to_owned(), root.join("docs")].map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    let documents = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// What stands behind each `word` of a text, as far as `belongs` says, where the word is not the end of a longer one.
fn behind<'a>(text: &'a str, word: &'a str, belongs: impl Fn(char) -> bool + 'a) -> impl Iterator<Item = &'a str> {
    let goes_on = |letter: char| letter.is_alphanumeric() || "/_-.".contains(letter);
    let begins = move |at: &usize| word.starts_with(']') || !text[..*at].ends_with(goes_on);
    text.match_indices(word).map(|(at, _)| at).filter(begins).map(move |at| {
        let rest = &text[at + word.len()..];
        &rest[..rest.find(|letter| !belongs(letter)).unwrap_or(rest.len())]
    })
}

/// What a document names and is not there: relative links, paths of the tree, functions as `FILE.rs::NAME`.
fn missing(root: &Path, document: &Path, text: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for link in behind(text, "](", |letter| letter != ')').filter(|link| !link.contains("://")) {
        let file = link.split('#').next().unwrap_or_default();
        if !file.is_empty() && !document.parent().unwrap().join(file).exists() {
            missing.push(format!("the link `{link}`"));
        }
    }
    for folder in ["src/", "action/", "tests/", "docs/", "man/", "benches/", "completions/"] {
        for rest in behind(text, folder, |letter| letter.is_ascii_alphanumeric() || "/_-.*:".contains(letter)) {
            let (file, function) = rest.split_once("::").unwrap_or((rest, ""));
            // A full stop ends a sentence; of several files the folder counts.
            let file = match file.split_once('*') {
                Some((folder, _)) => folder.rsplit_once('/').map_or("", |(folder, _)| folder),
                None => file.trim_end_matches(['.', ':']),
            };
            let path = root.join(folder).join(file);
            let has_function =
                || std::fs::read_to_string(&path).is_ok_and(|code| code.contains(&format!("fn {function}(")));
            if !path.exists() || (!function.is_empty() && !has_function()) {
                missing.push(format!("`{folder}{rest}`"));
            }
        }
    }
    missing
}

#[test]
fn what_the_documents_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = documents();
    assert!(documents.len() >= 7, "the documents were not found");
    for (path, text) in &documents {
        assert_eq!(missing(root, path, text), Vec::<String>::new(), "{}", path.display());
    }
    let promises = std::fs::read_to_string(root.join("docs/promises.md")).unwrap();
    let promises = promises.split("\n## ").filter(|part| part.starts_with(|letter: char| letter.is_ascii_digit()));
    assert_eq!(promises.filter(|promise| promise.contains(".rs::")).count(), 30, "promises that name a test");
    // Each is found where it is wrong; the path within a link is one, too.
    let wrong = "[a](docs/none.md) `tests/it/none.rs` src/none/ `tests/it/layers.rs::none` `man/none/*.1` tests/none.";
    assert_eq!(missing(root, &root.join("README.md"), wrong).len(), 7);
}
