//! Rotations that go from one journal to another, whole: each row with its events as they are. What is there already is left as it is.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use uuid::Uuid;

use super::head::Head;
use super::heads::{self, Standing};
use super::journal::{Journal, JournalError};
use super::local::Local;
use super::row::Row;
use super::rows;
use super::seal::Seals;
use super::seal_error::SealError;
use super::shared::{Found, Shared, head_name};
use super::shared_error::SharedError;
use super::shared_journal::together;
use super::{Plan, PlannedStore};
use crate::stamp::StampKey;

/// The rotations of a journal as they are recorded, by their endpoints.
pub struct Recorded(BTreeMap<String, Vec<Row>>);

/// Some of it was not taken in.
#[derive(Debug)]
pub enum NotTakenIn {
    /// The journal knows other rotations of an endpoint, or more of one.
    Known {
        endpoint: String,
    },
    Failed(JournalError),
}

impl<E: Into<JournalError>> From<E> for NotTakenIn {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Recorded {
    /// Everything of a journal.
    pub fn of(journal: &Journal) -> Result<Self, JournalError> {
        let rows = match journal {
            Journal::Local(local) => local.all_rows()?,
            Journal::Shared(shared) => shared.all_rows()?,
        };
        let mut all = BTreeMap::<String, Vec<Row>>::new();
        for row in rows {
            all.entry(row.key().to_owned()).or_default().push(row);
        }
        all.values_mut().for_each(|rows| rows.sort_by_key(Row::begun));
        Ok(Self(all))
    }

    /// Those of one endpoint.
    pub(super) fn of_endpoint(journal: &Journal, endpoint: &str) -> Result<Self, JournalError> {
        // Reads all of it as it has to be, none missing.
        journal.of_endpoint(endpoint)?;
        let mut rows = match journal {
            Journal::Local(local) => local.rows_of(endpoint)?,
            Journal::Shared(shared) => shared.rows_of(endpoint)?,
        };
        rows.sort_by_key(Row::begun);
        Ok(Self([(endpoint.to_owned(), rows)].into()))
    }

    /// One of them.
    pub(super) fn row(&self, id: &str) -> Option<&Row> {
        self.0.values().flatten().find(|row| row.id == id)
    }

    /// The same with one more, or with more of it.
    pub(super) fn with(mut self, row: Row) -> Self {
        let rows = self.0.entry(row.key().to_owned()).or_default();
        rows.retain(|known| known.id != row.id);
        rows.push(row);
        rows.sort_by_key(Row::begun);
        self
    }

    /// How many rotations there are.
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is not as it was when the others were read.
    pub fn since(mut self, before: &Self) -> Self {
        self.0.retain(|endpoint, rows| {
            let was = before.0.get(endpoint).map(|rows| rows.iter().map(|row| (&row.id, &row.events)));
            was.is_none_or(|was| !was.eq(rows.iter().map(|row| (&row.id, &row.events))))
        });
        self
    }

    /// Changes where the stores of open rotations are said to be. What is over stays as it was.
    pub fn bind(&mut self, change: impl Fn(&mut PlannedStore)) {
        for row in self.0.values_mut().flatten().filter(|row| row.is_open()) {
            let Ok(mut plan) = serde_json::from_str::<Plan>(&row.plan) else { continue };
            plan.stores.iter_mut().for_each(&change);
            if let Ok(text) = serde_json::to_string(&plan) {
                row.plan = text;
            }
        }
    }

    /// Records all of it in another journal.
    pub fn take_into(&self, journal: &Journal) -> Result<(), NotTakenIn> {
        for (endpoint, rows) in &self.0 {
            match journal {
                Journal::Local(local) => local.take_in(endpoint, rows)?,
                Journal::Shared(shared) => shared.take_in(endpoint, rows)?,
            }
        }
        Ok(())
    }
}

/// Whether what is known of an endpoint is the same as what is taken in, or an earlier state of it.
fn is_followed(known: &[Row], taken: &[Row]) -> bool {
    let follows = |known: &Row| taken.iter().any(|row| row.id == known.id && row.events.starts_with(&known.events));
    known.iter().all(follows)
}

impl Local {
    fn all_rows(&self) -> Result<Vec<Row>, JournalError> {
        self.verify()?;
        let rows = rows::select(&self.connection, "ORDER BY opened_at, rowid", []);
        let verified = |rows: Vec<Row>| rows.into_iter().map(|row| row.verified(self.stamps())).collect();
        rows.and_then(verified).map_err(|error| self.classify(error))
    }

