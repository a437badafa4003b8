//! Rotations and their events on disk: one SQLite file, every commit synced before it counts.
//!
//! It never holds a secret or an API key. One of a newer whsec is refused, and so is whatever is read and is not as it was
//! written: each rotation has the sum of all that is recorded of it, stamped with the state folder's key, and heads say which
//! rotations there are. What nobody asks for is not read.
//! Partial unique indexes allow one open rotation an endpoint, and one beside it that is to replace it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use uuid::Uuid;

use super::endpoints;
use super::heads::{self, Head, Standing};
use super::journal_error::{JournalError, classify, not_as_written};
use super::journal_file::{Inode, make_private};
use super::left;
use super::row::Row;
use super::rows::{self, OF_ENDPOINT};
use super::state_key::StateKey;
use super::{Entry, Plan, Rotation, at_hand};
use crate::http::Url;
use crate::stamp::StampKey;
use crate::system::private;

/// How long a commit waits for other processes. Each needs milliseconds; but there may be hundreds.
pub(super) const BUSY: Duration = Duration::from_secs(60);

/// The journal of one state folder, open.
#[derive(Debug)]
pub struct Local {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    place: Inode,
    pub(super) key: StateKey,
    /// As of when no endpoint's head is known to be missing.
    counted: Cell<Option<i64>>,
}

