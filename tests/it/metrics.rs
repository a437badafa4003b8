//! `whsec metrics`: text that a strict reader takes, with every state in it and no secret; and rules that name what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::Timestamp;

use crate::sandbox::Sandbox;

/// Samples by name and labels, each with its value, as a strict reader finds them.
fn parsed(text: &str) -> BTreeMap<String, String> {
    let (mut samples, mut typed, mut family) = (BTreeMap::new(), BTreeSet::new(), (String::new(), String::new()));
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.strip_suffix("# EOF\n").unwrap().lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let words: Vec<&str> = rest.splitn(3, ' ').collect();
            let [word, name, what] = words[..] else { panic!("`{line}`") };
            match word {
                "TYPE" => {
                    assert!(["gauge", "counter"].contains(&what), "`{line}`");
                    assert!(typed.insert(name.to_owned()), "a family that is there twice: `{line}`");
                    family = (name.to_owned(), what.to_owned());
                }
                "UNIT" => assert!(name == family.0 && name.ends_with(&format!("_{what}")), "`{line}`"),
                "HELP" => assert!(name == family.0, "`{line}`"),
                _ => panic!("`{line}`"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("`{line}`"));
        assert!(value.parse::<i64>().is_ok(), "`{line}`");
        let (name, labels) = series.split_once('{').map_or((series, None), |(name, labels)| (name, Some(labels)));
        let suffix = if family.1 == "counter" { "_total" } else { "" };
        assert_eq!(name, format!("{}{suffix}", family.0), "a sample outside its family");
        if let Some(labels) = labels {
            check_labels(labels);
        }
        assert!(
            samples.insert(series.to_owned(), value.to_owned()).is_none(),
            "a series that is there twice: `{line}`"
        );
    }
    samples
}

/// Checks what stands behind the brace that opens.
fn check_labels(mut rest: &str) {
    let mut names = BTreeSet::new();
    loop {
        let (name, behind) = rest.split_once("=\"").unwrap();
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'), "`{name}`");
        assert!(!name.starts_with(|letter: char| letter.is_ascii_digit()) && names.insert(name), "`{name}`");
        let (mut at, bytes) = (0, behind.as_bytes());
        while bytes[at] != b'"' {
            assert!(!bytes[at].is_ascii_control(), "`{behind}`");
            if bytes[at] == b'\\' {
                at += 1;
                assert!(b"\\\"n".contains(&bytes[at]), "`{behind}`");
            }
            at += 1;
        }
        match &behind[at + 1..] {
            "}" => return,
            more => rest = more.strip_prefix(',').unwrap(),
        }
    }
}

fn has(samples: &BTreeMap<String, String>, name: &str, label: &str) -> Option<i64> {
    let found = samples.iter().find(|(series, _)| {
        let is_named = series.split('{').next() == Some(name);
        is_named && series.contains(label)
    });
    found.map(|(_, value)| value.parse().unwrap())
}

#[test]
fn m1_what_is_open_leaking_and_over_is_in_it_and_no_secret() {
    let sandbox = Sandbox::new("verifa");
    let now = || Timestamp::now().as_second();
    let first = parsed(&sandbox.run(&["metrics"]).exits(0).stdout);
    assert_eq!(has(&first, "whsec_journal_readable", ""), Some(1));
    assert!((now() - has(&first, "whsec_metrics_written_timestamp_seconds", "").unwrap()).abs() < 60);
    assert_eq!(has(&first, "whsec_rotation_open", ""), None);
    let requests = sandbox.requests();
    sandbox.rotate().exits(0);
    let asked = sandbox.requests();
    assert!(asked > requests);
    let run = sandbox.run(&["metrics"]).exits(0);
    let open = parsed(&run.stdout);
    assert_eq!(has(&open, "whsec_rotation_open", "step=\"deploy\""), Some(1), "{}", run.stdout);
    assert!(has(&open, "whsec_secret_rotated_timestamp_seconds", "target=\"hooks\"").is_some_and(|at| at <= now()));
    // Its old secret ended with the call; another provider's lives on.
    assert_eq!(has(&open, "whsec_overlap_end_timestamp_seconds", ""), None);
    let overlaps = Sandbox::new("layers");
    overlaps.rotate().exits(0);
    let end = parsed(&overlaps.run(&["metrics"]).exits(0).stdout);
    assert!(has(&end, "whsec_overlap_end_timestamp_seconds", "provider=\"layers\"").is_some_and(|at| at > now()));
    assert_eq!(has(&open, "whsec_rotation_overdue", "target=\"hooks\""), Some(0));
    sandbox.run(&["cutover", "hooks", "--done", "deploy", "--done", "verify", "--done", "drop"]).exits(0);
    let run = sandbox.run(&["metrics"]).exits(0);
    assert_eq!(has(&parsed(&run.stdout), "whsec_rotations_total", "outcome=\"done\""), Some(1), "{}", run.stdout);
    let id = sandbox.id();
    sandbox.run(&["force-rotate", "hooks", "--reason", "INC-9", "--confirm", &id, "--done", "prepare"]).exits(0);
    let run = sandbox.run(&["metrics"]).exits(0);
    let since = has(&parsed(&run.stdout), "whsec_leak_uncontained_since_timestamp_seconds", "target=\"hooks\"");
    assert!(since.is_some_and(|at| (now() - at).abs() < 60), "{}", run.stdout);
    let secret = sandbox.newest();
    for hidden in
        [secret.expose().to_owned(), secret.fingerprint().to_string(), sandbox.stand_in.base_url().to_string()]
    {
        assert!(!run.stdout.contains(&hidden), "{}", run.stdout);
    }
}

