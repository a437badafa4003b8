//! Takes in a rotation that somebody has handed over: [`prepare`] opens the bundle and compares it with this machine's config, and once
//! that is agreed to [`Prepared::begin`] journals it. Nothing is sent, and no store is written.

use super::super::context::Context;
use super::super::error::{Error, Kind, Stop};
use super::super::start::{self, Intent};
use super::super::workspace::{self, Workspace};
use super::super::{changes, find, moved, shared};
use super::not_made;
use crate::advice::{Verb, advice};
use crate::config::Target;
use crate::http::{Url, shown_address};
use crate::provider::is_same_address;
use crate::provider::request::Request;
use crate::rotation::handoff::{Arrived, Bundle, Known};
use crate::rotation::moving::NotTakenIn;
use crate::rotation::{Event, Issuing, Plan, Rotation};
use crate::store::Store;

/// What a bundle is to this machine.
pub enum Offer {
    /// It has come in already, and is open here.
    Here(Box<(Workspace, Rotation)>),
    New(Box<Prepared>),
}

/// A rotation that waits for a consent, on an endpoint that is locked.
pub struct Prepared {
    pub workspace: Workspace,
    pub stores: Vec<Box<dyn Store>>,
    /// As it is going to be here.
    pub rotation: Rotation,
    bundle: Bundle,
}

/// Opens a bundle. Refuses one whose key or secret would go anywhere else than this machine's own config says: anybody can make a bundle
/// for a recipient.
pub fn prepare(context: &Context, cipher: &[u8]) -> Result<Offer, Error> {
    let journal = find::journal(context)?;
    let (bundle, rotation) = Bundle::open(cipher, &context.seals()?).map_err(not_made)?;
    let target = target(context, &rotation.plan)?;
    let key = target.endpoint.key();
    context.refuse_left_behind(&key)?;
    let workspace = Workspace::open(context, target, Some(journal))?;
    if bundle.known_to(&workspace.journal)? == Known::Here
        && let Some(open) = workspace.journal.find(&key, rotation.id)?
    {
        return Ok(Offer::Here(Box::new((workspace, open))));
    }
    let arrived = arrived(context, &workspace, &bundle)?;
    moved::refuse(context, &workspace.journal.open_rotations()?, &workspace.target, Verb::Cutover)?;
    let target = &workspace.target;
    refuse_other_calls(target, &arrived.decided).map_err(|what| other(target, what))?;
    refuse_other_places(context, target, &arrived.rotation.plan)?;
    let stores = workspace::open_stores(target)?;
    shared::refuse_configured(context, context.config()?, target, &stores)?;
    shared::refuse_journaled(context, &workspace.journal, target, &stores)?;
    Ok(Offer::New(Box::new(Prepared { stores, rotation: arrived.rotation, bundle, workspace })))
}

impl Prepared {
    /// Takes the lock again where it was let go of for a question, and journals the rotation that was agreed to, sealed first.
    pub fn begin(&self, context: &Context) -> Result<(Rotation, Event), Error> {
        self.workspace.reacquire()?;
        let arrived = arrived(context, &self.workspace, &self.bundle)?;
        self.bundle.seal(&self.workspace.seals)?;
        arrived.take_into(&self.workspace.journal).map_err(|why| match why {
            NotTakenIn::Failed(error) => error.into(),
            NotTakenIn::Known { endpoint } => further_on(&endpoint),
        })?;
        Ok((arrived.rotation, Event::Received))
    }
}

/// The rotation as it goes on here. Refuses it beside one that is open, and where it is further on already.
fn arrived(context: &Context, workspace: &Workspace, bundle: &Bundle) -> Result<Arrived, Error> {
    let key = workspace.target.endpoint.key();
    if let Some(open) = workspace.journal.find_open(&key)? {
        return Err(start::is_open(context, &open));
    }
    if bundle.known_to(&workspace.journal)? == Known::FurtherOn {
        return Err(further_on(workspace.target.endpoint.own_id()));
    }
    bundle.arrived(&workspace.journal, context.actor(), context.now()).map_err(not_made)
}

fn further_on(endpoint: &str) -> Error {
    let message =
        format!("this journal knows more of that rotation of `{endpoint}` than the bundle, or something else");
    let hint = advice!["what became of it here: ", Verb::Inspect.here().bare()];
    Stop::new(Kind::Conflict, message, hint)
}

