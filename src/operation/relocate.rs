//! Moves the journal to another place: from the state folder to one that several machines share, between two of those, or back.

use std::rc::Rc;

use super::context::Context;
use super::error::{Error, Kind, Stop};
use super::identify::identify;
use super::workspace;
use crate::advice::{Verb, advice};
use crate::documents::Location;
use crate::rotation::RunError;
use crate::rotation::journal::{Journal, JournalError};
use crate::rotation::lock::EndpointLock;
use crate::rotation::moving::NotTakenIn;
use crate::rotation::seal::Seals;
use crate::rotation::shared::Shared;
use crate::rotation::shared_error::SharedError;
use crate::rotation::transfer::{self, Failed, Transfer};

/// How the state folder's own is named.
pub const LOCAL: &str = "local";

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
    /// As the other one names it.
    known_as: String,
}

impl Context {
    /// Moves all of the journal that is in use to `to`, which is a shared journal, or the state folder's own where there is none.
    /// Nobody works on an endpoint meanwhile. Cut off, it is done by the same once more.
    pub fn move_journal(&self, to: Option<&Location>) -> Result<Moved, Error> {
        let named = self.location()?.filter(|named| to != Some(named));
        if named.is_none() && to.is_none() {
            let hint = "name the place to move it to, as `journal init` printed it";
            return Err(Stop::new(Kind::Usage, "the journal is in this state folder already", hint));
        }
        let (from, dest) = (self.end(named.as_ref())?, self.end(to)?);
        // Where a part of it may be at the other place already its keys stay as they are there.
        if Journal::moved_to(self.state_dir()?)?.is_none() {
            identify(self, &from.journal)?;
        }
        let is_shared = dest.journal.shared().is_some();
        let moved = Transfer {
            from: transfer::End { journal: &from.journal, name: &from.known_as },
            to: transfer::End { journal: &dest.journal, name: &dest.known_as },
            bind: &|store| workspace::bind(store, is_shared),
        }
        .run(&|endpoint| self.lock_at(&from.journal, endpoint), &|| self.refuse_sealed(&from));
        let recorded = moved.map_err(|failed| self.not_moved(failed, &dest))?;
        match &dest.journal {
            Journal::Local(_) => self.forget_note()?,
            Journal::Shared(shared) => self.note(shared),
        }
        let open = dest.journal.open_rotations()?.into_iter().map(|rotation| rotation.plan.target.clone()).collect();
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

    fn end(&self, at: Option<&Location>) -> Result<End, Error> {
        let seals = self.keeper()?.seals(false)?;
        let Some(location) = at else {
            let journal = Journal::open_though_moved(self.state_dir()?)?;
            // To other machines their own is another one.
            let known_as = format!("the state folder of {}", self.actor());
            return Ok(End { journal, seals, name: LOCAL.to_owned(), known_as });
        };
        let shared: Rc<Shared> = Rc::new(self.open_by(location, Shared::open_though_moved)?);
        let name = format!("{location}#{}", shared.fingerprint());
        if location.key().is_none() {
            let (at, key) = (location.to_string(), shared.fingerprint());
            return Err(JournalError::Shared(SharedError::Unnamed { at, key }).into());
        }
        let seals = seals.in_journal(Rc::clone(&shared))?;
        Ok(End { journal: Journal::Shared(shared), seals, known_as: name.clone(), name })
    }

    fn lock_at(&self, journal: &Journal, endpoint: &str) -> Result<EndpointLock, Error> {
        let holder =
            format!("{}, process {}, moves the journal since {}", self.actor(), std::process::id(), self.now());
        let taken = match journal.shared() {
            Some(shared) => EndpointLock::lease(Rc::clone(shared), endpoint, &holder, self.longest_call()),
            None => EndpointLock::take(self.state_dir()?, endpoint, &holder),
        };
        taken.map_err(|error| RunError::from(error).into())
    }

    fn not_moved(&self, failed: Failed<Error>, dest: &End) -> Error {
        let Failed { why, is_left } = failed;
        if !is_left {
            return why;
        }
        let again = advice![
            "run ",
            Verb::JournalMove.alone().with("to", &dest.name),
            " again: where it is closed nobody can go on before the rest is done"
        ];
        let message =
            format!("the journal may be closed by now, and not all of it is at `{}`: {}", dest.name, why.words());
        Stop::new(why.kind(), message, again)
    }
}

/// Why the other journal does not take it in.
impl From<NotTakenIn> for Error {
    fn from(why: NotTakenIn) -> Self {
        match why {
            NotTakenIn::Failed(error) => error.into(),
            NotTakenIn::Known { endpoint } => {
                let message =
                    format!("the other journal knows other rotations of `{endpoint}`, or somebody works on it there");
                let hint = "both have a past of that endpoint: bring what is open to its end where it is, and go on in one of the two";
                Stop::new(Kind::Conflict, message, hint)
            }
        }
    }
}
