//! The secrets that whsec knows of a target: what its slots hold, and an old one that is still sealed.

use super::context::Asked;
use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::find;
use crate::advice::{Flag, Verb, advice};
use crate::config::Target;
use crate::delivery::examine::Examiner;
use crate::provider::signature::Scheme;
use crate::rotation::Rotation;
use crate::rotation::journal::Journal;
use crate::rotation::person_steps::old_seal;
use crate::rotation::seal;
use crate::secret::{Fingerprint, Secret};
use crate::store::{Slot, readable};

/// One secret, and every place that holds it.
#[derive(Clone, Debug)]
pub struct KnownSecret {
    pub secret: Secret,
    pub fingerprint: Fingerprint,
    /// Slots with their stores, the first one found first.
    pub places: Vec<(&'static str, String)>,
    pub role: Role,
}

/// What a secret is to the rotation that is open, or was the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What receivers are to run with: the new secret, or the live one where nothing is open.
    New,
    /// What they are not to run with any more, or soon no more.
    Old,
    /// Neither.
    Other,
}

impl KnownSecret {
    /// The slot's name in short: `current`, or `current and previous`.
    pub fn slots(&self) -> String {
        let mut names: Vec<&str> = self.places.iter().map(|(slot, _)| *slot).collect();
        names.sort_unstable();
        names.dedup();
        names.join(" and ")
    }

    /// Whether no slot has it, and only the one who asks does.
    pub fn is_only_given(&self) -> bool {
        self.places.iter().all(|(slot, _)| *slot == "stdin")
    }

    /// Whether receivers may have it by rights: it is live, about to be, or the one that was asked about.
    pub fn is_live(&self) -> bool {
        let live = |slot: &str| ["current", "next", "stdin"].contains(&slot);
        self.role == Role::New || self.places.iter().any(|(slot, _)| live(slot))
    }
}

/// A target with its secrets and its newest rotation.
pub struct Inventory {
    pub target: Target,
    pub journal: Journal,
    /// The open rotation.
    pub open: Option<Rotation>,
    pub secrets: Vec<KnownSecret>,
}

impl Inventory {
    /// Takes what is found now into account. Secrets keep their places in the list; what no slot holds any more is an old one.
    pub fn renew(&mut self, fresh: Self) {
        for known in &mut self.secrets {
            if known.is_only_given() {
                continue;
            }
            match fresh.secrets.iter().find(|found| found.fingerprint == known.fingerprint) {
                Some(found) => known.clone_from(found),
                None => (known.role, known.places) = (Role::Old, vec![("gone", "no store".to_owned())]),
            }
        }
        let is_known =
            |found: &KnownSecret, all: &[KnownSecret]| all.iter().any(|known| known.fingerprint == found.fingerprint);
        for found in fresh.secrets {
            if !is_known(&found, &self.secrets) {
                self.secrets.push(found);
            }
        }
        self.open = fresh.open;
    }

    /// Takes one more secret into account, which may be in a slot already.
    pub fn add_from_stdin(&mut self, secret: Secret) {
        let fingerprint = secret.fingerprint();
        let place = ("stdin", "stdin".to_owned());
        match self.secrets.iter_mut().find(|known| known.fingerprint == fingerprint) {
            Some(known) => known.places.push(place),
            None => self.secrets.push(KnownSecret { secret, fingerprint, places: vec![place], role: Role::Other }),
        }
    }

    /// Its secrets made ready to look at deliveries, each by its place in the list.
    pub fn examiner<'a>(&'a self, scheme: &'a Scheme) -> Examiner<'a> {
        let secrets = self.secrets.iter().map(|known| &known.secret).collect();
        let stamps = self.journal.stamps().clone();
        Examiner::new(scheme, secrets).knowing_probes(Some(stamps)).at(&self.target.receivers)
    }

    /// The secret of a role.
    pub fn of(&self, role: Role) -> Option<&Secret> {
        self.secrets.iter().find(|known| known.role == role).map(|known| &known.secret)
    }
}

