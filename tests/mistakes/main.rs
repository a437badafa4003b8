//! A gate on the gates: mistakes that somebody might make, each of which the suite has to notice.
//!
//! Every `*.patch` here is one. Its head says what it is and which tests kill it; the rest is what `git diff` writes. The
//! plain run sees that each still applies to the tree; `tests/run --full` makes them one by one in a copy of the tree,
//! sees that the result still rotates, and that the named tests fail. `WHSEC_TEST_ONLY` makes those with this text in
//! their name.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod patch;
mod scratch;
#[allow(dead_code, reason = "it is made for all three, and not all of it is used here")]
#[path = "../share/mod.rs"]
mod share;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use patch::Mistake;
use scratch::Scratch;

/// Mistakes that docs/promises.md names, in words of the patches.
const NAMED: [&str; 12] = [
    "persist after send",
    "no folder sync",
    "follow redirects",
    "print a parser error",
    "format a URL",
    "no lock",
    "retry on timeout",
    "key past its window",
    "drop an unparseable body",
    "println in the middle",
    "overwrite the live slot",
    "no core limit",
];

#[test]
fn every_mistake_can_still_be_made() {
    let mistakes = Mistake::all();
    for mistake in &mistakes {
        let changed = mistake.changed(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_or_else(|why| panic!("{why}"));
        assert!(!changed.is_empty() && !mistake.tests.is_empty(), "{} is empty", mistake.name);
    }
    for name in NAMED {
        assert!(mistakes.iter().any(|mistake| mistake.name == name), "no patch is called `{name}`");
    }
}

#[test]
#[ignore = "builds every mistake: run by tests/run --full"]
fn every_mistake_is_noticed() {
    let only = std::env::var("WHSEC_TEST_ONLY").unwrap_or_default();
    let mistakes: Vec<Mistake> = Mistake::all().into_iter().filter(|mistake| mistake.name.contains(&only)).collect();
    let mistakes = share::of_this_piece(mistakes);
    let scratch = Scratch::prepare();
    // A test that fails without the mistake would kill everything.
    let tests: BTreeSet<_> = mistakes.iter().flat_map(|mistake| &mistake.tests).cloned().collect();
    let targets: BTreeSet<_> = tests.iter().map(|test| test.target.clone()).collect();
    scratch.build(&targets).unwrap();
    for test in &tests {
        let (failed, said) = scratch.run(test).unwrap();
        assert!(failed.is_empty(), "without any mistake {test:?} fails already: {failed:?}\n{said}");
    }
    let mut survivors = Vec::new();
    for mistake in &mistakes {
        let began = Instant::now();
        let killers = kill(&scratch, mistake).unwrap_or_else(|why| panic!("{}: {why}", mistake.name));
        let by = if killers.is_empty() { "-".to_owned() } else { killers.join(", ") };
        let verdict = if killers.is_empty() { "NO" } else { "yes" };
        say(&format!("MISTAKE {} | {by} | {verdict} | {:.0} s", mistake.name, began.elapsed().as_secs_f64()));
        survivors.extend(killers.is_empty().then_some(&mistake.name));
    }
    say(&format!("MISTAKES {} made{} | {} survived", mistakes.len(), share::label(), survivors.len()));
    assert!(!mistakes.is_empty(), "no mistake was made");
    assert!(survivors.is_empty(), "the suite does not notice {survivors:?}");
}

/// Makes a mistake and runs its tests until one fails; yields the tests that did.
fn kill(scratch: &Scratch, mistake: &Mistake) -> Result<Vec<String>, String> {
    let _undone_at_the_end = scratch.make(mistake)?;
    let targets = mistake.tests.iter().map(|test| test.target.clone()).collect();
    scratch.build(&targets)?;
    scratch.rehearse()?;
    for test in &mistake.tests {
        let (failed, _) = scratch.run(test)?;
        if !failed.is_empty() {
            return Ok(failed);
        }
    }
    Ok(Vec::new())
}

/// A line past the test harness, which keeps what a passing test prints.
fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}
