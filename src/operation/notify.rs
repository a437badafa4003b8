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
use crate::rotation::{Event, Next, Rotation};
use crate::system::program;

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
    command: Option<Vec<String>>,
    /// What is told once the new secret is in the stores: nothing comes between its arrival and that.
    later: RefCell<Vec<Value>>,
    has_failed: Cell<bool>,
    /// Whether it is told of each step, and not only of what needs somebody.
    is_told_of_steps: bool,
    /// Moments that need not be looked up in the journal again.
    told: RefCell<BTreeSet<(Uuid, &'static str)>>,
}

impl<'a> Notifier<'a> {
    /// The notifier of the user's config.
    pub fn new(context: &'a Context, write: Box<dyn Fn(&Command) -> String + 'a>) -> Self {
        let command = context.config().ok().and_then(|config| config.notify.clone());
        Self {
            context,
            write,
            command,
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
        let mut object = run.clone();
        (object["command"], object["event"]) = (json!("notify"), json!({ "kind": "run", "command": run["command"] }));
        self.send(&object);
    }

    /// Tells of a step that has been journaled.
    pub fn recorded(&self, rotation: &Rotation, event: &Event) {
        let is_step =
            matches!(event, Event::Answered(_) | Event::Given { .. } | Event::Checked { .. } | Event::Done { .. });
        if self.command.is_none() || (is_step && !self.is_told_of_steps) {
            return;
        }
        let told = match event {
            Event::Answered(_) | Event::Given { .. } => {
                self.later.borrow_mut().push(self.object(rotation, json!({ "kind": "step", "step": "issue" })));
                return;
            }
            Event::Adopted { reason, .. } => json!({ "kind": "adopted", "reason": reason }),
            Event::Checked { .. } => json!({ "kind": "step", "step": "check" }),
            Event::Done { step, how } => json!({ "kind": "step", "step": step, "how": how }),
            Event::Lost { why, .. } => json!({ "kind": "unknown", "why": why }),
            Event::Unreadable { why, .. } => json!({ "kind": "unreadable", "why": why }),
            Event::RolledBack { reason } => json!({ "kind": "rolled_back", "reason": reason }),
            Event::LeakDeclared { reason, .. } => json!({ "kind": "leak_declared", "reason": reason }),
            Event::Overridden { why, reason, .. } => json!({ "kind": "overridden", "why": why, "reason": reason }),
            Event::Closed { outcome, reason } => json!({ "kind": "closed", "outcome": outcome, "reason": reason }),
            Event::HandedOver { to, reason, .. } => json!({ "kind": "handed_over", "to": to, "reason": reason }),
            Event::Received => json!({ "kind": "received" }),
            _ => return,
        };
        for earlier in self.later.take() {
            self.send(&earlier);
        }
        self.send(&self.object(rotation, told));
    }

    /// Tells of the last moment that has passed, once, whichever process comes to it first. The journal keeps count.
    pub fn look_at_clock(&self, rotation: &Rotation, now: Timestamp) {
        // What cannot be told now is told by the next who looks.
        if self.has_failed.get() {
            return;
        }
        let Some(moment) = self.command.as_ref().and_then(|_| passed(rotation, now)) else { return };
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
            self.send(&self.object(&current, json!({ "kind": "moment", "moment": moment })));
        }
    }

    fn object(&self, rotation: &Rotation, event: Value) -> Value {
        let mut object = report::object("notify", rotation, self.context.now(), 0, &self.write, Value::Null);
        object["event"] = event;
        object
    }

    fn send(&self, object: &Value) {
        let Some(command) = self.command.as_ref().filter(|_| !self.has_failed.get()) else { return };
        let private = self.context.config().map(|config| &**config.private_variables()).unwrap_or_default();
        if let Err(error) = program::feed(command, &format!("{object}\n"), DEADLINE, private) {
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

#[cfg(test)]
mod tests {
    #[test]
    fn moments_come_in_the_order_in_which_they_are_looked_for() {
        assert!(super::MOMENTS.is_sorted_by_key(|(seconds, _)| *seconds));
    }
}
