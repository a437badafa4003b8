//! Every secret that this machine can know, with the places that hold it: slots of all targets and of what is open without one, and
//! seals. Only reads. What cannot be read is named, because what is not known is not found.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::context::{Asked, Context};
use super::error::Error;
use super::{find, workspace};
use crate::config::Target;
use crate::rotation::Rotation;
use crate::rotation::person_steps::{old_seal, overruled_seal};
use crate::rotation::seal;
use crate::search;
use crate::secret::{Fingerprint, Secret};
use crate::store::{Access, Reference, Slot, Store};

/// A file, whatever it is called: its device and its number there.
pub type FileId = (u64, u64);

/// A secret of ours.
pub struct Known {
    pub secret: Secret,
    pub fingerprint: Fingerprint,
    pub places: Vec<Held>,
}

/// A place that holds a secret by rights.
#[derive(Clone, Debug)]
pub struct Held {
    pub target: String,
    /// `next`, `current`, `previous`, or `sealed`.
    pub slot: &'static str,
    pub store: String,
    /// The file that the slot is in, if it is in one.
    pub file: Option<FileId>,
}

/// Something whose secrets are not known, or not searched for.
#[derive(Clone, Debug)]
pub struct NotCovered {
    pub target: String,
    /// The store, or what else it is.
    pub place: String,
    pub why: String,
    /// Whether it should have been readable.
    pub failed: bool,
}

/// All that is known, and what is not.
#[derive(Default)]
pub struct Everything {
    pub secrets: Vec<Known>,
    pub not_covered: Vec<NotCovered>,
    /// Stores by target, each looked at once.
    looked_at: BTreeSet<(String, String)>,
}

/// Looks into the stores of every target, and of every rotation, and into every seal.
pub fn everything(context: &Context) -> Result<Everything, Error> {
    let journal = find::journal(context)?;
    let mut all = Everything::default();
    let mut endpoints = BTreeSet::new();
    let open = journal.open_rotations()?;
    for name in context.config()?.names() {
        let found = find::target(context, &journal, name, &Asked::default()).and_then(|target| {
            let stores = workspace::open_stores(&target)?;
            Ok((target, stores))
        });
        match found {
            Ok((target, stores)) if trusted(&mut all, &target) => {
                endpoints.insert(target.endpoint.key());
                stores.iter().for_each(|store| all.look_into(name, store.as_ref()));
            }
            Ok(_) => {}
            Err(error) => all.miss(name, "its stores", error.words(), true),
        }
    }
    let closed = journal.closed_since(Timestamp::UNIX_EPOCH)?;
    for rotation in &open {
        all.look_into_plan(context, rotation);
        endpoints.insert(rotation.plan.endpoint_key.clone());
    }
    // Endpoints that left the config are as their last rotation left them.
    for rotation in closed.iter().rev().filter(|rotation| rotation.may_be_applied()) {
        if endpoints.insert(rotation.plan.endpoint_key.clone()) {
            all.look_into_plan(context, rotation);
        }
    }
    let is_shared = journal.shared().is_some();
    open.iter().for_each(|rotation| all.unseal(context, rotation, is_shared));
    closed.iter().for_each(|rotation| all.unseal(context, rotation, false));
    all.leave_out_unsearchable();
    Ok(all)
}

/// Whether the target's stores are its own: what a checkout names that nobody trusts may have been put there with it.
fn trusted(all: &mut Everything, target: &Target) -> bool {
    if target.stores_from_checkout {
        let why = "they are named by a checkout's file that you do not trust";
        all.miss(&target.name, "its stores", why.to_owned(), false);
    }
    !target.stores_from_checkout
}

impl Everything {
    fn miss(&mut self, target: &str, place: impl Into<String>, why: String, failed: bool) {
        self.not_covered.push(NotCovered { target: target.to_owned(), place: place.into(), why, failed });
    }

