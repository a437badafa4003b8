//! The way into a rotation, shared by rotate, force-rotate and rehearse: decide the plan, show it, get consent, begin.

use uuid::Uuid;

use super::exit::{Exit, Fault};
use super::session::Session;
use super::shared;
use super::work::{self, Tools, Work};
use super::{ask, changes, conclude, moved};
use crate::config::Target;
use crate::provider::spec::Cutover;
use crate::provider::{Force, Overlap, request};
use crate::rotation::runner::Rest;
use crate::rotation::{Direction, Event, Outcome, Plan, Rotation, RunError, Status, Step, at_hand, leaking, suspects};
use crate::secret::Fingerprint;
use crate::ui::prompt::{Answers, Moment, Person};
use crate::ui::{dialog, preview, report};

/// What rotate and force-rotate are told beside the target.
#[derive(Clone, Debug, Default)]
pub struct Wish<'a> {
    /// The command's name in JSON.
    pub command: &'static str,
    /// The old secret has leaked, for this reason.
    pub force: Option<&'a str>,
    /// The fingerprint of the secret that has leaked, where it was said.
    pub leaked: Option<&'a Fingerprint>,
    pub reason: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
    pub confirm: Option<&'a str>,
    pub api_key_file: Option<&'a std::path::Path>,
    pub dry_run: bool,
    pub detach: bool,
    /// Prove before the call that receivers would take a second secret.
    pub probe_first: bool,
    /// Probe the receivers although nobody is there to be shown what they accept.
    pub probes: bool,
}

/// Decides everything that can be decided before anything is sent.
pub fn plan(target: &Target, wish: &Wish<'_>) -> anyhow::Result<Plan> {
    let endpoint = &target.endpoint;
    let provider = &endpoint.provider;
    let overlap = match provider.overlap() {
        Overlap::Fixed(window) => Some(window),
        Overlap::None | Overlap::Unknown => None,
    };
    // Every overlap that descriptions can tell of so far bears both signatures, which is what `contain` rests on. Where
    // deliveries bore the old one alone until its end, receivers could not drop it before that.
    let direction = match (overlap, wish.force, provider.force()) {
        (None, _, _) => Direction::Instant,
        (Some(_), Some(_), Force::Unavailable) => Direction::Contain,
        (Some(_), Some(_), Force::Call | Force::SameCall) => Direction::Force,
        (Some(_), None, _) if target.cutover == Cutover::Either => Direction::OverlapEither,
        (Some(_), None, _) => Direction::OverlapSwitch,
    };
    let key = match wish.idempotency_key {
        Some(key) => {
            request::check_key(provider, key)?;
            Some(key.to_owned())
        }
        None => request::new_key(provider),
    };
    let request = match wish.force {
        Some(reason) => request::force(endpoint, key.as_deref(), reason)?,
        None => request::rotate(endpoint, key.as_deref()),
    };
    Ok(Plan {
        target: target.name.clone(),
        provider: provider.name().to_owned(),
        endpoint_key: endpoint.key(),
        base_url: endpoint.base_url.to_string(),
        ids: endpoint.ids.clone(),
        auth: provider.spec().auth.schemes.get(endpoint.auth).map(|scheme| scheme.name.clone()).unwrap_or_default(),
        options: endpoint.options.clone(),
        direction,
        steps: direction.steps().to_vec(),
        request,
        key_window: key.as_ref().and(provider.idempotency()).map(|idempotency| idempotency.window),
        idempotency_key: key,
        overlap,
        stores: Vec::new(),
        passed_over: Vec::new(),
        by_flags: Vec::new(),
        receivers: target.receivers.clone(),
        may_probe: target.may_probe,
        probe_first: wish.probe_first,
        forced: wish.force.is_some(),
        leaked: Default::default(),
        replaces: None,
        reason: wish.force.or(wish.reason).map(str::to_owned),
        owner: target.owner.clone(),
    })
}

