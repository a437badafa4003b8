//! Rows of the journal in SQLite. A row is verified when it is read. Before one is written to again it is read, so that nothing is
//! stamped that was not.

use rusqlite::{Connection, OptionalExtension, Params, Statement, params};

use super::journal_error::not_as_written;
use super::row::{Row, Stored};
use super::{Entry, Rotation};
use crate::stamp::StampKey;

/// Rotations of an endpoint: of one that is open twice, the second is marked by `#` and its own id.
pub(super) const OF_ENDPOINT: &str = "(endpoint = ?1 OR (endpoint > ?1 || '#' AND endpoint < ?1 || '$'))";

const COLUMNS: &str = "rowid, id, endpoint, target, provider, plan, opened_at, closed_at, identified, replaces, sum";

/// All rotations that a filter names, as they are stored.
pub(super) fn select(connection: &Connection, filter: &str, values: impl Params) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM rotations {filter}"))?;
    let mut events = events(connection)?;
    let rows: Vec<Row> = statement.query_map(values, row)?.collect::<rusqlite::Result<_>>()?;
    rows.into_iter().map(|row| with_events(row, &mut events)).collect()
}

/// Those of these ids that are there, in the same order.
pub(super) fn among<'a>(
    connection: &Connection,
    ids: impl Iterator<Item = &'a str>,
) -> rusqlite::Result<Vec<Option<Row>>> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM rotations WHERE id = ?1"))?;
    let mut events = events(connection)?;
    ids.map(|id| {
        let found = statement.query_row([id], row).optional()?;
        found.map(|row| with_events(row, &mut events)).transpose()
    })
    .collect()
}

/// The rotation of this id.
pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Row>> {
    Ok(among(connection, std::iter::once(id))?.pop().flatten())
}

fn events(connection: &Connection) -> rusqlite::Result<Statement<'_>> {
    connection.prepare("SELECT seq, at, by, event FROM events WHERE rotation = ?1 ORDER BY seq")
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        number: row.get(0)?,
        id: row.get(1)?,
        endpoint: row.get(2)?,
        target: row.get(3)?,
        provider: row.get(4)?,
        plan: row.get(5)?,
        opened_at: row.get(6)?,
        closed_at: row.get(7)?,
        identified: row.get(8)?,
        replaces: row.get(9)?,
        sum: row.get(10)?,
        events: Vec::new(),
    })
}

fn with_events(mut row: Row, events: &mut Statement<'_>) -> rusqlite::Result<Row> {
    let stored =
        |row: &rusqlite::Row<'_>| Ok(Stored { seq: row.get(0)?, at: row.get(1)?, by: row.get(2)?, event: row.get(3)? });
    row.events = events.query_map([&row.id], stored)?.collect::<rusqlite::Result<_>>()?;
    Ok(row)
}

impl Row {
    /// Records a rotation of which nothing has happened yet.
    pub fn insert(connection: &Connection, rotation: &Rotation, plan: String) -> rusqlite::Result<Self> {
        let mut row = Self::new(rotation, plan);
        connection.execute(
            "INSERT INTO rotations (id, endpoint, target, provider, plan, opened_at, identified, replaces)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                row.id,
                row.endpoint,
                row.target,
                row.provider,
                row.plan,
                row.opened_at,
                row.identified,
                row.replaces
            ],
        )?;
        row.number = connection.last_insert_rowid();
        Ok(row)
    }

    /// Adds events. They count once the row is saved.
    pub fn add(&mut self, connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
        let insert = "INSERT INTO events (rotation, seq, at, by, event) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = connection.prepare(insert)?;
        for entry in entries {
            let stored = self.take(entry).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            insert.execute(params![self.id, stored.seq, stored.at, stored.by, stored.event])?;
            self.events.push(stored);
        }
        Ok(())
    }

    /// Records what another journal has of it; `before` is what this one has.
    pub fn take_over(&mut self, connection: &Connection, before: Option<&Self>) -> rusqlite::Result<()> {
        if before.is_none() {
            connection.execute(
                "INSERT INTO rotations (id, endpoint, target, provider, plan, opened_at, closed_at, identified, replaces)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    self.id,
                    self.endpoint,
                    self.target,
                    self.provider,
                    self.plan,
                    self.opened_at,
                    self.closed_at,
                    self.identified,
                    self.replaces
                ],
            )?;
            self.number = connection.last_insert_rowid();
        }
        if let Some(before) = before {
            // What it was decided with stays as it is recorded here.
            (self.plan, self.number) = (before.plan.clone(), before.number);
        }
        let insert = "INSERT INTO events (rotation, seq, at, by, event) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = connection.prepare(insert)?;
        for Stored { seq, at, by, event } in self.events.iter().skip(before.map_or(0, |before| before.events.len())) {
            insert.execute(params![self.id, seq, at, by, event])?;
        }
        Ok(())
    }

    /// Writes what may change of a row, and the stamp over all of it.
    pub fn save(&mut self, connection: &Connection, key: &StampKey) -> rusqlite::Result<()> {
        self.sum = self.stamp(key);
        connection
            .execute(
                "UPDATE rotations SET endpoint = ?2, closed_at = ?3, identified = ?4, replaces = ?5, sum = ?6 WHERE id = ?1",
                params![self.id, self.endpoint, self.closed_at, self.identified, self.replaces, self.sum],
            )
            .map(|_| ())
    }

    /// The same row, provided that it is as it was written. SQLite would not notice another letter in a text: another key
    /// would be sent, or the same one after its window.
    pub fn verified(self, key: &StampKey) -> rusqlite::Result<Self> {
        if self.sum == self.stamp(key) { Ok(self) } else { Err(not_as_written()) }
    }
}
