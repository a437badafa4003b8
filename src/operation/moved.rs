//! A target that is another endpoint by now than its open rotation was begun for, or at another address.

use super::context::Context;
use super::error::{Error, Kind, Stop};
use crate::advice::{Advice, Verb, advice};
use crate::config::Target;
use crate::http::Url;
use crate::provider::is_same_address;
use crate::rotation::{Plan, Rotation};
use crate::time::moment;

/// Refuses it before anything is sent, and names the way on: to where the rotation was begun. `open` are the open rotations
/// that stand in the way of the command, and `verb` is what does there what it was to do.
pub fn refuse(context: &Context, open: &[Rotation], target: &Target, verb: Verb) -> Result<(), Error> {
    refuse_elsewhere(open, target, verb)?;
    refuse_two(context, open, target)
}

/// Whether a rotation was begun for another endpoint, or at another address, under a target's own name or ids.
pub fn is_of(rotation: &Rotation, target: &Target) -> bool {
    let (plan, endpoint) = (&rotation.plan, &target.endpoint);
    let is_named =
        plan.target == target.name || (plan.provider == endpoint.provider.name() && plan.ids == endpoint.ids);
    is_named && plan.endpoint_key != endpoint.key()
}

/// Refuses where two rotations of the endpoint are open, as an earlier whsec took two spellings of its name for two endpoints.
fn refuse_two(context: &Context, open: &[Rotation], target: &Target) -> Result<(), Error> {
    let key = target.endpoint.key();
    // One that is pending beside another is of the same name, and settled first.
    let pending = open.iter().filter(|rotation| rotation.is_pending());
    let replaced: Vec<_> = pending.filter_map(|rotation| rotation.plan.replaces).collect();
    let is_here = |rotation: &&Rotation| rotation.plan.endpoint_key == key && !replaced.contains(&rotation.id);
    let here: Vec<&Rotation> = open.iter().filter(is_here).collect();
    let [first, second, ..] = here.as_slice() else { return Ok(()) };
    let words = |rotation: &Rotation| {
        let (plan, status) = (&rotation.plan, rotation.status(context.now()).name());
        format!("{} (`{}`, {status}, since {})", rotation.id, plan.target, moment(rotation.opened_at))
    };
    let message = format!(
        "two rotations of `{}` are open, under two spellings of its name: {} and {}",
        target.endpoint.own_id(),
        words(first),
        words(second)
    );
    let hint = advice![
        "name the one that is meant by its own id: ",
        Verb::Cutover.of(second.id.to_string()).bare(),
        "; give the other up: ",
        Verb::Abandon.of("ROTATION").open("reason", "TEXT").bare()
    ];
    Err(Stop::new(Kind::Conflict, message, hint))
}

fn refuse_elsewhere(open: &[Rotation], target: &Target, verb: Verb) -> Result<(), Error> {
    let (key, name) = (target.endpoint.key(), &target.name);
    let is_here = open.iter().any(|rotation| rotation.plan.endpoint_key == key);
    // One of which nothing was ever sent stands in nobody's way once another is open here.
    let own = |rotation: &&Rotation| rotation.plan.target == *name && (rotation.may_be_applied() || !is_here);
    let elsewhere = open.iter().filter(own).map(|rotation| &rotation.plan).find(|plan| plan.endpoint_key != key);
    if let Some(plan) = elsewhere {
        let message = format!(
            "a rotation of `{name}` is open for {} at {}, and `{name}` is another by now",
            endpoint(plan),
            plan.base_url
        );
        return Err(Stop::new(Kind::Conflict, message, way_on(plan, target, verb)));
    }
    let is_moved = |plan: &&Plan| {
        let begun = Url::parse(&plan.base_url);
        plan.endpoint_key == key && begun.is_ok_and(|begun| !is_same_address(&begun, &target.endpoint.base_url))
    };
    let Some(plan) = open.iter().map(|rotation| &rotation.plan).find(is_moved) else { return Ok(()) };
    let message = format!(
        "the rotation of {} was begun at {}, and `{name}` is at {} by now",
        endpoint(plan),
        plan.base_url,
        target.endpoint.base_url
    );
    Err(Stop::new(Kind::Conflict, message, way_on(plan, target, verb)))
}

/// The command that does where the rotation was begun what it was to do here.
pub fn way_on(plan: &Plan, target: &Target, verb: Verb) -> Advice {
    // The target's own name brings its API key along.
    let is_one_provider = target.file.is_some() && target.endpoint.provider.name() == plan.provider;
    let command = if is_one_provider {
        let ids = plan.ids.iter().map(|id| format!("{}={}", id.name, id.value));
        ids.fold(verb.of(&target.name), |command, id| command.with("id", id))
    } else {
        verb.of(endpoint(plan))
    };
    let command = command.with("base-url", &plan.base_url);
    let (what, command) = match verb {
        Verb::Abandon => ("close it there: ", command.open("reason", "TEXT")),
        Verb::Rollback => ("go back there: ", command),
        _ => ("go on with it: ", command),
    };
    advice![what, command.bare(), "; or set the target as it was"]
}

/// The endpoint of a plan, as an ad hoc target is written.
pub fn endpoint(plan: &Plan) -> String {
    let ids: Vec<&str> = plan.ids.iter().map(|id| id.value.as_str()).collect();
    format!("{}/{}", plan.provider, ids.join("/"))
}
