//! Rules of who may rotate what, when, and with whose consent: the machine's, in a file of root's, and the user's own.
//!
//! The rules of each file hold by themselves, so the stricter wins. Nothing here asks the world: people and times are handed in.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glob::Pattern;
use jiff::Timestamp;
use regex_lite::Regex;
use serde::Deserialize;

use window::Window;

mod read;
#[cfg(test)]
mod tests;
mod window;

/// Where the machine's rules are, which a user cannot change.
pub const OF_THE_MACHINE: &str = "/etc/whsec/policy.toml";

const BY_PLAN: &str = "make a plan with `--out FILE`, have it signed, and carry it out with `whsec apply FILE`";
const SAY_WHY: &str = "say it with --reason";

/// The rules of every file that has some, the machine's first.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    all: Vec<Rules>,
}

/// The rules of one file.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    file: PathBuf,
    max_age: Option<Duration>,
    instant: Instant,
    approvals: Approvals,
    /// There wherever approvals are asked for.
    approvers: Option<PathBuf>,
    may_force: Option<Vec<Who>>,
    windows: Vec<Window>,
    reason: Option<Regex>,
}

/// How a rotation may be begun whose old secret ends with the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Instant {
    Never,
    /// By a plan that somebody else has approved.
    Plan,
    /// As everywhere else: by the endpoint's id.
    #[default]
    Confirm,
}

/// How many people have to have signed a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Approvals {
    /// One of leaked secrets.
    force: usize,
    /// One in which an old secret ends with the call.
    instant: usize,
    /// One of more targets than this, by one person.
    plan_over: Option<usize>,
}

/// Somebody who may do it.
#[derive(Clone, Debug)]
enum Who {
    /// `USER@HOST`.
    Person(Pattern),
    Group(String),
}

/// A rotation that is to be begun.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    /// Because its secret has leaked.
    pub forced: bool,
    /// Whether the old secret ends with the call.
    pub is_instant: bool,
    pub reason: Option<&'a str>,
    /// Whether it is part of a plan, which is approved before anything in it is begun.
    pub is_planned: bool,
}

/// People who have to have signed a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed<'a> {
    pub rule: &'static str,
    /// The file of the rule.
    pub file: &'a Path,
    pub count: NonZeroUsize,
    /// The file of their keys.
    pub approvers: &'a Path,
}

/// What a rule does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// The rule's key.
    pub rule: &'static str,
    pub file: PathBuf,
    pub why: String,
    pub hint: &'static str,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, file, why, .. } = self;
        write!(to, "{why}: the rule `{rule}` in `{}`", file.display())
    }
}

impl Policy {
    /// These rules, then those of another.
    pub fn and(mut self, other: Self) -> Self {
        self.all.extend(other.all);
        self
    }

    /// Takes the rules of one more file.
    pub(super) fn add(&mut self, rules: Rules) {
        self.all.push(rules);
    }

    /// How old the secret of a target may become whose config says nothing of it.
    pub fn max_age(&self) -> Option<Duration> {
        self.all.iter().filter_map(|rules| rules.max_age).min()
    }

    /// Whether it matters who replaces a leaked secret.
    pub fn asks_who(&self) -> bool {
        self.all.iter().any(|rules| rules.may_force.is_some())
    }

    /// Refuses a rotation that may not be begun, or not in this way.
    pub fn refuse(&self, it: &Beginning<'_>, now: Timestamp) -> Result<(), Forbidden> {
        self.all.iter().try_for_each(|rules| rules.refuse(it, now))
    }

    /// Refuses whoever may not replace leaked secrets, as `USER@HOST` who is in these groups.
    pub fn refuse_person(&self, person: &str, groups: &[String]) -> Result<(), Forbidden> {
        let may = |who: &Who| match who {
            Who::Person(pattern) => pattern.matches(person),
            Who::Group(group) => groups.contains(group),
        };
        let forbids = |rules: &&Rules| rules.may_force.as_ref().is_some_and(|people| !people.iter().any(may));
        self.all.iter().find(forbids).map_or(Ok(()), |rules| {
            let why = format!("{person} may not replace leaked secrets");
            Err(rules.forbidden("may_force", why, "have somebody do it whom the rule names"))
        })
    }