    fn rows_of(&self, endpoint: &str) -> Result<Vec<Row>, JournalError> {
        known(&self.connection, self.stamps(), endpoint).map_err(|error| self.classify(error))
    }

    fn take_in(&self, endpoint: &str, taken: &[Row]) -> Result<(), NotTakenIn> {
        let key = self.stamps();
        let write = || {
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let known = known(&transaction, key, endpoint)?;
            if !is_followed(&known, taken) {
                return Ok(false);
            }
            for row in taken {
                let before = known.iter().find(|known| known.id == row.id);
                let mut row = row.clone();
                row.take_over(&transaction, before)?;
                row.save(&transaction, key)?;
                heads::note(&transaction, key, &row, before.map(Standing::of).as_ref())?;
            }
            transaction.commit().map(|()| true)
        };
        match write().map_err(|error| self.classify(error))? {
            true => Ok(()),
            false => Err(NotTakenIn::Known { endpoint: endpoint.to_owned() }),
        }
    }
}

/// The rows of an endpoint in the order in which they were begun.
fn known(connection: &Connection, key: &StampKey, endpoint: &str) -> rusqlite::Result<Vec<Row>> {
    let filter = format!("WHERE {} ORDER BY opened_at, rowid", rows::OF_ENDPOINT);
    rows::select(connection, &filter, [endpoint])?.into_iter().map(|row| row.verified(key)).collect()
}

impl Shared {
    fn all_rows(&self) -> Result<Vec<Row>, JournalError> {
        let endpoints = self.endpoints()?;
        let rows = endpoints.iter().map(|endpoint| self.rows_of(endpoint)).collect::<Result<Vec<_>, _>>()?;
        Ok(rows.concat())
    }

    fn take_in(&self, endpoint: &str, taken: &[Row]) -> Result<(), NotTakenIn> {
        // Of this very head: what somebody writes from here on changes its tag.
        let Found { mut head, tag, age } = self.read_head(endpoint)?;
        let over = if head.rotations == head.standing.len() as u64 { Vec::new() } else { self.over(Some(endpoint))? };
        let known = together(&head, over).ok_or_else(|| self.damaged(&head_name(endpoint)))?;
        // Whoever takes in one rotation holds the endpoint; whoever moves all of a journal holds it where it was.
        let is_ours = self.held.borrow().get(endpoint).is_some_and(|held| held.fence == head.fence);
        if !is_followed(&known, taken) || (head.is_held_for(age).is_some() && !is_ours) {
            return Err(NotTakenIn::Known { endpoint: endpoint.to_owned() });
        }
        let numbered = taken.iter().zip(1..).map(|(row, number)| Row { number, ..row.clone() });
        let lease = head.lease.filter(|_| is_ours);
        head = Head { standing: numbered.collect(), rotations: taken.len() as u64, lease, moved_to: None, ..head };
        for row in head.leave() {
            self.write_over(&row)?;
        }
        match self.write(&mut head, tag.as_ref(), is_ours)? {
            true => Ok(()),
            // Somebody has begun one there this moment.
            false => Err(NotTakenIn::Known { endpoint: endpoint.to_owned() }),
        }
    }

    /// Has nobody begin or go on with anything here any more: it is at another place by now. Whoever has opened this journal before
    /// is stopped at each endpoint, whoever comes later at once.
    pub fn leave_for(&self, to: &str) -> Result<(), SharedError> {
        for endpoint in self.heads()?.into_iter().map(|(head, _)| head.endpoint) {
            self.change(&endpoint, |head: &mut Head| {
                head.moved_to = Some(to.to_owned());
                Ok::<_, SharedError>(())
            })?;
        }
        self.say_moved(to)
    }

    /// Fails where an endpoint is at another place by now.
    pub(super) fn refuse_moved(&self, head: &Head) -> Result<(), SharedError> {
        match &head.moved_to {
            Some(to) => Err(SharedError::Moved { at: self.place().to_owned(), to: to.clone() }),
            None => Ok(()),
        }
    }
}

impl Seals {
    /// The rotations of which anything is sealed, where it belongs or on this machine.
    pub fn all(&self) -> Result<BTreeSet<Uuid>, SealError> {
        Ok(self.copies.ids()?.into_iter().chain(self.copies.in_files()?).collect())
    }
}

#[cfg(test)]
#[path = "moving_tests.rs"]
mod tests;