/// Rotates: from the plan as far as it goes. `along` goes along with a person's steps.
pub fn rotate(
    session: &Session,
    mut target: Target,
    wish: &Wish<'_>,
    answers: Answers,
    along: &dyn Fn(&Rotation, Step, Moment),
) -> anyhow::Result<Exit> {
    let mut plan = plan(&target, wish)?;
    if target.stores.is_empty() {
        let hint = "name one: --store dotenv:PATH#KEY, or `store = …` in the target";
        return Err(Fault::new(Exit::Usage, format!("`{}` has no store to keep the new secret in", target.name), hint));
    }
    let id = Uuid::new_v4();
    target.surroundings.rotation = Some(id);
    let stores = work::open_stores(&target)?;
    plan.stores = work::planned(&target, &stores)?;
    changes::note_flags(session, &mut plan)?;
    refuse_bare_stdout(session, &plan)?;
    shared::refuse_configured(session.config()?, session.catalog()?, &target, &stores)?;
    if plan.probe_first {
        refuse_unprovable(&plan, &target)?;
    }
    for caution in stores.iter().filter_map(|store| store.caution()) {
        session.output.warn(&caution);
    }
    if wish.dry_run {
        preview::plan(&session.output, &plan, &target.endpoint.provider, &work::names(&stores));
        session.output.say("dry run: nothing was sent, written or asked");
        let rotation = Rotation::new(Uuid::nil(), plan, session.now());
        let again = session.come_back(wish.command, &target.name);
        session.output.json(&report::rotation(
            wish.command,
            &rotation,
            session.now(),
            0,
            &again,
            serde_json::Value::Null,
        ));
        return Ok(Exit::Done);
    }
    // Agreeing to the old secret's end says nothing of the receivers.
    let is_unready = plan.steps.contains(&Step::Prepare) && !plan.probe_first && !answers.speaks_for(Step::Prepare);
    if is_unready && refuse_unprovable(&plan, &target).is_ok() {
        session
            .output
            .say("the receivers are probed before the call, as with --probe-first; --done prepare goes without");
        plan.probe_first = true;
    }
    let api_key = session.context()?.api_key(&target, wish.api_key_file)?;
    let mut work = Work::open(session, target)?;
    work.key_origin = Some(api_key.origin.clone());
    let tools = Tools { stores, api_key: Some(api_key) };
    if session.may_ask() || plan.probe_first || wish.probes {
        work.enable_probes(session, &plan)?;
    }
    let sent: Vec<Rotation> = work.journal.open_rotations()?.into_iter().filter(Rotation::may_be_applied).collect();
    moved::refuse(session, &sent, &work.target, "cutover")?;
    shared::refuse_journaled(&work.journal, &work.target, &tools.stores)?;
    // The endpoint's whole journal, so that a damaged one is found out here.
    let known = work.journal.of_endpoint(&work.target.endpoint.key())?;
    let (over, replaced) = in_the_way(session, &known, wish)?;
    if let Some(open) = &replaced {
        plan.replaces = Some(open.id);
        let title = work.target.endpoint.provider.title();
        session.output.warn(&format!("the open rotation is given up for this one once {title} has carried it out"));
    }
    if plan.forced || leaking(&known).is_some() {
        plan.leaked = suspects(&known, wish.leaked);
    }
    changes::look_at_others(session, &work.target, &plan)?;
    let before = standing(&work)?;
    if session.may_ask() || !session.global.yes {
        preview::plan(&session.output, &plan, &work.target.endpoint.provider, &work::names(&tools.stores));
    }
    consent(session, &work, &plan, wish.confirm)?;
    if is_unready && !plan.probe_first {
        let message = "`--done prepare` is needed, and there is nobody to ask: the old secret ends with the call";
        let hint = "name receivers that may be probed (--receiver URL), or once they can take the new secret at once, give \
                    --done prepare on the command line";
        return Err(Fault::new(Exit::Usage, message, hint));
    }
    if work.retake()? && standing(&work)? != before {
        let hint = format!("see what is live now: {}", session.come_back("inspect", &work.target.name));
        return Err(Fault::new(Exit::Conflict, "nothing was sent: others rotated here while you were asked", hint));
    }
    for mut rotation in over {
        let reason = Some("cut off before anything was sent; started over".to_owned());
        let closed = Event::Closed { outcome: Outcome::Failed, reason };
        work.journal.append(&mut rotation, session.context()?.actor(), session.now(), &[closed])?;
    }
    let mut rotation = Rotation::new(id, plan, session.now());
    let stopped = || work.signals.arrived();
    let mut person = Person { along, ..work.person(session, &tools, answers, &stopped) };
    let last = wish.detach.then_some(Step::Stage);
    let outcome = work.run(&mut rotation, &tools, &mut person, last);
    let exit = |rest| match rest {
        Rest::Finished | Rest::Person(_) | Rest::Clock(_) => Exit::Done,
        Rest::Stopped => work.signals.exit(),
    };
    conclude::conclude(session, wish.command, &rotation, &work, outcome.map(exit))
}

