//! Rotations and their events on disk: one SQLite file, every commit synced before it counts.
//!
//! It never holds a secret or an API key. A damaged journal, or one of a newer whsec, is refused before anything is
//! sent. A partial unique index allows one open rotation an endpoint.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, params};
use thiserror::Error;
use uuid::Uuid;

use super::{Entry, Event, Plan, Rotation};

/// Marks a SQLite file as ours (`PRAGMA application_id`): the letters `whse`.
const APPLICATION_ID: i32 = 0x7768_7365;
/// Each entry brings the file from its index to the next version.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE rotations (
        id         TEXT PRIMARY KEY,
        endpoint   TEXT NOT NULL,
        target     TEXT NOT NULL,
        provider   TEXT NOT NULL,
        plan       TEXT NOT NULL,
        opened_at  TEXT NOT NULL,
        closed_at  TEXT
    ) STRICT;
    CREATE UNIQUE INDEX one_open_rotation_per_endpoint ON rotations (endpoint) WHERE closed_at IS NULL;
    CREATE TABLE events (
        rotation  TEXT NOT NULL REFERENCES rotations (id),
        seq       INTEGER NOT NULL,
        at        TEXT NOT NULL,
        by        TEXT NOT NULL,
        event     TEXT NOT NULL,
        PRIMARY KEY (rotation, seq)
    ) STRICT, WITHOUT ROWID;
"];
/// How long a commit waits for another process.
const BUSY: Duration = Duration::from_secs(5);

/// The journal, open.
#[derive(Debug)]
pub struct Journal {
    connection: Connection,
    path: PathBuf,
}

/// Why the journal cannot be used. Nothing was sent.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("the journal `{path}` is damaged or not a whsec journal")]
    Damaged {
        path: PathBuf,
        #[source]
        source: Option<rusqlite::Error>,
    },
    #[error("the journal `{path}` was written by a newer whsec (format {found}, this one knows {known})")]
    Newer { path: PathBuf, found: usize, known: usize },
    #[error("cannot use the journal `{path}`")]
    Unusable {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("`{endpoint}` has an open rotation already")]
    AlreadyOpen { endpoint: String },
}

impl JournalError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Damaged { path, .. } => format!(
                "nothing was sent; keep a copy of `{}`, move it away to start a new journal, and rotate only after \
                 looking at the provider whether a rotation is open",
                path.display()
            ),
            Self::Newer { .. } => "install the newer whsec on this machine".to_owned(),
            Self::Unusable { path, .. } => {
                format!("see whether `{}` is writable and the disk has room", path.parent().unwrap_or(path).display())
            }
            Self::AlreadyOpen { .. } => "`whsec status` shows it, `whsec cutover TARGET` goes on with it".to_owned(),
        })
    }
}

