//! The way back of an open rotation: the old secret live again, and what comes of that.

use jiff::Timestamp;

use super::error::{Error, Kind, Stop};
use super::workspace::{Resources, Workspace};
use crate::advice::{Verb, advice};
use crate::rotation::operator::Operator;
use crate::rotation::{ExpirySource, Rotation};

/// What is true once the old secret is live again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back {
    /// Until when it is of use, on the provider's clock, where that is known.
    pub ends_at: Option<Timestamp>,
    /// Whether it is a secret that has leaked.
    pub opens_leak: bool,
    /// Whether the rotation is over by that: its new endpoint is gone.
    pub is_over: bool,
}

/// Puts the old secret back into every store. One that has leaked goes back only for a reason.
pub fn roll_back(
    workspace: &Workspace,
    resources: &Resources,
    rotation: &mut Rotation,
    reason: Option<&str>,
    operator: &mut dyn Operator,
) -> Result<Back, Error> {
    let opens_leak = rotation.plan.forced;
    if opens_leak && !rotation.plan.direction.ends_old_secret() && reason.is_none() {
        let name = &workspace.target.name;
        let message = format!(
            "the old secret of `{name}` has leaked: live again, it lets whoever has it forge deliveries until it ends"
        );
        let hint = advice![
            "go forward: ",
            Verb::Cutover.of(name).bare(),
            "; where deliveries matter more, say why: ",
            Verb::Rollback.of(name).open("reason", "TEXT").bare()
        ];
        return Err(Stop::new(Kind::Gate, message, hint));
    }
    let is_told = rotation.answered().is_some_and(|answered| answered.expires_source == ExpirySource::Provider);
    if rotation.adopted.is_some() && !is_told && !rotation.plan.direction.ends_old_secret() && reason.is_none() {
        let name = &workspace.target.name;
        let message = format!(
            "the rotation of `{name}` was adopted, and nobody knows when it began: the provider may no longer honour the old secret"
        );
        let hint = advice![
            "go forward: ",
            Verb::Cutover.of(name).bare(),
            "; if you know that it does, say how: ",
            Verb::Rollback.of(name).open("reason", "TEXT").bare()
        ];
        return Err(Stop::new(Kind::Gate, message, hint));
    }
    workspace.runner(rotation, resources, operator).roll_back(reason.map(str::to_owned))?;
    Ok(Back { ends_at: rotation.expires_at(), opens_leak, is_over: rotation.closed.is_some() })
}