/// What was done of the endpoint's newest rotation, and whether it is open.
fn standing(work: &Work) -> Result<impl PartialEq + use<>, RunError> {
    let newest = work.journal.standing_of(&work.target.endpoint.key())?.into_iter().next();
    let short = |it: Rotation| (it.id, it.done.clone(), it.call.clone(), it.closed.is_some());
    Ok(newest.map(short))
}

/// Asks for what the plan needs: a yes, or the endpoint's id where receivers may soon refuse the old secret. Lets go of the endpoint's
/// lock while somebody is asked.
pub fn consent(session: &Session, work: &Work, plan: &Plan, confirm: Option<&str>) -> anyhow::Result<()> {
    let id = plan.own_id();
    if let Some(typed) = confirm {
        return if work.target.endpoint.is_own_id(typed) { Ok(()) } else { Err(wrong_id(id)) };
    }
    if plan.needs_id() {
        let flag = format!("--confirm {}", session.quoted(id));
        ask::may_ask(session, &flag)?;
        work.let_go();
        let question = match plan.direction {
            Direction::Contain => "Receivers are to refuse the old secret at once. Type the endpoint's id to go on",
            _ => "This ends the old secret. Type the endpoint's id to go on",
        };
        let typed = ask::answer(dialog::text(question, Some(""), |_| Ok(())), &flag)?;
        return if work.target.endpoint.is_own_id(&typed) { Ok(()) } else { Err(wrong_id(id)) };
    }
    let refusal = ["not rotated, as you said", "nothing was sent; run it again when you are ready"];
    ask::agreement(session, work, "Rotate now?", refusal)
}

fn wrong_id(id: &str) -> anyhow::Error {
    let message = "that is not the endpoint's id, so nothing was sent";
    Fault::new(Exit::Usage, message, format!("the endpoint of this target is `{id}`"))
}

/// Refuses where a rotation of this endpoint is open, except one that never sent anything, and except that a leak
/// does not wait for an overlap. Yields those that are over, and the one that the new rotation replaces.
fn in_the_way(
    session: &Session,
    known: &[Rotation],
    wish: &Wish<'_>,
) -> anyhow::Result<(Vec<Rotation>, Option<Rotation>)> {
    // A key that was sent before gets the old answer again, and nothing would be rotated.
    let reused = |rotation: &&Rotation| {
        wish.idempotency_key.is_some_and(|key| rotation.plan.idempotency_key.as_deref() == Some(key))
    };
    if let Some(earlier) = known.iter().find(reused).filter(|rotation| !rotation.sent.is_empty()) {
        let message =
            format!("this idempotency key was used for the rotation of {}", crate::ui::time::moment(earlier.opened_at));
        return Err(Fault::new(Exit::Conflict, message, "leave `--idempotency-key` out, and a fresh one is made"));
    }
    let open = known.iter().filter(|rotation| rotation.closed.is_none()).cloned();
    let (over, open): (Vec<_>, Vec<_>) = open.partition(|rotation| rotation.status(session.now()) == Status::Planned);
    let Some(at) = at_hand(&open) else { return Ok((over, None)) };
    let first = &open[at];
    let status = first.status(session.now());
    if wish.force.is_none() || matches!(status, Status::Unknown | Status::Sealed) {
        let message = format!(
            "a rotation of `{}` is open already ({}, since {})",
            first.plan.own_id(),
            status.name(),
            crate::ui::time::moment(first.opened_at)
        );
        let hint = format!("go on with it: {}", session.come_back("cutover", &first.plan.target));
        return Err(Fault::new(Exit::Conflict, message, hint));
    }
    Ok((over, open.into_iter().nth(at)))
}

/// Refuses `--probe-first` where there is nothing to prove, or nobody to prove it.
fn refuse_unprovable(plan: &Plan, target: &Target) -> anyhow::Result<()> {
    let refused = |message: String, hint: &str| Err(Fault::new(Exit::Usage, message, hint));
    let title = target.endpoint.provider.title();
    if !plan.steps.contains(&Step::Prepare) {
        let message =
            format!("--probe-first is for providers that end the old secret with the call, and {title} does not");
        return refused(message, "leave it out: the receivers are probed once the new secret is deployed");
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

/// Refuses a plan whose secret would share stdout with something else.
pub fn refuse_bare_stdout(session: &Session, plan: &Plan) -> anyhow::Result<()> {
    let used = plan.stores.iter().filter(|store| store.reference == "stdout:").count();
    if used > 0 && (session.output.is_json() || used > 1) {
        let message = "`stdout:` cannot share stdout with --json or with itself";
        return Err(Fault::new(Exit::Usage, message, "leave one of them out, or name another store"));
    }
    Ok(())
}
