//! Whether the rules of the machine, and of the user, allow what is to be done. What they do not is refused before anything is sent.

use std::sync::OnceLock;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use crate::config::policy::{Beginning, Forbidden, Policy, Rules};
use crate::rotation::Plan;
use crate::system::program;

impl Context {
    /// The rules that hold here. Those of the user's config go with it where it cannot be read: then nothing is sent, and what is open
    /// can be gone on with.
    pub fn policy(&self) -> Result<Policy, Error> {
        match self.config() {
            Ok(config) => Ok(config.policy.clone()),
            Err(_) => self.rules_of_machine(),
        }
    }

    pub(super) fn rules_of_machine(&self) -> Result<Policy, Error> {
        let rules = self.folders().policy_file.as_deref().map(Rules::of_machine).transpose()?.flatten();
        Ok(rules.into_iter().collect())
    }
}

impl From<Forbidden> for Error {
    fn from(forbidden: Forbidden) -> Self {
        Stop::new(Kind::Gate, forbidden.to_string(), forbidden.hint)
    }
}

/// Refuses a rotation that may not be begun, not so, or not by whoever is at work.
pub fn begin(context: &Context, plan: &Plan) -> Result<(), Error> {
    let beginning = Beginning {
        forced: plan.forced,
        is_instant: plan.needs_id() && !plan.forced,
        reason: plan.reason.as_deref(),
        is_planned: plan.planned.is_some(),
    };
    refuse(context, &beginning)
}

/// The same of what is known of a rotation before its plan is made.
pub fn refuse(context: &Context, beginning: &Beginning<'_>) -> Result<(), Error> {
    let policy = context.policy()?;
    policy.refuse(beginning, context.now())?;
    if beginning.forced && policy.asks_who() {
        let (user, groups) = whose_process()?;
        let host = context.actor().rsplit_once('@').map_or("", |(_, host)| host);
        policy.refuse_person(&format!("{user}@{host}"), groups)?;
    }
    Ok(())
}

/// Refuses what is said of a rotation without the reason that the rules want.
pub fn reason(context: &Context, reason: Option<&str>) -> Result<(), Error> {
    Ok(context.policy()?.refuse_reason(reason)?)
}

/// Refuses so many rotations without a plan.
pub fn count(context: &Context, count: usize) -> Result<(), Error> {
    Ok(context.policy()?.refuse_count(count)?)
}

/// What the system calls the user that runs this, and the groups: variables such as `USER` say what anybody wants them to.
fn whose_process() -> Result<&'static (String, Vec<String>), Error> {
    static WHOSE: OnceLock<(String, Vec<String>)> = OnceLock::new();
    if let Some(known) = WHOSE.get() {
        return Ok(known);
    }
    let groups = said_of_process("-Gn")?.split_whitespace().map(str::to_owned).collect();
    let whose = (said_of_process("-un")?, groups);
    Ok(WHOSE.get_or_init(|| whose))
}

fn said_of_process(what: &str) -> Result<String, Error> {
    let asked = ["/usr/bin/id".to_owned(), what.to_owned()];
    let failed = |why: String| {
        let message = format!("the policy asks who you are, and the system does not say: {why}");
        Stop::new(Kind::Gate, message, "whoever may do it has a name in the system's list of users")
    };
    let said = program::output(&asked, program::COMMAND_DEADLINE, &[]).map_err(|error| failed(error.to_string()))?;
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}