/// The target that the config has of the endpoint, by its own name where it has that.
fn target(context: &Context, plan: &Plan) -> Result<Target, Error> {
    let config = context.config()?;
    let is_same = |target: &Target| {
        let address = Url::parse(&plan.base_url);
        target.endpoint.key() == plan.endpoint_key
            && address.is_ok_and(|address| is_same_address(&address, &target.endpoint.base_url))
    };
    let (own, others): (Vec<&str>, Vec<&str>) = config.names().partition(|name| *name == plan.target);
    let configured = |name: &str| context.configured(name).ok();
    if let Some(target) = own.iter().chain(&others).filter_map(|name| configured(name)).find(is_same) {
        return Ok(target);
    }
    let begun = format!("{} at {}", moved::endpoint(plan), plan.base_url);
    let Some(name) = own.first() else {
        let hint = advice!["if it is known to you: ", Verb::TargetAdd.of(&plan.target).bare()];
        return Err(Stop::new(
            Kind::NotFound,
            format!("no target of this config is {begun}, as the bundle's is"),
            hint,
        ));
    };
    let here = context.configured(name)?.endpoint;
    let ids: Vec<&str> = here.ids.iter().map(|id| id.value.as_str()).collect();
    let here = format!("{}/{} at {}", here.provider.name(), ids.join("/"), here.base_url);
    Err(Stop::new(Kind::Usage, format!("the bundle's `{name}` is {begun}, and `{name}` is {here} here"), ASK))
}

const ASK: &str = "nothing was sent: anybody can make a bundle, so ask whoever has sent it, and change the target only if that is right";

/// Fails, with what it is, where a call that may be sent again is not the one that this machine would make for the target.
fn refuse_other_calls(target: &Target, decided: &Plan) -> Result<(), String> {
    let (key, reason) = (decided.idempotency_key.as_deref(), decided.reason.as_deref());
    let force = decided.forced.then(|| reason.unwrap_or_default());
    let ours = |overlap| {
        let intent = Intent { force, reason, idempotency_key: key, overlap, ..Intent::default() };
        start::plan(target, &intent).ok()
    };
    // What was adopted has no key by which anything is sent again, but was decided with one.
    let same_call = |ours: &Request, theirs: &Request| {
        let headers = if key.is_none() { &theirs.headers } else { &ours.headers };
        *theirs == Request { headers: headers.clone(), ..ours.clone() }
    };
    let is_same = |ours: Plan| {
        let is_issued = match (&ours.issuing, &decided.issuing) {
            (Issuing::Call(ours_), Issuing::Call(theirs)) if ours.idempotency_key.as_deref() != key => {
                same_call(ours_, theirs)
            }
            (ours, theirs) => ours == theirs,
        };
        is_issued && ours.ending == decided.ending
    };
    match [None, decided.overlap].into_iter().filter_map(ours).any(is_same) {
        true => Ok(()),
        false => Err(match &decided.issuing {
            Issuing::Call(request) => format!("calls {} {}", request.method.as_str(), shown_address(&request.url)),
            Issuing::ByHand { page } => format!("has its secret made by hand ({page})"),
        }),
    }
}

/// Refuses stores and receivers that the config does not name. Of a store that only another machine has, nothing is opened here.
fn refuse_other_places(context: &Context, target: &Target, plan: &Plan) -> Result<(), Error> {
    let named = changes::named_stores(target);
    let names: Vec<&str> = named.iter().map(|store| store.reference.as_str()).collect();
    for store in &plan.stores {
        if workspace::is_elsewhere(store) {
            let (reference, there) = (&store.reference, workspace::host_of(store));
            context.warn(format!("{reference} is on `{there}` alone, and only there it can be gone on with"));
        } else if !named.iter().any(|known| (&known.reference, &known.names) == (&store.reference, &store.names)) {
            let what = format!("keeps its secret in {}, where this config has {}", store.reference, names.join(", "));
            return Err(other(target, what));
        }
    }
    match plan.receivers.iter().find(|url| !target.receivers.contains(url)) {
        Some(url) => {
            Err(other(target, format!("has a receiver that this config does not have, {}", shown_address(url))))
        }
        None => Ok(()),
    }
}

fn other(target: &Target, what: String) -> Error {
    Stop::new(Kind::Usage, format!("the bundle's rotation of `{}` {what}", target.name), ASK)
}
