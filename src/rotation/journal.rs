//! Rotations and their events on disk: one SQLite file, every commit synced before it counts.
//!
//! It never holds a secret or an API key. A damaged journal, or one of a newer whsec, is refused before anything is
//! sent: each rotation has the sum of all that is recorded of it, stamped with the state folder's key.
//! Partial unique indexes allow one open rotation an endpoint, and one beside it that is to replace it.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::endpoints;
use super::journal_error::classify;
use super::place::{Place, make_private};
use super::rows::{entry, rotation};
use super::schema::{APPLICATION_ID, MIGRATIONS, STAMPED, SUMMED};
use super::state_key::StateKey;
use super::sums::Sums;
use super::{Entry, Event, Plan, Rotation, at_hand};
use crate::http::Url;
use crate::stamp::StampKey;
use crate::system::private;

/// Rotations of an endpoint: of one that is open twice, the second is marked by `#` and its own id.
const OF_ENDPOINT: &str = "(endpoint = ?1 OR (endpoint > ?1 || '#' AND endpoint < ?1 || '$'))";
/// How long a commit waits for other processes. Each needs milliseconds; but there may be hundreds.
const BUSY: Duration = Duration::from_secs(60);
/// How long to wait before the file is prepared again.
const PAUSE: Duration = Duration::from_millis(10);

pub use super::journal_error::JournalError;

/// The journal, open.
#[derive(Debug)]
pub struct Journal {
    connection: Connection,
    path: PathBuf,
    place: Place,
    key: StateKey,
}

/// How far the journal had come at one moment, as this process saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(i64);