impl Local {
    /// Opens or creates `journal.sqlite` in a folder that exists.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join("journal.sqlite");
        let failed = |source| classify(&path, source);
        let key = StateKey::open(folder).map_err(|error| match private::is_read_only(folder) {
            true => JournalError::ReadOnly { folder: folder.to_owned() },
            false => error.into(),
        })?;
        make_private(&path);
        let connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        Self { connection, place: Inode::of(&path), path, key, counted: Cell::new(None) }.ready()
    }

    /// The same for looking only: where the folder is read-only, a journal that takes no events.
    pub fn open_to_look(folder: &Path) -> Result<Self, JournalError> {
        match Self::open(folder) {
            Err(JournalError::ReadOnly { .. }) => {}
            opened => return opened,
        }
        let path = folder.join("journal.sqlite");
        for log in ["journal.sqlite-wal", "journal.sqlite-journal"].map(|name| folder.join(name)) {
            // The file alone is read, and what is in a log would be left out without a word.
            if std::fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
                return Err(JournalError::LogUnread { log });
            }
        }
        // Where none could be made, what lies there is older than any.
        let key = StateKey::look(folder)?.unwrap_or_else(|| StateKey::for_a_look(folder));
        let url = Url::from_file_path(&path).map_err(|()| JournalError::ReadOnly { folder: folder.to_owned() })?;
        // Without `immutable` SQLite wants to make files beside it even for reading.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(format!("{url}?immutable=1"), flags);
        let connection = opened.map_err(|error| classify(&path, error))?;
        Self { connection, place: Inode::of(&path), path, key, counted: Cell::new(None) }.ready()
    }

    /// Makes events durable in one commit and folds them into the rotation. The first ones of a rotation also record
    /// it as open, with its plan; that fails where another rotation of the endpoint is open, unless its plan says that it
    /// replaces that one. The other is closed in the commit that records that the provider has carried this one out.
    pub fn append(&self, rotation: &mut Rotation, entries: &[Entry]) -> Result<(), JournalError> {
        self.same_file()?;
        let plan = serde_json::to_string(&rotation.plan).map_err(|_| self.damaged())?;
        let begun = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| self.classify(error))?;
        // Whoever moves the journal waits for this write, or is seen here.
        left::refuse(self.folder())?;
        self.write(transaction, rotation, plan, entries).map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                JournalError::AlreadyOpen { endpoint: rotation.plan.own_id().to_owned() }
            }
            _ => self.classify(error),
        })?;
        for entry in entries {
            rotation.fold(entry);
        }
        Ok(())
    }

    /// The same for what a power cut may take back, because whoever goes on comes to it again: the next commit that is durable
    /// makes it so, and so does the last process that closes the journal. Others read it at once.
    pub fn append_soon(&self, rotation: &mut Rotation, entries: &[Entry]) -> Result<(), JournalError> {
        let sync = |when: &str| {
            let set = self.connection.execute_batch(&format!("PRAGMA synchronous = {when}"));
            set.map_err(|error| self.classify(error))
        };
        sync("NORMAL")?;
        let appended = self.append(rotation, entries);
        sync("EXTRA").and(appended)
    }

    /// The key that this journal is stamped with.
    pub fn stamps(&self) -> &StampKey {
        &self.key.stamps
    }

    /// What changes whenever another process has written to the file. `None` where that cannot be told.
    pub fn version_at_hand(&self) -> Option<i64> {
        self.in_place().ok()?;
        self.connection.query_row("PRAGMA data_version", [], |row| row.get(0)).ok()
    }

    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Fails where the file is not the one any more that was opened, or the journal is at another place by now.
    pub fn in_place(&self) -> Result<(), JournalError> {
        self.same_file()?;
        left::refuse(self.folder())
    }

    fn same_file(&self) -> Result<(), JournalError> {
        match self.place.is_at(&self.path) {
            true => Ok(()),
            false => Err(JournalError::Gone { path: self.path.clone() }),
        }
    }

    /// The open rotation of an endpoint; where another is pending beside it, that one. Whatever is wrong with those that are over
    /// does not hide it.
    pub fn find_open(&self, endpoint: &str) -> Result<Option<Rotation>, JournalError> {
        let mut open = self.named(endpoint, |standing| standing.open)?;
        Ok(at_hand(&open).map(|at| open.swap_remove(at)))
    }

    /// The open rotations of an endpoint, newest first.
    pub fn open_of(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        self.named(endpoint, |standing| standing.open)
    }

    /// The rotations of an endpoint that anything still depends on, newest first: what is said of it by them is what is said
    /// by all.
    pub fn standing_of(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        self.named(endpoint, |_| true)
    }

    /// All open rotations, oldest first.
    pub fn open_rotations(&self) -> Result<Vec<Rotation>, JournalError> {
        self.read(|connection, key| heads::of_journal(connection, key)?.rows(connection, key, |_| true))
    }

    /// All rotations of an endpoint, newest first.
    pub fn of_endpoint(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        self.read(|connection, key| {
            let Some(head) = self.head(connection, key, endpoint)? else { return Ok(Vec::new()) };
            let filter = format!("WHERE {OF_ENDPOINT} ORDER BY opened_at DESC, rowid DESC");
            let rows = rows::select(connection, &filter, [endpoint])?;
            if !head.is_of(&rows) {
                return Err(not_as_written());
            }
            rows.into_iter().map(|row| row.verified(key)).collect()
        })
    }

    /// The keys of all endpoints of which anything is recorded.
    pub fn endpoints(&self) -> Result<Vec<String>, JournalError> {
        self.snapshot(heads::endpoints)
    }

    /// One rotation by its id.
    pub fn find(&self, id: Uuid) -> Result<Option<Rotation>, JournalError> {
        let found = self.read(|connection, key| {
            rows::find(connection, &id.to_string())?.map(|row| row.verified(key)).transpose().map(Vec::from_iter)
        });
        Ok(found?.pop())
    }

    /// Brings the keys of endpoints in line with what descriptions say of them now: those of all open rotations, and once
    /// those that an earlier whsec has written. `key` yields nothing where it cannot tell, and then the key stays. Where two
    /// open rotations turn out to be of one endpoint, both stay, and are found by its key.
    pub fn identify(&self, key: &dyn Fn(&Plan) -> Option<String>) -> Result<(), JournalError> {
        endpoints::rename(&self.connection, &self.key.stamps, key).map_err(|error| self.classify(error))
    }

    /// The newest few rotations of every other endpoint whose plan is wanted: what a slot of theirs holds is their doing.
    pub fn newest_of_others(
        &self,
        endpoint: &str,
        is_wanted: &dyn Fn(&Plan) -> bool,
    ) -> Result<Vec<Rotation>, JournalError> {
        let newest = "SELECT number FROM (SELECT rowid AS number, row_number() OVER \
                      (PARTITION BY endpoint ORDER BY rowid DESC) AS place FROM rotations) WHERE place <= 3";
        self.read(|connection, key| {
            heads::count(connection, key)?;
            let filter = format!("WHERE NOT {OF_ENDPOINT} AND rowid IN ({newest})");
            let rows = rows::select(connection, &filter, [endpoint])?.into_iter().map(|row| row.verified(key));
            let rows: Vec<Row> = rows.collect::<rusqlite::Result<_>>()?;
            Ok(rows.into_iter().filter(|row| row.plan().is_none_or(|plan| is_wanted(&plan))).collect())
        })
    }

    /// Closed rotations since a moment, oldest first.
    pub fn closed_since(&self, since: Timestamp) -> Result<Vec<Rotation>, JournalError> {
        let mut closed = self.read(|connection, key| {
            let rows = rows::select(connection, "WHERE closed_at IS NOT NULL ORDER BY closed_at", [])?;
            heads::of_journal(connection, key)?.expects_closed(rows.len())?;
            rows.into_iter().map(|row| row.verified(key)).collect()
        })?;
        closed.retain(|rotation| rotation.closed.as_ref().is_none_or(|closed| closed.at >= since));
        Ok(closed)
    }

    /// Fails where anything that is recorded is not as it was written, whoever asks for it or not.
    pub fn verify(&self) -> Result<(), JournalError> {
        let is_sound = self.is_sound().map_err(|error| self.classify(error))?;
        if !is_sound {
            return Err(self.damaged());
        }
        self.snapshot(heads::verify_all)
    }

    /// What an endpoint's head names and is wanted, newest first.
    fn named(&self, endpoint: &str, wanted: fn(&Standing) -> bool) -> Result<Vec<Rotation>, JournalError> {
        let mut rotations = self.read(|connection, key| match self.head(connection, key, endpoint)? {
            Some(head) => head.rows(connection, key, wanted),
            None => Ok(Vec::new()),
        })?;
        rotations.reverse();
        Ok(rotations)
    }

    /// An endpoint's head. That there is none is believed where none is missing.
    fn head(&self, connection: &Connection, key: &StampKey, endpoint: &str) -> rusqlite::Result<Option<Head>> {
        let found = heads::read(connection, key, endpoint)?;
        if found.is_none() {
            let now: i64 = connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
            if self.counted.get() != Some(now) {
                heads::endpoints(connection, key)?;
                self.counted.set(Some(now));
            }
        }
        Ok(found)
    }

    /// Rotations as they are at one moment, whatever others write meanwhile.
    fn read(
        &self,
        rows: impl FnOnce(&Connection, &StampKey) -> rusqlite::Result<Vec<Row>>,
    ) -> Result<Vec<Rotation>, JournalError> {
        let rows = self.snapshot(rows)?;
        rows.iter().map(|row| row.rotation().ok_or_else(|| self.damaged())).collect()
    }

    fn snapshot<T>(&self, look: impl FnOnce(&Connection, &StampKey) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        let look = || {
            let snapshot = self.connection.unchecked_transaction()?;
            let found = look(&snapshot, &self.key.stamps)?;
            snapshot.commit().map(|()| found)
        };
        look().map_err(|error| self.classify(error))
    }

    fn write(
        &self,
        transaction: Transaction<'_>,
        rotation: &Rotation,
        plan: String,
        entries: &[Entry],
    ) -> rusqlite::Result<()> {
        let key = &self.key.stamps;
        let (mut row, before) = match rows::find(&transaction, &rotation.id.to_string())? {
            Some(row) => {
                let row = row.verified(key)?;
                let before = Standing::of(&row);
                (row, Some(before))
            }
            None => (Row::insert(&transaction, rotation, plan)?, None),
        };
        if let Some((earlier, closed)) = rotation.makes_way(entries) {
            let earlier = rows::find(&transaction, &earlier.to_string())?.ok_or_else(not_as_written)?;
            let mut earlier = earlier.verified(key)?;
            let before = Standing::of(&earlier);
            earlier.add(&transaction, &[closed])?;
            earlier.save(&transaction, key)?;
            heads::note(&transaction, key, &earlier, Some(&before))?;
            row.replaces = None;
        }
        row.add(&transaction, entries)?;
        row.save(&transaction, key)?;
        heads::note(&transaction, key, &row, before.as_ref())?;
        transaction.commit()
    }

    pub(super) fn damaged(&self) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), source: None }
    }

    pub(super) fn classify(&self, source: rusqlite::Error) -> JournalError {
        classify(&self.path, source)
    }
}
