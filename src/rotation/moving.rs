//! Rotations that go from one journal to another, whole: each row with its events as they are. What is there already is left as it is.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::head::Head;
use super::heads::{self, Standing};
use super::journal::{Journal, JournalError};
use super::local::Local;
use super::row::Row;
use super::rows;
use super::seal::Seals;
use super::seal_error::SealError;
use super::shared::{Found, Shared, TRIES, head_name};
use super::shared_error::SharedError;
use super::shared_journal::together;
use super::{Event, Plan, PlannedStore};
use crate::stamp::StampKey;

/// The rotations of a journal as they are recorded, by their endpoints.
#[derive(Debug)]
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

    /// Those of which nothing was recorded when the others were read.
    pub(super) fn beside(mut self, before: &Self) -> Self {
        self.0.retain(|endpoint, _| !before.0.contains_key(endpoint));
        self
    }

    /// Changes where the stores of open rotations are said to be. What is over stays as it was.
    pub fn bind(&mut self, change: impl Fn(&mut PlannedStore)) {
        for row in self.0.values_mut().flatten().filter(|row| row.is_open()) {
            rewrite(&mut row.plan, |plan: &mut Plan| {
                plan.stores.iter_mut().for_each(&change);
                true
            });
            for stored in &mut row.events {
                rewrite(&mut stored.event, |event| match event {
                    Event::StoreJoined { store, .. } => {
                        let was = store.clone();
                        change(store);
                        *store != was
                    }
                    _ => false,
                });
            }
        }
    }

    /// Records one endpoint's in another journal, which has nothing else of it: beside what whoever does so is at work on.
    pub fn take_into(&self, journal: &Journal) -> Result<(), NotTakenIn> {
        self.0.iter().try_for_each(|(endpoint, rows)| journal.take_in(endpoint, rows, &Stage::Alone))
    }

    /// By their endpoints.
    pub(super) fn by_endpoint(&self) -> impl Iterator<Item = (&str, &[Row])> {
        self.0.iter().map(|(endpoint, rows)| (endpoint.as_str(), rows.as_slice()))
    }
}

/// Changes what a text says, if it can be read and `change` says that it did.
fn rewrite<T: Serialize + DeserializeOwned>(text: &mut String, change: impl FnOnce(&mut T) -> bool) {
    if let Ok(mut content) = serde_json::from_str::<T>(text)
        && change(&mut content)
        && let Ok(changed) = serde_json::to_string(&content)
    {
        *text = changed;
    }
}

