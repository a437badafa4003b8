//! Rows of the journal: a rotation and its events as they are stored, the stamp over all of them, and what they say.
//!
//! A row is verified when it is read. Before one is written to again it is read, so that nothing is stamped that was not.

use rusqlite::{Connection, OptionalExtension, Params, Statement, params};

use super::journal_error::not_as_written;
use super::{Entry, Event, Plan, Rotation};
use crate::stamp::StampKey;

/// Rotations of an endpoint: of one that is open twice, the second is marked by `#` and its own id.
pub(super) const OF_ENDPOINT: &str = "(endpoint = ?1 OR (endpoint > ?1 || '#' AND endpoint < ?1 || '$'))";

/// What a rotation's stamp is for.
const STAMPED: &str = "rotation";

const COLUMNS: &str = "rowid, id, endpoint, target, provider, plan, opened_at, closed_at, identified, replaces, sum";

/// A rotation as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Where it stands in the order in which rotations were begun.
    pub number: i64,
    pub id: String,
    /// The endpoint's key, perhaps with the mark of a second open rotation.
    pub endpoint: String,
    pub target: String,
    pub provider: String,
    pub plan: String,
    pub opened_at: String,
    pub closed_at: Option<String>,
    pub identified: i64,
    pub replaces: Option<String>,
    pub sum: String,
    events: Vec<Stored>,
}

/// An event as it is stored.
#[derive(Clone, Debug)]
struct Stored {
    seq: i64,
    at: String,
    by: String,
    event: String,
}

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
        let Plan { endpoint_key, target, provider, replaces, .. } = rotation.plan.clone();
        let replaces = replaces.filter(|_| rotation.is_pending()).map(|earlier| earlier.to_string());
        let (id, opened_at) = (rotation.id.to_string(), rotation.opened_at.to_string());
        connection.execute(
            "INSERT INTO rotations (id, endpoint, target, provider, plan, opened_at, identified, replaces)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7)",
            params![id, endpoint_key, target, provider, plan, opened_at, replaces],
        )?;
        let number = connection.last_insert_rowid();
        let endpoint = endpoint_key;
        let (closed_at, sum, events) = (None, String::new(), Vec::new());
        Ok(Self {
            number,
            id,
            endpoint,
            target,
            provider,
            plan,
            opened_at,
            closed_at,
            identified: 1,
            replaces,
            sum,
            events,
        })
    }

    /// Adds events. They count once the row is saved.
    pub fn add(&mut self, connection: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
        let insert = "INSERT INTO events (rotation, seq, at, by, event) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = connection.prepare(insert)?;
        for entry in entries {
            let event = serde_json::to_string(&entry.event)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            let seq = self.events.last().map_or(0, |last| last.seq) + 1;
            let stored = Stored { seq, at: entry.at.to_string(), by: entry.by.clone(), event };
            insert.execute(params![self.id, stored.seq, stored.at, stored.by, stored.event])?;
            if matches!(entry.event, Event::Closed { .. }) {
                self.closed_at = Some(stored.at.clone());
            }
            self.events.push(stored);
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

    fn stamp(&self, key: &StampKey) -> String {
        let mut stamper = key.stamper(STAMPED);
        let (closed_at, replaces) = (self.closed_at.as_deref(), self.replaces.as_deref());
        for text in [&self.id, &self.endpoint, &self.target, &self.provider, &self.plan, &self.opened_at] {
            stamper.add(text.as_bytes());
        }
        for text in [closed_at, replaces] {
            stamper.add(text.unwrap_or_default().as_bytes());
        }
        stamper.add(self.identified.to_string().as_bytes());
        for Stored { seq, at, by, event } in &self.events {
            stamper.add(seq.to_string().as_bytes());
            [at, by, event].iter().for_each(|text| stamper.add(text.as_bytes()));
        }
        stamper.finish()
    }

    /// What rotations of an endpoint are in order by.
    pub fn begun(&self) -> (String, i64) {
        (self.opened_at.clone(), self.number)
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }

    /// The endpoint's key alone.
    pub fn key(&self) -> &str {
        without_mark(&self.endpoint)
    }

    /// What it was decided to do, under the name that its endpoint has by now; `None` where it says nothing that this whsec knows.
    pub fn plan(&self) -> Option<Plan> {
        let plan = serde_json::from_str::<Plan>(&self.plan).ok()?;
        Some(Plan { endpoint_key: self.key().to_owned(), ..plan })
    }

    /// The rotation with all that has come of it; `None` as above.
    pub fn rotation(&self) -> Option<Rotation> {
        let mut rotation = Rotation::new(self.id.parse().ok()?, self.plan()?, self.opened_at.parse().ok()?);
        for Stored { at, by, event, .. } in &self.events {
            let event = serde_json::from_str(event).ok()?;
            rotation.fold(&Entry { at: at.parse().ok()?, by: by.clone(), event });
        }
        Some(rotation)
    }
}

/// An endpoint's key without the mark of its second open rotation; keys themselves have no `#`.
pub(super) fn without_mark(endpoint: &str) -> &str {
    endpoint.split('#').next().unwrap_or_default()
}