impl Journal {
    /// Opens or creates `journal.sqlite` in a folder that exists.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join("journal.sqlite");
        let unusable = |source| JournalError::Unusable { path: path.clone(), source };
        make_private(&path);
        let connection = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(unusable)?;
        connection.busy_timeout(BUSY).map_err(unusable)?;
        let journal = Self { connection, path };
        journal.prepare().map_err(|error| journal.classify(error))??;
        Ok(journal)
    }

    /// Records a rotation as open. Fails where the endpoint has an open one.
    pub fn begin(&self, plan: Plan, now: Timestamp) -> Result<Rotation, JournalError> {
        let id = Uuid::new_v4();
        let text = serde_json::to_string(&plan).map_err(|_| self.damaged())?;
        let inserted = self.connection.execute(
            "INSERT INTO rotations (id, endpoint, target, provider, plan, opened_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![id.to_string(), plan.endpoint_key, plan.target, plan.provider, text, now.to_string()],
        );
        match inserted {
            Ok(_) => Ok(Rotation::new(id, plan, now)),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                Err(JournalError::AlreadyOpen { endpoint: plan.own_id().to_owned() })
            }
            Err(error) => Err(self.classify(error)),
        }
    }

    /// Makes events durable in one commit and folds them into the rotation.
    pub fn append(
        &self,
        rotation: &mut Rotation,
        by: &str,
        now: Timestamp,
        events: &[Event],
    ) -> Result<(), JournalError> {
        let entries: Vec<Entry> =
            events.iter().map(|event| Entry { at: now, by: by.to_owned(), event: event.clone() }).collect();
        self.write(rotation.id, &entries).map_err(|error| self.classify(error))?;
        for entry in &entries {
            rotation.fold(entry);
        }
        Ok(())
    }

    /// The open rotation of an endpoint.
    pub fn find_open(&self, endpoint: &str) -> Result<Option<Rotation>, JournalError> {
        Ok(self.load("WHERE endpoint = ?1 AND closed_at IS NULL", params![endpoint])?.pop())
    }

    /// All open rotations, oldest first.
    pub fn open_rotations(&self) -> Result<Vec<Rotation>, JournalError> {
        self.load("WHERE closed_at IS NULL ORDER BY opened_at", params![])
    }

    /// All rotations of an endpoint, newest first.
    pub fn of_endpoint(&self, endpoint: &str) -> Result<Vec<Rotation>, JournalError> {
        self.load("WHERE endpoint = ?1 ORDER BY opened_at DESC, rowid DESC", params![endpoint])
    }

    /// Closed rotations since a moment, oldest first.
    pub fn closed_since(&self, since: Timestamp) -> Result<Vec<Rotation>, JournalError> {
        self.load("WHERE closed_at IS NOT NULL AND closed_at >= ?1 ORDER BY closed_at", params![since.to_string()])
    }

    fn prepare(&self) -> rusqlite::Result<Result<(), JournalError>> {
        // DELETE mode keeps everything in one file; EXTRA also syncs the folder after the rollback file is gone, so
        // that a commit that returned survives a power cut.
        self.connection.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON;")?;
        let version = self.version()?;
        let application: i32 = self.connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let tables: i64 = self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if version > MIGRATIONS.len() {
            return Ok(Err(JournalError::Newer { path: self.path.clone(), found: version, known: MIGRATIONS.len() }));
        }
        if tables > 0 && application != APPLICATION_ID {
            return Ok(Err(self.damaged()));
        }
        if version == MIGRATIONS.len() {
            return Ok(if self.is_sound()? { Ok(()) } else { Err(self.damaged()) });
        }
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        // Another process may have migrated while this one waited.
        let version = self.version()?;
        for migration in MIGRATIONS.iter().skip(version) {
            self.connection.execute_batch(migration)?;
        }
        self.connection.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}; COMMIT",
            MIGRATIONS.len()
        ))?;
        Ok(Ok(()))
    }

    /// Whether the file is as long as it says, and its tables hang together. One transaction, so that nobody writes
    /// meanwhile.
    fn is_sound(&self) -> rusqlite::Result<bool> {
        let transaction = self.connection.unchecked_transaction()?;
        let verdict: String = transaction.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        let number = |pragma: &str| transaction.query_row(pragma, [], |row| row.get::<_, i64>(0));
        let expected = number("PRAGMA page_count")? * number("PRAGMA page_size")?;
        let found = std::fs::metadata(&self.path).ok().and_then(|metadata| i64::try_from(metadata.len()).ok());
        Ok(verdict == "ok" && found.is_none_or(|found| found == expected))
    }

    fn version(&self) -> rusqlite::Result<usize> {
        let version: i64 = self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        // A negative version is nobody's: newer than all that is known.
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
    }

    fn write(&self, id: Uuid, entries: &[Entry]) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        let id = id.to_string();
        for entry in entries {
            let event = serde_json::to_string(&entry.event)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            transaction.execute(
                "INSERT INTO events (rotation, seq, at, by, event) VALUES
                 (?1, (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE rotation = ?1), ?2, ?3, ?4)",
                params![id, entry.at.to_string(), entry.by, event],
            )?;
            if matches!(entry.event, Event::Closed { .. }) {
                transaction
                    .execute("UPDATE rotations SET closed_at = ?2 WHERE id = ?1", params![id, entry.at.to_string()])?;
            }
        }
        transaction.commit()
    }

    fn load(&self, filter: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Rotation>, JournalError> {
        let run = || -> rusqlite::Result<Vec<(Option<Rotation>, String)>> {
            let mut statement =
                self.connection.prepare(&format!("SELECT id, plan, opened_at FROM rotations {filter}"))?;
            let rows = statement.query_map(values, |row| Ok((rotation(row)?, row.get::<_, String>(0)?)))?;
            rows.collect()
        };
        let mut rotations = Vec::new();
        for (rotation, id) in run().map_err(|error| self.classify(error))? {
            let mut rotation = rotation.ok_or_else(|| self.damaged())?;
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
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TypeMismatch};
        let path = self.path.clone();
        match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase | TypeMismatch) => JournalError::Damaged { path, source: Some(source) },
            None if !matches!(source, rusqlite::Error::SqliteFailure(..)) => {
                JournalError::Damaged { path, source: Some(source) }
            }
            _ => JournalError::Unusable { path, source },
        }
    }
}

/// Makes the file, empty, for its owner only; SQLite itself would leave that to the umask, and gives its rollback file
/// the same mode. Where it cannot be made, opening it says why.
fn make_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

fn rotation(row: &Row<'_>) -> rusqlite::Result<Option<Rotation>> {
    let (id, plan, opened_at): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(match (id.parse(), serde_json::from_str(&plan), opened_at.parse()) {
        (Ok(id), Ok(plan), Ok(opened_at)) => Some(Rotation::new(id, plan, opened_at)),
        _ => None,
    })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let (at, by, event): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(match (at.parse(), serde_json::from_str(&event)) {
        (Ok(at), Ok(event)) => Some(Entry { at, by, event }),
        _ => None,
    })
}
