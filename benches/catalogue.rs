//! Prints what is built in, beside version 0.1.0: the providers, who makes the new secret at how many of them, whose deliveries are
//! verified and probed, and how large the binary is with all of it.
//!
//! `cargo bench --bench catalogue`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;

use whsec::provider::signature::Scheme;
use whsec::provider::spec::RotateKind;
use whsec::provider::{Catalog, recipe};

/// What 0.1.0 had.
const PROVIDERS_THEN: usize = 5;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let catalog = Catalog::builtin();
    let providers: Vec<_> = catalog.names().into_iter().map(|name| catalog.get(&name).unwrap()).collect();
    let schemes: Vec<_> = providers.iter().filter_map(|provider| Scheme::of(provider)).collect();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    for provider in &providers {
        *made.entry(words(provider.spec().rotate.kind)).or_default() += 1;
    }
    println!("{:<66} {:>6} {:>10}", "", "0.1.0", "now");
    row("providers built in", &PROVIDERS_THEN.to_string(), providers.len());
    for (words, count) in &made {
        let then = if *words == words_of_call() { PROVIDERS_THEN } else { 0 };
        row(&format!("  the new secret is made by {words}"), &then.to_string(), *count);
    }
    row("  whose deliveries are verified", &PROVIDERS_THEN.to_string(), schemes.len());
    let languages = schemes.first().map_or(0, |scheme| recipe::receivers(scheme).len());
    row("languages in which a receiver is shown for each of those", "0", languages);
    let sources: usize = providers.iter().map(|provider| provider.spec().sources.len()).sum();
    row("pages that their facts are from, each with the day on which it was read", "", sources);
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_whsec")).map_or(0, |file| file.len());
    println!("{:<66} {:>6} {:>7.2} MB", "the binary with all of it", "7.7 MB", size as f64 / 1e6);
}

fn row(name: &str, then: &str, now: usize) {
    println!("{name:<66} {then:>6} {now:>10}");
}

fn words_of_call() -> &'static str {
    words(RotateKind::Call)
}

fn words(kind: RotateKind) -> &'static str {
    match kind {
        RotateKind::Call => "the provider, which says it",
        RotateKind::Set => "whsec, which gives it to the provider",
        RotateKind::Hand => "the provider, on its page",
        RotateKind::Replace => "the provider, with a second endpoint",
    }
}
