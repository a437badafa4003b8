//! Targets in words: a line each, or for a wall display a few lines each.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::operation::status::{Arrived, Asked, Row};
use crate::provider::plain_text;
use crate::rotation::{Status, drift};
use crate::time::{moment, span};
use crate::ui::text::alarming;

/// Cells of a countdown's bar.
const BAR: i64 = 30;

/// Everything about a target on one line.
pub(in crate::cli) fn line(row: &Row, now: Timestamp) -> String {
    red_if_failing(row, words(row, now, true))
}

/// Red, where deliveries may be failing at this moment.
fn red_if_failing(row: &Row, line: String) -> String {
    if row.failing_since.is_some() { alarming(&line) } else { line }
}

/// A target on one line, with its end and its receivers or without.
fn words(row: &Row, now: Timestamp, is_whole: bool) -> String {
    let mut parts = vec![format!("{:<20}", row.target)];
    match (row.status, row.step) {
        (Some(status), step) => {
            let next = if status == Status::Unknown { "find out what came of the call" } else { step.unwrap_or("-") };
            parts.push(format!("{:<9} next: {next:<8}", status.name()));
        }
        (None, _) if row.rotated_at.is_some() || row.adopted.is_some() => parts.push("closed".to_owned()),
        // Nothing was ever open.
        (None, _) => {}
    }
    if let Some(since) = row.live_dead_since {
        parts.push(format!("live slot is dead since {}", moment(since)));
    } else if let Some(end) = row.expires_at.filter(|_| is_whole) {
        let left = end.duration_since(now) - SignedDuration::from_millis(row.clock_ahead_ms);
        parts.push(if left.is_positive() {
            format!("old secret ends in {}, at {}", span(left), moment(end))
        } else {
            format!("old secret ended {} ago", span(-left))
        });
    }
    if row.clock_set_back {
        parts.push("this machine's clock was set back since the provider's was heard".to_owned());
    }
    match row.age(now) {
        Some(age) if row.status.is_none() && row.changes.is_empty() => {
            parts.push(format!("secret is {} old", span(age)))
        }
        None if row.status.is_none() && row.adopted.is_some() => parts.push("age unknown".to_owned()),
        None if row.status.is_none()
            && row.handed_over.is_none()
            && !row.lost
            && !row.abandoned
            && row.trouble.is_none() =>
        {
            parts.push("age unknown: never rotated with whsec".to_owned())
        }
        _ => {}
    }
    parts.extend(row.handed_over.as_ref().map(|handed| plain_text(handed)));
    parts.extend(row.adopted.as_ref().map(|adopted| plain_text(&adopted.words())));
    if let Some(beside) = &row.beside {
        let next = beside.step.unwrap_or("-");
        parts.push(format!("pending beside one that is {}, next: {next}", beside.status.name()));
    }
    if let Some(since) = row.failing_since.filter(|_| row.live_dead_since.is_none()) {
        parts.push(format!("deliveries may be failing since {}", moment(since)));
    }
    if let Some(by) = &row.rolled_back {
        parts.push(format!("old secret put back by {}", plain_text(by)));
    }
    if let Some(since) = row.leaking_since {
        let way = row.again.as_ref().filter(|_| !row.lost && !row.abandoned);
        let way = way.map(|command| format!(": {command}")).unwrap_or_default();
        parts.push(format!("contained: no, {} since the leak was declared{way}", span(now.duration_since(since))));
    } else if row.contained == Some(true) {
        parts.push("contained: yes".to_owned());
    }
    if is_whole && !(row.receivers.is_empty() && row.unasked.is_empty()) {
        let verdicts: BTreeSet<&str> = row.receivers.iter().map(|asked| asked.verdict.words()).collect();
        let unasked = Some(row.unasked.len()).filter(|count| *count > 0);
        let unasked = unasked.map(|count| format!("{count} not asked yet"));
        let all: Vec<String> = verdicts.into_iter().map(str::to_owned).chain(unasked).collect();
        parts.push(format!("receivers: {}", all.join(", ")));
    }
    if let Some(owner) = &row.owner {
        parts.push(owner.clone());
    }
    if !row.foreign.is_empty() {
        parts.push(format!("DRIFT: {}", plain_text(&drift::words(&row.foreign))));
    }
    if let Some(doubt) = &row.doubt {
        parts.push(format!("IN DOUBT: {}", plain_text(doubt)));
    }
    if let Some(elsewhere) = &row.elsewhere {
        parts.push(format!("ELSEWHERE: {}", plain_text(elsewhere)));
    }
    let again = row.again.as_ref().map(|command| format!(": {command}")).unwrap_or_default();
    if let Some(base_url) = &row.base_url {
        let at = if row.is_by_hand { String::new() } else { format!(" at {base_url}") };
        parts.push(format!("no target of the config: {}{at}, in {}", row.provider, row.stores.join(", ")));
    }
    parts.extend(row.changes.iter().map(|change| plain_text(change)));
    parts.extend(row.trouble.as_ref().map(|why| format!("CANNOT BE USED: {}", plain_text(why))));
    if row.lost {
        parts.push(format!("SECRET LOST: rotate again{again}"));
    } else if row.superseded {
        parts.push("SUPERSEDED: somebody else rotated, so what is live may be dead".to_owned());
    } else if row.abandoned {
        let ahead = SignedDuration::from_millis(row.clock_ahead_ms);
        let lives = row.expires_at.is_some_and(|end| end.duration_since(now) > ahead);
        let what = if lives { "what is live ends with the old secret" } else { "what is live may be dead" };
        parts.push(format!("ABANDONED: {what}; rotate again{again}"));
    } else if row.overdue {
        parts.push("OVERDUE".to_owned());
    }
    parts.join("  ")
}

