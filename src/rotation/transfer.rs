//! All of a journal goes to another one, and wherever that is cut off, at most one of the two lets anybody act on an endpoint.
//!
//! First everything is copied to where nobody may go on with it yet; then the one journal says that it is at the other; then the
//! other opens. Between the second and the third both are closed, and the same once more does the rest.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::PlannedStore;
use super::journal::{Journal, JournalError};
use super::left;
use super::lock::EndpointLock;
use super::moving::{Known, NotTakenIn, Recorded, Stage};
use super::shared_error::SharedError;

/// How long every endpoint has to be held from the moment on in which the one place is left for the other.
const BEFORE_THE_WORD: Duration = Duration::from_secs(60);

/// One of the two journals.
#[derive(Clone, Copy)]
pub struct End<'a> {
    pub journal: &'a Journal,
    /// What the other one says of where it is.
    pub name: &'a str,
}

/// A way from one journal to another.
pub struct Transfer<'a> {
    pub from: End<'a>,
    pub to: End<'a>,
    /// Changes where the stores of what is open are said to be.
    pub bind: &'a dyn Fn(&mut PlannedStore),
}

/// It was not done, or not all of it.
#[derive(Debug)]
pub struct Failed<E> {
    pub why: E,
    /// Whether the one journal may say by now that it is at the other: then nobody goes on before the same is done again.
    pub is_left: bool,
}

/// How far it has come.
struct Course {
    locks: BTreeMap<String, EndpointLock>,
    /// What an earlier try has brought over; it may have gone on there.
    there: BTreeSet<String>,
    /// Whether the one journal said that it is at the other before this try.
    was_left: bool,
    /// The same by now.
    is_left: bool,
    /// What the state folder at the other end said of where its journal is, before this try closed it.
    word: Option<Option<String>>,
}