    /// Refuses what is said of a rotation without a reason, or with another than the rules want.
    pub fn refuse_reason(&self, reason: Option<&str>) -> Result<(), Forbidden> {
        self.all.iter().try_for_each(|rules| rules.refuse_reason(reason))
    }

    /// Refuses so many rotations without a plan.
    pub fn refuse_count(&self, count: usize) -> Result<(), Forbidden> {
        self.all.iter().try_for_each(|rules| match rules.approvals.plan_over {
            Some(most) if count > most => {
                let why = format!("{count} targets are to go by an approved plan, as are all of more than {most}");
                Err(rules.forbidden("approvals.plan_over", why, BY_PLAN))
            }
            _ => Ok(()),
        })
    }

    /// Who has to have signed a plan of so many targets.
    pub fn approvals(&self, forced: bool, is_instant: bool, count: usize) -> impl Iterator<Item = Needed<'_>> {
        let of = move |rules: &Approvals| {
            let many = usize::from(rules.plan_over.is_some_and(|most| count > most));
            let force = if forced { rules.force } else { 0 };
            let instant = if is_instant && !forced { rules.instant } else { 0 };
            [("approvals.plan_over", many), ("approvals.instant", instant), ("approvals.force", force)]
        };
        self.all.iter().filter_map(move |rules| {
            let (rule, count) = of(&rules.approvals).into_iter().max_by_key(|(_, count)| *count)?;
            let (count, approvers) = (NonZeroUsize::new(count)?, rules.approvers.as_deref()?);
            Some(Needed { rule, file: &rules.file, count, approvers })
        })
    }
}

impl FromIterator<Rules> for Policy {
    fn from_iter<T: IntoIterator<Item = Rules>>(all: T) -> Self {
        Self { all: all.into_iter().collect() }
    }
}

impl Rules {
    fn refuse(&self, it: &Beginning<'_>, now: Timestamp) -> Result<(), Forbidden> {
        if it.forced {
            self.refuse_reason(it.reason)?;
            return match self.approvals.force {
                0 => Ok(()),
                _ if it.is_planned => Ok(()),
                _ => Err(self.forbidden("approvals.force", "leaked secrets are replaced by an approved plan", BY_PLAN)),
            };
        }
        let instant = if it.is_instant { self.instant } else { Instant::Confirm };
        let ends = "the old secret ends with the call";
        match instant {
            Instant::Never => {
                let why = format!("{ends}, which is never to be");
                return Err(self.forbidden("instant", why, "a leaked secret is replaced by `whsec force-rotate`"));
            }
            Instant::Plan if !it.is_planned => {
                let why = format!("{ends}, which takes an approved plan");
                return Err(self.forbidden("instant", why, BY_PLAN));
            }
            Instant::Plan | Instant::Confirm => {}
        }
        if self.windows.is_empty() || self.windows.iter().any(|window| window.holds(now)) {
            return Ok(());
        }
        let windows = self.windows.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let there = self.windows.first().map(|window| window.there(now)).unwrap_or_default();
        let why = format!("rotations are begun in {windows}, and it is {there}");
        Err(self.forbidden(
            "windows",
            why,
            "wait for it; a leaked secret is replaced at any time: `whsec force-rotate`",
        ))
    }

    fn refuse_reason(&self, reason: Option<&str>) -> Result<(), Forbidden> {
        let Some(wanted) = &self.reason else { return Ok(()) };
        match reason {
            Some(reason) if wanted.is_match(reason) => Ok(()),
            Some(_) => Err(self.forbidden("reason", format!("the reason does not match {wanted}"), SAY_WHY)),
            None => Err(self.forbidden("reason", format!("a reason that matches {wanted} is missing"), SAY_WHY)),
        }
    }

    fn forbidden(&self, rule: &'static str, why: impl Into<String>, hint: &'static str) -> Forbidden {
        Forbidden { rule, file: self.file.clone(), why: why.into(), hint }
    }
}
