//! Moves the journal to another place: from the state folder to one that several machines share, between two of those, or back.

use std::rc::Rc;
use std::time::Duration;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::identify::identify;
use super::workspace;
use crate::advice::{Verb, advice};
use crate::documents::Location;
use crate::rotation::RunError;
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::lock::EndpointLock;
use crate::rotation::moving::{NotTakenIn, Recorded};
use crate::rotation::seal::Seals;
use crate::rotation::shared::Shared;
use crate::rotation::shared_error::SharedError;

/// How the state folder's own is named.
pub const LOCAL: &str = "local";

/// How long every endpoint has to be held from the moment on in which the one place is left for the other.
const BEFORE_THE_MARK: Duration = Duration::from_secs(60);

/// What was moved.
pub struct Moved {
    pub from: String,
    /// As a config names it; [`LOCAL`] for the state folder's own.
    pub to: String,
    pub rotations: usize,
    /// The targets of those that are open.
    pub open: Vec<String>,
}

/// A journal with what is sealed beside it.
struct End {
    journal: Journal,
    seals: Seals,
    /// As a config names it.
    name: String,
}

impl Context {
    /// Moves all of the journal that is in use to `to`, which is a shared journal, or the state folder's own where there is none.
    /// Nobody works on an endpoint meanwhile. What was moved before and is as it was is left as it is, so that it can be done again.
    pub fn move_journal(&self, to: Option<&Location>) -> Result<Moved, Error> {
        let named = self.location()?.filter(|named| to != Some(named));
        if named.is_none() && to.is_none() {
            let hint = "name the place to move it to, as `journal init` printed it";
            return Err(Stop::new(Kind::Usage, "the journal is in this state folder already", hint));
        }
        let from = self.end(named.as_ref(), Journal::open)?;
        let dest = self.end(to, Journal::open_though_moved)?;
        identify(self, &from.journal)?;
        // Held until all is said and done.
        let locks = self.lock_all(&from.journal)?;
        let mut recorded = Recorded::of(&from.journal)?;
        self.refuse_sealed(&from)?;
        let is_shared = dest.journal.shared().is_some();
        recorded.bind(|store| workspace::bind(store, is_shared));
        recorded.take_into(&dest.journal).map_err(|why| self.not_taken_in(why, &dest.name))?;
        let open = dest.journal.open_rotations()?.into_iter().map(|rotation| rotation.plan.target.clone()).collect();
        for lock in &locks {
            lock.keep(BEFORE_THE_MARK).map_err(JournalError::from)?;
        }
        self.mark(&from, &dest)?;
        // Somebody may have begun another endpoint's first rotation meanwhile.
        let mut late = Recorded::of(&from.journal)?;
        late.bind(|store| workspace::bind(store, is_shared));
        let late = late.since(&recorded);
        late.take_into(&dest.journal).map_err(|why| self.not_taken_in(why, &dest.name))?;
        drop(locks);
        Ok(Moved { from: from.name, to: dest.name, rotations: recorded.len(), open })
    }

    /// Refuses while anything is sealed: it may be the only copy there is, it opens with what belongs to this journal alone, and another
    /// machine may have one of it that nobody sees from here.
    fn refuse_sealed(&self, from: &End) -> Result<(), Error> {
        let sealed = from.seals.all()?;
        if sealed.is_empty() {
            return Ok(());
        }
        let open = from.journal.open_rotations()?;
        let name = |id: &uuid::Uuid| open.iter().find(|open| open.id == *id).map(|open| open.plan.target.clone());
        let names: Vec<String> = sealed.iter().map(|id| name(id).unwrap_or_else(|| id.to_string())).collect();
        let message = format!("nothing was moved: a secret is sealed still of {}", names.join(", "));
        let hint = advice!["bring it to where every store has it: ", Verb::Cutover.of(&names[0]), "; then move"];
        Err(Stop::new(Kind::Conflict, message, hint))
    }

    /// Says at the one place that all is at the other.
    fn mark(&self, from: &End, to: &End) -> Result<(), Error> {
        let state = self.state_dir()?;
        match (&from.journal, &to.journal) {
            (_, Journal::Local(local)) => {
                local.is_back()?;
                self.forget_note()?;
            }
            (_, Journal::Shared(shared)) => self.note(shared),
        }
        match &from.journal {
            Journal::Local(_) => Journal::leave(state, &to.name)?,
            Journal::Shared(shared) => {
                // Another machine's own is another one.
                let to = match &to.journal {
                    Journal::Local(_) => format!("the state folder of {}", self.actor()),
                    Journal::Shared(_) => to.name.clone(),
                };
                shared.leave_for(&to).map_err(JournalError::from)?;
            }
        }
        Ok(())
    }

    fn end(
        &self,
        at: Option<&Location>,
        open: fn(&std::path::Path) -> Result<Journal, JournalError>,
    ) -> Result<End, Error> {
        let seals = self.keeper()?.seals(false)?;
        let Some(location) = at else {
            return Ok(End { journal: open(self.state_dir()?)?, seals, name: LOCAL.to_owned() });
        };
        let shared: Rc<Shared> = Rc::new(self.open_at(location)?);
        let name = format!("{location}#{}", shared.fingerprint());
        if location.key().is_none() {
            let (at, key) = (location.to_string(), shared.fingerprint());
            return Err(JournalError::Shared(SharedError::Unnamed { at, key }).into());
        }
        Ok(End { journal: Journal::Shared(Rc::clone(&shared)), seals: seals.in_journal(shared)?, name })
    }

    fn lock_all(&self, journal: &Journal) -> Result<Vec<EndpointLock>, Error> {
        let holder =
            format!("{}, process {}, moves the journal since {}", self.actor(), std::process::id(), self.now());
        let (state, call) = (self.state_dir()?, self.longest_call());
        let lock = |endpoint: &String| match journal.shared() {
            Some(shared) => EndpointLock::lease(Rc::clone(shared), endpoint, &holder, call),
            None => EndpointLock::take(state, endpoint, &holder),
        };
        let endpoints = journal.endpoints()?;
        endpoints.iter().map(|endpoint| lock(endpoint).map_err(|error| RunError::from(error).into())).collect()
    }

    fn not_taken_in(&self, why: NotTakenIn, to: &str) -> Error {
        match why {
            NotTakenIn::Failed(error) => error.into(),
            NotTakenIn::Known { endpoint } => {
                let message =
                    format!("the journal `{to}` knows other rotations of `{endpoint}`, or somebody works on it there");
                let hint = "both have a past of that endpoint: bring what is open to its end where it is, and go on in one of the two";
                Stop::new(Kind::Conflict, message, hint)
            }
        }
    }
}
