//! Begins a rotation: [`decide`] what can be decided, [`Decided::prepare`] with key and lock, and once it is agreed to
//! [`Prepared::begin`]. Nothing is sent by any of them.

use std::time::Duration;

use uuid::Uuid;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::workspace::{self, Resources, Workspace};
use super::{allowed, changes, handed, key, moved, overlap, shared};
use crate::advice::{Verb, advice};
use crate::config::Target;
use crate::provider::spec::Cutover;
use crate::provider::{Force, Overlap, request};
use crate::rotation::{
    Call, Direction, Ending, Event, Issuing, Outcome, Plan, Planned, Proof, Rotation, RunError, Status, Step, at_hand,
    leaking, suspects,
};
use crate::secret::Fingerprint;
use crate::store::Store;
use crate::time::moment;

/// Who gives the new secret where a person has the provider make it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Giver {
    #[default]
    Nobody,
    /// Somebody who is asked.
    Person,
    /// Whoever has made it already: it is there before anything is asked.
    AtHand,
}

/// What is wanted of a rotation beside its target.
#[derive(Clone, Debug, Default)]
pub struct Intent<'a> {
    /// The old secret has leaked, for this reason.
    pub force: Option<&'a str>,
    /// The fingerprint of the secret that has leaked, where it was said.
    pub leaked: Option<&'a Fingerprint>,
    pub reason: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
    /// How long the old secret is to live, where that is the caller's to say.
    pub overlap: Option<Duration>,
    pub api_key_file: Option<&'a std::path::Path>,
    /// Prove before the call that receivers would take a second secret.
    pub probe_first: bool,
    /// Who gives the new secret, where a person has it made.
    pub giver: Giver,
    /// Probe the receivers, so that somebody is shown what they accept.
    pub probes: bool,
    /// Whether somebody says, or can be asked, that the receivers are ready.
    pub speaks_for_receivers: bool,
    /// The plan that somebody has agreed to, and where the endpoint stood then.
    pub planned: Option<&'a Planned>,
}

/// A plan, and its stores.
pub struct Decided {
    pub plan: Plan,
    pub target: Target,
    pub stores: Vec<Box<dyn Store>>,
    id: Uuid,
}

/// A plan that waits for a consent, on an endpoint that is locked.
pub struct Prepared {
    pub plan: Plan,
    pub workspace: Workspace,
    pub resources: Resources,
    id: Uuid,
    /// Rotations that never sent anything, which end with this one's beginning.
    over: Vec<Rotation>,
    /// Where the endpoint stood when the plan was shown.
    before: Standing,
    /// Whether nobody speaks for the receivers, and nothing proves them ready.
    is_unready: bool,
}

/// A rotation that may be run.
pub struct Begun {
    pub rotation: Rotation,
    pub workspace: Workspace,
    pub resources: Resources,
}

/// What was done of the endpoint's newest rotation, and whether it is open.
type Standing = Option<(Uuid, std::collections::BTreeMap<Step, Proof>, Call, bool)>;

/// Decides everything that can be decided before anything is opened. Warns of what a store cannot promise.
pub fn decide(context: &Context, mut target: Target, intent: &Intent<'_>) -> Result<Decided, Error> {
    refuse_giver(&target, intent)?;
    let mut plan = plan(&target, intent)?;
    refuse_switch(&target, &plan)?;
    refuse_no_store(&target)?;
    let id = Uuid::new_v4();
    target.surroundings.rotation = Some(id);
    let stores = workspace::open_stores(&target)?;
    plan.stores = workspace::planned(&target, &stores, context.location()?.is_some())?;
    changes::note_flags(context, &mut plan)?;
    workspace::refuse_bare_stdout(context, &plan)?;
    shared::refuse_configured(context, context.config()?, &target, &stores)?;
    if plan.probe_first {
        refuse_unprovable(&plan, &target)?;
    }
    for caution in stores.iter().filter_map(|store| store.caution()) {
        context.warn(caution);
    }
    Ok(Decided { plan, target, stores, id })
}