/// How an endpoint's rotations are taken in.
pub(super) enum Stage<'a> {
    /// Alone, into a journal that is in use.
    Alone,
    /// Together with all others, from that journal: nobody may go on with it here.
    Arriving { from: &'a str },
    /// The same, and from here on it is here and nowhere else.
    Here { from: &'a str },
}

/// What is known of an endpoint where its rotations are to be taken in.
pub(super) struct Known {
    pub rows: Vec<Row>,
    /// Whether it is said of them that they arrive from the journal that they are taken from.
    pub is_arriving: bool,
}

impl Known {
    /// Whether it is the same as what is taken in, or an earlier state of it.
    pub fn is_followed_by(&self, taken: &[Row]) -> bool {
        is_followed(&self.rows, taken)
    }

    /// Whether it is the same as what is taken in, or goes on from there.
    pub fn follows(&self, taken: &[Row]) -> bool {
        is_followed(taken, &self.rows)
    }
}

/// Whether the first is the same as the second, or an earlier state of it.
fn is_followed(known: &[Row], taken: &[Row]) -> bool {
    let follows = |known: &Row| taken.iter().any(|row| row.id == known.id && row.events.starts_with(&known.events));
    known.iter().all(follows)
}

impl Journal {
    pub(super) fn take_in(&self, endpoint: &str, rows: &[Row], stage: &Stage<'_>) -> Result<(), NotTakenIn> {
        match self {
            Self::Local(local) => local.take_in(endpoint, rows),
            Self::Shared(shared) => shared.take_in(endpoint, rows, stage),
        }
    }
}

impl Local {
    fn all_rows(&self) -> Result<Vec<Row>, JournalError> {
        self.verify()?;
        let rows = rows::select(&self.connection, "ORDER BY opened_at, rowid", []);
        let verified = |rows: Vec<Row>| rows.into_iter().map(|row| row.verified(self.stamps())).collect();
        rows.and_then(verified).map_err(|error| self.classify(error))
    }

    pub(super) fn rows_of(&self, endpoint: &str) -> Result<Vec<Row>, JournalError> {
        known(&self.connection, self.stamps(), endpoint).map_err(|error| self.classify(error))
    }

    /// Waits for whoever writes this moment.
    pub(super) fn settle(&self) -> Result<(), JournalError> {
        let waited = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        waited.and_then(Transaction::commit).map_err(|error| self.classify(error))
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

    /// What is known of an endpoint here, if what is taken in may come from that journal now.
    pub(super) fn known(&self, endpoint: &str, from: Option<&str>) -> Result<(Known, Found), NotTakenIn> {
        // Of this very head: what somebody writes from here on changes its tag.
        let found = self.read_head(endpoint)?;
        let head = &found.head;
        let over = if head.rotations == head.standing.len() as u64 { Vec::new() } else { self.over(Some(endpoint))? };
        let rows = together(head, over).ok_or_else(|| self.damaged(&head_name(endpoint)))?;
        // Whoever takes in one rotation holds the endpoint; whoever moves all of a journal holds it where it was.
        let is_arriving = head.arrives_from.is_some();
        if (head.is_held_for(found.age).is_some() && !self.is_ours(head))
            || (is_arriving && head.arrives_from.as_deref() != from)
        {
            return Err(NotTakenIn::Known { endpoint: endpoint.to_owned() });
        }
        Ok((Known { rows, is_arriving }, found))
    }

    fn take_in(&self, endpoint: &str, taken: &[Row], stage: &Stage<'_>) -> Result<(), NotTakenIn> {
        let from = match stage {
            Stage::Alone => None,
            Stage::Arriving { from } | Stage::Here { from } => Some(*from),
        };
        for _ in 0..TRIES {
            let (known, Found { head, tag, .. }) = self.known(endpoint, from)?;
            if !known.is_followed_by(taken) {
                break;
            }
            let keeps = self.is_ours(&head);
            let numbered = taken.iter().zip(1..).map(|(row, number)| Row { number, ..row.clone() });
            let lease = head.lease.clone().filter(|_| keeps);
            let (standing, rotations) = (numbered.collect(), taken.len() as u64);
            let mut new = Head { standing, rotations, lease, ..head };
            let leave = new.leave();
            match stage {
                // First nobody touches it, and then what nothing depends on may come beside it.
                Stage::Arriving { from } => new.arrives_from = Some((*from).to_owned()),
                Stage::Alone | Stage::Here { .. } => {
                    (new.moved_to, new.arrives_from) = (None, None);
                    self.write_all_over(&leave)?;
                }
            }
            if self.write(&mut new, tag.as_ref(), keeps)? {
                if matches!(stage, Stage::Arriving { .. }) {
                    self.write_all_over(&leave)?;
                }
                return Ok(());
            }
        }
        // Somebody has begun one there this moment.
        Err(NotTakenIn::Known { endpoint: endpoint.to_owned() })
    }

    /// Whether this process has the endpoint of a head that was read.
    fn is_ours(&self, head: &Head) -> bool {
        self.held.borrow().get(&head.endpoint).is_some_and(|held| held.fence == head.fence)
    }

    fn write_all_over(&self, rows: &[Row]) -> Result<(), SharedError> {
        rows.iter().try_for_each(|row| self.write_over(row).map(drop))
    }

    /// Has nobody begin or go on with anything here any more: it is at another place by now. Whoever has opened this journal before
    /// is stopped at each endpoint.
    pub(super) fn close_heads(&self, to: &str) -> Result<(), SharedError> {
        for endpoint in self.heads()?.into_iter().map(|(head, _)| head.endpoint) {
            self.change(&endpoint, |head: &mut Head| {
                head.moved_to = Some(to.to_owned());
                Ok::<_, SharedError>(())
            })?;
        }
        Ok(())
    }

    /// Fails where an endpoint is at another place by now, or not all of it here yet.
    pub(super) fn refuse_moved(&self, head: &Head) -> Result<(), SharedError> {
        if let Some(from) = &head.arrives_from {
            let at = format!("{}#{}", self.place(), self.fingerprint());
            return Err(SharedError::Arriving { at, from: from.clone() });
        }
        self.refuse_moved_to(head.moved_to.as_ref())
    }

    /// The same of a word that it has moved.
    pub(super) fn refuse_moved_to(&self, to: Option<&String>) -> Result<(), SharedError> {
        match to {
            Some(to) if self.leaves_for.borrow().as_ref() != Some(to) => {
                Err(SharedError::Moved { at: self.place().to_owned(), to: to.clone() })
            }
            _ => Ok(()),
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