#[test]
fn m2_hostile_owners_and_labels_stay_in_their_quotes() {
    let sandbox = Sandbox::new("verifa");
    let lines = "[targets.hooks]\nowner = \"a\\\"} 1\\\\ ü 団\"\nlabels = { a-b = \"1\", \"a.b\" = \"2\", target = \"x\", 9 = \"y\" }\n";
    sandbox.edit_config("[targets.hooks]\n", lines);
    let run = sandbox.run(&["metrics", "--label", "a-b=1"]).exits(0);
    let samples = parsed(&run.stdout);
    for label in
        ["label_a_b=\"1\"", "label_a_b_2=\"2\"", "label_target=\"x\"", "label_9=\"y\"", r#"owner="a\"} 1\\ ü 団""#]
    {
        assert_eq!(has(&samples, "whsec_rotation_overdue", label), Some(0), "{label}\n{}", run.stdout);
    }
    let none = parsed(&sandbox.run(&["metrics", "--label", "a-b=2"]).exits(0).stdout);
    assert_eq!(none.len(), 2, "a selection that matches nothing has no targets: {none:?}");
}

#[test]
fn m3_a_journal_that_cannot_be_read_is_written_down() {
    let sandbox = Sandbox::new("verifa");
    sandbox.rotate().exits(0);
    let out = sandbox.path("work/whsec.prom");
    sandbox.run(&["metrics", "--out", "whsec.prom"]).exits(0);
    assert_eq!(has(&parsed(&std::fs::read_to_string(&out).unwrap()), "whsec_journal_readable", ""), Some(1));
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o644);
    std::fs::write(sandbox.state().join("journal.sqlite"), "no journal at all, and long enough to be looked at")
        .unwrap();
    sandbox.run(&["metrics", "--out", "whsec.prom"]).exits(1).says("is damaged, or none of whsec");
    let samples = parsed(&std::fs::read_to_string(&out).unwrap());
    assert_eq!(has(&samples, "whsec_journal_readable", ""), Some(0), "{samples:?}");
    assert_eq!(samples.len(), 2, "{samples:?}");
}

#[test]
fn m4_a_file_that_cannot_be_written_is_said() {
    let sandbox = Sandbox::new("verifa");
    let run = sandbox.run(&["metrics", "--out", "/nonexistent/whsec.prom"]).exits(1);
    run.says("the metrics could not be written to").says("name a file in a folder that this user can write to");
}

#[test]
fn m5_the_rules_name_what_is_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = std::fs::read_to_string(root.join("docs/automation/whsec.rules.yml")).unwrap();
    let known = std::fs::read_to_string(root.join("src/cli/metrics/families.rs")).unwrap();
    let words = rules.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("whsec_")).collect();
    assert!(named.len() >= 6, "{named:?}");
    for name in named {
        assert!(known.contains(&format!("\"{}\"", name.trim_end_matches("_total"))), "{name} is written by nobody");
    }
}
