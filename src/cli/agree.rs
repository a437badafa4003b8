//! What several rotations come to, on one screen, and the one consent that they need.

use std::collections::BTreeMap;

use super::ask;
use super::exit::{Exit, Fault};
use super::session::Session;
use crate::operation::fleet::{Course, Item};
use crate::rotation::Direction;
use crate::ui::dialog;

/// How many digits of a digest are typed.
const TYPED: usize = 8;
/// The most targets that are all named before anybody agrees to them.
const MOST_SHOWN: usize = 40;
/// The most ids that are named in a hint.
const MOST_NAMED: usize = 3;

/// A target as it is shown.
pub struct Shown<'a> {
    pub name: &'a str,
    pub provider: &'a str,
    pub direction: &'a str,
    pub id: &'a str,
    /// Whether its old secret ends with the call.
    pub ends_old: bool,
}

/// What may have been agreed to on the command line.
pub struct Given<'a> {
    /// Endpoints' own ids.
    pub ids: &'a [String],
    /// A plan's digest.
    pub plan: Option<&'a str>,
    /// What leaves out targets that nobody wants to agree to.
    pub leaving_out: &'static str,
}

/// What it comes to.
pub fn show(session: &Session, shown: &[Shown<'_>], course: &Course, skipped: &[(Item, String)], digest: &str) {
    let output = &session.output;
    let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    shown.iter().for_each(|one| *kinds.entry((one.provider, one.direction)).or_default() += 1);
    output.say(&format!("{} targets to rotate:", shown.len()));
    for ((provider, direction), count) in kinds {
        output.say(&format!("  {count:>5}  {provider:<16} {direction}"));
    }
    if shown.len() <= MOST_SHOWN {
        let names: Vec<&str> = shown.iter().map(|one| one.name).collect();
        output.say(&format!("they are {}", names.join(", ")));
    }
    if course.waves().len() > 1 {
        let sizes: Vec<String> = course.waves().iter().map(|wave| wave.len().to_string()).collect();
        let first: Vec<&str> = course.waves()[0].iter().map(|at| course.items()[*at].name.as_str()).collect();
        output.say(&format!("in waves of {}; first {}", sizes.join(", "), some_of(&first)));
    }
    let mut left: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    skipped.iter().for_each(|(item, why)| left.entry(why).or_default().push(&item.name));
    for (why, names) in left {
        output.say(&format!("left out, as {why}: {}", some_of(&names)));
    }
    let ending: Vec<&Shown<'_>> = shown.iter().filter(|one| one.ends_old).collect();
    if !ending.is_empty() {
        output.show(&format!("{} at:", what_ends(&ending)));
        for one in &ending {
            output.show(&format!("  {}  {}", one.id, one.name));
        }
    }
    output.say(&format!("plan {digest}"));
}

/// What somebody agrees to at each of these.
fn what_ends(ending: &[&Shown<'_>]) -> &'static str {
    match ending.iter().any(|one| one.direction == Direction::Contain.name()) {
        true => "receivers have to refuse old secrets at once",
        false => "old secrets end with the call",
    }
}

/// A few of these names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    let some = names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => some,
        more => format!("{some} and {more} more"),
    }
}

/// Asks once for all of them: a yes, or where old secrets end, the plan's digest.
pub fn consent(session: &Session, shown: &[Shown<'_>], digest: &str, given: &Given<'_>) -> anyhow::Result<()> {
    if let Some(plan) = given.plan {
        if plan == digest {
            return Ok(());
        }
        let hint = "it is another plan by now: look at it once more with --dry-run, and confirm that one";
        return Err(Fault::new(Exit::Conflict, format!("the plan is {digest}, and nothing was sent"), hint));
    }
    let ending = || shown.iter().filter(|one| one.ends_old);
    let left: Vec<&Shown<'_>> = ending().filter(|one| !given.ids.iter().any(|id| id == one.id)).collect();
    if left.is_empty() {
        let (count, yes) = (shown.len(), session.global.yes);
        if yes || ending().next().is_some() {
            return Ok(());
        }
        ask::may_ask(session, "--yes")?;
        let agreed = ask::answer(dialog::confirm(&format!("Rotate {count} targets now?"), false), "--yes")?;
        return if agreed { Ok(()) } else { Err(refused()) };
    }
    let flag = format!("--confirm-plan {digest}");
    if !session.may_ask() {
        let ids: Vec<&str> = left.iter().map(|one| one.id).collect();
        let (count, ids) = (left.len(), some_of(&ids));
        let what = what_ends(&left);
        let message = format!("{what} at {count} targets ({ids}), and there is nobody to ask");
        let hint = format!("give {flag}, or `--confirm ID` for each of them; {}", given.leaving_out);
        return Err(Fault::new(Exit::Usage, message, hint));
    }
    let start = digest.trim_start_matches("sha256:").get(..TYPED).unwrap_or_default();
    let question = format!("Type {start}, the plan's first digits, to agree to all {}", left.len());
    let typed = ask::answer(dialog::text(&question, Some(""), |_| Ok(())), &flag)?;
    if typed.trim() == start { Ok(()) } else { Err(refused()) }
}

fn refused() -> anyhow::Error {
    Fault::new(Exit::Usage, "not rotated, as you said", "nothing was sent; run it again when you are ready")
}
