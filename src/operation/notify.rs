//! The user's notifier: a program that gets one JSON object on stdin at each step of a rotation and at set times before an
//! old secret's end. Never a secret; and whatever becomes of it, the rotation goes on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Context;
use super::find;
use super::report;
use crate::advice::Command;
use crate::config::notify::{Moment, Notify, Severity};
use crate::rotation::{Event, Next, Outcome, Rotation};
use crate::system::{ProgramError, program};

/// How long the notifier may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The moments before an old secret's end that it is told of, in seconds, the last one first, and their names.
const MOMENTS: [(i64, &str); 3] = [(15 * 60, "T-15m"), (3600, "T-1h"), (12 * 3600, "T-12h")];

/// The moment when an overlap has ended with steps undone.
const OVERDUE: &str = "overdue";

/// The program, if there is one.
pub struct Notifier<'a> {
    context: &'a Context,
    /// Writes the command that goes on.
    write: Box<dyn Fn(&Command) -> String + 'a>,
    notify: Option<Notify>,
    /// What is told once the new secret is in the stores: nothing comes between its arrival and that.
    later: RefCell<Vec<Value>>,
    has_failed: Cell<bool>,
    /// Whether it is told of each step where the config does not say so.
    is_told_of_steps: bool,
    /// Moments that need not be looked up in the journal again.
    told: RefCell<BTreeSet<(Uuid, &'static str)>>,
}

impl<'a> Notifier<'a> {
    /// The notifier of the user's config.
    pub fn new(context: &'a Context, write: Box<dyn Fn(&Command) -> String + 'a>) -> Self {
        let notify = context.config().ok().and_then(|config| config.notify.clone());
        Self {
            context,
            write,
            notify,
            later: RefCell::default(),
            has_failed: Cell::new(false),
            is_told_of_steps: true,
            told: RefCell::default(),
        }
    }

    /// The same for one of many that are at work side by side.
    pub fn without_steps(mut self) -> Self {
        self.is_told_of_steps = false;
        self
    }

    /// Tells what many have come to together.
    pub fn ended(&self, run: &Value) {
        if !self.hears(Moment::Run) {
            return;
        }
        let is_well = run["error"].is_null();
        let mut object = run.clone();
        object["command"] = json!("notify");
        object["event"] = json!({
            "kind": Moment::Run,
            "severity": if is_well { Severity::Info } else { Severity::Warning },
            "dedup_key": format!("run/{}/{}", run["command"].as_str().unwrap_or_default(), run["run"]["began_at"]).replace('"', ""),
            "command": run["command"],
        });
        self.send(&object);
    }

    /// Tells the program something that means nothing, and says what came of it.
    pub fn test(&self) -> Option<Result<(), String>> {
        let now = self.context.now();
        let event = json!({ "kind": "test", "severity": Severity::Info, "dedup_key": format!("test/{now}") });
        let object = json!({ "schema": "whsec/v1", "command": "notify", "event": event });
        let notify = self.notify.as_ref()?;
        Some(self.feed(notify, &object).map_err(|error| error.to_string()))
    }

    /// Tells of a step that has been journaled.
    pub fn recorded(&self, rotation: &Rotation, event: &Event) {
        let (moment, severity, more) = match event {
            Event::Answered(_) | Event::Given { .. } => (Moment::Step, Severity::Info, json!({ "step": "issue" })),
            Event::Adopted { reason, .. } => (Moment::Adopted, Severity::Info, json!({ "reason": reason })),
            Event::Checked { .. } => (Moment::Step, Severity::Info, json!({ "step": "check" })),
            Event::Done { step, how } => (Moment::Step, Severity::Info, json!({ "step": step, "how": how })),
            Event::Lost { why, .. } => (Moment::Unknown, Severity::Critical, json!({ "why": why })),
            Event::Unreadable { why, .. } => (Moment::Unreadable, Severity::Critical, json!({ "why": why })),
            Event::RolledBack { reason } => (Moment::RolledBack, Severity::Warning, json!({ "reason": reason })),
            Event::LeakDeclared { reason, .. } => {
                (Moment::LeakDeclared, Severity::Critical, json!({ "reason": reason }))
            }
            Event::Overridden { why, reason, .. } => {
                (Moment::Overridden, Severity::Warning, json!({ "why": why, "reason": reason }))
            }
            Event::Closed { outcome, reason } => {
                let severity = if *outcome == Outcome::Done { Severity::Info } else { Severity::Warning };
                (Moment::Closed, severity, json!({ "outcome": outcome, "reason": reason }))
            }
            Event::HandedOver { to, reason, .. } => {
                (Moment::HandedOver, Severity::Warning, json!({ "to": to, "reason": reason }))
            }
            Event::Received => (Moment::Received, Severity::Info, json!({})),
            _ => return,
        };
        if !self.hears(moment) {
            return;
        }
        let at = rotation.last_at;
        let which = more["step"].as_str().map_or_else(|| at.to_string(), str::to_owned);
        let object = self.object(rotation, moment, severity, &which, more);
        // Nothing comes between the new secret's arrival and its stores.
        if matches!(event, Event::Answered(_) | Event::Given { .. }) {
            self.later.borrow_mut().push(object);
            return;
        }
        for earlier in self.later.take() {
            self.send(&earlier);
        }
        self.send(&object);
    }

