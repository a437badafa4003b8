//! What a target of several has come to, and what all of them have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::exit::{self, Exit, Fault};
use super::session::Session;
use super::table::Table;
use crate::operation::Kind;
use crate::operation::fleet::{Course, Item, Outcome};
use crate::provider::duration_text;
use crate::ui::Said;
use crate::ui::wall::{Mark, Wall};

/// The most rows of a table that shows every target; of more only those that need somebody are shown.
const MOST_ROWS: usize = 40;

/// A target that has come to rest.
#[derive(Clone, Debug)]
pub struct Rest {
    pub at: usize,
    wave: usize,
    name: String,
    provider: String,
    pub outcome: Outcome,
    pub exit: Exit,
    /// The object that its command ended with.
    object: Value,
    /// What went wrong, or why it was left out.
    why: Option<String>,
    said: Vec<Said>,
}

/// What a command came to that is no rotation.
pub fn judge(exit: Exit, object: &Value) -> Outcome {
    match exit {
        // What a signal has stopped rests where it is, and has not failed.
        exit if exit.is_of_signal() => match object["status"].as_str() {
            Some("stored" | "deployed" | "verified" | "waiting") => Outcome::Stored,
            Some("done") => Outcome::Done,
            Some("sealed") => Outcome::Sealed,
            Some("unknown") => Outcome::Unknown,
            _ => Outcome::NotBegun,
        },
        Exit::Done => Outcome::Done,
        Exit::Open | Exit::Overdue => Outcome::Open,
        Exit::Unknown => Outcome::Unknown,
        Exit::Sealed => Outcome::Sealed,
        Exit::Unavailable => Outcome::NotBegun,
        _ => Outcome::Failed,
    }
}

/// The code and the error that a target's command ends with.
pub fn fault(session: &Session, name: &str, error: &anyhow::Error) -> (Exit, Value) {
    let fault = session.fault(error, Some(name));
    (fault.exit, exit::object_of(&fault, error))
}

impl Rest {
    /// What came of a target, of all that its command has said.
    pub fn of(
        at: usize,
        wave: usize,
        item: &Item,
        exit: Exit,
        error: Option<Value>,
        mut said: Vec<Said>,
        judge: fn(Exit, &Value) -> Outcome,
    ) -> Self {
        let object = said.iter().rev().find_map(|said| match said {
            Said::Object(object) => Some(object.clone()),
            Said::Line(_) | Said::Data(_) => None,
        });
        let mut object = object.unwrap_or_else(|| json!({ "target": item.name, "exit": exit.code() }));
        if let Some(error) = error {
            object["error"] = error;
        }
        said.retain(|said| !matches!(said, Said::Object(_)));
        let why = object["error"]["message"].as_str().map(str::to_owned);
        let outcome = judge(exit, &object);
        let (name, provider) = (item.name.clone(), item.provider.clone());
        Self { at, wave, name, provider, outcome, exit, object, why, said }
    }

    /// A target that was not begun.
    pub fn left(course: &Course, at: usize, why: &str) -> Self {
        let item = &course.items()[at];
        Self { at, wave: course.wave_of(at), outcome: Outcome::NotBegun, ..Self::skipped(item, why) }
    }

    /// Its name, and why it has not come to what was wanted.
    pub fn named(&self) -> (&str, Option<&str>) {
        (&self.name, self.why.as_deref())
    }

    /// A target that was left out.
    pub fn skipped(item: &Item, why: &str) -> Self {
        Self {
            at: usize::MAX,
            wave: 0,
            name: item.name.clone(),
            provider: item.provider.clone(),
            outcome: Outcome::Skipped,
            exit: Exit::Done,
            object: Value::Null,
            why: Some(why.to_owned()),
            said: Vec::new(),
        }
    }

    /// What it means for others.
    pub fn kind(&self) -> Option<Kind> {
        match self.exit {
            Exit::Auth => Some(Kind::Auth),
            Exit::Unknown => Some(Kind::Unknown),
            Exit::Sealed => Some(Kind::Sealed),
            Exit::Unavailable => Some(Kind::Unavailable),
            _ => None,
        }
    }