impl Journal {
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
        Self { connection, place: Place::of(&path), path, key }.ready()
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
        Self { connection, place: Place::of(&path), path, key }.ready()
    }

    /// Makes events durable in one commit and folds them into the rotation. The first ones of a rotation also record
    /// it as open, with its plan; that fails where another rotation of the endpoint is open, unless its plan says that it
    /// replaces that one. The other is closed in the commit that records that the provider has carried this one out.
    pub fn append(
        &self,
        rotation: &mut Rotation,
        by: &str,
        now: Timestamp,
        events: &[Event],
    ) -> Result<(), JournalError> {
        self.in_place()?;
        let entries: Vec<Entry> =
            events.iter().map(|event| Entry { at: now, by: by.to_owned(), event: event.clone() }).collect();
        let plan = serde_json::to_string(&rotation.plan).map_err(|_| self.damaged())?;
        self.write(rotation, &plan, &entries).map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                JournalError::AlreadyOpen { endpoint: rotation.plan.own_id().to_owned() }
            }
            _ => self.classify(error),
        })?;
        for entry in &entries {
            rotation.fold(entry);
        }
        Ok(())
    }

    /// The key that this journal is stamped with.
    pub fn stamps(&self) -> &StampKey {
        &self.key.stamps
    }

    /// What changes whenever another process has written to the file. `None` where that cannot be told.
    pub fn version_at_hand(&self) -> Option<Version> {
        self.in_place().ok()?;
        self.connection.query_row("PRAGMA data_version", [], |row| row.get(0)).ok().map(Version)
    }

    /// Fails where the file is not the one any more that was opened.
    pub fn in_place(&self) -> Result<(), JournalError> {
        if self.place.is_at(&self.path) { Ok(()) } else { Err(JournalError::Gone { path: self.path.clone() }) }
    }

    /// The open rotation of an endpoint; where another is pending beside it, that one.
    pub fn find_open(&self, endpoint: &str) -> Result<Option<Rotation>, JournalError> {
        let filter = format!("WHERE {OF_ENDPOINT} AND closed_at IS NULL ORDER BY opened_at DESC, rowid DESC");
        let mut open = self.load(&filter, params![endpoint])?;
        Ok(at_hand(&open).map(|at| open.swap_remove(at)))
    }

    /// All open rotations, oldest first.
    pub fn open_rotations(&self) -> Result<Vec<Rotation>, JournalError> {
        self.load("WHERE closed_at IS NULL ORDER BY opened_at", params![])
    }

    /// All rotations of an endpoint, newest first.
    pub fn of_endpoint(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        self.load(&format!("WHERE {OF_ENDPOINT} ORDER BY opened_at DESC, rowid DESC"), params![endpoint])
    }

    /// One rotation by its id.
    pub fn find(&self, id: Uuid) -> Result<Option<Rotation>, JournalError> {
        Ok(self.load("WHERE id = ?1", params![id.to_string()])?.pop())
    }

    /// Brings the keys of endpoints in line with what descriptions say of them now: those of all open rotations, and once
    /// those that an earlier whsec has written. `key` yields nothing where it cannot tell, and then the key stays. Where two
    /// open rotations turn out to be of one endpoint, both stay, and are found by its key.
    pub fn identify(&self, key: &dyn Fn(&Plan) -> Option<String>) -> Result<(), JournalError> {
        endpoints::rename(&self.connection, &self.sums(), key).map_err(|error| self.classify(error))
    }

    /// The newest few rotations of every other endpoint whose plan is wanted: what a slot of theirs holds is their doing.
    pub fn newest_of_others(
        &self,
        endpoint: &str,
        is_wanted: &dyn Fn(&Plan) -> bool,
    ) -> Result<Vec<Rotation>, JournalError> {
        let newest = "SELECT number FROM (SELECT rowid AS number, row_number() OVER \
                      (PARTITION BY endpoint ORDER BY rowid DESC) AS place FROM rotations) WHERE place <= 3";
        self.load_if(&format!("WHERE NOT {OF_ENDPOINT} AND rowid IN ({newest})"), params![endpoint], is_wanted)
    }

    /// Closed rotations since a moment, oldest first.
    pub fn closed_since(&self, since: Timestamp) -> Result<Vec<Rotation>, JournalError> {
        self.load("WHERE closed_at IS NOT NULL AND closed_at >= ?1 ORDER BY closed_at", params![since.to_string()])
    }

    fn ready(self) -> Result<Self, JournalError> {
        let begun = Instant::now();
        loop {
            let prepared = self.prepare();
            let code = prepared.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
            // A change to write-ahead logging does not wait by itself for a process that looks at the file.
            if code != Some(rusqlite::ErrorCode::DatabaseBusy) || begun.elapsed() >= BUSY {
                return prepared.map_err(|error| self.classify(error))?.map(|()| self);
            }
            sleep(PAUSE);
        }
    }

    fn prepare(&self) -> rusqlite::Result<Result<(), JournalError>> {
        // Write-ahead logging syncs once a commit where a rollback journal syncs four times, and survives a power cut as
        // well with this setting. The log goes when the last process closes, so at rest there is one file.
        self.connection.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON;")?;
        // In one snapshot, because another process may be making the journal at this moment.
        let snapshot = self.connection.unchecked_transaction()?;
        let tables: i64 = self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let version = self.version()?;
        let application: i32 = self.connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        snapshot.commit()?;
        if version > MIGRATIONS.len() {
            return Ok(Err(JournalError::Newer { path: self.path.clone(), found: version, known: MIGRATIONS.len() }));
        }
        if tables > 0 && (application != APPLICATION_ID || version == 0 || !self.is_sound()?) {
            return Ok(Err(self.damaged()));
        }
        if version == MIGRATIONS.len() {
            return Ok(self.as_written()?.map(|()| self.key.has_taken_journal()));
        }
        // What is on a read-only disk can be looked at as an earlier whsec has left it.
        if version >= SUMMED && self.connection.is_readonly("main")? {
            return Ok(if self.may_be_taken_over(version)? { Ok(()) } else { Err(self.damaged()) });
        }
        self.connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        // Another process may have migrated while this one waited.
        let version = self.version()?;
        if version > 0 && version < MIGRATIONS.len() && !self.may_be_taken_over(version)? {
            return Ok(Err(self.damaged()));
        }
        for migration in MIGRATIONS.iter().skip(version) {
            self.connection.execute_batch(migration)?;
        }
        self.sums().add_up_all(&self.connection)?;
        self.connection.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};",
            MIGRATIONS.len()
        ))?;
        transaction.commit()?;
        self.key.has_taken_journal();
        Ok(Ok(()))
    }

    /// Whether the tables hang together and the file ends with a whole page; a reader fills half of one with zeros.
    fn is_sound(&self) -> rusqlite::Result<bool> {
        let verdict: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let page: u32 = self.connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        Ok(verdict == "ok"
            && std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() % u64::from(page.max(1)) == 0))
    }

    fn sums(&self) -> Sums<'_> {
        Sums::Stamped(&self.key.stamps)
    }

    /// Fails where something that is recorded is not what was written.
    fn as_written(&self) -> rusqlite::Result<Result<(), JournalError>> {
        let snapshot = self.connection.unchecked_transaction()?;
        let holds = self.sums().hold(&self.connection)?;
        snapshot.commit()?;
        Ok(match holds {
            true => Ok(()),
            // The key was made beside a journal that has stamps already, so these are of another one.
            false if self.key.takes_journal() => Err(JournalError::OtherKey { path: self.path.clone() }),
            false => Err(self.damaged()),
        })
    }

    /// Whether a journal of an earlier version is believed: by its stamps; by its bare sums, or as it is, only where it was
    /// there before the key.
    fn may_be_taken_over(&self, version: usize) -> rusqlite::Result<bool> {
        match version {
            STAMPED.. => self.sums().hold(&self.connection),
            SUMMED => Ok(self.key.takes_journal() && Sums::Bare.hold(&self.connection)?),
            _ => Ok(self.key.takes_journal()),
        }
    }

    fn version(&self) -> rusqlite::Result<usize> {
        let version: i64 = self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        // A negative version is nobody's: newer than all that is known.
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
    }

    fn write(&self, rotation: &Rotation, plan: &str, entries: &[Entry]) -> rusqlite::Result<()> {
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let id = rotation.id.to_string();
        let Plan { endpoint_key, target, provider, replaces, .. } = &rotation.plan;
        let replaces = replaces.filter(|_| rotation.is_pending()).map(|earlier| earlier.to_string());
        transaction.execute(
            "INSERT INTO rotations (id, endpoint, target, provider, plan, opened_at, identified, replaces)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, 1, ?7 WHERE NOT EXISTS (SELECT 1 FROM rotations WHERE id = ?1)",
            params![id, endpoint_key, target, provider, plan, rotation.opened_at.to_string(), replaces],
        )?;
        if let Some((earlier, closed)) = rotation.makes_way(entries) {
            self.write_events(&earlier.to_string(), &[closed])?;
            transaction.execute("UPDATE rotations SET replaces = NULL WHERE id = ?1", params![id])?;
        }
        self.write_events(&id, entries)?;
        transaction.commit()
    }

    /// Adds events to a rotation, and brings its sum up to date.
    fn write_events(&self, id: &str, entries: &[Entry]) -> rusqlite::Result<()> {
        for entry in entries {
            let event = serde_json::to_string(&entry.event)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            self.connection.execute(
                "INSERT INTO events (rotation, seq, at, by, event) VALUES
                 (?1, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE rotation = ?1), ?2, ?3, ?4)",
                params![id, entry.at.to_string(), entry.by, event],
            )?;
            if matches!(entry.event, Event::Closed { .. }) {
                let closed = "UPDATE rotations SET closed_at = ?2 WHERE id = ?1";
                self.connection.execute(closed, params![id, entry.at.to_string()])?;
            }
        }
        self.sums().add_up(&self.connection, id)
    }

    fn load(&self, filter: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Rotation>, JournalError> {
        self.load_if(filter, values, &|_| true)
    }

    /// The same of those whose plan is wanted; the events of others are not read.
    fn load_if(
        &self,
        filter: &str,
        values: &[&dyn rusqlite::ToSql],
        is_wanted: &dyn Fn(&Plan) -> bool,
    ) -> Result<Vec<Rotation>, JournalError> {
        let run = || -> rusqlite::Result<Vec<(Option<Rotation>, String)>> {
            let mut statement =
                self.connection.prepare(&format!("SELECT id, plan, opened_at, endpoint FROM rotations {filter}"))?;
            let rows = statement.query_map(values, |row| Ok((rotation(row)?, row.get::<_, String>(0)?)))?;
            rows.collect()
        };
        let mut rotations = Vec::new();
        for (rotation, id) in run().map_err(|error| self.classify(error))? {
            let mut rotation = rotation.ok_or_else(|| self.damaged())?;
            if !is_wanted(&rotation.plan) {
                continue;
            }
            for entry in self.entries(&id)? {
                rotation.fold(&entry);
            }
            rotations.push(rotation);
        }
        Ok(rotations)
    }

    /// The events of one rotation in order.
    fn entries(&self, id: &str) -> Result<Vec<Entry>, JournalError> {
        let run = || -> rusqlite::Result<Vec<Option<Entry>>> {
            let mut statement =
                self.connection.prepare("SELECT at, by, event FROM events WHERE rotation = ?1 ORDER BY seq")?;
            statement.query_map([id], entry)?.collect()
        };
        let entries = run().map_err(|error| self.classify(error))?;
        entries.into_iter().map(|entry| entry.ok_or_else(|| self.damaged())).collect()
    }

    fn damaged(&self) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), source: None }
    }

    fn classify(&self, source: rusqlite::Error) -> JournalError {
        classify(&self.path, source)
    }
}
