//! The program that is told what happens, and what of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The section `[notify]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The program, then its arguments.
    pub command: Vec<String>,
    /// What it is told of; absent: everything, and of one of many at once everything but steps.
    pub on: Option<BTreeSet<Moment>>,
}

/// What a notifier may be told of, by the word that the config and `event.kind` have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// A step is done.
    Step,
    /// The old secret ends soon.
    Moment,
    /// It has ended, with steps undone.
    Overdue,
    /// What came of the call is not known.
    Unknown,
    /// What came cannot be read, and is sealed whole.
    Unreadable,
    LeakDeclared,
    Overridden,
    RolledBack,
    Adopted,
    HandedOver,
    Received,
    /// A rotation is over, however.
    Closed,
    /// A command at several targets is over.
    Run,
}

/// How much it matters to somebody who is asleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    /// Deliveries may be refused, or forged ones accepted, until somebody acts.
    Critical,
}

impl Notify {
    /// Whether it is told of this.
    pub fn hears(&self, moment: Moment, is_one_of_many: bool) -> bool {
        match &self.on {
            Some(wanted) => wanted.contains(&moment),
            None => moment != Moment::Step || !is_one_of_many,
        }
    }
}
