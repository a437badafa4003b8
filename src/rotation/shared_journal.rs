//! The shared journal as the engine asks it: rotations of endpoints, found in heads and beside them.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::head::{Head, Unrecorded};
use super::journal_error::JournalError;
use super::row::Row;
use super::shared::{Shared, head_name};
use super::shared_error::SharedError;
use super::{Entry, Plan, Rotation, at_hand};
use crate::stamp::StampKey;
use crate::system::steady_now;

/// How often documents are read again that others change while they are read.
const TRIES: usize = 8;
/// How often a process that waits asks what others have done.
const ASKED: Duration = Duration::from_secs(15);

impl Shared {
    /// The key of every stamp.
    pub(super) fn stamps(&self) -> &StampKey {
        &self.stamps
    }

    /// Makes entries durable and folds them into the rotation, as the local journal does.
    pub(super) fn append(&self, rotation: &mut Rotation, entries: &[Entry]) -> Result<(), JournalError> {
        let endpoint = rotation.plan.endpoint_key.clone();
        let (id, opened_at) = (rotation.id.to_string(), rotation.opened_at.to_string());
        let mut is_new = false;
        self.change(&endpoint, |head| {
            self.refuse_moved(head)?;
            let is_named = head.standing.iter().any(|row| row.id == id);
            let over = if is_named || head.rotations == 0 { None } else { self.one_over(&endpoint, &opened_at, &id)? };
            is_new = !is_named && over.is_none();
            head.record(rotation, entries, over).map_err(|why| match why {
                Unrecorded::AlreadyOpen => JournalError::AlreadyOpen { endpoint: rotation.plan.own_id().to_owned() },
                Unrecorded::Unwritable => JournalError::Shared(self.damaged(&head_name(&endpoint))),
            })
        })?;
        if is_new && self.has(&endpoint) {
            self.begun.borrow_mut().insert(rotation.id);
        }
        for entry in entries {
            rotation.fold(entry);
        }
        Ok(())
    }

    /// The same with the next write, for what whoever goes on comes to again: no request of its own.
    pub(super) fn append_soon(&self, rotation: &mut Rotation, entries: &[Entry]) -> Result<(), JournalError> {
        // What leaves a head is moved as it was written, so that nothing waits that closes one.
        let may_wait = rotation.closed.is_none() && rotation.makes_way(entries).is_none();
        let waits = may_wait
            && self.held.borrow_mut().get_mut(&rotation.plan.endpoint_key).is_some_and(|held| {
                let mut head = held.head.clone();
                let is_new = !head.standing.iter().any(|row| row.id == rotation.id.to_string());
                let is_recorded = head.record(rotation, entries, None).is_ok();
                if is_recorded && is_new {
                    self.begun.borrow_mut().insert(rotation.id);
                }
                if is_recorded {
                    held.head = head;
                    held.soon.push((rotation.clone(), entries.to_vec()));
                }
                is_recorded
            });
        if !waits {
            return self.append(rotation, entries);
        }
        entries.iter().for_each(|entry| rotation.fold(entry));
        Ok(())
    }

    pub(super) fn find_open(&self, endpoint: &str) -> Result<Option<Rotation>, JournalError> {
        let mut open = self.open_of(endpoint)?;
        Ok(at_hand(&open).map(|at| open.swap_remove(at)))
    }

    pub(super) fn open_of(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        let head = self.head(endpoint)?.head;
        self.newest_first(head.standing.iter().filter(|row| row.is_open()))
    }

    pub(super) fn standing_of(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        let head = self.head(endpoint)?.head;
        self.newest_first(head.standing.iter())
    }

    pub(super) fn open_rotations(&self) -> Result<Vec<Rotation>, JournalError> {
        let mut open: Vec<Row> = self.heads()?.into_iter().flat_map(|(head, _)| head.standing).collect();
        open.retain(Row::is_open);
        let mut rotations = self.newest_first(open.iter())?;
        rotations.reverse();
        Ok(rotations)
    }

    pub(super) fn of_endpoint(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        self.newest_first(self.rows_of(endpoint)?.iter())
    }

    /// All rows of an endpoint.
    pub(super) fn rows_of(&self, endpoint: &str) -> Result<Vec<Row>, JournalError> {
        for tries in 0..TRIES {
            // What is at hand may be older than what is beside it.
            let head = if tries == 0 { self.head(endpoint)? } else { self.read_head(endpoint)? }.head;
            if head.rotations == 0 {
                return Ok(Vec::new());
            }
            // Where all are named there is nothing beside the head.
            let is_whole = head.rotations == head.standing.len() as u64;
            let over = if is_whole { Vec::new() } else { self.over(Some(endpoint))? };
            if let Some(rows) = together(&head, over) {
                return Ok(rows);
            }
        }
        Err(self.damaged(&head_name(endpoint)).into())
    }

