//! What `tests/dotenv-loaders/check.sh` holds against the real loaders: files that we wrote, and our reading of
//! files that nobody would write.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::text::{Binding, Lines};
use super::{node, python};
use crate::secret::Secret;
use crate::store::Slot;
use crate::store::conformance::{ODD, opened};

/// How many files of random text are compared.
const RANDOM: u64 = 6000;

/// Where the files go; the script makes it, and removes it again.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/dotenv-loaders/files");

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// For each odd value that a dotenv file takes, `N.env` and the value in `N.value`.
#[test]
#[ignore = "run by tests/dotenv-loaders/check.sh, which reads what this writes"]
fn write_odd_values() {
    let long = "k\u{e9}y+/=".repeat(512);
    let mut taken = 0;
    for (at, value) in ODD.iter().copied().chain([long.as_str()]).enumerate() {
        for (style, line) in ["", "K=old\n", "export K='old' # why\n", "K=\"old\"\r\nL=1\r\n"].iter().enumerate() {
            let file = path(&format!("{at}-{style}.env"));
            fs::write(&file, format!("{line}Z='kept'\n")).unwrap();
            let store = opened(&format!("dotenv:{}#K", file.display()), Path::new(FOLDER));
            let secret = Secret::new(value);
            if store.apply(&[(Slot::Next, Some(&secret)), (Slot::Current, Some(&secret))]).is_ok() {
                fs::write(file.with_extension("value"), value).unwrap();
                taken += 1;
            }
        }
    }
    assert!(taken > 90, "only {taken} were taken");
}

/// Random text in `rN.env`, and in `rN.python` and `rN.node` what our readers find there, as JSON. A value that we
/// leave to the loader is null.
#[test]
#[ignore = "run by tests/dotenv-loaders/check.sh, which reads what this writes"]
fn write_random_text() {
    let pieces = [
        "K='",
        "K=\"",
        "K=`",
        "\\'",
        "\\\"",
        "\\`",
        "'\n",
        "\"\n",
        "`\n",
        "K",
        "K=",
        "=",
        "export ",
        "'",
        "\"",
        "`",
        "\\",
        "\\n",
        "#",
        " #",
        " ",
        "\t",
        "\n",
        "\n",
        "\r\n",
        "a",
        "${A}",
        "$A",
        ": ",
        "L=1\n",
        "K='x'",
        "K=\"y\" # z\n",
        "\u{e9}",
        "\u{a0}",
        "'K'=",
        "export",
        ".",
        "-",
    ];
    let mut state = 1_u64;
    for number in 0..RANDOM {
        let mut text = String::new();
        for _ in 0..3 + number % 15 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        let lines = Lines::new(&text);
        let write = |ending: &str, found: Vec<Binding>| {
            let values: BTreeMap<String, Option<String>> =
                found.into_iter().map(|binding| (binding.key, binding.value.map(|value| value.to_string()))).collect();
            fs::write(path(&format!("r{number}.{ending}")), serde_json::to_string(&values).unwrap()).unwrap();
        };
        fs::write(path(&format!("r{number}.env")), &text).unwrap();
        write("python", python::bindings(&lines.text));
        write("node", node::bindings(&lines.text));
    }
}
