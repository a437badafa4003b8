//! What receivers accept, in words: a few lines in the walk, a table where it was asked for.

use jiff::SignedDuration;

use crate::delivery::probe::{Answer, Report, Tried, Verdict};
use crate::http::shown_address;
use crate::provider::plain_text;
use crate::ui::time::span;

/// The verdict and every case on a line, for the walk.
pub fn brief(report: &Report) -> Vec<String> {
    let cases: Vec<String> =
        report.tried.iter().map(|tried| format!("{} {}", tried.case.name(), mark(tried))).collect();
    let mut lines = vec![headline(report)];
    if !cases.is_empty() && report.verdict != Verdict::Unreachable {
        lines.push(format!("  {}", cases.join("  ")));
    }
    lines.push(format!("  {}", advice(report)));
    lines.extend(clock(report));
    lines
}

/// Every case with what was answered and how fast.
pub fn table(report: &Report) -> Vec<String> {
    let bold = anstyle::Style::new().bold();
    let mut lines = vec![format!("{bold}{}{bold:#}", plain_text(&shown_address(&report.url)))];
    for tried in &report.tried {
        let is_silent = tried.answers.iter().all(|answer| answer.status.is_err());
        let (word, statuses) = match tried.is_accepted() {
            _ if is_silent => ("no answer", String::new()),
            Some(true) => ("accepted", statuses(tried)),
            Some(false) => ("refused", statuses(tried)),
            None => ("differs", statuses(tried)),
        };
        lines.push(format!(
            "  {} {:<12} {word:<9} {:<8} {:>7}  {}",
            mark(tried),
            tried.case.name(),
            statuses,
            took(&tried.answers),
            tried.case.about()
        ));
    }
    lines.push(format!("  {} {}: {}", arrow(report.verdict), report.verdict.words(), advice(report)));
    lines.extend(clock(report));
    lines
}

/// The address, the verdict and the time that most answers took.
fn headline(report: &Report) -> String {
    let took = report.took().map(|took| format!(" ({})", millis(took))).unwrap_or_default();
    format!("{} {}: {}{took}", arrow(report.verdict), plain_text(&shown_address(&report.url)), report.verdict.words())
}

/// What to do about it; with the reason where nobody answered.
fn advice(report: &Report) -> String {
    let failure = report.tried.iter().flat_map(|tried| &tried.answers).find_map(|answer| answer.status.as_ref().err());
    match (report.verdict, failure) {
        (Verdict::Unreachable, Some(why)) => format!("{why}; {}", report.verdict.advice()),
        _ => report.verdict.advice().to_owned(),
    }
}

/// A word on a receiver's clock that is off, which makes sound deliveries look stale to it.
fn clock(report: &Report) -> Option<String> {
    let off = report.clock_off()?;
    let side = if off.is_negative() { "behind" } else { "ahead of" };
    // Its clock shows whole seconds, and an answer takes a moment.
    let minutes = off.abs().as_secs().saturating_add(30) / 60;
    Some(format!(
        "  its clock is {} {side} the time in the probes, so it may refuse sound ones as stale: set the clock that is wrong",
        span(SignedDuration::from_mins(minutes))
    ))
}

fn mark(tried: &Tried) -> String {
    let green = anstyle::AnsiColor::Green.on_default();
    let red = anstyle::AnsiColor::Red.on_default();
    match tried.is_accepted() {
        Some(true) => format!("{green}✓{green:#}"),
        Some(false) => format!("{red}✗{red:#}"),
        None => "?".to_owned(),
    }
}

fn arrow(verdict: Verdict) -> String {
    let color = match verdict {
        Verdict::AcceptsBoth | Verdict::NewOnly | Verdict::AcceptsNew => anstyle::AnsiColor::Green,
        Verdict::OldOnly | Verdict::Undecided | Verdict::Inconsistent => anstyle::AnsiColor::Yellow,
        _ => anstyle::AnsiColor::Red,
    };
    let style = color.on_default();
    format!("{style}→{style:#}")
}

/// Each status once, in order.
fn statuses(tried: &Tried) -> String {
    let mut words: Vec<String> = Vec::new();
    for answer in &tried.answers {
        let word = match &answer.status {
            Ok(status) => status.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

fn took(answers: &[Answer]) -> String {
    let mut times: Vec<_> = answers.iter().map(|answer| answer.took).collect();
    times.sort_unstable();
    times.get(times.len() / 2).map(|took| millis(*took)).unwrap_or_default()
}

fn millis(took: std::time::Duration) -> String {
    format!("{} ms", took.as_millis().max(1))
}
