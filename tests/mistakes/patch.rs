//! Reads a patch and applies it by its lines alone: where they are in the file does not matter, as long as it is one place.

use std::path::{Path, PathBuf};

/// A test target and the beginning or a part of a test's name in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Test {
    pub target: String,
    pub filter: String,
    /// What `WHSEC_TEST_ONLY` is, for sweeps with scenarios.
    pub only: String,
}

/// A patch with its head.
pub struct Mistake {
    pub name: String,
    /// The tests that kill it, tried in this order.
    pub tests: Vec<Test>,
    edits: Vec<Edit>,
}

/// Lines of a file that become others.
struct Edit {
    file: PathBuf,
    from: String,
    to: String,
}

impl Mistake {
    /// All there are, by the names of their files.
    pub fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "patch")).collect();
        paths.sort();
        paths.iter().map(|path| Self::parse(&std::fs::read_to_string(path).unwrap())).collect()
    }

    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("diff --git ").expect("a head and what git diff writes");
        let heads = |word: &'static str| head.lines().filter_map(move |line| line.strip_prefix(word)).map(str::trim);
        let test = |line: &str| {
            let (line, only) = line.split_once(" only ").unwrap_or((line, ""));
            let (target, filter) = line.split_once(' ').expect("a target and a name");
            Test { target: target.to_owned(), filter: filter.to_owned(), only: only.to_owned() }
        };
        let (mut edits, mut file): (Vec<Edit>, _) = (Vec::new(), PathBuf::new());
        let mut in_hunk = false;
        for line in body.lines() {
            if let Some(path) = line.strip_prefix("+++ b/") {
                file = PathBuf::from(path);
            } else if line.starts_with("@@") {
                in_hunk = true;
                edits.push(Edit { file: file.clone(), from: String::new(), to: String::new() });
            } else if line.starts_with("diff --git") || line.starts_with("--- ") {
                in_hunk = false;
            }
            let Some(edit) = edits.last_mut().filter(|_| in_hunk && !line.starts_with("@@")) else { continue };
            // A context line that is empty may have lost its only space.
            let (sign, rest) = if line.is_empty() { (" ", "") } else { line.split_at(1) };
            if sign != "+" {
                edit.from.push_str(&format!("{rest}\n"));
            }
            if sign != "-" {
                edit.to.push_str(&format!("{rest}\n"));
            }
        }
        let name = heads("Mistake:").next().expect("a line `Mistake:`").to_owned();
        Self { name, tests: heads("Killed by:").map(test).collect(), edits }
    }

    /// The files that it changes, with what they become.
    pub fn changed(&self, root: &Path) -> Result<Vec<(PathBuf, String)>, String> {
        let mut changed: Vec<(PathBuf, String)> = Vec::new();
        for Edit { file, from, to } in &self.edits {
            if !changed.iter().any(|(path, _)| path == file) {
                let text = std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file:?}: {error}"))?;
                changed.push((file.clone(), text));
            }
            let Some((_, text)) = changed.iter_mut().find(|(path, _)| path == file) else { continue };
            let found = text.matches(from.as_str()).count();
            if found != 1 {
                let name = &self.name;
                return Err(format!("`{name}` applies {found} times to {}; these lines:\n{from}", file.display()));
            }
            *text = text.replacen(from.as_str(), to, 1);
        }
        Ok(changed)
    }
}
