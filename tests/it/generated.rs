//! Completion scripts and man pages are made from the command definition, committed, and compared here.
//! `WHSEC_BLESS=1 cargo test --test it generated` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use whsec::cli::command;

/// The shells and the files of their scripts.
const SCRIPTS: [(&str, &str); 5] = [
    ("bash", "whsec.bash"),
    ("zsh", "_whsec"),
    ("fish", "whsec.fish"),
    ("powershell", "_whsec.ps1"),
    ("elvish", "whsec.elv"),
];

#[test]
fn completion_scripts_are_fresh() {
    let script = |shell| {
        let output = Command::new(env!("CARGO_BIN_EXE_whsec")).args(["completions", shell]).output().unwrap();
        assert!(output.status.success(), "{shell}");
        output.stdout
    };
    compare("completions", &SCRIPTS.iter().map(|(shell, file)| (file.to_string(), script(shell))).collect());
}

#[test]
fn man_pages_are_fresh() {
    let mut pages = BTreeMap::new();
    let mut root = command();
    root.build();
    collect(&root, "whsec", &mut pages);
    compare("man", &pages);
}

fn collect(command: &clap::Command, name: &str, pages: &mut BTreeMap<String, Vec<u8>>) {
    let mut page = Vec::new();
    // The options of the whole tree stand in whsec(1) alone.
    clap_mangen::Man::new(command.clone()).title(name).source("whsec").render(&mut page).unwrap();
    pages.insert(format!("{name}.1"), page);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        collect(sub, &format!("{name}-{}", sub.get_name()), pages);
    }
}

/// Compares a folder with what it should hold; hand-written pages of section 5 are left alone.
fn compare(folder: &str, wanted: &BTreeMap<String, Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let found: BTreeMap<String, PathBuf> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| !name.ends_with(".5"))
        .collect();
    if std::env::var_os("WHSEC_BLESS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        found.values().for_each(|path| fs::remove_file(path).unwrap());
        wanted.iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap());
        return;
    }
    for (name, content) in wanted {
        let old = found.get(name).map(|path| fs::read(path).unwrap());
        assert!(
            old.as_ref() == Some(content),
            "{folder:?}: `{name}` is stale; run WHSEC_BLESS=1 cargo test --test it generated"
        );
    }
    let strangers: Vec<&String> = found.keys().filter(|name| !wanted.contains_key(*name)).collect();
    assert!(strangers.is_empty(), "{folder:?} holds {strangers:?}, which nothing makes");
}