    /// Tells of it: what it shows, where that was asked for, else one line; all that it has said where somebody wants to know.
    pub fn say(&self, wall: &Wall, shows: bool, tells: bool, is_verbose: bool) {
        for said in &self.said {
            match said {
                Said::Data(line) if shows && !tells => wall.data(line),
                Said::Line(line) if is_verbose => wall.say(&format!("{}: {line}", self.name)),
                _ => {}
            }
        }
        match self.outcome {
            outcome if outcome.is_bad() => wall.rested(Mark::Bad, &self.line()),
            _ if !tells => {}
            Outcome::Open | Outcome::Skipped => wall.rested(Mark::Plain, &self.line()),
            _ => wall.rested(Mark::Good, &self.line()),
        }
        wall.json(&json!({ "event": "target", "target": self.object(shows) }));
    }

    fn line(&self) -> String {
        let mut line = format!("{}  {}", self.name, self.outcome.name().replace('_', " "));
        let facts =
            [self.fingerprint().map(str::to_owned), self.why.clone(), self.next().map(|next| format!("next: {next}"))];
        for fact in facts.into_iter().flatten() {
            line.push_str("  ");
            line.push_str(&fact);
        }
        line
    }

    fn fingerprint(&self) -> Option<&str> {
        self.object["secret"]["fingerprint"].as_str()
    }

    fn next(&self) -> Option<&str> {
        self.object["next"]["step"].as_str()
    }

    /// Its row in JSON; with all that its command ended with where that was asked for.
    pub fn object(&self, shows: bool) -> Value {
        let mut row = json!({
            "target": self.name,
            "provider": self.provider,
            "endpoint": self.object["endpoint"],
            "owner": self.object["owner"],
            "wave": self.wave,
            "outcome": self.outcome.name(),
            "exit": self.exit.code(),
            "rotation": self.object["rotation"],
            "fingerprint": self.object["secret"]["fingerprint"],
            "expires_at": self.object["previous"]["expires_at"],
            "next": self.object["next"],
            "error": match &self.object["error"] {
                Value::Null => self.why.as_ref().map_or(Value::Null, |why| json!({ "message": why })),
                error => error.clone(),
            },
        });
        if shows {
            row["result"] = self.object.clone();
        }
        row
    }
}

/// The exit code of all of them. What was only to be begun does not wait for anybody.
pub fn exit(rested: &[Rest], waits: bool) -> Exit {
    let has = |wanted: fn(&Rest) -> bool| rested.iter().any(wanted);
    match () {
        () if has(|rest| rest.outcome.is_bad()) => Exit::Partial,
        () if !waits => Exit::Done,
        () if has(|rest| rest.exit == Exit::Overdue) => Exit::Overdue,
        () if has(|rest| rest.exit == Exit::Open) => Exit::Open,
        () => Exit::Done,
    }
}

/// The same in a word.
pub fn status(exit: Exit, rested: &[Rest]) -> &'static str {
    match exit {
        Exit::Done => "done",
        Exit::Open | Exit::Overdue => "open",
        _ if rested.iter().any(|rest| !rest.outcome.is_bad() && rest.outcome != Outcome::Skipped) => "partial",
        _ => "failed",
    }
}

/// The error of all of them.
pub fn error(session: &Session, exit: Exit, rested: &[Rest]) -> Value {
    if exit.is_of_signal() {
        let message = "stopped by a signal".to_owned();
        let hint = "what was under way rests where it is safe; the same command again goes on".into();
        return exit::say(&session.output, &Fault { exit, message, hint: Some(hint) });
    }
    if exit != Exit::Partial {
        return Value::Null;
    }
    let bad: Vec<&str> = rested.iter().filter(|rest| rest.outcome.is_bad()).map(|rest| rest.name.as_str()).collect();
    let message = format!("{} of {} targets failed or were not come to", bad.len(), rested.len());
    let hint = match rested.iter().any(|rest| rest.outcome == Outcome::Stale) {
        true => {
            "what each of them says stands above; what is stale needs another plan, and the same command again does the others"
        }
        false => "what each of them says stands above; the same command again goes on with what is not done",
    };
    exit::say(&session.output, &Fault { exit, message, hint: Some(hint.into()) })
}