/// Everything that is known of a target's secrets. A slot that cannot be read is warned of and left out.
pub fn look(context: &Context, name: &str, asked: &Asked) -> Result<Inventory, Error> {
    gather(context, name, asked, &|warning| context.warn(warning))
}

/// The same once more, without the warnings of the first time.
pub fn look_again(context: &Context, name: &str, asked: &Asked) -> Result<Inventory, Error> {
    gather(context, name, asked, &|_| {})
}

/// The same of a target that was not asked for, without a warning.
pub fn look_quietly(context: &Context, name: &str) -> Result<Inventory, Error> {
    gather(context, name, &Asked::default(), &|_| {})
}

fn gather(context: &Context, name: &str, asked: &Asked, warn: &dyn Fn(&str)) -> Result<Inventory, Error> {
    let journal = find::journal(context)?;
    let target = find::target(context, &journal, name, asked)?;
    let open = journal.find_open(&target.endpoint.key())?;
    if target.stores_from_checkout && open.is_none() {
        let message =
            "the stores are named by a checkout's file that you do not trust, so what they hold shows nothing";
        let hint =
            advice!["look at it, then ", Verb::TargetTrust.alone(), "; or name one: ", Flag::open("store", "REF")];
        return Err(Stop::new(Kind::Usage, message, hint));
    }
    let mut secrets: Vec<KnownSecret> = Vec::new();
    for store in readable(&find::stores(context, &journal, &target, asked)?) {
        for slot in Slot::KEPT {
            match store.get(slot) {
                Ok(Some(secret)) => add(&mut secrets, secret, slot.name(), store.reference(), open.as_ref()),
                Ok(None) => {}
                Err(error) => warn(&format!("{} of {} was not read: {error}", slot.name(), store.reference())),
            }
        }
    }
    if let Some(rotation) = &open
        && let Some(old) = sealed_old(context, rotation)
    {
        add(&mut secrets, old, "sealed", "the seal of the old secret".to_owned(), open.as_ref());
    }
    Ok(Inventory { target, journal, open, secrets })
}

/// The old secret that left the stores before receivers were proved to refuse it.
fn sealed_old(context: &Context, rotation: &Rotation) -> Option<Secret> {
    let id = old_seal(rotation.id);
    // Opening the seals of a state folder may make their identity; looking does not.
    let is_shared = context.shared_journal().ok()?.is_some();
    if !is_shared && !seal::path(context.state_dir().ok()?, id).exists() {
        return None;
    }
    let seals = context.seals().ok()?;
    seals.secret_of(id, rotation.before.current.as_ref()).ok()
}

/// Whether a secret is the one that the open rotation replaces, as far as that is known.
fn is_before(open: Option<&Rotation>, fingerprint: &Fingerprint) -> bool {
    open.and_then(|rotation| rotation.before.current.as_ref()).is_none_or(|before| before == fingerprint)
}

fn add(secrets: &mut Vec<KnownSecret>, secret: Secret, slot: &'static str, place: String, open: Option<&Rotation>) {
    let fingerprint = secret.fingerprint();
    if let Some(known) = secrets.iter_mut().find(|known| known.fingerprint == fingerprint) {
        known.places.push((slot, place));
        return;
    }
    let new = open.and_then(|open| open.new_secret());
    let role = match (new, slot) {
        (Some(new), _) if *new == fingerprint => Role::New,
        (Some(_), "current" | "previous" | "sealed") if is_before(open, &fingerprint) => Role::Old,
        (None, "previous") => Role::Old,
        // What is live while a call has no known outcome is anybody's guess.
        (None, "current") if open.is_none_or(|rotation| !rotation.may_be_applied()) => Role::New,
        _ => Role::Other,
    };
    secrets.push(KnownSecret { secret, fingerprint, places: vec![(slot, place)], role });
}