    fn hears(&self, moment: Moment) -> bool {
        self.notify.as_ref().is_some_and(|notify| notify.hears(moment, !self.is_told_of_steps))
    }

    /// Tells of the last moment that has passed, once, whichever process comes to it first. The journal keeps count.
    pub fn look_at_clock(&self, rotation: &Rotation, now: Timestamp) {
        // What cannot be told now is told by the next who looks.
        if self.has_failed.get() {
            return;
        }
        let Some(moment) = passed(rotation, now).filter(|moment| self.hears(kind_of(moment).0)) else { return };
        if self.told.borrow().contains(&(rotation.id, moment)) || rotation.notified.contains(moment) {
            return;
        }
        // Another process may have told of it since the rotation was read.
        let Ok(journal) = find::journal(self.context) else { return };
        let Ok(open) = journal.open_rotations() else { return };
        let Some(mut current) = open.into_iter().find(|open| open.id == rotation.id) else { return };
        current.hear(rotation.clock_ahead_ms);
        if passed(&current, now) != Some(moment) {
            return;
        }
        self.told.borrow_mut().insert((rotation.id, moment));
        if current.notified.contains(moment) {
            return;
        }
        let told = Event::Notified { moment: moment.to_owned() };
        if journal.append(&mut current, self.context.actor(), now, &[told]).is_ok() {
            let (_, severity) = kind_of(moment);
            self.send(&self.object(&current, Moment::Moment, severity, moment, json!({ "moment": moment })));
        }
    }

    /// What happened to a rotation; `which` tells it from others of its kind, and is the same wherever it is told.
    fn object(&self, rotation: &Rotation, kind: Moment, severity: Severity, which: &str, more: Value) -> Value {
        let mut object = report::object("notify", rotation, self.context.now(), 0, &self.write, Value::Null);
        let mut event = json!({ "kind": kind, "severity": severity });
        event["dedup_key"] = json!(format!("{}/{}/{which}", rotation.id, event["kind"].as_str().unwrap_or_default()));
        if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
            event.extend(more);
        }
        object["event"] = event;
        object
    }

    fn feed(&self, notify: &Notify, object: &Value) -> Result<(), ProgramError> {
        let private = self.context.config().map(|config| &**config.private_variables()).unwrap_or_default();
        program::feed(&notify.command, &format!("{object}\n"), DEADLINE, private)
    }

    fn send(&self, object: &Value) {
        let Some(notify) = self.notify.as_ref().filter(|_| !self.has_failed.get()) else { return };
        if let Err(error) = self.feed(notify, object) {
            self.has_failed.set(true);
            self.context.warn(format!("the notifier is not told of this and what follows: {error}"));
        }
    }
}

impl Drop for Notifier<'_> {
    /// A run that failed before the stores had the secret has not told of its arrival yet.
    fn drop(&mut self) {
        for earlier in self.later.take() {
            self.send(&earlier);
        }
    }
}

/// The last moment that has passed of a rotation that is not through.
fn passed(rotation: &Rotation, now: Timestamp) -> Option<&'static str> {
    let end = rotation.expires_at().filter(|_| rotation.next(now) != Next::Finished)?;
    let left = end.duration_since(rotation.provider_now(now));
    if left <= SignedDuration::ZERO {
        return Some(OVERDUE);
    }
    let opened = rotation.provider_time(rotation.opened_at);
    let whole = end.duration_since(opened).as_secs();
    let mut moments = MOMENTS.iter().filter(|(seconds, _)| *seconds < whole);
    moments.find(|(seconds, _)| left.as_secs() < *seconds).map(|(_, name)| *name)
}

/// What a moment is to a filter, and how much it matters.
fn kind_of(moment: &str) -> (Moment, Severity) {
    match moment {
        OVERDUE => (Moment::Overdue, Severity::Critical),
        "T-15m" | "T-1h" => (Moment::Moment, Severity::Warning),
        _ => (Moment::Moment, Severity::Info),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn moments_come_in_the_order_in_which_they_are_looked_for() {
        assert!(super::MOMENTS.is_sorted_by_key(|(seconds, _)| *seconds));
    }
}