/// How many came to what.
pub fn counts(rested: &[Rest]) -> Value {
    counted(rested).map(|(outcome, count)| (outcome.name().to_owned(), json!(count))).collect()
}

fn counted(rested: &[Rest]) -> impl Iterator<Item = (Outcome, usize)> {
    Outcome::ALL.into_iter().map(|outcome| (outcome, rested.iter().filter(|rest| rest.outcome == outcome).count()))
}

/// How many ended with which code.
pub fn exits(rested: &[Rest]) -> Value {
    let mut exits: BTreeMap<String, usize> = BTreeMap::new();
    for rest in rested.iter().filter(|rest| rest.at != usize::MAX) {
        *exits.entry(rest.exit.code().to_string()).or_default() += 1;
    }
    json!(exits)
}

/// How it stands, in a few words.
pub fn brief(rested: &[Rest], paused: &[(String, Duration)]) -> String {
    let count = |wanted: fn(&Rest) -> bool| rested.iter().filter(|rest| wanted(rest)).count();
    let mut words = format!("✓ {}", count(|rest| matches!(rest.outcome, Outcome::Stored | Outcome::Done)));
    let failed = count(|rest| rest.outcome.is_bad());
    if failed > 0 {
        words.push_str(&format!("  ✗ {failed}"));
    }
    let open = count(|rest| rest.outcome == Outcome::Open);
    if open > 0 {
        words.push_str(&format!("  open {open}"));
    }
    for (origin, left) in paused {
        let host = origin.split("://").last().unwrap_or_default();
        words.push_str(&format!("  ⏸ {host} {}", duration_text(Duration::from_secs(left.as_secs() + 1))));
    }
    words
}

/// The one table at the end: what needs somebody first, each cause by itself.
pub fn table(session: &Session, rested: &[Rest], stopped: Option<&str>) {
    let output = &session.output;
    let mut sorted: Vec<&Rest> = rested.iter().collect();
    let place = |rest: &Rest| Outcome::ALL.iter().position(|outcome| *outcome == rest.outcome);
    sorted.sort_by(|one, other| {
        (place(one), one.why.as_deref(), one.name.as_str()).cmp(&(
            place(other),
            other.why.as_deref(),
            other.name.as_str(),
        ))
    });
    if sorted.len() > MOST_ROWS {
        sorted.retain(|rest| rest.outcome.is_bad());
    }
    if !sorted.is_empty() {
        let mut table = Table::new(["TARGET", "OUTCOME", "EXIT", "SECRET", "NEXT", "WHY"]);
        for rest in &sorted {
            let is_begun = rest.outcome != Outcome::Skipped && !rest.object.is_null();
            table.row([
                rest.name.clone(),
                rest.outcome.name().replace('_', " "),
                if is_begun { rest.exit.code().to_string() } else { String::new() },
                rest.fingerprint().unwrap_or_default().to_owned(),
                rest.next().unwrap_or_default().to_owned(),
                rest.why.clone().unwrap_or_default(),
            ]);
        }
        table.print(output);
    }
    let counts: Vec<String> = counted(rested)
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| format!("{count} {}", outcome.name().replace('_', " ")))
        .collect();
    output.say(&format!("{} of {} targets", counts.join(", "), rested.len()));
    if let Some(why) = stopped {
        output.warn(&format!("no further target was begun: {why}"));
    }
    let next: BTreeSet<&str> = rested.iter().filter_map(Rest::next).collect();
    if !next.is_empty() {
        output.say(&format!(
            "next: {}; `whsec status` shows what each waits for",
            next.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
}
