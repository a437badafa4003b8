//! Goes on with a rotation: [`stand`] says where it stands, and an open one is gone on with once what it [`Open::needs`] is
//! agreed to.

use super::context::{Asked, Context};
use super::error::{Error, Kind, Stop};
use super::find::{self, OpenEndpoint};
use super::workspace::{Resources, Workspace};
use super::{changes, shared};
use crate::rotation::{Call, Closed, How, Outcome, RolledBack, Rotation, Step, elsewhere};
use crate::time::moment;

/// Where the rotation of a target stands.
pub enum Stand {
    /// Nothing was ever rotated here.
    Never,
    /// The newest one is closed; `refused` where that is not what whoever asks may believe.
    Over {
        found: OpenEndpoint,
        rotation: Rotation,
        refused: Option<Error>,
    },
    Open(Open),
}

/// An open rotation, with the endpoint's lock.
pub struct Open {
    pub found: OpenEndpoint,
    pub rotation: Rotation,
}

/// What has to be agreed to before a rotation goes on.
#[derive(Clone, Copy, Debug)]
pub enum Needs<'a> {
    Nothing,
    /// A consent to its plan: nothing was sent yet. One whose secret we have made was agreed to before that.
    Consent,
    /// A yes to the new secret's going live again, which was taken back.
    Forward(&'a RolledBack),
}

/// Opens a target's rotation. `asserts` says that whoever asks believes to be in the middle of one.
pub fn stand(context: &Context, name: &str, asked: &Asked, asserts: bool) -> Result<Stand, Error> {
    let mut found = find::open(context, name, asked)?;
    let Some(mut rotation) = found.rotation.take() else {
        find::refuse_elsewhere(&found)?;
        return if asserts { Err(find::none_open(context, name, None)) } else { Ok(Stand::Never) };
    };
    let Some(closed) = rotation.closed.clone() else { return Ok(Stand::Open(Open { found, rotation })) };
    if let Err(error) = changes::refuse_without_the_secret(context, &found.workspace, &mut rotation) {
        return Ok(Stand::Over { found, rotation, refused: Some(error) });
    }
    find::refuse_elsewhere(&found)?;
    let is_believed = asserts && closed.outcome == Outcome::Done;
    let refused = if is_believed { holds(&found, &closed).err() } else { None };
    Ok(Stand::Over { found, rotation, refused })
}

/// The targets of which a rotation is open, oldest first, each under the name by which it is found. Of two endpoints that go by one
/// name each is named by its rotation.
pub fn open_ones(context: &Context) -> Result<Vec<String>, Error> {
    let open = find::journal(context)?.open_rotations()?;
    let shares = |rotation: &Rotation| {
        let is_other = |other: &&Rotation| other.plan.endpoint_key != rotation.plan.endpoint_key;
        open.iter().filter(is_other).any(|other| other.plan.target == rotation.plan.target)
    };
    let name = |rotation: &Rotation| match shares(rotation) {
        true => rotation.id.to_string(),
        false => rotation.plan.target.clone(),
    };
    Ok(open.iter().map(name).collect())
}

impl Open {
    /// What has to be agreed to.
    pub fn needs(&self) -> Needs<'_> {
        match self.rotation.taken_back() {
            _ if self.rotation.call == Call::NotApplied && self.rotation.made.is_none() => Needs::Consent,
            Some(back) => Needs::Forward(back),
            None => Needs::Nothing,
        }
    }
}

/// Refuses, before anything is sent, slots that another endpoint has too.
pub fn refuse_shared(
    context: &Context,
    workspace: &Workspace,
    resources: &Resources,
    rotation: &Rotation,
) -> Result<(), Error> {
    if !rotation.sent.is_empty() {
        return Ok(());
    }
    shared::refuse_configured(context, context.config_at_hand()?, &workspace.target, &resources.stores)?;
    shared::refuse_journaled(context, &workspace.journal, &workspace.target, &resources.stores)
}

/// Why a word that a step is done had no effect.
pub fn no_effect(rotation: &Rotation, step: Step) -> &'static str {
    let proof = rotation.done.get(&step);
    match () {
        () if proof.is_some_and(|proof| matches!(proof.how, How::Probe | How::Delivery)) => "it is proved already",
        () if proof.is_some() => "it was done before",
        () if !rotation.plan.steps.contains(&step) => "this rotation has no such step",
        () => "it is not due yet",
    }
}

/// Whether what is asserted of a rotation holds although none is open: the last one was closed as done, and what it made live
/// is live, as where a job of CI is tried again.
fn holds(found: &OpenEndpoint, closed: &Closed) -> Result<(), Error> {
    let target = &found.workspace.target;
    let known = found.workspace.journal.of_endpoint(&target.endpoint.key())?;
    let Some(stray) = elsewhere::stray_live(&found.resources.stores, &known)? else { return Ok(()) };
    let message = format!(
        "the last rotation of `{}` that this machine knows was closed at {}, and others have rotated since: {}",
        target.name,
        moment(closed.at),
        stray.words()
    );
    let hint = "what you go on with was begun elsewhere: go on there, or bring its state folder here and name it: --state-dir DIR";
    Err(Stop::new(Kind::NotFound, message, hint))
}
