//! The sums that journals before heads were believed by: stamps of the state folder's key, or the bare digests that
//! version 0.1.0 wrote. They are only read, before such a journal is brought up.

use rusqlite::Connection;
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
    /// Whether all that is recorded is what was written. In a transaction of the caller's, because others may be writing.
    pub fn hold(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let mut rotations = connection.prepare("SELECT id, sum FROM rotations")?;
        let mut rotations = rotations.query([])?;
        while let Some(row) = rotations.next()? {
            let (id, sum): (String, String) = (row.get(0)?, row.get(1)?);
            if sum != self.of(connection, &id)? {
                return Ok(false);
            }
        }
        has_no_orphans(connection)
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

/// Whether every event is one of a rotation that is there.
pub(super) fn has_no_orphans(connection: &Connection) -> rusqlite::Result<bool> {
    let orphans = "SELECT EXISTS (SELECT 1 FROM events WHERE rotation NOT IN (SELECT id FROM rotations))";
    connection.query_row(orphans, [], |row| row.get::<_, bool>(0)).map(|some| !some)
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
