//! Makes a journal ready to be read: a new one gets its tables, one of an earlier whsec is brought up, and what is not one or is
//! not believed is refused.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior, params_from_iter};

use super::heads;
use super::journal_error::{JournalError, is_not_as_written};
use super::local::{BUSY, Local};
use super::schema::{APPLICATION_ID, HEADED, MIGRATIONS, STAMPED, SUMMED};
use super::sums::Sums;
use crate::stamp::StampKey;

/// How long to wait before the file is prepared again.
const PAUSE: Duration = Duration::from_millis(10);

/// How a journal was found.
struct FileState {
    tables: i64,
    version: usize,
    application: i32,
    /// Whether the journal's own head is as it was written, where there has to be one.
    is_ours: rusqlite::Result<bool>,
}

impl Local {
    /// The same journal, ready to be read.
    pub(super) fn ready(mut self) -> Result<Self, JournalError> {
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

    fn prepare(&mut self) -> rusqlite::Result<Result<(), JournalError>> {
        // Write-ahead logging syncs once a commit where a rollback journal syncs four times, and survives a power cut as
        // well with this setting. The log goes when the last process closes, so at rest there is one file.
        self.connection.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON;")?;
        let FileState { tables, version, application, is_ours } = self.look()?;
        if version > MIGRATIONS.len() {
            return Ok(Err(JournalError::Newer { path: self.path.clone(), found: version, known: MIGRATIONS.len() }));
        }
        if tables > 0 && (application != APPLICATION_ID || version == 0 || !self.is_whole()?) {
            return Ok(Err(self.damaged()));
        }
        if version == MIGRATIONS.len() {
            return Ok(match is_ours? {
                true => {
                    self.key.has_taken_journal();
                    Ok(())
                }
                // The key was made beside a journal that has stamps already, so these are of another one.
                false if self.key.takes_journal() => Err(JournalError::OtherKey { path: self.path.clone() }),
                false => Err(self.damaged()),
            });
        }
        if tables > 0 && !self.is_sound()? {
            return Ok(Err(self.damaged()));
        }
        // What is on a read-only disk can be looked at as an earlier whsec has left it.
        if version >= SUMMED && self.connection.is_readonly("main")? {
            if !self.may_be_taken_over(version)? {
                return Ok(Err(self.damaged()));
            }
            self.connection = brought_up_in_memory(&self.connection, version, &self.key.stamps)?;
            return Ok(Ok(()));
        }
        self.connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        // Another process may have migrated while this one waited.
        let now = version_of(&transaction)?;
        if now == MIGRATIONS.len() {
            return transaction.commit().map(Ok);
        }
        if now > 0 && !self.may_be_taken_over(now)? {
            return Ok(Err(self.damaged()));
        }
        bring_up(&transaction, now, &self.key.stamps)?;
        transaction.commit()?;
        self.key.has_taken_journal();
        Ok(Ok(()))
    }

    /// In one snapshot, because another process may be making the journal at this moment.
    fn look(&self) -> rusqlite::Result<FileState> {
        let snapshot = self.connection.unchecked_transaction()?;
        let version = version_of(&snapshot)?;
        let found = FileState {
            tables: snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
            version,
            application: snapshot.query_row("PRAGMA application_id", [], |row| row.get(0))?,
            is_ours: match heads::of_journal(&snapshot, &self.key.stamps) {
                _ if version < HEADED => Ok(true),
                Err(error) if is_not_as_written(&error) => Ok(false),
                read => read.map(|_| true),
            },
        };
        snapshot.commit().map(|()| found)
    }

    /// Whether the file ends with a whole page; a reader fills half of one with zeros.
    fn is_whole(&self) -> rusqlite::Result<bool> {
        let page: u32 = self.connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        Ok(std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() % u64::from(page.max(1)) == 0))
    }

    /// The same, and whether the tables hang together, which is to read all of them.
    pub(super) fn is_sound(&self) -> rusqlite::Result<bool> {
        let verdict: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        Ok(verdict == "ok" && self.is_whole()?)
    }

    /// Whether a journal of an earlier version is believed: by its stamps; by its bare sums, or as it is, only where it was
    /// there before the key.
    fn may_be_taken_over(&self, version: usize) -> rusqlite::Result<bool> {
        match version {
            STAMPED.. => Sums::Stamped(&self.key.stamps).hold(&self.connection),
            SUMMED => Ok(self.key.takes_journal() && Sums::Bare.hold(&self.connection)?),
            _ => Ok(self.key.takes_journal()),
        }
    }
}

fn version_of(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    // A negative version is nobody's: newer than all that is known.
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// Brings tables of an earlier version up to this one; what is in them is believed.
fn bring_up(connection: &Connection, version: usize, key: &StampKey) -> rusqlite::Result<()> {
    for migration in MIGRATIONS.iter().skip(version) {
        connection.execute_batch(migration)?;
    }
    heads::build(connection, key)?;
    let version = MIGRATIONS.len();
    connection.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};"))
}

/// A copy that takes no events, brought up, of a journal that cannot be.
fn brought_up_in_memory(old: &Connection, version: usize, key: &StampKey) -> rusqlite::Result<Connection> {
    let copy = Connection::open_in_memory()?;
    for migration in MIGRATIONS.iter().take(version) {
        copy.execute_batch(migration)?;
    }
    for (table, order) in [("rotations", "rowid"), ("events", "rotation, seq")] {
        let mut rows = old.prepare(&format!("SELECT * FROM {table} ORDER BY {order}"))?;
        let columns = rows.column_count();
        let places = vec!["?"; columns].join(", ");
        let mut insert = copy.prepare(&format!("INSERT INTO {table} VALUES ({places})"))?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let values: Vec<Value> = (0..columns).map(|column| row.get(column)).collect::<rusqlite::Result<_>>()?;
            insert.execute(params_from_iter(values))?;
        }
    }
    bring_up(&copy, version, key)?;
    copy.execute_batch("PRAGMA query_only = ON")?;
    Ok(copy)
}