/// A target for a wall display: the line, and below it a countdown, the receivers and the deliveries.
pub(super) fn wall(row: &Row, now: Timestamp) -> Vec<String> {
    if row.status.is_none() {
        return vec![line(row, now)];
    }
    let mut lines = vec![red_if_failing(row, words(row, now, false))];
    lines.extend(bar(row, now).map(|bar| format!("  {bar}")));
    lines.extend(row.receivers.iter().map(|asked| receiver(asked, now)));
    lines.extend(row.unasked.iter().map(|url| format!("  receiver  {}: not asked yet", plain_text(url))));
    lines.extend(row.deliveries.iter().map(delivery));
    lines
}

/// How much of the overlap is over.
fn bar(row: &Row, now: Timestamp) -> Option<String> {
    let (begun, end) = (row.issued_at?, row.expires_at?);
    let provider_now = now.saturating_add(SignedDuration::from_millis(row.clock_ahead_ms)).ok()?;
    let whole = end.duration_since(begun).as_millis().max(1);
    let over = provider_now.duration_since(begun).as_millis().clamp(0, whole);
    let cells = i64::try_from(over * i128::from(BAR) / whole).unwrap_or(BAR);
    let left = end.duration_since(provider_now);
    let words = match left.is_positive() {
        true => format!("{} left, until {}", span(left), moment(end)),
        false => format!("the old secret ended {} ago", span(-left)),
    };
    let cell = |filled: &str, count: i64| filled.repeat(usize::try_from(count).unwrap_or(0));
    Some(format!("{}{} {words}", cell("━", cells), cell("─", BAR - cells)))
}

fn receiver(asked: &Asked, now: Timestamp) -> String {
    let ago = span(now.duration_since(asked.probed_at));
    format!("  receiver  {}: {}, probed {ago} ago", plain_text(&asked.url), asked.verdict.words())
}

fn delivery(arrived: &Arrived) -> String {
    let which = if arrived.is_new { "the new secret" } else { "the old secret" };
    let last = arrived.last_signed_at.map(|at| format!(", the last one signed at {}", moment(at))).unwrap_or_default();
    format!("  delivery  {} verified with {which} ({}){last}", arrived.count, arrived.fingerprint)
}