impl Decided {
    /// Finds the API key, takes the endpoint's lock, and refuses what stands in the way.
    pub fn prepare(self, context: &Context, intent: &Intent<'_>) -> Result<Prepared, Error> {
        let Self { mut plan, target, stores, id } = self;
        allowed::begin(context, &plan)?;
        // Agreeing to the old secret's end says nothing of the receivers.
        let is_unready = plan.steps.contains(&Step::Prepare) && !plan.probe_first && !intent.speaks_for_receivers;
        if is_unready && refuse_unprovable(&plan, &target).is_ok() {
            context.say("the receivers are probed before the call, as with --probe-first; --done prepare goes without");
            plan.probe_first = true;
        }
        let api_key = match &plan.issuing {
            Issuing::ByHand { page } => {
                refuse_without_giver(&target, page, intent)?;
                None
            }
            Issuing::Call(_) => Some(key::find(context, &target, intent.api_key_file)?),
        };
        context.refuse_left_behind(&target.endpoint.key())?;
        let mut workspace = Workspace::open(context, target, None)?;
        workspace.key_origin = api_key.as_ref().map(|key| key.origin.clone());
        let resources = Resources { stores, api_key };
        if plan.probe_first || intent.probes {
            workspace.enable_probes(context, &plan)?;
        }
        workspace.journal.look_at_all()?;
        let mut sent = match context.neighbours() {
            Some(neighbours) => neighbours.journaled.open_near(&workspace.target),
            None => workspace.journal.open_rotations()?,
        };
        sent.retain(Rotation::may_be_applied);
        moved::refuse(context, &sent, &workspace.target, Verb::Cutover)?;
        shared::refuse_journaled(context, &workspace.journal, &workspace.target, &resources.stores)?;
        // The endpoint's whole journal, so that a damaged one is found out here.
        let known = workspace.journal.of_endpoint(&workspace.target.endpoint.key())?;
        handed::refuse(&known, &resources.stores)?;
        let (over, replaced) = in_the_way(context, &known, intent)?;
        // A process may have died before it could say that it was given a secret.
        if let Some(kept) = over.iter().find(|over| over.plan.is_by_hand() && workspace.seals.exists(over.id)) {
            return Err(is_open(context, kept));
        }
        if let Some(open) = &replaced {
            plan.replaces = Some(open.id);
            let title = workspace.target.endpoint.provider.title();
            context.warn(format!("the open rotation is given up for this one once {title} has carried it out"));
        }
        if plan.forced || leaking(&known).is_some() {
            plan.leaked = suspects(&known, intent.leaked);
        }
        changes::look_at_others(context, &workspace.target, &plan)?;
        let before = standing(&workspace)?;
        let is_unready = is_unready && !plan.probe_first;
        Ok(Prepared { plan, workspace, resources, id, over, before, is_unready })
    }
}

impl Prepared {
    /// Takes the lock again where it was let go of for a question, and begins the rotation that was agreed to.
    pub fn begin(self, context: &Context) -> Result<Begun, Error> {
        let Self { plan, workspace, resources, id, over, before, is_unready } = self;
        if is_unready {
            let message = "`--done prepare` is needed, and there is nobody to ask: the old secret ends with the call";
            let hint = "name receivers that may be probed (--receiver URL), or once they can take the new secret at once, give \
                        --done prepare on the command line";
            return Err(Stop::new(Kind::Usage, message, hint));
        }
        if workspace.reacquire()? && standing(&workspace)? != before {
            let hint = advice!["see what is live now: ", Verb::Inspect.of(&workspace.target.name).bare()];
            return Err(Stop::new(Kind::Conflict, "nothing was sent: others rotated here while you were asked", hint));
        }
        for mut rotation in over {
            let reason = Some("cut off before anything was sent; started over".to_owned());
            let closed = Event::Closed { outcome: Outcome::Failed, reason };
            workspace.journal.append(&mut rotation, context.actor(), context.now(), &[closed])?;
        }
        let rotation = Rotation::new(id, plan, context.now());
        Ok(Begun { rotation, workspace, resources })
    }
}

