//! Rows of the journal as what they say; `None` where a row says nothing that this whsec knows.

use rusqlite::Row;

use super::{Entry, Rotation};

/// A rotation that nothing has been folded into yet.
pub(super) fn rotation(row: &Row<'_>) -> rusqlite::Result<Option<Rotation>> {
    let (id, plan, opened_at): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(match (id.parse(), serde_json::from_str(&plan), opened_at.parse()) {
        (Ok(id), Ok(plan), Ok(opened_at)) => Some(Rotation::new(id, plan, opened_at)),
        _ => None,
    })
}

/// An event.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let (at, by, event): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(match (at.parse(), serde_json::from_str(&event)) {
        (Ok(at), Ok(event)) => Some(Entry { at, by, event }),
        _ => None,
    })
}
