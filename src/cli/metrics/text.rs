//! `OpenMetrics` text: families with their samples, each series once.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::families::{Family, Join};

/// Names with values, in the order in which they are written.
pub type Labels = Vec<(String, String)>;

/// What is to be written. Two samples of one series, such as of two endpoints that had one name, become one: a reader refuses a
/// file that has a series twice, and with it everything else in the file.
#[derive(Default)]
pub struct Text(BTreeMap<&'static str, BTreeMap<Labels, i64>>);

impl Text {
    pub fn add(&mut self, family: &Family, labels: Labels, value: i64) {
        let join = |kept: &mut i64| {
            *kept = match family.join {
                Join::Least => value.min(*kept),
                Join::Most => value.max(*kept),
                Join::Sum => kept.saturating_add(value),
            }
        };
        let series = self.0.entry(family.name).or_default();
        series.entry(labels).and_modify(join).or_insert(value);
    }

    /// The lines, with the one that says that nothing is cut off last.
    pub fn lines(&self, families: &[&Family]) -> Vec<String> {
        let mut lines = Vec::new();
        for family in families {
            let Some(series) = self.0.get(family.name) else { continue };
            let (name, kind) = (family.name, family.kind());
            lines.push(format!("# TYPE {name} {kind}"));
            if name.ends_with("_seconds") {
                lines.push(format!("# UNIT {name} seconds"));
            }
            lines.push(format!("# HELP {name} {}", family.help));
            let suffix = if family.join == Join::Sum { "_total" } else { "" };
            lines.extend(series.iter().map(|(labels, value)| format!("{name}{suffix}{} {value}", braced(labels))));
        }
        lines.push("# EOF".to_owned());
        lines
    }
}

fn braced(labels: &Labels) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let all: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", all.join(","))
}

/// A value as it stands between quotes. What would drive a terminal is no part of it: the text may be looked at.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            control if control.is_control() => {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\\\u{{{:x}}}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out
}