    fn look_into_plan(&mut self, context: &Context, rotation: &Rotation) {
        let plan = &rotation.plan;
        for planned in &plan.stores {
            let opened = find::from_plan(context, plan)
                .and_then(|target| workspace::open_planned(&target, std::slice::from_ref(planned)));
            match opened {
                Ok(stores) => stores.iter().for_each(|store| self.look_into(&plan.target, store.as_ref())),
                Err(error) => self.miss(&plan.target, &planned.reference, error.words(), true),
            }
        }
    }

    fn look_into(&mut self, target: &str, store: &dyn Store) {
        let reference = store.reference();
        if !self.looked_at.insert((target.to_owned(), reference.clone())) {
            return;
        }
        if store.access() != Access::ReadWrite {
            return self.miss(target, reference, "it can be written to and never read".to_owned(), false);
        }
        for slot in Slot::KEPT {
            match store.get(slot) {
                Ok(Some(secret)) => {
                    let file = file_of(&reference, store, slot);
                    let held = Held { target: target.to_owned(), slot: slot.name(), store: reference.clone(), file };
                    self.add(secret, held);
                }
                Ok(None) => {}
                Err(error) => {
                    let place = format!("{} of {reference}", slot.name());
                    self.miss(target, place, Error::from(error).words(), true);
                }
            }
        }
    }

    /// The seals of one rotation: of its new secret, of the old one, and of what was gone over.
    fn unseal(&mut self, context: &Context, rotation: &Rotation, is_shared: bool) {
        let overruled = rotation.last_overruled.as_ref().map(|found| (overruled_seal(rotation.id, found), Some(found)));
        let own = [(rotation.id, rotation.new_secret()), (old_seal(rotation.id), rotation.before.current.as_ref())];
        for (id, says) in own.into_iter().chain(overruled) {
            // Opening the seals of a state folder may make their identity; looking does not.
            let is_here = context.state_dir().is_ok_and(|state| seal::path(state, id).exists());
            if is_here || is_shared {
                self.open_seal(context, rotation, id, says);
            }
        }
    }

    fn open_seal(&mut self, context: &Context, rotation: &Rotation, id: Uuid, says: Option<&Fingerprint>) {
        let target = &rotation.plan.target;
        let seals = match context.seals() {
            Ok(seals) => seals,
            Err(error) => return self.miss(target, "a sealed secret", error.words(), true),
        };
        if !seals.exists(id) {
            return;
        }
        let place = format!("the seal {}", seals.path(id).display());
        match seals.unseal(id) {
            Ok(sealed) if sealed.answer().is_some() => {
                self.miss(target, place, "it holds a whole answer, in which no secret could be read".to_owned(), true);
            }
            Ok(_) => match seals.secret_of(id, says) {
                Ok(secret) => {
                    let held = Held { target: target.clone(), slot: "sealed", store: place, file: None };
                    self.add(secret, held);
                }
                Err(error) => self.miss(target, place, Error::from(error).words(), true),
            },
            Err(error) => self.miss(target, place, Error::from(error).words(), true),
        }
    }

    fn add(&mut self, secret: Secret, held: Held) {
        let fingerprint = secret.fingerprint();
        match self.secrets.iter_mut().find(|known| known.secret == secret) {
            Some(known) => known.places.push(held),
            None => self.secrets.push(Known { secret, fingerprint, places: vec![held] }),
        }
    }

    fn leave_out_unsearchable(&mut self) {
        for at in (0..self.secrets.len()).rev() {
            if let Err(why) = search::check(&self.secrets[at].secret) {
                let known = self.secrets.remove(at);
                for held in known.places {
                    let place = format!("{} of {}", held.slot, held.store);
                    self.miss(&held.target, place, why.to_string(), false);
                }
            }
        }
    }
}

/// Which file a slot is in.
fn file_of(reference: &str, store: &dyn Store, slot: Slot) -> Option<FileId> {
    let path: PathBuf = match Reference::parse(reference).ok()? {
        Reference::Dotenv { path, .. } | Reference::Json { path, .. } => path,
        Reference::File { .. } => store.slot_name(slot).into(),
        _ => return None,
    };
    id_of(&path)
}

fn id_of(path: &Path) -> Option<FileId> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}