impl Transfer<'_> {
    /// Does it, or the rest of it. `lock` takes an endpoint where it is now, and `may_go` fails where something has to be done there
    /// first. Yields everything that is at the other place by then.
    pub fn run<E: From<NotTakenIn>>(
        &self,
        lock: &dyn Fn(&str) -> Result<EndpointLock, E>,
        may_go: &dyn Fn() -> Result<(), E>,
    ) -> Result<Recorded, Failed<E>> {
        let was_left = self.is_left().map_err(|why| Failed { why: NotTakenIn::from(why).into(), is_left: false })?;
        if let Journal::Shared(shared) = self.from.journal {
            *shared.leaves_for.borrow_mut() = Some(self.to.name.to_owned());
        }
        let mut course =
            Course { locks: BTreeMap::new(), there: BTreeSet::new(), was_left, is_left: was_left, word: None };
        self.go(&mut course, lock, may_go).map_err(|why| {
            if let (Journal::Local(local), Some(word), false) = (self.to.journal, &course.word, course.is_left) {
                // Nothing has come, and it is as much in use as it was.
                let _ = match word {
                    Some(elsewhere) => left::leave(local.folder(), elsewhere),
                    None => left::is_back(local.folder()),
                };
            }
            Failed { why, is_left: course.is_left }
        })
    }

    fn go<E: From<NotTakenIn>>(
        &self,
        course: &mut Course,
        lock: &dyn Fn(&str) -> Result<EndpointLock, E>,
        may_go: &dyn Fn() -> Result<(), E>,
    ) -> Result<Recorded, E> {
        let endpoints = self.from.journal.endpoints().map_err(NotTakenIn::from)?;
        course.lock(endpoints, lock)?;
        may_go()?;
        let recorded = self.recorded()?;
        self.refuse_others(&recorded)?;
        self.judge(course, &recorded)?;
        self.copy(course, &recorded)?;
        for held in course.locks.values() {
            held.keep(BEFORE_THE_WORD).map_err(NotTakenIn::from)?;
        }
        course.is_left = true;
        let late = (|| {
            self.leave().map_err(NotTakenIn::from)?;
            // Somebody may have begun another endpoint's first rotation meanwhile.
            let endpoints = self.all_endpoints().map_err(NotTakenIn::from)?;
            course.lock(endpoints, lock)?;
            may_go()?;
            let all = self.recorded()?;
            self.judge(course, &all)?;
            Ok::<_, E>(self.copy(course, &all.beside(&recorded))?)
        })();
        if late.is_err() && !course.was_left && is_here(self.from.journal).is_ok() {
            course.is_left = false;
        }
        late?;
        if let Journal::Shared(shared) = self.from.journal {
            shared.close_heads(self.to.name).map_err(NotTakenIn::from)?;
        }
        let all = self.recorded()?;
        self.bring(course, &all, &Stage::Here { from: self.from.name })?;
        is_here(self.to.journal).map_err(NotTakenIn::from)?;
        Ok(all)
    }

    fn recorded(&self) -> Result<Recorded, NotTakenIn> {
        let mut recorded = Recorded::of(self.from.journal)?;
        recorded.bind(self.bind);
        Ok(recorded)
    }

    /// Fails where the other journal has anything of an endpoint that is neither what is brought nor an earlier state of it.
    fn judge(&self, course: &mut Course, all: &Recorded) -> Result<(), NotTakenIn> {
        for (endpoint, rows) in all.by_endpoint() {
            if course.there.contains(endpoint) {
                continue;
            }
            let known = self.known(endpoint)?;
            if !known.is_arriving && self.has_left(course, endpoint)? && known.follows(rows) {
                course.there.insert(endpoint.to_owned());
            } else if !known.is_followed_by(rows) {
                return Err(NotTakenIn::Known { endpoint: endpoint.to_owned() });
            }
        }
        Ok(())
    }

    /// Copies it to where nobody may go on with it yet. A state folder is closed as a whole, and takes all of it in afterwards.
    fn copy(&self, course: &mut Course, all: &Recorded) -> Result<(), NotTakenIn> {
        let Journal::Local(local) = self.to.journal else {
            return self.bring(course, all, &Stage::Arriving { from: self.from.name });
        };
        if all.by_endpoint().any(|(endpoint, _)| !course.there.contains(endpoint)) {
            let word = left::moved_to(local.folder())?;
            course.word.get_or_insert(word);
            left::leave(local.folder(), self.from.name)?;
        }
        Ok(())
    }

    fn bring(&self, course: &Course, all: &Recorded, stage: &Stage<'_>) -> Result<(), NotTakenIn> {
        let mut missing = all.by_endpoint().filter(|(endpoint, _)| !course.there.contains(*endpoint));
        missing.try_for_each(|(endpoint, rows)| self.to.journal.take_in(endpoint, rows, stage))
    }

    /// Fails where the other journal says that it is at a third place, and knows what does not come from here: that is there still.
    fn refuse_others(&self, all: &Recorded) -> Result<(), NotTakenIn> {
        let Journal::Local(local) = self.to.journal else { return Ok(()) };
        let Some(third) = left::moved_to(local.folder())?.filter(|third| third != self.from.name) else {
            return Ok(());
        };
        let comes = |endpoint: &String| all.by_endpoint().any(|(known, _)| known == endpoint);
        match local.endpoints()?.iter().all(comes) {
            true => Ok(()),
            false => {
                let at = local.path.display().to_string();
                Err(JournalError::from(SharedError::Moved { at, to: third }).into())
            }
        }
    }

    fn known(&self, endpoint: &str) -> Result<Known, NotTakenIn> {
        match self.to.journal {
            Journal::Local(local) => {
                let is_arriving = left::moved_to(local.folder())?.as_deref() == Some(self.from.name);
                Ok(Known { rows: local.rows_of(endpoint)?, is_arriving })
            }
            Journal::Shared(shared) => Ok(shared.known(endpoint, Some(self.from.name))?.0),
        }
    }

    /// Whether the one journal says that it is at the other. Fails where it is at a third place.
    fn is_left(&self) -> Result<bool, JournalError> {
        let (at, to) = match self.from.journal {
            Journal::Local(local) => (local.path.display().to_string(), left::moved_to(local.folder())?),
            Journal::Shared(shared) => (shared.place().to_owned(), shared.moved_by_now()?),
        };
        match to {
            Some(to) if to != self.to.name => Err(SharedError::Moved { at, to }.into()),
            to => Ok(to.is_some()),
        }
    }

    /// Whether an endpoint was left by an earlier try: all of it was at the other place before.
    fn has_left(&self, course: &Course, endpoint: &str) -> Result<bool, JournalError> {
        match self.from.journal {
            Journal::Local(_) => Ok(course.was_left),
            Journal::Shared(shared) => Ok(shared.head(endpoint)?.head.moved_to.is_some()),
        }
    }

    /// All endpoints of which somebody may be about to record something.
    fn all_endpoints(&self) -> Result<Vec<String>, JournalError> {
        match self.from.journal {
            Journal::Local(local) => local.endpoints(),
            Journal::Shared(shared) => shared.all_endpoints(),
        }
    }

    /// Says in the one journal that it is at the other: nobody begins anything there any more.
    fn leave(&self) -> Result<(), JournalError> {
        match self.from.journal {
            Journal::Local(local) => {
                left::leave(local.folder(), self.to.name)?;
                // Whoever has not seen it has written by then.
                local.settle()
            }
            Journal::Shared(shared) => Ok(shared.say_moved(Some(self.to.name))?),
        }
    }
}

/// Takes back that a journal is at another place.
fn is_here(journal: &Journal) -> Result<(), JournalError> {
    match journal {
        Journal::Local(local) => left::is_back(local.folder()),
        Journal::Shared(shared) => Ok(shared.say_moved(None)?),
    }
}

impl Course {
    fn lock<E>(&mut self, endpoints: Vec<String>, lock: &dyn Fn(&str) -> Result<EndpointLock, E>) -> Result<(), E> {
        for endpoint in endpoints {
            if let Entry::Vacant(free) = self.locks.entry(endpoint) {
                let taken = lock(free.key())?;
                free.insert(taken);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