/// The plan of a rotation of this target, without its stores.
pub fn plan(target: &Target, intent: &Intent<'_>) -> Result<Plan, Error> {
    let endpoint = &target.endpoint;
    let provider = &endpoint.provider;
    let chosen = match intent.overlap {
        Some(chosen) => Some(overlap::chosen(provider, chosen)?),
        // What has leaked is to live no longer than the provider needs.
        None => provider.choice().filter(|_| intent.force.is_some()).map(|bounds| *bounds.start()),
    };
    let overlap = match provider.overlap() {
        Overlap::Fixed(window) => Some(chosen.unwrap_or(window)),
        Overlap::None | Overlap::Unknown | Overlap::Answered | Overlap::UntilEnded { .. } => None,
    };
    let settles = match provider.overlap() {
        Overlap::UntilEnded { settles, .. } => settles,
        _ => None,
    };
    // Every overlap that descriptions can tell of so far bears both signatures, which is what `contain` rests on. Where
    // deliveries bore the old one alone until its end, receivers could not drop it before that.
    let direction = match (provider.overlaps(), intent.force, provider.force()) {
        _ if matches!(provider.overlap(), Overlap::UntilEnded { .. }) => Direction::UntilEnded,
        _ if provider.takes().is_some() && target.cutover == Cutover::Either => Direction::Set,
        _ if provider.takes().is_some() => Direction::SetSwitch,
        (false, _, _) => Direction::Instant,
        (true, Some(_), Force::Unavailable) => Direction::Contain,
        (true, Some(_), Force::Call | Force::SameCall) => Direction::Force,
        (true, None, _) if target.cutover == Cutover::Either => Direction::OverlapEither,
        (true, None, _) => Direction::OverlapSwitch,
    };
    let key = match intent.idempotency_key {
        Some(key) => {
            request::check_key(provider, key)?;
            Some(key.to_owned())
        }
        None => request::new_key(provider),
    };
    let request = match intent.force {
        Some(reason) if provider.force() == Force::Call => request::force(endpoint, key.as_deref(), reason)?,
        _ => request::rotate_keeping(endpoint, key.as_deref(), chosen),
    };
    let mut steps = direction.steps().to_vec();
    if direction == Direction::UntilEnded && settles.is_none() {
        steps.retain(|step| *step != Step::Wait);
    }
    if intent.giver == Giver::AtHand {
        // It is there already, and nothing can come before it.
        steps.retain(|step| ![Step::Prepare, Step::Issue].contains(step));
        steps.insert(0, Step::Issue);
    }
    Ok(Plan {
        target: target.name.clone(),
        provider: provider.name().to_owned(),
        endpoint_key: endpoint.key(),
        base_url: endpoint.base_url.to_string(),
        ids: endpoint.ids.clone(),
        present: endpoint.present.clone(),
        auth: provider.spec().auth.schemes.get(endpoint.auth).map(|scheme| scheme.name.clone()).unwrap_or_default(),
        options: endpoint.options.clone(),
        direction,
        steps,
        issuing: match request {
            Some(request) => Issuing::Call(request),
            None => Issuing::ByHand { page: provider.page(&endpoint.ids_now()).unwrap_or_default() },
        },
        key_window: key.as_ref().and(provider.idempotency()).map(|idempotency| idempotency.window),
        idempotency_key: key,
        overlap,
        ending: match request::end(endpoint) {
            Some(request) => Some(Ending::Call(request)),
            None => provider.end_page(&endpoint.ids_now()).map(|page| Ending::ByHand { page }),
        },
        settles,
        stores: Vec::new(),
        passed_over: Vec::new(),
        by_flags: Vec::new(),
        receivers: target.receivers.clone(),
        may_probe: target.may_probe,
        probe_first: intent.probe_first,
        forced: intent.force.is_some(),
        leaked: Default::default(),
        replaces: None,
        reason: intent.force.or(intent.reason).map(str::to_owned),
        owner: target.owner.clone(),
        planned: intent.planned.cloned(),
    })
}

fn standing(workspace: &Workspace) -> Result<Standing, RunError> {
    let newest = workspace.journal.standing_of(&workspace.target.endpoint.key())?.into_iter().next();
    Ok(newest.map(|it| (it.id, it.done.clone(), it.call.clone(), it.closed.is_some())))
}

/// Refuses where a rotation of this endpoint is open, except one that never sent anything, and except that a leak
/// does not wait for an overlap. Yields those that are over, and the one that the new rotation replaces.
fn in_the_way(
    context: &Context,
    known: &[Rotation],
    intent: &Intent<'_>,
) -> Result<(Vec<Rotation>, Option<Rotation>), Error> {
    // A key that was sent before gets the old answer again, and nothing would be rotated.
    let reused = |rotation: &&Rotation| {
        intent.idempotency_key.is_some_and(|key| rotation.plan.idempotency_key.as_deref() == Some(key))
    };
    if let Some(earlier) = known.iter().find(reused).filter(|rotation| !rotation.sent.is_empty()) {
        let message = format!("this idempotency key was used for the rotation of {}", moment(earlier.opened_at));
        return Err(Stop::new(Kind::Conflict, message, "leave `--idempotency-key` out, and a fresh one is made"));
    }
    let open = known.iter().filter(|rotation| rotation.closed.is_none()).cloned();
    let (over, open): (Vec<_>, Vec<_>) = open.partition(|rotation| rotation.status(context.now()) == Status::Planned);
    let Some(at) = at_hand(&open) else { return Ok((over, None)) };
    let first = &open[at];
    if intent.force.is_none() || matches!(first.status(context.now()), Status::Unknown | Status::Sealed) {
        return Err(is_open(context, first));
    }
    Ok((over, open.into_iter().nth(at)))
}

