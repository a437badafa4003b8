//! What receivers accept, in words: a few lines in the walk, a table where it was asked for.

use jiff::SignedDuration;

use crate::delivery::probe::{Answer, Report, Tried, Verdict};
use crate::http::shown_address;
use crate::provider::plain_text;
use crate::time::span;

/// The verdict and every case on a line, for the walk.
pub fn brief(report: &Report) -> Vec<String> {
    let cases: Vec<String> = report.tried.iter().map(in_short).collect();
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

/// A case with its mark; where neither answer is wrong, with what was answered.
fn in_short(tried: &Tried) -> String {
    let name = tried.case.name();
    match (tried.case.is_rightly_accepted(), tried.is_accepted()) {
        (None, Some(accepted)) => format!("{name} {}", if accepted { "accepted" } else { "refused" }),
        _ => format!("{name} {}", mark(tried)),
    }
}

/// Whether the answer is right for the case. The word beside it says which answer it was.
fn mark(tried: &Tried) -> String {
    let green = anstyle::AnsiColor::Green.on_default();
    let red = anstyle::AnsiColor::Red.on_default();
    match (tried.case.is_rightly_accepted(), tried.is_accepted()) {
        (Some(right), Some(accepted)) if right == accepted => format!("{green}✓{green:#}"),
        (Some(_), Some(_)) => format!("{red}✗{red:#}"),
        (None, Some(_)) => "·".to_owned(),
        (_, None) => "?".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::probe::Case;

    fn report(accepted: &[Case]) -> Report {
        let answered = |case: Case| Answer {
            status: Ok(if accepted.contains(&case) { 204 } else { 401 }),
            took: std::time::Duration::ZERO,
            clock_ahead: None,
        };
        let tried = Case::ALL.map(|case| Tried { case, answers: vec![answered(case)] });
        Report::new("https://a.example/".to_owned(), tried.to_vec())
    }

    #[test]
    fn c5_a_healthy_receiver_shows_no_red_and_one_that_accepts_anything_no_green_where_it_is_wrong() {
        use Case::{Both, FirstWrong, New, Old};
        let red = anstyle::AnsiColor::Red.on_default().to_string();
        for healthy in [&[New, Both, FirstWrong][..], &[New, Old, Both, FirstWrong]] {
            let report = report(healthy);
            let lines = [table(&report), brief(&report)].concat().join("\n");
            assert!(!lines.contains(&red) && !lines.contains('✗'), "{lines}");
        }
        let rows = table(&report(&Case::ALL));
        for case in Case::ALL {
            let row = rows.iter().find(|row| row.contains(&format!(" {:<12} accepted", case.name()))).unwrap();
            assert_eq!(row.contains('✗'), !case.is_sound(), "{row}");
        }
        let row = &table(&report(&[New, Both, FirstWrong]))[2];
        assert!(row.contains("· old          refused"), "{row}");
    }
}