    /// The keys of all endpoints, whether anything is recorded of them yet or not.
    pub(super) fn all_endpoints(&self) -> Result<Vec<String>, JournalError> {
        Ok(self.heads()?.into_iter().map(|(head, _)| head.endpoint).collect())
    }

    pub(super) fn endpoints(&self) -> Result<Vec<String>, JournalError> {
        let known = self.heads()?.into_iter().filter(|(head, _)| head.rotations > 0);
        let mut keys: Vec<String> = known.map(|(head, _)| head.endpoint).collect();
        keys.sort();
        Ok(keys)
    }

    pub(super) fn find(&self, endpoint: &str, id: Uuid) -> Result<Option<Rotation>, JournalError> {
        let is_it = |rotation: &Rotation| rotation.id == id;
        if let Some(found) = self.standing_of(endpoint)?.into_iter().find(is_it) {
            return Ok(Some(found));
        }
        Ok(self.of_endpoint(endpoint)?.into_iter().find(is_it))
    }

    pub(super) fn newest_of_others(
        &self,
        endpoint: &str,
        is_wanted: &dyn Fn(&Plan) -> bool,
    ) -> Result<Vec<Rotation>, JournalError> {
        let mut rows: Vec<Row> = self.heads()?.into_iter().flat_map(|(head, _)| head.standing).collect();
        rows.retain(|row| row.key() != endpoint && row.plan().is_none_or(|plan| is_wanted(&plan)));
        self.newest_first(rows.iter())
    }

    pub(super) fn closed_since(&self, since: Timestamp) -> Result<Vec<Rotation>, JournalError> {
        for _ in 0..TRIES {
            let heads: Vec<Head> = self.heads()?.into_iter().map(|(head, _)| head).collect();
            let Some(rows) = self.all(&heads)? else { continue };
            let mut closed = self.newest_first(rows.iter().filter(|row| !row.is_open()))?;
            closed.retain(|rotation| rotation.closed.as_ref().is_some_and(|closed| closed.at >= since));
            // Of those that were closed at once the one that was begun first stands first.
            closed.reverse();
            closed.sort_by_key(|rotation| rotation.closed.as_ref().map(|closed| closed.at));
            return Ok(closed);
        }
        Err(self.damaged("heads/").into())
    }

    /// Fails where anything is not as it was written, or missing beside its head.
    pub(super) fn verify(&self) -> Result<(), JournalError> {
        self.closed_since(Timestamp::UNIX_EPOCH)?;
        self.open_rotations().map(drop)
    }

    /// Whether as much time has passed since this was asked last as others may be left unnoticed.
    pub(super) fn is_asked_again(&self) -> bool {
        let now = steady_now();
        let is_time = self.asked.get().is_none_or(|asked| now.saturating_sub(asked) >= ASKED);
        if is_time {
            self.asked.set(Some(now));
        }
        is_time
    }

    /// What changes whenever anybody has written.
    pub(super) fn version_at_hand(&self) -> Option<i64> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        self.forget_looked();
        let mut hasher = DefaultHasher::new();
        self.documents.list("heads/").ok()?.hash(&mut hasher);
        Some(hasher.finish().cast_signed())
    }

    /// All rows of these heads and beside them; `None` where some are missing, which others may just be moving.
    fn all(&self, heads: &[Head]) -> Result<Option<Vec<Row>>, SharedError> {
        let over = self.over(None)?;
        let known: BTreeSet<&str> = heads.iter().map(|head| head.endpoint.as_str()).collect();
        if over.iter().any(|row| !known.contains(row.key())) {
            return Ok(None);
        }
        let rows = heads.iter().map(|head| {
            let beside = over.iter().filter(|row| row.key() == head.endpoint).cloned().collect();
            together(head, beside)
        });
        Ok(rows.collect::<Option<Vec<_>>>().map(|rows| rows.concat()))
    }

    fn newest_first<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> Result<Vec<Rotation>, JournalError> {
        let mut rows: Vec<&Row> = rows.collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.begun()));
        let read = |row: &&Row| row.rotation().ok_or_else(|| self.damaged(&head_name(row.key())).into());
        rows.iter().map(read).collect()
    }
}

/// The rows of a head and those beside it that it does not name; `None` where that is not as many as it counts, though all of
/// them are here.
pub(super) fn together(head: &Head, over: Vec<Row>) -> Option<Vec<Row>> {
    let beside = over.into_iter().filter(|row| !head.standing.iter().any(|named| named.id == row.id));
    let rows: Vec<Row> = head.standing.iter().cloned().chain(beside).collect();
    (rows.len() as u64 == head.rotations || head.arrives_from.is_some()).then_some(rows)
}