/// That a rotation of the endpoint is open.
pub fn is_open(context: &Context, open: &Rotation) -> Error {
    let (id, status, since) = (open.plan.own_id(), open.status(context.now()).name(), moment(open.opened_at));
    let message = format!("a rotation of `{id}` is open already ({status}, since {since})");
    Stop::new(Kind::Conflict, message, advice!["go on with it: ", Verb::Cutover.of(&open.plan.target).bare()])
}

/// Refuses where a person has to make the new secret, and there is none to ask; and a key of which nothing would come.
fn refuse_without_giver(target: &Target, page: &str, intent: &Intent<'_>) -> Result<(), Error> {
    let title = target.endpoint.provider.title();
    if intent.api_key_file.is_some() {
        let message = format!("{title} is never called: its secret is made by hand");
        return Err(Stop::new(Kind::Usage, message, "leave --api-key-file out"));
    }
    if intent.giver == Giver::Nobody {
        let message = format!("the new secret is made by hand at {title}, and there is nobody to ask for it");
        let hint = format!("make it ({page}) and pipe it in: --secret -");
        return Err(Stop::new(Kind::Usage, message, hint));
    }
    Ok(())
}

/// Refuses a target that names no store.
pub fn refuse_no_store(target: &Target) -> Result<(), Error> {
    if !target.stores.is_empty() {
        return Ok(());
    }
    let hint = "name one: --store dotenv:PATH#KEY, or `store = …` in the target";
    Err(Stop::new(Kind::Usage, format!("`{}` has no store to keep the new secret in", target.name), hint))
}

/// Refuses receivers that keep one secret where both have to be accepted until somebody ends the old one.
pub fn refuse_switch(target: &Target, plan: &Plan) -> Result<(), Error> {
    if plan.direction != Direction::UntilEnded || target.cutover == Cutover::Either {
        return Ok(());
    }
    let title = target.endpoint.provider.title();
    let message = format!(
        "at {title} both secrets are in use until the old one is ended, and receivers of `{}` keep one",
        target.name
    );
    Err(Stop::new(
        Kind::Usage,
        message,
        "let the receivers accept either, and take `cutover = \"switch\"` out of the target",
    ))
}

/// Refuses a secret from a pipe where the provider is called for one, or given one.
fn refuse_giver(target: &Target, intent: &Intent<'_>) -> Result<(), Error> {
    let provider = &target.endpoint.provider;
    if intent.giver != Giver::AtHand || provider.is_by_hand() {
        return Ok(());
    }
    let who = if provider.takes().is_some() { "whsec makes the new secret for" } else { "the new secret comes from" };
    let message = format!("--secret is for what somebody makes by hand, and {who} {}", provider.title());
    let hint = "leave it out; for a secret that was made by hand, name any endpoint as `hand/NAME`";
    Err(Stop::new(Kind::Usage, message, hint))
}

/// Refuses `--probe-first` where there is nothing to prove, or nobody to prove it.
fn refuse_unprovable(plan: &Plan, target: &Target) -> Result<(), Error> {
    let refused = |message: String, hint: &str| Err(Stop::new(Kind::Usage, message, hint));
    let title = target.endpoint.provider.title();
    if !plan.steps.contains(&Step::Prepare) {
        let message =
            format!("--probe-first is for providers that end the old secret with the call, and {title} does not");
        return refused(message, "leave it out: the receivers are probed once the new secret is deployed");
    }
    if plan.direction == Direction::SetSwitch {
        let message = format!(
            "receivers of `{}` keep one secret (`cutover = \"switch\"`), and --probe-first needs two",
            target.name
        );
        return refused(
            message,
            "leave it out, or have them accept either: then they are probed with the new secret itself",
        );
    }
    if plan.receivers.is_empty() || !plan.may_probe {
        let message = format!("`{}` names no receiver that may be probed", target.name);
        return refused(message, "name one: --receiver URL, or `receivers = [\"https://…\"]` in your own config");
    }
    if target.endpoint.provider.spec().signature.is_none() {
        return refused(format!("how {title} signs deliveries is not described"), "leave --probe-first out");
    }
    Ok(())
}
