//! The sum over all that is recorded of a rotation, which shows that a row is as whsec wrote it: a stamp of the state folder's
//! key, or the bare digest that version 0.1.0 wrote.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::stamp::StampKey;
use crate::system::text::hex;

/// A way of adding up.
pub(super) enum Sums<'a> {
    /// SHA-256 alone, which anybody can work out.
    Bare,
    Stamped(&'a StampKey),
}

/// The rotation's row, then its events.
const FIELDS: [&str; 2] = [
    "SELECT id, endpoint, target, provider, plan, opened_at, coalesce(closed_at, '') FROM rotations WHERE id = ?1",
    "SELECT CAST(seq AS TEXT), at, by, event FROM events WHERE rotation = ?1 ORDER BY seq",
];

impl Sums<'_> {
    /// Whether all that is recorded is what was written. SQLite would not notice another letter in a text: another key would
    /// be sent, or the same one after its window. In a transaction of the caller's, because others may be writing.
    pub fn hold(&self, connection: &Connection) -> rusqlite::Result<bool> {
        for id in ids(connection)? {
            let sum: String =
                connection.query_row("SELECT sum FROM rotations WHERE id = ?1", [&id], |row| row.get(0))?;
            if sum != self.of(connection, &id)? {
                return Ok(false);
            }
        }
        let orphans = "SELECT count(*) FROM events WHERE rotation NOT IN (SELECT id FROM rotations)";
        let orphans: i64 = connection.query_row(orphans, [], |row| row.get(0))?;
        Ok(orphans == 0)
    }

    /// Records the sum of a rotation as it is now.
    pub fn add_up(&self, connection: &Connection, id: &str) -> rusqlite::Result<()> {
        let sum = self.of(connection, id)?;
        connection.execute("UPDATE rotations SET sum = ?2 WHERE id = ?1", params![id, sum]).map(|_| ())
    }

    /// The same for every rotation.
    pub fn add_up_all(&self, connection: &Connection) -> rusqlite::Result<()> {
        ids(connection)?.iter().try_for_each(|id| self.add_up(connection, id))
    }

    /// The sum of a rotation's row and of all of its events, each field with its length in front.
    fn of(&self, connection: &Connection, id: &str) -> rusqlite::Result<String> {
        match self {
            Self::Bare => {
                let mut digest = Sha256::new();
                fields(connection, id, |field| {
                    digest.update(field.len().to_le_bytes());
                    digest.update(field);
                })?;
                Ok(hex(&digest.finalize()))
            }
            Self::Stamped(key) => {
                let mut stamper = key.stamper("journal");
                fields(connection, id, |field| stamper.add(field))?;
                Ok(stamper.finish())
            }
        }
    }
}

fn fields(connection: &Connection, id: &str, mut add: impl FnMut(&[u8])) -> rusqlite::Result<()> {
    for rows in FIELDS {
        let mut statement = connection.prepare(rows)?;
        let columns = statement.column_count();
        let mut rows = statement.query([id])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                let field: String = row.get(column)?;
                add(field.as_bytes());
            }
        }
    }
    Ok(())
}

fn ids(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection.prepare("SELECT id FROM rotations")?.query_map([], |row| row.get(0))?.collect()
}
