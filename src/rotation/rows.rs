//! Rows of the journal as what they say; `None` where a row says nothing that this whsec knows.

use rusqlite::Row;

use super::{Entry, Plan, Rotation};

/// A rotation that nothing has been folded into yet.
pub(super) fn rotation(row: &Row<'_>) -> rusqlite::Result<Option<Rotation>> {
    let (id, plan, opened_at): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let endpoint: String = row.get(3)?;
    Ok(match (id.parse(), serde_json::from_str::<Plan>(&plan), opened_at.parse()) {
        (Ok(id), Ok(plan), Ok(opened_at)) => {
            // The plan stays as it was decided; what its endpoint is called by now is in the row.
            let endpoint_key = without_mark(&endpoint).to_owned();
            Some(Rotation::new(id, Plan { endpoint_key, ..plan }, opened_at))
        }
        _ => None,
    })
}

/// An endpoint's key without the mark of its second open rotation; keys themselves have no `#`.
pub(super) fn without_mark(endpoint: &str) -> &str {
    endpoint.split('#').next().unwrap_or_default()
}

/// An event.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let (at, by, event): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(match (at.parse(), serde_json::from_str(&event)) {
        (Ok(at), Ok(event)) => Some(Entry { at, by, event }),
        _ => None,
    })
}
